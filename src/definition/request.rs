//! The requests of a stream, each with exactly the words that make sense for it.
//!
//! They share the words that say what is sent. A macro repeats those, because flattened structs would lose the exact
//! place of an error.

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::literal::ValueTemplate;
use super::pages::Pages;
use super::shape::{ShortForm, ShortOrLong, choice};
use super::text::{DurationText, PathText, TemplateText};

/// The words that every request has, whatever else it has.
#[derive(Debug, Clone, Copy)]
pub struct RequestWords<'a> {
    /// Every method that was written, with its path: `("get", path)`. Exactly one is right, none may be.
    pub methods: [Option<(&'static str, &'a TemplateText)>; 5],
    /// Query parameters.
    pub query: &'a IndexMap<String, ValueTemplate>,
    /// Headers.
    pub headers: &'a IndexMap<String, TemplateText>,
    /// The body.
    pub body: Option<&'a ValueTemplate>,
    /// The names of the budgets.
    pub uses: &'a [String],
}

impl<'a> RequestWords<'a> {
    /// The methods that were written, with their paths.
    pub fn written(self) -> impl Iterator<Item = (&'static str, &'a TemplateText)> {
        self.methods.into_iter().flatten()
    }
}

/// Defines a request: the words of all requests, then its own.
macro_rules! request {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident {
            methods: $($method:ident),+;
            sees: $sees:literal;
            $($own:tt)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(
                #[doc = concat!(
                    "Sends a request of this method to this path below the base URL, or to a whole URL. Sees ", $sees,
                    "; what is filled in is percent-encoded. One method is needed, except where a request says otherwise."
                )]
                pub $method: Option<TemplateText>,
            )+
            #[doc = concat!(
                "Query parameters, percent-encoded; a list repeats the parameter, null leaves it out. Sees ", $sees,
                ". Default: none."
            )]
            #[serde(default)]
            pub query: IndexMap<String, ValueTemplate>,
            #[doc = concat!("Further headers. Sees ", $sees, ". Default: the connector's only.")]
            #[serde(default)]
            pub headers: IndexMap<String, TemplateText>,
            #[doc = concat!(
                "The JSON body: a value whose texts are templates; a text that is one expression keeps its type, and ",
                "`{each: \"{{ list }}\", as: ..}` makes a list (`as` sees `item`). Sees ", $sees,
                ". Default: none, or what the envelope makes of `fields`."
            )]
            pub body: Option<ValueTemplate>,
            /// The names of the budgets in `limits` that it draws from. Default: all those without `each`.
            #[serde(default)]
            pub uses: Vec<String>,
            $($own)*
        }

        impl $name {
            /// The words that every request has.
            #[must_use]
            pub fn words(&self) -> RequestWords<'_> {
                let mut methods = [None; 5];
                for (slot, method) in methods.iter_mut().zip([$((stringify!($method), &self.$method)),+]) {
                    *slot = method.1.as_ref().map(|path| (method.0, path));
                }
                RequestWords {
                    methods,
                    query: &self.query,
                    headers: &self.headers,
                    body: self.body.as_ref(),
                    uses: &self.uses,
                }
            }
        }
    };
}

request! {
    /// A request that only asks.
    pub struct ReadRequest {
        methods: get, post;
        sees: "`settings`";
    }
}

request! {
    /// Reading all records of a stream, page by page.
    pub struct ListRequest {
        methods: get, post;
        sees: "`settings`, `parent`";
        /// The records; `$` is the page. Default: with envelope `json_api` `$.data`, else `$`.
        pub records: Option<PathText>,
        /// Records that come in the same answer, joined to each record by name. Default: none.
        #[serde(default)]
        pub join: IndexMap<String, SideLoad>,
        /// How the next page is found. Default: one page is all.
        pub pages: Option<Pages>,
        /// What a 404 means. Default: an error.
        pub on_gone: Option<OnGone>,
    }
}

