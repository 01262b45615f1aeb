//! Many records in one request: each keeps its own condition and its own end, and a job that is lost is asked after.

use serde_json::{Value, json};

use crate::interruption::signal;
use crate::oracle::rows;
use crate::rig::{Ran, Rig};
use crate::two_way;

/// Where these tests write their pipeline.
pub(crate) const PIPELINE: &str = "mappings/bulk.yaml";

/// Notes from a file become tags of tickets, found by their ids.
const TAGS: &str = r#"
version: 1
pipeline: bulk
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
    match: {$.id: $.ticket}
    on_none: skip
    fields: {subject: $.subject}
"#;

/// Notes from a file become tickets.
pub(crate) fn creating() -> String {
    TAGS.replace("mode: update", "mode: insert")
        .replace(
            "match: {$.id: $.ticket}\n    on_none: skip",
            "match: {$.external_id: \"n:{{ record.id }}\"}",
        )
        .replace(
            "{subject: $.subject}",
            "{subject: $.subject, external_id: \"n:{{ record.id }}\", comment.body: $.subject, comment.public: {const: false}}",
        )
}

fn rig_with(tickets: usize, pipeline: &str) -> Rig {
    let rig = Rig::new(tickets);
    rig.write(PIPELINE, pipeline);
    rig
}

fn run(rig: &Rig) -> Ran {
    rig.run_pipeline(PIPELINE, &[])
}

/// Tickets that can be changed.
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

pub(crate) fn write_notes(rig: &Rig, tickets: &[u64]) {
    let notes: Vec<Value> = tickets
        .iter()
        .map(|ticket| json!({"id": ticket, "ticket": ticket, "subject": format!("noted {ticket}")}))
        .collect();
    rig.write_records("notes.ndjson", &notes);
}

fn noted(rig: &Rig) -> usize {
    rows(&rig.state("zendesk"), "tickets")
        .into_iter()
        .filter(|(id, ticket)| ticket["subject"] == format!("noted {id}").as_str())
        .count()
}

fn written_by(rig: &Rig, prefix: &str) -> usize {
    let requests = rig.requests("zendesk");
    requests
        .iter()
        .filter(|request| request.starts_with(prefix))
        .count()
}

#[test]
fn five_hundred_updates_take_five_requests_and_their_jobs_questions() {
    let rig = rig_with(1200, TAGS);
    let tickets = open_tickets(&rig, 500);
    write_notes(&rig, &tickets);
    rig.forget_requests();
    run(&rig)
        .expect(0)
        .counted("notes", "read 500, updated 500, writes 500");
    assert_eq!(noted(&rig), 500);
    assert_eq!(rig.writes("zendesk").len(), 5, "{:?}", rig.writes("zendesk"));
    // Five to read them, five to write them, and at most four questions after each of the five jobs: one by one it
    // would be 505.
    let requests = rig.requests("zendesk");
    let all = requests
        .iter()
        .filter(|request| !request.contains("token"))
        .count();
    assert!(all <= 30, "{all} requests: {requests:?}");
    run(&rig).expect(0).counted("notes", "unchanged 500, writes 0");
}

#[test]
fn each_record_of_a_shared_request_has_its_own_end() {
    let rig = rig_with(60, TAGS);
    let tickets = open_tickets(&rig, 8);
    // One is closed when it is written; one is changed by a person between reading and writing; one has no subject.
    let [closed, raced, ..] = tickets[..] else {
        unreachable!()
    };
    rig.write_records(
        "notes.ndjson",
        &tickets
            .iter()
            .map(|ticket| json!({"id": ticket, "ticket": ticket, "subject": format!("noted {ticket}")}))
            .collect::<Vec<_>>(),
    );
    rig.faults(
        "zendesk",
        &json!([{"match": "PUT /api/v2/tickets/update_many", "delay_ms": 1500}]),
    );
    rig.forget_requests();
    let child = rig.start_pipeline(PIPELINE, &[]);
    rig.wait_until("the tickets are read", || {
        rig.requests("zendesk")
            .iter()
            .any(|request| request.contains("show_many"))
    });
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": closed, "status": "closed"}, {"id": raced, "priority": "low"}]}),
    );
    let ran = rig.finish(child).expect(3);
    ran.counted("notes", "read 8, updated 7, held 1");
    assert_eq!(noted(&rig), 7);
    let state = rig.state("zendesk");
    assert_eq!(
        state["tickets"][raced.to_string()]["priority"],
        "low",
        "the person's edit stays"
    );
    let queue = rig.queued(PIPELINE, "code");
    assert_eq!(queue.len(), 1, "{queue:?}");
}

