//! Recording what a batch led to: rows for the snapshots, counts, and the one transaction that commits it.
//!
//! Journals are synced before the transaction: what state says happened can be proved.

use std::collections::HashMap;

use jiff::Timestamp;

use super::batch::{Batch as Head, CREATED_BY_RUN, Decision, Item, Origin, Update};
use super::context::Context;
use super::load::{Effect, Loaded, Loader};
use super::shown::Shown;
use super::{FlowSummary, Stop, decide};
use crate::compile::compiled::{Flow, FlowId, Target};
use crate::connector::{Cursor, Operation};
use crate::expression::{Map, Record, Value};
use crate::mapping::{Cell, Reject};
use crate::snapshot::{
    LoadedRow, LoadedRows, PlannedRow, PlannedRows, RejectedRow, RejectedRows, RowHead, Rows,
};
use crate::state::{
    Baseline, Batch, CursorPut, Fallback, LinkChange, QueueClear, QueueItem, QueueKind, QueuedRecord,
    WaitsFor,
};

/// When a batch's cursor moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CursorMoves {
    /// In the batch's own transaction.
    Now,
    /// Later, once the children of its records are committed too.
    AfterChildren,
}

/// Records the batches of one flow.
pub(crate) struct Recorder<'c> {
    context: &'c Context,
    flow_id: FlowId,
    flow: &'c Flow,
}

impl<'c> Recorder<'c> {
    /// A recorder of one flow.
    pub(crate) fn new(context: &'c Context, flow: FlowId) -> Self {
        Recorder {
            context,
            flow_id: flow,
            flow: &context.pipeline.flows[flow],
        }
    }

    /// Journals and commits a loaded batch. `attempts` are those of records that came from the queue. The cursor moves
    /// only if every record has its outcome.
    pub(crate) fn record(
        &self,
        head: &Head,
        loaded: &Loaded,
        attempts: &HashMap<String, u32>,
        moves: CursorMoves,
        summary: &mut FlowSummary,
    ) -> Result<(), Stop> {
        let at = Timestamp::now();
        self.journal(head.number, loaded, at)?;
        if let Some(writer) = &self.context.writer {
            writer.sync()?;
        }
        let mut batch = Batch::new(self.context.flow_ref(self.flow), self.context.run, at);
        batch.intents_settled.clone_from(&loaded.settled);
        batch.created.clone_from(&loaded.references.created);
        let keys: Vec<&str> = loaded
            .effects
            .iter()
            .map(|effect| effect.planned.item.key.as_str())
            .collect();
        let baselines = self
            .context
            .state
            .baselines(self.context.flow_ref(self.flow), &keys)?;
        for effect in &loaded.effects {
            self.effect(effect, attempts, &baselines, &mut batch);
        }
        let complete = loaded.stop.is_none() && loaded.effects.iter().all(|effect| !effect.unfinished);
        if complete && moves == CursorMoves::Now {
            batch.cursors.extend(self.cursor(head)?);
        }
        let committed = self.context.state.commit(&batch)?;
        for key in committed.stale {
            tracing::debug!(flow = %self.flow.name, key = %key, "an older observation than the one already loaded was dropped");
        }
        self.count(head, loaded, summary);
        Ok(())
    }

    /// Moves the cursor past a batch whose records, and their children, are committed.
    pub(crate) fn move_cursor(&self, head: &Head) -> Result<(), Stop> {
        let mut batch = Batch::new(
            self.context.flow_ref(self.flow),
            self.context.run,
            Timestamp::now(),
        );
        batch.cursors.extend(self.cursor(head)?);
        self.context.state.commit(&batch)?;
        Ok(())
    }

    /// Moves the cursor to where another flow's read of the same stream ended.
    pub(crate) fn set_cursor(&self, cursor: &Cursor) -> Result<(), Stop> {
        let mut batch = Batch::new(
            self.context.flow_ref(self.flow),
            self.context.run,
            Timestamp::now(),
        );
        batch.cursors.push(self.cursor_put(cursor)?);
        self.context.state.commit(&batch)?;
        Ok(())
    }

