//! The named budgets of a connection: a request draws from all that it uses, and answers correct them.
//!
//! A budget may have a rate, a bound of requests at once, and an own window for each value of a template (`each`), such
//! as per record. One [`Limits`] serves everything that uses the connection's credentials.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::limit_headers::Headers;
use super::window::{Rate, Said, Window, share_of};
use crate::compile::compiled::Limit;
use crate::telemetry::{ConnectionCounters, Quota};

/// Windows of single values that are kept before idle ones are swept out.
const SWEEP_AT: usize = 4096;

/// The budgets of a connection.
#[derive(Debug)]
pub(super) struct Limits {
    budgets: Vec<Budget>,
    share: f64,
    state: Mutex<State>,
    counters: Arc<ConnectionCounters>,
}

/// One budget as declared, its rate evaluated.
#[derive(Debug)]
struct Budget {
    name: String,
    rate: Option<Rate>,
    at_once: Option<usize>,
    headers: Headers,
}

#[derive(Debug, Default)]
struct State {
    windows: HashMap<Slot, Window>,
    permits: HashMap<Slot, Arc<Semaphore>>,
    sweep_at: usize,
}

/// A budget, or with `each` its part for one value. The position after the last budget is the connection as a whole,
/// which is paused when a request that names no budget is told to wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Slot {
    budget: usize,
    each: Option<String>,
}

/// What one request draws from, in a fixed order so that two requests cannot block each other.
#[derive(Clone, Debug)]
pub(super) struct Draw(Vec<Slot>);

/// The right to have one request on its way.
#[derive(Debug)]
pub(super) struct Grant {
    limits: Arc<Limits>,
    draw: Draw,
    permits: Vec<(usize, OwnedSemaphorePermit)>,
    answered: bool,
}

/// Why no request may be sent.
#[derive(Debug)]
pub(super) enum Denied {
    /// The run was asked to stop.
    Cancelled,
    /// The budget stays spent for longer than the caller waits.
    Spent {
        /// Its name.
        budget: String,
        /// How long.
        wait: Duration,
    },
}

impl Draw {
    /// Draws from these too.
    pub(super) fn add(&mut self, other: Draw) {
        self.0.extend(other.0);
        self.0.sort();
        self.0.dedup();
    }
}

impl Limits {
    /// The budgets of a connector with their rates' texts, of which only a share may be used.
    ///
    /// # Errors
    /// The name of a budget whose rate cannot be read, and the rate's text.
    pub(super) fn new(
        limits: &[Limit],
        rates: Vec<Option<String>>,
        share: f64,
        counters: Arc<ConnectionCounters>,
    ) -> Result<Limits, (String, String)> {
        let mut budgets = Vec::with_capacity(limits.len());
        for (limit, rate) in limits.iter().zip(rates) {
            let rate = match rate {
                Some(text) => {
                    let rate = Rate::parse(&text).ok_or_else(|| (limit.name.clone(), text))?;
                    Some(rate.share(share))
                }
                None => None,
            };
            let at_once = limit.at_once.map(|count| {
                usize::try_from(share_of(u64::from(count), share)).unwrap_or(Semaphore::MAX_PERMITS)
            });
            budgets.push(Budget {
                name: limit.name.clone(),
                rate,
                at_once,
                headers: Headers::new(&limit.headers),
            });
        }
        Ok(Limits {
            budgets,
            share,
            state: Mutex::new(State::default()),
            counters,
        })
    }

    /// What a request draws from: its budgets, each with the value of its `each` template. A budget whose template
    /// has no value here does not count.
    pub(super) fn draw(&self, parts: impl IntoIterator<Item = (usize, Each)>) -> Draw {
        let mut slots: Vec<Slot> = parts
            .into_iter()
            .filter_map(|(budget, each)| match each {
                Each::Whole => Some(Slot { budget, each: None }),
                Each::Value(value) => Some(Slot {
                    budget,
                    each: Some(value),
                }),
                Each::Nothing => None,
            })
            .collect();
        slots.push(Slot {
            budget: self.budgets.len(),
            each: None,
        });
        slots.sort();
        slots.dedup();
        Draw(slots)
    }

