//! Creating, changing and deleting, with the validation that comes before.
//!
//! A write is checked whole and every problem is reported with a pointer; a refused one changes nothing. Attributes that
//! are known but read-only are ignored, unknown ones refused. `updatedAt` moves only when something changed.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::super::message::{Request, Response};
use super::errors::{self, Problem};
use super::model::Entity;
use super::read::check_id;
use super::schema::{Attribute, Kind, Relationship, ValueKind};
use super::{API_ORGANIZATION, API_USER, Oro};

/// The most entities that one `DELETE` removes.
const MOST_DELETED: usize = 100;

impl Oro {
    /// `POST /{type}`.
    pub(super) fn create(&mut self, kind: &Kind, request: &Request) -> Response {
        self.write(kind, None, request)
    }

    /// `PATCH /{type}/{id}`.
    pub(super) fn update(&mut self, kind: &Kind, id: &str, request: &Request) -> Response {
        if let Err(problem) = check_id(kind, id) {
            return errors::refuse(&[problem]);
        }
        if self.state.entity(kind.name, id).is_none() {
            return errors::not_found();
        }
        self.write(kind, Some(id), request)
    }

    fn write(&mut self, kind: &Kind, id: Option<&str>, request: &Request) -> Response {
        let status = if id.is_some() { 200 } else { 201 };
        let written = primary_data(kind, id, request)
            .map_err(|problem| vec![problem])
            .and_then(|data| self.write_all(kind, id, data, request));
        match written {
            Ok(written) => self.rendered(status, kind, &written, request),
            Err(problems) => errors::refuse(&problems),
        }
    }

    /// `DELETE /{type}/{id}`.
    pub(super) fn delete(&mut self, kind: &Kind, id: &str) -> Response {
        if self.remove(kind.name, id) {
            Response::empty(204)
        } else {
            errors::not_found()
        }
    }

    /// `DELETE /{type}?filter[...]`.
    pub(super) fn delete_many(&mut self, kind: &Kind, request: &Request) -> Response {
        if !request.query.iter().any(|(name, _)| name.starts_with("filter[")) {
            return errors::refuse(&[Problem {
                status: 400,
                title: "filter constraint",
                detail: "At least one filter must be provided.".to_owned(),
                source: None,
            }]);
        }
        let matching: Vec<String> = match self.matching(kind, request) {
            Ok(matching) => matching.into_iter().map(|(id, _)| id).collect(),
            Err(problem) => return errors::refuse(&[problem]),
        };
        let deleted = matching
            .into_iter()
            .take(MOST_DELETED)
            .filter(|id| self.remove(kind.name, id))
            .count();
        let response = Response::empty(204);
        if super::document::wants(request, "deletedCount") {
            return response.header("x-include-deleted-count", deleted);
        }
        response
    }

    /// Removes an entity and what cannot be without it; clears what pointed to it.
    pub(super) fn remove(&mut self, kind: &str, id: &str) -> bool {
        let removed = id
            .parse()
            .ok()
            .and_then(|number| self.state.table_mut(kind)?.remove(number));
        if removed.is_none() {
            return false;
        }
        for other in super::schema::KINDS {
            for relationship in other.relationships {
                if relationship.target != kind || relationship.inverse_of.is_some() {
                    continue;
                }
                let pointing = self.state.select(other.name, |_, entity| {
                    entity.to_one.get(relationship.name).is_some_and(|own| own == id)
                        || entity
                            .to_many
                            .get(relationship.name)
                            .is_some_and(|own| own.iter().any(|own| own == id))
                });
                let pointing: Vec<(String, Entity)> = pointing
                    .into_iter()
                    .map(|(id, entity)| (id, entity.into_owned()))
                    .collect();
                for (other_id, mut entity) in pointing {
                    if relationship.required {
                        self.remove(other.name, &other_id);
                        continue;
                    }
                    entity.to_one.remove(relationship.name);
                    if let Some(ids) = entity.to_many.get_mut(relationship.name) {
                        ids.retain(|own| own != id);
                    }
                    self.put(other.name, &other_id, entity);
                }
            }
        }
        true
    }

