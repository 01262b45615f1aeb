//! Lookups that read their stream whole.

use std::sync::Arc;

use super::fixture::*;
use crate::compile::compiled::{Condition, Input, Join, Load, Lookup, LookupUse, Shape};
use crate::expression::{Projection, Value};
use crate::mapping::{Resolution, Resolver};

fn whole(name: &str) -> Lookup {
    Lookup {
        load: Load::All,
        ..by_email(name)
    }
}

#[tokio::test]
async fn a_stream_is_read_once_for_all_its_lookups() {
    let nested = Lookup {
        attempts: vec![attempt("$.emails[*].email", given("$.email"), BY_EMAILS)],
        conditions: vec![Condition {
            path: path("$.role"),
            values: vec![Shape::Const(Value::text("customer"))],
        }],
        ..whole("nested")
    };
    let world = World::new(vec![whole("plain"), nested]);
    let system = Arc::clone(&world.system);
    let lookups = world.build();
    lookups.start(&[0]).await.unwrap();
    lookups.start(&[0]).await.unwrap();
    assert_eq!(*system.reads.lock().unwrap(), 1);
    let resolver = lookups.resolver();
    // Pages overlap: a record that came twice is one.
    for (given, expected) in [
        (r#""ann@example.com""#, "1"),
        (r#""BOB@example.com""#, "2"),
        (r#""cid@example.com""#, "3"),
        (r#""nobody@example.com""#, "none"),
        ("null", "none"),
    ] {
        assert_eq!(resolve(&resolver, 0, given), expected, "{given}");
    }
    assert_eq!(resolve(&resolver, 1, r#"{"email": "shared@example.com"}"#), "3 4");
    assert_eq!(resolve(&resolver, 1, r#"{"email": "ann@home.example"}"#), "none");
    assert!(resolver.questions().is_empty());
    assert!(system.asked().is_empty());
}

#[tokio::test]
async fn without_a_start_the_first_question_reads_the_stream() {
    let world = World::new(vec![whole("plain")]);
    let system = Arc::clone(&world.system);
    let lookups = world.build();
    assert_eq!(
        settle(&lookups, 0, &[r#""ann@example.com""#, r#""x@example.com""#]).await,
        ["1", "none"]
    );
    assert_eq!(*system.reads.lock().unwrap(), 1);
}

#[tokio::test]
async fn only_what_rules_read_of_a_found_record_is_kept() {
    let mut world = World::new(vec![whole("joined"), whole("keys only"), by_email("asked")]);
    let used = |lookup| LookupUse {
        lookup,
        on_none: None,
        on_many: None,
    };
    world.joins = [("person", 0), ("asked", 2)]
        .map(|(name, lookup)| Join {
            name: name.to_owned(),
            when: None,
            input: Input::Select(path("$.email")),
            lookup: Some(used(lookup)),
        })
        .into();
    world.projection = Projection::new();
    for read in ["$.person.name", "$.asked.emails[*].email"] {
        world.projection.add_path(&path(read));
    }
    let lookups = world.build();
    lookups.start(&[0]).await.unwrap();
    let cid = r#""cid@example.com""#;
    settle(&lookups, 2, &[cid]).await;
    let resolver = lookups.resolver();
    let kept = |lookup| match resolver.resolve(lookup, &json(cid)) {
        Resolution::Found(found) => found.record.to_json(),
        other => panic!("expected a record, found {other:?}"),
    };
    assert_eq!(kept(0), r#"{"name":"Cid"}"#);
    assert_eq!(kept(1), "{}");
    assert_eq!(kept(2), r#"{"emails":[{"email":"shared@example.com"}]}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_read_at_once() {
    let lookups = World::new(vec![whole("plain")]).build();
    lookups.start(&[0]).await.unwrap();
    let resolver = lookups.resolver();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    assert_eq!(resolve(&resolver, 0, r#""Ann@example.com""#), "1");
                }
            });
        }
    });
}
