//! A two-way flow: two streams whose records are kept in step, and its rows, which may travel in both directions.
//!
//! A word that is said for a side speaks of that side's records: which of them count (`where`, `when`), what is put
//! beside them (`join`), how one of them is found (`match`, `pair`), when one is made (`create`).

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::flow::{Flow, Guard, Join, MatchValue, OnFrozen, Pii, Rejects, Require};
use super::literal::{Literal, Switch, ValueTemplate};
use super::lookup::Normalize;
use super::rule::{Rule, Write};
use super::shape::{OneKey, OneOrMany, ShortForm, ShortOrLong, choice};
use super::sides::{OnceOrSides, Sides};
use super::text::{ConditionText, PathText, Source, TemplateText};

/// A flow of either kind: one with `from` and `to`, or one with `remote` and `local`.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyFlow {
    /// Records of one stream become records of another.
    OneWay(Box<Flow>),
    /// Records of two streams are kept in step.
    TwoWay(Box<TwoWayFlow>),
}

impl AnyFlow {
    /// The flow, if it goes one way.
    pub fn one_way(&self) -> Option<&Flow> {
        match self {
            AnyFlow::OneWay(flow) => Some(flow),
            AnyFlow::TwoWay(_) => None,
        }
    }

    /// The flow, if it goes both ways.
    pub fn two_way(&self) -> Option<&TwoWayFlow> {
        match self {
            AnyFlow::OneWay(_) => None,
            AnyFlow::TwoWay(flow) => Some(flow),
        }
    }
}

impl<'de> Deserialize<'de> for AnyFlow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_yaml::Value::deserialize(deserializer)?;
        if value.get("remote").is_some() || value.get("local").is_some() {
            TwoWayFlow::deserialize(value).map(|flow| AnyFlow::TwoWay(Box::new(flow)))
        } else {
            Flow::deserialize(value).map(|flow| AnyFlow::OneWay(Box::new(flow)))
        }
        .map_err(D::Error::custom)
    }
}

impl JsonSchema for AnyFlow {
    fn schema_name() -> Cow<'static, str> {
        "AnyFlow".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one_way = generator.subschema_for::<Flow>();
        let two_way = generator.subschema_for::<TwoWayFlow>();
        json_schema!({"anyOf": [one_way, two_way]})
    }
}