    fn cursor(&self, head: &Head) -> Result<Option<CursorPut>, Stop> {
        match (head.origin, &head.cursor) {
            (Origin::Source, Some(cursor)) => self.cursor_put(cursor).map(Some),
            _ => Ok(None),
        }
    }

    fn cursor_put(&self, cursor: &Cursor) -> Result<CursorPut, Stop> {
        Ok(CursorPut {
            stream: self.context.stream_name(self.flow.from),
            cursor: serde_json::to_string(cursor)
                .map_err(|error| Stop::Internal(format!("a cursor cannot be stored: {error}")))?,
            selection: self.flow.selection_digest.clone(),
        })
    }

    /// What one record changes in state.
    fn effect(
        &self,
        effect: &Effect,
        attempts: &HashMap<String, u32>,
        baselines: &HashMap<String, Baseline>,
        batch: &mut Batch,
    ) {
        let planned = &effect.planned;
        let key = &planned.item.key;
        let sequence = planned.item.sequence;
        if effect.unfinished {
            return;
        }
        let Some((kind, reject)) = problem(&planned.decision) else {
            self.linked(effect, &planned.decision, baselines.get(key), batch);
            batch.queue_clear.push(QueueClear {
                key: key.clone(),
                sequence,
            });
            return;
        };
        let item = self.queue_item(kind, key.clone(), reject, &planned.item, attempts, batch.at);
        batch.queue_put.push(item);
    }

    /// What the queue keeps of a record, under this key.
    pub(crate) fn queue_item(
        &self,
        kind: QueueKind,
        key: String,
        reject: &Reject,
        item: &Item,
        attempts: &HashMap<String, u32>,
        at: Timestamp,
    ) -> QueueItem {
        QueueItem {
            kind,
            field: reject.field.clone(),
            rule: reject.rule.clone(),
            code: reject.code.to_owned(),
            reason: reject.message.clone(),
            value: reject.value.clone(),
            record: kept(self.context, self.flow_id, &item.record),
            attempts: attempts.get(&key).copied().unwrap_or(0) + 1,
            key,
            first_seen: at,
            last_seen: at,
            sequence: item.sequence,
            run: self.context.run,
            waits_for: reject.waits_for.clone().map(|(flow, key)| WaitsFor { flow, key }),
            held_rows: Vec::new(),
        }
    }

    /// Links, baselines and fallbacks of a record that needs no queue.
    fn linked(&self, effect: &Effect, decision: &Decision, old: Option<&Baseline>, batch: &mut Batch) {
        let planned = &effect.planned;
        let key = &planned.item.key;
        let target = match decision {
            Decision::Create => effect.target.clone(),
            Decision::Update(update) => Some(update.target.clone()),
            Decision::Unchanged { link, baseline: true } => link.clone(),
            Decision::Unchanged {
                link: Some(target),
                baseline: false,
            } => {
                batch.links.push(LinkChange::Put {
                    source: key.clone(),
                    target: target.clone(),
                });
                return;
            }
            Decision::UpdateAll(_) => None,
            Decision::Delete { .. } | Decision::Unlink { .. } => {
                batch.links.push(LinkChange::End { source: key.clone() });
                return;
            }
            _ => return,
        };
        if let Some(target) = target {
            batch.links.push(LinkChange::Put {
                source: key.clone(),
                target,
            });
        }
        let loader = Loader::new(self.context, self.flow_id);
        if let Some(baseline) = loader.baseline(planned, old) {
            batch.baselines.push((key.clone(), baseline));
        }
        if let Some(mapped) = planned.mapped() {
            batch.fallbacks_of.push(key.clone());
            for used in &mapped.fallbacks {
                let rule = self.flow.rows.get(used.row);
                let lookup = self.context.pipeline.lookups.get(used.lookup);
                if let (Some(rule), Some(lookup), Some(unfound)) = (rule, lookup, &used.key) {
                    batch.fallbacks.push(Fallback {
                        source: key.clone(),
                        row: rule.target.name.clone(),
                        to: None,
                        lookup: lookup.name.clone(),
                        key: unfound.clone(),
                    });
                }
            }
        }
    }

