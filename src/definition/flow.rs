//! A flow: which records of one stream become which records of another, and what happens when they do not fit.

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::literal::{Amount, Switch, ValueTemplate};
use super::lookup::{Normalize, OnMany, OnNone};
use super::rule::{Row, Write};
use super::shape::{OneKey, OneOrMany, ShortForm, ShortOrLong, choice};
use super::text::{ConditionText, PathText, Source, TemplateText};

/// Records of one stream become records of another.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// What it is for, for people.
    pub description: Option<String>,
    /// Whether it runs: `true`, `false`, or a condition that sees `params`. A flow that is off is left out by every run
    /// and keeps its cursor, links and queue; what refers to it with `link` finds the links that it made before, and
    /// flows over the children of its records (`of`) are off with it. Children of records that went by while only the
    /// children's flow was off are read with `--full`, or when those records change again. Default: `true`.
    pub enabled: Option<Switch>,
    /// The stream that is read: `connection.stream`.
    pub from: String,
    /// The stream that is written: `connection.stream`.
    pub to: String,
    /// What may happen to the target's records.
    pub mode: Mode,
    /// How the target record is found that belongs to a source record: a map of paths of the target (`$` is the
    /// target record) to what each must equal: a path (`$` is the source record), a template or `{link: flow}`.
    /// Several keys of a map count together; a list is tried in order. Needed unless `mode` is `insert`; a pair found
    /// once is remembered as a link.
    #[serde(rename = "match")]
    pub matching: Option<OneOrMany<IndexMap<PathText, MatchValue>>>,
    /// Another flow whose linked pairs are the parents: only children of records that it linked are read. Default:
    /// the stream is read on its own.
    pub of: Option<String>,
    /// Where the first run starts: a date or a time, usually a template that sees `params`. Default: from the
    /// beginning.
    pub since: Option<TemplateText>,
    /// Which records: path (`$` is the source record) to a value or a list of values of which one must fit. Texts are
    /// templates that see `params` and `connections`. What does not fit counts as filtered. Default: all.
    #[serde(rename = "where", default)]
    pub conditions: IndexMap<PathText, ValueTemplate>,
    /// Which records, as a condition over `record`, `params`, `connections`. What does not fit counts as filtered.
    /// Default: all.
    pub when: Option<ConditionText>,
    /// Records found by lookups that the rules need beside the source record; each appears in it under its name
    /// (`$.order`, `record.order`). Default: none.
    #[serde(default)]
    pub join: IndexMap<String, Join>,
    /// Keeps one of several source records that are the same thing; the others appear in it as `$.others`.
    pub one_per: Option<OnePer>,
    /// Skips a record if none of these paths (`$` is the source record) changed since it was last loaded. Default:
    /// every record that is read is compared.
    #[serde(default)]
    pub only_if_changed: Vec<PathText>,
    /// The path (`$` is the source record) by which records are written in order, ascending. Default: in the order
    /// in which they are read.
    pub order_by: Option<PathText>,
    /// Conditions that a record must meet before it is written; they see `record`, `target` (what stands there now),
    /// `fields` (what would be written), `params` and `connections`. Default: none.
    #[serde(default)]
    pub require: Vec<Require>,
    /// What is done to both sides before `match` compares them. Default: nothing, an exact comparison.
    #[serde(default)]
    pub normalize: Vec<Normalize>,
    /// What to do in mode `update` when `match` finds nothing. Default: `reject`.
    pub on_none: Option<FlowOnNone>,
    /// What to do when `match` finds several. Default: `reject`.
    pub on_many: Option<FlowOnMany>,
    /// What happens to the target of a record that the source says is deleted. Default: `keep`.
    pub on_delete: Option<OnDelete>,
    /// What to do with a record whose target can no longer be changed. Default: `hold`.
    pub on_frozen: Option<OnFrozen>,
    /// When fields are written that do not say it themselves. Default: `always`.
    pub write: Option<Write>,
    /// How personal data is shown in snapshots, logs, the queue and previews: path (`$` is the source record) to an
    /// action. It may tighten what the stream says, never loosen it. Default: what the stream says.
    #[serde(default)]
    pub pii: IndexMap<PathText, Pii>,
    /// How much may change in one run. Default: the pipeline's.
    pub guard: Option<Guard>,
    /// How many records may be rejected. Default: the pipeline's.
    pub rejects: Option<Rejects>,
    /// The rules, one for each field of the target. A dotted name is nested (`status.id`); a name with a real dot is
    /// written `"['a.b']"`.
    pub fields: IndexMap<String, Row>,
}

/// What one path of the target must equal, as a path, a template or a map.
pub type MatchValue = ShortOrLong<MatchInput>;

/// What a path of the target must equal.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchInput {
    /// A path (`$` is the source record) or a template that sees `record`, `params`, `connections`. The short form is
    /// this word alone.
    pub value: Option<Source>,
    /// The name of a flow: the key of the target record that it linked to the source record whose key is `key`.
    pub link: Option<String>,
    /// With `link`: the key of the other source record; a path (`$` is the source record) or a template. Default:
    /// this record's own key, in a flow with `of` its parent's.
    pub key: Option<Source>,
}

