//! Settling the writes of a run that died: each open intent is a request that may or may not have been carried out.
//!
//! The cursor never moved past their records, so updates and deletes need nothing: the record is read again and compared
//! with the sink. Jobs are asked after first, so that none of them writes behind our back. A create is sent again under
//! its idempotency key while the system remembers it; else the record is looked for by the mark that it carries or by
//! what was written, or found by the flow's match, once the system's search has caught up. What cannot be known is held,
//! and not created again before a person has looked. [`guarantees`] tells people which of these it will be, and both
//! read it from [`lost_create`].
//!
//! [`guarantees`]: crate::compile::guarantees

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Stop;
use super::context::Context;
use super::flow::readable_by_key;
use super::load::OUTCOME_UNKNOWN;
use super::settle_job::{ItemEnd, ended_jobs};
use crate::compile::compiled::{Flow, Side, Stream, StreamRef};
use crate::compile::{LostCreate, lost_create};
use crate::connector::{Prepared, WriteOutcome};
use crate::crash::{self, Point};
use crate::snapshot::{LoadedRow, LoadedRows, RowHead};
use crate::state::{
    Batch, Created, HeldRow, Intent, LinkChange, PairIntent, PairKeys, QueueItem, QueueKind, QueuedRecord,
    SideMark, queue_key,
};
use crate::sync::{Fingerprints, Seen, row_names};

/// How long a request may still be under way after its process died.
const LONGEST_REQUEST: Duration = Duration::from_secs(30);

/// The rule that queue items of this module name.
pub(crate) const RULE: &str = "settle";

/// Settles every open intent of the pipeline.
pub(crate) async fn settle(context: &Context) -> Result<(), Stop> {
    let intents = context.state.open_intents(&context.pipeline.name)?;
    if intents.is_empty() {
        return Ok(());
    }
    tracing::info!(
        intents = intents.len(),
        "Settling writes whose answers were lost."
    );
    let jobs = ended_jobs(context, &intents).await?;
    for intent in intents {
        context.may_go_on()?;
        crash::at(Point::SettleBefore);
        let Some(flow) = context
            .pipeline
            .flows
            .iter()
            .find(|flow| flow.name == intent.flow)
        else {
            return Err(Stop::Refused(format!(
                "a write of flow `{}` is not settled, and the pipeline has no such flow any more: bring it back for one run",
                intent.flow
            )));
        };
        let mut batch = Batch::new(context.flow_ref(flow), context.run, Timestamp::now());
        batch.intents_settled.push(intent.id);
        match (intent.operation.as_str(), &intent.pair) {
            ("create", _) => match jobs.get(&intent.id) {
                Some(ItemEnd::Written { key: Some(key) }) => {
                    adopt(context, flow, &intent, key.clone(), true, &mut batch).await?;
                }
                Some(ItemEnd::Refused) => {}
                Some(ItemEnd::MayComeYet) => {
                    let why = "its job is not over: look there when it is, then `links add` and `queue drop` (it is there) or `queue retry` (it is not)";
                    batch
                        .queue_put
                        .push(doubtful(context, flow, &intent, &batch, why)?);
                }
                Some(ItemEnd::Written { key: None } | ItemEnd::Unknown) | None => {
                    settle_create(context, flow, &intent, &mut batch).await?;
                }
            },
            ("update", Some(pair)) => settle_pair(context, flow, pair, &mut batch).await?,
            // The cursor never moved past the record: it is read again and compared.
            _ => {}
        }
        crash::at(Point::SettleKnown);
        context.state.commit(&batch)?;
        crash::at(Point::SettleAfter);
    }
    Ok(())
}

