//! Collecting what a run would do, as it is decided.
//!
//! A run that writes nothing hands every decision to a collector instead of loading it. Decisions go to a private
//! temporary file, one a line, so that memory does not grow with their number; in memory stay where each lies, and the
//! counts. A record that is decided about twice (tried again from the queue and then met in its stream, or the other
//! side of a pair) counts once.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::describe::{Describe, reason};
use super::exact::{exact, exact_reference, exact_texts};
use super::item::{PlanItem, PlanKind, PlanReason};
use super::lines::Lines;
use crate::compile::compiled::{ConnectionId, FlowId};
use crate::connector::Operation;
use crate::mapping::{Pending, PendingKey, Reject};
use crate::run::Stop;
use crate::run::batch::{Decision, Item, ItemOutcome, Planned};
use crate::run::bulk::{SharedBy, Sharing};
use crate::run::context::Context;

/// Decisions of one kind about records of one flow or direction: its position in the pipeline, and the kind.
pub(super) type Group = (FlowId, PlanKind);

/// Collects decisions.
#[derive(Debug)]
pub(crate) struct Collector {
    gathered: Mutex<Gathered>,
}

/// What was collected.
#[derive(Debug)]
pub(super) struct Gathered {
    file: BufWriter<File>,
    /// How long the file is.
    length: u64,
    /// Where the decisions of each group begin.
    pub(super) groups: BTreeMap<Group, Vec<u64>>,
    /// Digests of what was decided about, so that each counts once.
    seen: HashSet<String>,
    /// Records that the run would create, or of which it is not known, as flow and source key.
    expected: HashSet<(String, String)>,
    references: HashSet<PendingKey>,
    /// Writes, by connection.
    pub(super) calls: BTreeMap<ConnectionId, WritesNeeded>,
    /// Writes that may share requests, by flow and kind.
    pub(super) shared: BTreeMap<Group, Shared>,
    /// How often each field would get a fallback, by flow and field.
    pub(super) fallbacks: BTreeMap<(String, String), u64>,
    /// What guards would refuse.
    pub(super) guards: Vec<String>,
}

/// The writes that a plan needs of one system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct WritesNeeded {
    pub(super) creates: u64,
    pub(super) updates: u64,
    pub(super) deletes: u64,
    /// Records that lookups create are searched for once more just before.
    pub(super) searches: u64,
}

/// Writes that may share requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared {
    pub(super) connection: ConnectionId,
    by: SharedBy,
    writes: u64,
}

impl Shared {
    /// How many requests they need less than one each.
    pub(super) fn spares(&self) -> u64 {
        self.writes.saturating_sub(self.by.requests(self.writes))
    }
}

impl Collector {
    /// Nothing collected yet.
    pub(crate) fn new() -> Result<Self, Stop> {
        let file = tempfile::tempfile().map_err(Stop::Spool)?;
        Ok(Collector {
            gathered: Mutex::new(Gathered {
                file: BufWriter::new(file),
                length: 0,
                groups: BTreeMap::new(),
                seen: HashSet::new(),
                expected: HashSet::new(),
                references: HashSet::new(),
                calls: BTreeMap::new(),
                shared: BTreeMap::new(),
                fallbacks: BTreeMap::new(),
                guards: Vec::new(),
            }),
        })
    }

