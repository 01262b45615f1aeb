//! Writing one record: exact bytes first, then the request, then what its answer means.
//!
//! Preparing is pure, so that an intent can be stored before anything is sent; executing sends exactly those bytes.
//! A write whose answer was lost is repeated only if that is harmless, else its outcome is unknown and the caller
//! settles it.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Url};

use super::HttpConnection;
use super::again;
use super::client::{Answer, Call, Failure, Unusable, header};
use super::json_api;
use super::records::{RecordReader, select};
use super::retry::header_text;
use super::shape;
use super::template::Outgoing;
use crate::compile::compiled::{Envelope, ErrorOutcome, Precondition, Request, Shape, Stream, Write};
use crate::connector::{ConnectorError, Operation, Prepared, WriteIntent, WriteOutcome};
use crate::expression::{Map, Scope, Value};

/// What an accepted write answered.
type Written = (Option<String>, Option<Value<'static>>);

impl HttpConnection {
    /// The exact request of a write. Pure: sends nothing.
    ///
    /// # Errors
    /// When the stream has no such operation, or a template gives no request.
    pub(in crate::connector) fn prepare(
        &self,
        stream: usize,
        intent: WriteIntent,
    ) -> Result<Prepared, ConnectorError> {
        let described = self.stream(stream)?;
        let operation = intent.operation;
        let write = self.write_of(described, operation)?;
        let what = what(operation, described);
        let parts = Parts::new(described, &intent);
        let scope = parts.scope(self.scope()?);
        let mut body = self.write_body(described, write, operation, &parts, &scope, &what)?;
        let precondition = match &write.precondition {
            _ if intent.before.is_none() => false,
            Some(Precondition::InBody(members)) => {
                for (name, shape) in members {
                    let value = self.shape(shape, &scope, &what)?;
                    set_nested(&mut body, name, value);
                }
                true
            }
            Some(Precondition::AlreadyInBody) => true,
            Some(Precondition::ReadAgain) | None => false,
        };
        let body = match &body {
            Value::Null => Bytes::new(),
            body => Bytes::from(body.to_json()),
        };
        let mut outgoing = self.outgoing(&write.request, &scope, &[], Some(body), &what)?;
        let mut idempotency_key = None;
        if let Some(idempotency) = &write.idempotency {
            let key = intent.intent.to_string();
            let (name, value) = header(&idempotency.header, &key).ok_or_else(|| ConnectorError::Setting {
                connection: self.name().to_owned(),
                message: format!("`{}` cannot be a header's name", idempotency.header),
            })?;
            outgoing.headers.insert(name, value);
            idempotency_key = Some(key);
        }
        Ok(Prepared {
            method: outgoing.method.as_str().to_owned(),
            url: outgoing.url.to_string(),
            headers: header_texts(&outgoing.headers),
            body: outgoing.body,
            idempotency_seconds: write
                .idempotency
                .as_ref()
                .map(|idempotency| idempotency.kept_for.as_secs()),
            idempotency_key,
            precondition,
            once: false,
            stream,
            stream_name: described.name.clone(),
            operation,
            key: intent.key,
            counts_for: match &write.counts_for {
                Some(template) => self.text(template, &scope, &what)?,
                None => None,
            },
            find_again: again::remembered(described, write, &parts.fields, &parts.intent),
            item_of_many: None,
        })
    }

    /// Sends a prepared write. Limits, signing in and harmless repetition are taken care of.
    pub(in crate::connector) async fn execute(&self, prepared: &Prepared) -> WriteOutcome {
        match self.execute_one(prepared).await {
            Ok(outcome) => outcome,
            Err(error) => WriteOutcome::Stopped(error),
        }
    }

    async fn execute_one(&self, prepared: &Prepared) -> Result<WriteOutcome, ConnectorError> {
        let stream = self.stream(prepared.stream)?;
        let write = self.write_of(stream, prepared.operation)?;
        let what = what(prepared.operation, stream);
        let outgoing = self.stored(prepared, &write.request, &what)?;
        let key = prepared.counts_for.as_ref().or(prepared.key.as_ref());
        let key = key.map_or(Value::Null, |key| Value::text(key.clone()));
        let scope = self.scope()?.with("key", &key);
        let call = Call {
            what: &what,
            template: write.request.path.source(),
            draw: self.draw(&write.request, &scope, &what)?,
            outgoing: &outgoing,
            writes: true,
            repeatable: prepared.is_repeatable(),
            defers: true,
            keep: &[],
        };
        let reader = RecordReader::new(self, stream, &write.request, &[], &what)?;
        let sent = self
            .exchange(&call, |answer| {
                self.written(answer, stream, write, &reader, prepared)
            })
            .await;
        match sent {
            Ok(done) => {
                let (key, record) = done.value;
                Ok(WriteOutcome::Written {
                    key,
                    record,
                    status: done.answer.status,
                    attempts: done.attempts,
                    latency: done.latency,
                })
            }
            Err(Failure::Error(error)) => Err(error),
            Err(failure) => Ok(outcome_of(failure, prepared.operation)),
        }
    }

    /// The key and the record in the answer to a write.
    fn written(
        &self,
        answer: &Answer,
        stream: &Stream,
        write: &Write,
        reader: &RecordReader<'_>,
        prepared: &Prepared,
    ) -> Result<Written, Unusable> {
        let known = prepared.key.clone();
        let needs_answer = write.new_key.is_some() || write.request.record.is_some();
        if answer.body.iter().all(u8::is_ascii_whitespace) || !(needs_answer || is_json(answer)) {
            return Ok((known, None));
        }
        let new_key = match &write.new_key {
            Some(path) => select(&answer.body, path)?.and_then(|key| key.scalar_text().map(String::from)),
            None => None,
        };
        let record = reader.single(answer)?;
        let record = record.as_ref().map(|record| record.value()).transpose()?;
        let own_key = record
            .as_ref()
            .and_then(|record| stream.key.one(record)?.scalar_text())
            .map(String::from);
        let own_key = own_key.filter(|_| write.new_key.is_none());
        Ok((new_key.or(own_key).or(known), record.map(Value::into_owned)))
    }

    /// The request that an intent stored, as it is sent. Its address must still be ours: credentials go along.
    pub(super) fn stored(
        &self,
        prepared: &Prepared,
        request: &Request,
        what: &str,
    ) -> Result<Outgoing, ConnectorError> {
        let setting = |message: String| ConnectorError::Setting {
            connection: self.name().to_owned(),
            message,
        };
        let method = Method::from_bytes(prepared.method.as_bytes())
            .map_err(|_| setting(format!("`{}` is no HTTP method", prepared.method)))?;
        let names_its_host = request.path.source().trim_start().starts_with("http");
        let url = if names_its_host {
            Url::parse(&prepared.url).map_err(|_| setting(format!("`{}` is no address", prepared.url)))?
        } else {
            self.own_address(&prepared.url, &self.base, what)?
        };
        let headers = prepared
            .headers
            .iter()
            .filter_map(|(name, value)| header(name, value));
        Ok(Outgoing {
            method,
            url,
            headers: headers.collect(),
            body: prepared.body.clone(),
        })
    }

    pub(super) fn write_of<'s>(
        &self,
        stream: &'s Stream,
        operation: Operation,
    ) -> Result<&'s Write, ConnectorError> {
        let write = match operation {
            Operation::Create => &stream.create,
            Operation::Update => &stream.update,
            Operation::Upsert => &stream.upsert,
            Operation::Delete => &stream.delete,
        };
        write
            .as_ref()
            .ok_or_else(|| self.unsupported(stream, format!("{} records", operation.as_str())))
    }

    /// The body as JSON; null for none.
    fn write_body(
        &self,
        stream: &Stream,
        write: &Write,
        operation: Operation,
        parts: &Parts,
        scope: &Scope<'_>,
        what: &str,
    ) -> Result<Value<'static>, ConnectorError> {
        if let Some(shape) = &write.request.body {
            return self.shape(shape, scope, what);
        }
        if operation == Operation::Delete {
            return Ok(Value::Null);
        }
        Ok(match self.connector()?.envelope {
            Envelope::Plain => parts.fields.clone(),
            Envelope::JsonApi => json_api::document(stream, parts.key.as_text(), &parts.fields),
        })
    }

    /// A record of a bulk request: its payload in the system's form and the members that every item gets.
    pub(super) fn item(
        &self,
        stream: &Stream,
        intent: &WriteIntent,
        members: &[(String, Shape)],
        what: &str,
    ) -> Result<Value<'static>, ConnectorError> {
        let parts = Parts::new(stream, intent);
        let scope = parts.scope(self.scope()?);
        let mut item = match self.connector()?.envelope {
            Envelope::Plain => parts.fields.clone(),
            Envelope::JsonApi => match json_api::document(stream, parts.key.as_text(), &parts.fields) {
                Value::Map(mut document) => document.remove("data").unwrap_or_default(),
                other => other,
            },
        };
        for (name, shape) in members {
            let value = self.shape(shape, &scope, what)?;
            if !value.is_null() {
                set_nested(&mut item, name, value);
            }
        }
        Ok(item)
    }
}

