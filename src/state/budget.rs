//! Budgets that processes share: how many requests a credential has left.
//!
//! A budget refills evenly up to its capacity. Processes draw about a second's worth at a time, so that the store is
//! asked seldom; a pause after a refusal holds for everybody.

use std::time::Duration;

use jiff::Timestamp;

/// A budget, by names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BudgetRef<'a> {
    /// The connection, by what identifies its account.
    pub connection: &'a str,
    /// The limit; with `each`, the value that it is counted for, after a colon.
    pub limit: &'a str,
}

/// A wish to send requests.
#[derive(Clone, Copy, Debug)]
pub struct BudgetDraw<'a> {
    /// From which budget.
    pub budget: BudgetRef<'a>,
    /// How many requests fit into `per`.
    pub capacity: u64,
    /// The time in which an empty budget becomes full.
    pub per: Duration,
    /// How many are wished for.
    pub want: u64,
    /// The time of asking.
    pub now: Timestamp,
}

/// What was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetGrant {
    /// How many requests may be sent; at most as many as wished for.
    pub granted: u64,
    /// When it is worth asking again, if nothing was granted.
    pub ask_again: Option<Timestamp>,
}

/// A budget as it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    /// Requests left, fractions included.
    pub(super) left: f64,
    /// When `left` was true.
    pub(super) at: Timestamp,
    /// Nobody draws before this.
    pub(super) paused_until: Option<Timestamp>,
}

impl Bucket {
    /// The bucket after a draw, and what was granted.
    pub(super) fn draw(self, draw: &BudgetDraw<'_>) -> (Bucket, BudgetGrant) {
        let capacity = draw.capacity as f64;
        let per_second = capacity / draw.per.as_secs_f64().max(f64::MIN_POSITIVE);
        // A clock that was set back refills nothing, instead of taking away.
        let elapsed = draw.now.duration_since(self.at).as_secs_f64().max(0.0);
        let left = (self.left + elapsed * per_second).min(capacity);
        let paused_until = self.paused_until.filter(|until| *until > draw.now);
        let granted = match paused_until {
            Some(_) => 0,
            None => (left.floor() as u64).min(draw.want),
        };
        let bucket = Bucket {
            left: left - granted as f64,
            at: draw.now,
            paused_until,
        };
        let ask_again = (granted == 0 && draw.want > 0).then(|| {
            paused_until.unwrap_or_else(|| {
                let seconds = ((1.0 - left) / per_second).clamp(0.001, 86_400.0);
                draw.now
                    .checked_add(Duration::from_secs_f64(seconds))
                    .unwrap_or(draw.now)
            })
        });
        (bucket, BudgetGrant { granted, ask_again })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: BudgetRef<'static> = BudgetRef {
        connection: "crm",
        limit: "account",
    };

    fn draw(want: u64, now: i64) -> BudgetDraw<'static> {
        BudgetDraw {
            budget: BUDGET,
            capacity: 10,
            per: Duration::from_secs(10),
            want,
            now: Timestamp::from_second(now).unwrap(),
        }
    }

    fn full() -> Bucket {
        Bucket {
            left: 10.0,
            at: Timestamp::from_second(100).unwrap(),
            paused_until: None,
        }
    }

    #[test]
    fn grants_what_is_left_and_refills_evenly() {
        let (bucket, grant) = full().draw(&draw(12, 100));
        assert_eq!(grant.granted, 10);
        let (bucket, grant) = bucket.draw(&draw(1, 100));
        assert_eq!(grant.granted, 0);
        assert_eq!(grant.ask_again, Some(Timestamp::from_second(101).unwrap()));
        let (bucket, grant) = bucket.draw(&draw(5, 103));
        assert_eq!(grant.granted, 3);
        let (_, grant) = bucket.draw(&draw(100, 1_000));
        assert_eq!(grant.granted, 10);
    }

    #[test]
    fn a_clock_set_back_neither_refills_nor_empties() {
        let (bucket, _) = full().draw(&draw(4, 100));
        let (bucket, grant) = bucket.draw(&draw(1, 50));
        assert_eq!(grant.granted, 1);
        assert_eq!(bucket.left, 5.0);
    }

    #[test]
    fn a_pause_grants_nothing_until_it_ends() {
        let until = Timestamp::from_second(130).unwrap();
        let paused = Bucket {
            paused_until: Some(until),
            ..full()
        };
        let (bucket, grant) = paused.draw(&draw(1, 120));
        assert_eq!((grant.granted, grant.ask_again), (0, Some(until)));
        let (bucket, grant) = bucket.draw(&draw(1, 130));
        assert_eq!((grant.granted, bucket.paused_until), (1, None));
    }
}
