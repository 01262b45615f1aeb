//! Edits as a person makes them at the vendor's own screen, ordered by tests through the control endpoint.
//!
//! ```json
//! {"tickets": [{"id": 7, "priority": "urgent", "comment": {"body": "hello"}}], "users": [{"id": 360000001001, "name": "Jo"}],
//!  "delete": [8], "scrub": [9], "time": "2025-06-01T10:00:00Z"}
//! ```
//! Entries of `tickets` without an id are created. Nothing is counted against limits, and closed tickets can be edited.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Zendesk;

/// Applies an edit; answers with the ids that it touched.
pub(super) fn apply(zendesk: &mut Zendesk, edit: &Value) -> Result<Value, String> {
    let time = match edit.get("time") {
        None => zendesk.clock.now(),
        Some(time) => time
            .as_str()
            .and_then(|text| text.parse::<Timestamp>().ok())
            .ok_or("`time` must be a time such as 2025-06-01T10:00:00Z")?,
    };
    let mut tickets = Vec::new();
    for entry in list(edit, "tickets") {
        let fields = entry.as_object().ok_or("each of `tickets` must be an object")?;
        let id = match fields.get("id").and_then(Value::as_u64) {
            None => zendesk.create(fields).map_err(|refusal| said(&refusal.body))?.0,
            Some(id) => {
                let ticket = zendesk.state.tickets.edit(id).ok_or_else(|| no_ticket(id))?;
                let was_closed = ticket.status == "closed";
                if was_closed {
                    ticket.status = "solved".to_owned();
                }
                let updated = zendesk.update(id, fields);
                let stays_closed = was_closed && !fields.contains_key("status");
                if let Some(ticket) = zendesk.state.tickets.edit(id).filter(|_| stays_closed) {
                    ticket.status = "closed".to_owned();
                }
                updated.map_err(|refusal| said(&refusal.body))?;
                id
            }
        };
        if let Some(ticket) = zendesk.state.tickets.edit(id) {
            ticket.touch(time);
            if let Some(description) = fields.get("description").and_then(Value::as_str) {
                ticket.description = description.to_owned();
            }
        }
        tickets.push(id);
    }
    for id in list(edit, "delete").iter().filter_map(Value::as_u64) {
        let ticket = zendesk.state.tickets.edit(id).ok_or_else(|| no_ticket(id))?;
        ticket.status = "deleted".to_owned();
        ticket.touch(time);
        tickets.push(id);
    }
    for id in list(edit, "scrub").iter().filter_map(Value::as_u64) {
        let ticket = zendesk.state.tickets.edit(id).ok_or_else(|| no_ticket(id))?;
        ticket.scrub(time.as_second());
        tickets.push(id);
    }
    for entry in list(edit, "redact") {
        let number = |name: &str| entry.get(name).and_then(Value::as_u64).unwrap_or_default();
        let words = entry.get("words").and_then(Value::as_str).unwrap_or_default();
        let id = number("ticket");
        let ticket = zendesk.state.tickets.edit(id).ok_or_else(|| no_ticket(id))?;
        if words.is_empty() || !ticket.redact(number("comment"), words) {
            return Err(format!("ticket `{id}` has no such comment"));
        }
        ticket.touch(time);
        tickets.push(id);
    }
    for entry in list(edit, "make_private") {
        let number = |name: &str| entry.get(name).and_then(Value::as_u64).unwrap_or_default();
        let id = number("ticket");
        let ticket = zendesk.state.tickets.edit(id).ok_or_else(|| no_ticket(id))?;
        let comments = &mut ticket.comments;
        let comment = comments
            .iter_mut()
            .find(|comment| comment.id == number("comment"));
        comment
            .ok_or_else(|| format!("ticket `{id}` has no such comment"))?
            .public = false;
        ticket.touch(time);
        tickets.push(id);
    }
    for entry in list(edit, "merge") {
        let number = |name: &str| entry.get(name).and_then(Value::as_u64).unwrap_or_default();
        let (source, target) = (number("source"), number("into"));
        merge(zendesk, source, target, time)?;
        tickets.extend([source, target]);
    }
    let mut users = Vec::new();
    for entry in list(edit, "users") {
        let fields = entry.as_object().ok_or("each of `users` must be an object")?;
        let known = fields.get("id").and_then(Value::as_u64);
        if let Some(id) = known.filter(|id| zendesk.state.users.get(*id).is_none()) {
            return Err(format!("no user `{id}`"));
        }
        let id = zendesk
            .write_user(known, fields)
            .map_err(|refusal| said(&refusal.body))?;
        if let Some(user) = zendesk.state.users.edit(id) {
            user.updated_at = time;
            // A person at the screen can change the primary address and deactivate; the API cannot.
            if let Some(email) = fields.get("email") {
                user.email = email.as_str().map(str::to_owned);
                user.secondary_emails
                    .retain(|other| Some(other) != user.email.as_ref());
            }
            if let Some(active) = fields.get("active").and_then(Value::as_bool) {
                user.active = active;
            }
        }
        users.push(id);
    }
    Ok(json!({ "tickets": tickets, "users": users, "time": time }))
}

/// Merges a ticket into another: it is closed, and a private comment in each says so.
fn merge(zendesk: &mut Zendesk, source: u64, target: u64, time: Timestamp) -> Result<(), String> {
    let subject = |id: u64| {
        let ticket = zendesk
            .state
            .tickets
            .get(id)
            .filter(|ticket| !ticket.is_deleted());
        ticket.map(|ticket| ticket.subject.clone().unwrap_or_default())
    };
    let source_subject = subject(source).ok_or_else(|| no_ticket(source))?;
    let target_subject = subject(target).ok_or_else(|| no_ticket(target))?;
    let remarks = [
        (
            source,
            format!("This request was closed and merged into request #{target} \"{target_subject}\"."),
        ),
        (
            target,
            format!("Request #{source} \"{source_subject}\" was closed and merged into this request."),
        ),
    ];
    for (id, remark) in remarks {
        if let Some(ticket) = zendesk.state.tickets.edit(id) {
            let comment = json!({ "body": remark, "public": false });
            ticket.append(&comment, super::ADMIN, time, None);
            ticket.touch(time);
        }
    }
    if let Some(ticket) = zendesk.state.tickets.edit(source) {
        ticket.status = "closed".to_owned();
        ticket.tags.push("closed_by_merge".to_owned());
    }
    Ok(())
}

fn list<'a>(edit: &'a Value, name: &str) -> &'a [Value] {
    edit.get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn no_ticket(id: u64) -> String {
    format!("no ticket `{id}`")
}

fn said(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
