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
    /// How long a record whose part of it is spent waits within a run.
    wait_at_most: Duration,
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
    /// The record's own budget is spent: others may go on.
    Later(Later),
}

/// When a record whose own budget is spent may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Later {
    /// The budget's name.
    pub(super) budget: String,
    /// How long it stays spent.
    pub(super) wait: Duration,
    /// How long it is worth waiting within a run.
    pub(super) at_most: Duration,
}

/// What became of budgets that a server said are spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Paused {
    /// A budget that others draw from, or the connection as a whole.
    All(String),
    /// Only budgets of single records.
    Records(Later),
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
                wait_at_most: limit.wait_at_most,
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

    /// Waits until a request may be sent. One that `defers` does not wait for the budget of a single record.
    ///
    /// # Errors
    /// [`Denied`]; nothing was taken then.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        draw: &Draw,
        defers: bool,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<Grant, Denied> {
        if let Some(later) = self.later(draw).filter(|_| defers) {
            return Err(Denied::Later(later));
        }
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
            if let Some(later) = self.later(draw).filter(|_| defers) {
                return Err(Denied::Later(later));
            }
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

    /// The budgets of single records in a draw that are spent: the one that stays so for longest.
    pub(super) fn later(&self, draw: &Draw) -> Option<Later> {
        let now = Instant::now();
        let mut state = self.lock();
        let spent = draw
            .0
            .iter()
            .filter(|slot| slot.each.is_some())
            .filter_map(|slot| {
                let wait = state.windows.get_mut(slot)?.wait(now)?;
                self.later_by(slot, wait)
            });
        spent.max_by_key(|later| later.wait)
    }

    fn later_by(&self, slot: &Slot, wait: Duration) -> Option<Later> {
        let budget = self.budgets.get(slot.budget).filter(|_| slot.each.is_some())?;
        Some(Later {
            budget: budget.name.clone(),
            wait,
            at_most: budget.wait_at_most,
        })
    }

    /// What a refused item of a shared request has to wait for.
    pub(super) fn later_of(&self, budget: Option<usize>, wait: Duration) -> Later {
        let budget = budget.and_then(|budget| self.budgets.get(budget));
        Later {
            budget: budget.map_or("requests", |budget| &budget.name).to_owned(),
            wait,
            at_most: budget.map_or(wait, |budget| budget.wait_at_most),
        }
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

    /// Pauses the budgets that made the server refuse: the one that it named; else those of the request that the headers
    /// show to be spent; else those that they do not show to have something left.
    pub(super) fn pause(
        &self,
        draw: &Draw,
        named: Option<usize>,
        headers: &HeaderMap,
        wait: Duration,
    ) -> Paused {
        let now = Instant::now();
        let guilty = self.guilty(draw, named, headers);
        let mut state = self.lock();
        let mut later = None;
        for slot in &guilty {
            let budget = self.budgets.get(slot.budget);
            if slot.each.is_some() {
                later = self.later_by(slot, wait);
                let shares = draw.0.iter().filter(|other| other.budget == slot.budget);
                // Of several records in one request nobody says whose budget it was.
                if shares.count() > 1 {
                    continue;
                }
            }
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
        match (guilty.iter().find(|slot| slot.each.is_none()), later) {
            (None, Some(later)) => Paused::Records(later),
            (shared, _) => Paused::All(
                shared
                    .map_or("requests", |slot| self.name(slot.budget))
                    .to_owned(),
            ),
        }
    }

    fn guilty<'d>(&self, draw: &'d Draw, named: Option<usize>, headers: &HeaderMap) -> Vec<&'d Slot> {
        let known: Vec<&Slot> = draw
            .0
            .iter()
            .filter(|slot| slot.budget < self.budgets.len())
            .collect();
        let left = |slot: &Slot| {
            let said = self
                .budgets
                .get(slot.budget)
                .map(|budget| budget.headers.read(headers));
            said.and_then(|said| said.remaining)
        };
        let is_named = |slot: &&&Slot| Some(slot.budget) == named;
        let is_spent = |slot: &&&Slot| left(slot) == Some(0);
        let is_doubtful = |slot: &&&Slot| left(slot).is_none();
        let first_of = |guilty: [Vec<&'d Slot>; 4]| guilty.into_iter().find(|slots| !slots.is_empty());
        first_of([
            known.iter().filter(is_named).copied().collect(),
            known.iter().filter(is_spent).copied().collect(),
            known.iter().filter(is_doubtful).copied().collect(),
            known.clone(),
        ])
        .unwrap_or_else(|| draw.0.iter().collect())
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
mod tests;
