//! People who edit by a seed, and business rules that fire when a client writes.

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Bench, options, raise_limits};

async fn edits(bench: &Bench, system: &str, order: Value) -> Vec<Value> {
    let told = bench.control(system, Method::POST, "edits", order).await;
    told["edits"].as_array().unwrap().clone()
}

#[tokio::test]
async fn random_edits_are_told_and_repeatable() {
    let (first, second) = (Bench::start(options()).await, Bench::start(options()).await);
    for system in ["zendesk", "oro"] {
        let order = json!({"seed": 11, "count": 60});
        let told = edits(&first, system, order.clone()).await;
        assert_eq!(told.len(), 60);
        let without_time = |edits: &[Value]| -> Vec<Value> {
            let mut edits = edits.to_vec();
            for edit in &mut edits {
                edit.as_object_mut().unwrap().remove("at");
            }
            edits
        };
        let again = edits(&second, system, order).await;
        assert_eq!(without_time(&told), without_time(&again), "{system}");
        let fields: std::collections::BTreeSet<&str> =
            told.iter().map(|edit| edit["field"].as_str().unwrap()).collect();
        assert!(fields.len() >= 6, "{fields:?}");
        let other = edits(&second, system, json!({"seed": 12, "count": 60})).await;
        assert_ne!(without_time(&told), without_time(&other));
    }
}

#[tokio::test]
async fn what_is_told_of_an_edit_is_what_the_api_shows() {
    let bench = Bench::start(options()).await;
    raise_limits(&bench).await;
    let order = json!({"seed": 3, "count": 8, "fields": ["subject"], "ids": [7]});
    let told = edits(&bench, "zendesk", order).await;
    let ticket = bench.zendesk(Method::GET, "/tickets/7.json", None).await.body;
    assert_eq!(ticket["ticket"]["subject"], "subject 3-8");
    assert_eq!(told[7]["after"], "subject 3-8");
    assert_eq!(told[7]["before"], told[6]["after"]);

    let told = edits(
        &bench,
        "oro",
        json!({"seed": 3, "count": 1, "fields": ["status"], "ids": [22]}),
    )
    .await;
    let case = bench.oro(Method::GET, "/cases/22", None).await.body;
    assert_eq!(
        case["data"]["relationships"]["status"]["data"]["id"],
        told[0]["after"]
    );
    let told = edits(
        &bench,
        "oro",
        json!({"seed": 4, "count": 1, "fields": ["comment"], "ids": [22]}),
    )
    .await;
    let id = told[0]["after"]["id"].as_str().unwrap();
    let comment = bench
        .oro(Method::GET, &format!("/casecomments/{id}"), None)
        .await
        .body;
    assert_eq!(
        comment["data"]["attributes"]["message"],
        told[0]["after"]["message"]
    );

    let refused = bench
        .send(
            "oro",
            Method::POST,
            "/_sandbox/edits",
            &[],
            Some(&json!({"seed": 1, "count": 1, "fields": ["mood"]})),
        )
        .await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.text.contains("`mood` cannot be edited"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn rules_act_before_the_answer_and_after_it() {
    let bench = Bench::start(options()).await;
    raise_limits(&bench).await;
    let rules = json!([
        {"moment": "before", "set": {"priority": "urgent"}},
        {"moment": "after", "every": 2, "set": {"subject": "rule {n}"}},
    ]);
    bench.control("zendesk", Method::POST, "triggers", rules).await;
    let change = json!({"ticket": {"priority": "low", "subject": "mine"}});
    let first = bench
        .zendesk(Method::PUT, "/tickets/7.json", Some(&change))
        .await
        .body;
    assert_eq!(
        (&first["ticket"]["priority"], &first["ticket"]["subject"]),
        (&json!("urgent"), &json!("mine"))
    );
    let second = bench
        .zendesk(Method::PUT, "/tickets/7.json", Some(&change))
        .await
        .body;
    assert_eq!(
        second["ticket"]["subject"], "mine",
        "nobody is told of what happens after the answer"
    );
    let now = bench.zendesk(Method::GET, "/tickets/7.json", None).await.body;
    assert_eq!(now["ticket"]["subject"], "rule 3");
    let log = bench
        .control("zendesk", Method::GET, "triggers", Value::Null)
        .await;
    let fired: Vec<(&str, &str)> = log["fired"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fired| (fired["moment"].as_str().unwrap(), fired["id"].as_str().unwrap()))
        .collect();
    assert_eq!(fired, [("before", "7"), ("before", "7"), ("after", "7")]);

    let rules = json!([{"moment": "after", "set": {"attributes": {"resolution": "rule {n}"}}}]);
    bench.control("oro", Method::POST, "triggers", rules).await;
    let change = json!({"data": {"type": "cases", "id": "22", "attributes": {"subject": "mine"}}});
    let changed = bench.oro(Method::PATCH, "/cases/22", Some(&change)).await.body;
    assert_eq!(changed["data"]["attributes"]["resolution"], Value::Null);
    let now = bench.oro(Method::GET, "/cases/22", None).await.body;
    assert_eq!(now["data"]["attributes"]["resolution"], "rule 1");
}

#[tokio::test]
async fn the_feed_lags_as_long_as_it_is_told_to() {
    let bench = Bench::start(options()).await;
    raise_limits(&bench).await;
    // A minute lasts a tenth of a second here, so this is a hundred seconds.
    bench
        .control(
            "zendesk",
            Method::POST,
            "settings",
            json!({"export_lag_seconds": 60_000}),
        )
        .await;
    let edit = json!({"tickets": [{"id": 7, "subject": "late"}]});
    bench.control("zendesk", Method::POST, "edit", edit).await;
    let export =
        |since: i64| format!("/incremental/tickets/cursor.json?start_time={since}&support_type_scope=all");
    let shows = |body: &Value| {
        body["tickets"]
            .as_array()
            .unwrap()
            .iter()
            .any(|ticket| ticket["subject"] == "late")
    };
    let answer = bench.zendesk(Method::GET, &export(0), None).await;
    assert!(!shows(&answer.body));
    bench
        .control("zendesk", Method::POST, "clock", json!({"advance_seconds": 100}))
        .await;
    let answer = bench.zendesk(Method::GET, &export(0), None).await;
    assert!(shows(&answer.body));
}
