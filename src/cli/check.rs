//! `crosswalk check`: asks every system of a pipeline whether it can be reached, accepts the credentials, and has the
//! streams that the pipeline uses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::Context;
use super::arguments::Format;
use super::exit::{Exit, Failure};
use super::load::{self, Settings};
use super::table::{Align, Table};
use crate::compile::compiled::{ConnectionId, Pipeline};
use crate::connector::{Connection, ConnectionContext, ConnectorError};
use crate::diagnostic::list;
use crate::lookup::lookups_of;
use crate::telemetry::Telemetry;

/// The arguments of `crosswalk check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  crosswalk check sync.yaml

Exit code 11 when a connection is refused, cannot be reached, or lacks a stream that the pipeline uses.")]
pub struct Check {
    /// The pipeline file
    pipeline: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the subcommand.
pub(super) fn check(context: &Context, arguments: &Check) -> Result<Exit, Failure> {
    let pipeline = load::pipeline(context, &arguments.pipeline, &arguments.settings, None)?;
    let names: Vec<String> = pipeline
        .connections
        .iter()
        .map(|connection| connection.name.clone())
        .collect();
    let pipeline = Arc::new(pipeline);
    let runtime = tokio::runtime::Runtime::new()
        .context("cannot start the threads of a check")
        .map_err(Failure::internal)?;
    let answers: Vec<(String, Option<String>)> = runtime.block_on(async {
        let mut answers = Vec::with_capacity(names.len());
        for (id, name) in names.into_iter().enumerate() {
            let connection_context = ConnectionContext {
                telemetry: Arc::new(Telemetry::new(Arc::clone(&context.secrets))),
                ..ConnectionContext::default()
            };
            let answer = match Connection::open(Arc::clone(&pipeline), id, connection_context) {
                Ok(connection) => ask(&connection, &pipeline, id).await,
                Err(error) => Err(error),
            };
            let problem = match answer {
                Ok(missing) if missing.streams.is_empty() => None,
                Ok(missing) => Some(format!(
                    "the account has no {}: install what brings it, or switch off the flows that use it, {}, with `enabled` or the param that it reads",
                    list(missing.streams.iter().map(String::as_str)),
                    list(missing.flows.iter().map(String::as_str))
                )),
                Err(error) => Some(format!("{:#}", anyhow::Error::new(error))),
            };
            answers.push((name, problem));
        }
        answers
    });
    match arguments.format {
        Format::Json => {
            let documents: Vec<_> = answers
                .iter()
                .map(|(name, problem)| json!({"connection": name, "accepted": problem.is_none(), "problem": problem}))
                .collect();
            context.output.print_json(&documents)?;
        }
        Format::Text => {
            let mut table = Table::new([("connection", Align::Left), ("answer", Align::Left)]);
            for (name, problem) in &answers {
                table.row([
                    name.clone(),
                    problem.clone().unwrap_or_else(|| "accepted".to_owned()),
                ]);
            }
            context.output.print(&table.render())?;
        }
    }
    let found = answers.iter().any(|(_, problem)| problem.is_some());
    Ok(if found { Exit::Finding } else { Exit::Complete })
}

/// What an account lacks.
#[derive(Debug, Default)]
struct Missing {
    streams: Vec<String>,
    /// The flows that use them.
    flows: BTreeSet<String>,
}

/// Asks a connection whether it accepts the credentials; returns the streams that its account lacks of those which flows
/// that are switched on use, each with these flows.
async fn ask(
    connection: &Connection,
    pipeline: &Pipeline,
    id: ConnectionId,
) -> Result<Missing, ConnectorError> {
    connection.check().await?;
    let mut used: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for (flow_id, flow) in pipeline.flows.iter().enumerate() {
        if flow.disabled.is_some() {
            continue;
        }
        let lookups = lookups_of(pipeline, flow_id).into_iter();
        let lookups = lookups.filter_map(|lookup| pipeline.lookups.get(lookup));
        let streams = lookups
            .map(|lookup| (lookup.connection, lookup.stream))
            .chain([flow.from, flow.to].map(|stream| (stream.connection, stream.stream)));
        for (_, stream) in streams.filter(|(connection, _)| *connection == id) {
            used.entry(stream)
                .or_default()
                .insert(pipeline.written_name(flow_id));
        }
    }
    let mut missing = Missing::default();
    for (position, flows) in used {
        let stream = pipeline
            .connections
            .get(id)
            .and_then(|connection| connection.connector.streams.get(position));
        // One that is read for each parent, or cannot be read whole, shows what it lacks only when it is used.
        let Some(stream) = stream.filter(|stream| stream.list.is_some() && stream.parent.is_none()) else {
            continue;
        };
        if !connection.has(position).await? {
            missing.streams.push(stream.name.clone());
            missing.flows.extend(flows.into_iter().map(str::to_owned));
        }
    }
    Ok(missing)
}
