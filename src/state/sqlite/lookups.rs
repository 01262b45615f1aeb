//! Cached lookups and unresolved fallback keys in SQLite.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::read::flow_number;
use super::{Failure, micros, time, unreadable};
use crate::compile::compiled::Side;
use crate::state::{CachedLookup, Fallback, FlowRef};

pub(super) fn cached(
    connection: &Connection,
    scope: &str,
    lookup: &str,
    keys: &[&str],
    now: Timestamp,
) -> rusqlite::Result<HashMap<String, CachedLookup>> {
    let mut found = HashMap::with_capacity(keys.len());
    let mut statement = connection.prepare_cached(
        "SELECT found, expires FROM lookup_cache WHERE scope = ?1 AND lookup = ?2 AND key = ?3 AND expires > ?4",
    )?;
    for key in keys {
        let answer = statement
            .query_row(params![scope, lookup, key, micros(now)], |row| {
                Ok(CachedLookup {
                    key: (*key).to_owned(),
                    found: row.get(0)?,
                    expires: time(row.get(1)?)?,
                })
            })
            .optional()?;
        if let Some(answer) = answer {
            found.insert(answer.key.clone(), answer);
        }
    }
    Ok(found)
}

pub(super) fn put(
    transaction: &Transaction<'_>,
    scope: &str,
    lookup: &str,
    answers: &[CachedLookup],
) -> Result<(), Failure> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO lookup_cache (scope, lookup, key, found, expires) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (scope, lookup, key) DO UPDATE SET found = excluded.found, expires = excluded.expires",
    )?;
    for answer in answers {
        put.execute(params![
            scope,
            lookup,
            answer.key,
            answer.found,
            micros(answer.expires),
        ])?;
    }
    Ok(())
}

pub(super) fn expire(transaction: &Transaction<'_>, now: Timestamp) -> Result<u64, Failure> {
    let removed = transaction
        .prepare_cached("DELETE FROM lookup_cache WHERE expires <= ?1")?
        .execute([micros(now)])?;
    Ok(removed as u64)
}

pub(super) fn fallbacks(connection: &Connection, flow: FlowRef<'_>) -> rusqlite::Result<Vec<Fallback>> {
    let Some(flow) = flow_number(connection, flow)? else {
        return Ok(Vec::new());
    };
    connection
        .prepare_cached(
            "SELECT source, row, side, lookup, key FROM fallbacks WHERE flow = ?1 \
             ORDER BY lookup, key, source, row, side",
        )?
        .query_map([flow], |row| {
            Ok(Fallback {
                source: row.get(0)?,
                row: row.get(1)?,
                to: side(row.get_ref(2)?.as_str()?)?,
                lookup: row.get(3)?,
                key: row.get(4)?,
            })
        })?
        .collect()
}

/// A side as it is stored; the empty text for none.
fn side(stored: &str) -> rusqlite::Result<Option<Side>> {
    if stored.is_empty() {
        return Ok(None);
    }
    match Side::BOTH.into_iter().find(|side| side.name() == stored) {
        Some(side) => Ok(Some(side)),
        None => Err(unreadable("side", format!("unknown `{stored}`"))),
    }
}

pub(super) fn put_fallbacks(
    transaction: &Transaction<'_>,
    flow: i64,
    known_anew: &[String],
    fallbacks: &[Fallback],
) -> rusqlite::Result<()> {
    let mut forget = transaction.prepare_cached("DELETE FROM fallbacks WHERE flow = ?1 AND source = ?2")?;
    for source in known_anew {
        forget.execute(params![flow, source])?;
    }
    let mut put = transaction.prepare_cached(
        "INSERT INTO fallbacks (flow, source, row, side, lookup, key) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (flow, source, row, side) DO UPDATE SET lookup = excluded.lookup, key = excluded.key",
    )?;
    for fallback in fallbacks {
        put.execute(params![
            flow,
            fallback.source,
            fallback.row,
            fallback.to.map_or("", Side::name),
            fallback.lookup,
            fallback.key,
        ])?;
    }
    Ok(())
}
