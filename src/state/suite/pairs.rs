//! Links, baselines and cursors.

use super::{CASES, at, baseline, batch, run_number};
use crate::state::{
    Batch, CursorPut, FlowRef, Link, LinkChange, QueueFilter, State, StateError, StoredCursor,
};

fn put(source: &str, target: &str) -> LinkChange {
    LinkChange::Put {
        source: source.to_owned(),
        target: target.to_owned(),
    }
}

fn commit_links(state: &dyn State, links: Vec<LinkChange>) {
    state.commit(&Batch { links, ..batch() }).unwrap();
}

fn live(target: &str) -> Link {
    Link {
        target: Some(target.to_owned()),
        tombstone: false,
    }
}

pub(in crate::state) fn links_are_found_both_ways(state: &dyn State) {
    assert!(state.links(CASES, &["1"]).unwrap().is_empty());
    commit_links(state, vec![put("1", "a"), put("2", "b")]);
    let links = state.links(CASES, &["1", "2", "3"]).unwrap();
    assert_eq!(links.len(), 2);
    assert_eq!(links["2"], live("b"));
    let sources = state.linked_sources(CASES, &["a", "c"]).unwrap();
    assert_eq!(sources.len(), 1);
    assert_eq!(sources["a"], "1");
    // The target was made anew: the source moves to it.
    commit_links(state, vec![put("1", "c")]);
    assert_eq!(state.links(CASES, &["1"]).unwrap()["1"], live("c"));
    assert!(state.linked_sources(CASES, &["a"]).unwrap().is_empty());
}

pub(in crate::state) fn a_target_has_one_source(state: &dyn State) {
    commit_links(state, vec![put("1", "a")]);
    let refused = state.commit(&Batch {
        links: vec![put("2", "a")],
        ..batch()
    });
    match refused {
        Err(StateError::LinkTaken {
            source_key, taken_by, ..
        }) => assert_eq!((source_key.as_str(), taken_by.as_str()), ("2", "1")),
        other => panic!("expected a refusal, found {other:?}"),
    }
    // Links of another flow are others.
    let other = FlowRef {
        flow: "comments",
        ..CASES
    };
    let mut elsewhere = Batch::new(other, run_number(1), at(0));
    elsewhere.links = vec![put("2", "a")];
    state.commit(&elsewhere).unwrap();
}

pub(in crate::state) fn ended_links_leave_tombstones(state: &dyn State) {
    commit_links(state, vec![put("1", "a"), put("2", "b")]);
    state
        .commit(&Batch {
            baselines: vec![("1".to_owned(), baseline(5, 1))],
            ..batch()
        })
        .unwrap();
    let end = LinkChange::End {
        source: "1".to_owned(),
    };
    commit_links(state, vec![end]);
    let ended = Link {
        target: Some("a".to_owned()),
        tombstone: true,
    };
    assert_eq!(state.links(CASES, &["1"]).unwrap()["1"], ended);
    assert_eq!(state.linked_sources(CASES, &["a"]).unwrap()["a"], "1");
    assert!(state.baselines(CASES, &["1"]).unwrap().is_empty());
    assert_eq!(state.link_count(CASES).unwrap(), 1);
    let forget = LinkChange::Forget {
        source: "1".to_owned(),
    };
    commit_links(state, vec![forget, put("3", "a")]);
    assert!(state.links(CASES, &["1"]).unwrap().is_empty());
    assert_eq!(state.linked_sources(CASES, &["a"]).unwrap()["a"], "3");
}

pub(in crate::state) fn links_come_in_key_order(state: &dyn State) {
    let links = ["3", "1", "5", "2", "4"].map(|key| put(key, &format!("t{key}")));
    commit_links(state, links.to_vec());
    let first = state.links_after(CASES, None, 2).unwrap();
    let keys: Vec<_> = first.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["1", "2"]);
    let rest = state.links_after(CASES, Some("2"), 10).unwrap();
    let keys: Vec<_> = rest.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["3", "4", "5"]);
}

