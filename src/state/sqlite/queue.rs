//! The queue in SQLite.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::read::flow_number;
use super::{Failure, micros, run_id, time, to_count, to_limit, to_stored, unreadable};
use crate::compile::compiled::Side;
use crate::state::{FlowRef, HeldRow, QueueClear, QueueFilter, QueueItem, QueueKind, QueuedRecord, WaitsFor};

const COLUMNS: &str = "queue.kind, queue.key, queue.field, queue.rule, queue.code, queue.reason, queue.value, \
    queue.record, queue.as_received, queue.attempts, queue.first_seen, queue.last_seen, queue.sequence, queue.run, \
    queue.waits_for_flow, queue.waits_for_key, queue.held_rows";

fn item(row: &Row<'_>) -> rusqlite::Result<QueueItem> {
    let kind = row.get_ref(0)?.as_str()?;
    let record: Option<String> = row.get(7)?;
    let as_received: bool = row.get(8)?;
    let waits_for = row
        .get::<_, Option<String>>(14)?
        .zip(row.get::<_, Option<String>>(15)?);
    Ok(QueueItem {
        kind: QueueKind::parse(kind).ok_or_else(|| unreadable("kind", format!("unknown `{kind}`")))?,
        key: row.get(1)?,
        field: row.get(2)?,
        rule: row.get(3)?,
        code: row.get(4)?,
        reason: row.get(5)?,
        value: row.get(6)?,
        record: match record {
            Some(text) if as_received => QueuedRecord::AsReceived(text),
            Some(text) => QueuedRecord::Redacted(text),
            None => QueuedRecord::KeyOnly,
        },
        attempts: row.get(9)?,
        first_seen: time(row.get(10)?)?,
        last_seen: time(row.get(11)?)?,
        sequence: to_count(row.get(12)?),
        run: run_id(row.get_ref(13)?.as_str()?)?,
        waits_for: waits_for.map(|(flow, key)| WaitsFor { flow, key }),
        held_rows: held_rows(row.get_ref(16)?.as_str_or_null()?)?,
    })
}

fn held_rows(stored: Option<&str>) -> rusqlite::Result<Vec<HeldRow>> {
    match stored {
        Some(text) => serde_json::from_str(text).map_err(|error| unreadable("held_rows", error)),
        None => Ok(Vec::new()),
    }
}

