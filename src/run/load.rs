//! Load: decisions become requests, and their results become state.
//!
//! For each batch: records that lookups create come first; then every write is prepared, its intent made durable, and
//! sent (`send`). A lost race is decided again from a fresh read, at most three times. What came of it is journalled and
//! then committed in one transaction with the cursor.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::Stop;
use super::batch::{Decision, Planned, Update};
use super::bulk::{Parcel, Sharing, as_item, parcels};
use super::context::Context;
use super::plan::Planner;
use super::reference::References;
use crate::compile::compiled::{Flow, FlowId, Target};
use crate::connector::{Operation, Prepared, WriteIntent};
use crate::expression::Value;
use crate::mapping::{Cell, Reject, payload};
use crate::state::{Baseline, Intent, RowBaseline};

/// How often a record is decided again after a lost race.
const MOST_ROUNDS: usize = 3;
/// The reject of a record whose write was sent and not answered.
pub(crate) const OUTCOME_UNKNOWN: &str = "outcome_unknown";

/// What came of one record.
#[derive(Debug)]
pub(crate) struct Effect {
    /// The record and its last decision.
    pub(crate) planned: Planned,
    /// The writes that were made for it.
    pub(crate) writes: Vec<Written>,
    /// The sink's key, for records that are linked now.
    pub(crate) target: Option<String>,
    /// Its writes could not be made because the run ends.
    pub(crate) unfinished: bool,
    /// Intents whose outcome is not known: they stay open.
    pub(crate) open: Vec<Uuid>,
    /// The sink's record as the last write was answered.
    pub(crate) returned: Option<Value<'static>>,
    /// It lost a race, and its flow decides anew.
    pub(crate) raced: bool,
    /// How long it has waited for the budget of its own record.
    pub(crate) waited: Duration,
    /// What the queue is told of it should that have been in vain.
    pub(crate) deferred: Option<Reject>,
}

impl Effect {
    /// Of a record of which nothing is written yet.
    pub(crate) fn new(planned: Planned) -> Self {
        Effect {
            planned,
            writes: Vec::new(),
            target: None,
            unfinished: false,
            open: Vec::new(),
            returned: None,
            raced: false,
            waited: Duration::ZERO,
            deferred: None,
        }
    }
}

/// One write that was made.
#[derive(Debug)]
pub(crate) struct Written {
    /// The intent under which it was sent.
    pub(crate) intent: Uuid,
    /// What was done.
    pub(crate) operation: Operation,
    /// The written record's key.
    pub(crate) target: Option<String>,
    /// The answer's status; 0 where there was none.
    pub(crate) status: u16,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// From sending to answer.
    pub(crate) latency: std::time::Duration,
    /// Why it failed.
    pub(crate) error: Option<String>,
    /// The fields that it changed.
    pub(crate) fields: usize,
}

/// Everything that loading a batch led to.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// One for each record.
    pub(crate) effects: Vec<Effect>,
    /// Every intent that was made and is settled now.
    pub(crate) settled: Vec<Uuid>,
    /// References that were created, for state and counts.
    pub(crate) references: References,
    /// Why the run must end after this batch is recorded.
    pub(crate) stop: Option<Stop>,
}

impl Loaded {
    /// Keys of the records of which a write's answer was lost.
    pub(crate) fn lost(&self) -> impl Iterator<Item = String> {
        self.effects
            .iter()
            .filter_map(|effect| match &effect.planned.decision {
                Decision::Rejected(reject) if reject.code == OUTCOME_UNKNOWN => {
                    Some(effect.planned.item.key.clone())
                }
                _ => None,
            })
    }
}

/// A write that is to be made.
pub(super) struct Job {
    /// Position of its record in the batch.
    pub(super) position: usize,
    /// What is done.
    pub(super) operation: Operation,
    /// The written record's key, where it is known.
    pub(super) target: Option<String>,
    /// Rows that it carries.
    pub(super) rows: Vec<usize>,
    before: Option<Value<'static>>,
    /// Values that no row made.
    fixed: Vec<(Target, Value<'static>)>,
}

/// A write whose exact bytes are known.
pub(super) struct Ready {
    /// What it is for.
    pub(super) job: Job,
    /// Its intent's id.
    pub(super) id: Uuid,
    /// What it was made from, where it may share a request with others.
    pub(super) write: Option<WriteIntent>,
    /// As a request of its own.
    pub(super) prepared: Prepared,
    /// Its position in the request that it shares with others.
    pub(super) item: Option<usize>,
}

/// Loads the batches of one flow.
pub(crate) struct Loader<'c> {
    pub(super) context: &'c Context,
    pub(super) flow_id: FlowId,
    pub(super) flow: &'c Flow,
    leaves_races: bool,
}

impl<'c> Loader<'c> {
    /// A loader of one flow.
    pub(crate) fn new(context: &'c Context, flow: FlowId) -> Self {
        Loader {
            context,
            flow_id: flow,
            flow: &context.pipeline.flows[flow],
            leaves_races: false,
        }
    }

