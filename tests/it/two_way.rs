//! Tickets and cases in step both ways, by the shipped pipeline: what travels, what stays, who wins, and that quiet is quiet.

use serde_json::{Value, json};

use crate::interruption::signal;
use crate::oracle::rows;
use crate::rig::{ONE_WAY, PIPELINE, Ran, Rig};

pub(crate) fn linked(tickets: usize) -> Rig {
    let rig = Rig::new(tickets);
    sync(&rig, &[]).expect(0);
    rig
}

pub(crate) fn sync(rig: &Rig, options: &[&str]) -> Ran {
    rig.run(options)
}

pub(crate) fn ticket(rig: &Rig, id: u64) -> Value {
    rig.state("zendesk")["tickets"][id.to_string()].clone()
}

/// A case's id with what stands there.
pub(crate) fn case_of(rig: &Rig, ticket: u64) -> (String, Value) {
    let wanted = format!("zd:{ticket}");
    rows(&rig.state("oro"), "cases")
        .into_iter()
        .find(|(_, case)| case["attributes"]["externalId"] == wanted.as_str())
        .expect("a case of the ticket")
}

pub(crate) fn edit_case(rig: &Rig, ticket: u64, attributes: &Value, relations: &[(&str, &str, &str)]) {
    let (id, _) = case_of(rig, ticket);
    let relationships: serde_json::Map<String, Value> = relations
        .iter()
        .map(|(name, kind, id)| ((*name).to_owned(), json!({"data": {"type": kind, "id": id}})))
        .collect();
    rig.edit(
        "oro",
        &json!({"cases": [{"id": id, "attributes": attributes, "relationships": relationships}]}),
    );
}

/// Tickets that both sides may edit, brought to a known status and priority.
pub(crate) fn open_tickets(rig: &Rig, count: usize) -> Vec<u64> {
    let open: Vec<u64> = rows(&rig.state("zendesk"), "tickets")
        .into_iter()
        .filter(|(_, ticket)| ticket["status"] == "open" && ticket["subject"] != "SCRUBBED")
        .map(|(id, _)| id.parse().unwrap())
        .take(count)
        .collect();
    assert_eq!(open.len(), count, "too few open tickets");
    open
}

#[track_caller]
pub(crate) fn assert_quiet(rig: &Rig) {
    rig.forget_requests();
    sync(rig, &[]).expect(0);
    assert_eq!(rig.writes("zendesk"), [""; 0]);
    assert_eq!(rig.writes("oro"), [""; 0]);
}

#[test]
fn every_ticket_gets_its_case_and_a_quiet_round_writes_nothing() {
    let rig = linked(40);
    rig.assert_in_step();
    assert_quiet(&rig);
    rig.assert_in_step();
}

#[test]
fn a_change_travels_to_the_other_side_and_does_not_come_back() {
    let rig = linked(30);
    let [first, second] = open_tickets(&rig, 2)[..] else {
        unreachable!()
    };
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": first, "subject": "moved by the agent"}]}),
    );
    edit_case(
        &rig,
        second,
        &json!({"subject": "moved in the office"}),
        &[
            ("status", "casestatuses", "in_progress"),
            ("priority", "casepriorities", "high"),
        ],
    );

    let ran = sync(&rig, &[]).expect(0);

    assert_eq!(
        case_of(&rig, first).1["attributes"]["subject"],
        "moved by the agent"
    );
    let moved = ticket(&rig, second);
    assert_eq!(moved["subject"], "moved in the office");
    assert_eq!(moved["status"], "pending");
    assert_eq!(moved["priority"], "high");
    assert_eq!(ran.count("cases.to_local.field_changes"), 1);
    assert_eq!(ran.count("cases.to_remote.field_changes"), 3);
    assert_quiet(&rig);
}

