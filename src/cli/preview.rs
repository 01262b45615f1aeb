//! `crosswalk preview`: shows one record on its way through a flow, step by step, without writing anything.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;

use super::Context;
use super::arguments::Format;
use super::exit::{Exit, Failure};
use super::load::{self, Settings};
use super::location::{SANDBOX_SNAPSHOTS, SNAPSHOTS, StateLocation};
use super::rehearsal::Rehearsal;
use super::signals;
use super::table::shorten;
use crate::expression::Value;
use crate::mapping::TraceStep;
use crate::run::{self, Cancellation, PreviewOptions, PreviewRecord};
use crate::telemetry::Telemetry;

/// How much of a value fits beside a step.
const VALUE_WIDTH: usize = 72;

/// The arguments of `crosswalk preview`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  crosswalk preview sync.yaml --key 4711                        read it from the source, ask the lookups
  crosswalk preview sync.yaml --file ticket.json --offline      no system is asked for anything
  crosswalk preview sync.yaml --key 4711 --from-run 0198f0c2-…  as it was then
  crosswalk preview sync.yaml --key 4711 --format json | jq '.requests[].body'")]
pub struct Preview {
    /// The pipeline file
    pipeline: PathBuf,
    /// The record's key in its source; of a two-way flow the remote record's, or `local:KEY`
    #[arg(long, value_name = "KEY", required_unless_present = "file")]
    key: Option<String>,
    /// A file that holds the record as JSON; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "from_run"])]
    file: Option<PathBuf>,
    /// Take the record from what this run extracted, instead of asking the source
    #[arg(long, value_name = "RUN", requires = "key")]
    from_run: Option<String>,
    /// The flow, where the pipeline has several; a two-way flow is shown in the direction that the record leaves by
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    /// Ask no system for anything: lookups answer `(not asked)`, and the record is taken for new
    #[arg(long)]
    offline: bool,
    /// Show private values instead of masking them
    #[arg(long)]
    show_private: bool,
    #[command(flatten)]
    settings: Settings,
    /// Ask the local stand-ins of `run --sandbox`
    #[arg(long, conflicts_with = "state")]
    sandbox: bool,
    /// The state file, for links [default: .crosswalk/state.db]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The directory of snapshots, for --from-run [default: snapshots]
    #[arg(long, value_name = "DIRECTORY")]
    snapshots: Option<PathBuf>,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the subcommand.
pub(super) fn preview(context: &Context, arguments: &Preview) -> Result<Exit, Failure> {
    let options = arguments.options()?;
    let runtime = tokio::runtime::Runtime::new()
        .context("cannot start the threads of a preview")
        .map_err(Failure::internal)?;
    let preview = runtime.block_on(execute(context, arguments, options))?;
    match arguments.format {
        Format::Json => context.output.print_json(&preview)?,
        Format::Text => context.output.print(&render(&preview))?,
    }
    Ok(Exit::Complete)
}

async fn execute(
    context: &Context,
    arguments: &Preview,
    options: PreviewOptions,
) -> Result<run::Preview, Failure> {
    let rehearsal = if arguments.sandbox {
        Some(Rehearsal::start(None).await?)
    } else {
        None
    };
    let pipeline = load::pipeline(
        context,
        &arguments.pipeline,
        &arguments.settings,
        rehearsal.as_ref(),
    )?;
    let telemetry = Arc::new(Telemetry::new(Arc::clone(&context.secrets)));
    let cancellation = Cancellation::new();
    let signals = signals::watch(cancellation.clone())
        .context("cannot watch for signals")
        .map_err(Failure::internal)?;
    let preview = run::preview(Arc::new(pipeline), options, telemetry, cancellation).await;
    signals.abort();
    if let Some(rehearsal) = rehearsal {
        rehearsal.stop().await?;
    }
    preview.map_err(|error| Failure::new(Exit::Ended(error.ending.clone()), error.into()))
}

impl Preview {
    fn options(&self) -> Result<PreviewOptions, Failure> {
        let location = StateLocation {
            state: self.state.clone(),
            sandbox: self.sandbox,
        };
        let snapshots = if self.sandbox {
            SANDBOX_SNAPSHOTS
        } else {
            SNAPSHOTS
        };
        Ok(PreviewOptions {
            flow: self.flow.clone(),
            record: self.record()?,
            offline: self.offline,
            show_private: self.show_private,
            state: location.path(),
            snapshots: self.snapshots.clone().unwrap_or_else(|| PathBuf::from(snapshots)),
        })
    }

