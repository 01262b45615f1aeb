//! Creating, changing and deleting.
//!
//! A write is checked whole (see `check`) and a refused one changes nothing. `updatedAt` moves only when something changed.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::super::activity::Moment;
use super::super::message::{Request, Response};
use super::body::primary_data;
use super::errors::{self, Problem};
use super::model::Entity;
use super::read::check_id;
use super::schema::Kind;
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
            Ok(written) => {
                self.fire(Moment::Before, kind, &written.id);
                let response = self.rendered(status, kind, &written, request);
                self.fire(Moment::After, kind, &written.id);
                response
            }
            Err(problems) => errors::refuse(&problems),
        }
    }

    /// Lets the business rules do what a client's write makes them do; what they may not do they leave.
    fn fire(&mut self, moment: Moment, kind: &Kind, id: &str) {
        let now = self.clock.now().to_string();
        for change in self.triggers.due(moment, kind.name, id, &now) {
            // Refused, the record stays as it is; the log of what was tried has it all the same.
            let _ = self.change(kind, id, &change);
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
        for other in super::schema::kinds() {
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
}