request! {
    /// Reading one record by its key.
    pub struct GetRequest {
        methods: get, post;
        sees: "`settings`, `key`";
        /// The record; `$` is the answer. Default: with envelope `json_api` `$.data`, else `$`.
        pub record: Option<PathText>,
        /// Records that come in the same answer. Default: the list's.
        pub join: Option<IndexMap<String, SideLoad>>,
    }
}

request! {
    /// Finding records by the value of a path. Without a method it is the list's request.
    pub struct FindRequest {
        methods: get, post;
        sees: "`settings`, `value`, `values`, `spellings`";
        /// The records; `$` is the answer. Default: the list's.
        pub records: Option<PathText>,
        /// The one record, where the answer is not a list; `$` is the answer.
        pub record: Option<PathText>,
        /// How many values one request may ask for; it then sees them as `values`. Default: 1.
        #[schemars(range(min = 1))]
        pub at_most: Option<u64>,
        /// How long the system may not find what was just written. Default: `0s`.
        pub behind: Option<DurationText>,
        /// Whether the system's comparison is looser than ours, so that what it finds is compared again. Default: false.
        pub recheck: Option<bool>,
        /// How a long answer goes on. Default: the list's, if the request is the list's; else one page is all.
        pub pages: Option<Pages>,
        /// Records that come in the same answer. Default: the list's.
        pub join: Option<IndexMap<String, SideLoad>>,
    }
}

request! {
    /// Creating a record.
    pub struct CreateRequest {
        methods: post, put, patch;
        sees: "`settings`, `fields`, `key`, `intent`";
        /// The created record; `$` is the answer. Default: with envelope `json_api` `$.data`, else `$`.
        pub record: Option<PathText>,
        /// The new record's key; `$` is the answer. Default: the stream's `key` in `record`.
        pub new_key: Option<PathText>,
        /// A header that makes a repeated request harmless. Default: none.
        pub idempotency: Option<Idempotency>,
        /// Whose budgets with `each` it draws from: this stands for `key` there, as a new record has none. Default:
        /// nobody's, such budgets do not count.
        pub counts_for: Option<TemplateText>,
        /// How a record is found again whose answer was lost: a path in `find`, or a map. Default: none, such a create
        /// is held for a person.
        pub find_again: Option<ShortOrLong<FindAgain>>,
    }
}

request! {
    /// Finding a record again whose create was not answered: `by` a path in `find`, or with a request of its own and a
    /// `marker`.
    pub struct FindAgain {
        methods: get, post;
        sees: "`settings`, `fields`, `intent`";
        /// The path in `find` (`$` is the record) by which it is searched; what was written there is the value. The
        /// short form is this word alone. Default: it is found by its `marker`.
        pub by: Option<PathText>,
        /// Paths (`$` is the record) that must hold what was written there. Default: none, `by` is unique.
        #[serde(default)]
        pub same: Vec<PathText>,
        /// When a record was made; `$` is the record. One made before the request is not taken for it. Default: not
        /// known.
        pub made: Option<PathText>,
        /// Where a record carries the `intent` that the create sent; `$` is the record. Default: nowhere, it is found
        /// `by` what it wrote.
        pub marker: Option<PathText>,
        /// The records; `$` is the answer. Default: the list's.
        pub records: Option<PathText>,
        /// How a long answer goes on. Default: one page is all.
        pub pages: Option<Pages>,
    }
}

impl ShortForm for FindAgain {
    const SHORT: &'static str = "a path";

    fn from_short(text: &str) -> Result<Self, String> {
        PathText::new(text).map(|path| Self {
            by: Some(path),
            ..Self::default()
        })
    }

    fn short_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<PathText>()
    }
}

request! {
    /// Changing a record.
    pub struct UpdateRequest {
        methods: post, put, patch;
        sees: "`settings`, `fields`, `key`, `before`, `intent`";
        /// The changed record; `$` is the answer. Default: with envelope `json_api` `$.data`, else `$`.
        pub record: Option<PathText>,
        /// How a change by somebody else is noticed. Default: not at all, and `validate` says so.
        pub if_unchanged: Option<IfUnchanged>,
        /// A header that makes a repeated request harmless. Default: none.
        pub idempotency: Option<Idempotency>,
    }
}

