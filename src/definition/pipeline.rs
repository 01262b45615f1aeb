//! The pipeline file: connections, params, types, enum tables, lookups and flows.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::flow::{Guard, Pii, Rejects};
use super::literal::{Literal, Share, Switch};
use super::lookup::Lookup;
use super::rule::OnUnknown;
use super::shape::{OneKey, choice};
use super::text::{PathText, TemplateText};
use super::two_way::AnyFlow;

/// A pipeline: which records of which systems become which records of others.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// The version of the language: 1.
    #[schemars(extend("const" = 1))]
    pub version: u64,
    /// The pipeline's name; it names its state and its snapshots.
    pub pipeline: String,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// Who answers for it: a person or an address.
    pub owner: Option<String>,
    /// Whether it runs at all: `true`, `false`, or a condition that sees `params`. A pipeline that is off makes no request
    /// and keeps everything that it knows. Default: `true`.
    pub enabled: Option<Switch>,
    /// The systems it talks to, by name.
    pub connections: IndexMap<String, Connection>,
    /// What may be set for a run (`--set name=value`); templates see them as `params.name`. Default: none.
    #[serde(default)]
    pub params: IndexMap<String, Param>,
    /// Types of its own that a rule's `type` may name. Default: none.
    #[serde(default)]
    pub types: IndexMap<String, TypeDefinition>,
    /// Tables that translate values, by name. Default: none.
    #[serde(default)]
    pub enums: IndexMap<String, EnumTable>,
    /// How records of other streams are found, by name. Default: none.
    #[serde(default)]
    pub lookups: IndexMap<String, Lookup>,
    /// What moves from where to where, by name. They run in the order that their `link` references ask for.
    pub flows: IndexMap<String, AnyFlow>,
    /// How much may change in one run, for flows that do not say it themselves. Default: any number of changes, no
    /// deletions.
    pub guard: Option<Guard>,
    /// How many records may be rejected, for flows that do not say it themselves. Default: any number.
    pub rejects: Option<Rejects>,
    /// Whether every problem with a record (rejected, held or waiting) is also written to the log as a warning, with flow,
    /// key, field, rule, value (private ones masked) and reason. They are in the queue, the snapshots and the summary's
    /// counts in any case. Default: `false`.
    #[serde(default)]
    pub log_warnings: bool,
    /// Which snapshots a run leaves. Default: all.
    pub snapshots: Option<Snapshots>,
}

/// A connector and one account's settings and credentials.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// The connector: a name (`connectors/NAME.yaml` beside the pipeline, or in a folder of `--connectors`), or
    /// `file` for local files.
    pub connector: String,
    /// The account's settings, as the connector lists them; texts are templates that see `env` and `secret`. For
    /// `file`: `directory`, where relative paths start (default: the directory of the pipeline file).
    #[serde(default)]
    pub settings: IndexMap<String, Literal>,
    /// Which of the connector's ways to authenticate, and its settings: `{oauth_client: {client_id: ..}}`; texts are
    /// templates that see `env` and `secret`. Default: none.
    pub auth: Option<OneKey<String, IndexMap<String, Literal>>>,
    /// The share of the system's limits that this pipeline may use. Default: 100%.
    pub use_at_most: Option<Share>,
    /// For `file`: the files, as streams by name. Default: none, other connectors bring their own.
    #[serde(default)]
    pub streams: IndexMap<String, FileStream>,
}

/// A file whose records are a stream.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileStream {
    /// What it holds, for people.
    pub description: Option<String>,
    /// The file, relative to the connection's `directory`; `-` is standard input, or output where it is written. `*` in
    /// the last part reads several files in the order of their names. `.gz` and `.zst` at the end say how it is
    /// compressed. Templates see `env` and `params`.
    pub path: TemplateText,
    /// How it is written. Default: by the path's extension.
    pub format: Option<FileFormat>,
    /// The path of what identifies a record (`$` is the record); a file that flows or lookups read needs it. Default:
    /// none.
    pub key: Option<PathText>,
    /// The record schema: a JSON Schema file below `schemas/`. Default: none, nothing is known of its fields.
    pub schema: Option<String>,
    /// How personal data is shown: path (`$` is the record) to an action. Default: nothing is masked.
    #[serde(default)]
    pub pii: IndexMap<PathText, Pii>,
}

