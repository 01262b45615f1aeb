//! Committing a batch: every change of it in one transaction.

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, params};

use super::{Failure, lookups, micros, pairs, queue, to_stored};
use crate::state::baseline::encode_rows;
use crate::state::{Baseline, Batch, CANONICAL_FORM, Committed, CursorPut, FlowRef, LinkChange, StateError};

pub(super) fn commit(transaction: &Transaction<'_>, batch: &Batch) -> Result<Committed, Failure> {
    let flow = make_flow(transaction, batch.flow_ref())?;
    put_links(transaction, flow, batch)?;
    put_baselines(transaction, flow, &batch.baselines)?;
    let stale_pairs = pairs::put(transaction, flow, &batch.pairs)?;
    // Puts before clears: of two observations of one record in a batch, the newer one decides in either order.
    let stale = queue::put(transaction, flow, &batch.queue_put)?;
    queue::clear(transaction, flow, &batch.queue_clear)?;
    lookups::put_fallbacks(transaction, flow, &batch.fallbacks_of, &batch.fallbacks)?;
    put_created(transaction, batch)?;
    let mut settle = transaction.prepare_cached("DELETE FROM intents WHERE id = ?1")?;
    for intent in &batch.intents_settled {
        settle.execute([intent.to_string()])?;
    }
    put_cursors(transaction, flow, batch, &batch.cursors)?;
    Ok(Committed { stale, stale_pairs })
}

/// A flow's number, given now if it has none.
pub(super) fn make_flow(connection: &Connection, flow: FlowRef<'_>) -> rusqlite::Result<i64> {
    if let Some(number) = super::read::flow_number(connection, flow)? {
        return Ok(number);
    }
    connection
        .prepare_cached("INSERT INTO flows (pipeline, name) VALUES (?1, ?2) RETURNING id")?
        .query_row([flow.pipeline, flow.flow], |row| row.get(0))
}

fn put_links(transaction: &Transaction<'_>, flow: i64, batch: &Batch) -> Result<(), Failure> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO links (flow, source, target) VALUES (?1, ?2, ?3) \
         ON CONFLICT (flow, source) DO UPDATE SET target = excluded.target, tombstone = 0",
    )?;
    let mut end =
        transaction.prepare_cached("UPDATE links SET tombstone = 1 WHERE flow = ?1 AND source = ?2")?;
    let mut end_baseline = transaction.prepare_cached(
        "DELETE FROM baselines WHERE link = (SELECT id FROM links WHERE flow = ?1 AND source = ?2)",
    )?;
    let mut end_pair = transaction.prepare_cached(
        "DELETE FROM pairs WHERE link = (SELECT id FROM links WHERE flow = ?1 AND source = ?2)",
    )?;
    // What is remembered of a pair is worth nothing for another one.
    let mut part = transaction.prepare_cached(
        "DELETE FROM pairs WHERE link = (SELECT id FROM links WHERE flow = ?1 AND source = ?2 AND target IS NOT ?3)",
    )?;
    let mut forget = transaction.prepare_cached("DELETE FROM links WHERE flow = ?1 AND source = ?2")?;
    for change in &batch.links {
        match change {
            LinkChange::Put { source, target } => {
                part.execute(params![flow, source, target])?;
                if let Err(error) = put.execute(params![flow, source, target]) {
                    return Err(taken(transaction, flow, batch, source, target, error)?);
                }
            }
            LinkChange::End { source } => {
                end.execute(params![flow, source])?;
                end_baseline.execute(params![flow, source])?;
                end_pair.execute(params![flow, source])?;
            }
            LinkChange::Forget { source } => {
                forget.execute(params![flow, source])?;
            }
        }
    }
    Ok(())
}

