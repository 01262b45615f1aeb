//! Gathering: the pairs of a batch, both sides freshly read.
//!
//! Links and baselines come from state in one question. A record that equals its baseline needs no request. Counterparts
//! are read by key, or looked for: first by the key that the record itself remembers, then by the direction's match.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::Retried;
use super::judge::{Judge, seen_values};
use super::pair::{Observed, Pair};
use crate::compile::compiled::{Side, TwoWay};
use crate::expression::{Record, Value};
use crate::mapping::Reject;
use crate::run::Stop;
use crate::run::batch::{Batch, Decision, Item, ItemOutcome, Origin};
use crate::run::context::Context;
use crate::run::counterpart::Counterparts;
use crate::run::flow::readable_by_key;
use crate::run::transform::{transform, transform_counterparts};
use crate::state::{StoredPair, queue_key};
use crate::sync::{Bond, Candidate, Presence};

/// Gathers the pairs of batches of one side.
pub(super) struct Gatherer<'c> {
    context: &'c Arc<Context>,
    judge: &'c Judge<'c>,
    way: &'c TwoWay,
    from: Side,
}

impl<'c> Gatherer<'c> {
    /// Pairs of the records of one side.
    pub(super) fn new(context: &'c Arc<Context>, judge: &'c Judge<'c>, from: Side) -> Self {
        let way = judge.way();
        Gatherer {
            context,
            judge,
            way,
            from,
        }
    }

    /// What a side's clock shows.
    fn now(&self, side: Side) -> Timestamp {
        let ahead = self.context.connection(self.way.streams[side]).clock_ahead();
        let now = Timestamp::now();
        now.checked_add(ahead).unwrap_or(now)
    }

    fn to(&self) -> Side {
        self.from.other()
    }

    /// The pairs of a batch.
    pub(super) async fn gather(
        &self,
        items: Vec<Item>,
        at: Timestamp,
        retried: &Retried,
    ) -> Result<Vec<Pair>, Stop> {
        let mut pairs: Vec<Pair> = items
            .into_iter()
            .map(|item| self.brought(item, (at, false)))
            .collect();
        self.bind(&mut pairs)?;
        for pair in &mut pairs {
            let key = queue_key(self.from, pair.key());
            pair.rulings = retried.rulings.get(&key).cloned().unwrap_or_default();
        }
        self.refresh_stale(&mut pairs).await?;
        for pair in &mut pairs {
            if self.equals_baseline(pair) {
                pair.at_once = Some(Decision::Unchanged {
                    link: None,
                    baseline: false,
                });
            }
        }
        self.read_counterparts(&mut pairs).await?;
        Ok(pairs)
    }

    /// Reads both sides of a pair again.
    pub(super) async fn again(&self, pair: &mut Pair) -> Result<(), Stop> {
        pair.reopen();
        let key = pair.key().to_owned();
        let by_key = readable_by_key(self.context, self.way.streams[self.from]);
        match self.read_own(std::slice::from_ref(&key)).await?.remove(&key) {
            Some(observed) => pair.sides[self.from] = Some(observed),
            None if !by_key => {}
            None => {
                if let Some(observed) = &mut pair.sides[self.from] {
                    observed.presence = Presence::Deleted;
                }
            }
        }
        pair.sides[self.to()] = None;
        let pairs = std::slice::from_mut(pair);
        self.bind(pairs)?;
        self.read_counterparts(pairs).await
    }

    /// A record of this side as it was read.
    fn brought(&self, item: Item, (at, by_key): (Timestamp, bool)) -> Pair {
        let (presence, at_once) = match &item.outcome {
            ItemOutcome::Mapped(_) => (Presence::Present, None),
            ItemOutcome::Deleted => (Presence::Deleted, None),
            ItemOutcome::Filtered => (Presence::Left, None),
            ItemOutcome::Duplicate => (Presence::Present, Some(Decision::Duplicate)),
            ItemOutcome::Skipped(reject) => (Presence::Present, Some(Decision::Skipped(reject.clone()))),
            ItemOutcome::Rejected(reject) => (Presence::Present, Some(Decision::Rejected(reject.clone()))),
            ItemOutcome::Held(reject) => (Presence::Present, Some(Decision::Held(reject.clone()))),
            ItemOutcome::Waiting(reject) => (Presence::Present, Some(Decision::Waiting(reject.clone()))),
        };
        let observed = observed(item, (at, by_key), presence);
        let mut pair = Pair::new(self.from, observed);
        if let Some(Decision::Rejected(_) | Decision::Held(_) | Decision::Waiting(_)) = &at_once {
            pair.queued.clone_from(&at_once);
        }
        pair.at_once = at_once;
        pair
    }