#[test]
fn a_finer_value_survives_an_edit_of_another_field() {
    let rig = linked(30);
    let [id] = open_tickets(&rig, 1)[..] else {
        unreachable!()
    };
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": id, "priority": "urgent", "status": "hold"}]}),
    );
    sync(&rig, &[]).expect(0);
    edit_case(&rig, id, &json!({"subject": "only the subject"}), &[]);
    sync(&rig, &[]).expect(0);
    let kept = ticket(&rig, id);
    assert_eq!(
        (&kept["priority"], &kept["status"]),
        (&json!("urgent"), &json!("hold"))
    );
    assert_eq!(kept["subject"], "only the subject");

    edit_case(&rig, id, &json!({}), &[("status", "casestatuses", "resolved")]);
    sync(&rig, &[]).expect(0);
    assert_eq!(ticket(&rig, id)["status"], "solved");
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": id, "subject": "and back"}]}),
    );
    sync(&rig, &[]).expect(0);
    let (_, case) = case_of(&rig, id);
    assert_eq!(case["to_one"]["status"], "resolved");
    assert_eq!(case["attributes"]["subject"], "and back");
    assert_quiet(&rig);
}

#[test]
fn different_fields_are_merged_and_the_same_one_goes_to_the_winner() {
    for (policy, winner) in [("remote_wins", "of the ticket"), ("local_wins", "of the case")] {
        let rig = Rig::new(20);
        rig.replace(
            PIPELINE,
            "conflict: remote_wins ",
            &format!("conflict: {policy} "),
        );
        sync(&rig, &[]).expect(0);
        let [id] = open_tickets(&rig, 1)[..] else {
            unreachable!()
        };
        rig.edit(
            "zendesk",
            &json!({"tickets": [{"id": id, "subject": "of the ticket", "priority": "high"}]}),
        );
        edit_case(
            &rig,
            id,
            &json!({"subject": "of the case"}),
            &[("status", "casestatuses", "in_progress")],
        );

        let ran = sync(&rig, &[]).expect(0);

        let (now, (_, case)) = (ticket(&rig, id), case_of(&rig, id));
        assert_eq!(now["subject"], winner, "{policy}");
        assert_eq!(case["attributes"]["subject"], winner, "{policy}");
        assert_eq!(now["status"], "pending");
        assert_eq!(case["to_one"]["priority"], "high");
        assert_eq!(ran.count("cases.to_local.conflicts"), 1);
        assert_quiet(&rig);
    }
}

#[test]
fn a_held_row_waits_while_the_others_travel_and_a_person_decides() {
    let rig = linked(20);
    rig.replace(PIPELINE, "conflict: remote_wins ", "conflict: hold ");
    let [id] = open_tickets(&rig, 1)[..] else {
        unreachable!()
    };
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": id, "subject": "of the ticket"}]}),
    );
    edit_case(
        &rig,
        id,
        &json!({"subject": "of the case"}),
        &[("status", "casestatuses", "in_progress")],
    );

    sync(&rig, &[]).expect(3);

    assert_eq!(ticket(&rig, id)["status"], "pending");
    assert_eq!(ticket(&rig, id)["subject"], "of the ticket");
    assert_eq!(case_of(&rig, id).1["attributes"]["subject"], "of the case");
    let key = format!("remote:{id}");
    rig.crosswalk(&["queue", "resolve", PIPELINE, &key, "--winner", "local"])
        .expect(0);
    sync(&rig, &[]).expect(0);
    assert_eq!(ticket(&rig, id)["subject"], "of the case");
    assert_quiet(&rig);
}

#[test]
fn a_case_becomes_a_ticket_when_a_person_publishes_it() {
    let rig = linked(20);
    let made = rig.edit(
        "oro",
        &json!({"cases": [{"attributes": {"subject": "Broken kettle", "description": "It whistles no more."},
            "relationships": {"status": {"data": {"type": "casestatuses", "id": "in_progress"}},
                "priority": {"data": {"type": "casepriorities", "id": "high"}},
                "source": {"data": {"type": "casesources", "id": "phone"}}}}]}),
    );
    let case = made["cases"][0].as_str().unwrap().to_owned();
    let before = rows(&rig.state("zendesk"), "tickets").len();
    sync(&rig, &[]).expect(0);
    assert_eq!(
        rows(&rig.state("zendesk"), "tickets").len(),
        before,
        "nobody asked for it"
    );

    rig.crosswalk(&["publish", PIPELINE, "cases", &case]).expect(0);

    let tickets = rows(&rig.state("zendesk"), "tickets");
    assert_eq!(tickets.len(), before + 1);
    let wanted = format!("oro-case:{case}");
    let ticket = tickets
        .values()
        .find(|ticket| ticket["external_id"] == wanted.as_str())
        .expect("a ticket that remembers its case");
    assert_eq!(ticket["subject"], "Broken kettle");
    assert_eq!(ticket["description"], "It whistles no more.");
    assert_eq!(ticket["status"], "pending");
    assert_eq!(ticket["priority"], "high");
    sync(&rig, &[]).expect(0);
    assert_eq!(
        rows(&rig.state("oro"), "cases").len(),
        rows(&rig.state("oro"), "cases").len()
    );
    assert_quiet(&rig);
}

