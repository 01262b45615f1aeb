//! Preview: one record on its way through a flow, step by step, down to the exact requests that a run would send.
//!
//! It goes through the same stages as a run ([`transform`], [`Planner`]) and stops before load. Nothing is written: neither
//! to a system nor to the state, of which it sees a copy.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::asked::past_record;
use super::batch::{Batch, Decision, ItemOutcome, MappedItem, Origin, Planned, Update};
use super::context::Context;
use super::plan::Planner;
use super::transform::transform;
use super::{Cancellation, Ending, RunOptions, Stop, decide, open, with_causes};
use crate::compile::compiled::{
    ConnectorKind, Flow, FlowId, LookupId, Pipeline, Side, StreamRef, Target, TwoWay,
};
use crate::connector::{Operation, WriteIntent};
use crate::expression::{Record, Value};
use crate::mapping::{
    Cell, Coverage, Found, MASK, Mapper, Outcome, Pending, Reject, Resolution, Resolver, Trace, payload,
};
use crate::snapshot::{PastRun, SnapshotError, Stage};
use crate::state::{SqliteState, State};
use crate::telemetry::Telemetry;

/// What stands for the key of a record that is not looked for.
const NOT_ASKED: &str = "(not asked)";

/// Which record is shown, and how.
#[derive(Clone, Debug)]
pub struct PreviewOptions {
    /// The flow; `None` where the pipeline has only one.
    pub flow: Option<String>,
    /// Where the record comes from.
    pub record: PreviewRecord,
    /// No system is asked for anything: lookups answer with a placeholder, and the record is shown as if it were new.
    pub offline: bool,
    /// Private values are shown, because the person who looks asked for it.
    pub show_private: bool,
    /// The state file; without one nothing is linked.
    pub state: PathBuf,
    /// Where snapshots lie.
    pub snapshots: PathBuf,
}

/// Where a previewed record comes from.
#[derive(Clone, Debug)]
pub enum PreviewRecord {
    /// The source, asked by key.
    Key(String),
    /// This JSON text.
    Text(Bytes),
    /// What an earlier run extracted.
    Run {
        /// The run's id.
        run: String,
        /// The record's key.
        key: String,
    },
}

/// One record on its way.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// The flow.
    pub flow: String,
    /// The record's key.
    pub key: String,
    /// The record as received, private members redacted.
    pub raw: Value<'static>,
    /// Every step of every rule.
    pub trace: Trace,
    /// What a run would do.
    pub decision: String,
    /// Why it would not write.
    pub reason: Option<PreviewReason>,
    /// What an update would change.
    pub changes: Vec<PreviewChange>,
    /// The requests that would be sent, in order.
    pub requests: Vec<PreviewRequest>,
}

/// Why a record would not be written.
#[derive(Debug, Serialize)]
pub struct PreviewReason {
    /// The target field.
    pub field: Option<String>,
    /// The rule or step.
    pub rule: String,
    /// A stable word for the reason.
    pub code: String,
    /// The reason in a sentence.
    pub message: String,
    /// The value, redacted if it is private.
    pub value: Option<String>,
}

/// One field that an update would change.
#[derive(Debug, Serialize)]
pub struct PreviewChange {
    /// The target field.
    pub field: String,
    /// What the sink has.
    pub before: Value<'static>,
    /// What it would have.
    pub after: Value<'static>,
}

/// A request that would be sent, without credentials.
#[derive(Debug, Serialize)]
pub struct PreviewRequest {
    /// What for.
    pub purpose: String,
    /// The HTTP method.
    pub method: String,
    /// The address.
    pub url: String,
    /// Headers, without credentials.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Value<'static>,
}

/// Why a record cannot be previewed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PreviewError {
    /// The ending that a run would have for this reason.
    pub ending: Ending,
    /// What, why, and what to do.
    pub message: String,
}

impl PreviewError {
    fn usage(message: String) -> Self {
        PreviewError {
            ending: Ending::Misconfigured,
            message,
        }
    }
}

impl<E: Into<Stop>> From<E> for PreviewError {
    fn from(error: E) -> Self {
        let stop = error.into();
        PreviewError {
            ending: stop.ending(&Cancellation::new()),
            message: with_causes(&stop),
        }
    }
}

