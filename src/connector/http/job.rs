//! Writing many records in one request, and asking after the job that such a request may start.
//!
//! Every item has its own outcome: found by its position in the request where the system tells it, else by its key. An
//! item that the results do not mention is unknown, never taken for written.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::HttpConnection;
use super::client::{Call, Done, Failure, Unusable};
use super::job_results::{all_unknown, directly_written, of_all};
use super::limit::Draw;
use super::records::select;
use super::write::{header_texts, what};
use crate::compile::compiled::{Envelope, Job, Request, Stream, WriteMany};
use crate::connector::{ConnectorError, JobEnd, ManyOutcome, Operation, Prepared, PreparedMany, WriteIntent};
use crate::expression::{Map, Value};

/// The first question after a job comes this much earlier than later ones: many jobs are short.
const FIRST_QUESTION_SOONER: u32 = 8;

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
        let mut prepared = Vec::new();
        for intents in intents.chunks(many.at_most.max(1)) {
            self.prepare_within(stream, described, many, intents, operation, &mut prepared)?;
        }
        Ok(prepared)
    }

    /// A request for these records, or several where its body would be larger than the endpoint takes.
    fn prepare_within(
        &self,
        stream: usize,
        described: &Stream,
        many: &WriteMany,
        intents: &[WriteIntent],
        operation: Operation,
        prepared: &mut Vec<PreparedMany>,
    ) -> Result<(), ConnectorError> {
        let one = self.prepare_chunk(stream, described, many, intents, operation)?;
        let is_too_large = many
            .at_most_bytes
            .is_some_and(|most| one.request.body.len() > most);
        if !is_too_large || intents.len() < 2 {
            prepared.push(one);
            return Ok(());
        }
        let (first, second) = intents.split_at(intents.len() / 2);
        self.prepare_within(stream, described, many, first, operation, prepared)?;
        self.prepare_within(stream, described, many, second, operation, prepared)
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
                once: false,
                stream,
                stream_name: described.name.clone(),
                operation,
                key: None,
                counts_for: None,
                find_again: None,
                item_of_many: None,
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
    ) -> Result<ManyOutcome, ConnectorError> {
        let request = &prepared.request;
        let stream = self.stream(request.stream)?;
        let many = self.many_of(stream, request.operation)?;
        let job = self.job_of(many)?;
        let what = what(request.operation, stream);
        let outgoing = self.stored(request, &many.request, &what)?;
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
            draw: self.draw_for_items(&many.request, prepared, &what)?,
            outgoing: &outgoing,
            writes: true,
            repeatable: request.is_repeatable(),
            defers: true,
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
            Err(failure) => return Ok(of_all(failure, prepared)),
        };
        let Some(job) = job else {
            return Ok(ManyOutcome::Items(directly_written(
                prepared, many, stream, &done,
            )));
        };
        let Some(id) = done.value.as_ref().and_then(Value::scalar_text) else {
            let message = format!("the answer names no job at `{}`", job.id.source());
            return Ok(ManyOutcome::Items(all_unknown(prepared, &message)));
        };
        on_job(&id);
        let end = self.follow(prepared, job, stream, &id, &what).await;
        // Only now another job may take this one's place among those at once.
        drop(done.grant);
        Ok(ManyOutcome::Items(match end {
            JobEnd::Ended(outcomes) => outcomes,
            JobEnd::Running { message } => all_unknown(prepared, &message),
        }))
    }

    /// What a bulk request draws from; budgets that are counted for each record count for each item.
    fn draw_for_items(
        &self,
        request: &Request,
        prepared: &PreparedMany,
        what: &str,
    ) -> Result<Draw, ConnectorError> {
        let scope = self.scope()?;
        let mut draw = self.draw(request, &scope, what)?;
        for key in prepared.keys.iter().flatten() {
            let key = Value::text(key.clone());
            draw.add(self.draw(request, &self.scope()?.with("key", &key), what)?);
        }
        Ok(draw)
    }

    /// The outcomes of a bulk write whose job an earlier process started.
    ///
    /// # Errors
    /// When the stream's bulk write has no job.
    pub(in crate::connector) async fn settle_job(
        &self,
        prepared: &PreparedMany,
        id: &str,
    ) -> Result<JobEnd, ConnectorError> {
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
    ) -> JobEnd {
        let started = Instant::now();
        let what = &*format!("{what}, job `{id}`");
        let unknown = |message: &str| JobEnd::Ended(all_unknown(prepared, message));
        let mut pause = job.every / FIRST_QUESTION_SOONER;
        loop {
            if let Err(failure) = self.sleep(pause).await {
                return JobEnd::Running {
                    message: failure.into_error(self.name(), what).to_string(),
                };
            }
            pause = (pause * 2).min(job.every);
            let done = match self.poll(job, id, what).await {
                Ok(done) => done,
                // The system has forgotten the job, or never kept it.
                Err(failure @ Failure::Refused { .. }) => {
                    return unknown(&failure.into_error(self.name(), what).to_string());
                }
                Err(failure) => {
                    return JobEnd::Running {
                        message: failure.into_error(self.name(), what).to_string(),
                    };
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
                return JobEnd::Ended(self.results(prepared, job, stream, &done, started));
            }
            if is(&job.failed) {
                // A job that was stopped halfway may have written some of its items.
                return unknown(&self.failed(job, answer));
            }
            if !is(&job.running) {
                return unknown(&format!(
                    "the job is in the state `{state}`, which its connector does not list"
                ));
            }
            if started.elapsed() > job.give_up_after {
                return JobEnd::Running {
                    message: format!(
                        "the job is still `{state}` after {} s",
                        job.give_up_after.as_secs()
                    ),
                };
            }
        }
    }

    /// How long a record cannot be written because its own budget is spent; `None` if it can.
    ///
    /// # Errors
    /// When the stream has no such operation, or a budget's template fails.
    pub(in crate::connector) fn record_wait(
        &self,
        stream: usize,
        operation: Operation,
        key: &str,
    ) -> Result<Option<Duration>, ConnectorError> {
        let described = self.stream(stream)?;
        let key = Value::text(key.to_owned());
        let request = &self.many_of(described, operation)?.request;
        let what = what(operation, described);
        let draw = self.draw(request, &self.scope()?.with("key", &key), &what)?;
        Ok(self.limits.later(&draw).map(|later| later.wait))
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
            defers: false,
            keep: &[],
        };
        self.exchange(&call, |answer| {
            crate::expression::parse_json_owned(&answer.body).map_err(Unusable::Json)
        })
        .await
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
