//! What a row may do: its directions and who wins.

use crate::compile::compiled::{FirstLink, OnAltered, PerSide, Policy, WritePolicy};

/// The rules of one row, the same for all pairs of a flow.
#[derive(Clone, Copy, Debug)]
pub struct RowPolicy {
    /// The direction that writes each side.
    pub ways: PerSide<Way>,
    /// Who wins when both sides changed.
    pub conflict: Policy,
    /// Who wins without a baseline.
    pub on_first_link: FirstLink,
    /// What an altered answer of each side means.
    pub on_altered: PerSide<OnAltered>,
}

/// One direction of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Values travel when the write policy lets them.
    Open(WritePolicy),
    /// There are fields on both sides, but values do not travel this way; a change is told and kept for later.
    Closed(ClosedBy),
    /// There is nothing to write: a one-way row has only a target.
    None,
}

/// What closes a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The flow's `direction`, for now.
    Flow,
    /// The row has no rule that way.
    Row,
}
