//! Survivorship (`one_per`) and digests of values (`only_if_changed`): pure functions for `run`.

use std::cmp::Ordering;

use crate::compile::compiled::{OnePer, Preference, Source};
use crate::expression::{EvaluateError, Scope, Value, normalize};

/// What makes a record one with others; `None` where it is the same as nothing else. The scope's `record` is the record.
///
/// # Errors
/// When a template cannot be computed.
pub fn group_key(
    rule: &OnePer,
    record: &Value<'_>,
    scope: &Scope<'_>,
) -> Result<Option<String>, EvaluateError> {
    match &rule.same {
        Source::Select(path) => Ok(path
            .one(record)
            .and_then(|value| normalize(&rule.normalize, value))),
        Source::Compute(template) => Ok(normalize(&rule.normalize, &template.evaluate(scope)?)),
    }
}

/// The best record of a group: by the first preference that tells two apart, else by the smallest canonical JSON, so that
/// the order in which records arrive never decides. `None` for an empty group.
pub fn winner(rule: &OnePer, members: &[Value<'_>]) -> Option<usize> {
    let canonical = |value: &Value<'_>| {
        let mut canonical = Vec::new();
        value.canonical(&mut canonical);
        canonical
    };
    (0..members.len()).min_by(|left, right| match (members.get(*left), members.get(*right)) {
        (Some(left), Some(right)) => rule
            .keep
            .iter()
            .map(|(path, preference)| better(path.one(left), path.one(right), *preference))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| canonical(left).cmp(&canonical(right))),
        _ => Ordering::Equal,
    })
}

/// `Less` when the left value is better. Any value is better than none.
fn better(left: Option<&Value<'_>>, right: Option<&Value<'_>>, preference: Preference) -> Ordering {
    let present = |value: Option<&'_ Value<'_>>| value.is_some_and(|value| !value.is_null());
    match (present(left), present(right)) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => Ordering::Equal,
        (true, true) => {
            let order = left
                .zip(right)
                .map_or(Ordering::Equal, |(left, right)| left.order(right));
            match preference {
                Preference::Highest => order.reverse(),
                Preference::Lowest => order,
            }
        }
    }
}

/// A keyed digest of values in their canonical form, absent ones as null.
pub fn digest_values<'v, 'a: 'v>(
    key: &[u8; 32],
    values: impl IntoIterator<Item = Option<&'v Value<'a>>>,
) -> [u8; 16] {
    let mut canonical = Vec::new();
    for value in values {
        value.unwrap_or(&Value::Null).canonical(&mut canonical);
        canonical.push(b'\n');
    }
    let mut digest = [0; 16];
    blake3::Hasher::new_keyed(key)
        .update(&canonical)
        .finalize_xof()
        .fill(&mut digest);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::{Normalizer, Path, parse_json};

    fn rule() -> OnePer {
        let path = |text: &str| Path::parse(text).unwrap();
        OnePer {
            same: Source::Select(path("$.email")),
            normalize: vec![Normalizer::Trim, Normalizer::Lower],
            keep: vec![
                (path("$.verified"), Preference::Highest),
                (path("$.changed"), Preference::Highest),
                (path("$.created"), Preference::Lowest),
            ],
            find: None,
        }
    }

    #[test]
    fn the_best_record_wins_in_any_order() {
        let texts: [&[u8]; 5] = [
            br#"{"id":1,"verified":true,"changed":"2024-01-01T00:00:00Z"}"#,
            br#"{"id":2,"verified":true,"changed":"2024-01-01T02:30:00+02:00","created":"2020"}"#,
            br#"{"id":3,"verified":false,"changed":"2025-01-01T00:00:00Z"}"#,
            br#"{"id":4,"changed":"2026-01-01T00:00:00Z"}"#,
            br#"{"id":5,"verified":true,"changed":"2024-01-01T00:30:00Z","created":"2019"}"#,
        ];
        let mut members: Vec<Value<'_>> = texts.iter().map(|text| parse_json(text).unwrap()).collect();
        for _ in 0..members.len() {
            members.rotate_left(1);
            let best = winner(&rule(), &members).unwrap();
            assert_eq!(members[best].get("id"), Some(&Value::from(5)));
        }
        assert_eq!(winner(&rule(), &[]), None);
    }

    #[test]
    fn groups_and_digests_ignore_spelling() {
        let key = |text: &str| {
            let record = parse_json(text.as_bytes()).unwrap();
            group_key(&rule(), &record, &Scope::new().with("record", &record)).unwrap()
        };
        assert_eq!(key(r#"{"email":" Ann@X "}"#), key(r#"{"email":"ann@x"}"#));
        assert_eq!(key(r#"{"email":null}"#), None);
        let one = [Some(&Value::from(1)), None].map(|value| value.cloned());
        let other = [Some(Value::from(1.0)), Some(Value::Null)];
        let digest =
            |values: &[Option<Value<'static>>; 2]| digest_values(&[1; 32], values.iter().map(Option::as_ref));
        assert_eq!(digest(&one), digest(&other));
        assert_ne!(digest(&one), digest(&[None, Some(Value::from(1))]));
    }
}