    /// Waits until a request may be sent.
    ///
    /// # Errors
    /// [`Denied`]; nothing was taken then.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        draw: &Draw,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<Grant, Denied> {
        let mut permits = Vec::new();
        for slot in &draw.0 {
            let Some(semaphore) = self.semaphore(slot) else {
                continue;
            };
            let permit = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Denied::Cancelled),
                permit = semaphore.acquire_owned() => permit,
            };
            // The semaphore is never closed.
            permits.extend(permit.ok().map(|permit| (slot.budget, permit)));
        }
        while let Some((budget, wait)) = self.take(draw) {
            if wait > patience {
                return Err(Denied::Spent {
                    budget: self.name(budget).to_owned(),
                    wait,
                });
            }
            self.counters.waited(wait);
            tracing::debug!(
                limit = self.name(budget),
                milliseconds = wait.as_millis(),
                "waiting for a limit"
            );
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Denied::Cancelled),
                () = tokio::time::sleep(wait) => {}
            }
        }
        if stop.is_cancelled() {
            self.give_back(draw);
            return Err(Denied::Cancelled);
        }
        Ok(Grant {
            limits: Arc::clone(self),
            draw: draw.clone(),
            permits,
            answered: false,
        })
    }

    /// Corrects the budgets of a request by its answer's headers.
    pub(super) fn observe(&self, draw: &Draw, headers: &HeaderMap) {
        let now = Instant::now();
        for slot in &draw.0 {
            let Some(budget) = self.budgets.get(slot.budget) else {
                continue;
            };
            let said = budget.headers.read(headers);
            let mut state = self.lock();
            let window = state.window(slot, budget.rate);
            if said != Said::default() {
                window.correct(now, said, self.share);
            }
            let quota = window.remaining(now).map(|remaining| Quota {
                remaining,
                allowed: said.limit.or(window.allowed()),
                paused: window.paused(now),
            });
            drop(state);
            if let Some(quota) = quota.filter(|_| slot.each.is_none()) {
                self.counters.set_quota(&budget.name, quota);
            }
        }
    }

    /// Pauses the budgets that made the server refuse: of those that the request used, the ones that the answer does
    /// not show to have something left.
    ///
    /// Returns the name of one of them.
    pub(super) fn pause(&self, draw: &Draw, headers: &HeaderMap, wait: Duration) -> &str {
        let now = Instant::now();
        let named: Vec<&Slot> = draw
            .0
            .iter()
            .filter(|slot| slot.budget < self.budgets.len())
            .collect();
        let innocent = |slot: &Slot| {
            let said = self
                .budgets
                .get(slot.budget)
                .map(|budget| budget.headers.read(headers));
            said.and_then(|said| said.remaining)
                .is_some_and(|remaining| remaining > 0)
        };
        let mut guilty: Vec<&Slot> = named.iter().copied().filter(|slot| !innocent(slot)).collect();
        if guilty.is_empty() {
            guilty = if named.is_empty() {
                draw.0.iter().collect()
            } else {
                named
            };
        }
        let mut state = self.lock();
        for slot in &guilty {
            let budget = self.budgets.get(slot.budget);
            let window = state.window(slot, budget.and_then(|budget| budget.rate));
            window.pause(now, wait);
            if let Some(budget) = budget.filter(|_| slot.each.is_none()) {
                let quota = Quota {
                    remaining: 0,
                    allowed: window.allowed(),
                    paused: Some(wait),
                };
                self.counters.set_quota(&budget.name, quota);
            }
        }
        guilty.first().map_or("requests", |slot| self.name(slot.budget))
    }

    /// When the headers say that a spent budget of the request is full again.
    pub(super) fn told_wait(&self, draw: &Draw, headers: &HeaderMap) -> Option<Duration> {
        let spent = draw.0.iter().filter_map(|slot| {
            let said = self.budgets.get(slot.budget)?.headers.read(headers);
            said.reset.filter(|_| said.remaining == Some(0))
        });
        spent.max()
    }

    fn name(&self, budget: usize) -> &str {
        self.budgets.get(budget).map_or("requests", |budget| &budget.name)
    }

    /// Takes one request from every budget, or from none and says for which one it has to wait.
    fn take(&self, draw: &Draw) -> Option<(usize, Duration)> {
        let now = Instant::now();
        let mut state = self.lock();
        state.sweep(now);
        let mut longest = None;
        for slot in &draw.0 {
            let rate = self.budgets.get(slot.budget).and_then(|budget| budget.rate);
            if let Some(wait) = state.window(slot, rate).wait(now) {
                longest = longest.max(Some((wait, slot.budget)));
            }
        }
        if let Some((wait, budget)) = longest {
            return Some((budget, wait));
        }
        for slot in &draw.0 {
            if let Some(window) = state.windows.get_mut(slot) {
                window.take(now);
            }
        }
        None
    }

    fn give_back(&self, draw: &Draw) {
        let mut state = self.lock();
        for slot in &draw.0 {
            if let Some(window) = state.windows.get_mut(slot) {
                window.answered();
            }
        }
    }

    fn semaphore(&self, slot: &Slot) -> Option<Arc<Semaphore>> {
        let count = self.budgets.get(slot.budget)?.at_once?;
        let mut state = self.lock();
        let semaphore = state.permits.entry(slot.clone());
        Some(Arc::clone(
            semaphore.or_insert_with(|| Arc::new(Semaphore::new(count))),
        ))
    }

    /// No operation under the lock leaves the state half changed, so a thread that died with it does no harm.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a budget's `each` template gives for a request.
