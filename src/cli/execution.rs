//! Executing a pipeline, whatever of it: the options that all commands which do so share, the set-up, the summary.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
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

/// What is executed and how.
#[derive(Args, Debug)]
pub(super) struct Execution {
    /// The pipeline file
    pub(super) pipeline: PathBuf,
    /// Read, map and decide, but write nothing: neither to a system nor to the state nor snapshots
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    settings: Settings,
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

impl Execution {
    /// Executes what `ask` makes of these options once the pipeline is compiled, and shows the summary.
    ///
    /// # Errors
    /// It did not come to a run, or its summary cannot be shown. What a run met is in its summary and exit code.
    pub(super) fn execute(
        &self,
        context: &Context,
        ask: impl FnOnce(&Pipeline, RunOptions) -> Result<RunOptions, Failure>,
    ) -> Result<Exit, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.threads().max(2))
            .enable_all()
            .build()
            .context("cannot start the threads of a run")
            .map_err(Failure::internal)?;
        let (summary, output_taken) = runtime.block_on(self.run(context, ask))?;
        if let Some(path) = &self.summary {
            std::fs::write(path, json(&summary)?)
                .with_context(|| format!("cannot write the summary to `{}`", path.display()))
                .map_err(Failure::storage)?;
        }
        let text = match self.format {
            Format::Json => json(&summary)?,
            Format::Text => summary::render(&summary, &self.queue_command()),
        };
        if output_taken {
            context.screen.write(text.as_bytes());
        } else {
            context.output.print(&text)?;
        }
        Ok(Exit::Ended(summary.ending))
    }

    /// Runs the pipeline. Says too whether its records go to standard output, where nothing else may stand then.
    async fn run(
        &self,
        context: &Context,
        ask: impl FnOnce(&Pipeline, RunOptions) -> Result<RunOptions, Failure>,
    ) -> Result<(Summary, bool), Failure> {
        let rehearsal = if self.sandbox {
            let rehearsal = Rehearsal::start(self.tickets).await?;
            context.screen.write(rehearsal.introduction().as_bytes());
            Some(rehearsal)
        } else {
            None
        };
        let pipeline = load::pipeline(context, &self.pipeline, &self.settings, rehearsal.as_ref())?;
        let options = ask(&pipeline, self.options())?;
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
        let summary = run::run(Arc::new(pipeline), options, telemetry, cancellation).await;
        if let Some(progress) = progress {
            progress.finish();
        }
        signals.abort();
        if let Some(rehearsal) = rehearsal {
            rehearsal.stop().await?;
        }
        Ok((summary, output_taken))
    }

    /// A run of all flows with these options.
    pub(super) fn options(&self) -> RunOptions {
        RunOptions {
            dry_run: self.dry_run,
            limit: None,
            only: Vec::new(),
            flows: Vec::new(),
            publish: None,
            full: false,
            yes: self.yes,
            snapshots: self.snapshots(),
            state: self.location().path(),
            from_run: None,
            strict: self.strict,
            time_limit: self.time_limit,
            workers: self.threads(),
        }
    }

    fn threads(&self) -> usize {
        self.workers.map_or_else(
            || std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            usize::from,
        )
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

    fn queue_command(&self) -> String {
        format!(
            "crosswalk queue list {}{}",
            quoted(&self.pipeline),
            self.location().options()
        )
    }
}

fn writes_standard_output(pipeline: &Pipeline) -> bool {
    pipeline.flows.iter().any(|flow| {
        let stream = &pipeline.connections[flow.to.connection].connector.streams[flow.to.stream];
        stream.file.as_ref().is_some_and(|file| file.path == "-")
    })
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
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        execution: Execution,
    }

    fn parse(arguments: &str) -> Result<Execution, clap::Error> {
        let words = std::iter::once("crosswalk").chain(arguments.split(' '));
        Only::try_parse_from(words).map(|only| only.execution)
    }

    #[test]
    fn a_rehearsal_has_its_own_state_and_snapshots() {
        let execution = parse("sync.yaml --sandbox").unwrap();
        let options = execution.options();
        assert!(options.state.starts_with(".crosswalk/sandbox"));
        assert!(options.snapshots.starts_with(".crosswalk/sandbox"));
        assert_eq!(
            execution.queue_command(),
            "crosswalk queue list sync.yaml --sandbox"
        );
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(parse("sync.yaml --tickets 5").is_err());
        assert!(parse("sync.yaml --sandbox --state x.db").is_err());
        assert!(parse("sync.yaml --set nothing").is_err());
        assert!(parse("sync.yaml --workers 0").is_err());
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
