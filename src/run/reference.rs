//! Records that lookups create: made in load, before the records that need them, once for each key.
//!
//! A claim in state is the single flight across batches, runs and processes. A system that says "exists already" is
//! believed: the record is searched for once more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::Stop;
use super::batch::Planned;
use super::context::Context;
use crate::compile::compiled::{Lookup, Row, StreamRef};
use crate::connector::{Operation, WriteIntent, WriteOutcome};
use crate::expression::Value;
use crate::lookup::LookupError;
use crate::mapping::{Cell, Found, Pending, PendingKey, Reject, payload};
use crate::state::{Claim, CreateKey, Created, Intent};

/// The references of one batch.
#[derive(Debug)]
pub(crate) struct References {
    keys: HashMap<PendingKey, Value<'static>>,
    failures: HashMap<PendingKey, Reject>,
    /// Claims that led to a record, for state.
    pub(crate) created: Vec<Created>,
    /// How many each lookup created.
    pub(crate) counts: Vec<(String, u64)>,
    /// What was sent, for the snapshots.
    pub(crate) writes: Vec<ReferenceWrite>,
    flow: String,
}

/// One create that was sent.
#[derive(Clone, Debug)]
pub(crate) struct ReferenceWrite {
    /// The intent under which it was sent.
    pub(crate) intent: Uuid,
    /// The lookup.
    pub(crate) lookup: String,
    /// The first source record that needs it.
    pub(crate) needed_by: String,
    /// That record's observation number.
    pub(crate) sequence: u64,
    /// The created record's key.
    pub(crate) target: Option<String>,
    /// The answer's status.
    pub(crate) status: u16,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// From sending to answer.
    pub(crate) latency: Duration,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

impl References {
    /// None yet.
    pub(crate) fn new(flow: &str) -> Self {
        References {
            keys: HashMap::new(),
            failures: HashMap::new(),
            created: Vec::new(),
            counts: Vec::new(),
            writes: Vec::new(),
            flow: flow.to_owned(),
        }
    }

    /// The key of a created reference.
    fn key(&self, key: &PendingKey) -> Option<Value<'static>> {
        self.keys.get(key).cloned()
    }

