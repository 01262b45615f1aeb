//! Flows: records of one stream to one sink.

use super::{
    Condition, ConnectionId, DirectionOf, FlowId, LookupUse, Match, OnMany, OnNone, Row, Source, WritePolicy,
};
use crate::expression::{Normalizer, Path, Projection, TargetType, Template};

/// A one-way flow, or one direction of a two-way flow.
#[derive(Debug)]
pub struct Flow {
    /// Its name; of a direction `cases.to_local` or `cases.to_remote`.
    pub name: String,
    /// Set for a direction: a run starts the two-way flow, never a direction by itself. What its templates see as the
    /// source record has that side's name then, see [`Flow::record_name`].
    pub direction_of: Option<DirectionOf>,
    /// Why no run takes it up; `None`: it is on.
    pub disabled: Option<Disabled>,
    /// Digest of what decides which records are read (stream, filters, key): a change asks for `--full`.
    pub selection_digest: String,
    /// Where records come from.
    pub from: StreamRef,
    /// Where they go.
    pub to: StreamRef,
    /// What may be written.
    pub mode: Mode,
    /// How the sink's record is found when no link is known; tried in order. Paths in `theirs` are the sink's.
    pub matches: Vec<Match>,
    /// Applied to both sides of `matches`.
    pub normalize: Vec<Normalizer>,
    /// No match in mode `update`: reject, skip, hold, wait. (`upsert` creates.)
    pub on_none: OnNone,
    /// Several matches.
    pub on_many: OnMany,
    /// Read only for linked records of this flow: the source stream is its children.
    pub of: Option<FlowId>,
    /// Where the first run starts; sees `params`.
    pub since: Option<Template>,
    /// Conditions on the source record; those that the API applies are also sent to it.
    pub conditions: Vec<Condition>,
    /// Applied here; sees `record`, `params`.
    pub when: Option<Template>,
    /// Records found and put beside the source's, before anything else reads it.
    pub joins: Vec<Join>,
    /// One record of each group goes on.
    pub one_per: Option<OnePer>,
    /// A record whose values at these paths equal those of its last successful load is unchanged. Empty: all mapped values count.
    pub only_if_changed: Vec<Path>,
    /// Records of a parent in this order.
    pub order_by: Option<Path>,
    /// Refuses a record before it is written.
    pub require: Vec<Require>,
    /// What happens in the sink to a record that the source says is deleted.
    pub on_delete: OnDelete,
    /// What happens to a write that the sink refuses for ever because its record is frozen.
    pub on_frozen: OnFrozen,
    /// Stops before the first write.
    pub guard: Option<Guard>,
    /// How many rejects are allowed, and how often each is tried again.
    pub rejects: RejectBudget,
    /// What is masked, hashed or dropped wherever the source's record is kept or shown: the stream's own and the flow's.
    pub privacy: Vec<Privacy>,
    /// The same for target fields, by name: a target is private when its input is.
    pub private_targets: Vec<(String, PrivacyKind)>,
    /// The rules, in the order written.
    pub rows: Vec<Row>,
    /// What of the source record the rules, conditions and matches read.
    pub projection: Projection,
    /// Columns of `mapped`, one a row, in the rows' order.
    pub columns: Vec<Column>,
}

impl Flow {
    /// The name under which its templates see the source record: `record`, or in a direction the side that is read.
    pub fn record_name(&self) -> &'static str {
        self.direction_of
            .map_or("record", |direction| direction.to.other().name())
    }
}

/// Why a flow is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disabled {
    /// The whole pipeline is.
    Pipeline,
    /// Its own `enabled` says so.
    Itself,
    /// This flow is, of whose records its own are the children.
    Parent(String),
}

impl std::fmt::Display for Disabled {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Disabled::Pipeline => formatter.write_str("the pipeline's `enabled` is false"),
            Disabled::Itself => formatter.write_str("its `enabled` is false"),
            Disabled::Parent(parent) => write!(formatter, "flow `{parent}` of its parents is disabled"),
        }
    }
}