    /// Says in the log why a record waits in the queue, where the pipeline asks for that.
    pub(crate) fn log(&self, key: &str, decision: &Decision) {
        if let Some((kind, reject)) = problem(decision) {
            log_problem(self.context, &self.flow.name, key, kind, reject);
        }
    }

    /// Appends rows of `planned`, `loaded` and `rejected`, to be synced before the commit that they prove.
    pub(crate) fn journal(&self, number: u32, loaded: &Loaded, at: Timestamp) -> Result<(), Stop> {
        for effect in &loaded.effects {
            self.log(&effect.planned.item.key, &effect.planned.decision);
        }
        let Some(writer) = &self.context.writer else {
            return Ok(());
        };
        let keep = self.context.pipeline.snapshots;
        let (run, flow, number) = (self.context.run, self.flow.name.as_str(), u64::from(number));
        let mut planned_rows = PlannedRows::new(run, flow, number);
        let mut loaded_rows = LoadedRows::new(run, flow, number);
        let mut rejected_rows = RejectedRows::new(run, flow, number);
        for write in &loaded.references.writes {
            let correlation = self.context.correlation(write.sequence);
            let row = LoadedRow {
                action: "create_reference",
                remote_key: write.target.as_deref(),
                status: (write.status > 0).then_some(write.status),
                attempts: write.attempts,
                latency_ms: u64::try_from(write.latency.as_millis()).ok(),
                error: write.error.as_deref(),
                request_id: Some(&write.intent.to_string()),
            };
            let head = row_head(&write.needed_by, &correlation, at);
            loaded_rows.push(&head, &row);
            let decision = PlannedRow {
                decision: "create_reference",
                reason: Some(&format!("lookup `{}` found nothing", write.lookup)),
                ..PlannedRow::default()
            };
            planned_rows.push(&head, &decision);
        }
        for effect in &loaded.effects {
            let item = &effect.planned.item;
            let correlation = self.context.correlation(item.sequence);
            let head = row_head(&item.key, &correlation, at);
            self.planned_row(effect, &head, &mut planned_rows);
            for write in &effect.writes {
                let row = LoadedRow {
                    action: write.operation.as_str(),
                    remote_key: write.target.as_deref(),
                    status: (write.status > 0).then_some(write.status),
                    attempts: write.attempts,
                    latency_ms: u64::try_from(write.latency.as_millis()).ok(),
                    error: write.error.as_deref(),
                    request_id: Some(&write.intent.to_string()),
                };
                loaded_rows.push(&head, &row);
            }
            if let Some((_, reject)) = problem(&effect.planned.decision) {
                rejected_rows.push(&head, &rejected_row(reject));
            }
        }
        let mut all: Vec<Rows> = Vec::new();
        if keep.planned {
            all.push(planned_rows.finish()?);
        }
        if keep.loaded {
            all.push(loaded_rows.finish()?);
        }
        if keep.rejected {
            all.push(rejected_rows.finish()?);
        }
        for rows in all {
            if !rows.is_empty() {
                writer.append(&rows)?;
            }
        }
        Ok(())
    }

