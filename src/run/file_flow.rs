//! Flows into files: every run reads the source whole and writes the file whole, under a temporary name until it is
//! complete. Values go from the record's bytes straight into columns; there are no links, no counterparts, no updates.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::batch::{Batch as Head, Decision, Item, ItemOutcome, Origin};
use super::context::Context;
use super::feed::Feed;
use super::one_per::{Survivors, survivors};
use super::outlook::Additions;
use super::record::{log_problem, rejected_row};
use super::transform::{map_outcome, record_rows, until_answered};
use super::{FlowSummary, Stop};
use crate::compile::compiled::{Flow, FlowId};
use crate::connector::ReadRequest;
use crate::expression::Record;
use crate::mapping::{Cell, Columns, Coverage, Mapper, Outcome, Reject};
use crate::snapshot::{
    ColumnBatch, ColumnsBuilder, Heads, LoadedRow, LoadedRows, PlannedRow, PlannedRows, RejectedRow,
    RejectedRows, RowHead, Rows,
};
use crate::state::{Batch, QueueClear, QueueFilter, QueueItem, QueueKind};

/// A batch as columns, with what did not become a row.
struct Columned {
    number: u32,
    columns: ColumnBatch,
    written: u64,
    /// Records that are not in the file.
    others: Vec<Item>,
    coverage: Coverage,
    rows: Vec<Rows>,
}

/// Runs a flow whose sink is a file.
pub(crate) async fn run(context: &Arc<Context>, id: FlowId, summary: &mut FlowSummary) -> Result<(), Stop> {
    let flow = &context.pipeline.flows[id];
    let first_sequence = context.state.next_sequence(1)?;
    let mut request = super::feed::read_request(context, id)?;
    request.cursor = None;
    let feed = feed(context, id, request).await?;
    let mut sink = match context.options.dry_run {
        true => None,
        false => Some(
            context
                .connection(flow.to)
                .open_sink(flow.to.stream, &flow.columns)?,
        ),
    };
    let reading = Arc::clone(context);
    let batches = futures::stream::try_unfold(feed, move |mut feed| {
        let context = Arc::clone(&reading);
        async move { Ok::<_, Stop>(feed.next(&context).await?.map(|batch| (batch, feed))) }
    });
    let mapping = Arc::clone(context);
    let mut batches = std::pin::pin!(
        batches
            .map(move |batch: Result<Head, Stop>| {
                let context = Arc::clone(&mapping);
                async move {
                    let counters = context.counters(id);
                    let batch = batch?;
                    counters.extract.records.add(batch.records.len() as u64);
                    tokio::spawn(columned(context, id, batch))
                        .await
                        .map_err(|error| Stop::Internal(format!("a mapping task failed: {error}")))?
                }
            })
            .buffered(context.options.workers.max(1))
    );
    while let Some(batch) = batches.try_next().await? {
        context.may_go_on()?;
        batch.coverage.add_to(
            &context.pipeline.enums,
            &mut summary.enum_coverage,
            &mut summary.unknown_values,
        );
        summary.read += batch.written + batch.others.len() as u64;
        if let Some(sink) = &mut sink {
            tokio::task::block_in_place(|| {
                sink.append(&batch.columns)?;
                journal(context, id, &batch)
            })?;
        }
        summary.created += batch.written;
        for other in &batch.others {
            match &other.outcome {
                ItemOutcome::Filtered | ItemOutcome::Deleted | ItemOutcome::Mapped(_) => {
                    summary.filtered += 1
                }
                ItemOutcome::Duplicate => summary.duplicate += 1,
                ItemOutcome::Skipped(_) => summary.skipped += 1,
                ItemOutcome::Rejected(_) => summary.rejected += 1,
                ItemOutcome::Held(_) => summary.held += 1,
                ItemOutcome::Waiting(_) => summary.waiting += 1,
            }
            foresee(context, id, other)?;
        }
        let counters = context.counters(id);
        counters
            .transform
            .records
            .add(batch.written + batch.others.len() as u64);
        counters.load.records.add(batch.written);
        check_budget(context, id, summary, false)?;
    }
    check_budget(context, id, summary, true)?;
    if let Some(collector) = &context.collector {
        collector.file(context, id, summary.created)?;
    }
    if let Some(sink) = sink {
        tokio::task::block_in_place(|| sink.commit())?;
        summary.writes += 1;
        forget_old_rejects(context, id, first_sequence)?;
    }
    Ok(())
}

