//! Tables: one row of a flow and what each of its values becomes, a case for each line.

use indexmap::IndexMap;

use super::given::value;
use super::{Head, TestChecks};
use crate::compile::compiled::{Input, MappingCase, Side, TestTask, TestedFlow};
use crate::compile::pointer::Pointer;
use crate::definition::{GivenCase, GivenRecord, Literal, TestCase};
use crate::expression::{Map, Value};

/// The key of the record in which a line's value is put, where none is given.
const KEY: &str = "1";

impl TestChecks<'_, '_> {
    /// The cases of a table.
    pub(super) fn table(
        &self,
        at: &Pointer,
        case: &TestCase,
        given: &GivenCase,
        head: &Head,
    ) -> Vec<MappingCase> {
        let tables = [
            ("becomes", None, &case.becomes),
            ("to_local", Some(Side::Local), &case.to_local),
            ("to_remote", Some(Side::Remote), &case.to_remote),
        ];
        let mut cases = Vec::new();
        if case.expect.is_some() {
            self.wrong(
                &at.itself("expect"),
                "a table says itself what is expected: leave out `expect`",
            );
        }
        let mut empty = true;
        for (word, to, lines) in tables {
            if lines.is_empty() {
                continue;
            }
            empty = false;
            match (head.flow, to) {
                (TestedFlow::OneWay(_), Some(_)) => {
                    self.wrong(
                        &at.itself(word),
                        "the flow goes one way: its tables are `becomes`",
                    );
                }
                (TestedFlow::TwoWay(_), None) => {
                    self.wrong(
                        &at.itself(word),
                        "the flow goes both ways: its tables are `to_local` and `to_remote`",
                    );
                }
                _ => cases.extend(self.lines(at, case, (word, to, lines), given, head)),
            }
        }
        if empty {
            let words = match head.flow {
                TestedFlow::OneWay(_) => "`becomes`",
                TestedFlow::TwoWay(_) => "`to_local` or `to_remote`",
            };
            self.wrong(
                at,
                &format!("the table of the row is missing: {words}, a map of value to value"),
            );
        }
        cases
    }

    fn lines(
        &self,
        at: &Pointer,
        case: &TestCase,
        (word, to, lines): (&str, Option<Side>, &IndexMap<String, Literal>),
        given: &GivenCase,
        head: &Head,
    ) -> Vec<MappingCase> {
        let row_at = at.key("row");
        let name = case.row.as_deref().unwrap_or_default();
        let Some((flow, row)) = self.table_row(&row_at, head.flow, to, name) else {
            return Vec::new();
        };
        let rule = &self.pipeline.flows[flow].rows[row];
        let path = match &rule.input {
            Input::Select(path) if path.steps().is_some() => path,
            _ => {
                self.wrong(
                    &row_at,
                    "the row does not read one plain path, so a table cannot say what goes in: write a case with `given` and `expect`",
                );
                return Vec::new();
            }
        };
        let base = self.base(given, to);
        let shown = case.name.clone().unwrap_or_else(|| name.to_owned());
        let mut cases = Vec::new();
        for (input, expected) in lines {
            let mut record = base.clone();
            let key = &self.stream_of(self.pipeline.flows[flow].from).key;
            if key.one(&record).is_none_or(Value::is_null) {
                key.set(&mut record, Value::text(KEY));
            }
            if !path.set(&mut record, Value::text(input.clone())) {
                self.wrong(
                    &at.key("given"),
                    &format!("`{}` has no place in the given record", path.source()),
                );
                return cases;
            }
            let expected = Value::from(expected.0.clone());
            cases.push(head.case(
                format!("{shown}: {input} -> {}", expected.to_json()),
                TestTask::Line {
                    flow,
                    row,
                    record,
                    expected,
                    at: at.key(word).key(input).as_str().to_owned(),
                },
            ));
        }
        cases
    }

    /// The record in which the values are put.
    fn base(&self, given: &GivenCase, to: Option<Side>) -> Value<'static> {
        let side = |record: &Option<GivenRecord>| match record {
            Some(GivenRecord::Fields(fields)) => Some(value(fields)),
            _ => None,
        };
        let base = match to {
            None => given.record.as_ref().map(value),
            Some(Side::Local) => side(&given.remote),
            Some(Side::Remote) => side(&given.local),
        };
        base.unwrap_or(Value::Map(Map::new()))
    }
}