    /// Takes in a decision of a one-way flow; with what a two-way flow adds, also one of a direction.
    pub(crate) fn decided(
        &self,
        context: &Context,
        flow: FlowId,
        item: &Item,
        decision: &Decision,
        mut additions: Additions<'_>,
    ) -> Result<(), Stop> {
        let mapped = match &item.outcome {
            ItemOutcome::Mapped(mapped) => Some(mapped.as_ref()),
            _ => None,
        };
        let mut gathered = self.gathered();
        let kind = gathered.kind(context, flow, item, decision);
        let kind = match (kind, additions.says_something()) {
            (Some(kind), _) => kind,
            (None, true) => PlanKind::NotCarried,
            (None, false) => return Ok(()),
        };
        let digest = exact(context, flow, &item.key, decision, mapped);
        let describe = Describe {
            context,
            flow,
            mapped,
        };
        let mut base = describe.item(&item.key, kind, digest);
        base.reason = reason(decision);
        base.held.append(&mut additions.held);
        base.not_carried.append(&mut additions.not_carried);
        let described = describe.written(base, decision, &additions);
        if gathered.is_known(context, &described) {
            return Ok(());
        }
        let to = context.pipeline.flows[flow].to.connection;
        let pending = mapped.filter(|mapped| decision.sends_pending(mapped));
        for pending in pending.iter().flat_map(|mapped| &mapped.pending) {
            gathered.reference(context, flow, &item.key, pending)?;
        }
        if matches!(kind, PlanKind::Create | PlanKind::Unknown) {
            let name = context.flow_ref(&context.pipeline.flows[flow]).flow.to_owned();
            gathered.expected.insert((name, item.key.clone()));
        }
        for item in &described {
            for field in item.fields.iter().filter(|field| field.fallback) {
                let place = (context.pipeline.flows[flow].name.clone(), field.name.clone());
                *gathered.fallbacks.entry(place).or_default() += 1;
            }
        }
        let count = described.len() as u64;
        let operation = match kind {
            PlanKind::Create => Some(Operation::Create),
            PlanKind::Update => Some(Operation::Update),
            _ => None,
        };
        let by = operation.and_then(|operation| Sharing::of(context, flow).shared_by(operation));
        if let Some(by) = by {
            let shared = gathered.shared.entry((flow, kind)).or_insert(Shared {
                connection: to,
                by,
                writes: 0,
            });
            shared.writes += count;
        }
        let calls = gathered.calls.entry(to).or_default();
        match kind {
            PlanKind::Create => calls.creates += count,
            PlanKind::Update => calls.updates += count,
            PlanKind::Delete => calls.deletes += count,
            _ => {}
        }
        for item in &described {
            gathered.keep((flow, kind), item)?;
        }
        Ok(())
    }

    /// Takes in decisions of a one-way flow.
    pub(crate) fn planned(&self, context: &Context, flow: FlowId, planned: &[Planned]) -> Result<(), Stop> {
        for one in planned {
            self.decided(context, flow, &one.item, &one.decision, Additions::default())?;
        }
        Ok(())
    }

    /// Takes in a file that would be written whole, with so many rows.
    pub(crate) fn file(&self, context: &Context, flow: FlowId, rows: u64) -> Result<(), Stop> {
        let describe = Describe {
            context,
            flow,
            mapped: None,
        };
        let mut item = describe.item(WHOLE_FILE, PlanKind::Create, String::new());
        item.reason = Some(PlanReason {
            field: None,
            rule: None,
            code: WHOLE_FILE.to_owned(),
            message: format!("the file is written anew, with {rows} rows"),
            value: None,
        });
        self.gathered().keep((flow, PlanKind::Create), &item)
    }

    /// How many records lookups would create for a flow.
    pub(crate) fn references(&self, flow: FlowId) -> u64 {
        let gathered = self.gathered();
        let places = gathered.groups.get(&(flow, PlanKind::CreateReference));
        places.map_or(0, |places| places.len() as u64)
    }

    /// Notes that a flow's guard would refuse the run.
    pub(crate) fn refused(&self, refusal: &Stop) {
        self.gathered().guards.push(refusal.to_string());
    }

    /// What was collected, to be read.
    pub(super) fn into_lines(self) -> Result<(Gathered, Lines), Stop> {
        let mut gathered = self.gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
        gathered.file.flush().map_err(Stop::Spool)?;
        let file = gathered.file.get_ref().try_clone().map_err(Stop::Spool)?;
        Ok((gathered, Lines::new(file)))
    }

