//! [`Table`]: what is known for one lookup, and how a record is compared with what is asked.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::answers::{Answer, Answers};
use crate::compile::compiled::{Condition, Lookup, Match, Pipeline};
use crate::expression::{Normalizer, Path, Projection, Scope, Template, Value, normalize};
use crate::mapping::{Found, evaluate_shape, join_keys};

/// What is known for one lookup.
#[derive(Debug)]
pub(super) struct Table {
    /// The constant conditions, evaluated.
    pub(super) conditions: Vec<Constant>,
    /// A record for which one of these is true is gone: the source says that it was deleted or erased.
    pub(super) gone_when: Vec<Template>,
    /// What of a searched record is read to compare it and to keep it.
    pub(super) read: Projection,
    /// What of a found record is kept.
    pub(super) kept: Projection,
    /// The stream's key.
    pub(super) key: Path,
    /// The whole stream, once it was read.
    pub(super) whole: OnceLock<Whole>,
    /// Answers that were asked for, one set for each attempt.
    pub(super) asked: Vec<Answers>,
    /// Fallbacks, which stay for the whole run, by attempt and key.
    pub(super) pinned: RwLock<HashMap<(usize, String), FoundRecords>>,
}

/// What a key finds, in the order in which the system returned it.
pub(super) type FoundRecords = Arc<[Arc<Found>]>;

/// A constant condition: a record counts only if a node at the path is one of the values.
#[derive(Debug)]
pub(super) struct Constant {
    pub(super) path: Path,
    /// Comparable forms; `None` is null, which an absent member is too.
    pub(super) values: Vec<Option<String>>,
}

/// A whole stream, indexed.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) records: Vec<Arc<Found>>,
    /// For each attempt: positions in `records` by key.
    pub(super) positions: Vec<HashMap<Box<str>, Positions>>,
}

/// Nearly every key has one record; the others pay for their list.
#[derive(Debug)]
pub(super) enum Positions {
    One(u32),
    Several(Vec<u32>),
}

/// What memory says of a key.
#[derive(Debug)]
pub(super) enum Known {
    /// These records, in the order in which the system returned them; perhaps none.
    Found(Vec<Arc<Found>>),
    /// The system refused the question.
    Failed(Arc<str>),
    /// Nobody has asked.
    Unknown,
}

impl Table {
    /// What is known of a key, for a batch that began at `since`: answers count that came later or were fresh then.
    pub(super) fn known(&self, attempt: usize, key: &str, since: Instant) -> Known {
        let answers = self.asked.get(attempt);
        let answer = || answers.and_then(|answers| answers.find(key, since));
        if let Some(whole) = self.whole.get() {
            let found = whole.find(attempt, key);
            // What the stream did not have when it was read may have been asked for since.
            return match found.is_empty().then(answer).flatten() {
                Some(Answer::Found(later)) => Known::Found(later.to_vec()),
                Some(Answer::Failed(_)) | None => Known::Found(found),
            };
        }
        match answer() {
            Some(Answer::Found(found)) => Known::Found(found.to_vec()),
            Some(Answer::Failed(message)) => Known::Failed(message),
            None => match self.pinned(attempt, key) {
                Some(found) => Known::Found(found.to_vec()),
                None => Known::Unknown,
            },
        }
    }

    /// As `known`, but only what the system answered at or after `since` counts.
    pub(super) fn asked_since(&self, attempt: usize, key: &str, since: Instant) -> Known {
        let answers = self.asked.get(attempt);
        match answers.and_then(|answers| answers.find_since(key, since)) {
            Some(Answer::Found(found)) => Known::Found(found.to_vec()),
            Some(Answer::Failed(message)) => Known::Failed(message),
            None => Known::Unknown,
        }
    }

    /// Keeps an answer for the whole run.
    pub(super) fn pin(&self, attempt: usize, key: String, found: Vec<Arc<Found>>) {
        self.pinned
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((attempt, key), found.into());
    }

    fn pinned(&self, attempt: usize, key: &str) -> Option<FoundRecords> {
        let pinned = self.pinned.read().unwrap_or_else(PoisonError::into_inner);
        if pinned.is_empty() {
            return None;
        }
        pinned.get(&(attempt, key.to_owned())).cloned()
    }

    /// Keeps an answer for as long as it is fresh.
    pub(super) fn put_found(&self, attempt: usize, key: &str, found: Vec<Arc<Found>>, fresh_for: Duration) {
        let fresh_for = fresh_time(found.is_empty(), fresh_for);
        self.put_for(attempt, key, found, fresh_for);
    }

    /// Keeps an answer for exactly this long.
    pub(super) fn put_for(&self, attempt: usize, key: &str, found: Vec<Arc<Found>>, fresh_for: Duration) {
        if let Some(answers) = self.asked.get(attempt) {
            answers.put(key, Answer::Found(found.into()), fresh_for);
        }
    }

    /// Keeps a refusal, for the batches that go on now only.
    pub(super) fn put_failed(&self, attempt: usize, key: &str, message: &str) {
        if let Some(answers) = self.asked.get(attempt) {
            answers.put(key, Answer::Failed(message.into()), Duration::ZERO);
        }
    }

