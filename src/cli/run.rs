//! `crosswalk run`: executes a pipeline and says what it did.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use super::Context;
use super::execution::Execution;
use super::exit::{Exit, Failure};
use super::selection::Selection;
use crate::run::RunOptions;

/// The arguments of `crosswalk run`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  crosswalk run mappings/tickets-cases.yaml --sandbox     rehearse against local stand-ins, no account needed
  crosswalk run sync.yaml --dry-run --limit 100           decide about 100 records, write nothing
  crosswalk run sync.yaml --plan plan.json                exactly what `crosswalk plan --out plan.json` said
  crosswalk run sync.yaml --only 4711 --only 4712         just these records
  crosswalk run sync.yaml --set start=2026-01-01 --full   read everything again and compare
  crosswalk run sync.yaml --summary summary.json -q --log-format json")]
pub struct Run {
    #[command(flatten)]
    selection: Selection,
    /// Map the records of an earlier run's snapshots again instead of reading the source
    #[arg(long, value_name = "RUN", conflicts_with_all = ["full", "limit"])]
    from_run: Option<String>,
    /// Do exactly what this file of `crosswalk plan --out` says; refused (exit 8) if anything has moved since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["limit", "only", "flow", "full", "from_run", "dry_run"])]
    plan: Option<PathBuf>,
    #[command(flatten)]
    execution: Execution,
}

/// Runs the subcommand.
pub(super) fn run(context: &Context, arguments: &Run) -> Result<Exit, Failure> {
    if let Some(plan) = arguments.plan.as_ref().filter(|plan| !plan.is_file()) {
        return Err(Failure::usage(anyhow!(
            "there is no plan file `{}`: `crosswalk plan --out FILE` makes one",
            plan.display()
        )));
    }
    arguments.execution.execute(context, |pipeline, options| {
        Ok(arguments.beside(arguments.selection.ask(pipeline, options)?))
    })
}

impl Run {
    /// The options with what only `run` knows.
    fn beside(&self, options: RunOptions) -> RunOptions {
        RunOptions {
            from_run: self.from_run.clone(),
            plan: self.plan.clone(),
            ..options
        }
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
        let options = run.beside(run.selection.of(run.execution.options()));
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
        for option in ["--limit 3", "--only 7", "--flow cases", "--full", "--dry-run"] {
            assert!(parse(&format!("crosswalk run sync.yaml --plan p.json {option}")).is_err());
        }
    }
}
