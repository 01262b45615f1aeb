//! The types of fields: by name, by the target's record schema, and whether a value or a type fits a field.

use std::sync::Arc;

use indexmap::IndexMap;
use jiff::tz::TimeZone;

use super::checks::Checks;
use super::compiled::FieldSchema;
use super::pointer::Pointer;
use crate::definition::{self, TimeType, TypeDefinition};
use crate::diagnostic::{Code, list};
use crate::expression::{TargetType, TimeFormat, TimePattern};

const BUILT_IN: [&str; 9] = [
    "text", "integer", "decimal", "boolean", "time", "date", "list", "map", "json",
];

/// The pipeline's own types, by name; `None` for one that is wrong.
pub(super) type Types = IndexMap<String, Option<TargetType>>;

/// Compiles the pipeline's `types`.
pub(super) fn compile_types(checks: &Checks<'_>, pipeline: &definition::Pipeline) -> Types {
    let at = Pointer::root().key("types");
    let compile = |(name, definition): (&String, &TypeDefinition)| {
        let at = at.key(name);
        if BUILT_IN.contains(&name.as_str()) {
            checks.error(Code::TwiceDefined, &at, |report| {
                report
                    .message(format!("`{name}` is a type already"))
                    .at_key()
                    .hint("choose another name")
            });
        }
        let TypeDefinition::Time(time) = definition;
        (name.clone(), time_type(checks, &at.key("time"), time))
    };
    pipeline.types.iter().map(compile).collect()
}

fn time_type(checks: &Checks<'_>, at: &Pointer, time: &TimeType) -> Option<TargetType> {
    let pattern = |at: &Pointer, text: &str| match TimePattern::parse(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            checks.error(Code::UnknownType, at, |report| report.message(error));
            None
        }
    };
    let read: Option<Vec<_>> = match &time.read {
        None => Some(vec![TimePattern::Rfc3339]),
        Some(texts) => {
            let at = at.key("read");
            let read: Vec<_> = texts
                .iter()
                .enumerate()
                .map(|(position, text)| pattern(&at.index(position), text))
                .collect();
            read.into_iter().collect()
        }
    };
    let zone = time.zone.as_deref().unwrap_or("UTC");
    let zone = match TimeZone::get(zone) {
        Ok(zone) => Some(zone),
        Err(_) => {
            checks.error(Code::UnknownType, &at.key("zone"), |report| {
                report
                    .message(format!("there is no time zone `{zone}`"))
                    .hint("write a name such as `UTC` or `Europe/Berlin`")
            });
            None
        }
    };
    let write = match &time.write {
        None => Some(TimePattern::Rfc3339),
        Some(text) => pattern(&at.key("write"), text),
    };
    Some(TargetType::Time(Arc::new(TimeFormat {
        read: read?,
        zone: zone?,
        write: write?,
    })))
}

/// The type of a name, or `None` after reporting that there is none.
pub(super) fn named_type(checks: &Checks<'_>, types: &Types, at: &Pointer, name: &str) -> Option<TargetType> {
    if let Some(own) = types.get(name) {
        return own.clone();
    }
    let built_in = match name {
        "text" => TargetType::Text,
        "integer" => TargetType::Integer,
        "decimal" => TargetType::Decimal,
        "boolean" => TargetType::Boolean,
        "time" => TargetType::Time(Arc::new(TimeFormat::default())),
        "date" => TargetType::Date,
        "list" => TargetType::List,
        "map" => TargetType::Map,
        "json" => TargetType::Json,
        _ => {
            let known: Vec<&str> = BUILT_IN
                .into_iter()
                .chain(types.keys().map(String::as_str))
                .collect();
            if !checks.is_omitted(&Pointer::root().key("types").key(name)) {
                checks.error(Code::UnknownType, at, |report| {
                    report
                        .message(format!("there is no type `{name}`"))
                        .did_you_mean(name, known.iter().copied())
                        .note(format!("types are {}", list(known.iter().copied())))
                });
            }
            return None;
        }
    };
    Some(built_in)
}

/// The type that a field takes by its record schema.
pub(super) fn schema_type(field: &FieldSchema) -> TargetType {
    let [only] = field.types.as_slice() else {
        return TargetType::Any;
    };
    match (only.as_str(), field.format.as_deref()) {
        ("string", Some("date-time")) => TargetType::Time(Arc::new(TimeFormat::default())),
        ("string", Some("date")) => TargetType::Date,
        ("string", _) => TargetType::Text,
        ("integer", _) => TargetType::Integer,
        ("number", _) => TargetType::Decimal,
        ("boolean", _) => TargetType::Boolean,
        ("array", _) => TargetType::List,
        ("object", _) => TargetType::Map,
        _ => TargetType::Any,
    }
}

/// Whether a field takes values of a type, as far as its schema tells.
pub(super) fn takes(field: &FieldSchema, kind: &TargetType) -> bool {
    let any = |names: &[&str]| {
        field.types.is_empty() || field.types.iter().any(|name| names.contains(&name.as_str()))
    };
    match kind {
        TargetType::Any => true,
        TargetType::Text | TargetType::Date | TargetType::Json => any(&["string"]),
        TargetType::Integer => any(&["integer", "number"]),
        TargetType::Decimal => any(&["number"]),
        TargetType::Boolean => any(&["boolean"]),
        TargetType::Time(format) => match format.write {
            TimePattern::Unix | TimePattern::UnixMilliseconds => any(&["integer", "number", "string"]),
            TimePattern::Rfc3339 | TimePattern::Strptime(_) => any(&["string"]),
        },
        TargetType::List => any(&["array"]),
        TargetType::Map => any(&["object"]),
    }
}
