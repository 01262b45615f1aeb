//! What is remembered: within a run, between runs, of links and of created records.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::fixture::*;
use crate::compile::compiled::{Load, Lookup, OnMany, OnNone};
use crate::lookup::LookupError;
use crate::mapping::{Found, Resolver, pending_key};
use crate::state::{Batch, Fallback, FlowRef, LinkChange};

const ANN: &str = r#""ann@example.com""#;
const NOBODY: &str = r#""nobody@example.com""#;
const CASES: FlowRef<'static> = FlowRef {
    pipeline: "helpdesk-crm",
    flow: "cases",
};

fn brief(lookup: Lookup) -> Lookup {
    Lookup {
        fresh_for: Duration::ZERO,
        ..lookup
    }
}

#[tokio::test]
async fn an_answer_that_is_never_fresh_serves_its_own_batch_only() {
    let world = World::new(vec![brief(by_email("person"))]);
    let system = Arc::clone(&world.system);
    let lookups = world.build();
    for round in 1..=3 {
        assert_eq!(settle(&lookups, 0, &[ANN, NOBODY]).await, ["1", "none"]);
        assert_eq!(system.asked().len(), round);
    }
}

#[tokio::test]
async fn answers_are_kept_between_runs_while_nothing_they_depend_on_changes() {
    let world = World::new(vec![by_email("person")]);
    let (system, state) = (Arc::clone(&world.system), Arc::clone(&world.state));
    assert_eq!(settle(&world.build(), 0, &[ANN, NOBODY]).await, ["1", "none"]);
    assert_eq!(system.asked().len(), 1);
    let next = |params| World {
        system: Arc::clone(&system),
        state: Arc::clone(&state),
        params,
        ..World::new(vec![by_email("person")])
    };
    let same = r#"{"owner": "ann@example.com"}"#;
    assert_eq!(
        settle(&next(same).build(), 0, &[ANN, NOBODY]).await,
        ["1", "none"]
    );
    assert_eq!(system.asked().len(), 1);
    let other = r#"{"owner": "bob@example.com"}"#;
    assert_eq!(settle(&next(other).build(), 0, &[ANN]).await, ["1"]);
    assert_eq!(system.asked().len(), 2);
}

#[tokio::test]
async fn fallbacks_are_resolved_once_and_stay() {
    let lookup = Lookup {
        on_none: OnNone::Instead(template("{{ params.owner }}")),
        ..brief(by_email("person"))
    };
    let world = World::new(vec![lookup]);
    let system = Arc::clone(&world.system);
    let lookups = world.build();
    lookups.start(&[0]).await.unwrap();
    assert_eq!(system.asked(), [["ann@example.com"]]);
    for _ in 0..2 {
        assert_eq!(resolve(&lookups.resolver(), 0, ANN), "1");
    }
    assert_eq!(system.asked().len(), 1);
}

