//! Flows and pipelines that are switched off: left out and said so, with everything that they know kept.

use serde_json::{Value, json};

use crate::children::{self, PIPELINE};
use crate::rig::{self, Rig};
use crate::two_way::{case_of, edit_case, open_tickets, sync, ticket};

/// Flows of children, each with a switch of its own, and the pipeline with one.
fn rig() -> Rig {
    let rig = children::rig();
    rig.replace(
        PIPELINE,
        "connections:\n",
        "enabled: \"{{ params.pipeline }}\"\n\
         params:\n  pipeline: {type: boolean, default: true}\n  cases: {type: boolean, default: true}\n  remarks: {type: boolean, default: true}\n\
         connections:\n",
    );
    for flow in ["cases", "remarks"] {
        rig.replace(
            PIPELINE,
            &format!("  {flow}:\n    from:"),
            &format!("  {flow}:\n    enabled: \"{{{{ params.{flow} }}}}\"\n    from:"),
        );
    }
    rig
}

fn manifest(rig: &Rig, summary: &Value) -> Value {
    let path = format!("{}/manifest.json", summary["snapshots"].as_str().unwrap());
    serde_json::from_str(&rig.read(&path)).unwrap()
}

#[test]
fn a_disabled_flow_is_left_out_and_every_place_says_so() {
    let rig = rig();
    let off = ["--set", "remarks=false"];
    let reason = "its `enabled` is false";

    let ran = children::run(&rig, &off)
        .expect(0)
        .says(&format!("disabled   remarks: {reason}"));

    assert!(ran.count("cases.created") > 0);
    assert!(children::remarks(&rig).is_empty());
    assert_eq!(ran.summary["disabled"], json!({"remarks": reason}));
    assert_eq!(ran.summary["flows"].as_array().unwrap().len(), 1);
    assert_eq!(
        manifest(&rig, &ran.summary)["disabled"],
        json!({"remarks": reason})
    );
    let said = format!("remarks is disabled: {reason}");
    rig.crosswalk(&["validate", PIPELINE, "--set", "remarks=false"])
        .expect(0)
        .says(&said);
    rig.crosswalk(&["status", PIPELINE, "--set", "remarks=false"])
        .expect(0)
        .says("disabled: remarks (");
    rig.run_pipeline(PIPELINE, &["--flow", "remarks", "--set", "remarks=false"])
        .expect(2)
        .says("flow `remarks` is disabled");

    children::run(&rig, &["--full"]).expect(0);
    assert_eq!(children::remarks(&rig), children::expected(&rig));
}

#[test]
fn flows_of_children_are_off_with_their_parents() {
    let rig = rig();
    rig.forget_requests();
    let ran = children::run(&rig, &["--set", "cases=false"]).expect(0);
    assert_eq!(ran.summary["flows"], json!([]));
    assert_eq!(
        ran.summary["disabled"],
        json!({
            "cases": "its `enabled` is false",
            "remarks": "flow `cases` of its parents is disabled"
        })
    );
    assert_eq!(rig.requests("zendesk"), [""; 0]);
}

#[test]
fn a_pipeline_that_is_off_makes_no_request_and_goes_on_where_it_stood() {
    let rig = rig();
    children::run(&rig, &[]).expect(0);
    rig.forget_requests();
    let ran = children::run(&rig, &["--set", "pipeline=false"]).expect(0);
    for system in ["zendesk", "oro"] {
        assert_eq!(rig.requests(system), [""; 0]);
    }
    let reason = "the pipeline's `enabled` is false";
    assert_eq!(
        ran.summary["disabled"],
        json!({"cases": reason, "remarks": reason})
    );
    let ran = children::run(&rig, &[]).expect(0);
    assert_eq!(ran.count("cases.created"), 0);
    assert_eq!(rig.writes("oro"), [""; 0]);
}

#[test]
fn links_to_a_disabled_flow_are_found_and_new_records_wait_for_it() {
    let rig = rig();
    children::run(&rig, &[]).expect(0);
    let notes = "
  notes:
    from: zendesk.tickets
    to: oro.remarks
    mode: insert
    when: \"{{ record.subject is startingwith('note ') }}\"
    fields:
      message: $.subject
      case.id: {link: cases}
"
    .replace(
        "record.subject is startingwith('note ')",
        "record.subject[:5] == 'note '",
    );
    rig.write(PIPELINE, &(rig.read(PIPELINE) + &notes));
    let ticket = children::open_ticket(&rig);
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": ticket, "subject": "note one"}]}),
    );
    let made = rig.edit(
        "zendesk",
        &json!({"tickets": [{"subject": "note two", "description": "new", "requester_id": ticket_requester(&rig, ticket)}]}),
    );
    let off = ["--set", "cases=false"];
    rig.crosswalk(&["validate", PIPELINE, off[0], off[1]])
        .expect(0)
        .says("the flow `cases` is disabled, so that it makes no links");

    let ran = children::run(&rig, &off)
        .expect(0)
        .counted("notes", "created 1, waiting 1");

    drop(ran);
    let waiting = rig.queue(PIPELINE);
    assert_eq!(waiting[0]["key"], made["tickets"][0].to_string().replace('"', ""));
    assert!(
        waiting[0]["reason"]
            .as_str()
            .unwrap()
            .contains("that flow is disabled"),
        "{waiting:?}"
    );
    children::run(&rig, &[])
        .expect(0)
        .counted("notes", "retried 1, created 1, waiting 0");
}

fn ticket_requester(rig: &Rig, ticket: u64) -> Value {
    rig.state("zendesk")["tickets"][ticket.to_string()]["requester_id"].clone()
}

#[test]
fn edits_made_while_a_two_way_flow_was_off_travel_when_it_is_on_again() {
    let rig = Rig::new(20);
    sync(&rig, &[]).expect(0);
    let [first, second] = open_tickets(&rig, 2)[..] else {
        unreachable!()
    };
    let text = rig.read(rig::PIPELINE);
    rig.replace(rig::PIPELINE, "  cases:\n", "  cases:\n    enabled: false\n");
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": first, "subject": "of the ticket"}]}),
    );
    edit_case(&rig, second, &json!({"subject": "of the case"}), &[]);
    rig.forget_requests();
    rig.run_whole(&["--set", "ticket_records=false"])
        .expect(0)
        .says("disabled   cases: its `enabled` is false");
    assert_eq!(rig.requests("zendesk"), [""; 0]);
    rig.crosswalk(&["publish", rig::PIPELINE, "cases", "1"])
        .expect(2)
        .says("is disabled");

    rig.write(rig::PIPELINE, &text);
    sync(&rig, &[]).expect(0);
    assert_eq!(case_of(&rig, first).1["attributes"]["subject"], "of the ticket");
    assert_eq!(ticket(&rig, second)["subject"], "of the case");
}