    /// Links and baselines of what is undecided.
    fn bind(&self, pairs: &mut [Pair]) -> Result<(), Stop> {
        let keys: Vec<&str> = undecided(pairs).map(Pair::key).collect();
        let mut stored = self.stored(self.from, &keys)?;
        for pair in pairs.iter_mut().filter(|pair| pair.at_once.is_none()) {
            let Some(known) = stored.remove(pair.key()) else {
                continue;
            };
            let to = self.to();
            pair.keys[to] = Some(match to {
                Side::Remote => known.keys.remote,
                Side::Local => known.keys.local,
            });
            pair.bond = match known.tombstone {
                true => Bond::Ended,
                false => Bond::Linked { contradicted: false },
            };
            pair.stored = pair.known.take().or(known.baseline);
        }
        Ok(())
    }

    fn stored(&self, side: Side, keys: &[&str]) -> Result<HashMap<String, StoredPair>, Stop> {
        let flow = self
            .context
            .flow_ref(&self.context.pipeline.flows[self.way.to[side]]);
        Ok(self.context.state.pairs(flow, side, keys)?)
    }

    /// Reads records again whose observation is older than what is known of them.
    async fn refresh_stale(&self, pairs: &mut [Pair]) -> Result<(), Stop> {
        if !readable_by_key(self.context, self.way.streams[self.from]) {
            return Ok(());
        }
        let stale: Vec<String> = undecided(pairs)
            .filter(|pair| self.is_stale(pair))
            .map(|pair| pair.key().to_owned())
            .collect();
        if stale.is_empty() {
            return Ok(());
        }
        let mut fresh = self.read_own(&stale).await?;
        for pair in pairs
            .iter_mut()
            .filter(|pair| stale.iter().any(|key| key == pair.key()))
        {
            match fresh.remove(pair.key()) {
                Some(observed) => pair.sides[self.from] = Some(observed),
                None => {
                    if let Some(observed) = &mut pair.sides[self.from] {
                        observed.presence = Presence::Deleted;
                    }
                }
            }
        }
        Ok(())
    }

    fn is_stale(&self, pair: &Pair) -> bool {
        let (Some(observed), Some(stored)) = (&pair.sides[self.from], &pair.stored) else {
            return false;
        };
        let read = (observed.sequence, observed.by_key);
        Judge::is_stale(self.way, self.from, &observed.view, read, stored)
    }

    /// Records of this side by key, through its rules and conditions.
    async fn read_own(&self, keys: &[String]) -> Result<HashMap<String, Observed>, Stop> {
        let stream = self.way.streams[self.from];
        if !readable_by_key(self.context, stream) {
            return Ok(HashMap::new());
        }
        let sequence = self.context.state.next_sequence(keys.len() as u64)?;
        let records = self
            .context
            .connection(stream)
            .get_many(stream.stream, keys)
            .await?;
        let at = self.now(self.from);
        let head = Batch {
            number: 0,
            records,
            sequence,
            at,
            cursor: None,
            origin: Origin::Asked,
        };
        let direction = self.way.to[self.to()];
        let transformed = transform(Arc::clone(self.context), direction, head, false).await?;
        Ok(transformed
            .items
            .into_iter()
            .filter_map(|item| {
                let key = item.key.clone();
                let mut pair = self.brought(item, (at, true));
                Some((key, pair.sides[self.from].take()?))
            })
            .collect())
    }

