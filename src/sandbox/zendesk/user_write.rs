//! Creating and updating users.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::message::{Request, Response};
use super::body::object;
use super::fields::USER_FIELDS;
use super::model::User;
use super::requester::is_email;
use super::{Zendesk, errors};

const ROLES: &[&str] = &["end-user", "agent", "admin"];

impl Zendesk {
    /// `POST /users`.
    pub(super) fn create_user(&mut self, request: &Request) -> Response {
        let fields = match object(request, "user") {
            Ok(fields) => fields,
            Err(refusal) => return *refusal,
        };
        match self.write_user(None, &fields) {
            Ok(id) => self.user_written(201, request, id),
            Err(refusal) => *refusal,
        }
    }

    /// `PUT /users/{id}`.
    pub(super) fn update_user(&mut self, request: &Request, id: &str) -> Response {
        let fields = match object(request, "user") {
            Ok(fields) => fields,
            Err(refusal) => return *refusal,
        };
        let Some(id) = id.parse().ok().filter(|id| self.state.users.get(*id).is_some()) else {
            return errors::record_not_found();
        };
        match self.write_user(Some(id), &fields) {
            Ok(id) => self.user_written(200, request, id),
            Err(refusal) => *refusal,
        }
    }

    /// `POST /users/create_or_update`: by external id, else by e-mail; 201 for a new one, 200 for a known one.
    pub(super) fn create_or_update_user(&mut self, request: &Request) -> Response {
        let fields = match object(request, "user") {
            Ok(fields) => fields,
            Err(refusal) => return *refusal,
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let users = || self.state.users.values();
        let known = text("external_id")
            .and_then(|external_id| users().find(|user| has_external_id(user, external_id)))
            .or_else(|| text("email").and_then(|email| users().find(|user| user.has_email(email))))
            .map(|user| user.id);
        match self.write_user(known, &fields) {
            Ok(id) if known.is_some() => self.user_written(200, request, id),
            Ok(id) => self.user_written(201, request, id),
            Err(refusal) => *refusal,
        }
    }

    fn user_written(&self, status: u16, request: &Request, id: u64) -> Response {
        let base = request.base();
        let Some(user) = self.state.users.get(id) else {
            return errors::record_not_found();
        };
        let response = Response::json(status, &json!({ "user": user.document(&base) }));
        if status == 201 {
            return response.header("location", format!("{base}/api/v2/users/{id}.json"));
        }
        response
    }

    /// Adds an end user without further properties.
    pub(super) fn insert_user(&mut self, id: u64, name: &str, email: &str, now: Timestamp) {
        let user = User {
            name: name.to_owned(),
            email: Some(email.to_owned()),
            ..User::blank(id, now)
        };
        self.state.users.insert(id, user);
    }

    /// Creates a user, or changes a known one; a refused write changes nothing.
    pub(super) fn write_user(
        &mut self,
        known: Option<u64>,
        fields: &Map<String, Value>,
    ) -> Result<u64, Box<Response>> {
        let now = self.clock.now();
        let id = known.unwrap_or_else(|| self.state.users.next_id());
        let mut user = match self.state.users.get(id) {
            Some(user) => user.clone(),
            None => User::blank(id, now),
        };
        let mut problems = Vec::new();
        let mut invalid = |field: &'static str, description: String, code: &'static str| {
            problems.push((field, description, Some(code)));
        };
        for (name, value) in fields {
            let text = value.as_str().map(str::to_owned);
            match name.as_str() {
                "name" => user.name = text.unwrap_or_default(),
                "email" => {
                    if let Some(email) = text.filter(|email| !user.has_email(email)) {
                        if !is_email(&email) {
                            let description = format!("Email:  {email} is not properly formatted");
                            invalid("email", description, "InvalidValue");
                        } else if self.state.users.values().any(|other| other.has_email(&email)) {
                            let description = format!("Email: {email} is already being used by another user");
                            invalid("email", description, "DuplicateValue");
                        } else if user.email.is_none() {
                            user.email = Some(email);
                        } else {
                            // An update adds an identity; it does not replace the primary one.
                            user.secondary_emails.push(email);
                        }
                    }
                }
                "external_id" => {
                    let taken = text.as_deref().is_some_and(|external_id| {
                        let mut others = self.state.users.values().filter(|other| other.id != id);
                        others.any(|other| has_external_id(other, external_id))
                    });
                    if taken {
                        let description = "External: has already been taken".to_owned();
                        invalid("external_id", description, "DuplicateValue");
                    }
                    user.external_id = text;
                }
                "role" => match text {
                    Some(role) if ROLES.contains(&role.as_str()) => user.role = role,
                    _ => {
                        let description = format!("Role: {value} is not a valid role");
                        invalid("role", description, "InvalidValue");
                    }
                },
                "phone" => user.phone = text,
                "alias" => user.alias = text,
                "details" => user.details = text,
                "notes" => user.notes = text,
                "organization_id" => user.organization_id = value.as_u64(),
                "suspended" => user.suspended = value.as_bool().unwrap_or(user.suspended),
                "verified" => user.verified = value.as_bool().unwrap_or(user.verified),
                "locale" => user.locale = text.unwrap_or(user.locale),
                "time_zone" => user.time_zone = text.unwrap_or(user.time_zone),
                "tags" => {
                    let tags = value.as_array().into_iter().flatten();
                    user.tags = tags.filter_map(Value::as_str).map(str::to_lowercase).collect();
                }
                "user_fields" => user.assign_fields(value),
                _ => {}
            }
        }
        if user.name.trim().is_empty() {
            let description = "Name: is too short (minimum one character)".to_owned();
            problems.push(("name", description, Some("BlankValue")));
        }
        if !problems.is_empty() {
            return Err(Box::new(errors::record_invalid(&problems)));
        }
        // A new address gets a mail that asks to verify it, unless the request says otherwise.
        let is_quiet = fields.get("skip_verify_email") == Some(&Value::Bool(true));
        user.was_mailed |= fields.contains_key("email") && user.email.is_some() && !is_quiet;
        user.updated_at = now;
        self.state.users.insert(id, user);
        Ok(id)
    }
}

impl User {
    /// A customer about whom nothing is known.
    pub(crate) fn blank(id: u64, now: Timestamp) -> Self {
        Self {
            id,
            name: String::new(),
            email: None,
            secondary_emails: Vec::new(),
            role: "end-user".to_owned(),
            external_id: None,
            phone: None,
            alias: None,
            details: None,
            notes: None,
            organization_id: None,
            active: true,
            verified: false,
            suspended: false,
            locale: "en-US".to_owned(),
            time_zone: "Berlin".to_owned(),
            tags: Vec::new(),
            user_fields: std::collections::BTreeMap::new(),
            created_at: now,
            updated_at: now,
            was_mailed: false,
        }
    }

    /// Merges values by key; keys that the account does not define are ignored.
    fn assign_fields(&mut self, value: &Value) {
        for (key, value) in value.as_object().into_iter().flatten() {
            if !USER_FIELDS.iter().any(|field| field.key == key) {
                continue;
            }
            if value.is_null() {
                self.user_fields.remove(key);
            } else {
                self.user_fields.insert(key.clone(), value.clone());
            }
        }
    }
}

/// External ids of users are unique without regard to case.
fn has_external_id(user: &User, external_id: &str) -> bool {
    user.external_id
        .as_deref()
        .is_some_and(|own| own.eq_ignore_ascii_case(external_id))
}
