//! Writing to the helpdesk, its lists and its people.

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Bench, options, raise_limits};

#[tokio::test]
async fn a_creation_is_repeated_under_its_key_only() {
    let bench = Bench::start(options()).await;
    let token = bench.zendesk(Method::GET, "/users/me.json", None).await;
    assert_eq!(token.body["user"]["email"], "admin@example.com");
    let ticket = json!({"ticket": {"subject": "once", "comment": {"body": "text", "public": false}, "requester": {"name": "New Person", "email": "new.person@example.net"}}});
    let headers = |key: &'static str| {
        [
            (
                "authorization",
                "Basic YWRtaW5AZXhhbXBsZS5jb20vdG9rZW46c2FuZGJveC10b2tlbg==",
            ),
            ("idempotency-key", key),
        ]
    };
    let path = "/api/v2/tickets.json";
    let first = bench
        .send("zendesk", Method::POST, path, &headers("k1"), Some(&ticket))
        .await;
    assert_eq!(
        (first.status, first.header("x-idempotency-lookup")),
        (201, "miss")
    );
    let again = bench
        .send("zendesk", Method::POST, path, &headers("k1"), Some(&ticket))
        .await;
    assert_eq!((again.status, again.header("x-idempotency-lookup")), (201, "hit"));
    assert_eq!(first.body["ticket"]["id"], again.body["ticket"]["id"]);
    let other = json!({"ticket": {"subject": "twice", "comment": {"body": "text"}}});
    let refused = bench
        .send("zendesk", Method::POST, path, &headers("k1"), Some(&other))
        .await;
    assert_eq!(
        (refused.status, refused.body["error"].as_str()),
        (400, Some("IdempotentRequestError"))
    );
    let blank = json!({"ticket": {"subject": "no comment"}});
    let refused = bench.zendesk(Method::POST, "/tickets.json", Some(&blank)).await;
    assert_eq!(
        (refused.status, refused.body["error"].as_str()),
        (422, Some("RecordInvalid"))
    );
}

#[tokio::test]
async fn updates_keep_the_vendors_rules() {
    let bench = Bench::start(options()).await;
    raise_limits(&bench).await;
    let before = bench.zendesk(Method::GET, "/tickets/7.json", None).await.body["ticket"].clone();
    let stamp = before["updated_at"].clone();
    let change = json!({"ticket": {"priority": "low", "safe_update": true, "updated_stamp": stamp, "Subject": "ignored"}});
    let changed = bench.zendesk(Method::PUT, "/tickets/7.json", Some(&change)).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.body["ticket"]["priority"], "low");
    assert_eq!(changed.body["ticket"]["subject"], before["subject"]);
    assert_ne!(changed.body["ticket"]["updated_at"], before["updated_at"]);
    let stale = bench.zendesk(Method::PUT, "/tickets/7.json", Some(&change)).await;
    assert_eq!(
        (stale.status, stale.body["error"].as_str()),
        (409, Some("UpdateConflict"))
    );

    let nothing = json!({"ticket": {"priority": "low", "status": changed.body["ticket"]["status"]}});
    let same = bench
        .zendesk(Method::PUT, "/tickets/7.json", Some(&nothing))
        .await;
    assert_eq!(
        same.body["ticket"]["updated_at"],
        changed.body["ticket"]["updated_at"]
    );

    let closed = bench
        .zendesk(
            Method::PUT,
            "/tickets/21.json",
            Some(&json!({"ticket": {"priority": "low"}})),
        )
        .await;
    assert_eq!(closed.status, 422);
    assert_eq!(
        closed.body["details"]["status"][0]["description"],
        "closed prevents ticket update"
    );
    let wrong = bench
        .zendesk(
            Method::PUT,
            "/tickets/7.json",
            Some(&json!({"ticket": {"status": "done"}})),
        )
        .await;
    assert_eq!(
        (wrong.status, wrong.body["details"]["status"][0]["error"].as_str()),
        (422, Some("InvalidValue"))
    );
    assert_eq!(
        bench.zendesk(Method::GET, "/tickets/2.json", None).await.body["error"],
        "RecordNotFound"
    );

    let comment =
        json!({"ticket": {"comment": {"body": "a note", "public": false}, "metadata": {"mark": "m1"}}});
    let commented = bench
        .zendesk(Method::PUT, "/tickets/7.json", Some(&comment))
        .await;
    let id = commented.body["audit"]["events"][0]["id"].clone();
    let comments = bench
        .zendesk(
            Method::GET,
            "/tickets/7/comments.json?page[size]=100&include=users",
            None,
        )
        .await;
    let last = comments.body["comments"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!((&last["id"], &last["public"]), (&id, &json!(false)));
    let audits = bench.zendesk(Method::GET, "/tickets/7/audits.json", None).await;
    assert_eq!(
        audits.body["audits"].as_array().unwrap().last().unwrap()["metadata"]["custom"]["mark"],
        "m1"
    );

    assert_eq!(
        bench
            .zendesk(Method::DELETE, "/tickets/7.json", None)
            .await
            .status,
        204
    );
    assert_eq!(
        bench.zendesk(Method::GET, "/tickets/7.json", None).await.status,
        404
    );
}