async fn settle_create(
    context: &Context,
    flow: &Flow,
    intent: &Intent,
    batch: &mut Batch,
) -> Result<(), Stop> {
    let sink = sink_of(context, intent)?;
    let mut prepared: Prepared = serde_json::from_slice(&intent.request)
        .map_err(|error| Stop::Internal(format!("a stored intent cannot be read: {error}")))?;
    // The connector's file may have changed since.
    prepared.stream = sink.stream;
    let age = Timestamp::now().duration_since(intent.first_sent);
    let remembered = prepared
        .idempotency_seconds
        .is_some_and(|seconds| age < SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)));
    if prepared.idempotency_key.is_some() && remembered {
        match context.connection(sink).execute(&prepared).await {
            WriteOutcome::Written { key: Some(key), .. } => {
                return adopt(context, flow, intent, key, true, batch).await;
            }
            WriteOutcome::Stopped(error) => return Err(Stop::Connector(error)),
            WriteOutcome::Written { key: None, .. } | WriteOutcome::Unknown { .. } => {}
            // Refused: the record is read again and decided anew.
            _ => return Ok(()),
        }
    }
    let stream = context.stream(sink);
    let lost = lost_create(flow, stream);
    if prepared.find_again.is_some() {
        let found = find(context, flow, sink, &prepared, intent).await?;
        let certain = lost == LostCreate::Marked;
        match <[String; 1]>::try_from(found) {
            Ok([key]) => return adopt(context, flow, intent, key, certain, batch).await,
            Err(none) if none.is_empty() => return Ok(()),
            // A lookup has its own word for several; a flow has none for two records that it may have made.
            Err(_) if intent.create.is_some() => return Ok(()),
            Err(several) => {
                let found = format!(
                    "`{}` hold what it wrote: `links add` the right one and `queue drop` this",
                    several.join("`, `")
                );
                batch
                    .queue_put
                    .push(doubtful(context, flow, intent, batch, &found)?);
                return Ok(());
            }
        }
    }
    if intent.create.is_some() || matches!(lost, LostCreate::Matched { .. }) {
        return wait_for_search(context, stream, age).await;
    }
    let unfindable = "it cannot be searched for: look there, then `links add` and `queue drop` (it is there) or `queue retry` (it is not)";
    batch
        .queue_put
        .push(doubtful(context, flow, intent, batch, unfindable)?);
    Ok(())
}

/// The stream that an intent writes to.
pub(super) fn sink_of(context: &Context, intent: &Intent) -> Result<StreamRef, Stop> {
    let connections = &context.pipeline.connections;
    let connection = connections.iter().position(|one| one.name == intent.connection);
    let place = connection.and_then(|connection| {
        let streams = &connections[connection].connector.streams;
        let stream = streams.iter().position(|stream| stream.name == intent.stream)?;
        Some(StreamRef { connection, stream })
    });
    place.ok_or_else(|| {
        Stop::Refused(format!(
            "a write to `{}.{}` is not settled, and the pipeline does not know that stream any more",
            intent.connection, intent.stream
        ))
    })
}

/// Keys of the records that a lost create may have made, without those that are known to be something else. That there
/// is none counts only once the request cannot be under way any more and a search would show it.
async fn find(
    context: &Context,
    flow: &Flow,
    sink: StreamRef,
    prepared: &Prepared,
    intent: &Intent,
) -> Result<Vec<String>, Stop> {
    let stream = context.stream(sink);
    for waited in [false, true] {
        if waited {
            let age = Timestamp::now().duration_since(intent.first_sent);
            wait_for_search(context, stream, age).await?;
        }
        let records = context
            .connection(sink)
            .find_again(prepared, intent.first_sent)
            .await?;
        let mut keys: Vec<String> = records
            .iter()
            .filter_map(|record| stream.key.one(&record.value().ok()?)?.key_text())
            .collect();
        keys.dedup();
        if intent.create.is_none() {
            let taken = taken(context, flow, intent, &keys)?;
            keys.retain(|key| !taken.contains(key));
        }
        if !keys.is_empty() {
            return Ok(keys);
        }
    }
    Ok(Vec::new())
}

/// Those of the sink's records that are linked already.
fn taken(context: &Context, flow: &Flow, intent: &Intent, keys: &[String]) -> Result<HashSet<String>, Stop> {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let place = context.flow_ref(flow);
    Ok(match &intent.pair {
        Some(pair) => context.state.pairs(place, pair.to, &keys)?.into_keys().collect(),
        None => context.state.linked_sources(place, &keys)?.into_keys().collect(),
    })
}