choice! {
    /// How a file is written.
    FileFormat {
        /// One JSON object on each line; `.ndjson`, `.jsonl`.
        "ndjson" => Ndjson,
        /// One JSON list of objects; `.json`.
        "json" => Json,
        /// Comma separated values with a header line; `.csv`.
        "csv" => Csv,
        /// Apache Parquet; `.parquet`.
        "parquet" => Parquet,
    }
}

/// Something that may be set for a run.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// The type that its value must have.
    #[serde(rename = "type")]
    pub value_type: SettingType,
    /// Its value where nothing is set. Default: none, a run must set it.
    pub default: Option<Literal>,
    /// What it is for, for people.
    pub help: Option<String>,
}

choice! {
    /// The type of a param or a setting.
    SettingType {
        /// Any text.
        "text" => Text,
        /// An e-mail address.
        "email" => Email,
        /// An `http` or `https` address.
        "url" => Url,
        /// A whole number.
        "integer" => Integer,
        /// A number with exact decimals.
        "decimal" => Decimal,
        /// `true` or `false`.
        "boolean" => Boolean,
        /// A day: `2026-08-01`.
        "date" => Date,
        /// A moment: `2026-08-01T10:00:00Z`.
        "time" => Time,
        /// A length of time: `5m`.
        "duration" => Duration,
        /// A list.
        "list" => List,
        /// A map.
        "map" => Map,
    }
}

choice! {
    /// A type of the pipeline's own.
    TypeDefinition {
        maps:
        /// Times in formats of their own.
        "time" => Time(TimeType),
    }
}

/// How times are read and written.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeType {
    /// The formats, tried in order: `rfc3339`, `unix` (seconds), or a pattern of `%Y %m %d %H %M %S %f %b %z` and the
    /// like. A date without a time is midnight. Default: `[rfc3339]`.
    pub read: Option<Vec<String>>,
    /// The time zone of times that do not name one: `UTC`, `Europe/Berlin`. Default: `UTC`.
    pub zone: Option<String>,
    /// The format that is written. Default: `rfc3339`.
    pub write: Option<String>,
}

/// A table that translates values. Keys are compared as text, exactly.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnumTable {
    /// What it is for, for people.
    pub description: Option<String>,
    /// The source's value to the target's. A null result empties the field.
    pub values: IndexMap<String, Literal>,
    /// What to do with null. Default: the table is not asked, and the rule's `on_null` decides.
    pub on_null: Option<TableOnNull>,
    /// What to do with a value that is not listed. Default: `reject`.
    pub on_unknown: Option<OnUnknown>,
}

choice! {
    /// What an enum table makes of null.
    TableOnNull {
        /// The record goes to the queue as rejected.
        "reject" => Reject,
        /// The target's field is left alone; on create it is absent.
        "keep" => Keep,
        /// The target's field is emptied.
        "clear" => Clear,
        /// The record is left out, and counted as filtered.
        "skip" => Skip,
        maps:
        /// This value.
        "const" => Const(Literal),
    }
}

/// Which snapshots a run leaves.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshots {
    /// The stages that are kept as Parquet; `[]` leaves the manifest only. Default: all.
    pub keep: Option<Vec<SnapshotStage>>,
}

choice! {
    /// A stage whose snapshot may be kept.
    SnapshotStage {
        /// Source records as received.
        "extracted" => Extracted,
        /// What the rules made of them.
        "mapped" => Mapped,
        /// What was decided, with the values before and after.
        "planned" => Planned,
        /// What was written, with the answer.
        "loaded" => Loaded,
        /// What could not be mapped or written, with the reason.
        "rejected" => Rejected,
    }
}
