//! What a flow does to the records of its sink: modes, write policies, guards, conditions, links. People and notes come
//! from files; the stand-in keeps the contacts, cases and tickets that they become.

use serde_json::{Value, json};

use crate::oracle::rows;
use crate::rig::{Ran, Rig};

/// Where these tests write their pipeline.
const PIPELINE: &str = "mappings/writes.yaml";

const HEAD: &str = r#"
version: 1
pipeline: writes
connections:
  files:
    connector: file
    settings: {directory: ..}
    streams:
      people: {path: people.ndjson, key: $.id}
      notes: {path: notes.ndjson, key: $.id}
  oro:
    connector: oro
    settings: {base_url: "{{ env.ORO_URL }}"}
    auth: {oauth_client: {client_id: "{{ env.ORO_CLIENT_ID }}", client_secret: "{{ secret.ORO_CLIENT_SECRET }}"}}
  zendesk:
    connector: zendesk
    settings: {subdomain: "{{ env.ZENDESK_SUBDOMAIN }}", base_url: "{{ env.ZENDESK_URL }}"}
    auth: {oauth_client: {client_id: "{{ env.ZENDESK_CLIENT_ID }}", client_secret: "{{ secret.ZENDESK_CLIENT_SECRET }}"}}
"#;

/// A flow of people to contacts, found again by their external id.
const PEOPLE: &str = r#"
flows:
  people:
    from: files.people
    to: oro.contacts
    mode: upsert
    match: {$.externalId: "p:{{ record.id }}"}
    fields:
      externalId: "p:{{ record.id }}"
      firstName: $.first
      lastName: {value: $.last, default: Nobody}
      owner.id: {const: "1"}
      organization.id: {const: "1"}
"#;

/// Stand-ins without tickets, and a pipeline with these sections.
fn rig(sections: &str) -> Rig {
    rig_with(0, sections)
}

fn rig_with(tickets: usize, sections: &str) -> Rig {
    let rig = Rig::new(tickets);
    rig.write(PIPELINE, &format!("{HEAD}{sections}"));
    rig
}

fn run(rig: &Rig, options: &[&str]) -> Ran {
    rig.run_pipeline(PIPELINE, options)
}

fn person(id: u64, first: &str, last: Option<&str>) -> Value {
    json!({"id": id, "first": first, "last": last})
}

/// The attribute of every record of this type that came from the files, by external id.
fn attributes(rig: &Rig, kind: &str, attribute: &str) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = rows(&rig.state("oro"), kind)
        .into_values()
        .filter_map(|row| {
            let external = row["attributes"]["externalId"].as_str()?;
            external
                .starts_with("p:")
                .then(|| (external.to_owned(), row["attributes"][attribute].clone()))
        })
        .collect();
    found.sort_by(|left, right| left.0.cmp(&right.0));
    found
}

fn pairs<const N: usize>(pairs: [(&str, Value); N]) -> Vec<(String, Value)> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// The id of the record with this external id.
fn id_of(rig: &Rig, kind: &str, external: &str) -> String {
    rows(&rig.state("oro"), kind)
        .into_iter()
        .find(|(_, row)| row["attributes"]["externalId"] == external)
        .unwrap_or_else(|| panic!("no {kind} `{external}`"))
        .0
}

#[test]
fn upsert_creates_and_updates_and_finds_what_another_state_made() {
    let rig = rig(PEOPLE);
    rig.write_records(
        "people.ndjson",
        &[person(1, "Ada", Some("L")), person(2, "Bob", None)],
    );
    run(&rig, &[])
        .expect(0)
        .counted("people", "read 2, created 2, writes 2");
    run(&rig, &[])
        .expect(0)
        .counted("people", "read 2, unchanged 2, writes 0");

    rig.write_records(
        "people.ndjson",
        &[
            person(1, "Ada", Some("Lovelace")),
            person(2, "Bob", None),
            person(3, "Cy", None),
        ],
    );
    run(&rig, &["--state", "other.db"]).expect(0).counted(
        "people",
        "read 3, created 1, updated 1, unchanged 1, field_changes 1",
    );
    assert_eq!(
        attributes(&rig, "contacts", "lastName"),
        pairs([
            ("p:1", json!("Lovelace")),
            ("p:2", json!("Nobody")),
            ("p:3", json!("Nobody"))
        ])
    );
}

