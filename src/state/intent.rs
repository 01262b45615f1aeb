//! Intents: remote writes made durable before their requests, and claims of creations.
//!
//! After a crash an open intent says exactly what may or may not have been written, byte for byte, so that it can be
//! sent again under the same idempotency key, asked after, or found again; nothing is created twice or lost.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Baseline, PairIntent};

/// A write that is about to be sent, or whose answer is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its id (version 7, so that ids sort by time); also the idempotency key where the system takes one.
    pub id: Uuid,
    /// The pipeline.
    pub pipeline: String,
    /// The flow.
    pub flow: String,
    /// The connection that is written to.
    pub connection: String,
    /// Its stream.
    pub stream: String,
    /// `create`, `update`, `upsert` or `delete`.
    pub operation: String,
    /// The target's key, where it is known before the write.
    pub key: Option<String>,
    /// The source record's key.
    pub source_key: String,
    /// Everything needed to send the same request again, without credentials; deleted on settlement.
    pub request: Vec<u8>,
    /// The source record's baseline once this is written.
    pub baseline: Option<Baseline>,
    /// In a two-way flow: what the pair becomes once this is written.
    pub pair: Option<PairIntent>,
    /// The claim that this create fulfils.
    pub create: Option<CreateKey>,
    /// When its request was first about to be sent.
    pub first_sent: Timestamp,
    /// The job that does it, once known.
    pub job: Option<String>,
    /// The run that made it.
    pub run: Uuid,
}

/// What a lookup did not find and load will create: once for each such key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreateKey {
    /// The connection, by what identifies its account.
    pub connection: String,
    /// The stream.
    pub stream: String,
    /// The normalised key.
    pub key: String,
}

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The claimant creates it.
    Won,
    /// It has been created: this is its key in the target.
    Created(String),
    /// Another run is about to create it.
    Busy {
        /// That run.
        run: Uuid,
        /// When it claimed.
        since: Timestamp,
    },
}

/// A claim that led to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The claim.
    pub claim: CreateKey,
    /// The record's key in the target.
    pub key: String,
}
