//! What `validate` promises of a create is what a run does: the process is killed before the request was sent, and after
//! it was answered, and the next run must find what there is, or hold it, as the promise says.

use serde_json::{Value, json};

use crate::oracle::rows;
use crate::rig::Rig;

const FILE: &str = "mappings/promise.yaml";

/// Notes from a file become tickets, or comments of a ticket.
const HEAD: &str = r#"
version: 1
pipeline: promise
connections:
  files:
    connector: file
    settings: {directory: ..}
    streams: {notes: {path: notes.ndjson, key: $.id}}
  zendesk:
    connector: zendesk
    settings: {subdomain: "{{ env.ZENDESK_SUBDOMAIN }}", base_url: "{{ env.ZENDESK_URL }}"}
    auth: {oauth_client: {client_id: "{{ env.ZENDESK_CLIENT_ID }}", client_secret: "{{ secret.ZENDESK_CLIENT_SECRET }}"}}
flows:
  notes:
    from: files.notes
"#;
const TICKETS: &str = r#"
    to: zendesk.tickets
    mode: insert
    fields: {subject: $.text, external_id: "n:{{ record.id }}", comment.body: $.text, comment.public: {const: false}}
"#;
const UNMARKED: &str = r#"
    to: zendesk.tickets
    mode: insert
    fields: {subject: $.text, comment.body: $.text, comment.public: {const: false}}
"#;
const COMMENTS: &str = r#"
    to: zendesk.ticket_comments
    mode: insert
    fields: {ticket_id: $.ticket, body: $.text, public: {const: true}}
"#;
const IDEMPOTENCY: &str = "      idempotency: {header: Idempotency-Key, kept_for: 2h}\n";
const FIND_AGAIN: &str = "      find_again: $.external_id\n";
const FORGETFUL: &str = "      idempotency: {header: Idempotency-Key, kept_for: 1s}\n";

/// A sink, what the connector is robbed of, and how the promise begins.
struct Promise {
    name: &'static str,
    flow: String,
    replaced: Vec<(&'static str, &'static str)>,
    promised: &'static str,
    /// Nobody but a person can tell.
    held: bool,
}

fn promises() -> Vec<Promise> {
    let matched = TICKETS.replace(
        "mode: insert",
        "mode: insert\n    match: {$.external_id: \"n:{{ record.id }}\"}",
    );
    let promise = |name, flow: &str, replaced: &[(&'static str, &'static str)], promised, held| Promise {
        name,
        flow: flow.to_owned(),
        replaced: replaced.to_vec(),
        promised,
        held,
    };
    vec![
        promise(
            "sent again",
            UNMARKED,
            &[],
            "once: for 2h the system recognises",
            false,
        ),
        promise(
            "written",
            TICKETS,
            &[(IDEMPOTENCY, "")],
            "once: where an answer was lost, the record is found by `$.external_id`",
            false,
        ),
        promise(
            "matched",
            &matched,
            &[(IDEMPOTENCY, ""), (FIND_AGAIN, "")],
            "once: where an answer was lost, the record is found by `$.external_id`",
            false,
        ),
        promise(
            "marked",
            COMMENTS,
            &[],
            "once: where an answer was lost, the write's own mark is read back",
            false,
        ),
        promise(
            "nobody knows",
            UNMARKED,
            &[(IDEMPOTENCY, ""), (FIND_AGAIN, "")],
            "at most once",
            true,
        ),
        promise(
            "not written",
            UNMARKED,
            &[(IDEMPOTENCY, "")],
            "at most once",
            true,
        ),
        promise(
            "forgotten",
            UNMARKED,
            &[(IDEMPOTENCY, FORGETFUL)],
            "once: for 1s the system recognises a request that is sent again (`Idempotency-Key`); later the record is held",
            true,
        ),
    ]
}

fn texts(rig: &Rig) -> Vec<String> {
    let tickets = rows(&rig.state("zendesk"), "tickets").into_values();
    let comments = tickets.flat_map(|ticket| ticket["comments"].as_array().unwrap().clone());
    let bodies = comments.filter_map(|comment| comment["body"].as_str().map(str::to_owned));
    bodies.filter(|body| body.starts_with("noted ")).collect()
}