#[tokio::test]
async fn a_fallback_that_is_not_there_stops_the_start() {
    let start = |owner: &'static str, find: &'static str, on_many| async move {
        let lookup = Lookup {
            on_none: OnNone::Instead(template("{{ params.owner }}")),
            attempts: vec![attempt(
                find,
                crate::compile::compiled::MatchValue::Given,
                BY_EMAILS,
            )],
            on_many,
            ..by_email("person")
        };
        let world = World {
            params: owner,
            ..World::new(vec![lookup])
        };
        world.build().start(&[0]).await
    };
    let path = "$.emails[*].email";
    let error = start(r#"{"owner": "nobody@example.com"}"#, path, OnMany::Reject)
        .await
        .unwrap_err();
    let message = error.to_string();
    for part in [
        "`person`",
        "`{{ params.owner }}`",
        "`nobody@example.com`",
        "no record",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let shared = r#"{"owner": "shared@example.com"}"#;
    let error = start(shared, path, OnMany::Reject).await.unwrap_err();
    assert!(matches!(error, LookupError::Unresolved { found: 2, .. }));
    start(shared, path, OnMany::First).await.unwrap();
    let error = start("{}", path, OnMany::Reject).await.unwrap_err();
    assert!(
        matches!(error, LookupError::Unresolved { found: 0, .. }),
        "{error}"
    );
    // Flows that are not run need no fallback.
    let lookup = Lookup {
        on_none: OnNone::Instead(template("{{ params.nobody }}")),
        ..by_email("person")
    };
    World::new(vec![lookup]).build().start(&[]).await.unwrap();
}

#[tokio::test]
async fn what_load_created_is_found_by_every_lookup_that_names_it() {
    let world = World::new(vec![
        by_email("asked"),
        Lookup {
            load: Load::All,
            ..by_email("whole")
        },
    ]);
    let (system, state) = (Arc::clone(&world.system), Arc::clone(&world.state));
    let lookups = world.build();
    lookups.start(&[0]).await.unwrap();
    assert_eq!(settle(&lookups, 0, &[NOBODY]).await, ["none"]);
    let resolver = lookups.resolver();
    assert_eq!(resolve(&resolver, 1, NOBODY), "none");
    let pipeline = Arc::clone(&lookups.shared.pipeline);
    let key = |lookup, given: &str| pending_key(&pipeline, lookup, &json(given), &resolver).unwrap();
    let pending = key(0, r#"" Nobody@example.com""#);
    assert_eq!(pending.key, "$.email=nobody@example.com");
    assert_eq!(pending, key(1, NOBODY));
    assert_eq!(pending_key(&pipeline, 0, &json("null"), &resolver), None);
    let found = Found {
        key: json("77"),
        record: json("null").into(),
    };
    lookups.created(&pending, found).unwrap();
    assert_eq!(resolve(&resolver, 0, NOBODY), "77");
    assert_eq!(resolve(&resolver, 1, NOBODY), "77");
    assert_eq!(resolve(&resolver, 0, r#""other@example.com""#), "missing");
    // The next run finds it although the system's search lags behind.
    let next = World {
        system,
        state,
        ..World::new(vec![
            by_email("asked"),
            Lookup {
                load: Load::All,
                ..by_email("whole")
            },
        ])
    };
    assert_eq!(settle(&next.build(), 0, &[NOBODY]).await, ["77"]);
}

#[tokio::test]
async fn links_come_from_the_store_and_absence_is_asked_again() {
    let world = World::new(Vec::new());
    let state = Arc::clone(&world.state);
    let lookups = world.build();
    let commit = |change| {
        let mut batch = Batch::new(CASES, Uuid::from_u128(1), Timestamp::UNIX_EPOCH);
        batch.links = vec![change];
        state.commit(&batch).unwrap();
    };
    let put = |source: &str, target: &str| LinkChange::Put {
        source: source.to_owned(),
        target: target.to_owned(),
    };
    commit(put("1", "a"));
    commit(put("2", "b"));
    commit(LinkChange::End {
        source: "2".to_owned(),
    });
    let ask = || async {
        let resolver = lookups.resolver();
        for key in ["1", "2", "3", "1"] {
            resolver.link(0, key);
        }
        let questions = resolver.questions();
        let count = questions.len();
        lookups.fetch(questions).await.unwrap();
        let words = ["1", "2", "3"].map(|key| word(resolver.link(0, key)));
        (count, words.join(" "))
    };
    assert_eq!(ask().await, (3, "a none none".to_owned()));
    commit(put("3", "c"));
    assert_eq!(ask().await, (2, "a none c".to_owned()));
    assert_eq!(ask().await, (1, "a none c".to_owned()));
}

#[tokio::test]
async fn fallback_keys_are_tried_again_all_at_once() {
    let mut world = World::new(vec![by_email("person")]);
    world.system = System::new(r#"[{"id": 9, "email": "late@example.com"}]"#);
    let (system, state) = (Arc::clone(&world.system), Arc::clone(&world.state));
    let fallback = |source: &str, lookup: &str, key: &str| Fallback {
        source: source.to_owned(),
        row: "owner".to_owned(),
        to: None,
        lookup: lookup.to_owned(),
        key: key.to_owned(),
    };
    let late = fallback("1", "person", "$.email=late@example.com");
    let mut batch = Batch::new(CASES, Uuid::from_u128(1), Timestamp::UNIX_EPOCH);
    batch.fallbacks = vec![
        late.clone(),
        fallback("2", "person", "$.email=never@example.com"),
        fallback("3", "person", "$.phone=1"),
        fallback("4", "renamed", "$.email=late@example.com"),
    ];
    state.commit(&batch).unwrap();
    let resolved = world.build().resolved_fallbacks("cases").await.unwrap();
    assert_eq!(resolved, [late]);
    assert_eq!(system.asked(), [["late@example.com", "never@example.com"]]);
}