/// What the templates of a write see.
struct Parts {
    key: Value<'static>,
    fields: Value<'static>,
    before: Value<'static>,
    intent: Value<'static>,
    record_key: Value<'static>,
}

impl Parts {
    fn new(stream: &Stream, intent: &WriteIntent) -> Self {
        Parts {
            key: intent.key.clone().map_or(Value::Null, Value::text),
            fields: shape::payload(&stream.shape, intent.fields.clone()),
            before: intent.before.clone().unwrap_or_default(),
            intent: Value::text(intent.intent.to_string()),
            record_key: Value::text(intent.correlation.clone()),
        }
    }

    fn scope<'a>(&'a self, scope: Scope<'a>) -> Scope<'a> {
        scope
            .with("key", &self.key)
            .with("fields", &self.fields)
            .with("before", &self.before)
            .with("intent", &self.intent)
            .with("record_key", &self.record_key)
    }
}

/// What a failed write means for its record.
pub(super) fn outcome_of(failure: Failure, operation: Operation) -> WriteOutcome {
    match failure {
        Failure::Error(error) => WriteOutcome::Stopped(error),
        Failure::Unknown(message) => WriteOutcome::Unknown { message },
        Failure::Later(later) => WriteOutcome::Later {
            budget: later.budget,
            wait: later.wait,
            at_most: later.at_most,
        },
        Failure::Refused {
            outcome,
            status,
            refusal,
        } => match outcome {
            ErrorOutcome::Conflict => WriteOutcome::Conflict {
                message: refusal.message,
            },
            ErrorOutcome::Exists => WriteOutcome::Exists {
                message: refusal.message,
            },
            ErrorOutcome::Frozen => {
                // What is closed, and why, often stands with a field only.
                let fields = refusal.fields.iter();
                let said = fields.map(|(field, message)| format!("`{field}`: {message}"));
                WriteOutcome::Frozen {
                    message: [refusal.message.clone()]
                        .into_iter()
                        .chain(said)
                        .collect::<Vec<_>>()
                        .join("; "),
                }
            }
            // What a create misses is something else than the record it makes.
            ErrorOutcome::Gone if operation != Operation::Create => WriteOutcome::Gone,
            _ => WriteOutcome::Rejected {
                message: refusal.message,
                fields: refusal.fields,
                status,
            },
        },
    }
}