fn run(rig: &Rig, crash: Option<&str>) -> i32 {
    let mut command = rig.command(&["run", FILE]);
    if let Some(point) = crash {
        command.env("CROSSWALK_CRASH_AT", point);
    }
    command.output().unwrap().status.code().unwrap_or(-1)
}

#[test]
#[ignore = "half a second stands for five minutes there: only on a machine that does nothing else"]
fn what_is_promised_of_a_lost_create_is_what_a_run_does() {
    let rig = Rig::new(20);
    // The connector waits for five minutes, half a second here: a slow machine must not use that up.
    rig.control("zendesk", "POST", "settings", &json!({"index_lag_seconds": 20}));
    let connector = rig.read("mappings/connectors/zendesk.yaml");
    let open = rows(&rig.state("zendesk"), "tickets").into_iter();
    let open = open
        .filter(|(_, ticket)| ticket["status"] == "open")
        .map(|(id, _)| id)
        .next()
        .unwrap();
    let mut number = 0;
    for promise in promises() {
        let mut robbed = connector.clone();
        for (old, new) in &promise.replaced {
            assert!(robbed.contains(old), "{old}");
            robbed = robbed.replacen(old, new, 1);
        }
        rig.write("mappings/connectors/zendesk.yaml", &robbed);
        rig.write(FILE, &format!("{}{}", HEAD.trim_end(), promise.flow));
        let said = rig.crosswalk(&["validate", "--format", "json", FILE]);
        let said: Value =
            serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{}{}", said.stdout, said.stderr));
        let told = said["guarantees"][0]["flows"][0]["create"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(told.starts_with(promise.promised), "{}: {told}", promise.name);
        for (crash, written) in [("request_before", false), ("response_received", true)] {
            number += 1;
            let note = json!({"id": number, "text": format!("noted {number}"), "ticket": open.parse::<u64>().unwrap()});
            rig.write_records("notes.ndjson", &[note]);
            assert_eq!(
                run(&rig, Some(crash)),
                -1,
                "{}: {crash} was not met",
                promise.name
            );
            if promise.name == "forgotten" {
                rig.wait_until("the system has forgotten the key", forgets());
            }
            let code = run(&rig, None);
            let there = texts(&rig)
                .iter()
                .filter(|text| **text == format!("noted {number}"))
                .count();
            let context = format!("{} killed at {crash}", promise.name);
            let held = rig.queued(FILE, "code");
            if promise.held {
                assert_eq!((code, there), (3, usize::from(written)), "{context}");
                assert_eq!(
                    held,
                    [(number.to_string(), "held".to_owned(), json!("outcome_unknown"))],
                    "{context}"
                );
                // It stays so however often it runs, until a person has looked.
                run(&rig, None);
                assert_eq!(rig.queued(FILE, "code").len(), 1, "{context}");
                let word = if written { "drop" } else { "retry" };
                if written {
                    let id = rows(&rig.state("zendesk"), "tickets")
                        .into_iter()
                        .filter(|(_, ticket)| ticket["subject"] == format!("noted {number}").as_str());
                    let id = id.map(|(id, _)| id).next().unwrap();
                    rig.crosswalk(&["links", "add", FILE, "notes", &number.to_string(), &id])
                        .expect(0);
                }
                rig.crosswalk(&["queue", word, FILE, &number.to_string()])
                    .expect(0);
                assert_eq!(run(&rig, None), 0, "{context}");
            } else {
                assert_eq!((code, held.len()), (0, 0), "{context}");
            }
            let there = texts(&rig)
                .iter()
                .filter(|text| **text == format!("noted {number}"))
                .count();
            assert_eq!(there, 1, "{context}: once");
            rig.forget_requests();
            assert_eq!(run(&rig, None), 0, "{context}");
            assert_eq!(rig.writes("zendesk"), [""; 0], "{context}");
        }
    }
}

/// Holds once more than the second has passed for which a key is remembered.
fn forgets() -> impl FnMut() -> bool {
    let since = std::time::Instant::now();
    move || since.elapsed() > std::time::Duration::from_millis(1100)
}