/// Shows one record on its way through a flow.
///
/// # Errors
/// There is no such flow or record, or a system cannot be asked.
pub async fn preview(
    pipeline: Arc<Pipeline>,
    mut options: PreviewOptions,
    telemetry: Arc<Telemetry>,
    cancellation: Cancellation,
) -> Result<Preview, PreviewError> {
    let flow = chosen(&pipeline, &mut options)?;
    let state: Arc<dyn State> = if options.offline {
        Arc::new(SqliteState::in_memory()?)
    } else {
        Arc::new(SqliteState::scratch_copy(&options.state)?)
    };
    let context = open(
        Uuid::now_v7(),
        pipeline,
        run_options(&options),
        telemetry,
        &cancellation,
        state,
        None,
    )?;
    let previewer = Previewer {
        context: Arc::new(context),
        flow,
        options,
    };
    previewer.preview().await
}

/// The flow that was asked for. A two-way flow is shown in the direction that the record leaves by: its key may say with
/// a name before it whose it is (`local:7`), as it may where it is one of a direction.
fn chosen(pipeline: &Pipeline, options: &mut PreviewOptions) -> Result<FlowId, PreviewError> {
    let only = match pipeline.two_way.as_slice() {
        [only] if pipeline.flows.len() == 2 => Some(only),
        _ => None,
    };
    let named = options.flow.clone();
    let way = match &named {
        Some(name) => pipeline.two_way.iter().find(|way| way.name == *name),
        None => only,
    };
    let key = match &mut options.record {
        PreviewRecord::Key(key) | PreviewRecord::Run { key, .. } => Some(key),
        PreviewRecord::Text(_) => None,
    };
    if let Some(way) = way {
        let side = key
            .and_then(|key| side_of(pipeline, way, key))
            .unwrap_or(Side::Remote);
        return Ok(way.to[side.other()]);
    }
    let flow = one_way(pipeline, named.as_deref())?;
    let direction = pipeline.flows.get(flow).and_then(|flow| flow.direction_of);
    if let (Some(direction), Some(key)) = (direction, key)
        && let Some(way) = pipeline.two_way.get(direction.two_way)
        && side_of(pipeline, way, key) == Some(direction.to)
    {
        return Err(PreviewError::usage(format!(
            "`{key}` is the key of a {} record, and `{}` reads the other side: leave the direction out, `--flow {}`",
            direction.to.name(),
            named.unwrap_or_default(),
            way.name
        )));
    }
    Ok(flow)
}

/// The side whose record a key names with what stands before it, which is taken off; `None` without a name.
fn side_of(pipeline: &Pipeline, way: &TwoWay, key: &mut String) -> Option<Side> {
    let (name, rest) = key.split_once(':')?;
    let side = Side::BOTH.into_iter().find(|side| {
        let stream = way.streams[*side];
        let Some(connection) = pipeline.connections.get(stream.connection) else {
            return false;
        };
        let stream = connection.connector.streams.get(stream.stream);
        let stream = stream.map_or("", |stream| stream.name.as_str());
        [side.name(), &connection.name, stream].contains(&name)
            || name.split_once('.') == Some((connection.name.as_str(), stream))
    })?;
    *key = rest.to_owned();
    Some(side)
}

fn one_way(pipeline: &Pipeline, name: Option<&str>) -> Result<FlowId, PreviewError> {
    let known = || {
        let names: Vec<&str> = pipeline.flows.iter().map(|flow| flow.name.as_str()).collect();
        names.join(", ")
    };
    match name {
        Some(name) => pipeline
            .flows
            .iter()
            .position(|flow| flow.name == name)
            .ok_or_else(|| {
                PreviewError::usage(format!("the pipeline has no flow `{name}`: it has {}", known()))
            }),
        None if pipeline.flows.len() == 1 => Ok(0),
        None => Err(PreviewError::usage(format!(
            "the pipeline has several flows: choose one of {} with `--flow`",
            known()
        ))),
    }
}

fn run_options(options: &PreviewOptions) -> RunOptions {
    RunOptions {
        snapshots: options.snapshots.clone(),
        state: options.state.clone(),
        ..RunOptions::looking()
    }
}

struct Previewer {
    context: Arc<Context>,
    flow: FlowId,
    options: PreviewOptions,
}

impl Previewer {
    fn flow(&self) -> &Flow {
        &self.context.pipeline.flows[self.flow]
    }

