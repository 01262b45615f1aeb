//! Words of two-way flows as actions, where no check is needed.

use crate::compile::compiled::{FirstLink, OnAltered, Policy, Side};
use crate::compile::pointer::Pointer;
use crate::definition::{self, OnceOrSides};

/// What is said of a side, once for both or for each, and where.
pub(super) fn for_side<'w, T>(
    at: &Pointer,
    word: Option<&'w OnceOrSides<T>>,
    side: Side,
) -> (Option<&'w T>, Pointer) {
    match word {
        None => (None, at.clone()),
        Some(OnceOrSides::Once(once)) => (Some(once), at.clone()),
        Some(OnceOrSides::Sides(sides)) => {
            (crate::compile::legs::side(Some(sides), side), at.key(side.name()))
        }
    }
}

/// Who wins a conflict.
pub(super) fn policy(word: Option<&definition::Conflict>) -> Policy {
    match word {
        Some(definition::Conflict::RemoteWins) => Policy::RemoteWins,
        Some(definition::Conflict::LocalWins) => Policy::LocalWins,
        Some(definition::Conflict::NewestWins) => Policy::NewestWins,
        Some(definition::Conflict::Hold) | None => Policy::Hold,
    }
}

/// Who wins without a baseline.
pub(super) fn first_link(word: Option<&definition::FirstLink>) -> FirstLink {
    match word {
        Some(definition::FirstLink::Remote) => FirstLink::Remote,
        Some(definition::FirstLink::Local) => FirstLink::Local,
        Some(definition::FirstLink::Hold) => FirstLink::Hold,
        Some(definition::FirstLink::Policy) | None => FirstLink::Policy,
    }
}

/// What an altered answer means, as it is written.
pub(super) fn on_altered(word: &definition::OnAltered) -> OnAltered {
    match word {
        definition::OnAltered::Accept => OnAltered::Accept,
        definition::OnAltered::Follow => OnAltered::Follow,
        definition::OnAltered::Reject => OnAltered::Reject,
    }
}
