//! `/{type}/{id}/relationships/{name}`: reading a relationship, replacing it, adding to it, removing from it.

use std::borrow::Cow;

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::super::message::{Request, Response};
use super::Oro;
use super::document::answer;
use super::errors::{self, Problem};
use super::read::check_id;
use super::schema::{Kind, Relationship};

impl Oro {
    pub(super) fn relationship(&mut self, kind: &Kind, id: &str, name: &str, request: &Request) -> Response {
        if let Err(problem) = check_id(kind, id) {
            return errors::refuse(&[problem]);
        }
        let Some(relationship) = kind.relationship(name) else {
            return errors::refuse(&[Problem {
                status: 404,
                title: "not found http exception",
                detail: "Unsupported subresource.".to_owned(),
                source: None,
            }]);
        };
        if self.state.entity(kind.name, id).is_none() {
            return errors::not_found();
        }
        let current = self.identifiers(kind, id, relationship);
        if request.method == Method::GET {
            return answer(200, &json!({ "data": current }));
        }
        let changed = sent(request).and_then(|sent| match (&request.method, relationship.many) {
            (&Method::PATCH, _) => Ok(sent),
            (&Method::POST | &Method::DELETE, true) => {
                let mut kept = current.as_array().cloned().unwrap_or_default();
                let sent = sent.as_array().cloned().unwrap_or_default();
                kept.retain(|own| !sent.contains(own));
                if request.method == Method::POST {
                    kept.extend(sent);
                }
                Ok(Value::Array(kept))
            }
            _ => Err(None),
        });
        let data = match changed {
            Ok(data) => data,
            Err(Some(problem)) => return errors::refuse(&[*problem]),
            Err(None) => return errors::not_allowed(request.method.as_str()),
        };
        let resource = json!({ "relationships": { name: { "data": data } } });
        match self.change(kind, id, resource.as_object().unwrap_or(&Map::new())) {
            Ok(()) => Response::empty(204),
            Err(problems) => errors::refuse(&problems),
        }
    }

    /// The other end, or ends, as resource identifiers.
    fn identifiers(&self, kind: &Kind, id: &str, relationship: &Relationship) -> Value {
        let identifier = |id: &String| json!({ "type": relationship.target, "id": id });
        let entity = self
            .state
            .entity(kind.name, id)
            .map(Cow::into_owned)
            .unwrap_or_default();
        if relationship.inverse_of.is_some() {
            let reflected = self.state.reflect(relationship).remove(id).unwrap_or_default();
            return reflected.iter().map(identifier).collect();
        }
        if relationship.many {
            let ids = entity.to_many.get(relationship.name);
            return ids.into_iter().flatten().map(identifier).collect();
        }
        entity
            .to_one
            .get(relationship.name)
            .map(identifier)
            .unwrap_or_default()
    }
}

/// The `data` of a body.
fn sent(request: &Request) -> Result<Value, Option<Box<Problem>>> {
    let data = request.json().and_then(|body| body.get("data").cloned());
    data.ok_or_else(|| {
        Some(Box::new(Problem::at(
            "request data constraint",
            "The primary data object should exist",
            "/data",
        )))
    })
}
