//! Asking after the jobs of a dead run, before anything else is settled: what a job has yet to write nobody may decide about.
//!
//! A job that is over says of each record whether it was written. One that died, or that the system has forgotten, says
//! nothing, and its records are settled as if there had been no job.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::Stop;
use super::context::Context;
use super::settle::sink_of;
use crate::connector::{ConnectorError, JobEnd, Prepared, PreparedMany, WriteOutcome};
use crate::state::Intent;

/// What a job came to for one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ItemEnd {
    /// It was written.
    Written {
        /// Its key, where the job tells.
        key: Option<String>,
    },
    /// It was refused: it is decided anew.
    Refused,
    /// Nobody knows.
    Unknown,
    /// It may still be written.
    MayComeYet,
}

/// What the jobs of open intents came to, by intent; of intents without a job nothing is said.
pub(super) async fn ended_jobs(
    context: &Context,
    intents: &[Intent],
) -> Result<HashMap<Uuid, ItemEnd>, Stop> {
    let mut jobs: BTreeMap<(&str, &str), Vec<(&Intent, Prepared)>> = BTreeMap::new();
    for intent in intents {
        let Some(job) = &intent.job else { continue };
        let prepared: Prepared = serde_json::from_slice(&intent.request)
            .map_err(|error| Stop::Internal(format!("a stored intent cannot be read: {error}")))?;
        let of_job = jobs.entry((&intent.connection, job)).or_default();
        of_job.push((intent, prepared));
    }
    let mut ends = HashMap::new();
    for ((_, job), items) in jobs {
        context.may_go_on()?;
        let outcomes = asked(context, job, &items).await?;
        for (intent, prepared) in &items {
            let end = match (&outcomes, prepared.item_of_many) {
                (Some(outcomes), Some(position)) => outcomes.get(position).map_or(ItemEnd::Unknown, end_of),
                (Some(_), None) => ItemEnd::Unknown,
                (None, _) => ItemEnd::MayComeYet,
            };
            ends.insert(intent.id, end);
        }
    }
    Ok(ends)
}

/// One outcome for each item of a job; `None` while it runs.
async fn asked(
    context: &Context,
    job: &str,
    items: &[(&Intent, Prepared)],
) -> Result<Option<Vec<WriteOutcome>>, Stop> {
    let Some((intent, prepared)) = items.first() else {
        return Ok(Some(Vec::new()));
    };
    let sink = sink_of(context, intent)?;
    let positions = items.iter().filter_map(|(_, prepared)| prepared.item_of_many);
    // Items whose intents are settled already have no key here, and nobody asks for their outcomes.
    let mut keys = vec![None; positions.max().map_or(0, |last| last + 1)];
    for (_, prepared) in items {
        if let Some(key) = prepared.item_of_many.and_then(|position| keys.get_mut(position)) {
            key.clone_from(&prepared.key);
        }
    }
    let many = PreparedMany {
        request: Prepared {
            stream: sink.stream,
            ..prepared.clone()
        },
        keys,
    };
    tracing::info!(connection = %intent.connection, job, records = items.len(), "Asking after a job of an earlier run.");
    match context.connection(sink).settle_job(&many, job).await {
        Ok(JobEnd::Ended(outcomes)) => Ok(Some(outcomes)),
        Ok(JobEnd::Running { message }) => {
            context.may_go_on()?;
            tracing::warn!(connection = %intent.connection, job, message, "A job is not over.");
            Ok(None)
        }
        // The connector no longer knows such jobs.
        Err(ConnectorError::Unsupported { .. }) => Ok(Some(Vec::new())),
        Err(error) => Err(Stop::Connector(error)),
    }
}

fn end_of(outcome: &WriteOutcome) -> ItemEnd {
    match outcome {
        WriteOutcome::Written { key, .. } => ItemEnd::Written { key: key.clone() },
        WriteOutcome::Unknown { .. } | WriteOutcome::Stopped(_) => ItemEnd::Unknown,
        WriteOutcome::Exists { .. }
        | WriteOutcome::Conflict { .. }
        | WriteOutcome::Gone
        | WriteOutcome::Frozen { .. }
        | WriteOutcome::Later { .. }
        | WriteOutcome::Rejected { .. } => ItemEnd::Refused,
    }
}
