//! The rules of one row, one by one.

use super::model::{DEFAULT, NEWCOMER, OWNER, Row, Tables, in_step, policy, seen};
use crate::compile::compiled::{FirstLink, OnAltered, OnFrozen, PerSide, Policy, Side, WritePolicy};
use crate::state::{PairBaseline, PairRow, SideMark};
use crate::sync::{
    Action, Answered, Cause, ClosedBy, Confirmed, Mapped, NotCarried, PairFacts, Reconciled, Refusal,
    RowFacts, RowPolicy, Verdict, Way, Winner, WonBy, reconcile, reconcile_create, settle,
};

const TABLES: Tables = Tables { newcomer: false };

fn two<'v>(remote: &'v str, local: &'v str) -> PerSide<&'v str> {
    PerSide { remote, local }
}

fn judged(policy: &RowPolicy, facts: &RowFacts) -> Verdict {
    judged_in(policy, facts, PairFacts::default())
}

fn judged_in(policy: &RowPolicy, facts: &RowFacts, pair: PairFacts) -> Verdict {
    let reconciled = reconcile(std::slice::from_ref(policy), std::slice::from_ref(facts), &pair);
    let verdict = reconciled.verdicts().next().copied();
    verdict.unwrap()
}

/// A row that was `before` and is `now`.
fn changed(row: Row, before: PerSide<&str>, now: PerSide<&str>) -> Verdict {
    judged(
        &policy(row, Policy::RemoteWins),
        &TABLES.facts(row, now, in_step(before)),
    )
}

fn won(side: Side, by: WonBy) -> Winner {
    Winner { side: Some(side), by }
}

#[test]
fn nothing_changed_nothing_happens_however_coarse_the_tables() {
    let resolved = two("solved", "resolved");
    let verdict = changed(Row::Status, resolved, resolved);
    assert_eq!(
        (verdict.action, verdict.cause),
        (Action::Nothing, Cause::Unchanged)
    );
    assert_eq!(verdict.row, in_step(resolved));
}

#[test]
fn a_change_travels_only_where_the_sides_do_not_correspond() {
    let from = two("normal", "normal");
    let verdict = changed(Row::Priority, from, two("urgent", "normal"));
    assert_eq!(verdict.action, Action::Write(Side::Local));
    assert_eq!(verdict.cause, Cause::Changed(Side::Remote));
    // Nothing is claimed before the write is known to be done.
    assert_eq!(verdict.row, in_step(from));
    let finer = changed(Row::Priority, two("high", "high"), two("urgent", "high"));
    assert_eq!((finer.action, finer.cause), (Action::Settle, Cause::Agreed));
    assert_eq!(finer.row, in_step(two("urgent", "high")));
    let closed = changed(Row::Status, two("open", "in_progress"), two("solved", "resolved"));
    assert_eq!((closed.action, closed.cause), (Action::Settle, Cause::Agreed));
}

#[test]
fn conflicts_go_by_the_policy_and_say_so() {
    let facts = TABLES.facts(Row::Subject, two("r", "l"), in_step(two("0", "0")));
    let verdict = |conflict, newest| {
        let pair = PairFacts {
            newest,
            ..PairFacts::default()
        };
        let verdict = judged_in(&policy(Row::Subject, conflict), &facts, pair);
        (verdict.action, verdict.cause)
    };
    let conflict = |side, by| Cause::Conflict(won(side, by));
    let (remote, local) = (Side::Remote, Side::Local);
    assert_eq!(
        verdict(Policy::RemoteWins, None),
        (Action::Write(local), conflict(remote, WonBy::Policy))
    );
    assert_eq!(
        verdict(Policy::LocalWins, None),
        (Action::Write(remote), conflict(local, WonBy::Policy))
    );
    assert_eq!(
        verdict(Policy::NewestWins, Some(local)),
        (Action::Write(remote), conflict(local, WonBy::Policy))
    );
    assert_eq!(
        verdict(Policy::NewestWins, None),
        (Action::Write(local), conflict(remote, WonBy::NoTime))
    );
    assert_eq!(verdict(Policy::Hold, Some(local)).0, Action::Hold);
}