/// Records of two streams are kept in step. A field travels when its own side changed; where both changed, `conflict`
/// decides.
///
/// What a word says for `remote` or `local` speaks of that side's records. Where other flows see `record`, templates
/// see the record that is read under its side's name: `remote` in what goes to the local side, `local` in what goes to
/// the remote one.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwoWayFlow {
    /// What it is for, for people.
    pub description: Option<String>,
    /// Whether it runs: `true`, `false`, or a condition that sees `params`. A flow that is off is left out by every run
    /// and keeps its cursors, links, baselines and queue, so that edits made meanwhile travel when it is on again. What
    /// refers to it with `link` finds the links that it made before, and flows over the children of its records (`of`)
    /// are off with it. Default: `true`.
    pub enabled: Option<Switch>,
    /// One stream: `connection.stream`.
    pub remote: String,
    /// The other stream: `connection.stream`.
    pub local: String,
    /// Which directions travel: `both`, `to_local` or `to_remote`, or a template that sees `params` and gives one of
    /// them. Links are kept whatever it says, so that it may be changed at any time. Default: `both`.
    pub direction: Option<TemplateText>,
    /// Another two-way flow whose linked pairs are the parents. Of a stream that the connector describes as children
    /// (`of`) only those of linked records are read; one that is read on its own says with a `link` row where its
    /// records have the parent's key. Default: the streams are read on their own.
    pub of: Option<String>,
    /// Where the first run starts: a date or a time, usually a template that sees `params`; for both sides or for
    /// each. Default: from the beginning.
    pub since: Option<OnceOrSides<TemplateText>>,
    /// Which records of a side: path (`$` is that side's record) to a value or a list of values of which one must fit.
    /// A record that does not fit starts nothing, it counts as filtered; a pair that exists stays linked. Texts are
    /// templates that see `params` and `connections`. Default: all.
    #[serde(rename = "where")]
    pub conditions: Option<Sides<IndexMap<PathText, ValueTemplate>>>,
    /// Which records of a side, as a condition that sees that side's record by its name (`remote` or `local`),
    /// `params`, `connections`. Default: all.
    pub when: Option<Sides<ConditionText>>,
    /// Records found by lookups that the rules need beside a side's record; each appears in it under its name.
    /// Default: none.
    pub join: Option<Sides<IndexMap<String, Join>>>,
    /// What a record of this side keeps of the other one: a field of this side, and a text that holds the other
    /// record's key: `pair: {local: {externalId: "crm:{{ remote.id }}"}}`. It is written when the record is created,
    /// and by it unlinked records find each other, also after a crash. Default: none.
    pub pair: Option<Sides<OneKey<String, TemplateText>>>,
    /// How a side's record is found for an unlinked record of the other side, after `pair`: paths of this side to what
    /// each must equal, as in a one-way flow's `match`; paths there (`$`) and templates read the other side's record.
    /// Several matches are held, never guessed. Default: only `pair` finds.
    #[serde(rename = "match")]
    pub matching: Option<Sides<OneOrMany<IndexMap<PathText, MatchValue>>>>,
    /// What is done to both sides before `match` and `pair` compare them. Default: nothing, an exact comparison.
    #[serde(default)]
    pub normalize: Vec<Normalize>,
    /// Whether a side gets a record for one of the other side that finds none. Default: `never`.
    pub create: Option<Sides<CreateWhen>>,
    /// Who wins where both sides of a row changed, and they do not correspond. A row may say otherwise. Default:
    /// `hold`.
    pub conflict: Option<Conflict>,
    /// When a side's record was changed last, for `newest_wins`: a path (`$` is that side's record). Default: the time
    /// by which the stream's changes are read, where there is one.
    pub changed_at: Option<Sides<PathText>>,
    /// Who wins in a row that was never compared before (a pair that was just found, a row that is new in the file)
    /// where the sides do not correspond and neither is empty. Default: `policy`.
    pub on_first_link: Option<FirstLink>,
    /// What it means when a system answers a write with another value than it was sent. Default: rows with `enum` or
    /// `lookup` in that direction `follow`, others `accept`.
    pub on_altered: Option<OnAltered>,
    /// What happens to a side's record when the other side's is deleted; for both or for each. Default: `unlink`.
    pub on_delete: Option<OnceOrSides<OnPairDeleted>>,
    /// What to do with a side's record that can no longer be changed; for both or for each. Default: `hold`.
    pub on_frozen: Option<OnceOrSides<OnFrozen>>,
    /// The path (`$` is the record) by which a side's records travel in order, ascending; for both or for each.
    /// Default: in the order in which they are read.
    pub order_by: Option<OnceOrSides<PathText>>,
    /// Conditions that must hold before a side's record is written; they see the other side's record by its name,
    /// `target` (what stands there now, or null), `fields` (what would be written), `params` and `connections`.
    /// Default: none.
    pub require: Option<Sides<Vec<Require>>>,
    /// When fields are written that do not say it themselves. Default: `always`.
    pub write: Option<Write>,
    /// How a side's personal data is shown: path (`$` is that side's record) to an action. It may tighten what the
    /// stream says, never loosen it. Default: what the streams say.
    pub pii: Option<Sides<IndexMap<PathText, Pii>>>,
    /// How much may change in one run, in each direction. Default: the pipeline's.
    pub guard: Option<Guard>,
    /// How many records may be rejected, in each direction. Default: the pipeline's.
    pub rejects: Option<Rejects>,
    /// The rows, by names of your own. Each names the two fields that are kept in step, or one field that is written
    /// one way.
    pub fields: IndexMap<String, TwoWayRow>,
}

/// One row of a two-way flow: the two fields that are kept in step, and how a value travels each way.
///
/// With both paths it goes both ways, as it is where `to_local` or `to_remote` does not say more. With one path, or
/// none, it goes one way: where `to_local` or `to_remote` stands.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwoWayRow {
    /// The remote field: a path (`$` is the remote record). Default: none, the row goes one way.
    pub remote: Option<PathText>,
    /// The local field: a path (`$` is the local record). Default: none, the row goes one way.
    pub local: Option<PathText>,
    /// How the local field is made of the remote record: a rule. Default: the remote field as it is.
    pub to_local: Option<ShortOrLong<DirectedRule>>,
    /// How the remote field is made of the local record: a rule. Default: the local field as it is.
    pub to_remote: Option<ShortOrLong<DirectedRule>>,
    /// Limits a row that names both fields to one direction. Default: `both`.
    pub direction: Option<RowDirection>,
    /// Who wins where both sides changed. Default: what the flow says.
    pub conflict: Option<Conflict>,
    /// Who wins where the row was never compared before. Default: what the flow says.
    pub on_first_link: Option<FirstLink>,
    /// What an altered answer means. Default: what the flow says.
    pub on_altered: Option<OnAltered>,
    /// When the fields are written. Default: what the flow says.
    pub write: Option<Write>,
}

