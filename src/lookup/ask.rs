//! Asking a system for the keys that nobody knows, and giving each key the records that have it.
//!
//! What an earlier run asked comes from the store while it is fresh. The rest is asked in batches: keys of several
//! lookups over one stream together, no value twice. A refused batch is halved until the refused value stands alone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::stream::{StreamExt, TryStreamExt, iter};
use jiff::Timestamp;

use super::cache;
use super::fetch::Reuse;
use super::flight::FlightKey;
use super::table::record_keys;
use super::{LookupError, Shared};
use crate::compile::compiled::{ConnectionId, Find, LookupId};
use crate::connector::ConnectorError;
use crate::expression::{Record, Value, normalize};
use crate::mapping::Found;

/// How many requests are on their way at once; a connection's own limits may be narrower.
const REQUESTS_AT_ONCE: usize = 8;

/// One place that is asked: a stream, by one of its finds.
type Place = (ConnectionId, usize, usize);

/// What is asked for at one place, by the values' texts.
type Wanted = HashMap<String, Ask>;

/// One value to ask for, and the attempts that want it.
type Ask = (Value<'static>, Vec<FlightKey>);

impl Shared {
    /// Asks for keys and keeps the answers.
    pub(super) async fn ask(
        self: &Arc<Self>,
        keys: &[FlightKey],
        values: &HashMap<FlightKey, Value<'static>>,
        reuse: Reuse,
    ) -> Result<(), LookupError> {
        let kept = match reuse {
            Reuse::Kept => self.take_kept(keys)?,
            Reuse::Nothing => HashSet::new(),
        };
        let mut places: HashMap<Place, Wanted> = HashMap::new();
        for key in keys.iter().filter(|key| !kept.contains(*key)) {
            let (Some(rule), Some(value)) = (self.pipeline.lookups.get(key.lookup), values.get(key)) else {
                continue;
            };
            let find = rule
                .attempts
                .get(key.attempt)
                .and_then(|attempt| attempt.keys.iter().find_map(|key| key.find));
            let (Some(find), Some(text)) = (find, normalize(&[], value)) else {
                self.refuse(key, "the searched stream cannot be asked for this key");
                continue;
            };
            places
                .entry((rule.connection, rule.stream, find))
                .or_default()
                .entry(text)
                .or_insert_with(|| (value.clone(), Vec::new()))
                .1
                .push(key.clone());
        }
        let mut requests = Vec::new();
        for (place, wanted) in places {
            let wanted: Vec<Ask> = wanted.into_values().collect();
            let at_most = self.find(place).map_or(1, |find| find.at_most).max(1);
            for chunk in wanted.chunks(at_most) {
                requests.push(self.ask_chunk(place, chunk.to_vec()));
            }
        }
        iter(requests)
            .buffer_unordered(REQUESTS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Takes what earlier runs kept; returns the keys that this answered.
    fn take_kept(&self, keys: &[FlightKey]) -> Result<HashSet<FlightKey>, LookupError> {
        let mut by_lookup: HashMap<LookupId, Vec<(String, &FlightKey)>> = HashMap::new();
        for key in keys {
            let stored = cache::stored_key(key.attempt, &key.key);
            by_lookup.entry(key.lookup).or_default().push((stored, key));
        }
        let now = Timestamp::now();
        let mut answered = HashSet::new();
        for (lookup, keys) in by_lookup {
            let (Some(rule), Some(table)) = (self.pipeline.lookups.get(lookup), self.table(lookup)) else {
                continue;
            };
            if rule.fresh_for.is_zero() {
                continue;
            }
            let stored: Vec<&str> = keys.iter().map(|(stored, _)| stored.as_str()).collect();
            let kept = self.state.cached_lookups(&self.scope, &rule.name, &stored, now)?;
            for (stored, key) in &keys {
                let Some(answer) = kept.get(stored) else {
                    continue;
                };
                if let Some(found) = cache::decode(answer) {
                    let left = answer.expires.duration_since(now).unsigned_abs();
                    table.put_for(key.attempt, &key.key, found, left);
                    answered.insert((*key).clone());
                }
            }
        }
        Ok(answered)
    }

    fn find(&self, (connection, stream, find): Place) -> Option<&Find> {
        let connection = self.pipeline.connections.get(connection)?;
        connection.connector.streams.get(stream)?.find.get(find)
    }

    fn refuse(&self, key: &FlightKey, message: &str) {
        if let Some(table) = self.table(key.lookup) {
            table.put_failed(key.attempt, &key.key, message);
        }
    }

    /// One request; several if the system refuses it, to find out which value it refuses.
    async fn ask_chunk(self: &Arc<Self>, place: Place, wanted: Vec<Ask>) -> Result<(), LookupError> {
        let (connection, stream, find) = place;
        let mut open = vec![wanted];
        while let Some(mut wanted) = open.pop() {
            let values: Vec<Value<'static>> = wanted.iter().map(|(value, _)| value.clone()).collect();
            let answer = self.source.find(connection, stream, find, &values).await;
            match answer {
                Ok(records) => self.distribute(place, &wanted, &records)?,
                Err(ConnectorError::Rejected { .. }) if wanted.len() > 1 => {
                    open.push(wanted.split_off(wanted.len() / 2));
                    open.push(wanted);
                }
                Err(error @ ConnectorError::Rejected { .. }) => {
                    let message = error.to_string();
                    for key in wanted.iter().flat_map(|(_, keys)| keys) {
                        self.refuse(key, &message);
                    }
                }
                Err(source) => {
                    let lookup = wanted
                        .first()
                        .and_then(|(_, keys)| keys.first())
                        .and_then(|key| self.pipeline.lookups.get(key.lookup))
                        .map_or_else(String::new, |rule| rule.name.clone());
                    return Err(LookupError::Connector {
                        lookup,
                        source: source.into(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Gives each key the records that have it.
    fn distribute(&self, place: Place, wanted: &[Ask], records: &[Record]) -> Result<(), LookupError> {
        let mut attempts: HashMap<(LookupId, usize), Vec<&str>> = HashMap::new();
        for key in wanted.iter().flat_map(|(_, keys)| keys) {
            attempts
                .entry((key.lookup, key.attempt))
                .or_default()
                .push(&key.key);
        }
        // What an exact search returns for one value is taken at its word.
        let is_exact = self.find(place).is_some_and(|find| !find.recheck);
        let trusted = wanted.len() == 1 && is_exact;
        let now = Timestamp::now();
        for ((lookup, attempt), keys) in attempts {
            let mut found: HashMap<&str, Vec<Arc<Found>>> =
                keys.iter().map(|key| (*key, Vec::new())).collect();
            for record in records {
                self.compare(lookup, attempt, trusted, record, &mut found)?;
            }
            let answers: Vec<_> = found.into_iter().collect();
            self.remember(lookup, attempt, &answers, now)?;
        }
        Ok(())
    }

    /// Puts a record under those of the keys that it has.
    fn compare(
        &self,
        lookup: LookupId,
        attempt: usize,
        trusted: bool,
        record: &Record,
        found: &mut HashMap<&str, Vec<Arc<Found>>>,
    ) -> Result<(), LookupError> {
        let (Some(rule), Some(table)) = (self.pipeline.lookups.get(lookup), self.table(lookup)) else {
            return Ok(());
        };
        let Some(matching) = rule.attempts.get(attempt) else {
            return Ok(());
        };
        let value = record
            .project(&table.read)
            .map_err(|source| LookupError::Record {
                lookup: rule.name.clone(),
                source,
            })?;
        if !table.admits(&value) {
            return Ok(());
        }
        let Some(answer) = table.found(&value) else {
            return Ok(());
        };
        // A system may search by what its records do not show.
        let hidden =
            matching.keys.len() == 1 && matching.keys.iter().all(|key| key.theirs.all(&value).is_empty());
        if trusted && hidden {
            for records in found.values_mut() {
                add_once(records, &answer);
            }
            return Ok(());
        }
        for key in record_keys(matching, &rule.normalize, &value) {
            if let Some(records) = found.get_mut(key.as_str()) {
                add_once(records, &answer);
            }
        }
        Ok(())
    }
}

/// Adds a record unless it is there: pages may give one twice.
fn add_once(records: &mut Vec<Arc<Found>>, found: &Arc<Found>) {
    let key = normalize(&[], &found.key);
    if !records.iter().any(|other| normalize(&[], &other.key) == key) {
        records.push(Arc::clone(found));
    }
}
