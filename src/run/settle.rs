//! Settling the writes of a run that died: each open intent is a request that may or may not have been carried out.
//!
//! The cursor never moved past their records, so updates and deletes need nothing: the record is read again and compared
//! with the sink. Jobs are asked after first, so that none of them writes behind our back. A create is sent again under
//! its idempotency key while the system remembers it; else the record is searched for by the flow's match once the
//! system's search has caught up. What cannot be known is held.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Stop;
use super::context::Context;
use super::settle_job::{ItemEnd, ended_jobs};
use crate::compile::compiled::{ConnectionId, Flow, Side, Stream};
use crate::connector::{Prepared, WriteOutcome};
use crate::state::{
    Batch, HeldRow, Intent, LinkChange, PairIntent, PairKeys, QueueItem, QueueKind, QueuedRecord, SideMark,
};
use crate::sync::{Fingerprints, Seen, row_names};

/// How long a request may still be under way after its process died.
const LONGEST_REQUEST: Duration = Duration::from_secs(30);

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
                    created(context, flow, &intent, key.clone(), &mut batch).await?;
                }
                Some(ItemEnd::Refused) => {}
                Some(ItemEnd::MayComeYet) => hold(context, &intent, &mut batch, "whose job is not over")?,
                Some(ItemEnd::Written { key: None } | ItemEnd::Unknown) | None => {
                    settle_create(context, flow, &intent, &mut batch).await?;
                }
            },
            ("update", Some(pair)) => settle_pair(context, flow, pair, &mut batch).await?,
            // The cursor never moved past the record: it is read again and compared.
            _ => {}
        }
        context.state.commit(&batch)?;
    }
    Ok(())
}

async fn settle_create(
    context: &Context,
    flow: &Flow,
    intent: &Intent,
    batch: &mut Batch,
) -> Result<(), Stop> {
    let (connection, stream) = place_of(context, intent)?;
    let stream = &context.pipeline.connections[connection].connector.streams[stream];
    let prepared: Prepared = serde_json::from_slice(&intent.request)
        .map_err(|error| Stop::Internal(format!("a stored intent cannot be read: {error}")))?;
    let age = Timestamp::now().duration_since(intent.first_sent);
    let remembered = prepared
        .idempotency_seconds
        .is_some_and(|seconds| age < SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)));
    if prepared.idempotency_key.is_some() && remembered {
        match context.connections[connection].execute(&prepared).await {
            WriteOutcome::Written { key: Some(key), .. } => {
                created(context, flow, intent, key, batch).await?;
                return Ok(());
            }
            WriteOutcome::Stopped(error) => return Err(Stop::Connector(error)),
            // Refused or not: the record is read again and decided anew.
            _ => return Ok(()),
        }
    }
    let searchable = intent.create.is_some()
        || flow
            .matches
            .iter()
            .any(|attempt| attempt.keys.iter().any(|key| key.find.is_some()));
    if searchable {
        return wait_for_search(context, stream, age).await;
    }
    hold(context, intent, batch, "which cannot be searched for it")
}

/// The connection and the stream that an intent writes to.
pub(super) fn place_of(context: &Context, intent: &Intent) -> Result<(ConnectionId, usize), Stop> {
    let connections = &context.pipeline.connections;
    let connection = connections.iter().position(|one| one.name == intent.connection);
    let place = connection.and_then(|connection| {
        let streams = &connections[connection].connector.streams;
        let stream = streams.iter().position(|stream| stream.name == intent.stream)?;
        Some((connection, stream))
    });
    place.ok_or_else(|| {
        Stop::Refused(format!(
            "a write to `{}.{}` is not settled, and the pipeline does not know that stream any more",
            intent.connection, intent.stream
        ))
    })
}

/// What the answer to a create would have led to.
async fn created(
    context: &Context,
    flow: &Flow,
    intent: &Intent,
    key: String,
    batch: &mut Batch,
) -> Result<(), Stop> {
    if let Some(pair) = &intent.pair {
        let mut pair = pair.clone();
        pair.keys[pair.to] = Some(key);
        return settle_pair(context, flow, &pair, batch).await;
    }
    match (&intent.create, &intent.baseline) {
        (Some(claim), _) => batch.created.push(crate::state::Created {
            claim: claim.clone(),
            key,
        }),
        (None, baseline) => {
            batch.links.push(LinkChange::Put {
                source: intent.source_key.clone(),
                target: key,
            });
            if let Some(baseline) = baseline {
                batch
                    .baselines
                    .push((intent.source_key.clone(), baseline.clone()));
            }
        }
    }
    Ok(())
}

/// Leaves a create to a person.
fn hold(context: &Context, intent: &Intent, batch: &mut Batch, why: &str) -> Result<(), Stop> {
    batch.queue_put.push(QueueItem {
        kind: QueueKind::Held,
        key: intent.source_key.clone(),
        field: None,
        rule: "settle".to_owned(),
        code: "outcome_unknown".to_owned(),
        reason: format!(
            "run {} was interrupted while it created this record in `{}.{}`, {why}: look there, then `queue drop` (it is there) or `queue retry` (it is not)",
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
    });
    // So that the record, when it is read again, counts as loaded until a person says otherwise.
    if let Some(baseline) = &intent.baseline {
        batch
            .baselines
            .push((intent.source_key.clone(), baseline.clone()));
    }
    Ok(())
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
        key: remote.to_owned(),
        field: Some(rows.join(", ")),
        rule: "settle".to_owned(),
        code: "outcome_unknown".to_owned(),
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
    let Some(wait) = (behind + LONGEST_REQUEST).checked_sub(age) else {
        return Ok(());
    };
    tracing::info!(seconds = wait.as_secs(), stream = %stream.name, "Waiting until a search finds what may have been written.");
    tokio::select! {
        () = tokio::time::sleep(wait) => Ok(()),
        () = context.cancellation.polite().cancelled() => Err(Stop::Cancelled),
    }
}
