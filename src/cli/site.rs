//! A pipeline and where it works: its file, the systems or their stand-ins, the state. All that `run`, `publish` and
//! `plan` do to get from arguments to a compiled pipeline with everything around it that shows and stops its work.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::SignedDuration;

use super::Context;
use super::exit::Failure;
use super::load::{self, Settings};
use super::location::{SANDBOX_SNAPSHOTS, SNAPSHOTS, StateLocation, quoted};
use super::rehearsal::Rehearsal;
use super::signals;
use crate::compile::compiled::Pipeline;
use crate::run::{Cancellation, RunOptions};
use crate::telemetry::Telemetry;
use crate::telemetry::progress::Progress;

/// A pipeline and where it works.
#[derive(Args, Debug)]
pub(super) struct Site {
    /// The pipeline file
    pub(super) pipeline: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// Stop orderly after this time, such as `90s`, `15m` or `2h 30m`; the next run continues
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    time_limit: Option<Duration>,
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
}

/// A pipeline that is ready to be worked on.
pub(super) struct Ready {
    /// The pipeline.
    pub(super) pipeline: Arc<Pipeline>,
    /// What is asked for.
    pub(super) options: RunOptions,
    /// What is counted.
    pub(super) telemetry: Arc<Telemetry>,
    /// How the work is stopped.
    pub(super) cancellation: Cancellation,
}

impl Site {
    /// Works on the pipeline, with what `ask` makes of the options once it is compiled.
    ///
    /// # Errors
    /// It did not come to any work.
    pub(super) fn work<T>(
        &self,
        context: &Context,
        ask: impl FnOnce(&Pipeline, RunOptions) -> Result<RunOptions, Failure>,
        work: impl AsyncFnOnce(Ready) -> T,
    ) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.threads().max(2))
            .enable_all()
            .build()
            .context("cannot start the threads of a run")
            .map_err(Failure::internal)?;
        runtime.block_on(self.prepared(context, ask, work))
    }

    async fn prepared<T>(
        &self,
        context: &Context,
        ask: impl FnOnce(&Pipeline, RunOptions) -> Result<RunOptions, Failure>,
        work: impl AsyncFnOnce(Ready) -> T,
    ) -> Result<T, Failure> {
        let rehearsal = if self.sandbox {
            let rehearsal = Rehearsal::start(self.tickets).await?;
            context.screen.write(rehearsal.introduction().as_bytes());
            Some(rehearsal)
        } else {
            None
        };
        let pipeline = load::pipeline(context, &self.pipeline, &self.settings, rehearsal.as_ref())?;
        let options = ask(&pipeline, self.options())?;
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
        let done = work(Ready {
            pipeline: Arc::new(pipeline),
            options,
            telemetry,
            cancellation,
        })
        .await;
        if let Some(progress) = progress {
            progress.finish();
        }
        signals.abort();
        if let Some(rehearsal) = rehearsal {
            rehearsal.stop().await?;
        }
        Ok(done)
    }

    /// Work on all flows with these options.
    pub(super) fn options(&self) -> RunOptions {
        RunOptions {
            dry_run: false,
            limit: None,
            only: Vec::new(),
            flows: Vec::new(),
            publish: None,
            full: false,
            yes: false,
            snapshots: self.snapshots(),
            state: self.location().path(),
            from_run: None,
            strict: false,
            time_limit: self.time_limit,
            workers: self.threads(),
            plan: None,
            rehearsal: self.sandbox,
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

    /// Another command about the same pipeline and state.
    pub(super) fn command(&self, command: &str) -> String {
        format!(
            "crosswalk {command} {}{}",
            quoted(&self.pipeline),
            self.location().options()
        )
    }
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
    use super::*;

    #[test]
    fn times_are_written_as_people_write_them() {
        assert_eq!(parse_time("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_time("2h 30m").unwrap(), Duration::from_secs(9000));
        assert!(parse_time("0s").is_err());
        assert!(parse_time("-5m").is_err());
        assert!(parse_time("soon").is_err());
    }
}