#[test]
fn a_held_row_waits_until_it_is_ruled_or_its_sides_correspond() {
    let hold = policy(Row::Priority, Policy::Hold);
    let first = judged(
        &hold,
        &TABLES.facts(
            Row::Priority,
            two("low", "high"),
            in_step(two("normal", "normal")),
        ),
    );
    assert_eq!(first.action, Action::Hold);
    assert!(first.row.held && first.row.in_step == in_step(two("normal", "normal")).in_step);
    let later = |remote, local| judged(&hold, &TABLES.facts(Row::Priority, two(remote, local), first.row));
    assert_eq!(later("low", "normal").action, Action::Hold);
    assert_eq!(later("low", "normal").row, first.row);
    let agreed = later("urgent", "high");
    assert_eq!(
        (agreed.action, agreed.row),
        (Action::Settle, in_step(two("urgent", "high")))
    );
    let back = later("normal", "normal");
    assert_eq!(
        (back.action, back.row),
        (Action::Settle, in_step(two("normal", "normal")))
    );
    let mut facts = TABLES.facts(Row::Priority, two("low", "high"), first.row);
    facts.ruling = Some(Side::Local);
    let ruled = judged(&hold, &facts);
    assert_eq!(
        (ruled.action, ruled.cause),
        (Action::Write(Side::Remote), Cause::Ruled(Side::Local))
    );
    // A ruling about a row that is not held any more is none.
    facts.baseline = in_step(two("low", "high"));
    assert_eq!(judged(&hold, &facts).action, Action::Nothing);
}

#[test]
fn a_fallback_wins_over_nobody_and_replaces_only_what_did_not_change() {
    let step = two("a", "A");
    let travels = changed(Row::Assignee, step, two(NEWCOMER, "A"));
    assert_eq!(travels.action, Action::Write(Side::Local));
    assert!(travels.unresolved.local && !travels.unresolved.remote);
    let beaten = changed(Row::Assignee, step, two(NEWCOMER, "B"));
    assert_eq!(beaten.action, Action::Write(Side::Remote));
    assert_eq!(beaten.cause, Cause::Conflict(won(Side::Local, WonBy::Fallback)));
    let both = changed(Row::Assignee, step, two(NEWCOMER, "C"));
    let not_carried = Action::NotCarried {
        to: Side::Local,
        reason: NotCarried::Fallback,
    };
    assert_eq!((both.action, both.row), (not_carried, in_step(step)));
    assert!(both.unresolved.local);
    let chosen = changed(Row::Assignee, step, two(NEWCOMER, OWNER));
    let mut standing = in_step(two(NEWCOMER, OWNER));
    standing.fallback.local = true;
    assert_eq!((chosen.action, chosen.row), (Action::Settle, standing));
}

/// A write of ours that is not remembered looks like this, and nobody would ever bring what it stood in for.
#[test]
fn a_fallback_that_stands_on_both_accounts_gives_way_when_its_key_is_found() {
    let chosen = changed(Row::Assignee, two("a", "A"), two(NEWCOMER, OWNER));
    let known = Tables { newcomer: true };
    let facts = known.facts(Row::Assignee, two(NEWCOMER, OWNER), chosen.row);
    let found = judged(&policy(Row::Assignee, Policy::RemoteWins), &facts);
    assert_eq!(
        (found.action, found.cause),
        (Action::Write(Side::Local), Cause::Resolved)
    );
}

#[test]
fn a_fallback_gives_way_when_its_key_is_found_and_only_where_it_still_stands() {
    let policy = policy(Row::Assignee, Policy::RemoteWins);
    let mut standing = in_step(two(NEWCOMER, OWNER));
    standing.fallback.local = true;
    let known = Tables { newcomer: true };
    let waiting = judged(
        &policy,
        &TABLES.facts(Row::Assignee, two(NEWCOMER, OWNER), standing),
    );
    assert_eq!((waiting.action, waiting.row), (Action::Nothing, standing));
    assert!(waiting.unresolved.local);
    let found = judged(
        &policy,
        &known.facts(Row::Assignee, two(NEWCOMER, OWNER), standing),
    );
    assert_eq!(
        (found.action, found.cause),
        (Action::Write(Side::Local), Cause::Resolved)
    );
    let replaced = judged(&policy, &known.facts(Row::Assignee, two(NEWCOMER, "B"), standing));
    assert_eq!(
        (replaced.action, replaced.cause),
        (Action::Write(Side::Remote), Cause::Changed(Side::Local))
    );
    let unmarked = judged(
        &policy,
        &known.facts(Row::Assignee, two(NEWCOMER, OWNER), in_step(two(NEWCOMER, OWNER))),
    );
    assert_eq!(unmarked.action, Action::Nothing);
}