/// As it is stored; none for items without held rows.
fn to_held_rows(rows: &[HeldRow]) -> rusqlite::Result<Option<String>> {
    let text = (!rows.is_empty()).then(|| serde_json::to_string(rows));
    text.transpose()
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Stores items; returns the keys of those that were left out because something newer is known of their record.
pub(super) fn put(
    transaction: &Transaction<'_>,
    flow: i64,
    items: &[QueueItem],
) -> rusqlite::Result<Vec<String>> {
    let mut stale = Vec::new();
    let mut put = transaction.prepare_cached(
        "INSERT INTO queue (flow, key, kind, field, rule, code, reason, value, record, as_received, attempts, \
         first_seen, last_seen, sequence, run, waits_for_flow, waits_for_key, held_rows) \
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18 \
         WHERE NOT EXISTS (SELECT 1 FROM links JOIN baselines ON link = id \
             WHERE flow = ?1 AND source = ?2 AND sequence > ?14) \
         ON CONFLICT (flow, key) DO UPDATE SET kind = excluded.kind, field = excluded.field, rule = excluded.rule, \
         code = excluded.code, reason = excluded.reason, value = excluded.value, record = excluded.record, \
         as_received = excluded.as_received, attempts = excluded.attempts, last_seen = excluded.last_seen, \
         sequence = excluded.sequence, run = excluded.run, waits_for_flow = excluded.waits_for_flow, \
         waits_for_key = excluded.waits_for_key, held_rows = excluded.held_rows, retry_asked = 0 \
         WHERE excluded.sequence >= queue.sequence",
    )?;
    for item in items {
        let (record, as_received) = match &item.record {
            QueuedRecord::AsReceived(text) => (Some(text), true),
            QueuedRecord::Redacted(text) => (Some(text), false),
            QueuedRecord::KeyOnly => (None, false),
        };
        let changed = put.execute(params![
            flow,
            item.key,
            item.kind.word(),
            item.field,
            item.rule,
            item.code,
            item.reason,
            item.value,
            record,
            as_received,
            item.attempts,
            micros(item.first_seen),
            micros(item.last_seen),
            to_stored(item.sequence),
            item.run.to_string(),
            item.waits_for.as_ref().map(|waits_for| &waits_for.flow),
            item.waits_for.as_ref().map(|waits_for| &waits_for.key),
            to_held_rows(&item.held_rows)?,
        ])?;
        if changed == 0 {
            stale.push(item.key.clone());
        }
    }
    Ok(stale)
}

pub(super) fn clear(transaction: &Transaction<'_>, flow: i64, clears: &[QueueClear]) -> rusqlite::Result<()> {
    let mut clear =
        transaction.prepare_cached("DELETE FROM queue WHERE flow = ?1 AND key = ?2 AND sequence <= ?3")?;
    for record in clears {
        clear.execute(params![flow, record.key, to_stored(record.sequence)])?;
    }
    Ok(())
}

pub(super) fn held(
    connection: &Connection,
    flow: FlowRef<'_>,
    code: &str,
) -> rusqlite::Result<HashMap<String, String>> {
    let Some(number) = flow_number(connection, flow)? else {
        return Ok(HashMap::new());
    };
    connection
        .prepare_cached(
            "SELECT key, reason FROM queue WHERE flow = ?1 AND kind = 'held' AND code = ?2 AND retry_asked = 0",
        )?
        .query_map(params![number, code], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

pub(super) fn list(
    connection: &Connection,
    pipeline: &str,
    filter: &QueueFilter,
) -> rusqlite::Result<Vec<(String, QueueItem)>> {
    let sql = format!(
        "SELECT {COLUMNS}, flows.name FROM queue JOIN flows ON flows.id = queue.flow \
         WHERE flows.pipeline = ?1 AND (?2 IS NULL OR flows.name = ?2) AND (?3 IS NULL OR kind = ?3) \
         ORDER BY flows.name, key LIMIT ?4"
    );
    connection
        .prepare(&sql)?
        .query_map(
            params![
                pipeline,
                filter.flow,
                filter.kind.map(QueueKind::word),
                filter.limit.map_or(-1, to_limit),
            ],
            |row| Ok((row.get(17)?, item(row)?)),
        )?
        .collect()
}

pub(super) fn show(
    connection: &Connection,
    flow: FlowRef<'_>,
    key: &str,
) -> rusqlite::Result<Option<QueueItem>> {
    let Some(flow) = flow_number(connection, flow)? else {
        return Ok(None);
    };
    let sql = format!("SELECT {COLUMNS} FROM queue WHERE flow = ?1 AND key = ?2");
    connection
        .prepare(&sql)?
        .query_row(params![flow, key], item)
        .optional()
}

pub(super) fn drop_items(
    transaction: &Transaction<'_>,
    flow: FlowRef<'_>,
    keys: &[&str],
) -> Result<u64, Failure> {
    change_each(
        transaction,
        flow,
        keys,
        "DELETE FROM queue WHERE flow = ?1 AND key = ?2",
    )
}

pub(super) fn ask_retry(
    transaction: &Transaction<'_>,
    flow: FlowRef<'_>,
    keys: &[&str],
) -> Result<u64, Failure> {
    change_each(
        transaction,
        flow,
        keys,
        "UPDATE queue SET retry_asked = 1, attempts = 0 WHERE flow = ?1 AND key = ?2",
    )
}

pub(super) fn resolve(
    transaction: &Transaction<'_>,
    flow: FlowRef<'_>,
    key: &str,
    rows: &[&str],
    winner: Side,
) -> Result<u64, Failure> {
    let Some(item) = show(transaction, flow, key)? else {
        return Ok(0);
    };
    let mut held = item.held_rows;
    let mut ruled = 0;
    for row in held.iter_mut() {
        if rows.is_empty() || rows.contains(&row.row.as_str()) {
            row.ruling = Some(winner);
            ruled += 1;
        }
    }
    if ruled > 0 {
        transaction
            .prepare_cached(
                "UPDATE queue SET held_rows = ?4, retry_asked = 1, attempts = 0 WHERE key = ?3 \
                 AND flow = (SELECT id FROM flows WHERE pipeline = ?1 AND name = ?2)",
            )?
            .execute(params![flow.pipeline, flow.flow, key, to_held_rows(&held)?])?;
    }
    Ok(ruled)
}

fn change_each(
    transaction: &Transaction<'_>,
    flow: FlowRef<'_>,
    keys: &[&str],
    sql: &str,
) -> Result<u64, Failure> {
    let Some(flow) = flow_number(transaction, flow)? else {
        return Ok(0);
    };
    let mut statement = transaction.prepare_cached(sql)?;
    let mut changed = 0;
    for key in keys {
        changed += statement.execute(params![flow, key])? as u64;
    }
    Ok(changed)
}

pub(super) fn retryable(
    connection: &Connection,
    flow: FlowRef<'_>,
    at_most_attempts: Option<u32>,
    after: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<QueueItem>> {
    let Some(number) = flow_number(connection, flow)? else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM queue WHERE flow = ?1 AND key > ?2 AND ( \
             retry_asked = 1 \
             OR kind = 'rejected' AND (?3 IS NULL OR attempts <= ?3) \
             OR kind = 'waiting' AND (waits_for_flow IS NULL OR EXISTS ( \
                 SELECT 1 FROM flows JOIN links ON links.flow = flows.id \
                 WHERE flows.pipeline = ?4 AND flows.name = waits_for_flow \
                 AND (links.source = waits_for_key OR links.target = waits_for_key) \
                 AND links.tombstone = 0 AND links.target IS NOT NULL))) \
         ORDER BY key LIMIT ?5"
    );
    connection
        .prepare_cached(&sql)?
        .query_map(
            params![
                number,
                after.unwrap_or(""),
                at_most_attempts,
                flow.pipeline,
                to_limit(limit),
            ],
            item,
        )?
        .collect()
}
