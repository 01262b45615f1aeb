//! Executing a pipeline, whatever of it: the options that all commands which do so share, and the summary.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::Context;
use super::arguments::Format;
use super::exit::{Exit, Failure};
use super::output::json;
use super::site::Site;
use super::summary;
use crate::compile::compiled::Pipeline;
use crate::run::{self, RunOptions};

/// What is executed and how.
#[derive(Args, Debug)]
pub(super) struct Execution {
    #[command(flatten)]
    site: Site,
    /// Read, map and decide, but write nothing: neither to a system nor to the state nor snapshots
    #[arg(long)]
    dry_run: bool,
    /// Do what the pipeline's `guard` would stop
    #[arg(long)]
    yes: bool,
    /// End with exit code 3 also when older runs left records in the queue
    #[arg(long)]
    strict: bool,
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
        let ask = |pipeline: &Pipeline, options| ask(pipeline, self.of(options));
        let (summary, output_taken) = self.site.work(context, ask, async |ready| {
            // Where a pipeline's records go to standard output, nothing else may stand there.
            let output_taken = writes_standard_output(&ready.pipeline);
            let summary = run::run(ready.pipeline, ready.options, ready.telemetry, ready.cancellation).await;
            (summary, output_taken)
        })?;
        if let Some(path) = &self.summary {
            std::fs::write(path, json(&summary)?)
                .with_context(|| format!("cannot write the summary to `{}`", path.display()))
                .map_err(Failure::storage)?;
        }
        let text = match self.format {
            Format::Json => json(&summary)?,
            Format::Text => summary::render(&summary, &self.site.command("queue list")),
        };
        if output_taken {
            context.screen.write(text.as_bytes());
        } else {
            context.output.print(&text)?;
        }
        Ok(Exit::Ended(summary.ending))
    }

    /// A run of all flows with these options.
    #[cfg(test)]
    pub(super) fn options(&self) -> RunOptions {
        self.of(self.site.options())
    }

    fn of(&self, options: RunOptions) -> RunOptions {
        RunOptions {
            dry_run: self.dry_run,
            yes: self.yes,
            strict: self.strict,
            ..options
        }
    }
}

fn writes_standard_output(pipeline: &Pipeline) -> bool {
    pipeline.flows.iter().any(|flow| {
        let stream = &pipeline.connections[flow.to.connection].connector.streams[flow.to.stream];
        stream.file.as_ref().is_some_and(|file| file.path == "-")
    })
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
            execution.site.command("queue list"),
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
}
