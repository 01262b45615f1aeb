//! The helpdesk's tokens, exports and budgets.

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Bench, options, raise_limits};

/// Reads every page of the ticket export from a start, or from a cursor.
async fn export(bench: &Bench, query: &str, per_page: usize) -> (Vec<Value>, String) {
    let mut rows = Vec::new();
    let mut query = query.to_owned();
    loop {
        let path = format!(
            "/incremental/tickets/cursor.json?{query}&per_page={per_page}&include=users&support_type_scope=all"
        );
        let page = bench.zendesk(Method::GET, &path, None).await;
        assert_eq!(page.status, 200, "{}", page.text);
        rows.extend(page.body["tickets"].as_array().unwrap().clone());
        let cursor = page.body["after_cursor"].as_str().unwrap().replace('=', "%3D");
        query = format!("cursor={cursor}");
        if page.body["end_of_stream"] == true {
            return (rows, query);
        }
    }
}

#[tokio::test]
async fn tokens_are_issued_checked_and_expired() {
    let mut bench = Bench::start(options()).await;
    let asked = json!({"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox-secret", "expires_in": 300});
    let answer = bench
        .send("zendesk", Method::POST, "/oauth/tokens", &[], Some(&asked))
        .await;
    assert_eq!(answer.body["expires_in"], 300);
    let unasked = json!({"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox-secret"});
    let answer = bench
        .send("zendesk", Method::POST, "/oauth/tokens", &[], Some(&unasked))
        .await;
    assert!(answer.body.get("expires_in").is_none());
    let token = format!("Bearer {}", answer.body["access_token"].as_str().unwrap());
    let headers = [("authorization", token.as_str())];
    let refused = bench
        .send(
            "zendesk",
            Method::DELETE,
            "/api/v2/tickets/1.json",
            &headers,
            None,
        )
        .await;
    assert_eq!(
        (refused.status, refused.body["error"].as_str()),
        (403, Some("Forbidden"))
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = bench
        .send("zendesk", Method::POST, "/oauth/tokens", &form, Some(&asked))
        .await;
    assert_eq!(answer.status, 400);

    assert_eq!(
        bench.zendesk(Method::GET, "/tickets.json", None).await.status,
        200
    );
    bench
        .control("zendesk", Method::POST, "expire_tokens", json!({}))
        .await;
    let refused = bench.zendesk(Method::GET, "/tickets.json", None).await;
    assert_eq!(
        (refused.status, refused.body["error"].as_str()),
        (401, Some("invalid_token"))
    );
    bench.log_in().await;
    assert_eq!(
        bench.zendesk(Method::GET, "/tickets.json", None).await.status,
        200
    );

    let basic = [(
        "authorization",
        "Basic YWRtaW5AZXhhbXBsZS5jb20vdG9rZW46c2FuZGJveC10b2tlbg==",
    )];
    let path = "/api/v2/tickets.json?page[size]=1";
    assert_eq!(
        bench
            .send("zendesk", Method::GET, path, &basic, None)
            .await
            .status,
        200
    );
    let nobody = bench.send("zendesk", Method::GET, path, &[], None).await;
    assert_eq!(
        (nobody.status, nobody.body),
        (401, json!({"error": "Couldn't authenticate you"}))
    );
    let me = bench
        .send("zendesk", Method::GET, "/api/v2/users/me.json", &[], None)
        .await;
    assert_eq!(
        (me.status, me.body["user"]["name"].as_str()),
        (200, Some("Anonymous user"))
    );
}

#[tokio::test]
async fn exports_give_every_ticket_whatever_the_page_size() {
    let bench = Bench::start(options()).await;
    raise_limits(&bench).await;
    let (all, _) = export(&bench, "start_time=1600000000", 1000).await;
    assert_eq!(all.len(), 80);
    let order: Vec<i64> = all
        .iter()
        .map(|ticket| ticket["generated_timestamp"].as_i64().unwrap())
        .collect();
    assert!(order.is_sorted());
    assert!(
        all.iter()
            .any(|ticket| ticket["status"] == "deleted" && ticket["subject"] != "SCRUBBED")
    );
    assert!(all.iter().any(|ticket| ticket["subject"] == "SCRUBBED"));
    assert!(
        all.iter()
            .all(|ticket| ticket["fields"] == ticket["custom_fields"])
    );

    let (small, cursor) = export(&bench, "start_time=1600000000", 1).await;
    let mut ids: Vec<u64> = small
        .iter()
        .map(|ticket| ticket["id"].as_u64().unwrap())
        .collect();
    assert!(ids.len() > 80, "a second with several rows is begun again");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 80);
    let (rest, _) = export(&bench, &cursor, 1000).await;
    assert_eq!(rest.len(), 0);
}

