//! Transform: compiled rules applied to a batch, with the lookups that they ask.
//!
//! Mapping is pure and answers from memory. Where it misses an answer it notes the question; the questions of a whole
//! batch are asked together and the batch is mapped again. A chain (a join, then a lookup by the joined record, then the
//! rows of a record to be created) takes one round a link.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{Stream, StreamExt};

use super::batch::{Batch, Item, ItemOutcome, MappedItem, Origin};
use super::context::Context;
use super::feed::Feed;
use super::matching::wanted;
use super::one_per::survivors;
use super::shown::Shown;
use super::{Stop, decide};
use crate::compile::compiled::FlowId;
use crate::crash::{self, Point};
use crate::expression::{Record, Scope};
use crate::lookup::BatchResolver;
use crate::mapping::{Cell, Columns, Coverage, Mapper, Outcome, Reject, digest_values};
use crate::snapshot::{ColumnsBuilder, ExtractedRows, Heads, RowHead, Rows};
use crate::state::Digest;

/// More rounds than any chain that validates: joins, lookups, created records and their lookups.
const MOST_ROUNDS: usize = 12;

/// A batch after its rules.
#[derive(Debug)]
pub(crate) struct Transformed {
    /// The batch's head; its records are in the items.
    pub(crate) head: Batch,
    /// One for each record, in order.
    pub(crate) items: Vec<Item>,
    /// Which entries of enum tables were used, and which values are in none.
    pub(crate) coverage: Coverage,
    /// Rows of `extracted` and `mapped`, as far as they are kept.
    pub(crate) rows: Vec<Rows>,
}

/// Batches of a feed, mapped ahead of the one that is being loaded, in order.
pub(crate) fn mapped_ahead(
    context: Arc<Context>,
    id: FlowId,
    feed: Feed,
    ahead: usize,
) -> impl Stream<Item = Result<Transformed, Stop>> {
    worked_ahead(context, id, feed, ahead, move |context, batch| {
        let kept = !context.options.dry_run;
        transform(context, id, batch, kept)
    })
}

/// What `work` makes of the batches of a feed, several at a time, in order. The batches count as extracted for the flow.
pub(crate) fn worked_ahead<T, F>(
    context: Arc<Context>,
    id: FlowId,
    feed: Feed,
    ahead: usize,
    work: impl Fn(Arc<Context>, Batch) -> F,
) -> impl Stream<Item = Result<T, Stop>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Stop>> + Send + 'static,
{
    let reading = Arc::clone(&context);
    futures::stream::try_unfold(feed, move |mut feed| {
        let context = Arc::clone(&reading);
        async move {
            let batch = feed.next(&context).await?;
            Ok::<_, Stop>(batch.map(|batch| (batch, feed)))
        }
    })
    .map(move |batch: Result<Batch, Stop>| {
        let task = batch.map(|batch| {
            let counters = context.counters(id);
            counters.extract.records.add(batch.records.len() as u64);
            counters.extract.batches.add(1);
            tokio::spawn(work(Arc::clone(&context), batch))
        });
        async move {
            task?
                .await
                .map_err(|error| Stop::Internal(format!("a mapping task failed: {error}")))?
        }
    })
    .buffered(ahead)
}

/// Applies a flow's rules to a batch; with `kept` it makes the rows of its snapshots too.
pub(crate) async fn transform(
    context: Arc<Context>,
    flow: FlowId,
    mut head: Batch,
    kept: bool,
) -> Result<Transformed, Stop> {
    let survivors = survivors(
        &context,
        &context.pipeline.flows[flow],
        std::mem::take(&mut head.records),
    )
    .await?;
    let records: Arc<[Record]> = survivors.records.into();
    let losers: Arc<[bool]> = survivors.losers.into();
    let head = Arc::new(head);
    let (shared, mapped_head) = (Arc::clone(&context), Arc::clone(&head));
    let mapped = until_answered(&context, flow, move |answers| {
        let mapper = Mapper::new(&shared.pipeline, flow);
        let batch = (flow, &*mapped_head, &*records, &*losers);
        map_all(&shared, &mapper, batch, answers, kept)
    })
    .await?;
    let (items, coverage, rows) = mapped?;
    crash::at(Point::Mapped);
    let head = Arc::into_inner(head)
        .ok_or_else(|| Stop::Internal("a mapping task outlived its batch".to_owned()))?;
    Ok(Transformed {
        head,
        items,
        coverage,
        rows,
    })
}

