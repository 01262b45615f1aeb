//! The JSON:API 1.0 envelope: resources are flattened on read and rebuilt on write.
//!
//! Flattened, a resource is one object: `id`, `type`, its attributes, and each relationship under its name, always as an
//! object with `id` and `type` (and the attributes of the resource it refers to, where the answer includes it), so that
//! `$.status.id` reads the same whether or not anything was included. To-many relationships are lists of such objects.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::compile::compiled::Stream;
use crate::expression::{Map, Value};

/// The included resources of a document, by type and id.
#[derive(Debug, Default)]
pub(super) struct Included<'p> {
    resources: HashMap<(Cow<'p, str>, Cow<'p, str>), Value<'p>>,
}

impl<'p> Included<'p> {
    /// Indexes the `included` list of a document.
    pub(super) fn new(list: Value<'p>) -> Self {
        let Value::List(items) = list else {
            return Included::default();
        };
        let resources = items.into_iter().filter_map(|item| {
            let identity = (scalar(item.get("type")?)?, scalar(item.get("id")?)?);
            Some((identity, item))
        });
        Included {
            resources: resources.collect(),
        }
    }

    fn get(&self, reference: &Value<'p>) -> Option<&Value<'p>> {
        let identity = (scalar(reference.get("type")?)?, scalar(reference.get("id")?)?);
        self.resources.get(&identity)
    }
}

/// A resource as one object. What is no resource object stays as it is.
pub(super) fn flatten<'p>(resource: Value<'p>, included: &Included<'p>) -> Value<'p> {
    let Value::Map(members) = resource else {
        return resource;
    };
    let mut flat = Map::default();
    flatten_into(&mut flat, &members, Some(included));
    Value::Map(flat)
}

/// Adds a resource's members; relationships of an included resource are only named, so that circles end.
fn flatten_into<'p>(flat: &mut Map<'p>, members: &Map<'p>, included: Option<&Included<'p>>) {
    for name in ["id", "type"] {
        if let Some(value) = members.get(name) {
            flat.insert(name, value.clone());
        }
    }
    if let Some(Value::Map(attributes)) = members.get("attributes") {
        for (name, value) in &attributes.0 {
            flat.insert(name.clone(), value.clone());
        }
    }
    if let Some(Value::Map(relationships)) = members.get("relationships") {
        for (name, relationship) in &relationships.0 {
            let related = match relationship.get("data") {
                None => continue,
                Some(Value::List(references)) => Value::List(
                    references
                        .iter()
                        .map(|reference| related(reference, included))
                        .collect(),
                ),
                Some(reference) => related(reference, included),
            };
            flat.insert(name.clone(), related);
        }
    }
}

fn related<'p>(reference: &Value<'p>, included: Option<&Included<'p>>) -> Value<'p> {
    let Value::Map(identity) = reference else {
        return Value::Null;
    };
    let mut flat = Map::default();
    match included.and_then(|included| included.get(reference)) {
        Some(Value::Map(members)) => flatten_into(&mut flat, members, None),
        _ => flatten_into(&mut flat, identity, None),
    }
    Value::Map(flat)
}

