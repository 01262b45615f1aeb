//! Reading cursors, links and baselines, a batch at a time.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{run_id, time, to_count, to_limit, unreadable};
use crate::state::baseline::decode_rows;
use crate::state::{Baseline, CANONICAL_FORM, Digest, FlowRef, Link, StoredCursor};

/// A flow's number; `None` while nothing was ever stored for it.
pub(super) fn flow_number(connection: &Connection, flow: FlowRef<'_>) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM flows WHERE pipeline = ?1 AND name = ?2")?
        .query_row([flow.pipeline, flow.flow], |row| row.get(0))
        .optional()
}

pub(super) fn cursor(
    connection: &Connection,
    flow: FlowRef<'_>,
    stream: &str,
) -> rusqlite::Result<Option<StoredCursor>> {
    let Some(flow) = flow_number(connection, flow)? else {
        return Ok(None);
    };
    connection
        .prepare_cached(
            "SELECT cursor, selection, run, updated FROM cursors WHERE flow = ?1 AND stream = ?2",
        )?
        .query_row(params![flow, stream], stored_cursor)
        .optional()
}

/// A row of `cursor, selection, run, updated`.
pub(super) fn stored_cursor(row: &Row<'_>) -> rusqlite::Result<StoredCursor> {
    Ok(StoredCursor {
        cursor: row.get(0)?,
        selection: row.get(1)?,
        run: run_id(row.get_ref(2)?.as_str()?)?,
        updated: time(row.get(3)?)?,
    })
}

pub(super) fn links(
    connection: &Connection,
    flow: FlowRef<'_>,
    sources: &[&str],
) -> rusqlite::Result<HashMap<String, Link>> {
    let mut found = HashMap::with_capacity(sources.len());
    let Some(flow) = flow_number(connection, flow)? else {
        return Ok(found);
    };
    let mut statement =
        connection.prepare_cached("SELECT target, tombstone FROM links WHERE flow = ?1 AND source = ?2")?;
    for source in sources {
        let link = statement
            .query_row(params![flow, source], |row| {
                Ok(Link {
                    target: row.get(0)?,
                    tombstone: row.get(1)?,
                })
            })
            .optional()?;
        if let Some(link) = link {
            found.insert((*source).to_owned(), link);
        }
    }
    Ok(found)
}

pub(super) fn linked_sources(
    connection: &Connection,
    flow: FlowRef<'_>,
    targets: &[&str],
) -> rusqlite::Result<HashMap<String, String>> {
    let mut found = HashMap::with_capacity(targets.len());
    let Some(flow) = flow_number(connection, flow)? else {
        return Ok(found);
    };
    let mut statement =
        connection.prepare_cached("SELECT source FROM links WHERE flow = ?1 AND target = ?2")?;
    for target in targets {
        let source = statement
            .query_row(params![flow, target], |row| row.get(0))
            .optional()?;
        if let Some(source) = source {
            found.insert((*target).to_owned(), source);
        }
    }
    Ok(found)
}

pub(super) fn links_after(
    connection: &Connection,
    flow: FlowRef<'_>,
    after: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<(String, Link)>> {
    let Some(flow) = flow_number(connection, flow)? else {
        return Ok(Vec::new());
    };
    // A key is never the empty text, so that everything comes after it.
    connection
        .prepare_cached(
            "SELECT source, target, tombstone FROM links WHERE flow = ?1 AND source > ?2 ORDER BY source LIMIT ?3",
        )?
        .query_map(params![flow, after.unwrap_or(""), to_limit(limit)], |row| {
            let link = Link {
                target: row.get(1)?,
                tombstone: row.get(2)?,
            };
            Ok((row.get(0)?, link))
        })?
        .collect()
}

pub(super) fn link_count(connection: &Connection, flow: FlowRef<'_>) -> rusqlite::Result<u64> {
    let Some(flow) = flow_number(connection, flow)? else {
        return Ok(0);
    };
    connection
        .prepare_cached("SELECT count(*) FROM links WHERE flow = ?1 AND tombstone = 0")?
        .query_row([flow], |row| row.get(0).map(to_count))
}

pub(super) fn baselines(
    connection: &Connection,
    flow: FlowRef<'_>,
    sources: &[&str],
) -> rusqlite::Result<HashMap<String, Baseline>> {
    let mut found = HashMap::with_capacity(sources.len());
    let Some(flow) = flow_number(connection, flow)? else {
        return Ok(found);
    };
    let mut lists = RowLists::default();
    let mut statement = connection.prepare_cached(
        "SELECT source_version, sequence, row_list, whole, rows FROM links JOIN baselines ON link = id \
         WHERE flow = ?1 AND source = ?2 AND form = ?3",
    )?;
    for source in sources {
        let stored = statement
            .query_row(params![flow, source, CANONICAL_FORM], |row| {
                let baseline = Baseline {
                    source_version: row.get(0)?,
                    sequence: to_count(row.get(1)?),
                    whole: Digest(row.get(3)?),
                    names: lists.names(connection, row.get(2)?)?,
                    rows: decode_rows(row.get_ref(4)?.as_blob()?)
                        .ok_or_else(|| unreadable("rows", "not a list of digests"))?,
                };
                Ok(baseline)
            })
            .optional()?;
        if let Some(baseline) = stored {
            found.insert((*source).to_owned(), baseline);
        }
    }
    Ok(found)
}

/// Row-name lists by number, read once each; a flow has very few.
#[derive(Default)]
pub(super) struct RowLists(Vec<(i64, Arc<[String]>)>);

impl RowLists {
    pub(super) fn names(&mut self, connection: &Connection, number: i64) -> rusqlite::Result<Arc<[String]>> {
        if let Some((_, names)) = self.0.iter().find(|(other, _)| *other == number) {
            return Ok(Arc::clone(names));
        }
        let text: String = connection
            .prepare_cached("SELECT names FROM row_lists WHERE id = ?1")?
            .query_row([number], |row| row.get(0))?;
        let names: Arc<[String]> = serde_json::from_str::<Vec<String>>(&text)
            .map_err(|error| unreadable("names", error))?
            .into();
        self.0.push((number, Arc::clone(&names)));
        Ok(names)
    }
}
