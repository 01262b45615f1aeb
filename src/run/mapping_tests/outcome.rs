//! What became of a case's records, in the words of expectations: the same for flows of both kinds.

use crate::compile::compiled::{FlowId, LookupId, PerSide, Pipeline, Side, StreamRef, TwoWayId};
use crate::expression::Value;
use crate::mapping::{Cell, Coverage, Pending, Reject};
use crate::run::batch::{CREATED_BY_RUN, Decision, ItemOutcome, Planned, Update};
use crate::run::decide;
use crate::run::transform::Transformed;
use crate::run::two_way::{Conflict, Tried};

/// What became of a case's records.
#[derive(Debug)]
pub(super) struct Became {
    /// The word for it.
    pub(super) decision: String,
    /// What is written, by side; a one-way flow writes its sink, which stands as the local side.
    pub(super) writes: PerSide<Option<Written>>,
    /// Records that lookups create.
    pub(super) created: Vec<CreatedRecord>,
    /// Why it waits, or is refused or left alone, with the expectation that this is.
    pub(super) reason: Option<(Refused, Reject)>,
    /// Rows that wait for a person.
    pub(super) held: Vec<String>,
    /// Rows that hold a fallback.
    pub(super) fallbacks: Vec<String>,
    /// Rows that both sides changed.
    pub(super) conflicts: Vec<Conflict>,
    /// Rows whose change does not travel, and why.
    pub(super) not_carried: Vec<(String, &'static str)>,
    /// Entries of enum tables that were used.
    pub(super) coverage: Coverage,
}

/// A record that a lookup creates.
#[derive(Debug)]
pub(super) struct CreatedRecord {
    pub(super) stream: StreamRef,
    pub(super) lookup: LookupId,
    pub(super) fields: Vec<(String, Value<'static>)>,
}

/// What is written to one record.
#[derive(Debug)]
pub(super) struct Written {
    /// The flow or direction that writes.
    pub(super) flow: FlowId,
    /// Whether the record exists: then what is written is compared as a whole.
    pub(super) is_update: bool,
    /// Row, where a rule made it, name and value.
    pub(super) fields: Vec<(Option<usize>, String, Value<'static>)>,
}

/// Why nothing, or not everything, is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Rejected,
    Held,
    Waiting,
    Skipped,
}

impl Refused {
    /// The expectation that asks for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Refused::Rejected => "rejected",
            Refused::Held => "held",
            Refused::Waiting => "waiting",
            Refused::Skipped => "skipped",
        }
    }

    fn of(decision: &Decision) -> Option<(Refused, Reject)> {
        match decision {
            Decision::Rejected(reject) => Some((Refused::Rejected, reject.clone())),
            Decision::Held(reject) => Some((Refused::Held, reject.clone())),
            Decision::Waiting(reject) => Some((Refused::Waiting, reject.clone())),
            Decision::Skipped(reject) => Some((Refused::Skipped, reject.clone())),
            _ => None,
        }
    }
}

impl Became {
    /// Of a record that went through a one-way flow.
    pub(super) fn of_planned(
        pipeline: &Pipeline,
        flow: FlowId,
        planned: &Planned,
        coverage: Coverage,
    ) -> Became {
        let rows = &pipeline.flows[flow].rows;
        let names = planned.mapped().into_iter().flat_map(|mapped| &mapped.fallbacks);
        let names = names.filter_map(|used| Some(rows.get(used.row)?.target.name.clone()));
        let fallbacks = match &planned.decision {
            Decision::Filtered | Decision::Duplicate => Vec::new(),
            _ => names.collect(),
        };
        Became {
            decision: planned.decision.word().to_owned(),
            created: created(planned),
            reason: Refused::of(&planned.decision),
            held: Vec::new(),
            fallbacks,
            conflicts: Vec::new(),
            not_carried: Vec::new(),
            coverage,
            writes: PerSide {
                remote: None,
                local: written(pipeline, flow, planned),
            },
        }
    }