#[test]
fn a_standing_fallback_is_no_evidence_of_correspondence() {
    // The owner has a counterpart, whom somebody chooses remotely: that person's own local user is to be written.
    let mut facts = TABLES.facts(Row::Assignee, two("a", OWNER), in_step(two(NEWCOMER, OWNER)));
    facts.mapped.remote = Mapped::Value(seen("a"));
    assert_eq!(
        judged(&policy(Row::Assignee, Policy::RemoteWins), &facts).action,
        Action::Settle
    );
    facts.baseline.fallback.local = true;
    let verdict = judged(&policy(Row::Assignee, Policy::RemoteWins), &facts);
    assert_eq!(verdict.action, Action::Write(Side::Local));
}

#[test]
fn a_first_link_settles_fills_or_follows_its_own_policy() {
    let first = |row: Row, on_first_link, now| {
        let policy = RowPolicy {
            on_first_link,
            ..policy(row, Policy::LocalWins)
        };
        judged(&policy, &TABLES.facts(row, now, PairRow::default()))
    };
    let agreed = first(Row::Status, FirstLink::Policy, two("solved", "resolved"));
    assert_eq!(
        (agreed.action, agreed.row),
        (Action::Settle, in_step(two("solved", "resolved")))
    );
    for (now, full) in [(two("", "l"), Side::Local), (two("r", ""), Side::Remote)] {
        let filled = first(Row::Subject, FirstLink::Hold, now);
        assert_eq!(filled.action, Action::Write(full.other()));
        assert_eq!(filled.cause, Cause::FirstLink(won(full, WonBy::OtherEmpty)));
    }
    let differ = two("r", "l");
    let wins = |on_first_link| first(Row::Subject, on_first_link, differ).action;
    assert_eq!(wins(FirstLink::Policy), Action::Write(Side::Remote));
    assert_eq!(wins(FirstLink::Remote), Action::Write(Side::Local));
    assert_eq!(wins(FirstLink::Local), Action::Write(Side::Remote));
    let held = first(Row::Subject, FirstLink::Hold, differ);
    assert!(held.action == Action::Hold && held.row.held && held.row.in_step.is_none());
    // What a fallback would write stands there: it is one, not somebody's choice to be written back.
    let standing = first(Row::Assignee, FirstLink::Policy, two(NEWCOMER, OWNER));
    assert!(standing.action == Action::Settle && standing.row.fallback.local);
    let nobody = first(Row::Assignee, FirstLink::Policy, two(DEFAULT, "C"));
    assert!(nobody.action == Action::Settle && nobody.row.fallback.remote);
}

#[test]
fn changes_that_may_not_travel_are_told_and_kept_for_the_day_when_they_may() {
    let step = two("0", "0");
    let limited = |to_remote, now| {
        let mut policy = policy(Row::Subject, Policy::LocalWins);
        policy.ways.remote = to_remote;
        judged(&policy, &TABLES.facts(Row::Subject, now, in_step(step)))
    };
    for (way, reason) in [
        (Way::Closed(ClosedBy::Flow), NotCarried::FlowDirection),
        (Way::Closed(ClosedBy::Row), NotCarried::RowDirection),
        (Way::Open(WritePolicy::OnCreate), NotCarried::OnCreate),
    ] {
        let not_carried = Action::NotCarried {
            to: Side::Remote,
            reason,
        };
        let told = limited(way, two("0", "l"));
        assert_eq!((told.action, told.row), (not_carried, in_step(step)));
        // It still counts: the local side wins by staying as it is.
        let conflict = limited(way, two("r", "l"));
        assert_eq!((conflict.action, conflict.row), (not_carried, in_step(step)));
        assert_eq!(limited(way, two("r", "0")).action, Action::Write(Side::Local));
    }
    assert_eq!(limited(Way::None, two("0", "l")).action, Action::Nothing);
    let only = limited(Way::None, two("r", "l"));
    assert_eq!(only.action, Action::Write(Side::Local));
    assert_eq!(only.cause, Cause::Conflict(won(Side::Remote, WonBy::OnlyWay)));
}

#[test]
fn what_a_rule_leaves_alone_is_told_once() {
    let cleared = changed(Row::Assignee, two("a", "A"), two("a", ""));
    assert_eq!(
        cleared.action,
        Action::NotCarried {
            to: Side::Remote,
            reason: NotCarried::NotApplied
        }
    );
    assert_eq!(cleared.row, in_step(two("a", "")));
    let write = |write, now| {
        let mut policy = policy(Row::Subject, Policy::RemoteWins);
        policy.ways.local = Way::Open(write);
        judged(&policy, &TABLES.facts(Row::Subject, now, in_step(two("0", "0")))).action
    };
    let told = |reason| Action::NotCarried {
        to: Side::Local,
        reason,
    };
    assert_eq!(
        write(WritePolicy::NeverNull, two("", "0")),
        told(NotCarried::Null)
    );
    assert_eq!(
        write(WritePolicy::NeverNull, two("r", "0")),
        Action::Write(Side::Local)
    );
    assert_eq!(
        write(WritePolicy::IfEmpty, two("r", "0")),
        told(NotCarried::NotEmpty)
    );
    assert_eq!(
        write(WritePolicy::IfEmpty, two("r", "")),
        Action::Write(Side::Local)
    );
    // A winner that says nothing lets the other one speak.
    assert_eq!(
        write(WritePolicy::NeverNull, two("", "l")),
        Action::Write(Side::Remote)
    );
}

