//! JSON:API documents: resources, relationships, side-loaded ones, links, sparse fields.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::super::message::{Request, Response};
use super::errors::Problem;
use super::media::MEDIA_TYPE;
use super::model::{Entity, OroState};
use super::schema::{Kind, Relationship, kind};

/// The type and relationship that hold one end of a reflection.
type End = (&'static str, &'static str);

/// Renders what a request asks to see.
#[derive(Debug)]
pub(crate) struct View<'a> {
    state: &'a OroState,
    request: &'a Request,
    /// Where resources live, for links.
    root: String,
    hateoas: bool,
    include: Vec<Vec<&'a str>>,
    /// Reflections computed so far, by the type and relationship that hold the other end.
    reflected: RefCell<HashMap<End, HashMap<String, Vec<String>>>>,
}

impl<'a> View<'a> {
    /// A view of the state; an `include` of what a type does not have is refused.
    pub(crate) fn new(
        state: &'a OroState,
        request: &'a Request,
        prefix: &str,
        primary: &Kind,
    ) -> Result<Self, Problem> {
        let include: Vec<Vec<&str>> = request
            .parameter("include")
            .into_iter()
            .flat_map(|include| include.split(','))
            .map(str::trim)
            .filter(|path| !path.is_empty())
            .map(|path| path.split('.').collect())
            .collect();
        for path in &include {
            let mut current = Some(primary);
            for name in path {
                let relationship = current.and_then(|kind| kind.relationship(name));
                let Some(relationship) = relationship else {
                    let detail = format!("The association \"{name}\" does not exist.");
                    return Err(Problem::with_parameter("filter constraint", detail, "include"));
                };
                current = kind(relationship.target);
            }
        }
        Ok(Self {
            state,
            request,
            root: format!("{}{prefix}", request.base()),
            hateoas: !wants(request, "noHateoas"),
            include,
            reflected: RefCell::default(),
        })
    }

    /// The document of one resource.
    pub(crate) fn one(&self, kind: &Kind, id: &str, entity: &Entity) -> Value {
        let mut document = Map::new();
        if self.hateoas {
            let link = format!("{}/{}/{id}", self.root, kind.name);
            document.insert("links".to_owned(), json!({ "self": link }));
        }
        document.insert("data".to_owned(), self.resource(kind, id, entity));
        let primary = [(id.to_owned(), Cow::Borrowed(entity))];
        self.insert_included(kind, &primary, &mut document);
        Value::Object(document)
    }

    /// The document of a list, with its links already made.
    pub(crate) fn many(
        &self,
        kind: &Kind,
        entities: &[(String, Cow<'_, Entity>)],
        next: Option<&str>,
    ) -> Value {
        let mut document = Map::new();
        if self.hateoas {
            let mut links = json!({ "self": format!("{}/{}", self.root, kind.name) });
            if let Some(next) = next {
                links["next"] = json!(next);
            }
            document.insert("links".to_owned(), links);
        }
        let data = entities
            .iter()
            .map(|(id, entity)| self.resource(kind, id, entity))
            .collect();
        document.insert("data".to_owned(), data);
        self.insert_included(kind, entities, &mut document);
        Value::Object(document)
    }

    /// The ids at the other end of a relationship to many.
    fn related(&self, relationship: &Relationship, id: &str, entity: &Entity) -> Vec<String> {
        let Some(inverse) = relationship.inverse_of else {
            return entity.to_many.get(relationship.name).cloned().unwrap_or_default();
        };
        self.reflected
            .borrow_mut()
            .entry((relationship.target, inverse))
            .or_insert_with(|| self.state.reflect(relationship))
            .get(id)
            .cloned()
            .unwrap_or_default()
    }

    fn resource(&self, kind: &Kind, id: &str, entity: &Entity) -> Value {
        let fields: Option<Vec<&str>> = self
            .request
            .parameter(&format!("fields[{}]", kind.name))
            .map(|fields| fields.split(',').map(str::trim).collect());
        let wanted = |name: &str| fields.as_ref().is_none_or(|fields| fields.contains(&name));
        let mut resource = Map::from_iter([
            ("type".to_owned(), json!(kind.name)),
            ("id".to_owned(), json!(id)),
        ]);
        if self.hateoas {
            let link = format!("{}/{}/{id}", self.root, kind.name);
            resource.insert("links".to_owned(), json!({ "self": link }));
        }
        let attributes = entity.attribute_document(kind, wanted);
        if !attributes.is_empty() {
            resource.insert("attributes".to_owned(), Value::Object(attributes));
        }
        let relationships: Map<String, Value> = kind
            .relationships
            .iter()
            .filter(|relationship| wanted(relationship.name))
            .map(|relationship| {
                let identifier = |id: String| json!({ "type": relationship.target, "id": id });
                let data = if relationship.many {
                    let related = self.related(relationship, id, entity);
                    related.into_iter().map(identifier).collect()
                } else {
                    let target = entity.to_one.get(relationship.name).cloned();
                    target.map_or(Value::Null, identifier)
                };
                let mut document = json!({ "data": data });
                if self.hateoas {
                    let owner = format!("{}/{}/{id}", self.root, kind.name);
                    document["links"] = json!({
                        "self": format!("{owner}/relationships/{}", relationship.name),
                        "related": format!("{owner}/{}", relationship.name),
                    });
                }
                (relationship.name.to_owned(), document)
            })
            .collect();
        if !relationships.is_empty() {
            resource.insert("relationships".to_owned(), Value::Object(relationships));
        }
        Value::Object(resource)
    }

    /// Adds what `include` leads to, each resource once, without the primary ones.
    fn insert_included(
        &self,
        primary: &Kind,
        entities: &[(String, Cow<'_, Entity>)],
        document: &mut Map<String, Value>,
    ) {
        let mut seen: BTreeSet<(&str, String)> = entities
            .iter()
            .map(|(id, _)| (primary.name, id.clone()))
            .collect();
        let mut included = Vec::new();
        for path in &self.include {
            let mut current_kind = primary;
            let mut current: Vec<(String, Cow<'_, Entity>)> = entities
                .iter()
                .map(|(id, entity)| (id.clone(), Cow::Borrowed(entity.as_ref())))
                .collect();
            for name in path {
                let Some(relationship) = current_kind.relationship(name) else {
                    break;
                };
                let Some(target) = kind(relationship.target) else {
                    break;
                };
                let mut reached = Vec::new();
                for (id, entity) in &current {
                    let ids = if relationship.many {
                        self.related(relationship, id, entity)
                    } else {
                        entity
                            .to_one
                            .get(relationship.name)
                            .cloned()
                            .into_iter()
                            .collect()
                    };
                    for id in ids {
                        let Some(entity) = self.state.entity(target.name, &id) else {
                            continue;
                        };
                        if seen.insert((target.name, id.clone())) {
                            included.push(self.resource(target, &id, &entity));
                        }
                        reached.push((id, entity));
                    }
                }
                current_kind = target;
                current = reached;
            }
        }
        if !included.is_empty() {
            document.insert("included".to_owned(), Value::Array(included));
        }
    }
}

/// Whether the `X-Include` header asks for something.
pub(crate) fn wants(request: &Request, what: &str) -> bool {
    request
        .header("x-include")
        .is_some_and(|header| header.split(';').any(|wanted| wanted.trim() == what))
}

/// A document as an answer.
pub(crate) fn answer(status: u16, document: &Value) -> Response {
    Response::typed(status, MEDIA_TYPE, document.to_string())
}
