//! The queue: records that wait, with their reason, to be tried again; never dropped silently.
//!
//! One record has at most one item per flow. A newer observation replaces an older one, success clears it, and a retry
//! that is older than what was loaded since is left out: versions never overtake each other.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::compile::compiled::Side;

/// Why a record waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueKind {
    /// It could not be mapped or written; tried again by the next runs.
    Rejected,
    /// A person decides.
    Held,
    /// What it refers to does not exist yet; outside the reject budget.
    Waiting,
}

impl QueueKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            QueueKind::Rejected => "rejected",
            QueueKind::Held => "held",
            QueueKind::Waiting => "waiting",
        }
    }

    /// The kind of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [QueueKind::Rejected, QueueKind::Held, QueueKind::Waiting]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

/// What is kept of a waiting record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueuedRecord {
    /// Its JSON text as received: a retry may start from it.
    AsReceived(String),
    /// Its JSON text with private members masked: for people; a retry reads the source again.
    Redacted(String),
    /// Nothing but its key.
    KeyOnly,
}

/// The link that a waiting record needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WaitsFor {
    /// The flow that will make the link.
    pub flow: String,
    /// The key that it will link: the source's, or in a two-way flow either side's.
    pub key: String,
}

/// A row of a pair that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRow {
    /// Its name.
    pub row: String,
    /// What the remote side has, masked if private.
    pub remote: Option<String>,
    /// What the local side has, masked if private.
    pub local: Option<String>,
    /// Why it is held, for people.
    pub reason: String,
    /// The side that a person has chosen: the next run writes its value to the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Side>,
}

/// A record that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueItem {
    /// Why.
    pub kind: QueueKind,
    /// The source record's key.
    pub key: String,
    /// The target field that failed.
    pub field: Option<String>,
    /// The rule or step that failed.
    pub rule: String,
    /// A stable short name of the reason.
    pub code: String,
    /// The reason, for people.
    pub reason: String,
    /// The value that failed, masked if private.
    pub value: Option<String>,
    /// The record.
    pub record: QueuedRecord,
    /// How often it has been tried, this time included.
    pub attempts: u32,
    /// When it began to wait; an item that is put again keeps the stored one.
    pub first_seen: Timestamp,
    /// When it was last tried.
    pub last_seen: Timestamp,
    /// Number of the observation that failed.
    pub sequence: u64,
    /// The run that tried it last.
    pub run: Uuid,
    /// The link that it needs.
    pub waits_for: Option<WaitsFor>,
    /// In a two-way flow: the rows that are held, with both values.
    pub held_rows: Vec<HeldRow>,
}

impl QueueItem {
    /// Whether a person may mean this item by `key`: its own, or that of the record without the side before it.
    pub fn is_called(&self, key: &str) -> bool {
        self.key == key
            || Side::BOTH
                .into_iter()
                .any(|side| key_in_queue(side, &self.key) == Some(key))
    }
}

/// A record that waits no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueClear {
    /// The source record's key.
    pub key: String,
    /// Number of the observation that succeeded: a newer item stays.
    pub sequence: u64,
}

/// Which items a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueFilter {
    /// Only this flow's.
    pub flow: Option<String>,
    /// Only this kind.
    pub kind: Option<QueueKind>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// A record's key in the queue of a two-way flow, where keys of both sides stand beside each other.
pub fn queue_key(side: Side, key: &str) -> String {
    format!("{}:{key}", side.name())
}

/// The key of a side's record, if the queue's key is one of that side.
pub fn key_in_queue(side: Side, key: &str) -> Option<&str> {
    key.strip_prefix(side.name())?.strip_prefix(':')
}
