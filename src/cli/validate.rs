//! `crosswalk validate`: says everything that is wrong with pipeline, connector and test files, without a request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::Context;
use super::exit::{Exit, Failure};
use super::load::Settings;
use crate::compile::compiled::Pipeline;
use crate::compile::environment::ProcessEnvironment;
use crate::compile::{CompileOptions, Guarantee, check_file, guarantees};
use crate::diagnostic::{self, Diagnostics};

/// Where files are looked for when none are named.
const DEFAULT_FOLDER: &str = "mappings";

/// The arguments of `crosswalk validate`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  crosswalk validate mappings/tickets-cases.yaml
  crosswalk validate --env                      also that every environment variable is set
  crosswalk validate --format sarif > report.sarif

Exit code 2 when there are errors, 0 otherwise; warnings do not count unless --strict says so.")]
pub struct Validate {
    /// Pipeline, connector and test files, or folders of them [default: mappings, or this folder]
    paths: Vec<PathBuf>,
    /// Missing environment variables, secrets and params are errors, as they are for a run, instead of warnings
    #[arg(long)]
    env: bool,
    /// Warnings count as errors for the exit code
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    settings: Settings,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ReportFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people
    #[default]
    Text,
    /// For scripts
    Json,
    /// For editors and code review (SARIF 2.1.0)
    Sarif,
}

/// Runs the subcommand.
pub(super) fn validate(context: &Context, arguments: &Validate) -> Result<Exit, Failure> {
    let files = arguments.files()?;
    let set = arguments.settings.pairs();
    let options = CompileOptions {
        environment: &ProcessEnvironment,
        set: &set,
        connector_paths: arguments.settings.connectors.clone(),
        connection_overrides: &[],
        require_environment: arguments.env,
    };
    let mut found = Diagnostics::new();
    let mut promises = Vec::new();
    for file in &files {
        let result = check_file(file, &options);
        found.append(result.diagnostics);
        promises.extend(result.pipeline.map(|pipeline| Promise::of(file, &pipeline)));
    }
    let found = found.sorted();
    match arguments.format {
        ReportFormat::Text => {
            context
                .output
                .print(&render(&found, &promises, &files, context.output.is_coloured()))?
        }
        ReportFormat::Json => {
            let (errors, warnings) = found.counts();
            context.output.print_json(&json!({
                "files": files,
                "errors": errors,
                "warnings": warnings,
                "guarantees": promises,
                "diagnostics": diagnostic::json(&found),
            }))?;
        }
        ReportFormat::Sarif => context.output.print_json(&diagnostic::sarif(&found))?,
    }
    let fails = found.has_errors() || (arguments.strict && !found.is_empty());
    Ok(if fails { Exit::Usage } else { Exit::Complete })
}

fn render(found: &Diagnostics, promises: &[Promise], files: &[PathBuf], color: bool) -> String {
    let count = match files {
        [only] => only.display().to_string(),
        files => format!("{} files", files.len()),
    };
    format!(
        "{}{}{count}: {}\n",
        diagnostic::text(found, color),
        promises.iter().map(promised).collect::<String>(),
        diagnostic::summary(found)
    )
}

/// What a pipeline promises of its writes, and the flows that make none because they are off.
#[derive(Debug, Serialize)]
struct Promise {
    file: PathBuf,
    flows: Vec<Guarantee>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    disabled: BTreeMap<String, String>,
}

impl Promise {
    fn of(file: &Path, pipeline: &Pipeline) -> Self {
        let disabled = pipeline.disabled();
        Promise {
            file: file.to_owned(),
            flows: guarantees(pipeline),
            disabled: disabled
                .map(|(flow, reason)| (flow.to_owned(), reason.to_string()))
                .collect(),
        }
    }
}

fn promised(promise: &Promise) -> String {
    let mut text = format!("{} promises of its writes:\n", promise.file.display());
    for flow in &promise.flows {
        text.push_str(&format!("  {} (writes {})\n", flow.flow, flow.to));
        let lines = [
            ("create", &flow.create),
            ("update", &flow.update),
            ("delete", &flow.delete),
        ];
        for (what, promise) in lines {
            if let Some(promise) = promise {
                text.push_str(&format!("    {what}  {promise}\n"));
            }
        }
    }
    for (flow, reason) in &promise.disabled {
        text.push_str(&format!("  {flow} is disabled: {reason}\n"));
    }
    text.push('\n');
    text
}

impl Validate {
    /// The files, in order of their names below each path given.
    fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        files_below(
            &self.paths,
            &["pipeline:", "connector:", "tests:"],
            "pipeline or connector file",
        )
    }
}

/// The files that are named, and those below the folders that are named which begin a line with one of these words; none
/// named: below the folder of mappings, or this one.
pub(super) fn files_below(paths: &[PathBuf], words: &[&str], what: &str) -> Result<Vec<PathBuf>, Failure> {
    let default = if Path::new(DEFAULT_FOLDER).is_dir() {
        DEFAULT_FOLDER
    } else {
        "."
    };
    let default = [PathBuf::from(default)];
    let paths = if paths.is_empty() { &default } else { paths };
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            collect(path, words, &mut files).map_err(Failure::usage)?;
            if files.len() == before {
                return Err(Failure::usage(anyhow!(
                    "there is no {what} below `{}`: they end in `.yaml` or `.yml`",
                    path.display()
                )));
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Adds the files of a folder that are meant for us: hidden ones are not.
fn collect(folder: &Path, words: &[&str], files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let mut entries = read().with_context(|| format!("cannot read the folder `{}`", folder.display()))?;
    entries.sort();
    for path in entries {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, words, files)?;
        } else if is_ours(&path, words) {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a file in a folder says that it is one of ours; one that cannot be read is reported later.
fn is_ours(path: &Path, words: &[&str]) -> bool {
    if !path
        .extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
    {
        return false;
    }
    match std::fs::read_to_string(path) {
        Ok(text) => text
            .lines()
            .any(|line| words.iter().any(|word| line.starts_with(word))),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Arguments, Command};
    use super::*;

    fn parse(arguments: &[&str]) -> Validate {
        let arguments = ["crosswalk", "validate"]
            .into_iter()
            .chain(arguments.iter().copied());
        match Arguments::try_parse_from(arguments).unwrap().command {
            Command::Validate(validate) => validate,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn folders_are_searched_for_files_that_say_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let pipeline = write("b/sync.yaml", "version: 1\npipeline: sync\n");
        let connector = write("a.yml", "connector: crm\n");
        let tests = write("tests/sync.test.yaml", "version: 1\ntests: ../b/sync.yaml\n");
        write("b/other.yaml", "kind: Deployment\n");
        write(".hidden/c.yaml", "pipeline: no\n");
        write("notes.txt", "pipeline: no\n");
        let found = parse(&[folder.path().to_str().unwrap()]).files().unwrap();
        assert_eq!(found, [connector, pipeline, tests]);
    }

    #[test]
    fn a_folder_without_files_is_a_mistake_and_a_named_file_is_taken_at_its_word() {
        let folder = tempfile::tempdir().unwrap();
        assert!(parse(&[folder.path().to_str().unwrap()]).files().is_err());
        assert_eq!(
            parse(&["missing.yaml"]).files().unwrap(),
            [PathBuf::from("missing.yaml")]
        );
    }
}
