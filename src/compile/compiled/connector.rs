//! A connector: an API (or a directory of files) as the engine sees it.
//!
//! Templates here see `settings`; each field says what else. Paths say what their `$` is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::{Privacy, Shape};
use crate::expression::{Path, Template};

/// What a connection can reach.
#[derive(Debug)]
pub struct Connector {
    /// By HTTP or in files.
    pub kind: ConnectorKind,
    /// Its streams; [`super::StreamRef`] points here.
    pub streams: Vec<Stream>,
}

/// The kinds of connector.
#[derive(Debug)]
pub enum ConnectorKind {
    /// A YAML description of an HTTP API.
    Http(Box<HttpConnector>),
    /// Files below a directory.
    File(FileConnector),
}

/// An HTTP API.
#[derive(Debug)]
pub struct HttpConnector {
    /// Prefix of every request's path.
    pub base_url: Template,
    /// Sent with every request; see `settings`, `run`, `record_key`.
    pub headers: Vec<(String, Template)>,
    /// How records are wrapped in bodies.
    pub envelope: Envelope,
    /// Ways to sign in, by name.
    pub auth: IndexMap<String, AuthVariant>,
    /// A request that succeeds only with accepted credentials.
    pub check: Option<Request>,
    /// Named budgets; requests point here by position.
    pub limits: Vec<Limit>,
    /// What answers mean; the first rule that fits decides.
    pub errors: Vec<ErrorRule>,
    /// Where an error answer has its message.
    pub error_message: ErrorMessage,
    /// Polled bulk work, by name.
    pub jobs: IndexMap<String, Job>,
}

/// How records are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// As the requests' `records`, `record` and `body` say.
    Plain,
    /// JSON:API 1.0 (jsonapi.org/format/1.0): flattened on read, rebuilt on write.
    JsonApi,
}

/// One way to sign in. Templates see the variant's own settings and the connector's, both as `settings`.
#[derive(Debug)]
pub struct AuthVariant {
    /// Why it should no longer be used, as a warning.
    pub deprecated: Option<String>,
    /// How it works.
    pub scheme: AuthScheme,
}

/// How a request proves who sends it.
#[derive(Debug)]
pub enum AuthScheme {
    /// HTTP basic (RFC 7617).
    Basic {
        /// The user name.
        username: Template,
        /// The password.
        password: Template,
    },
    /// A fixed bearer token (RFC 6750).
    Bearer(Template),
    /// Fixed headers.
    Headers(Vec<(String, Template)>),
    /// OAuth 2.0 client credentials (RFC 6749 §4.4).
    OauthClientCredentials {
        /// The token endpoint.
        token_url: Template,
        /// Whether the token request is a JSON body instead of a form.
        json: bool,
        /// Whether client id and secret go into an `Authorization: Basic` header instead of the body.
        client_in_header: bool,
        /// Further members of the token request.
        send: Vec<(String, Shape)>,
    },
}

/// A named budget.
#[derive(Debug)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// How many requests in which time; a template such as `"{{ settings.n }} per minute"`.
    pub rate: Option<Template>,
    /// How many requests at once.
    pub at_once: Option<u32>,
    /// A budget of its own for each value of this (sees `key`).
    pub each: Option<Template>,
    /// How long a record whose own budget is spent waits within a run.
    pub wait_at_most: Duration,
    /// Answer headers that correct the budget.
    pub headers: LimitHeaders,
}

/// Header names, in lower case, that tell the state of a budget.
#[derive(Debug, Default)]
pub struct LimitHeaders {
    /// The bound.
    pub limit: Vec<String>,
    /// What is left of it.
    pub remaining: Vec<String>,
    /// Seconds until it is full again.
    pub reset_seconds: Vec<String>,
    /// Headers that hold all three as `total=10; remaining=9; resets=2`.
    pub pairs: Vec<String>,
}

