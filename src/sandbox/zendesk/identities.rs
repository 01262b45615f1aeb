//! A user's e-mail addresses: one is primary, an update of the user adds another, and only a call of its own changes which.

use serde_json::{Value, json};

use super::super::message::{Request, Response};
use super::body::object;
use super::model::User;
use super::paging::{Listing, page};
use super::requester::is_email;
use super::{Zendesk, errors};

/// The number of an identity is that of its user, then its position.
const POSITIONS: u64 = 100;

impl Zendesk {
    /// `GET /users/{id}/identities`.
    pub(super) fn list_identities(&self, request: &Request, id: &str) -> Response {
        let Some(user) = self.user(id) else {
            return errors::record_not_found();
        };
        let base = request.base();
        let identities = user.identities(&base);
        let listing = Listing {
            name: "identities",
            base: &base,
            places: (0..identities.len() as u64)
                .map(|position| (0, position))
                .collect(),
            descending: false,
        };
        let identity = |position| identities.get(usize::try_from(position).ok()?).cloned();
        match page(request, listing, identity) {
            Ok(document) => Response::json(200, &Value::Object(document)),
            Err(refusal) => *refusal,
        }
    }

    /// `POST /users/{id}/identities`: another address.
    pub(super) fn create_identity(&mut self, request: &Request, id: &str) -> Response {
        let fields = match object(request, "identity") {
            Ok(fields) => fields,
            Err(refusal) => return *refusal,
        };
        let Some(id) = self.user(id).map(|user| user.id) else {
            return errors::record_not_found();
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let email = text("value").to_owned();
        if text("type") != "email" || !is_email(&email) {
            let description = format!("Email:  {email} is not properly formatted");
            return errors::record_invalid(&[("email", description, Some("InvalidValue"))]);
        }
        if self.state.users.values().any(|user| user.has_email(&email)) {
            let description = format!("Email: {email} is already being used by another user");
            return errors::record_invalid(&[("email", description, Some("DuplicateValue"))]);
        }
        let now = self.clock.now();
        let Some(user) = self.state.users.edit(id) else {
            return errors::record_not_found();
        };
        match user.email {
            None => user.email = Some(email),
            Some(_) => user.secondary_emails.push(email),
        }
        user.updated_at = now;
        let identity = user.identities(&request.base()).pop().unwrap_or_default();
        Response::json(201, &json!({ "identity": identity }))
    }

    /// `PUT /users/{id}/identities/{identity}/make_primary`: shows all of them.
    pub(super) fn make_identity_primary(&mut self, request: &Request, id: &str, identity: &str) -> Response {
        let now = self.clock.now();
        let user = id.parse().ok().and_then(|id| self.state.users.edit(id));
        let position = |user: &User| {
            let position = identity.parse::<u64>().ok()?.checked_sub(user.id * POSITIONS)?;
            usize::try_from(position).ok()
        };
        let Some((user, position)) = user.and_then(|user| position(user).map(|position| (user, position)))
        else {
            return errors::record_not_found();
        };
        if position > user.secondary_emails.len() {
            return errors::record_not_found();
        }
        if let Some(next) = position.checked_sub(1) {
            let email = user.secondary_emails.remove(next);
            let former = user.email.replace(email);
            user.secondary_emails.extend(former);
            user.updated_at = now;
        }
        Response::json(200, &json!({ "identities": user.identities(&request.base()) }))
    }

    fn user(&self, id: &str) -> Option<&User> {
        self.state.users.get(id.parse().ok()?)
    }
}

impl User {
    /// The user's identities, the primary one first.
    pub(crate) fn identities(&self, base: &str) -> Vec<Value> {
        let emails = self.email.iter().chain(&self.secondary_emails);
        emails
            .enumerate()
            .map(|(position, email)| {
                let id = self.id * POSITIONS + position as u64;
                json!({
                    "id": id,
                    "url": format!("{base}/api/v2/users/{}/identities/{id}.json", self.id),
                    "user_id": self.id,
                    "type": "email",
                    "value": email,
                    "verified": self.verified,
                    "primary": position == 0,
                    "created_at": self.created_at,
                    "updated_at": self.updated_at,
                    "undeliverable_count": 0,
                    "deliverable_state": "deliverable",
                })
            })
            .collect()
    }
}
