//! Mapping tests: given records go through a pipeline's rules as in a run, up to the decision, and what becomes of them
//! is held against what was expected.
//!
//! `world` makes a case's connections (the given records) and store (its links and baselines) and runs the real stages
//! over them; `outcome` says what came of it in the words of expectations; `compare` finds the differences; `touched`
//! what no case looked at.

mod compare;
mod outcome;
mod touched;
mod world;

use std::sync::Arc;

use serde::Serialize;

use crate::compile::compiled::{FlowId, MappingCase, MappingTests, PerSide, Side, TestTask, TestedFlow};
use crate::diagnostic::{Locate, Part};
use crate::mapping::RowTrace;
use crate::run::{Stop, with_causes};
use crate::telemetry::Telemetry;
use compare::{Comparison, Difference, equal, said, shown};
use touched::Touched;
pub use touched::{Untouched, UntouchedIn};
use world::World;

/// What became of a file of tests.
#[derive(Debug, Serialize)]
pub struct TestReport {
    /// The file.
    pub file: String,
    /// The pipeline.
    pub pipeline: String,
    /// Its cases, in order.
    pub cases: Vec<CaseReport>,
    /// What no case has looked at.
    pub untouched: Untouched,
}

impl TestReport {
    /// How many cases failed.
    pub fn failed(&self) -> usize {
        self.cases.iter().filter(|case| !case.passed()).count()
    }
}

/// What became of one case.
#[derive(Debug, Serialize)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// The flow.
    pub flow: String,
    /// Where it stands.
    pub place: SourcePlace,
    /// What was not as expected; nothing where it passed.
    pub mismatches: Vec<Mismatch>,
}

impl CaseReport {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.mismatches.is_empty()
    }
}

/// Something that is not as it was expected to be.
#[derive(Debug, Serialize)]
pub struct Mismatch {
    /// What: `decision`, `local.priority.id`, `created.crm.contacts.email`.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What is there instead.
    pub got: String,
    /// Where the expectation stands.
    pub place: SourcePlace,
    /// The rule that made it.
    pub rule: Option<RuleTraced>,
}

/// A rule, and what it did step by step.
#[derive(Debug, Serialize)]
pub struct RuleTraced {
    /// The field that it writes.
    pub target: String,
    /// Where it stands.
    pub place: SourcePlace,
    /// Its steps: rule and result.
    pub steps: Vec<String>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourcePlace {
    /// The file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

impl SourcePlace {
    fn of(document: &dyn Locate, pointer: &str) -> Self {
        let span = document.locate(pointer, Part::Value).span;
        let position = document.source().position(span.start);
        SourcePlace {
            file: document.source().name().to_owned(),
            line: position.line,
            column: position.column,
        }
    }
}

/// Runs the tests of a file, those whose name contains one of `only` (none: all). It never fails: what cannot be run is
/// a case that failed.
pub async fn run_tests(tests: &MappingTests, only: &[String]) -> TestReport {
    let mut report = TestReport {
        file: tests.document.file().name().to_owned(),
        pipeline: String::new(),
        cases: Vec::new(),
        untouched: Untouched::default(),
    };
    let Some(pipeline) = tests.pipelines.first() else {
        return report;
    };
    report.pipeline.clone_from(&pipeline.name);
    let mut touched = Touched::new(pipeline);
    let telemetry = Arc::new(Telemetry::new(Arc::default()));
    let chosen = |case: &&MappingCase| only.is_empty() || only.iter().any(|part| case.name.contains(part));
    for case in tests.cases.iter().filter(chosen) {
        let runner = Runner {
            tests,
            case,
            telemetry: &telemetry,
        };
        report.cases.push(runner.run(&mut touched).await);
    }
    report.untouched = touched.untouched(pipeline);
    report
}

/// Runs one case.
struct Runner<'t> {
    tests: &'t MappingTests,
    case: &'t MappingCase,
    telemetry: &'t Arc<Telemetry>,
}

impl Runner<'_> {
    async fn run(&self, touched: &mut Touched) -> CaseReport {
        let place = SourcePlace::of(&self.tests.document, &self.case.pointer);
        let (differences, world) = match World::of(self.tests, self.case, self.telemetry).await {
            Ok(world) => match self.differences(&world, touched).await {
                Ok(differences) => (differences, Some(world)),
                Err(stop) => (vec![self.cannot_run(&stop)], None),
            },
            Err(stop) => (vec![self.cannot_run(&stop)], None),
        };
        let mut mismatches = Vec::with_capacity(differences.len());
        for difference in differences {
            let rule = match (&world, difference.made_by) {
                (Some(world), Some((flow, row))) => self.traced(world, flow, row).await,
                _ => None,
            };
            mismatches.push(Mismatch {
                what: difference.what,
                expected: difference.expected,
                got: difference.got,
                place: SourcePlace::of(&self.tests.document, &difference.at),
                rule,
            });
        }
        CaseReport {
            name: self.case.name.clone(),
            flow: self.flow_name(),
            place,
            mismatches,
        }
    }

