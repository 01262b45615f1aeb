//! [`Answers`]: what was asked for one attempt of a lookup, by key.
//!
//! Sharded, so that threads that read seldom wait; bounded by two generations: when the young one is full it becomes the
//! old one, so that what a batch just asked for is there while the batch lives, however many keys a run sees.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::mapping::Found;

const SHARDS: usize = 16;
const GENERATION: usize = 16_384;

/// What the system answered.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// These records; perhaps none.
    Found(Arc<[Arc<Found>]>),
    /// It refused the question.
    Failed(Arc<str>),
}

/// Answers by key.
#[derive(Debug)]
pub(super) struct Answers {
    hasher: RandomState,
    /// How many answers a shard's young generation holds.
    generation: usize,
    shards: Vec<RwLock<Shard>>,
}

#[derive(Debug, Default)]
struct Shard {
    young: HashMap<String, Kept>,
    old: HashMap<String, Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    answer: Answer,
    at: Instant,
    /// `None`: beyond what the clock can say.
    fresh_until: Option<Instant>,
}

impl Kept {
    fn serves(&self, since: Instant) -> bool {
        self.at >= since || self.fresh_until.is_none_or(|until| until > since)
    }
}

impl Default for Answers {
    fn default() -> Self {
        Answers::with_generation(GENERATION)
    }
}

impl Answers {
    fn with_generation(generation: usize) -> Self {
        Answers {
            hasher: RandomState::new(),
            generation,
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
        }
    }

    /// The answer for a key, if it came at or after `since` or was still fresh then.
    pub(super) fn find(&self, key: &str, since: Instant) -> Option<Answer> {
        self.find_if(key, |kept| kept.serves(since))
    }

    /// The answer for a key, if it came at or after `since`.
    pub(super) fn find_since(&self, key: &str, since: Instant) -> Option<Answer> {
        self.find_if(key, |kept| kept.at >= since)
    }

    fn find_if(&self, key: &str, serves: impl Fn(&Kept) -> bool) -> Option<Answer> {
        let shard = self.shard(key)?.read().unwrap_or_else(PoisonError::into_inner);
        let kept = shard.young.get(key).or_else(|| shard.old.get(key))?;
        serves(kept).then(|| kept.answer.clone())
    }

    /// Keeps an answer that came now.
    pub(super) fn put(&self, key: &str, answer: Answer, fresh_for: Duration) {
        let Some(shard) = self.shard(key) else {
            return;
        };
        let at = Instant::now();
        let kept = Kept {
            answer,
            at,
            fresh_until: at.checked_add(fresh_for),
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.young.len() >= self.generation {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(key.to_owned(), kept);
    }

    fn shard(&self, key: &str) -> Option<&RwLock<Shard>> {
        let hash = self.hasher.hash_one(key) as usize;
        self.shards.get(hash % SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Answer {
        Answer::Found(Arc::new([]))
    }

    #[test]
    fn an_answer_serves_while_fresh_and_the_batch_that_asked() {
        let answers = Answers::default();
        let began = Instant::now();
        answers.put("brief", none(), Duration::ZERO);
        answers.put("long", none(), Duration::from_secs(60));
        assert!(answers.find("brief", began).is_some());
        let later = Instant::now() + Duration::from_secs(1);
        assert!(answers.find("brief", later).is_none());
        assert!(answers.find("long", later).is_some());
        assert!(answers.find("long", later + Duration::from_secs(60)).is_none());
        assert!(answers.find("never asked", began).is_none());
        answers.put("always", none(), Duration::MAX);
        assert!(answers.find("always", later).is_some());
    }

    #[test]
    fn memory_is_bounded_and_what_was_asked_last_is_there() {
        let answers = Answers::with_generation(100);
        let began = Instant::now();
        let bound = 2 * SHARDS * 100;
        let keys = 3 * bound;
        for key in 0..keys {
            answers.put(&key.to_string(), none(), Duration::MAX);
        }
        let known = |key: &usize| answers.find(&key.to_string(), began).is_some();
        let kept = (0..keys).filter(known).count();
        assert!(kept <= bound, "{kept}");
        // A shard forgets nothing before it has seen a generation more.
        assert!((keys - 100..keys).all(|key| known(&key)));
    }
}
