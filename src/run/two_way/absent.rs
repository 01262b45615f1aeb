//! Records of linked pairs that a read of everything did not show: each is asked for by its key, and what does not answer
//! is deleted, as if its system had said so.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::quiet::Sifted;
use super::{Retried, Toll, TwoWayRun};
use crate::compile::compiled::{OnPairDeleted, Side};
use crate::connector::Cursor;
use crate::expression::Record;
use crate::run::Stop;
use crate::run::batch::{Batch, Item, ItemOutcome, Origin};
use crate::run::transform::{Transformed, record_key};

/// Pairs are looked through in batches of this size.
const AT_ONCE: usize = 500;

/// Which records a read showed, and where it ended. A key is remembered by eight bytes: two that share them hide an
/// absence, and never make one.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hasher: RandomState,
    keys: HashSet<u64>,
    /// The cursor of its last page.
    end: Option<Cursor>,
}

impl Seen {
    fn note(&mut self, key: &str) {
        self.keys.insert(self.hasher.hash_one(key));
    }

    fn has(&self, key: &str) -> bool {
        self.keys.contains(&self.hasher.hash_one(key))
    }

    /// Notes the records of a batch.
    pub(super) fn batch(&mut self, sifted: &Sifted, key: &crate::expression::Path) {
        for item in &sifted.batch.items {
            self.note(&item.key);
        }
        for key in sifted.quiet.iter().filter_map(|record| record_key(key, record)) {
            self.note(&key);
        }
        if let Some(cursor) = &sifted.batch.head.cursor {
            self.end = Some(cursor.clone());
        }
    }
}

impl TwoWayRun {
    /// Finds the linked records of a side that are gone, where a pass that began at `before` saw everything there is.
    pub(super) async fn note_absent(
        &mut self,
        side: Side,
        seen: Seen,
        before: Option<&Cursor>,
    ) -> Result<(), Stop> {
        let stream = self.way().streams[side];
        let told = seen.end.as_ref().is_some_and(|end| end.saw_all(before));
        if !told || self.context.stream(stream).get.is_none() {
            return Ok(());
        }
        let gone = self.absent(side, &seen).await?;
        if gone.is_empty() {
            return Ok(());
        }
        tracing::info!(flow = %self.way().name, side = side.name(), records = gone.len(), "Records of linked pairs are gone.");
        let options = &self.context.options;
        let unguarded = options.yes || options.dry_run || self.context.kept.is_some();
        if let (Some(guard), false) = (self.guard(side), unguarded) {
            let count = gone.len() as u64;
            let toll = match self.way().on_delete[side.other()] {
                OnPairDeleted::Delete => Toll {
                    deleted: count,
                    ..Toll::default()
                },
                OnPairDeleted::Set(_) => Toll {
                    changed: count,
                    ..Toll::default()
                },
                OnPairDeleted::Unlink | OnPairDeleted::Keep => Toll::default(),
            };
            if let Some(stop) = self.refusal(side, &guard, &toll)? {
                return Err(stop);
            }
        }
        self.part(side, &gone, Origin::Asked, &Retried::default()).await
    }

    /// Works on records of a side that their system does not have any more.
    pub(super) async fn part(
        &mut self,
        side: Side,
        gone: &[String],
        origin: Origin,
        retried: &Retried,
    ) -> Result<(), Stop> {
        for keys in gone.chunks(AT_ONCE) {
            self.context.may_go_on()?;
            self.batches += 1;
            let first = self.context.state.next_sequence(keys.len() as u64)?;
            let items = keys.iter().zip(first..).map(|(key, sequence)| Item {
                key: key.clone(),
                sequence,
                record: Record::new(bytes::Bytes::from_static(b"null")),
                outcome: ItemOutcome::Deleted,
            });
            let batch = Transformed {
                items: items.collect(),
                head: Batch {
                    number: self.batches,
                    records: Vec::new(),
                    sequence: first,
                    at: jiff::Timestamp::now(),
                    cursor: None,
                    origin,
                },
                coverage: Default::default(),
                rows: Vec::new(),
            };
            let sifted = Sifted {
                batch,
                quiet: Vec::new(),
            };
            self.work(sifted, side, retried).await?;
        }
        Ok(())
    }

    /// The records of these keys, and the keys of which their system has none.
    pub(super) async fn read_or_gone(
        &self,
        side: Side,
        keys: &[String],
    ) -> Result<(Vec<Record>, Vec<String>), Stop> {
        let records = self.read(side, keys).await?;
        let path = &self.context.stream(self.way().streams[side]).key;
        let there: HashSet<String> = records
            .iter()
            .filter_map(|record| record_key(path, record))
            .collect();
        let gone = keys.iter().filter(|key| !there.contains(*key)).cloned().collect();
        Ok((records, gone))
    }

    /// Keys of linked records that were not seen and do not answer.
    async fn absent(&self, side: Side, seen: &Seen) -> Result<Vec<String>, Stop> {
        let flow = self.context.flow_ref(self.leaving(side));
        let mut gone = Vec::new();
        let mut after: Option<String> = None;
        loop {
            self.context.may_go_on()?;
            let pairs = self
                .context
                .state
                .pairs_after(flow, side, after.as_deref(), AT_ONCE)?;
            let own = |keys: &crate::state::PairKeys| match side {
                Side::Remote => keys.remote.clone(),
                Side::Local => keys.local.clone(),
            };
            let Some(last) = pairs.last() else {
                return Ok(gone);
            };
            after = Some(own(&last.keys));
            let linked = pairs.iter().filter(|pair| !pair.tombstone);
            let suspects: Vec<String> = linked
                .map(|pair| own(&pair.keys))
                .filter(|key| !seen.has(key))
                .collect();
            if suspects.is_empty() {
                continue;
            }
            gone.extend(self.read_or_gone(side, &suspects).await?.1);
        }
    }
}
