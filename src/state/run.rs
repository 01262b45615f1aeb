//! Runs as the store remembers them, and what it tells about a pipeline.

use jiff::Timestamp;
use uuid::Uuid;

use super::Holder;

/// The beginning of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStart {
    /// Its id.
    pub id: Uuid,
    /// The pipeline.
    pub pipeline: String,
    /// When it began.
    pub started: Timestamp,
    /// The interrupted run that it continues.
    pub continues: Option<Uuid>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// Its id.
    pub id: Uuid,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended: a word.
    pub ending: String,
    /// Its counts, as JSON text.
    pub counts: String,
}

/// A run as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// How it began.
    pub start: RunStart,
    /// How it ended; `None` while it runs or after a crash.
    pub end: Option<RunEnd>,
}

/// What the store knows of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its flows, by name.
    pub flows: Vec<FlowStatus>,
    /// Writes whose outcome is unknown.
    pub open_intents: u64,
    /// The last run.
    pub last_run: Option<Run>,
    /// Who runs it now.
    pub holder: Option<Holder>,
    /// Version of the store's tables.
    pub schema_version: u32,
}

/// What the store knows of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowStatus {
    /// Its name.
    pub flow: String,
    /// Its cursors, by stream.
    pub cursors: Vec<(String, super::StoredCursor)>,
    /// Linked records.
    pub links: u64,
    /// Ended links.
    pub tombstones: u64,
    /// Records that could not be mapped or written.
    pub rejected: u64,
    /// Records that wait for a person.
    pub held: u64,
    /// Records that wait for a link.
    pub waiting: u64,
    /// When the oldest item of its queue began to wait.
    pub oldest: Option<Timestamp>,
}
