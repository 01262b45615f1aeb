//! A stream of a connector: how a collection of records is listed, found, changed and read.

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::connector::Relationship;
use super::flow::Pii;
use super::literal::ValueTemplate;
use super::request::{
    CreateRequest, DeleteRequest, FindRequest, GetRequest, ListRequest, ManyRequest, UpdateRequest,
};
use super::shape::{ShortForm, ShortOrLong, choice};
use super::text::{ConditionText, DurationText, PathText, TemplateText};

/// A collection of records.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// What it holds, for people.
    pub description: Option<String>,
    /// The path of what identifies a record; `$` is the record.
    pub key: PathText,
    /// The record schema: a JSON Schema file below `schemas/`. Default: none, nothing is known of its fields.
    pub schema: Option<String>,
    /// With envelope `json_api`: the records' type. Default: the stream's name.
    #[serde(rename = "type")]
    pub resource_type: Option<String>,
    /// With envelope `json_api`: the relationships and the types that they refer to. Default: none.
    #[serde(default)]
    pub relationships: IndexMap<String, Relationship>,
    /// The parent stream: this one is read for each record of it; requests see `parent`. Default: read on its own.
    pub of: Option<String>,
    /// How records are changed into what rules read, and back. Default: not at all.
    pub shape: Option<RecordShape>,
    /// Reading all of it. Default: it cannot be read whole.
    pub list: Option<ListRequest>,
    /// How only what changed is read. Default: `scan`, or `with_parent` with `of`.
    pub changes: Option<Changes>,
    /// Reading one record; sees `key`. Default: by `find` with the stream's key, if there is one.
    pub get: Option<GetRequest>,
    /// By what it can be found: path (`$` is the record) to a request that sees `value`, `values` and `spellings`
    /// (each value as given and in lower case). Default: only by key.
    #[serde(default)]
    pub find: IndexMap<PathText, FindRequest>,
    /// Creating a record; sees `fields`, `key`, `intent`. Default: it cannot be created.
    pub create: Option<CreateRequest>,
    /// Changing a record; sees `fields`, `key`, `before`, `intent`. Default: it cannot be changed.
    pub update: Option<UpdateRequest>,
    /// Creating or changing a record, as the system decides. Default: `create` or `update`.
    pub upsert: Option<UpdateRequest>,
    /// Deleting a record; sees `key`, `before`. Default: it cannot be deleted.
    pub delete: Option<DeleteRequest>,
    /// Creating many records in one request; sees `items`. Default: one by one.
    pub create_many: Option<ManyRequest>,
    /// Changing many records in one request; sees `items`. Default: one by one.
    pub update_many: Option<ManyRequest>,
    /// Says that a record is deleted; sees `record`. Default: never.
    pub deleted_when: Option<ConditionText>,
    /// Says that a record's content was erased; sees `record`. Default: never.
    pub erased_when: Option<ConditionText>,
    /// Says that a record can never be changed again; sees `record`. Default: never.
    pub frozen_when: Option<ConditionText>,
    /// Members that nobody may read: they are removed before anything is kept or mapped. `$` is the record. Default:
    /// none.
    #[serde(default)]
    pub never: Vec<PathText>,
    /// How personal data is shown: path (`$` is the record) to an action. Default: nothing is masked.
    #[serde(default)]
    pub pii: IndexMap<PathText, Pii>,
}

/// How records are changed into what rules read, and back.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordShape {
    /// Members that are left out; `$` is the record. Default: none.
    #[serde(default)]
    pub drop: Vec<PathText>,
    /// Lists of key and value that are read and written as a map, by member name. Default: none.
    #[serde(default)]
    pub map_of: IndexMap<String, MapOf>,
    /// Members that are added: name to a template that sees `parent`. Default: none.
    #[serde(default)]
    pub add: IndexMap<String, TemplateText>,
}

/// `[{id: 36, value: x}]` read and written as `{order_number: x}`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapOf {
    /// An item's key; `$` is the item.
    pub key: PathText,
    /// An item's value; `$` is the item.
    pub value: PathText,
    /// A template that gives a map from name to key, of this account; it sees `settings`. A key without a name is its
    /// own name.
    pub names: TemplateText,
}