/// Status and body to outcome.
#[derive(Debug)]
pub struct ErrorRule {
    /// Statuses it fits, as inclusive ranges (`404` is 404 to 404, `4xx` is 400 to 499).
    pub statuses: Vec<(u16, u16)>,
    /// Every path must select one of these texts from the body.
    pub body: Vec<(Path, Vec<String>)>,
    /// The body's text must contain this, compared without case.
    pub text_contains: Option<String>,
    /// What it means.
    pub outcome: ErrorOutcome,
    /// Position of the budget that is spent, where the rule names one.
    pub limit: Option<usize>,
}

/// What an error answer means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorOutcome {
    /// The budget is spent: pause it, then send again.
    Wait,
    /// Send again with backoff.
    Retry,
    /// Get a new token, once, then send again.
    RenewToken,
    /// The record changed meanwhile: read and decide again.
    Conflict,
    /// A create met a record that exists: find it, then update.
    Exists,
    /// There is no such record.
    Gone,
    /// The record can never be written again.
    Frozen,
    /// This record is refused; others go on.
    Reject,
    /// Credentials or permissions are refused: the run ends.
    Auth,
    /// The configuration asks for what the system does not have: the run ends.
    Fatal,
}

/// Where messages stand in error bodies; `$` is the body.
#[derive(Debug, Default)]
pub struct ErrorMessage {
    /// The first that selects a text.
    pub first_of: Vec<Path>,
    /// An object keyed by field, or a list of objects that name their field.
    pub fields: Option<ErrorFields>,
}

/// Messages about single fields.
#[derive(Debug)]
pub struct ErrorFields {
    /// The object keyed by field, or the list.
    pub each: Path,
    /// The message inside one entry; an entry that is a text is its own message.
    pub message: Path,
    /// The field's name inside one entry, where the entries are a list.
    pub field: Option<Path>,
}

/// Bulk work that is asked after until it is done. Templates see `job` (`id`); `$` is the answer.
#[derive(Debug)]
pub struct Job {
    /// The id in the answer that started it.
    pub id: Path,
    /// How to ask.
    pub poll: Request,
    /// How long between questions.
    pub every: Duration,
    /// After this the job's outcome counts as unknown.
    pub give_up_after: Duration,
    /// Where the state is.
    pub state: Path,
    /// Values of it that mean "not yet".
    pub running: Vec<String>,
    /// Values that mean "done" (items may have failed).
    pub done: Vec<String>,
    /// Values that mean "failed as a whole".
    pub failed: Vec<String>,
    /// The items' results.
    pub results: Path,
    /// Reading one result; `$` is the result.
    pub result: JobResult,
}

/// Reading one item's result.
#[derive(Debug)]
pub struct JobResult {
    /// The item's position in the request, where the system tells it.
    pub index: Option<Path>,
    /// The record's key.
    pub key: Path,
    /// Selects something when the item failed.
    pub failed_when: Path,
    /// Its message.
    pub message: Vec<Path>,
}

/// One request.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path below the base address (or a whole address); template values are percent-encoded as path segments.
    pub path: Template,
    /// Query parameters, percent-encoded; a null value leaves its parameter out.
    pub query: Vec<(String, Template)>,
    /// Further headers.
    pub headers: Vec<(String, Template)>,
    /// The JSON body.
    pub body: Option<Shape>,
    /// Budgets that it draws from: positions in [`HttpConnector::limits`].
    pub uses: Vec<usize>,
    /// Where the answer has the records (a list); `$` is the answer. `None`: the envelope's place.
    pub records: Option<Path>,
    /// Where the answer has the one record.
    pub record: Option<Path>,
    /// A 404 means an empty list.
    pub gone_is_none: bool,
}

/// The methods that requests may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

