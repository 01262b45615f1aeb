//! [`Trace`]: every step of every row of one record, for `preview` and mapping tests.

use serde::Serialize;

use super::row::is_structure;
use crate::expression::Value;

/// What mapping did with one record.
#[derive(Debug, Default, Serialize)]
pub struct Trace {
    /// Conditions and joins of the flow, in the order in which they were applied.
    pub record: Vec<TraceStep>,
    /// The rows, in order, up to the one that stopped the record.
    pub rows: Vec<RowTrace>,
    /// Whether private values are shown.
    #[serde(skip)]
    show_private: bool,
    /// Whether objects and lists are masked whole, because they may hold private members.
    #[serde(skip)]
    hide_structures: bool,
}

/// What mapping did for one row.
#[derive(Debug, Serialize)]
pub struct RowTrace {
    /// The target field.
    pub target: String,
    /// Whether the row's values are private; they are masked here unless asked for.
    pub private: bool,
    /// The steps that did something.
    pub steps: Vec<TraceStep>,
    /// What the row gives: `null` also for a row that was not applied.
    pub result: Value<'static>,
    /// Why there is no value, or what is special about it: `not applied`, `fallback`, `created in load`.
    pub note: Option<String>,
}

/// One step.
#[derive(Debug, Serialize)]
pub struct TraceStep {
    /// `value`, `take`, `default`, `on_null`, `enum`, `lookup`, `link`, `then`, `type`, `check`, `when`, `join`.
    pub step: &'static str,
    /// The rule: a path, a template, the name of a table or lookup.
    pub rule: Option<String>,
    /// What went in.
    pub input: Value<'static>,
    /// What came out.
    pub output: Value<'static>,
    /// What happened, where the values do not say it.
    pub note: Option<String>,
}

/// What stands for a private value.
pub const MASK: &str = "***";

impl Trace {
    /// An empty trace that masks private values.
    pub fn new() -> Self {
        Trace::default()
    }

    /// An empty trace that shows private values, because the person who looks asked for it.
    pub fn showing_private() -> Self {
        Trace {
            show_private: true,
            ..Trace::default()
        }
    }

    pub(super) fn begin(&mut self, target: &str, private: bool, hide_structures: bool) {
        self.hide_structures = hide_structures;
        self.rows.push(RowTrace {
            target: target.to_owned(),
            private,
            steps: Vec::new(),
            result: Value::Null,
            note: None,
        });
    }

    /// Notes a step of the row that was begun last.
    pub(super) fn step(
        &mut self,
        step: &'static str,
        rule: Option<String>,
        input: &Value<'_>,
        output: &Value<'_>,
        note: Option<&str>,
    ) {
        let private = self.rows.last().is_some_and(|row| row.private);
        let shown = TraceStep {
            step,
            rule,
            input: self.shown(input, private),
            output: self.shown(output, private),
            note: note.map(str::to_owned),
        };
        if let Some(row) = self.rows.last_mut() {
            row.steps.push(shown);
        }
    }

    /// Notes what a row gave.
    pub(super) fn end(&mut self, result: &Value<'_>, note: Option<String>) {
        let private = self.rows.last().is_some_and(|row| row.private);
        let result = self.shown(result, private);
        if let Some(row) = self.rows.last_mut() {
            row.result = result;
            row.note = note;
        }
    }

    /// Notes a step of the flow.
    pub(super) fn record_step(
        &mut self,
        step: &'static str,
        rule: String,
        output: Value<'static>,
        note: Option<String>,
    ) {
        self.record.push(TraceStep {
            step,
            rule: Some(rule),
            input: Value::Null,
            output,
            note,
        });
    }

    fn shown(&self, value: &Value<'_>, private: bool) -> Value<'static> {
        let hidden = private || (self.hide_structures && is_structure(value));
        if hidden && !self.show_private && !value.is_null() {
            Value::text(MASK)
        } else {
            value.clone().into_owned()
        }
    }
}
