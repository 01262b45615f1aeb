//! Comments of tickets and cases in step both ways, by the shipped pipeline: what travels, in which order, by whom, and
//! what happens to those that cannot.

use serde_json::{Value, json};

use crate::oracle::rows;
use crate::rig::{ONE_WAY, PIPELINE, Ran, Rig};
use crate::two_way::{case_of, open_tickets, ticket};

/// Only what these tests are about.
const FLOWS: [&str; 4] = ["--flow", "cases", "--flow", "comments"];

fn sync(rig: &Rig, options: &[&str]) -> Ran {
    rig.run_whole(&[&FLOWS, options].concat())
}

fn linked(tickets: usize) -> (Rig, u64) {
    let rig = Rig::new(tickets);
    sync(&rig, &[]).expect(0);
    let id = open_tickets(&rig, 1)[0];
    (rig, id)
}

/// Comments of a ticket's case in the order in which they were written.
fn of_case(rig: &Rig, ticket: u64) -> Vec<Value> {
    let (case, _) = case_of(rig, ticket);
    of_case_id(rig, &case)
}

fn of_case_id(rig: &Rig, case: &str) -> Vec<Value> {
    let mut comments: Vec<(u64, Value)> = rows(&rig.state("oro"), "casecomments")
        .into_iter()
        .filter(|(_, comment)| comment["to_one"]["case"] == case)
        .map(|(id, comment)| (id.parse().unwrap(), comment))
        .collect();
    comments.sort_by_key(|(id, _)| *id);
    comments.into_iter().map(|(_, comment)| comment).collect()
}

fn messages(comments: &[Value]) -> Vec<&str> {
    let message = |comment| -> &str {
        let comment: &Value = comment;
        comment["attributes"]["message"].as_str().unwrap()
    };
    comments.iter().map(message).collect()
}

fn remark(rig: &Rig, case: &str, message: &str, public: Option<bool>) -> String {
    let made = rig.edit(
        "oro",
        &json!({"casecomments": [{"attributes": {"message": message, "public": public},
            "relationships": {"case": {"data": {"type": "cases", "id": case}}}}]}),
    );
    made["casecomments"][0].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_quiet(rig: &Rig) {
    rig.forget_requests();
    sync(rig, &[]).expect(0);
    assert_eq!(rig.writes("zendesk"), [""; 0]);
    assert_eq!(rig.writes("oro"), [""; 0]);
}

#[test]
fn comments_of_tickets_become_those_of_cases_oldest_first_and_without_the_description() {
    let (rig, _) = linked(20);
    let tickets = rows(&rig.state("zendesk"), "tickets");
    let mut compared = 0;
    for (id, ticket) in &tickets {
        if ticket["status"] == "deleted" || ticket["subject"] == "SCRUBBED" {
            continue;
        }
        let expected: Vec<(&str, bool)> = ticket["comments"].as_array().unwrap()[1..]
            .iter()
            .map(|comment| {
                (
                    comment["body"].as_str().unwrap(),
                    comment["public"].as_bool().unwrap(),
                )
            })
            .collect();
        let comments = of_case(&rig, id.parse().unwrap());
        let found: Vec<(&str, bool)> = messages(&comments)
            .into_iter()
            .zip(&comments)
            .map(|(message, comment)| (message, comment["attributes"]["public"].as_bool().unwrap()))
            .collect();
        assert_eq!(found, expected, "ticket {id}");
        compared += expected.len();
    }
    assert!(compared > 10, "{compared}");
    assert_quiet(&rig);
}

#[test]
fn new_comments_travel_both_ways_once_with_their_audience() {
    let (rig, id) = linked(20);
    let (case, _) = case_of(&rig, id);
    let before = of_case(&rig, id).len();
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": id, "comment": {"body": "of the agent", "public": false}}]}),
    );
    remark(&rig, &case, "first\n1 < 2 & 3", None);
    remark(&rig, &case, "second", Some(true));

    sync(&rig, &[])
        .expect(0)
        .counted("comments.to_remote", "created 2")
        .counted("comments.to_local", "created 1");

    let comments = of_case(&rig, id);
    assert_eq!(comments.len(), before + 3);
    let last = comments.last().unwrap();
    assert_eq!(last["attributes"]["message"], "of the agent");
    assert_eq!(last["attributes"]["public"], false);
    let thread = ticket(&rig, id)["comments"].as_array().unwrap().clone();
    let [.., first, second] = thread.as_slice() else {
        unreachable!()
    };
    assert_eq!(
        (&first["body"], &first["public"]),
        (&json!("first\n1 < 2 & 3"), &json!(false))
    );
    assert_eq!(
        (&second["body"], &second["public"]),
        (&json!("second"), &json!(true))
    );
    assert_quiet(&rig);
    assert_eq!(of_case(&rig, id).len(), before + 3, "our own comments came back");
}

