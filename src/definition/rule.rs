//! A rule: how one field of the target gets its value.
//!
//! The words of a rule are steps in one fixed order, whatever the order they are written in:
//! `value` (or `const`, `first_of`, `link`) -> `each`/`as` -> `take` -> `default` -> `enum` -> `lookup` -> `then` ->
//! `type` -> checks (`required`, `on_too_long`) -> masking. The short form of a rule is its `value` alone.

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::literal::{Literal, ValueTemplate, present};
use super::lookup::{OnMany, OnNone};
use super::shape::{ShortForm, ShortOrLong, choice};
use super::text::{ConditionText, Source};

/// A rule as it stands in `fields`: `$.subject`, `"{{ … }}"` or a map of words.
pub type Row = ShortOrLong<Rule>;

/// How one field of the target gets its value. The short form `$.subject` or `"{{ … }}"` is `value` alone.
///
/// The steps always happen in this order: value, each/as, take, default, enum, lookup, then, type, checks, masking.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The input: a path that selects (`$` is the source record) or a template that computes (it sees `record`,
    /// `params`, `connections`). Exactly one of `value`, `const`, `first_of`, `each` and `link` starts a rule.
    pub value: Option<Source>,
    /// The same value for every record, taken exactly as written.
    #[serde(rename = "const", default, deserialize_with = "present")]
    pub constant: Option<Literal>,
    /// Several inputs in order: the first one that is not null counts. Items are inputs or maps with `when`, `value`
    /// or `const`, `enum`, `lookup`. With a `lookup` each input is looked up in turn, and `on_none` counts once, after
    /// the last one.
    pub first_of: Option<Vec<ShortOrLong<Alternative>>>,
    /// A list to map item by item: a path (`$` is the source record) that selects the items, or a template that gives
    /// a list. The result is a list, unless `take` makes one value of it; `enum`, `lookup` and `then` are applied to
    /// each item.
    pub each: Option<Source>,
    /// What becomes of each item of `each`: a template that sees `value` (the item), a path whose `$` is the item, or
    /// a map of templates. Beside `enum` or `lookup` and without `take` it shapes what those made of the item.
    /// Default: the item itself.
    #[serde(rename = "as")]
    pub each_as: Option<OutputShape>,
    /// Makes one value of several. A path that may give several nodes needs `take`, `each` or a target that is a
    /// list; `validate` refuses it otherwise.
    pub take: Option<Take>,
    /// Stands in for an input that is null or missing: a value, or a template that sees `record`. Default: none, so
    /// `on_null` decides.
    pub default: Option<ValueTemplate>,
    /// The name of an enum table that translates the value.
    #[serde(rename = "enum")]
    pub enum_table: Option<String>,
    /// The name of a lookup that finds a record by the value; the result is that record's key.
    pub lookup: Option<String>,
    /// The name of a flow of this pipeline: the value is the key of the target record that this flow linked to the
    /// source record whose key is `key`; of a two-way flow the key on the side that is not read here, or as named:
    /// `FLOW.to_local` gives the local key, `FLOW.to_remote` the remote one. A link that does not exist yet makes the record wait (`on_none` may say
    /// otherwise).
    pub link: Option<String>,
    /// With `link`: the key of the other source record; a path (`$` is the source record) or a template. Default:
    /// this record's own key, in a flow with `of` its parent's.
    pub key: Option<Source>,
    /// What becomes of the result of the steps before: a template that sees `value` (and `record`, `params`,
    /// `connections`), a path whose `$` is the value, or a map of templates. Default: it stays.
    pub then: Option<OutputShape>,
    /// The type that the value must have, converted without loss or refused: `text`, `integer`, `decimal`,
    /// `boolean`, `time`, `date`, `list`, `map`, `json` (the value's JSON text as received), or a name from the
    /// pipeline's `types`. Default: what the target's record schema says, else as it comes.
    #[serde(rename = "type")]
    pub value_type: Option<String>,
    /// When the field is written. Default: the flow's `write`, else `always`.
    pub write: Option<Write>,
    /// The rule applies only where this is true; it sees `record`, `params`, `connections`. Where it is false the
    /// field is left alone (absent on create) unless `otherwise` says `clear`. Default: always.
    pub when: Option<ConditionText>,
    /// What happens to the field where `when` is false. Default: `keep`.
    pub otherwise: Option<Otherwise>,
    /// Rejects the record if the value is null after all steps. Default: false, except where the target's record
    /// schema requires the field.
    pub required: Option<bool>,
    /// What to do when the input is null or missing and there is no `default`. Default: `clear`.
    pub on_null: Option<OnNull>,
    /// What to do with a value that the enum table does not list. Default: what the table says, else `reject`.
    pub on_unknown: Option<OnUnknown>,
    /// What to do when the lookup finds nothing. Default: what the lookup says; for a `link`, the record waits.
    pub on_none: Option<OnNone>,
    /// What to do when the lookup finds several. Default: what the lookup says, else `reject`.
    pub on_many: Option<OnMany>,
    /// What to do with a text longer than the target's record schema allows. Default: `reject`.
    pub on_too_long: Option<OnTooLong>,
}

