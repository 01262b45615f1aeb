//! [`ConnectorError`]: why talking to a system failed, by whose fault and what it means for the run.
//!
//! A refused record is no error but a [`super::WriteOutcome`]; what is here ends a run, a stream or a question.
//! [`ConnectorError::stop`] says which end it is, so that `run` and `cli` need not know the variants.

use std::error::Error;
use std::time::Duration;

/// Why talking to a system failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectorError {
    /// The system did not answer, or not usably, however often it was asked.
    #[error("`{connection}` cannot be reached ({what}, {attempts} attempts): {message}")]
    Unreachable {
        /// The connection's name.
        connection: String,
        /// The request, by stream and purpose.
        what: String,
        /// How often it was sent.
        attempts: u32,
        /// The last failure.
        message: String,
    },
    /// Credentials or permissions were refused.
    #[error("`{connection}` refuses the credentials ({what}): {message}")]
    Auth {
        /// The connection's name.
        connection: String,
        /// The request.
        what: String,
        /// The system's own words.
        message: String,
    },
    /// The configuration asks for what the system does not have.
    #[error("`{connection}` does not support this ({what}): {message}")]
    Fatal {
        /// The connection's name.
        connection: String,
        /// The request.
        what: String,
        /// The system's own words.
        message: String,
    },
    /// The system refused to answer this question.
    #[error("`{connection}` refuses the request ({what}, status {status}): {message}")]
    Rejected {
        /// The connection's name.
        connection: String,
        /// The request.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The system's own words.
        message: String,
    },
    /// The run was asked to stop.
    #[error("stopped before the work was done")]
    Cancelled,
    /// A budget is spent for longer than a run waits.
    #[error(
        "the budget `{budget}` of `{connection}` is spent for another {} s ({what}); run again later",
        wait.as_secs()
    )]
    QuotaSpent {
        /// The connection's name.
        connection: String,
        /// The request.
        what: String,
        /// The budget's name.
        budget: String,
        /// How long it stays spent.
        wait: Duration,
    },
    /// An answer is not the JSON that was expected.
    #[error("the answer of `{connection}` ({what}) is not valid JSON: {source}")]
    Body {
        /// The connection's name.
        connection: String,
        /// The request.
        what: String,
        /// Where it is wrong.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An answer is larger than is read.
    #[error("the answer of `{connection}` ({what}) is larger than {limit} bytes; ask for smaller pages")]
    TooLarge {
        /// The connection's name.
        connection: String,
        /// The request.
        what: String,
        /// The bound, in bytes.
        limit: u64,
    },
    /// An answer lacks what the connector says it has.
    #[error("the answer of `{connection}` ({what}) has nothing at `{path}`: {message}")]
    Shape {
        /// The connection's name.
        connection: String,
        /// The request.
        what: String,
        /// The path that selects nothing, or the wrong thing.
        path: String,
        /// What was expected.
        message: String,
    },
    /// The system sends the reader elsewhere; credentials are not carried along.
    #[error(
        "`{connection}` redirects ({what}) to `{to}`, which is not followed with credentials; correct the connection's address"
    )]
    Redirected {
        /// The connection's name.
        connection: String,
        /// The request.
        what: String,
        /// The address, without its query.
        to: String,
    },
    /// A next page is on another host, which would receive the credentials.
    #[error("`{connection}` names a next page on another host ({what}): `{to}`; it is not followed")]
    ForeignHost {
        /// The connection's name.
        connection: String,
        /// The request.
        what: String,
        /// The address, without its query.
        to: String,
    },
    /// The same page or cursor came twice: reading would never end.
    #[error("`{connection}` gave the same {thing} twice ({what}): reading would never end")]
    Loop {
        /// The connection's name.
        connection: String,
        /// The request.
        what: String,
        /// `page`, `cursor` or `key`.
        thing: &'static str,
    },
    /// A template of the connector gave no usable text.
    #[error("`{connection}` ({what}): `{template}` {message}")]
    Template {
        /// The connection's name.
        connection: String,
        /// The request.
        what: String,
        /// The template's text.
        template: String,
        /// What is wrong.
        message: String,
    },
    /// A connection's settings do not make a request.
    #[error("connection `{connection}`: {message}")]
    Setting {
        /// The connection's name.
        connection: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// The stream has no such operation.
    #[error("stream `{stream}` of `{connection}` cannot {operation}")]
    Unsupported {
        /// The connection's name.
        connection: String,
        /// The stream's name.
        stream: String,
        /// What was asked for, as a verb.
        operation: String,
    },
    /// A file could not be read or written.
    #[error("`{path}` cannot be {operation}: {source}")]
    File {
        /// The file.
        path: String,
        /// `read`, `written`, ...
        operation: &'static str,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A file's content is not what its format says.
    #[error("`{path}`, {place}: {message}")]
    Content {
        /// The file.
        path: String,
        /// Where in it: `line 7`, `row 12`.
        place: String,
        /// What is wrong.
        message: String,
    },
}

/// What an error means for the run; the exit codes follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// Configuration that a check could not refuse beforehand.
    Configuration,
    /// A source or target is unreachable or answers unusably.
    Unreachable,
    /// Credentials or permissions are refused.
    Refused,
    /// Stopped early and resumable: quota spent.
    Quota,
    /// Stopped from outside and resumable.
    Interrupted,
}

impl ConnectorError {
    /// What this means for the run.
    pub fn stop(&self) -> Stop {
        match self {
            ConnectorError::Unreachable { .. }
            | ConnectorError::Body { .. }
            | ConnectorError::TooLarge { .. }
            | ConnectorError::Shape { .. }
            | ConnectorError::Loop { .. }
            | ConnectorError::Rejected { .. }
            | ConnectorError::File { .. }
            | ConnectorError::Content { .. } => Stop::Unreachable,
            ConnectorError::Auth { .. } => Stop::Refused,
            ConnectorError::QuotaSpent { .. } => Stop::Quota,
            ConnectorError::Cancelled => Stop::Interrupted,
            ConnectorError::Fatal { .. }
            | ConnectorError::Redirected { .. }
            | ConnectorError::ForeignHost { .. }
            | ConnectorError::Template { .. }
            | ConnectorError::Setting { .. }
            | ConnectorError::Unsupported { .. } => Stop::Configuration,
        }
    }

    /// Whether asking again later, with nothing changed, may succeed.
    pub fn is_passing(&self) -> bool {
        matches!(self.stop(), Stop::Unreachable | Stop::Quota | Stop::Interrupted)
    }
}
