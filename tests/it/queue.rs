//! Records that cannot be mapped: they wait with their reason, are shown, and go through once the mapping is right.

use serde_json::{Value, json};

use crate::rig::{PIPELINE, Rig};

/// A rig in which three tickets have a status that the mapping does not list.
fn three_unmappable() -> (Rig, Vec<u64>) {
    let rig = Rig::new(30);
    rig.replace(PIPELINE, "pending: in_progress, ", "");
    let tickets: Vec<u64> = crate::oracle::rows(&rig.state("zendesk"), "tickets")
        .into_iter()
        .filter(|(_, ticket)| ticket["status"] == "pending")
        .map(|(id, _)| id.parse().unwrap())
        .collect();
    let keep = tickets.iter().take(3).copied().collect::<Vec<_>>();
    let solved: Vec<Value> = tickets
        .iter()
        .skip(3)
        .map(|id| json!({"id": id, "status": "solved"}))
        .collect();
    rig.edit("zendesk", &json!({"tickets": solved}));
    assert_eq!(keep.len(), 3, "the data set has too few pending tickets");
    (rig, keep)
}

#[test]
fn unmappable_tickets_end_with_3_and_wait_until_the_mapping_is_fixed() {
    let (rig, tickets) = three_unmappable();
    let ran = rig.run(&[]).expect(3);
    assert_eq!(ran.count("cases.rejected"), 3);
    assert!(ran.stdout.contains("crosswalk queue list"), "{}", ran.stdout);

    let listed = rig
        .crosswalk(&["queue", "list", PIPELINE, "--format", "json"])
        .expect(0);
    let items: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    let mut keys: Vec<u64> = items
        .iter()
        .map(|item| item["key"].as_str().unwrap().parse().unwrap())
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, tickets);
    for item in &items {
        assert_eq!(item["kind"], "rejected");
        assert_eq!(item["field"], "status.id");
        assert_eq!(item["value"], "pending");
    }

    rig.replace(PIPELINE, "open: open, ", "open: open, pending: in_progress, ");
    let ran = rig.run(&[]).expect(0);
    assert_eq!(ran.count("cases.retried"), 3);
    assert_eq!(ran.count("cases.created"), 3);
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
        shown.stdout.contains("status.id") && shown.stdout.contains("pending"),
        "{}",
        shown.stdout
    );
    rig.crosswalk(&["queue", "drop", PIPELINE, &key]).expect(0);
    rig.crosswalk(&["queue", "show", PIPELINE, &key]).expect(2);

    let ran = rig.run(&[]).expect(3);
    assert_eq!(ran.count("cases.retried"), 2);
    assert_eq!(ran.count("cases.rejected"), 2);
}

#[test]
fn too_many_rejects_stop_the_run_with_4() {
    let (rig, _) = three_unmappable();
    let pipeline = rig.read(PIPELINE);
    assert!(
        !pipeline.contains("\nrejects:"),
        "the shipped pipeline says `rejects`; change this test"
    );
    rig.replace(PIPELINE, "\nflows:", "\nrejects: {allow: 1}\nflows:");
    rig.run(&[]).expect(4);
}
