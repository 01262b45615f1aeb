//! Answering noted questions, all of a batch together, with as few requests as possible.
//!
//! Questions become keys of attempts; keys that another batch asks for are waited for; what an earlier run asked is
//! taken from the store; the rest is asked in batches, those of several lookups over one stream together. What finds
//! nothing goes on to its lookup's next attempt.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::flight::{FlightKey, landed};
use super::resolver::{Attempt, QuestionKind, takes_first};
use super::table::{Known, preferred};
use super::{LookupError, Lookups, Question, Shared};
use crate::compile::compiled::{Load, LookupId};
use crate::expression::Value;
use crate::mapping::{Found, Resolution, Resolver};

impl Lookups {
    /// Has questions answered, so that mapping the batch again finds the answers. A question that the system refuses is
    /// answered as failed.
    ///
    /// # Errors
    /// When a system or the store cannot be asked at all: the run ends.
    pub async fn fetch(&self, questions: Vec<Question>) -> Result<(), LookupError> {
        self.shared.answer(questions, Reuse::Kept).await
    }

    /// The one record that a lookup finds now, whatever memory says: asked before load creates what a lookup did not
    /// find, and after a system refused to create what exists. `None` if there is none, or several of which none is
    /// preferred. Where the stream cannot be asked by key, what was read of it answers.
    ///
    /// # Errors
    /// When the system refuses or cannot be asked.
    pub async fn find_again(
        &self,
        lookup: LookupId,
        given: &Value<'_>,
    ) -> Result<Option<Arc<Found>>, LookupError> {
        let Some(rule) = self.shared.pipeline.lookups.get(lookup) else {
            return Ok(None);
        };
        let can_ask = |attempt: &Attempt| {
            let matching = rule.attempts.get(attempt.position);
            matching.is_some_and(|matching| matching.keys.iter().any(|key| key.find.is_some()))
        };
        let resolver = self.resolver();
        let mut attempts = resolver.attempts(rule, 0, given);
        attempts.retain(can_ask);
        if attempts.is_empty() {
            return Ok(match resolver.resolve(lookup, given) {
                Resolution::Found(found) => Some(found),
                Resolution::Many(found) if takes_first(rule) => found.into_iter().next(),
                Resolution::Many(_) | Resolution::None | Resolution::Missing | Resolution::Failed(_) => None,
            });
        }
        let began = Instant::now();
        let asking = vec![Asking {
            lookup,
            attempts: attempts.clone().into_iter(),
        }];
        self.shared.walk(asking, began, Reuse::Nothing).await?;
        for attempt in attempts {
            let key = FlightKey {
                lookup,
                attempt: attempt.position,
                key: attempt.key,
            };
            match self.shared.known(&key, began, Reuse::Nothing) {
                Some(Known::Found(found)) if !found.is_empty() => {
                    let mut found = preferred(rule, &self.shared.pipeline, given, found);
                    let is_one = found.len() == 1 || takes_first(rule);
                    return Ok(is_one.then(|| found.swap_remove(0)));
                }
                Some(Known::Failed(message)) => {
                    return Err(LookupError::Refused {
                        lookup: rule.name.clone(),
                        message: message.to_string(),
                    });
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// Which answers may be used that were there before the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reuse {
    /// All that are fresh, also those that earlier runs kept.
    Kept,
    /// None: the system is asked.
    Nothing,
}

/// A question on its way through its lookup's attempts.
struct Asking {
    lookup: LookupId,
    attempts: std::vec::IntoIter<Attempt>,
}

impl Shared {
    pub(super) async fn answer(
        self: &Arc<Self>,
        questions: Vec<Question>,
        reuse: Reuse,
    ) -> Result<(), LookupError> {
        let began = Instant::now();
        let mut links: HashMap<usize, Vec<String>> = HashMap::new();
        let mut asking = Vec::new();
        let mut whole = Vec::new();
        for question in questions {
            match question.kind {
                QuestionKind::Link { flow, key } => links.entry(flow).or_default().push(key),
                QuestionKind::Lookup { lookup, attempts } => {
                    match self.pipeline.lookups.get(lookup).map(|rule| rule.load) {
                        Some(Load::All) => whole.push(lookup),
                        Some(Load::OnDemand) => asking.push(Asking {
                            lookup,
                            attempts: attempts.into_iter(),
                        }),
                        None => {}
                    }
                }
            }
        }
        for (flow, keys) in &links {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            self.links.fetch(&self.pipeline, &*self.state, *flow, &keys)?;
        }
        self.load(&whole).await?;
        self.walk(asking, began, reuse).await
    }

    /// Has questions answered, attempt by attempt.
    async fn walk(
        self: &Arc<Self>,
        mut asking: Vec<Asking>,
        began: Instant,
        reuse: Reuse,
    ) -> Result<(), LookupError> {
        while !asking.is_empty() {
            asking = self.ask_next_attempts(asking, began, reuse).await?;
        }
        Ok(())
    }

    /// What is known of a key; `None` if there is no such lookup.
    pub(super) fn known(&self, key: &FlightKey, began: Instant, reuse: Reuse) -> Option<Known> {
        let table = self.table(key.lookup)?;
        Some(match reuse {
            Reuse::Kept => table.known(key.attempt, &key.key, began),
            Reuse::Nothing => table.asked_since(key.attempt, &key.key, began),
        })
    }

    /// Asks the next attempt of every question; returns those that found nothing.
    async fn ask_next_attempts(
        self: &Arc<Self>,
        asking: Vec<Asking>,
        began: Instant,
        reuse: Reuse,
    ) -> Result<Vec<Asking>, LookupError> {
        let mut values = HashMap::new();
        let mut open = Vec::new();
        for mut one in asking {
            let Some(attempt) = one.attempts.next() else {
                continue;
            };
            let key = FlightKey {
                lookup: one.lookup,
                attempt: attempt.position,
                key: attempt.key,
            };
            values.insert(key.clone(), attempt.value);
            open.push((key, one));
        }
        self.answer_keys(&values, began, reuse).await?;
        let found_nothing = |key: &FlightKey| matches!(self.known(key, began, reuse), Some(Known::Found(found)) if found.is_empty());
        Ok(open
            .into_iter()
            .filter(|(key, _)| found_nothing(key))
            .map(|(_, one)| one)
            .collect())
    }

    /// Has every key answered, by asking or by waiting for who asks already.
    async fn answer_keys(
        self: &Arc<Self>,
        values: &HashMap<FlightKey, Value<'static>>,
        began: Instant,
        reuse: Reuse,
    ) -> Result<(), LookupError> {
        loop {
            let unanswered = values
                .keys()
                .filter(|key| matches!(self.known(key, began, reuse), Some(Known::Unknown)));
            let boarding = self.flights.board(unanswered.cloned());
            if boarding.mine.keys().is_empty() && boarding.others.is_empty() {
                return Ok(());
            }
            self.ask(boarding.mine.keys(), values, reuse).await?;
            drop(boarding.mine);
            for other in boarding.others {
                landed(other).await;
            }
        }
    }
}
