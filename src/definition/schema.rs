//! The JSON Schemas of the three kinds of file, generated from the structs, and the reading of files by them.
//!
//! Editors use the schemas for completion (they are committed below `schemas/`), [`crate::document`] to report every
//! mistake in the shape of a file at once. After generation they are made plainer: alternatives in alternatives become
//! one list, a word without a value is not allowed, descriptions are one line.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::literal::{Amount, StatusPattern};
use super::text::{ConditionText, DurationText, PathText, Source};
use super::{Connector, MappingTests, Pipeline};
use crate::diagnostic::Diagnostics;
use crate::document::{self, Document, Parsed};

static PIPELINE: LazyLock<Value> = LazyLock::new(|| generate::<Pipeline>("crosswalk pipeline"));
static CONNECTOR: LazyLock<Value> = LazyLock::new(|| generate::<Connector>("crosswalk connector"));
static TESTS: LazyLock<Value> = LazyLock::new(|| generate::<MappingTests>("crosswalk mapping tests"));

/// The JSON Schema (draft 2020-12) of a pipeline file.
#[must_use]
pub fn pipeline_schema() -> &'static Value {
    &PIPELINE
}

/// The JSON Schema (draft 2020-12) of a connector file.
#[must_use]
pub fn connector_schema() -> &'static Value {
    &CONNECTOR
}

/// The JSON Schema (draft 2020-12) of a file of mapping tests.
#[must_use]
pub fn tests_schema() -> &'static Value {
    &TESTS
}

/// Reads a pipeline file. What does not fit is reported and left out; `None` if too little is left.
pub fn read_pipeline(document: &Document, diagnostics: &mut Diagnostics) -> Option<Parsed<Pipeline>> {
    document.parse(
        &document::Schema {
            root: &PIPELINE,
            check_text,
        },
        diagnostics,
    )
}

/// Reads a connector file. What does not fit is reported and left out; `None` if too little is left.
pub fn read_connector(document: &Document, diagnostics: &mut Diagnostics) -> Option<Parsed<Connector>> {
    document.parse(
        &document::Schema {
            root: &CONNECTOR,
            check_text,
        },
        diagnostics,
    )
}

/// Reads a file of mapping tests. What does not fit is reported and left out; `None` if too little is left.
pub fn read_mapping_tests(
    document: &Document,
    diagnostics: &mut Diagnostics,
) -> Option<Parsed<MappingTests>> {
    document.parse(
        &document::Schema {
            root: &TESTS,
            check_text,
        },
        diagnostics,
    )
}

/// The kinds of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A pipeline, which has the word `pipeline`.
    Pipeline,
    /// A connector, which has the word `connector`.
    Connector,
    /// Mapping tests, which have the word `tests`.
    Tests,
}

impl FileKind {
    /// Tells them apart by the words at the top of the file; a file with none of them is taken for a pipeline, so that
    /// its missing words are reported.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        let has = |word| document.root().member(word).is_some();
        if has("pipeline") {
            Self::Pipeline
        } else if has("connector") {
            Self::Connector
        } else if has("tests") {
            Self::Tests
        } else {
            Self::Pipeline
        }
    }
}

/// Checks a text as the reader of its kind would.
fn check_text(format: &str, text: &str) -> Result<(), String> {
    match format {
        "path" => PathText::new(text).map(drop),
        "source" => Source::new(text).map(drop),
        "condition" => ConditionText::new(text).map(drop),
        "length-of-time" => DurationText::new(text).map(drop),
        "share" => Amount::percent(text).map(drop),
        "status" => StatusPattern::class(text).map(drop),
        _ => Ok(()),
    }
}

fn generate<T: JsonSchema>(title: &str) -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>();
    Plainer.transform(&mut schema);
    schema.insert("title".into(), title.into());
    schema.to_value()
}

/// Makes a generated schema plainer.
struct Plainer;

impl Transform for Plainer {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(members) = schema.as_object_mut() else {
            return;
        };
        if let Some(Value::String(description)) = members.get_mut("description") {
            *description = description.replace('\n', " ");
        }
        if let Some(Value::Array(types)) = members.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                members.insert("type".into(), only);
            }
        }
        let Some(Value::Array(alternatives)) = members.remove("anyOf") else {
            return;
        };
        let mut plain: Vec<Value> = Vec::new();
        for alternative in alternatives {
            match alternative {
                Value::Object(mut inner) if inner.len() == 1 && inner.contains_key("anyOf") => {
                    if let Some(Value::Array(inner)) = inner.remove("anyOf") {
                        plain.extend(inner);
                    }
                }
                other if other.get("type").is_some_and(|name| name == "null") => {}
                other => plain.push(other),
            }
        }
        match plain.as_mut_slice() {
            [Value::Object(only)] => {
                for (word, value) in std::mem::take(only) {
                    members.entry(word).or_insert(value);
                }
            }
            _ => {
                members.insert("anyOf".into(), plain.into());
            }
        }
    }
}
