//! Definition to compiled: names resolved, paths and templates compiled, every default filled in, and everything that
//! is wrong with a file reported at once.
//!
//! A file is read by [`crate::document`] into [`crate::definition`]; the checks here say what its words mean together:
//! that streams, fields and lookups exist, that templates see the names they use, that a cursor fits its list. What is
//! accepted builds and starts.

mod actions;
mod checks;
pub mod compiled;
mod conditions;
mod connection_settings;
mod connections;
mod connector;
mod connector_files;
mod enabled;
mod enums;
pub mod environment;
mod file_sink;
mod files;
mod flows;
mod given;
mod guarantee;
mod inputs;
mod legs;
mod links;
mod lookups;
mod mapping_tests;
mod modes;
mod order;
mod params;
mod pipeline;
mod pipeline_checks;
mod pointer;
mod privacy;
mod projections;
mod reads;
mod record_files;
pub mod record_schema;
mod record_view;
mod rows;
mod setting;
mod sight;
mod stream_facts;
mod syntax;
mod target;
mod two_way;
mod types;
mod unused;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use environment::Environment;
pub use guarantee::{Guarantee, LostCreate, guarantee, guarantees, lost_create};
pub use mapping_tests::{TestsResult, compile_tests};

use crate::diagnostic::{Code, Diagnostics};
use crate::document::Document;

/// What a pipeline is compiled with besides its file.
pub struct CompileOptions<'a> {
    /// Where `env.NAME` and `secret.NAME` get their values.
    pub environment: &'a dyn Environment,
    /// Values of params, as `--set NAME=value` gives them; the last one of a name counts.
    pub set: &'a [(String, String)],
    /// Folders that are searched for connectors after `connectors/` beside the pipeline.
    pub connector_paths: Vec<PathBuf>,
    /// Connection or connector name, setting, value: laid over what the pipeline says.
    pub connection_overrides: &'a [(String, String, String)],
    /// Whether a missing environment variable, secret or param is an error; else it is a warning, and null.
    pub require_environment: bool,
}

impl std::fmt::Debug for CompileOptions<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CompileOptions")
            .field("connector_paths", &self.connector_paths)
            .field("require_environment", &self.require_environment)
            .finish_non_exhaustive()
    }
}

/// What became of a file.
#[derive(Debug)]
pub struct CompileResult {
    /// The pipeline; there is one exactly if the file is a pipeline and there are no errors.
    pub pipeline: Option<compiled::Pipeline>,
    /// Everything that is wrong or doubtful, in the order of the files.
    pub diagnostics: Diagnostics,
}

impl CompileResult {
    fn new(pipeline: Option<compiled::Pipeline>, diagnostics: Diagnostics) -> Self {
        CompileResult {
            pipeline,
            diagnostics: diagnostics.sorted(),
        }
    }
}

/// Compiles a pipeline file with the connectors and record schemas that it names.
pub fn compile_pipeline(path: &Path, options: &CompileOptions<'_>) -> CompileResult {
    let mut diagnostics = Diagnostics::new();
    match Document::read(path, &mut diagnostics) {
        Some(document) => pipeline::compile(path, &document, options, diagnostics),
        None => CompileResult::new(None, diagnostics),
    }
}

/// Checks a connector file alone, with no connection's settings.
pub fn check_connector(path: &Path) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let Some(file) = connector_files::read_connector_file(path, &mut diagnostics) else {
        return diagnostics.sorted();
    };
    let diagnostics = RefCell::new(diagnostics);
    file.compile(None, &record_files::RecordFiles::default(), &diagnostics);
    diagnostics.into_inner().sorted()
}

/// Compiles or checks a file, whichever it is: a pipeline has the word `pipeline`, a connector `connector`, mapping tests
/// `tests`.
pub fn check_file(path: &Path, options: &CompileOptions<'_>) -> CompileResult {
    let mut diagnostics = Diagnostics::new();
    let Some(document) = Document::read(path, &mut diagnostics) else {
        return CompileResult::new(None, diagnostics);
    };
    let has = |word: &str| document.root().member(word).is_some();
    if has("pipeline") || has("flows") || has("connections") {
        return pipeline::compile(path, &document, options, diagnostics);
    }
    if has("connector") || has("streams") {
        return CompileResult {
            pipeline: None,
            diagnostics: check_connector(path),
        };
    }
    if has("tests") {
        return CompileResult {
            pipeline: None,
            diagnostics: compile_tests(path, options).diagnostics,
        };
    }
    diagnostics
        .error(Code::WrongKindOfFile, &document, "")
        .message("this is neither a pipeline nor a connector nor a file of tests: there is no `pipeline:`, no `connector:` and no `tests:`")
        .hint("begin it with `version: 1` and `pipeline: NAME`, `connector: NAME` or `tests: FILE`");
    CompileResult::new(None, diagnostics)
}
