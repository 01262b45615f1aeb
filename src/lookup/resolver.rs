//! [`BatchResolver`]: mapping's window into what lookups know, for one batch.
//!
//! It answers from memory and notes each question that memory cannot answer, once. Threads of one batch may share it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::Shared;
use super::table::{Known, preferred};
use crate::compile::compiled::{FlowId, Lookup, LookupId, Match, OnMany};
use crate::expression::Value;
use crate::mapping::{
    AskedKey, AskedValue, Found, Resolution, Resolver, asked_key, asked_value, name_pending,
};

/// A question that memory could not answer.
#[derive(Clone, Debug)]
pub struct Question {
    pub(super) kind: QuestionKind,
}

#[derive(Clone, Debug)]
pub(super) enum QuestionKind {
    /// A lookup's attempts from the first that is not answered.
    Lookup {
        lookup: LookupId,
        attempts: Vec<Attempt>,
    },
    /// A link.
    Link { flow: FlowId, key: String },
}

/// One attempt to ask.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// Its position in the lookup.
    pub(super) position: usize,
    /// Its key, normalised.
    pub(super) key: String,
    /// The value that the system is asked with, as given.
    pub(super) value: Value<'static>,
}

/// Answers one batch's lookups and links from memory; notes what is missing.
#[derive(Debug)]
pub struct BatchResolver {
    shared: Arc<Shared>,
    began: Instant,
    noted: Mutex<Noted>,
}

/// What makes two questions one.
type Mark = (bool, usize, Vec<(usize, String)>);

impl QuestionKind {
    fn mark(&self) -> Mark {
        match self {
            QuestionKind::Lookup { lookup, attempts } => {
                let keys = attempts
                    .iter()
                    .map(|attempt| (attempt.position, attempt.key.clone()));
                (true, *lookup, keys.collect())
            }
            QuestionKind::Link { flow, key } => (false, *flow, vec![(0, key.clone())]),
        }
    }
}

#[derive(Debug, Default)]
struct Noted {
    seen: HashSet<Mark>,
    questions: Vec<Question>,
}

impl BatchResolver {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        BatchResolver {
            shared,
            began: Instant::now(),
            noted: Mutex::default(),
        }
    }

    /// When the batch began: what is known counts if it came later, or was fresh then.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Takes the questions noted so far, each once.
    pub fn questions(&self) -> Vec<Question> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.seen.clear();
        std::mem::take(&mut noted.questions)
    }

    fn note(&self, kind: QuestionKind) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.seen.insert(kind.mark()) {
            noted.questions.push(Question { kind });
        }
    }

    /// The value that an attempt asks the system with; `None` if it cannot be asked now.
    fn value_to_ask(&self, attempt: &Match, given: &Value<'_>) -> Option<Value<'static>> {
        let by_find = attempt.keys.iter().find(|key| key.find.is_some());
        let key = by_find.or(attempt.keys.first())?;
        match asked_value(&self.shared.pipeline, &key.ours, given, self) {
            AskedValue::Value(value) => Some(value.into_owned().into_owned()),
            AskedValue::Missing | AskedValue::Failed(_) => None,
        }
    }

    /// The attempts from `first` on that can be asked now.
    pub(super) fn attempts(&self, rule: &Lookup, first: usize, given: &Value<'_>) -> Vec<Attempt> {
        let rest = rule.attempts.iter().enumerate().skip(first);
        rest.filter_map(|(position, attempt)| {
            let key = asked_key(&self.shared.pipeline, &rule.normalize, attempt, given, self);
            let AskedKey::Known(key) = key else {
                return None;
            };
            let value = self.value_to_ask(attempt, given)?;
            Some(Attempt { position, key, value })
        })
        .collect()
    }

    fn answer(&self, rule: &Lookup, given: &Value<'_>, found: Vec<Arc<Found>>) -> Resolution {
        let mut found = preferred(rule, &self.shared.pipeline, given, found);
        match found.len() {
            0 => Resolution::None,
            1 => Resolution::Found(found.swap_remove(0)),
            _ => Resolution::Many(found),
        }
    }
}

impl Resolver for BatchResolver {
    fn resolve(&self, lookup: LookupId, given: &Value<'_>) -> Resolution {
        let pipeline = &self.shared.pipeline;
        let (Some(rule), Some(table)) = (pipeline.lookups.get(lookup), self.shared.table(lookup)) else {
            return Resolution::Failed(format!("there is no lookup number {lookup}"));
        };
        for (position, attempt) in rule.attempts.iter().enumerate() {
            let key = match asked_key(pipeline, &rule.normalize, attempt, given, self) {
                AskedKey::Known(key) => key,
                AskedKey::Nothing => continue,
                AskedKey::Missing => return Resolution::Missing,
                AskedKey::Failed(message) => return Resolution::Failed(message),
            };
            let known = match table.known(position, &key, self.began) {
                Known::Found(found) if !found.is_empty() => return self.answer(rule, given, found),
                known => known,
            };
            let created = || name_pending(rule, attempt, &key);
            if let Some(found) = self.shared.created.find(created) {
                return Resolution::Found(found);
            }
            match known {
                Known::Found(_) => {}
                Known::Failed(message) => return Resolution::Failed(message.to_string()),
                Known::Unknown => {
                    let attempts = self.attempts(rule, position, given);
                    self.note(QuestionKind::Lookup { lookup, attempts });
                    return Resolution::Missing;
                }
            }
        }
        Resolution::None
    }

    fn link(&self, flow: FlowId, key: &str) -> Resolution {
        let resolution = self.shared.links.resolve(flow, key, self.began);
        if matches!(resolution, Resolution::Missing) {
            let key = key.to_owned();
            self.note(QuestionKind::Link { flow, key });
        }
        resolution
    }
}

/// Whether several records are as good as one for a lookup.
pub(super) fn takes_first(rule: &Lookup) -> bool {
    rule.on_many == OnMany::First
}
