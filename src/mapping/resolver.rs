//! [`Resolver`]: where mapping gets records of other streams from.
//!
//! Mapping is pure: a resolver answers from memory only. What it does not know it notes and answers
//! [`Resolution::Missing`]; `run` has the noted questions answered, for a whole batch at once, and maps again.

use std::sync::Arc;

use crate::compile::compiled::{ConnectionId, FlowId, LookupId};
use crate::expression::Value;

/// Answers lookups and links from memory.
pub trait Resolver {
    /// The records that a lookup finds for what it is given.
    fn resolve(&self, lookup: LookupId, given: &Value<'_>) -> Resolution;

    /// The key to which a flow linked one of our keys.
    fn link(&self, flow: FlowId, key: &str) -> Resolution;
}

/// The answer to a lookup.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// One record.
    Found(Arc<Found>),
    /// Several records, in the order in which the system returned them.
    Many(Vec<Arc<Found>>),
    /// No record.
    None,
    /// Not known yet; the question is noted.
    Missing,
    /// The question could not be answered; says why. The record is tried again later.
    Failed(String),
}

/// A record that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its key.
    pub key: Value<'static>,
    /// As much of it as rules read; null where only its key is needed.
    pub record: Arc<Value<'static>>,
}

/// What identifies a record that load will create because a lookup found nothing: equal for all records that need it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PendingKey {
    /// The connection in which it is created.
    pub connection: ConnectionId,
    /// The stream in its connector.
    pub stream: usize,
    /// Path and normalised value of what was looked for, as `$.email=ann@example.com`.
    pub key: String,
}