#[test]
fn insert_never_changes_what_exists() {
    let rig = rig(&PEOPLE.replace("mode: upsert", "mode: insert"));
    rig.write_records("people.ndjson", &[person(1, "Ada", None)]);
    run(&rig, &[]).expect(0).counted("people", "created 1");
    rig.write_records(
        "people.ndjson",
        &[person(1, "Changed", None), person(2, "Bob", None)],
    );
    run(&rig, &[])
        .expect(0)
        .counted("people", "created 1, updated 0, unchanged 1");
    run(&rig, &["--state", "other.db"])
        .expect(0)
        .counted("people", "created 0, updated 0, unchanged 2");
    assert_eq!(
        attributes(&rig, "contacts", "firstName"),
        pairs([("p:1", json!("Ada")), ("p:2", json!("Bob"))])
    );
}

#[test]
fn update_creates_nothing_and_says_what_becomes_of_the_others() {
    let rig = rig(PEOPLE);
    rig.write_records("people.ndjson", &[person(1, "Ada", None)]);
    run(&rig, &[]).expect(0);

    rig.replace(PIPELINE, "mode: upsert", "mode: update");
    rig.replace(PIPELINE, "      externalId: \"p:{{ record.id }}\"\n", "");
    rig.write_records(
        "people.ndjson",
        &[person(1, "Augusta", None), person(2, "Bob", None)],
    );
    run(&rig, &[])
        .expect(3)
        .counted("people", "updated 1, rejected 1");
    for (action, code, counts) in [
        ("skip", 0, "skipped 1, held 0"),
        ("hold", 3, "skipped 0, held 1"),
        ("wait", 0, "held 0, waiting 1"),
    ] {
        let file = format!("{action}.yaml");
        rig.write(
            &format!("mappings/{file}"),
            &rig.read(PIPELINE)
                .replace("mode: update", &format!("mode: update\n    on_none: {action}")),
        );
        rig.run_pipeline(&format!("mappings/{file}"), &["--state", &format!("{action}.db")])
            .expect(code)
            .counted("people", counts);
    }
    assert_eq!(
        attributes(&rig, "contacts", "firstName"),
        pairs([("p:1", json!("Augusta"))])
    );
}

