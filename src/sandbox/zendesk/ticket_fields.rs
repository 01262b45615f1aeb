//! The properties of a ticket that a write sets.
//!
//! Properties that are not known, or may not be written, are ignored without a word, as the vendor does; values that are
//! not possible are refused.

use serde_json::{Map, Value, json};

use super::super::message::Response;
use super::errors::Problem;
use super::fields::is_custom_field;
use super::model::Ticket;
use super::{SUPPORT_GROUP, Zendesk, errors};

const STATUSES: &[&str] = &["new", "open", "pending", "hold", "solved", "closed"];
const PRIORITIES: &[&str] = &["urgent", "high", "normal", "low"];
const KINDS: &[&str] = &["problem", "incident", "question", "task"];

impl Zendesk {
    /// Sets the plain properties, with the side effects of assigning.
    pub(super) fn assign(
        &self,
        ticket: &mut Ticket,
        fields: &Map<String, Value>,
    ) -> Result<(), Box<Response>> {
        let mut problems: Vec<Problem> = Vec::new();
        for (name, value) in fields {
            self.assign_one(ticket, name, value, &mut problems);
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Box::new(errors::record_invalid(&problems)))
    }

    fn assign_one(&self, ticket: &mut Ticket, name: &str, value: &Value, problems: &mut Vec<Problem>) {
        let text = || value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let mut choice = |field: &'static str, label: &str, choices: &[&str]| match value {
            Value::Null => Some(None),
            Value::String(text) if choices.contains(&text.as_str()) => Some(Some(text.clone())),
            other => {
                let shown = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
                let problem = format!("{label}: {shown} is not a valid value");
                problems.push((field, problem, Some("InvalidValue")));
                None
            }
        };
        match name {
            "subject" | "raw_subject" => ticket.subject = value.as_str().map(str::to_owned),
            "status" => {
                if let Some(Some(status)) = choice("status", "Status", STATUSES) {
                    ticket.status = status;
                }
            }
            "priority" => {
                if let Some(priority) = choice("priority", "Priority", PRIORITIES) {
                    ticket.priority = priority;
                }
            }
            "type" => {
                if let Some(kind) = choice("type", "Type", KINDS) {
                    ticket.kind = kind;
                }
            }
            "external_id" => ticket.external_id = text(),
            "recipient" => ticket.recipient = text(),
            "organization_id" => ticket.organization_id = value.as_u64(),
            "group_id" => ticket.group_id = value.as_u64(),
            "problem_id" => ticket.problem_id = value.as_u64(),
            "due_at" => ticket.due_at = value.as_str().and_then(|time| time.parse().ok()),
            "collaborator_ids" => {
                ticket.collaborator_ids = numbers(value)
                    .filter(|id| self.state.users.get(*id).is_some())
                    .collect();
            }
            "tags" => ticket.tags = texts(value).collect(),
            "additional_tags" => {
                let added = texts(value)
                    .filter(|tag| !ticket.tags.contains(tag))
                    .collect::<Vec<_>>();
                ticket.tags.extend(added);
            }
            "remove_tags" => {
                let removed: Vec<String> = texts(value).collect();
                ticket.tags.retain(|tag| !removed.contains(tag));
            }
            "custom_fields" | "fields" => ticket.assign_custom_fields(value),
            "assignee_id" | "assignee_email" => self.assign_agent(ticket, value, problems),
            _ => {}
        }
    }

    /// Assigning gives the ticket the agent's group and opens a new one.
    fn assign_agent(&self, ticket: &mut Ticket, value: &Value, problems: &mut Vec<Problem>) {
        if value.is_null() {
            ticket.assignee_id = None;
            return;
        }
        let agent = self
            .state
            .users
            .values()
            .filter(|user| user.is_agent() && user.active && !user.suspended)
            .find(|user| match value {
                Value::String(email) => user.has_email(email),
                id => id.as_u64() == Some(user.id),
            });
        match agent {
            Some(agent) => {
                ticket.assignee_id = Some(agent.id);
                ticket.group_id = Some(SUPPORT_GROUP);
                if ticket.status == "new" {
                    ticket.status = "open".to_owned();
                }
            }
            None => problems.push((
                "assignee",
                "Assignee: is invalid".to_owned(),
                Some("InvalidValue"),
            )),
        }
    }
}

impl Ticket {
    /// Merges `[{id, value}]` by id; fields that the account does not have are ignored.
    fn assign_custom_fields(&mut self, value: &Value) {
        for entry in value.as_array().into_iter().flatten() {
            let id = entry.get("id").and_then(Value::as_u64);
            let Some(id) = id.filter(|id| is_custom_field(*id)) else {
                continue;
            };
            match entry.get("value") {
                None | Some(Value::Null) => {
                    self.custom_fields.remove(&id);
                }
                // Numbers are kept, and read back, as text.
                Some(Value::Number(number)) => {
                    self.custom_fields.insert(id, json!(number.to_string()));
                }
                Some(value) => {
                    self.custom_fields.insert(id, value.clone());
                }
            }
        }
    }
}

fn numbers(value: &Value) -> impl Iterator<Item = u64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64)
}

/// The texts of an array, or of a text with spaces between, as tags may come.
fn texts(value: &Value) -> impl Iterator<Item = String> {
    let listed = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    let spaced = value.as_str().unwrap_or_default().split_whitespace();
    listed.chain(spaced).map(str::to_lowercase)
}
