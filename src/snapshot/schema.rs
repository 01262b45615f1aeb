//! The columns of every stage, and their documentation.
//!
//! One table describes each stage; Arrow schemas, the files under `schemas/snapshots/` and the fingerprints of the
//! manifest all come from it. Every row of every stage begins with the same six columns, so that one query can follow a
//! record through all stages.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde_json::json;

use super::Stage;
use crate::compile::compiled::Column;
use crate::expression::{TargetType, TimePattern};

/// A column as it is documented.
pub(crate) struct ColumnDescription {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
    pub(crate) description: &'static str,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// Any JSON value as JSON text, so that `"1"` and `1` stay apart.
    Value,
    /// JSON text exactly as it was received.
    Json,
    /// A number's digits.
    Decimal,
    Integer,
    SmallInteger,
    Boolean,
    Time,
    Date,
    Texts,
}

impl Kind {
    /// What a target of that type is kept as.
    pub(crate) fn of(target: &TargetType) -> Kind {
        match target {
            TargetType::Any | TargetType::List | TargetType::Map => Kind::Value,
            TargetType::Text => Kind::Text,
            TargetType::Integer => Kind::Integer,
            TargetType::Decimal => Kind::Decimal,
            TargetType::Boolean => Kind::Boolean,
            TargetType::Json => Kind::Json,
            TargetType::Date => Kind::Date,
            TargetType::Time(format) => match format.write {
                TimePattern::Rfc3339 => Kind::Time,
                TimePattern::Strptime(_) => Kind::Text,
                TimePattern::Unix | TimePattern::UnixMilliseconds => Kind::Integer,
            },
        }
    }

    /// How Arrow and Parquet hold it.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Kind::Text | Kind::Value | Kind::Json | Kind::Decimal => DataType::Utf8,
            Kind::Integer => DataType::Int64,
            Kind::SmallInteger => DataType::Int32,
            Kind::Boolean => DataType::Boolean,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Date => DataType::Date32,
            Kind::Texts => DataType::List(Arc::new(Field::new("item", DataType::Utf8, false))),
        }
    }

    /// Its name in the documentation.
    fn documented(self) -> &'static str {
        match self {
            Kind::Text => "text (UTF-8)",
            Kind::Value | Kind::Json => "JSON text (UTF-8)",
            Kind::Decimal => "decimal digits as text (UTF-8)",
            Kind::Integer => "64-bit integer",
            Kind::SmallInteger => "32-bit integer",
            Kind::Boolean => "boolean",
            Kind::Time => "timestamp in microseconds, UTC",
            Kind::Date => "date",
            Kind::Texts => "list of text",
        }
    }
}

const fn column(
    name: &'static str,
    kind: Kind,
    nullable: bool,
    description: &'static str,
) -> ColumnDescription {
    ColumnDescription {
        name,
        kind,
        nullable,
        description,
    }
}

/// The columns that every row begins with.
pub(crate) const HEAD: &[ColumnDescription] = &[
    column(
        "run_id",
        Kind::Text,
        false,
        "The run that wrote the row (UUID version 7).",
    ),
    column("flow", Kind::Text, false, "The flow of the pipeline."),
    column(
        "record_key",
        Kind::Text,
        false,
        "The source record's key as text; empty where a record has none that can be read.",
    ),
    column(
        "correlation_id",
        Kind::Text,
        false,
        "The same in every stage of one observation of a record, and sent with its writes.",
    ),
    column(
        "batch",
        Kind::Integer,
        false,
        "The batch of the run in which the record travelled.",
    ),
    column(
        "at",
        Kind::Time,
        false,
        "When this happened, by the engine's clock.",
    ),
];

const EXTRACTED: &[ColumnDescription] = &[
    column(
        "raw",
        Kind::Json,
        false,
        "The record as received, byte for byte, except for private fields.",
    ),
    column(
        "read",
        Kind::Json,
        true,
        "The record as rules read it, where that is not `raw`: unwrapped, and with the records that came with it.",
    ),
    column(
        "redacted",
        Kind::Boolean,
        false,
        "Whether private fields of the record were masked, hashed or dropped.",
    ),
];

const PLANNED: &[ColumnDescription] = &[
    column(
        "decision",
        Kind::Text,
        false,
        "What was decided: create, update, delete, unchanged, hold and so on.",
    ),
    column(
        "changed_fields",
        Kind::Texts,
        false,
        "The target fields that the decision changes.",
    ),
    column(
        "fallback_fields",
        Kind::Texts,
        false,
        "The target fields that hold a lookup's fallback because nothing was found.",
    ),
    column(
        "before",
        Kind::Json,
        true,
        "The changed fields as the sink has them, as a JSON object; null for a create.",
    ),
    column(
        "after",
        Kind::Json,
        true,
        "The fields as they would be written, as a JSON object.",
    ),
    column(
        "winner",
        Kind::Text,
        true,
        "Whose value counted where both sides changed.",
    ),
    column("reason", Kind::Text, true, "Why it was decided so."),
];

const LOADED: &[ColumnDescription] = &[
    column(
        "action",
        Kind::Text,
        false,
        "What was done to the sink: create, update, delete.",
    ),
    column("remote_key", Kind::Text, true, "The sink record's key as text."),
    column(
        "status",
        Kind::SmallInteger,
        true,
        "The HTTP status of the last answer; null where there is none.",
    ),
    column(
        "attempts",
        Kind::SmallInteger,
        false,
        "How often the request was sent.",
    ),
    column(
        "latency_ms",
        Kind::Integer,
        true,
        "From the first request to the last answer, in milliseconds.",
    ),
    column(
        "error",
        Kind::Text,
        true,
        "The system's message where the write failed; never a private value.",
    ),
    column(
        "request_id",
        Kind::Text,
        true,
        "The intent's identifier, sent as idempotency key where the system takes one.",
    ),
];