/// How a row travels in one direction: all words of a rule, and `field`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DirectedRule {
    /// The field that is written, as a dotted name. Default: the one that this side's path names.
    pub field: Option<String>,
    /// The rule. Its default input is the other side's path.
    pub rule: Rule,
}

const FIELD: &str = "The field that is written, as a dotted name (`status.id`). Default: the one that this side's \
                     path names; a row without that path, or with one that is no plain chain of names, needs it.";

impl<'de> Deserialize<'de> for DirectedRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut words = serde_yaml::Mapping::deserialize(deserializer)?;
        let field = match words.remove("field") {
            Some(field) => Some(String::deserialize(field).map_err(D::Error::custom)?),
            None => None,
        };
        let rule = Rule::deserialize(serde_yaml::Value::Mapping(words)).map_err(D::Error::custom)?;
        Ok(DirectedRule { field, rule })
    }
}

impl JsonSchema for DirectedRule {
    fn schema_name() -> Cow<'static, str> {
        "DirectedRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Rule::json_schema(generator);
        let mut words = serde_json::Map::new();
        words.insert(
            "field".to_owned(),
            serde_json::json!({"type": "string", "description": FIELD}),
        );
        if let Some(serde_json::Value::Object(rule)) = schema.remove("properties") {
            words.extend(rule);
        }
        schema.insert("properties".to_owned(), words.into());
        schema.insert(
            "description".to_owned(),
            "How a row travels in one direction: the words of a rule, with the same order of steps, and `field`. Without \
             `value`, `const`, `first_of`, `each` and `link` its input is the other side's path; a `link` without `key` \
             takes its key there. Where a rule sees `record`, this one sees `remote` below `to_local` and `local` below \
             `to_remote`."
                .into(),
        );
        schema
    }
}

impl ShortForm for DirectedRule {
    const SHORT: &'static str = "a path, a template";

    fn from_short(text: &str) -> Result<Self, String> {
        Rule::from_short(text).map(|rule| DirectedRule { field: None, rule })
    }

    fn short_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Source>()
    }
}

choice! {
    /// The directions of a row that names both fields.
    RowDirection {
        /// Changes of either side travel.
        "both" => Both,
        /// Only changes of the remote field travel.
        "to_local" => ToLocal,
        /// Only changes of the local field travel.
        "to_remote" => ToRemote,
    }
}

choice! {
    /// Whether a side gets a record for one of the other side that has no counterpart.
    CreateWhen {
        /// Every one of them gets a counterpart.
        "always" => Always,
        /// None does: it stays alone, and counts as unmatched.
        "never" => Never,
        maps:
        /// Those for which this is true; it sees the other side's record by its name (`remote` or `local`), `params`,
        /// `connections`.
        "when" => When(ConditionText),
    }
}

choice! {
    /// Who wins where both sides of a row changed.
    Conflict {
        /// The remote side; the local change is kept in the snapshots.
        "remote_wins" => RemoteWins,
        /// The local side; the remote change is kept in the snapshots.
        "local_wins" => LocalWins,
        /// The side whose record was changed last (`changed_at`); the remote one where that cannot be told.
        "newest_wins" => NewestWins,
        /// Nobody: the row waits in the queue until a person decides; the other rows of the pair go on.
        "hold" => Hold,
    }
}

choice! {
    /// Who wins in a row that was never compared before.
    FirstLink {
        /// As `conflict` says.
        "policy" => Policy,
        /// The remote side.
        "remote" => Remote,
        /// The local side.
        "local" => Local,
        /// Nobody: the row waits in the queue until a person decides.
        "hold" => Hold,
    }
}

choice! {
    /// What it means when a system answers a write with another value than it was sent.
    OnAltered {
        /// The system knows better: its value stands there, and nothing travels back.
        "accept" => Accept,
        /// The system changed it: its value travels back to the other side.
        "follow" => Follow,
        /// Something is wrong: the record goes to the queue as rejected.
        "reject" => Reject,
    }
}

choice! {
    /// What happens to a side's record when the other side's is deleted.
    OnPairDeleted {
        /// It stays as it is; the link is closed, so the pair is never written or created again.
        "unlink" => Unlink,
        /// It stays as it is, and stays linked.
        "keep" => Keep,
        /// It is deleted (within `guard`), and the link is closed.
        "delete" => Delete,
        maps:
        /// These fields of it are written, as dotted names to constants, and the link is closed.
        "set" => Set(IndexMap<String, Literal>),
    }
}
