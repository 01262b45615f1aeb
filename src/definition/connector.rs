//! The connector file: how a system's API is reached, what it allows, and what its answers mean.

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::literal::{Literal, StatusPattern, ValueTemplate};
use super::pipeline::SettingType;
use super::request::ReadRequest;
use super::shape::{OneOrMany, choice};
use super::stream::Stream;
use super::text::{DurationText, PathText, TemplateText};

/// A connector: a system's API, as the engine needs to know it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// The version of the language: 1.
    #[schemars(extend("const" = 1))]
    pub version: u64,
    /// The connector's name, by which connections speak of it.
    pub connector: String,
    /// What it reaches, in a sentence.
    pub description: Option<String>,
    /// The address of the vendor's documentation.
    pub documentation: Option<String>,
    /// What a connection sets for one account; templates see them as `settings.name`. Default: none.
    #[serde(default)]
    pub settings: IndexMap<String, Setting>,
    /// The prefix of every request's path; sees `settings`.
    pub base_url: TemplateText,
    /// How records are wrapped in bodies. Default: not at all, as the requests' `records`, `record` and `body` say.
    pub envelope: Option<Envelope>,
    /// Headers that every request carries; see `settings`, `run`, `record_key`. Default: none.
    #[serde(default)]
    pub headers: IndexMap<String, TemplateText>,
    /// The ways to authenticate, by name; a connection picks one. Default: none, requests carry no credentials.
    #[serde(default)]
    pub auth: IndexMap<String, AuthVariant>,
    /// A request that succeeds only with accepted credentials. Default: none, the first request of a run shows it.
    pub check: Option<ReadRequest>,
    /// Named budgets; requests say which they draw from (`uses`). Default: none.
    #[serde(default)]
    pub limits: IndexMap<String, Limit>,
    /// What answers other than 2xx mean; the first rule that fits decides. Default, also after these rules: `wait` for
    /// 429 and 503, `renew_token` for 401, `auth` for 403, `gone` for 404 and 410, `retry` for 408 and other 5xx,
    /// `reject` for the rest.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
    /// Where error answers have their message. Default: the first 200 characters of the text.
    pub error_message: Option<ErrorMessage>,
    /// Bulk work that is asked after until it is done, by name. Default: none.
    #[serde(default)]
    pub jobs: IndexMap<String, Job>,
    /// The collections of records, by name.
    pub streams: IndexMap<String, Stream>,
}

choice! {
    /// How records are wrapped in bodies.
    Envelope {
        /// JSON:API: `data`, `attributes`, `relationships`, `included` and `errors` are read and written by
        /// themselves; a relationship is an object with its `id` (`$.status.id`).
        "json_api" => JsonApi,
    }
}

/// Something that a connection sets for one account.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The type that its value must have.
    #[serde(rename = "type")]
    pub value_type: SettingType,
    /// Whether a connection must set it. Default: false.
    pub required: Option<bool>,
    /// Its value where a connection does not set it; a text may be a template over the other `settings`. Default: null.
    pub default: Option<ValueTemplate>,
    /// Whether its value is never shown or kept. Default: false.
    pub secret: Option<bool>,
    /// What it is for, for people.
    pub help: Option<String>,
}

/// A way to authenticate: its settings and exactly one scheme. Templates see the connector's and these settings.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthVariant {
    /// What it is for, for people.
    pub description: Option<String>,
    /// Why it should no longer be used; a connection that picks it gets a warning. Default: it is fine.
    pub deprecated: Option<String>,
    /// What a connection that picks it must set. Default: nothing.
    #[serde(default)]
    pub settings: IndexMap<String, Setting>,
    /// Scheme: user name and password in every request (RFC 7617).
    pub basic: Option<BasicAuth>,
    /// Scheme: a fixed token as `Authorization: Bearer`.
    pub bearer: Option<TemplateText>,
    /// Scheme: fixed headers.
    pub header: Option<IndexMap<String, TemplateText>>,
    /// Scheme: OAuth 2 client credentials; the variant's settings `client_id`, `client_secret` and, where there is
    /// one, `scope` are sent.
    pub oauth_client_credentials: Option<OauthClientCredentials>,
}

