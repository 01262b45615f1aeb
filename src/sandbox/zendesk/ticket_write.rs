//! Creating, updating and deleting tickets.
//!
//! Properties that are not known, or may not be written, are ignored without a word, as the vendor does; values that are
//! not possible are refused with the whole write. Every write moves `updated_at` and `generated_timestamp`.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::message::{Request, Response};
use super::fields::is_custom_field;
use super::model::{Comment, IdempotencyKey, Ticket};
use super::{ADMIN, SUPPORT_GROUP, Zendesk, errors};

const STATUSES: &[&str] = &["new", "open", "pending", "hold", "solved", "closed"];
const PRIORITIES: &[&str] = &["urgent", "high", "normal", "low"];
const KINDS: &[&str] = &["problem", "incident", "question", "task"];
/// How long an idempotency key is remembered, in seconds.
const KEY_LIFETIME: i64 = 7200;
/// The most comments of a ticket.
const MOST_COMMENTS: usize = 5000;

/// One validation error: field, description, code.
type Problem = (&'static str, String, Option<&'static str>);

impl Zendesk {
    /// `POST /tickets`.
    pub(super) fn create_ticket(&mut self, request: &Request) -> Response {
        let fields = match object(request, "ticket") {
            Ok(fields) => fields,
            Err(refusal) => return *refusal,
        };
        let base = request.base();
        let Some(key) = request.header("idempotency-key").map(str::to_owned) else {
            return match self.create(&fields) {
                Ok(id) => self.written(201, &base, id),
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
            return self.written(201, &base, id).header("x-idempotency-lookup", "hit");
        }
        match self.create(&fields) {
            Ok(ticket_id) => {
                let number = self.state.idempotency_keys.next_id();
                let used = IdempotencyKey {
                    key,
                    body,
                    ticket_id,
                    used_at: now,
                };
                self.state.idempotency_keys.insert(number, used);
                self.written(201, &base, ticket_id)
                    .header("x-idempotency-lookup", "miss")
            }
            Err(refusal) => refusal.header("x-idempotency-lookup", "miss"),
        }
    }

    /// `PUT /tickets/{id}`.
    pub(super) fn update_ticket(&mut self, request: &Request, id: &str) -> Response {
        let fields = match object(request, "ticket") {
            Ok(fields) => fields,
            Err(refusal) => return *refusal,
        };
        let Some(id) = self.live_ticket(id).map(|ticket| ticket.id) else {
            return errors::record_not_found();
        };
        match self.update(id, &fields) {
            Ok(()) => self.written(200, &request.base(), id),
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

    /// The ticket and its last audit, after a write; a write's answer carries no usable `generated_timestamp`.
    fn written(&self, status: u16, base: &str, id: u64) -> Response {
        let Some(ticket) = self.state.tickets.get(id) else {
            return errors::record_not_found();
        };
        let mut document = ticket.document(base);
        document.insert("generated_timestamp".to_owned(), json!(0));
        let audit = match ticket.comments.last() {
            Some(comment) if comment.created_at == ticket.updated_at => comment.audit(id),
            _ => {
                json!({ "id": 7_000_000_000 + id, "ticket_id": id, "created_at": ticket.updated_at, "author_id": ADMIN, "events": [] })
            }
        };
        let response = Response::json(status, &json!({ "ticket": document, "audit": audit }));
        if status == 201 {
            return response.header("location", format!("{base}/api/v2/tickets/{id}.json"));
        }
        response
    }

    /// Creates a ticket from the fields of a request; nothing is kept of a refused one.
    pub(super) fn create(&mut self, fields: &Map<String, Value>) -> Result<u64, Box<Response>> {
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
            return Err(refuse(vec![("base", blank, Some("BlankValue"))]));
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
        let author = comment.get("author_id").and_then(Value::as_u64);
        let author = author.unwrap_or(ticket.submitter_id);
        ticket.append(&comment, author, now, fields.get("metadata"));
        ticket.description = comment_text(&comment);
        ticket.is_public = ticket.comments.iter().any(|comment| comment.public);
        if let Requester::New { id, name, email } = new_requester {
            self.insert_user(id, &name, &email, now);
        }
        self.state.tickets.insert(id, ticket);
        Ok(id)
    }

    /// Updates a ticket from the fields of a request; a refused write changes nothing.
    pub(super) fn update(&mut self, id: u64, fields: &Map<String, Value>) -> Result<(), Box<Response>> {
        let now = self.clock.now();
        let Some(before) = self.state.tickets.get(id).filter(|ticket| !ticket.is_deleted()) else {
            return Err(Box::new(errors::record_not_found()));
        };
        if before.status == "closed" {
            let description = "closed prevents ticket update".to_owned();
            return Err(refuse(vec![("status", description, None)]));
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
        if let Some(comment @ Value::Object(_)) = fields.get("comment") {
            if ticket.comments.len() >= MOST_COMMENTS {
                let full = format!("Ticket: cannot have more than {MOST_COMMENTS} comments");
                return Err(refuse(vec![("base", full, None)]));
            }
            let author = comment.get("author_id").and_then(Value::as_u64).unwrap_or(ADMIN);
            if self.state.users.get(author).is_none() {
                let invalid = "Author: is invalid".to_owned();
                return Err(refuse(vec![("author", invalid, Some("InvalidValue"))]));
            }
            if !comment_text(comment).trim().is_empty() {
                ticket.append(comment, author, now, fields.get("metadata"));
            }
        }
        if let Requester::New { id, name, email } = requester {
            self.insert_user(id, &name, &email, now);
        }
        ticket.touch(now);
        self.state.tickets.insert(id, ticket);
        Ok(())
    }

    /// Whom the fields make the requester: by id, by address, or as a new person.
    fn requester(&self, fields: &Map<String, Value>) -> Result<Requester, Box<Response>> {
        let invalid =
            |description: &str| refuse(vec![("requester", description.to_owned(), Some("InvalidValue"))]);
        let known = |id: u64| match self.state.users.get(id) {
            Some(_) => Ok(Requester::Known(id)),
            None => Err(invalid("Requester: is invalid")),
        };
        match fields.get("requester_id") {
            None => {}
            Some(id) => {
                return match id.as_u64() {
                    Some(id) => known(id),
                    None => Err(invalid("Requester: is invalid")),
                };
            }
        }
        let (name, email) = match fields.get("requester") {
            None | Some(Value::Null) => return Ok(Requester::Unsaid),
            Some(Value::Number(id)) => return known(id.as_u64().unwrap_or_default()),
            Some(Value::String(email)) => ("", email.as_str()),
            Some(person) => {
                let text = |name: &str| person.get(name).and_then(Value::as_str).unwrap_or_default();
                (text("name"), text("email"))
            }
        };
        if !is_email(email) {
            return Err(invalid(&format!(
                "Requester: Email:  {email} is not properly formatted"
            )));
        }
        if let Some(user) = self.state.users.values().find(|user| user.has_email(email)) {
            return Ok(Requester::Known(user.id));
        }
        if name.trim().is_empty() {
            return Err(invalid("Requester: Name: is too short (minimum one character)"));
        }
        Ok(Requester::New {
            id: self.state.users.next_id(),
            name: name.to_owned(),
            email: email.to_owned(),
        })
    }

    /// Sets the plain properties, with the side effects of assigning.
    fn assign(&self, ticket: &mut Ticket, fields: &Map<String, Value>) -> Result<(), Box<Response>> {
        let mut problems: Vec<Problem> = Vec::new();
        for (name, value) in fields {
            self.assign_one(ticket, name, value, &mut problems);
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(refuse(problems))
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

/// The requester that a write names.
enum Requester {
    Unsaid,
    Known(u64),
    New { id: u64, name: String, email: String },
}

impl Ticket {
    /// A ticket about which nothing is known.
    pub(crate) fn blank(id: u64, now: Timestamp) -> Self {
        Self {
            id,
            external_id: None,
            via: json!({ "channel": "api", "source": { "from": {}, "to": {}, "rel": null } }),
            created_at: now,
            updated_at: now,
            generated_timestamp: now.as_second(),
            kind: None,
            subject: None,
            description: String::new(),
            priority: None,
            status: "new".to_owned(),
            recipient: None,
            requester_id: ADMIN,
            submitter_id: ADMIN,
            assignee_id: None,
            organization_id: None,
            group_id: Some(SUPPORT_GROUP),
            collaborator_ids: Vec::new(),
            problem_id: None,
            followup_ids: Vec::new(),
            due_at: None,
            tags: Vec::new(),
            custom_fields: std::collections::BTreeMap::new(),
            is_public: true,
            support_type: "agent".to_owned(),
            comments: Vec::new(),
        }
    }

    /// Moves the stamps to the time of a change.
    pub(super) fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.generated_timestamp = now.as_second();
    }

    /// Merges `[{id, value}]` by id; fields that the account does not have are ignored.
    pub(super) fn assign_custom_fields(&mut self, value: &Value) {
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

    /// Appends a comment; a comment that does not say whether it is public does as the first one did.
    pub(crate) fn append(
        &mut self,
        comment: &Value,
        author_id: u64,
        now: Timestamp,
        metadata: Option<&Value>,
    ) {
        let inherited = self.comments.first().is_none_or(|first| first.public);
        let body = comment_text(comment);
        let number = self.comments.len() as u64;
        let audit_id = 5_000_000_000_000 + self.id * 100_000 + number * 2;
        self.comments.push(Comment {
            id: audit_id + 1,
            audit_id,
            author_id,
            html_body: match comment.get("html_body").and_then(Value::as_str) {
                Some(html) => html.to_owned(),
                None => format!("<div class=\"zd-comment\" dir=\"auto\">{body}</div>"),
            },
            body,
            public: comment
                .get("public")
                .and_then(Value::as_bool)
                .unwrap_or(inherited),
            created_at: now,
            metadata: metadata.cloned().unwrap_or_else(|| json!({})),
        });
    }
}

/// A comment's text: `body`, else `html_body` without its tags.
fn comment_text(comment: &Value) -> String {
    if let Some(body) = comment.get("body").and_then(Value::as_str) {
        return body.to_owned();
    }
    let html = comment
        .get("html_body")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut text = String::new();
    let mut inside_tag = false;
    for character in html.chars() {
        match character {
            '<' => inside_tag = true,
            '>' => inside_tag = false,
            _ if !inside_tag => text.push(character),
            _ => {}
        }
    }
    text
}

/// The object under `name` in a request's body.
pub(super) fn object(request: &Request, name: &str) -> Result<Map<String, Value>, Box<Response>> {
    let is_json = request
        .header("content-type")
        .is_some_and(|media_type| media_type.starts_with("application/json"));
    if !is_json {
        return Err(Box::new(invalid_attribute(name)));
    }
    let Some(body) = request.json() else {
        return Err(Box::new(Response::json(
            422,
            &json!({ "error": "Unprocessable Entity", "message": "Server could not parse JSON" }),
        )));
    };
    match body.get(name) {
        Some(Value::Object(fields)) => Ok(fields.clone()),
        _ => Err(Box::new(invalid_attribute(name))),
    }
}

pub(super) fn invalid_attribute(name: &str) -> Response {
    let message = format!(
        "You passed an invalid value for the {name} attribute. Invalid parameter: {name} must be an object"
    );
    Response::json(
        400,
        &json!({ "error": { "title": "Invalid attribute", "message": message } }),
    )
}

/// Whether a text can be an address at all.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    !local.is_empty()
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !text.contains(|character: char| character.is_whitespace() || character == ',')
        && !domain.contains('@')
}

fn refuse(problems: Vec<Problem>) -> Box<Response> {
    Box::new(errors::record_invalid(&problems))
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