impl ShortForm for Rule {
    const SHORT: &'static str = "a path, a template";

    fn from_short(text: &str) -> Result<Self, String> {
        Source::new(text).map(|source| Self {
            value: Some(source),
            ..Self::default()
        })
    }

    fn short_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Source>()
    }
}

/// One input of `first_of`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    /// The input: a path (`$` is the source record) or a template. The short form is this word alone. Exactly one of
    /// `value` and `const` is needed.
    pub value: Option<Source>,
    /// A value taken exactly as written.
    #[serde(rename = "const", default, deserialize_with = "present")]
    pub constant: Option<Literal>,
    /// The input is passed over where this is false; it sees `record`, `params`, `connections`. Default: always tried.
    pub when: Option<ConditionText>,
    /// The name of an enum table that translates this input. Default: the rule's.
    #[serde(rename = "enum")]
    pub enum_table: Option<String>,
    /// The name of a lookup for this input. Default: the rule's.
    pub lookup: Option<String>,
}

impl ShortForm for Alternative {
    const SHORT: &'static str = "a path, a template";

    fn from_short(text: &str) -> Result<Self, String> {
        Source::new(text).map(|source| Self {
            value: Some(source),
            ..Self::default()
        })
    }

    fn short_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Source>()
    }
}

/// What `as` and `then` make of a value: one template or path, or a map of templates.
pub type OutputShape = ShortOrLong<Output>;

/// A template or path, or a map whose texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// `then: "{{ value | shift(-2) }}"` or `as: $.amount`
    Value(Source),
    /// `then: {id: "{{ value }}"}`
    Members(IndexMap<String, ValueTemplate>),
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IndexMap::deserialize(deserializer).map(Self::Members)
    }
}

impl JsonSchema for Output {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Output".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        IndexMap::<String, ValueTemplate>::json_schema(generator)
    }
}

impl ShortForm for Output {
    const SHORT: &'static str = "a path, a template";

    fn from_short(text: &str) -> Result<Self, String> {
        Source::new(text).map(Self::Value)
    }

    fn short_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Source>()
    }
}

choice! {
    /// How one value is made of several.
    Take {
        /// The first that is not null.
        "first" => First,
        /// The last that is not null.
        "last" => Last,
        /// The only one; several reject the record.
        "only" => Only,
        /// How many there are.
        "count" => Count,
        /// Their sum, in exact decimals.
        "sum" => Sum,
        /// All of them, as a list.
        "all" => All,
        maps:
        /// One text, with this between them; nulls are left out.
        "join" => Join(String),
    }
}

choice! {
    /// When a field is written.
    Write {
        /// On create and on update.
        "always" => Always,
        /// Only when the record is created.
        "on_create" => OnCreate,
        /// Only when the target's field is empty.
        "if_empty" => IfEmpty,
        /// On create and on update, but null is never written.
        "never_null" => NeverNull,
    }
}

choice! {
    /// What happens to a field whose rule does not apply to the record.
    Otherwise {
        /// It is left alone; on create it is absent.
        "keep" => Keep,
        /// It is emptied.
        "clear" => Clear,
    }
}

choice! {
    /// What to do with a rule's input that is null or missing.
    OnNull {
        /// The record goes to the queue as rejected.
        "reject" => Reject,
        /// The target's field is left alone; on create it is absent.
        "keep" => Keep,
        /// The target's field is emptied.
        "clear" => Clear,
        /// The record is left out, and counted as filtered.
        "skip" => Skip,
        /// As if the lookup had found nothing: its `on_none` decides.
        "as_none" => AsNone,
        maps:
        /// This value, as the rule's result.
        "const" => Const(Literal),
    }
}

choice! {
    /// What to do with a value that the enum table does not list.
    OnUnknown {
        /// The record goes to the queue as rejected.
        "reject" => Reject,
        /// The target's field is left alone; on create it is absent.
        "keep" => Keep,
        /// The target's field is emptied.
        "clear" => Clear,
        /// The record is left out, and counted as filtered.
        "skip" => Skip,
        maps:
        /// This value, as the table's result.
        "const" => Const(Literal),
    }
}

choice! {
    /// What to do with a text that is longer than the target allows.
    OnTooLong {
        /// The record goes to the queue as rejected.
        "reject" => Reject,
        maps:
        /// The text is cut after this many characters.
        "truncate" => Truncate(u64),
    }
}
