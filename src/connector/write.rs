//! What a write is asked as, the exact bytes it becomes, and how it ended.
//!
//! [`Prepared`] is what an intent stores before the request is sent: repeating it after a crash sends the same bytes.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ConnectorError;
use crate::expression::Value;

/// What is done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A new record.
    Create,
    /// A change of a known record.
    Update,
    /// A new record or a change, as the system decides.
    Upsert,
    /// The record goes.
    Delete,
}

impl Operation {
    /// The word in messages and snapshots.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Upsert => "upsert",
            Operation::Delete => "delete",
        }
    }
}

/// One write, as rules decided it.
#[derive(Clone, Debug)]
pub struct WriteIntent {
    /// What is done.
    pub operation: Operation,
    /// The written record's key; `None` for a create.
    pub key: Option<String>,
    /// What is written: the nested payload that `mapping::payload` makes.
    pub fields: Value<'static>,
    /// The record as last read, for preconditions.
    pub before: Option<Value<'static>>,
    /// Identifies the write: sent as its idempotency key where the system takes one.
    pub intent: Uuid,
    /// Key of the record that caused it: `record_key` in header templates.
    pub correlation: String,
}

/// A write as the exact bytes that are sent; serialisable, without credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The HTTP method, in upper case.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// Headers, without credentials.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    #[serde(with = "json_text")]
    pub body: Bytes,
    /// The idempotency key among the headers.
    pub idempotency_key: Option<String>,
    /// For how many seconds the system remembers the idempotency key.
    pub idempotency_seconds: Option<u64>,
    /// Whether the system refuses the write if the record changed meanwhile.
    pub precondition: bool,
    /// It is sent once: whoever decided it looks at the record again before it is sent once more.
    #[serde(default)]
    pub once: bool,
    /// Position of the stream in its connector.
    pub stream: usize,
    /// The stream's name, by which an intent is found again after the connector file changed.
    pub stream_name: String,
    /// What is done.
    pub operation: Operation,
    /// The written record's key; `None` for a create.
    pub key: Option<String>,
    /// Stands for the key in the budgets of a create, which has none.
    #[serde(default)]
    pub counts_for: Option<String>,
    /// What a create whose answer was lost is asked for by; `None` where it cannot be found again.
    #[serde(default)]
    pub find_again: Option<FindAgain>,
    /// Its position among the items of the bulk request that carried it: then these bytes were never sent.
    #[serde(default)]
    pub item_of_many: Option<usize>,
}

/// What a create whose answer was lost is asked for by: values as JSON texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindAgain {
    /// What it wrote.
    Written {
        /// The value that is searched for.
        value: String,
        /// What else it wrote, in the order of the connector's paths; `None` where it wrote nothing there.
        same: Vec<Option<String>>,
    },
    /// Its own id, which the record carries.
    Marked {
        /// Those of its fields that the request for it reads.
        fields: String,
        /// The id.
        intent: String,
    },
}

impl Prepared {
    /// Whether sending the same bytes twice does what sending them once does.
    pub fn is_repeatable(&self) -> bool {
        match self.operation {
            Operation::Delete => true,
            Operation::Update | Operation::Upsert => {
                self.precondition || self.idempotency_key.is_some() || !self.once && self.method != "POST"
            }
            Operation::Create => self.idempotency_key.is_some(),
        }
    }
}

/// One request that writes several records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedMany {
    /// The request; its `key` is `None`.
    pub request: Prepared,
    /// The written records' keys, in the order of the request's items; `None` for creates.
    pub keys: Vec<Option<String>>,
}

/// How a bulk write ended.
#[derive(Debug)]
pub enum ManyOutcome {
    /// One outcome for each item, in the request's order.
    Items(Vec<WriteOutcome>),
    /// The request as a whole was refused, so that nothing was written: which item is to blame, only requests of their
    /// own can tell.
    Refused {
        /// The system's words.
        message: String,
    },
}

/// What asking after a job came to.
#[derive(Debug)]
pub enum JobEnd {
    /// It is over: one outcome for each item, in the request's order. Of a job that died they are unknown.
    Ended(Vec<WriteOutcome>),
    /// Nobody knows whether it is over: its items may still be written.
    Running {
        /// Why it was not asked after any longer.
        message: String,
    },
}

/// How a write ended.
#[derive(Debug)]
pub enum WriteOutcome {
    /// Done.
    Written {
        /// The record's key, where the answer tells or the request named it.
        key: Option<String>,
        /// The record as answered, in the form that rules read.
        record: Option<Value<'static>>,
        /// The HTTP status.
        status: u16,
        /// How often the request was sent.
        attempts: u32,
        /// From the first sending to the answer.
        latency: Duration,
    },
    /// A create met a record that exists already.
    Exists {
        /// The system's words.
        message: String,
    },
    /// Somebody else changed the record since it was read.
    Conflict {
        /// The system's words.
        message: String,
    },
    /// There is no such record.
    Gone,
    /// The record can never be written again.
    Frozen {
        /// The system's words.
        message: String,
    },
    /// This record is refused; others may go on.
    Rejected {
        /// The system's words.
        message: String,
        /// Messages about single fields: dotted name and message.
        fields: Vec<(String, String)>,
        /// The HTTP status.
        status: u16,
    },
    /// Not written, because the record's own budget is spent: others may go on.
    Later {
        /// The budget's name.
        budget: String,
        /// How long it stays spent.
        wait: Duration,
        /// How long it is worth waiting within a run.
        at_most: Duration,
    },
    /// Sent, but the answer was lost: the write may have happened and must be settled before it is repeated.
    Unknown {
        /// What went wrong.
        message: String,
    },
    /// The run must end; the write did not happen.
    Stopped(ConnectorError),
}

/// A body as JSON text inside JSON text.
mod json_text {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, ser::Error};

    pub(super) fn serialize<S: Serializer>(body: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(std::str::from_utf8(body).map_err(S::Error::custom)?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        Ok(Bytes::from(String::deserialize(from)?))
    }
}
