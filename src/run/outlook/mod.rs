//! The outlook: what a run would do, gathered for people, for programs, and for a later run that keeps to it.
//!
//! A plan is a run that writes nothing, over a copy of the state: the same stages decide, and a [`Collector`] takes in
//! their decisions where load would carry them out. [`Plan`] is what it gathered; `file` writes it for
//! `run --plan`, which decides everything once more and refuses unless it comes out the same.

mod basis;
mod collector;
mod describe;
mod exact;
mod file;
mod item;
mod lines;

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

pub use basis::{PlanAsked, PlanBasis, PlanCursor};
pub(crate) use collector::{Additions, Collector};
pub(crate) use file::Kept;
pub use file::PlanFileError;
pub use item::{PlanConflict, PlanField, PlanHeld, PlanItem, PlanKind, PlanNotCarried, PlanReason};

use super::{Ending, FlowSummary, Stop, Summary};
use crate::compile::compiled::Pipeline;
use crate::telemetry::Telemetry;
use collector::{Gathered, Group, Shared, WritesNeeded};
use lines::Lines;

/// What a run would do.
#[derive(Debug)]
pub struct Plan {
    /// Everything but the decisions.
    pub report: PlanReport,
    gathered: Gathered,
    lines: Lines,
    /// Of the state's digests.
    key: [u8; 32],
}

/// A plan without its decisions.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PlanReport {
    /// Version of this form.
    pub crosswalk_plan: u32,
    /// Whether everything was decided; if not, what is missing is unknown.
    pub complete: bool,
    /// How the run would end, as far as that is known before its writes.
    pub ending: Ending,
    /// Why, where it would not simply complete.
    pub message: Option<String>,
    /// What the plan rests on.
    pub basis: PlanBasis,
    /// Records by flow and outcome.
    pub flows: Vec<FlowSummary>,
    /// Decisions by flow, direction and kind, in the order in which people read them.
    pub decisions: Vec<PlanCount>,
    /// What guards would refuse.
    pub guards: Vec<String>,
    /// What is needed of each system.
    pub calls: Vec<PlanCalls>,
    /// How often each field would get a fallback.
    pub fallbacks: Vec<PlanFallback>,
    /// Records in the queue now, by kind.
    pub queue: BTreeMap<String, u64>,
    /// Flows that are off, with the reason.
    pub disabled: BTreeMap<String, String>,
}

/// How many decisions of a kind there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlanCount {
    /// The flow.
    pub flow: String,
    /// The direction, in a two-way flow.
    pub direction: Option<String>,
    /// The kind.
    pub kind: PlanKind,
    /// How many.
    pub count: u64,
}

/// What a plan needs of one system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlanCalls {
    /// The connection.
    pub connection: String,
    /// Requests that planning sent; a run reads as much again.
    pub reads: u64,
    /// Requests that the planned writes need, about: those that share requests are counted as shared.
    pub writes: u64,
    /// Records to be created.
    pub creates: u64,
    /// Records to be changed.
    pub updates: u64,
    /// Records to be deleted.
    pub deletes: u64,
    /// Searches for records that lookups would create, just before.
    pub searches: u64,
    /// Decisions that are unknown may need more.
    pub at_least: bool,
    /// What the system's answers said is left of each limit; a limit of which they said nothing is unknown.
    pub limits: Vec<PlanLimit>,
}

/// What is left of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlanLimit {
    /// Its name in the connector.
    pub limit: String,
    /// Requests left in this period; null where nothing is known.
    pub left: Option<u64>,
    /// Requests allowed in a period; null where nothing is known.
    pub allowed: Option<u64>,
}

/// How often a field would get a fallback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlanFallback {
    /// The flow or direction.
    pub flow: String,
    /// The field.
    pub field: String,
    /// How often.
    pub times: u64,
}

/// A plan as one JSON document, as `crosswalk plan --format json` prints it.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "it describes what is written piece by piece")]
pub struct PlanDocument {
    #[schemars(flatten)]
    report: PlanReport,
    /// The decisions.
    items: Vec<PlanItem>,
}

impl PlanDocument {
    /// Its JSON Schema.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(PlanDocument).to_value()
    }
}