request! {
    /// Deleting a record.
    pub struct DeleteRequest {
        methods: post, put, patch, delete;
        sees: "`settings`, `key`, `before`";
        /// How a change by somebody else is noticed. Default: not at all.
        pub if_unchanged: Option<IfUnchanged>,
    }
}

request! {
    /// Creating or changing many records in one request. It is used where each record keeps what it has in a request of
    /// its own: its condition (`if_unchanged`), its result, and, if it is created, a way to be found again. A job does
    /// not tell what became of the values: in a two-way flow one that the system altered counts as changed there.
    pub struct ManyRequest {
        methods: post, put, patch;
        sees: "`settings`, `items`; the `each` of its budgets `key`, for each record";
        /// How many records one request takes. Default: 100.
        #[schemars(range(min = 1))]
        pub at_most: Option<u64>,
        /// How many bytes its body may have; more records are divided among several requests. Default: any number.
        #[schemars(range(min = 1))]
        pub at_most_bytes: Option<u64>,
        /// Members added to each item's fields; see `key`, `before`. Default: none.
        #[serde(default)]
        pub item: IndexMap<String, ValueTemplate>,
        /// The job in `jobs` that the request begins. Default: none, the answer is final.
        pub job: Option<String>,
        /// How a change by somebody else is noticed. Default: not at all, so it is not used where that matters.
        pub if_unchanged: Option<ManyIfUnchanged>,
    }
}

/// Records that come in the same answer, joined to the ones that refer to them. Exactly one of `is` and `is_in`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SideLoad {
    /// The candidates; `$` is the page.
    pub among: PathText,
    /// A candidate's key; `$` is the candidate.
    pub whose: PathText,
    /// The one that is referred to; `$` is the record.
    pub is: Option<PathText>,
    /// The list of those that are referred to; `$` is the record.
    pub is_in: Option<PathText>,
}

choice! {
    /// What a 404 means.
    OnGone {
        /// There are no records.
        "none" => None,
    }
}

/// A header that makes a repeated request harmless.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Idempotency {
    /// The header's name.
    pub header: String,
    /// How long the system remembers it.
    pub kept_for: DurationText,
}

choice! {
    /// How a change by somebody else is noticed in a request of many.
    ManyIfUnchanged {
        /// Each item carries its own condition, in `item`.
        "in_item" => InItem,
    }
}

/// How a change by somebody else is noticed before ours overwrites it.
#[derive(Debug, Clone, PartialEq)]
pub enum IfUnchanged {
    /// The body carries the condition itself.
    InBody,
    /// The record is read once more just before; a small window remains, and `validate` names it.
    ReadAgain,
    /// Members merged into the body: dotted name to a value whose texts are templates that see `before`.
    Merge(IndexMap<String, ValueTemplate>),
}

impl<'de> Deserialize<'de> for IfUnchanged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IfUnchangedVisitor;

        impl<'de> Visitor<'de> for IfUnchangedVisitor {
            type Value = IfUnchanged;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("`in_body`, `read_again` or a map of body members")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<IfUnchanged, E> {
                match word {
                    "in_body" => Ok(IfUnchanged::InBody),
                    "read_again" => Ok(IfUnchanged::ReadAgain),
                    other => Err(E::unknown_variant(other, &["in_body", "read_again"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<IfUnchanged, A::Error> {
                IndexMap::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(IfUnchanged::Merge)
            }
        }

        deserializer.deserialize_any(IfUnchangedVisitor)
    }
}

impl JsonSchema for IfUnchanged {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "IfUnchanged".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut members = IndexMap::<String, ValueTemplate>::json_schema(generator);
        members.insert(
            "description".into(),
            "Members merged into the body: dotted name to a value; texts are templates that see `before`."
                .into(),
        );
        json_schema!({
            "description": "How a change by somebody else is noticed before ours overwrites it.",
            "anyOf": [
                {"type": "string", "const": "in_body", "description": "The body carries the condition itself."},
                {
                    "type": "string",
                    "const": "read_again",
                    "description": "The record is read once more just before; a small window remains.",
                },
                members,
            ],
        })
    }
}