#[test]
fn mirror_deletes_what_the_source_lost_within_its_guard() {
    let rig = rig(r#"
flows:
  notes:
    from: files.notes
    to: oro.cases
    mode: mirror
    guard: {delete_at_most: 1}
    match: {$.externalId: "p:{{ record.id }}"}
    fields:
      externalId: "p:{{ record.id }}"
      subject: $.text
      status.id: {const: open}
      priority.id: {const: normal}
      source.id: {const: other}
"#);
    let note = |id: u64| json!({"id": id, "text": format!("note {id}")});
    rig.write_records("notes.ndjson", &[note(1), note(2), note(3), note(4)]);
    run(&rig, &[]).expect(0).counted("notes", "created 4");
    let others = rows(&rig.state("oro"), "cases").len();

    // What somebody changed in the sink is set right, what is not of this flow stays.
    let id = id_of(&rig, "cases", "p:1");
    rig.edit(
        "oro",
        &json!({"cases": [{"id": id, "attributes": {"subject": "changed here"}}]}),
    );
    rig.write_records("notes.ndjson", &[note(1), note(2)]);
    rig.forget_requests();
    run(&rig, &[]).expect(8).says("delete_at_most").says("2 records");
    assert!(
        !rig.writes("oro").iter().any(|write| write.starts_with("DELETE")),
        "{:?}",
        rig.writes("oro")
    );

    rig.write_records("notes.ndjson", &[note(1), note(2), note(3)]);
    run(&rig, &[])
        .expect(0)
        .counted("notes", "updated 1, deleted 1, unchanged 2");
    assert_eq!(
        attributes(&rig, "cases", "subject"),
        pairs([
            ("p:1", json!("note 1")),
            ("p:2", json!("note 2")),
            ("p:3", json!("note 3"))
        ])
    );
    rig.write_records("notes.ndjson", &[note(1)]);
    run(&rig, &[]).expect(8);
    run(&rig, &["--yes"])
        .expect(0)
        .counted("notes", "deleted 2, unchanged 1");
    assert_eq!(rows(&rig.state("oro"), "cases").len(), others - 3);
}

#[test]
fn a_guard_refuses_before_the_first_write() {
    let rig = rig(&PEOPLE.replace(
        "    mode: upsert",
        "    mode: upsert\n    guard: {change_at_most: 50%}",
    ));
    rig.write_records(
        "people.ndjson",
        &(1..=4).map(|id| person(id, "A", None)).collect::<Vec<_>>(),
    );
    // A share of no linked pairs is nothing.
    run(&rig, &[]).expect(8).says("change_at_most");
    assert_eq!(rig.writes("oro"), [""; 0]);
    run(&rig, &["--dry-run"]).expect(0).counted("people", "created 4");
    run(&rig, &["--yes"]).expect(0).counted("people", "created 4");

    let changed = |count: u64| {
        (1..=4)
            .map(|id| person(id, if id <= count { "B" } else { "A" }, None))
            .collect::<Vec<_>>()
    };
    rig.write_records("people.ndjson", &changed(3));
    rig.forget_requests();
    run(&rig, &[]).expect(8).counted("people", "read 4, unfinished 4");
    assert_eq!(rig.writes("oro"), [""; 0]);
    rig.write_records("people.ndjson", &changed(2));
    run(&rig, &[])
        .expect(0)
        .counted("people", "updated 2, unchanged 2");
}

#[test]
fn write_policies_protect_the_target() {
    let rig = rig(&PEOPLE.replace(
        "      firstName: $.first\n",
        "      firstName: {value: $.first, write: on_create}
      middleName: {value: $.middle, write: if_empty}
      jobTitle: {value: $.job, write: never_null}
      skype: $.skype
",
    ));
    let ada = |first: &str, middle: Value, job: Value, skype: Value| json!({"id": 1, "first": first, "last": "L", "middle": middle, "job": job, "skype": skype});
    let fields = |rig: &Rig| {
        let case = &rows(&rig.state("oro"), "contacts")[&id_of(rig, "contacts", "p:1")]["attributes"];
        ["firstName", "middleName", "jobTitle", "skype"].map(|name| case[name].clone())
    };
    rig.write_records(
        "people.ndjson",
        &[ada("Ada", Value::Null, json!("author"), json!("ada"))],
    );
    run(&rig, &[]).expect(0);
    assert_eq!(
        fields(&rig),
        [json!("Ada"), Value::Null, json!("author"), json!("ada")]
    );

    rig.write_records(
        "people.ndjson",
        &[ada("Other", json!("King"), Value::Null, Value::Null)],
    );
    run(&rig, &[])
        .expect(0)
        .counted("people", "updated 1, field_changes 2");
    assert_eq!(
        fields(&rig),
        [json!("Ada"), json!("King"), json!("author"), Value::Null]
    );

    rig.write_records(
        "people.ndjson",
        &[ada("Other", json!("Queen"), json!("editor"), Value::Null)],
    );
    run(&rig, &[])
        .expect(0)
        .counted("people", "updated 1, field_changes 1");
    assert_eq!(
        fields(&rig),
        [json!("Ada"), json!("King"), json!("editor"), Value::Null]
    );
}

#[test]
fn only_changes_that_matter_are_compared_at_all() {
    let rig = rig(&PEOPLE.replace(
        "    mode: upsert",
        "    mode: upsert\n    only_if_changed: [$.last]",
    ));
    rig.write_records("people.ndjson", &[person(1, "Ada", Some("L"))]);
    run(&rig, &[]).expect(0).counted("people", "created 1");
    rig.write_records("people.ndjson", &[person(1, "Augusta", Some("L"))]);
    rig.forget_requests();
    run(&rig, &[])
        .expect(0)
        .counted("people", "unchanged 1, writes 0");
    assert!(
        !rig.requests("oro")
            .iter()
            .any(|request| request.contains("/contacts")),
        "{:?}",
        rig.requests("oro")
    );
    rig.write_records("people.ndjson", &[person(1, "Augusta", Some("King"))]);
    run(&rig, &[])
        .expect(0)
        .counted("people", "updated 1, field_changes 2");
}

#[test]
fn conditions_see_what_stands_in_the_target() {
    let rig = rig(&PEOPLE.replace(
        "    mode: upsert",
        "    mode: upsert\n    require:\n      - {that: \"{{ not target or target.lastName == fields.lastName or record.renamed }}\", else: \"{{ target.lastName }} may not become {{ fields.lastName }}\"}",
    ));
    rig.write_records("people.ndjson", &[person(1, "Ada", Some("L"))]);
    run(&rig, &[]).expect(0);
    let mut ada = person(1, "Ada", Some("King"));
    rig.write_records("people.ndjson", &[ada.clone()]);
    run(&rig, &[]).expect(3).counted("people", "rejected 1, writes 0");
    assert_eq!(
        rig.queued(PIPELINE, "reason"),
        [(
            "1".to_owned(),
            "rejected".to_owned(),
            json!("L may not become King")
        )]
    );
    ada["renamed"] = json!(true);
    rig.write_records("people.ndjson", &[ada]);
    run(&rig, &[]).expect(0).counted("people", "updated 1");
    assert_eq!(rig.queue(PIPELINE), [] as [Value; 0]);
}

#[test]
fn several_records_that_fit_go_where_the_flow_says() {
    for (action, code, counts) in [
        ("reject", 3, "rejected 1, updated 0"),
        ("hold", 3, "held 1, updated 0"),
        ("skip", 0, "skipped 1, updated 0"),
        ("first", 0, "updated 1, writes 1"),
        ("all", 0, "updated 1, writes 2"),
    ] {
        let flow = PEOPLE
            .replace(
                "    mode: upsert",
                &format!("    mode: update\n    on_many: {action}\n    normalize: [trim, lower]"),
            )
            .replace(
                "{$.externalId: \"p:{{ record.id }}\"}",
                "{$.primaryEmail: $.email}",
            )
            .replace("      externalId: \"p:{{ record.id }}\"\n", "");
        let rig = rig(&flow);
        let twin = |external: &str| {
            json!({"attributes": {"externalId": external, "firstName": "Old", "lastName": "Nobody", "primaryEmail": "twin@example.com"},
            "relationships": {"owner": {"data": {"type": "users", "id": "1"}}, "organization": {"data": {"type": "organizations", "id": "1"}}}})
        };
        rig.edit("oro", &json!({"contacts": [twin("p:a"), twin("p:b")]}));
        rig.write_records(
            "people.ndjson",
            &[json!({"id": 1, "first": "New", "email": "twin@example.com"})],
        );
        run(&rig, &[]).expect(code).counted("people", counts);
        let expected = match action {
            "first" => ["New", "Old"],
            "all" => ["New", "New"],
            _ => ["Old", "Old"],
        };
        assert_eq!(
            attributes(&rig, "contacts", "firstName"),
            pairs([("p:a", json!(expected[0])), ("p:b", json!(expected[1]))]),
            "{action}"
        );
    }
}

/// Notes become cases; their contacts are linked through the people's flow.
const LINKED: &str = r#"
  notes:
    from: files.notes
    to: oro.cases
    mode: upsert
    match: {$.externalId: "p:{{ record.id }}"}
    fields:
      externalId: "p:{{ record.id }}"
      subject: $.text
      status.id: {const: open}
      priority.id: {const: normal}
      source.id: {const: other}
      relatedContact.id: {link: people, key: $.by, write: never_null}
"#;

#[test]
fn a_record_waits_for_what_it_is_linked_to() {
    // The linking flow stands first in the file; it runs last.
    let flows = format!("flows:{LINKED}{}", PEOPLE.replace("flows:\n", ""));
    let rig = rig(&flows);
    rig.write_records("people.ndjson", &[person(1, "Ada", None)]);
    rig.write_records(
        "notes.ndjson",
        &[
            json!({"id": 1, "text": "of Ada", "by": 1}),
            json!({"id": 2, "text": "of Bob", "by": 2}),
        ],
    );
    run(&rig, &[])
        .expect(0)
        .counted("notes", "created 1, waiting 1, rejected 0");
    assert_eq!(
        rig.queued(PIPELINE, "field"),
        [("2".to_owned(), "waiting".to_owned(), json!("relatedContact.id"))]
    );
    run(&rig, &[]).expect(0).counted("notes", "created 0, waiting 1");
    run(&rig, &["--strict"]).expect(3);

    rig.write_records("people.ndjson", &[person(1, "Ada", None), person(2, "Bob", None)]);
    run(&rig, &[]).expect(0).counted("notes", "created 1, waiting 0");
    assert_eq!(rig.queue(PIPELINE), [] as [Value; 0]);
    let state = rig.state("oro");
    let case = &rows(&state, "cases")[&id_of(&rig, "cases", "p:2")];
    assert_eq!(case["to_one"]["relatedContact"], id_of(&rig, "contacts", "p:2"));
}

#[test]
fn a_missing_link_may_be_done_without() {
    let flows = format!(
        "{PEOPLE}{}",
        LINKED.replace("write: never_null", "on_none: clear")
    );
    let rig = rig(&flows);
    rig.write_records("people.ndjson", &[]);
    rig.write_records("notes.ndjson", &[json!({"id": 1, "text": "of nobody", "by": 9})]);
    run(&rig, &[]).expect(0).counted("notes", "created 1");
}

#[test]
fn a_person_is_created_once_for_all_records_that_need_him() {
    let sections = format!(
        "{}flows:{}",
        r#"
lookups:
  contact:
    in: oro.contacts
    match: $.primaryEmail
    normalize: [trim, lower]
    on_many: first
    on_none:
      create:
        firstName: "{{ given | lower }}"
        primaryEmail: "{{ given | trim }}"
        emails: "{{ [{'email': given | trim}] }}"
        owner.id: {const: "1"}
        organization.id: {const: "1"}
"#,
        LINKED.replace(
            "{link: people, key: $.by, write: never_null}",
            "{value: $.email, lookup: contact}"
        )
    );
    let rig = rig(&sections);
    let note = |id: u64, email: &str, text: Value| json!({"id": id, "text": text, "email": email});
    rig.write_records(
        "notes.ndjson",
        &[
            note(1, "new@example.com", json!("a")),
            note(2, " NEW@example.com", json!("b")),
            // No case comes of this one, so no contact either.
            note(3, "unneeded@example.com", Value::Null),
        ],
    );
    run(&rig, &["--dry-run"]).expect(3);
    assert_eq!(rig.writes("oro"), [""; 0]);
    let ran = run(&rig, &[])
        .expect(3)
        .counted("notes", "created 2, rejected 1, writes 3");
    assert_eq!(
        ran.summary["flows"][0]["references_created"]["contact"], 1,
        "{}",
        ran.summary
    );
    let emails: Vec<Value> = rows(&rig.state("oro"), "contacts")
        .into_values()
        .map(|contact| contact["attributes"]["primaryEmail"].clone())
        .filter(|email| email == "new@example.com" || email == "unneeded@example.com")
        .collect();
    assert_eq!(emails, [json!("new@example.com")]);
}

/// Contacts become tickets of the other stand-in, which freezes closed ones.
const TICKETS: &str = r#"
flows:
  notes:
    from: files.notes
    to: zendesk.tickets
    mode: upsert
    on_frozen: hold
    match: {$.external_id: "p:{{ record.id }}"}
    fields:
      external_id: "p:{{ record.id }}"
      subject: $.text
      comment.body: {value: $.text, write: on_create}
"#;

#[test]
fn what_can_no_longer_be_changed_goes_where_the_flow_says() {
    let rig = rig(TICKETS);
    rig.write_records("notes.ndjson", &[json!({"id": 1, "text": "first"})]);
    run(&rig, &[]).expect(0).counted("notes", "created 1");
    let ticket: u64 = rows(&rig.state("zendesk"), "tickets")
        .into_iter()
        .find(|(_, ticket)| ticket["external_id"] == "p:1")
        .unwrap()
        .0
        .parse()
        .unwrap();
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": ticket, "status": "closed"}]}),
    );
    rig.write_records("notes.ndjson", &[json!({"id": 1, "text": "second"})]);
    run(&rig, &["--dry-run"]).expect(3).counted("notes", "held 1");
    for (action, code, counts) in [
        ("skip", 0, "skipped 1"),
        ("reject", 3, "rejected 1"),
        ("hold", 3, "held 1"),
    ] {
        rig.replace(PIPELINE, "on_frozen: ", "on_frozen: #");
        rig.replace(PIPELINE, "on_frozen: #", &format!("on_frozen: {action} #"));
        run(&rig, &[])
            .expect(code)
            .counted("notes", counts)
            .counted("notes", "writes 0");
    }
    assert_eq!(
        rows(&rig.state("zendesk"), "tickets")[&ticket.to_string()]["subject"],
        "first"
    );
}

