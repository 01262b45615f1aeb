//! Who a write makes the requester: a known person by id or address, or a new one.

use serde_json::{Map, Value};

use super::super::message::Response;
use super::{Zendesk, errors};

/// The requester that a write names.
pub(super) enum Requester {
    Unsaid,
    Known(u64),
    New { id: u64, name: String, email: String },
}

impl Zendesk {
    /// Whom the fields make the requester: by id, by address, or as a new person.
    pub(super) fn requester(&self, fields: &Map<String, Value>) -> Result<Requester, Box<Response>> {
        let invalid = |description: &str| {
            Box::new(errors::record_invalid(&[(
                "requester",
                description.to_owned(),
                Some("InvalidValue"),
            )]))
        };
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