    /// A panic while it was held lost a line at most, and ends the plan anyway.
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a two-way flow adds to a decision.
#[derive(Debug, Default)]
pub(crate) struct Additions<'a> {
    /// Rows of the direction that both sides had changed, with who wins.
    pub(crate) conflicts: &'a [(usize, super::item::PlanConflict)],
    /// Rows that wait for a person.
    pub(crate) held: Vec<super::item::PlanHeld>,
    /// Changes that do not travel.
    pub(crate) not_carried: Vec<super::item::PlanNotCarried>,
}

impl Additions<'_> {
    fn says_something(&self) -> bool {
        !self.held.is_empty() || !self.not_carried.is_empty()
    }
}

impl Gathered {
    /// The kind of a decision; none for those that a plan counts and does not list.
    fn kind(&self, context: &Context, flow: FlowId, item: &Item, decision: &Decision) -> Option<PlanKind> {
        Some(match decision {
            Decision::Create => PlanKind::Create,
            Decision::Update(_) | Decision::UpdateAll(_) | Decision::Set { .. } => PlanKind::Update,
            Decision::Delete { .. } => PlanKind::Delete,
            Decision::Unlink { .. } => PlanKind::Unlink,
            Decision::Unchanged { link: Some(_), .. } => PlanKind::Link,
            Decision::Unchanged { link: None, .. } | Decision::Filtered | Decision::Duplicate => return None,
            Decision::Skipped(_) => PlanKind::Skip,
            Decision::Held(_) => PlanKind::Hold,
            // A question that could not be asked says nothing about what its answer would have led to.
            Decision::Rejected(reject) if reject.code == LOOKUP_FAILED => PlanKind::Unknown,
            Decision::Rejected(_) => PlanKind::Reject,
            Decision::Waiting(reject) if self.would_come(context, flow, item, reject) => PlanKind::Unknown,
            Decision::Waiting(_) => PlanKind::Wait,
        })
    }

    /// Whether a waiting record waits for one that the run would create first.
    fn would_come(&self, context: &Context, flow: FlowId, item: &Item, reject: &Reject) -> bool {
        let own = (
            context.flow_ref(&context.pipeline.flows[flow]).flow.to_owned(),
            item.key.clone(),
        );
        let waits_for = reject.waits_for.as_ref();
        waits_for.is_some_and(|other| *other != own && self.expected.contains(other))
    }

    /// Whether a decision about the same record was taken in already.
    fn is_known(&mut self, context: &Context, described: &[PlanItem]) -> bool {
        let Some(first) = described.first() else {
            return true;
        };
        let direction = first.direction.as_deref().unwrap_or_default();
        let which = if first.kind.writes() {
            "write"
        } else {
            first.kind.word()
        };
        !self
            .seen
            .insert(exact_texts(context, &[&first.flow, direction, which, &first.key]))
    }

    /// A record that a lookup creates, once for all that need it.
    fn reference(
        &mut self,
        context: &Context,
        flow: FlowId,
        key: &str,
        pending: &Pending,
    ) -> Result<(), Stop> {
        if !self.references.insert(pending.key.clone()) {
            return Ok(());
        }
        let describe = Describe {
            context,
            flow,
            mapped: None,
        };
        let item = describe.reference(key, pending, exact_reference(context, pending));
        let calls = self.calls.entry(pending.key.connection).or_default();
        calls.creates += 1;
        calls.searches += 1;
        self.keep((flow, PlanKind::CreateReference), &item)
    }

    fn keep(&mut self, group: Group, item: &PlanItem) -> Result<(), Stop> {
        let mut line = serde_json::to_vec(item)
            .map_err(|error| Stop::Internal(format!("a decision cannot be kept: {error}")))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(Stop::Spool)?;
        self.groups.entry(group).or_default().push(self.length);
        self.length += line.len() as u64;
        Ok(())
    }
}

/// What stands for the rows of a file.
const WHOLE_FILE: &str = "whole_file";
/// The code of a reject whose lookup could not be asked.
const LOOKUP_FAILED: &str = "lookup_failed";