    /// Of two records that went through a two-way flow.
    pub(super) fn of_pair(pipeline: &Pipeline, id: TwoWayId, tried: Tried) -> Became {
        let way = &pipeline.two_way[id];
        let words: Vec<(&str, Side)> = Side::BOTH
            .into_iter()
            .filter_map(|side| Some((tried.planned[side].as_ref()?.decision.word(), side)))
            .collect();
        let decision = match words.as_slice() {
            [] => tried.outcome.word().to_owned(),
            [(word, side)] => format!("{word}_{}", side.name()),
            [(word, _), ..] => format!("{word}_both"),
        };
        let created = Side::BOTH
            .into_iter()
            .filter_map(|side| tried.planned[side].as_ref())
            .flat_map(created)
            .collect();
        Became {
            decision,
            created,
            reason: tried.queued.as_ref().and_then(Refused::of),
            writes: PerSide::by(|side| written(pipeline, way.to[side], tried.planned[side].as_ref()?)),
            held: tried.held,
            fallbacks: tried.fallbacks,
            conflicts: tried.conflicts,
            not_carried: tried.not_carried,
            coverage: tried.coverage,
        }
    }
}

/// What one row made of a record.
#[derive(Debug)]
pub(super) struct Line {
    /// The value, if the row was applied.
    pub(super) value: Option<Value<'static>>,
    /// Why there is none.
    pub(super) refused: Option<Reject>,
    /// Entries of enum tables that were used.
    pub(super) coverage: Coverage,
}

impl Line {
    /// Of a record that went through the rules.
    pub(super) fn of(row: usize, transformed: Transformed) -> Line {
        let (mut value, mut refused) = (None, None);
        match transformed.items.into_iter().next().map(|item| item.outcome) {
            Some(ItemOutcome::Mapped(mapped)) => {
                value = mapped.cells.get(row).and_then(shown);
                let reject = mapped.refused.into_iter().find(|refused| refused.row == row);
                refused = reject.map(|refused| refused.reject);
            }
            Some(
                ItemOutcome::Skipped(reject)
                | ItemOutcome::Rejected(reject)
                | ItemOutcome::Held(reject)
                | ItemOutcome::Waiting(reject),
            ) => refused = Some(reject),
            Some(ItemOutcome::Filtered | ItemOutcome::Duplicate | ItemOutcome::Deleted) | None => {}
        }
        Line {
            value,
            refused,
            coverage: transformed.coverage,
        }
    }
}

fn written(pipeline: &Pipeline, flow: FlowId, planned: &Planned) -> Option<Written> {
    let rows = &pipeline.flows[flow].rows;
    let cells = planned
        .mapped()
        .map(|mapped| mapped.cells.as_slice())
        .unwrap_or_default();
    let field = |row: usize| {
        let value = shown(cells.get(row)?)?;
        Some((Some(row), rows.get(row)?.target.name.clone(), value))
    };
    let (is_update, fields): (bool, Vec<_>) = match &planned.decision {
        Decision::Create => {
            let sent = decide::created(rows, cells).into_iter();
            (false, sent.filter_map(field).collect())
        }
        Decision::Update(update) => (true, changed(std::slice::from_ref(update), field)),
        Decision::UpdateAll(updates) => (true, changed(updates, field)),
        Decision::Set { fields, .. } => {
            let set = fields.iter();
            let set = set.map(|(target, value)| (None, target.name.clone(), value.clone()));
            (true, set.collect())
        }
        _ => return None,
    };
    Some(Written {
        flow,
        is_update,
        fields,
    })
}

/// What updates change, each row once.
fn changed<F>(updates: &[Update], field: impl Fn(usize) -> Option<F>) -> Vec<F> {
    let changes = updates.iter().flat_map(|update| &update.changes);
    let mut rows: Vec<usize> = changes.map(|change| change.row).collect();
    rows.sort_unstable();
    rows.dedup();
    rows.into_iter().filter_map(field).collect()
}

fn shown(cell: &Cell<'static>) -> Option<Value<'static>> {
    match cell {
        Cell::Value(value) => Some(value.clone()),
        Cell::Pending(_) | Cell::List(_) => Some(Value::text(CREATED_BY_RUN)),
        Cell::Absent => None,
    }
}

/// The records that load would create before this one.
fn created(planned: &Planned) -> Vec<CreatedRecord> {
    let Some(mapped) = planned.mapped().filter(|_| planned.sends_pending()) else {
        return Vec::new();
    };
    let record = |pending: &Pending| CreatedRecord {
        stream: StreamRef {
            connection: pending.key.connection,
            stream: pending.key.stream,
        },
        lookup: pending.lookup,
        fields: pending
            .cells
            .iter()
            .filter_map(|(target, cell)| Some((target.name.clone(), shown(cell)?)))
            .collect(),
    };
    mapped.pending.iter().map(record).collect()
}
