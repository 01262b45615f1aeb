//! Situations: what there is to do when a run is killed.

use serde_json::{Value, json};

use crate::folder::CONVERSION;
use crate::oracle::rows;
use crate::rig::{PIPELINE, Rig};
use crate::{bulk, children};

/// What there is to do.
pub(super) struct Situation {
    pub(super) name: &'static str,
    /// The pipeline's file and name.
    pub(super) pipeline: &'static str,
    pub(super) called: &'static str,
    pub(super) options: &'static [&'static str],
    pub(super) tickets: usize,
    /// Brings folder and systems to where the run begins.
    pub(super) set_up: fn(&Rig),
    /// The run under test comes after one that was killed here.
    pub(super) after_kill: Option<(&'static str, usize)>,
}

const BOTH_WAYS: Situation = Situation {
    name: "",
    pipeline: PIPELINE,
    called: "zendesk-oro",
    options: &["--flow", "cases"],
    tickets: 6,
    set_up: |_| {},
    after_kill: None,
};

/// Cases become tickets.
pub(super) const PUBLISHING: Situation = Situation {
    name: "publishing",
    options: &["--flow", "cases", "--set", "publish=all"],
    set_up: |rig| {
        rig.run(&[]).expect(0);
        office_cases(rig, 3, "today");
    },
    ..BOTH_WAYS
};

/// Everything that a run can meet.
pub(super) static SITUATIONS: &[Situation] = &[
    Situation {
        name: "first_sync",
        ..BOTH_WAYS
    },
    Situation {
        name: "edits",
        tickets: 14,
        set_up: edit_both_sides,
        ..BOTH_WAYS
    },
    PUBLISHING,
    Situation {
        name: "hold",
        tickets: 14,
        set_up: |rig| {
            edit_both_sides(rig);
            rig.replace(PIPELINE, "conflict: remote_wins ", "conflict: hold ");
        },
        ..BOTH_WAYS
    },
    Situation {
        name: "deletion",
        tickets: 14,
        set_up: delete_on_both_sides,
        ..BOTH_WAYS
    },
    Situation {
        name: "one_way",
        pipeline: children::PIPELINE,
        options: &[],
        called: "children",
        tickets: 5,
        set_up: children_that_are_found_again,
        ..BOTH_WAYS
    },
    Situation {
        name: "bulk",
        pipeline: bulk::PIPELINE,
        options: &[],
        called: "bulk",
        set_up: |rig| {
            rig.write(bulk::PIPELINE, &bulk::creating());
            bulk::write_notes(rig, &[1, 2, 3, 4, 5, 6, 7]);
        },
        ..BOTH_WAYS
    },
    Situation {
        name: "file",
        pipeline: CONVERSION,
        called: "conversion",
        options: &[],
        tickets: 4,
        set_up: file_to_file,
        ..BOTH_WAYS
    },
    Situation {
        name: "after_a_kill",
        after_kill: Some(("response_received", 3)),
        ..BOTH_WAYS
    },
    Situation {
        name: "after_a_publish",
        options: &["--flow", "cases", "--set", "publish=all"],
        set_up: |rig| {
            rig.run(&[]).expect(0);
            office_cases(rig, 2, "today");
        },
        after_kill: Some(("response_received", 2)),
        ..BOTH_WAYS
    },
];

/// Tickets that can be changed, with the cases that they became.
fn pairs(rig: &Rig) -> Vec<(u64, String)> {
    let tickets = rows(&rig.state("zendesk"), "tickets");
    let cases = rows(&rig.state("oro"), "cases").into_iter();
    let pairs = cases.filter_map(|(case, row)| {
        let ticket = row["attributes"]["externalId"]
            .as_str()?
            .strip_prefix("zd:")?
            .to_owned();
        let open = !["closed", "deleted"]
            .iter()
            .any(|status| tickets[&ticket]["status"] == *status);
        open.then(|| (ticket.parse().unwrap(), case))
    });
    pairs.collect()
}

