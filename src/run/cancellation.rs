//! Stopping a run: first politely, then at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use tokio_util::sync::CancellationToken;

/// A handle by which a signal handler, or the run's time limit, stops a run. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancellation {
    polite: CancellationToken,
    now: CancellationToken,
    signal: Arc<AtomicI32>,
    out_of_time: Arc<AtomicBool>,
}

impl Cancellation {
    /// A run that nobody has stopped.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first signal: no new requests; those in flight may finish.
    pub fn stop(&self, signal: i32) {
        self.signal.store(signal, Ordering::SeqCst);
        self.polite.cancel();
    }

    /// The second signal, or the end of the grace: everything ends.
    pub fn stop_now(&self, signal: i32) {
        self.stop(signal);
        self.now.cancel();
    }

    /// The time limit: as a first signal, except for how the run is said to have ended.
    pub(crate) fn time_is_up(&self) {
        if !self.is_stopped() {
            self.out_of_time.store(true, Ordering::SeqCst);
            self.polite.cancel();
        }
    }

    /// Whether the time limit has stopped the run.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.out_of_time.load(Ordering::SeqCst)
    }

    /// The token that requests watch before they start.
    pub fn polite(&self) -> &CancellationToken {
        &self.polite
    }

    /// The token that requests in flight watch.
    pub fn now(&self) -> &CancellationToken {
        &self.now
    }

    /// Whether the run should come to an end.
    pub fn is_stopped(&self) -> bool {
        self.polite.is_cancelled()
    }

    /// The signal that stopped it, if one did.
    pub fn signal(&self) -> Option<i32> {
        self.is_stopped().then(|| self.signal.load(Ordering::SeqCst))
    }
}
