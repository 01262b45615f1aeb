//! `crosswalk status`: what there is about a pipeline: last run, cursors, links, queue, who runs it now.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::Context;
use super::arguments::Format;
use super::exit::{Exit, Failure};
use super::load::Settings;
use super::location::{StateLocation, named_pipeline, pipeline_name, state_failure};
use super::summary::duration;
use super::table::{Align, Table, shorten};
use crate::compile::environment::ProcessEnvironment;
use crate::compile::{CompileOptions, compile_pipeline};
use crate::state::{Run, State, Status as Known};
use crate::telemetry::progress::grouped;

/// The arguments of `crosswalk status`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  crosswalk status mappings/tickets-cases.yaml
  crosswalk status sync --runs 20 --format json")]
pub struct Status {
    /// The pipeline's file, or its name
    pipeline: String,
    /// How many of the last runs to list
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    runs: usize,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    location: StateLocation,
}

/// Runs the subcommand.
pub(super) fn status(context: &Context, arguments: &Status) -> Result<Exit, Failure> {
    let pipeline = pipeline_name(&arguments.pipeline)?;
    let state = arguments.location.open()?;
    let known = state.status(&pipeline).map_err(state_failure)?;
    let runs = state.runs(&pipeline, arguments.runs).map_err(state_failure)?;
    let disabled = disabled(arguments)?;
    match arguments.format {
        Format::Json => context
            .output
            .print_json(&describe(&pipeline, &known, &disabled, &runs))?,
        Format::Text => context
            .output
            .print(&render(&pipeline, &known, &disabled, &runs))?,
    }
    Ok(Exit::Complete)
}

/// The flows that are off, each with the reason, as the file says; none where the pipeline was named only.
fn disabled(arguments: &Status) -> Result<BTreeMap<String, String>, Failure> {
    if named_pipeline(&arguments.pipeline)?.flows.is_none() {
        return Ok(BTreeMap::new());
    }
    let options = CompileOptions {
        environment: &ProcessEnvironment,
        set: &arguments.settings.pairs(),
        connector_paths: arguments.settings.connectors.clone(),
        connection_overrides: &[],
        require_environment: false,
    };
    let compiled = compile_pipeline(Path::new(&arguments.pipeline), &options);
    let Some(pipeline) = compiled.pipeline else {
        tracing::warn!(
            "`{}` has errors, so that it cannot be said which flows are disabled: `crosswalk validate` shows them",
            arguments.pipeline
        );
        return Ok(BTreeMap::new());
    };
    let disabled = pipeline.disabled();
    Ok(disabled
        .map(|(flow, reason)| (flow.to_owned(), reason.to_string()))
        .collect())
}

fn render(pipeline: &str, known: &Known, disabled: &BTreeMap<String, String>, runs: &[Run]) -> String {
    let mut text = format!("{pipeline}\n");
    match &known.holder {
        Some(holder) => {
            let _ = writeln!(text, "running now: {holder}");
        }
        None => text.push_str("not running\n"),
    }
    for (flow, reason) in disabled {
        let _ = writeln!(text, "disabled: {flow} ({reason})");
    }
    if known.open_intents > 0 {
        let _ = writeln!(
            text,
            "{} writes were sent whose answers are unknown; the next run settles them first",
            grouped(known.open_intents)
        );
    }
    if !known.flows.is_empty() {
        let mut table = Table::new([
            ("flow", Align::Left),
            ("linked", Align::Right),
            ("unlinked", Align::Right),
            ("rejected", Align::Right),
            ("held", Align::Right),
            ("waiting", Align::Right),
            ("oldest", Align::Left),
            ("cursor", Align::Left),
        ]);
        for flow in &known.flows {
            let cursors: Vec<String> = flow
                .cursors
                .iter()
                .map(|(stream, cursor)| format!("{stream} {}", shorten(&cursor.cursor, 60)))
                .collect();
            table.row([
                flow.flow.clone(),
                grouped(flow.links),
                grouped(flow.tombstones),
                grouped(flow.rejected),
                grouped(flow.held),
                grouped(flow.waiting),
                flow.oldest
                    .map(|time| time.strftime("%Y-%m-%d %H:%M").to_string())
                    .unwrap_or_default(),
                cursors.join("; "),
            ]);
        }
        let _ = write!(text, "\n{}", table.render());
    }
    if !runs.is_empty() {
        let mut table = Table::new([
            ("run", Align::Left),
            ("started", Align::Left),
            ("lasted", Align::Right),
            ("ended", Align::Left),
        ]);
        for run in runs {
            let (lasted, ending) = match &run.end {
                Some(end) => (
                    std::time::Duration::try_from(end.ended.duration_since(run.start.started))
                        .map(duration)
                        .unwrap_or_default(),
                    end.ending.clone(),
                ),
                None => (String::new(), "not yet, or not orderly".to_owned()),
            };
            table.row([
                run.start.id.to_string(),
                run.start.started.strftime("%Y-%m-%d %H:%M:%S").to_string(),
                lasted,
                ending,
            ]);
        }
        let _ = write!(text, "\n{}", table.render());
    }
    text
}

fn describe(pipeline: &str, known: &Known, disabled: &BTreeMap<String, String>, runs: &[Run]) -> Value {
    json!({
        "pipeline": pipeline,
        "running": known.holder.as_ref().map(ToString::to_string),
        "open_intents": known.open_intents,
        "schema_version": known.schema_version,
        "disabled": disabled,
        "flows": known.flows.iter().map(|flow| json!({
            "flow": flow.flow,
            "links": flow.links,
            "tombstones": flow.tombstones,
            "rejected": flow.rejected,
            "held": flow.held,
            "waiting": flow.waiting,
            "oldest": flow.oldest,
            "cursors": flow.cursors.iter().map(|(stream, cursor)| json!({
                "stream": stream,
                "cursor": parsed(&cursor.cursor),
                "run": cursor.run,
                "updated": cursor.updated,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "runs": runs.iter().map(|run| json!({
            "run": run.start.id,
            "started": run.start.started,
            "continues": run.start.continues,
            "ended": run.end.as_ref().map(|end| end.ended),
            "ending": run.end.as_ref().map(|end| &end.ending),
            "counts": run.end.as_ref().map(|end| parsed(&end.counts)),
        })).collect::<Vec<_>>(),
    })
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
