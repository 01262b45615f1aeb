//! A lookup: how a record of another stream is found by what a rule gives it.

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::literal::{Literal, ValueTemplate};
use super::rule::Row;
use super::shape::{OneOrMany, ShortForm, ShortOrLong, choice};
use super::text::{DurationText, PathText, Source, TemplateText};

/// Finds a record of a stream by what a rule gives it; the result is the found record's key.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// What it is for, for people.
    pub description: Option<String>,
    /// The stream to search: `connection.stream`.
    #[serde(rename = "in")]
    pub stream: String,
    /// By what: a path of the searched record (`$` is that record) compared with the given value, or a map of paths
    /// to what each must equal (all of them together; templates see `given`, `params`, `connections`, a path's `$`
    /// is what was given). A list is tried in order until one finds something.
    #[serde(rename = "match")]
    pub matching: OneOrMany<LookupMatch>,
    /// Conditions that a found record must meet besides: path (`$` is the found record) to a value or a list of
    /// values of which one must fit; texts are templates that see `params` and `connections`. Default: none.
    #[serde(rename = "where", default)]
    pub conditions: IndexMap<PathText, ValueTemplate>,
    /// Which of several found records: in order, conditions that leave those that meet them, if any do. Same shape as
    /// `where`; templates also see `given`. Default: none, so `on_many` decides.
    #[serde(default)]
    pub prefer: Vec<IndexMap<PathText, ValueTemplate>>,
    /// What is done to both sides before they are compared. Default: nothing, an exact comparison.
    #[serde(default)]
    pub normalize: Vec<Normalize>,
    /// Whether the stream is read whole before the first record, or asked for what is needed; the latter needs a `find`
    /// of the stream for the matched paths. Default: `all` for files, else `on_demand`.
    pub load: Option<Load>,
    /// How long an answer may be reused. Default: for the length of the run.
    pub fresh_for: Option<DurationText>,
    /// What to do when nothing is found. Default: `reject`; a lookup that feeds a required field must say it.
    pub on_none: Option<OnNone>,
    /// What to do when several are found. Default: `reject`.
    pub on_many: Option<OnMany>,
}

/// One attempt of a lookup, as `$.email` or as a map.
pub type LookupMatch = ShortOrLong<LookupAttempt>;

/// What must be equal for a record to be found.
#[derive(Debug, Clone, PartialEq)]
pub enum LookupAttempt {
    /// `$.email`: this path of the searched record equals what was given.
    Given(PathText),
    /// `{$.email: "{{ given.email }}"}`: all of these together.
    Together(IndexMap<PathText, Source>),
}

impl<'de> Deserialize<'de> for LookupAttempt {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IndexMap::deserialize(deserializer).map(Self::Together)
    }
}

impl JsonSchema for LookupAttempt {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LookupAttempt".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = IndexMap::<PathText, Source>::json_schema(generator);
        schema.insert("minProperties".into(), 1.into());
        schema
    }
}

impl ShortForm for LookupAttempt {
    const SHORT: &'static str = "a path";

    fn from_short(text: &str) -> Result<Self, String> {
        PathText::new(text).map(Self::Given)
    }

    fn short_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<PathText>()
    }
}

choice! {
    /// What is done to a value before it is compared.
    Normalize {
        /// White space at both ends is dropped.
        "trim" => Trim,
        /// Upper case becomes lower case.
        "lower" => Lower,
        /// Lower case becomes upper case.
        "upper" => Upper,
        /// Everything but digits is dropped, as for telephone numbers.
        "digits" => Digits,
        /// Each run of white space becomes one space.
        "spaces" => Spaces,
    }
}

choice! {
    /// When a lookup reads its stream.
    Load {
        /// The whole stream, before the first record.
        "all" => All,
        /// Only what the records ask for, in batches.
        "on_demand" => OnDemand,
    }
}

choice! {
    /// What to do when a lookup finds nothing.
    OnNone {
        /// The record goes to the queue as rejected.
        "reject" => Reject,
        /// The target's field is left alone; on create it is absent.
        "keep" => Keep,
        /// The target's field is emptied.
        "clear" => Clear,
        /// The record is left out, and counted as unmatched.
        "skip" => Skip,
        /// The record goes to the queue as held, until a person decides.
        "hold" => Hold,
        /// The record goes to the queue as waiting, outside the budget of rejects; later runs try it again.
        "wait" => Wait,
        maps:
        /// This value, as the lookup's result.
        "const" => Const(Literal),
        /// Looks up once more with this; it sees `params` and `connections`. It is resolved before the first record,
        /// and a run whose `instead` is not found does not start.
        "instead" => Instead(TemplateText),
        /// Creates the record with these fields: rules as in `fields`, whose inputs see `given` (and `$` is what was
        /// given). It is created in load, once per key, before the records that need it.
        "create" => Create(IndexMap<String, Row>),
    }
}

choice! {
    /// What to do when a lookup finds several records.
    OnMany {
        /// The record goes to the queue as rejected.
        "reject" => Reject,
        /// The first one, in the order in which the stream returns them.
        "first" => First,
        /// All of them: the result is a list of keys.
        "all" => All,
        /// The target's field is left alone; on create it is absent.
        "keep" => Keep,
        /// The record is left out, and counted as unmatched.
        "skip" => Skip,
        /// The record goes to the queue as held, until a person decides.
        "hold" => Hold,
    }
}
