//! Answers as the store keeps them between runs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::table::fresh_time;
use crate::compile::compiled::Pipeline;
use crate::expression::{Value, parse_json_owned};
use crate::mapping::Found;
use crate::state::CachedLookup;

/// Everything that answers depend on, as a digest: files, parameters, accounts. Another scope knows nothing of this one.
pub(super) fn scope(pipeline: &Pipeline) -> String {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(pipeline.name.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(pipeline.digest.as_bytes());
    for (name, digest) in &pipeline.sources {
        for text in [name, digest] {
            bytes.push(0);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    pipeline.params.canonical(&mut bytes);
    for connection in &pipeline.connections {
        bytes.push(0);
        bytes.extend_from_slice(connection.name.as_bytes());
        connection.settings.canonical(&mut bytes);
    }
    blake3::hash(&bytes).to_hex().to_string()
}

/// The key under which an attempt's answer is kept.
pub(super) fn stored_key(attempt: usize, key: &str) -> String {
    format!("{attempt} {key}")
}

/// An answer to keep.
pub(super) fn encode(
    attempt: usize,
    key: &str,
    found: &[Arc<Found>],
    fresh_for: Duration,
    now: Timestamp,
) -> CachedLookup {
    let records = found
        .iter()
        .map(|found| Value::List(vec![found.key.clone(), (*found.record).clone()]))
        .collect();
    let fresh_for = fresh_time(found.is_empty(), fresh_for);
    CachedLookup {
        key: stored_key(attempt, key),
        found: (!found.is_empty()).then(|| Value::List(records).to_json()),
        expires: now.checked_add(fresh_for).unwrap_or(Timestamp::MAX),
    }
}

/// A kept answer; `None` if it is not readable, so that it is asked for anew.
pub(super) fn decode(answer: &CachedLookup) -> Option<Vec<Arc<Found>>> {
    let Some(text) = &answer.found else {
        return Some(Vec::new());
    };
    let Ok(Value::List(records)) = parse_json_owned(text.as_bytes()) else {
        return None;
    };
    records
        .into_iter()
        .map(|record| match record {
            Value::List(parts) => {
                let [key, record] = <[Value<'static>; 2]>::try_from(parts).ok()?;
                Some(Arc::new(Found {
                    key,
                    record: record.into(),
                }))
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_survive_their_stored_form() {
        let now = Timestamp::from_second(1_000).unwrap();
        let fresh_for = Duration::from_secs(100);
        let found = vec![Arc::new(Found {
            key: parse_json_owned(b"9007199254740993").unwrap(),
            record: parse_json_owned(br#"{"price":1.10}"#).unwrap().into(),
        })];
        let kept = encode(1, "ann", &found, fresh_for, now);
        assert_eq!(kept.key, "1 ann");
        assert_eq!(kept.expires, Timestamp::from_second(1_100).unwrap());
        let read = decode(&kept).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].key.to_json(), "9007199254740993");
        assert_eq!(read[0].record.to_json(), r#"{"price":1.10}"#);

        let none = encode(0, "bob", &[], fresh_for, now);
        assert_eq!(
            (none.found.as_ref(), none.expires),
            (None, Timestamp::from_second(1_010).unwrap())
        );
        assert!(decode(&none).unwrap().is_empty());

        for damaged in ["[[1]]", "{}", "[", "[1]"] {
            let damaged = CachedLookup {
                found: Some(damaged.to_owned()),
                ..kept.clone()
            };
            assert!(decode(&damaged).is_none());
        }
    }
}