    async fn preview(&self) -> Result<Preview, PreviewError> {
        let record = self.record().await?;
        if self.options.offline {
            return self.offline(&record);
        }
        self.context.lookups.start(&[self.flow]).await?;
        let batch = Batch {
            number: 1,
            records: vec![record],
            sequence: 0,
            at: Timestamp::now(),
            cursor: None,
            origin: Origin::Asked,
        };
        let transformed = transform(Arc::clone(&self.context), self.flow, batch, false).await?;
        let planned = Planner::new(&self.context, self.flow)
            .plan(transformed.items)
            .await?;
        // Of a group of records that are the same thing, the first is the one that was asked for.
        let planned = planned
            .into_iter()
            .next()
            .ok_or_else(|| Stop::Internal("a previewed record was lost".to_owned()))?;
        let trace = self.trace(&planned.item.record, &self.context.lookups.resolver());
        let requests = self.requests(&planned)?;
        Ok(Preview {
            flow: self.flow().name.clone(),
            key: planned.item.key.clone(),
            raw: self.raw(&planned.item.record),
            trace,
            decision: planned.decision.word().to_owned(),
            reason: reason(&planned.decision),
            changes: self.changes(&planned),
            requests,
        })
    }

    /// Maps with placeholders for everything that would have to be asked, as if the record were new.
    fn offline(&self, record: &Record) -> Result<Preview, PreviewError> {
        let mapper = Mapper::new(&self.context.pipeline, self.flow);
        let mut coverage = Coverage::new(&self.context.pipeline.enums);
        let mut trace = self.new_trace();
        let outcome = mapper.map(record, &NotAsked, &mut coverage, Some(&mut trace));
        let raw = self.raw(record);
        let flow = self.flow().name.clone();
        if let Outcome::Mapped(mapped) = outcome {
            let rows = decide::created(&self.flow().rows, &mapped.cells);
            let fields = self.fields(&rows, &mapped.cells);
            let intent = intent(Operation::Create, None, fields, None, &mapped.key);
            let request = self.request(self.flow().to, "create, if the sink has no such record", intent)?;
            return Ok(Preview {
                flow,
                key: mapped.key,
                raw,
                trace,
                decision: "not decided: offline".to_owned(),
                reason: None,
                changes: Vec::new(),
                requests: vec![request],
            });
        }
        let (key, outcome) = super::transform::map_outcome(outcome, 0);
        let decision = match outcome {
            ItemOutcome::Skipped(reject) => Decision::Skipped(reject),
            ItemOutcome::Rejected(reject) => Decision::Rejected(reject),
            ItemOutcome::Held(reject) => Decision::Held(reject),
            ItemOutcome::Waiting(reject) => Decision::Waiting(reject),
            ItemOutcome::Filtered | ItemOutcome::Duplicate | ItemOutcome::Mapped(_) => Decision::Filtered,
            // Whether it has a counterpart to be deleted or unlinked only the state knows.
            ItemOutcome::Deleted => Decision::Unchanged {
                link: None,
                baseline: false,
            },
        };
        Ok(Preview {
            flow,
            key,
            raw,
            trace,
            decision: decision.word().to_owned(),
            reason: reason(&decision),
            changes: Vec::new(),
            requests: Vec::new(),
        })
    }

    async fn record(&self) -> Result<Record, PreviewError> {
        let from = self.flow().from;
        match &self.options.record {
            PreviewRecord::Text(text) => Ok(Record::new(text.clone())),
            PreviewRecord::Key(key) => {
                if let Some(record) = self.context.connection(from).get(from.stream, key).await? {
                    return Ok(record);
                }
                Err(PreviewError::usage(format!(
                    "`{}` has no record `{key}`",
                    self.context.stream_name(from)
                )))
            }
            PreviewRecord::Run { run, key } => self.extracted(run, key),
        }
    }

    fn extracted(&self, run: &str, key: &str) -> Result<Record, PreviewError> {
        let id: Uuid = run
            .parse()
            .map_err(|_| PreviewError::usage(format!("`{run}` is not the id of a run")))?;
        let root: &Path = &self.options.snapshots;
        let past = match PastRun::open(root, &self.context.pipeline.name, id) {
            Err(error @ SnapshotError::UnknownRun { .. }) => {
                return Err(PreviewError::usage(error.to_string()));
            }
            past => past?,
        };
        for row in past.rows(Stage::Extracted, Some(&self.flow().name)) {
            let row = row?;
            if row.record_key == key {
                return Ok(past_record(&row).unwrap_or_else(|| Record::new(Bytes::new())));
            }
        }
        Err(PreviewError::usage(format!(
            "run `{run}` extracted no record `{key}` for flow `{}`",
            self.flow().name
        )))
    }

