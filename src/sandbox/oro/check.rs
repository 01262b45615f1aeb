//! What a resource object may say: known names, possible values, existing targets, and the rules of the whole entity.
//!
//! Every problem is reported with a pointer to its place; unknown names together, without one, as the vendor does.

use serde_json::{Map, Value, json};

use super::Oro;
use super::errors::Problem;
use super::mirror::unique;
use super::model::Entity;
use super::schema::{Attribute, Kind, Relationship, ValueKind};

impl Oro {
    /// Takes over the attributes and relationships of a resource object.
    pub(super) fn assign(
        &self,
        kind: &Kind,
        entity: &mut Entity,
        data: &Map<String, Value>,
        problems: &mut Vec<Problem>,
    ) {
        let mut unknown = Vec::new();
        for (name, value) in members(data, "attributes") {
            let pointer = format!("/data/attributes/{name}");
            match kind.attribute(name) {
                None => unknown.push(format!("\"{name}\"")),
                Some(attribute) if attribute.writable => match attribute.read(value) {
                    Ok(value) => entity.set(name, value),
                    Err((title, detail)) => problems.push(Problem::at(title, detail, pointer)),
                },
                Some(_) => {}
            }
        }
        for (name, value) in members(data, "relationships") {
            let pointer = format!("/data/relationships/{name}/data");
            let Some(relationship) = kind.relationship(name) else {
                unknown.push(format!("\"{name}\""));
                continue;
            };
            let Some(target) = value.get("data") else {
                problems.push(Problem::at(
                    "request data constraint",
                    "The relationship should have 'data' property",
                    format!("/data/relationships/{name}"),
                ));
                continue;
            };
            match self.read_relationship(relationship, target, &pointer) {
                Ok(_) if !relationship.writable => {}
                Ok(ids) if relationship.many => {
                    entity.to_many.insert(name.clone(), ids);
                }
                Ok(mut ids) => match ids.pop() {
                    Some(id) => {
                        entity.to_one.insert(name.clone(), id);
                    }
                    None => {
                        entity.to_one.remove(name);
                    }
                },
                Err(problem) => problems.push(problem),
            }
        }
        if !unknown.is_empty() {
            // The vendor names all of them in one problem, which points nowhere.
            problems.push(Problem {
                status: 400,
                title: "extra fields constraint",
                detail: format!(
                    "This form should not contain extra fields: {}.",
                    unknown.join(", ")
                ),
                source: None,
            });
        }
    }

    /// The ids of a relationship's value, every one of which must exist.
    fn read_relationship(
        &self,
        relationship: &Relationship,
        value: &Value,
        pointer: &str,
    ) -> Result<Vec<String>, Problem> {
        let identifiers: Vec<&Value> = match (relationship.many, value) {
            (true, Value::Array(items)) => items.iter().collect(),
            (false, Value::Null) => Vec::new(),
            (false, Value::Object(_)) => vec![value],
            _ => {
                return Err(Problem::at(
                    "form constraint",
                    "This value is not valid.",
                    pointer,
                ));
            }
        };
        identifiers
            .into_iter()
            .enumerate()
            .map(|(position, identifier)| {
                let pointer = if relationship.many {
                    format!("{pointer}/{position}")
                } else {
                    pointer.to_owned()
                };
                let text = |name: &str| identifier.get(name).and_then(Value::as_str);
                let (Some(target), Some(id)) = (text("type"), text("id")) else {
                    return Err(Problem::at(
                        "request data constraint",
                        "The 'type' and 'id' properties are required and should be strings",
                        pointer,
                    ));
                };
                if target != relationship.target {
                    let detail = "Not acceptable entity type.".to_owned();
                    return Err(Problem::at("form constraint", detail, format!("{pointer}/type")));
                }
                if super::schema::kind(target).is_some_and(|kind| kind.has_numbers())
                    && id.parse::<u64>().is_err()
                {
                    let detail = format!("Expected integer value. Given \"{id}\".");
                    let pointer = format!("{pointer}/id");
                    return Err(Problem::at("entity identifier constraint", detail, pointer));
                }
                if self.state.entity(target, id).is_none() {
                    return Err(Problem::at(
                        "form constraint",
                        "The entity does not exist.",
                        pointer,
                    ));
                }
                Ok(id.to_owned())
            })
            .collect()
    }