    /// What a cell holds once all that it refers to exists, in its target's type: a new record's key is told as text.
    pub(crate) fn settled<'r>(&self, row: &Row, cell: &Cell<'r>) -> Option<Value<'r>> {
        let value = cell.settled(&|key| self.key(key))?;
        if cell.pending().is_empty() {
            return Some(value);
        }
        Some(row.target_type.coerce(value.clone()).unwrap_or(value))
    }

    /// Why a reference could not be created.
    pub(crate) fn failed(&self, key: &PendingKey) -> Option<Reject> {
        match self.failures.get(key) {
            Some(reject) => Some(reject.clone()),
            None if self.keys.contains_key(key) => None,
            None => Some(Reject::new(
                "lookup",
                "reference_missing",
                "the record that the lookup creates is not there yet".to_owned(),
            )),
        }
    }

    /// Creates what the batch's surviving decisions need. Returns why the run must end, if it must.
    pub(crate) async fn create(
        &mut self,
        context: &Context,
        planned: &[Planned],
        settled: &mut Vec<Uuid>,
    ) -> Result<Option<Stop>, Stop> {
        for one in planned.iter().filter(|one| one.sends_pending()) {
            let Some(mapped) = one.mapped() else { continue };
            // Mapping lists what a pending record itself needs before it.
            for pending in &mapped.pending {
                if self.keys.contains_key(&pending.key) || self.failures.contains_key(&pending.key) {
                    continue;
                }
                if context.cancellation.is_stopped() {
                    return Ok(Some(Stop::Cancelled));
                }
                if let Some(stop) = self.create_one(context, one, pending, settled).await? {
                    return Ok(Some(stop));
                }
            }
        }
        Ok(None)
    }

    async fn create_one(
        &mut self,
        context: &Context,
        needed_by: &Planned,
        pending: &Pending,
        settled: &mut Vec<Uuid>,
    ) -> Result<Option<Stop>, Stop> {
        let lookup = &context.pipeline.lookups[pending.lookup];
        let sink = StreamRef {
            connection: lookup.connection,
            stream: lookup.stream,
        };
        let claim = CreateKey {
            connection: context.account(lookup.connection),
            stream: context.stream(sink).name.clone(),
            key: pending.key.key.clone(),
        };
        if self.claimed(context, lookup, pending, &claim).await? {
            return Ok(None);
        }
        let mut fields = Vec::with_capacity(pending.cells.len());
        for (target, cell) in &pending.cells {
            let missing = cell.pending().into_iter().find(|other| self.key(other).is_none());
            if let Some(other) = missing {
                let reject = self.failures.get(other).cloned().unwrap_or_else(|| {
                    Reject::new(
                        "lookup",
                        "reference_missing",
                        "what it refers to is missing".to_owned(),
                    )
                });
                return self.fail(context, pending, &claim, reject).map(|()| None);
            }
            let value = cell.settled(&|key| self.key(key));
            fields.extend(value.map(|value| (target, value)));
        }
        let id = Uuid::now_v7();
        let connection = context.connection(sink);
        let prepared = connection.prepare(
            sink.stream,
            WriteIntent {
                operation: Operation::Create,
                key: None,
                fields: payload(fields.iter().map(|(target, value)| (*target, value))),
                before: None,
                intent: id,
                correlation: context.correlation(needed_by.item.sequence),
            },
        )?;
        context.state.put_intents(&[Intent {
            id,
            pipeline: context.pipeline.name.clone(),
            flow: self.flow.clone(),
            connection: context.pipeline.connections[sink.connection].name.clone(),
            stream: context.stream(sink).name.clone(),
            operation: Operation::Create.as_str().to_owned(),
            key: None,
            source_key: needed_by.item.key.clone(),
            request: serde_json::to_vec(&prepared)
                .map_err(|error| Stop::Internal(format!("an intent cannot be stored: {error}")))?,
            baseline: None,
            pair: None,
            create: Some(claim.clone()),
            first_sent: Timestamp::now(),
            job: None,
            run: context.run,
        }])?;
        let mut write = ReferenceWrite {
            intent: id,
            lookup: lookup.name.clone(),
            needed_by: needed_by.item.key.clone(),
            sequence: needed_by.item.sequence,
            target: None,
            status: 0,
            attempts: 1,
            latency: std::time::Duration::ZERO,
            error: None,
        };
        let outcome = connection.execute(&prepared).await;
        if !matches!(outcome, WriteOutcome::Unknown { .. }) {
            settled.push(id);
        }
        let mut code = "reference_refused";
        let failure = match outcome {
            WriteOutcome::Written {
                key: Some(key),
                record,
                status,
                attempts,
                latency,
            } => {
                (write.status, write.attempts, write.latency) = (status, attempts, latency);
                write.target = Some(key.clone());
                self.writes.push(write);
                self.created.push(Created {
                    claim,
                    key: key.clone(),
                });
                self.counts.push((lookup.name.clone(), 1));
                let value = Value::text(key);
                let found = Found {
                    key: value.clone(),
                    record: Arc::new(record.unwrap_or_default()),
                };
                context.lookups.created(&pending.key, found)?;
                self.keys.insert(pending.key.clone(), value);
                return Ok(None);
            }
            WriteOutcome::Exists { message } => {
                write.error = Some(message.clone());
                let found = match context.lookups.find_again(pending.lookup, &pending.given).await {
                    Err(LookupError::Refused { .. }) => None,
                    found => found?,
                };
                match found {
                    Some(found) => {
                        self.writes.push(write);
                        context.state.release_creates(context.run, &[claim])?;
                        self.keys.insert(pending.key.clone(), found.key.clone());
                        return Ok(None);
                    }
                    None => message,
                }
            }
            WriteOutcome::Written { key: None, .. } => {
                "the answer does not tell the new record's key".to_owned()
            }
            WriteOutcome::Gone => "the sink answers that there is no such record".to_owned(),
            WriteOutcome::Conflict { message } | WriteOutcome::Frozen { message } => message,
            WriteOutcome::Later { budget, wait, .. } => {
                format!(
                    "the budget `{budget}` is spent for another {} s",
                    wait.as_secs().max(1)
                )
            }
            WriteOutcome::Unknown { message } => {
                code = super::load::OUTCOME_UNKNOWN;
                message
            }
            WriteOutcome::Rejected {
                message,
                fields,
                status,
            } => {
                write.status = status;
                fields.iter().fold(message, |text, (field, detail)| {
                    format!("{text}; `{field}`: {detail}")
                })
            }
            WriteOutcome::Stopped(error) => {
                context.state.release_creates(context.run, &[claim])?;
                return Ok(Some(Stop::Connector(error)));
            }
        };
        write.error = Some(failure.clone());
        self.writes.push(write);
        let reject = Reject::new(
            &format!("lookup {}", lookup.name),
            code,
            format!("the record that the lookup creates could not be created: {failure}"),
        );
        self.fail(context, pending, &claim, reject)?;
        Ok(None)
    }

    /// Whether somebody else has created the record, or is about to: then it is not ours to create.
    async fn claimed(
        &mut self,
        context: &Context,
        lookup: &Lookup,
        pending: &Pending,
        claim: &CreateKey,
    ) -> Result<bool, Stop> {
        let believe_after = Timestamp::now()
            .checked_sub(believed_for(context, lookup))
            .unwrap_or(Timestamp::MIN);
        let claims = context.state.claim_creates(
            &context.pipeline.name,
            context.run,
            std::slice::from_ref(claim),
            believe_after,
        )?;
        let claim_won = match claims.into_iter().next() {
            Some(Claim::Created(key)) => {
                self.keys.insert(pending.key.clone(), Value::text(key));
                return Ok(true);
            }
            Some(Claim::Busy { .. }) => false,
            Some(Claim::Won) | None => true,
        };
        // What mapping was told may be minutes old, or read from a listing: the system itself has the last word.
        let found = match context.lookups.find_again(pending.lookup, &pending.given).await {
            Err(LookupError::Refused { message, .. }) => {
                let reject = Reject::new("lookup", "reference_unknown", message);
                if claim_won {
                    self.fail(context, pending, claim, reject)?;
                } else {
                    self.failures.insert(pending.key.clone(), reject);
                }
                return Ok(true);
            }
            found => found?,
        };
        let key = match found {
            Some(found) => {
                if claim_won {
                    context
                        .state
                        .release_creates(context.run, std::slice::from_ref(claim))?;
                }
                Some(found.key.clone())
            }
            None if claim_won => return Ok(false),
            None => None,
        };
        match key {
            Some(key) => {
                self.keys.insert(pending.key.clone(), key);
            }
            None => {
                let reject = Reject::new(
                    "lookup",
                    "reference_busy",
                    "another run is about to create the record that this one refers to".to_owned(),
                );
                self.failures.insert(pending.key.clone(), reject);
            }
        }
        Ok(true)
    }

    fn fail(
        &mut self,
        context: &Context,
        pending: &Pending,
        claim: &CreateKey,
        reject: Reject,
    ) -> Result<(), Stop> {
        context
            .state
            .release_creates(context.run, std::slice::from_ref(claim))?;
        self.failures.insert(pending.key.clone(), reject);
        Ok(())
    }
}

/// How long a creation is believed although the system does not find the record: while its search may lag, and as long
/// as any other answer of the lookup is.
fn believed_for(context: &Context, lookup: &Lookup) -> Duration {
    let stream = context.stream(StreamRef {
        connection: lookup.connection,
        stream: lookup.stream,
    });
    let keys = lookup.attempts.iter().flat_map(|attempt| &attempt.keys);
    let finds = keys.filter_map(|key| stream.find.get(key.find?));
    finds
        .map(|find| find.behind)
        .fold(lookup.fresh_for, Duration::max)
}
