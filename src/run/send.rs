//! Sending the prepared writes of a batch: several requests at a time, and what each answer means for its record.
//!
//! A request may carry many records; each of them has an outcome of its own all the same. A write whose answer is lost
//! keeps its intent open and is settled before the run ends.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use uuid::Uuid;

use super::Stop;
use super::batch::Decision;
use super::bulk::Parcel;
use super::load::{Effect, Loader, OUTCOME_UNKNOWN, Ready, Written};
use super::plan::frozen_decision;
use crate::connector::{ConnectorError, ManyOutcome, Operation, WriteOutcome};
use crate::mapping::Reject;

/// How many requests of one batch are under way at once; the connection's own limits may allow fewer.
pub(super) const WRITES_AT_ONCE: usize = 8;

/// What came of one request.
struct Sent {
    /// Its writes with their outcomes; `None` for one that was not made because the run ends.
    writes: Vec<(Ready, Option<WriteOutcome>)>,
    /// Why the run must end.
    stop: Option<Stop>,
}

impl Sent {
    fn new(writes: impl IntoIterator<Item = (Ready, Option<WriteOutcome>)>) -> Self {
        Sent {
            writes: writes.into_iter().collect(),
            stop: None,
        }
    }
}

/// What sending the writes of a batch led to, beside its effects.
pub(super) struct Executed {
    /// Records that lost a race and must be decided again.
    pub(super) again: Vec<usize>,
    /// Records whose own budget is spent.
    pub(super) later: Vec<(usize, Waits)>,
    /// Why the run must end.
    pub(super) stop: Option<Stop>,
}

/// How long a record's own budget stays spent.
#[derive(Clone)]
pub(super) struct Waits {
    budget: String,
    wait: Duration,
    at_most: Duration,
}

impl From<Waits> for WriteOutcome {
    fn from(waits: Waits) -> Self {
        WriteOutcome::Later {
            budget: waits.budget,
            wait: waits.wait,
            at_most: waits.at_most,
        }
    }
}

