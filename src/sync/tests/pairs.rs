//! What becomes of two records as a whole.

use crate::compile::compiled::{OnPairDeleted, PerSide, Side};
use crate::sync::{Bond, Candidate, HeldMatch, PairAction, PairSituation, Presence, decide_pair};

const LINKED: Bond = Bond::Linked { contradicted: false };
const FITTING: Candidate = Candidate::One {
    taken: false,
    names_other: false,
    ended: false,
};

fn situation(remote: Presence, local: Presence, bond: Bond) -> PairSituation<'static> {
    PairSituation {
        presence: PerSide { remote, local },
        bond,
        creates: PerSide::by(|_| true),
        writes: PerSide::by(|_| true),
        on_delete: PerSide::by(|_| &OnPairDeleted::Unlink),
    }
}

fn decided(remote: Presence, local: Presence, bond: Bond) -> PairAction {
    decide_pair(&situation(remote, local, bond))
}

#[test]
fn linked_records_are_reconciled_unless_a_stored_key_says_otherwise() {
    use Presence::{Left, Present};
    assert_eq!(decided(Present, Present, LINKED), PairAction::Reconcile);
    let contradicted = Bond::Linked { contradicted: true };
    let held = PairAction::Hold(HeldMatch::Contradicted);
    assert_eq!(decided(Present, Present, contradicted), held);
    assert_eq!(decided(Present, Left, LINKED), PairAction::LeftOut(Side::Local));
}

#[test]
fn only_a_system_s_own_word_ends_a_link() {
    use Presence::{Absent, Deleted, Present, Unseen};
    assert_eq!(decided(Present, Unseen, LINKED), PairAction::Confirm(Side::Local));
    assert_eq!(
        decided(Absent, Present, LINKED),
        PairAction::Confirm(Side::Remote)
    );
    // The other one's absence is no deletion of both.
    assert_eq!(decided(Deleted, Unseen, LINKED), PairAction::Confirm(Side::Local));
    assert_eq!(
        decided(Deleted, Present, LINKED),
        PairAction::Unlink(Some(Side::Remote))
    );
    assert_eq!(decided(Deleted, Deleted, LINKED), PairAction::Unlink(None));
}

#[test]
fn the_side_that_stays_says_what_becomes_of_it() {
    let deleted = |on_delete: &OnPairDeleted, writes| {
        let mut pair = situation(Presence::Deleted, Presence::Present, LINKED);
        let other = OnPairDeleted::Keep;
        let pair = PairSituation {
            on_delete: PerSide {
                remote: &other,
                local: on_delete,
            },
            writes: PerSide::by(|_| writes),
            ..std::mem::replace(&mut pair, situation(Presence::Absent, Presence::Absent, LINKED))
        };
        decide_pair(&pair)
    };
    assert_eq!(
        deleted(&OnPairDeleted::Keep, true),
        PairAction::Keep(Side::Remote)
    );
    assert_eq!(
        deleted(&OnPairDeleted::Delete, true),
        PairAction::Delete(Side::Local)
    );
    assert_eq!(
        deleted(&OnPairDeleted::Set(Vec::new()), true),
        PairAction::Set(Side::Local)
    );
    // A side that the flow's direction does not write is not deleted either.
    assert_eq!(
        deleted(&OnPairDeleted::Delete, false),
        PairAction::Keep(Side::Remote)
    );
}

#[test]
fn a_tombstone_brings_nothing_back() {
    use Presence::{Absent, Present};
    assert_eq!(decided(Present, Absent, Bond::Ended), PairAction::Ended);
    assert_eq!(decided(Present, Present, Bond::Ended), PairAction::Ended);
    let ended = Candidate::One {
        taken: true,
        names_other: true,
        ended: true,
    };
    assert_eq!(
        decided(Present, Present, Bond::Unlinked(ended)),
        PairAction::Ended
    );
}

#[test]
fn a_match_that_is_not_clear_is_left_to_a_person() {
    use Presence::{Absent, Left, Present};
    let matched = |local, candidate| decided(Present, local, Bond::Unlinked(candidate));
    let held = PairAction::Hold;
    assert_eq!(matched(Present, FITTING), PairAction::Link);
    assert_eq!(matched(Left, FITTING), PairAction::LeftOut(Side::Local));
    assert_eq!(matched(Absent, Candidate::Several), held(HeldMatch::Several));
    assert_eq!(matched(Absent, Candidate::Missing), held(HeldMatch::Missing));
    for (taken, names_other, why) in [
        (true, false, HeldMatch::Taken),
        (true, true, HeldMatch::Taken),
        (false, true, HeldMatch::NamesOther),
    ] {
        let candidate = Candidate::One {
            taken,
            names_other,
            ended: false,
        };
        assert_eq!(matched(Present, candidate), held(why));
    }
}

#[test]
fn a_record_without_counterpart_gets_one_only_where_the_flow_makes_them() {
    use Presence::{Absent, Deleted, Left, Present};
    let alone = Bond::Unlinked(Candidate::None);
    assert_eq!(decided(Present, Absent, alone), PairAction::Create(Side::Local));
    assert_eq!(decided(Absent, Present, alone), PairAction::Create(Side::Remote));
    let mut makes_none = situation(Absent, Present, alone);
    makes_none.creates.remote = false;
    assert_eq!(decide_pair(&makes_none), PairAction::StaysAlone(Side::Remote));
    let mut may_not = situation(Absent, Present, alone);
    may_not.writes.remote = false;
    assert_eq!(decide_pair(&may_not), PairAction::StaysAlone(Side::Remote));
    assert_eq!(decided(Deleted, Absent, alone), PairAction::Nothing);
    assert_eq!(decided(Absent, Left, alone), PairAction::LeftOut(Side::Local));
}