#[test]
fn with_one_direction_nothing_goes_back_until_the_other_is_opened() {
    let rig = Rig::new(20);
    sync(&rig, &ONE_WAY).expect(0);
    let [id] = open_tickets(&rig, 1)[..] else {
        unreachable!()
    };
    edit_case(&rig, id, &json!({"subject": "stays for now"}), &[]);
    rig.forget_requests();
    sync(&rig, &ONE_WAY).expect(0);
    assert_eq!(rig.writes("zendesk"), [""; 0]);
    sync(&rig, &[]).expect(0);
    assert_eq!(ticket(&rig, id)["subject"], "stays for now");
    assert_quiet(&rig);
}

#[test]
fn a_lost_answer_is_settled_within_the_run() {
    let rig = linked(20);
    let [id] = open_tickets(&rig, 1)[..] else {
        unreachable!()
    };
    edit_case(&rig, id, &json!({"subject": "sent, and not answered"}), &[]);
    rig.faults(
        "zendesk",
        &json!([{"match": "PUT /api/v2/tickets/", "cut_after_write": true}]),
    );
    sync(&rig, &[]).expect(0);
    assert_eq!(ticket(&rig, id)["subject"], "sent, and not answered");
    assert_quiet(&rig);
}

/// Sent again it would replace what somebody wrote in between; so it is looked at first.
#[test]
fn a_write_that_was_not_answered_is_not_sent_twice() {
    let rig = linked(20);
    let [id] = open_tickets(&rig, 1)[..] else {
        unreachable!()
    };
    let renamed = json!({"tickets": [{"id": id, "subject": "sent once"}]});
    rig.edit("zendesk", &renamed);
    rig.faults(
        "oro",
        &json!([{"match": "PATCH /admin/api/cases/", "cut_after_write": true}]),
    );
    rig.forget_requests();
    sync(&rig, &[]).expect(0);
    assert_eq!(rig.writes("oro").len(), 1, "{:?}", rig.writes("oro"));
    assert_eq!(case_of(&rig, id).1["attributes"]["subject"], "sent once");
    assert_quiet(&rig);
}

#[test]
fn a_case_is_read_once_more_just_before_it_is_written() {
    let rig = linked(20);
    let [id] = open_tickets(&rig, 1)[..] else {
        unreachable!()
    };
    let (case, _) = case_of(&rig, id);
    let renamed = json!({"tickets": [{"id": id, "subject": "looked at first"}]});
    rig.edit("zendesk", &renamed);
    rig.forget_requests();
    sync(&rig, &[]).expect(0);
    let requests = rig.requests("oro");
    let written = requests.iter().position(|request| request.starts_with("PATCH"));
    let look = &requests[written.unwrap() - 1];
    assert!(
        look.starts_with("GET /admin/api/cases") && look.contains(&case),
        "{requests:?}"
    );
}

