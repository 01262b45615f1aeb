//! The first steps of a row: where its value comes from, `each`/`as`, and `take`.

use std::borrow::Cow;

use super::reads::kept_as_received;
use super::row::{Context, Stop, Stopped};
use super::shape::evaluate_shape;
use crate::compile::compiled::{Input, Row, Shape, Source, Take};
use crate::expression::{Path, Value, exact_sum, received_text};

/// A value on its way through the steps: still where it was selected from, or one of its own.
pub(super) enum Held<'v, 'r> {
    Selected(&'v Value<'r>),
    Own(Value<'r>),
}

impl<'r> Held<'_, 'r> {
    pub(super) fn value(&self) -> &Value<'r> {
        match self {
            Held::Selected(value) => value,
            Held::Own(value) => value,
        }
    }

    pub(super) fn into_value(self) -> Value<'r> {
        match self {
            Held::Selected(value) => value.clone(),
            Held::Own(value) => value,
        }
    }
}

/// Null, to point at where nothing was selected.
pub(super) static NULL: Value<'static> = Value::Null;

impl<'m, 'r> Context<'m, 'r> {
    /// The value that an input gives; alternatives and links are the row's own business.
    pub(super) fn input(&self, input: &'r Input) -> Result<Held<'m, 'r>, Stopped> {
        match input {
            Input::Select(path) => Ok(self.select(path)),
            Input::Compute(template) => template
                .evaluate(self.scope)
                .map(Held::Own)
                .map_err(|error| self.template_failed(&error)),
            Input::Const(value) => Ok(Held::Own(value.borrow())),
            Input::Each { items, shape } => self.each(items, shape.as_ref()),
            Input::FirstOf(_) | Input::Link(_) => Ok(Held::Selected(&NULL)),
        }
    }

    fn select(&self, path: &Path) -> Held<'m, 'r> {
        if path.is_singular() {
            Held::Selected(path.one(self.root).unwrap_or(&NULL))
        } else {
            Held::Own(Value::List(path.all(self.root).into_iter().cloned().collect()))
        }
    }

    /// A selected or computed value.
    pub(super) fn source(&self, source: &Source) -> Result<Held<'m, 'r>, Stopped> {
        match source {
            Source::Select(path) => Ok(self.select(path)),
            Source::Compute(template) => template
                .evaluate(self.scope)
                .map(Held::Own)
                .map_err(|error| self.template_failed(&error)),
        }
    }

    fn each(&self, items: &Source, shape: Option<&Shape>) -> Result<Held<'m, 'r>, Stopped> {
        let nodes = match items {
            Source::Select(path) => path.all(self.root).into_iter().cloned().collect(),
            Source::Compute(_) => match self.source(items)?.into_value() {
                Value::List(nodes) => nodes,
                Value::Null => Vec::new(),
                single => vec![single],
            },
        };
        let Some(shape) = shape else {
            return Ok(Held::Own(Value::List(nodes)));
        };
        let mut made = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let scope = self.scope.child().with("value", node);
            made.push(evaluate_shape(shape, &scope).map_err(|error| self.template_failed(&error))?);
        }
        Ok(Held::Own(Value::List(made)))
    }

    /// Brings several values to one.
    pub(super) fn take(&self, take: &Take, held: Held<'m, 'r>) -> Result<Held<'m, 'r>, Stopped> {
        let mut items = match held.into_value() {
            Value::List(items) => items,
            Value::Null => Vec::new(),
            single => vec![single],
        };
        let taken = match take {
            Take::First => items.into_iter().find(|item| !item.is_null()).unwrap_or_default(),
            Take::Last => items
                .into_iter()
                .rfind(|item| !item.is_null())
                .unwrap_or_default(),
            Take::Only if items.len() > 1 => {
                return Err(self.reject(
                    "take only",
                    "take_several",
                    format!("{} values were found where only one may be", items.len()),
                    None,
                ));
            }
            Take::Only => items.pop().unwrap_or_default(),
            Take::Count => Value::from(i64::try_from(items.len()).unwrap_or(i64::MAX)),
            Take::All => Value::List(items),
            Take::Sum => match exact_sum(&items) {
                Ok(sum) => sum.unwrap_or_default(),
                Err(message) => {
                    return Err(self.reject(
                        "take sum",
                        "take_not_a_number",
                        format!("`take: sum` {message}"),
                        None,
                    ));
                }
            },
            Take::Join(separator) => {
                let mut joined: Option<String> = None;
                for item in items.iter().filter(|item| !item.is_null()) {
                    let text = item.scalar_text().unwrap_or_else(|| Cow::Owned(item.to_json()));
                    match &mut joined {
                        Some(joined) => {
                            joined.push_str(separator);
                            joined.push_str(&text);
                        }
                        None => joined = Some(text.into_owned()),
                    }
                }
                joined.map_or(Value::Null, Value::from)
            }
        };
        Ok(Held::Own(taken))
    }

    /// The record's JSON text as it was received, for a row that keeps JSON and does nothing else with it.
    pub(super) fn received(&self, row: &'r Row) -> Option<Result<Value<'r>, Stopped>> {
        let Input::Select(path) = &row.input else {
            return None;
        };
        let text = self.text?;
        let joined = path
            .first_name()
            .is_some_and(|name| self.mapper.joins.contains(&name));
        if joined || !kept_as_received(row) {
            return None;
        }
        match received_text(text, path) {
            // Null goes the way of every null.
            Ok(None | Some("null")) => None,
            Ok(Some(text)) => Some(Ok(Value::text(text))),
            Err(error) => Some(Err(self.reject(
                "record",
                "record_malformed",
                error.to_string(),
                None,
            ))),
        }
    }

    pub(super) fn template_failed(&self, error: &crate::expression::EvaluateError) -> Stopped {
        self.reject("template", "template_failed", error.to_string(), None)
    }

    pub(super) fn stop(&self, stop: Stop) -> Stopped {
        Box::new(stop)
    }
}