/// Tells the plan of a record that would not be in the file.
fn foresee(context: &Context, id: FlowId, other: &Item) -> Result<(), Stop> {
    let Some(collector) = &context.collector else {
        return Ok(());
    };
    let decision = match &other.outcome {
        ItemOutcome::Skipped(reject) => Decision::Skipped(reject.clone()),
        ItemOutcome::Rejected(reject) => Decision::Rejected(reject.clone()),
        ItemOutcome::Held(reject) => Decision::Held(reject.clone()),
        ItemOutcome::Waiting(reject) => Decision::Waiting(reject.clone()),
        ItemOutcome::Mapped(_) | ItemOutcome::Filtered | ItemOutcome::Duplicate | ItemOutcome::Deleted => {
            return Ok(());
        }
    };
    collector.decided(context, id, other, &decision, Additions::default())
}

async fn feed(context: &Arc<Context>, id: FlowId, request: ReadRequest) -> Result<Feed, Stop> {
    let flow = &context.pipeline.flows[id];
    let options = &context.options;
    let feed = if let Some(past) = &options.from_run {
        Feed::given(super::asked::extracted(context, id, past)?, Origin::Snapshot, 0)
    } else if !options.only.is_empty() {
        let records = super::asked::asked(context, flow, &options.only).await?;
        Feed::given(records, Origin::Asked, 0)
    } else {
        let reader = context.connection(flow.from).read(flow.from.stream, request);
        Feed::pages(reader, options.limit)
    };
    super::gather::gathered(context, id, feed).await
}

/// Maps a batch into columns, asking what lookups miss in between.
async fn columned(context: Arc<Context>, id: FlowId, mut head: Head) -> Result<Columned, Stop> {
    let records = std::mem::take(&mut head.records);
    let survivors = survivors(&context, &context.pipeline.flows[id], records).await?;
    let shared = Arc::clone(&context);
    until_answered(&context, id, move |answers| {
        fill(&shared, id, &head, &survivors, answers)
    })
    .await?
}

fn fill(
    context: &Context,
    id: FlowId,
    head: &Head,
    Survivors { records, losers }: &Survivors,
    resolver: &crate::lookup::BatchResolver,
) -> Result<Columned, Stop> {
    let flow = &context.pipeline.flows[id];
    let mapper = Mapper::new(&context.pipeline, id);
    let mut builder = ColumnsBuilder::with_capacity(&flow.columns, records.len());
    let mut coverage = Coverage::new(&context.pipeline.enums);
    let mut others = Vec::new();
    let keep = context.pipeline.snapshots;
    let (now, number) = (Timestamp::now(), u64::from(head.number));
    let mut heads = keep.mapped.then(|| Heads::new(context.run, &flow.name, number));
    let mut planned = keep
        .planned
        .then(|| PlannedRows::new(context.run, &flow.name, number));
    let mut loaded = keep
        .loaded
        .then(|| LoadedRows::new(context.run, &flow.name, number));
    let kept = keep.mapped || keep.planned || keep.loaded;
    let mut keys: Vec<(String, u64)> = Vec::with_capacity(records.len());
    let mut written = 0;
    for (offset, record) in records.iter().enumerate() {
        let sequence = head.sequence + offset as u64;
        builder.begin_row(record.text());
        let outcome = mapper.map(record, resolver, &mut coverage, None);
        let (key, outcome) = match outcome {
            Outcome::Mapped(mapped) if losers.get(offset) == Some(&true) => {
                (mapped.key, ItemOutcome::Duplicate)
            }
            Outcome::Mapped(mapped) => match accept(context, flow, &mut builder, record, &mapped.cells) {
                Ok(()) => {
                    written += 1;
                    let correlation = match kept {
                        true => context.correlation(sequence),
                        false => String::new(),
                    };
                    let row_head = RowHead {
                        record_key: &mapped.key,
                        correlation_id: &correlation,
                        at: now,
                    };
                    if let Some(heads) = &mut heads {
                        heads.push(&row_head);
                    }
                    if let Some(planned) = &mut planned {
                        planned.push(
                            &row_head,
                            &PlannedRow {
                                decision: "create",
                                ..PlannedRow::default()
                            },
                        );
                    }
                    if let Some(loaded) = &mut loaded {
                        loaded.push(
                            &row_head,
                            &LoadedRow {
                                action: "create",
                                attempts: 1,
                                ..LoadedRow::default()
                            },
                        );
                    }
                    keys.push((mapped.key, sequence));
                    continue;
                }
                Err(reject) => (mapped.key, ItemOutcome::Rejected(reject)),
            },
            other => map_outcome(other, sequence),
        };
        keys.push((key.clone(), sequence));
        others.push(Item {
            key,
            sequence,
            record: record.clone(),
            outcome,
        });
    }
    let columns = builder.finish()?;
    let mut rows = Vec::new();
    if keep.extracted && context.writer.is_some() {
        rows.push(record_rows(context, id, head, records, &keys)?);
    }
    if context.writer.is_some() {
        if let Some(heads) = heads {
            rows.push(heads.mapped(&columns)?.repeatable());
        }
        rows.extend(
            planned
                .map(PlannedRows::finish)
                .transpose()?
                .map(Rows::repeatable),
        );
        rows.extend(loaded.map(LoadedRows::finish).transpose()?.map(Rows::repeatable));
    }
    Ok(Columned {
        number: head.number,
        columns,
        written,
        others,
        coverage,
        rows,
    })
}