/// No operation under these locks leaves anything half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Loader<'_> {
    /// Waits for the budgets of single records, as long as each is worth it; the others have been written meanwhile.
    /// Returns those to decide again, from fresh reads; of the rest the next run takes care.
    pub(super) async fn wait_for_records(
        &self,
        later: Vec<(usize, Waits)>,
        effects: &mut [Effect],
    ) -> Vec<usize> {
        let mut again = Vec::new();
        let mut longest = Duration::ZERO;
        for (position, waits) in later {
            let Some(effect) = effects.get_mut(position) else {
                continue;
            };
            let reject = Reject::new(
                "limit",
                "limit_spent",
                format!(
                    "the budget `{}` of its record in the sink is spent for another {} s: the next run tries it again",
                    waits.budget,
                    waits.wait.as_secs().max(1)
                ),
            );
            if effect.waited + waits.wait > waits.at_most {
                effect.planned.decision = Decision::Waiting(reject);
                continue;
            }
            effect.waited += waits.wait;
            effect.deferred = Some(reject);
            longest = longest.max(waits.wait);
            again.push(position);
        }
        if !again.is_empty() {
            tracing::info!(flow = %self.flow.name, records = again.len(), seconds = longest.as_secs(), "Waiting for the budgets of single records.");
            tokio::select! {
                () = tokio::time::sleep(longest) => {}
                () = self.context.cancellation.polite().cancelled() => {}
            }
        }
        again
    }

    /// Sends the writes.
    pub(super) async fn execute(
        &self,
        parcels: Vec<Parcel>,
        effects: &mut [Effect],
        settled: &mut Vec<Uuid>,
    ) -> Executed {
        let behind = Mutex::new(HashMap::new());
        let mut results = futures::stream::iter(parcels)
            .map(|parcel| self.send_in_order(parcel, &behind))
            .buffer_unordered(if self.flow.order_by.is_some() {
                1
            } else {
                WRITES_AT_ONCE
            });
        let mut again = HashSet::new();
        let mut stop = None;
        let mut later = Vec::new();
        while let Some(sent) = results.next().await {
            stop = stop.or(sent.stop);
            for (ready, outcome) in sent.writes {
                let position = ready.job.position;
                let effect = &mut effects[position];
                let Some(outcome) = outcome else {
                    settled.push(ready.id);
                    effect.unfinished = true;
                    continue;
                };
                if !matches!(outcome, WriteOutcome::Unknown { .. }) {
                    settled.push(ready.id);
                }
                match self.apply(&ready, outcome, effect) {
                    Applied::Done => {}
                    Applied::Again => {
                        again.insert(position);
                    }
                    Applied::Later(waits) => later.push((position, waits)),
                    Applied::Stop(error) => {
                        effect.unfinished = true;
                        stop = stop.or(Some(Stop::Connector(error)));
                    }
                }
            }
        }
        let mut again: Vec<usize> = again.into_iter().collect();
        again.sort_unstable();
        Executed { again, later, stop }
    }

    /// Sends a request, unless an earlier one of the same record waits and the flow has an order.
    async fn send_in_order(&self, parcel: Parcel, behind: &Mutex<HashMap<String, Waits>>) -> Sent {
        let place = match &parcel {
            Parcel::One(ready) if self.flow.order_by.is_some() => {
                let prepared = &ready.prepared;
                prepared.counts_for.clone().or_else(|| prepared.key.clone())
            }
            Parcel::One(_) | Parcel::Many(..) => None,
        };
        let held_up = |place: &String| lock(behind).get(place).cloned();
        match (parcel, place.as_ref().and_then(held_up)) {
            (Parcel::One(ready), Some(waits)) => Sent::new([(*ready, Some(waits.into()))]),
            (parcel, _) => {
                let sent = self.send(parcel).await;
                if let (
                    Some(place),
                    Some((
                        _,
                        Some(WriteOutcome::Later {
                            budget,
                            wait,
                            at_most,
                        }),
                    )),
                ) = (place, sent.writes.first())
                {
                    let waits = Waits {
                        budget: budget.clone(),
                        wait: *wait,
                        at_most: *at_most,
                    };
                    lock(behind).insert(place, waits);
                }
                sent
            }
        }
    }

    /// Sends one request, or one for each record where a shared one was refused: one bad record must not stop the others.
    async fn send(&self, parcel: Parcel) -> Sent {
        let connection = self.context.connection(self.flow.to);
        let (writes, prepared) = match parcel {
            Parcel::One(ready) => {
                let outcome = connection.execute(&ready.prepared).await;
                return Sent::new([(*ready, Some(outcome))]);
            }
            Parcel::Many(writes, prepared) => (writes, prepared),
        };
        let ids: Vec<Uuid> = writes.iter().map(|ready| ready.id).collect();
        let unstored = Mutex::new(None);
        let on_job = |job: &str| {
            if let Err(error) = self.context.state.set_intent_job(&ids, job) {
                *lock(&unstored) = Some(error);
            }
        };
        let ended = connection.execute_many(&prepared, &on_job).await;
        let mut sent = match ended {
            Ok(ManyOutcome::Items(outcomes)) => {
                Sent::new(writes.into_iter().zip(outcomes.into_iter().map(Some)))
            }
            Ok(ManyOutcome::Refused { message }) => {
                tracing::warn!(flow = %self.flow.name, records = writes.len(), message, "A request for several records was refused: each is written by itself.");
                let mut outcomes = Vec::with_capacity(writes.len());
                for ready in writes {
                    let outcome = connection.execute(&ready.prepared).await;
                    outcomes.push((ready, Some(outcome)));
                }
                Sent::new(outcomes)
            }
            Err(error) => Sent {
                writes: writes.into_iter().map(|ready| (ready, None)).collect(),
                stop: Some(Stop::Connector(error)),
            },
        };
        if let Some(error) = unstored.into_inner().unwrap_or_else(PoisonError::into_inner) {
            sent.stop = sent.stop.or(Some(Stop::State(error)));
        }
        sent
    }

    fn apply(&self, ready: &Ready, outcome: WriteOutcome, effect: &mut Effect) -> Applied {
        let mut written = Written {
            intent: ready.id,
            operation: ready.job.operation,
            target: ready.job.target.clone(),
            status: 0,
            attempts: 1,
            latency: std::time::Duration::ZERO,
            error: None,
            fields: ready.job.rows.len(),
        };
        let refusal = match outcome {
            WriteOutcome::Written {
                key,
                record,
                status,
                attempts,
                latency,
            } => {
                effect.returned = record;
                written.target = written.target.or(key);
                (written.status, written.attempts, written.latency) = (status, attempts, latency);
                effect.target = written.target.clone();
                self.context.counters(self.flow_id).writes.add(1);
                effect.writes.push(written);
                return Applied::Done;
            }
            WriteOutcome::Exists { message } | WriteOutcome::Conflict { message } => {
                written.error = Some(message);
                effect.writes.push(written);
                return Applied::Again;
            }
            WriteOutcome::Gone if ready.job.operation == Operation::Delete => {
                effect.target = ready.job.target.clone();
                effect.writes.push(written);
                return Applied::Done;
            }
            WriteOutcome::Gone => {
                written.error = Some("the sink has no such record".to_owned());
                Decision::Unlink {
                    reason: "deleted in the sink",
                }
            }
            WriteOutcome::Frozen { message } => {
                written.error = Some(message.clone());
                frozen_decision(self.flow.on_frozen, message)
            }
            WriteOutcome::Rejected {
                message,
                fields,
                status,
            } => {
                written.status = status;
                written.error = Some(message.clone());
                let field = fields.first().map(|(field, _)| field.clone());
                let details: Vec<String> = fields
                    .iter()
                    .map(|(field, message)| format!("`{field}`: {message}"))
                    .collect();
                let reason = if details.is_empty() {
                    message
                } else {
                    details.join("; ")
                };
                let mut reject = Reject::new("sink", "sink_refused", reason);
                reject.field = field;
                Decision::Rejected(reject)
            }
            WriteOutcome::Unknown { message } => {
                written.error = Some(message.clone());
                effect.open.push(ready.id);
                Decision::Rejected(Reject::new(
                    "sink",
                    OUTCOME_UNKNOWN,
                    format!("the answer to its write was lost, and is to be settled: {message}"),
                ))
            }
            WriteOutcome::Later {
                budget,
                wait,
                at_most,
            } => {
                return Applied::Later(Waits {
                    budget,
                    wait,
                    at_most,
                });
            }
            WriteOutcome::Stopped(error) => return Applied::Stop(error),
        };
        effect.writes.push(written);
        effect.planned.decision = refusal;
        Applied::Done
    }
}

enum Applied {
    Done,
    Again,
    Later(Waits),
    Stop(ConnectorError),
}
