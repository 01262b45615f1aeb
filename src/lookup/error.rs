//! Why questions could not be asked at all. A single question that the system refuses is no error but an answer.

use crate::connector::ConnectorError;
use crate::expression::JsonError;
use crate::state::StateError;

/// Why lookups cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The searched system failed.
    #[error("lookup `{lookup}`: {source}")]
    Connector {
        /// The lookup that asked.
        lookup: String,
        /// What failed.
        #[source]
        source: Box<ConnectorError>,
    },
    /// The store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A searched record is not JSON.
    #[error("lookup `{lookup}`: a record of the searched stream is not valid JSON: {source}")]
    Record {
        /// The lookup.
        lookup: String,
        /// Where it is wrong.
        #[source]
        source: JsonError,
    },
    /// A constant of the lookup cannot be evaluated.
    #[error("lookup `{lookup}`: `{template}` cannot be evaluated: {message}")]
    Constant {
        /// The lookup.
        lookup: String,
        /// What was evaluated.
        template: String,
        /// Why not.
        message: String,
    },
    /// What takes the place of an unfound record is not there itself: the run does not start.
    #[error(
        "lookup `{lookup}`: its fallback `{template}` is `{value}`, which finds {}: correct the parameter or create the record",
        count(*found)
    )]
    Unresolved {
        /// The lookup.
        lookup: String,
        /// The fallback as written, which names its parameter.
        template: String,
        /// Its value.
        value: String,
        /// How many records it finds.
        found: usize,
    },
    /// The system refused a question that had to be answered.
    #[error("lookup `{lookup}`: {message}")]
    Refused {
        /// The lookup.
        lookup: String,
        /// The refusal.
        message: String,
    },
    /// A worker thread ended before its work was done.
    #[error("lookup `{lookup}`: reading the searched stream ended unexpectedly: {message}")]
    Worker {
        /// The lookup.
        lookup: String,
        /// How it ended.
        message: String,
    },
}

fn count(found: usize) -> String {
    match found {
        0 => "no record".to_owned(),
        several => format!("{several} records instead of one"),
    }
}
