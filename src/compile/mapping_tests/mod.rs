//! A file of mapping tests: the pipeline that it names is compiled, and every name in the cases is held against it.
//!
//! `names` checks what cases and expectations speak of, `given` makes records of what is given, `table` makes a case of
//! each line of a table.

mod given;
mod names;
mod table;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Component, Path as FilePath, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::checks::Checks;
use super::compiled::{self, MappingCase, Pipeline, StreamRef, TestTask, TestedFlow};
use super::environment::{EmptyEnvironment, Overrides};
use super::pointer::Pointer;
use super::{CompileOptions, compile_pipeline};
use crate::definition::{self, FileKind, Literal, TestCase};
use crate::diagnostic::{Code, Diagnostics, Severity, list};
use crate::document::Document;
use crate::expression::Value;

/// What became of a file of mapping tests.
#[derive(Debug)]
pub struct TestsResult {
    /// The tests; they are there exactly if there are no errors.
    pub tests: Option<compiled::MappingTests>,
    /// Everything that is wrong or doubtful.
    pub diagnostics: Diagnostics,
}

/// Compiles a file of mapping tests with the pipeline that it names. Of `options` only the folders of connectors count:
/// a test must not depend on where it runs.
pub fn compile_tests(path: &FilePath, options: &CompileOptions<'_>) -> TestsResult {
    let mut diagnostics = Diagnostics::new();
    let tests = Document::read(path, &mut diagnostics)
        .and_then(|document| compile(path, document, options, &mut diagnostics));
    let diagnostics = diagnostics.sorted();
    TestsResult {
        tests: tests.filter(|_| !diagnostics.has_errors()),
        diagnostics,
    }
}

