//! Record schemas: what a stream's records may hold, read from a subset of JSON Schema 2020-12.
//!
//! Understood are `type`, `format`, `enum`, `const`, `maxLength`, `required`, `readOnly`, `properties`, `items`,
//! `additionalProperties` and `$ref` to `#/$defs/…` or to a file beside this one; other keywords describe and are
//! passed over. Fields get dotted names; what stands in a list is named with `[]`: `emails[].email`.

use std::path::{Path as FilePath, PathBuf};

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::compiled::{FieldSchema, RecordSchema};

/// How deep references and objects may be nested.
const DEPTH: usize = 16;

/// Why a record schema cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordSchemaError {
    /// The file is not there or cannot be read.
    #[error("cannot read the record schema `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error("the record schema `{}` is not JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The file is JSON but not a schema of a record.
    #[error("the record schema `{}` is wrong at `{pointer}`: {problem}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Where in it, as a JSON pointer.
        pointer: String,
        /// What is wrong there.
        problem: String,
    },
}

/// A record schema and the files that it was read from, each with its text.
#[derive(Debug)]
pub struct ReadSchema {
    /// What a record may hold.
    pub schema: RecordSchema,
    /// The files, the schema's own first.
    pub files: Vec<(PathBuf, String)>,
}

/// Reads a record schema with the files that it refers to.
///
/// # Errors
/// A file cannot be read, is not JSON, or uses the understood keywords in another way than JSON Schema has them.
pub fn read_record_schema(path: &FilePath) -> Result<ReadSchema, RecordSchemaError> {
    let mut reader = Reader {
        documents: IndexMap::new(),
    };
    reader.load(path)?;
    let mut fields = IndexMap::new();
    let root = Place {
        file: path.to_owned(),
        pointer: String::new(),
    };
    let open = reader.object(&root, "", true, false, &mut fields, 0)?;
    let files = reader
        .documents
        .into_iter()
        .map(|(path, (text, _))| (path, text))
        .collect();
    Ok(ReadSchema {
        schema: RecordSchema { fields, open },
        files,
    })
}

/// A node of a schema document.
#[derive(Clone)]
struct Place {
    file: PathBuf,
    pointer: String,
}

impl Place {
    fn child(&self, key: &str) -> Place {
        let key = key.replace('~', "~0").replace('/', "~1");
        Place {
            file: self.file.clone(),
            pointer: format!("{}/{key}", self.pointer),
        }
    }

    fn error(&self, problem: impl Into<String>) -> RecordSchemaError {
        RecordSchemaError::Schema {
            path: self.file.clone(),
            pointer: self.pointer.clone(),
            problem: problem.into(),
        }
    }
}

struct Reader {
    documents: IndexMap<PathBuf, (String, Json)>,
}

impl Reader {
    fn load(&mut self, path: &FilePath) -> Result<(), RecordSchemaError> {
        if self.documents.contains_key(path) {
            return Ok(());
        }
        let text = std::fs::read_to_string(path).map_err(|source| RecordSchemaError::Read {
            path: path.to_owned(),
            source,
        })?;
        let json = serde_json::from_str(&text).map_err(|source| RecordSchemaError::Json {
            path: path.to_owned(),
            source,
        })?;
        self.documents.insert(path.to_owned(), (text, json));
        Ok(())
    }

    fn node(&self, place: &Place) -> Result<Json, RecordSchemaError> {
        let document = self.documents.get(&place.file).map(|(_, json)| json);
        document
            .and_then(|json| json.pointer(&place.pointer))
            .cloned()
            .ok_or_else(|| place.error("there is nothing"))
    }

