//! Records that cannot be mapped: they wait with their reason, are shown, and go through once the mapping is right.

use serde_json::{Value, json};

use crate::rig::{PIPELINE, Rig};

/// A rig in which exactly three tickets have a priority that the mapping does not list.
fn three_unmappable() -> (Rig, Vec<u64>) {
    let rig = Rig::new(30);
    rig.replace(PIPELINE, ", urgent: high}", "}");
    let urgent: Vec<u64> = crate::oracle::rows(&rig.state("zendesk"), "tickets")
        .into_iter()
        .filter(|(_, ticket)| ticket["priority"] == "urgent" && ticket["subject"] != "SCRUBBED")
        .filter(|(_, ticket)| ticket["status"] != "deleted")
        .map(|(id, _)| id.parse().unwrap())
        .collect();
    let (keep, others) = urgent.split_at_checked(3).expect("three urgent tickets");
    let calm: Vec<Value> = others
        .iter()
        .map(|id| json!({"id": id, "priority": "high"}))
        .collect();
    if !calm.is_empty() {
        rig.edit("zendesk", &json!({"tickets": calm}));
    }
    let mut keep = keep.to_vec();
    keep.sort_unstable();
    (rig, keep)
}

#[test]
fn unmappable_tickets_end_with_3_and_wait_until_the_mapping_is_fixed() {
    let (rig, tickets) = three_unmappable();
    let ran = rig.run(&[]).expect(3);
    assert_eq!(ran.count("cases.to_local.rejected"), 3);
    assert!(ran.stdout.contains("crosswalk queue list"), "{}", ran.stdout);

    let listed = rig
        .crosswalk(&["queue", "list", PIPELINE, "--format", "json"])
        .expect(0);
    let items: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    let mut keys: Vec<u64> = items
        .iter()
        .map(|item| {
            item["key"]
                .as_str()
                .unwrap()
                .strip_prefix("remote:")
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, tickets);
    for item in &items {
        assert_eq!(item["kind"], "rejected");
        assert_eq!(item["field"], "priority.id");
        assert_eq!(item["value"], "urgent");
    }

    rig.replace(PIPELINE, "high: high}", "high: high, urgent: high}");
    let ran = rig.run(&[]).expect(0);
    assert_eq!(ran.count("cases.to_local.retried"), 3);
    assert_eq!(ran.count("cases.to_local.created"), 3);
    rig.assert_in_step();
    let listed = rig.crosswalk(&["queue", "list", PIPELINE]).expect(0);
    assert_eq!(listed.stdout, "the queue is empty\n");
}

#[test]
fn a_waiting_record_is_shown_and_can_be_dropped() {
    let (rig, tickets) = three_unmappable();
    rig.run(&[]).expect(3);
    let key = tickets[0].to_string();

    let shown = rig.crosswalk(&["queue", "show", PIPELINE, &key]).expect(0);
    assert!(
        shown.stdout.contains("priority.id") && shown.stdout.contains("urgent"),
        "{}",
        shown.stdout
    );
    rig.crosswalk(&["queue", "drop", PIPELINE, &key]).expect(0);
    rig.crosswalk(&["queue", "show", PIPELINE, &key]).expect(2);

    let ran = rig.run(&[]).expect(3);
    assert_eq!(ran.count("cases.to_local.retried"), 2);
    assert_eq!(ran.count("cases.to_local.rejected"), 2);
}

#[test]
fn too_many_rejects_stop_the_run_with_4() {
    let (rig, _) = three_unmappable();
    rig.replace(PIPELINE, "rejects: {allow: 100,", "rejects: {allow: 2,");
    rig.run(&[]).expect(4);
}

/// What the log says of records that go to the queue.
fn warned(ran: &crate::rig::Ran) -> Vec<Value> {
    let lines = ran
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["message"] == "A record goes to the queue.")
        .collect()
}

#[test]
fn problems_with_records_are_logged_where_the_pipeline_asks_for_it() {
    let (rig, tickets) = three_unmappable();
    let as_json = ["--log-format", "json"];
    assert_eq!(
        warned(&rig.run(&as_json).expect(3)),
        [Value::Null; 0],
        "not asked for"
    );

    rig.replace(PIPELINE, "\nrejects:", "\nlog_warnings: true\nrejects:");
    let warned = warned(&rig.run(&as_json).expect(3));

    let mut keys: Vec<u64> = warned
        .iter()
        .map(|line| line["key"].as_str().unwrap().parse().unwrap())
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, tickets);
    for line in &warned {
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["flow"], "cases.to_local");
        assert_eq!(line["kind"], "rejected");
        assert_eq!(line["field"], "priority.id");
        assert_eq!(line["rule"], "enum priority_to_oro");
        assert_eq!(line["value"], "urgent");
        assert!(
            line["reason"].as_str().is_some_and(|reason| !reason.is_empty()),
            "{line}"
        );
    }
}

#[test]
fn a_logged_problem_masks_what_is_private() {
    let folder = crate::folder::Folder::new();
    let ran = folder
        .convert(
            &[json!({"id": 1, "nickname": "Rumpelstiltskin"})],
            "log_warnings: true
enums:
  known: {values: {Tom: thomas}}
flows:
  people: {from: files.in, to: files.out, mode: insert, pii: {$.nickname: mask}, fields: {id: $.id, name: {value: $.nickname, enum: known}}}
",
        )
        .expect(3)
        .says("A record goes to the queue.")
        .says("enum known");
    assert!(!ran.stderr.contains("Rumpelstiltskin"), "{}", ran.stderr);
}
