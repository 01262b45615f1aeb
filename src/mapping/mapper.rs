//! [`Mapper`]: a flow's rules applied to one record after the other.
//!
//! The order is fixed: the record's key, deletions, conditions, `when`, joins, rows. A `when` that reads what is joined
//! comes after the joins. Mapping is pure: the same record and the same answers give the same outcome, whatever other
//! records are in the batch.

use std::borrow::Cow;

use super::Resolver;
use super::outcome::{Cell, Coverage, FallbackUsed, Mapped, Outcome, RefusedAs, RefusedRow, Reject};
use super::reads;
use super::reference::Answer;
use super::row::{Context, Effects, Stop, Stopped};
use super::shape::evaluate_shape;
use super::trace::Trace;
use crate::compile::compiled::{Flow, FlowId, Input, Join, Pipeline, PrivacyKind, Row, Stream, names_record};
use crate::expression::{
    EvaluateError, Map, Path, Projection, Record, Scope, TargetType, Template, Value, normalize,
};

/// What a condition accepts, in comparable form (`None` is null), or why that cannot be computed.
type Wanted = Result<Vec<Option<String>>, EvaluateError>;

/// A flow's rules, ready to be applied. Making one is cheap beside a batch.
#[derive(Debug)]
pub struct Mapper<'p> {
    pub(super) pipeline: &'p Pipeline,
    pub(super) projection: Projection,
    /// Names of the flow's joins.
    pub(super) joins: Vec<&'p str>,
    /// Name of the parent stream and the path of its key, for flows of children.
    pub(super) parent: Option<(String, &'p Path)>,
    pub(super) flow: Option<&'p Flow>,
    stream: Option<&'p Stream>,
    /// The flow's conditions, evaluated.
    conditions: Vec<(&'p Path, Wanted)>,
    /// Whether the flow's `when` reads what is joined.
    when_after_joins: bool,
    /// What is done with each row's values where they are shown.
    privacy: Vec<PrivacyKind>,
    /// Rows whose value nothing else reads, so that it may be moved out of the record.
    movable: Vec<Option<&'p str>>,
    /// Maps also what the flow's conditions leave out.
    unconditional: bool,
}

impl<'p> Mapper<'p> {
    /// The rules of a flow.
    pub fn new(pipeline: &'p Pipeline, flow: FlowId) -> Self {
        let flow = pipeline.flows.get(flow);
        let stream_of = |flow: &'p Flow| {
            let connection = pipeline.connections.get(flow.from.connection)?;
            connection.connector.streams.get(flow.from.stream)
        };
        let stream = flow.and_then(stream_of);
        let parent = flow.filter(|flow| flow.of.is_some()).and_then(|flow| {
            let connection = pipeline.connections.get(flow.from.connection)?;
            let parent = connection.connector.streams.get(stream?.parent?)?;
            Some((parent.name.clone(), &parent.key))
        });
        let constants = Scope::new()
            .with("params", &pipeline.params)
            .with("connections", &pipeline.connections_seen);
        let conditions = flow
            .map(|flow| flow.conditions.as_slice())
            .unwrap_or_default()
            .iter()
            .map(|condition| {
                let values = condition
                    .values
                    .iter()
                    .map(|value| Ok(normalize(&[], &evaluate_shape(value, &constants)?)))
                    .collect();
                (&condition.path, values)
            })
            .collect();
        drop(constants);
        let reads = reads::of(flow, stream);
        let private = |row: &Row| {
            flow.and_then(|flow| {
                flow.private_targets
                    .iter()
                    .find(|(name, _)| *name == row.target.name)
            })
            .map_or(PrivacyKind::Keep, |(_, kind)| *kind)
        };
        let rows = flow.map(|flow| flow.rows.as_slice()).unwrap_or_default();
        Mapper {
            pipeline,
            parent,
            flow,
            stream,
            conditions,
            joins: flow
                .map(|flow| flow.joins.as_slice())
                .unwrap_or_default()
                .iter()
                .map(|join| join.name.as_str())
                .collect(),
            when_after_joins: flow.is_some_and(when_reads_joins),
            privacy: rows.iter().map(private).collect(),
            movable: rows.iter().map(|row| movable(row, &reads)).collect(),
            projection: reads.projection,
            unconditional: false,
        }
    }

    /// The same rules for records that are counterparts: the flow's conditions say which records start something, not
    /// which may be compared.
    pub fn for_counterparts(pipeline: &'p Pipeline, flow: FlowId) -> Self {
        Mapper {
            unconditional: true,
            ..Mapper::new(pipeline, flow)
        }
    }

    /// What of a record the rules read.
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// Applies the rules to a record. While the resolver lacks an answer the record is [`Outcome::Waiting`] with the code
    /// `lookup_unanswered`: the questions are noted, and the record is to be mapped again. Uses of enum tables are added to
    /// `coverage`.
    pub fn map<'r>(
        &self,
        record: &'r Record,
        resolver: &dyn Resolver,
        coverage: &mut Coverage,
        trace: Option<&mut Trace>,
    ) -> Outcome<'r>
    where
        'p: 'r,
    {
        let mapper: &Mapper<'r> = self;
        mapper.map_record(record, resolver, coverage, trace)
    }

    fn map_record<'r>(
        &self,
        record: &'r Record,
        resolver: &dyn Resolver,
        coverage: &mut Coverage,
        mut trace: Option<&mut Trace>,
    ) -> Outcome<'r>
    where
        'p: 'r,
    {
        let (Some(flow), Some(stream)) = (self.flow, self.stream) else {
            let reject = Reject::new("flow", "flow_missing", "there is no such flow".to_owned());
            return Outcome::Rejected { key: None, reject };
        };
        let (mut root, text) = match record.project_text(&self.projection) {
            Ok(read) => read,
            Err(error) => {
                let message = format!("the record is not JSON: {error}");
                return Outcome::Rejected {
                    key: None,
                    reject: Reject::new("record", "record_malformed", message),
                };
            }
        };
        let key = match &stream.file {
            Some(file) if is_numbered(stream) => record.numbered_key(file.path.contains('*')),
            _ => stream.key.one(&root).and_then(Value::key_text),
        };
        let Some(key) = key else {
            let message = format!("the record has no key at `{}`", stream.key.source());
            return Outcome::Rejected {
                key: None,
                reject: Reject::new("key", "key_missing", message),
            };
        };
        let mut effects = Effects {
            pending: Vec::new(),
            coverage,
            fallback: None,
        };
        let mut fallbacks = Vec::new();
        let mut refused = Vec::new();
        let mut missing = false;
        match self.prepare(
            flow,
            stream,
            &mut root,
            &key,
            text,
            resolver,
            trace.as_deref_mut(),
        ) {
            Ok(Ready::Yes) => {}
            Ok(Ready::Deleted) => return Outcome::Deleted { key },
            Ok(Ready::Erased) => return Outcome::Erased { key },
            Ok(Ready::Filtered) => return Outcome::Filtered { key },
            Err(stop) => return stopped(*stop, key),
        }
        let mut cells: Vec<Cell<'r>> = Vec::with_capacity(flow.rows.len());
        let mut moved = Vec::new();
        {
            let scope = self.scope(&root);
            for (index, row) in flow.rows.iter().enumerate() {
                if trace.is_none() && self.moves(index, row, &root) {
                    moved.push(index);
                    cells.push(Cell::Absent);
                    continue;
                }
                let context = Context {
                    mapper: self,
                    root: &root,
                    scope: &scope,
                    text: Some(text),
                    key: &key,
                    resolver,
                    field: &row.target.name,
                    privacy: self.privacy.get(index).copied().unwrap_or(PrivacyKind::Drop),
                    depth: 0,
                };
                match context.row(row, &mut effects, trace.as_deref_mut()) {
                    Ok(cell) => {
                        if let Some((lookup, key)) = effects.fallback.take() {
                            fallbacks.push(FallbackUsed {
                                row: index,
                                lookup,
                                key,
                            });
                        }
                        cells.push(cell);
                    }
                    Err(stop) if matches!(*stop, Stop::Missing) => missing = true,
                    Err(_) if missing => break,
                    Err(stop) if flow.direction_of.is_some() => {
                        cells.push(Cell::Absent);
                        refused.extend(refused_row(index, *stop));
                    }
                    Err(stop) => return stopped(*stop, key),
                }
            }
        }
        if missing {
            return unanswered(key);
        }
        for index in moved {
            let name = self.movable.get(index).copied().flatten();
            if let (Some(cell), Some(name), Value::Map(map)) = (cells.get_mut(index), name, &mut root) {
                *cell = Cell::Value(map.get_mut(name).map(std::mem::take).unwrap_or_default());
            }
        }
        Outcome::Mapped(Mapped {
            key,
            cells,
            fallbacks,
            pending: effects.pending,
            refused,
        })
    }

    /// Whether a row's value is a text of its own that may be moved out of the record as it is.
    fn moves(&self, index: usize, row: &Row, root: &Value<'_>) -> bool {
        let Some(Some(name)) = self.movable.get(index) else {
            return false;
        };
        match root.get(name) {
            Some(Value::Text(Cow::Owned(text))) => row.max_length.is_none_or(|(most, _)| text.len() <= most),
            _ => false,
        }
    }

    fn scope<'s>(&'s self, root: &'s Value<'s>) -> Scope<'s> {
        Scope::new()
            .with(self.flow.map_or("record", Flow::record_name), root)
            .with("params", &self.pipeline.params)
            .with("connections", &self.pipeline.connections_seen)
    }

    /// Everything before the rows.
    #[expect(
        clippy::too_many_arguments,
        reason = "one record's state, taken apart so that the root can be joined to"
    )]
    fn prepare<'r>(
        &self,
        flow: &'r Flow,
        stream: &'r Stream,
        root: &mut Value<'r>,
        key: &str,
        text: &'r str,
        resolver: &dyn Resolver,
        mut trace: Option<&mut Trace>,
    ) -> Result<Ready, Stopped>
    where
        'p: 'r,
    {
        // What a connector says of its records calls them `record`, whatever the flow does.
        let said = |template: Option<&Template>, rule: &str| match template {
            Some(template) => template
                .is_true(&Scope::new().with("record", &*root))
                .map_err(|error| failed(rule, &error)),
            None => Ok(false),
        };
        if said(stream.erased_when.as_ref(), "erased_when")? {
            return Ok(Ready::Erased);
        }
        if said(stream.deleted_when.as_ref(), "deleted_when")? {
            return Ok(Ready::Deleted);
        }
        for (path, values) in self.conditions.iter().filter(|_| !self.unconditional) {
            let values = values.as_ref().map_err(|error| failed("where", error))?;
            let nodes = path.all(root);
            let fits = match nodes.as_slice() {
                [] => values.contains(&None),
                nodes => nodes.iter().any(|node| values.contains(&normalize(&[], node))),
            };
            if let Some(trace) = trace.as_deref_mut() {
                trace.record_step("where", path.source().to_owned(), Value::Bool(fits), None);
            }
            if !fits {
                return Ok(Ready::Filtered);
            }
        }
        if !self.when_after_joins && !self.passes(flow, root, trace.as_deref_mut())? {
            return Ok(Ready::Filtered);
        }
        for join in &flow.joins {
            let value = self.join(join, root, key, text, resolver)?;
            if let Some(trace) = trace.as_deref_mut() {
                trace.record_step("join", join.name.clone(), Value::Bool(!value.is_null()), None);
            }
            match &mut *root {
                Value::Map(map) => map.insert(join.name.as_str(), value),
                other => *other = Value::Map(Map(vec![(Cow::Borrowed(join.name.as_str()), value)])),
            }
        }
        if self.when_after_joins && !self.passes(flow, root, trace)? {
            return Ok(Ready::Filtered);
        }
        Ok(Ready::Yes)
    }

    fn passes(&self, flow: &Flow, root: &Value<'_>, trace: Option<&mut Trace>) -> Result<bool, Stopped> {
        let Some(when) = flow.when.as_ref().filter(|_| !self.unconditional) else {
            return Ok(true);
        };
        let passes = when
            .is_true(&self.scope(root))
            .map_err(|error| failed("when", &error))?;
        if let Some(trace) = trace {
            trace.record_step("when", when.source().to_owned(), Value::Bool(passes), None);
        }
        Ok(passes)
    }

    /// What stands under a join's name.
    fn join<'r>(
        &self,
        join: &'r Join,
        root: &Value<'r>,
        key: &str,
        text: &'r str,
        resolver: &dyn Resolver,
    ) -> Result<Value<'r>, Stopped>
    where
        'p: 'r,
    {
        let scope = self.scope(root);
        if let Some(when) = &join.when
            && !when.is_true(&scope).map_err(|error| failed("join", &error))?
        {
            return Ok(Value::Null);
        }
        let context = Context {
            mapper: self,
            root,
            scope: &scope,
            text: Some(text),
            key,
            resolver,
            field: &join.name,
            privacy: PrivacyKind::Drop,
            depth: 0,
        };
        let given = context.input(&join.input)?;
        let Some(usage) = &join.lookup else {
            return Ok(given.into_value());
        };
        let answer = if given.value().is_null() {
            Answer::None
        } else {
            context.found(usage, given.value())?
        };
        match answer {
            Answer::One(found) => Ok(self.joined_value(&join.name, &found)),
            Answer::All(found) => Ok(Value::List(
                found
                    .iter()
                    .map(|found| self.joined_value(&join.name, found))
                    .collect(),
            )),
            Answer::None => context.unjoined(usage, given.value()),
        }
    }
}

