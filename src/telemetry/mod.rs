//! What a run tells while it works: counters, logs, a progress display, and what must not be told.
//!
//! It is the lowest module, so that everybody may count: connectors count requests and report the quota that a server
//! says is left, the stages of a run count records. [`Telemetry`] holds these counters; [`progress`] shows them,
//! [`logging`] writes events to standard error. [`redact`] keeps credentials and private values out of both: the trait
//! is defined here and upper modules, which know what is private, implement it.

mod counters;
pub mod logging;
pub mod progress;
pub mod redact;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indexmap::IndexMap;

pub use counters::{ConnectionCounters, Counter, FlowCounters, Quota, StageCounters};
pub use redact::{Redact, Secrets};

/// The counters of one run, shared by everything that works on it. Counting takes no lock.
#[derive(Debug)]
pub struct Telemetry {
    started: Instant,
    flows: Mutex<IndexMap<String, Arc<FlowCounters>>>,
    connections: Mutex<IndexMap<String, Arc<ConnectionCounters>>>,
    secrets: Arc<Secrets>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry::new(Arc::default())
    }
}

impl Telemetry {
    /// Counters that stand at zero. What connectors come to know as secret is added to `secrets`.
    pub fn new(secrets: Arc<Secrets>) -> Self {
        Telemetry {
            started: Instant::now(),
            flows: Mutex::default(),
            connections: Mutex::default(),
            secrets,
        }
    }

    /// The counters of a flow, made on first use; keep the [`Arc`], asking takes a lock.
    pub fn flow(&self, name: &str) -> Arc<FlowCounters> {
        entry(&self.flows, name)
    }

    /// The counters of a connection, made on first use; keep the [`Arc`], asking takes a lock.
    pub fn connection(&self, name: &str) -> Arc<ConnectionCounters> {
        entry(&self.connections, name)
    }

    /// Every flow that counts, in the order of first use.
    pub fn flows(&self) -> Vec<(String, Arc<FlowCounters>)> {
        all(&self.flows)
    }

    /// Every connection that counts, in the order of first use.
    pub fn connections(&self) -> Vec<(String, Arc<ConnectionCounters>)> {
        all(&self.connections)
    }

    /// How long the run has lasted.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The texts that no log line may hold.
    pub fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }
}

fn entry<T: Default>(map: &Mutex<IndexMap<String, Arc<T>>>, name: &str) -> Arc<T> {
    let mut map = unpoisoned(map);
    match map.get(name) {
        Some(found) => Arc::clone(found),
        None => Arc::clone(map.entry(name.to_owned()).or_default()),
    }
}

fn all<T>(map: &Mutex<IndexMap<String, Arc<T>>>) -> Vec<(String, Arc<T>)> {
    unpoisoned(map)
        .iter()
        .map(|(name, counters)| (name.clone(), Arc::clone(counters)))
        .collect()
}

/// Counters stay usable when a thread died while holding the lock: no operation under it leaves them half changed.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_has_one_set_of_counters_in_order_of_first_use() {
        let telemetry = Telemetry::default();
        telemetry.flow("second").extract.records.add(2);
        telemetry.flow("first").extract.records.add(1);
        telemetry.flow("second").extract.records.add(3);

        let counted: Vec<(String, u64)> = telemetry
            .flows()
            .into_iter()
            .map(|(name, flow)| (name, flow.extract.records.get()))
            .collect();
        assert_eq!(counted, [("second".to_owned(), 5), ("first".to_owned(), 1)]);
    }
}