#[tokio::test]
async fn exports_side_load_people_and_hide_what_was_not_asked_for() {
    let bench = Bench::start(options()).await;
    let path = "/incremental/tickets/cursor.json?start_time=0&include=users&exclude_deleted=true";
    let page = bench.zendesk(Method::GET, path, None).await;
    let tickets = page.body["tickets"].as_array().unwrap();
    assert!(tickets.iter().all(|ticket| ticket["status"] != "deleted"));
    assert!(tickets.iter().all(|ticket| ticket["support_type"] == "agent"));
    let users = page.body["users"].as_array().unwrap();
    for ticket in tickets {
        assert!(users.iter().any(|user| user["id"] == ticket["requester_id"]));
    }
    let now = jiff::Timestamp::now().as_second() + 10;
    let path = format!("/incremental/tickets/cursor.json?start_time={now}");
    let refused = bench.zendesk(Method::GET, &path, None).await;
    assert_eq!(
        (refused.status, refused.body["error"].as_str()),
        (400, Some("StartTimeTooRecent"))
    );
}

#[tokio::test]
async fn an_edit_during_paging_appears_again() {
    let bench = Bench::start(options()).await;
    raise_limits(&bench).await;
    let first = bench
        .zendesk(
            Method::GET,
            "/incremental/tickets/cursor.json?start_time=0&per_page=10",
            None,
        )
        .await;
    let edited = first.body["tickets"][9]["id"].as_u64().unwrap();
    let edit = json!({"tickets": [{"id": edited, "priority": "urgent", "subject": "changed meanwhile"}]});
    bench.control("zendesk", Method::POST, "edit", edit).await;
    let cursor = first.body["after_cursor"].as_str().unwrap().replace('=', "%3D");
    let (rest, _) = export(&bench, &format!("cursor={cursor}"), 10).await;
    let last = rest.last().unwrap();
    assert_eq!(
        (last["id"].as_u64(), last["subject"].as_str()),
        (Some(edited), Some("changed meanwhile"))
    );
}

#[tokio::test]
async fn the_last_minute_is_held_back() {
    let bench = Bench::start(crate::sandbox::SandboxOptions {
        time_scale: 1.0,
        ..options()
    })
    .await;
    let (_, cursor) = export(&bench, "start_time=0", 1000).await;
    let ticket = json!({"ticket": {"subject": "fresh", "comment": {"body": "text", "public": false}}});
    let created = bench.zendesk(Method::POST, "/tickets.json", Some(&ticket)).await;
    assert_eq!(created.status, 201);
    let (rows, cursor) = export(&bench, &cursor, 1000).await;
    assert_eq!(rows.len(), 0);
    bench
        .control("zendesk", Method::POST, "clock", json!({"advance_seconds": 61}))
        .await;
    let (rows, _) = export(&bench, &cursor, 1000).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["subject"], "fresh");
}

#[tokio::test]
async fn exports_are_ten_a_minute_and_refusals_take_every_shape() {
    let bench = Bench::start(crate::sandbox::SandboxOptions {
        time_scale: 1.0,
        ..options()
    })
    .await;
    let path = "/incremental/users/cursor.json?start_time=0";
    for left in (0..10).rev() {
        let answer = bench.zendesk(Method::GET, path, None).await;
        let header = answer.header("zendesk-ratelimit-incremental-exports").to_owned();
        assert!(
            header.starts_with(&format!("total=10; remaining={left}; resets=")),
            "{header}"
        );
    }
    let mut bodies = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let answer = bench.zendesk(Method::GET, path, None).await;
        assert_eq!(answer.status, 429);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
        assert!(answer.header("x-rate-limit-remaining").parse::<u64>().unwrap() > 600);
        bodies.insert(answer.text);
    }
    assert_eq!(bodies.len(), 4);
    bench
        .control(
            "zendesk",
            Method::POST,
            "settings",
            json!({"old_header_spelling": true}),
        )
        .await;
    let answer = bench.zendesk(Method::GET, path, None).await;
    assert!(
        answer
            .header("zendesk-rate-limit-incremental-exports")
            .starts_with("total=10")
    );
    assert_eq!(
        bench.zendesk(Method::GET, "/tickets.json", None).await.status,
        200
    );
}