    /// Follows `$ref`; members beside it (`readOnly`, `description`) hold as well.
    fn resolve(&mut self, place: &Place) -> Result<(Place, Json), RecordSchemaError> {
        let mut place = place.clone();
        let mut beside = serde_json::Map::new();
        for _ in 0..DEPTH {
            let node = self.node(&place)?;
            let Json::Object(members) = node else {
                return Err(place.error("a schema is an object"));
            };
            let Some(reference) = members.get("$ref") else {
                let mut members = members;
                members.extend(beside);
                return Ok((place, Json::Object(members)));
            };
            let Some(reference) = reference.as_str() else {
                return Err(place.error("`$ref` is a text"));
            };
            let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
            if file.contains("://") {
                return Err(place.error(format!(
                    "`$ref: {reference}` leaves this folder; refer to a file beside this one"
                )));
            }
            for (key, value) in &members {
                if key != "$ref" && !beside.contains_key(key) {
                    beside.insert(key.clone(), value.clone());
                }
            }
            let target = if file.is_empty() {
                place.file.clone()
            } else {
                place.file.parent().unwrap_or(FilePath::new("")).join(file)
            };
            self.load(&target)?;
            place = Place {
                file: target,
                pointer: pointer.to_owned(),
            };
        }
        Err(place.error("`$ref` goes round in a circle"))
    }

    /// Adds an object's members; says whether it may hold others.
    fn object(
        &mut self,
        place: &Place,
        prefix: &str,
        required: bool,
        read_only: bool,
        fields: &mut IndexMap<String, FieldSchema>,
        depth: usize,
    ) -> Result<bool, RecordSchemaError> {
        if depth > DEPTH {
            return Err(place.error(format!("objects are nested more than {DEPTH} deep")));
        }
        let (place, node) = self.resolve(place)?;
        let required_names = match node.get("required") {
            None => Vec::new(),
            Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            Some(_) => return Err(place.error("`required` is a list of names")),
        };
        let open = match node.get("additionalProperties") {
            None => true,
            Some(Json::Bool(open)) => *open,
            Some(_) => true,
        };
        let names: Vec<String> = match node.get("properties") {
            None => Vec::new(),
            Some(Json::Object(members)) => members.keys().cloned().collect(),
            Some(_) => return Err(place.error("`properties` is an object")),
        };
        let place = place.child("properties");
        for name in names {
            let field_required = required && required_names.contains(&name);
            let full = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            self.field(
                &place.child(&name),
                &full,
                field_required,
                read_only,
                fields,
                depth,
            )?;
        }
        Ok(open)
    }

    /// Adds one field and what it holds.
    fn field(
        &mut self,
        place: &Place,
        name: &str,
        required: bool,
        read_only: bool,
        fields: &mut IndexMap<String, FieldSchema>,
        depth: usize,
    ) -> Result<(), RecordSchemaError> {
        let (place, node) = self.resolve(place)?;
        let mut types = types_of(&node, &place)?;
        let nullable = types.iter().any(|kind| kind == "null");
        types.retain(|kind| kind != "null");
        let read_only = read_only || node.get("readOnly") == Some(&Json::Bool(true));
        let is_object = types.iter().any(|kind| kind == "object");
        let is_list = types.iter().any(|kind| kind == "array");
        let position = fields.len();
        fields.insert(
            name.to_owned(),
            FieldSchema {
                types,
                nullable,
                format: node.get("format").and_then(Json::as_str).map(str::to_owned),
                values: values_of(&node, &place)?,
                max_length: length_of(&node, &place)?,
                required,
                read_only,
                open: true,
            },
        );
        let open = if is_object && node.get("properties").is_some() {
            self.object(&place, name, required, read_only, fields, depth + 1)?
        } else if is_list && node.get("items").is_some_and(Json::is_object) {
            self.field(
                &place.child("items"),
                &format!("{name}[]"),
                false,
                read_only,
                fields,
                depth + 1,
            )?;
            false
        } else {
            is_object || is_list || fields.get(name).is_none_or(|field| field.types.is_empty())
        };
        if let Some((_, field)) = fields.get_index_mut(position) {
            field.open = open;
        }
        Ok(())
    }
}

fn types_of(node: &Json, place: &Place) -> Result<Vec<String>, RecordSchemaError> {
    const KNOWN: [&str; 7] = [
        "null", "boolean", "integer", "number", "string", "array", "object",
    ];
    let named: Vec<&str> = match node.get("type") {
        None => Vec::new(),
        Some(Json::String(name)) => vec![name],
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
        Some(_) => return Err(place.error("`type` is a name or a list of names")),
    };
    match named.iter().find(|name| !KNOWN.contains(name)) {
        Some(unknown) => Err(place.error(format!(
            "`{unknown}` is not a type; types are {}",
            KNOWN.join(", ")
        ))),
        None => Ok(named.into_iter().map(str::to_owned).collect()),
    }
}