/// A user name and a password.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The user name; sees `settings`.
    pub username: TemplateText,
    /// The password; sees `settings`.
    pub password: TemplateText,
}

/// How a token is asked for with client credentials.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OauthClientCredentials {
    /// The token endpoint; sees `settings`.
    pub token_url: TemplateText,
    /// How the token request is written. Default: `form`.
    pub request: Option<TokenRequest>,
    /// Where client id and secret go. Default: `body`.
    pub client: Option<ClientPlace>,
    /// Further members of the token request; texts see `settings`. Default: none.
    #[serde(default)]
    pub send: IndexMap<String, ValueTemplate>,
}

choice! {
    /// How a token request is written.
    TokenRequest {
        /// A form, as the standard says.
        "form" => Form,
        /// A JSON body.
        "json" => Json,
    }
}

choice! {
    /// Where client id and secret go.
    ClientPlace {
        /// Into the body.
        "body" => Body,
        /// Into the header `Authorization: Basic`.
        "basic" => Basic,
    }
}

/// A named budget.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many requests in which time: `100 per minute`, `30 per 10 minutes`; sees `settings`. Default: any number.
    pub rate: Option<TemplateText>,
    /// How many requests at once. Default: as many as the run has workers.
    #[schemars(range(min = 1))]
    pub at_once: Option<u32>,
    /// A budget of its own for each value of this template; sees `key`. A record whose budget is spent never keeps
    /// others waiting. Default: one budget for all.
    pub each: Option<TemplateText>,
    /// With `each`: how long a record's write waits within the run; longer, and it goes to the queue and the next run
    /// tries it again. Default: `30s`.
    pub wait_at_most: Option<DurationText>,
    /// Answer headers that correct the budget. Default: none.
    pub headers: Option<LimitHeaders>,
}

/// Names of answer headers that tell the state of a budget; where there are several the first one present counts.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitHeaders {
    /// The budget's size. Default: not told.
    pub limit: Option<OneOrMany<String>>,
    /// What is left of it. Default: not told.
    pub remaining: Option<OneOrMany<String>>,
    /// Seconds until it is full again. Default: not told.
    pub reset_seconds: Option<OneOrMany<String>>,
    /// Headers that hold all three: `total=10; remaining=9; resets=2`. Default: none.
    pub pairs: Option<OneOrMany<String>>,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// The statuses: `404`, `4xx`, or a list of them.
    pub status: OneOrMany<StatusPattern>,
    /// Every path (`$` is the answer) must select one of these values. Default: any body.
    #[serde(default)]
    pub body: IndexMap<PathText, OneOrMany<Literal>>,
    /// What the answer's text must contain. Default: any text.
    pub text: Option<TextCondition>,
    /// What it means.
    pub then: ErrorOutcome,
    /// The budget in `limits` that is spent, with `then: wait`. Default: those of the request that the answer's headers
    /// show to be spent; where they show none, all of which they show nothing left.
    pub limit: Option<String>,
}

/// A condition on an answer's text.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextCondition {
    /// It contains this, whatever the case.
    pub contains: String,
}

choice! {
    /// What an error answer means.
    ErrorOutcome {
        /// The budget is spent: it is paused, as long as the answer says, then the request is sent again.
        "wait" => Wait,
        /// Something passing: sent again after a while.
        "retry" => Retry,
        /// The token is no longer valid: a new one is fetched once, then the request is sent again.
        "renew_token" => RenewToken,
        /// The record changed meanwhile: it is read and decided again.
        "conflict" => Conflict,
        /// A record that should be created exists: it is found, then updated.
        "exists" => Exists,
        /// There is no such record.
        "gone" => Gone,
        /// The record can never be changed again: the flow's `on_frozen` decides.
        "frozen" => Frozen,
        /// The record is refused and goes to the queue; the others go on.
        "reject" => Reject,
        /// Credentials or permissions are refused: the run ends.
        "auth" => Auth,
        /// The request itself is wrong: the run ends.
        "fatal" => Fatal,
    }
}