const REJECTED: &[ColumnDescription] = &[
    column(
        "field",
        Kind::Text,
        true,
        "The target field whose rule failed; null where the record as a whole did.",
    ),
    column(
        "rule",
        Kind::Text,
        true,
        "The rule or step that failed, such as `enum priority`.",
    ),
    column(
        "code",
        Kind::Text,
        false,
        "The reason as a stable word, such as `enum_unknown`.",
    ),
    column("reason", Kind::Text, false, "The reason as a sentence."),
    column(
        "value",
        Kind::Text,
        true,
        "The value that did not fit, masked where it is private.",
    ),
];

/// The columns that a stage adds to [`HEAD`]; none for `mapped`, whose columns are the flow's own.
pub(crate) fn own_columns(stage: Stage) -> &'static [ColumnDescription] {
    match stage {
        Stage::Extracted => EXTRACTED,
        Stage::Mapped => &[],
        Stage::Planned => PLANNED,
        Stage::Loaded => LOADED,
        Stage::Rejected => REJECTED,
    }
}

/// The Arrow fields of described columns.
pub(crate) fn fields(columns: &[ColumnDescription]) -> Vec<Field> {
    columns
        .iter()
        .map(|column| Field::new(column.name, column.kind.data_type(), column.nullable))
        .collect()
}

/// The Arrow fields of a flow's target columns. In `mapped` a target that is called like one of [`HEAD`] gets an
/// underscore at its end, because no reader takes two columns of one name.
pub(crate) fn target_fields(columns: &[Column], beside_head: bool) -> Vec<Field> {
    columns
        .iter()
        .map(|column| {
            let taken = beside_head && HEAD.iter().any(|head| head.name == column.name);
            let name = if taken {
                format!("{}_", column.name)
            } else {
                column.name.clone()
            };
            Field::new(name, Kind::of(&column.column_type).data_type(), true)
        })
        .collect()
}

/// A short digest of names, types and nullability: equal fingerprints can be read as one table.
pub(crate) fn fingerprint(schema: &Schema) -> String {
    let mut hasher = blake3::Hasher::new();
    for field in schema.fields() {
        hasher.update(field.name().as_bytes());
        hasher.update(format!("\0{}\0{}\n", field.data_type(), field.is_nullable()).as_bytes());
    }
    hasher.finalize().to_hex().as_str().chars().take(16).collect()
}

/// The documentation of a stage's columns, as it stands in `schemas/snapshots/<stage>.json`.
pub fn documentation(stage: Stage) -> serde_json::Value {
    let (description, note) = match stage {
        Stage::Extracted => ("Records as they were received, one row a record.", None),
        Stage::Mapped => (
            "What the rules made of each record, one row a record and one column a rule.",
            Some(
                "After the columns below stand the flow's target fields under their own names, all nullable: integer as \
                 64-bit integer, decimal as its digits in text, boolean, time as timestamp in microseconds UTC, date, \
                 text as text, everything else as JSON text. A target that is called like a column below has an \
                 underscore at its end.",
            ),
        ),
        Stage::Planned => ("What was decided about each record, one row a decision.", None),
        Stage::Loaded => ("The result of every write, one row a write.", None),
        Stage::Rejected => (
            "Records that could not be mapped or written, one row a reason.",
            None,
        ),
    };
    let columns: Vec<_> = HEAD
        .iter()
        .chain(own_columns(stage))
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.kind.documented(),
                "nullable": column.nullable,
                "description": column.description,
            })
        })
        .collect();
    let mut document = json!({ "stage": stage.name(), "description": description, "columns": columns });
    if let Some(note) = note {
        document["note"] = json!(note);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run with `UPDATE_SCHEMAS=1` to write the files anew.
    #[test]
    fn the_documented_schemas_are_those_of_the_code() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/snapshots");
        let mut documents: Vec<(String, serde_json::Value)> = Stage::ALL
            .iter()
            .map(|stage| (stage.name().to_owned(), documentation(*stage)))
            .collect();
        documents.push(("manifest".to_owned(), crate::snapshot::Manifest::json_schema()));
        for (name, document) in documents {
            let path = directory.join(format!("{name}.json"));
            let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
            if std::env::var_os("UPDATE_SCHEMAS").is_some() {
                std::fs::create_dir_all(&directory).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == text,
                "{} differs from the code: run with UPDATE_SCHEMAS=1",
                path.display()
            );
        }
    }

    #[test]
    fn a_target_called_like_a_head_column_moves_aside() {
        let column = |name: &str| Column {
            name: name.to_owned(),
            column_type: TargetType::Text,
            write: crate::compile::compiled::WritePolicy::Always,
        };
        let fields = target_fields(&[column("at"), column("subject")], true);
        let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["at_", "subject"]);
        assert_eq!(target_fields(&[column("at")], false)[0].name(), "at");
    }

    #[test]
    fn a_fingerprint_tells_types_apart() {
        let one = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
        let other = Schema::new(vec![Field::new("a", DataType::Utf8, true)]);
        assert_ne!(fingerprint(&one), fingerprint(&other));
        assert_eq!(fingerprint(&one), fingerprint(&one.clone()));
    }
}
