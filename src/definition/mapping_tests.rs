//! The test file: cases of a pipeline's mapping, each a record that is given and what is expected to become of it.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::literal::Literal;
use super::shape::choice;
use super::sides::Sides;

/// Tests of a pipeline: records that are given, and what its rules are expected to make of them. No system is asked:
/// lookups, matches and counterparts find what stands in the file.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingTests {
    /// The version of the language: 1.
    #[schemars(extend("const" = 1))]
    pub version: u64,
    /// The pipeline file that is tested, relative to this file.
    pub tests: String,
    /// What is tested, for people.
    pub description: Option<String>,
    /// Values of the pipeline's params for all cases. Default: the pipeline's own defaults.
    #[serde(default)]
    pub params: IndexMap<String, Literal>,
    /// What `env` and `secret` are in the pipeline's connections. The program's own environment is never read. Default:
    /// all are null.
    #[serde(default)]
    pub environment: IndexMap<String, String>,
    /// What the systems hold besides each case's own records, by stream (`connection.stream`): lookups search here as
    /// they would there. Default: nothing.
    #[serde(default)]
    pub records: IndexMap<String, Vec<GivenFields>>,
    /// The cases.
    pub cases: Vec<TestCase>,
}

/// One case: a record and what becomes of it, or with `row` a table of one row's values.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// What it shows, in a sentence. Default: the row; other cases need it.
    pub name: Option<String>,
    /// The flow. Default: the pipeline's only one.
    pub flow: Option<String>,
    /// What there is. Default: nothing; other cases than tables need it.
    pub given: Option<GivenCase>,
    /// What becomes of it. Default: nothing; other cases than tables need it.
    pub expect: Option<Expectation>,
    /// The row whose values the table lists: its name, in a one-way flow its target. Default: none, the case is no table.
    pub row: Option<String>,
    /// In a table of a one-way flow: what each value becomes. Default: none.
    #[serde(default)]
    pub becomes: IndexMap<String, Literal>,
    /// In a table of a two-way flow: what each remote value becomes locally. Default: none.
    #[serde(default)]
    pub to_local: IndexMap<String, Literal>,
    /// In a table of a two-way flow: what each local value becomes remotely. Default: none.
    #[serde(default)]
    pub to_remote: IndexMap<String, Literal>,
}

/// What there is when a case begins. Records stand as rules read them: with what is joined to them, relationships as
/// objects, custom fields by name.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenCase {
    /// In a one-way flow: the record that is read. Default: none, the flow is a two-way one.
    pub record: Option<GivenFields>,
    /// In a one-way flow: the sink's record. It is found by its link, if there is one, else by the flow's match.
    /// Default: none, or with `baseline` none any more.
    pub target: Option<GivenFields>,
    /// In a two-way flow: the remote record, or `same` as in `baseline`, or `gone`. Default: `same` with a baseline,
    /// else none.
    pub remote: Option<GivenRecord>,
    /// In a two-way flow: the local record, or `same` as in `baseline`, or `gone`. Default: `same` with a baseline,
    /// else none.
    pub local: Option<GivenRecord>,
    /// The records when they were last in step; they are linked then. Default: none, they were never compared.
    pub baseline: Option<GivenBaseline>,
    /// Whether the two records are linked. Default: with a `baseline`.
    pub linked: Option<bool>,
    /// Links of other flows by the flow's name: source key to target key, in a two-way flow remote key to local key.
    /// Default: none.
    #[serde(default)]
    pub links: IndexMap<String, IndexMap<String, String>>,
    /// More records for this case, by stream. Default: only those of the file.
    #[serde(default)]
    pub records: IndexMap<String, Vec<GivenFields>>,
    /// Params for this case. Default: those of the file.
    #[serde(default)]
    pub params: IndexMap<String, Literal>,
    /// Whether a person asks for the record's counterpart, as `crosswalk publish` does. Default: no.
    pub publish: Option<bool>,
    /// Which side a person has chosen for held rows, by row. Default: none.
    #[serde(default)]
    pub chosen: IndexMap<String, ChosenSide>,
}

/// Two records when they were last in step.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenBaseline {
    /// In a one-way flow: the record as it was last loaded. Default: none, the flow is a two-way one.
    pub record: Option<GivenFields>,
    /// In a two-way flow: the remote record. Default: none, the flow is a one-way one.
    pub remote: Option<GivenFields>,
    /// In a two-way flow: the local record. Default: none, the flow is a one-way one.
    pub local: Option<GivenFields>,
    /// Rows whose value is a fallback that a run wrote, by the side where it stands. Default: those of which the given
    /// records tell it.
    #[serde(default)]
    pub fallbacks: Sides<Vec<String>>,
    /// Rows that wait for a person. Default: none.
    #[serde(default)]
    pub held: Vec<String>,
}

