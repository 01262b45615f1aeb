//! What the stages hand to one another: batches of records, what the rules made of them, what is to be done.

use jiff::Timestamp;

use super::matching::Wanted;
use crate::compile::compiled::Target;
use crate::connector::Cursor;
use crate::expression::{Record, Value};
use crate::mapping::{Cell, FallbackUsed, Pending, RefusedRow, Reject};
use crate::state::{Digest, PairIntent};

/// What stands for the key of a record that the run creates, where it is not created yet.
pub(crate) const CREATED_BY_RUN: &str = "(created by this run)";

/// Where a batch came from, which decides how it is counted and whether its cursor moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The stream, at its cursor.
    Source,
    /// The queue: records tried again, freshly read.
    Queue,
    /// Asked for by key; no cursor moves.
    Asked,
    /// An earlier run's snapshot; no cursor moves.
    Snapshot,
}

/// Records as they were read.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Number within the flow, from 1.
    pub(crate) number: u32,
    /// The records.
    pub(crate) records: Vec<Record>,
    /// Observation number of the first record; the others follow.
    pub(crate) sequence: u64,
    /// When they were observed, by the server's clock where it tells.
    pub(crate) at: Timestamp,
    /// The cursor once all of them are committed.
    pub(crate) cursor: Option<Cursor>,
    /// Where they came from.
    pub(crate) origin: Origin,
}

/// One record on its way through a flow.
#[derive(Debug)]
pub(crate) struct Item {
    /// The source record's key; a record without one is known by its place.
    pub(crate) key: String,
    /// Its observation number.
    pub(crate) sequence: u64,
    /// The record.
    pub(crate) record: Record,
    /// What the rules made of it.
    pub(crate) outcome: ItemOutcome,
}

/// What the rules made of a record.
#[derive(Debug)]
pub(crate) enum ItemOutcome {
    /// Values for the sink.
    Mapped(Box<MappedItem>),
    /// Left out by the flow's conditions.
    Filtered,
    /// An older observation of a record that the same batch holds again.
    Duplicate,
    /// The source says that it was deleted or erased.
    Deleted,
    /// Left alone.
    Skipped(Reject),
    /// Refused.
    Rejected(Reject),
    /// A person decides.
    Held(Reject),
    /// What it refers to does not exist yet.
    Waiting(Reject),
}

/// A record's values for the sink.
#[derive(Debug)]
pub(crate) struct MappedItem {
    /// One for each row.
    pub(crate) cells: Vec<Cell<'static>>,
    /// Rows that hold a fallback.
    pub(crate) fallbacks: Vec<FallbackUsed>,
    /// Records that load creates before this one.
    pub(crate) pending: Vec<Pending>,
    /// Rows of a two-way direction that could not be applied.
    pub(crate) refused: Vec<RefusedRow>,
    /// One for each row.
    pub(crate) digests: Vec<Option<Digest>>,
    /// Of what decides whether the record changed.
    pub(crate) whole: Digest,
    /// What the flow's match looks for.
    pub(crate) wanted: Vec<Option<Wanted>>,
}

/// One record and what is to be done about it.
#[derive(Debug)]
pub(crate) struct Planned {
    /// The record.
    pub(crate) item: Item,
    /// What is to be done.
    pub(crate) decision: Decision,
    /// What a two-way flow adds.
    pub(crate) pair: Option<Box<PairPlan>>,
}

/// What a two-way flow adds to a decision.
#[derive(Debug, Default)]
pub(crate) struct PairPlan {
    /// What the intent of its write keeps, to be settled after a crash.
    pub(crate) intent: Option<PairIntent>,
    /// The side that won a conflict.
    pub(crate) winner: Option<&'static str>,
    /// What else there is to say: conflicts, rows that wait, changes that do not travel.
    pub(crate) remarks: Vec<String>,
}

impl Planned {
    /// A decision about a record of a one-way flow.
    pub(crate) fn new(item: Item, decision: Decision) -> Self {
        Planned {
            item,
            decision,
            pair: None,
        }
    }

    /// Whether its write sends a value that load has yet to create.
    pub(crate) fn sends_pending(&self) -> bool {
        self.mapped()
            .is_some_and(|mapped| self.decision.sends_pending(mapped))
    }

    /// The values, for decisions that write.
    pub(crate) fn mapped(&self) -> Option<&MappedItem> {
        match &self.item.outcome {
            ItemOutcome::Mapped(mapped) => Some(mapped),
            _ => None,
        }
    }
}

/// What is to be done about a record.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    /// Create it in the sink.
    Create,
    /// Change fields of the sink's record.
    Update(Update),
    /// Several sink records are changed, as `on_many: all` says.
    UpdateAll(Vec<Update>),
    /// Delete the sink's record.
    Delete {
        /// Its key.
        target: String,
    },
    /// Write fixed values into the sink's record, because its counterpart was deleted.
    Set {
        /// Its key.
        target: String,
        /// The record as it was just read.
        before: Value<'static>,
        /// What is written.
        fields: Vec<(Target, Value<'static>)>,
    },
    /// End the link and leave a tombstone.
    Unlink {
        /// Why.
        reason: &'static str,
    },
    /// Nothing differs, or what differs is left alone.
    Unchanged {
        /// The sink's record, when it was just found and is to be linked.
        link: Option<String>,
        /// Whether the baseline is to be advanced.
        baseline: bool,
    },
    /// Left out by the flow's conditions.
    Filtered,
    /// Seen already.
    Duplicate,
    /// Left alone, with the reason.
    Skipped(Reject),
    /// Refused.
    Rejected(Reject),
    /// A person decides.
    Held(Reject),
    /// What it refers to does not exist yet.
    Waiting(Reject),
}

/// Changes of one sink record.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    /// Its key.
    pub(crate) target: String,
    /// The record as it was just read.
    pub(crate) before: Value<'static>,
    /// What changes.
    pub(crate) changes: Vec<super::decide::Change>,
}

impl Decision {
    /// The word for it in snapshots.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Decision::Create => "create",
            Decision::Update(_) | Decision::UpdateAll(_) => "update",
            Decision::Delete { .. } => "delete",
            Decision::Set { .. } => "update",
            Decision::Unlink { .. } => "unlink",
            Decision::Unchanged { .. } => "unchanged",
            Decision::Filtered => "filtered",
            Decision::Duplicate => "duplicate",
            Decision::Skipped(_) => "skip",
            Decision::Rejected(_) => "reject",
            Decision::Held(_) => "hold",
            Decision::Waiting(_) => "wait",
        }
    }

    /// Whether it sends a value that load has yet to create.
    pub(crate) fn sends_pending(&self, mapped: &MappedItem) -> bool {
        let pending = |row: usize| {
            mapped
                .cells
                .get(row)
                .is_some_and(|cell| !cell.pending().is_empty())
        };
        match self {
            Decision::Create => mapped.cells.iter().any(|cell| !cell.pending().is_empty()),
            Decision::Update(update) => update.changes.iter().any(|change| pending(change.row)),
            Decision::UpdateAll(updates) => {
                let mut changes = updates.iter().flat_map(|update| &update.changes);
                changes.any(|change| pending(change.row))
            }
            _ => false,
        }
    }

    /// Whether it changes the sink.
    pub(crate) fn writes(&self) -> bool {
        matches!(
            self,
            Decision::Create
                | Decision::Update(_)
                | Decision::UpdateAll(_)
                | Decision::Delete { .. }
                | Decision::Set { .. }
        )
    }
}