/// Cases of people who called, not yet tickets.
fn office_cases(rig: &Rig, count: usize) -> Vec<String> {
    let cases: Vec<Value> = (1..=count)
        .map(|number| {
            json!({"attributes": {"subject": format!("Call {number}"), "description": "They will call back."},
                "relationships": {"status": {"data": {"type": "casestatuses", "id": "open"}},
                    "priority": {"data": {"type": "casepriorities", "id": "normal"}},
                    "source": {"data": {"type": "casesources", "id": "phone"}}}})
        })
        .collect();
    let made = rig.edit("oro", &json!({ "cases": cases }));
    made["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect()
}

/// Tickets by the case that they remember.
fn published(rig: &Rig) -> Vec<String> {
    let mut cases: Vec<String> = rows(&rig.state("zendesk"), "tickets")
        .into_values()
        .filter_map(|ticket| {
            Some(
                ticket["external_id"]
                    .as_str()?
                    .strip_prefix("oro-case:")?
                    .to_owned(),
            )
        })
        .collect();
    cases.sort();
    cases
}

/// Publishes cases and ends the run by a signal in the middle; the next run must finish what it left.
/// Meanwhile people rename tickets, where that is asked.
fn published_in_two_runs(count: usize, amid_edits: bool, name: &str, code: i32) {
    let rig = linked(10);
    let mut cases = office_cases(&rig, count);
    let seed = std::cell::Cell::new(1);
    let rename = || {
        if !amid_edits {
            return;
        }
        seed.set(seed.get() + 1);
        let order = json!({"seed": seed.get(), "count": 1, "fields": ["subject"]});
        rig.control("zendesk", "POST", "edits", &order);
    };
    let later = || rig.control("zendesk", "POST", "clock", &json!({"advance_seconds": 90}));
    rig.faults(
        "zendesk",
        &json!([{"match": "POST /api/v2/tickets", "delay_ms": 100, "times": 1000}]),
    );
    let all = ["--set", "publish=all"];
    let child = rig.start(&all);
    rig.wait_until("some cases are published", || {
        rename();
        published(&rig).len() >= 8
    });
    signal(&child, name);
    let ran = rig.finish(child);
    assert_eq!(ran.code, code, "{}", ran.stderr);
    rig.control("zendesk", "DELETE", "faults", &Value::Null);
    (0..5).for_each(|_| rename());
    later();

    sync(&rig, &all).expect(0);

    // Those of the data set that nobody published before come along.
    let published = published(&rig);
    cases.sort();
    let mut once = published.clone();
    once.dedup();
    assert_eq!(once, published, "a case was published twice");
    assert!(cases.iter().all(|case| published.contains(case)), "{published:?}");
    later();
    sync(&rig, &all).expect(0);
    rig.forget_requests();
    sync(&rig, &all).expect(0);
    assert_eq!(rig.writes("zendesk"), [""; 0]);
    assert_eq!(rig.writes("oro"), [""; 0]);
}

#[test]
fn publishing_that_is_interrupted_goes_on_and_doubles_nothing() {
    published_in_two_runs(40, false, "INT", 130);
}

#[test]
fn publishing_that_is_killed_goes_on_and_doubles_nothing() {
    published_in_two_runs(40, false, "KILL", -1);
}

/// `cargo test --test it two_hundred -- --ignored`
#[test]
#[ignore = "takes half a minute; the same with forty cases is always run"]
fn two_hundred_cases_published_while_tickets_change_and_interrupted_are_not_doubled() {
    published_in_two_runs(200, true, "INT", 130);
}

#[test]
fn one_pair_is_synced_now_by_the_key_of_either_side() {
    let rig = linked(30);
    let tickets = open_tickets(&rig, 4);
    for (number, name) in ["zendesk", "remote", "oro", "local"].into_iter().enumerate() {
        let id = tickets[number];
        let (case, _) = case_of(&rig, id);
        let subject = format!("asked by {name}");
        let key = match name {
            "zendesk" | "remote" => {
                rig.edit("zendesk", &json!({"tickets": [{"id": id, "subject": subject}]}));
                format!("{name}:{id}")
            }
            _ => {
                edit_case(&rig, id, &json!({ "subject": subject }), &[]);
                format!("{name}:{case}")
            }
        };
        let ran = sync(&rig, &["--only", &key]).expect(0);
        let read = ran.count("cases.to_local.read") + ran.count("cases.to_remote.read");
        assert_eq!(read, 1, "{key}");
        assert_eq!(ticket(&rig, id)["subject"], subject.as_str(), "{key}");
        assert_eq!(
            case_of(&rig, id).1["attributes"]["subject"],
            subject.as_str(),
            "{key}"
        );
    }
    sync(&rig, &["--only", "remote:999999"])
        .expect(0)
        .says("A record that was asked for does not exist.");
}

#[test]
fn opening_the_way_back_catches_up_what_both_sides_changed_by_the_policy() {
    for (policy, winner) in [("remote_wins", "of the ticket"), ("local_wins", "of the case")] {
        let rig = Rig::new(20);
        rig.replace(
            PIPELINE,
            "conflict: remote_wins ",
            &format!("conflict: {policy} "),
        );
        sync(&rig, &ONE_WAY).expect(0);
        let [both, office] = open_tickets(&rig, 2)[..] else {
            unreachable!()
        };
        edit_case(&rig, both, &json!({"subject": "of the case"}), &[]);
        edit_case(&rig, office, &json!({"subject": "of the office"}), &[]);
        rig.edit(
            "zendesk",
            &json!({"tickets": [{"id": both, "subject": "of the ticket"}]}),
        );
        rig.forget_requests();
        sync(&rig, &ONE_WAY).expect(0);
        assert_eq!(rig.writes("zendesk"), [""; 0], "{policy}");

        sync(&rig, &[]).expect(0);

        assert_eq!(ticket(&rig, both)["subject"], winner, "{policy}");
        assert_eq!(case_of(&rig, both).1["attributes"]["subject"], winner, "{policy}");
        assert_eq!(ticket(&rig, office)["subject"], "of the office");
        assert_quiet(&rig);
    }
}

#[test]
fn publishing_a_record_that_does_not_exist_is_refused_by_its_key() {
    let rig = linked(10);
    rig.forget_requests();
    rig.crosswalk(&["publish", PIPELINE, "cases", "999999"])
        .expect(8)
        .says("there is no local record `999999`");
    assert_eq!(rig.writes("zendesk"), [""; 0]);
}

#[test]
fn a_preview_of_a_two_way_flow_goes_the_way_that_the_record_leaves_by() {
    let rig = linked(30);
    let id = open_tickets(&rig, 1)[0];
    let (case, _) = case_of(&rig, id);
    for (key, direction) in [
        (id.to_string(), "cases.to_local"),
        (format!("zendesk:{id}"), "cases.to_local"),
        (format!("local:{case}"), "cases.to_remote"),
    ] {
        let shown = rig
            .crosswalk(&[
                "preview", PIPELINE, "--flow", "cases", "--key", &key, "--format", "json",
            ])
            .expect(0);
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(shown["flow"], direction, "{key}");
    }
}

#[test]
fn the_queue_is_not_changed_while_a_run_works_on_it() {
    let rig = linked(10);
    rig.faults(
        "zendesk",
        &json!([{"match": "GET /api/v2/incremental", "delay_ms": 5000, "times": 1}]),
    );
    let child = rig.start(&[]);
    rig.wait_until("the run is at work", || {
        rig.crosswalk(&["status", PIPELINE])
            .stdout
            .contains("running now")
    });
    rig.crosswalk(&["queue", "retry", PIPELINE, "--all"]).expect(7);
    assert_eq!(rig.finish(child).code, 0);
}

#[test]
fn a_contact_whom_the_other_side_does_not_know_is_created_and_asks_for_the_ticket() {
    let rig = linked(12);
    let made = rig.edit(
        "oro",
        &json!({"contacts": [{"attributes": {"firstName": "New", "lastName": "Caller", "primaryEmail": "new.caller@example.net",
            "emails": [{"email": "new.caller@example.net"}]}}]}),
    );
    let contact = made["contacts"][0].as_str().unwrap();
    rig.edit(
        "oro",
        &json!({"cases": [{"attributes": {"subject": "Call me", "description": "Please."},
            "relationships": {"status": {"data": {"type": "casestatuses", "id": "open"}},
                "priority": {"data": {"type": "casepriorities", "id": "normal"}},
                "relatedContact": {"data": {"type": "contacts", "id": contact}},
                "source": {"data": {"type": "casesources", "id": "phone"}}}}]}),
    );

    sync(&rig, &["--set", "publish=all"]).expect(0);

    let state = rig.state("zendesk");
    let (_, ticket) = rows(&state, "tickets")
        .into_iter()
        .find(|(_, ticket)| ticket["subject"] == "Call me")
        .expect("the case's ticket");
    let requester = ticket["requester_id"].to_string();
    assert_eq!(state["users"][requester]["email"], "new.caller@example.net");
}
