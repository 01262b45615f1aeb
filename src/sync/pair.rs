//! What becomes of two records as a whole: reconciled, linked, created, parted, or left to a person.

use crate::compile::compiled::{OnPairDeleted, PerSide, Side};

/// How one side of a pair was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Just read.
    Present,
    /// Its system says that it is gone: a status, a tombstone, nothing at a get by key. Also a record that was erased.
    Deleted,
    /// A complete scan did not show it. That is a suspicion only.
    Unseen,
    /// The flow's conditions leave it out.
    Left,
    /// There is none: the other side has no counterpart.
    Absent,
}

/// What binds the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bond {
    /// A link.
    Linked {
        /// A key stored in one of the records names a third one.
        contradicted: bool,
    },
    /// A link that has ended: its tombstone.
    Ended,
    /// None yet: this was found for it.
    Unlinked(Candidate),
}

/// What an unlinked record's stored key, then the flow's match, have found on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// Nothing.
    None,
    /// One record.
    One {
        /// It is linked to another record, or another record of this batch claims it.
        taken: bool,
        /// Its own stored key names another record.
        names_other: bool,
        /// It had a link that has ended.
        ended: bool,
    },
    /// Several.
    Several,
    /// The stored key names a record that does not exist.
    Missing,
}

/// What is known of a pair before its rows are looked at.
#[derive(Clone, Copy, Debug)]
pub struct PairSituation<'a> {
    /// How each side was found.
    pub presence: PerSide<Presence>,
    /// What binds them.
    pub bond: Bond,
    /// Whether the flow makes a record of this side for the other side's one.
    pub creates: PerSide<bool>,
    /// Whether the flow's direction lets this side be written.
    pub writes: PerSide<bool>,
    /// What becomes of this side's record when the other side's is deleted.
    pub on_delete: PerSide<&'a OnPairDeleted>,
}

/// What becomes of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairAction {
    /// Its rows are reconciled.
    Reconcile,
    /// The two are linked, then reconciled; their rows have no baseline.
    Link,
    /// A record of this side is created.
    Create(Side),
    /// A record of this side would be needed, and the flow makes none: it stays alone.
    StaysAlone(Side),
    /// The flow's conditions leave the record of this side out.
    LeftOut(Side),
    /// This side's record is read by its key, then this is decided again.
    Confirm(Side),
    /// The link ended: nothing is brought back.
    Ended,
    /// The link ends and leaves a tombstone; this side was deleted. With `None` both were.
    Unlink(Option<Side>),
    /// Nothing happens to the other side, and the link stays; this side was deleted.
    Keep(Side),
    /// The record of this side is deleted, then the link ends.
    Delete(Side),
    /// Fields of this side's record are set, then the link ends.
    Set(Side),
    /// A person decides; the record and its children wait.
    Hold(HeldMatch),
    /// A record that was deleted before it ever had a counterpart.
    Nothing,
}

/// Why a match is left to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeldMatch {
    /// Several records fit.
    Several,
    /// The one that fits is linked to another.
    Taken,
    /// The one that fits says that it belongs to another.
    NamesOther,
    /// The stored key names a record that does not exist.
    Missing,
    /// The two are linked, and a key stored in one of them names a third.
    Contradicted,
}

impl HeldMatch {
    /// A stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            HeldMatch::Several => "match_several",
            HeldMatch::Taken => "match_taken",
            HeldMatch::NamesOther => "match_names_other",
            HeldMatch::Missing => "match_missing",
            HeldMatch::Contradicted => "match_contradicted",
        }
    }
}

/// Decides about a pair, or about a record without a counterpart.
pub fn decide_pair(situation: &PairSituation<'_>) -> PairAction {
    match situation.bond {
        Bond::Ended => PairAction::Ended,
        Bond::Linked { contradicted } => linked(situation, contradicted),
        Bond::Unlinked(candidate) => unlinked(situation, candidate),
    }
}

fn linked(situation: &PairSituation<'_>, contradicted: bool) -> PairAction {
    let presence = &situation.presence;
    let side_that_is = |wanted: &[Presence]| {
        Side::BOTH
            .into_iter()
            .find(|side| wanted.contains(&presence[*side]))
    };
    if presence.remote == Presence::Deleted && presence.local == Presence::Deleted {
        return PairAction::Unlink(None);
    }
    if let Some(side) = side_that_is(&[Presence::Unseen, Presence::Absent]) {
        return PairAction::Confirm(side);
    }
    if let Some(deleted) = side_that_is(&[Presence::Deleted]) {
        let stays = deleted.other();
        return match situation.on_delete[stays] {
            OnPairDeleted::Unlink => PairAction::Unlink(Some(deleted)),
            OnPairDeleted::Delete if situation.writes[stays] => PairAction::Delete(stays),
            OnPairDeleted::Set(_) if situation.writes[stays] => PairAction::Set(stays),
            OnPairDeleted::Keep | OnPairDeleted::Delete | OnPairDeleted::Set(_) => PairAction::Keep(deleted),
        };
    }
    if let Some(left) = side_that_is(&[Presence::Left]) {
        return PairAction::LeftOut(left);
    }
    if contradicted {
        return PairAction::Hold(HeldMatch::Contradicted);
    }
    PairAction::Reconcile
}

fn unlinked(situation: &PairSituation<'_>, candidate: Candidate) -> PairAction {
    let presence = &situation.presence;
    // The record that was read is the one for which the other is looked for.
    let from = if presence.remote == Presence::Absent {
        Side::Local
    } else {
        Side::Remote
    };
    match presence[from] {
        Presence::Deleted | Presence::Absent => return PairAction::Nothing,
        Presence::Unseen => return PairAction::Confirm(from),
        Presence::Left => return PairAction::LeftOut(from),
        Presence::Present => {}
    }
    let to = from.other();
    match candidate {
        Candidate::Several => PairAction::Hold(HeldMatch::Several),
        Candidate::Missing => PairAction::Hold(HeldMatch::Missing),
        Candidate::One { ended: true, .. } => PairAction::Ended,
        Candidate::One { taken: true, .. } => PairAction::Hold(HeldMatch::Taken),
        Candidate::One {
            names_other: true, ..
        } => PairAction::Hold(HeldMatch::NamesOther),
        Candidate::One { .. } if presence[to] == Presence::Left => PairAction::LeftOut(to),
        Candidate::One { .. } => PairAction::Link,
        Candidate::None if situation.creates[to] && situation.writes[to] => PairAction::Create(to),
        Candidate::None => PairAction::StaysAlone(to),
    }
}
