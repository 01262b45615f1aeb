//! The records that Oro's own bundle keeps of tickets, people and comments, written beside cases by the shipped pipeline;
//! and contacts, created once whoever needs them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::oracle::rows;
use crate::rig::{PIPELINE, Rig};
use crate::two_way::{case_of, open_tickets, ticket};

/// A related record's row.
fn related<'o>(oro: &'o Value, row: &Value, relation: &str, table: &str) -> Option<&'o Value> {
    Some(&oro[table][row["to_one"][relation].as_str()?])
}

fn email(row: &Value) -> Option<String> {
    let email = row["attributes"]["primaryEmail"]
        .as_str()
        .or(row["attributes"]["email"].as_str());
    email.map(|email| email.trim().to_lowercase())
}

#[test]
fn every_case_of_a_ticket_gets_the_tickets_record_with_its_people() {
    let rig = Rig::new(30);
    rig.run_whole(&[]).expect(0);
    let (zendesk, oro) = (rig.state("zendesk"), rig.state("oro"));
    let people = rows(&zendesk, "users");
    let records: BTreeMap<u64, Value> = rows(&oro, "zendesktickets")
        .into_values()
        .map(|record| (record["attributes"]["originId"].as_u64().unwrap(), record))
        .collect();
    let mut tickets = rows(&zendesk, "tickets");
    tickets.retain(|_, ticket| ticket["status"] != "deleted" && ticket["subject"] != "SCRUBBED");
    assert_eq!(records.len(), tickets.len());
    for (id, ticket) in &tickets {
        let id: u64 = id.parse().unwrap();
        let record = &records[&id];
        assert_eq!(record["to_one"]["relatedCase"], case_of(&rig, id).0.as_str());
        for (field, mirrored) in [
            ("status", "status"),
            ("priority", "priority"),
            ("type", "ticketType"),
        ] {
            assert_eq!(
                record["to_one"].get(mirrored).unwrap_or(&Value::Null),
                &ticket[field],
                "{field} of {id}"
            );
        }
        assert_eq!(record["attributes"]["recipient"], ticket["recipient"]);
        for (field, mirrored) in [
            ("requester_id", "requester"),
            ("submitter_id", "submitter"),
            ("assignee_id", "assignee"),
        ] {
            let Some(person) = ticket[field].as_u64() else {
                assert!(
                    record["to_one"].get(mirrored).is_none_or(Value::is_null),
                    "{field} of {id}"
                );
                continue;
            };
            let known = related(&oro, record, mirrored, "zendeskusers").unwrap();
            assert_eq!(known["attributes"]["originId"], person);
            let person = &people[&person.to_string()];
            assert_eq!(known["to_one"]["role"], person["role"]);
            let address = person["email"].as_str().map(|email| email.trim().to_lowercase());
            if person["role"] == "end-user" {
                if let (Some(address), true) = (
                    address,
                    person["name"]
                        .as_str()
                        .is_some_and(|name| !name.trim().is_empty()),
                ) {
                    let contact = related(&oro, known, "relatedContact", "contacts").unwrap();
                    let others = contact["attributes"]["emails"].as_array().unwrap().iter();
                    let has = email(contact) == Some(address.clone())
                        || others.into_iter().any(|other| {
                            other["email"]
                                .as_str()
                                .is_some_and(|other| other.to_lowercase() == address)
                        });
                    assert!(has, "{contact} has not {address}");
                }
            } else {
                let user = related(&oro, known, "relatedUser", "users").unwrap();
                let found = email(user).unwrap();
                assert!(
                    Some(&found) == address.as_ref() || found == "admin@example.com",
                    "{found}"
                );
            }
        }
        let collaborators: Vec<u64> = record["to_many"]["collaborators"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|id| {
                oro["zendeskusers"][id.as_str().unwrap()]["attributes"]["originId"]
                    .as_u64()
                    .unwrap()
            })
            .collect();
        let expected: Vec<u64> = ticket["collaborator_ids"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .collect();
        assert_eq!(collaborators.len(), expected.len(), "{id}");
        assert!(
            expected.iter().all(|person| collaborators.contains(person)),
            "{id}"
        );
    }
    let comments = rows(&oro, "zendeskticketcomments");
    assert!(
        !comments.is_empty()
            && comments.values().all(|comment| comment["attributes"]["htmlBody"]
                .as_str()
                .is_some_and(|html| html.contains('<')))
    );

    rig.forget_requests();
    rig.run_whole(&[]).expect(0);
    assert_eq!(rig.writes("oro"), [""; 0]);
}

#[test]
fn a_published_tickets_number_is_on_the_cases_record_after_the_next_run() {
    let rig = Rig::new(10);
    rig.run_whole(&[]).expect(0);
    let made = rig.edit(
        "oro",
        &json!({"cases": [{"attributes": {"subject": "Broken kettle"},
            "relationships": {"status": {"data": {"type": "casestatuses", "id": "open"}},
                "priority": {"data": {"type": "casepriorities", "id": "high"}},
                "source": {"data": {"type": "casesources", "id": "phone"}}}}]}),
    );
    let case = made["cases"][0].as_str().unwrap().to_owned();
    rig.crosswalk(&["publish", PIPELINE, "cases", &case]).expect(0);
    let wanted = format!("oro-case:{case}");
    let number = rows(&rig.state("zendesk"), "tickets")
        .into_iter()
        .find(|(_, ticket)| ticket["external_id"] == wanted.as_str())
        .map(|(id, _)| id.parse::<u64>().unwrap())
        .unwrap();
    // The feed of changes is a minute behind.
    rig.wait_until("the ticket is in the feed", || {
        rig.run_whole(&[]).expect(0);
        let records = rows(&rig.state("oro"), "zendesktickets");
        let record = records
            .values()
            .find(|record| record["to_one"]["relatedCase"] == case.as_str());
        record.is_some_and(|record| {
            assert_eq!(record["attributes"]["originId"], number);
            assert_eq!(record["to_one"]["priority"], "high");
            true
        })
    });
}

#[test]
fn without_the_bundle_a_param_turns_the_records_off_and_check_says_so() {
    let rig = Rig::new(6);
    rig.crosswalk(&["check", PIPELINE]).expect(0);
    rig.control("oro", "POST", "settings", &json!({"zendesk_bundle": false}));
    let found = rig.crosswalk(&["check", PIPELINE]).expect(11).stdout;
    for word in ["zendesktickets", "zendeskusers", "ticket_comments", "`enabled`"] {
        assert!(found.contains(word), "`{word}` is not in\n{found}");
    }
    let off = ["--set", "ticket_records=false"];
    rig.crosswalk(&["check", PIPELINE, off[0], off[1]]).expect(0);
    rig.run_whole(&off).expect(0);
    rig.assert_in_step();
}

#[test]
fn one_new_person_of_several_tickets_becomes_one_contact() {
    let rig = Rig::new(10);
    rig.run_whole(&[]).expect(0);
    let before = rows(&rig.state("oro"), "contacts").len();
    let new = |subject: &str| json!({"subject": subject, "comment": {"body": "hello"}, "requester": {"name": "Nora New", "email": "nora.new@example.com"}});
    let made = rig.edit(
        "zendesk",
        &json!({"tickets": [new("one"), new("two"), new("three")]}),
    );
    let ids: Vec<u64> = made["tickets"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    rig.wait_until("the tickets are in the feed", || {
        rig.run_whole(&[]).expect(0);
        let cases = rows(&rig.state("oro"), "cases");
        ids.iter().all(|id| {
            cases
                .values()
                .any(|case| case["attributes"]["externalId"] == format!("zd:{id}").as_str())
        })
    });
    let contacts = rows(&rig.state("oro"), "contacts");
    assert_eq!(contacts.len(), before + 1);
    let of: Vec<Value> = ids
        .iter()
        .map(|id| case_of(&rig, *id).1["to_one"]["relatedContact"].clone())
        .collect();
    assert!(
        of.iter().all(|contact| *contact == of[0] && contact.is_string()),
        "{of:?}"
    );
}

#[test]
fn a_contact_is_found_by_a_second_address_and_a_person_too() {
    let rig = Rig::new(20);
    rig.run_whole(&[]).expect(0);
    let [first, _] = open_tickets(&rig, 2)[..] else {
        unreachable!()
    };
    let requester = ticket(&rig, first)["requester_id"].as_u64().unwrap();
    let people = rows(&rig.state("zendesk"), "users").len();
    rig.edit(
        "zendesk",
        &json!({"users": [{"id": requester, "email": "moved@example.com"}]}),
    );
    let made = rig.edit(
        "oro",
        &json!({"contacts": [{"attributes": {"firstName": "Two", "lastName": "Addresses", "primaryEmail": "office@example.com",
            "emails": [{"email": "office@example.com"}, {"email": "moved@example.com"}]},
            "relationships": {"organization": {"data": {"type": "organizations", "id": "1"}}}}]}),
    );
    let contact = made["contacts"][0].as_str().unwrap().to_owned();
    let before = rows(&rig.state("oro"), "contacts").len();
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"subject": "again", "comment": {"body": "hello"}, "requester_id": requester}]}),
    );
    let case = rig.edit(
        "oro",
        &json!({"cases": [{"attributes": {"subject": "from the office"},
            "relationships": {"status": {"data": {"type": "casestatuses", "id": "open"}},
                "priority": {"data": {"type": "casepriorities", "id": "high"}},
                "relatedContact": {"data": {"type": "contacts", "id": contact}},
                "source": {"data": {"type": "casesources", "id": "phone"}}}}]}),
    )["cases"][0]
        .as_str()
        .unwrap()
        .to_owned();
    rig.crosswalk(&["publish", PIPELINE, "cases", &case]).expect(0);
    rig.wait_until("the ticket has its case", || {
        rig.run_whole(&[]).expect(0);
        let cases = rows(&rig.state("oro"), "cases");
        cases
            .values()
            .any(|case| case["attributes"]["subject"] == "again")
    });
    let cases = rows(&rig.state("oro"), "cases");
    let again = cases
        .values()
        .find(|case| case["attributes"]["subject"] == "again")
        .unwrap();
    assert_eq!(again["to_one"]["relatedContact"], contact.as_str());
    assert_eq!(rows(&rig.state("oro"), "contacts").len(), before);
    let wanted = format!("oro-case:{case}");
    let tickets = rows(&rig.state("zendesk"), "tickets");
    let published = tickets
        .values()
        .find(|ticket| ticket["external_id"] == wanted.as_str())
        .unwrap();
    assert_eq!(published["requester_id"], requester);
    assert_eq!(rows(&rig.state("zendesk"), "users").len(), people);
}