pub(super) fn what(operation: Operation, stream: &Stream) -> String {
    format!("{} in `{}`", operation.as_str(), stream.name)
}

/// Headers as texts; all of them were made from texts.
pub(super) fn header_texts(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

/// Whether an answer says that it is JSON, or does not say what it is.
fn is_json(answer: &Answer) -> bool {
    header_text(&answer.headers, &CONTENT_TYPE)
        .is_none_or(|media_type| media_type.to_ascii_lowercase().contains("json"))
}

/// Sets a member by its dotted name, making objects on the way.
pub(super) fn set_nested(root: &mut Value<'static>, name: &str, value: Value<'static>) {
    if !matches!(root, Value::Map(_)) {
        *root = Value::Map(Map::default());
    }
    let Value::Map(members) = root else {
        return;
    };
    match name.split_once('.') {
        None => members.insert(name.to_owned(), value),
        Some((first, rest)) => {
            let mut inner = members.remove(first).unwrap_or_default();
            set_nested(&mut inner, rest, value);
            members.insert(first.to_owned(), inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::parse_json;

    #[test]
    fn nested_members_are_set_beside_what_is_there() {
        let mut body = parse_json(br#"{"ticket":{"subject":"x"}}"#).unwrap().into_owned();
        set_nested(&mut body, "ticket.safe_update", Value::from(true));
        set_nested(&mut body, "meta.a.b", Value::from(1));
        assert_eq!(
            body.to_json(),
            r#"{"ticket":{"subject":"x","safe_update":true},"meta":{"a":{"b":1}}}"#
        );
    }
}
