//! What hangs on tickets and people of the helpdesk: comments, audits, merges, redactions, addresses.

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Bench, options, raise_limits};

async fn comments(bench: &Bench, ticket: u64) -> Vec<Value> {
    let path = format!("/tickets/{ticket}/comments.json?page[size]=100&sort=created_at");
    let answer = bench.zendesk(Method::GET, &path, None).await;
    answer.body["comments"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_change_with_a_comment_is_one_audit() {
    let bench = Bench::start(options()).await;
    raise_limits(&bench).await;
    let change = json!({"ticket": {"subject": "moved", "metadata": {"mark": "m1"},
        "comment": {"body": "1 < 2\n& 3", "public": false, "attachments": [{"file_name": "cheat"}]}}});
    let answer = bench
        .zendesk(Method::PUT, "/tickets/7.json", Some(&change))
        .await
        .body;
    let events = answer["audit"]["events"].as_array().unwrap();
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["Comment", "Change"]);
    assert_eq!(
        (&events[1]["field_name"], &events[1]["value"]),
        (&json!("subject"), &json!("moved"))
    );
    let last = comments(&bench, 7).await.pop().unwrap();
    assert_eq!(last["id"], events[0]["id"]);
    assert_eq!(last["metadata"]["custom"]["mark"], "m1");
    assert_eq!(last["plain_body"], "1 < 2\n& 3");
    assert_eq!(
        last["html_body"],
        "<div class=\"zd-comment\" dir=\"auto\">1 &lt; 2<br>&amp; 3</div>"
    );
    assert_eq!(
        last["attachments"],
        json!([]),
        "files come by an upload of their own"
    );

    let quiet = json!({"ticket": {"priority": "low"}});
    let answer = bench
        .zendesk(Method::PUT, "/tickets/7.json", Some(&quiet))
        .await
        .body;
    let events = answer["audit"]["events"].as_array().unwrap();
    assert!(
        events.iter().all(|event| event["type"] == "Change"),
        "the comment of the same second is not repeated: {events:?}"
    );
    let audits = bench
        .zendesk(
            Method::GET,
            "/tickets/7/audits.json?page[size]=100&sort=-created_at",
            None,
        )
        .await
        .body;
    assert_eq!(audits["audits"][0]["id"], answer["audit"]["id"]);
}

#[tokio::test]
async fn people_attach_redact_and_hide() {
    let bench = Bench::start(options()).await;
    raise_limits(&bench).await;
    let edit = json!({"tickets": [{"id": 7, "comment": {"body": "card 4711", "public": true,
        "attachments": [{"file_name": "a b.pdf", "content_type": "application/pdf", "size": 9}]}}]});
    bench.control("zendesk", Method::POST, "edit", edit).await;
    let comment = comments(&bench, 7).await.pop().unwrap();
    assert_eq!(comment["attachments"][0]["file_name"], "a b.pdf");
    let before =
        bench.zendesk(Method::GET, "/tickets/7.json", None).await.body["ticket"]["updated_at"].clone();
    let edit = json!({
        "redact": [{"ticket": 7, "comment": comment["id"], "words": "4711"}],
        "make_private": [{"ticket": 7, "comment": comment["id"]}],
    });
    bench.control("zendesk", Method::POST, "edit", edit).await;
    let hidden = comments(&bench, 7).await.pop().unwrap();
    assert_eq!(
        (&hidden["body"], &hidden["public"]),
        (&json!("card ▇▇▇▇"), &json!(false))
    );
    assert!(!hidden.to_string().contains("4711"));
    let after =
        bench.zendesk(Method::GET, "/tickets/7.json", None).await.body["ticket"]["updated_at"].clone();
    assert_ne!(before, after, "the ticket is exported again");
}

#[tokio::test]
async fn a_merged_ticket_is_closed_and_says_where_it_went() {
    let bench = Bench::start(options()).await;
    raise_limits(&bench).await;
    bench
        .control(
            "zendesk",
            Method::POST,
            "edit",
            json!({"merge": [{"source": 7, "into": 8}]}),
        )
        .await;
    let source = bench.zendesk(Method::GET, "/tickets/7.json", None).await.body;
    assert_eq!(source["ticket"]["status"], "closed");
    assert!(
        source["ticket"]["tags"]
            .as_array()
            .unwrap()
            .contains(&json!("closed_by_merge"))
    );
    let last = comments(&bench, 7).await.pop().unwrap();
    assert!(last["body"].as_str().unwrap().contains("merged into request #8"));
    assert_eq!(last["public"], false);
    let last = comments(&bench, 8).await.pop().unwrap();
    assert!(last["body"].as_str().unwrap().starts_with("Request #7 "));
    let comment = json!({"ticket": {"comment": {"body": "late", "public": false}}});
    let refused = bench
        .zendesk(Method::PUT, "/tickets/7.json", Some(&comment))
        .await;
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.body["details"]["status"][0]["description"],
        "closed prevents ticket update"
    );
}