/// Takes a record for the one that the intent created. Only of a `certain` one it is known that it holds what was
/// written; another one is compared when its source is read again.
async fn adopt(
    context: &Context,
    flow: &Flow,
    intent: &Intent,
    key: String,
    certain: bool,
    batch: &mut Batch,
) -> Result<(), Stop> {
    journal(context, flow, intent, &key, batch.at)?;
    if let Some(pair) = &intent.pair {
        let mut pair = pair.clone();
        pair.keys[pair.to] = Some(key);
        return settle_pair(context, flow, &pair, batch).await;
    }
    if let Some(claim) = &intent.create {
        batch.created.push(Created {
            claim: claim.clone(),
            key,
        });
        return Ok(());
    }
    batch.links.push(LinkChange::Put {
        source: intent.source_key.clone(),
        target: key,
    });
    if let (true, Some(baseline)) = (certain, &intent.baseline) {
        batch
            .baselines
            .push((intent.source_key.clone(), baseline.clone()));
    }
    Ok(())
}

/// The dead run could not say in its snapshots that it created this record; this run says it.
fn journal(context: &Context, flow: &Flow, intent: &Intent, key: &str, at: Timestamp) -> Result<(), Stop> {
    let Some(writer) = &context.writer else {
        return Ok(());
    };
    if !context.pipeline.snapshots.loaded {
        return Ok(());
    }
    let correlation = context.correlation(0);
    let mut rows = LoadedRows::new(context.run, &flow.name, 0);
    let head = RowHead {
        record_key: &intent.source_key,
        correlation_id: &correlation,
        at,
    };
    let row = LoadedRow {
        action: if intent.create.is_some() {
            "create_reference"
        } else {
            &intent.operation
        },
        remote_key: Some(key),
        status: None,
        attempts: 1,
        latency_ms: None,
        error: None,
        request_id: Some(&intent.id.to_string()),
    };
    rows.push(&head, &row);
    writer.append(&rows.finish()?)?;
    Ok(writer.sync()?)
}

/// The queue's item of a create of which nobody knows whether it was carried out.
fn doubtful(
    context: &Context,
    flow: &Flow,
    intent: &Intent,
    batch: &Batch,
    cure: &str,
) -> Result<QueueItem, Stop> {
    Ok(QueueItem {
        kind: QueueKind::Held,
        key: context.waits_as(flow, &intent.source_key),
        field: None,
        rule: RULE.to_owned(),
        code: OUTCOME_UNKNOWN.to_owned(),
        reason: format!(
            "run {} was interrupted while it created this record in `{}.{}`, and {cure}",
            intent.run, intent.connection, intent.stream
        ),
        value: None,
        record: QueuedRecord::KeyOnly,
        attempts: 1,
        first_seen: batch.at,
        last_seen: batch.at,
        sequence: context.state.next_sequence(1)?,
        run: context.run,
        waits_for: None,
        held_rows: Vec::new(),
    })
}

