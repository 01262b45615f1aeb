//! Intents and claims of creations in SQLite.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::{Failure, micros, run_id, time, unreadable};
use crate::state::{Claim, CreateKey, Intent};

pub(super) fn put(transaction: &Transaction<'_>, intents: &[Intent]) -> Result<(), Failure> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO intents (id, pipeline, flow, connection, stream, operation, key, source_key, request, baseline, \
         create_connection, create_stream, create_key, first_sent, job, run, pair) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?;
    for intent in intents {
        let unwritable = |error: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
        let baseline = intent.baseline.as_ref().map(serde_json::to_string);
        let baseline = baseline.transpose().map_err(unwritable)?;
        let pair = intent.pair.as_ref().map(serde_json::to_string);
        let pair = pair.transpose().map_err(unwritable)?;
        let create = intent.create.as_ref();
        put.execute(params![
            intent.id.to_string(),
            intent.pipeline,
            intent.flow,
            intent.connection,
            intent.stream,
            intent.operation,
            intent.key,
            intent.source_key,
            intent.request,
            baseline,
            create.map(|create| &create.connection),
            create.map(|create| &create.stream),
            create.map(|create| &create.key),
            micros(intent.first_sent),
            intent.job,
            intent.run.to_string(),
            pair,
        ])?;
    }
    Ok(())
}

pub(super) fn set_job(transaction: &Transaction<'_>, intents: &[Uuid], job: &str) -> Result<(), Failure> {
    let mut set = transaction.prepare_cached("UPDATE intents SET job = ?2 WHERE id = ?1")?;
    for intent in intents {
        set.execute([intent.to_string().as_str(), job])?;
    }
    Ok(())
}

pub(super) fn open(connection: &Connection, pipeline: &str) -> rusqlite::Result<Vec<Intent>> {
    connection
        .prepare_cached(
            "SELECT id, pipeline, flow, connection, stream, operation, key, source_key, request, baseline, \
             create_connection, create_stream, create_key, first_sent, job, run, pair \
             FROM intents WHERE pipeline = ?1 ORDER BY id",
        )?
        .query_map([pipeline], intent)?
        .collect()
}

fn intent(row: &Row<'_>) -> rusqlite::Result<Intent> {
    let baseline = match row.get_ref(9)?.as_str_or_null()? {
        Some(text) => Some(serde_json::from_str(text).map_err(|error| unreadable("baseline", error))?),
        None => None,
    };
    let pair = match row.get_ref(16)?.as_str_or_null()? {
        Some(text) => Some(serde_json::from_str(text).map_err(|error| unreadable("pair", error))?),
        None => None,
    };
    let create = match (row.get(10)?, row.get(11)?, row.get(12)?) {
        (Some(connection), Some(stream), Some(key)) => Some(CreateKey {
            connection,
            stream,
            key,
        }),
        _ => None,
    };
    Ok(Intent {
        id: run_id(row.get_ref(0)?.as_str()?)?,
        pipeline: row.get(1)?,
        flow: row.get(2)?,
        connection: row.get(3)?,
        stream: row.get(4)?,
        operation: row.get(5)?,
        key: row.get(6)?,
        source_key: row.get(7)?,
        request: row.get(8)?,
        baseline,
        pair,
        create,
        first_sent: time(row.get(13)?)?,
        job: row.get(14)?,
        run: run_id(row.get_ref(15)?.as_str()?)?,
    })
}

/// A claim as it is stored.
struct StoredClaim {
    pipeline: String,
    run: Uuid,
    claimed: Timestamp,
    created: Option<(String, Timestamp)>,
    /// The claiming run has ended.
    ended: bool,
}

pub(super) fn claim(
    transaction: &Transaction<'_>,
    pipeline: &str,
    run: Uuid,
    keys: &[CreateKey],
    believe_after: Timestamp,
) -> Result<Vec<Claim>, Failure> {
    let mut sent = transaction.prepare_cached(
        "SELECT run, first_sent FROM intents WHERE create_connection = ?1 AND create_stream = ?2 AND create_key = ?3",
    )?;
    let mut read = transaction.prepare_cached(
        "SELECT pipeline, run, claimed, created_key, created, \
         EXISTS (SELECT 1 FROM runs WHERE runs.id = creates.run AND runs.ended IS NOT NULL) \
         FROM creates WHERE connection = ?1 AND stream = ?2 AND key = ?3",
    )?;
    let mut put = transaction.prepare_cached(
        "INSERT INTO creates (connection, stream, key, pipeline, run, claimed) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (connection, stream, key) DO UPDATE SET pipeline = excluded.pipeline, run = excluded.run, \
         claimed = excluded.claimed, created_key = NULL, created = NULL",
    )?;
    let now = micros(Timestamp::now());
    let mut claims = Vec::with_capacity(keys.len());
    for key in keys {
        let name = params![key.connection, key.stream, key.key];
        // A request that may have created the record: nobody else creates it before that intent is settled.
        let in_flight = sent
            .query_row(name, |row| {
                Ok(Claim::Busy {
                    run: run_id(row.get_ref(0)?.as_str()?)?,
                    since: time(row.get(1)?)?,
                })
            })
            .optional()?;
        let claim = match in_flight {
            Some(busy) => busy,
            None => read
                .query_row(name, stored_claim)
                .optional()?
                .map_or(Claim::Won, |stored| stored.answer(pipeline, run, believe_after)),
        };
        if claim == Claim::Won {
            put.execute(params![
                key.connection,
                key.stream,
                key.key,
                pipeline,
                run.to_string(),
                now,
            ])?;
        }
        claims.push(claim);
    }
    Ok(claims)
}

fn stored_claim(row: &Row<'_>) -> rusqlite::Result<StoredClaim> {
    let created_key: Option<String> = row.get(3)?;
    let created: Option<i64> = row.get(4)?;
    Ok(StoredClaim {
        pipeline: row.get(0)?,
        run: run_id(row.get_ref(1)?.as_str()?)?,
        claimed: time(row.get(2)?)?,
        created: created_key.zip(created.map(time).transpose()?),
        ended: row.get(5)?,
    })
}

impl StoredClaim {
    fn answer(self, pipeline: &str, run: Uuid, believe_after: Timestamp) -> Claim {
        match self.created {
            Some((key, at)) if at >= believe_after => return Claim::Created(key),
            // Long ago: had it lasted, the lookup would have found it.
            Some(_) => return Claim::Won,
            None => {}
        }
        // Who claims holds the pipeline's lease, so that another run of the same pipeline is dead.
        let abandoned = self.run == run || self.pipeline == pipeline || self.ended;
        if abandoned {
            return Claim::Won;
        }
        Claim::Busy {
            run: self.run,
            since: self.claimed,
        }
    }
}

pub(super) fn release(transaction: &Transaction<'_>, run: Uuid, keys: &[CreateKey]) -> Result<(), Failure> {
    let mut release = transaction.prepare_cached(
        "DELETE FROM creates WHERE connection = ?1 AND stream = ?2 AND key = ?3 AND run = ?4 AND created_key IS NULL",
    )?;
    for key in keys {
        release.execute(params![key.connection, key.stream, key.key, run.to_string()])?;
    }
    Ok(())
}
