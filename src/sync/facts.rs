//! What is known of a row when it is judged.

use crate::compile::compiled::{OnFrozen, PerSide, Side};
use crate::state::{Digest, PairRow};

/// A value as reconciliation sees it. Made by [`super::Fingerprints`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its digest; equal for values that systems spell differently.
    pub digest: Digest,
    /// Null, an empty text or an empty list.
    pub empty: bool,
}

/// What mapping made for one side's field of the other side's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// A value.
    Value(Seen),
    /// A lookup found nothing, and this stands in for it.
    Fallback(Seen),
    /// The key of a record that load will create; the digest is of what it will be created for.
    Pending(Seen),
    /// The rules leave the field alone: `when` is false, `keep`.
    NotApplied,
    /// This row's value has no counterpart: an unknown enum value, a lookup that rejects.
    Refused,
    /// Nothing is known: the record could not be mapped, or the direction was not asked.
    Unknown,
}

/// One row of a pair, both sides freshly read.
#[derive(Clone, Copy, Debug)]
pub struct RowFacts {
    /// Each side's present value. On a side that a one-way row only reads from without naming a field it is what
    /// mapping made for the other side ([`super::Fingerprints::source`]); `None` when that is not known.
    pub seen: PerSide<Option<Seen>>,
    /// What mapping made for each side. Where a direction has no rule, anything.
    pub mapped: PerSide<Mapped>,
    /// The row when its sides were last in step.
    pub baseline: PairRow,
    /// The side that a person has chosen for a held row.
    pub ruling: Option<Side>,
}

/// What is known of a pair, for all of its rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct PairFacts {
    /// The side whose record was changed last, by [`super::changed_last`]; `None` where that cannot be told.
    pub newest: Option<Side>,
    /// The side's record takes no more writes, and this happens to those.
    pub frozen: PerSide<Option<OnFrozen>>,
}
