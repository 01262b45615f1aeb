//! Writing many records in one request, and asking after the job that such a request may start.
//!
//! Every item has its own outcome: found by its position in the request where the system tells it, else by its key. An
//! item that the results do not mention is unknown, never taken for written.

use std::time::Instant;

use bytes::Bytes;
use indexmap::IndexMap;

use super::HttpConnection;
use super::classify::classify_item;
use super::client::{Call, Done, Failure, Unusable};
use super::error::refusal_of;
use super::records::select;
use super::write::{header_texts, outcome_of, what};
use crate::compile::compiled::{Envelope, ErrorOutcome, Job, Stream, WriteMany};
use crate::connector::{ConnectorError, Operation, Prepared, PreparedMany, WriteIntent, WriteOutcome};
use crate::expression::{Map, Path, Value};

impl HttpConnection {
    /// The exact requests that write these records, which must all be creates or all updates; split by how many one
    /// request takes. Pure: sends nothing.
    ///
    /// # Errors
    /// When the stream has no such operation, or a template gives no request.
    pub(in crate::connector) fn prepare_many(
        &self,
        stream: usize,
        intents: &[WriteIntent],
    ) -> Result<Vec<PreparedMany>, ConnectorError> {
        let described = self.stream(stream)?;
        let Some(operation) = intents.first().map(|intent| intent.operation) else {
            return Ok(Vec::new());
        };
        if intents.iter().any(|intent| intent.operation != operation) {
            return Err(self.unsupported(described, "create and update records in one request"));
        }
        let many = self.many_of(described, operation)?;
        intents
            .chunks(many.at_most.max(1))
            .map(|intents| self.prepare_chunk(stream, described, many, intents, operation))
            .collect()
    }

    fn prepare_chunk(
        &self,
        stream: usize,
        described: &Stream,
        many: &WriteMany,
        intents: &[WriteIntent],
        operation: Operation,
    ) -> Result<PreparedMany, ConnectorError> {
        let what = what(operation, described);
        let items: Result<Vec<_>, _> = intents
            .iter()
            .map(|intent| self.item(described, intent, &many.item, &what))
            .collect();
        let items = Value::List(items?);
        let record_key = intents
            .first()
            .map_or(Value::Null, |intent| Value::text(intent.correlation.clone()));
        let scope = self
            .scope()?
            .with("items", &items)
            .with("record_key", &record_key);
        let body = match (&many.request.body, self.connector()?.envelope) {
            (Some(shape), _) => self.shape(shape, &scope, &what)?,
            (None, Envelope::JsonApi) => Value::Map(Map(vec![("data".into(), items.clone())])),
            (None, Envelope::Plain) => items.clone(),
        };
        let body = Bytes::from(body.to_json());
        let outgoing = self.outgoing(&many.request, &scope, &[], Some(body), &what)?;
        Ok(PreparedMany {
            request: Prepared {
                method: outgoing.method.as_str().to_owned(),
                url: outgoing.url.to_string(),
                headers: header_texts(&outgoing.headers),
                body: outgoing.body,
                idempotency_key: None,
                idempotency_seconds: None,
                precondition: many.has_precondition && intents.iter().all(|intent| intent.before.is_some()),
                stream,
                stream_name: described.name.clone(),
                operation,
                key: None,
                counts_for: None,
                find_again: None,
            },
            keys: intents.iter().map(|intent| intent.key.clone()).collect(),
        })
    }

