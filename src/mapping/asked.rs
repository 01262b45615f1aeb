//! What a lookup is asked with: the normalised keys of its attempts, made of what it is given.
//!
//! Mapping needs them to name the record that load will create ([`pending_key`]), `lookup` to find what is there. Both
//! must agree on every byte, so the making stands here, once.

use std::borrow::Cow;

use crate::compile::compiled::{Link, Lookup, LookupId, Match, MatchValue, Pipeline, Source};
use crate::expression::{Normalizer, Scope, Value, normalize};

use super::{PendingKey, Resolution, Resolver};

/// The key of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedKey {
    /// All its parts, normalised, in one text (see [`join_keys`]).
    Known(String),
    /// A part is null: this attempt finds nothing.
    Nothing,
    /// A part is the key of a link that is not known yet; the resolver has noted it.
    Missing,
    /// A part could not be made.
    Failed(String),
}

/// One part of an attempt's key, before normalisation.
#[derive(Clone, Debug)]
pub enum AskedValue<'v> {
    /// The value, perhaps null.
    Value(Cow<'v, Value<'v>>),
    /// The key of a link that is not known yet.
    Missing,
    /// It could not be made.
    Failed(String),
}

/// The key by which an attempt asks. `links` answers for keys of linked records.
pub fn asked_key(
    pipeline: &Pipeline,
    normalizers: &[Normalizer],
    attempt: &Match,
    given: &Value<'_>,
    links: &dyn Resolver,
) -> AskedKey {
    let mut parts = Vec::with_capacity(attempt.keys.len());
    for key in &attempt.keys {
        match asked_value(pipeline, &key.ours, given, links) {
            AskedValue::Value(value) => match normalize(normalizers, &value) {
                Some(part) => parts.push(part),
                None => return AskedKey::Nothing,
            },
            AskedValue::Missing => return AskedKey::Missing,
            AskedValue::Failed(message) => return AskedKey::Failed(message),
        }
    }
    AskedKey::Known(join_keys(parts))
}

/// One part of a key: what our side of a match says of what is given.
pub fn asked_value<'v>(
    pipeline: &'v Pipeline,
    ours: &'v MatchValue,
    given: &'v Value<'v>,
    links: &dyn Resolver,
) -> AskedValue<'v> {
    match ours {
        MatchValue::Given => AskedValue::Value(Cow::Borrowed(given)),
        MatchValue::Select(path) => AskedValue::Value(match path.one(given) {
            Some(value) => Cow::Borrowed(value),
            None => Cow::Owned(Value::Null),
        }),
        MatchValue::Compute(template) => match template.evaluate(&scope(pipeline, given)) {
            Ok(value) => AskedValue::Value(Cow::Owned(value)),
            Err(error) => AskedValue::Failed(error.to_string()),
        },
        MatchValue::Link(link) => linked(pipeline, link, given, links),
    }
}

/// The names that templates of a lookup see.
fn scope<'v>(pipeline: &'v Pipeline, given: &'v Value<'v>) -> Scope<'v> {
    Scope::new()
        .with("given", given)
        .with("params", &pipeline.params)
        .with("connections", &pipeline.connections_seen)
}

fn linked<'v>(
    pipeline: &'v Pipeline,
    link: &'v Link,
    given: &'v Value<'v>,
    links: &dyn Resolver,
) -> AskedValue<'v> {
    let key = match &link.key {
        None => normalize(&[], given),
        Some(Source::Select(path)) => path.one(given).and_then(|value| normalize(&[], value)),
        Some(Source::Compute(template)) => match template.evaluate(&scope(pipeline, given)) {
            Ok(value) => normalize(&[], &value),
            Err(error) => return AskedValue::Failed(error.to_string()),
        },
    };
    let Some(key) = key else {
        return AskedValue::Value(Cow::Owned(Value::Null));
    };
    match links.link(link.flow, &key) {
        Resolution::Found(found) => AskedValue::Value(Cow::Owned(found.key.clone())),
        Resolution::None => AskedValue::Value(Cow::Owned(Value::Null)),
        Resolution::Missing => AskedValue::Missing,
        Resolution::Failed(message) => AskedValue::Failed(message),
        Resolution::Many(_) => AskedValue::Failed(format!("`{key}` has several links")),
    }
}

/// The parts of a key as one text: a single part as it is, several each after its length, so that no two keys run into one.
pub fn join_keys(mut parts: Vec<String>) -> String {
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    parts
        .iter()
        .map(|part| format!("{}:{part}", part.len()))
        .collect()
}

/// What identifies the record that load creates when the lookup finds nothing: the key of its first attempt that has
/// one. `None` when no attempt has: such a record could not be found again and must not be created.
pub fn pending_key(
    pipeline: &Pipeline,
    lookup: LookupId,
    given: &Value<'_>,
    links: &dyn Resolver,
) -> Option<PendingKey> {
    let lookup = pipeline.lookups.get(lookup)?;
    lookup.attempts.iter().find_map(|attempt| {
        match asked_key(pipeline, &lookup.normalize, attempt, given, links) {
            AskedKey::Known(key) => Some(name_pending(lookup, attempt, &key)),
            AskedKey::Nothing | AskedKey::Missing | AskedKey::Failed(_) => None,
        }
    })
}

/// The pending record that an attempt's key names.
pub fn name_pending(lookup: &Lookup, attempt: &Match, key: &str) -> PendingKey {
    PendingKey {
        connection: lookup.connection,
        stream: lookup.stream,
        key: format!("{}={key}", attempt_label(attempt)),
    }
}

/// The paths of an attempt: `$.email`, or `$.kind,$.number`.
pub fn attempt_label(attempt: &Match) -> String {
    let paths: Vec<&str> = attempt.keys.iter().map(|key| key.theirs.source()).collect();
    paths.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_several_parts_never_run_into_one() {
        let join = |parts: &[&str]| join_keys(parts.iter().map(|&part| part.to_owned()).collect());
        assert_eq!(join(&["ann@example.com"]), "ann@example.com");
        assert_eq!(join(&["a", "bc"]), "1:a2:bc");
        assert_ne!(join(&["a", "bc"]), join(&["ab", "c"]));
        assert_ne!(join(&["a1:b", "c"]), join(&["a", "b1:c"]));
    }
}
