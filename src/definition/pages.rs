//! How the next page of a listing is found.

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use super::literal::ValueTemplate;
use super::shape::{ShortForm, ShortOrLong, choice};
use super::text::PathText;

/// How the next page is found: exactly one of `next_url`, `link`, `token`, `number`, `offset` and `after_key`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    /// The path of the next page's address; `$` is the page.
    pub next_url: Option<PathText>,
    /// The answer's `Link` header names the next page (RFC 8288).
    pub link: Option<LinkRelation>,
    /// The page holds a token for a query parameter of the next request.
    pub token: Option<TokenPages>,
    /// Pages have numbers: the query parameter's name, or a map.
    pub number: Option<ShortOrLong<NumberPages>>,
    /// The name of a query parameter that says how many records to leave out.
    pub offset: Option<String>,
    /// Records come in the order of a key, and the next request asks for those after the last one's.
    pub after_key: Option<KeyPages>,
    /// The path of what says whether there is more; `$` is the page. Default: there is while there is an address or a
    /// token.
    pub more: Option<PathText>,
    /// When a listing by number, offset or key ends. Default: `empty`.
    pub stop: Option<PageStop>,
}

choice! {
    /// The relation of a `Link` header.
    LinkRelation {
        /// The next page.
        "next" => Next,
    }
}

choice! {
    /// When a listing ends.
    PageStop {
        /// At a page without records.
        "empty" => Empty,
        maps:
        /// At a page with fewer records than this.
        "shorter_than" => ShorterThan(u64),
    }
}

/// Paging by a token in the page.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenPages {
    /// The path of the token; `$` is the page.
    pub at: PathText,
    /// The name of the query parameter.
    pub query: String,
}

/// Paging by number.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberPages {
    /// The name of the query parameter. The short form is this word alone.
    pub query: String,
    /// The number of the first page. Default: 1.
    pub first: Option<u64>,
}

impl ShortForm for NumberPages {
    const SHORT: &'static str = "a query parameter's name";

    fn from_short(text: &str) -> Result<Self, String> {
        Ok(Self {
            query: text.to_owned(),
            first: None,
        })
    }

    fn short_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<String>()
    }
}

/// Paging by key.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPages {
    /// What the following requests add: the name of the query parameter that takes the last record's key, or a map of
    /// parameters that see `last` (the last record).
    pub query: ShortOrLong<KeyQuery>,
    /// The key; `$` is the record.
    pub key: PathText,
}

/// What asks for the records after a key.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyQuery {
    /// The parameter that takes the last key.
    Parameter(String),
    /// Parameters; texts see `last`.
    Parameters(IndexMap<String, ValueTemplate>),
}

impl<'de> Deserialize<'de> for KeyQuery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IndexMap::deserialize(deserializer).map(Self::Parameters)
    }
}

impl JsonSchema for KeyQuery {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KeyQuery".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        IndexMap::<String, ValueTemplate>::json_schema(generator)
    }
}

impl ShortForm for KeyQuery {
    const SHORT: &'static str = "a query parameter's name";

    fn from_short(text: &str) -> Result<Self, String> {
        Ok(Self::Parameter(text.to_owned()))
    }

    fn short_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<String>()
    }
}
