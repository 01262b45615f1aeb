//! What is decided about a row, and why.

use crate::compile::compiled::{PerSide, Side};
use crate::state::PairRow;

/// A decision about one row of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is done.
    pub action: Action,
    /// Why.
    pub cause: Cause,
    /// The row's baseline unless a write of it is confirmed; moved already where no write is needed.
    pub row: PairRow,
    /// The side lacks a value because a lookup found nothing: its key is to be tried again by every run.
    pub unresolved: PerSide<bool>,
}

/// What is done with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing, and nothing is known anew.
    Nothing,
    /// Nothing is written; the baseline advances.
    Settle,
    /// What mapping made for this side is written there.
    Write(Side),
    /// A person decides; the row waits, the others travel.
    Hold,
    /// Something changed that may not travel; counted and shown.
    NotCarried {
        /// The side that is left as it is.
        to: Side,
        /// Why.
        reason: NotCarried,
    },
    /// The record goes to the queue as rejected; nothing of the row moves.
    Refuse(Refusal),
}

/// Why a change does not travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotCarried {
    /// The flow's `direction`.
    FlowDirection,
    /// The row has no rule that way.
    RowDirection,
    /// `write: on_create`.
    OnCreate,
    /// `write: if_empty`, and the field is not.
    NotEmpty,
    /// `write: never_null`, and the value is.
    Null,
    /// The rules leave the field alone.
    NotApplied,
    /// Only a fallback could be written, over a value of somebody's.
    Fallback,
    /// The record takes no more writes.
    Frozen,
}

impl NotCarried {
    /// A stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            NotCarried::FlowDirection => "flow_direction",
            NotCarried::RowDirection => "row_direction",
            NotCarried::OnCreate => "on_create",
            NotCarried::NotEmpty => "if_empty",
            NotCarried::Null => "never_null",
            NotCarried::NotApplied => "not_applied",
            NotCarried::Fallback => "fallback",
            NotCarried::Frozen => "frozen",
        }
    }
}

/// Why a row cannot be judged or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The value that would travel to this side has no counterpart there.
    Unmapped(Side),
    /// What this side's value would be is not known, so that nobody can tell whether the sides correspond.
    Unknown(Side),
    /// This side's record takes no more writes, and `on_frozen` says reject.
    Frozen(Side),
}

/// Why a row is treated as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Neither side changed.
    Unchanged,
    /// One side changed.
    Changed(Side),
    /// Something changed, and the sides correspond.
    Agreed,
    /// Both sides changed.
    Conflict(Winner),
    /// The row had no baseline, and the sides do not correspond.
    FirstLink(Winner),
    /// A key that a fallback stood in for has been found.
    Resolved,
    /// A person chose this side.
    Ruled(Side),
    /// The row waits for a person.
    Waiting,
    /// The record is created.
    Created,
}

/// Who wins where two values stand against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Winner {
    /// The side; `None` where nobody does.
    pub side: Option<Side>,
    /// By what.
    pub by: WonBy,
}

/// What made a side win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WonBy {
    /// The policy.
    Policy,
    /// `newest_wins`, and that cannot be told: the remote side.
    NoTime,
    /// The policy's winner has only a fallback, which is no data.
    Fallback,
    /// The policy's winner has nothing to say to the other side.
    Silence,
    /// The other side is empty.
    OtherEmpty,
    /// The row has one direction only.
    OnlyWay,
}

impl WonBy {
    /// A stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            WonBy::Policy => "policy",
            WonBy::NoTime => "no_time",
            WonBy::Fallback => "fallback",
            WonBy::Silence => "silence",
            WonBy::OtherEmpty => "other_empty",
            WonBy::OnlyWay => "only_way",
        }
    }
}