/// Applies a direction's rules to records that were read as counterparts, whatever its conditions say; nothing of it is
/// kept in snapshots. `sequence` is their observation's number.
pub(crate) async fn transform_counterparts(
    context: &Arc<Context>,
    flow: FlowId,
    records: Vec<Record>,
    sequence: u64,
) -> Result<Vec<Item>, Stop> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let head = Batch {
        number: 0,
        records: Vec::new(),
        sequence,
        at: jiff::Timestamp::now(),
        cursor: None,
        origin: Origin::Asked,
    };
    let shared = Arc::clone(context);
    let mapped = until_answered(context, flow, move |answers| {
        let mapper = Mapper::for_counterparts(&shared.pipeline, flow);
        map_all(&shared, &mapper, (flow, &head, &records, &[]), answers, false)
    })
    .await?;
    let (items, _, _) = mapped?;
    Ok(items)
}

/// Maps a batch on a thread of its own, and again each time that what it missed has been answered, until it misses
/// nothing.
pub(crate) async fn until_answered<T: Send + 'static>(
    context: &Context,
    flow: FlowId,
    map: impl Fn(&BatchResolver) -> T + Send + Sync + 'static,
) -> Result<T, Stop> {
    let resolver = Arc::new(context.lookups.resolver());
    let map = Arc::new(map);
    for _ in 0..MOST_ROUNDS {
        let (map, answers) = (Arc::clone(&map), Arc::clone(&resolver));
        let mapped = tokio::task::spawn_blocking(move || map(&answers))
            .await
            .map_err(|error| Stop::Internal(format!("a mapping task failed: {error}")))?;
        let questions = resolver.questions();
        if questions.is_empty() {
            return Ok(mapped);
        }
        if context.cancellation.is_stopped() {
            return Err(Stop::Cancelled);
        }
        context.lookups.fetch(questions).await?;
    }
    Err(Stop::Internal(format!(
        "lookups of flow `{}` still ask after {MOST_ROUNDS} rounds",
        context.pipeline.flows[flow].name
    )))
}

type MappedBatch = (Vec<Item>, Coverage, Vec<Rows>);

fn map_all(
    context: &Context,
    mapper: &Mapper<'_>,
    (flow, head, records, losers): (FlowId, &Batch, &[Record], &[bool]),
    resolver: &BatchResolver,
    kept: bool,
) -> Result<MappedBatch, Stop> {
    let mut coverage = Coverage::new(&context.pipeline.enums);
    let mut items: Vec<Item> = Vec::with_capacity(records.len());
    let mut places: HashMap<String, usize> = HashMap::with_capacity(records.len());
    for (offset, record) in records.iter().enumerate() {
        let sequence = head.sequence + offset as u64;
        let mut item = map_one(context, flow, mapper, record, sequence, resolver, &mut coverage);
        if losers.get(offset) == Some(&true) {
            item.outcome = ItemOutcome::Duplicate;
            items.push(item);
            continue;
        }
        // A page may hold a record twice; the later observation counts.
        if let Some(earlier) = places.insert(item.key.clone(), offset)
            && let Some(earlier) = items.get_mut(earlier)
        {
            earlier.outcome = ItemOutcome::Duplicate;
        }
        items.push(item);
    }
    let mut rows = Vec::new();
    if kept && context.writer.is_some() {
        let keep = context.pipeline.snapshots;
        if keep.mapped {
            rows.push(mapped_rows(context, flow, head, &mut items)?);
        }
        if keep.extracted {
            let keys: Vec<(String, u64)> = items
                .iter()
                .map(|item| (item.key.clone(), item.sequence))
                .collect();
            rows.push(record_rows(context, flow, head, records, &keys)?);
        }
    }
    Ok((items, coverage, rows))
}

/// Rows of `mapped`. A value that does not fit its column rejects its record.
fn mapped_rows(context: &Context, flow: FlowId, head: &Batch, items: &mut [Item]) -> Result<Rows, Stop> {
    let compiled = &context.pipeline.flows[flow];
    let redactor = &context.redactors[flow];
    let mut builder = ColumnsBuilder::new(&compiled.columns);
    let mut heads = Heads::new(context.run, &compiled.name, u64::from(head.number));
    for item in items {
        let ItemOutcome::Mapped(mapped) = &item.outcome else {
            continue;
        };
        let mut refused = None;
        for (column, (cell, row)) in mapped.cells.iter().zip(&compiled.rows).enumerate() {
            let appended = match cell {
                Cell::Value(value) => {
                    builder.append(column, Some(&redactor.redact_target(&row.target.name, value)))
                }
                Cell::Absent | Cell::Pending(_) | Cell::List(_) => builder.append(column, None),
            };
            if let Err(error) = appended {
                let mut reject = Reject::new("type", "column_mismatch", error.to_string());
                reject.field = Some(error.column);
                refused = Some(reject);
                break;
            }
        }
        match refused {
            Some(reject) => {
                builder.discard_row();
                item.outcome = ItemOutcome::Rejected(reject);
            }
            None => {
                builder.end_row();
                heads.push(&RowHead {
                    record_key: &item.key,
                    correlation_id: &context.correlation(item.sequence),
                    at: head.at,
                });
            }
        }
    }
    Ok(heads.mapped(&builder.finish()?)?)
}

