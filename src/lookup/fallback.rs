//! Trying again, once a run and all together, the keys for which fallbacks stand in the target.

use std::time::Instant;

use super::fetch::Reuse;
use super::resolver::{Attempt, QuestionKind};
use super::table::Known;
use super::{LookupError, Lookups, Question};
use crate::compile::compiled::{Load, LookupId};
use crate::expression::Value;
use crate::mapping::attempt_label;
use crate::state::{Fallback, FlowRef};

impl Lookups {
    /// Those of a flow's fallbacks whose key finds a record now: their source records are worth mapping again.
    ///
    /// # Errors
    /// When a system or the store cannot be asked.
    pub async fn resolved_fallbacks(&self, flow: &str) -> Result<Vec<Fallback>, LookupError> {
        let pipeline = &self.shared.pipeline;
        let stored = self.shared.state.fallbacks(FlowRef {
            pipeline: &pipeline.name,
            flow,
        })?;
        let mut asked: Vec<(Fallback, LookupId, Attempt)> = Vec::new();
        for fallback in stored {
            if let Some((lookup, attempt)) = self.attempt_of(&fallback) {
                asked.push((fallback, lookup, attempt));
            }
        }
        let began = Instant::now();
        let questions = asked.iter().map(|(_, lookup, attempt)| Question {
            kind: QuestionKind::Lookup {
                lookup: *lookup,
                attempts: vec![attempt.clone()],
            },
        });
        self.shared.answer(questions.collect(), Reuse::Nothing).await?;
        let resolved = asked.into_iter().filter(|(_, lookup, attempt)| {
            let table = self.shared.table(*lookup);
            let known = table.map(|table| table.known(attempt.position, &attempt.key, began));
            matches!(known, Some(Known::Found(found)) if !found.is_empty())
        });
        Ok(resolved.map(|(fallback, _, _)| fallback).collect())
    }

    /// The attempt that a stored key (`$.email=ann@example.com`) belongs to; `None` if the lookup has changed since.
    fn attempt_of(&self, fallback: &Fallback) -> Option<(LookupId, Attempt)> {
        let rules = &self.shared.pipeline.lookups;
        let lookup = rules.iter().position(|rule| rule.name == fallback.lookup)?;
        let rule = rules.get(lookup)?;
        rule.attempts.iter().enumerate().find_map(|(position, attempt)| {
            let key = fallback
                .key
                .strip_prefix(&attempt_label(attempt))?
                .strip_prefix('=')?;
            let parts = split_key(key, attempt.keys.len())?;
            let asked_by = attempt.keys.iter().position(|key| key.find.is_some());
            let asked_by = match rule.load {
                Load::All => 0,
                Load::OnDemand => asked_by?,
            };
            Some((
                lookup,
                Attempt {
                    position,
                    key: key.to_owned(),
                    value: Value::text((*parts.get(asked_by)?).to_owned()),
                },
            ))
        })
    }
}

/// The parts of a key that `join_keys` joined.
fn split_key(key: &str, parts: usize) -> Option<Vec<&str>> {
    if parts == 1 {
        return Some(vec![key]);
    }
    let mut rest = key;
    let mut split = Vec::with_capacity(parts);
    for _ in 0..parts {
        let (length, after) = rest.split_once(':')?;
        let (part, after) = after.split_at_checked(length.parse().ok()?)?;
        split.push(part);
        rest = after;
    }
    rest.is_empty().then_some(split)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::join_keys;

    #[test]
    fn joined_keys_come_apart_again() {
        for parts in [&["a:1", "", "ü:"][..], &["one"], &["12:", "3"]] {
            let joined = join_keys(parts.iter().map(|&part| part.to_owned()).collect());
            assert_eq!(split_key(&joined, parts.len()).unwrap(), parts);
        }
        assert_eq!(split_key("9:abc", 2), None);
        assert_eq!(split_key("1:a1:bc", 2), None);
    }
}