    /// A loader of a direction of a two-way flow: a lost race is decided anew by who knows both sides.
    pub(crate) fn of_direction(context: &'c Context, flow: FlowId) -> Self {
        Loader {
            leaves_races: true,
            ..Loader::new(context, flow)
        }
    }

    /// Makes the writes of a batch. Nothing is committed yet.
    pub(crate) async fn load(&self, mut planned: Vec<Planned>) -> Result<Loaded, Stop> {
        if let Some(kept) = &self.context.kept {
            for one in &mut planned {
                kept.keep_to(self.context, self.flow_id, one);
            }
        }
        let mut settled = Vec::new();
        let mut references = References::new(&self.flow.name);
        let mut stop = references.create(self.context, &planned, &mut settled).await?;
        let mut effects: Vec<Effect> = planned.into_iter().map(Effect::new).collect();
        self.hold_doubtful(&mut effects)?;
        let mut todo: Vec<usize> = (0..effects.len())
            .filter(|position| effects[*position].planned.decision.writes())
            .collect();
        let mut round = 0;
        while !todo.is_empty() {
            if stop.is_some() || self.context.cancellation.is_stopped() {
                for position in todo.drain(..) {
                    effects[position].unfinished = true;
                }
                stop = stop.or(Some(Stop::Cancelled));
                break;
            }
            let ready = self.prepare(&todo, &mut effects, &references)?;
            let parcels = parcels(self.context, self.flow_id, ready)?;
            self.put_intents(&parcels, &effects)?;
            let executed = self.execute(parcels, &mut effects, &mut settled).await;
            stop = stop.or(executed.stop);
            let mut again = executed.again;
            round += usize::from(!again.is_empty());
            if stop.is_none() {
                again.extend(self.wait_for_records(executed.later, &mut effects).await);
            } else {
                for (position, _) in executed.later {
                    effects[position].unfinished = true;
                }
            }
            todo = if self.leaves_races {
                for position in again {
                    effects[position].raced = true;
                }
                Vec::new()
            } else if round < MOST_ROUNDS {
                self.decide_again(again, &mut effects).await?
            } else {
                for position in again {
                    effects[position].planned.decision = Decision::Rejected(Reject::new(
                        "sink",
                        "conflict",
                        format!(
                            "the sink's record changed during each of {MOST_ROUNDS} attempts to write it"
                        ),
                    ));
                }
                Vec::new()
            };
        }
        Ok(Loaded {
            effects,
            settled,
            references,
            stop,
        })
    }

    /// What may have been created already, and cannot be found, is not created again before a person has looked.
    fn hold_doubtful(&self, effects: &mut [Effect]) -> Result<(), Stop> {
        let creates = |effect: &Effect| matches!(effect.planned.decision, Decision::Create);
        if !effects.iter().any(creates) {
            return Ok(());
        }
        let flow = self.context.flow_ref(self.flow);
        let doubtful = self.context.state.queue_held(flow, OUTCOME_UNKNOWN)?;
        for effect in effects.iter_mut().filter(|effect| creates(effect)) {
            let key = self.context.waits_as(self.flow, &effect.planned.item.key);
            if let Some(reason) = doubtful.get(&key) {
                let reject = Reject::new(super::settle::RULE, OUTCOME_UNKNOWN, reason.clone());
                effect.planned.decision = Decision::Held(reject);
            }
        }
        Ok(())
    }

    fn jobs(&self, position: usize, planned: &Planned) -> Vec<Job> {
        let without_rows = match &planned.decision {
            Decision::Delete { target } => Some((Operation::Delete, target, None, Vec::new())),
            Decision::Set {
                target,
                before,
                fields,
            } => Some((Operation::Update, target, Some(before.clone()), fields.clone())),
            _ => None,
        };
        if let Some((operation, target, before, fixed)) = without_rows {
            return vec![Job {
                position,
                operation,
                target: Some(target.clone()),
                rows: Vec::new(),
                before,
                fixed,
            }];
        }
        let Some(mapped) = planned.mapped() else {
            return Vec::new();
        };
        let update = |update: &Update| Job {
            position,
            operation: Operation::Update,
            target: Some(update.target.clone()),
            rows: update.changes.iter().map(|change| change.row).collect(),
            before: Some(update.before.clone()),
            fixed: Vec::new(),
        };
        match &planned.decision {
            Decision::Create => vec![Job {
                position,
                operation: Operation::Create,
                target: None,
                rows: super::decide::created(&self.flow.rows, &mapped.cells),
                before: None,
                fixed: Vec::new(),
            }],
            Decision::Update(one) => vec![update(one)],
            Decision::UpdateAll(all) => all.iter().map(update).collect(),
            _ => Vec::new(),
        }
    }

