//! SIGINT and SIGTERM: the first stops a run politely, the second, or the end of the grace, at once.

use std::io;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::run::Cancellation;

/// How long requests in flight may go on after the first signal.
pub(super) const GRACE: Duration = Duration::from_secs(20);
/// How long a run may take to write down what it has after it was stopped at once.
const CLOSING: Duration = Duration::from_secs(10);

/// Watches for signals until the returned task is aborted. Must be called within a runtime.
pub(super) fn watch(cancellation: Cancellation) -> io::Result<JoinHandle<()>> {
    let mut signals = Signals::new()?;
    Ok(tokio::spawn(async move {
        let first = signals.next().await;
        cancellation.stop(first);
        tracing::warn!(
            signal = first,
            "stopping: no new requests, {} s for those in flight; a second signal ends at once",
            GRACE.as_secs()
        );
        let last = tokio::select! {
            second = signals.next() => second,
            () = tokio::time::sleep(GRACE) => first,
        };
        cancellation.stop_now(last);
        tracing::warn!(signal = last, "ending at once");
        tokio::select! {
            _ = signals.next() => (),
            () = tokio::time::sleep(CLOSING) => (),
        }
        std::process::exit(128 + last);
    }))
}

/// The next SIGINT or SIGTERM, for commands that serve until they are told to stop.
pub(super) async fn next() -> io::Result<i32> {
    Ok(Signals::new()?.next().await)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Signals)
    }

    async fn next(&mut self) -> i32 {
        let _ = tokio::signal::ctrl_c().await;
        2
    }
}