choice! {
    /// How only what changed is read.
    Changes {
        /// Everything is read each time and compared.
        "scan" => Scan,
        /// It is read for each parent that changed.
        "with_parent" => WithParent,
        maps:
        /// The system gives an opaque token.
        "token" => Token(TokenChanges),
        /// Records have a time of their last change, by which the list can be filtered.
        "time" => Time(TimeChanges),
        /// Keys only grow: new records are read, changes are not followed.
        "growing_key" => GrowingKey(ShortOrLong<GrowingKey>),
        /// Everything is read each time and compared, but for some members.
        "scan" => ScanExcept(ScanChanges),
    }
}

/// Changes by an opaque token; `$` is the page.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenChanges {
    /// The token of the next request; `$` is the page.
    pub at: PathText,
    /// Selects true at the end of what there is now; `$` is the page.
    pub done: PathText,
    /// What the very first request adds; sees `since`.
    pub first: TokenRequestPart,
    /// What the others add; sees `token`.
    pub next: TokenRequestPart,
    /// A younger `since` is refused by the system, so none is sent. Default: `0s`.
    pub since_before_now: Option<DurationText>,
    /// What to do when the system no longer knows the token. Default: the run ends and asks for `--full`.
    pub on_lost: Option<LostToken>,
}

/// What a request adds to the list's.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequestPart {
    /// Query parameters.
    pub query: IndexMap<String, ValueTemplate>,
}

/// Starting over when a token is lost.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LostToken {
    /// The path of the time from which to start over: the latest one seen; `$` is the record.
    pub restart_from: PathText,
    /// How much earlier than that. Default: `0s`.
    pub minus: Option<DurationText>,
}

/// Changes by a time; the lower bound is inclusive, and the keys seen at the bound are remembered.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeChanges {
    /// The time of a record's last change; `$` is the record.
    pub from: PathText,
    /// Query parameters that set the lower bound; see `since`.
    pub query: IndexMap<String, ValueTemplate>,
    /// How far each run reaches back before the bound. Default: `0s`.
    pub overlap: Option<DurationText>,
    /// Where a record that was never changed has no such time: the key that grows, by which new records are read as
    /// well. Default: every record has the time.
    pub new: Option<ShortOrLong<GrowingKey>>,
    /// How changes are read where the account refuses `query`: it is asked once, and what it says is remembered. Default:
    /// the run ends.
    pub otherwise: Option<OtherwiseChanges>,
    /// With `otherwise`: how long what the account said is believed. It is asked at once where it refuses what it took
    /// before. Default: `1d`.
    pub ask_every: Option<DurationText>,
    /// With `new`: how often the whole stream is read all the same, because what is gone is only noticed by its absence.
    /// Default: never.
    pub whole_every: Option<DurationText>,
}

choice! {
    /// How changes are read where the account refuses the parameters of a better way.
    OtherwiseChanges {
        /// Everything is read each time and compared.
        "scan" => Scan,
        maps:
        /// Everything is read each time and compared, but for some members.
        "scan" => ScanExcept(ScanChanges),
    }
}

/// Changes by a key that grows.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrowingKey {
    /// The key; `$` is the record. The short form is this word alone.
    pub key: PathText,
    /// Query parameters that set the lower bound; see `since` (the key). Default: those of `pages.after_key`.
    #[serde(default)]
    pub query: IndexMap<String, ValueTemplate>,
    /// How many keys each run reaches back, because a lower key may be committed later. Default: 0.
    pub overlap: Option<u64>,
}

impl ShortForm for GrowingKey {
    const SHORT: &'static str = "a path";

    fn from_short(text: &str) -> Result<Self, String> {
        PathText::new(text).map(|key| Self {
            key,
            query: IndexMap::new(),
            overlap: None,
        })
    }

    fn short_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<PathText>()
    }
}

/// Everything each time, compared but for some members.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanChanges {
    /// Members that do not count as a change; `$` is the record.
    pub except: Vec<PathText>,
}
