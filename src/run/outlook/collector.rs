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

use super::exact::{exact, exact_reference, exact_texts};
use super::item::{PlanField, PlanItem, PlanKind, PlanReason};
use super::lines::Lines;
use crate::compile::compiled::{ConnectionId, FlowId, StreamRef, Target};
use crate::connector::Operation;
use crate::expression::Value;
use crate::mapping::{Cell, MASK, Pending, PendingKey, Reject};
use crate::run::Stop;
use crate::run::batch::{Decision, Item, MappedItem, Planned, Update};
use crate::run::bulk::{SharedBy, Sharing};
use crate::run::context::Context;
use crate::run::decide;

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
            crate::run::batch::ItemOutcome::Mapped(mapped) => Some(mapped.as_ref()),
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
        let mut item = describe.item(key, PlanKind::CreateReference, exact_reference(context, pending));
        item.to = context.stream_name(StreamRef {
            connection: pending.key.connection,
            stream: pending.key.stream,
        });
        let lookup = context.pipeline.lookups.get(pending.lookup);
        let name = lookup.map_or("", |lookup| lookup.name.as_str());
        item.reason = Some(PlanReason {
            field: None,
            rule: Some(format!("lookup {name}")),
            code: "lookup_none".to_owned(),
            message: format!("lookup `{name}` found nothing"),
            value: None,
        });
        // Which private members a created record's fields come from is not known: none are shown.
        let private = context.redactors[flow].applies();
        for (target, cell) in &pending.cells {
            let mut field = match cell {
                Cell::Absent => continue,
                Cell::Value(value) if private && !value.is_null() => described(target, &Value::text(MASK)),
                Cell::Value(value) => described(target, value),
                Cell::Pending(key) => describe.coming(target, key),
            };
            field.private = private && field.unknown.is_none();
            item.fields.push(field);
        }
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

/// The code of a reject whose lookup could not be asked.
const LOOKUP_FAILED: &str = "lookup_failed";

/// Describes decisions about the records of one flow.
struct Describe<'c> {
    context: &'c Context,
    flow: FlowId,
    mapped: Option<&'c MappedItem>,
}

impl Describe<'_> {
    fn item(&self, key: &str, kind: PlanKind, digest: String) -> PlanItem {
        let flow = &self.context.pipeline.flows[self.flow];
        let direction = flow
            .direction_of
            .map(|direction| format!("to_{}", direction.to.name()));
        PlanItem {
            flow: self.context.flow_ref(flow).flow.to_owned(),
            direction,
            to: self.context.stream_name(flow.to),
            key: key.to_owned(),
            kind,
            target: None,
            fields: Vec::new(),
            reason: None,
            held: Vec::new(),
            not_carried: Vec::new(),
            digest,
        }
    }

    /// The decision with the fields that it writes; one item for each record that is written.
    fn written(&self, item: PlanItem, decision: &Decision, additions: &Additions<'_>) -> Vec<PlanItem> {
        let flow = &self.context.pipeline.flows[self.flow];
        let one = |target: Option<String>, fields: Vec<PlanField>| PlanItem {
            target,
            fields,
            ..item.clone()
        };
        match decision {
            Decision::Create => {
                let cells = self.mapped.map_or(&[][..], |mapped| &mapped.cells);
                let rows = decide::created(&flow.rows, cells);
                let fields = rows.into_iter().filter_map(|row| self.field(row, None));
                vec![one(None, fields.collect())]
            }
            Decision::Update(update) => vec![self.updated(&item, update, additions)],
            Decision::UpdateAll(updates) => updates
                .iter()
                .map(|update| self.updated(&item, update, additions))
                .collect(),
            Decision::Delete { target } => vec![one(Some(target.clone()), Vec::new())],
            Decision::Set {
                target,
                before,
                fields,
            } => {
                let fields = fields.iter().map(|(field, value)| {
                    let mut shown = self.shown(field, value);
                    shown.before = Some(self.masked(field, decide::at(before, &field.segments)));
                    shown
                });
                vec![one(Some(target.clone()), fields.collect())]
            }
            Decision::Unchanged { link, .. } => vec![one(link.clone(), Vec::new())],
            _ => vec![item],
        }
    }

    fn updated(&self, item: &PlanItem, update: &Update, additions: &Additions<'_>) -> PlanItem {
        let fields = update.changes.iter().filter_map(|change| {
            let mut field = self.field(change.row, Some(&change.before))?;
            let conflict = additions.conflicts.iter().find(|(row, _)| *row == change.row);
            field.conflict = conflict.map(|(_, conflict)| conflict.clone());
            Some(field)
        });
        PlanItem {
            target: Some(update.target.clone()),
            fields: fields.collect(),
            ..item.clone()
        }
    }

    fn field(&self, row: usize, before: Option<&Value<'_>>) -> Option<PlanField> {
        let target = &self.context.pipeline.flows[self.flow].rows.get(row)?.target;
        let mapped = self.mapped?;
        let mut field = match mapped.cells.get(row)? {
            Cell::Value(value) => self.shown(target, value),
            Cell::Pending(key) => self.coming(target, key),
            Cell::Absent => return None,
        };
        field.before = before.map(|before| self.masked(target, before));
        field.fallback = mapped.fallbacks.iter().any(|used| used.row == row);
        Some(field)
    }

    fn shown(&self, target: &Target, value: &Value<'_>) -> PlanField {
        let redactor = &self.context.redactors[self.flow];
        let kind = redactor.target(&target.name);
        PlanField {
            private: kind != crate::compile::compiled::PrivacyKind::Keep,
            ..described(target, &redactor.redact_target(&target.name, value))
        }
    }

    fn masked(&self, target: &Target, value: &Value<'_>) -> serde_json::Value {
        let redactor = &self.context.redactors[self.flow];
        json(&redactor.redact_target(&target.name, value))
    }

    /// A field that gets the key of a record which is created first.
    fn coming(&self, target: &Target, key: &PendingKey) -> PlanField {
        let stream = self.context.stream_name(StreamRef {
            connection: key.connection,
            stream: key.stream,
        });
        PlanField {
            after: None,
            unknown: Some(format!("key of the new record in `{stream}`")),
            ..described(target, &Value::Null)
        }
    }
}

fn described(target: &Target, value: &Value<'_>) -> PlanField {
    PlanField {
        name: target.name.clone(),
        before: None,
        after: Some(json(value)),
        unknown: None,
        private: false,
        fallback: false,
        conflict: None,
    }
}

fn json(value: &Value<'_>) -> serde_json::Value {
    serde_json::from_str(&value.to_json()).unwrap_or_default()
}

fn reason(decision: &Decision) -> Option<PlanReason> {
    match decision {
        Decision::Skipped(reject)
        | Decision::Rejected(reject)
        | Decision::Held(reject)
        | Decision::Waiting(reject) => Some(PlanReason {
            field: reject.field.clone(),
            rule: Some(reject.rule.clone()),
            code: reject.code.to_owned(),
            message: reject.message.clone(),
            value: reject.value.clone(),
        }),
        Decision::Unlink { reason } => Some(PlanReason {
            field: None,
            rule: None,
            code: "unlink".to_owned(),
            message: (*reason).to_owned(),
            value: None,
        }),
        _ => None,
    }
}