#[tokio::test]
async fn a_user_has_several_addresses_and_one_is_primary() {
    let bench = Bench::start(options()).await;
    raise_limits(&bench).await;
    let user = json!({"user": {"name": "Ada", "email": "ada@example.org", "role": "end-user", "skip_verify_email": true}});
    let made = bench.zendesk(Method::POST, "/users.json", Some(&user)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.body["user"]["id"].as_u64().unwrap();
    let second = json!({"identity": {"type": "email", "value": "ada@work.example"}});
    let path = format!("/users/{id}/identities.json");
    let added = bench.zendesk(Method::POST, &path, Some(&second)).await;
    assert_eq!(added.status, 201, "{}", added.text);
    let again = bench.zendesk(Method::POST, &path, Some(&second)).await;
    assert_eq!(
        (again.status, &again.body["details"]["email"][0]["error"]),
        (422, &json!("DuplicateValue"))
    );
    let other = json!({"user": {"name": "Eve", "email": "ADA@work.example"}});
    assert_eq!(
        bench
            .zendesk(Method::POST, "/users.json", Some(&other))
            .await
            .status,
        422,
        "whatever the case"
    );
    let primary = format!(
        "/users/{id}/identities/{}/make_primary.json",
        added.body["identity"]["id"]
    );
    let all = bench.zendesk(Method::PUT, &primary, None).await;
    assert_eq!(all.body["identities"][0]["value"], "ada@work.example");
    let path = format!("/users/show_many.json?ids={id}&include=identities");
    let shown = bench.zendesk(Method::GET, &path, None).await;
    assert_eq!(shown.body["users"][0]["email"], "ada@work.example");
    let values: Vec<&str> = shown.body["identities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|identity| identity["value"].as_str().unwrap())
        .collect();
    assert_eq!(values, ["ada@work.example", "ada@example.org"]);
    let state = bench.control("zendesk", Method::GET, "state", Value::Null).await;
    assert_eq!(
        state["users"][id.to_string()]["was_mailed"],
        Value::Null,
        "asked not to mail"
    );
}

#[tokio::test]
async fn an_external_id_is_found_only_after_a_while() {
    let bench = Bench::start(options()).await;
    raise_limits(&bench).await;
    bench
        .control(
            "zendesk",
            Method::POST,
            "settings",
            json!({"index_lag_seconds": 60_000}),
        )
        .await;
    let change = json!({"ticket": {"external_id": "oro-case:22"}});
    bench.zendesk(Method::PUT, "/tickets/7.json", Some(&change)).await;
    let find = || bench.zendesk(Method::GET, "/tickets.json?external_id=oro-case:22", None);
    assert_eq!(find().await.body["tickets"], json!([]));
    bench
        .control("zendesk", Method::POST, "clock", json!({"advance_seconds": 120}))
        .await;
    assert_eq!(find().await.body["tickets"][0]["id"], 7);
}