impl ShortForm for MatchInput {
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

/// A record that the rules of a flow need beside the source record.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// What is looked up, or without `lookup` what is put there: a path (`$` is the source record) or a template.
    pub value: Source,
    /// The record is looked up only where this is true; it sees `record`, `params`, `connections`. Default: always.
    pub when: Option<ConditionText>,
    /// The lookup that finds the record. Default: none, `value` itself is put there.
    pub lookup: Option<String>,
    /// What to do when the lookup finds nothing; `keep` and `clear` leave the name null. Default: what the lookup says.
    pub on_none: Option<OnNone>,
    /// What to do when the lookup finds several. Default: what the lookup says, else `reject`.
    pub on_many: Option<OnMany>,
}

/// Keeps one of several source records that are the same thing.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnePer {
    /// Records with the same value here are the same thing: a path (`$` is the source record) or a template. Null is
    /// the same as nothing else.
    pub same: Source,
    /// What is done to that value before it is compared. Default: nothing.
    #[serde(default)]
    pub normalize: Vec<Normalize>,
    /// Which one is kept: paths (`$` is the source record) in order of weight. What is still equal at the end is
    /// settled by the lowest key.
    pub keep: Vec<OneKey<PathText, Rank>>,
}

/// A condition that a record must meet before it is written.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Require {
    /// The condition; it sees `record`, `target`, `fields`, `params`, `connections`.
    pub that: ConditionText,
    /// The reason that the rejected record is given where the condition is false; a template that sees the same.
    #[serde(rename = "else")]
    pub otherwise: TemplateText,
}

/// How much a run may change before it is refused, before the first write.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// How many records may be created or updated; a share is of the flow's linked pairs. Default: any number.
    pub change_at_most: Option<Amount>,
    /// How many records may be deleted; a share is of the flow's linked pairs. Default: 0.
    pub delete_at_most: Option<Amount>,
}

/// How many records may be rejected before a run stops.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rejects {
    /// How many; a share is of the records that the run read. Default: any number.
    pub allow: Option<Amount>,
    /// How many times a rejected record is tried again by later runs before it only waits for a person. Default: 10.
    pub retry_at_most: Option<u64>,
}

choice! {
    /// What may happen to the target's records.
    Mode {
        /// Every source record is created once; what exists is never changed.
        "insert" => Insert,
        /// What exists is updated; nothing is created.
        "update" => Update,
        /// What exists is updated, the rest created.
        "upsert" => Upsert,
        /// As upsert, and what the source no longer has is deleted (within `guard`).
        "mirror" => Mirror,
    }
}

choice! {
    /// Which of two values ranks first.
    Rank {
        /// The highest; true is higher than false, anything than null.
        "highest" => Highest,
        /// The lowest that is not null.
        "lowest" => Lowest,
    }
}

choice! {
    /// What to do when `match` finds nothing in mode `update`.
    FlowOnNone {
        /// The record goes to the queue as rejected.
        "reject" => Reject,
        /// The record is left out, and counted as unmatched.
        "skip" => Skip,
        /// The record goes to the queue as held, until a person decides.
        "hold" => Hold,
        /// The record goes to the queue as waiting, outside the budget of rejects; later runs try it again.
        "wait" => Wait,
    }
}

choice! {
    /// What to do when `match` finds several records.
    FlowOnMany {
        /// The record goes to the queue as rejected.
        "reject" => Reject,
        /// The first one is written, in the order in which the target returns them.
        "first" => First,
        /// All of them are written.
        "all" => All,
        /// The record is left out, and counted as unmatched.
        "skip" => Skip,
        /// The record goes to the queue as held, until a person decides.
        "hold" => Hold,
    }
}

choice! {
    /// What happens to the target of a record that the source says is deleted.
    OnDelete {
        /// It stays as it is, and stays linked.
        "keep" => Keep,
        /// It stays as it is; the link is closed, so the pair is never written or created again.
        "unlink" => Unlink,
        /// It is deleted (within `guard`).
        "delete" => Delete,
    }
}

choice! {
    /// What to do with a record whose target can no longer be changed.
    OnFrozen {
        /// It goes to the queue as held, until a person decides.
        "hold" => Hold,
        /// It is left out, and counted as filtered.
        "skip" => Skip,
        /// It goes to the queue as rejected.
        "reject" => Reject,
    }
}

choice! {
    /// How personal data is shown.
    Pii {
        /// Replaced by a mask that shows only what kind of value it is.
        "mask" => Mask,
        /// Replaced by a keyed digest: equal values stay equal, and the key can be destroyed.
        "hash" => Hash,
        /// Left out.
        "drop" => Drop,
        /// Shown as it is.
        "keep" => Keep,
    }
}