/// Appends a row, if the flow's conditions hold.
fn accept(
    context: &Context,
    flow: &Flow,
    builder: &mut ColumnsBuilder,
    record: &Record,
    cells: &[Cell<'_>],
) -> Result<(), Reject> {
    match super::require::refusal(context, flow, record, cells, None) {
        Some(refusal) => Err(refusal),
        None => append(builder, cells),
    }
}

/// Appends a row; a value that does not fit its column rejects the record.
fn append(builder: &mut ColumnsBuilder, cells: &[Cell<'_>]) -> Result<(), Reject> {
    for (column, cell) in cells.iter().enumerate() {
        let value = match cell {
            Cell::Value(value) => Some(value),
            Cell::Absent | Cell::Pending(_) | Cell::List(_) => None,
        };
        if let Err(error) = builder.append(column, value) {
            builder.discard_row();
            let mut reject = Reject::new("type", "column_mismatch", error.to_string());
            reject.field = Some(error.column);
            return Err(reject);
        }
    }
    builder.end_row();
    Ok(())
}

/// Journals a batch and puts its rejects into the queue.
fn journal(context: &Context, id: FlowId, batch: &Columned) -> Result<(), Stop> {
    let flow = &context.pipeline.flows[id];
    let at = Timestamp::now();
    let mut rejected = RejectedRows::new(context.run, &flow.name, u64::from(batch.number));
    let mut put = Batch::new(context.flow_ref(flow), context.run, at);
    for other in &batch.others {
        let (kind, reject) = match &other.outcome {
            ItemOutcome::Rejected(reject) => (QueueKind::Rejected, reject),
            ItemOutcome::Held(reject) => (QueueKind::Held, reject),
            ItemOutcome::Waiting(reject) => (QueueKind::Waiting, reject),
            _ => continue,
        };
        log_problem(context, &flow.name, &other.key, kind, reject);
        let correlation = context.correlation(other.sequence);
        let head = RowHead {
            record_key: &other.key,
            correlation_id: &correlation,
            at,
        };
        let row: RejectedRow<'_> = rejected_row(reject);
        rejected.push(&head, &row);
        put.queue_put.push(QueueItem {
            kind,
            key: other.key.clone(),
            field: reject.field.clone(),
            rule: reject.rule.clone(),
            code: reject.code.to_owned(),
            reason: reject.message.clone(),
            value: reject.value.clone(),
            record: super::record::kept(context, id, &other.record),
            attempts: 1,
            first_seen: at,
            last_seen: at,
            sequence: other.sequence,
            run: context.run,
            waits_for: None,
            held_rows: Vec::new(),
        });
    }
    if let Some(writer) = &context.writer {
        for rows in &batch.rows {
            writer.append(rows)?;
        }
        let rejected = rejected.finish()?;
        if context.pipeline.snapshots.rejected && !rejected.is_empty() {
            writer.append(&rejected)?;
        }
        if !put.queue_put.is_empty() {
            writer.sync()?;
        }
    }
    if !put.queue_put.is_empty() {
        context.state.commit(&put)?;
    }
    Ok(())
}

/// The source was read whole: what waited before and was not refused again is in the file now, or gone from the source.
fn forget_old_rejects(context: &Context, id: FlowId, first_sequence: u64) -> Result<(), Stop> {
    if !context.options.only.is_empty() || context.options.limit.is_some() {
        return Ok(());
    }
    let flow = &context.pipeline.flows[id];
    let filter = QueueFilter {
        flow: Some(flow.name.clone()),
        ..QueueFilter::default()
    };
    let mut batch = Batch::new(context.flow_ref(flow), context.run, Timestamp::now());
    for (_, item) in context.state.queue_list(&context.pipeline.name, &filter)? {
        if item.sequence < first_sequence {
            batch.queue_clear.push(QueueClear {
                key: item.key,
                sequence: first_sequence,
            });
        }
    }
    context.state.commit(&batch)?;
    Ok(())
}

fn check_budget(context: &Context, id: FlowId, summary: &FlowSummary, at_end: bool) -> Result<(), Stop> {
    super::guard::check_rejects(&context.pipeline.flows[id].rejects.allow, summary, at_end)
}
