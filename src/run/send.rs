//! Sending the prepared writes of a batch: several requests at a time, and what each answer means for its record.
//!
//! A request may carry many records; each of them has an outcome of its own all the same. A write whose answer is lost
//! keeps its intent open and is settled before the run ends.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

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
const WRITES_AT_ONCE: usize = 8;

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

impl Loader<'_> {
    /// Sends the writes. Returns the records that must be decided again, and why the run must end if it must.
    pub(super) async fn execute(
        &self,
        parcels: Vec<Parcel>,
        effects: &mut [Effect],
        settled: &mut Vec<Uuid>,
    ) -> (Vec<usize>, Option<Stop>) {
        let mut results = futures::stream::iter(parcels)
            .map(|parcel| self.send(parcel))
            .buffer_unordered(if self.flow.order_by.is_some() {
                1
            } else {
                WRITES_AT_ONCE
            });
        let mut again = HashSet::new();
        let mut stop = None;
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
                    Applied::Stop(error) => {
                        effect.unfinished = true;
                        stop = stop.or(Some(Stop::Connector(error)));
                    }
                }
            }
        }
        let mut again: Vec<usize> = again.into_iter().collect();
        again.sort_unstable();
        (again, stop)
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
                *unstored.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
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
    Stop(ConnectorError),
}
