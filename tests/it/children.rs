//! Children of linked records: remarks of tickets become remarks of the cases that those became.

use serde_json::{Value, json};

use crate::oracle::rows;
use crate::rig::{Ran, Rig};

pub(crate) const PIPELINE: &str = "mappings/children.yaml";

/// Streams of children for the shipped connectors.
const TICKET_REMARKS: &str = r#"
  remarks:
    key: $.id
    of: tickets
    shape: {add: {ticket_id: "{{ parent.id }}"}}
    list: {get: "/tickets/{{ parent.id }}/comments.json", records: $.comments, uses: [account], on_gone: none}
"#;
const CASE_REMARKS: &str = r#"
  remarks:
    type: casecomments
    key: $.id
    relationships: {case: cases, owner: users}
    list: {get: /casecomments, query: {sort: id, "page[size]": 100}, uses: [account], pages: {after_key: {query: "filter[id][gt]", key: $.id}}}
    get: {get: "/casecomments/{{ key }}", uses: [account]}
    create: {post: /casecomments, uses: [account]}
    update: {patch: "/casecomments/{{ key }}", uses: [account], if_unchanged: read_again}
"#;

const FLOWS: &str = r#"
version: 1
pipeline: children
connections:
  zendesk:
    connector: zendesk
    settings: {subdomain: "{{ env.ZENDESK_SUBDOMAIN }}", base_url: "{{ env.ZENDESK_URL }}"}
    auth: {oauth_client: {client_id: "{{ env.ZENDESK_CLIENT_ID }}", client_secret: "{{ secret.ZENDESK_CLIENT_SECRET }}"}}
  oro:
    connector: oro
    settings: {base_url: "{{ env.ORO_URL }}"}
    auth: {oauth_client: {client_id: "{{ env.ORO_CLIENT_ID }}", client_secret: "{{ secret.ORO_CLIENT_SECRET }}"}}
flows:
  remarks:
    from: zendesk.remarks
    to: oro.remarks
    of: cases
    mode: insert
    order_by: $.created_at
    when: "{{ record.body != 'not this one' }}"
    fields:
      message: "{{ record.ticket_id }}: {{ record.body }}"
      public: $.public
      case.id: {link: cases}
  cases:
    from: zendesk.tickets
    to: oro.cases
    mode: upsert
    match: {$.externalId: "p:{{ record.id }}"}
    when: "{{ record.subject != 'left out' }}"
    fields:
      externalId: "p:{{ record.id }}"
      subject: {value: $.subject, default: none, on_too_long: {truncate: 255}}
      status.id: {const: open}
      priority.id: {const: normal}
      source.id: {const: other}
"#;

pub(crate) fn rig() -> Rig {
    let rig = Rig::new(8);
    prepare(&rig);
    rig
}

/// Puts the pipeline and what it needs into a folder.
pub(crate) fn prepare(rig: &Rig) {
    for (connector, streams) in [("zendesk", TICKET_REMARKS), ("oro", CASE_REMARKS)] {
        let file = format!("mappings/connectors/{connector}.yaml");
        rig.write(&file, &(rig.read(&file) + streams));
    }
    rig.write(PIPELINE, FLOWS);
}

pub(crate) fn run(rig: &Rig, options: &[&str]) -> Ran {
    rig.run_pipeline(PIPELINE, options)
}

/// The remarks of every case that came from a ticket, in the order in which they were written, by external id.
pub(crate) fn remarks(rig: &Rig) -> Vec<(String, Vec<String>)> {
    let oro = rig.state("oro");
    let mut remarks: Vec<(u64, String, String)> = rows(&oro, "casecomments")
        .into_iter()
        .filter_map(|(id, remark)| {
            let case = &oro["cases"][remark["to_one"]["case"].as_str()?];
            Some((
                id.parse().ok()?,
                case["attributes"]["externalId"].as_str()?.to_owned(),
                remark["attributes"]["message"].as_str()?.to_owned(),
            ))
        })
        .collect();
    remarks.sort();
    let mut by_case: Vec<(String, Vec<String>)> = Vec::new();
    for (_, case, message) in remarks {
        match by_case.iter_mut().find(|(known, _)| *known == case) {
            Some((_, messages)) => messages.push(message),
            None => by_case.push((case, vec![message])),
        }
    }
    by_case.sort();
    by_case
}

