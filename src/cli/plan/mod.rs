//! `crosswalk plan`: says what a run would do, field by field, and writes nothing. With `--out` it leaves a file that
//! `run --plan` executes exactly, or refuses.

mod line;
mod render;

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use super::Context;
use super::arguments::Format;
use super::exit::{Exit, Failure};
use super::selection::Selection;
use super::site::Site;
use crate::run::{self, PlanFileError};
use render::View;

/// The arguments of `crosswalk plan`.
#[derive(Args, Debug)]
#[command(after_help = "\
No cursor moves, nothing is written to a system, and no lease is taken. What cannot be known before the run (a value that
depends on a record which is created first, a lookup that could not be asked) is said to be unknown. The exit code is the one
that a run would end with: 3 where records would be rejected or held, 8 where a guard would refuse.

Examples:
  crosswalk plan sync.yaml                          what a run would do
  crosswalk plan sync.yaml --only 4711 --all        everything about one record
  crosswalk plan sync.yaml --format json | jq '.items[] | select(.kind == \"update\")'
  crosswalk plan sync.yaml --out plan.json          to be read by a person, and then
  crosswalk run sync.yaml --plan plan.json          executed exactly, or refused (exit 8) if anything has moved")]
pub struct Plan {
    #[command(flatten)]
    site: Site,
    #[command(flatten)]
    selection: Selection,
    /// Show every decision and every field, instead of the first ones of each kind
    #[arg(long)]
    all: bool,
    /// Write the plan to this file, for `run --plan`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The form of the plan on standard output
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the subcommand.
pub(super) fn plan(context: &Context, arguments: &Plan) -> Result<Exit, Failure> {
    let lasting = arguments.out.is_some();
    let made = arguments.site.work(
        context,
        |pipeline, options| arguments.selection.ask(pipeline, options),
        async |ready| {
            let cancellation = ready.cancellation;
            run::plan(
                ready.pipeline,
                ready.options,
                ready.telemetry,
                cancellation,
                lasting,
            )
            .await
        },
    )?;
    let plan = made.map_err(|(ending, message)| Failure::new(Exit::Ended(ending), anyhow!(message)))?;
    match arguments.format {
        Format::Json => context.output.print_json(&plan)?,
        Format::Text => {
            let view = View {
                all: arguments.all,
                coloured: context.output.is_coloured(),
                queue_command: arguments.site.command("queue list"),
            };
            let text = view
                .render(&plan)
                .map_err(|reason| Failure::storage(anyhow!(reason)))?;
            context.output.print(&text)?;
        }
    }
    if let Some(path) = &arguments.out {
        plan.write(path).map_err(|error| not_written(error, &plan))?;
        let next = arguments.site.command("run");
        let text = format!(
            "the plan is in `{}`; to execute it: {next} --plan {}\n",
            path.display(),
            path.display()
        );
        context.screen.write(text.as_bytes());
    }
    Ok(Exit::Ended(plan.report.ending.clone()))
}

/// What it means that no plan file was written.
fn not_written(error: PlanFileError, plan: &run::Plan) -> Failure {
    let ending = match &error {
        PlanFileError::Incomplete { .. } => plan.report.ending.clone(),
        PlanFileError::Unsettled { .. } | PlanFileError::WholeFile { .. } => run::Ending::Refused,
        _ => return Failure::storage(error.into()),
    };
    Failure::new(Exit::Ended(ending), error.into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Arguments, Command};

    #[test]
    fn a_plan_takes_what_a_run_takes_to_choose_records() {
        let arguments =
            "crosswalk plan sync.yaml --flow cases --only 7 --limit 3 --full --set a=b --all --out p.json";
        let parsed = Arguments::try_parse_from(arguments.split(' ')).unwrap();
        let Command::Plan(plan) = parsed.command else {
            panic!("not a plan");
        };
        let options = plan.selection.of(plan.site.options());
        assert_eq!((options.flows.len(), options.only.len()), (1, 1));
        assert_eq!((options.limit, options.full), (Some(3), true));
        assert!(plan.all && plan.out.is_some());
        assert!(Arguments::try_parse_from(["crosswalk", "plan", "sync.yaml", "--dry-run"]).is_err());
    }
}