#[tokio::test]
async fn bulk_work_is_polled_and_succeeds_item_by_item() {
    let bench = Bench::start(options()).await;
    let items = json!({"tickets": [{"id": 8, "priority": "high"}, {"id": 21, "priority": "high"}, {"id": 9999, "priority": "low"}]});
    let accepted = bench
        .zendesk(Method::PUT, "/tickets/update_many.json", Some(&items))
        .await;
    assert_eq!(accepted.body["job_status"]["status"], "queued");
    assert_eq!(accepted.body["job_status"]["results"], Value::Null);
    let id = accepted.body["job_status"]["id"].as_str().unwrap().to_owned();
    let mut job = Value::Null;
    for _ in 0..5 {
        job = bench
            .zendesk(Method::GET, &format!("/job_statuses/{id}.json"), None)
            .await
            .body["job_status"]
            .clone();
    }
    assert_eq!(job["status"], "completed");
    let results = job["results"].as_array().unwrap();
    let result = |index: u64| results.iter().find(|result| result["index"] == index).unwrap();
    assert_eq!(result(0)["success"], true);
    assert_eq!(
        (result(1)["error"].as_str(), result(1)["details"].as_str()),
        (Some("TicketUpdateFailed"), Some("closed prevents ticket update"))
    );
    assert_eq!(result(2)["error"], "RecordNotFound");
    let many = Value::Array((0..101).map(|_| json!({"comment": {"body": "x"}})).collect());
    let refused = bench
        .zendesk(
            Method::POST,
            "/tickets/create_many.json",
            Some(&json!({"tickets": many})),
        )
        .await;
    assert_eq!(
        (refused.status, refused.body["error"].as_str()),
        (400, Some("TooManyValues"))
    );
}

#[tokio::test]
async fn lists_page_by_cursor_or_by_offset() {
    let bench = Bench::start(options()).await;
    let mut path = "/tickets.json?page[size]=30&sort=-updated_at".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = bench.zendesk(Method::GET, &path, None).await;
        assert_eq!(page.status, 200, "{}", page.text);
        seen.extend(
            page.body["tickets"]
                .as_array()
                .unwrap()
                .iter()
                .map(|ticket| ticket["updated_at"].as_str().unwrap().to_owned()),
        );
        if page.body["meta"]["has_more"] == false {
            break;
        }
        let next = page.body["links"]["next"].as_str().unwrap();
        assert!(next.contains("page%5Bafter%5D"));
        path = next.split_once("/api/v2").unwrap().1.to_owned();
    }
    assert!(seen.len() > 60 && seen.iter().rev().is_sorted());
    let page = bench
        .zendesk(Method::GET, "/tickets.json?per_page=10&page=2", None)
        .await;
    assert_eq!(page.body["count"], seen.len());
    assert!(page.body["next_page"].as_str().unwrap().contains("page=3"));
    let deep = bench
        .zendesk(Method::GET, "/tickets.json?per_page=100&page=101", None)
        .await;
    assert_eq!(
        (deep.status, deep.body["errors"][0]["code"].as_str()),
        (400, Some("InvalidPaginationDepth"))
    );
    let wrong = bench
        .zendesk(Method::GET, "/tickets.json?page[size]=10&sort=created_at", None)
        .await;
    assert_eq!(
        (wrong.status, wrong.body["errors"][0]["code"].as_str()),
        (400, Some("InvalidPaginationParameter"))
    );
}

#[tokio::test]
async fn people_are_found_created_and_never_doubled() {
    let bench = Bench::start(options()).await;
    let found = bench
        .zendesk(
            Method::GET,
            "/users/search.json?query=email:%22jim.smith@example.com%22",
            None,
        )
        .await;
    assert_eq!(found.body["users"][0]["email"], "Jim.Smith@Example.com");
    let fuzzy = bench
        .zendesk(Method::GET, "/users/search.json?query=email:%22alex%22", None)
        .await;
    assert!(fuzzy.body["count"].as_u64().unwrap() > 1);
    let person = json!({"user": {"name": "Jo", "email": "JIM.smith@example.com"}});
    let refused = bench.zendesk(Method::POST, "/users.json", Some(&person)).await;
    assert_eq!(
        (
            refused.status,
            refused.body["details"]["email"][0]["error"].as_str()
        ),
        (422, Some("DuplicateValue"))
    );
    let person = json!({"user": {"name": "Jo", "email": "jo@example.net", "external_id": "X-1"}});
    let created = bench
        .zendesk(Method::POST, "/users/create_or_update.json", Some(&person))
        .await;
    assert_eq!(created.status, 201);
    let unindexed = bench
        .zendesk(Method::GET, "/users/search.json?query=email:jo@example.net", None)
        .await;
    assert_eq!(unindexed.body["count"], 0);
    let exact = bench
        .zendesk(Method::GET, "/users/show_many.json?external_ids=x-1", None)
        .await;
    assert_eq!(exact.body["users"][0]["id"], created.body["user"]["id"]);
    let mut again = bench
        .zendesk(Method::POST, "/users/create_or_update.json", Some(&person))
        .await;
    while again.status == 429 {
        again = bench
            .zendesk(Method::POST, "/users/create_or_update.json", Some(&person))
            .await;
    }
    assert_eq!(
        (again.status, &again.body["user"]["id"]),
        (200, &created.body["user"]["id"])
    );
}
