//! Baselines: what a record's values were at its last successful load, as keyed digests.
//!
//! Comparing needs equality only, so a value is kept as 16 bytes of BLAKE3 keyed with the store's secret: ten million
//! records fit in two gigabytes and no value can be guessed from the file. Digests are made of a value's canonical
//! form; when that form changes, its version does, and older baselines count as missing instead of as "all changed".

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Version of the canonical form of values under digests.
pub const CANONICAL_FORM: u32 = 1;

/// 16 bytes of keyed BLAKE3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 16]);

/// Makes digests with one store's key.
#[derive(Clone)]
pub struct Digester {
    key: [u8; 32],
}

impl Digester {
    /// A maker of digests with this key (see [`super::State::digest_key`]).
    pub fn new(key: [u8; 32]) -> Self {
        Digester { key }
    }

    /// The digest of bytes: a value's canonical form.
    pub fn digest(&self, bytes: &[u8]) -> Digest {
        let hash = blake3::keyed_hash(&self.key, bytes);
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.as_bytes()[..16]);
        Digest(digest)
    }
}

impl std::fmt::Debug for Digester {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Digester(key hidden)")
    }
}

/// A record as it was last loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The source record's version or change stamp, where the stream has one.
    pub source_version: Option<String>,
    /// Number of the observation that this rests on.
    pub sequence: u64,
    /// Digest of everything that decides whether the record changed.
    pub whole: Digest,
    /// Names of the rows' targets, in the order of `rows`; shared by all records of a flow.
    pub names: Arc<[String]>,
    /// One for each name.
    pub rows: Vec<RowBaseline>,
}

/// One row of a baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowBaseline {
    /// Digest of the value that was written; `None` if the row was never written.
    pub digest: Option<Digest>,
    /// The value was a lookup's fallback.
    pub fallback: bool,
    /// The row waits for a person.
    pub held: bool,
}

impl Baseline {
    /// The row of a target, by name.
    pub fn row(&self, name: &str) -> Option<&RowBaseline> {
        let position = self.names.iter().position(|other| other == name)?;
        self.rows.get(position)
    }
}

const ROW_BYTES: usize = 17;
const WRITTEN: u8 = 1;
const FALLBACK: u8 = 2;
const HELD: u8 = 4;

/// Rows as they are stored: a byte of flags and 16 bytes of digest each.
pub(super) fn encode_rows(rows: &[RowBaseline]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.len() * ROW_BYTES);
    for row in rows {
        let mut flags = 0;
        if row.digest.is_some() {
            flags |= WRITTEN;
        }
        if row.fallback {
            flags |= FALLBACK;
        }
        if row.held {
            flags |= HELD;
        }
        bytes.push(flags);
        bytes.extend_from_slice(&row.digest.unwrap_or(Digest([0; 16])).0);
    }
    bytes
}

/// The rows of [`encode_rows`]; `None` if the bytes are not such.
pub(super) fn decode_rows(bytes: &[u8]) -> Option<Vec<RowBaseline>> {
    let (entries, rest) = bytes.as_chunks::<ROW_BYTES>();
    if !rest.is_empty() {
        return None;
    }
    let rows = entries.iter().map(|entry| {
        let [flags, digest @ ..] = *entry;
        RowBaseline {
            digest: (flags & WRITTEN != 0).then_some(Digest(digest)),
            fallback: flags & FALLBACK != 0,
            held: flags & HELD != 0,
        }
    });
    Some(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_stored_form() {
        let rows = vec![
            RowBaseline {
                digest: Some(Digest([7; 16])),
                fallback: true,
                held: false,
            },
            RowBaseline::default(),
            RowBaseline {
                digest: Some(Digest([0; 16])),
                fallback: false,
                held: true,
            },
        ];
        assert_eq!(decode_rows(&encode_rows(&rows)), Some(rows));
        assert_eq!(decode_rows(&[1, 2, 3]), None);
    }

    #[test]
    fn digests_depend_on_the_key_and_the_key_is_not_printed() {
        let one = Digester::new([1; 32]);
        let other = Digester::new([2; 32]);
        assert_eq!(one.digest(b"a"), one.digest(b"a"));
        assert_ne!(one.digest(b"a"), one.digest(b"b"));
        assert_ne!(one.digest(b"a"), other.digest(b"a"));
        assert_eq!(format!("{one:?}"), "Digester(key hidden)");
    }
}
