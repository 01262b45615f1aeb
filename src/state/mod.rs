//! What survives a run: cursors, links, baselines, intents, the queue, budgets and the lease.
//!
//! Everybody above speaks to the [`State`] trait; [`SqliteState`] keeps it in one file. Methods are synchronous and
//! take whole batches, so that a thousand records cost a few prepared statements in one transaction: call them from a
//! blocking thread, or directly where the transaction is short. A [`Batch`] is atomic: the cursor moves past records
//! only together with the links, baselines and queue items that those records left behind.
//!
//! Flows, streams and lookups are known here by name, because positions in a pipeline change when its file does.

mod baseline;
mod batch;
mod budget;
mod error;
mod intent;
mod lease;
mod linking;
mod pair;
mod queue;
mod run;
mod sqlite;
#[cfg(test)]
mod suite;

use std::collections::HashMap;
use std::fmt::Debug;

use jiff::Timestamp;
use uuid::Uuid;

pub use baseline::{Baseline, CANONICAL_FORM, Digest, Digester, RowBaseline};
pub use batch::{Batch, Committed, CursorPut, Fallback, FlowRef, Link, LinkChange, StoredCursor};
pub use budget::{BudgetDraw, BudgetGrant, BudgetRef};
pub use error::StateError;
pub use intent::{Claim, CreateKey, Created, Intent};
pub use lease::{Holder, Lease};
pub use linking::{Linked, LinkingError, Unlinked, link, unlink};
pub use pair::{IntendedRow, PairBaseline, PairIntent, PairKeys, PairRow, SideMark, StoredPair};
pub use queue::{
    HeldRow, QueueClear, QueueFilter, QueueItem, QueueKind, QueuedRecord, WaitsFor, key_in_queue, queue_key,
};
pub use run::{FlowStatus, Run, RunEnd, RunStart, Status};
pub use sqlite::SqliteState;

use crate::compile::compiled::Side;

/// One answer of a lookup, as the cache keeps it between runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedLookup {
    /// The normalised key that was asked for.
    pub key: String,
    /// What was found, as JSON text; `None` when nothing was.
    pub found: Option<String>,
    /// When the answer is too old to be used.
    pub expires: Timestamp,
}

/// Where a pipeline's memory is kept. Every implementation passes the same test suite.
///
/// Errors: every method fails with a [`StateError`] when the store cannot be read or written; a method that changes
/// something has then changed nothing.
pub trait State: Debug + Send + Sync {
    /// The secret key of all digests in this store: 32 random bytes, made with the store.
    fn digest_key(&self) -> [u8; 32];

    /// Reserves `count` observation numbers and returns the first. Numbers only grow, across runs and processes.
    fn next_sequence(&self, count: u64) -> Result<u64, StateError>;

    /// Takes the right to run a pipeline against this store; it ends when the lease is dropped or the process ends.
    /// Fails with [`StateError::LeaseHeld`] when another run has it.
    fn lease(&self, pipeline: &str, holder: &Holder) -> Result<Box<dyn Lease>, StateError>;

    /// Who holds a pipeline's lease now, as far as that is known.
    fn lease_holder(&self, pipeline: &str) -> Result<Option<Holder>, StateError>;

