//! Why a run comes to an end before its work does, and which ending that is.

use crate::connector::{ConnectorError, Stop as ConnectorStop};
use crate::lookup::LookupError;
use crate::snapshot::SnapshotError;
use crate::state::StateError;

use super::{Cancellation, Ending};

/// A reason to stop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// A system cannot be used.
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    /// A lookup cannot be answered.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The state file cannot be used, or another run holds the lease.
    #[error(transparent)]
    State(#[from] StateError),
    /// The snapshots cannot be written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Too many rejects.
    #[error(
        "flow `{flow}`: {rejected} of {read} records were rejected, more than `rejects.allow` permits; see `crosswalk queue list`"
    )]
    RejectBudget {
        /// The flow.
        flow: String,
        /// Rejected so far.
        rejected: u64,
        /// Read so far.
        read: u64,
    },
    /// A guard, or something that had to be there before the first write.
    #[error("{0}")]
    Refused(String),
    /// A signal.
    #[error("interrupted")]
    Cancelled,
    /// The time limit.
    #[error("the time limit was reached")]
    TimeLimit,
    /// The temporary file of a guarded flow.
    #[error("the temporary file of the plan cannot be used: {0}; check the space in the temporary directory")]
    Spool(#[source] std::io::Error),
    /// What a run under a plan is to do could not be decided once more.
    #[error("{message}")]
    Planning {
        /// How deciding ended.
        ending: Ending,
        /// Why.
        message: String,
    },
    /// A defect of this program.
    #[error("internal failure: {0}")]
    Internal(String),
}

impl Stop {
    /// The ending that this reason leads to.
    pub(crate) fn ending(&self, cancellation: &Cancellation) -> Ending {
        match self {
            Stop::Connector(error) => of_connector(error, cancellation),
            Stop::Lookup(LookupError::Connector { source, .. }) => of_connector(source, cancellation),
            Stop::Lookup(LookupError::State(_)) => Ending::StateUnusable,
            Stop::Lookup(LookupError::Worker { .. }) => Ending::Internal,
            Stop::Lookup(_) => Ending::Refused,
            Stop::State(StateError::LeaseHeld { .. }) => Ending::Leased,
            Stop::State(error) if error.is_unusable() => Ending::StateUnusable,
            Stop::State(_) | Stop::Internal(_) => Ending::Internal,
            Stop::Snapshot(_) | Stop::Spool(_) => Ending::StateUnusable,
            Stop::RejectBudget { .. } => Ending::RejectBudget,
            Stop::Refused(_) => Ending::Refused,
            Stop::Cancelled => interrupted(cancellation),
            Stop::TimeLimit => Ending::StoppedEarly,
            Stop::Planning { ending, .. } => ending.clone(),
        }
    }
}

fn of_connector(error: &ConnectorError, cancellation: &Cancellation) -> Ending {
    if cancellation.is_stopped() {
        return interrupted(cancellation);
    }
    match error.stop() {
        ConnectorStop::Configuration => Ending::Misconfigured,
        ConnectorStop::Unreachable => Ending::Unreachable,
        ConnectorStop::Refused => Ending::AuthRefused,
        ConnectorStop::Quota => Ending::StoppedEarly,
        ConnectorStop::Interrupted => interrupted(cancellation),
    }
}

fn interrupted(cancellation: &Cancellation) -> Ending {
    if cancellation.is_out_of_time() {
        return Ending::StoppedEarly;
    }
    Ending::Interrupted {
        signal: cancellation.signal().unwrap_or(2),
    }
}
