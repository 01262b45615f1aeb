//! The main job: every ticket becomes a case, once; a second run writes nothing; edits travel field by field.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::oracle::{actual, assert_in_step, expected, rows};
use crate::rig::Rig;

#[test]
fn every_ticket_becomes_the_case_that_the_tables_ask_for() {
    let rig = Rig::new(60);
    let ran = rig.run(&[]).expect(0);

    let (zendesk, oro) = (rig.state("zendesk"), rig.state("oro"));
    assert_in_step(&zendesk, &oro);
    assert_eq!(
        ran.count("cases.to_local.created"),
        expected(&zendesk, &oro).len() as u64
    );
    assert!(ran.stdout.contains("snapshots"), "{}", ran.stdout);
}

#[test]
fn a_second_run_writes_nothing() {
    let rig = Rig::new(40);
    rig.run(&[]).expect(0);
    let before = rig.state("oro");
    rig.forget_requests();

    let ran = rig.run(&[]).expect(0);

    assert_eq!(rig.writes("oro"), [""; 0]);
    assert_eq!(rig.writes("zendesk"), [""; 0]);
    assert_eq!(rig.state("oro"), before);
    assert_eq!(ran.count("cases.to_local.writes"), 0);
}

#[test]
fn a_full_run_compares_everything_and_writes_nothing() {
    let rig = Rig::new(40);
    let first = rig.run(&[]).expect(0);
    let before = rig.state("oro");
    rig.forget_requests();

    let ran = rig.run(&["--full"]).expect(0);

    assert_eq!(rig.writes("oro"), [""; 0]);
    assert_eq!(rig.state("oro"), before);
    assert_eq!(
        ran.count("cases.to_local.unchanged"),
        first.count("cases.to_local.created")
    );
}

#[test]
fn edits_update_exactly_the_fields_that_changed() {
    let rig = Rig::new(60);
    rig.run(&[]).expect(0);
    let editable: Vec<u64> = rows(&rig.state("zendesk"), "tickets")
        .into_iter()
        .filter(|(_, ticket)| ticket["status"] == "open" && ticket["subject"] != "SCRUBBED")
        .map(|(id, _)| id.parse().unwrap())
        .take(3)
        .collect();
    let [first, second, third] = editable[..] else {
        panic!("too few open tickets: {editable:?}")
    };
    let before = cases(&rig.state("oro"));
    rig.edit(
        "zendesk",
        &json!({"tickets": [
            {"id": first, "subject": "a new subject"},
            {"id": second, "status": "pending", "priority": other_priority(&rig, second)},
            {"id": third, "tags": ["only-tags-changed"]},
        ]}),
    );

    let ran = rig.run(&[]).expect(0);

    let after = cases(&rig.state("oro"));
    let mut changed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, case) in &after {
        let fields = differing(&before[id], case);
        if !fields.is_empty() {
            changed.insert(id.clone(), fields);
        }
    }
    assert_eq!(
        changed,
        BTreeMap::from([
            (format!("zd:{first}"), vec!["subject".to_owned()]),
            (
                format!("zd:{second}"),
                vec!["priority".to_owned(), "status".to_owned()]
            ),
        ])
    );
    assert_eq!(ran.count("cases.to_local.updated"), 2);
    assert_eq!(ran.count("cases.to_local.field_changes"), 3);
    assert_eq!(ran.count("cases.to_local.created"), 0);
}

#[test]
fn an_edit_in_the_target_survives_until_the_source_changes_that_field() {
    let rig = Rig::new(20);
    rig.run(&[]).expect(0);
    let (id, case) = rows(&rig.state("oro"), "cases")
        .into_iter()
        .find(|(_, case)| case["attributes"]["externalId"].is_string())
        .unwrap();
    let ticket: u64 = case["attributes"]["externalId"].as_str().unwrap()[3..]
        .parse()
        .unwrap();
    rig.edit(
        "oro",
        &json!({"cases": [{"id": id, "attributes": {"description": "rewritten in the target"}}]}),
    );
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": ticket, "subject": "changed in the source"}]}),
    );

    rig.run(&[]).expect(0);

    let case = &rows(&rig.state("oro"), "cases")[&id];
    assert_eq!(case["attributes"]["subject"], "changed in the source");
    assert_eq!(case["attributes"]["description"], "rewritten in the target");
}

#[test]
fn one_record_can_be_run_alone_without_moving_the_cursor() {
    let rig = Rig::new(20);
    let open = rows(&rig.state("zendesk"), "tickets")
        .into_iter()
        .find(|(_, ticket)| ticket["status"] == "open")
        .unwrap()
        .0;

    let ran = rig.run(&["--only", &open]).expect(0);

    assert_eq!(
        actual(&rig.state("oro")).keys().collect::<Vec<_>>(),
        [&format!("zd:{open}")]
    );
    assert_eq!(ran.count("cases.to_local.created"), 1);
    let rest = rig.run(&[]).expect(0);
    assert_eq!(
        rest.count("cases.to_local.created") + 1,
        actual(&rig.state("oro")).len() as u64
    );
}

#[test]
fn a_limited_run_is_continued_by_the_next() {
    let rig = Rig::new(40);
    let first = rig.run(&["--limit", "10"]);
    assert!(first.count("cases.to_local.read") >= 10, "{}", first.summary);
    rig.run(&[]).expect(0);
    rig.assert_in_step();
}

#[test]
fn a_dry_run_writes_nothing_anywhere() {
    let rig = Rig::new(20);
    let before = rig.state("oro");

    let ran = rig.run(&["--dry-run"]).expect(0);

    assert_eq!(rig.writes("oro"), [""; 0]);
    assert_eq!(rig.state("oro"), before);
    assert!(ran.count("cases.to_local.created") > 0, "{}", ran.summary);
    let files: Vec<_> = rig
        .written_files()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !path.ends_with("summary.json"))
        .collect();
    assert!(files.is_empty(), "a dry run left {files:?}");
}

/// Cases by external id, all fields in one map.
fn cases(oro: &Value) -> BTreeMap<String, BTreeMap<String, Value>> {
    rows(oro, "cases")
        .into_values()
        .filter_map(|case| {
            let external = case["attributes"]["externalId"].as_str()?.to_owned();
            let fields = ["attributes", "to_one", "to_many"]
                .into_iter()
                .flat_map(|part| case[part].as_object().unwrap())
                .filter(|(name, _)| *name != "updatedAt")
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            Some((external, fields))
        })
        .collect()
}

fn differing(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .cloned()
        .collect()
}

/// A priority that becomes another one in the target, too.
fn other_priority(rig: &Rig, ticket: u64) -> &'static str {
    match rows(&rig.state("zendesk"), "tickets")[&ticket.to_string()]["priority"].as_str() {
        Some("low") => "high",
        _ => "low",
    }
}
