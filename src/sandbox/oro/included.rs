//! Writes that bring related resources along: `included` beside `data`, all or nothing.
//!
//! A new related resource has any id that the client likes; the answer repeats it as `meta.includeId`. One with
//! `"meta": {"update": true}` is changed instead.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::message::Request;
use super::Oro;
use super::errors::Problem;
use super::model::OroState;
use super::schema::{self, Kind};

/// The most related resources of one request.
const MOST_INCLUDED: usize = 50;

/// What a write left behind.
#[derive(Debug)]
pub(crate) struct Written {
    /// The id of the primary resource.
    pub(crate) id: String,
    /// The related ones: type, the id that the client gave, the real id.
    included: Vec<(String, String, String)>,
}

/// Real ids by type and the ids that the client gave.
type Known = BTreeMap<(String, String), String>;

impl Oro {
    /// Writes the primary resource and those that came with it; a refusal leaves everything as it was.
    pub(super) fn write_all(
        &mut self,
        kind: &Kind,
        id: Option<&str>,
        data: Map<String, Value>,
        request: &Request,
    ) -> Result<Written, Vec<Problem>> {
        let included = match request.json().and_then(|body| body.get("included").cloned()) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(included)) if included.len() <= MOST_INCLUDED => included,
            Some(_) => {
                let detail = "The 'included' property should be an array of at most 50 objects";
                return Err(vec![Problem::at("request data constraint", detail, "/included")]);
            }
        };
        if included.is_empty() {
            let id = self.write_one(kind, id, &data)?;
            return Ok(Written {
                id,
                included: Vec::new(),
            });
        }
        let before = self.state.clone();
        let written = self.write_in_order(kind, id, data, &included);
        if written.is_err() {
            self.state.restore(before);
        }
        written
    }

    /// Writes each resource as soon as everything that it names has its real id.
    fn write_in_order(
        &mut self,
        kind: &Kind,
        id: Option<&str>,
        data: Map<String, Value>,
        included: &[Value],
    ) -> Result<Written, Vec<Problem>> {
        let mut waiting = vec![Resource::primary(kind, id, data)];
        for (position, resource) in included.iter().enumerate() {
            waiting.push(Resource::included(position, resource).map_err(|problem| vec![problem])?);
        }
        let mut pending: Vec<(String, String)> = waiting
            .iter()
            .filter(|resource| !resource.is_update)
            .map(Resource::key)
            .collect();
        let mut known = Known::new();
        let mut primary = None;
        let mut written = Vec::new();
        while !waiting.is_empty() {
            let Some(next) = waiting.iter().position(|resource| !resource.names_any(&pending)) else {
                let detail = "The included objects refer to each other in a circle";
                return Err(vec![Problem::at("request data constraint", detail, "/included")]);
            };
            let mut resource = waiting.remove(next);
            resource.resolve(&known);
            let target = resource.is_update.then_some(resource.client_id.as_str());
            if let Some(id) = target.filter(|id| self.state.entity(resource.kind.name, id).is_none()) {
                let detail = format!("The entity with the identifier \"{id}\" does not exist.");
                return Err(vec![Problem::at("form constraint", detail, resource.pointer)]);
            }
            let id = self
                .write_one(resource.kind, target, &resource.data)
                .map_err(|problems| resource.relocate(problems))?;
            let key = resource.key();
            pending.retain(|other| *other != key);
            known.insert(key, id.clone());
            if resource.is_primary() {
                primary = Some(id);
            } else {
                written.push((resource.kind.name.to_owned(), resource.client_id, id));
            }
        }
        Ok(Written {
            id: primary.unwrap_or_default(),
            included: written,
        })
    }

    fn write_one(
        &mut self,
        kind: &Kind,
        id: Option<&str>,
        data: &Map<String, Value>,
    ) -> Result<String, Vec<Problem>> {
        match id {
            Some(id) => self.change(kind, id, data).map(|()| id.to_owned()),
            None => self.insert(kind, data),
        }
    }

    /// Adds the resources that came with a write to its answer.
    pub(super) fn show_included(&self, document: &mut Value, written: &Written, request: &Request) {
        for (name, client_id, id) in &written.included {
            let Some(kind) = schema::kind(name) else {
                continue;
            };
            let Ok(mut shown) = self.shown(kind, id, request) else {
                continue;
            };
            let mut resource = shown["data"].take();
            resource["meta"] = json!({ "includeId": client_id });
            match document.get_mut("included").and_then(Value::as_array_mut) {
                Some(included) => {
                    included
                        .retain(|other| other["type"] != resource["type"] || other["id"] != resource["id"]);
                    included.push(resource);
                }
                None => document["included"] = json!([resource]),
            }
        }
    }
}