    /// Whether nothing of a linked record differs from its baseline, and nothing waits to be tried again.
    fn equals_baseline(&self, pair: &Pair) -> bool {
        let (None, Bond::Linked { .. }, Some(stored), Some(observed)) =
            (&pair.at_once, pair.bond, &pair.stored, &pair.sides[self.from])
        else {
            return false;
        };
        if observed.presence != Presence::Present || stored.has_held() {
            return false;
        }
        let rows = stored.aligned(self.judge.names());
        let seen = seen_values(self.judge, pair, self.from);
        rows.iter()
            .zip(seen)
            .all(|(row, seen)| match (row.in_step, seen) {
                (Some(in_step), Some(seen)) => {
                    in_step[self.from] == seen.digest && !row.fallback[self.to()] && !row.fallback[self.from]
                }
                // A side that a row does not read from has nothing to say.
                (None, None) => true,
                _ => false,
            })
    }

    /// Reads the other side of every pair that is still open.
    async fn read_counterparts(&self, pairs: &mut [Pair]) -> Result<(), Stop> {
        self.look_for(pairs).await?;
        let to = self.to();
        if !readable_by_key(self.context, self.way.streams[to]) {
            for pair in pairs.iter_mut().filter(|pair| pair.at_once.is_none()) {
                pair.alone = matches!(pair.bond, Bond::Linked { .. });
            }
            return Ok(());
        }
        let keys: Vec<String> = undecided(pairs)
            .filter(|pair| pair.bond != Bond::Ended)
            .filter_map(|pair| pair.keys[to].clone())
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let sequence = self.context.state.next_sequence(keys.len() as u64)?;
        let flow = &self.context.pipeline.flows[self.way.to[to]];
        let records = Counterparts::new(self.context, flow).read(&keys).await?;
        let at = self.now(to);
        let mut items = self.map_back(records.into_values().collect(), sequence).await?;
        for pair in pairs.iter_mut().filter(|pair| pair.at_once.is_none()) {
            let Some(key) = pair.keys[to].clone() else {
                continue;
            };
            if pair.bond == Bond::Ended {
                continue;
            }
            match items.remove(&key) {
                Some(item) => {
                    let presence = match &item.outcome {
                        ItemOutcome::Deleted => Presence::Deleted,
                        _ => Presence::Present,
                    };
                    pair.sides[to] = Some(observed(item, (at, true), presence));
                    self.contradicted(pair);
                }
                None if matches!(pair.bond, Bond::Unlinked(_)) => {
                    pair.bond = Bond::Unlinked(Candidate::Missing);
                    pair.keys[to] = None;
                }
                None => {
                    let gone = Item {
                        key,
                        sequence,
                        record: Record::new(bytes::Bytes::from_static(b"null")),
                        outcome: ItemOutcome::Deleted,
                    };
                    pair.sides[to] = Some(observed(gone, (at, true), Presence::Deleted));
                }
            }
        }
        Ok(())
    }

    /// Counterparts through the rules of the direction that comes back.
    async fn map_back(&self, records: Vec<Record>, sequence: u64) -> Result<HashMap<String, Item>, Stop> {
        let direction = self.way.to[self.from];
        let items = transform_counterparts(self.context, direction, records, sequence).await?;
        Ok(items.into_iter().map(|item| (item.key.clone(), item)).collect())
    }