    /// Sends a prepared bulk write and waits for its job. `on_job` is told the job's id as soon as it is known, so that
    /// a later process can ask after it. One outcome per item, in the request's order.
    ///
    /// # Errors
    /// What ends the run; nothing was written then.
    pub(in crate::connector) async fn execute_many(
        &self,
        prepared: &PreparedMany,
        on_job: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Vec<WriteOutcome>, ConnectorError> {
        let request = &prepared.request;
        let stream = self.stream(request.stream)?;
        let many = self.many_of(stream, request.operation)?;
        let job = self.job_of(many)?;
        let what = what(request.operation, stream);
        let outgoing = self.stored(request, &many.request, &what)?;
        let scope = self.scope()?;
        // A bound of jobs at once is held until the job is done; what asking after it needs must be free.
        let keep: Vec<usize> = match job {
            Some(job) => {
                let uses = many.request.uses.iter().copied();
                uses.filter(|budget| !job.poll.uses.contains(budget)).collect()
            }
            None => Vec::new(),
        };
        let call = Call {
            what: &what,
            template: many.request.path.source(),
            draw: self.draw(&many.request, &scope, &what)?,
            outgoing: &outgoing,
            writes: true,
            repeatable: request.is_repeatable(),
            keep: &keep,
        };
        let sent = self.exchange(&call, |answer| match job {
            Some(job) => Ok(select(&answer.body, &job.id)?),
            None if many.request.records.is_some() => {
                Ok(Some(crate::expression::parse_json_owned(&answer.body)?))
            }
            None => Ok(None),
        });
        let done = match sent.await {
            Ok(done) => done,
            Err(Failure::Error(error)) => return Err(error),
            Err(failure) => return Ok(same_outcomes(failure, prepared)),
        };
        let Some(job) = job else {
            return Ok(directly_written(prepared, many, stream, &done));
        };
        let Some(id) = done.value.as_ref().and_then(Value::scalar_text) else {
            return Ok(all_unknown(
                prepared,
                &format!("the answer names no job at `{}`", job.id.source()),
            ));
        };
        on_job(&id);
        let outcomes = self.follow(prepared, job, stream, &id, &what).await;
        // Only now another job may take this one's place among those at once.
        drop(done.grant);
        Ok(outcomes)
    }

    /// The outcomes of a bulk write whose job an earlier process started.
    ///
    /// # Errors
    /// When the stream's bulk write has no job.
    pub(in crate::connector) async fn settle_job(
        &self,
        prepared: &PreparedMany,
        id: &str,
    ) -> Result<Vec<WriteOutcome>, ConnectorError> {
        let stream = self.stream(prepared.request.stream)?;
        let many = self.many_of(stream, prepared.request.operation)?;
        let job = self
            .job_of(many)?
            .ok_or_else(|| self.unsupported(stream, "be asked after a job"))?;
        let what = what(prepared.request.operation, stream);
        Ok(self.follow(prepared, job, stream, id, &what).await)
    }

    /// Asks after a job until it has ended. From here on the writes may have happened: whatever goes wrong, their outcome
    /// is unknown.
    async fn follow(
        &self,
        prepared: &PreparedMany,
        job: &Job,
        stream: &Stream,
        id: &str,
        what: &str,
    ) -> Vec<WriteOutcome> {
        let started = Instant::now();
        let what = &*format!("{what}, job `{id}`");
        loop {
            if let Err(failure) = self.sleep(job.every).await {
                return all_unknown(prepared, &failure.into_error(self.name(), what).to_string());
            }
            let done = match self.poll(job, id, what).await {
                Ok(done) => done,
                Err(failure) => {
                    return all_unknown(prepared, &failure.into_error(self.name(), what).to_string());
                }
            };
            let answer = &done.value;
            let state = job
                .state
                .one(answer)
                .and_then(Value::scalar_text)
                .unwrap_or_default();
            let is = |states: &[String]| states.iter().any(|known| *known == state);
            if is(&job.done) {
                return self.results(prepared, job, stream, &done, started);
            }
            if is(&job.failed) {
                return self.failed(prepared, job, answer);
            }
            if !is(&job.running) {
                return all_unknown(
                    prepared,
                    &format!("the job is in the state `{state}`, which its connector does not list"),
                );
            }
            if started.elapsed() > job.give_up_after {
                return all_unknown(
                    prepared,
                    &format!(
                        "the job is still `{state}` after {} s",
                        job.give_up_after.as_secs()
                    ),
                );
            }
        }
    }

    async fn poll(&self, job: &Job, id: &str, what: &str) -> Result<Done<Value<'static>>, Failure> {
        let name = Value::Map(Map(vec![("id".into(), Value::text(id.to_owned()))]));
        let scope = self.scope().map_err(Failure::Error)?.with("job", &name);
        let outgoing = self
            .outgoing(&job.poll, &scope, &[], None, what)
            .map_err(Failure::Error)?;
        let call = Call {
            what,
            template: job.poll.path.source(),
            draw: self.draw(&job.poll, &scope, what).map_err(Failure::Error)?,
            outgoing: &outgoing,
            writes: false,
            repeatable: true,
            keep: &[],
        };
        self.exchange(&call, |answer| {
            crate::expression::parse_json_owned(&answer.body).map_err(Unusable::Json)
        })
        .await
    }

