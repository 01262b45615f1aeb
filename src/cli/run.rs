//! `crosswalk run`: executes a pipeline and says what it did.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use jiff::SignedDuration;

use super::Context;
use super::arguments::Format;
use super::exit::{Exit, Failure};
use super::load::{self, Settings};
use super::location::{SANDBOX_SNAPSHOTS, SNAPSHOTS, StateLocation, quoted};
use super::output::json;
use super::rehearsal::Rehearsal;
use super::{signals, summary};
use crate::compile::compiled::Pipeline;
use crate::run::{self, Cancellation, RunOptions, Summary};
use crate::telemetry::Telemetry;
use crate::telemetry::progress::Progress;

/// The arguments of `crosswalk run`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  crosswalk run mappings/tickets-cases.yaml --sandbox     rehearse against local stand-ins, no account needed
  crosswalk run sync.yaml --dry-run --limit 100           decide about 100 records, write nothing
  crosswalk run sync.yaml --only 4711 --only 4712         just these records
  crosswalk run sync.yaml --set start=2026-01-01 --full   read everything again and compare
  crosswalk run sync.yaml --summary summary.json -q --log-format json")]
pub struct Run {
    /// The pipeline file
    pipeline: PathBuf,
    /// Read, map and decide, but write nothing: neither to a system nor to the state nor snapshots
    #[arg(long)]
    dry_run: bool,
    /// Stop reading after so many records; the next run continues there
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Only the record with this key (`KEY`, or `STREAM:KEY`); may be given several times
    #[arg(long, value_name = "KEY")]
    only: Vec<String>,
    /// Only this flow; may be given several times
    #[arg(long, value_name = "NAME")]
    flow: Vec<String>,
    #[command(flatten)]
    settings: Settings,
    /// Read everything again instead of what changed since the last run, and compare
    #[arg(long)]
    full: bool,
    /// Map the records of an earlier run's snapshots again instead of reading the source
    #[arg(long, value_name = "RUN", conflicts_with_all = ["full", "limit"])]
    from_run: Option<String>,
    /// Do what the pipeline's `guard` would stop
    #[arg(long)]
    yes: bool,
    /// Stop orderly after this time, such as `90s`, `15m` or `2h 30m`; the next run continues
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    time_limit: Option<Duration>,
    /// End with exit code 3 also when older runs left records in the queue
    #[arg(long)]
    strict: bool,
    /// How many threads map records [default: as many as there are processors]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Run against local stand-ins, with a state and snapshots of their own; real credentials are not read
    #[arg(long, conflicts_with = "state")]
    sandbox: bool,
    /// How many tickets the stand-ins begin with, when they are used for the first time
    #[arg(long, value_name = "COUNT", requires = "sandbox")]
    tickets: Option<usize>,
    /// The state file [default: .crosswalk/state.db]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The directory for snapshots [default: snapshots]
    #[arg(long, value_name = "DIRECTORY")]
    snapshots: Option<PathBuf>,
    /// Write the summary to this file, as JSON
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// The form of the summary on standard output
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the subcommand.
pub(super) fn run(context: &Context, arguments: &Run) -> Result<Exit, Failure> {
    let workers = arguments.workers.map_or_else(processors, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.max(2))
        .enable_all()
        .build()
        .context("cannot start the threads of a run")
        .map_err(Failure::internal)?;
    let (summary, output_taken) = runtime.block_on(execute(context, arguments, workers))?;
    if let Some(path) = &arguments.summary {
        std::fs::write(path, json(&summary)?)
            .with_context(|| format!("cannot write the summary to `{}`", path.display()))
            .map_err(Failure::storage)?;
    }
    let text = match arguments.format {
        Format::Json => json(&summary)?,
        Format::Text => summary::render(&summary, &arguments.queue_command()),
    };
    if output_taken {
        context.screen.write(text.as_bytes());
    } else {
        context.output.print(&text)?;
    }
    Ok(Exit::Ended(summary.ending))
}

/// Runs the pipeline. Says too whether its records go to standard output, where nothing else may stand then.
async fn execute(context: &Context, arguments: &Run, workers: usize) -> Result<(Summary, bool), Failure> {
    let rehearsal = if arguments.sandbox {
        let rehearsal = Rehearsal::start(arguments.tickets).await?;
        context.screen.write(rehearsal.introduction().as_bytes());
        Some(rehearsal)
    } else {
        None
    };
    let pipeline = load::pipeline(
        context,
        &arguments.pipeline,
        &arguments.settings,
        rehearsal.as_ref(),
    )?;
    arguments.check_flows(&pipeline)?;
    let output_taken = writes_standard_output(&pipeline);
    let telemetry = Arc::new(Telemetry::new(Arc::clone(&context.secrets)));
    let cancellation = Cancellation::new();
    let signals = signals::watch(cancellation.clone())
        .context("cannot watch for signals")
        .map_err(Failure::internal)?;
    let progress = if context.global.shows_progress() {
        Some(
            Progress::start(Arc::clone(&telemetry), context.screen.clone())
                .context("cannot start the progress display")
                .map_err(Failure::internal)?,
        )
    } else {
        None
    };
    let summary = run::run(
        Arc::new(pipeline),
        arguments.options(workers),
        telemetry,
        cancellation,
    )
    .await;
    if let Some(progress) = progress {
        progress.finish();
    }
    signals.abort();
    if let Some(rehearsal) = rehearsal {
        rehearsal.stop().await?;
    }
    Ok((summary, output_taken))
}

fn writes_standard_output(pipeline: &Pipeline) -> bool {
    pipeline.flows.iter().any(|flow| {
        let stream = &pipeline.connections[flow.to.connection].connector.streams[flow.to.stream];
        stream.file.as_ref().is_some_and(|file| file.path == "-")
    })
}

impl Run {
    fn options(&self, workers: usize) -> RunOptions {
        RunOptions {
            dry_run: self.dry_run,
            limit: self.limit,
            only: self.only.clone(),
            flows: self.flow.clone(),
            publish: None,
            full: self.full,
            yes: self.yes,
            snapshots: self.snapshots(),
            state: self.location().path(),
            from_run: self.from_run.clone(),
            strict: self.strict,
            time_limit: self.time_limit,
            workers,
        }
    }

