//! The clock that both stand-ins share.
//!
//! It runs at real speed but can be pushed forward, so that an edit made "by a person" through the control endpoint is at
//! once older than the minute that exports hold back, without any test waiting, and without one system's times running
//! ahead of the other's. Only what the systems call a minute is scaled.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// How long nobody was there, at least, when a sandbox starts again.
const AWAY_SECONDS: i64 = 61;

/// Wall-clock time plus what the sandbox was pushed ahead.
#[derive(Debug)]
pub(crate) struct Clock {
    ahead_seconds: AtomicI64,
    time_scale: f64,
}

impl Clock {
    /// A clock that agrees with the machine's; `time_scale` says how many times shorter limits and delays are.
    pub(crate) fn new(time_scale: f64) -> Self {
        Self {
            ahead_seconds: AtomicI64::new(0),
            time_scale,
        }
    }

    /// The current time, to the second, as these systems stamp their records.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.second()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The current time in whole seconds since 1970.
    pub(crate) fn second(&self) -> i64 {
        Timestamp::now().as_second() + self.ahead_seconds.load(Ordering::Relaxed)
    }

    /// The last second of which an export that holds back `delay` of real time shows the changes: always a complete one,
    /// so that no later write can fall behind a cursor.
    pub(crate) fn visible_second(&self, delay: Duration) -> i64 {
        let held_back = self.scaled(delay).as_secs_f64().ceil();
        // A float holds every second of this era exactly; `max` keeps the running second out.
        self.second() - (held_back as i64).max(1)
    }

    /// A period of real time as the sandbox shortens it.
    pub(crate) fn scaled(&self, period: Duration) -> Duration {
        period.div_f64(self.time_scale)
    }

    /// Pushes the clock ahead.
    pub(crate) fn advance(&self, seconds: i64) {
        self.ahead_seconds.fetch_add(seconds.max(0), Ordering::Relaxed);
    }

    /// Makes sure that more than the minute that exports hold back lies between a stored time and now: to the sandbox, time
    /// passed between two runs, however soon one followed the other.
    pub(crate) fn leave_behind(&self, latest: Timestamp) {
        self.advance(latest.as_second() + AWAY_SECONDS - self.second());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_never_show_the_running_second() {
        let fast = Clock::new(1_000_000.0);
        assert!(fast.visible_second(Duration::from_secs(60)) < fast.second());
        let real = Clock::new(1.0);
        assert!(real.visible_second(Duration::from_secs(60)) <= real.second() - 60);
    }

    #[test]
    fn a_clock_only_moves_forward() {
        let clock = Clock::new(1.0);
        let before = clock.second();
        clock.advance(-500);
        clock.leave_behind(Timestamp::UNIX_EPOCH);
        assert!(clock.second() >= before);
        clock.advance(90);
        assert!(clock.second() >= before + 90);
        let stored = clock.now();
        clock.leave_behind(stored);
        assert!(clock.second() > stored.as_second() + 60);
    }
}
