//! The counters: of flows, stage by stage, and of connections, with the quota that each of their limits has left.
//!
//! All are relaxed atomics: a reader sees every count once, but two counters read one after the other need not be of
//! the same moment. They serve display and metrics; the counts of a run's summary are kept by the run itself.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indexmap::IndexMap;

use super::unpoisoned;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What passed one stage of a flow.
#[derive(Debug, Default)]
pub struct StageCounters {
    /// Records that left the stage, whatever was decided about them.
    pub records: Counter,
    /// Batches of them.
    pub batches: Counter,
}

/// What a flow did so far.
#[derive(Debug, Default)]
pub struct FlowCounters {
    /// Read from the source or taken from the queue.
    pub extract: StageCounters,
    /// Mapped, or found not to be mappable.
    pub transform: StageCounters,
    /// Decided.
    pub plan: StageCounters,
    /// Done with: written, refused or in no need of a write.
    pub load: StageCounters,
    /// Writes that the target accepted.
    pub writes: Counter,
    /// Records that were rejected.
    pub rejected: Counter,
    /// Records that wait for a person.
    pub held: Counter,
    /// Records that wait for another record.
    pub waiting: Counter,
}

/// What went over a connection so far, and what it may still ask for.
#[derive(Debug, Default)]
pub struct ConnectionCounters {
    /// Requests sent, each attempt counted.
    pub requests: Counter,
    /// Pages of records received.
    pub pages: Counter,
    /// Bytes of answers, as they came over the wire.
    pub bytes_received: Counter,
    /// Bytes of request bodies.
    pub bytes_sent: Counter,
    /// Attempts after a first one.
    pub retries: Counter,
    /// Times that a request had to wait for a limit.
    pub waits: Counter,
    /// How long requests waited for limits, in milliseconds, summed over all of them.
    pub waited_milliseconds: Counter,
    quotas: Mutex<IndexMap<String, Quota>>,
}

/// What a limit has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Requests that may still be sent in this period.
    pub remaining: u64,
    /// Requests allowed in a period, where it is known.
    pub allowed: Option<u64>,
    /// How long the limit is paused from now on, if the server asked for that.
    pub paused: Option<Duration>,
}

impl ConnectionCounters {
    /// Notes what a limit has left, by the limit's name.
    pub fn set_quota(&self, limit: &str, quota: Quota) {
        let mut quotas = unpoisoned(&self.quotas);
        match quotas.get_mut(limit) {
            Some(known) => *known = quota,
            None => {
                quotas.insert(limit.to_owned(), quota);
            }
        }
    }

    /// The last noted quota of every limit, in the order of first mention.
    pub fn quotas(&self) -> Vec<(String, Quota)> {
        unpoisoned(&self.quotas)
            .iter()
            .map(|(name, quota)| (name.clone(), *quota))
            .collect()
    }

    /// Counts one wait for a limit.
    pub fn waited(&self, duration: Duration) {
        self.waits.add(1);
        self.waited_milliseconds
            .add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_replaced_by_the_next_note_of_the_same_limit() {
        let connection = ConnectionCounters::default();
        let quota = |remaining| Quota {
            remaining,
            allowed: Some(10),
            paused: None,
        };
        connection.set_quota("exports", quota(9));
        connection.set_quota("account", quota(400));
        connection.set_quota("exports", quota(8));
        assert_eq!(
            connection.quotas(),
            [
                ("exports".to_owned(), quota(8)),
                ("account".to_owned(), quota(400))
            ]
        );
    }

    #[test]
    fn waits_are_counted_and_summed() {
        let connection = ConnectionCounters::default();
        connection.waited(Duration::from_millis(1500));
        connection.waited(Duration::from_millis(250));
        assert_eq!(connection.waits.get(), 2);
        assert_eq!(connection.waited_milliseconds.get(), 1750);
    }
}