/// What becomes of what is given. What a created record gets is compared where it is listed; what an update changes is
/// compared as a whole. A record that is rejected, held or waits fails the case unless that is expected.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// What is done. Default: it is not compared.
    pub decision: Option<Decided>,
    /// In a one-way flow: what is written, by dotted name. Default: it is not compared, but an update that was not
    /// expected fails.
    pub fields: Option<IndexMap<String, Literal>>,
    /// In a two-way flow: what is written to the local record, by dotted name. Default: as with `fields`.
    pub local: Option<IndexMap<String, Literal>>,
    /// In a two-way flow: what is written to the remote record, by dotted name. Default: as with `fields`.
    pub remote: Option<IndexMap<String, Literal>>,
    /// Whether a created record, too, gets nothing but what is listed. Default: false.
    pub exactly: Option<bool>,
    /// Fields that are not written, by dotted name. Default: none are named.
    #[serde(default)]
    pub not_written: Vec<String>,
    /// Records that lookups create because they find nothing, by stream, in order; of each the listed fields are
    /// compared, by dotted name. Default: it is not compared.
    pub created: Option<IndexMap<String, Vec<IndexMap<String, Literal>>>>,
    /// The record is rejected, for this reason. Default: it is not.
    pub rejected: Option<ExpectedReason>,
    /// The record or some of its rows wait for a person, for this reason. Default: they do not.
    pub held: Option<ExpectedReason>,
    /// The record waits for another one, for this reason. Default: it does not.
    pub waiting: Option<ExpectedReason>,
    /// The record is left alone, for this reason. Default: it is not compared.
    pub skipped: Option<ExpectedReason>,
    /// All rows that hold a lookup's fallback: names, in a one-way flow targets. Default: it is not compared.
    pub fallbacks: Option<Vec<String>>,
    /// All rows that both sides changed, by name. Default: it is not compared.
    pub conflicts: Option<IndexMap<String, ExpectedConflict>>,
    /// All rows whose change does not travel, by name, and why: `on_create`, `if_empty`, `never_null`, `not_applied`,
    /// `flow_direction`, `row_direction`, `fallback`, `frozen`. Default: it is not compared.
    pub not_carried: Option<IndexMap<String, String>>,
}

/// Why a record is not written; only what is listed is compared.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedReason {
    /// The field, as a dotted name. Default: it is not compared.
    pub field: Option<String>,
    /// The rule, such as `enum status_to_crm`. Default: it is not compared.
    pub rule: Option<String>,
    /// The stable word for the reason. Default: it is not compared.
    pub code: Option<String>,
    /// The value that was refused, as text. Default: it is not compared.
    pub value: Option<String>,
    /// A part of the message. Default: it is not compared.
    pub says: Option<String>,
    /// All rows that are held. Default: it is not compared.
    pub rows: Option<Vec<String>>,
}

/// Two values that stand against each other; only what is listed is compared.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedConflict {
    /// The remote value. Default: it is not compared.
    pub remote: Option<Literal>,
    /// The local value. Default: it is not compared.
    pub local: Option<Literal>,
    /// The side that wins. Default: it is not compared.
    pub winner: Option<ConflictWinner>,
}

choice! {
    /// What is done with a record.
    Decided {
        /// It is created in the sink.
        "create" => Create,
        /// Fields of the sink's record are changed.
        "update" => Update,
        /// The sink's record is deleted.
        "delete" => Delete,
        /// It is created on the local side.
        "create_local" => CreateLocal,
        /// It is created on the remote side.
        "create_remote" => CreateRemote,
        /// Fields of the local record are changed.
        "update_local" => UpdateLocal,
        /// Fields of the remote record are changed.
        "update_remote" => UpdateRemote,
        /// Fields of both records are changed.
        "update_both" => UpdateBoth,
        /// The local record is deleted.
        "delete_local" => DeleteLocal,
        /// The remote record is deleted.
        "delete_remote" => DeleteRemote,
        /// The link ends.
        "unlink" => Unlink,
        /// Nothing is written.
        "unchanged" => Unchanged,
        /// The flow's conditions leave it out.
        "filtered" => Filtered,
        /// It is left alone.
        "skip" => Skip,
        /// It is rejected.
        "reject" => Reject,
        /// It waits for a person.
        "hold" => Hold,
        /// It waits for another record.
        "wait" => Wait,
    }
}

choice! {
    /// The side that wins a conflict.
    ConflictWinner {
        /// The remote one.
        "remote" => Remote,
        /// The local one.
        "local" => Local,
        /// Neither: a person decides, or both stay.
        "nobody" => Nobody,
    }
}

choice! {
    /// The side that a person has chosen.
    ChosenSide {
        /// The remote one.
        "remote" => Remote,
        /// The local one.
        "local" => Local,
    }
}

/// A record's members, taken as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GivenFields(pub Map<String, Value>);

impl<'de> Deserialize<'de> for GivenFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for GivenFields {
    fn schema_name() -> Cow<'static, str> {
        "Fields".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": {"format": "literal"}})
    }
}

/// One side's record, or a word for it.
#[derive(Debug, Clone, PartialEq)]
pub enum GivenRecord {
    /// As in the baseline.
    Same,
    /// It was there and is not any more.
    Gone,
    /// This.
    Fields(GivenFields),
}

impl<'de> Deserialize<'de> for GivenRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RecordVisitor;

        impl<'de> Visitor<'de> for RecordVisitor {
            type Value = GivenRecord;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a record, `same` or `gone`")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<GivenRecord, E> {
                match word {
                    "same" => Ok(GivenRecord::Same),
                    "gone" => Ok(GivenRecord::Gone),
                    other => Err(E::unknown_variant(other, &["same", "gone"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<GivenRecord, A::Error> {
                GivenFields::deserialize(MapAccessDeserializer::new(map)).map(GivenRecord::Fields)
            }
        }

        deserializer.deserialize_any(RecordVisitor)
    }
}

impl JsonSchema for GivenRecord {
    fn schema_name() -> Cow<'static, str> {
        "GivenRecord".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fields = generator.subschema_for::<GivenFields>();
        json_schema!({"description": "A record, or a word for it.", "anyOf": [
            {"type": "string", "const": "same", "description": "As in `baseline`."},
            {"type": "string", "const": "gone", "description": "It was there and is not any more."},
            fields,
        ]})
    }
}