#[test]
fn a_killed_run_asks_after_its_job_and_writes_nothing_twice() {
    for (pipeline, request) in [
        (TAGS.to_owned(), "PUT /api/v2/tickets/update_many"),
        (creating(), "POST /api/v2/tickets/create_many"),
    ] {
        let rig = rig_with(60, &pipeline);
        let tickets = open_tickets(&rig, 10);
        write_notes(&rig, &tickets);
        let before = rows(&rig.state("zendesk"), "tickets").len();
        rig.faults(
            "zendesk",
            &json!([{"match": "GET /api/v2/job_statuses", "delay_ms": 30_000, "times": 1}]),
        );
        rig.forget_requests();
        let child = rig.start_pipeline(PIPELINE, &[]);
        rig.wait_until("the job is begun", || written_by(&rig, request) == 1);
        rig.wait_until("it is asked after", || {
            rig.control("zendesk", "GET", "faults", &Value::Null)
                .as_array()
                .unwrap()
                .is_empty()
        });
        signal(&child, "KILL");
        rig.finish(child);
        rig.control("zendesk", "DELETE", "faults", &Value::Null);

        run(&rig).expect(0);

        assert_eq!(written_by(&rig, request), 1, "{:?}", rig.writes("zendesk"));
        assert!(written_by(&rig, "GET /api/v2/job_statuses") > 1);
        let after = rows(&rig.state("zendesk"), "tickets").len();
        match request.starts_with("POST") {
            true => assert_eq!(after, before + 10),
            false => assert_eq!((after, noted(&rig)), (before, 10)),
        }
        run(&rig).expect(0).counted("notes", "unchanged 10, writes 0");
    }
}

#[test]
fn of_a_job_that_dies_or_leaves_results_out_nothing_is_guessed() {
    let partial = |tickets: &[u64]| {
        let results: Vec<Value> = tickets
            .iter()
            .enumerate()
            .skip(3)
            .map(|(index, id)| json!({"index": index, "id": id, "success": true}))
            .collect();
        json!({"job_status": {"id": "x", "status": "completed", "results": results}}).to_string()
    };
    for (status, body) in [(404, None), (200, Some("killed")), (200, None)] {
        let rig = rig_with(60, TAGS);
        let tickets = open_tickets(&rig, 10);
        write_notes(&rig, &tickets);
        let body = match (status, body) {
            (404, _) => json!({"error": "RecordNotFound"}).to_string(),
            (_, Some(word)) => json!({"job_status": {"id": "x", "status": word}}).to_string(),
            _ => partial(&tickets),
        };
        rig.faults(
            "zendesk",
            &json!([{"match": "GET /api/v2/job_statuses", "status": status, "body": body, "times": 1}]),
        );
        rig.forget_requests();
        let unknown = run(&rig).expect(3).count("notes.rejected");
        assert_eq!(unknown, if body.contains("success") { 3 } else { 10 });
        // The file cannot be asked for single records, so that the next run settles them: they were written all the same.
        run(&rig).expect(0).counted("notes", "rejected 0, writes 0");
        assert_eq!(noted(&rig), 10);
        assert_eq!(rig.writes("zendesk").len(), 1, "{:?}", rig.writes("zendesk"));
    }
}

