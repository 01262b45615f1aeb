//! Keeping two records in step: three-way reconciliation of one linked pair, row by row. Pure functions, no I/O.
//!
//! A run reads both sides of a pair afresh, maps each side to the other, and asks here what is to be done. Values come
//! as digests ([`Fingerprints`]), because only their equality counts. In the order of a run:
//!
//! 1. [`decide_pair`]: what becomes of two records, or of one without a counterpart.
//! 2. [`freshness`] of each observation against the pair's [`PairBaseline`](crate::state::PairBaseline).
//! 3. [`reconcile`] with one [`RowPolicy`] and one [`RowFacts`] a row: a [`Verdict`] each. For a record that is to be
//!    created [`reconcile_create`].
//! 4. [`Reconciled::baseline`] is what holds without any write; [`Reconciled::intent`] goes into each write's intent.
//! 5. When a write is answered, [`Reconciled::confirm`] moves the rows that were written, and no other.
//! 6. One commit stores the baseline with the batch's links, queue items and cursor. After a crash [`settle`] moves
//!    the rows of an intent that turn out to be written.
//!
//! The rules, and why they are what they are: two values *correspond* if either direction maps one to the other; a
//! value travels only when its own side changed; own writes are not changes; old observations are no evidence; a
//! fallback is no data. `tests/world.rs` is a small world in which breaking any of them loses somebody's edit.

mod create;
mod evidence;
mod facts;
mod fingerprint;
mod judge;
mod pair;
mod policy;
mod progress;
mod verdict;

#[cfg(test)]
mod tests;

pub use create::reconcile_create;
pub use evidence::{Freshness, Observation, changed_last, freshness, is_precondition};
pub use facts::{Mapped, PairFacts, RowFacts, Seen};
pub use fingerprint::Fingerprints;
pub use pair::{Bond, Candidate, HeldMatch, PairAction, PairSituation, Presence, decide_pair};
pub use policy::{ClosedBy, RowPolicy, Way, row_names};
pub use progress::{Answered, Confirmed, Reconciled, Settled, reconcile, settle, settled_as_sent};
pub use verdict::{Action, Cause, NotCarried, Refusal, Verdict, Winner, WonBy};
