//! A trial: two given records go through the passes of a two-way flow up to the judgement, for mapping tests. Nothing is
//! loaded.

use std::sync::Arc;

use uuid::Uuid;

use super::Retried;
use super::gather::{Gatherer, observed};
use super::judge::Judge;
use super::pair::Pair;
use crate::compile::compiled::{PerSide, Side, TwoWayId};
use crate::expression::{Record, Value};
use crate::mapping::{Coverage, Reject};
use crate::run::Stop;
use crate::run::batch::{Batch, Decision, Origin, Planned};
use crate::run::context::Context;
use crate::run::transform::{transform, transform_counterparts};
use crate::state::{Batch as Change, LinkChange, PairBaseline, PairKeys, PairRow, SideMark, queue_key};
use crate::sync::{Action, Cause, Mapped, Presence, Seen};

/// Two records when they were last in step.
#[derive(Debug)]
pub(crate) struct InStep {
    /// The records.
    pub(crate) sides: PerSide<Record>,
    /// Rows where a fallback stands, by side.
    pub(crate) fallbacks: PerSide<Vec<String>>,
    /// Rows that wait for a person.
    pub(crate) held: Vec<String>,
}

/// What the flow would do.
#[derive(Debug)]
pub(crate) struct Tried {
    /// What is written to each side.
    pub(crate) planned: PerSide<Option<Planned>>,
    /// What becomes of the record as a whole.
    pub(crate) outcome: Decision,
    /// Why it waits or is refused, whatever else travels.
    pub(crate) queued: Option<Decision>,
    /// Rows that wait for a person, by name.
    pub(crate) held: Vec<String>,
    /// Rows that hold a fallback, by name.
    pub(crate) fallbacks: Vec<String>,
    /// Rows that both sides changed.
    pub(crate) conflicts: Vec<Conflict>,
    /// Rows whose change does not travel, by name, and why.
    pub(crate) not_carried: Vec<(String, &'static str)>,
    /// Entries of enum tables that were used.
    pub(crate) coverage: Coverage,
}

/// A row that both sides changed.
#[derive(Debug)]
pub(crate) struct Conflict {
    /// Its name.
    pub(crate) row: String,
    /// The values that stand against each other.
    pub(crate) values: PerSide<Value<'static>>,
    /// Who wins.
    pub(crate) winner: Option<Side>,
}

impl Tried {
    fn is_quiet(&self) -> bool {
        let writes = Side::BOTH.into_iter().any(|side| self.planned[side].is_some());
        let quiet = matches!(self.outcome, Decision::Unchanged { .. } | Decision::Filtered);
        quiet && !writes && self.not_carried.is_empty() && self.conflicts.is_empty()
    }
}

/// Remembers a pair as linked, and what it was when it was last in step.
pub(crate) async fn remember(
    context: &Arc<Context>,
    id: TwoWayId,
    keys: &PerSide<String>,
    in_step: Option<&InStep>,
) -> Result<(), Stop> {
    let way = &context.pipeline.two_way[id];
    let flow = context.flow_ref(&context.pipeline.flows[way.to.local]);
    let mut change = Change::new(flow, Uuid::now_v7(), jiff::Timestamp::now());
    change.links.push(LinkChange::Put {
        source: keys.remote.clone(),
        target: keys.local.clone(),
    });
    if let Some(in_step) = in_step {
        let judge = Judge::new(context, way);
        let mut pair: Option<Pair> = None;
        for side in Side::BOTH {
            let record = in_step.sides[side].clone();
            let items = transform_counterparts(context, way.to[side.other()], vec![record], 0).await?;
            let Some(item) = items.into_iter().next() else {
                return Err(Stop::Internal("a record of a baseline was lost".to_owned()));
            };
            let seen = observed(item, (jiff::Timestamp::now(), true), Presence::Present);
            match &mut pair {
                None => pair = Some(Pair::new(side, seen)),
                Some(pair) => pair.sides[side] = Some(seen),
            }
        }
        let facts = pair.map(|pair| judge.facts(&pair)).unwrap_or_default();
        let rows = way.rows.iter().zip(facts).map(|(row, facts)| {
            let seen = |side: Side| facts.seen[side];
            let is_fallback = |to: Side, seen: Seen| {
                in_step.fallbacks[to].contains(&row.name)
                    || matches!(facts.mapped[to], Mapped::Fallback(value) if value.digest == seen.digest)
            };
            let (Some(remote), Some(local)) = (seen(Side::Remote), seen(Side::Local)) else {
                return PairRow::default();
            };
            PairRow {
                in_step: Some(PerSide {
                    remote: remote.digest,
                    local: local.digest,
                }),
                fallback: PerSide {
                    remote: is_fallback(Side::Remote, remote),
                    local: is_fallback(Side::Local, local),
                },
                held: in_step.held.contains(&row.name),
            }
        });
        let baseline = PairBaseline {
            sides: PerSide::by(|_| SideMark::default()),
            names: Arc::clone(judge.names()),
            rows: rows.collect(),
        };
        let keys = PairKeys {
            remote: keys.remote.clone(),
            local: keys.local.clone(),
        };
        change.pairs.push((keys, baseline));
    }
    context.state.commit(&change)?;
    Ok(())
}

/// Takes the records through the flow's passes, remote first, until one has something to do.
pub(crate) async fn try_pair(
    context: &Arc<Context>,
    id: TwoWayId,
    sides: &PerSide<Option<Record>>,
    chosen: &[(String, Side)],
) -> Result<Option<Tried>, Stop> {
    let direction = context.pipeline.two_way[id].direction;
    let mut last: Option<Tried> = None;
    for side in Side::BOTH
        .into_iter()
        .filter(|side| direction.writes(side.other()))
    {
        let Some(record) = &sides[side] else { continue };
        let mut tried = pass(context, id, side, record.clone(), chosen).await?;
        if let Some(before) = last.take() {
            if tried.is_quiet() && matches!(before.outcome, Decision::Filtered) {
                tried.outcome = before.outcome;
            }
            tried.coverage.add(&before.coverage);
        }
        let goes_on = tried.is_quiet();
        last = Some(tried);
        if !goes_on {
            break;
        }
    }
    Ok(last)
}

/// The pass of one side, for one record.
async fn pass(
    context: &Arc<Context>,
    id: TwoWayId,
    from: Side,
    record: Record,
    chosen: &[(String, Side)],
) -> Result<Tried, Stop> {
    let way = &context.pipeline.two_way[id];
    let batch = Batch {
        number: 1,
        records: vec![record],
        sequence: context.state.next_sequence(1)?,
        at: jiff::Timestamp::now(),
        cursor: None,
        origin: Origin::Asked,
    };
    let transformed = transform(Arc::clone(context), way.to[from.other()], batch, false).await?;
    let judge = Judge::new(context, way);
    let mut retried = Retried::default();
    for item in &transformed.items {
        retried
            .rulings
            .insert(queue_key(from, &item.key), chosen.to_vec());
    }
    let mut pairs = Gatherer::new(context, &judge, from)
        .gather(transformed.items, transformed.head.at, &retried)
        .await?;
    let pair = pairs
        .first_mut()
        .ok_or_else(|| Stop::Internal("a given record was lost".to_owned()))?;
    judge.judge(pair);
    let outcome = pair.outcome();
    let (conflicts, not_carried) = told(&judge, pair);
    let name = |to: Side, position: usize| {
        let row = way.rows.iter().find(|row| row.to[to] == Some(position));
        row.map(|row| row.name.clone())
    };
    let unresolved = pair.unresolved.iter();
    let mut fallbacks: Vec<String> = unresolved
        .filter_map(|(to, position)| name(*to, *position))
        .collect();
    fallbacks.dedup();
    let (held, queued) = (
        pair.held_rows.iter().map(|held| held.row.clone()).collect(),
        pair.queued.clone().or_else(|| refused_at_once(pair)),
    );
    Ok(Tried {
        planned: PerSide::by(|to| judge.planned(&mut pairs, to, &[0]).1.pop()),
        outcome,
        queued,
        held,
        fallbacks,
        conflicts,
        not_carried,
        coverage: transformed.coverage,
    })
}

/// Why a record was stopped before any row was looked at.
fn refused_at_once(pair: &Pair) -> Option<Decision> {
    let skipped = |reject: &Reject| Decision::Skipped(reject.clone());
    match &pair.at_once {
        Some(Decision::Skipped(reject)) => Some(skipped(reject)),
        _ => None,
    }
}

/// Conflicts, and changes that do not travel.
fn told(judge: &Judge<'_>, pair: &Pair) -> (Vec<Conflict>, Vec<(String, &'static str)>) {
    let (mut conflicts, mut not_carried) = (Vec::new(), Vec::new());
    let Some(reconciled) = &pair.reconciled else {
        return (conflicts, not_carried);
    };
    for (row, verdict) in judge.way().rows.iter().zip(reconciled.verdicts()) {
        if let Cause::Conflict(winner) = verdict.cause {
            let value = |side: Side| {
                let field = row.fields[side].as_ref()?;
                field.one(&pair.sides[side].as_ref()?.view).cloned()
            };
            conflicts.push(Conflict {
                row: row.name.clone(),
                values: PerSide::by(|side| value(side).unwrap_or_default()),
                winner: winner.side,
            });
        }
        if let Action::NotCarried { reason, .. } = verdict.action
            && !matches!(verdict.cause, Cause::FirstLink(_))
        {
            not_carried.push((row.name.clone(), reason.word()));
        }
    }
    (conflicts, not_carried)
}