impl Plan {
    /// What was collected in a run that wrote nothing.
    pub(super) fn new(
        pipeline: &Pipeline,
        collector: Collector,
        basis: PlanBasis,
        key: [u8; 32],
        summary: &Summary,
        telemetry: &Telemetry,
    ) -> Result<Self, Stop> {
        let (gathered, lines) = collector.into_lines()?;
        let decisions: Vec<PlanCount> = gathered
            .groups
            .iter()
            .map(|((flow, kind), places)| {
                let (flow, direction) = named(pipeline, *flow);
                PlanCount {
                    flow,
                    direction,
                    kind: *kind,
                    count: places.len() as u64,
                }
            })
            .collect();
        let unknown = decisions.iter().any(|count| count.kind == PlanKind::Unknown);
        let refused = !gathered.guards.is_empty();
        let report = PlanReport {
            crosswalk_plan: file::VERSION,
            complete: summary.ending.is_complete(),
            ending: match &summary.ending {
                Ending::Complete | Ending::CompleteWithRejects if refused => Ending::Refused,
                ending => ending.clone(),
            },
            message: summary.message.clone(),
            basis,
            flows: summary.flows.clone(),
            decisions,
            guards: gathered.guards.clone(),
            calls: calls(pipeline, &gathered, telemetry, unknown),
            fallbacks: gathered
                .fallbacks
                .iter()
                .map(|((flow, field), times)| PlanFallback {
                    flow: flow.clone(),
                    field: field.clone(),
                    times: *times,
                })
                .collect(),
            queue: summary.queue.clone(),
            disabled: summary.disabled.clone(),
        };
        Ok(Plan {
            report,
            gathered,
            lines,
            key,
        })
    }

    /// The decisions of one kind about one flow or direction, in the order in which they were made: position in
    /// [`PlanReport::decisions`], the first `most` of them.
    ///
    /// # Errors
    /// The temporary file of the plan cannot be read, in words.
    pub fn items(&self, position: usize, most: usize) -> Result<Vec<PlanItem>, String> {
        let group: Option<(&Group, &Vec<u64>)> = self.gathered.groups.iter().nth(position);
        let places = group.map_or(&[][..], |(_, places)| places);
        places
            .iter()
            .take(most)
            .map(|place| self.lines.at(*place).map_err(|stop| stop.to_string()))
            .collect()
    }

    /// Writes it to a file that a later run can keep to.
    ///
    /// # Errors
    /// The plan is not complete, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), PlanFileError> {
        file::write(self, path)
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document<'p> {
            #[serde(flatten)]
            report: &'p PlanReport,
            items: Items<'p>,
        }
        Document {
            report: &self.report,
            items: Items(&self.lines),
        }
        .serialize(serializer)
    }
}

/// The decisions as a JSON list, read as they are written.
struct Items<'p>(&'p Lines);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let failed = |stop: Stop| serde::ser::Error::custom(stop);
        let mut list = serializer.serialize_seq(None)?;
        for line in self.0.texts().map_err(failed)? {
            let raw = RawValue::from_string(line.map_err(failed)?).map_err(serde::ser::Error::custom)?;
            list.serialize_element(&raw)?;
        }
        list.end()
    }
}

/// A flow's name, and its direction.
fn named(pipeline: &Pipeline, flow: usize) -> (String, Option<String>) {
    let flow = &pipeline.flows[flow];
    let direction = flow
        .direction_of
        .and_then(|direction| Some((pipeline.two_way.get(direction.two_way)?, direction.to)));
    match direction {
        Some((way, to)) => (way.name.clone(), Some(format!("to_{}", to.name()))),
        None => (flow.name.clone(), None),
    }
}

fn calls(pipeline: &Pipeline, gathered: &Gathered, telemetry: &Telemetry, unknown: bool) -> Vec<PlanCalls> {
    let counters: BTreeMap<String, _> = telemetry.connections().into_iter().collect();
    let mut calls = Vec::new();
    for (id, connection) in pipeline.connections.iter().enumerate() {
        let crate::compile::compiled::ConnectorKind::Http(http) = &connection.connector.kind else {
            continue;
        };
        let WritesNeeded {
            creates,
            updates,
            deletes,
            searches,
        } = gathered.calls.get(&id).copied().unwrap_or_default();
        let shared = gathered.shared.values().filter(|shared| shared.connection == id);
        let spared: u64 = shared.map(Shared::spares).sum();
        let counted = counters.get(&connection.name);
        let known: BTreeMap<String, _> = counted
            .map(|counters| counters.quotas().into_iter().collect())
            .unwrap_or_default();
        let limits = http.limits.iter().filter(|limit| limit.each.is_none());
        calls.push(PlanCalls {
            connection: connection.name.clone(),
            reads: counted.map_or(0, |counters| counters.requests.get()),
            writes: (creates + updates + deletes + searches).saturating_sub(spared),
            creates,
            updates,
            deletes,
            searches,
            at_least: unknown,
            limits: limits
                .map(|limit| PlanLimit {
                    limit: limit.name.clone(),
                    left: known.get(&limit.name).map(|quota| quota.remaining),
                    allowed: known.get(&limit.name).and_then(|quota| quota.allowed),
                })
                .collect(),
        });
    }
    calls
}