/// What they should be: every remark of every ticket that has a case, the oldest first.
pub(crate) fn expected(rig: &Rig) -> Vec<(String, Vec<String>)> {
    let mut expected: Vec<(String, Vec<String>)> = rows(&rig.state("zendesk"), "tickets")
        .into_iter()
        .filter(|(_, ticket)| ticket["status"] != "deleted" && ticket["subject"] != "left out")
        .map(|(id, ticket)| {
            let mut comments = ticket["comments"].as_array().unwrap().clone();
            comments.sort_by_key(|comment| comment["created_at"].as_str().map(str::to_owned));
            let messages = comments
                .iter()
                .filter(|comment| comment["body"] != "not this one")
                .map(|comment| format!("{id}: {}", comment["body"].as_str().unwrap()))
                .collect();
            (format!("p:{id}"), messages)
        })
        .collect();
    expected.retain(|(_, messages): &(String, Vec<String>)| !messages.is_empty());
    expected.sort();
    expected
}

pub(crate) fn open_ticket(rig: &Rig) -> u64 {
    rows(&rig.state("zendesk"), "tickets")
        .into_iter()
        .find(|(_, ticket)| ticket["status"] != "deleted" && ticket["status"] != "closed")
        .unwrap()
        .0
        .parse()
        .unwrap()
}

#[test]
fn children_follow_their_parents_in_their_own_order() {
    let rig = rig();
    let ticket = open_ticket(&rig);
    rig.edit(
        "zendesk",
        &json!({"tickets": [
            {"id": ticket, "comment": {"body": "a second remark"}},
            {"id": ticket, "comment": {"body": "not this one"}},
            {"id": ticket, "comment": {"body": "a third remark", "public": false}},
        ]}),
    );
    run(&rig, &[])
        .expect(0)
        .counted("remarks", "filtered 1, rejected 0, waiting 0");
    assert_eq!(remarks(&rig), expected(&rig));

    rig.forget_requests();
    run(&rig, &[]).expect(0);
    assert_eq!(rig.writes("oro"), [""; 0], "nothing is new");

    // A remark makes its ticket change; the remarks that are there already are known.
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": ticket, "comment": {"body": "a late remark"}}]}),
    );
    run(&rig, &[])
        .expect(0)
        .counted("remarks", "created 1")
        .counted("cases", "created 0, updated 0");
    assert_eq!(remarks(&rig), expected(&rig));
}

#[test]
fn only_children_of_linked_records_are_read() {
    let rig = rig();
    let ticket = open_ticket(&rig);
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": ticket, "subject": "left out"}]}),
    );
    rig.forget_requests();
    run(&rig, &[]).expect(0);
    let asked = format!("GET /api/v2/tickets/{ticket}/comments.json");
    let requests = rig.requests("zendesk");
    assert!(
        requests.iter().any(|request| request.contains("/comments.json")),
        "{requests:?}"
    );
    assert!(
        !requests.iter().any(|request| request.starts_with(&asked)),
        "{requests:?}"
    );
    assert_eq!(remarks(&rig), expected(&rig));
}

#[test]
fn a_refused_child_is_tried_again_without_its_parent() {
    let rig = rig();
    rig.faults(
        "oro",
        &json!([{"match": "POST /admin/api/casecomments", "status": 400, "body": "{\"errors\": [{\"title\": \"not blank constraint\", \"detail\": \"no\"}]}"}]),
    );
    let first = run(&rig, &[]).expect(3).counted("remarks", "rejected 1");
    let cases = first.count("cases.created");
    let second = run(&rig, &[]).expect(0);
    assert!(
        cases > 0 && second.count("cases.created") == 0,
        "{}",
        second.summary
    );
    // The refused one comes later than the others of its ticket; none is lost and none came twice.
    assert_eq!(sorted(remarks(&rig)), sorted(expected(&rig)));
    assert_eq!(rig.queue(PIPELINE), [] as [Value; 0]);
}

fn sorted(mut remarks: Vec<(String, Vec<String>)>) -> Vec<(String, Vec<String>)> {
    for (_, messages) in &mut remarks {
        messages.sort();
    }
    remarks
}
