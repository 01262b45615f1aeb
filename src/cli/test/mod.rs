//! `crosswalk test`: runs the mapping tests of files and folders, without asking any system.

mod render;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::Context;
use super::arguments::Format;
use super::exit::{Exit, Failure};
use super::load::say;
use super::validate::files_below;
use crate::compile::environment::EmptyEnvironment;
use crate::compile::{CompileOptions, compile_tests};
use crate::run::{TestReport, run_tests};

/// The arguments of `crosswalk test`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  crosswalk test                                      every test file below mappings
  crosswalk test mappings/tests/sync.test.yaml --only status
  crosswalk test mappings --coverage                  also which rules and table entries no case touched

Exit code 11 when a case fails, 2 when a file is wrong. No system is asked, and no variable of the environment is read.")]
pub struct Test {
    /// Test files, or folders of them [default: mappings, or this folder]
    paths: Vec<PathBuf>,
    /// Only cases whose name contains this; may be given several times
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Say which rules and which entries of enum tables no case touched
    #[arg(long)]
    coverage: bool,
    /// Search connectors here, too, after `connectors/` beside the pipeline; may be given several times
    #[arg(long, value_name = "FOLDER")]
    connectors: Vec<PathBuf>,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the subcommand.
pub(super) fn test(context: &Context, arguments: &Test) -> Result<Exit, Failure> {
    let files = files_below(&arguments.paths, &["tests:"], "file of mapping tests")?;
    let options = CompileOptions {
        environment: &EmptyEnvironment,
        set: &[],
        connector_paths: arguments.connectors.clone(),
        connection_overrides: &[],
        require_environment: false,
    };
    let mut compiled = Vec::with_capacity(files.len());
    let mut sound = true;
    for file in &files {
        let result = compile_tests(file, &options);
        say(context, file, &result.diagnostics);
        sound &= result.tests.is_some();
        compiled.extend(result.tests);
    }
    if !sound {
        return Ok(Exit::Usage);
    }
    let runtime = tokio::runtime::Runtime::new()
        .context("cannot start the threads of the tests")
        .map_err(Failure::internal)?;
    let reports: Vec<TestReport> = runtime.block_on(async {
        let mut reports = Vec::with_capacity(compiled.len());
        for tests in &compiled {
            reports.push(run_tests(tests, &arguments.only).await);
        }
        reports
    });
    let failed: usize = reports.iter().map(TestReport::failed).sum();
    match arguments.format {
        Format::Text => context
            .output
            .print(&render::text(&reports, arguments.coverage))?,
        Format::Json => context.output.print_json(&json!({
            "cases": reports.iter().map(|report| report.cases.len()).sum::<usize>(),
            "failed": failed,
            "files": reports,
        }))?,
    }
    Ok(if failed > 0 { Exit::Finding } else { Exit::Complete })
}