/// What the refusal of a link means.
fn taken(
    transaction: &Transaction<'_>,
    flow: i64,
    batch: &Batch,
    source: &str,
    target: &str,
    error: rusqlite::Error,
) -> Result<Failure, Failure> {
    if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) {
        return Ok(error.into());
    }
    let taken_by = transaction
        .query_row(
            "SELECT source FROM links WHERE flow = ?1 AND target = ?2",
            params![flow, target],
            |row| row.get(0),
        )
        .optional()?;
    Ok(match taken_by {
        Some(taken_by) => Failure::State(Box::new(StateError::LinkTaken {
            flow: batch.flow.clone(),
            source_key: source.to_owned(),
            target: target.to_owned(),
            taken_by,
        })),
        None => error.into(),
    })
}

fn put_baselines(
    transaction: &Transaction<'_>,
    flow: i64,
    baselines: &[(String, Baseline)],
) -> Result<(), Failure> {
    let mut number = transaction.prepare_cached("SELECT id FROM links WHERE flow = ?1 AND source = ?2")?;
    let mut insert =
        transaction.prepare_cached("INSERT INTO links (flow, source) VALUES (?1, ?2) RETURNING id")?;
    let mut put = transaction.prepare_cached(
        "INSERT INTO baselines (link, source_version, sequence, form, row_list, whole, rows) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (link) DO UPDATE SET \
         source_version = excluded.source_version, sequence = excluded.sequence, form = excluded.form, \
         row_list = excluded.row_list, whole = excluded.whole, rows = excluded.rows \
         WHERE excluded.sequence >= sequence OR excluded.form <> form",
    )?;
    let mut lists: Vec<(&Arc<[String]>, i64)> = Vec::new();
    for (source, baseline) in baselines {
        let list = row_list(transaction, &mut lists, &baseline.names)?;
        let link: i64 = match number
            .query_row(params![flow, source], |row| row.get(0))
            .optional()?
        {
            Some(link) => link,
            None => insert.query_row(params![flow, source], |row| row.get(0))?,
        };
        put.execute(params![
            link,
            baseline.source_version,
            to_stored(baseline.sequence),
            CANONICAL_FORM,
            list,
            baseline.whole.0,
            encode_rows(&baseline.rows),
        ])?;
    }
    Ok(())
}

/// The number of a list of row names, given now if it has none; `known` are those of this batch.
pub(super) fn row_list<'b>(
    transaction: &Transaction<'_>,
    known: &mut Vec<(&'b Arc<[String]>, i64)>,
    names: &'b Arc<[String]>,
) -> rusqlite::Result<i64> {
    let is_same = |other: &Arc<[String]>| Arc::ptr_eq(other, names) || **other == **names;
    if let Some((_, list)) = known.iter().find(|(other, _)| is_same(other)) {
        return Ok(*list);
    }
    let list = make_row_list(transaction, names)?;
    known.push((names, list));
    Ok(list)
}

fn make_row_list(transaction: &Transaction<'_>, names: &[String]) -> rusqlite::Result<i64> {
    let text = serde_json::Value::from(names).to_string();
    transaction
        .prepare_cached("INSERT INTO row_lists (names) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([&text])?;
    transaction
        .prepare_cached("SELECT id FROM row_lists WHERE names = ?1")?
        .query_row([&text], |row| row.get(0))
}

fn put_created(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO creates (connection, stream, key, pipeline, run, claimed, created_key, created) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6) ON CONFLICT (connection, stream, key) DO UPDATE SET \
         created_key = excluded.created_key, created = excluded.created",
    )?;
    for created in &batch.created {
        let claim = &created.claim;
        put.execute(params![
            claim.connection,
            claim.stream,
            claim.key,
            batch.pipeline,
            batch.run.to_string(),
            micros(batch.at),
            created.key,
        ])?;
    }
    Ok(())
}

fn put_cursors(
    transaction: &Transaction<'_>,
    flow: i64,
    batch: &Batch,
    cursors: &[CursorPut],
) -> rusqlite::Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO cursors (flow, stream, cursor, selection, run, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (flow, stream) DO UPDATE SET cursor = excluded.cursor, selection = excluded.selection, \
         run = excluded.run, updated = excluded.updated",
    )?;
    for cursor in cursors {
        put.execute(params![
            flow,
            cursor.stream,
            cursor.cursor,
            cursor.selection,
            batch.run.to_string(),
            micros(batch.at),
        ])?;
    }
    Ok(())
}