#[test]
fn an_author_is_found_on_the_other_side_or_the_default_one_stands_for_him() {
    let (rig, id) = linked(20);
    let (case, standing) = case_of(&rig, id);
    let users = rows(&rig.state("zendesk"), "users");
    let requester = &users[&ticket(&rig, id)["requester_id"].to_string()];
    let contact = standing["to_one"]["relatedContact"].as_str().unwrap();
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": id, "comment": {"body": "of the customer", "author_id": requester["id"]}}]}),
    );
    rig.edit(
        "oro",
        &json!({"casecomments": [{"attributes": {"message": "of the contact"},
            "relationships": {"case": {"data": {"type": "cases", "id": case}}, "contact": {"data": {"type": "contacts", "id": contact}}}}]}),
    );
    let email = |user: &Value| user["email"].as_str().map(str::to_lowercase);
    let known: Vec<Option<String>> = users.values().map(email).collect();
    let stranger = rows(&rig.state("oro"), "users")
        .into_iter()
        .find(|(_, user)| !known.contains(&email(&user["attributes"])))
        .expect("a user of the office who is nobody there")
        .0;
    rig.edit(
        "oro",
        &json!({"casecomments": [{"attributes": {"message": "of nobody"},
            "relationships": {"case": {"data": {"type": "cases", "id": case}}, "owner": {"data": {"type": "users", "id": stranger}}}}]}),
    );

    sync(&rig, &[]).expect(0);

    let comments = of_case(&rig, id);
    let by_customer = comments
        .iter()
        .find(|comment| comment["attributes"]["message"] == "of the customer");
    assert_eq!(by_customer.unwrap()["to_one"]["contact"], contact);
    let thread = ticket(&rig, id)["comments"].clone();
    let author = |body: &str| -> Value {
        let thread = thread.as_array().unwrap();
        let comment = thread.iter().find(|comment| comment["body"] == body).unwrap();
        users[&comment["author_id"].to_string()]["email"].clone()
    };
    assert_eq!(author("of the contact"), requester["email"]);
    assert_eq!(author("of nobody"), "support@example.com");
}

#[test]
fn attachments_are_listed_as_links() {
    let (rig, id) = linked(20);
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": id, "comment": {"body": "see the bill", "attachments": [{"file_name": "bill.pdf"}, {"file_name": "more.png"}]}}]}),
    );
    sync(&rig, &[]).expect(0);
    let comments = of_case(&rig, id);
    let message = *messages(&comments).last().unwrap();
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines[..2], ["see the bill", ""], "{message}");
    assert!(
        lines[2].starts_with("bill.pdf https://") && lines[3].starts_with("more.png https://"),
        "{message}"
    );
}

#[test]
fn a_comment_on_a_closed_ticket_is_rejected_with_the_reason() {
    let (rig, id) = linked(20);
    let (case, _) = case_of(&rig, id);
    rig.edit("zendesk", &json!({"tickets": [{"id": id, "status": "closed"}]}));
    let comment = remark(&rig, &case, "too late", None);

    sync(&rig, &[])
        .expect(3)
        .counted("comments.to_remote", "created 0, rejected 1");

    let queued = rig.queue(PIPELINE);
    let item = queued
        .iter()
        .find(|item| item["key"] == format!("local:{comment}"))
        .expect("it waits");
    assert_eq!(item["kind"], "rejected");
    assert!(
        item["reason"]
            .as_str()
            .unwrap()
            .contains("closed prevents ticket update"),
        "{item}"
    );
}

