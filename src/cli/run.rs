//! `crosswalk run`: executes a pipeline and says what it did.

use anyhow::anyhow;
use clap::Args;

use super::Context;
use super::execution::Execution;
use super::exit::{Exit, Failure};
use crate::compile::compiled::Pipeline;
use crate::run::RunOptions;

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
    /// Stop reading after so many records; the next run continues there
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Only the record with this key (`KEY`, or `STREAM:KEY`); may be given several times
    #[arg(long, value_name = "KEY")]
    only: Vec<String>,
    /// Only this flow; may be given several times
    #[arg(long, value_name = "NAME")]
    flow: Vec<String>,
    /// Read everything again instead of what changed since the last run, and compare
    #[arg(long)]
    full: bool,
    /// Map the records of an earlier run's snapshots again instead of reading the source
    #[arg(long, value_name = "RUN", conflicts_with_all = ["full", "limit"])]
    from_run: Option<String>,
    #[command(flatten)]
    execution: Execution,
}

/// Runs the subcommand.
pub(super) fn run(context: &Context, arguments: &Run) -> Result<Exit, Failure> {
    arguments.execution.execute(context, |pipeline, options| {
        arguments.check_flows(pipeline)?;
        Ok(arguments.ask(options))
    })
}

impl Run {
    fn ask(&self, options: RunOptions) -> RunOptions {
        RunOptions {
            limit: self.limit,
            only: self.only.clone(),
            flows: self.flow.clone(),
            full: self.full,
            from_run: self.from_run.clone(),
            ..options
        }
    }

    fn check_flows(&self, pipeline: &Pipeline) -> Result<(), Failure> {
        let mut known: Vec<&str> = (0..pipeline.flows.len())
            .map(|id| pipeline.written_name(id))
            .collect();
        known.dedup();
        for asked in &self.flow {
            if !known.contains(&asked.as_str()) {
                return Err(Failure::usage(anyhow!(
                    "the pipeline has no flow `{asked}`: it has {}",
                    known.join(", ")
                )));
            }
            is_on(pipeline, asked)?;
        }
        Ok(())
    }
}

/// Refuses a flow by name that is off.
pub(super) fn is_on(pipeline: &Pipeline, flow: &str) -> Result<(), Failure> {
    match pipeline.disabled().find(|(name, _)| *name == flow) {
        Some((_, reason)) => Err(Failure::usage(anyhow!("flow `{flow}` is disabled: {reason}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

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
        let options = run.ask(run.execution.options());
        assert!(options.dry_run && options.strict && !options.full);
        assert_eq!(options.limit, Some(10));
        assert_eq!(options.only, ["7", "tickets:8"]);
        assert_eq!(options.flows, ["cases"]);
        assert_eq!(options.snapshots, Path::new("s"));
        assert_eq!(options.state, Path::new("x.db"));
        assert_eq!(options.time_limit, Some(Duration::from_secs(900)));
        assert_eq!(options.workers, 3);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(parse("crosswalk run").is_err());
        assert!(parse("crosswalk run sync.yaml --from-run 1 --full").is_err());
        assert!(parse("crosswalk run sync.yaml --from-run 1 --limit 3").is_err());
    }
}
