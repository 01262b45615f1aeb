//! What every case must look like, worked out from the tickets without the engine and without its YAML.
//!
//! It follows the vendor's documented tables, so that a mistake in the shipped mapping shows as well as one in the
//! engine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// The Oro user who gets what matches nobody.
const OWNER: &str = "admin@example.com";

/// The fields of a case that the pipeline keeps, by name.
pub(crate) type Case = BTreeMap<&'static str, Value>;

/// The expected cases, by external id.
pub(crate) fn expected(zendesk: &Value, oro: &Value) -> BTreeMap<String, Case> {
    let people = rows(zendesk, "users");
    let users: BTreeMap<String, String> = rows(oro, "users")
        .into_iter()
        .filter_map(|(id, user)| Some((normal(user["attributes"]["email"].as_str()?), id)))
        .collect();
    let email = |id: &Value| {
        let id = id.as_u64()?.to_string();
        people.get(&id)?["email"].as_str().map(normal)
    };
    let customer = |id: &Value| {
        let person = people.get(&id.as_u64()?.to_string())?;
        let named = person["name"]
            .as_str()
            .is_some_and(|name| !name.trim().is_empty());
        email(id).filter(|_| named && person["role"] == "end-user")
    };
    rows(zendesk, "tickets")
        .into_iter()
        .filter(|(_, ticket)| ticket["status"] != "deleted" && ticket["subject"] != "SCRUBBED")
        .map(|(id, ticket)| {
            let assignee = email(&ticket["assignee_id"])
                .and_then(|email| users.get(&email))
                .or_else(|| users.get(OWNER));
            let subject = ticket["subject"].as_str().map(str::trim).unwrap_or_default();
            let subject: String = if subject.is_empty() {
                "N/A"
            } else {
                ticket["subject"].as_str().unwrap()
            }
            .chars()
            .take(255)
            .collect();
            let case = Case::from([
                ("subject", json!(subject)),
                ("description", ticket["description"].clone()),
                ("reportedAt", ticket["created_at"].clone()),
                ("priority", json!(priority(ticket["priority"].as_str()))),
                ("status", json!(status(ticket["status"].as_str().unwrap()))),
                ("source", json!("other")),
                ("assignedTo", json!(assignee)),
                ("contact", json!(customer(&ticket["requester_id"]))),
            ]);
            (format!("zd:{id}"), case)
        })
        .collect()
}

/// The cases that came from tickets, by external id, in the same form.
pub(crate) fn actual(oro: &Value) -> BTreeMap<String, Case> {
    let contacts = rows(oro, "contacts");
    rows(oro, "cases")
        .into_values()
        .filter_map(|case| {
            let external = case["attributes"]["externalId"].as_str()?.to_owned();
            if !external.starts_with("zd:") {
                return None;
            }
            let attribute = |name: &str| case["attributes"].get(name).cloned().unwrap_or_default();
            let related = |name: &str| case["to_one"].get(name).cloned().unwrap_or_default();
            let contact = related("relatedContact");
            let addresses = contact.as_str().and_then(|id| contacts.get(id)).map(|contact| {
                let others = contact["attributes"]["emails"].as_array().into_iter().flatten();
                std::iter::once(&contact["attributes"]["primaryEmail"])
                    .chain(others.map(|other| &other["email"]))
                    .filter_map(Value::as_str)
                    .map(normal)
                    .collect::<Vec<_>>()
            });
            let fields = Case::from([
                ("subject", attribute("subject")),
                ("description", attribute("description")),
                ("reportedAt", attribute("reportedAt")),
                ("priority", related("priority")),
                ("status", related("status")),
                ("source", related("source")),
                ("assignedTo", related("assignedTo")),
                ("contact", json!(addresses)),
            ]);
            Some((external, fields))
        })
        .collect()
}

/// Fails unless every ticket has exactly the case that it should have, and says only what differs.
#[track_caller]
pub(crate) fn assert_in_step(zendesk: &Value, oro: &Value) {
    let (expected, actual) = (expected(zendesk, oro), actual(oro));
    let mut wrong = Vec::new();
    for id in expected.keys().chain(actual.keys()).collect::<BTreeSet<_>>() {
        match (expected.get(id), actual.get(id)) {
            (Some(expected), Some(actual)) => {
                for (field, wanted) in expected {
                    let found = &actual[field];
                    // A contact may have several addresses; one of them must be the requester's.
                    let fits = match (found, *field) {
                        (Value::Array(addresses), "contact") => addresses.contains(wanted),
                        _ => found == wanted,
                    };
                    if !fits {
                        wrong.push(format!("{id}.{field}: {found} instead of {wanted}"));
                    }
                }
            }
            (Some(_), None) => wrong.push(format!("{id}: no case")),
            (None, _) => wrong.push(format!("{id}: a case without a ticket")),
        }
    }
    let cases = rows(oro, "cases")
        .into_values()
        .filter(|case| {
            case["attributes"]["externalId"]
                .as_str()
                .is_some_and(|id| id.starts_with("zd:"))
        })
        .count();
    if cases != actual.len() {
        wrong.push(format!("{} cases were created twice", cases - actual.len()));
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Rows of a table, by id.
pub(crate) fn rows(state: &Value, table: &str) -> BTreeMap<String, Value> {
    state[table]
        .as_object()
        .unwrap_or_else(|| panic!("no table `{table}`"))
        .iter()
        .map(|(id, row)| (id.clone(), row.clone()))
        .collect()
}

fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}

fn priority(priority: Option<&str>) -> &'static str {
    match priority {
        Some("low") => "low",
        None | Some("normal") => "normal",
        Some("high" | "urgent") => "high",
        Some(other) => panic!("a ticket has priority {other}"),
    }
}

fn status(status: &str) -> &'static str {
    match status {
        "new" | "open" | "hold" => "open",
        "pending" => "in_progress",
        "solved" | "closed" => "closed",
        other => panic!("a ticket has status {other}"),
    }
}