    /// Whether a record exists and fulfils the constant conditions.
    pub(super) fn admits(&self, record: &Value<'_>) -> bool {
        let is_gone = || {
            let scope = Scope::new().with("record", record);
            self.gone_when
                .iter()
                .any(|gone| gone.is_true(&scope).unwrap_or(false))
        };
        self.conditions.iter().all(|condition| {
            let nodes = condition.path.all(record);
            if nodes.is_empty() {
                return condition.values.contains(&None);
            }
            nodes
                .iter()
                .any(|node| condition.values.contains(&normalize(&[], node)))
        }) && !is_gone()
    }

    /// The record as it is answered; `None` if it has no key, so that nothing could refer to it.
    pub(super) fn found(&self, record: &Value<'_>) -> Option<Arc<Found>> {
        let key = self.key.one(record).filter(|key| !key.is_null())?;
        Some(Arc::new(Found {
            key: key.clone().into_owned(),
            record: Arc::new(record.project(&self.kept).into_owned()),
        }))
    }
}

/// How long an answer is fresh: "none" a tenth of what is found, because records appear more often than they go.
pub(super) fn fresh_time(is_none: bool, fresh_for: Duration) -> Duration {
    if is_none { fresh_for / 10 } else { fresh_for }
}

/// The keys by which a record can be found in one attempt: every combination of the nodes at its paths, normalised.
pub(super) fn record_keys(attempt: &Match, normalizers: &[Normalizer], record: &Value<'_>) -> Vec<String> {
    let mut combinations: Vec<Vec<String>> = vec![Vec::new()];
    for key in &attempt.keys {
        let mut parts: Vec<String> = key
            .theirs
            .all(record)
            .into_iter()
            .filter_map(|node| normalize(normalizers, node))
            .collect();
        parts.sort_unstable();
        parts.dedup();
        combinations = combinations
            .iter()
            .flat_map(|begun| {
                parts.iter().map(move |part| {
                    let mut longer = begun.clone();
                    longer.push(part.clone());
                    longer
                })
            })
            .collect();
    }
    combinations.into_iter().map(join_keys).collect()
}

/// Of several records those that meet the first preference that any of them meets.
pub(super) fn preferred(
    rule: &Lookup,
    pipeline: &Pipeline,
    given: &Value<'_>,
    found: Vec<Arc<Found>>,
) -> Vec<Arc<Found>> {
    if found.len() < 2 {
        return found;
    }
    let scope = Scope::new()
        .with("given", given)
        .with("params", &pipeline.params)
        .with("connections", &pipeline.connections_seen);
    for preference in &rule.prefer {
        let wanted: Vec<_> = preference
            .iter()
            .map(|condition| wanted_values(rule, condition, &scope))
            .collect();
        let best: Vec<_> = found
            .iter()
            .filter(|found| {
                preference.iter().zip(&wanted).all(|(condition, wanted)| {
                    let nodes = condition.path.all(&found.record);
                    nodes
                        .iter()
                        .any(|node| wanted.contains(&normalize(&rule.normalize, node)))
                })
            })
            .cloned()
            .collect();
        if !best.is_empty() {
            return best;
        }
    }
    found
}

/// What a preference asks for; a template that cannot be evaluated prefers nothing.
fn wanted_values(rule: &Lookup, condition: &Condition, scope: &Scope<'_>) -> Vec<Option<String>> {
    condition
        .values
        .iter()
        .filter_map(|shape| evaluate_shape(shape, scope).ok())
        .map(|value| normalize(&rule.normalize, &value))
        .collect()
}

impl Whole {
    /// An empty index for a lookup with so many attempts.
    pub(super) fn new(attempts: usize) -> Self {
        Whole {
            records: Vec::new(),
            positions: (0..attempts).map(|_| HashMap::new()).collect(),
        }
    }

    fn find(&self, attempt: usize, key: &str) -> Vec<Arc<Found>> {
        let positions = self.positions.get(attempt).and_then(|keys| keys.get(key));
        let record = |position: &u32| self.records.get(*position as usize).cloned();
        match positions {
            None => Vec::new(),
            Some(Positions::One(position)) => record(position).into_iter().collect(),
            Some(Positions::Several(positions)) => positions.iter().filter_map(record).collect(),
        }
    }

    /// Adds a record under its keys, one list for each attempt.
    pub(super) fn add(&mut self, found: Arc<Found>, keys: Vec<Vec<String>>) {
        // A stream of four thousand million records does not fit anyway.
        let Ok(position) = u32::try_from(self.records.len()) else {
            return;
        };
        self.records.push(found);
        for (attempt, keys) in keys.into_iter().enumerate() {
            for key in keys {
                self.place(attempt, key, position);
            }
        }
    }

    fn place(&mut self, attempt: usize, key: String, position: u32) {
        let Some(places) = self.positions.get_mut(attempt) else {
            return;
        };
        let records = &self.records;
        let same = |one: u32, other: u32| {
            let key = |position: u32| {
                let found = records.get(position as usize)?;
                normalize(&[], &found.key)
            };
            key(one) == key(other)
        };
        match places.entry(key.into_boxed_str()) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(Positions::One(position));
            }
            std::collections::hash_map::Entry::Occupied(mut occupied) => {
                let places = occupied.get_mut();
                match places {
                    // The same record twice, as pages may give it: the later reading counts.
                    Positions::One(other) if same(*other, position) => *other = position,
                    Positions::One(other) => {
                        *places = Positions::Several(vec![*other, position]);
                    }
                    Positions::Several(others) => {
                        match others.iter_mut().find(|other| same(**other, position)) {
                            Some(other) => *other = position,
                            None => others.push(position),
                        }
                    }
                }
            }
        }
    }
}
