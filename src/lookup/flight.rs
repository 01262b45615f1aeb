//! [`Flights`]: each key is asked once at a time, however many batches want it.
//!
//! Who comes first asks; the others wait until the answer is in memory. If who asks fails or is dropped, its keys are
//! free again and the next one asks.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::compile::compiled::LookupId;

/// A key of a lookup's attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FlightKey {
    pub(super) lookup: LookupId,
    pub(super) attempt: usize,
    pub(super) key: String,
}

type Open = Arc<Mutex<HashMap<FlightKey, watch::Receiver<()>>>>;

/// The keys that are being asked for.
#[derive(Debug, Default)]
pub(super) struct Flights {
    open: Open,
}

/// The keys that one caller asks for; others wait for its end.
#[derive(Debug)]
pub(super) struct Flight {
    open: Open,
    keys: Vec<FlightKey>,
    /// Dropping it wakes those who wait.
    _landing: watch::Sender<()>,
}

/// What of the wished keys is the caller's to ask, and whom else to wait for.
#[derive(Debug)]
pub(super) struct Boarding {
    pub(super) mine: Flight,
    pub(super) others: Vec<watch::Receiver<()>>,
}

impl Flights {
    /// Takes those of the keys that nobody asks for.
    pub(super) fn board(&self, wished: impl IntoIterator<Item = FlightKey>) -> Boarding {
        let (landing, waiting) = watch::channel(());
        let mut keys = Vec::new();
        let mut others: Vec<watch::Receiver<()>> = Vec::new();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for key in wished {
            match open.entry(key) {
                Entry::Occupied(other) => {
                    let other = other.get();
                    if !other.same_channel(&waiting) && !others.iter().any(|known| known.same_channel(other))
                    {
                        others.push(other.clone());
                    }
                }
                Entry::Vacant(vacant) => {
                    keys.push(vacant.key().clone());
                    vacant.insert(waiting.clone());
                }
            }
        }
        Boarding {
            mine: Flight {
                open: Arc::clone(&self.open),
                keys,
                _landing: landing,
            },
            others,
        }
    }
}

impl Flight {
    /// The keys that are the caller's to ask.
    pub(super) fn keys(&self) -> &[FlightKey] {
        &self.keys
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            open.remove(key);
        }
    }
}

/// Waits until another caller's flight has ended, in whatever way.
pub(super) async fn landed(mut other: watch::Receiver<()>) {
    // Nothing is ever sent: the error that the sender is gone is the news.
    let _ = other.changed().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> FlightKey {
        FlightKey {
            lookup: 0,
            attempt: 0,
            key: key.to_owned(),
        }
    }

    #[tokio::test]
    async fn a_key_is_asked_by_one_at_a_time() {
        let flights = Flights::default();
        let first = flights.board([key("a"), key("b"), key("a")]);
        assert_eq!(first.mine.keys(), [key("a"), key("b")]);
        assert!(first.others.is_empty());
        let second = flights.board([key("b"), key("a"), key("c")]);
        assert_eq!(second.mine.keys(), [key("c")]);
        assert_eq!(second.others.len(), 1);
        drop(first);
        for other in second.others {
            landed(other).await;
        }
        let third = flights.board([key("a"), key("c")]);
        assert_eq!(third.mine.keys(), [key("a")]);
    }
}
