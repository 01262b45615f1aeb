//! What a run is asked to do beyond its pipeline.

use std::path::PathBuf;
use std::time::Duration;

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Decide everything, write nothing: neither systems nor state nor snapshots.
    pub dry_run: bool,
    /// Read at most so many records of each flow; the cursor moves only past whole pages.
    pub limit: Option<u64>,
    /// Only the records of these source keys, `key` or `stream:key`; no cursor moves.
    pub only: Vec<String>,
    /// Only these flows; none named: all.
    pub flows: Vec<String>,
    /// Records of a two-way flow that are to get a counterpart although the flow's own condition does not hold.
    pub publish: Option<Publish>,
    /// Read everything again, although there are cursors.
    pub full: bool,
    /// What the flows' guards would stop is meant.
    pub yes: bool,
    /// Where snapshots go.
    pub snapshots: PathBuf,
    /// The state file.
    pub state: PathBuf,
    /// Map the records that an earlier run extracted, instead of reading the source.
    pub from_run: Option<String>,
    /// Older items of the queue count for the exit code too.
    pub strict: bool,
    /// End, resumable, after so long.
    pub time_limit: Option<Duration>,
    /// How many batches are mapped at the same time.
    pub workers: usize,
    /// Do what this plan file says, or nothing.
    pub plan: Option<PathBuf>,
    /// The systems are local stand-ins, which have another address each time.
    pub rehearsal: bool,
}

/// Records that a person asked to be created on the other side.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The two-way flow.
    pub flow: String,
    /// Keys of the records that exist.
    pub keys: Vec<String>,
}

impl RunOptions {
    /// For looking at single records: everything is decided and nothing is written, whatever cursors say.
    pub(crate) fn looking() -> Self {
        RunOptions {
            dry_run: true,
            limit: None,
            only: Vec::new(),
            flows: Vec::new(),
            publish: None,
            full: true,
            yes: false,
            snapshots: PathBuf::new(),
            state: PathBuf::new(),
            from_run: None,
            strict: false,
            time_limit: None,
            workers: 1,
            plan: None,
            rehearsal: false,
        }
    }

    /// Whether a flow is to be run.
    pub(crate) fn chooses(&self, flow: &str) -> bool {
        self.flows.is_empty() || self.flows.iter().any(|chosen| chosen == flow)
    }

    /// Whether a record is to be created on the other side, as a person asked.
    pub(crate) fn publishes(&self, flow: &str, key: &str) -> bool {
        self.publish
            .as_ref()
            .is_some_and(|publish| publish.flow == flow && publish.keys.iter().any(|asked| asked == key))
    }
}
