//! The back office's copy of the helpdesk, relationship endpoints, and what an installation may have or lack.

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Bench, options};

fn a_ticket(case: &str, number: u64) -> Value {
    json!({"data": {"type": "zendesktickets", "attributes": {"originId": number, "recipient": "support@example.com"},
    "relationships": {
        "relatedCase": {"data": {"type": "cases", "id": case}},
        "status": {"data": {"type": "zendeskticketstatuses", "id": "hold"}},
        "channel": {"data": {"type": "integrationchannels", "id": "1"}},
    }}})
}

#[tokio::test]
async fn the_mirror_is_there_only_with_its_bundle() {
    let bench = Bench::start(options()).await;
    let made = bench
        .oro(Method::POST, "/zendesktickets", Some(&a_ticket("22", 7)))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let found = bench
        .oro(Method::GET, "/zendesktickets?filter[relatedCase]=22,23", None)
        .await;
    assert_eq!(found.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(found.body["data"][0]["attributes"]["originId"], 7);
    let by_number = bench
        .oro(Method::GET, "/zendesktickets?filter[originId]=7", None)
        .await;
    assert_eq!(
        (by_number.status, by_number.body["errors"][0]["title"].as_str()),
        (400, Some("filter constraint"))
    );
    for twice in [a_ticket("22", 8), a_ticket("23", 7)] {
        let refused = bench.oro(Method::POST, "/zendesktickets", Some(&twice)).await;
        assert_eq!(
            (refused.status, refused.body["errors"][0]["title"].as_str()),
            (400, Some("unique entity constraint")),
            "a case has one ticket, a ticket one record"
        );
    }
    let comment = json!({"data": {"type": "zendeskticketcomments", "attributes": {"originId": 9, "body": "x"},
        "relationships": {"ticket": {"data": {"type": "zendesktickets", "id": made.body["data"]["id"]}}}}});
    assert_eq!(
        bench
            .oro(Method::POST, "/zendeskticketcomments", Some(&comment))
            .await
            .status,
        201
    );

    bench.oro(Method::DELETE, "/cases/22", None).await;
    let id = made.body["data"]["id"].as_str().unwrap();
    let kept = bench
        .oro(Method::GET, &format!("/zendesktickets/{id}"), None)
        .await;
    assert_eq!(
        kept.body["data"]["relationships"]["relatedCase"]["data"],
        Value::Null
    );
    assert_eq!(
        kept.body["data"]["relationships"]["comments"]["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    bench
        .control("oro", Method::POST, "settings", json!({"zendesk_bundle": false}))
        .await;
    for name in [
        "zendesktickets",
        "zendeskusers",
        "zendeskticketcomments",
        "zendeskuserroles",
    ] {
        let refused = bench.oro(Method::GET, &format!("/{name}"), None).await;
        assert_eq!(
            (refused.status, refused.body["errors"][0]["detail"].as_str()),
            (404, Some("The resource is not accessible."))
        );
    }
}

#[tokio::test]
async fn cases_are_polled_by_their_time_only_where_that_is_allowed() {
    let bench = Bench::start(options()).await;
    let path = "/cases?filter[updatedAt][gte]=2025-01-01T00:00:00Z&sort=updatedAt,id&page[size]=-1";
    let refused = bench.oro(Method::GET, path, None).await;
    assert_eq!(
        refused.body["errors"][0]["detail"],
        "Filter \"filter[updatedAt][gte]\" is not supported."
    );
    bench
        .control(
            "oro",
            Method::POST,
            "settings",
            json!({"updated_at_filter": true}),
        )
        .await;
    let changed = bench.oro(Method::GET, path, None).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let changed = changed.body["data"].as_array().unwrap().len();
    let all = bench.oro(Method::GET, "/cases?page[size]=-1", None).await.body["data"]
        .as_array()
        .unwrap()
        .len();
    assert!(
        changed > 0 && changed < all,
        "a case that was never changed has no such time: {changed} of {all}"
    );
    let never = bench
        .oro(
            Method::GET,
            "/cases?filter[updatedAt][exists]=no&page[size]=-1",
            None,
        )
        .await;
    assert_eq!(never.body["data"].as_array().unwrap().len(), all - changed);
}

#[tokio::test]
async fn relationships_are_read_replaced_and_added_to() {
    let bench = Bench::start(options()).await;
    let one = bench
        .oro(Method::GET, "/cases/22/relationships/status", None)
        .await;
    assert_eq!(one.body["data"]["type"], "casestatuses");
    let change = json!({"data": {"type": "casestatuses", "id": "resolved"}});
    let changed = bench
        .oro(Method::PATCH, "/cases/22/relationships/status", Some(&change))
        .await;
    assert_eq!(changed.status, 204, "{}", changed.text);
    let case = bench.oro(Method::GET, "/cases/22", None).await.body;
    assert_eq!(case["data"]["relationships"]["status"]["data"]["id"], "resolved");
    let unknown = json!({"data": {"type": "casestatuses", "id": "done"}});
    let refused = bench
        .oro(Method::PATCH, "/cases/22/relationships/status", Some(&unknown))
        .await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        bench
            .oro(Method::POST, "/cases/22/relationships/status", Some(&change))
            .await
            .status,
        405
    );
    assert_eq!(
        bench
            .oro(Method::GET, "/cases/22/relationships/mood", None)
            .await
            .status,
        404
    );

    let comment = |case: &str| {
        json!({"data": {"type": "casecomments", "attributes": {"message": "m"},
        "relationships": {"case": {"data": {"type": "cases", "id": case}}}}})
    };
    let mut ids = Vec::new();
    for _ in 0..2 {
        let made = bench
            .oro(Method::POST, "/casecomments", Some(&comment("23")))
            .await
            .body;
        ids.push(json!({"type": "casecomments", "id": made["data"]["id"]}));
    }
    let path = "/cases/24/relationships/comments";
    let before = bench.oro(Method::GET, path, None).await.body["data"]
        .as_array()
        .unwrap()
        .len();
    let added = bench.oro(Method::POST, path, Some(&json!({"data": ids}))).await;
    assert_eq!(added.status, 204, "{}", added.text);
    let after = bench.oro(Method::GET, path, None).await.body["data"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(after.len(), before + 2);
    let removed = bench
        .oro(Method::DELETE, path, Some(&json!({"data": [ids[0]]})))
        .await;
    assert_eq!(removed.status, 204);
    let id = ids[0]["id"].as_str().unwrap();
    assert_eq!(
        bench
            .oro(Method::GET, &format!("/casecomments/{id}"), None)
            .await
            .status,
        404,
        "a comment cannot be without its case"
    );
}

#[tokio::test]
async fn the_button_makes_a_ticket_without_a_number() {
    let bench = Bench::start(options()).await;
    let pressed = bench
        .control("oro", Method::POST, "edit", json!({"publish": ["22"]}))
        .await;
    let id = pressed["zendesktickets"][0].as_str().unwrap();
    let ticket = bench
        .oro(Method::GET, &format!("/zendesktickets/{id}"), None)
        .await
        .body;
    assert_eq!(ticket["data"]["attributes"]["originId"], Value::Null);
    assert_eq!(ticket["data"]["relationships"]["relatedCase"]["data"]["id"], "22");
}
