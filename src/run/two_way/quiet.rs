//! Quiet records: linked ones that equal their baseline. A scan brings every record in every run, and nearly all of them
//! are quiet; they are told apart before any rule is applied and any lookup is asked.

use std::sync::Arc;

use futures::Stream;

use super::judge::Judge;
use crate::compile::compiled::{Side, TwoWay, TwoWayId, WritePolicy};
use crate::expression::{Record, Scope, Value};
use crate::run::Stop;
use crate::run::batch::{Batch, Origin};
use crate::run::context::Context;
use crate::run::feed::Feed;
use crate::run::transform::{Transformed, record_key, transform, worked_ahead};
use crate::state::StoredPair;
use crate::sync::Way;

/// A batch of one side: what the rules made of the records that may have changed, and the quiet ones.
pub(super) struct Sifted {
    /// The others, mapped.
    pub(super) batch: Transformed,
    /// Linked records that equal their baselines.
    pub(super) quiet: Vec<Record>,
}

/// Batches of a feed, sifted and mapped ahead of the one that is being worked on, in order.
pub(super) fn sifted_ahead(
    context: Arc<Context>,
    id: TwoWayId,
    from: Side,
    feed: Feed,
    ahead: usize,
) -> impl Stream<Item = Result<Sifted, Stop>> {
    let direction = context.pipeline.two_way[id].to[from.other()];
    worked_ahead(context, direction, feed, ahead, move |context, batch| {
        sift(context, id, from, batch)
    })
}

async fn sift(context: Arc<Context>, id: TwoWayId, from: Side, mut batch: Batch) -> Result<Sifted, Stop> {
    let way = &context.pipeline.two_way[id];
    let direction = way.to[from.other()];
    let options = &context.options;
    let compares_all = options.full || !options.only.is_empty() || batch.origin == Origin::Queue;
    let is_quiet = match compares_all {
        true => vec![false; batch.records.len()],
        false => quiet(&context, way, from, &batch)?,
    };
    let mut quiet = Vec::new();
    let mut others = Vec::new();
    for (record, is_quiet) in std::mem::take(&mut batch.records).into_iter().zip(is_quiet) {
        if is_quiet {
            quiet.push(record)
        } else {
            others.push(record)
        }
    }
    batch.records = others;
    let kept = !context.options.dry_run;
    let batch = transform(Arc::clone(&context), direction, batch, kept).await?;
    Ok(Sifted { batch, quiet })
}

/// Which of a batch's records are quiet.
fn quiet(context: &Context, way: &TwoWay, from: Side, batch: &Batch) -> Result<Vec<bool>, Stop> {
    let stream = context.stream(way.streams[from]);
    let keys: Vec<Option<String>> = batch
        .records
        .iter()
        .map(|record| record_key(&stream.key, record))
        .collect();
    let asked: Vec<&str> = keys.iter().flatten().map(String::as_str).collect();
    let flow = context.flow_ref(&context.pipeline.flows[way.to[from]]);
    let stored = context.state.pairs(flow, from, &asked)?;
    let judge = Judge::new(context, way);
    let told = batch.records.iter().zip(&keys).map(|(record, key)| {
        let pair = key.as_ref().and_then(|key| stored.get(key));
        pair.is_some_and(|pair| equals(context, &judge, from, batch.sequence, record, pair))
    });
    Ok(told.collect())
}

/// Whether nothing of a record differs from its pair's baseline, and nothing of the pair waits to be tried again.
fn equals(
    context: &Context,
    judge: &Judge<'_>,
    from: Side,
    sequence: u64,
    record: &Record,
    pair: &StoredPair,
) -> bool {
    let way = judge.way();
    let (false, Some(baseline), Ok(view)) = (pair.tombstone, &pair.baseline, record.value()) else {
        return false;
    };
    if Judge::is_stale(way, from, &view, (sequence, false), baseline) || is_gone(context, way, from, &view) {
        return false;
    }
    let rows = baseline.aligned(judge.names());
    let facts = way.rows.iter().zip(judge.policies()).zip(&rows);
    facts.into_iter().all(|((row, policy), baseline)| {
        if baseline.held || baseline.fallback.remote || baseline.fallback.local {
            return false;
        }
        match (&row.fields[from], baseline.in_step) {
            (Some(path), Some(in_step)) => {
                let value = path.one(&view).unwrap_or(&Value::Null);
                in_step[from] == judge.fingerprints().seen(value).digest
            }
            (Some(_), None) => false,
            // Without a field on this side only the rules know whether the row has anything to say.
            (None, _) => !matches!(
                policy.ways[from.other()],
                Way::Open(WritePolicy::Always | WritePolicy::IfEmpty | WritePolicy::NeverNull)
            ),
        }
    })
}

/// Whether the source says that the record is deleted or erased.
fn is_gone(context: &Context, way: &TwoWay, from: Side, view: &Value<'_>) -> bool {
    let stream = context.stream(way.streams[from]);
    let said = [&stream.deleted_when, &stream.erased_when];
    let mut said = said.into_iter().flatten();
    said.any(|template| {
        template
            .is_true(&Scope::new().with("record", view))
            .unwrap_or(true)
    })
}