/// Two tickets, two cases, and one pair on both sides.
fn edit_both_sides(rig: &Rig) {
    rig.run(&[]).expect(0);
    let pairs = pairs(rig);
    let [a, b, c, d, e] = &pairs[..5] else {
        panic!("too few pairs that can be edited")
    };
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": a.0, "subject": "an agent's"}, {"id": b.0, "priority": "urgent", "status": "hold"},
            {"id": e.0, "subject": "the agent's of both"}]}),
    );
    rig.edit(
        "oro",
        &json!({"cases": [
            {"id": c.1, "attributes": {"subject": "an officer's"}},
            {"id": d.1, "relationships": {"status": {"data": {"type": "casestatuses", "id": "resolved"}}}},
            {"id": e.1, "attributes": {"subject": "the officer's of both"}}]}),
    );
}

/// Cases of people who called, not yet tickets.
pub(super) fn office_cases(rig: &Rig, count: usize, when: &str) {
    let contact = |number: usize| {
        let address = format!("caller{number}-{}@example.net", when.replace(' ', "-"));
        let made = rig.edit(
            "oro",
            &json!({"contacts": [{"attributes": {"firstName": "Caller", "lastName": format!("Number {number} {when}"),
                "primaryEmail": address, "emails": [{"email": address}]}}]}),
        );
        made["contacts"][0].as_str().unwrap().to_owned()
    };
    let cases: Vec<Value> = (1..=count)
        .map(|number| {
            json!({"attributes": {"subject": format!("Call {number} {when}"), "description": "They will call back."},
                "relationships": {"status": {"data": {"type": "casestatuses", "id": "open"}},
                    "priority": {"data": {"type": "casepriorities", "id": "normal"}},
                    "relatedContact": {"data": {"type": "contacts", "id": contact(number)}},
                    "source": {"data": {"type": "casesources", "id": "phone"}}}})
        })
        .collect();
    rig.edit("oro", &json!({ "cases": cases }));
}

/// A ticket whose case is deleted with it, and a case whose ticket stays; all of it is weighed first.
fn delete_on_both_sides(rig: &Rig) {
    rig.run(&[]).expect(0);
    let pairs = pairs(rig);
    rig.edit("zendesk", &json!({"delete": [pairs[0].0]}));
    rig.edit("oro", &json!({"delete": {"cases": [pairs[1].1]}}));
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": pairs[1].0, "subject": "its case is gone"}]}),
    );
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": pairs[2].0, "subject": "edited"}]}),
    );
    let text = rig.read(PIPELINE);
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with("on_delete:"))
        .unwrap();
    rig.replace(
        PIPELINE,
        line,
        "    on_delete: {local: delete, remote: unlink}\n    guard: {change_at_most: 100, delete_at_most: 3}",
    );
}

/// Remarks of tickets become remarks of cases, found again by what they say.
fn children_that_are_found_again(rig: &Rig) {
    children::prepare(rig);
    rig.replace(
        "mappings/connectors/oro.yaml",
        "create: {post: /casecomments, uses: [account]}",
        "find: {$.case.id: {get: /casecomments, query: {\"filter[case]\": \"{{ values | join(',') }}\", sort: id, \"page[size]\": 100}, at_most: 25, uses: [account], pages: {after_key: {query: \"filter[id][gt]\", key: $.id}}}}\n    create: {post: /casecomments, uses: [account], find_again: {by: $.case.id, same: [$.message, $.public], made: $.createdAt}}",
    );
}

fn file_to_file(rig: &Rig) {
    let record = |number: u64, name: &str| json!({"id": number, "name": name});
    let rest =
        "flows: {people: {from: files.in, to: files.out, mode: insert, fields: {id: $.id, name: $.name}}}\n";
    rig.convert(&[record(1, "Ann"), record(2, "Bob")], rest).expect(0);
    rig.write_records("in.ndjson", &[record(2, "Bob"), record(3, "Cy"), record(4, "Di")]);
}
