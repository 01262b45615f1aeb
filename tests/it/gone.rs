//! Records that end: deleted, scrubbed, merged, closed and archived tickets, deleted cases. Each is treated as declared,
//! before two records are linked and after, and never silently.

use serde_json::{Value, json};

use crate::oracle::rows;
use crate::rig::{ONE_WAY, PIPELINE, Rig};
use crate::two_way::{assert_quiet, case_of, edit_case, linked, open_tickets, sync, ticket};

/// Whether a ticket has a case.
fn has_case(rig: &Rig, ticket: u64) -> bool {
    let wanted = format!("zd:{ticket}");
    rows(&rig.state("oro"), "cases")
        .into_values()
        .any(|case| case["attributes"]["externalId"] == wanted.as_str())
}

/// The link of a ticket, as `links list` tells it.
fn link_of(rig: &Rig, ticket: u64) -> Value {
    let ticket = ticket.to_string();
    let listed = rig.crosswalk(&[
        "links", "list", PIPELINE, "cases", "--key", &ticket, "--ended", "--format", "json",
    ]);
    serde_json::from_str(&listed.expect(0).stdout).unwrap()
}

fn open_ticket(rig: &Rig) -> u64 {
    open_tickets(rig, 1)[0]
}

/// A ticket that ends like this never becomes a case.
fn ends_before_it_is_linked(edit: impl Fn(u64) -> Value) {
    let rig = Rig::new(20);
    let id = open_ticket(&rig);
    rig.edit("zendesk", &edit(id));
    let ran = sync(&rig, &[]).expect(0);
    assert!(!has_case(&rig, id));
    assert!(ran.count("cases.to_local.filtered") > 0);
}

/// A ticket that ends like this leaves its case as it is; later edits of the case are told, not sent.
fn ends_after_it_was_linked(edit: impl Fn(u64) -> Value) {
    let rig = linked(20);
    let id = open_ticket(&rig);
    let (_, before) = case_of(&rig, id);
    rig.edit("zendesk", &edit(id));

    let ran = sync(&rig, &[]).expect(0);

    assert_eq!(ran.count("cases.to_local.deleted"), 1);
    assert_eq!(case_of(&rig, id).1["attributes"], before["attributes"]);
    assert!(
        link_of(&rig, id).to_string().contains("ended"),
        "{}",
        link_of(&rig, id)
    );
    edit_case(&rig, id, &json!({"subject": "after the end"}), &[]);
    rig.forget_requests();
    let ran = sync(&rig, &[]).expect(0);
    assert_eq!(rig.writes("zendesk"), [""; 0]);
    assert!(ran.count("cases.to_remote.skipped") > 0, "{}", ran.summary);
}

#[test]
fn a_deleted_ticket_never_becomes_a_case_and_leaves_the_one_it_has() {
    let delete = |id: u64| json!({"delete": [id]});
    ends_before_it_is_linked(delete);
    ends_after_it_was_linked(delete);
}

#[test]
fn a_scrubbed_ticket_never_becomes_a_case_and_its_mask_travels_nowhere() {
    let scrub = |id: u64| json!({"delete": [id], "scrub": [id]});
    ends_before_it_is_linked(scrub);
    ends_after_it_was_linked(scrub);
}

#[test]
fn a_ticket_that_no_feed_shows_any_more_is_missed_when_its_case_changes() {
    let rig = linked(20);
    let id = open_ticket(&rig);
    let (case, _) = case_of(&rig, id);
    rig.edit("zendesk", &json!({"delete": [id]}));
    edit_case(&rig, id, &json!({"subject": "nobody reads it"}), &[]);

    // Only the case is read; the ticket is asked for by its key, and there is none.
    let ran = sync(&rig, &["--only", &format!("oro:{case}")]).expect(0);

    assert_eq!(ran.count("cases.to_remote.read"), 1);
    assert_eq!(ran.count("cases.to_remote.skipped"), 1);
    assert!(link_of(&rig, id).to_string().contains("ended"));
    assert!(has_case(&rig, id), "the case stays");
}

#[test]
fn a_deleted_record_that_is_asked_for_ends_its_link() {
    let rig = linked(20);
    let id = open_ticket(&rig);
    rig.edit("zendesk", &json!({"delete": [id]}));
    let ran = sync(&rig, &["--only", &format!("remote:{id}")]).expect(0);
    assert_eq!(ran.count("cases.to_local.deleted"), 1);
    assert!(link_of(&rig, id).to_string().contains("ended"));
}

#[test]
fn a_merged_ticket_closes_its_case_and_takes_no_edits() {
    let rig = linked(20);
    let [source, into] = open_tickets(&rig, 2)[..] else {
        unreachable!()
    };
    let (_, kept) = case_of(&rig, into);
    rig.edit("zendesk", &json!({"merge": [{"source": source, "into": into}]}));
    sync(&rig, &[]).expect(0);
    assert_eq!(case_of(&rig, source).1["to_one"]["status"], "closed");
    assert_eq!(case_of(&rig, into).1["to_one"], kept["to_one"]);
    held_when_edited(&rig, source);
}