    /// The cursor of a flow's stream.
    fn cursor(&self, flow: FlowRef<'_>, stream: &str) -> Result<Option<StoredCursor>, StateError>;

    /// Links by source key; keys without a link are absent. A link may be a tombstone.
    fn links(&self, flow: FlowRef<'_>, sources: &[&str]) -> Result<HashMap<String, Link>, StateError>;

    /// The other way round: source keys by target key, tombstones included.
    fn linked_sources(
        &self,
        flow: FlowRef<'_>,
        targets: &[&str],
    ) -> Result<HashMap<String, String>, StateError>;

    /// Up to `limit` links in order of their source keys, after `after`; tombstones included.
    fn links_after(
        &self,
        flow: FlowRef<'_>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Link)>, StateError>;

    /// How many links a flow has, tombstones not counted.
    fn link_count(&self, flow: FlowRef<'_>) -> Result<u64, StateError>;

    /// Baselines by source key. One that was made in another canonical form is no baseline and is absent.
    fn baselines(&self, flow: FlowRef<'_>, sources: &[&str])
    -> Result<HashMap<String, Baseline>, StateError>;

    /// Linked pairs of a two-way flow, by the keys of one side, with what is remembered of them; tombstones included.
    /// A baseline that was made in another form is no baseline.
    fn pairs(
        &self,
        flow: FlowRef<'_>,
        side: Side,
        keys: &[&str],
    ) -> Result<HashMap<String, StoredPair>, StateError>;

    /// Up to `limit` of them in order of one side's keys, after `after`.
    fn pairs_after(
        &self,
        flow: FlowRef<'_>,
        side: Side,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredPair>, StateError>;

    /// Stores all of a batch or nothing. Fails with [`StateError::LinkTaken`] when a target is already linked to another source.
    fn commit(&self, batch: &Batch) -> Result<Committed, StateError>;

    /// Makes intents durable: on return they survive the loss of power. To be called before their requests are sent.
    fn put_intents(&self, intents: &[Intent]) -> Result<(), StateError>;

    /// Notes the job that does an intent's work, durably.
    fn set_intent_job(&self, intents: &[Uuid], job: &str) -> Result<(), StateError>;

    /// Intents of a pipeline that nobody has settled, oldest first.
    fn open_intents(&self, pipeline: &str) -> Result<Vec<Intent>, StateError>;

    /// Claims the creation of records that lookups did not find: one claim in the world for each key. A claim of a
    /// dead run of the same pipeline without an open intent is taken over; a creation noted before `believe_after` counts no longer.
    fn claim_creates(
        &self,
        pipeline: &str,
        run: Uuid,
        keys: &[CreateKey],
        believe_after: Timestamp,
    ) -> Result<Vec<Claim>, StateError>;

    /// Gives claims back that led to no record.
    fn release_creates(&self, run: Uuid, keys: &[CreateKey]) -> Result<(), StateError>;

    /// Queue items of a pipeline, in order of flow and key.
    fn queue_list(
        &self,
        pipeline: &str,
        filter: &QueueFilter,
    ) -> Result<Vec<(String, QueueItem)>, StateError>;

    /// One queue item.
    fn queue_show(&self, flow: FlowRef<'_>, key: &str) -> Result<Option<QueueItem>, StateError>;

    /// Reasons of a flow's held items with this code, by key; without those that a person asked to try again.
    fn queue_held(&self, flow: FlowRef<'_>, code: &str) -> Result<HashMap<String, String>, StateError>;

    /// Removes items for good; returns how many there were.
    fn queue_drop(&self, flow: FlowRef<'_>, keys: &[&str]) -> Result<u64, StateError>;

    /// Asks the next run to try items again, whatever their kind and attempts; returns how many there were.
    fn queue_retry(&self, flow: FlowRef<'_>, keys: &[&str]) -> Result<u64, StateError>;

    /// Notes which side a person has chosen for held rows of a record (`rows` empty: for all of them), and asks the next
    /// run to judge them again; returns how many there were.
    fn queue_resolve(
        &self,
        flow: FlowRef<'_>,
        key: &str,
        rows: &[&str],
        winner: Side,
    ) -> Result<u64, StateError>;

    /// Up to `limit` items after key `after` that a run should try again: rejected ones with at most `at_most_attempts`
    /// attempts (`None`: any), waiting ones whose link exists now (or that wait for no link), and those that a person asked for.
    fn queue_retryable(
        &self,
        flow: FlowRef<'_>,
        at_most_attempts: Option<u32>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<QueueItem>, StateError>;

    /// Answers of a lookup that are still fresh at `now`, by key. `scope` identifies everything that the answers depend on.
    fn cached_lookups(
        &self,
        scope: &str,
        lookup: &str,
        keys: &[&str],
        now: Timestamp,
    ) -> Result<HashMap<String, CachedLookup>, StateError>;

    /// Keeps answers of a lookup, replacing older ones.
    fn put_cached_lookups(
        &self,
        scope: &str,
        lookup: &str,
        answers: &[CachedLookup],
    ) -> Result<(), StateError>;

    /// Removes answers that have expired; returns how many.
    fn expire_cached_lookups(&self, now: Timestamp) -> Result<u64, StateError>;

    /// Unresolved keys of a flow for which a fallback was written.
    fn fallbacks(&self, flow: FlowRef<'_>) -> Result<Vec<Fallback>, StateError>;

    /// Draws requests from a budget that processes share.
    fn draw_budget(&self, draw: &BudgetDraw<'_>) -> Result<BudgetGrant, StateError>;

    /// Nobody draws from the budget before `until`; an earlier pause is never shortened.
    fn pause_budget(&self, budget: BudgetRef<'_>, until: Timestamp) -> Result<(), StateError>;

    /// Corrects a budget by what the system says is left of it at `now`; it is never raised by this.
    fn correct_budget(&self, budget: BudgetRef<'_>, remaining: u64, now: Timestamp)
    -> Result<(), StateError>;

    /// Notes that a run began.
    fn start_run(&self, start: &RunStart) -> Result<(), StateError>;

    /// Notes how a run ended.
    fn end_run(&self, end: &RunEnd) -> Result<(), StateError>;

    /// The last `limit` runs of a pipeline, newest first.
    fn runs(&self, pipeline: &str, limit: usize) -> Result<Vec<Run>, StateError>;

    /// What there is about a pipeline: flows, cursors, queue, open intents, last run.
    fn status(&self, pipeline: &str) -> Result<Status, StateError>;
}