fn compile(
    path: &FilePath,
    document: Document,
    options: &CompileOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<compiled::MappingTests> {
    if FileKind::of(&document) != FileKind::Tests {
        diagnostics
            .error(Code::WrongKindOfFile, &document, "")
            .message("this is no file of mapping tests: there is no `tests:`")
            .hint(
                "begin it with `version: 1` and `tests: PIPELINE`, the pipeline's path relative to this file",
            );
        return None;
    }
    let parsed = definition::read_mapping_tests(&document, diagnostics)?;
    let omitted = |pointer: &str| parsed.is_omitted(pointer);
    let checks = Checks::new(&document, &omitted);
    let file = &parsed.definition;
    let pipeline_path = beside(path, &file.tests);
    let pipelines = Pipelines {
        path: &pipeline_path,
        connector_paths: &options.connector_paths,
        environment: &file.environment,
        compiled: RefCell::default(),
        positions: RefCell::default(),
    };
    let compiled = pipelines
        .first(&checks, &file.params, diagnostics)
        .and_then(|first| {
            let tests = TestChecks {
                checks: &checks,
                file,
                pipelines: &pipelines,
                pipeline: &first,
            };
            let records = tests.records(&Pointer::root().key("records"), &file.records);
            let cases: Vec<Vec<MappingCase>> = file
                .cases
                .iter()
                .enumerate()
                .map(|(position, case)| tests.case(position, case))
                .collect();
            let pipeline_document = Document::read(&pipeline_path, &mut Diagnostics::new())?;
            Some((records, cases.into_iter().flatten().collect(), pipeline_document))
        });
    diagnostics.append(checks.take());
    let complete = parsed.is_complete();
    let pipelines = pipelines.compiled.into_inner();
    let (records, cases, pipeline_document) = compiled.filter(|_| complete)?;
    Some(compiled::MappingTests {
        document,
        pipeline_document,
        pipelines,
        records,
        cases,
    })
}

/// A file named relative to another one, without detours, so that it has one name in all messages.
fn beside(path: &FilePath, named: &str) -> PathBuf {
    let folder = path.parent().unwrap_or(FilePath::new(""));
    let mut plain = PathBuf::new();
    for part in folder.join(named).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// The pipeline of a file, compiled once for each set of params.
struct Pipelines<'t> {
    path: &'t FilePath,
    connector_paths: &'t [PathBuf],
    environment: &'t IndexMap<String, String>,
    compiled: RefCell<Vec<Arc<Pipeline>>>,
    positions: RefCell<HashMap<Vec<(String, String)>, usize>>,
}

impl Pipelines<'_> {
    fn compile(&self, set: &[(String, String)]) -> super::CompileResult {
        let values = self.environment.iter();
        let environment = Overrides::new(
            values.map(|(name, value)| (name.clone(), value.clone())),
            &EmptyEnvironment,
        );
        let options = CompileOptions {
            environment: &environment,
            set,
            connector_paths: self.connector_paths.to_vec(),
            connection_overrides: &[],
            require_environment: false,
        };
        compile_pipeline(self.path, &options)
    }

    fn keep(&self, set: Vec<(String, String)>, pipeline: Pipeline) -> Arc<Pipeline> {
        let pipeline = Arc::new(pipeline);
        let mut compiled = self.compiled.borrow_mut();
        self.positions.borrow_mut().insert(set, compiled.len());
        compiled.push(Arc::clone(&pipeline));
        pipeline
    }

    /// The pipeline with the file's own params. What is wrong with it is reported; its warnings are its own affair.
    fn first(
        &self,
        checks: &Checks<'_>,
        params: &IndexMap<String, Literal>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<Pipeline>> {
        if !self.path.is_file() {
            checks.error(Code::FileUnreadable, &Pointer::root().key("tests"), |report| {
                report
                    .message(format!("there is no pipeline file `{}`", self.path.display()))
                    .hint("the path is relative to this file")
            });
            return None;
        }
        let plain = self.compile(&[]);
        if plain.diagnostics.has_errors() {
            let errors = plain.diagnostics.iter();
            let errors = errors.filter(|found| found.severity == Severity::Error);
            errors.cloned().for_each(|error| diagnostics.push(error));
            return None;
        }
        let pipeline = plain.pipeline?;
        let at = Pointer::root().key("params");
        params_fit(checks, &at, &pipeline, params);
        let set = as_set(&pipeline, params);
        if set.is_empty() {
            return Some(self.keep(set, pipeline));
        }
        let position = self.with(checks, &at, set)?;
        self.compiled.borrow().get(position).cloned()
    }

    /// The position of the pipeline with these params.
    fn with(&self, checks: &Checks<'_>, at: &Pointer, set: Vec<(String, String)>) -> Option<usize> {
        if let Some(position) = self.positions.borrow().get(&set) {
            return Some(*position);
        }
        let result = self.compile(&set);
        match result.pipeline {
            Some(pipeline) => {
                self.keep(set, pipeline);
                Some(self.compiled.borrow().len() - 1)
            }
            None => {
                let errors = result.diagnostics.iter();
                let first = errors.map(|found| found.message.clone()).next();
                checks.error(Code::SettingType, at, |report| {
                    report.message(format!(
                        "with these params the pipeline does not fit: {}",
                        first.unwrap_or_default()
                    ))
                });
                None
            }
        }
    }
}

/// Whether the pipeline has all of these params.
fn params_fit(
    checks: &Checks<'_>,
    at: &Pointer,
    pipeline: &Pipeline,
    params: &IndexMap<String, Literal>,
) -> bool {
    let known: Vec<&str> = param_names(pipeline).collect();
    let unknown = params.keys().filter(|name| !known.contains(&name.as_str()));
    let mut fits = true;
    for name in unknown {
        fits = false;
        checks.error(Code::UnknownParam, &at.itself(name), |report| {
            report
                .message(format!("the pipeline has no param `{name}`"))
                .did_you_mean(name, known.iter().copied())
                .note(format!("its params are {}", list(known.iter().copied())))
        });
    }
    fits
}

fn param_names(pipeline: &Pipeline) -> impl Iterator<Item = &str> {
    let params = pipeline.params.as_map().into_iter();
    params.flat_map(|params| params.iter().map(|(name, _)| name))
}

/// Params as `--set` would give them, those that the pipeline has.
fn as_set(pipeline: &Pipeline, params: &IndexMap<String, Literal>) -> Vec<(String, String)> {
    let known = params
        .iter()
        .filter(|(name, _)| param_names(pipeline).any(|known| known == name.as_str()));
    let mut set: Vec<(String, String)> = known
        .map(|(name, value)| {
            let text = value.0.as_str();
            (
                name.clone(),
                text.map_or_else(|| value.0.to_string(), str::to_owned),
            )
        })
        .collect();
    set.sort();
    set
}

/// What all cases of one entry have in common.
struct Head {
    pointer: String,
    pipeline: usize,
    flow: TestedFlow,
    records: Vec<(StreamRef, Value<'static>)>,
    links: Vec<(String, String, String)>,
}

impl Head {
    fn case(&self, name: String, task: TestTask) -> MappingCase {
        MappingCase {
            name,
            pointer: self.pointer.clone(),
            pipeline: self.pipeline,
            flow: self.flow,
            records: self.records.clone(),
            links: self.links.clone(),
            task,
        }
    }
}

/// A file of tests while it is compiled.
struct TestChecks<'t, 'd> {
    checks: &'t Checks<'d>,
    file: &'t definition::MappingTests,
    pipelines: &'t Pipelines<'t>,
    /// The pipeline with the file's params; every other one has the same names.
    pipeline: &'t Pipeline,
}

impl TestChecks<'_, '_> {
    /// A case: one, or one for each line of its table.
    fn case(&self, position: usize, case: &TestCase) -> Vec<MappingCase> {
        let at = Pointer::root().key("cases").index(position);
        let Some(flow) = self.flow(&at, case) else {
            return Vec::new();
        };
        let given = case.given.clone().unwrap_or_default();
        let given_at = at.key("given");
        let mut params = self.file.params.clone();
        let own = given.params.iter();
        params.extend(own.map(|(name, value)| (name.clone(), value.clone())));
        let params_at = given_at.key("params");
        params_fit(self.checks, &params_at, self.pipeline, &given.params);
        let set = as_set(self.pipeline, &params);
        // Where the file's own params are wrong, that was said; the other names are still held against the pipeline.
        let pipeline = self
            .pipelines
            .with(self.checks, &params_at, set)
            .unwrap_or_default();
        let head = Head {
            pointer: at.as_str().to_owned(),
            pipeline,
            flow,
            records: self.records(&given_at.key("records"), &given.records),
            links: self.links(&given_at.key("links"), &given),
        };
        if case.row.is_some() {
            return self.table(&at, case, &given, &head);
        }
        self.single(&at, case, &given, &head).into_iter().collect()
    }

    /// The flow of a case.
    fn flow(&self, at: &Pointer, case: &TestCase) -> Option<TestedFlow> {
        let mut known: Vec<(&str, TestedFlow)> = Vec::new();
        for (id, flow) in self.pipeline.flows.iter().enumerate() {
            if flow.direction_of.is_none() {
                known.push((&flow.name, TestedFlow::OneWay(id)));
            }
        }
        for (id, way) in self.pipeline.two_way.iter().enumerate() {
            known.push((&way.name, TestedFlow::TwoWay(id)));
        }
        let names = || known.iter().map(|(name, _)| *name);
        match &case.flow {
            Some(name) => {
                let found = known
                    .iter()
                    .find(|(other, _)| other == name)
                    .map(|(_, flow)| *flow);
                if found.is_none() {
                    self.checks.error(Code::UnknownFlow, &at.key("flow"), |report| {
                        report
                            .message(format!("the pipeline has no flow `{name}`"))
                            .did_you_mean(name, names())
                            .note(format!("its flows are {}", list(names())))
                    });
                }
                found
            }
            None => match known.as_slice() {
                [(_, only)] => Some(*only),
                _ => {
                    self.checks.error(Code::MissingWord, at, |report| {
                        report
                            .message("the pipeline has several flows: `flow` says which one is tested")
                            .note(format!("its flows are {}", list(names())))
                    });
                    None
                }
            },
        }
    }
}