    fn record(&self) -> Result<PreviewRecord, Failure> {
        let key = self.key.clone().unwrap_or_default();
        Ok(match (&self.file, &self.from_run) {
            (Some(file), _) => PreviewRecord::Text(read(file).map_err(Failure::usage)?),
            (None, Some(run)) => PreviewRecord::Run {
                run: run.clone(),
                key,
            },
            (None, None) => PreviewRecord::Key(key),
        })
    }
}

fn read(file: &Path) -> anyhow::Result<Bytes> {
    if file == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin()
            .read_to_end(&mut text)
            .context("cannot read the record from standard input")?;
        return Ok(Bytes::from(text));
    }
    std::fs::read(file)
        .map(Bytes::from)
        .with_context(|| format!("cannot read the record from `{}`", file.display()))
}

fn render(preview: &run::Preview) -> String {
    let mut text = format!("{} {}: {}\n", preview.flow, preview.key, preview.decision);
    if let Some(reason) = &preview.reason {
        let field = reason
            .field
            .as_ref()
            .map(|field| format!("{field}: "))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "  {field}{} ({}, {})",
            reason.message, reason.rule, reason.code
        );
    }
    text.push_str("\nrecord as received\n");
    match &preview.raw {
        Value::Map(members) => {
            for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                let _ = writeln!(text, "  {name}: {}", short(value));
            }
        }
        other => text.push_str(&indented(other, "  ")),
    }
    if !preview.trace.record.is_empty() {
        text.push_str("\nflow\n");
        for step in &preview.trace.record {
            push_step(&mut text, step);
        }
    }
    text.push_str("\nrules\n");
    for row in &preview.trace.rows {
        let note = row
            .note
            .as_ref()
            .map(|note| format!("  [{note}]"))
            .unwrap_or_default();
        let _ = writeln!(text, "  {} = {}{note}", row.target, short(&row.result));
        for step in &row.steps {
            push_step(&mut text, step);
        }
    }
    if !preview.changes.is_empty() {
        text.push_str("\nchanges\n");
        for change in &preview.changes {
            let _ = writeln!(
                text,
                "  {}: {} -> {}",
                change.field,
                short(&change.before),
                short(&change.after)
            );
        }
    }
    for request in &preview.requests {
        let _ = writeln!(
            text,
            "\nrequest: {}\n  {} {}",
            request.purpose, request.method, request.url
        );
        for (name, value) in &request.headers {
            let _ = writeln!(text, "  {name}: {value}");
        }
        if !request.body.is_null() {
            text.push_str(&indented(&request.body, "  "));
        }
    }
    if preview.requests.is_empty() {
        text.push_str("\nno request would be sent\n");
    }
    text
}

fn push_step(text: &mut String, step: &TraceStep) {
    let rule = step
        .rule
        .as_ref()
        .map(|rule| format!(" {}", shorten(rule, VALUE_WIDTH)))
        .unwrap_or_default();
    let note = step
        .note
        .as_ref()
        .map(|note| format!("  [{note}]"))
        .unwrap_or_default();
    let _ = writeln!(
        text,
        "    {:<8}{rule} -> {}{note}",
        step.step,
        short(&step.output)
    );
}

fn short(value: &Value<'_>) -> String {
    shorten(&value.to_json(), VALUE_WIDTH)
}

/// A value as JSON over several lines, each after the same indent.
fn indented(value: &Value<'_>, indent: &str) -> String {
    let compact = value.to_json();
    let pretty = serde_json::from_str::<serde_json::Value>(&compact)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or(compact);
    pretty.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{indent}{line}");
        text
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Arguments;

    fn parses(arguments: &str) -> bool {
        Arguments::try_parse_from(arguments.split(' ')).is_ok()
    }

    #[test]
    fn the_record_comes_from_exactly_one_place() {
        assert!(parses("crosswalk preview sync.yaml --key 1"));
        assert!(parses("crosswalk preview sync.yaml --file record.json --offline"));
        assert!(parses("crosswalk preview sync.yaml --key 1 --from-run 2"));
        assert!(!parses("crosswalk preview sync.yaml"));
        assert!(!parses("crosswalk preview sync.yaml --from-run 2"));
        assert!(!parses("crosswalk preview sync.yaml --key 1 --file record.json"));
        assert!(!parses(
            "crosswalk preview sync.yaml --file record.json --from-run 2"
        ));
    }
}
