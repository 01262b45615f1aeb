//! What holds for both systems: faults, the log, what stays after a restart.

use reqwest::Method;
use serde_json::json;

use super::harness::{Bench, options};
use crate::sandbox::{Sandbox, SandboxError, SandboxOptions};

#[tokio::test]
async fn ordered_faults_happen() {
    let bench = Bench::start(options()).await;
    let faults = json!([
        {"match": "GET /api/v2/tickets/7", "status": 503, "retry_after": 1, "body": "maintenance"},
        {"match": "GET /api/v2/tickets/7", "torn": true},
        {"match": "GET /api/v2/tickets/7", "cut": true},
        {"match": "POST /api/v2/tickets", "cut_after_write": true},
    ]);
    bench.control("zendesk", Method::POST, "faults", faults).await;
    let basic = [(
        "authorization",
        "Basic YWRtaW5AZXhhbXBsZS5jb20vdG9rZW46c2FuZGJveC10b2tlbg==",
    )];
    let refused = bench
        .send("zendesk", Method::GET, "/api/v2/tickets/7.json", &basic, None)
        .await;
    assert_eq!(
        (
            refused.status,
            refused.header("retry-after"),
            refused.text.as_str()
        ),
        (503, "1", "maintenance")
    );
    for _ in 0..2 {
        let broken = bench
            .try_send("zendesk", Method::GET, "/api/v2/tickets/7.json", &basic, None)
            .await;
        assert!(broken.is_err());
    }
    let ticket = json!({"ticket": {"comment": {"body": "heard, not answered"}}});
    let broken = bench
        .try_send(
            "zendesk",
            Method::POST,
            "/api/v2/tickets.json",
            &basic,
            Some(&ticket),
        )
        .await;
    assert!(broken.is_err());
    let state = bench.control("zendesk", Method::GET, "state", json!({})).await;
    assert_eq!(state["tickets"]["81"]["description"], "heard, not answered");
    let log = bench.control("zendesk", Method::GET, "requests", json!({})).await;
    assert_eq!(
        (log["by_status"]["cut"].as_u64(), log["by_status"]["503"].as_u64()),
        (Some(2), Some(1))
    );
    let healthy = bench
        .send("zendesk", Method::GET, "/api/v2/tickets/7.json", &basic, None)
        .await;
    assert_eq!(healthy.status, 200);
}

#[tokio::test]
async fn a_second_run_finds_what_the_first_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let stored = || SandboxOptions {
        directory: Some(directory.path().to_owned()),
        time_scale: 1.0,
        ..options()
    };
    let bench = Bench::start(stored()).await;
    let ticket = json!({"ticket": {"subject": "kept", "comment": {"body": "text"}}});
    let created = bench.zendesk(Method::POST, "/tickets.json", Some(&ticket)).await;
    let id = created.body["ticket"]["id"].as_u64().unwrap();
    let contact = json!({"data": {"type": "contacts", "attributes": {"lastName": "Kept"}}});
    let contact = bench.oro(Method::POST, "/contacts", Some(&contact)).await;
    let busy = Sandbox::start(stored()).await;
    assert!(matches!(busy, Err(SandboxError::InUse { .. })));
    // Dropped, as a killed process would leave it, not stopped.
    drop(bench);
    let bench = Bench::start(SandboxOptions {
        seed: 99,
        tickets: 1,
        ..stored()
    })
    .await;
    let ticket = bench
        .zendesk(Method::GET, &format!("/tickets/{id}.json"), None)
        .await;
    assert_eq!(ticket.body["ticket"]["subject"], "kept");
    let start = ticket.body["ticket"]["created_at"].as_str().unwrap();
    let start = start.parse::<jiff::Timestamp>().unwrap().as_second();
    let path = format!("/incremental/tickets/cursor.json?start_time={start}");
    let export = bench.zendesk(Method::GET, &path, None).await;
    assert_eq!(export.body["tickets"][0]["id"], id);
    let path = format!("/contacts/{}", contact.body["data"]["id"].as_str().unwrap());
    assert_eq!(
        bench.oro(Method::GET, &path, None).await.body["data"]["attributes"]["lastName"],
        "Kept"
    );
    bench.sandbox.stop().await.unwrap();
    assert!(directory.path().join("zendesk.json").exists());
    assert!(directory.path().join("oro.json").exists());
}

#[tokio::test]
async fn people_edit_both_systems() {
    let bench = Bench::start(options()).await;
    let edit = json!({"cases": [{"id": "22", "attributes": {"subject": "Moved"}}], "users": [{"attributes": {"username": "fred.taylor", "email": "fred.taylor@example.com"}}]});
    let edited = bench.control("oro", Method::POST, "edit", edit).await;
    let case = bench.oro(Method::GET, "/cases/22", None).await;
    assert_eq!(case.body["data"]["attributes"]["subject"], "Moved");
    let user = bench
        .oro(Method::GET, "/users?filter[email]=fred.taylor@example.com", None)
        .await;
    assert_eq!(user.body["data"][0]["id"], edited["users"][0]);
    let edit = json!({"tickets": [{"id": 21, "subject": "A closed one"}], "delete": [8], "scrub": [9]});
    bench.control("zendesk", Method::POST, "edit", edit).await;
    let ticket = bench.zendesk(Method::GET, "/tickets/21.json", None).await;
    assert_eq!(
        (
            ticket.body["ticket"]["status"].as_str(),
            ticket.body["ticket"]["subject"].as_str()
        ),
        (Some("closed"), Some("A closed one"))
    );
    assert_eq!(
        bench.zendesk(Method::GET, "/tickets/8.json", None).await.status,
        404
    );
}

#[tokio::test]
async fn impossible_options_are_refused() {
    let stopped_clock = Sandbox::start(SandboxOptions {
        time_scale: 0.0,
        ..options()
    })
    .await;
    assert!(matches!(stopped_clock, Err(SandboxError::TimeScale { .. })));
    let bench = Bench::start(options()).await;
    let address = bench.sandbox.address("oro").unwrap();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    let taken = Sandbox::start(SandboxOptions {
        oro_port: port,
        ..options()
    })
    .await;
    assert!(matches!(taken, Err(SandboxError::Listen { .. })));
    assert_eq!(bench.sandbox.address("nobody"), None);
    assert_eq!(bench.sandbox.settings("oro"), [("base_url", address)]);
}