#[test]
fn an_edited_comment_is_counted_as_not_carried_once() {
    let (rig, id) = linked(20);
    let (case, _) = case_of(&rig, id);
    let comment = remark(&rig, &case, "as it was", None);
    sync(&rig, &[]).expect(0);
    rig.edit(
        "oro",
        &json!({"casecomments": [{"id": comment, "attributes": {"message": "as it is now"}}]}),
    );
    rig.forget_requests();

    sync(&rig, &[])
        .expect(0)
        .counted("comments.to_remote", "not_carried 1, updated 0, rejected 0");

    assert_eq!(rig.writes("zendesk"), [""; 0]);
    let thread = ticket(&rig, id)["comments"].clone();
    assert_eq!(thread.as_array().unwrap().last().unwrap()["body"], "as it was");
    sync(&rig, &[])
        .expect(0)
        .counted("comments.to_remote", "not_carried 0");

    // Words that are taken out of a ticket's comment are told as well.
    let last = thread.as_array().unwrap().last().unwrap()["id"].clone();
    rig.edit(
        "zendesk",
        &json!({"redact": [{"ticket": id, "comment": last, "words": "was"}]}),
    );
    sync(&rig, &[])
        .expect(0)
        .counted("comments.to_local", "not_carried 1, updated 0");
    assert_quiet(&rig);
}

#[test]
fn comments_of_a_case_that_is_no_ticket_wait_until_it_is_published() {
    let (rig, _) = linked(20);
    let made = rig.edit(
        "oro",
        &json!({"cases": [{"attributes": {"subject": "Broken kettle", "description": "It whistles no more."},
            "relationships": {"status": {"data": {"type": "casestatuses", "id": "open"}},
                "priority": {"data": {"type": "casepriorities", "id": "high"}},
                "source": {"data": {"type": "casesources", "id": "phone"}}}}]}),
    );
    let case = made["cases"][0].as_str().unwrap().to_owned();
    let comment = remark(&rig, &case, "he called twice", Some(false));
    sync(&rig, &[]).expect(0);
    let waits = |rig: &Rig| {
        rig.queue(PIPELINE)
            .iter()
            .any(|item| item["key"] == format!("local:{comment}") && item["kind"] == "waiting")
    };
    assert!(waits(&rig));

    rig.crosswalk(&["publish", PIPELINE, "cases", &case]).expect(0);
    sync(&rig, &[]).expect(0);

    assert!(!waits(&rig));
    let wanted = format!("oro-case:{case}");
    let tickets = rows(&rig.state("zendesk"), "tickets");
    let published = tickets
        .values()
        .find(|ticket| ticket["external_id"] == wanted.as_str())
        .unwrap();
    let bodies: Vec<&Value> = published["comments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|comment| &comment["body"])
        .collect();
    assert_eq!(bodies, ["It whistles no more.", "he called twice"]);
    sync(&rig, &[]).expect(0);
    assert_eq!(
        messages(&of_case_id(&rig, &case)),
        ["he called twice"],
        "the description came back"
    );
    assert_quiet(&rig);
}

#[test]
fn with_one_direction_no_comment_goes_back_until_the_other_is_opened() {
    let (rig, id) = linked(20);
    let (case, _) = case_of(&rig, id);
    remark(&rig, &case, "stays for now", None);
    rig.forget_requests();
    sync(&rig, &ONE_WAY).expect(0);
    assert_eq!(rig.writes("zendesk"), [""; 0]);
    sync(&rig, &[]).expect(0);
    let thread = ticket(&rig, id)["comments"].clone();
    assert_eq!(
        thread.as_array().unwrap().last().unwrap()["body"],
        "stays for now"
    );
    assert_quiet(&rig);
}