pub(in crate::state) fn baselines_survive_whole(state: &dyn State) {
    let mut other_rows = baseline(8, 2);
    other_rows.names = vec!["subject".to_owned()].into();
    other_rows.rows.truncate(1);
    other_rows.source_version = None;
    state
        .commit(&Batch {
            links: vec![put("1", "a")],
            baselines: vec![
                ("1".to_owned(), baseline(7, 1)),
                ("keyless".to_owned(), other_rows.clone()),
            ],
            ..batch()
        })
        .unwrap();
    let found = state.baselines(CASES, &["1", "keyless", "2"]).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found["1"], baseline(7, 1));
    assert_eq!(found["keyless"], other_rows);
    assert_eq!(state.links(CASES, &["1"]).unwrap()["1"], live("a"));
    let keyless = Link {
        target: None,
        tombstone: false,
    };
    assert_eq!(state.links(CASES, &["keyless"]).unwrap()["keyless"], keyless);
}

pub(in crate::state) fn older_observations_change_no_baseline(state: &dyn State) {
    for (sequence, digest) in [(20, 1), (10, 2)] {
        state
            .commit(&Batch {
                baselines: vec![("1".to_owned(), baseline(sequence, digest))],
                ..batch()
            })
            .unwrap();
    }
    assert_eq!(state.baselines(CASES, &["1"]).unwrap()["1"], baseline(20, 1));
    state
        .commit(&Batch {
            baselines: vec![("1".to_owned(), baseline(21, 3))],
            ..batch()
        })
        .unwrap();
    assert_eq!(state.baselines(CASES, &["1"]).unwrap()["1"], baseline(21, 3));
}

pub(in crate::state) fn cursors_belong_to_flow_and_stream(state: &dyn State) {
    let cursor = |cursor: &str| CursorPut {
        stream: "helpdesk.tickets".to_owned(),
        cursor: cursor.to_owned(),
        selection: "digest".to_owned(),
    };
    for text in [r#"{"key":"1"}"#, r#"{"key":"2"}"#] {
        state
            .commit(&Batch {
                cursors: vec![cursor(text)],
                ..batch()
            })
            .unwrap();
    }
    let expected = StoredCursor {
        cursor: r#"{"key":"2"}"#.to_owned(),
        selection: "digest".to_owned(),
        run: run_number(1),
        updated: at(0),
    };
    assert_eq!(state.cursor(CASES, "helpdesk.tickets").unwrap(), Some(expected));
    assert_eq!(state.cursor(CASES, "helpdesk.users").unwrap(), None);
    let other = FlowRef { flow: "new", ..CASES };
    assert_eq!(state.cursor(other, "helpdesk.tickets").unwrap(), None);
}

pub(in crate::state) fn flows_of_other_pipelines_are_others(state: &dyn State) {
    commit_links(state, vec![put("1", "a")]);
    let other = FlowRef {
        pipeline: "shop-crm",
        ..CASES
    };
    assert!(state.links(other, &["1"]).unwrap().is_empty());
    assert!(
        state
            .queue_list("shop-crm", &QueueFilter::default())
            .unwrap()
            .is_empty()
    );
}

pub(in crate::state) fn a_refused_batch_changes_nothing(state: &dyn State) {
    commit_links(state, vec![put("1", "a")]);
    let refused = Batch {
        links: vec![put("9", "z"), put("2", "a")],
        baselines: vec![("9".to_owned(), baseline(1, 1))],
        cursors: vec![CursorPut {
            stream: "helpdesk.tickets".to_owned(),
            cursor: "{}".to_owned(),
            selection: String::new(),
        }],
        ..batch()
    };
    assert!(state.commit(&refused).is_err());
    assert!(state.links(CASES, &["9"]).unwrap().is_empty());
    assert!(state.baselines(CASES, &["9"]).unwrap().is_empty());
    assert_eq!(state.cursor(CASES, "helpdesk.tickets").unwrap(), None);
}
