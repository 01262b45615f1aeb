//! What is remembered of two records that are kept in step: both sides' values as of the last time they were, as
//! keyed digests, and what each side's part rests on.
//!
//! A pair is stored under its flow's plain name, beside the link whose source is the remote key and whose target is
//! the local one. It moves in the same transaction as the link, the cursor and the queue (see [`super::Batch`]).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Digest;
use crate::compile::compiled::{PerSide, Side};

/// Version of the form of values under a pair's digests (see `sync::Fingerprints`).
pub(super) const PAIR_FORM: u32 = 1;

/// The keys of two records that are one thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PairKeys {
    /// The remote record's.
    pub remote: String,
    /// The local record's.
    pub local: String,
}

/// A link of a two-way flow with what is remembered of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPair {
    /// Its keys.
    pub keys: PairKeys,
    /// The link has ended: neither record is matched or created again.
    pub tombstone: bool,
    /// Both sides as of their last reconciliation; `None` before the first one.
    pub baseline: Option<PairBaseline>,
}

/// Both sides of a pair as of their last reconciliation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairBaseline {
    /// What each side's part rests on.
    pub sides: PerSide<SideMark>,
    /// What identifies the rows, in the order of `rows`; shared by all pairs of a flow.
    pub names: Arc<[String]>,
    /// One for each name.
    pub rows: Vec<PairRow>,
}

/// The observation or write that one side of a baseline rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideMark {
    /// Its number (see [`super::State::next_sequence`]). A write's is drawn when its answer has come, so that every
    /// observation that may not show it yet has a smaller one.
    pub sequence: u64,
    /// The record's version or change stamp then, where the stream has one.
    pub version: Option<String>,
    /// That version was made by our own write.
    pub own_write: bool,
}

/// One row of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRow {
    /// Both sides' values when they were last in step; `None` if they never were.
    pub in_step: Option<PerSide<Digest>>,
    /// The side's value is a fallback that we wrote there: no data of its own.
    pub fallback: PerSide<bool>,
    /// The row waits for a person.
    pub held: bool,
}

/// What an intent to write one side of a pair leaves behind once it is known to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairIntent {
    /// Both keys as far as they are known: a create learns the other one.
    pub keys: PerSide<Option<String>>,
    /// The side that is written.
    pub to: Side,
    /// The pair as it stands if only this write fails.
    pub before: PairBaseline,
    /// The rows that are written.
    pub written: Vec<IntendedRow>,
}

/// A row of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntendedRow {
    /// Its position in the intent's baseline.
    pub row: usize,
    /// What the target showed; `None` for a create.
    pub replaces: Option<Digest>,
    /// The row's baseline once the target shows what was sent.
    pub becomes: PairRow,
}

impl PairBaseline {
    /// A pair of which nothing is known but the rows' names.
    pub fn unknown(names: Arc<[String]>) -> Self {
        let rows = vec![PairRow::default(); names.len()];
        PairBaseline {
            sides: PerSide::default(),
            names,
            rows,
        }
    }

    /// The rows in the order of other names: one that was not known then has no baseline.
    pub fn aligned(&self, names: &[String]) -> Vec<PairRow> {
        if *self.names == *names {
            return self.rows.clone();
        }
        let known = |name: &String| {
            let position = self.names.iter().position(|other| other == name)?;
            self.rows.get(position).copied()
        };
        names.iter().map(|name| known(name).unwrap_or_default()).collect()
    }

    /// Whether a row waits for a person.
    pub fn has_held(&self) -> bool {
        self.rows.iter().any(|row| row.held)
    }
}

const ROW_BYTES: usize = 33;
const IN_STEP: u8 = 1;
const REMOTE_FALLBACK: u8 = 2;
const LOCAL_FALLBACK: u8 = 4;
const HELD: u8 = 8;

/// Rows as they are stored: a byte of flags and two digests of 16 bytes each.
pub(super) fn encode_rows(rows: &[PairRow]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.len() * ROW_BYTES);
    for row in rows {
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        bytes.push(
            flag(row.in_step.is_some(), IN_STEP)
                | flag(row.fallback.remote, REMOTE_FALLBACK)
                | flag(row.fallback.local, LOCAL_FALLBACK)
                | flag(row.held, HELD),
        );
        let in_step = row.in_step.unwrap_or(PerSide {
            remote: Digest([0; 16]),
            local: Digest([0; 16]),
        });
        bytes.extend_from_slice(&in_step.remote.0);
        bytes.extend_from_slice(&in_step.local.0);
    }
    bytes
}

/// The rows of [`encode_rows`]; `None` if the bytes are not such.
pub(super) fn decode_rows(bytes: &[u8]) -> Option<Vec<PairRow>> {
    let (entries, rest) = bytes.as_chunks::<ROW_BYTES>();
    if !rest.is_empty() {
        return None;
    }
    let rows = entries.iter().map(|entry| {
        let [flags, digests @ ..] = *entry;
        let ([remote, local], []) = digests.as_chunks::<16>() else {
            return None;
        };
        Some(PairRow {
            in_step: (flags & IN_STEP != 0).then_some(PerSide {
                remote: Digest(*remote),
                local: Digest(*local),
            }),
            fallback: PerSide {
                remote: flags & REMOTE_FALLBACK != 0,
                local: flags & LOCAL_FALLBACK != 0,
            },
            held: flags & HELD != 0,
        })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u8) -> PairRow {
        PairRow {
            in_step: Some(PerSide {
                remote: Digest([number; 16]),
                local: Digest([number + 100; 16]),
            }),
            ..PairRow::default()
        }
    }

    #[test]
    fn rows_survive_their_stored_form() {
        let rows = vec![
            row(7),
            PairRow::default(),
            PairRow {
                held: true,
                ..PairRow::default()
            },
            PairRow {
                fallback: PerSide {
                    remote: true,
                    local: false,
                },
                ..row(0)
            },
            PairRow {
                fallback: PerSide {
                    remote: false,
                    local: true,
                },
                held: true,
                ..row(9)
            },
        ];
        assert_eq!(decode_rows(&encode_rows(&rows)), Some(rows));
        assert_eq!(decode_rows(&[1; 32]), None);
    }

    #[test]
    fn a_row_added_later_has_no_baseline_and_the_others_keep_theirs() {
        let names =
            |names: &[&str]| -> Arc<[String]> { names.iter().map(|name| (*name).to_owned()).collect() };
        let pair = PairBaseline {
            rows: vec![row(1), row(2)],
            ..PairBaseline::unknown(names(&["subject", "status"]))
        };
        assert_eq!(
            pair.aligned(&names(&["status", "priority", "subject"])),
            [row(2), PairRow::default(), row(1)]
        );
        assert_eq!(pair.aligned(&pair.names), pair.rows);
    }
}
