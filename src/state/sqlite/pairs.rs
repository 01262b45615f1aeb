//! Pairs of two-way flows in SQLite: beside each link what is remembered of both sides.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, Row, Transaction, params};

use super::read::{RowLists, flow_number};
use super::{to_count, to_limit, to_stored, unreadable};
use crate::compile::compiled::{PerSide, Side};
use crate::state::pair::{PAIR_FORM, decode_rows, encode_rows};
use crate::state::{FlowRef, PairBaseline, PairKeys, SideMark, StoredPair};

const SELECT: &str = "SELECT source, target, tombstone, remote_version, remote_sequence, remote_own, \
    local_version, local_sequence, local_own, row_list, rows \
    FROM links LEFT JOIN pairs ON link = id AND form = ?2 WHERE flow = ?1 AND target IS NOT NULL";

/// The column of `links` that holds a side's key.
fn column(side: Side) -> &'static str {
    match side {
        Side::Remote => "source",
        Side::Local => "target",
    }
}

pub(super) fn pairs(
    connection: &Connection,
    flow: FlowRef<'_>,
    side: Side,
    keys: &[&str],
) -> rusqlite::Result<HashMap<String, StoredPair>> {
    let mut found = HashMap::with_capacity(keys.len());
    let Some(flow) = flow_number(connection, flow)? else {
        return Ok(found);
    };
    let mut lists = RowLists::default();
    let mut statement = connection.prepare_cached(&format!("{SELECT} AND {} = ?3", column(side)))?;
    for key in keys {
        let mut rows = statement.query(params![flow, PAIR_FORM, key])?;
        if let Some(row) = rows.next()? {
            found.insert((*key).to_owned(), stored(connection, &mut lists, row)?);
        }
    }
    Ok(found)
}

pub(super) fn pairs_after(
    connection: &Connection,
    flow: FlowRef<'_>,
    side: Side,
    after: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<StoredPair>> {
    let Some(flow) = flow_number(connection, flow)? else {
        return Ok(Vec::new());
    };
    let mut lists = RowLists::default();
    let column = column(side);
    // A key is never the empty text, so that everything comes after it.
    connection
        .prepare_cached(&format!("{SELECT} AND {column} > ?3 ORDER BY {column} LIMIT ?4"))?
        .query_map(
            params![flow, PAIR_FORM, after.unwrap_or(""), to_limit(limit)],
            |row| stored(connection, &mut lists, row),
        )?
        .collect()
}

fn stored(connection: &Connection, lists: &mut RowLists, row: &Row<'_>) -> rusqlite::Result<StoredPair> {
    let baseline = match row.get::<_, Option<i64>>(9)? {
        Some(list) => Some(PairBaseline {
            sides: PerSide {
                remote: mark(row, 3)?,
                local: mark(row, 6)?,
            },
            names: lists.names(connection, list)?,
            rows: decode_rows(row.get_ref(10)?.as_blob()?)
                .ok_or_else(|| unreadable("rows", "not a list of pairs of digests"))?,
        }),
        None => None,
    };
    Ok(StoredPair {
        keys: PairKeys {
            remote: row.get(0)?,
            local: row.get(1)?,
        },
        tombstone: row.get(2)?,
        baseline,
    })
}

/// A mark in three columns from `first`.
fn mark(row: &Row<'_>, first: usize) -> rusqlite::Result<SideMark> {
    Ok(SideMark {
        version: row.get(first)?,
        sequence: to_count(row.get(first + 1)?),
        own_write: row.get(first + 2)?,
    })
}

/// Stores baselines; returns the remote keys of those that were left out, because the two are not linked or something
/// newer is known of either side.
pub(super) fn put(
    transaction: &Transaction<'_>,
    flow: i64,
    pairs: &[(PairKeys, PairBaseline)],
) -> rusqlite::Result<Vec<String>> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO pairs (link, remote_version, remote_sequence, remote_own, local_version, local_sequence, \
         local_own, form, row_list, rows) \
         SELECT id, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 FROM links \
         WHERE flow = ?1 AND source = ?2 AND target = ?3 AND tombstone = 0 \
         ON CONFLICT (link) DO UPDATE SET remote_version = excluded.remote_version, \
         remote_sequence = excluded.remote_sequence, remote_own = excluded.remote_own, \
         local_version = excluded.local_version, local_sequence = excluded.local_sequence, \
         local_own = excluded.local_own, form = excluded.form, row_list = excluded.row_list, rows = excluded.rows \
         WHERE excluded.form <> form \
         OR excluded.remote_sequence >= remote_sequence AND excluded.local_sequence >= local_sequence",
    )?;
    let mut left_out = Vec::new();
    let mut lists: Vec<(&Arc<[String]>, i64)> = Vec::new();
    for (keys, baseline) in pairs {
        let list = super::commit::row_list(transaction, &mut lists, &baseline.names)?;
        let PerSide { remote, local } = &baseline.sides;
        let changed = put.execute(params![
            flow,
            keys.remote,
            keys.local,
            remote.version,
            to_stored(remote.sequence),
            remote.own_write,
            local.version,
            to_stored(local.sequence),
            local.own_write,
            PAIR_FORM,
            list,
            encode_rows(&baseline.rows),
        ])?;
        if changed == 0 {
            left_out.push(keys.remote.clone());
        }
    }
    Ok(left_out)
}
