//! What a run did, for people, programs and the manifest: counts that balance, and how the run ended.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// How a run ended. The exit code says why: an internal failure first, then what stopped the run, then what it left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Everything was done.
    Complete,
    /// Everything was done, and items of this run wait in the queue.
    CompleteWithRejects,
    /// More records were rejected than the pipeline allows.
    RejectBudget,
    /// A system could not be reached after retries.
    Unreachable,
    /// Credentials or permissions were refused.
    AuthRefused,
    /// Another run of this pipeline holds the lease.
    Leased,
    /// Refused before the first write: a guard, or a start that could not be prepared.
    Refused,
    /// The state file or the snapshots cannot be used.
    StateUnusable,
    /// Stopped early and resumable: a quota was spent or the time limit was reached.
    StoppedEarly,
    /// Interrupted by a signal, resumable.
    Interrupted {
        /// The signal's number: 2 for SIGINT, 15 for SIGTERM.
        signal: i32,
    },
    /// A system refuses what the configuration asks for.
    Misconfigured,
    /// A defect of this program.
    Internal,
}

impl Ending {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Ending::Complete => 0,
            Ending::Internal => 1,
            Ending::Misconfigured => 2,
            Ending::CompleteWithRejects => 3,
            Ending::RejectBudget => 4,
            Ending::Unreachable => 5,
            Ending::AuthRefused => 6,
            Ending::Leased => 7,
            Ending::Refused => 8,
            Ending::StateUnusable => 9,
            Ending::StoppedEarly => 10,
            Ending::Interrupted { signal } => u8::try_from(128 + signal).unwrap_or(130),
        }
    }

    /// Whether every record that was read has its outcome.
    pub fn is_complete(&self) -> bool {
        matches!(self, Ending::Complete | Ending::CompleteWithRejects)
    }
}

/// What one flow did, in records. Each record that was read or retried has exactly one outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FlowSummary {
    /// The flow.
    pub flow: String,
    /// Records read from the source.
    pub read: u64,
    /// Records of the queue that were tried again.
    pub retried: u64,
    /// Created in the sink.
    pub created: u64,
    /// Changed in the sink.
    pub updated: u64,
    /// Deleted in the sink, or unlinked because the source deleted them.
    pub deleted: u64,
    /// Equal to what the sink has, or to what was loaded last.
    pub unchanged: u64,
    /// Seen before in this run: a boundary repeat, or an older observation of a record that came again.
    pub duplicate: u64,
    /// Left out by the flow's own conditions.
    pub filtered: u64,
    /// Left alone because the sink has no counterpart, as the flow says.
    pub skipped: u64,
    /// Refused, with a reason, and kept in the queue.
    pub rejected: u64,
    /// Waiting for a person's decision.
    pub held: u64,
    /// Waiting for a record that does not exist yet.
    pub waiting: u64,
    /// Read, but not decided when the run ended early.
    pub unfinished: u64,
    /// Rows of a two-way flow that both sides had changed.
    pub conflicts: u64,
    /// Rows of a two-way flow that were compared for the first time and differed.
    pub first_links: u64,
    /// Changes that a two-way flow's rules do not let travel.
    pub not_carried: u64,
    /// Fields that a system answered with another value than it was sent.
    pub altered: u64,
    /// Requests that changed a system, those for records that lookups created included.
    pub writes: u64,
    /// Fields changed by updates.
    pub field_changes: u64,
    /// Records that lookups created, by lookup.
    pub references_created: BTreeMap<String, u64>,
    /// How often each field got a fallback.
    pub fallbacks: BTreeMap<String, u64>,
    /// How often each entry of each enum table was used.
    pub enum_coverage: BTreeMap<String, BTreeMap<String, u64>>,
    /// Values that enum tables met and do not list.
    pub unknown_values: BTreeMap<String, BTreeMap<String, u64>>,
}

impl FlowSummary {
    /// A flow that has done nothing yet.
    pub fn new(flow: &str) -> Self {
        FlowSummary {
            flow: flow.to_owned(),
            ..FlowSummary::default()
        }
    }

    /// The sum of outcomes.
    pub fn outcomes(&self) -> u64 {
        self.created
            + self.updated
            + self.deleted
            + self.unchanged
            + self.duplicate
            + self.filtered
            + self.skipped
            + self.rejected
            + self.held
            + self.waiting
            + self.unfinished
    }

    /// Whether every record that came in has one outcome.
    pub fn balances(&self) -> bool {
        self.read + self.retried == self.outcomes()
    }
}

/// What a run did.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The run's id, a UUIDv7.
    pub run: String,
    /// The pipeline.
    pub pipeline: String,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub ending: Ending,
    /// Why, in words, when it did not simply complete.
    pub message: Option<String>,
    /// Nothing was written anywhere.
    pub dry_run: bool,
    /// Per flow, in the order in which they ran.
    pub flows: Vec<FlowSummary>,
    /// Flows that were left out because they are off, each with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub disabled: BTreeMap<String, String>,
    /// Items in the pipeline's queue now, by kind.
    pub queue: BTreeMap<String, u64>,
    /// The run's directory; none after a dry run.
    pub snapshots: Option<PathBuf>,
    /// The interrupted run that this one continues.
    pub continues: Option<String>,
    /// Requests sent, by connection.
    pub requests: BTreeMap<String, u64>,
}

impl Summary {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.ending.exit_code()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_record_unbalances() {
        let mut flow = FlowSummary::new("cases");
        flow.read = 3;
        flow.created = 2;
        assert!(!flow.balances());
        flow.rejected = 1;
        assert!(flow.balances());
    }

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        assert_eq!(Ending::Complete.exit_code(), 0);
        assert_eq!(Ending::CompleteWithRejects.exit_code(), 3);
        assert_eq!(Ending::Interrupted { signal: 15 }.exit_code(), 143);
        assert_eq!(Ending::Interrupted { signal: 2 }.exit_code(), 130);
    }
}
