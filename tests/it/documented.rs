//! The vendor's documented mapping, row by row: `tests/documented/cases.json` holds tickets with their people and what
//! the documentation of the stock integration says that each becomes. All go through the shipped rules in one run.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::oracle::rows;
use crate::rig::{ONE_WAY_PIPELINE, Rig};

/// A rig whose tickets come from a file.
fn rig(tickets: &[Value]) -> Rig {
    let rig = Rig::new(0);
    rig.write_one_way(Some(
        "{connector: file, settings: {directory: ..}, streams: {tickets: {path: tickets.ndjson, key: $.id}}}",
    ));
    rig.write_records("tickets.ndjson", tickets);
    rig
}

#[test]
fn every_documented_row_becomes_what_it_should() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/documented/cases.json");
    let documented: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let documented = documented.as_array().unwrap();
    let tickets: Vec<Value> = documented
        .iter()
        .zip(1..)
        .map(|(row, id)| {
            let mut ticket = Map::from_iter([
                ("id".to_owned(), json!(id)),
                ("status".to_owned(), json!("new")),
                ("subject".to_owned(), row["name"].clone()),
                ("description".to_owned(), json!("text")),
                ("created_at".to_owned(), json!("2014-06-01T10:00:00Z")),
            ]);
            ticket.extend(row["ticket"].as_object().unwrap().clone());
            Value::Object(ticket)
        })
        .collect();
    let rig = rig(&tickets);
    let contact = |email: &str, other: &str| {
        json!({"attributes": {"firstName": "Known", "lastName": "Known", "primaryEmail": email, "emails": [{"email": email}, {"email": other}]},
            "relationships": {"owner": {"data": {"type": "users", "id": "1"}}, "organization": {"data": {"type": "organizations", "id": "1"}}}})
    };
    rig.edit(
        "oro",
        &json!({"contacts": [contact("known@example.com", "second@example.com")]}),
    );
    let users: BTreeMap<String, String> = rows(&rig.state("oro"), "users")
        .into_iter()
        .filter_map(|(id, user)| Some((id, user["attributes"]["email"].as_str()?.to_lowercase())))
        .collect();
    assert!(
        users.values().any(|email| email == "james.cook@example.com"),
        "{users:?}"
    );

    rig.run_pipeline(ONE_WAY_PIPELINE, &[])
        .expect(0)
        .counted("cases", &format!("created {}", documented.len()));

    let oro = rig.state("oro");
    let cases: BTreeMap<String, Value> = rows(&oro, "cases")
        .into_values()
        .filter_map(|case| Some((case["attributes"]["externalId"].as_str()?.to_owned(), case)))
        .collect();
    let mut wrong = Vec::new();
    for (row, id) in documented.iter().zip(1..) {
        let case = &cases[&format!("zd:{id}")];
        let contact = case["to_one"]["relatedContact"]
            .as_str()
            .map_or(Value::Null, |id| oro["contacts"][id]["attributes"].clone());
        for (field, expected) in row["becomes"].as_object().unwrap() {
            let found = match field.split_once('.') {
                Some(("contact", field)) => contact.get(field).cloned().unwrap_or_default(),
                _ if field == "contact" => contact.clone(),
                _ => match case["attributes"].get(field) {
                    Some(value) => value.clone(),
                    None => case["to_one"].get(field).cloned().unwrap_or_default(),
                },
            };
            let found = match found.as_str() {
                Some(id) if ["assignedTo", "owner"].contains(&field.as_str()) => json!(users[id]),
                _ => found,
            };
            if found != *expected {
                wrong.push(format!(
                    "{}: {field} is {found} instead of {expected}",
                    row["name"]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_ticket_without_an_id_is_rejected_and_the_others_go_on() {
    let rig = rig(&[
        json!({"subject": "no id", "status": "new"}),
        json!({"id": 2, "subject": "one", "status": "new"}),
    ]);
    rig.run_pipeline(ONE_WAY_PIPELINE, &[])
        .expect(3)
        .counted("cases", "created 1, rejected 1");
}
