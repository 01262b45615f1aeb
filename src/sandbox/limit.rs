//! Request budgets that refill once per period, as the imitated vendors count them.
//!
//! A window opens with the first request after the last one ended. Periods are given as the vendor documents them; the
//! clock's time scale shortens them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::Clock;

/// More windows than a small account ever needs; beyond it, those that ended are swept.
const SWEEP_ABOVE: usize = 4096;

/// Every budget of a system, by name.
#[derive(Debug)]
pub(crate) struct Limits {
    windows: HashMap<String, Window>,
    clock: Arc<Clock>,
}

#[derive(Debug)]
struct Window {
    ends: Instant,
    used: u32,
}

/// What is left of a budget after a request was counted or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Whether the request fits.
    pub(crate) allowed: bool,
    pub(crate) total: u32,
    pub(crate) remaining: u32,
    /// Whole seconds, rounded up, until the window ends.
    pub(crate) resets: u64,
}

impl Limits {
    pub(crate) fn new(clock: Arc<Clock>) -> Self {
        Self {
            windows: HashMap::new(),
            clock,
        }
    }

    /// Counts a request against the budget of that name: `total` per `period`.
    pub(crate) fn take(&mut self, name: &str, total: u32, period: Duration) -> Budget {
        let now = Instant::now();
        if self.windows.len() > SWEEP_ABOVE {
            self.windows.retain(|_, window| window.ends > now);
        }
        let ends = now + self.clock.scaled(period);
        let window = self
            .windows
            .entry(name.to_owned())
            .or_insert(Window { ends, used: 0 });
        if window.ends <= now {
            *window = Window { ends, used: 0 };
        }
        let allowed = window.used < total;
        if allowed {
            window.used += 1;
        }
        Budget {
            allowed,
            total,
            remaining: total.saturating_sub(window.used),
            resets: window.ends.duration_since(now).as_secs_f64().ceil() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_and_says_when_it_returns() {
        let mut limits = Limits::new(Arc::new(Clock::new(1.0)));
        let minute = Duration::from_secs(60);
        assert_eq!(limits.take("a", 2, minute).remaining, 1);
        assert!(limits.take("a", 2, minute).allowed);
        let refused = limits.take("a", 2, minute);
        assert!(!refused.allowed);
        assert_eq!((refused.remaining, refused.resets), (0, 60));
        assert!(limits.take("b", 2, minute).allowed);
    }

    #[test]
    fn a_scaled_budget_returns_sooner() {
        let mut limits = Limits::new(Arc::new(Clock::new(60_000_000.0)));
        let minute = Duration::from_secs(60);
        assert!(limits.take("a", 1, minute).allowed);
        // A window of a microsecond is over by the time the next call reads the clock, or soon after.
        let refilled = (0..10_000).any(|_| limits.take("a", 1, minute).allowed);
        assert!(refilled);
    }
}
