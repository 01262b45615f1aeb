//! Finding a record's counterpart in the sink when no link is known: keys in, candidates compared. Pure.

use std::collections::HashMap;

use crate::compile::compiled::{Match, MatchKey, MatchValue, Source};
use crate::expression::{EvaluateError, Normalizer, Scope, Value, normalize};
use crate::mapping::{Resolution, Resolver};

/// What one attempt of a match looks for, for one record: a value for each of its keys, as given and normalised.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// As given: what the system is asked for.
    pub(crate) values: Vec<Value<'static>>,
    /// What is compared.
    normalized: Vec<String>,
}

/// What each attempt looks for; `None` where the record has no value for one of its keys.
pub(crate) fn wanted(
    matches: &[Match],
    normalizers: &[Normalizer],
    record: &Value<'_>,
    scope: &Scope<'_>,
    resolver: &dyn Resolver,
) -> Result<Vec<Option<Wanted>>, EvaluateError> {
    matches
        .iter()
        .map(|attempt| {
            let mut wanted = Wanted {
                values: Vec::with_capacity(attempt.keys.len()),
                normalized: Vec::with_capacity(attempt.keys.len()),
            };
            for key in &attempt.keys {
                let value = ours(key, record, scope, resolver)?;
                let Some(normalized) = normalize(normalizers, &value).filter(|text| !text.is_empty()) else {
                    return Ok(None);
                };
                wanted.values.push(value);
                wanted.normalized.push(normalized);
            }
            Ok(Some(wanted))
        })
        .collect()
}

fn ours(
    key: &MatchKey,
    record: &Value<'_>,
    scope: &Scope<'_>,
    resolver: &dyn Resolver,
) -> Result<Value<'static>, EvaluateError> {
    Ok(match &key.ours {
        MatchValue::Given => record.clone().into_owned(),
        MatchValue::Select(path) => path.one(record).cloned().unwrap_or_default().into_owned(),
        MatchValue::Compute(template) => template.evaluate(scope)?,
        MatchValue::Link(link) => {
            let own = match &link.key {
                Some(Source::Select(path)) => path.one(record).cloned().unwrap_or_default().into_owned(),
                Some(Source::Compute(template)) => template.evaluate(scope)?,
                None => scope.get("key").cloned().unwrap_or_default().into_owned(),
            };
            match own.key_text().map(|text| resolver.link(link.flow, &text)) {
                Some(Resolution::Found(found)) => found.key.clone(),
                _ => Value::Null,
            }
        }
    })
}

/// Candidates that a system answered, indexed by the first key of the attempt that asked.
#[derive(Debug)]
pub(crate) struct Candidates<'c> {
    attempt: &'c Match,
    normalizers: &'c [Normalizer],
    records: &'c [Value<'c>],
    by_first_key: HashMap<String, Vec<usize>>,
}

impl<'c> Candidates<'c> {
    /// Indexes what was answered.
    pub(crate) fn new(attempt: &'c Match, normalizers: &'c [Normalizer], records: &'c [Value<'c>]) -> Self {
        let mut by_first_key: HashMap<String, Vec<usize>> = HashMap::new();
        if let Some(first) = attempt.keys.first() {
            for (position, record) in records.iter().enumerate() {
                for value in first.theirs.all(record) {
                    if let Some(text) = normalize(normalizers, value) {
                        let positions = by_first_key.entry(text).or_default();
                        if positions.last() != Some(&position) {
                            positions.push(position);
                        }
                    }
                }
            }
        }
        Candidates {
            attempt,
            normalizers,
            records,
            by_first_key,
        }
    }

    /// Positions of the records that agree in every key. Systems search more loosely than we compare.
    pub(crate) fn fitting(&self, wanted: &Wanted) -> Vec<usize> {
        let Some(first) = wanted.normalized.first() else {
            return Vec::new();
        };
        let Some(positions) = self.by_first_key.get(first) else {
            return Vec::new();
        };
        positions
            .iter()
            .copied()
            .filter(|position| {
                self.attempt
                    .keys
                    .iter()
                    .zip(&wanted.normalized)
                    .skip(1)
                    .all(|(key, text)| {
                        self.records.get(*position).is_some_and(|record| {
                            key.theirs
                                .all(record)
                                .into_iter()
                                .any(|value| normalize(self.normalizers, value).as_deref() == Some(text))
                        })
                    })
            })
            .collect()
    }
}