#[test]
fn edits_of_many_pairs_travel_in_one_request_and_a_lost_job_is_settled_within_the_run() {
    let rig = Rig::new(40);
    two_way::sync(&rig, &[]).expect(0);
    for (round, lost) in [(1, false), (2, true)] {
        let tickets = open_tickets(&rig, 12);
        let cases: Vec<Value> = rows(&rig.state("oro"), "cases")
            .into_iter()
            .filter_map(|(id, case)| {
                let ticket = case["attributes"]["externalId"].as_str()?.strip_prefix("zd:")?;
                let ticket: u64 = ticket.parse().ok()?;
                let subject = format!("round {round} of {ticket}");
                tickets
                    .contains(&ticket)
                    .then(|| json!({"id": id, "attributes": {"subject": subject}}))
            })
            .collect();
        assert_eq!(cases.len(), 12);
        rig.edit("oro", &json!({ "cases": cases }));
        if lost {
            rig.faults(
                "zendesk",
                &json!([{"match": "GET /api/v2/job_statuses", "status": 404, "body": "{\"error\":\"RecordNotFound\"}"}]),
            );
        }
        rig.forget_requests();
        two_way::sync(&rig, &[]).expect(0);
        assert_eq!(rig.writes("zendesk").len(), 1, "{:?}", rig.writes("zendesk"));
        let state = rig.state("zendesk");
        for ticket in &tickets {
            assert_eq!(
                state["tickets"][ticket.to_string()]["subject"],
                format!("round {round} of {ticket}")
            );
        }
        two_way::assert_quiet(&rig);
    }
}

#[test]
fn a_refused_shared_request_is_divided_so_that_one_record_cannot_stop_the_others() {
    let rig = rig_with(60, TAGS);
    let tickets = open_tickets(&rig, 10);
    write_notes(&rig, &tickets);
    rig.faults(
        "zendesk",
        &json!([{"match": "PUT /api/v2/tickets/update_many", "status": 422, "body": "{\"error\":\"RecordInvalid\"}", "times": 1}]),
    );
    rig.forget_requests();
    run(&rig).expect(0).counted("notes", "updated 10, writes 10");
    assert_eq!(noted(&rig), 10);
    assert_eq!(rig.writes("zendesk").len(), 11);
}

#[test]
fn many_tickets_are_created_by_one_request() {
    let rig = rig_with(0, &creating());
    write_notes(&rig, &(1..=150).collect::<Vec<_>>());
    rig.forget_requests();
    run(&rig).expect(0).counted("notes", "created 150");
    assert_eq!(rig.writes("zendesk").len(), 2);
    let tickets = rows(&rig.state("zendesk"), "tickets");
    assert_eq!(tickets.len(), 150);
    run(&rig).expect(0).counted("notes", "unchanged 150");
    assert!(tickets.iter().all(|(_, ticket)| {
        ticket["subject"]
            == format!(
                "noted {}",
                ticket["external_id"].as_str().unwrap().trim_start_matches("n:")
            )
            .as_str()
    }));
}

#[test]
fn few_records_and_records_in_an_order_have_requests_of_their_own() {
    let rig = rig_with(60, TAGS);
    let tickets = open_tickets(&rig, 10);
    write_notes(&rig, &tickets[..3]);
    rig.forget_requests();
    run(&rig).expect(0);
    assert_eq!(written_by(&rig, "PUT /api/v2/tickets/update_many"), 0);
    assert_eq!(rig.writes("zendesk").len(), 3);
    rig.replace(PIPELINE, "mode: update", "mode: update\n    order_by: $.id");
    write_notes(&rig, &tickets);
    rig.forget_requests();
    run(&rig).expect(0);
    assert_eq!(rig.writes("zendesk").len(), 7);
    assert_eq!(noted(&rig), 10);
}