/// A resource object that waits to be written.
struct Resource {
    kind: &'static Kind,
    client_id: String,
    is_update: bool,
    data: Map<String, Value>,
    /// Where it stands in the request.
    pointer: String,
}

impl Resource {
    fn primary(kind: &Kind, id: Option<&str>, data: Map<String, Value>) -> Self {
        Self {
            kind: schema::kind(kind.name).unwrap_or(&super::kinds::KINDS[0]),
            client_id: data
                .get("id")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            is_update: id.is_some(),
            data,
            pointer: "/data".to_owned(),
        }
    }

    fn included(position: usize, resource: &Value) -> Result<Self, Problem> {
        let pointer = format!("/included/{position}");
        let problem = |detail: &str| Problem::at("request data constraint", detail, &pointer);
        let text = |name: &str| resource.get(name).and_then(Value::as_str);
        let (Some(name), Some(client_id)) = (text("type"), text("id")) else {
            return Err(problem(
                "The 'type' and 'id' properties are required and should be strings",
            ));
        };
        let Some(kind) = schema::kind(name).filter(|kind| kind.writable) else {
            return Err(problem("The resource is not accessible."));
        };
        Ok(Self {
            kind,
            client_id: client_id.to_owned(),
            is_update: resource.pointer("/meta/update") == Some(&Value::Bool(true)),
            data: resource.as_object().cloned().unwrap_or_default(),
            pointer,
        })
    }

    fn is_primary(&self) -> bool {
        self.pointer == "/data"
    }

    fn key(&self) -> (String, String) {
        (self.kind.name.to_owned(), self.client_id.clone())
    }

    /// Whether a relationship leads to something that is not written yet.
    fn names_any(&self, pending: &[(String, String)]) -> bool {
        let own = self.key();
        self.identifiers().any(|identifier| {
            let text = |name: &str| identifier.get(name).and_then(Value::as_str);
            pending.iter().any(|(kind, id)| {
                (kind, id) != (&own.0, &own.1) && text("type") == Some(kind) && text("id") == Some(id)
            })
        })
    }

    fn identifiers(&self) -> impl Iterator<Item = &Value> {
        let relationships = self.data.get("relationships").and_then(Value::as_object);
        relationships
            .into_iter()
            .flat_map(|relationships| relationships.values())
            .filter_map(|relationship| relationship.get("data"))
            .flat_map(|data| match data {
                Value::Array(items) => items.iter().collect(),
                single => vec![single],
            })
    }

    /// Puts real ids where the client's stand.
    fn resolve(&mut self, known: &Known) {
        let Some(Value::Object(relationships)) = self.data.get_mut("relationships") else {
            return;
        };
        for relationship in relationships.values_mut() {
            let identifiers = match relationship.get_mut("data") {
                Some(Value::Array(items)) => items.iter_mut().collect(),
                Some(single) => vec![single],
                None => Vec::new(),
            };
            for identifier in identifiers {
                let text = |name: &str| {
                    identifier
                        .get(name)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned()
                };
                if let Some(id) = known.get(&(text("type"), text("id"))) {
                    identifier["id"] = json!(id);
                }
            }
        }
    }

    /// Problems of a resource, pointing to where it stands.
    fn relocate(&self, mut problems: Vec<Problem>) -> Vec<Problem> {
        for problem in &mut problems {
            if let Some((_, place)) = &mut problem.source
                && let Some(rest) = place.strip_prefix("/data")
            {
                *place = format!("{}{rest}", self.pointer);
            }
        }
        problems
    }
}

impl OroState {
    /// Takes an earlier state back; what was written since is gone, but its ids do not return.
    fn restore(&mut self, before: Self) {
        let last_ids = std::mem::take(&mut self.last_ids);
        *self = before;
        self.last_ids = last_ids;
    }
}