    fn flow_name(&self) -> String {
        let pipeline = self.tests.pipelines.get(self.case.pipeline);
        let name = pipeline.and_then(|pipeline| match self.case.flow {
            TestedFlow::OneWay(id) => Some(&pipeline.flows.get(id)?.name),
            TestedFlow::TwoWay(id) => Some(&pipeline.two_way.get(id)?.name),
        });
        name.cloned().unwrap_or_default()
    }

    async fn differences(&self, world: &World, touched: &mut Touched) -> Result<Vec<Difference>, Stop> {
        if let TestTask::Line {
            flow,
            row,
            record,
            expected,
            at,
        } = &self.case.task
        {
            let line = world.line(*flow, *row, record).await?;
            touched.rows.insert((*flow, *row));
            touched.enums.add(&line.coverage);
            let fits = line.value.as_ref().is_some_and(|value| equal(expected, value));
            let got = match (&line.value, &line.refused) {
                (_, Some(reject)) => format!("rejected ({})", said(reject)),
                (Some(value), None) => shown(value),
                (None, None) => "not written".to_owned(),
            };
            let difference = Difference {
                what: "value".to_owned(),
                expected: shown(expected),
                got,
                at: at.clone(),
                made_by: Some((*flow, *row)),
            };
            return Ok((!fits).then_some(difference).into_iter().collect());
        }
        let became = world.run(self.case).await?;
        touched.enums.add(&became.coverage);
        let (TestTask::OneWay { expect, .. } | TestTask::TwoWay { expect, .. }) = &self.case.task else {
            return Ok(Vec::new());
        };
        let at = format!("{}/expect", self.case.pointer);
        let comparison = Comparison {
            pipeline: &self.tests.pipelines[self.case.pipeline],
            flow: self.case.flow,
            at: &at,
            expect,
            became: &became,
            touched,
            found: Vec::new(),
        };
        Ok(comparison.differences())
    }

    fn cannot_run(&self, stop: &Stop) -> Difference {
        Difference {
            what: "case".to_owned(),
            expected: "a decision".to_owned(),
            got: with_causes(stop),
            at: self.case.pointer.clone(),
            made_by: None,
        }
    }

    /// What a rule did with the record from which it made its value.
    async fn traced(&self, world: &World, flow: FlowId, row: usize) -> Option<RuleTraced> {
        let pipeline = self.tests.pipelines.get(self.case.pipeline)?;
        let rule = pipeline.flows.get(flow)?.rows.get(row)?;
        let record = match &self.case.task {
            TestTask::OneWay { record, .. } | TestTask::Line { record, .. } => record,
            TestTask::TwoWay { sides, .. } => {
                let direction = pipeline.flows[flow].direction_of?;
                let PerSide { remote, local } = sides;
                match direction.to {
                    Side::Local => remote.as_ref()?,
                    Side::Remote => local.as_ref()?,
                }
            }
        };
        let trace = world.trace(flow, record).await.ok()?;
        let traced = trace.rows.into_iter().nth(row);
        Some(RuleTraced {
            target: rule.target.name.clone(),
            place: SourcePlace::of(&self.tests.pipeline_document, &rule.pointer),
            steps: traced.map(steps).unwrap_or_default(),
        })
    }
}

/// The steps of a rule that did something.
fn steps(traced: RowTrace) -> Vec<String> {
    let mut steps: Vec<String> = traced
        .steps
        .into_iter()
        .map(|step| {
            let rule = step.rule.map(|rule| format!(" {rule}")).unwrap_or_default();
            let note = step.note.map(|note| format!(" ({note})")).unwrap_or_default();
            format!("{}{rule}: {}{note}", step.step, step.output.to_json())
        })
        .collect();
    steps.extend(traced.note);
    steps
}
