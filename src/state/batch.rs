//! What one batch of records changes in the store, as one transaction.
//!
//! A batch belongs to one flow. Its cursor moves only together with everything that its records left behind, so a
//! crash at any moment leaves either none or all of it.

use uuid::Uuid;

use super::{Baseline, Created, PairBaseline, PairKeys, QueueClear, QueueItem};
use crate::compile::compiled::Side;
use crate::crash::Point;

/// A flow, by names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowRef<'a> {
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// The flow's name.
    pub flow: &'a str,
}

/// What a source key is linked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The target's key; `None` for a record loaded into a sink without keys.
    pub target: Option<String>,
    /// The link has ended: neither record is matched or created again.
    pub tombstone: bool,
}

/// One change of a flow's links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// The source is linked to the target, from now on and instead of what it was linked to. A tombstone comes to life.
    Put {
        /// The source's key.
        source: String,
        /// The target's key.
        target: String,
    },
    /// The link ends and leaves a tombstone; its baseline goes.
    End {
        /// The source's key.
        source: String,
    },
    /// The link, its tombstone and its baseline are forgotten.
    Forget {
        /// The source's key.
        source: String,
    },
}

/// How far a stream has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorPut {
    /// The stream, as `connection.stream`.
    pub stream: String,
    /// The connector's cursor as JSON text, with the keys seen at its boundary.
    pub cursor: String,
    /// Digest of what decides which records are read; another one later asks for a full read.
    pub selection: String,
}

/// A cursor as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCursor {
    /// The connector's cursor as JSON text.
    pub cursor: String,
    /// Digest of the selection under which it was made.
    pub selection: String,
    /// The run that committed it.
    pub run: Uuid,
    /// When.
    pub updated: jiff::Timestamp,
}

/// A fallback that stands in the target because a key resolved to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fallback {
    /// The source record; in a two-way flow the remote one.
    pub source: String,
    /// The row's target; in a two-way flow the row's name.
    pub row: String,
    /// In a two-way flow the side where the fallback stands, or for which there is none but it.
    pub to: Option<Side>,
    /// The lookup.
    pub lookup: String,
    /// The key that was not found, normalised.
    pub key: String,
}

/// Everything that a batch of one flow's records changes.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The pipeline.
    pub pipeline: String,
    /// The flow.
    pub flow: String,
    /// The run that commits.
    pub run: Uuid,
    /// When it commits.
    pub at: jiff::Timestamp,
    /// Changes of links, in order.
    pub links: Vec<LinkChange>,
    /// Baselines by source key. An older observation than the stored one is left out; a source without link gets one without target.
    pub baselines: Vec<(String, Baseline)>,
    /// What is remembered of linked pairs of a two-way flow from now on. A pair that is not linked, or of which something
    /// newer is stored, is left out.
    pub pairs: Vec<(PairKeys, PairBaseline)>,
    /// Records that wait. An item older than the stored one, or than the key's baseline, is left out.
    pub queue_put: Vec<QueueItem>,
    /// Records that no longer wait.
    pub queue_clear: Vec<QueueClear>,
    /// Cursors of the flow's streams.
    pub cursors: Vec<CursorPut>,
    /// Intents whose outcome is known and recorded by this batch; their requests' bytes are deleted.
    pub intents_settled: Vec<Uuid>,
    /// Records that lookups' claims have led to.
    pub created: Vec<Created>,
    /// Sources whose fallbacks are known anew: all their earlier ones are replaced by those of `fallbacks`.
    pub fallbacks_of: Vec<String>,
    /// Fallbacks that now stand in the target.
    pub fallbacks: Vec<Fallback>,
}

impl Batch {
    /// A batch that changes nothing yet.
    pub fn new(flow: FlowRef<'_>, run: Uuid, at: jiff::Timestamp) -> Self {
        Batch {
            pipeline: flow.pipeline.to_owned(),
            flow: flow.flow.to_owned(),
            run,
            at,
            links: Vec::new(),
            baselines: Vec::new(),
            pairs: Vec::new(),
            queue_put: Vec::new(),
            queue_clear: Vec::new(),
            cursors: Vec::new(),
            intents_settled: Vec::new(),
            created: Vec::new(),
            fallbacks_of: Vec::new(),
            fallbacks: Vec::new(),
        }
    }

    /// The points at which a test lets the process die around this batch's transaction, by what it changes.
    pub(crate) fn crash_points(&self) -> impl Iterator<Item = (Point, Point)> {
        let pairs = !(self.links.is_empty() && self.baselines.is_empty() && self.pairs.is_empty());
        let points = [
            pairs.then_some((Point::CommitBefore, Point::CommitAfter)),
            (!self.queue_put.is_empty()).then_some((Point::QueueBefore, Point::QueueAfter)),
            (!self.cursors.is_empty()).then_some((Point::CursorBefore, Point::CursorAfter)),
        ];
        points.into_iter().flatten()
    }

    /// The batch's flow.
    pub fn flow_ref(&self) -> FlowRef<'_> {
        FlowRef {
            pipeline: &self.pipeline,
            flow: &self.flow,
        }
    }
}

/// What a commit left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Keys of queue items that were older than what the store knows of their record.
    pub stale: Vec<String>,
    /// Remote keys of pairs whose baseline was not stored: they are not linked, or something newer is known of them.
    pub stale_pairs: Vec<String>,
}
