//! What a bulk write led to, item by item: read from a job's results or from the answer itself.
//!
//! A result belongs to the item at its position in the request where the system tells that, else to the item of its key.
//! What no result mentions is unknown; what failed is judged by the connector's error rules, each item for itself.

use std::time::{Duration, Instant};

use indexmap::IndexMap;

use super::HttpConnection;
use super::classify::classify_item;
use super::client::{Done, Failure};
use super::error::refusal_of;
use super::write::outcome_of;
use crate::compile::compiled::{ErrorOutcome, Job, Stream, WriteMany};
use crate::connector::{ManyOutcome, Operation, PreparedMany, WriteOutcome};
use crate::expression::{Path, Value};

/// How long an item of a job waits that was refused for something passing: its result does not say.
const ITEM_WAITS: Duration = Duration::from_secs(5);

impl HttpConnection {
    /// The outcome of every item of a job that is done.
    pub(super) fn results(
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
        let ((outcome, limit), refusal) = match self.connector() {
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
        if matches!(outcome, ErrorOutcome::Wait | ErrorOutcome::Retry) {
            return outcome_of(Failure::Later(self.limits.later_of(limit, ITEM_WAITS)), operation);
        }
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

    /// What is said of a job that failed as a whole.
    pub(super) fn failed(&self, job: &Job, answer: &Value<'_>) -> String {
        let message = first_text(&job.result.message, answer).or_else(|| {
            let connector = self.connector().ok()?;
            refusal_of(&connector.error_message, connector.envelope, answer).map(|refusal| refusal.message)
        });
        message.unwrap_or_else(|| "the job failed".to_owned())
    }
}

/// A bulk write without a job: the answer lists the records in the request's order, or tells nothing about them.
pub(super) fn directly_written(
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

/// What a failure of the whole request means for its items.
pub(super) fn of_all(failure: Failure, prepared: &PreparedMany) -> ManyOutcome {
    match failure {
        // Which of the items was refused is not said.
        Failure::Refused { refusal, .. } => ManyOutcome::Refused {
            message: refusal.message,
        },
        Failure::Later(later) => ManyOutcome::Refused {
            message: format!("the budget `{}` of one of them is spent", later.budget),
        },
        Failure::Unknown(message) => ManyOutcome::Items(all_unknown(prepared, &message)),
        Failure::Error(error) => ManyOutcome::Items(all_unknown(prepared, &error.to_string())),
    }
}

pub(super) fn all_unknown(prepared: &PreparedMany, message: &str) -> Vec<WriteOutcome> {
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
