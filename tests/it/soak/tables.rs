//! What a ticket's value is in its case and the other way round, by the vendor's tables and without the engine.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::oracle::rows;

/// Stands in for people who are not known in the back office, and at the helpdesk.
const OWNER: &str = "admin@example.com";
const DEFAULT_AGENT: &str = "support@example.com";

/// The fields that are kept in step and followed, as both sides know them.
pub(crate) const FIELDS: [&str; 4] = ["subject", "priority", "status", "assignee"];

/// One of the two systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Side {
    Remote,
    Local,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Remote => Side::Local,
            Side::Local => Side::Remote,
        }
    }
}

/// What a table gives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Given {
    Value(Value),
    /// It stands in for somebody who is not known.
    Fallback(Value),
    /// The field is left alone.
    Nothing,
}

impl Given {
    pub(crate) fn value(&self) -> Option<&Value> {
        match self {
            Given::Value(value) | Given::Fallback(value) => Some(value),
            Given::Nothing => None,
        }
    }
}

/// The tables, with the people of both systems.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    agents: BTreeMap<String, Value>,
    agents_by_id: BTreeMap<String, String>,
    users: BTreeMap<String, Value>,
    users_by_id: BTreeMap<String, String>,
}

impl Tables {
    pub(crate) fn new(zendesk: &Value, oro: &Value) -> Self {
        let mut tables = Tables::default();
        for (id, user) in rows(zendesk, "users") {
            let Some(email) = user["email"].as_str().map(normal) else {
                continue;
            };
            if user["role"] != "end-user" && user["suspended"] != true {
                tables.agents.insert(email.clone(), user["id"].clone());
            }
            tables.agents_by_id.insert(id, email);
        }
        tables.learn(&rows(oro, "users"));
        tables
    }

    /// People of the back office as they are now.
    pub(crate) fn learn(&mut self, users: &BTreeMap<String, Value>) {
        for (id, user) in users {
            if let Some(email) = user["attributes"]["email"].as_str().map(normal) {
                self.users.retain(|_, known| known != id.as_str());
                self.users.insert(email.clone(), json!(id));
                self.users_by_id.insert(id.clone(), email);
            }
        }
    }

    /// What the other side's value is on the side `to`.
    pub(crate) fn map(&self, field: &str, to: Side, value: &Value) -> Given {
        let text = value.as_str();
        match (field, to) {
            ("priority", Side::Local) => Given::Value(match text {
                Some("urgent") => json!("high"),
                None => json!("normal"),
                Some(_) => value.clone(),
            }),
            ("status", Side::Local) => Given::Value(match text {
                Some("pending") => json!("in_progress"),
                Some("solved" | "closed") => json!("closed"),
                _ => json!("open"),
            }),
            ("status", Side::Remote) => Given::Value(match text {
                Some("in_progress") => json!("pending"),
                Some("resolved" | "closed") => json!("solved"),
                _ => value.clone(),
            }),
            ("assignee", Side::Local) => {
                let email = value
                    .as_u64()
                    .and_then(|id| self.agents_by_id.get(&id.to_string()));
                match email.and_then(|email| self.users.get(email)) {
                    Some(user) => Given::Value(user.clone()),
                    None => Given::Fallback(self.users[OWNER].clone()),
                }
            }
            ("assignee", Side::Remote) => {
                let Some(id) = text else {
                    return Given::Nothing;
                };
                match self.users_by_id.get(id).and_then(|email| self.agents.get(email)) {
                    Some(agent) => Given::Value(agent.clone()),
                    None => Given::Fallback(self.agents[DEFAULT_AGENT].clone()),
                }
            }
            ("subject", Side::Local) => {
                let text = text.filter(|text| !text.trim().is_empty()).unwrap_or("N/A");
                Given::Value(json!(text.chars().take(255).collect::<String>()))
            }
            _ => Given::Value(value.clone()),
        }
    }

    /// Whether either table brings one value to the other.
    pub(crate) fn correspond(&self, field: &str, remote: &Value, local: &Value) -> bool {
        self.map(field, Side::Local, remote) == Given::Value(local.clone())
            || self.map(field, Side::Remote, local) == Given::Value(remote.clone())
    }

    /// Whether nobody could complain of the two values when all is quiet: they correspond, one stands in for the other,
    /// or neither can be said on the other side.
    pub(crate) fn at_peace(&self, field: &str, remote: &Value, local: &Value) -> bool {
        let given = [(Side::Local, remote, local), (Side::Remote, local, remote)];
        let given = given.map(|(to, from, there)| (self.map(field, to, from), there));
        given
            .iter()
            .any(|(given, there)| given.value().is_none_or(|value| value == *there))
            || given.iter().all(|(given, _)| matches!(given, Given::Fallback(_)))
    }

    /// A user of the back office whom the helpdesk does not know, and the address of an agent whom the back office does
    /// not know.
    pub(crate) fn strangers(&self) -> Option<(String, String)> {
        let user = self
            .users_by_id
            .iter()
            .find(|(_, email)| !self.agents.contains_key(*email));
        let agent = self.agents.keys().find(|email| !self.users.contains_key(*email));
        Some((user?.0.clone(), agent?.clone()))
    }
}

fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}
