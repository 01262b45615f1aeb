//! What a connection is given from outside: cancellation, counters, bounds of its HTTP client.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::telemetry::{Redact, Telemetry};

/// What a connection has found out about its account and remembers between runs: whether the account takes the
/// parameters by which changes of a stream are read.
pub trait Memory: Debug + Send + Sync {
    /// What was noted of a stream, while it is believed.
    fn takes_changes(&self, stream: &str) -> Option<bool>;

    /// Notes it, to be believed for some time.
    fn note_changes(&self, stream: &str, is_taken: bool, believed_for: Duration);
}

/// What a connection is given from outside.
#[derive(Clone, Debug, Default)]
pub struct ConnectionContext {
    /// What it remembers between runs; without it every process asks anew.
    pub memory: Option<Arc<dyn Memory>>,
    /// Once cancelled, waits end and no request is sent; those in flight may finish.
    pub stop: CancellationToken,
    /// Once cancelled, requests in flight end too.
    pub stop_now: CancellationToken,
    /// Where connections count, and where they register what must not be logged.
    pub telemetry: Arc<Telemetry>,
    /// The run's id: `run.id` in templates.
    pub run: String,
    /// Bounds of the HTTP client.
    pub http: HttpOptions,
}

/// Bounds of the HTTP client.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the system may be silent within an answer.
    pub read_timeout: Duration,
    /// How long one request may take altogether.
    pub total_timeout: Duration,
    /// The largest answer that is read, in bytes after decompression.
    pub largest_body: u64,
    /// How often one request is sent at most.
    pub attempts: u32,
    /// The first pause before a repetition; doubled each time.
    pub first_pause: Duration,
    /// The longest pause before a repetition.
    pub longest_pause: Duration,
    /// How long one request may wait for a spent budget altogether.
    pub patience: Duration,
    /// A proxy for every request; the environment's proxy variables do not count.
    pub proxy: Option<String>,
    /// Makes bodies fit to be logged; without it no body is logged.
    pub log_bodies: Option<Arc<dyn Redact>>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        HttpOptions {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
            total_timeout: Duration::from_secs(300),
            largest_body: 256 * 1024 * 1024,
            attempts: 8,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            patience: Duration::from_secs(15 * 60),
            proxy: None,
            log_bodies: None,
        }
    }
}
