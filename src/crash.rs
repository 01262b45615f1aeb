//! Named points at which a test lets this process die, before and after everything that is made durable.
//!
//! `CROSSWALK_CRASH_AT=intent_after:2` kills the process by SIGKILL when that point is met for the second time: no
//! destructor runs, nothing is flushed. `CROSSWALK_CRASH_TRACE=FILE` appends the name of every point that is met, so that
//! a test learns which there are in what it does. Both are compiled out of builds without debug assertions. It stands
//! below all other modules, because each of them has something to lose.

/// Defines [`Point`] with the name that each has in the environment.
macro_rules! points {
    ($($(#[doc = $doc:literal])+ $point:ident = $name:literal,)+) => {
        /// A point at which a process may die.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[doc = $doc])+ $point,)+
        }

        impl Point {
            /// Every point, in the order in which a run meets them first.
            pub const ALL: &[Point] = &[$(Point::$point,)+];

            /// Its name in the environment.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Point::$point => $name,)+
                }
            }
        }
    };
}

points! {
    /// The pipeline's lock is held, and nobody can read yet by whom.
    LeaseLocked = "lease_locked",
    /// The note of who holds the lease is written.
    LeaseNoted = "lease_noted",
    /// A dead run's journals are parts, and its manifest is not written.
    RecoverParts = "recover_parts",
    /// A link of the chain is about to be appended.
    ChainBefore = "chain_before",
    /// It is durable.
    ChainAfter = "chain_after",
    /// The run's row is about to be stored.
    RunStartBefore = "run_start_before",
    /// It is stored.
    RunStartAfter = "run_start_after",
    /// A dead run's intent is about to be settled.
    SettleBefore = "settle_before",
    /// What became of it is known, and is not stored.
    SettleKnown = "settle_known",
    /// It is stored.
    SettleAfter = "settle_after",
    /// A page was fetched.
    PageFetched = "page_fetched",
    /// A batch was spooled, to be judged as a whole first.
    Spooled = "spooled",
    /// A batch was mapped.
    Mapped = "mapped",
    /// A batch was planned, and nothing of it is written.
    Planned = "planned",
    /// The pairs of a batch were reconciled, and nothing of them is written.
    Reconciled = "reconciled",
    /// The claim of a record that a lookup creates is about to be stored.
    ClaimBefore = "claim_before",
    /// It is stored.
    ClaimAfter = "claim_after",
    /// Intents are about to be stored.
    IntentBefore = "intent_before",
    /// They are durable, and no request was sent.
    IntentAfter = "intent_after",
    /// A writing request is about to be sent.
    RequestBefore = "request_before",
    /// Its answer was received, and nothing of it is stored.
    ResponseReceived = "response_received",
    /// The id of a job is about to be stored with its intents.
    JobBefore = "job_before",
    /// It is stored, and the job may still be running.
    JobAfter = "job_after",
    /// Rows are about to be appended to a journal.
    JournalBefore = "journal_before",
    /// They are appended, and not synced.
    JournalAppended = "journal_appended",
    /// They are synced.
    JournalSynced = "journal_synced",
    /// A batch's links and baselines are about to be committed.
    CommitBefore = "commit_before",
    /// They are committed, and nothing else of the run.
    CommitAfter = "commit_after",
    /// A transaction that puts something in the queue is about to be committed.
    QueueBefore = "queue_before",
    /// It is committed.
    QueueAfter = "queue_after",
    /// A cursor is about to move.
    CursorBefore = "cursor_before",
    /// It has moved.
    CursorAfter = "cursor_after",
    /// A target file is complete under its temporary name.
    FileWritten = "file_written",
    /// It has taken the place of the old one.
    FileRenamed = "file_renamed",
    /// The run's end is about to be stored.
    RunEndBefore = "run_end_before",
    /// It is stored, and the run has no manifest.
    RunEndAfter = "run_end_after",
    /// A Parquet part has begun under its temporary name.
    PartBegun = "part_begun",
    /// It is complete under its temporary name.
    PartWritten = "part_written",
    /// It has its name, and its journal is still there.
    PartRenamed = "part_renamed",
    /// Its journal is removed.
    JournalRemoved = "journal_removed",
    /// The manifest is complete under its temporary name.
    ManifestWritten = "manifest_written",
    /// It has its name, and the chain does not name it.
    ManifestRenamed = "manifest_renamed",
    /// The run is closed, and its lease is still held.
    Closed = "closed",
}

/// Dies here if the environment says so.
#[cfg(debug_assertions)]
pub(crate) fn at(point: Point) {
    armed::met(point);
}

/// Nothing: there are no points in a build without debug assertions.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn at(_: Point) {}

/// A wait as long as the stand-ins of a test make it, whose minutes are shorter: `CROSSWALK_TIME_SCALE=600`.
#[cfg(debug_assertions)]
pub(crate) fn scaled(wait: std::time::Duration) -> std::time::Duration {
    wait.div_f64(armed::time_scale())
}

/// The wait itself: no clock is scaled in a build without debug assertions.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn scaled(wait: std::time::Duration) -> std::time::Duration {
    wait
}

#[cfg(debug_assertions)]
mod armed {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Point;

    /// What the environment orders.
    #[derive(Debug, Default)]
    struct Order {
        at: Option<(String, u64)>,
        met: AtomicU64,
        trace: Option<PathBuf>,
        time_scale: Option<f64>,
    }

    fn order() -> &'static Order {
        static ORDER: OnceLock<Order> = OnceLock::new();
        ORDER.get_or_init(|| Order {
            at: std::env::var("CROSSWALK_CRASH_AT").ok().map(|text| {
                let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
                (name.to_owned(), count.parse().unwrap_or(1))
            }),
            met: AtomicU64::new(0),
            trace: std::env::var_os("CROSSWALK_CRASH_TRACE").map(PathBuf::from),
            time_scale: std::env::var("CROSSWALK_TIME_SCALE")
                .ok()
                .and_then(|text| text.parse().ok()),
        })
    }

    pub(super) fn met(point: Point) {
        let order = order();
        if let Some(path) = &order.trace
            && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path)
        {
            // A trace that cannot be written shows as points that are never met.
            let _ = file.write_all(format!("{}\n", point.name()).as_bytes());
        }
        if let Some((name, count)) = &order.at
            && name == point.name()
            && order.met.fetch_add(1, Ordering::SeqCst) + 1 == *count
        {
            die();
        }
    }

    pub(super) fn time_scale() -> f64 {
        order()
            .time_scale
            .filter(|scale| scale.is_finite() && *scale >= 1.0)
            .unwrap_or(1.0)
    }

    #[cfg(unix)]
    fn die() -> ! {
        use rustix::process::{Signal, getpid, kill_process};
        // The signal ends this thread before the call returns; what follows is for a system that refuses it.
        let _ = kill_process(getpid(), Signal::KILL);
        std::process::abort()
    }

    #[cfg(not(unix))]
    fn die() -> ! {
        std::process::abort()
    }
}