/// A collection of records.
#[derive(Debug)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// What identifies a record; `$` is the record.
    pub key: Path,
    /// What a record may hold, where known.
    pub schema: Option<Arc<RecordSchema>>,
    /// The JSON:API type.
    pub resource_type: Option<String>,
    /// JSON:API relationships: name to the type of what it refers to.
    pub relationships: IndexMap<String, Relationship>,
    /// Where it is in files, for a file connector.
    pub file: Option<FileStream>,
    /// Reading all of it, or what changed.
    pub list: Option<List>,
    /// Reading one record by key; sees `key`.
    pub get: Option<Request>,
    /// Side-loaded records in the answer of `get`.
    pub get_joins: Vec<SideLoad>,
    /// By what it can be found.
    pub find: Vec<Find>,
    /// Writing one record.
    pub create: Option<Write>,
    /// Changing one record.
    pub update: Option<Write>,
    /// Creating or changing one record, as the system decides.
    pub upsert: Option<Write>,
    /// Deleting one record.
    pub delete: Option<Write>,
    /// Changing many records in one request.
    pub update_many: Option<WriteMany>,
    /// Creating many records in one request.
    pub create_many: Option<WriteMany>,
    /// How records are changed into what rules read.
    pub shape: RecordShape,
    /// Position of the parent stream; requests see `parent`.
    pub parent: Option<usize>,
    /// The source says that the record was deleted; sees `record`.
    pub deleted_when: Option<Template>,
    /// The source says that the record's content was erased.
    pub erased_when: Option<Template>,
    /// The record can never be written again.
    pub frozen_when: Option<Template>,
    /// Members that nobody may read: removed before anything is kept or mapped.
    pub never: Vec<Path>,
    /// Private members, by default masked as said.
    pub privacy: Vec<Privacy>,
}

impl Stream {
    /// A stream that nothing can be done with yet: a name and what identifies its records.
    pub fn new(name: impl Into<String>, key: Path) -> Self {
        Stream {
            name: name.into(),
            key,
            schema: None,
            resource_type: None,
            relationships: IndexMap::new(),
            file: None,
            list: None,
            get: None,
            get_joins: Vec::new(),
            find: Vec::new(),
            create: None,
            update: None,
            upsert: None,
            delete: None,
            update_many: None,
            create_many: None,
            shape: RecordShape::default(),
            parent: None,
            deleted_when: None,
            erased_when: None,
            frozen_when: None,
            never: Vec::new(),
            privacy: Vec::new(),
        }
    }
}

/// The far end of a JSON:API relationship.
#[derive(Clone, Debug)]
pub struct Relationship {
    /// Type of the record it refers to.
    pub resource_type: String,
    /// Whether it refers to several.
    pub many: bool,
}

/// What a record of a stream may hold: read from `schemas/records/*.json` (JSON Schema 2020-12, a subset).
#[derive(Debug, Default)]
pub struct RecordSchema {
    /// Fields by dotted name, in the file's order; what stands in a list is named with `[]` (`emails[].email`).
    pub fields: IndexMap<String, FieldSchema>,
    /// Whether fields that are not listed may exist (`additionalProperties`).
    pub open: bool,
}

/// One field of a record schema.
#[derive(Clone, Debug, Default)]
pub struct FieldSchema {
    /// JSON Schema `type` names, without `null`.
    pub types: Vec<String>,
    /// Whether null is allowed.
    pub nullable: bool,
    /// JSON Schema `format`.
    pub format: Option<String>,
    /// The only allowed values, as JSON texts without quotes.
    pub values: Option<Vec<String>>,
    /// Longest text, in characters.
    pub max_length: Option<usize>,
    /// Must be there on create.
    pub required: bool,
    /// Cannot be written.
    pub read_only: bool,
    /// Whether members that are not listed may stand below it.
    pub open: bool,
}

/// Reading a stream from its start or from a cursor.
#[derive(Debug)]
pub struct List {
    /// The request for one page; sees `parent`.
    pub request: Request,
    /// How the next page is found.
    pub pages: Pages,
    /// How to read only what changed.
    pub changes: Changes,
    /// By what key new records are read as well, which have no time of a change yet.
    pub new: Option<Changes>,
    /// How to read changes where the account refuses the parameters of `changes`.
    pub otherwise: Option<Changes>,
    /// How long it is believed what the account said about that.
    pub ask_every: Duration,
    /// How often everything is read although changes could be.
    pub whole_every: Option<Duration>,
    /// Side-loaded records that are joined to the page's records.
    pub joins: Vec<SideLoad>,
}

