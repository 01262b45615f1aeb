//! The queue.

use super::{CASES, at, baseline, batch, item, run_number};
use crate::state::{
    Batch, FlowRef, LinkChange, QueueClear, QueueFilter, QueueItem, QueueKind, QueuedRecord, State, WaitsFor,
};

fn put(state: &dyn State, items: Vec<QueueItem>) -> Vec<String> {
    let batch = Batch {
        queue_put: items,
        ..batch()
    };
    state.commit(&batch).unwrap().stale
}

fn clear(key: &str, sequence: u64) -> QueueClear {
    QueueClear {
        key: key.to_owned(),
        sequence,
    }
}

fn retryable(state: &dyn State, attempts: Option<u32>) -> Vec<String> {
    let items = state.queue_retryable(CASES, attempts, None, 100).unwrap();
    items.into_iter().map(|item| item.key).collect()
}

pub(in crate::state) fn newer_observations_replace_older_ones(state: &dyn State) {
    assert!(put(state, vec![item(QueueKind::Rejected, "9", 10)]).is_empty());
    let newer = QueueItem {
        reason: "another".to_owned(),
        record: QueuedRecord::KeyOnly,
        first_seen: at(99),
        last_seen: at(99),
        attempts: 2,
        ..item(QueueKind::Held, "9", 11)
    };
    assert!(put(state, vec![newer.clone()]).is_empty());
    let stored = QueueItem {
        first_seen: at(10),
        ..newer
    };
    assert_eq!(state.queue_show(CASES, "9").unwrap(), Some(stored.clone()));
    assert_eq!(put(state, vec![item(QueueKind::Rejected, "9", 10)]), ["9"]);
    assert_eq!(state.queue_show(CASES, "9").unwrap(), Some(stored));
}

pub(in crate::state) fn success_clears_what_is_not_newer(state: &dyn State) {
    put(
        state,
        vec![
            item(QueueKind::Rejected, "1", 10),
            item(QueueKind::Rejected, "2", 20),
        ],
    );
    state
        .commit(&Batch {
            queue_clear: vec![clear("1", 15), clear("2", 15), clear("none", 15)],
            ..batch()
        })
        .unwrap();
    assert_eq!(state.queue_show(CASES, "1").unwrap(), None);
    assert!(state.queue_show(CASES, "2").unwrap().is_some());
}

pub(in crate::state) fn what_was_loaded_later_makes_a_retry_stale(state: &dyn State) {
    state
        .commit(&Batch {
            baselines: vec![("9".to_owned(), baseline(20, 1))],
            ..batch()
        })
        .unwrap();
    assert_eq!(put(state, vec![item(QueueKind::Rejected, "9", 10)]), ["9"]);
    assert_eq!(state.queue_show(CASES, "9").unwrap(), None);
    assert!(put(state, vec![item(QueueKind::Rejected, "9", 21)]).is_empty());
}

pub(in crate::state) fn two_observations_in_one_batch_end_with_the_newer(state: &dyn State) {
    state
        .commit(&Batch {
            queue_put: vec![
                item(QueueKind::Rejected, "old", 10),
                item(QueueKind::Rejected, "new", 12),
            ],
            queue_clear: vec![clear("old", 11), clear("new", 11)],
            ..batch()
        })
        .unwrap();
    assert_eq!(state.queue_show(CASES, "old").unwrap(), None);
    assert!(state.queue_show(CASES, "new").unwrap().is_some());
}

pub(in crate::state) fn rejected_items_are_retried_until_their_attempts_end(state: &dyn State) {
    let tried = |key: &str, attempts| QueueItem {
        attempts,
        ..item(QueueKind::Rejected, key, 1)
    };
    put(
        state,
        vec![
            tried("a", 1),
            tried("b", 3),
            tried("c", 4),
            item(QueueKind::Held, "d", 1),
        ],
    );
    assert_eq!(retryable(state, Some(3)), ["a", "b"]);
    assert_eq!(retryable(state, None), ["a", "b", "c"]);
    let page = state.queue_retryable(CASES, None, Some("a"), 1).unwrap();
    assert_eq!(page[0].key, "b");
    assert_eq!(page.len(), 1);
}

pub(in crate::state) fn waiting_items_are_retried_once_their_link_exists(state: &dyn State) {
    let waiting = |key: &str, waits_for: Option<&str>| QueueItem {
        waits_for: waits_for.map(|key| WaitsFor {
            flow: "parents".to_owned(),
            key: key.to_owned(),
        }),
        attempts: 50,
        ..item(QueueKind::Waiting, key, 1)
    };
    put(
        state,
        vec![
            waiting("a", Some("7")),
            waiting("b", Some("8")),
            waiting("c", None),
        ],
    );
    assert_eq!(retryable(state, Some(3)), ["c"]);
    let parents = FlowRef {
        flow: "parents",
        ..CASES
    };
    let link = |change| {
        let mut links = Batch::new(parents, run_number(1), at(0));
        links.links = vec![change];
        state.commit(&links).unwrap();
    };
    link(LinkChange::Put {
        source: "8".to_owned(),
        target: "t8".to_owned(),
    });
    assert_eq!(retryable(state, Some(3)), ["b", "c"]);
    link(LinkChange::End {
        source: "8".to_owned(),
    });
    assert_eq!(retryable(state, Some(3)), ["c"]);
}

pub(in crate::state) fn a_person_can_ask_for_a_retry_or_drop(state: &dyn State) {
    put(
        state,
        vec![
            item(QueueKind::Held, "a", 1),
            QueueItem {
                attempts: 9,
                ..item(QueueKind::Rejected, "b", 1)
            },
        ],
    );
    assert!(retryable(state, Some(3)).is_empty());
    assert_eq!(state.queue_retry(CASES, &["a", "b", "none"]).unwrap(), 2);
    assert_eq!(retryable(state, Some(3)), ["a", "b"]);
    // Tried once more, it waits for the person again.
    put(state, vec![item(QueueKind::Held, "a", 2)]);
    assert_eq!(retryable(state, Some(3)), ["b"]);
    assert_eq!(state.queue_drop(CASES, &["b", "none"]).unwrap(), 1);
    assert!(retryable(state, Some(3)).is_empty());
}

pub(in crate::state) fn lists_are_filtered(state: &dyn State) {
    put(
        state,
        vec![item(QueueKind::Rejected, "2", 1), item(QueueKind::Held, "1", 1)],
    );
    let other = FlowRef {
        flow: "articles",
        ..CASES
    };
    let mut articles = Batch::new(other, run_number(1), at(0));
    articles.queue_put = vec![item(QueueKind::Held, "3", 1)];
    state.commit(&articles).unwrap();
    let keys = |filter: QueueFilter| -> Vec<String> {
        let items = state.queue_list(CASES.pipeline, &filter).unwrap();
        items
            .into_iter()
            .map(|(flow, item)| format!("{flow}/{}", item.key))
            .collect()
    };
    assert_eq!(keys(QueueFilter::default()), ["articles/3", "cases/1", "cases/2"]);
    let held = QueueFilter {
        kind: Some(QueueKind::Held),
        ..QueueFilter::default()
    };
    assert_eq!(keys(held.clone()), ["articles/3", "cases/1"]);
    let one = QueueFilter {
        flow: Some("cases".to_owned()),
        limit: Some(1),
        ..QueueFilter::default()
    };
    assert_eq!(keys(one), ["cases/1"]);
}