    fn new_trace(&self) -> Trace {
        if self.options.show_private {
            Trace::showing_private()
        } else {
            Trace::new()
        }
    }

    fn trace(&self, record: &Record, resolver: &dyn Resolver) -> Trace {
        let mapper = Mapper::new(&self.context.pipeline, self.flow);
        let mut coverage = Coverage::new(&self.context.pipeline.enums);
        let mut trace = self.new_trace();
        // The outcome is known; what counts here is what is noted on the way to it.
        drop(mapper.map(record, resolver, &mut coverage, Some(&mut trace)));
        trace
    }

    fn raw(&self, record: &Record) -> Value<'static> {
        let text = record.received();
        let redacted = self.context.redactors[self.flow].redact_json(text);
        let shown: &[u8] = if self.options.show_private {
            text
        } else {
            &redacted
        };
        crate::expression::parse_json_owned(shown)
            .unwrap_or_else(|_| Value::text(String::from_utf8_lossy(shown).into_owned()))
    }

    /// A target's value as it may be shown.
    fn shown(&self, target: &Target, value: &Value<'_>) -> Value<'static> {
        if self.options.show_private {
            value.clone().into_owned()
        } else {
            self.context.redactors[self.flow].redact_target(&target.name, value)
        }
    }

    fn fields(&self, rows: &[usize], cells: &[Cell<'_>]) -> Value<'static> {
        let values: Vec<(&Target, Value<'static>)> = rows
            .iter()
            .filter_map(|row| {
                let target = &self.flow().rows.get(*row)?.target;
                let value = match cells.get(*row)? {
                    Cell::Value(value) => self.shown(target, value),
                    cell @ (Cell::Pending(_) | Cell::List(_)) => self.created(cell),
                    Cell::Absent => return None,
                };
                Some((target, value))
            })
            .collect();
        payload(values.iter().map(|(target, value)| (*target, value)))
    }

    fn created_key(&self, connection: usize, stream: usize) -> Value<'static> {
        let stream = self.context.stream_name(StreamRef { connection, stream });
        Value::text(format!("(key of the new record in {stream})"))
    }

    fn changes(&self, planned: &Planned) -> Vec<PreviewChange> {
        let (updates, Some(mapped)) = (updates(&planned.decision), planned.mapped()) else {
            return Vec::new();
        };
        updates
            .iter()
            .flat_map(|update| &update.changes)
            .filter_map(|change| {
                let target = &self.flow().rows.get(change.row)?.target;
                let after = match mapped.cells.get(change.row)? {
                    Cell::Value(value) => self.shown(target, value),
                    cell @ (Cell::Pending(_) | Cell::List(_)) => self.created(cell),
                    Cell::Absent => Value::Null,
                };
                Some(PreviewChange {
                    field: target.name.clone(),
                    before: self.shown(target, &change.before),
                    after,
                })
            })
            .collect()
    }

    fn requests(&self, planned: &Planned) -> Result<Vec<PreviewRequest>, PreviewError> {
        let item = &planned.item;
        let mut requests = Vec::new();
        if let (true, Some(mapped)) = (planned.decision.writes(), planned.mapped()) {
            for pending in &mapped.pending {
                requests.push(self.pending_request(pending, &item.key)?);
            }
        }
        let to = self.flow().to;
        if matches!(
            self.context.pipeline.connections[to.connection].connector.kind,
            ConnectorKind::File(_)
        ) {
            // A file is written whole; a single record is no request of its own.
            return Ok(requests);
        }
        match (&planned.decision, planned.mapped()) {
            (Decision::Create, Some(mapped)) => {
                let rows = decide::created(&self.flow().rows, &mapped.cells);
                let fields = self.fields(&rows, &mapped.cells);
                let intent = intent(Operation::Create, None, fields, None, &item.key);
                requests.push(self.request(to, "create", intent)?);
            }
            (decision @ (Decision::Update(_) | Decision::UpdateAll(_)), Some(mapped)) => {
                for update in updates(decision) {
                    let intent = self.update(update, mapped, &item.key);
                    requests.push(self.request(to, "update", intent)?);
                }
            }
            (Decision::Delete { target }, _) => {
                let intent = intent(
                    Operation::Delete,
                    Some(target.clone()),
                    Value::Null,
                    None,
                    &item.key,
                );
                requests.push(self.request(to, "delete", intent)?);
            }
            _ => {}
        }
        Ok(requests)
    }

    fn update(&self, update: &Update, mapped: &MappedItem, key: &str) -> WriteIntent {
        let rows: Vec<usize> = update.changes.iter().map(|change| change.row).collect();
        let fields = self.fields(&rows, &mapped.cells);
        let before = Some(update.before.clone());
        intent(
            Operation::Update,
            Some(update.target.clone()),
            fields,
            before,
            key,
        )
    }

    /// The create of a record that a lookup did not find.
    /// What stands for the keys that load would draw.
    fn created(&self, cell: &Cell<'_>) -> Value<'static> {
        cell.settled(&|key| Some(self.created_key(key.connection, key.stream)))
            .unwrap_or_default()
            .into_owned()
    }

    fn pending_request(&self, pending: &Pending, key: &str) -> Result<PreviewRequest, PreviewError> {
        let lookup = self.context.pipeline.lookups.get(pending.lookup);
        let name = lookup.map_or("", |lookup| lookup.name.as_str());
        // Which private members a created record's fields come from is not known: none are shown.
        let masked = self.context.redactors[self.flow].applies() && !self.options.show_private;
        let values: Vec<(&Target, Value<'static>)> = pending
            .cells
            .iter()
            .filter_map(|(target, cell)| {
                let value = match cell {
                    Cell::Value(Value::Null) => Value::Null,
                    Cell::Value(_) if masked => Value::text(MASK),
                    Cell::Value(value) => value.clone(),
                    cell @ (Cell::Pending(_) | Cell::List(_)) => self.created(cell),
                    Cell::Absent => return None,
                };
                Some((target, value))
            })
            .collect();
        let fields = payload(values.iter().map(|(target, value)| (*target, value)));
        let to = StreamRef {
            connection: pending.key.connection,
            stream: pending.key.stream,
        };
        let intent = intent(Operation::Create, None, fields, None, key);
        self.request(
            to,
            &format!("create, because lookup {name} found nothing"),
            intent,
        )
    }

    fn request(
        &self,
        to: StreamRef,
        purpose: &str,
        intent: WriteIntent,
    ) -> Result<PreviewRequest, PreviewError> {
        let prepared = self.context.connection(to).prepare(to.stream, intent)?;
        Ok(PreviewRequest {
            purpose: purpose.to_owned(),
            method: prepared.method,
            url: prepared.url,
            headers: prepared.headers,
            body: crate::expression::parse_json_owned(&prepared.body)
                .unwrap_or_else(|_| Value::text(String::from_utf8_lossy(&prepared.body).into_owned())),
        })
    }
}

fn intent(
    operation: Operation,
    key: Option<String>,
    fields: Value<'static>,
    before: Option<Value<'static>>,
    correlation: &str,
) -> WriteIntent {
    WriteIntent {
        operation,
        key,
        fields,
        before,
        intent: Uuid::now_v7(),
        correlation: correlation.to_owned(),
    }
}

fn updates(decision: &Decision) -> &[Update] {
    match decision {
        Decision::Update(update) => std::slice::from_ref(update),
        Decision::UpdateAll(updates) => updates,
        _ => &[],
    }
}

fn reason(decision: &Decision) -> Option<PreviewReason> {
    let of = |reject: &Reject| PreviewReason {
        field: reject.field.clone(),
        rule: reject.rule.clone(),
        code: reject.code.to_owned(),
        message: reject.message.clone(),
        value: reject.value.clone(),
    };
    match decision {
        Decision::Skipped(reject)
        | Decision::Rejected(reject)
        | Decision::Held(reject)
        | Decision::Waiting(reject) => Some(of(reject)),
        Decision::Unlink { reason, .. } => Some(of(&Reject::new("link", "unlink", (*reason).to_owned()))),
        _ => None,
    }
}

/// Answers every question with a placeholder.
struct NotAsked;

impl Resolver for NotAsked {
    fn resolve(&self, _lookup: LookupId, _given: &Value<'_>) -> Resolution {
        placeholder()
    }

    fn link(&self, _flow: FlowId, _key: &str) -> Resolution {
        placeholder()
    }
}

fn placeholder() -> Resolution {
    Resolution::Found(Arc::new(Found {
        key: Value::text(NOT_ASKED),
        record: Arc::new(Value::Null),
    }))
}
