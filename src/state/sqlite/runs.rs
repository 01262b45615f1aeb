//! Runs and status in SQLite.

use rusqlite::{Connection, Row, Transaction, params};
use uuid::Uuid;

use super::read::stored_cursor;
use super::{Failure, micros, run_id, schema, time, to_count, to_limit};
use crate::state::{FlowStatus, Holder, Run, RunEnd, RunStart, Status};

pub(super) fn start(transaction: &Transaction<'_>, start: &RunStart) -> Result<(), Failure> {
    transaction
        .prepare_cached("INSERT INTO runs (id, pipeline, started, continues) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            start.id.to_string(),
            start.pipeline,
            micros(start.started),
            start.continues.map(|run| run.to_string()),
        ])?;
    // Claims that a dead run of this pipeline never acted on; other pipelines may be waiting for them.
    transaction
        .prepare_cached(
            "DELETE FROM creates WHERE pipeline = ?1 AND run <> ?2 AND created_key IS NULL AND NOT EXISTS \
             (SELECT 1 FROM intents WHERE create_connection = creates.connection \
              AND create_stream = creates.stream AND create_key = creates.key)",
        )?
        .execute(params![start.pipeline, start.id.to_string()])?;
    Ok(())
}

pub(super) fn end(transaction: &Transaction<'_>, end: &RunEnd) -> Result<(), Failure> {
    transaction
        .prepare_cached("UPDATE runs SET ended = ?2, ending = ?3, counts = ?4 WHERE id = ?1")?
        .execute(params![
            end.id.to_string(),
            micros(end.ended),
            end.ending,
            end.counts,
        ])?;
    Ok(())
}

pub(super) fn list(connection: &Connection, pipeline: &str, limit: usize) -> rusqlite::Result<Vec<Run>> {
    connection
        .prepare_cached(
            "SELECT id, pipeline, started, continues, ended, ending, counts FROM runs \
             WHERE pipeline = ?1 ORDER BY started DESC, id DESC LIMIT ?2",
        )?
        .query_map(params![pipeline, to_limit(limit)], run)?
        .collect()
}

fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let id: Uuid = run_id(row.get_ref(0)?.as_str()?)?;
    let end = match row.get::<_, Option<i64>>(4)? {
        Some(ended) => Some(RunEnd {
            id,
            ended: time(ended)?,
            ending: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
            counts: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
        }),
        None => None,
    };
    Ok(Run {
        start: RunStart {
            id,
            pipeline: row.get(1)?,
            started: time(row.get(2)?)?,
            continues: row.get_ref(3)?.as_str_or_null()?.map(run_id).transpose()?,
        },
        end,
    })
}

pub(super) fn status(
    connection: &Connection,
    pipeline: &str,
    holder: Option<Holder>,
) -> rusqlite::Result<Status> {
    let flows: Vec<(i64, String)> = connection
        .prepare("SELECT id, name FROM flows WHERE pipeline = ?1 ORDER BY name")?
        .query_map([pipeline], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let flows = flows
        .into_iter()
        .map(|(number, flow)| flow_status(connection, number, flow))
        .collect::<rusqlite::Result<_>>()?;
    let open_intents = connection.query_row(
        "SELECT count(*) FROM intents WHERE pipeline = ?1",
        [pipeline],
        |row| row.get(0).map(to_count),
    )?;
    Ok(Status {
        flows,
        open_intents,
        last_run: list(connection, pipeline, 1)?.pop(),
        holder,
        schema_version: schema::known_version(),
    })
}

fn flow_status(connection: &Connection, number: i64, flow: String) -> rusqlite::Result<FlowStatus> {
    let cursors = connection
        .prepare(
            "SELECT cursor, selection, run, updated, stream FROM cursors WHERE flow = ?1 ORDER BY stream",
        )?
        .query_map([number], |row| Ok((row.get(4)?, stored_cursor(row)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let (links, tombstones) = connection.query_row(
        "SELECT count(*) FILTER (WHERE tombstone = 0), count(*) FILTER (WHERE tombstone = 1) FROM links WHERE flow = ?1",
        [number],
        |row| Ok((row.get(0).map(to_count)?, row.get(1).map(to_count)?)),
    )?;
    connection.query_row(
        "SELECT count(*) FILTER (WHERE kind = 'rejected'), count(*) FILTER (WHERE kind = 'held'), \
         count(*) FILTER (WHERE kind = 'waiting'), min(first_seen) FROM queue WHERE flow = ?1",
        [number],
        |row| {
            Ok(FlowStatus {
                flow,
                cursors,
                links,
                tombstones,
                rejected: row.get(0).map(to_count)?,
                held: row.get(1).map(to_count)?,
                waiting: row.get(2).map(to_count)?,
                oldest: row.get::<_, Option<i64>>(3)?.map(time).transpose()?,
            })
        },
    )
}