/// Whether a record goes on to the rows.
enum Ready {
    Yes,
    Deleted,
    Erased,
    Filtered,
}

fn failed(rule: &str, error: &EvaluateError) -> Stopped {
    Box::new(Stop::Reject(Reject::new(
        rule,
        "template_failed",
        error.to_string(),
    )))
}

fn unanswered<'r>(key: String) -> Outcome<'r> {
    let message = "a lookup is not answered yet".to_owned();
    Outcome::Waiting {
        key,
        reject: Reject::new("lookup", "lookup_unanswered", message),
    }
}

fn stopped<'r>(stop: Stop, key: String) -> Outcome<'r> {
    match stop {
        Stop::Reject(reject) => Outcome::Rejected {
            key: Some(key),
            reject,
        },
        Stop::Skip(reject) => Outcome::Skipped { key, reject },
        Stop::Hold(reject) => Outcome::Held { key, reject },
        Stop::Wait(reject) => Outcome::Waiting { key, reject },
        Stop::Filter | Stop::Absent => Outcome::Filtered { key },
        Stop::Missing => unanswered(key),
    }
}

/// What a row of a direction leaves behind when it stops; `None` where it is merely not applied.
fn refused_row(row: usize, stop: Stop) -> Option<RefusedRow> {
    let (as_kind, reject) = match stop {
        Stop::Reject(reject) => (RefusedAs::Rejected, reject),
        Stop::Skip(reject) => (RefusedAs::Skipped, reject),
        Stop::Hold(reject) => (RefusedAs::Held, reject),
        Stop::Wait(reject) => (RefusedAs::Waiting, reject),
        Stop::Filter | Stop::Absent | Stop::Missing => return None,
    };
    Some(RefusedRow { row, as_kind, reject })
}

