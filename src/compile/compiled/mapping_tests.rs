//! Mapping tests that were checked: cases with their records, each for a pipeline that is compiled with its params.

use std::sync::Arc;

use super::{FlowId, PerSide, Pipeline, Side, StreamRef, TwoWayId};
use crate::definition::Expectation;
use crate::document::Document;
use crate::expression::Value;

/// The tests of one file.
#[derive(Debug)]
pub struct MappingTests {
    /// The file, for the places of expectations.
    pub document: Document,
    /// The pipeline's file, for the places of rules.
    pub pipeline_document: Document,
    /// The pipeline, once for each set of params. All have the same flows, rows and tables in the same order.
    pub pipelines: Vec<Arc<Pipeline>>,
    /// What the systems hold in every case.
    pub records: Vec<(StreamRef, Value<'static>)>,
    /// The cases, in the order written; each line of a table is one.
    pub cases: Vec<MappingCase>,
}

/// One case.
#[derive(Debug)]
pub struct MappingCase {
    /// What it shows.
    pub name: String,
    /// JSON pointer of the case in its file.
    pub pointer: String,
    /// Position in [`MappingTests::pipelines`].
    pub pipeline: usize,
    /// The flow.
    pub flow: TestedFlow,
    /// What the systems hold besides.
    pub records: Vec<(StreamRef, Value<'static>)>,
    /// Links of flows: name under which they are stored, source key, target key.
    pub links: Vec<(String, String, String)>,
    /// What is done.
    pub task: TestTask,
}

/// The flow of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestedFlow {
    /// One that goes one way.
    OneWay(FlowId),
    /// One that goes both ways.
    TwoWay(TwoWayId),
}

/// What a case does with its records.
#[derive(Debug)]
pub enum TestTask {
    /// A record goes through a one-way flow up to its decision.
    OneWay {
        /// The record.
        record: Value<'static>,
        /// The record as it was last loaded.
        baseline: Option<Value<'static>>,
        /// The sink's key that it is linked to.
        linked: Option<String>,
        /// What is expected.
        expect: Box<Expectation>,
    },
    /// Two records go through a two-way flow up to the judgement.
    TwoWay {
        /// The records that are there.
        sides: PerSide<Option<Value<'static>>>,
        /// The pair's keys, if it is linked.
        linked: Option<PerSide<String>>,
        /// What both were when they were last in step.
        baseline: Option<TestBaseline>,
        /// A person asks for the counterpart.
        publish: bool,
        /// Sides that a person has chosen, by row.
        chosen: Vec<(String, Side)>,
        /// What is expected.
        expect: Box<Expectation>,
    },
    /// One value goes through one row: a line of a table.
    Line {
        /// The flow or direction.
        flow: FlowId,
        /// The row, by position.
        row: usize,
        /// A record with that value.
        record: Value<'static>,
        /// What the row makes of it.
        expected: Value<'static>,
        /// JSON pointer of the expectation.
        at: String,
    },
}

/// Both records of a pair when they were last in step.
#[derive(Debug)]
pub struct TestBaseline {
    /// The records.
    pub sides: PerSide<Value<'static>>,
    /// Rows where a fallback stands, by side and name.
    pub fallbacks: PerSide<Vec<String>>,
    /// Rows that wait for a person.
    pub held: Vec<String>,
}