#[derive(Debug)]
pub(super) enum Each {
    /// The budget has none.
    Whole,
    /// This value.
    Value(String),
    /// Null: the budget does not count here.
    Nothing,
}

impl Grant {
    /// Notes that the answer has come, and lets go of the bounds of requests at once except those in `keep`.
    pub(super) fn answered(&mut self, keep: &[usize]) {
        if !self.answered {
            self.answered = true;
            self.limits.give_back(&self.draw);
        }
        self.permits.retain(|(budget, _)| keep.contains(budget));
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.answered(&[]);
    }
}

impl State {
    fn window(&mut self, slot: &Slot, rate: Option<Rate>) -> &mut Window {
        self.windows
            .entry(slot.clone())
            .or_insert_with(|| Window::new(rate))
    }

    /// Forgets windows of single values that hold nothing, once there are many.
    fn sweep(&mut self, now: Instant) {
        if self.windows.len() < self.sweep_at.max(SWEEP_AT) {
            return;
        }
        self.windows
            .retain(|slot, window| slot.each.is_none() || !window.is_idle(now));
        self.permits
            .retain(|slot, semaphore| slot.each.is_none() || Arc::strong_count(semaphore) > 1);
        self.sweep_at = self.windows.len() * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::compiled::LimitHeaders;
    use reqwest::header::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        };
        pairs.iter().map(pair).collect()
    }

    fn limit(name: &str, at_once: Option<u32>, headers: LimitHeaders) -> Limit {
        Limit {
            name: name.to_owned(),
            rate: None,
            at_once,
            each: None,
            headers,
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn limits(rates: &[Option<&str>]) -> Arc<Limits> {
        let account = LimitHeaders {
            limit: names(&["x-rate-limit"]),
            remaining: names(&["x-rate-limit-remaining"]),
            reset_seconds: names(&["ratelimit-reset"]),
            pairs: Vec::new(),
        };
        let exports = LimitHeaders {
            pairs: names(&["x-exports-new", "x-exports-old"]),
            ..LimitHeaders::default()
        };
        let limits = [
            limit("account", Some(2), account),
            limit("exports", None, exports),
        ];
        let rates = rates.iter().map(|rate| rate.map(str::to_owned)).collect();
        Arc::new(Limits::new(&limits, rates, 1.0, Arc::default()).unwrap())
    }

    fn both(limits: &Limits) -> Draw {
        limits.draw([(0, Each::Whole), (1, Each::Whole)])
    }

    #[tokio::test]
    async fn only_the_budget_that_is_not_shown_innocent_is_paused() {
        let limits = limits(&[None, None]);
        let answer = headers(&[("x-rate-limit-remaining", "500")]);
        assert_eq!(
            limits.pause(&both(&limits), &answer, Duration::from_secs(30)),
            "exports"
        );
        let stop = CancellationToken::new();
        let account = limits.draw([(0, Each::Whole)]);
        limits.acquire(&account, Duration::ZERO, &stop).await.unwrap();
        let denied = limits
            .acquire(&both(&limits), Duration::from_secs(1), &stop)
            .await
            .unwrap_err();
        assert!(matches!(denied, Denied::Spent { budget, .. } if budget == "exports"));
    }

    #[tokio::test]
    async fn a_request_without_budgets_pauses_the_connection() {
        let limits = limits(&[None, None]);
        let free = limits.draw([]);
        limits.pause(&free, &HeaderMap::new(), Duration::from_secs(30));
        let stop = CancellationToken::new();
        let denied = limits.acquire(&both(&limits), Duration::ZERO, &stop).await;
        assert!(matches!(denied, Err(Denied::Spent { .. })));
    }

    #[tokio::test]
    async fn a_spent_budget_takes_nothing_from_the_others() {
        let limits = limits(&[Some("5 per minute"), Some("1 per minute")]);
        let stop = CancellationToken::new();
        drop(
            limits
                .acquire(&both(&limits), Duration::ZERO, &stop)
                .await
                .unwrap(),
        );
        for _ in 0..3 {
            assert!(
                limits
                    .acquire(&both(&limits), Duration::ZERO, &stop)
                    .await
                    .is_err()
            );
        }
        let slot = Slot {
            budget: 0,
            each: None,
        };
        let left = limits
            .lock()
            .windows
            .get_mut(&slot)
            .unwrap()
            .remaining(Instant::now());
        assert_eq!(left, Some(4));
    }

    #[tokio::test]
    async fn values_of_each_have_windows_of_their_own() {
        let limits = limits(&[Some("1 per minute"), None]);
        let stop = CancellationToken::new();
        let one = |key: &str| limits.draw([(0, Each::Value(key.to_owned()))]);
        drop(limits.acquire(&one("a"), Duration::ZERO, &stop).await.unwrap());
        drop(limits.acquire(&one("b"), Duration::ZERO, &stop).await.unwrap());
        assert!(limits.acquire(&one("a"), Duration::ZERO, &stop).await.is_err());
        let none = limits.draw([(0, Each::Nothing)]);
        drop(limits.acquire(&none, Duration::ZERO, &stop).await.unwrap());
    }

    #[tokio::test]
    async fn no_more_requests_than_allowed_are_on_their_way_and_stopping_ends_the_wait() {
        let limits = limits(&[None, None]);
        let stop = CancellationToken::new();
        let mut first = limits
            .acquire(&both(&limits), Duration::ZERO, &stop)
            .await
            .unwrap();
        let second = limits
            .acquire(&both(&limits), Duration::ZERO, &stop)
            .await
            .unwrap();
        let (third, ()) = tokio::join!(limits.acquire_owned_for_test(&stop), async { stop.cancel() });
        assert!(matches!(third, Err(Denied::Cancelled)));
        let stop = CancellationToken::new();
        first.answered(&[]);
        drop(
            limits
                .acquire(&both(&limits), Duration::ZERO, &stop)
                .await
                .unwrap(),
        );
        drop(second);
    }

    impl Limits {
        async fn acquire_owned_for_test(self: &Arc<Self>, stop: &CancellationToken) -> Result<Grant, Denied> {
            self.acquire(&both(self), Duration::ZERO, stop).await
        }
    }
}
