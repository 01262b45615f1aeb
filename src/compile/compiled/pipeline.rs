//! The pipeline as a whole, its connections, enum tables and lookups.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::{Connector, Disabled, Flow, Row, Shape, Side, TwoWay};
use crate::expression::{Normalizer, Path, Template, Value};

/// A pipeline that is ready to run.
#[derive(Debug)]
pub struct Pipeline {
    /// Its name, unique among the pipelines that share a state file.
    pub name: String,
    /// BLAKE3 of the pipeline file's text, in hexadecimal.
    pub digest: String,
    /// Name and BLAKE3 digest of every connector and record schema file that was read.
    pub sources: Vec<(String, String)>,
    /// Every connection, in the order written.
    pub connections: Vec<Connection>,
    /// The parameters' values: defaults, then `--set`.
    pub params: Value<'static>,
    /// `connections` as templates see it: each connection's settings under its name, no credentials.
    pub connections_seen: Value<'static>,
    /// Enum tables; [`super::EnumUse`] points here.
    pub enums: Vec<EnumTable>,
    /// Lookups; rules point here.
    pub lookups: Vec<Lookup>,
    /// Flows, in an order in which every `link` and `of` points backwards or to the flow itself.
    pub flows: Vec<Flow>,
    /// Two-way flows, each of which has two directions in `flows`, one after the other. In the order of their directions.
    pub two_way: Vec<TwoWay>,
    /// Whether problems with records are written to the log, too.
    pub log_warnings: bool,
    /// Which stages leave Parquet files.
    pub snapshots: SnapshotPolicy,
}

impl Pipeline {
    /// Under which name a flow's links are stored, and the side of the link where the keys of the records that it
    /// reads stand: a one-way flow reads sources (`Side::Remote`), and so does the direction that writes locally.
    pub fn links_of(&self, flow: FlowId) -> Option<(&str, Side)> {
        let flow = self.flows.get(flow)?;
        match flow.direction_of {
            None => Some((&flow.name, Side::Remote)),
            Some(direction) => {
                let two_way = self.two_way.get(direction.two_way)?;
                Some((&two_way.name, direction.to.other()))
            }
        }
    }

    /// The name of a flow as the file says it; the directions of a two-way flow have that flow's.
    pub fn written_name(&self, flow: FlowId) -> &str {
        self.links_of(flow).map_or("", |(name, _)| name)
    }

    /// The flows that are off, by their names in the file.
    pub fn disabled(&self) -> impl Iterator<Item = (&str, &Disabled)> {
        let flows = self.flows.iter().enumerate();
        // A two-way flow is named once, by its direction to the local side.
        let named = flows.filter(|(_, flow)| {
            flow.direction_of
                .is_none_or(|direction| direction.to == Side::Local)
        });
        named.filter_map(|(id, flow)| Some((self.written_name(id), flow.disabled.as_ref()?)))
    }
}

/// Position in [`Pipeline::connections`].
pub type ConnectionId = usize;
/// Position in [`Pipeline::enums`].
pub type EnumId = usize;
/// Position in [`Pipeline::lookups`].
pub type LookupId = usize;
/// Position in [`Pipeline::flows`].
pub type FlowId = usize;

/// The stages whose rows are kept; a manifest is always written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// Keep the records as received.
    pub extracted: bool,
    /// Keep the mapped columns.
    pub mapped: bool,
    /// Keep the decisions.
    pub planned: bool,
    /// Keep the results of writes.
    pub loaded: bool,
    /// Keep the rejects.
    pub rejected: bool,
}

/// A connector plus one account's settings and credentials.
#[derive(Debug)]
pub struct Connection {
    /// The name under which flows speak of it.
    pub name: String,
    /// The connector's own name.
    pub connector_name: String,
    /// What it can do.
    pub connector: Connector,
    /// `settings.*` as connector templates see them: the connector's defaults, then the connection's values. Secrets are not here.
    pub settings: Value<'static>,
    /// Which of the connector's auth variants is used, with its settings; `None` for a connector without sign-in.
    pub auth: Option<ConnectionAuth>,
    /// The share of every limit that this program may use, 0 to 1.
    pub use_at_most: f64,
}

/// The chosen sign-in of a connection.
#[derive(Debug)]
pub struct ConnectionAuth {
    /// The variant's name in the connector file.
    pub variant: String,
    /// Its settings; a value that came from `secret.*` or a setting marked `secret` is never printed.
    pub settings: IndexMap<String, AuthSetting>,
}

/// One setting of a sign-in.
#[derive(Debug)]
pub enum AuthSetting {
    /// May be shown.
    Plain(String),
    /// Never shown; has no `Display` and a redacted `Debug`.
    Secret(secrecy::SecretString),
}