/// Rows of `extracted`: records as received, private members redacted.
pub(crate) fn record_rows(
    context: &Context,
    flow: FlowId,
    head: &Batch,
    records: &[Record],
    keys: &[(String, u64)],
) -> Result<Rows, Stop> {
    let redactor = &context.redactors[flow];
    let mut rows = ExtractedRows::new(
        context.run,
        &context.pipeline.flows[flow].name,
        u64::from(head.number),
    );
    for (record, (key, sequence)) in records.iter().zip(keys) {
        let shown = Shown::new(redactor, record);
        let row_head = RowHead {
            record_key: key,
            correlation_id: &context.correlation(*sequence),
            at: head.at,
        };
        rows.begin_row(record.received());
        rows.push(&row_head, &shown.raw, shown.read.as_deref(), shown.redacted);
    }
    Ok(rows.finish()?)
}

fn map_one(
    context: &Context,
    flow: FlowId,
    mapper: &Mapper<'_>,
    record: &Record,
    sequence: u64,
    resolver: &BatchResolver,
    coverage: &mut Coverage,
) -> Item {
    let compiled = &context.pipeline.flows[flow];
    let (key, outcome) = match mapper.map(record, resolver, coverage, None) {
        Outcome::Mapped(mapped) => {
            let view = match record.project(&compiled.projection) {
                Ok(view) => view,
                Err(error) => return unreadable(record, sequence, &error.to_string()),
            };
            let own_key = crate::expression::Value::text(mapped.key.clone());
            let scope = Scope::new()
                .with(compiled.record_name(), &view)
                .with("params", &context.pipeline.params)
                .with("connections", &context.pipeline.connections_seen)
                .with("key", &own_key);
            let searched = wanted(&compiled.matches, &compiled.normalize, &view, &scope, resolver);
            match searched {
                Ok(wanted) => {
                    let digests: Vec<_> = mapped
                        .cells
                        .iter()
                        .map(|cell| decide::digest(&context.digester, cell))
                        .collect();
                    let whole = if compiled.only_if_changed.is_empty() {
                        decide::digest_all(&context.digester, &digests)
                    } else {
                        Digest(digest_values(
                            &context.state.digest_key(),
                            compiled.only_if_changed.iter().map(|path| path.one(&view)),
                        ))
                    };
                    let item = MappedItem {
                        cells: mapped.cells.into_iter().map(Cell::into_owned).collect(),
                        fallbacks: mapped.fallbacks,
                        pending: mapped.pending,
                        refused: mapped.refused,
                        digests,
                        whole,
                        wanted,
                    };
                    (mapped.key, ItemOutcome::Mapped(Box::new(item)))
                }
                Err(error) => {
                    let reject = Reject::new("match", "match_failed", error.to_string());
                    (mapped.key, ItemOutcome::Rejected(reject))
                }
            }
        }
        other => map_outcome(other, sequence),
    };
    Item {
        key,
        sequence,
        record: record.clone(),
        outcome,
    }
}

/// The key and fate of a record that was not mapped.
pub(crate) fn map_outcome(outcome: Outcome<'_>, sequence: u64) -> (String, ItemOutcome) {
    let nameless = || format!("no key, observation {sequence}");
    match outcome {
        Outcome::Mapped(mapped) => (mapped.key, ItemOutcome::Filtered),
        Outcome::Filtered { key } => (key, ItemOutcome::Filtered),
        Outcome::Deleted { key } | Outcome::Erased { key } => (key, ItemOutcome::Deleted),
        Outcome::Skipped { key, reject } => (key, ItemOutcome::Skipped(reject)),
        Outcome::Held { key, reject } => (key, ItemOutcome::Held(reject)),
        Outcome::Waiting { key, reject } => (key, ItemOutcome::Waiting(reject)),
        Outcome::Rejected { key, reject } => (key.unwrap_or_else(nameless), ItemOutcome::Rejected(reject)),
    }
}

/// The key of a record that is not JSON, and why it is rejected.
fn unreadable(record: &Record, sequence: u64, message: &str) -> Item {
    Item {
        key: format!("no key, observation {sequence}"),
        sequence,
        record: record.clone(),
        outcome: ItemOutcome::Rejected(Reject::new("record", "record_malformed", message.to_owned())),
    }
}

/// The key of a record of a stream, as text.
pub(crate) fn record_key(key: &crate::expression::Path, record: &Record) -> Option<String> {
    let mut projection = crate::expression::Projection::new();
    projection.add_path(key);
    let view = record.project(&projection).ok()?;
    key.one(&view)?.key_text()
}