    /// The rules that look at the whole entity.
    pub(super) fn validate(
        &self,
        kind: &Kind,
        id: Option<&str>,
        entity: &Entity,
        problems: &mut Vec<Problem>,
    ) {
        let blank = |entity: &Entity, name: &str| match entity.value(name) {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        for attribute in kind.attributes.iter().filter(|attribute| attribute.required) {
            if blank(entity, attribute.name) {
                problems.push(Problem::at(
                    "not blank constraint",
                    "This value should not be blank.",
                    format!("/data/attributes/{}", attribute.name),
                ));
            }
        }
        for relationship in kind
            .relationships
            .iter()
            .filter(|relationship| relationship.required)
        {
            let pointer = format!("/data/relationships/{}/data", relationship.name);
            let is_reported = problems.iter().any(|problem| {
                problem
                    .source
                    .as_ref()
                    .is_some_and(|(_, place)| place.starts_with(&pointer))
            });
            if !entity.to_one.contains_key(relationship.name) && !is_reported {
                problems.push(Problem::at(
                    "not null constraint",
                    "This value should not be null.",
                    pointer,
                ));
            }
        }
        let names = ["firstName", "lastName", "emails", "phones"];
        if kind.name == "contacts" && names.iter().all(|name| blank(entity, name)) {
            problems.push(Problem::at(
                "has contact information constraint",
                "At least one of the fields First name, Last name, Emails or Phones must be defined.",
                "/data",
            ));
        }
        for members in unique(kind.name) {
            let Some(own) = entity.members(members) else {
                continue;
            };
            let taken = self.state.select(kind.name, |other, entity| {
                Some(other) != id && entity.members(members).as_ref() == Some(&own)
            });
            if let (false, Some(name)) = (taken.is_empty(), members.first()) {
                let pointer = match kind.attribute(name) {
                    Some(_) => format!("/data/attributes/{name}"),
                    None => format!("/data/relationships/{name}/data"),
                };
                problems.push(Problem::at(
                    "unique entity constraint",
                    "This value is already used.",
                    pointer,
                ));
            }
        }
    }
}

impl Attribute {
    /// The value to store for one that was sent, or the title and detail of what is wrong with it.
    fn read(&self, value: &Value) -> Result<Value, (&'static str, String)> {
        let invalid = Err(("form constraint", "This value is not valid.".to_owned()));
        match (self.value, value) {
            (_, Value::Null) => Ok(Value::Null),
            (ValueKind::Text(most), Value::String(text)) => {
                if text.chars().count() > most {
                    let detail = format!("This value is too long. It should have {most} characters or less.");
                    return Err(("length constraint", detail));
                }
                Ok(value.clone())
            }
            (ValueKind::LongText, Value::String(_))
            | (ValueKind::Boolean, Value::Bool(_))
            | (ValueKind::Integer, Value::Number(_)) => Ok(value.clone()),
            (ValueKind::Time, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
                // Stored, and read back, in UTC and to the second.
                Ok(time) => Ok(json!(
                    jiff::Timestamp::from_second(time.as_second()).unwrap_or(time)
                )),
                Err(_) => invalid,
            },
            (ValueKind::Emails, Value::Array(items)) => entries(items, "email").map_or(invalid, Ok),
            (ValueKind::Phones, Value::Array(items)) => entries(items, "phone").map_or(invalid, Ok),
            (ValueKind::Texts, Value::Array(items)) if items.iter().all(Value::is_string) => {
                Ok(value.clone())
            }
            _ => invalid,
        }
    }
}

impl Entity {
    /// The values of attributes and relationships; nothing when one of them is null, as a database compares.
    fn members(&self, names: &[&str]) -> Option<Vec<Value>> {
        names
            .iter()
            .map(|name| match self.to_one.get(*name) {
                Some(id) => Some(json!(id)),
                None => self.attributes.get(*name).cloned(),
            })
            .collect()
    }

    /// Keeps a contact's primary address among its addresses, and gives one to a contact that names none.
    ///
    /// `emails` replaces all addresses. A primary one that is not among them is added; without a primary one, or when the
    /// list that came no longer holds it, the first is primary.
    pub(super) fn settle_primaries(&mut self, data: &Map<String, Value>) {
        for (primary, list, entry) in [
            ("primaryEmail", "emails", "email"),
            ("primaryPhone", "phones", "phone"),
        ] {
            let sent = |name: &str| members(data, "attributes").any(|(sent, _)| sent == name);
            let mut entries = self.value(list).as_array().cloned().unwrap_or_default();
            let holds =
                |entries: &[Value], value: &Value| entries.iter().any(|item| item.get(entry) == Some(value));
            let value = self.value(primary).clone();
            if value.is_string() && !holds(&entries, &value) && sent(primary) {
                entries.insert(0, json!({ entry: value }));
            }
            if !holds(&entries, &value) {
                let first = entries.first().and_then(|item| item.get(entry)).cloned();
                self.set(primary, first.unwrap_or(Value::Null));
            }
            if !entries.is_empty() {
                self.set(list, Value::Array(entries));
            }
        }
    }
}

/// `[{entry: text}]` with nothing else in it.
fn entries(items: &[Value], entry: &str) -> Option<Value> {
    items
        .iter()
        .map(|item| {
            let text = item.get(entry)?.as_str()?;
            Some(json!({ entry: text }))
        })
        .collect()
}

/// The members of an object under `name`, none when it is missing.
fn members<'a>(data: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    data.get(name).and_then(Value::as_object).into_iter().flatten()
}