/// The document that writes a record: `fields` is its nested payload (`status: {id: open}`).
pub(super) fn document(stream: &Stream, key: Option<&str>, fields: &Value<'_>) -> Value<'static> {
    let mut data = Map::default();
    let resource_type = stream.resource_type.as_deref().unwrap_or(&stream.name);
    data.insert("type", Value::text(resource_type.to_owned()));
    let mut attributes = Map::default();
    let mut relationships = Map::default();
    let mut id = key.map(str::to_owned);
    if let Value::Map(members) = fields {
        for (name, value) in members.iter() {
            match stream.relationships.get(name) {
                Some(relationship) => {
                    let reference = |value: &Value<'_>| reference(value, &relationship.resource_type);
                    let linkage = match value {
                        Value::List(values) => Value::List(values.iter().map(reference).collect()),
                        Value::Null if relationship.many => Value::List(Vec::new()),
                        one if relationship.many => Value::List(vec![reference(one)]),
                        one => reference(one),
                    };
                    let linkage = Value::Map(Map(vec![("data".into(), linkage)]));
                    relationships.insert(name.to_owned(), linkage);
                }
                None if name == "id" => id = id.or(scalar(value).map(Cow::into_owned)),
                None if name == "type" => {}
                None => attributes.insert(name.to_owned(), value.clone().into_owned()),
            }
        }
    }
    if let Some(id) = id {
        data.insert("id", Value::text(id));
    }
    if !attributes.is_empty() {
        data.insert("attributes", Value::Map(attributes));
    }
    if !relationships.is_empty() {
        data.insert("relationships", Value::Map(relationships));
    }
    Value::Map(Map(vec![("data".into(), Value::Map(data))]))
}

/// A resource identifier from `{id, type?}` or a bare id; null without an id.
fn reference(value: &Value<'_>, resource_type: &str) -> Value<'static> {
    let (id, named) = match value {
        Value::Map(members) => (
            members.get("id").and_then(scalar),
            members.get("type").and_then(scalar),
        ),
        bare => (scalar(bare), None),
    };
    let Some(id) = id else {
        return Value::Null;
    };
    let resource_type = named.map_or_else(|| resource_type.to_owned(), Cow::into_owned);
    Value::Map(Map(vec![
        ("type".into(), Value::text(resource_type)),
        ("id".into(), Value::text(id.into_owned())),
    ]))
}

/// Ids are texts, but servers that write numbers are understood.
fn scalar<'p>(value: &Value<'p>) -> Option<Cow<'p, str>> {
    match value {
        Value::Text(text) => Some(text.clone()),
        other => Some(Cow::Owned(other.scalar_text()?.into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::compiled::Relationship;
    use crate::expression::{Path, parse_json};
    use indexmap::IndexMap;

    fn stream() -> Stream {
        let relationship = |resource_type: &str, many| Relationship {
            resource_type: resource_type.to_owned(),
            many,
        };
        Stream {
            relationships: IndexMap::from([
                ("status".to_owned(), relationship("casestatuses", false)),
                ("owner".to_owned(), relationship("users", false)),
                ("watchers".to_owned(), relationship("users", true)),
            ]),
            resource_type: Some("cases".to_owned()),
            ..Stream::new("cases", Path::parse("$.id").unwrap())
        }
    }

    fn flat(resource: &str, included: &str) -> String {
        let included = Included::new(parse_json(included.as_bytes()).unwrap());
        flatten(parse_json(resource.as_bytes()).unwrap(), &included).to_json()
    }

    const CASE: &str = r#"{"type":"cases","id":"22","attributes":{"subject":"Printer","closedAt":null,"score":1.50},
        "relationships":{"status":{"data":{"type":"casestatuses","id":"open"}},"owner":{"data":{"type":"users","id":"20"}},
        "account":{"data":null},"watchers":{"data":[{"type":"users","id":"20"},{"type":"users","id":"21"}]},
        "history":{"links":{"self":"/x"}}}}"#;

    #[test]
    fn relationships_are_objects_whether_or_not_anything_is_included() {
        assert_eq!(
            flat(CASE, "[]"),
            r#"{"id":"22","type":"cases","subject":"Printer","closedAt":null,"score":1.50,"status":{"id":"open","type":"casestatuses"},"owner":{"id":"20","type":"users"},"account":null,"watchers":[{"id":"20","type":"users"},{"id":"21","type":"users"}]}"#
        );
        let included = r#"[{"type":"users","id":"20","attributes":{"email":"a@b.example"},
            "relationships":{"boss":{"data":{"type":"users","id":"20"}}}}]"#;
        let flat = flat(CASE, included);
        let owner = r#"{"id":"20","type":"users","email":"a@b.example","boss":{"id":"20","type":"users"}}"#;
        assert!(
            flat.contains(&format!(r#""owner":{owner},"account":null,"watchers":[{owner},"#)),
            "{flat}"
        );
    }

    fn written(key: Option<&str>, fields: &str) -> String {
        document(&stream(), key, &parse_json(fields.as_bytes()).unwrap()).to_json()
    }

    #[test]
    fn a_payload_is_rebuilt_with_types_and_nulls() {
        assert_eq!(
            written(
                None,
                r#"{"subject":"Printer","status":{"id":"open"},"owner":{"id":null},"watchers":[{"id":20},21]}"#
            ),
            r#"{"data":{"type":"cases","attributes":{"subject":"Printer"},"relationships":{"status":{"data":{"type":"casestatuses","id":"open"}},"owner":{"data":null},"watchers":{"data":[{"type":"users","id":"20"},{"type":"users","id":"21"}]}}}}"#
        );
        assert_eq!(
            written(Some("22"), r#"{"owner":null,"watchers":null,"id":"7"}"#),
            r#"{"data":{"type":"cases","id":"22","relationships":{"owner":{"data":null},"watchers":{"data":[]}}}}"#
        );
    }

    #[test]
    fn what_was_read_can_be_written_back() {
        let read = flat(CASE, "[]");
        let back = written(None, &read);
        let again = parse_json(back.as_bytes()).unwrap();
        let again = flatten(again.get("data").unwrap().clone(), &Included::default()).to_json();
        assert_eq!(
            again,
            read.replace(r#","account":null"#, "")
                .replace(r#""status":"#, r#""account":null,"status":"#),
            "an unknown relationship that is null is written as an attribute"
        );
    }
}
