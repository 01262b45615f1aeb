//! Which requests are sent, and how their answers are compared.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::fixture::*;
use crate::compile::compiled::{Condition, Load, Lookup, Match, MatchValue, Shape};
use crate::connector::ConnectorError;
use crate::expression::Value;
use crate::lookup::LookupError;

#[tokio::test]
async fn a_batch_is_asked_with_few_requests_and_compared_again() {
    let world = World::new(vec![by_email("person")]);
    let system = Arc::clone(&world.system);
    let lookups = world.build();
    let resolver = lookups.resolver();
    let given = [
        r#"" ANN@example.com ""#,
        r#""ann@example.com""#,
        r#""bob@example.com""#,
        r#""nobody@example.com""#,
    ];
    for given in given {
        assert_eq!(resolve(&resolver, 0, given), "missing");
    }
    let questions = resolver.questions();
    assert_eq!(questions.len(), 3);
    assert!(resolver.questions().is_empty());
    lookups.fetch(questions).await.unwrap();
    // Two values a request. `ann@example.com.invalid` was returned too, and is somebody else.
    assert_eq!(system.asked().len(), 2);
    let keys: Vec<String> = given.iter().map(|given| resolve(&resolver, 0, given)).collect();
    assert_eq!(keys, ["1", "1", "2", "none"]);
    assert!(resolver.questions().is_empty());
    // The next batch knows already.
    assert_eq!(settle(&lookups, 0, &given).await, ["1", "1", "2", "none"]);
    assert_eq!(system.asked().len(), 2);
    assert_eq!(resolve(&resolver, 0, "null"), "none");
    assert_eq!(resolve(&resolver, 0, r#""  ""#), "none");
}

#[tokio::test]
async fn any_of_several_nodes_may_agree() {
    let lookup = Lookup {
        attempts: vec![attempt("$.emails[*].email", given("$.email"), BY_EMAILS)],
        ..by_email("person")
    };
    let lookups = World::new(vec![lookup]).build();
    let given = [
        r#"{"email": "ann@home.example"}"#,
        r#"{"email": "ann@example.com"}"#,
        r#"{"email": "shared@example.com"}"#,
        r#"{"email": "cid@example.com"}"#,
        "{}",
    ];
    assert_eq!(
        settle(&lookups, 0, &given).await,
        ["1", "1", "3 4", "none", "none"]
    );
}

#[tokio::test]
async fn attempts_are_made_in_order_and_in_one_fetch() {
    let lookup = Lookup {
        attempts: vec![
            attempt("$.email", given("$.first"), BY_EMAIL),
            attempt("$.emails[*].email", given("$.second"), BY_EMAILS),
        ],
        ..by_email("person")
    };
    let world = World::new(vec![lookup]);
    let system = Arc::clone(&world.system);
    let lookups = world.build();
    let given = [
        r#"{"first": "bob@example.com", "second": "shared@example.com"}"#,
        r#"{"first": "nobody@example.com", "second": "ann@home.example"}"#,
        r#"{"second": "ann@home.example"}"#,
        r#"{"first": "nobody@example.com", "second": "nobody@example.com"}"#,
    ];
    assert_eq!(settle(&lookups, 0, &given).await, ["2", "1", "1", "none"]);
    // Bob was found by his first address: nobody asked for the second.
    let asked = system.asked().concat();
    assert!(!asked.contains(&"shared@example.com".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn keys_of_a_match_agree_together() {
    let lookup = Lookup {
        attempts: vec![Match {
            keys: vec![
                key("$.role", given("$.role"), None),
                key("$.email", given("$.email"), Some(BY_EMAIL)),
            ],
        }],
        ..by_email("person")
    };
    let world = World::new(vec![lookup]);
    let system = Arc::clone(&world.system);
    let lookups = world.build();
    let given = [
        r#"{"email": "ann@example.com", "role": "Agent"}"#,
        r#"{"email": "ann@example.com", "role": "customer"}"#,
        r#"{"email": "ann@example.com"}"#,
    ];
    assert_eq!(settle(&lookups, 0, &given).await, ["1", "none", "none"]);
    assert_eq!(system.asked(), [["ann@example.com"]]);
}

#[tokio::test]
async fn conditions_admit_and_preferences_choose() {
    let lookup = |name: &str, conditions, prefer| Lookup {
        attempts: vec![attempt("$.emails[*].email", given("$.email"), BY_EMAILS)],
        conditions,
        prefer,
        ..by_email(name)
    };
    let role = |text: &str| Condition {
        path: path("$.role"),
        values: vec![Shape::Template(template(text))],
    };
    let not_deleted = Condition {
        path: path("$.archived"),
        values: vec![Shape::Const(Value::Null), Shape::Const(Value::Bool(false))],
    };
    let primary = vec![Condition {
        path: path("$.email"),
        values: vec![Shape::Template(template("{{ given.primary }}"))],
    }];
    let lookups = World::new(vec![
        lookup(
            "agents",
            vec![role("{{ connections.crm.settings.role }}"), not_deleted],
            Vec::new(),
        ),
        lookup("preferred", Vec::new(), vec![primary]),
    ])
    .build();
    let given = [
        r#"{"email": "ann@home.example"}"#,
        r#"{"email": "shared@example.com"}"#,
    ];
    assert_eq!(settle(&lookups, 0, &given).await, ["1", "none"]);
    let given = [
        r#"{"email": "shared@example.com", "primary": "DORA@example.com"}"#,
        r#"{"email": "shared@example.com", "primary": "x@example.com"}"#,
    ];
    assert_eq!(settle(&lookups, 1, &given).await, ["4", "3 4"]);
}

#[tokio::test]
async fn what_the_source_calls_deleted_is_not_found() {
    let mut world = World::new(vec![
        by_email("asked"),
        Lookup {
            load: Load::All,
            ..by_email("whole")
        },
    ]);
    world.system = System::new(
        r#"[{"id": 1, "email": "ann@example.com", "deleted": true}, {"id": 2, "email": "bob@example.com", "deleted": false}]"#,
    );
    let lookups = world.build();
    let given = [r#""ann@example.com""#, r#""bob@example.com""#];
    assert_eq!(settle(&lookups, 0, &given).await, ["none", "2"]);
    assert_eq!(settle(&lookups, 1, &given).await, ["none", "2"]);
}

#[tokio::test]
async fn two_lookups_over_one_stream_share_requests() {
    let agents = Lookup {
        conditions: vec![Condition {
            path: path("$.role"),
            values: vec![Shape::Const(Value::text("agent"))],
        }],
        ..by_email("agents")
    };
    let world = World::new(vec![by_email("people"), agents]);
    let system = Arc::clone(&world.system);
    let lookups = world.build();
    let resolver = lookups.resolver();
    resolve(&resolver, 0, r#""cid@example.com""#);
    resolve(&resolver, 1, r#""cid@example.com""#);
    lookups.fetch(resolver.questions()).await.unwrap();
    assert_eq!(system.asked(), [["cid@example.com"]]);
    assert_eq!(resolve(&resolver, 0, r#""cid@example.com""#), "3");
    assert_eq!(resolve(&resolver, 1, r#""cid@example.com""#), "none");
}

#[tokio::test]
async fn a_refused_value_fails_alone_and_is_not_remembered() {
    let world = World::new(vec![by_email("person")]);
    let system = Arc::clone(&world.system);
    system.refused.lock().unwrap().insert("not an address".to_owned());
    let lookups = world.build();
    let given = [
        r#""not an address""#,
        r#""ann@example.com""#,
        r#""bob@example.com""#,
    ];
    let answers = settle(&lookups, 0, &given).await;
    assert!(
        answers[0].starts_with("failed: ") && answers[0].contains("is no address"),
        "{answers:?}"
    );
    assert_eq!(answers[1..], ["1", "2"]);
    system.refused.lock().unwrap().clear();
    assert_eq!(settle(&lookups, 0, &given).await, ["none", "1", "2"]);
}

#[tokio::test]
async fn an_unreachable_system_is_an_error_and_no_answer() {
    let world = World::new(vec![by_email("person")]);
    let system = Arc::clone(&world.system);
    *system.down.lock().unwrap() = true;
    let lookups = world.build();
    let resolver = lookups.resolver();
    resolve(&resolver, 0, r#""ann@example.com""#);
    let error = lookups.fetch(resolver.questions()).await.unwrap_err();
    let LookupError::Connector { lookup, source } = error else {
        panic!("expected the connector's error, found {error}");
    };
    assert_eq!(lookup, "person");
    assert!(matches!(*source, ConnectorError::Unreachable { .. }));
    *system.down.lock().unwrap() = false;
    assert_eq!(settle(&lookups, 0, &[r#""ann@example.com""#]).await, ["1"]);
}

#[tokio::test]
async fn a_key_is_on_its_way_once() {
    let mut world = World::new(vec![by_email("person")]);
    let system = Arc::clone(&world.system);
    system.gate.forget_permits(Semaphore::MAX_PERMITS);
    world.lookups[0].fresh_for = Duration::ZERO;
    let lookups = world.build();
    let batches: Vec<_> = [
        [r#""ann@example.com""#, r#""bob@example.com""#],
        [r#""bob@example.com""#, r#""ann@example.com""#],
    ]
    .into_iter()
    .map(|given| {
        let lookups = lookups.clone();
        tokio::spawn(async move { settle(&lookups, 0, &given).await })
    })
    .collect();
    // One thread runs all tasks: after these turns both batches are at the gate or wait for each other.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(system.asked().is_empty());
    system.gate.add_permits(10);
    let mut answers = Vec::new();
    for batch in batches {
        answers.push(batch.await.unwrap());
    }
    assert_eq!(answers, [["1", "2"], ["2", "1"]]);
    assert_eq!(system.asked(), [["ann@example.com", "bob@example.com"]]);
}

#[tokio::test]
async fn a_search_by_what_records_do_not_show_is_believed() {
    let lookup = Lookup {
        attempts: vec![attempt("$.alias", MatchValue::Given, BY_ALIAS)],
        ..by_email("person")
    };
    let mut world = World::new(vec![lookup]);
    world.system = System::new(
        r#"[{"id": 1, "hidden_alias": "boss"}, {"id": 2, "hidden_alias": "chief", "alias": "other"}]"#,
    );
    let lookups = world.build();
    // The second record shows an alias, and it is not the one that was asked for.
    assert_eq!(
        settle(&lookups, 0, &[r#""boss""#, r#""chief""#]).await,
        ["1", "none"]
    );
}

#[tokio::test]
async fn finding_again_asks_the_system_whatever_memory_says() {
    let world = World::new(vec![
        by_email("asked"),
        Lookup {
            load: Load::All,
            ..by_email("whole")
        },
        Lookup {
            attempts: vec![Match {
                keys: vec![key("$.email", MatchValue::Given, None)],
            }],
            load: Load::All,
            ..by_email("only whole")
        },
    ]);
    let system = Arc::clone(&world.system);
    let lookups = world.build();
    lookups.start(&[0]).await.unwrap();
    let late = r#""late@example.com""#;
    assert_eq!(settle(&lookups, 0, &[late]).await, ["none"]);
    let again = async |lookup| {
        let found = lookups.find_again(lookup, &json(late)).await.unwrap();
        found.map(|found| found.key.to_json())
    };
    assert_eq!(again(0).await, None);
    let mut arrived = json(r#"[{"id": 8, "email": "Late@example.com"}]"#);
    if let Value::List(records) = &mut arrived {
        system.records.lock().unwrap().append(records);
    }
    assert_eq!(again(0).await.as_deref(), Some("8"));
    assert_eq!(again(1).await.as_deref(), Some("8"));
    assert_eq!(again(2).await, None);
    assert_eq!(system.asked().len(), 4);
    // What was found is known from now on.
    assert_eq!(settle(&lookups, 0, &[late]).await, ["8"]);
    assert_eq!(settle(&lookups, 1, &[late]).await, ["8"]);
    let ann = json(r#""ann@example.com""#);
    let read = lookups.find_again(2, &ann).await.unwrap();
    assert_eq!(read.unwrap().key.to_json(), "1");
    system
        .refused
        .lock()
        .unwrap()
        .insert("late@example.com".to_owned());
    let refused = lookups.find_again(0, &json(late)).await.unwrap_err();
    assert!(matches!(refused, LookupError::Refused { .. }));
}
