//! One budget over time: how many requests may be sent in which period, corrected by what the server says.
//!
//! Pure: the caller brings the time. Requests sent are remembered one by one, so that no stretch of one period holds
//! more than the rate, wherever it begins; what the server says counts in addition, until its period ends.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a server's "nothing left" holds where it does not say when that ends and no rate is declared.
const UNKNOWN_RESET: Duration = Duration::from_secs(10);

/// Requests in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// How many.
    pub(super) count: u64,
    /// In which time.
    pub(super) period: Duration,
}

impl Rate {
    /// Reads `30 per 10 minutes`, `1 per second`.
    pub(super) fn parse(text: &str) -> Option<Rate> {
        let mut words = text.split_whitespace();
        let count = words.next()?.parse().ok().filter(|count| *count > 0)?;
        if words.next()? != "per" {
            return None;
        }
        let word = words.next()?;
        let (number, unit) = match word.parse::<u64>() {
            Ok(number) => (number, words.next()?),
            Err(_) => (1, word),
        };
        let unit = match unit.strip_suffix('s').unwrap_or(unit) {
            "second" => 1,
            "minute" => 60,
            "hour" => 3600,
            "day" => 24 * 3600,
            _ => return None,
        };
        let period = Duration::from_secs(number.checked_mul(unit)?);
        let sound = words.next().is_none() && !period.is_zero();
        sound.then_some(Rate { count, period })
    }

    /// The share of it that may be used; at least one request.
    pub(super) fn share(self, share: f64) -> Rate {
        Rate {
            count: share_of(self.count, share),
            ..self
        }
    }
}

/// A share of a count, at least one.
pub(super) fn share_of(count: u64, share: f64) -> u64 {
    // A bound of 2^53 requests is beyond any server; the cast back is of a smaller number.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let part = (count as f64 * share.clamp(0.0, 1.0)).floor() as u64;
    part.max(1)
}

/// What a server says of a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The bound.
    pub(super) limit: Option<u64>,
    /// What is left of it.
    pub(super) remaining: Option<u64>,
    /// When it is full again.
    pub(super) reset: Option<Duration>,
}

/// One budget.
#[derive(Debug, Default)]
pub(super) struct Window {
    rate: Option<Rate>,
    sent: VecDeque<Instant>,
    said: Option<Left>,
    paused_until: Option<Instant>,
    in_flight: u64,
}

/// What the server left us, until when.
#[derive(Clone, Copy, Debug)]
struct Left {
    count: u64,
    until: Instant,
}

