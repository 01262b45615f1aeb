//! The JSON Schemas of the two kinds of file, generated from the structs.

use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{Connector, Pipeline};

static PIPELINE: LazyLock<Value> = LazyLock::new(generate::<Pipeline>);
static CONNECTOR: LazyLock<Value> = LazyLock::new(generate::<Connector>);

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

fn generate<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}