/// Where error answers have their message; `$` is the answer.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorMessage {
    /// The first of these paths that selects something. Default: none.
    #[serde(default)]
    pub first_of: Vec<PathText>,
    /// Messages about single fields. Default: none.
    pub fields: Option<ErrorFields>,
    /// What the message is where no path selects anything. Default: `text`.
    pub otherwise: Option<MessageOtherwise>,
}

choice! {
    /// The message of an answer that has none.
    MessageOtherwise {
        /// The first 200 characters of its text.
        "text" => Text,
    }
}

/// Messages about single fields: an object keyed by field, or a list.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorFields {
    /// The object or the list; `$` is the answer.
    pub each: PathText,
    /// The message of one of them; `$` is the member or item. A text is its own message.
    pub message: PathText,
    /// The name of the field; `$` is the item. Default: the member's name.
    pub field: Option<PathText>,
}

/// Bulk work that is asked after until it is done.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The job's id; `$` is the answer that began it.
    pub id: PathText,
    /// How to ask after it; sees `job.id`.
    pub poll: ReadRequest,
    /// How often it is asked after. Default: `2s`.
    pub every: Option<DurationText>,
    /// When to stop asking; its items are then settled one by one. Default: `15m`.
    pub give_up_after: Option<DurationText>,
    /// How the answer says whether it is done.
    pub state: JobState,
    /// The items' results; `$` is the answer of `poll`.
    pub results: PathText,
    /// How one item's result is read.
    pub result: JobResult,
}

/// How an answer says whether a job is done.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobState {
    /// The path of the state; `$` is the answer of `poll`.
    pub from: PathText,
    /// Values that mean it still runs.
    pub running: OneOrMany<String>,
    /// Values that mean it is done; single items may have failed.
    pub done: OneOrMany<String>,
    /// Values that mean it failed as a whole. Default: none.
    pub failed: Option<OneOrMany<String>>,
}

/// How one item's result is read; `$` is the result.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobResult {
    /// The item's position in the request, from 0. Default: results are told apart by key.
    pub index: Option<PathText>,
    /// The record's key.
    pub key: PathText,
    /// Selects something if the item failed.
    pub failed_when: PathText,
    /// The message of a failed item. Default: none.
    pub message: Option<JobMessage>,
}

/// Where a failed item has its message; `$` is the result.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobMessage {
    /// The first of these paths that selects something.
    pub first_of: Vec<PathText>,
}

/// What a JSON:API relationship refers to: a type (`users`), or in a list of one where there are several (`[users]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relationship {
    /// It refers to at most one record of this type.
    One(String),
    /// It refers to any number of records of this type.
    Many(String),
}

impl<'de> Deserialize<'de> for Relationship {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RelationshipVisitor;

        impl<'de> Visitor<'de> for RelationshipVisitor {
            type Value = Relationship;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a type such as `users`, or `[users]` where there are several")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Relationship, E> {
                Ok(Relationship::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Relationship, A::Error> {
                let name = sequence
                    .next_element()?
                    .ok_or_else(|| A::Error::invalid_length(0, &self))?;
                if sequence.next_element::<String>()?.is_some() {
                    return Err(A::Error::custom("a relationship refers to one type only"));
                }
                Ok(Relationship::Many(name))
            }
        }

        deserializer.deserialize_any(RelationshipVisitor)
    }
}

impl JsonSchema for Relationship {
    fn schema_name() -> Cow<'static, str> {
        "Relationship".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1},
        ]})
    }
}