/// Reads the record that was to be written, and moves the rows of its pair that show what was sent, as the answer would
/// have.
async fn settle_pair(
    context: &Context,
    flow: &Flow,
    intent: &PairIntent,
    batch: &mut Batch,
) -> Result<(), Stop> {
    let way = flow
        .direction_of
        .and_then(|direction| context.pipeline.two_way.get(direction.two_way));
    let (Some(way), Some(remote), Some(local)) = (way, &intent.keys.remote, &intent.keys.local) else {
        return Ok(());
    };
    let stream = way.streams[intent.to];
    let Some(key) = &intent.keys[intent.to] else {
        return Ok(());
    };
    if !readable_by_key(context, stream) {
        // Only a mark that it carries can have told that it is there, so it holds what was sent.
        let settled = crate::sync::settled_as_sent(intent);
        batch.links.push(LinkChange::Put {
            source: remote.clone(),
            target: local.clone(),
        });
        let keys = PairKeys {
            remote: remote.clone(),
            local: local.clone(),
        };
        batch.pairs.push((keys, settled));
        return Ok(());
    }
    let sequence = context.state.next_sequence(1)?;
    let Some(record) = context.connection(stream).get(stream.stream, key).await? else {
        return Ok(());
    };
    let view = record
        .value()
        .map_err(|error| Stop::Internal(format!("a record of the sink cannot be read: {error}")))?;
    let fingerprints = Fingerprints::new(context.digester.clone());
    let names = row_names(way);
    let shown = |name: &String| {
        let position = names.iter().position(|other| other == name)?;
        let row = way.rows.get(position)?;
        let value = row.fields[intent.to].as_ref()?.one(&view)?;
        Some(fingerprints.seen(value))
    };
    let present: Vec<Option<Seen>> = intent.before.names.iter().map(shown).collect();
    let mark = SideMark {
        sequence,
        version: way.changed_at[intent.to]
            .as_ref()
            .and_then(|path| path.one(&view)?.key_text()),
        own_write: false,
    };
    let flow_ref = context.flow_ref(flow);
    let stored = context
        .state
        .pairs(flow_ref, Side::Remote, &[remote.as_str()])?
        .remove(remote);
    let linked = stored.as_ref().is_some_and(|stored| !stored.tombstone);
    let stored = stored.and_then(|stored| stored.baseline);
    let settled = crate::sync::settle(stored, intent, mark, &present);
    if !settled.unknown.is_empty() {
        let unknown = settled
            .unknown
            .iter()
            .filter_map(|row| intent.before.names.get(*row));
        let unknown = unknown.filter_map(|name| way.rows.get(names.iter().position(|other| other == name)?));
        let rows: Vec<&str> = unknown.map(|row| row.name.as_str()).collect();
        batch
            .queue_put
            .push(outcome_unknown(context, batch, remote, &rows, sequence));
    }
    if !linked {
        batch.links.push(LinkChange::Put {
            source: remote.clone(),
            target: local.clone(),
        });
    }
    let keys = PairKeys {
        remote: remote.clone(),
        local: local.clone(),
    };
    batch.pairs.push((keys, settled.baseline));
    Ok(())
}

/// Rows that a dead run wrote or did not write: what they show now, somebody made of them.
fn outcome_unknown(
    context: &Context,
    batch: &Batch,
    remote: &str,
    rows: &[&str],
    sequence: u64,
) -> QueueItem {
    let reason = "an interrupted run was about to write it, and it has been changed since";
    QueueItem {
        kind: QueueKind::Held,
        // Both passes name the held rows of a pair by its remote record.
        key: queue_key(Side::Remote, remote),
        field: Some(rows.join(", ")),
        rule: RULE.to_owned(),
        code: OUTCOME_UNKNOWN.to_owned(),
        reason: format!("{reason}: choose the side that counts with `queue resolve`"),
        value: None,
        record: QueuedRecord::KeyOnly,
        attempts: 1,
        first_seen: batch.at,
        last_seen: batch.at,
        sequence,
        run: context.run,
        waits_for: None,
        held_rows: rows
            .iter()
            .map(|row| HeldRow {
                row: (*row).to_owned(),
                remote: None,
                local: None,
                reason: reason.to_owned(),
                ruling: None,
            })
            .collect(),
    }
}

/// Waits until a search would find what the lost request may have written.
async fn wait_for_search(context: &Context, stream: &Stream, age: SignedDuration) -> Result<(), Stop> {
    let behind = stream
        .find
        .iter()
        .map(|find| find.behind)
        .max()
        .unwrap_or_default();
    let age = Duration::try_from(age).unwrap_or_default();
    let Some(wait) = crash::scaled(behind + LONGEST_REQUEST).checked_sub(age) else {
        return Ok(());
    };
    tracing::info!(seconds = wait.as_secs_f32(), stream = %stream.name, "Waiting until a search finds what may have been written.");
    tokio::select! {
        () = tokio::time::sleep(wait) => Ok(()),
        () = context.cancellation.polite().cancelled() => Err(Stop::Cancelled),
    }
}