#[test]
fn a_ticket_that_was_merged_or_closed_before_becomes_a_closed_case() {
    let rig = Rig::new(20);
    let [source, into, closed] = open_tickets(&rig, 3)[..] else {
        unreachable!()
    };
    rig.edit(
        "zendesk",
        &json!({"merge": [{"source": source, "into": into}], "tickets": [{"id": closed, "status": "closed"}]}),
    );
    sync(&rig, &[]).expect(0);
    for id in [source, closed] {
        assert_eq!(case_of(&rig, id).1["to_one"]["status"], "closed");
    }
    held_when_edited(&rig, closed);
}

/// An edit of a case whose ticket can no longer be changed waits for a person, and the ticket stays.
fn held_when_edited(rig: &Rig, id: u64) {
    let before = ticket(rig, id);
    edit_case(rig, id, &json!({"subject": "too late"}), &[]);
    rig.forget_requests();
    let ran = sync(rig, &[]).expect(3);
    assert_eq!(ran.count("cases.to_remote.held"), 1);
    assert_eq!(ticket(rig, id), before);
    assert_eq!(rig.writes("zendesk"), [""; 0]);
    let queue = rig.queue(PIPELINE);
    assert!(
        queue
            .iter()
            .any(|item| item["key"] == format!("remote:{id}").as_str()),
        "{queue:?}"
    );
}

#[test]
fn an_edit_for_a_closed_ticket_is_held_skipped_or_rejected_as_declared() {
    for (policy, code) in [("skip", 0), ("reject", 3)] {
        let rig = linked(20);
        rig.replace(PIPELINE, "on_frozen: hold", &format!("on_frozen: {policy}"));
        let id = open_ticket(&rig);
        rig.edit("zendesk", &json!({"tickets": [{"id": id, "status": "closed"}]}));
        sync(&rig, &[]).expect(0);
        edit_case(&rig, id, &json!({"subject": "too late"}), &[]);
        rig.forget_requests();
        let ran = sync(&rig, &[]).expect(code);
        assert_eq!(rig.writes("zendesk"), [""; 0], "{policy}");
        let told = ran.count("cases.to_remote.not_carried") + ran.count("cases.to_remote.rejected");
        assert_eq!(told, 1, "{policy}: {}", ran.summary);
    }
}

#[test]
fn a_deleted_case_is_noticed_in_the_next_scan_and_does_not_come_back() {
    let rig = linked(20);
    let id = open_ticket(&rig);
    let (case, _) = case_of(&rig, id);
    rig.edit("oro", &json!({"delete": {"cases": [case]}}));

    let ran = sync(&rig, &[]).expect(0);

    assert_eq!(ran.count("cases.to_remote.deleted"), 1);
    assert!(link_of(&rig, id).to_string().contains("ended"));
    assert_ne!(ticket(&rig, id)["status"], "deleted");
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": id, "subject": "the customer goes on"}]}),
    );
    let ran = sync(&rig, &[]).expect(0);
    assert_eq!(ran.count("cases.to_local.skipped"), 1);
    assert!(!has_case(&rig, id), "a deleted case was brought back");
    assert_quiet(&rig);
}

#[test]
fn a_deleted_case_deletes_its_ticket_only_within_the_guard() {
    let rig = linked(20);
    rig.replace(
        PIPELINE,
        "on_delete: unlink                        #",
        "on_delete: {remote: delete, local: unlink} #",
    );
    let id = open_ticket(&rig);
    let (case, _) = case_of(&rig, id);
    rig.edit("oro", &json!({"delete": {"cases": [case]}}));
    sync(&rig, &[]).expect(8).says("guard.delete_at_most");
    assert_ne!(ticket(&rig, id)["status"], "deleted");
    let ran = sync(&rig, &["--yes"]).expect(0);
    assert_eq!(ran.count("cases.to_remote.deleted"), 1);
    assert_eq!(ticket(&rig, id)["status"], "deleted");
}

#[test]
fn one_way_a_deleted_case_is_noticed_when_its_ticket_changes() {
    let rig = Rig::new(20);
    sync(&rig, &ONE_WAY).expect(0);
    let id = open_ticket(&rig);
    let (case, _) = case_of(&rig, id);
    rig.edit("oro", &json!({"delete": {"cases": [case]}}));
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": id, "subject": "the customer goes on"}]}),
    );
    let ran = sync(&rig, &ONE_WAY).expect(0);
    assert_eq!(ran.count("cases.to_local.skipped"), 1);
    assert!(!has_case(&rig, id));
}