    /// The outcome of every item of a job that is done.
    fn results(
        &self,
        prepared: &PreparedMany,
        job: &Job,
        stream: &Stream,
        done: &Done<Value<'static>>,
        started: Instant,
    ) -> Vec<WriteOutcome> {
        let mut outcomes: Vec<Option<WriteOutcome>> = prepared.keys.iter().map(|_| None).collect();
        let by_key: IndexMap<&str, usize> = prepared
            .keys
            .iter()
            .enumerate()
            .filter_map(|(at, key)| Some((key.as_deref()?, at)))
            .collect();
        let results = match job.results.one(&done.value) {
            Some(Value::List(results)) => results.as_slice(),
            _ => &[],
        };
        for result in results {
            let key = job.result.key.one(result).and_then(Value::scalar_text);
            let index = job
                .result
                .index
                .as_ref()
                .and_then(|path| path.one(result)?.as_integer());
            let at = match index {
                Some(index) => usize::try_from(index).ok(),
                None => key.as_deref().and_then(|key| by_key.get(key).copied()),
            };
            let Some(outcome) = at.and_then(|at| outcomes.get_mut(at)) else {
                tracing::warn!(
                    connection = self.name(),
                    stream = stream.name,
                    "a job's result belongs to no item"
                );
                continue;
            };
            let failed = job
                .result
                .failed_when
                .one(result)
                .is_some_and(|failed| failed.is_true());
            *outcome = Some(if failed {
                self.item_failure(job, result, prepared.request.operation, done.answer.status)
            } else {
                WriteOutcome::Written {
                    key: key.map(String::from),
                    record: None,
                    status: done.answer.status,
                    attempts: 1,
                    latency: started.elapsed(),
                }
            });
        }
        let keys = prepared.keys.iter();
        outcomes
            .into_iter()
            .zip(keys)
            .map(|(outcome, key)| match outcome {
                Some(WriteOutcome::Written {
                    key: None,
                    record,
                    status,
                    attempts,
                    latency,
                }) => WriteOutcome::Written {
                    key: key.clone(),
                    record,
                    status,
                    attempts,
                    latency,
                },
                Some(outcome) => outcome,
                None => WriteOutcome::Unknown {
                    message: "the job's results do not mention it".to_owned(),
                },
            })
            .collect()
    }

    fn item_failure(&self, job: &Job, result: &Value<'_>, operation: Operation, status: u16) -> WriteOutcome {
        let (outcome, refusal) = match self.connector() {
            Ok(connector) => (
                classify_item(&connector.errors, result),
                refusal_of(&connector.error_message, connector.envelope, result).unwrap_or_default(),
            ),
            Err(error) => {
                return WriteOutcome::Unknown {
                    message: error.to_string(),
                };
            }
        };
        let mut refusal = refusal;
        if let Some(message) = first_text(&job.result.message, result) {
            refusal.message = message;
        }
        outcome_of(
            Failure::Refused {
                outcome,
                status,
                refusal,
            },
            operation,
        )
    }