/// Whether a template's variable is its record: a connector's templates and one-way flows say `record`, the directions
/// of two-way flows the name of the side that they read. No template sees two of these.
pub fn names_record(variable: &str) -> bool {
    matches!(variable, "record" | "remote" | "local")
}

/// A stream of a connection, by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamRef {
    /// The connection.
    pub connection: ConnectionId,
    /// Position in its connector's streams.
    pub stream: usize,
}

/// What a flow may do to its sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Create only.
    Insert,
    /// Update what is found.
    Update,
    /// Update what is found, create the rest.
    Upsert,
    /// As upsert, and delete what the source no longer has.
    Mirror,
}

/// A record found by a lookup and shown to the rules as `$.NAME`.
#[derive(Debug)]
pub struct Join {
    /// The name.
    pub name: String,
    /// Not asked for unless true.
    pub when: Option<Template>,
    /// What is looked up: a path or template over the source record.
    pub input: super::Input,
    /// By which lookup; `None`: `input` itself is the value (`join: {order: {value: $}}`).
    pub lookup: Option<LookupUse>,
}

/// Survivorship among records that are the same thing.
#[derive(Debug)]
pub struct OnePer {
    /// What makes them the same; null is the same as nothing else.
    pub same: Source,
    /// Applied before comparing.
    pub normalize: Vec<Normalizer>,
    /// The best record by these, in order; the losers are `$.others`.
    pub keep: Vec<(Path, Preference)>,
    /// Position in the stream's `find` by which the rest of a group is fetched.
    pub find: Option<usize>,
}

/// Which value is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// The greater one.
    Highest,
    /// The smaller one.
    Lowest,
}

/// A refusal.
#[derive(Debug)]
pub struct Require {
    /// Must be true; sees `record`, `target` (the sink's record or null) and `fields` (what would be written).
    pub that: Template,
    /// The reject's message; a template.
    pub otherwise: Template,
}

/// What becomes of the sink's record when the source's is deleted.
#[derive(Clone, Debug)]
pub enum OnDelete {
    /// The link ends and leaves a tombstone; the sink's record stays.
    Unlink,
    /// Nothing happens.
    Keep,
    /// It is deleted, within the guard.
    Delete,
}

/// What becomes of a write to a frozen record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFrozen {
    /// The record is rejected with the reason.
    Reject,
    /// It waits for a person.
    Hold,
    /// It is left alone.
    Skip,
}

/// How much a run may change before it is stopped.
#[derive(Clone, Debug)]
pub struct Guard {
    /// So many records may be created or updated; a share is of the flow's linked pairs.
    pub change_at_most: Allowance,
    /// So many records may be deleted; a share is of the flow's linked pairs.
    pub delete_at_most: Allowance,
}

/// How many records may be rejected.
#[derive(Clone, Debug)]
pub struct RejectBudget {
    /// A share (0 to 1) or a number of the records read; beyond it the run stops with exit code 4.
    pub allow: Allowance,
    /// How often a rejected record is tried again by later runs.
    pub retry_at_most: u32,
}

/// A bound on a number of records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allowance {
    /// A share of what the bound speaks of (the records read, the linked pairs), 0 to 1.
    Share(f64),
    /// That many.
    Count(u64),
    /// No bound.
    Unlimited,
}

/// One private field of a record.
#[derive(Debug)]
pub struct Privacy {
    /// Where it is; may name several nodes.
    pub path: Path,
    /// What is done with it.
    pub kind: PrivacyKind,
}

/// What is done with a private value wherever it is kept or shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivacyKind {
    /// Shown as it is.
    Keep,
    /// Replaced by a mask that keeps only its kind.
    Mask,
    /// Replaced by a keyed digest, so that equal values stay equal.
    Hash,
    /// Left out.
    Drop,
}

/// A column of the `mapped` snapshot.
#[derive(Clone, Debug)]
pub struct Column {
    /// The target's name.
    pub name: String,
    /// Its type.
    pub column_type: TargetType,
    /// The row's write policy (an `on_create` column is null in later updates).
    pub write: WritePolicy,
}