    /// Creates an entity from a resource object; returns its id.
    pub(super) fn insert(&mut self, kind: &Kind, data: &Map<String, Value>) -> Result<String, Vec<Problem>> {
        let now = json!(self.clock.now());
        let mut entity = Entity::default();
        let mut problems = Vec::new();
        self.assign(kind, &mut entity, data, &mut problems);
        entity.settle_primaries(data);
        entity.attributes.insert("createdAt".to_owned(), now.clone());
        match kind.name {
            "cases" => {
                entity.attributes.entry("reportedAt".to_owned()).or_insert(now);
            }
            "casecomments" => {
                entity
                    .attributes
                    .entry("public".to_owned())
                    .or_insert(json!(false));
                entity.attributes.insert("updatedAt".to_owned(), now);
            }
            _ => {
                entity.attributes.insert("updatedAt".to_owned(), now);
            }
        }
        for (name, default) in [("owner", API_USER), ("organization", API_ORGANIZATION)] {
            if kind.relationship(name).is_some() {
                entity.to_one.entry(name.to_owned()).or_insert(default.to_owned());
            }
        }
        self.validate(kind, None, &entity, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let id = self.state.give_id(kind.name).to_string();
        self.put(kind.name, &id, entity);
        self.reflect(kind, &id, data);
        Ok(id)
    }

    /// Changes an entity by a resource object.
    pub(super) fn change(
        &mut self,
        kind: &Kind,
        id: &str,
        data: &Map<String, Value>,
    ) -> Result<(), Vec<Problem>> {
        let Some(before) = self.state.entity(kind.name, id).map(Cow::into_owned) else {
            return Ok(());
        };
        let mut entity = before.clone();
        let mut problems = Vec::new();
        self.assign(kind, &mut entity, data, &mut problems);
        entity.settle_primaries(data);
        self.validate(kind, Some(id), &entity, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        self.reflect(kind, id, data);
        if entity == before {
            return Ok(());
        }
        let now = json!(self.clock.now());
        let closes = |entity: &Entity| {
            entity
                .to_one
                .get("status")
                .is_some_and(|status| status == "closed")
        };
        if kind.name == "cases" && closes(&entity) && !closes(&before) {
            entity.attributes.insert("closedAt".to_owned(), now.clone());
        }
        if kind.name == "casecomments" {
            entity.to_one.insert("updatedBy".to_owned(), API_USER.to_owned());
        }
        entity.attributes.insert("updatedAt".to_owned(), now);
        self.put(kind.name, id, entity);
        Ok(())
    }

    /// Stores an entity under its id.
    pub(super) fn put(&mut self, kind: &str, id: &str, entity: Entity) {
        if let (Some(table), Ok(number)) = (self.state.table_mut(kind), id.parse()) {
            table.insert(number, entity);
        }
    }

    /// Takes over the attributes and relationships of a resource object.
    fn assign(
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
    fn validate(&self, kind: &Kind, id: Option<&str>, entity: &Entity, problems: &mut Vec<Problem>) {
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
        if let Some(external_id) = entity.value("externalId").as_str() {
            let taken = self.state.select(kind.name, |other, entity| {
                Some(other) != id && entity.value("externalId").as_str() == Some(external_id)
            });
            if !taken.is_empty() {
                problems.push(Problem::at(
                    "unique entity constraint",
                    "This value is already used.",
                    "/data/attributes/externalId",
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
    /// Keeps a contact's primary address among its addresses, and gives one to a contact that names none.
    ///
    /// `emails` replaces all addresses. A primary one that is not among them is added; without a primary one, or when the
    /// list that came no longer holds it, the first is primary.
    fn settle_primaries(&mut self, data: &Map<String, Value>) {
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

/// The resource object of a request, with the type and id that its address says.
fn primary_data(kind: &Kind, id: Option<&str>, request: &Request) -> Result<Map<String, Value>, Problem> {
    const TITLE: &str = "request data constraint";
    let Some(body) = request.json() else {
        return Err(Problem {
            status: 400,
            title: "bad request http exception",
            detail: "Invalid json message received".to_owned(),
            source: None,
        });
    };
    let Some(data) = body.get("data") else {
        return Err(Problem::at(
            TITLE,
            "The primary data object should exist",
            "/data",
        ));
    };
    let Some(data) = data.as_object().filter(|data| !data.is_empty()) else {
        return Err(Problem::at(
            TITLE,
            "The primary data object should not be empty",
            "/data",
        ));
    };
    let conflict = |detail: &str, pointer: &str| Problem {
        status: 409,
        ..Problem::at("conflict constraint", detail, pointer)
    };
    match data.get("type").and_then(Value::as_str) {
        None => {
            return Err(Problem::at(
                TITLE,
                "The 'type' property is required",
                "/data/type",
            ));
        }
        Some(name) if name != kind.name => {
            return Err(conflict(
                "The 'type' property of the primary data object should match the requested resource",
                "/data/type",
            ));
        }
        Some(_) => {}
    }
    if let Some(id) = id {
        match data.get("id").and_then(Value::as_str) {
            None => {
                return Err(Problem::at(TITLE, "The 'id' property is required", "/data/id"));
            }
            Some(own) if own != id => {
                return Err(conflict(
                    "The 'id' property of the primary data object should match 'id' parameter of the query sting",
                    "/data/id",
                ));
            }
            Some(_) => {}
        }
    }
    for block in ["attributes", "relationships"] {
        if data.get(block).is_some_and(|block| !block.is_object()) {
            let detail = format!("The '{block}' property should be an object");
            return Err(Problem::at(TITLE, detail, format!("/data/{block}")));
        }
    }
    if !data.contains_key("attributes") && !data.contains_key("relationships") {
        return Err(Problem::at(
            TITLE,
            "The primary data object should contain 'attributes' or 'relationships' block",
            "/data",
        ));
    }
    Ok(data.clone())
}