fn when_reads_joins(flow: &Flow) -> bool {
    let Some(when) = &flow.when else {
        return false;
    };
    when.variables().iter().any(|chain| match chain.as_slice() {
        [root, name, ..] if names_record(root) => flow.joins.iter().any(|join| join.name == *name),
        [root] if names_record(root) => !flow.joins.is_empty(),
        _ => false,
    })
}

/// Whether a stream's records have no key of their own: they are files whose records are counted.
pub(super) fn is_numbered(stream: &Stream) -> bool {
    stream.file.is_some() && stream.key.steps().is_some_and(<[_]>::is_empty)
}

/// The member that a row selects and does nothing with, if nothing else reads it.
fn movable<'p>(row: &'p Row, reads: &reads::Reads) -> Option<&'p str> {
    let Input::Select(path) = &row.input else {
        return None;
    };
    let name = path
        .first_name()
        .filter(|_| path.steps().is_some_and(|steps| steps.len() == 1))?;
    let plain = row.when.is_none()
        && row.take.is_none()
        && row.default.is_none()
        && row.enumeration.is_none()
        && row.lookup.is_none()
        && row.then.is_none()
        && matches!(row.target_type, TargetType::Any | TargetType::Text);
    (plain && reads.only_once(name)).then_some(name)
}