fn values_of(node: &Json, place: &Place) -> Result<Option<Vec<String>>, RecordSchemaError> {
    let values = match (node.get("enum"), node.get("const")) {
        (Some(Json::Array(values)), _) => values.clone(),
        (Some(_), _) => return Err(place.error("`enum` is a list")),
        (None, Some(value)) => vec![value.clone()],
        (None, None) => return Ok(None),
    };
    let texts = values
        .iter()
        .filter(|value| !value.is_null())
        .map(json_text)
        .collect();
    Ok(Some(texts))
}

fn length_of(node: &Json, place: &Place) -> Result<Option<usize>, RecordSchemaError> {
    match node.get("maxLength") {
        None => Ok(None),
        Some(value) => match value.as_u64().and_then(|length| usize::try_from(length).ok()) {
            Some(length) => Ok(Some(length)),
            None => Err(place.error("`maxLength` is a whole number")),
        },
    }
}

/// A value's JSON text, without the quotes of a text: the form in which enum keys and allowed values are compared.
pub(crate) fn json_text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RecordSchema, RecordSchemaError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("other.json"), r#"{"type": "object", "properties": {"email": {"type": "string"}}, "additionalProperties": false}"#).unwrap();
        let path = folder.path().join("record.json");
        std::fs::write(&path, text).unwrap();
        read_record_schema(&path).map(|read| read.schema)
    }

    #[test]
    fn nested_fields_get_dotted_names() {
        let schema = read(
            r##"{"type": "object", "additionalProperties": false, "required": ["status", "subject"], "properties": {
                "subject": {"type": "string", "maxLength": 255},
                "status": {"$ref": "#/$defs/choice"},
                "owner": {"$ref": "other.json", "readOnly": true},
                "emails": {"type": ["array", "null"], "items": {"type": "object", "properties": {"email": {"type": "string"}}, "additionalProperties": false}},
                "custom": {"type": "object", "additionalProperties": true},
                "note": {"type": ["string", "null"]}},
              "$defs": {"choice": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "enum": ["open", "closed"]}}, "additionalProperties": false}}}"##,
        )
        .unwrap();
        let names: Vec<&str> = schema.fields.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "subject",
                "status",
                "status.id",
                "owner",
                "owner.email",
                "emails",
                "emails[]",
                "emails[].email",
                "custom",
                "note"
            ]
        );
        assert!(!schema.open);
        assert_eq!(schema.fields["subject"].max_length, Some(255));
        assert!(schema.fields["subject"].required && schema.fields["status.id"].required);
        assert_eq!(
            schema.fields["status.id"].values.as_deref(),
            Some(&["open".to_owned(), "closed".to_owned()][..])
        );
        assert!(schema.fields["owner.email"].read_only && !schema.fields["owner"].open);
        assert!(schema.fields["custom"].open && !schema.fields["emails"].open);
        assert!(schema.fields["note"].nullable && schema.fields["note"].types == ["string"]);
    }

    #[test]
    fn an_optional_object_requires_nothing() {
        let schema = read(r#"{"properties": {"a": {"type": "object", "required": ["b"], "properties": {"b": {"type": "string"}}}}}"#).unwrap();
        assert!(schema.open && !schema.fields["a.b"].required);
    }

    #[test]
    fn what_is_not_a_schema_says_where() {
        for (text, part) in [
            (r#"{"properties": {"a": {"type": "text"}}}"#, "/properties/a"),
            (r#"{"properties": {"a": {"enum": "x"}}}"#, "`enum` is a list"),
            (
                r##"{"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"$ref": "#/properties/a"}}}"##,
                "circle",
            ),
            (
                r##"{"properties": {"a": {"type": "object", "properties": {"b": {"$ref": "#/properties/a"}}}}}"##,
                "nested",
            ),
            (
                r#"{"properties": {"a": {"$ref": "https://example.com/x.json"}}}"#,
                "leaves",
            ),
            ("{", "not JSON"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
