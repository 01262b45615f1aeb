//! Writing values as JSON: as they are, in the canonical form of digests, and through `serde`.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq};

use super::number::Number;
use super::value::{Map, Value};

impl Value<'_> {
    /// The value as JSON text, members in their order, numbers in their digits.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends the value as JSON text.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        self.write(out, false);
    }

    /// Appends the one JSON text that equal values share: names sorted, numbers and times in one spelling. For digests.
    pub fn canonical(&self, out: &mut Vec<u8>) {
        self.write(out, true);
    }

    fn write(&self, out: &mut Vec<u8>, canonical: bool) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Number(number) if canonical => out.extend_from_slice(number.canonical().as_bytes()),
            Value::Number(number) => out.extend_from_slice(number.digits().as_bytes()),
            Value::Text(text) => write_text(text, out),
            Value::Time(time) => write_text(&time.to_string(), out),
            Value::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out, canonical);
                }
                out.push(b']');
            }
            Value::Map(map) => {
                let mut members: Vec<(&str, &Value<'_>)> = map.iter().collect();
                if canonical {
                    members.sort_by_key(|(name, _)| *name);
                }
                out.push(b'{');
                for (index, (name, value)) in members.into_iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_text(name, out);
                    out.push(b':');
                    value.write(out, canonical);
                }
                out.push(b'}');
            }
        }
    }
}

/// Appends a JSON string.
fn write_text(text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, text).is_err() {
        // Writing text to memory cannot fail; should it ever, the output stays well-formed.
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(number) => match number.digits().parse::<serde_json::Number>() {
                Ok(number) => number.serialize(serializer),
                Err(error) => Err(serde::ser::Error::custom(error)),
            },
            Value::Text(text) => serializer.serialize_str(text),
            Value::Time(time) => serializer.collect_str(time),
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Value::Map(map) => {
                let mut members = serializer.serialize_map(Some(map.len()))?;
                for (name, value) in map.iter() {
                    members.serialize_entry(name, value)?;
                }
                members.end()
            }
        }
    }
}

impl From<serde_json::Value> for Value<'static> {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(value),
            serde_json::Value::Number(number) => Value::Number(Number::from_digits(number.to_string())),
            serde_json::Value::String(text) => Value::Text(Cow::Owned(text)),
            serde_json::Value::Array(items) => Value::List(items.into_iter().map(Value::from).collect()),
            serde_json::Value::Object(members) => Value::Map(Map(members
                .into_iter()
                .map(|(name, value)| (Cow::Owned(name), Value::from(value)))
                .collect())),
        }
    }
}

impl From<Value<'_>> for serde_json::Value {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => serde_json::Value::Bool(value),
            Value::Number(number) => number
                .digits()
                .parse()
                .map_or(serde_json::Value::Null, serde_json::Value::Number),
            Value::Text(text) => serde_json::Value::String(text.into_owned()),
            Value::Time(time) => serde_json::Value::String(time.to_string()),
            Value::List(items) => serde_json::Value::Array(items.into_iter().map(Into::into).collect()),
            Value::Map(Map(members)) => serde_json::Value::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (name.into_owned(), value.into()))
                    .collect(),
            ),
        }
    }
}