impl Window {
    /// A budget of a rate, or without one: then only the server's words count.
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Window {
            rate,
            ..Window::default()
        }
    }

    /// How long the next request has to wait; `None` if it may be sent.
    pub(super) fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.forget(now);
        let own = self.rate.and_then(|rate| {
            let full = u64::try_from(self.sent.len()).unwrap_or(u64::MAX) >= rate.count;
            let oldest = self.sent.front().filter(|_| full)?;
            Some(*oldest + rate.period)
        });
        let said = self.said.filter(|left| left.count == 0).map(|left| left.until);
        let until = own.max(said).max(self.paused_until)?;
        until.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Notes that a request is sent.
    pub(super) fn take(&mut self, now: Instant) {
        if self.rate.is_some() {
            self.sent.push_back(now);
        }
        if let Some(left) = &mut self.said {
            left.count = left.count.saturating_sub(1);
        }
        self.in_flight += 1;
    }

    /// Notes that a request has its answer.
    pub(super) fn answered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Takes over what the server says. Requests still on their way are taken off what it says is left, because it
    /// may not have counted them; so is the share that we leave to others.
    pub(super) fn correct(&mut self, now: Instant, said: Said, share: f64) {
        self.forget(now);
        if let (Some(rate), Some(limit)) = (&mut self.rate, said.limit) {
            rate.count = rate.count.min(share_of(limit, share));
        }
        let Some(remaining) = said.remaining else {
            return;
        };
        let reserve = said
            .limit
            .map_or(0, |limit| limit.saturating_sub(share_of(limit, share)));
        let others = self.in_flight.saturating_sub(1);
        let count = remaining.saturating_sub(reserve).saturating_sub(others);
        let lasts = said
            .reset
            .or(self.rate.map(|rate| rate.period))
            .unwrap_or(UNKNOWN_RESET);
        let until = now + lasts;
        // Answers can overtake each other: within one period the smaller number is the later one.
        let same_period = said.reset.is_some();
        self.said = Some(match self.said {
            Some(left) if same_period && until <= left.until + Duration::from_secs(1) => Left {
                count: count.min(left.count),
                until,
            },
            _ => Left { count, until },
        });
    }

    /// Nothing is sent for this long.
    pub(super) fn pause(&mut self, now: Instant, wait: Duration) {
        self.paused_until = self.paused_until.max(Some(now + wait));
    }

    /// What is left now, where a rate or the server's words tell.
    pub(super) fn remaining(&mut self, now: Instant) -> Option<u64> {
        self.forget(now);
        let sent = u64::try_from(self.sent.len()).unwrap_or(u64::MAX);
        let own = self.rate.map(|rate| rate.count.saturating_sub(sent));
        let said = self.said.map(|left| left.count);
        match (own, said) {
            (Some(own), Some(said)) => Some(own.min(said)),
            (one, other) => one.or(other),
        }
    }

    /// The bound, where it is declared.
    pub(super) fn allowed(&self) -> Option<u64> {
        self.rate.map(|rate| rate.count)
    }

    /// How long it is paused from now on.
    pub(super) fn paused(&self, now: Instant) -> Option<Duration> {
        self.paused_until?.checked_duration_since(now)
    }

    /// Whether it holds nothing that a new window would not.
    pub(super) fn is_idle(&mut self, now: Instant) -> bool {
        self.forget(now);
        self.sent.is_empty() && self.said.is_none() && self.paused_until.is_none() && self.in_flight == 0
    }

    fn forget(&mut self, now: Instant) {
        if let Some(rate) = self.rate {
            while self.sent.front().is_some_and(|sent| *sent + rate.period <= now) {
                self.sent.pop_front();
            }
        }
        self.said = self.said.filter(|left| left.until > now);
        self.paused_until = self.paused_until.filter(|until| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!(
            rate("30 per 10 minutes"),
            Rate {
                count: 30,
                period: SECOND * 600
            }
        );
        assert_eq!(
            rate("1 per second"),
            Rate {
                count: 1,
                period: SECOND
            }
        );
        assert_eq!(
            rate("100 per 1 day"),
            Rate {
                count: 100,
                period: SECOND * 86_400
            }
        );
        for wrong in [
            "",
            "30",
            "0 per minute",
            "30 per",
            "30 per fortnight",
            "30 per minute each",
            "1.5 per second",
            "3 per 0 seconds",
        ] {
            assert_eq!(Rate::parse(wrong), None, "{wrong:?}");
        }
        assert_eq!(rate("10 per minute").share(0.65).count, 6);
        assert_eq!(rate("10 per minute").share(0.0).count, 1);
    }

    #[test]
    fn the_request_after_a_full_period_waits_for_the_oldest_one() {
        let start = Instant::now();
        let mut window = Window::new(Some(rate("2 per 10 seconds")));
        window.take(start);
        window.take(start + SECOND * 3);
        assert_eq!(window.wait(start + SECOND * 4), Some(SECOND * 6));
        assert_eq!(window.wait(start + SECOND * 10), None);
        window.take(start + SECOND * 10);
        assert_eq!(window.wait(start + SECOND * 11), Some(SECOND * 2));
    }

    #[test]
    fn the_servers_count_holds_until_its_reset() {
        let start = Instant::now();
        let mut window = Window::new(Some(rate("100 per minute")));
        let said = Said {
            limit: Some(100),
            remaining: Some(1),
            reset: Some(SECOND * 20),
        };
        window.correct(start, said, 1.0);
        assert_eq!(window.wait(start), None);
        window.take(start);
        assert_eq!(window.wait(start), Some(SECOND * 20));
        assert_eq!(window.wait(start + SECOND * 20), None);
    }

    #[test]
    fn requests_on_their_way_and_the_share_of_others_are_taken_off() {
        let start = Instant::now();
        let mut window = Window::new(None);
        for _ in 0..3 {
            window.take(start);
        }
        let said = Said {
            limit: Some(100),
            remaining: Some(45),
            reset: Some(SECOND * 20),
        };
        window.correct(start, said, 0.6);
        assert_eq!(
            window.remaining(start),
            Some(3),
            "45 less 40 for others less 2 on their way"
        );
    }

    #[test]
    fn an_answer_that_was_overtaken_does_not_refill_the_budget() {
        let start = Instant::now();
        let mut window = Window::new(None);
        let said = |remaining, reset| Said {
            limit: None,
            remaining: Some(remaining),
            reset: Some(SECOND * reset),
        };
        window.correct(start, said(3, 20), 1.0);
        window.correct(start, said(7, 20), 1.0);
        assert_eq!(window.remaining(start), Some(3));
        window.correct(start, said(9, 60), 1.0);
        assert_eq!(window.remaining(start), Some(9), "a later reset is a new period");
    }

    #[test]
    fn a_pause_holds_whatever_is_left() {
        let start = Instant::now();
        let mut window = Window::new(Some(rate("100 per minute")));
        window.pause(start, SECOND * 5);
        window.pause(start, SECOND * 2);
        assert_eq!(window.wait(start), Some(SECOND * 5));
        assert_eq!(window.wait(start + SECOND * 5), None);
    }

    proptest! {
        #[test]
        fn no_stretch_of_one_period_holds_more_than_the_rate(
            gaps in prop::collection::vec(0u64..4_000, 1..80), count in 1u64..8, period in 1u64..20,
        ) {
            let start = Instant::now();
            let rate = Rate { count, period: SECOND * u32::try_from(period).unwrap() };
            let mut window = Window::new(Some(rate));
            let mut now = start;
            let mut sent = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                if let Some(wait) = window.wait(now) {
                    now += wait;
                }
                prop_assert_eq!(window.wait(now), None);
                window.take(now);
                sent.push(now);
            }
            for from in &sent {
                let within = sent.iter().filter(|at| *at >= from && **at < *from + rate.period).count();
                prop_assert!(u64::try_from(within).unwrap() <= count);
            }
        }
    }
}