    fn planned_row(&self, effect: &Effect, head: &RowHead<'_>, rows: &mut PlannedRows) {
        let decision = &effect.planned.decision;
        let mut changed = Vec::new();
        let (mut before, mut after) = (None, None);
        let values = match (decision, effect.planned.mapped()) {
            (Decision::Update(update), Some(mapped)) => {
                Some(self.before_and_after(update, &mapped.cells, &mut changed))
            }
            (Decision::Set { before, fields, .. }, _) => Some(self.set_values(before, fields, &mut changed)),
            _ => None,
        };
        if let Some((old, new)) = values {
            before = Some(old.to_json());
            after = Some(new.to_json());
        }
        let fallbacks: Vec<String> = match effect.planned.mapped() {
            Some(mapped) if !matches!(decision, Decision::Duplicate | Decision::Filtered) => {
                let rows = mapped
                    .fallbacks
                    .iter()
                    .filter_map(|used| self.flow.rows.get(used.row));
                rows.map(|row| row.target.name.clone()).collect()
            }
            _ => Vec::new(),
        };
        let pair = effect.planned.pair.as_deref();
        let remarks = pair.map(|pair| pair.remarks.join("; "));
        let reason = match decision {
            Decision::Skipped(reject)
            | Decision::Rejected(reject)
            | Decision::Held(reject)
            | Decision::Waiting(reject) => Some(reject.message.as_str()),
            Decision::Unlink { reason, .. } => Some(*reason),
            _ => remarks.as_deref().filter(|remarks| !remarks.is_empty()),
        };
        rows.push(
            head,
            &PlannedRow {
                decision: decision.word(),
                changed_fields: &changed,
                fallback_fields: &fallbacks,
                before: before.as_deref(),
                after: after.as_deref(),
                winner: pair.and_then(|pair| pair.winner),
                reason,
            },
        );
    }

