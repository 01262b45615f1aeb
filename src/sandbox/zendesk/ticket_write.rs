//! Creating, updating and deleting tickets.
//!
//! A write with one impossible value is refused whole. Every other one moves `generated_timestamp`, and `updated_at` when it
//! changed something.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::activity::Moment;
use super::super::message::{Request, Response};
use super::body::object;
use super::comments::comment_text;
use super::errors::Problem;
use super::model::{IdempotencyKey, Ticket};
use super::requester::Requester;
use super::{ADMIN, Zendesk, errors};

/// How long an idempotency key is remembered, in seconds.
const KEY_LIFETIME: i64 = 7200;
/// The most comments of a ticket.
const MOST_COMMENTS: usize = 5000;

impl Zendesk {
    /// `POST /tickets`.
    pub(super) fn create_ticket(&mut self, request: &Request) -> Response {
        let fields = match sent(request) {
            Ok(fields) => fields,
            Err(refusal) => return *refusal,
        };
        let base = request.base();
        let Some(key) = request.header("idempotency-key").map(str::to_owned) else {
            return match self.create(&fields) {
                Ok(written) => self.written(201, &base, written),
                Err(refusal) => *refusal,
            };
        };
        let now = self.clock.now();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let known = self
            .state
            .idempotency_keys
            .values()
            .find(|known| known.key == key && now.as_second() - known.used_at.as_second() < KEY_LIFETIME);
        if let Some(known) = known {
            if known.body != body {
                return errors::plain(
                    400,
                    "IdempotentRequestError",
                    "Request parameters don't match the given idempotency key",
                );
            }
            let id = known.ticket_id;
            let audit_id = self
                .state
                .tickets
                .get(id)
                .and_then(|ticket| Some(ticket.comments.first()?.audit_id));
            return self
                .shown(201, &base, id, audit_id.unwrap_or_default())
                .header("x-idempotency-lookup", "hit");
        }
        match self.create(&fields) {
            Ok(written) => {
                let ticket_id = written.0;
                let number = self.state.idempotency_keys.next_id();
                let used = IdempotencyKey {
                    key,
                    body,
                    ticket_id,
                    used_at: now,
                };
                self.state.idempotency_keys.insert(number, used);
                self.written(201, &base, written)
                    .header("x-idempotency-lookup", "miss")
            }
            Err(refusal) => refusal.header("x-idempotency-lookup", "miss"),
        }
    }

    /// `PUT /tickets/{id}`.
    pub(super) fn update_ticket(&mut self, request: &Request, id: &str) -> Response {
        let fields = match sent(request) {
            Ok(fields) => fields,
            Err(refusal) => return *refusal,
        };
        let Some(id) = self.live_ticket(id).map(|ticket| ticket.id) else {
            return errors::record_not_found();
        };
        match self.update(id, &fields) {
            Ok(audit_id) => self.written(200, &request.base(), (id, audit_id)),
            Err(refusal) => *refusal,
        }
    }

    /// `DELETE /tickets/{id}`: the ticket stays in exports.
    pub(super) fn delete_ticket(&mut self, id: &str) -> Response {
        let Some(id) = self.live_ticket(id).map(|ticket| ticket.id) else {
            return errors::record_not_found();
        };
        let now = self.clock.now();
        if let Some(ticket) = self.state.tickets.edit(id) {
            ticket.status = "deleted".to_owned();
            ticket.touch(now);
        }
        Response::empty(204)
    }

    /// The ticket and the audit of a write, with what business rules did before the answer; others act after it. A
    /// write's answer carries no usable `generated_timestamp`.
    fn written(&mut self, status: u16, base: &str, (id, audit_id): (u64, u64)) -> Response {
        self.fire(Moment::Before, id);
        let response = self.shown(status, base, id, audit_id);
        self.fire(Moment::After, id);
        response
    }

    /// Lets the business rules do what a client's write makes them do; what they may not do they leave.
    pub(super) fn fire(&mut self, moment: Moment, id: u64) {
        let now = self.clock.now().to_string();
        for change in self.triggers.due(moment, "tickets", &id.to_string(), &now) {
            // Refused, the ticket stays as it is; the log of what was tried has it all the same.
            let _ = self.update(id, &change);
        }
    }

    fn shown(&self, status: u16, base: &str, id: u64, audit_id: u64) -> Response {
        let Some(ticket) = self.state.tickets.get(id) else {
            return errors::record_not_found();
        };
        let mut document = ticket.document(base);
        document.insert("generated_timestamp".to_owned(), json!(0));
        let audit = ticket.audit_documents().remove(&audit_id).unwrap_or_else(|| {
            json!({ "id": audit_id, "ticket_id": id, "created_at": ticket.updated_at, "author_id": ADMIN, "events": [] })
        });
        let response = Response::json(status, &json!({ "ticket": document, "audit": audit }));
        if status == 201 {
            return response.header("location", format!("{base}/api/v2/tickets/{id}.json"));
        }
        response
    }