    fn location(&self) -> StateLocation {
        StateLocation {
            state: self.state.clone(),
            sandbox: self.sandbox,
        }
    }

    fn snapshots(&self) -> PathBuf {
        match &self.snapshots {
            Some(path) => path.clone(),
            None if self.sandbox => PathBuf::from(SANDBOX_SNAPSHOTS),
            None => PathBuf::from(SNAPSHOTS),
        }
    }

    fn check_flows(&self, pipeline: &Pipeline) -> Result<(), Failure> {
        let Some(unknown) = self
            .flow
            .iter()
            .find(|name| !pipeline.flows.iter().any(|flow| flow.name == **name))
        else {
            return Ok(());
        };
        let known: Vec<&str> = pipeline.flows.iter().map(|flow| flow.name.as_str()).collect();
        Err(Failure::usage(anyhow!(
            "the pipeline has no flow `{unknown}`: it has {}",
            known.join(", ")
        )))
    }

    fn queue_command(&self) -> String {
        format!(
            "crosswalk queue list {}{}",
            quoted(&self.pipeline),
            self.location().options()
        )
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

fn parse_time(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "expected a time above zero, such as `90s`, `15m` or `2h 30m`".to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::super::{Arguments, Command};
    use super::*;

    fn parse(arguments: &str) -> Result<Run, clap::Error> {
        let command = Arguments::try_parse_from(arguments.split(' '))?.command;
        match command {
            Command::Run(run) => Ok(run),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_option_reaches_the_run() {
        let run = parse(
            "crosswalk run sync.yaml --dry-run --limit 10 --only 7 --only tickets:8 --flow cases \
             --snapshots s --state x.db --strict --time-limit 15m --workers 3 --set a=b=c"
                .replace("             ", "")
                .as_str(),
        )
        .unwrap();
        let options = run.options(3);
        assert!(options.dry_run && options.strict && !options.full);
        assert_eq!(options.limit, Some(10));
        assert_eq!(options.only, ["7", "tickets:8"]);
        assert_eq!(options.flows, ["cases"]);
        assert_eq!(options.snapshots, Path::new("s"));
        assert_eq!(options.state, Path::new("x.db"));
        assert_eq!(options.time_limit, Some(Duration::from_secs(900)));
        assert_eq!(run.workers, Some(3));
    }

    #[test]
    fn a_rehearsal_has_its_own_state_and_snapshots() {
        let run = parse("crosswalk run sync.yaml --sandbox").unwrap();
        let options = run.options(1);
        assert!(options.state.starts_with(".crosswalk/sandbox"));
        assert!(options.snapshots.starts_with(".crosswalk/sandbox"));
        assert_eq!(run.queue_command(), "crosswalk queue list sync.yaml --sandbox");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(parse("crosswalk run").is_err());
        assert!(parse("crosswalk run sync.yaml --tickets 5").is_err());
        assert!(parse("crosswalk run sync.yaml --from-run 1 --full").is_err());
        assert!(parse("crosswalk run sync.yaml --sandbox --state x.db").is_err());
        assert!(parse("crosswalk run sync.yaml --set nothing").is_err());
        assert!(parse("crosswalk run sync.yaml --workers 0").is_err());
    }

    #[test]
    fn times_are_written_as_people_write_them() {
        assert_eq!(parse_time("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_time("2h 30m").unwrap(), Duration::from_secs(9000));
        assert!(parse_time("0s").is_err());
        assert!(parse_time("-5m").is_err());
        assert!(parse_time("soon").is_err());
    }
}