#[test]
fn nothing_is_guessed_where_mapping_failed() {
    let refused = |to: Side, mapped, now| {
        let mut facts = TABLES.facts(Row::Priority, now, in_step(two("normal", "normal")));
        facts.mapped[to] = mapped;
        judged(&policy(Row::Priority, Policy::RemoteWins), &facts)
    };
    let (local, remote) = (Side::Local, Side::Remote);
    let unmapped = refused(local, Mapped::Refused, two("low", "normal"));
    assert_eq!(unmapped.action, Action::Refuse(Refusal::Unmapped(local)));
    assert_eq!(unmapped.row, in_step(two("normal", "normal")));
    let unknown = refused(remote, Mapped::Unknown, two("low", "normal"));
    assert_eq!(unknown.action, Action::Refuse(Refusal::Unknown(remote)));
    // What has no counterpart does not correspond; what it has nothing to do with goes on.
    let fine = refused(remote, Mapped::Refused, two("low", "normal"));
    assert_eq!(fine.action, Action::Write(local));
    assert_eq!(
        refused(remote, Mapped::Unknown, two("normal", "normal")).action,
        Action::Nothing
    );
    assert_eq!(
        refused(remote, Mapped::Unknown, two("low", "low")).action,
        Action::Settle
    );
}

#[test]
fn frozen_records_take_no_writes() {
    let frozen = |on_frozen| {
        let facts = TABLES.facts(Row::Subject, two("0", "l"), in_step(two("0", "0")));
        let pair = PairFacts {
            frozen: PerSide {
                remote: Some(on_frozen),
                local: None,
            },
            ..PairFacts::default()
        };
        judged_in(&policy(Row::Subject, Policy::RemoteWins), &facts, pair)
    };
    let held = frozen(OnFrozen::Hold);
    assert!(held.action == Action::Hold && held.row.held);
    assert_eq!(
        frozen(OnFrozen::Reject).action,
        Action::Refuse(Refusal::Frozen(Side::Remote))
    );
    let skipped = frozen(OnFrozen::Skip);
    assert!(matches!(
        skipped.action,
        Action::NotCarried {
            reason: NotCarried::Frozen,
            ..
        }
    ));
    assert_eq!(skipped.row, in_step(two("0", "l")));
}

/// Two rows, of which the second is written to the remote side.
fn written(on_altered: OnAltered) -> (Reconciled, PairBaseline) {
    let mut second = policy(Row::Priority, Policy::RemoteWins);
    second.on_altered.remote = on_altered;
    let facts = [
        TABLES.facts(Row::Subject, two("0", "0"), in_step(two("0", "0"))),
        TABLES.facts(
            Row::Priority,
            two("urgent", "low"),
            in_step(two("urgent", "high")),
        ),
    ];
    let policies = [policy(Row::Subject, Policy::RemoteWins), second];
    let reconciled = reconcile(&policies, &facts, &PairFacts::default());
    let names = ["subject", "priority"].map(str::to_owned).into();
    let baseline = reconciled.baseline(&names, PerSide::default());
    (reconciled, baseline)
}

fn mark(version: Option<&str>) -> SideMark {
    SideMark {
        sequence: 9,
        version: version.map(str::to_owned),
        own_write: true,
    }
}