    /// Creates a ticket from the fields of a request; nothing is kept of a refused one. Returns its id and its audit's.
    pub(super) fn create(&mut self, fields: &Map<String, Value>) -> Result<(u64, u64), Box<Response>> {
        let now = self.clock.now();
        let id = self.state.tickets.next_id();
        let mut ticket = Ticket::blank(id, now);
        let comment = match (fields.get("comment"), fields.get("description")) {
            (Some(comment @ Value::Object(_)), _) => Some(comment.clone()),
            (_, Some(Value::String(text))) if !text.is_empty() => Some(json!({ "body": text })),
            _ => None,
        };
        let comment = comment.filter(|comment| !comment_text(comment).trim().is_empty());
        let Some(comment) = comment else {
            let blank = "Description: cannot be blank".to_owned();
            return Err(refuse(("base", blank, Some("BlankValue"))));
        };
        let new_requester = self.requester(fields)?;
        let requester_id = match &new_requester {
            Requester::Known(id) => *id,
            Requester::New { id, .. } => *id,
            Requester::Unsaid => ADMIN,
        };
        ticket.requester_id = requester_id;
        ticket.submitter_id = fields
            .get("submitter_id")
            .and_then(Value::as_u64)
            .filter(|id| *id == requester_id || self.state.users.get(*id).is_some())
            .unwrap_or(requester_id);
        self.assign(&mut ticket, fields)?;
        ticket.external_id_since = ticket.external_id.is_some().then_some(now);
        let author = comment.get("author_id").and_then(Value::as_u64);
        let author = author.unwrap_or(ticket.submitter_id);
        let is_new = matches!(new_requester, Requester::New { id, .. } if id == author);
        if !is_new {
            self.check_author(author)?;
        }
        ticket.append(&comment, author, now, fields.get("metadata"));
        ticket.description = comment_text(&comment);
        ticket.is_public = ticket.comments.iter().any(|comment| comment.public);
        if let Requester::New { id, name, email } = new_requester {
            self.insert_user(id, &name, &email, now);
        }
        let audit_id = ticket.comments.last().map(|comment| comment.audit_id);
        self.state.tickets.insert(id, ticket);
        Ok((id, audit_id.unwrap_or_default()))
    }

    /// Updates a ticket from the fields of a request; a refused write changes nothing. Returns the id of the audit.
    pub(super) fn update(&mut self, id: u64, fields: &Map<String, Value>) -> Result<u64, Box<Response>> {
        let now = self.clock.now();
        let Some(before) = self.state.tickets.get(id).filter(|ticket| !ticket.is_deleted()) else {
            return Err(Box::new(errors::record_not_found()));
        };
        if before.status == "closed" {
            let description = "closed prevents ticket update".to_owned();
            return Err(refuse(("status", description, None)));
        }
        // The vendor takes `safe_update: false` for true.
        if fields.contains_key("safe_update") {
            let stamp: Option<Timestamp> = fields
                .get("updated_stamp")
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok());
            if stamp.map(Timestamp::as_second) != Some(before.updated_at.as_second()) {
                return Err(Box::new(errors::plain(
                    409,
                    "UpdateConflict",
                    "Safe Update prevented the update due to outdated ticket data. Please fetch the latest ticket data and try again.",
                )));
            }
        }
        let mut ticket = before.clone();
        let requester = self.requester(fields)?;
        match &requester {
            Requester::Known(id) | Requester::New { id, .. } => ticket.requester_id = *id,
            Requester::Unsaid => {}
        }
        self.assign(&mut ticket, fields)?;
        if ticket.external_id != before.external_id {
            ticket.external_id_since = Some(now);
        }
        let audit_id = ticket.next_audit_id();
        if let Some(comment @ Value::Object(_)) = fields.get("comment") {
            if ticket.comments.len() >= MOST_COMMENTS {
                let full = format!("Ticket: cannot have more than {MOST_COMMENTS} comments");
                return Err(refuse(("base", full, None)));
            }
            let author = comment.get("author_id").and_then(Value::as_u64).unwrap_or(ADMIN);
            self.check_author(author)?;
            if !comment_text(comment).trim().is_empty() {
                ticket.append(comment, author, now, fields.get("metadata"));
            }
        }
        let before = before.clone();
        ticket.note_changes(&before, audit_id, now, fields.get("metadata"));
        // Without a change there is no event to move `updated_at`; exports show the ticket again all the same.
        let updated_at = if ticket == before { before.updated_at } else { now };
        ticket.touch(now);
        ticket.updated_at = updated_at;
        if let Requester::New { id, name, email } = requester {
            self.insert_user(id, &name, &email, now);
        }
        self.state.tickets.insert(id, ticket);
        Ok(audit_id)
    }

    fn check_author(&self, author: u64) -> Result<(), Box<Response>> {
        if self.state.users.get(author).is_some() {
            return Ok(());
        }
        let invalid = "Author: is invalid".to_owned();
        Err(refuse(("author", invalid, Some("InvalidValue"))))
    }
}

/// The ticket of a request; files come by an upload of their own, so what it lists as attached is not looked at.
fn sent(request: &Request) -> Result<Map<String, Value>, Box<Response>> {
    let mut fields = object(request, "ticket")?;
    if let Some(Value::Object(comment)) = fields.get_mut("comment") {
        comment.remove("attachments");
    }
    Ok(fields)
}

/// A refusal for one problem.
fn refuse(problem: Problem) -> Box<Response> {
    Box::new(errors::record_invalid(&[problem]))
}
