//! Budgets of single records: whose budget is spent waits or comes to the queue, and keeps nobody else waiting.

use crosswalk::sandbox::SandboxOptions;
use serde_json::{Value, json};

use crate::oracle::rows;
use crate::rig::{Ran, Rig};
use crate::two_way;

/// Where these tests write their pipeline.
const PIPELINE: &str = "mappings/limits.yaml";
const CONNECTOR: &str = "mappings/connectors/zendesk.yaml";

/// Notes from a file become subjects of tickets.
const NOTES: &str = r#"
version: 1
pipeline: limits
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
    to: zendesk.tickets
    mode: update
    match: {$.id: $.id}
    fields: {subject: $.subject}
"#;

/// A ticket can be changed once in ten minutes, which last as many seconds.
fn rig() -> Rig {
    let rig = Rig::with(SandboxOptions {
        tickets: 40,
        time_scale: 60.0,
        ..SandboxOptions::default()
    });
    rig.replace(CONNECTOR, "rate: 30 per 10 minutes", "rate: 30 per 10 seconds");
    rig.write(PIPELINE, NOTES);
    rig
}

fn one_change_each(rig: &Rig) {
    rig.control("zendesk", "POST", "settings", &json!({"ticket_update_limit": 1}));
}

/// Nobody waits for longer than a second.
fn impatient(rig: &Rig) {
    rig.replace(
        CONNECTOR,
        "    rate: 30 per 10 seconds\n",
        "    rate: 30 per 10 seconds\n    wait_at_most: 1s\n",
    );
}

fn patient(rig: &Rig) {
    rig.replace(CONNECTOR, "    wait_at_most: 1s\n", "");
}

fn open_tickets(rig: &Rig, count: usize) -> Vec<u64> {
    let open: Vec<u64> = rows(&rig.state("zendesk"), "tickets")
        .into_iter()
        .filter(|(_, ticket)| ticket["status"] == "open" || ticket["status"] == "pending")
        .map(|(id, _)| id.parse().unwrap())
        .take(count)
        .collect();
    assert_eq!(open.len(), count, "too few open tickets");
    open
}

fn note(rig: &Rig, tickets: &[u64], subject: &str) -> Ran {
    let notes: Vec<Value> = tickets
        .iter()
        .map(|ticket| json!({"id": ticket, "subject": subject}))
        .collect();
    rig.write_records("notes.ndjson", &notes);
    rig.forget_requests();
    rig.run_pipeline(PIPELINE, &[])
}

fn subject(rig: &Rig, ticket: u64) -> Value {
    rig.state("zendesk")["tickets"][ticket.to_string()]["subject"].clone()
}

#[test]
fn a_record_whose_budget_is_spent_waits_while_the_others_are_written() {
    let rig = rig();
    one_change_each(&rig);
    let tickets = open_tickets(&rig, 4);
    note(&rig, &tickets[..1], "first").expect(0);
    note(&rig, &tickets, "second")
        .expect(0)
        .counted("notes", "updated 4");
    let writes = rig.writes("zendesk");
    let spent = format!("PUT /api/v2/tickets/{}.json", tickets[0]);
    assert_eq!(
        writes.iter().filter(|write| **write == spent).count(),
        2,
        "{writes:?}"
    );
    assert_eq!(
        writes.last(),
        Some(&spent),
        "it came last, when all others were written"
    );
    assert_eq!(writes.len(), 5, "{writes:?}");
    assert!(tickets.iter().all(|ticket| subject(&rig, *ticket) == "second"));
}

#[test]
fn a_record_that_would_wait_too_long_comes_to_the_queue_and_is_tried_again() {
    let rig = rig();
    one_change_each(&rig);
    impatient(&rig);
    let tickets = open_tickets(&rig, 4);
    note(&rig, &tickets[..1], "first").expect(0);
    note(&rig, &tickets, "second")
        .expect(0)
        .counted("notes", "updated 3, waiting 1");
    assert_eq!(subject(&rig, tickets[0]), "first");
    assert!(
        tickets[1..]
            .iter()
            .all(|ticket| subject(&rig, *ticket) == "second")
    );
    let queue = rig.queued(PIPELINE, "code");
    assert!(
        matches!(&queue[..], [(_, _, code)] if code == "limit_spent"),
        "{queue:?}"
    );
    patient(&rig);
    rig.run_pipeline(PIPELINE, &[]).expect(0);
    assert_eq!(subject(&rig, tickets[0]), "second");
    assert!(rig.queued(PIPELINE, "code").is_empty());
}

#[test]
fn of_a_shared_request_only_the_record_whose_budget_is_spent_waits() {
    let rig = rig();
    one_change_each(&rig);
    let tickets = open_tickets(&rig, 12);
    note(&rig, &tickets[..1], "first").expect(0);
    note(&rig, &tickets, "second")
        .expect(0)
        .counted("notes", "updated 12");
    let writes = rig.writes("zendesk");
    assert_eq!(writes[0], "PUT /api/v2/tickets/update_many.json");
    let spent = format!("PUT /api/v2/tickets/{}.json", tickets[0]);
    assert!(writes[1..].iter().all(|write| *write == spent), "{writes:?}");
    assert!(tickets.iter().all(|ticket| subject(&rig, *ticket) == "second"));
}

#[test]
fn a_pair_whose_budget_is_spent_travels_later_and_keeps_the_last_edit() {
    let rig = rig();
    two_way::sync(&rig, &[]).expect(0);
    let cases: Vec<(String, u64)> = {
        let open = open_tickets(&rig, 3);
        let cases = rows(&rig.state("oro"), "cases").into_iter();
        cases
            .filter_map(|(id, case)| {
                let ticket = case["attributes"]["externalId"].as_str()?.strip_prefix("zd:")?;
                Some((id, ticket.parse().ok()?))
            })
            .filter(|(_, ticket)| open.contains(ticket))
            .collect()
    };
    let edit = |text: &str, cases: &[(String, u64)]| {
        let cases: Vec<Value> = cases
            .iter()
            .map(|(id, _)| json!({"id": id, "attributes": {"subject": text}}))
            .collect();
        rig.edit("oro", &json!({ "cases": cases }));
    };
    one_change_each(&rig);
    impatient(&rig);
    edit("first", &cases[..1]);
    two_way::sync(&rig, &[]).expect(0);
    edit("second", &cases);
    two_way::sync(&rig, &[])
        .expect(0)
        .counted("cases.to_remote", "waiting 1, updated 2");
    assert_eq!(subject(&rig, cases[0].1), "first");
    edit("third", &cases[..1]);
    patient(&rig);
    two_way::sync(&rig, &[]).expect(0);
    assert_eq!(subject(&rig, cases[0].1), "third");
    assert_eq!(subject(&rig, cases[1].1), "second");
    two_way::assert_quiet(&rig);
}
