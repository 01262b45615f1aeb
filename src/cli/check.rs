//! `crosswalk check`: asks every system of a pipeline whether it can be reached, accepts the credentials, and has the
//! streams that the pipeline uses.

use std::collections::BTreeSet;
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
                Ok(missing) if missing.is_empty() => None,
                Ok(missing) => Some(format!(
                    "the account has no {}: install what brings it, or leave out the flows that use it",
                    list(missing.iter().map(String::as_str))
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

/// Asks a connection whether it accepts the credentials; returns the streams of the pipeline that its account lacks.
async fn ask(
    connection: &Connection,
    pipeline: &Pipeline,
    id: ConnectionId,
) -> Result<Vec<String>, ConnectorError> {
    connection.check().await?;
    let flows = pipeline.flows.iter().flat_map(|flow| [&flow.from, &flow.to]);
    let flows = flows.map(|stream| (stream.connection, stream.stream));
    let lookups = pipeline
        .lookups
        .iter()
        .map(|lookup| (lookup.connection, lookup.stream));
    let used: BTreeSet<usize> = flows
        .chain(lookups)
        .filter(|(connection, _)| *connection == id)
        .map(|(_, stream)| stream)
        .collect();
    let mut missing = Vec::new();
    for position in used {
        let stream = pipeline
            .connections
            .get(id)
            .and_then(|connection| connection.connector.streams.get(position));
        // One that is read for each parent, or cannot be read whole, shows what it lacks only when it is used.
        let Some(stream) = stream.filter(|stream| stream.list.is_some() && stream.parent.is_none()) else {
            continue;
        };
        if !connection.has(position).await? {
            missing.push(stream.name.clone());
        }
    }
    Ok(missing)
}
