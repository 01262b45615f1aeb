//! Two-way flows: two streams whose records are kept in step.
//!
//! A two-way flow is compiled into two directions, each an ordinary [`super::Flow`] that maps records of one side to the
//! other (`cases.to_local`, `cases.to_remote`), and a [`TwoWay`] that ties them: which rows belong together, which
//! records may be created, how each side remembers the other, and who wins. Nothing here compares or writes.

use super::{FirstLink, FlowId, OnAltered, PerSide, Policy, Side, StreamRef, Target};
use crate::expression::{Path, Template, Value};

/// Position in [`super::Pipeline::two_way`].
pub type TwoWayId = usize;

/// Two streams whose records are kept in step.
#[derive(Debug)]
pub struct TwoWay {
    /// Its name, under which its links and baselines are stored.
    pub name: String,
    /// The two streams.
    pub streams: PerSide<StreamRef>,
    /// The directions in [`super::Pipeline::flows`], by the side that they write. Both exist whatever `direction` says.
    pub to: PerSide<FlowId>,
    /// Which directions travel now.
    pub direction: Direction,
    /// Whether a record of this side is made for a record of the other that has no counterpart.
    pub create: PerSide<CreateWhen>,
    /// How this side's records remember the other's.
    pub pair: PerSide<Option<PairKey>>,
    /// When a record of this side was changed last, for `newest_wins`; `$` is the record.
    pub changed_at: PerSide<Option<Path>>,
    /// What becomes of this side's record when the other's is deleted.
    pub on_delete: PerSide<OnPairDeleted>,
    /// The flow whose linked pairs are the parents of these records. A direction has its own `of` only where the stream
    /// that it reads is read by its parents; else its records are read on their own, and a row with `link` says where
    /// they have the parent's key.
    pub of: Option<TwoWayId>,
    /// The rows, in the order written.
    pub rows: Vec<SyncRow>,
    /// JSON pointer of the flow in the pipeline file.
    pub pointer: String,
}

/// The part that a flow plays in a two-way flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DirectionOf {
    /// The two-way flow.
    pub two_way: TwoWayId,
    /// The side that it writes; it reads the other.
    pub to: Side,
}

/// Which directions travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both.
    Both,
    /// Only the local side is written.
    ToLocal,
    /// Only the remote side is written.
    ToRemote,
}

impl Direction {
    /// Whether a side may be written.
    pub fn writes(self, side: Side) -> bool {
        match self {
            Direction::Both => true,
            Direction::ToLocal => side == Side::Local,
            Direction::ToRemote => side == Side::Remote,
        }
    }
}

/// Whether a record is made for one of the other side that has no counterpart.
#[derive(Debug)]
pub enum CreateWhen {
    /// For every one.
    Always,
    /// For none: it stays alone.
    Never,
    /// Where this is true; sees the other side's record by that side's name, `params`, `connections`.
    When(Template),
}

/// How one side's records remember the other's.
#[derive(Debug)]
pub struct PairKey {
    /// Where it stands in this side's records.
    pub path: Path,
    /// What stands there; sees the other side's record by that side's name, `params`, `connections`.
    pub template: Template,
    /// Position of the row that writes it, among the rows of the direction that writes this side. It writes on create.
    pub row: usize,
    /// Position, among that direction's `matches`, of the match that finds an unlinked record by it; `None` where the
    /// stream cannot be found by it.
    pub matching: Option<usize>,
    /// How the other side's key is read back out of it; `None` where `template` holds more than that key.
    pub stored: Option<StoredKey>,
}

/// A key between two fixed texts: `zd:` and nothing in `zd:123`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// What stands before the key.
    pub before: String,
    /// What stands after it.
    pub after: String,
}

impl StoredKey {
    /// The other side's key; `None` if the text was not written by this flow.
    pub fn key<'t>(&self, stored: &'t str) -> Option<&'t str> {
        stored
            .strip_prefix(self.before.as_str())?
            .strip_suffix(self.after.as_str())
            .filter(|key| !key.is_empty())
    }
}

/// What becomes of one side's record when the other's is deleted.
#[derive(Clone, Debug, PartialEq)]
pub enum OnPairDeleted {
    /// The link ends and leaves a tombstone; the record stays.
    Unlink,
    /// Nothing happens; the link stays.
    Keep,
    /// It is deleted, within the guard, and the link ends.
    Delete,
    /// These fields are written, and the link ends.
    Set(Vec<(Target, Value<'static>)>),
}

/// A row of a two-way flow.
#[derive(Debug)]
pub struct SyncRow {
    /// Its name.
    pub name: String,
    /// The fields that are kept in step, by side; `None` on the side that a one-way row only reads from. `$` is that
    /// side's record.
    pub fields: PerSide<Option<Path>>,
    /// Position among the rows of the direction that writes this side; `None`: it never travels there.
    pub to: PerSide<Option<usize>>,
    /// Who wins when both sides changed.
    pub conflict: Policy,
    /// Who wins without a baseline.
    pub on_first_link: FirstLink,
    /// What an altered answer means, on the side that was written.
    pub on_altered: PerSide<OnAltered>,
    /// JSON pointer of the row in the pipeline file.
    pub pointer: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_key_is_read_back_only_as_it_was_written() {
        let stored = StoredKey {
            before: "crm:".to_owned(),
            after: "!".to_owned(),
        };
        assert_eq!(stored.key("crm:17!"), Some("17"));
        for foreign in ["17", "crm:17", "crm:!", "CRM:17!", "crm"] {
            assert_eq!(stored.key(foreign), None, "{foreign}");
        }
    }
}