/// Records that come in the same answer.
#[derive(Debug)]
pub struct SideLoad {
    /// Name under which they are joined.
    pub name: String,
    /// The candidates; `$` is the page.
    pub among: Path,
    /// A candidate's key; `$` is the candidate.
    pub whose: Path,
    /// Our reference (one, or with `many` a list); `$` is the record.
    pub is: Path,
    /// Whether `is` selects a list of references.
    pub many: bool,
}

/// Paging. `$` is the page, in `key` the last record.
#[derive(Debug)]
pub enum Pages {
    /// One page is all.
    Single,
    /// The answer holds the next page's address.
    NextUrl {
        /// Where.
        next: Path,
        /// Where it says that there is more; `None`: while `next` selects something.
        more: Option<Path>,
    },
    /// The `Link` header's `rel="next"` (RFC 8288).
    LinkHeader,
    /// The answer holds a token for a query parameter.
    Token {
        /// The parameter.
        query: String,
        /// Where.
        token: Path,
        /// Where it says that there is more.
        more: Option<Path>,
    },
    /// A page number.
    Number {
        /// The parameter.
        query: String,
        /// Number of the first page.
        first: u64,
        /// When to stop.
        stop: PageStop,
    },
    /// A row offset.
    Offset {
        /// The parameter.
        query: String,
        /// When to stop.
        stop: PageStop,
    },
    /// Keyset: rows after the last one's key. The parameters see `last` (the last record) and are not sent with the first page.
    AfterKey {
        /// Parameters of the following pages.
        query: Vec<(String, Template)>,
        /// The key that must grow; `$` is the record.
        key: Path,
        /// When to stop.
        stop: PageStop,
    },
}

/// When a numbered or keyset listing ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageStop {
    /// At a page without rows.
    Empty,
    /// At a page with fewer rows than this.
    Short(usize),
}

/// How only changes are read.
#[derive(Debug)]
pub enum Changes {
    /// An opaque token that the system gives; `$` is the page.
    Token {
        /// The token for the next request.
        at: Path,
        /// Selects true at the end of what there is now.
        done: Path,
        /// Parameters of the very first request; see `since`.
        first: Vec<(String, Template)>,
        /// Parameters of the others; see `token`.
        next: Vec<(String, Template)>,
        /// A younger `since` is refused by the system.
        since_before_now: Duration,
        /// When the token is lost: start over from this record time, less this overlap.
        on_lost: Option<(Path, Duration)>,
    },
    /// A time that grows; the lower bound is inclusive and the keys seen at the bound are remembered.
    Time {
        /// The record's change time; `$` is the record.
        from: Path,
        /// Parameters that set the lower bound; see `since`.
        query: Vec<(String, Template)>,
        /// How far each run reaches back before its bound.
        overlap: Duration,
    },
    /// Keys that only grow: new records only; `$` is the record.
    GrowingKey {
        /// The key.
        key: Path,
        /// Parameters that set the lower bound; see `since` (the key).
        query: Vec<(String, Template)>,
        /// How many keys each run reaches back.
        overlap: u64,
    },
    /// Everything each time, compared by digest without these members.
    Scan {
        /// Left out of the comparison.
        except: Vec<Path>,
    },
    /// Read per parent, when the parent is read.
    WithParent,
}

/// By what a stream can be found.
#[derive(Debug)]
pub struct Find {
    /// What is compared; `$` is a record. Its text identifies the entry (`$.email`).
    pub by: Path,
    /// The request; sees `value`, `values`, `spellings` (each value as given and in lower case).
    pub request: Request,
    /// How many values one request may ask for.
    pub at_most: usize,
    /// The system may not yet find what was written this recently.
    pub behind: Duration,
    /// The system's comparison is looser than ours: compare again.
    pub recheck: bool,
    /// How a long answer goes on.
    pub pages: Pages,
    /// Side-loaded records.
    pub joins: Vec<SideLoad>,
}

