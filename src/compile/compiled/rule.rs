//! Rows: how one target field gets its value, in the fixed order of steps.
//!
//! value -> each/as -> take -> default -> enum -> lookup -> then -> type -> checks. A list value (an `each` without
//! `take`) goes through enum, lookup and `then` element by element.
//! `as` beside an enum or a lookup and without `take` is compiled to `then`, so that it shapes what those made.

use std::sync::Arc;

use super::{EnumId, FlowId, LookupId, OnMany, OnNone, OnNull, OnUnknown};
use crate::expression::{Path, TargetType, Template, Value};

/// One rule, ready to apply.
#[derive(Debug)]
pub struct Row {
    /// The field that is written.
    pub target: Target,
    /// Applied only when this is true; sees what `input` sees.
    pub when: Option<Template>,
    /// Whether a false `when` clears the field instead of leaving it alone.
    pub otherwise_clear: bool,
    /// Where the value comes from.
    pub input: Input,
    /// Brings several nodes or elements to one.
    pub take: Option<Take>,
    /// Used when the value is null: a constant, or a template that sees what `input` sees.
    pub default: Option<Shape>,
    /// Translates the value.
    pub enumeration: Option<EnumUse>,
    /// Resolves the value to another record's key.
    pub lookup: Option<LookupUse>,
    /// Computed from the result so far; sees `value` (and what `input` sees).
    pub then: Option<Shape>,
    /// The type the value must have, or be brought to without loss.
    pub target_type: TargetType,
    /// What null does, before enum and lookup; for a row with an enum the table's own `on_null` unless the row says otherwise.
    pub on_null: OnNull,
    /// Null after all steps rejects the record.
    pub required: bool,
    /// The longest text the target takes, in characters, and what happens beyond it.
    pub max_length: Option<(usize, OnTooLong)>,
    /// When the field is written.
    pub write: WritePolicy,
    /// JSON pointer of the rule in the pipeline file, for messages.
    pub pointer: String,
}

/// A target field: a dotted name, taken apart. `status.id` writes `{"status": {"id": …}}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The name as written.
    pub name: String,
    /// Its parts.
    pub segments: Vec<String>,
}

/// Where a row's value comes from. `$` and `record` are the flow's record; inside `create` rows and lookups, `given`.
#[derive(Debug)]
pub enum Input {
    /// A JSONPath.
    Select(Path),
    /// A template.
    Compute(Template),
    /// A constant.
    Const(Value<'static>),
    /// The first alternative that gives something (not null and, with a lookup, found). `on_none` counts once, after the last.
    FirstOf(Vec<Alternative>),
    /// One value for each node of `items`, each made by `shape` (which sees `value`), or as it is.
    Each {
        /// The elements: the nodes of a path, or the items of a computed list.
        items: Source,
        /// What each becomes.
        shape: Option<Shape>,
    },
    /// The key of the record that a flow linked to one of ours.
    Link(Link),
}

/// A value that is selected or computed.
#[derive(Clone, Debug)]
pub enum Source {
    /// A JSONPath.
    Select(Path),
    /// A template.
    Compute(Template),
}

/// One alternative of `first_of`.
#[derive(Debug)]
pub struct Alternative {
    /// Skipped unless true.
    pub when: Option<Template>,
    /// Its value: select, compute or constant.
    pub input: Input,
    /// Its own translation; else the row's.
    pub enumeration: Option<EnumUse>,
    /// Its own lookup; else the row's.
    pub lookup: Option<LookupUse>,
}

/// A row's use of an enum table, with the row's own exceptions.
#[derive(Debug)]
pub struct EnumUse {
    /// The table.
    pub table: EnumId,
    /// Overrides the table's.
    pub on_null: Option<OnNull>,
    /// Overrides the table's.
    pub on_unknown: Option<OnUnknown>,
}

/// A row's use of a lookup, with the row's own exceptions.
#[derive(Debug)]
pub struct LookupUse {
    /// The lookup.
    pub lookup: LookupId,
    /// Overrides the lookup's.
    pub on_none: Option<OnNone>,
    /// Overrides the lookup's.
    pub on_many: Option<OnMany>,
}

/// The key of a linked record.
#[derive(Debug)]
pub struct Link {
    /// The flow whose links are read. Of a two-way flow it is the direction that writes the side whose key is wanted:
    /// `cases.to_local` brings from a remote key to the local one, `cases.to_remote` back.
    pub flow: FlowId,
    /// The other source record's key; `None`: the record's own key (with [`super::Flow::of`], its parent's).
    pub key: Option<Source>,
    /// What happens while there is no link; `Wait` unless said otherwise.
    pub on_none: Arc<OnNone>,
}

/// JSON with templates in its leaves.
#[derive(Debug)]
pub enum Shape {
    /// As it stands.
    Const(Value<'static>),
    /// A template; a single expression keeps its type.
    Template(Template),
    /// Selected from what the templates beside it see as `value`.
    Select(Path),
    /// An array.
    List(Vec<Shape>),
    /// An object.
    Map(Vec<(String, Shape)>),
    /// One element for each of a list; `shape` sees `item`.
    Each {
        /// The list.
        items: Template,
        /// What each element becomes.
        shape: Box<Shape>,
    },
}

impl Shape {
    /// Calls back with every template in the leaves, in the order written.
    pub fn each_template<'s>(&'s self, found: &mut dyn FnMut(&'s Template)) {
        match self {
            Shape::Const(_) | Shape::Select(_) => {}
            Shape::Template(template) => found(template),
            Shape::List(items) => items.iter().for_each(|item| item.each_template(found)),
            Shape::Map(members) => members.iter().for_each(|(_, member)| member.each_template(found)),
            Shape::Each { items, shape } => {
                found(items);
                shape.each_template(found);
            }
        }
    }
}

/// How several values become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    /// The first.
    First,
    /// The last.
    Last,
    /// The only one; several reject the record.
    Only,
    /// How many there are.
    Count,
    /// Their exact decimal sum.
    Sum,
    /// Texts joined; nulls are left out.
    Join(String),
    /// All, as a list.
    All,
}

/// When a row writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WritePolicy {
    /// On create and on update.
    #[default]
    Always,
    /// On create only.
    OnCreate,
    /// Only while the target's field is empty.
    IfEmpty,
    /// Never with null.
    NeverNull,
}

/// What happens to a text that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTooLong {
    /// The record is rejected.
    Reject,
    /// Cut to this many characters.
    Truncate(usize),
}