    /// The exact bytes of every write; what cannot be prepared is rejected.
    fn prepare(
        &self,
        todo: &[usize],
        effects: &mut [Effect],
        references: &References,
    ) -> Result<Vec<Ready>, Stop> {
        let sharing = Sharing::of(self.context, self.flow_id);
        let mut ready = Vec::new();
        for &position in todo {
            let effect = &mut effects[position];
            if let Some(mapped) = effect.planned.mapped() {
                let mut pending = mapped.cells.iter().flat_map(Cell::pending);
                let failed = pending.find_map(|key| references.failed(key));
                if let Some(reject) = failed {
                    effect.planned.decision = Decision::Rejected(reject);
                    continue;
                }
            }
            for job in self.jobs(position, &effect.planned) {
                let mut values = Vec::with_capacity(job.rows.len());
                values.extend(job.fixed.iter().map(|(target, value)| (target, value.clone())));
                if let Some(mapped) = effect.planned.mapped() {
                    for &row in &job.rows {
                        let (Some(rule), Some(cell)) = (self.flow.rows.get(row), mapped.cells.get(row))
                        else {
                            continue;
                        };
                        let value = references.settled(rule, cell);
                        values.extend(value.map(|value| (&rule.target, value)));
                    }
                }
                let id = Uuid::now_v7();
                let intent = WriteIntent {
                    operation: job.operation,
                    key: job.target.clone(),
                    fields: payload(values.iter().map(|(target, value)| (*target, value))),
                    before: job.before.clone(),
                    intent: id,
                    correlation: self.context.correlation(effect.planned.item.sequence),
                };
                let write = sharing.may_share(job.operation).then(|| intent.clone());
                let mut prepared = self
                    .context
                    .connection(self.flow.to)
                    .prepare(self.flow.to.stream, intent)?;
                // Sent twice without an answer in between, it would replace what somebody wrote after the first time.
                prepared.once = self.leaves_races && !prepared.precondition;
                ready.push(Ready {
                    write: write.filter(|_| sharing.keeps_safe(job.operation, &prepared)),
                    item: None,
                    job,
                    id,
                    prepared,
                });
            }
        }
        Ok(ready)
    }

    fn put_intents(&self, parcels: &[Parcel], effects: &[Effect]) -> Result<(), Stop> {
        let now = Timestamp::now();
        let mut intents = Vec::new();
        for one in parcels.iter().flat_map(Parcel::writes) {
            let request = match one.item {
                Some(position) => serde_json::to_vec(&as_item(&one.prepared, position)),
                None => serde_json::to_vec(&one.prepared),
            };
            let request =
                request.map_err(|error| Stop::Internal(format!("an intent cannot be stored: {error}")))?;
            let planned = &effects[one.job.position].planned;
            intents.push(Intent {
                id: one.id,
                pipeline: self.context.pipeline.name.clone(),
                flow: self.flow.name.clone(),
                connection: self.context.pipeline.connections[self.flow.to.connection]
                    .name
                    .clone(),
                stream: self.context.stream(self.flow.to).name.clone(),
                operation: one.job.operation.as_str().to_owned(),
                key: one.job.target.clone(),
                source_key: planned.item.key.clone(),
                request,
                baseline: self.baseline(planned, None).filter(|_| planned.pair.is_none()),
                create: None,
                pair: planned.pair.as_ref().and_then(|pair| pair.intent.clone()),
                first_sent: now,
                job: None,
                run: self.context.run,
            });
        }
        if !intents.is_empty() {
            self.context.state.put_intents(&intents)?;
        }
        Ok(())
    }

    /// Decides anew about records that lost a race, from fresh reads; returns those that still write.
    async fn decide_again(&self, again: Vec<usize>, effects: &mut [Effect]) -> Result<Vec<usize>, Stop> {
        let planner = Planner::new(self.context, self.flow_id);
        let mut todo = Vec::new();
        for position in again {
            let Some(effect) = effects.get_mut(position) else {
                continue;
            };
            effect.planned.decision = planner.plan_again(&effect.planned).await?;
            if let Some(kept) = &self.context.kept {
                kept.keep_to(self.context, self.flow_id, &mut effect.planned);
            }
            if effect.planned.decision.writes() {
                todo.push(position);
            }
        }
        Ok(todo)
    }

    /// The baseline of a record once it is loaded: the digests of rows that a write may carry. Rows that it may not
    /// carry keep the old digest, so that what they did not write is never taken for written.
    pub(crate) fn baseline(&self, planned: &Planned, old: Option<&Baseline>) -> Option<Baseline> {
        use crate::compile::compiled::WritePolicy;
        let mapped = planned.mapped()?;
        let creates = matches!(planned.decision, Decision::Create);
        let rows = self
            .flow
            .rows
            .iter()
            .enumerate()
            .map(|(position, row)| {
                let old = old
                    .and_then(|old| old.row(&row.target.name))
                    .copied()
                    .unwrap_or_default();
                let digest = mapped.digests.get(position).copied().flatten();
                let carried = creates || row.write != WritePolicy::OnCreate;
                match digest {
                    Some(digest) if carried => RowBaseline {
                        digest: Some(digest),
                        fallback: mapped.fallbacks.iter().any(|used| used.row == position),
                        held: false,
                    },
                    _ => old,
                }
            })
            .collect();
        Some(Baseline {
            source_version: None,
            sequence: planned.item.sequence,
            whole: mapped.whole,
            names: self.context.row_names(self.flow_id),
            rows,
        })
    }
}