#[test]
fn a_record_deleted_at_the_source_is_kept_unlinked_or_deleted() {
    let cases = r#"
flows:
  cases:
    from: zendesk.tickets
    to: oro.cases
    mode: upsert
    on_delete: ACTION
    guard: {delete_at_most: 5}
    match: {$.externalId: "p:{{ record.id }}"}
    fields:
      externalId: "p:{{ record.id }}"
      subject: {value: $.subject, default: none, on_too_long: {truncate: 255}}
      status.id: {const: open}
      priority.id: {const: normal}
      source.id: {const: other}
"#;
    for (action, counts) in [
        ("keep", "unchanged 1, deleted 0"),
        ("unlink", "deleted 1, writes 0"),
        ("delete", "deleted 1, writes 1"),
    ] {
        let rig = rig_with(12, &cases.replace("ACTION", action));
        run(&rig, &[]).expect(0);
        let ticket: u64 = rows(&rig.state("zendesk"), "tickets")
            .into_iter()
            .find(|(_, ticket)| {
                ["new", "open", "pending", "solved"].contains(&ticket["status"].as_str().unwrap())
            })
            .unwrap()
            .0
            .parse()
            .unwrap();
        let case = format!("p:{ticket}");
        rig.edit("zendesk", &json!({"delete": [ticket]}));
        run(&rig, &[]).expect(0).counted("cases", counts);
        let there = rows(&rig.state("oro"), "cases")
            .into_values()
            .any(|row| row["attributes"]["externalId"] == *case);
        assert_eq!(there, action != "delete", "{action}");
    }
}
