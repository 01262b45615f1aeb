//! What holds for any pair, whatever was there before and whoever wins.

use std::sync::Arc;

use proptest::prelude::*;

use super::model::{ROWS, Row, Tables, domain, in_step, policy, seen};
use crate::compile::compiled::{PerSide, Policy, Side};
use crate::state::{PairBaseline, PairRow, SideMark};
use crate::sync::{Action, Answered, PairFacts, RowPolicy, reconcile};

/// Both sides' values of all rows.
type Values = Vec<PerSide<String>>;

const TABLES: Tables = Tables { newcomer: false };

fn value(row: Row, side: Side) -> impl Strategy<Value = String> {
    proptest::sample::select(domain(row, side)).prop_map(str::to_owned)
}

fn values() -> impl Strategy<Value = Values> {
    let row = |row: Row| {
        (value(row, Side::Remote), value(row, Side::Local))
            .prop_map(|(remote, local)| PerSide { remote, local })
    };
    ROWS.map(row).into_iter().collect::<Vec<_>>()
}

/// Values that are in step: remote ones and what they are mapped to.
fn agreeing() -> impl Strategy<Value = Values> {
    values().prop_map(|mut values| {
        for (row, values) in ROWS.into_iter().zip(&mut values) {
            if let Some(local) = TABLES.map(row, Side::Local, &values.remote).text() {
                values.local = local.to_owned();
            }
        }
        values
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    proptest::sample::select(vec![
        Policy::RemoteWins,
        Policy::LocalWins,
        Policy::NewestWins,
        Policy::Hold,
    ])
}

fn names() -> Arc<[String]> {
    ROWS.iter().map(|row| format!("{row:?}")).collect()
}

fn baseline_of(values: &Values) -> PairBaseline {
    let row = |values: &PerSide<String>| in_step(values.as_ref().map(String::as_str));
    PairBaseline {
        rows: values.iter().map(row).collect(),
        ..PairBaseline::unknown(names())
    }
}

/// One round without anybody else: what is decided is written in the order of `sides`. Returns the writes.
fn round(
    values: &mut Values,
    baseline: &mut PairBaseline,
    conflict: Policy,
    newest: Option<Side>,
    sides: [Side; 2],
) -> Vec<(Side, usize)> {
    let policies: Vec<RowPolicy> = ROWS.into_iter().map(|row| policy(row, conflict)).collect();
    let facts: Vec<_> = ROWS
        .into_iter()
        .zip(values.iter().zip(&baseline.rows))
        .map(|(row, (values, known))| TABLES.facts(row, values.as_ref().map(String::as_str), *known))
        .collect();
    let pair = PairFacts {
        newest,
        ..PairFacts::default()
    };
    let reconciled = reconcile(&policies, &facts, &pair);
    let held: Vec<bool> = baseline.rows.iter().map(|row| row.held).collect();
    *baseline = reconciled.baseline(&baseline.names, baseline.sides.clone());
    let read = values.clone();
    let mut writes = Vec::new();
    for to in sides {
        let mut answered = Vec::new();
        for row in reconciled.rows_to(to) {
            assert!(!held[row], "a held row is written");
            let given = TABLES.map(ROWS[row], to, &read[row][to.other()]);
            values[row][to] = given.text().unwrap().to_owned();
            answered.push(Answered {
                row,
                sent: None,
                returned: Some(seen(&values[row][to])),
            });
            writes.push((to, row));
        }
        reconciled.confirm(baseline, to, SideMark::default(), &answered);
    }
    writes.sort_unstable();
    writes
}

const LOCAL_FIRST: [Side; 2] = [Side::Local, Side::Remote];

proptest! {
    #[test]
    fn one_round_converges_and_a_second_one_decides_nothing(
        before in agreeing(), mut now in values(), known: bool, conflict in policies(), newest: Option<bool>
    ) {
        let newest = newest.map(|remote| if remote { Side::Remote } else { Side::Local });
        let mut baseline = if known { baseline_of(&before) } else { PairBaseline::unknown(names()) };
        round(&mut now, &mut baseline, conflict, newest, LOCAL_FIRST);
        let after = now.clone();
        let writes = round(&mut now, &mut baseline, conflict, newest, LOCAL_FIRST);
        prop_assert!(writes.is_empty(), "{writes:?}");
        let stored = baseline.clone();
        round(&mut now, &mut baseline, conflict, newest, LOCAL_FIRST);
        prop_assert_eq!(&baseline, &stored);
        for ((row, values), known) in ROWS.into_iter().zip(&after).zip(&baseline.rows) {
            let values = values.as_ref().map(String::as_str);
            prop_assert!(known.held || TABLES.at_peace(row, values), "{row:?} {values:?}");
        }
    }

    #[test]
    fn the_order_of_the_sides_does_not_matter(
        before in agreeing(), now in values(), known: bool, conflict in policies()
    ) {
        let outcome = |sides| {
            let mut baseline = if known { baseline_of(&before) } else { PairBaseline::unknown(names()) };
            let mut values = now.clone();
            let writes = round(&mut values, &mut baseline, conflict, None, sides);
            (values, baseline, writes)
        };
        prop_assert_eq!(outcome(LOCAL_FIRST), outcome(Side::BOTH));
    }

    /// Losing the second of two writes, and being told of the pair once more, ends as if both had been done at once.
    #[test]
    fn directions_commit_on_their_own(before in agreeing(), now in values(), conflict in policies()) {
        let mut whole = (now.clone(), baseline_of(&before));
        round(&mut whole.0, &mut whole.1, conflict, None, LOCAL_FIRST);
        let mut parts = (now, baseline_of(&before));
        for sides in [[Side::Local; 2], LOCAL_FIRST] {
            round(&mut parts.0, &mut parts.1, conflict, None, sides);
        }
        prop_assert_eq!(whole, parts);
    }

    /// Urgent stays urgent, what is on hold stays on hold, what is resolved stays resolved.
    #[test]
    fn an_edit_touches_no_other_row_and_no_other_side(
        before in agreeing(), finer in values(), row in 0..ROWS.len(), remote: bool, text in "[a-z]{3}"
    ) {
        // The sides are in step wherever finer values correspond.
        let mut now = before;
        for ((row, now), finer) in ROWS.into_iter().zip(&mut now).zip(finer) {
            if TABLES.correspond(row, finer.as_ref().map(String::as_str)) {
                *now = finer;
            }
        }
        let mut baseline = baseline_of(&now);
        let side = if remote { Side::Remote } else { Side::Local };
        if matches!(ROWS[row], Row::Subject) {
            now[row][side] = text;
        }
        let expected = now.clone();
        let writes = round(&mut now, &mut baseline, Policy::RemoteWins, None, LOCAL_FIRST);
        prop_assert!(writes.iter().all(|write| *write == (side.other(), row)), "{writes:?}");
        for (position, (now, expected)) in now.iter().zip(&expected).enumerate() {
            prop_assert!(position == row || now == expected);
        }
    }

    #[test]
    fn edits_of_different_rows_on_both_sides_both_survive(
        before in agreeing(), remote in "[a-z]{3}", priority in value(Row::Priority, Side::Local), conflict in policies()
    ) {
        let mut baseline = baseline_of(&before);
        let mut now = before;
        now[0].remote = remote.clone();
        now[1].local = priority.clone();
        round(&mut now, &mut baseline, conflict, None, LOCAL_FIRST);
        prop_assert_eq!(&now[0].local, &remote);
        prop_assert_eq!(&now[1].local, &priority);
        prop_assert!(TABLES.correspond(Row::Priority, now[1].as_ref().map(String::as_str)));
    }

    #[test]
    fn a_fallback_replaces_no_edit_and_never_goes_back(
        before in agreeing(), now in values(), known: bool, conflict in policies()
    ) {
        let mut baseline = if known { baseline_of(&before) } else { PairBaseline::unknown(names()) };
        let was: Vec<PairRow> = baseline.rows.clone();
        let mut values = now.clone();
        let writes = round(&mut values, &mut baseline, conflict, None, LOCAL_FIRST);
        for (to, row) in writes {
            let given = TABLES.map(ROWS[row], to, &now[row][to.other()]);
            let theirs = &now[row][to];
            let changed = was[row].in_step.is_none_or(|in_step| in_step[to] != seen(theirs).digest);
            prop_assert!(!given.is_fallback() || !changed || theirs.is_empty());
            prop_assert_eq!(baseline.rows[row].fallback[to], given.is_fallback());
        }
        // What stands in is left alone for ever: the side across did not ask for it.
        let settled = values.clone();
        round(&mut values, &mut baseline, conflict, None, LOCAL_FIRST);
        prop_assert_eq!(values, settled);
    }

    #[test]
    fn own_writes_are_not_changes(before in agreeing(), mut now in values(), conflict in policies()) {
        let mut baseline = baseline_of(&before);
        let writes = round(&mut now, &mut baseline, conflict, None, LOCAL_FIRST);
        for (_, row) in writes {
            let values = now[row].as_ref().map(String::as_str);
            let facts = TABLES.facts(ROWS[row], values, baseline.rows[row]);
            let verdict = reconcile(&[policy(ROWS[row], conflict)], &[facts], &PairFacts::default());
            prop_assert!(verdict.verdicts().all(|verdict| verdict.action == Action::Nothing));
        }
    }
}