/// A write of one record. Templates see `key`, `fields` (what changes), `before` (the target's record), `intent` (an id).
#[derive(Debug)]
pub struct Write {
    /// The request.
    pub request: Request,
    /// How a change by somebody else is noticed.
    pub precondition: Option<Precondition>,
    /// A header that makes a repeated create harmless.
    pub idempotency: Option<Idempotency>,
    /// Where the answer has a new record's key; `$` is the answer. `None`: the stream's key in the answered record.
    pub new_key: Option<Path>,
    /// Stands for `key` in the budgets of a create, which has none.
    pub counts_for: Option<Template>,
    /// How a create whose answer was lost is found again.
    pub find_again: Option<FindAgain>,
}

/// How a create whose answer was lost is found again.
#[derive(Debug)]
pub enum FindAgain {
    /// By what it wrote.
    Written {
        /// Position in the stream's `find`; what was written at its path is searched for.
        find: usize,
        /// What else must hold what was written there; `$` is the record.
        same: Vec<Path>,
        /// When the record was made; `$` is the record.
        made: Option<Path>,
    },
    /// By the write's own id, which the record carries.
    Marked {
        /// The request; sees `fields` and `intent`.
        request: Box<Request>,
        /// How a long answer goes on.
        pages: Pages,
        /// Where the record carries the id; `$` is the record.
        marker: Path,
    },
}

/// A write of many records in one request.
#[derive(Debug)]
pub struct WriteMany {
    /// The request; sees `items`.
    pub request: Request,
    /// How many one request takes.
    pub at_most: usize,
    /// How many bytes its body may have.
    pub at_most_bytes: Option<usize>,
    /// Members added to each item; sees `key`, `before`.
    pub item: Vec<(String, Shape)>,
    /// The job that the answer starts.
    pub job: Option<String>,
    /// Whether each item carries its own precondition.
    pub has_precondition: bool,
}

/// How a lost race is noticed.
#[derive(Debug)]
pub enum Precondition {
    /// Members merged into the body, by dotted name; the system answers `conflict`. They see `before`.
    InBody(Vec<(String, Shape)>),
    /// The body holds it already.
    AlreadyInBody,
    /// The record is read again just before it is written: a window remains.
    ReadAgain,
}

/// An idempotency key.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// The header.
    pub header: String,
    /// How long the system remembers it.
    pub kept_for: Duration,
}

/// How received records become what rules read.
#[derive(Debug, Default)]
pub struct RecordShape {
    /// Members left out; `$` is the record.
    pub drop: Vec<Path>,
    /// Lists of key and value that are read and written as an object.
    pub map_of: Vec<MapOf>,
    /// Members added; see `parent`.
    pub add: Vec<(String, Template)>,
}

/// `[{id: 36, value: x}]` read and written as `{order_number: x}`.
#[derive(Debug)]
pub struct MapOf {
    /// The member that holds the list.
    pub member: String,
    /// An entry's key; `$` is the entry.
    pub key: Path,
    /// An entry's value.
    pub value: Path,
    /// Name to key, of this account; an entry without a name is known by its key's text.
    pub names: IndexMap<String, String>,
}

/// Files below a directory.
#[derive(Debug)]
pub struct FileConnector {
    /// The directory; relative paths start here.
    pub directory: PathBuf,
}

/// One file, or the files of a pattern.
#[derive(Clone, Debug)]
pub struct FileStream {
    /// A path, or `-` for standard input or output. `*` in the last part reads several files in name order.
    pub path: String,
    /// What is in it.
    pub format: FileFormat,
    /// How it is compressed.
    pub compression: Compression,
}

/// File formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// One JSON object a line.
    Ndjson,
    /// One JSON array of objects.
    Json,
    /// Comma-separated values with a header (RFC 4180); every value is text, an empty unquoted one null.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// Compression of text files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}