    /// A job that failed as a whole refuses each item.
    fn failed(&self, prepared: &PreparedMany, job: &Job, answer: &Value<'_>) -> Vec<WriteOutcome> {
        let message = first_text(&job.result.message, answer).or_else(|| {
            let connector = self.connector().ok()?;
            refusal_of(&connector.error_message, connector.envelope, answer).map(|refusal| refusal.message)
        });
        let message = message.unwrap_or_else(|| "the job failed".to_owned());
        // A job that was stopped halfway may have written some of its items.
        all_unknown(prepared, &message)
    }

    fn many_of<'s>(&self, stream: &'s Stream, operation: Operation) -> Result<&'s WriteMany, ConnectorError> {
        let many = match operation {
            Operation::Create => stream.create_many.as_ref(),
            Operation::Update => stream.update_many.as_ref(),
            Operation::Upsert | Operation::Delete => None,
        };
        many.ok_or_else(|| {
            self.unsupported(stream, format!("{} several records at once", operation.as_str()))
        })
    }

    fn job_of(&self, many: &WriteMany) -> Result<Option<&Job>, ConnectorError> {
        let Some(name) = &many.job else {
            return Ok(None);
        };
        let job = self.connector()?.jobs.get(name);
        job.map(Some).ok_or_else(|| ConnectorError::Setting {
            connection: self.name().to_owned(),
            message: format!("its connector has no job named `{name}`"),
        })
    }
}

/// A bulk write without a job: the answer lists the records in the request's order, or tells nothing about them.
fn directly_written(
    prepared: &PreparedMany,
    many: &WriteMany,
    stream: &Stream,
    done: &Done<Option<Value<'static>>>,
) -> Vec<WriteOutcome> {
    let listed = many.request.records.as_ref().zip(done.value.as_ref());
    let records: &[Value<'static>] = match listed.and_then(|(path, answer)| path.one(answer)) {
        Some(Value::List(records)) if records.len() == prepared.keys.len() => records,
        _ => &[],
    };
    let written = |(at, key): (usize, &Option<String>)| {
        let record = records.get(at);
        let answered = record.and_then(|record| stream.key.one(record)?.scalar_text());
        let key = key.clone().or(answered.map(String::from));
        if key.is_none() {
            return WriteOutcome::Unknown {
                message: "the answer does not say which record it became".to_owned(),
            };
        }
        WriteOutcome::Written {
            key,
            record: record.cloned(),
            status: done.answer.status,
            attempts: done.attempts,
            latency: done.latency,
        }
    };
    prepared.keys.iter().enumerate().map(written).collect()
}

/// A refusal of the request refuses each item.
fn same_outcomes(failure: Failure, prepared: &PreparedMany) -> Vec<WriteOutcome> {
    match failure {
        Failure::Refused {
            status,
            refusal,
            outcome,
        } => {
            // Of a record that is gone or exists already nothing can be said by a refusal of all.
            let outcome = match outcome {
                ErrorOutcome::Conflict | ErrorOutcome::Frozen => outcome,
                _ => ErrorOutcome::Reject,
            };
            let one = |_| {
                let refusal = refusal.clone();
                outcome_of(
                    Failure::Refused {
                        outcome,
                        status,
                        refusal,
                    },
                    prepared.request.operation,
                )
            };
            prepared.keys.iter().map(one).collect()
        }
        Failure::Unknown(message) => all_unknown(prepared, &message),
        Failure::Error(error) => all_unknown(prepared, &error.to_string()),
    }
}

fn all_unknown(prepared: &PreparedMany, message: &str) -> Vec<WriteOutcome> {
    let unknown = |_| WriteOutcome::Unknown {
        message: message.to_owned(),
    };
    prepared.keys.iter().map(unknown).collect()
}

fn first_text(paths: &[Path], value: &Value<'_>) -> Option<String> {
    paths
        .iter()
        .find_map(|path| path.one(value)?.as_text().filter(|text| !text.is_empty()))
        .map(str::to_owned)
}
