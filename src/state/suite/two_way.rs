//! Pairs of two-way flows: baselines of both sides, held rows, fallbacks by side.

use std::sync::Arc;

use super::{CASES, at, batch, item, run_number};
use crate::compile::compiled::{PerSide, Side};
use crate::state::{
    Batch, Digest, Fallback, HeldRow, IntendedRow, Intent, LinkChange, PairBaseline, PairIntent, PairKeys,
    PairRow, QueueFilter, QueueItem, QueueKind, SideMark, State,
};

fn keys(remote: &str, local: &str) -> PairKeys {
    PairKeys {
        remote: remote.to_owned(),
        local: local.to_owned(),
    }
}

fn put(pair: &PairKeys) -> LinkChange {
    LinkChange::Put {
        source: pair.remote.clone(),
        target: pair.local.clone(),
    }
}

fn pair(remote: u64, local: u64) -> PairBaseline {
    let names: Arc<[String]> = ["subject", "assignee"].map(str::to_owned).into();
    PairBaseline {
        sides: PerSide {
            remote: SideMark {
                sequence: remote,
                version: Some("2024-05-01T00:00:00Z".to_owned()),
                own_write: false,
            },
            local: SideMark {
                sequence: local,
                version: None,
                own_write: true,
            },
        },
        names,
        rows: vec![
            PairRow {
                in_step: Some(PerSide {
                    remote: Digest([1; 16]),
                    local: Digest([2; 16]),
                }),
                fallback: PerSide {
                    remote: false,
                    local: true,
                },
                held: false,
            },
            PairRow {
                held: true,
                ..PairRow::default()
            },
        ],
    }
}

fn commit(state: &dyn State, links: Vec<LinkChange>, pairs: Vec<(PairKeys, PairBaseline)>) -> Vec<String> {
    let batch = Batch {
        links,
        pairs,
        ..batch()
    };
    state.commit(&batch).unwrap().stale_pairs
}

fn baseline(state: &dyn State, remote: &str) -> Option<PairBaseline> {
    let mut pairs = state.pairs(CASES, Side::Remote, &[remote]).unwrap();
    pairs.remove(remote).and_then(|pair| pair.baseline)
}

pub(in crate::state) fn pairs_are_found_from_both_sides(state: &dyn State) {
    assert!(state.pairs(CASES, Side::Local, &["a"]).unwrap().is_empty());
    let (one, two) = (keys("1", "a"), keys("2", "b"));
    commit(state, vec![put(&one), put(&two)], vec![(one.clone(), pair(7, 8))]);
    let by_remote = state.pairs(CASES, Side::Remote, &["1", "2", "3"]).unwrap();
    assert_eq!(by_remote.len(), 2);
    assert_eq!(by_remote["1"].keys, one);
    assert_eq!(by_remote["1"].baseline, Some(pair(7, 8)));
    assert_eq!(by_remote["2"].baseline, None);
    let by_local = state.pairs(CASES, Side::Local, &["a", "1"]).unwrap();
    assert_eq!(by_local.len(), 1);
    assert_eq!(by_local["a"], by_remote["1"]);
}

pub(in crate::state) fn pairs_come_in_the_order_of_either_side(state: &dyn State) {
    let all = [keys("1", "c"), keys("2", "b"), keys("3", "a")];
    let pairs = all.iter().map(|keys| (keys.clone(), pair(1, 1))).collect();
    commit(state, all.iter().map(put).collect(), pairs);
    let remotes = |side, after, limit| -> Vec<String> {
        let pairs = state.pairs_after(CASES, side, after, limit).unwrap();
        assert!(pairs.iter().all(|found| found.baseline == Some(pair(1, 1))));
        pairs.into_iter().map(|found| found.keys.remote).collect()
    };
    assert_eq!(remotes(Side::Remote, None, 2), ["1", "2"]);
    assert_eq!(remotes(Side::Remote, Some("2"), 2), ["3"]);
    assert_eq!(remotes(Side::Local, None, 2), ["3", "2"]);
    assert_eq!(remotes(Side::Local, Some("b"), 2), ["1"]);
}

pub(in crate::state) fn a_pair_moves_with_its_batch_or_not_at_all(state: &dyn State) {
    let one = keys("1", "a");
    commit(state, vec![put(&one)], vec![(one.clone(), pair(1, 1))]);
    let refused = Batch {
        links: vec![put(&keys("2", "a"))],
        pairs: vec![(one.clone(), pair(5, 5))],
        ..batch()
    };
    assert!(state.commit(&refused).is_err());
    assert_eq!(baseline(state, "1"), Some(pair(1, 1)));
}

pub(in crate::state) fn older_or_unlinked_pairs_are_left_out(state: &dyn State) {
    let one = keys("1", "a");
    assert_eq!(
        commit(
            state,
            vec![put(&one)],
            vec![(one.clone(), pair(10, 20)), (keys("2", "b"), pair(1, 1))]
        ),
        ["2"]
    );
    assert_eq!(commit(state, Vec::new(), vec![(one.clone(), pair(9, 21))]), ["1"]);
    assert_eq!(
        commit(state, Vec::new(), vec![(one.clone(), pair(11, 19))]),
        ["1"]
    );
    assert_eq!(baseline(state, "1"), Some(pair(10, 20)));
    assert!(commit(state, Vec::new(), vec![(one.clone(), pair(10, 21))]).is_empty());
    assert_eq!(baseline(state, "1"), Some(pair(10, 21)));
    // A pair with the wrong counterpart says nothing about this one.
    assert_eq!(
        commit(state, Vec::new(), vec![(keys("1", "z"), pair(90, 90))]),
        ["1"]
    );
}