#[test]
fn an_answer_moves_the_rows_that_were_written_and_no_other() {
    let confirm = |on_altered, returned: Option<&str>| {
        let (reconciled, mut baseline) = written(on_altered);
        assert_eq!(reconciled.rows_to(Side::Remote), [1]);
        assert!(reconciled.rows_to(Side::Local).is_empty());
        // The answer shows somebody's edit of the subject as well.
        let answered = [(0, Some("edited")), (1, returned)].map(|(row, returned)| Answered {
            row,
            sent: None,
            returned: returned.map(seen),
        });
        let confirmed = reconciled.confirm(&mut baseline, Side::Remote, mark(None), &answered);
        assert_eq!(baseline.rows[0], in_step(two("0", "0")));
        assert_eq!(
            (baseline.sides.remote.sequence, baseline.sides.local.sequence),
            (9, 0)
        );
        assert_eq!(confirmed.len(), 1);
        (confirmed[0].1, baseline.rows[1])
    };
    let as_sent = in_step(two("low", "low"));
    assert_eq!(
        confirm(OnAltered::Follow, Some("low")),
        (Confirmed::AsSent, as_sent)
    );
    assert_eq!(confirm(OnAltered::Follow, None), (Confirmed::AsSent, as_sent));
    // The server decided otherwise: that is a change of its own, which travels back; or it is put up with.
    let altered = Confirmed::Altered;
    assert_eq!(
        confirm(OnAltered::Follow, Some("urgent")),
        (altered(OnAltered::Follow), as_sent)
    );
    assert_eq!(
        confirm(OnAltered::Accept, Some("urgent")),
        (altered(OnAltered::Accept), in_step(two("urgent", "low")))
    );
    let (outcome, row) = confirm(OnAltered::Reject, Some("urgent"));
    assert!(outcome == altered(OnAltered::Reject) && row.held);
}

#[test]
fn a_lost_answer_is_settled_by_what_the_target_shows_or_by_a_person() {
    let settled = |shown: &str, version: &str| {
        let (reconciled, mut baseline) = written(OnAltered::Follow);
        baseline.sides.remote.version = Some("1".to_owned());
        let intent = reconciled.intent(PerSide::default(), Side::Remote, &baseline);
        let present = [Some(seen("edited")), Some(seen(shown))];
        let settled = settle(Some(baseline), &intent, mark(Some(version)), &present);
        assert_eq!(settled.baseline.rows[0], in_step(two("0", "0")));
        (
            settled.baseline.rows[1],
            settled.written.len(),
            settled.unknown.len(),
        )
    };
    let before = in_step(two("urgent", "high"));
    let held = PairRow { held: true, ..before };
    assert_eq!(settled("low", "2"), (in_step(two("low", "low")), 1, 0));
    assert_eq!(settled("urgent", "1"), (before, 0, 0));
    assert_eq!(settled("urgent", "2"), (held, 0, 1));
    assert_eq!(settled("normal", "2"), (held, 0, 1));
}

#[test]
fn a_created_record_gets_what_the_rules_say_and_its_own_defaults_are_nobodys_edit() {
    let mut back = policy(Row::Subject, Policy::RemoteWins);
    back.ways.local = Way::None;
    let policies = [
        policy(Row::Subject, Policy::RemoteWins),
        policy(Row::Assignee, Policy::RemoteWins),
        back,
    ];
    let facts = [(Row::Subject, "r"), (Row::Assignee, NEWCOMER), (Row::Subject, "")].map(|(row, remote)| {
        let mut facts = TABLES.facts(row, two(remote, ""), PairRow::default());
        facts.seen.local = None;
        facts
    });
    let created = reconcile_create(&policies, &facts, Side::Local);
    assert_eq!(created.rows_to(Side::Local), [0, 1]);
    let names = ["subject", "assignee", "number"].map(str::to_owned).into();
    let mut baseline = created.baseline(&names, PerSide::default());
    let answered = ["r", OWNER, "C-1"]
        .into_iter()
        .enumerate()
        .map(|(row, shown)| Answered {
            row,
            sent: None,
            returned: Some(seen(shown)),
        });
    let answered: Vec<Answered> = answered.collect();
    created.confirm(&mut baseline, Side::Local, mark(None), &answered);
    assert_eq!(baseline.rows[0], in_step(two("r", "r")));
    assert!(baseline.rows[1].fallback.local);
    // It only goes the other way: what was made travels there with the next reading.
    assert_eq!(baseline.rows[2], PairRow::default());
    let facts = TABLES.facts(Row::Subject, two("", "C-1"), baseline.rows[2]);
    assert_eq!(judged(&policies[2], &facts).action, Action::Write(Side::Remote));
    // A row that had nothing to say.
    let silent = [RowFacts {
        mapped: PerSide {
            remote: Mapped::NotApplied,
            local: Mapped::NotApplied,
        },
        ..facts
    }];
    let created = reconcile_create(&policies[..1], &silent, Side::Local);
    let names = ["subject".to_owned()].into();
    let mut baseline = created.baseline(&names, PerSide::default());
    let shown = Answered {
        row: 0,
        sent: None,
        returned: Some(seen("default text")),
    };
    assert!(
        created
            .confirm(&mut baseline, Side::Local, mark(None), &[shown])
            .is_empty()
    );
    assert_eq!(baseline.rows[0], in_step(two("", "default text")));
}
