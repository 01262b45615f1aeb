//! Matching rules: finding records of other streams, by key, for whole batches at once.
//!
//! [`Lookups`] holds what is known: whole streams that were read once, answers that were asked for, links from the
//! store. A [`BatchResolver`] answers mapping from that memory and notes what is missing; [`Lookups::fetch`] then has
//! all noted questions of a batch answered with as few requests as possible. A lookup never writes: what it does not
//! find may become a pending reference, and what load made of that comes back through [`Lookups::created`].
//!
//! Resolvers are used by several threads at once. A stream that was read whole answers without any lock.

mod answers;
mod ask;
mod cache;
mod error;
mod fallback;
mod fetch;
mod flight;
mod links;
mod load;
mod resolver;
mod source;
mod start;
mod table;
#[cfg(test)]
mod tests;
mod used;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

pub use error::LookupError;
pub use resolver::{BatchResolver, Question};
pub use source::Source;
pub use used::lookups_of;

use crate::compile::compiled::{Load, LookupId, Pipeline};
use crate::mapping::{Found, PendingKey, attempt_label};
use crate::state::State;
use flight::Flights;
use links::Links;
use table::Table;

/// Everything that a pipeline's lookups and links know during a run; clones share it.
#[derive(Clone, Debug)]
pub struct Lookups {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pipeline: Arc<Pipeline>,
    source: Arc<dyn Source>,
    state: Arc<dyn State>,
    /// One for each lookup of the pipeline, in its order.
    tables: Vec<Table>,
    links: Links,
    created: CreatedRecords,
    flights: Flights,
    /// Under what answers are kept between runs: changes with everything that they depend on.
    scope: String,
}

impl Lookups {
    /// Lookups that know nothing yet.
    ///
    /// # Errors
    /// When a lookup's constant condition cannot be evaluated.
    pub fn new(
        pipeline: Arc<Pipeline>,
        source: Arc<dyn Source>,
        state: Arc<dyn State>,
    ) -> Result<Self, LookupError> {
        let tables = used::tables(&pipeline)?;
        let scope = cache::scope(&pipeline);
        Ok(Lookups {
            shared: Arc::new(Shared {
                links: Links::new(pipeline.flows.len()),
                pipeline,
                source,
                state,
                tables,
                created: CreatedRecords::default(),
                flights: Flights::default(),
                scope,
            }),
        })
    }

    /// A resolver for one batch. What is found while it lives stays usable for it, however short it is fresh.
    pub fn resolver(&self) -> BatchResolver {
        BatchResolver::new(Arc::clone(&self.shared))
    }

    /// Makes a record that load created (or found to exist) the answer to every question that named it.
    ///
    /// # Errors
    /// When the store cannot keep it.
    pub fn created(&self, key: &PendingKey, found: Found) -> Result<(), LookupError> {
        let found = Arc::new(found);
        let now = Timestamp::now();
        for (lookup, rule) in self.shared.pipeline.lookups.iter().enumerate() {
            let same_stream = (rule.connection, rule.stream) == (key.connection, key.stream);
            if !same_stream || rule.load == Load::All {
                continue;
            }
            for (attempt, matching) in rule.attempts.iter().enumerate() {
                let label = attempt_label(matching);
                if let Some(asked) = key
                    .key
                    .strip_prefix(&label)
                    .and_then(|rest| rest.strip_prefix('='))
                {
                    self.shared
                        .remember(lookup, attempt, &[(asked, vec![Arc::clone(&found)])], now)?;
                }
            }
        }
        self.shared.created.insert(key.clone(), found);
        Ok(())
    }
}

impl Shared {
    fn table(&self, lookup: LookupId) -> Option<&Table> {
        self.tables.get(lookup)
    }

    /// Keeps answers for this run and, where they are fresh long enough, for the next ones.
    fn remember(
        &self,
        lookup: LookupId,
        attempt: usize,
        answers: &[(&str, Vec<Arc<Found>>)],
        now: Timestamp,
    ) -> Result<(), LookupError> {
        let (Some(table), Some(rule)) = (self.table(lookup), self.pipeline.lookups.get(lookup)) else {
            return Ok(());
        };
        let kept: Vec<_> = answers
            .iter()
            .map(|(key, found)| cache::encode(attempt, key, found, rule.fresh_for, now))
            .collect();
        for (key, found) in answers {
            table.put_found(attempt, key, found.clone(), rule.fresh_for);
        }
        if !rule.fresh_for.is_zero() {
            self.state.put_cached_lookups(&self.scope, &rule.name, &kept)?;
        }
        Ok(())
    }
}

/// Records that load created in this run, by what they were looked for.
#[derive(Debug, Default)]
struct CreatedRecords {
    any: AtomicBool,
    records: RwLock<HashMap<PendingKey, Arc<Found>>>,
}

impl CreatedRecords {
    fn insert(&self, key: PendingKey, found: Arc<Found>) {
        self.records
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, found);
        self.any.store(true, Ordering::Release);
    }

    /// The record, if one was created; `key` is made only when there are any.
    fn find(&self, key: impl FnOnce() -> PendingKey) -> Option<Arc<Found>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.records
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key())
            .cloned()
    }
}
