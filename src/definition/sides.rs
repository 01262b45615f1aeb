//! Words of a two-way flow that are said for each of its sides: `{remote: .., local: ..}`, and for some of them once
//! for both.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Something for each side of a two-way flow; a side that is left out has the word's default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sides<T> {
    /// The remote side's.
    pub remote: Option<T>,
    /// The local side's.
    pub local: Option<T>,
}

impl<T> Default for Sides<T> {
    fn default() -> Self {
        Sides {
            remote: None,
            local: None,
        }
    }
}

impl<T: JsonSchema> JsonSchema for Sides<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("SidesOf{}", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("Sides<{}>", T::schema_id()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let side = generator.subschema_for::<T>();
        json_schema!({
            "type": "object",
            "properties": {"remote": side, "local": side},
            "additionalProperties": false,
        })
    }
}

/// Something that is said once for both sides, or for each.
#[derive(Debug, Clone, PartialEq)]
pub enum OnceOrSides<T> {
    /// The same for both.
    Once(T),
    /// `{remote: .., local: ..}`
    Sides(Sides<T>),
}

/// Whether a map is one of `remote` and `local` and nothing else.
fn is_sides(value: &serde_yaml::Value) -> bool {
    value.as_mapping().is_some_and(|members| {
        !members.is_empty()
            && members
                .keys()
                .all(|key| matches!(key.as_str(), Some("remote" | "local")))
    })
}

impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for OnceOrSides<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_yaml::Value::deserialize(deserializer)?;
        if is_sides(&value) {
            Sides::deserialize(value).map(OnceOrSides::Sides)
        } else {
            T::deserialize(value).map(OnceOrSides::Once)
        }
        .map_err(D::Error::custom)
    }
}

impl<T: JsonSchema> JsonSchema for OnceOrSides<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OnceOrSides", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("OnceOrSides<{}>", T::schema_id()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let once = generator.subschema_for::<T>();
        let sides = Sides::<T>::json_schema(generator);
        json_schema!({"anyOf": [once, sides]})
    }
}