    /// Looks for the counterparts of records without a link.
    async fn look_for(&self, pairs: &mut [Pair]) -> Result<(), Stop> {
        let to = self.to();
        let mut found: HashMap<usize, Vec<String>> = HashMap::new();
        let mut searched = Vec::new();
        for (position, pair) in pairs.iter().enumerate() {
            let open = pair.at_once.is_none()
                && matches!(pair.bond, Bond::Unlinked(_))
                && pair.sides[self.from]
                    .as_ref()
                    .is_some_and(|side| side.presence == Presence::Present);
            if !open {
                continue;
            }
            match self.remembered(pair, self.from) {
                Some(key) => {
                    found.insert(position, vec![key]);
                }
                None => searched.push(position),
            }
        }
        for (position, keys) in self.search(pairs, &searched).await? {
            found.insert(position, keys);
        }
        let asked: Vec<&str> = found.values().flatten().map(String::as_str).collect();
        let taken = self.stored(to, &asked)?;
        let mut claimed: HashSet<String> = HashSet::new();
        let mut positions: Vec<usize> = found.keys().copied().collect();
        positions.sort_unstable();
        for position in positions {
            let (Some(keys), Some(pair)) = (found.remove(&position), pairs.get_mut(position)) else {
                continue;
            };
            let [key] = keys.as_slice() else {
                pair.bond = Bond::Unlinked(Candidate::Several);
                pair.notes
                    .remarks
                    .push(format!("several fit: `{}`", keys.join("`, `")));
                continue;
            };
            let known = taken.get(key);
            pair.bond = Bond::Unlinked(Candidate::One {
                taken: known.is_some_and(|known| !known.tombstone) || !claimed.insert(key.clone()),
                names_other: false,
                ended: known.is_some_and(|known| known.tombstone),
            });
            pair.keys[to] = Some(key.clone());
        }
        Ok(())
    }

    async fn search(
        &self,
        pairs: &mut [Pair],
        searched: &[usize],
    ) -> Result<HashMap<usize, Vec<String>>, Stop> {
        let flow = &self.context.pipeline.flows[self.way.to[self.to()]];
        if searched.is_empty() || flow.matches.is_empty() {
            return Ok(HashMap::new());
        }
        let mut items = Vec::with_capacity(searched.len());
        let mut owners = Vec::with_capacity(searched.len());
        for &position in searched {
            let side = pairs
                .get_mut(position)
                .and_then(|pair| pair.sides[self.from].as_mut());
            if let Some(item) = side.and_then(|side| side.item.take()) {
                items.push(item);
                owners.push(position);
            }
        }
        let found = Counterparts::new(self.context, flow)
            .search(&items, |_| true)
            .await;
        for (&position, item) in owners.iter().zip(items) {
            if let Some(side) = pairs
                .get_mut(position)
                .and_then(|pair| pair.sides[self.from].as_mut())
            {
                side.item = Some(item);
            }
        }
        let keyed = found?.into_iter().filter_map(|(index, records)| {
            let keys = records.into_iter().map(|(key, _)| key).collect();
            Some((*owners.get(index)?, keys))
        });
        Ok(keyed.collect())
    }

    /// The key of the other side's record that a record itself remembers.
    fn remembered(&self, pair: &Pair, side: Side) -> Option<String> {
        let key = self.way.pair[side].as_ref()?;
        let stored = key.stored.as_ref()?;
        let view = &pair.sides[side].as_ref()?.view;
        let text = key.path.one(view)?.key_text()?;
        stored.key(&text).map(str::to_owned)
    }

    /// Notes where a key stored in one of the two records names a third one.
    fn contradicted(&self, pair: &mut Pair) {
        let other = |side: Side| {
            let named = self.remembered(pair, side);
            named.is_some() && named != pair.keys[side.other()]
        };
        let contradicted = Side::BOTH.into_iter().any(other);
        if !contradicted {
            return;
        }
        pair.bond = match pair.bond {
            Bond::Linked { .. } => Bond::Linked { contradicted: true },
            Bond::Unlinked(Candidate::One { taken, ended, .. }) => Bond::Unlinked(Candidate::One {
                taken,
                names_other: true,
                ended,
            }),
            bond => bond,
        };
    }
}

fn undecided(pairs: &[Pair]) -> impl Iterator<Item = &Pair> {
    pairs.iter().filter(|pair| pair.at_once.is_none())
}

/// A record as it was read.
pub(super) fn observed(mut item: Item, (at, by_key): (Timestamp, bool), presence: Presence) -> Observed {
    let view = match item.record.value() {
        Ok(view) => view.into_owned(),
        Err(error) => {
            let message = format!("the record is not JSON: {error}");
            item.outcome = ItemOutcome::Rejected(Reject::new("record", "record_malformed", message));
            Value::Null
        }
    };
    Observed {
        key: item.key.clone(),
        sequence: item.sequence,
        at,
        by_key,
        view,
        presence,
        item: Some(item),
    }
}