/// Value to value, with what happens otherwise. Keys are texts: a number or boolean is looked up by its JSON text.
#[derive(Debug)]
pub struct EnumTable {
    /// The table's name.
    pub name: String,
    /// What each value becomes.
    pub values: IndexMap<String, Value<'static>>,
    /// What null becomes.
    pub on_null: OnNull,
    /// What a value that is not in the table becomes.
    pub on_unknown: OnUnknown,
}

/// What a rule does with null.
#[derive(Clone, Debug)]
pub enum OnNull {
    /// The record is rejected.
    Reject,
    /// The target's field is left as it is (and left out of a create).
    Keep,
    /// Null is written.
    Clear,
    /// The record is left out and counted as filtered.
    Skip,
    /// Treated as a lookup that found nothing.
    AsNone,
    /// This value is used instead.
    Const(Value<'static>),
}

/// What an enum table does with a value that it does not list.
#[derive(Clone, Debug)]
pub enum OnUnknown {
    /// The record is rejected.
    Reject,
    /// The target's field is left as it is.
    Keep,
    /// Null is written.
    Clear,
    /// The record is left out and counted as filtered.
    Skip,
    /// This value is used instead.
    Const(Value<'static>),
}

/// A matching rule: finds a record of another stream.
#[derive(Debug)]
pub struct Lookup {
    /// The lookup's name.
    pub name: String,
    /// The connection that is searched.
    pub connection: ConnectionId,
    /// The stream that is searched, a position in its connector's streams.
    pub stream: usize,
    /// Attempts in order; the first that finds something decides.
    pub attempts: Vec<Match>,
    /// Constant conditions: a found record counts only if each path's value is among the values.
    pub conditions: Vec<Condition>,
    /// Of several, those that meet the first of these that any of them meets: all conditions of one entry together.
    /// Their templates see `given` as well.
    pub prefer: Vec<Vec<Condition>>,
    /// Applied to both sides of every comparison.
    pub normalize: Vec<Normalizer>,
    /// Read the whole stream once, or ask for each key.
    pub load: Load,
    /// How long a found record may be reused; a "none" is kept a tenth of it.
    pub fresh_for: Duration,
    /// What happens when nothing is found.
    pub on_none: OnNone,
    /// What happens when several are found.
    pub on_many: OnMany,
}

/// Keys that must agree together. `$` in `theirs` is the searched record.
#[derive(Debug)]
pub struct Match {
    /// Each pair must agree after normalisation.
    pub keys: Vec<MatchKey>,
}

/// One pair of a match.
#[derive(Debug)]
pub struct MatchKey {
    /// Where the searched record has it. May name several nodes; one must agree.
    pub theirs: Path,
    /// What is searched for. In a lookup a template sees `given` and `params`, and a path's `$` is `given`; in a flow's match they see `record`.
    pub ours: MatchValue,
    /// Position in the stream's `find` by which this key is asked for, unless the whole stream is loaded.
    pub find: Option<usize>,
}

/// The side of a match that we bring.
#[derive(Debug)]
pub enum MatchValue {
    /// What was given to the lookup, itself.
    Given,
    /// A part of it (or, in a flow's match, of the record).
    Select(Path),
    /// Computed from it.
    Compute(Template),
    /// The key of the record that another flow linked to ours.
    Link(super::Link),
}

/// A condition on a record.
#[derive(Debug)]
pub struct Condition {
    /// Where the record has the value; with several nodes one must fit.
    pub path: Path,
    /// What it may be: constants ([`Shape::Const`]), or templates that see `params` and `connections`, evaluated once.
    pub values: Vec<Shape>,
}

/// How a lookup gets its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// The whole stream, once a run.
    All,
    /// By key, in batches where the stream can.
    OnDemand,
}

/// What a lookup (or a flow's match) does when nothing is found.
#[derive(Debug)]
pub enum OnNone {
    /// The record is rejected.
    Reject,
    /// The target's field is left as it is.
    Keep,
    /// Null is written.
    Clear,
    /// The record is left alone and counted as skipped.
    Skip,
    /// The record waits in the queue until a person decides.
    Hold,
    /// The record waits in the queue until what it refers to exists.
    Wait,
    /// Looked up once more with this; resolved before the first record, and a run does not start if it finds nothing.
    Instead(Template),
    /// A new record is made of these rows (which see `given`), in load, before the record that needs it.
    Create(Arc<Vec<Row>>),
    /// This value.
    Const(Value<'static>),
}

/// What happens when several records fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMany {
    /// The record is rejected.
    Reject,
    /// The record waits in the queue until a person decides.
    Hold,
    /// The first, in the order in which the system returned them.
    First,
    /// All of them: a list of keys; for a flow's match, each of them is written.
    All,
    /// The record is left alone and counted as skipped.
    Skip,
    /// The target's field is left as it is.
    Keep,
}