    /// The changed fields with their old and new values, private ones redacted.
    fn before_and_after(
        &self,
        update: &Update,
        cells: &[Cell<'static>],
        changed: &mut Vec<String>,
    ) -> (Value<'static>, Value<'static>) {
        let redactor = &self.context.redactors[self.flow_id];
        let (mut before, mut after) = (Map::default(), Map::default());
        for change in &update.changes {
            let (Some(rule), Some(cell)) = (self.flow.rows.get(change.row), cells.get(change.row)) else {
                continue;
            };
            let name = &rule.target.name;
            let new = match cell {
                Cell::Value(value) => value.clone(),
                Cell::Pending(_) | Cell::List(_) => Value::text(CREATED_BY_RUN),
                Cell::Absent => Value::Null,
            };
            changed.push(name.clone());
            before.insert(name.clone(), redactor.redact_target(name, &change.before));
            after.insert(name.clone(), redactor.redact_target(name, &new));
        }
        (Value::Map(before), Value::Map(after))
    }

    /// The same for values that no rule made.
    fn set_values(
        &self,
        old: &Value<'static>,
        fields: &[(Target, Value<'static>)],
        changed: &mut Vec<String>,
    ) -> (Value<'static>, Value<'static>) {
        let redactor = &self.context.redactors[self.flow_id];
        let (mut before, mut after) = (Map::default(), Map::default());
        for (target, value) in fields {
            let name = &target.name;
            changed.push(name.clone());
            before.insert(
                name.clone(),
                redactor.redact_target(name, decide::at(old, &target.segments)),
            );
            after.insert(name.clone(), redactor.redact_target(name, value));
        }
        (Value::Map(before), Value::Map(after))
    }

    fn count(&self, head: &Head, loaded: &Loaded, summary: &mut FlowSummary) {
        let total = loaded.effects.len() as u64;
        match head.origin {
            Origin::Queue => summary.retried += total,
            Origin::Source | Origin::Asked | Origin::Snapshot => summary.read += total,
        }
        for effect in &loaded.effects {
            count_decision(&effect.planned.decision, effect.unfinished, summary);
        }
        self.count_writes(loaded, summary);
    }

    /// Counts what was written, whosever records asked for it.
    pub(crate) fn count_writes(&self, loaded: &Loaded, summary: &mut FlowSummary) {
        let counters = self.context.counters(self.flow_id);
        for effect in &loaded.effects {
            for write in effect.writes.iter().filter(|write| write.error.is_none()) {
                summary.writes += 1;
                if write.operation == Operation::Update {
                    summary.field_changes += write.fields as u64;
                }
            }
            let Some(mapped) = effect.planned.mapped() else {
                continue;
            };
            for used in &mapped.fallbacks {
                let written = match &effect.planned.decision {
                    _ if effect.unfinished => false,
                    Decision::Create => true,
                    Decision::Update(update) => update.changes.iter().any(|change| change.row == used.row),
                    _ => false,
                };
                if let (true, Some(rule)) = (written, self.flow.rows.get(used.row)) {
                    *summary.fallbacks.entry(rule.target.name.clone()).or_default() += 1;
                }
            }
        }
        for (lookup, count) in &loaded.references.counts {
            *summary.references_created.entry(lookup.clone()).or_default() += count;
            summary.writes += count;
        }
        counters.load.records.add(loaded.effects.len() as u64);
        counters.load.batches.add(1);
    }
}

/// What the queue may keep of a record: its text, without private members. Children are kept as rules read them, because
/// only that says whose they are.
pub(crate) fn kept(context: &Context, flow: FlowId, record: &Record) -> QueuedRecord {
    let Shown { raw, read, redacted } = Shown::new(&context.redactors[flow], record);
    let child = context.pipeline.flows[flow].of.is_some();
    let text = read.filter(|_| child).unwrap_or_else(|| raw.into_owned());
    match String::from_utf8(text) {
        Ok(text) if redacted => QueuedRecord::Redacted(text),
        Ok(text) => QueuedRecord::AsReceived(text),
        Err(_) => QueuedRecord::KeyOnly,
    }
}

/// Counts one record by its one outcome.
pub(crate) fn count_decision(decision: &Decision, unfinished: bool, summary: &mut FlowSummary) {
    let counter = match decision {
        _ if unfinished => &mut summary.unfinished,
        Decision::Create => &mut summary.created,
        Decision::Update(_) | Decision::UpdateAll(_) | Decision::Set { .. } => &mut summary.updated,
        Decision::Delete { .. } => &mut summary.deleted,
        Decision::Unlink { reason, .. } if *reason == "deleted in the source" => &mut summary.deleted,
        Decision::Unlink { .. } | Decision::Skipped(_) => &mut summary.skipped,
        Decision::Unchanged { .. } => &mut summary.unchanged,
        Decision::Filtered => &mut summary.filtered,
        Decision::Duplicate => &mut summary.duplicate,
        Decision::Rejected(_) => &mut summary.rejected,
        Decision::Held(_) => &mut summary.held,
        Decision::Waiting(_) => &mut summary.waiting,
    };
    *counter += 1;
}

/// Why a record goes to the queue, and as what.
pub(crate) fn problem(decision: &Decision) -> Option<(QueueKind, &Reject)> {
    match decision {
        Decision::Rejected(reject) => Some((QueueKind::Rejected, reject)),
        Decision::Held(reject) => Some((QueueKind::Held, reject)),
        Decision::Waiting(reject) => Some((QueueKind::Waiting, reject)),
        _ => None,
    }
}

/// Writes a problem with a record to the log, where the pipeline asks for that. What is private is masked already.
pub(crate) fn log_problem(context: &Context, flow: &str, key: &str, kind: QueueKind, reject: &Reject) {
    if !context.pipeline.log_warnings {
        return;
    }
    tracing::warn!(
        flow,
        key,
        kind = kind.word(),
        field = reject.field.as_deref(),
        rule = reject.rule.as_str(),
        code = reject.code,
        value = reject.value.as_deref(),
        reason = reject.message.as_str(),
        "A record goes to the queue."
    );
}

/// A row of `rejected`.
pub(crate) fn rejected_row(reject: &Reject) -> RejectedRow<'_> {
    RejectedRow {
        field: reject.field.as_deref(),
        rule: Some(&reject.rule),
        code: reject.code,
        reason: &reject.message,
        value: reject.value.as_deref(),
    }
}

fn row_head<'a>(key: &'a str, correlation: &'a str, at: Timestamp) -> RowHead<'a> {
    RowHead {
        record_key: key,
        correlation_id: correlation,
        at,
    }
}