pub(in crate::state) fn a_pair_ends_with_its_link(state: &dyn State) {
    let one = keys("1", "a");
    commit(state, vec![put(&one)], vec![(one.clone(), pair(1, 1))]);
    let source = || "1".to_owned();
    commit(state, vec![LinkChange::End { source: source() }], Vec::new());
    let ended = &state.pairs(CASES, Side::Local, &["a"]).unwrap()["a"];
    assert!(ended.tombstone && ended.baseline.is_none());
    assert_eq!(commit(state, Vec::new(), vec![(one.clone(), pair(2, 2))]), ["1"]);
    // Brought back by a person: it starts anew.
    commit(state, vec![put(&one)], Vec::new());
    assert_eq!(baseline(state, "1"), None);
    commit(state, Vec::new(), vec![(one.clone(), pair(3, 3))]);
    commit(state, vec![LinkChange::Forget { source: source() }], Vec::new());
    assert!(state.pairs(CASES, Side::Remote, &["1"]).unwrap().is_empty());
}

pub(in crate::state) fn a_new_counterpart_starts_without_baseline(state: &dyn State) {
    let one = keys("1", "a");
    commit(state, vec![put(&one)], vec![(one.clone(), pair(1, 1))]);
    commit(state, vec![put(&one)], Vec::new());
    assert_eq!(baseline(state, "1"), Some(pair(1, 1)));
    commit(state, vec![put(&keys("1", "b"))], Vec::new());
    assert_eq!(baseline(state, "1"), None);
}

pub(in crate::state) fn intents_keep_what_a_pair_becomes(state: &dyn State) {
    let intent = Intent {
        id: run_number(7),
        pipeline: CASES.pipeline.to_owned(),
        flow: CASES.flow.to_owned(),
        connection: "crm".to_owned(),
        stream: "cases".to_owned(),
        operation: "update".to_owned(),
        key: Some("a".to_owned()),
        source_key: "1".to_owned(),
        request: b"{}".to_vec(),
        baseline: None,
        pair: Some(PairIntent {
            keys: PerSide {
                remote: Some("1".to_owned()),
                local: None,
            },
            to: Side::Local,
            before: pair(1, 2),
            written: vec![IntendedRow {
                row: 1,
                replaces: Some(Digest([3; 16])),
                becomes: PairRow::default(),
            }],
        }),
        create: None,
        first_sent: at(0),
        job: None,
        run: run_number(1),
    };
    state.put_intents(std::slice::from_ref(&intent)).unwrap();
    assert_eq!(state.open_intents(CASES.pipeline).unwrap(), [intent]);
}

pub(in crate::state) fn fallbacks_of_both_sides_are_kept_apart(state: &dyn State) {
    let fallback = |to, key: &str| Fallback {
        source: "1".to_owned(),
        row: "assignee".to_owned(),
        to,
        lookup: "people".to_owned(),
        key: key.to_owned(),
    };
    let all = vec![
        fallback(None, "ann"),
        fallback(Some(Side::Local), "bob"),
        fallback(Some(Side::Remote), "cid"),
    ];
    let known = |fallbacks: Vec<Fallback>| {
        state
            .commit(&Batch {
                fallbacks_of: vec!["1".to_owned()],
                fallbacks,
                ..batch()
            })
            .unwrap();
        state.fallbacks(CASES).unwrap()
    };
    assert_eq!(known(all.clone()), all);
    let moved = vec![fallback(Some(Side::Remote), "dan")];
    assert_eq!(known(moved.clone()), moved);
}

fn held(rows: &[&str]) -> QueueItem {
    let row = |row: &&str| HeldRow {
        row: (*row).to_owned(),
        remote: Some("urgent".to_owned()),
        local: None,
        reason: "both sides changed".to_owned(),
        ruling: None,
    };
    QueueItem {
        held_rows: rows.iter().map(row).collect(),
        ..item(QueueKind::Held, "1", 5)
    }
}

fn queue(state: &dyn State, item: QueueItem) {
    state
        .commit(&Batch {
            queue_put: vec![item],
            ..batch()
        })
        .unwrap();
}

pub(in crate::state) fn held_rows_are_listed_with_both_values(state: &dyn State) {
    queue(state, held(&["priority", "status"]));
    let listed = state.queue_list(CASES.pipeline, &QueueFilter::default()).unwrap();
    assert_eq!(listed, [(CASES.flow.to_owned(), held(&["priority", "status"]))]);
    queue(state, held(&["status"]));
    assert_eq!(state.queue_show(CASES, "1").unwrap(), Some(held(&["status"])));
}

pub(in crate::state) fn a_person_chooses_the_side_of_a_row(state: &dyn State) {
    queue(state, held(&["priority", "status"]));
    let retryable = || state.queue_retryable(CASES, None, None, 10).unwrap();
    assert!(retryable().is_empty());
    assert_eq!(state.queue_resolve(CASES, "9", &[], Side::Local).unwrap(), 0);
    assert_eq!(
        state
            .queue_resolve(CASES, "1", &["subject"], Side::Local)
            .unwrap(),
        0
    );
    assert!(retryable().is_empty());
    assert_eq!(
        state.queue_resolve(CASES, "1", &["status"], Side::Local).unwrap(),
        1
    );
    let rulings = |items: &[QueueItem]| -> Vec<Option<Side>> {
        let rows = items.iter().flat_map(|item| &item.held_rows);
        rows.map(|row| row.ruling).collect()
    };
    assert_eq!(rulings(&retryable()), [None, Some(Side::Local)]);
    assert_eq!(state.queue_resolve(CASES, "1", &[], Side::Remote).unwrap(), 2);
    assert_eq!(rulings(&retryable()), [Some(Side::Remote), Some(Side::Remote)]);
}
