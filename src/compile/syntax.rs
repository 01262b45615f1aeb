//! Texts of a file to compiled paths, templates and shapes, with the caret on what is wrong in them.

use serde_json::Value as Json;

use super::checks::Checks;
use super::compiled::{Shape, Source};
use super::pointer::Pointer;
use super::record_view::{RecordView, path_steps};
use super::sight::Sight;
use crate::definition::{self, PathText, TemplateText, ValueTemplate, is_template};
use crate::diagnostic::{Code, list};
use crate::expression::{Path, SyntaxError, Template, Value};

impl Checks<'_> {
    /// Compiles a path.
    pub(super) fn path(&self, at: &Pointer, text: &PathText) -> Option<Path> {
        match Path::parse(text.as_str()) {
            Ok(path) => Some(path),
            Err(error) => {
                self.syntax(Code::BadPath, at, "path", text.as_str(), &error);
                None
            }
        }
    }

    /// Compiles a path and checks it against what is known of the records that it reads.
    pub(super) fn path_into(&self, at: &Pointer, text: &PathText, view: &RecordView) -> Option<Path> {
        let path = self.path(at, text)?;
        self.member_of(at, text.as_str(), view).then_some(path)
    }

    /// Compiles a path that selects at most one node.
    pub(super) fn single_path(&self, at: &Pointer, text: &PathText) -> Option<Path> {
        let path = self.path(at, text)?;
        if path.is_singular() {
            return Some(path);
        }
        self.error(Code::SeveralNodes, at, |report| {
            report
                .message(format!(
                    "`{text}` may select several nodes, and one is needed here"
                ))
                .hint("select one with an index such as `[0]`")
        });
        None
    }

    /// Checks a path against what is known of the records that it reads.
    pub(super) fn member_of(&self, at: &Pointer, path: &str, view: &RecordView) -> bool {
        let (steps, _) = path_steps(path);
        let names: Vec<_> = steps.iter().map(|(step, _)| step.clone()).collect();
        let Err(nowhere) = view.field(&names) else {
            return true;
        };
        let range = steps
            .get(nowhere.step)
            .map_or(0..path.len(), |(_, range)| range.clone());
        let written = path
            .get(range.clone())
            .unwrap_or_default()
            .trim_matches(['.', '[', ']', '\'', '"'])
            .to_owned();
        self.error(Code::UnknownField, at, |report| {
            let report = report
                .message(format!("{} (`{path}`)", nowhere.reason))
                .inside(range.start, range.len())
                .caption("the record schema does not list it")
                .did_you_mean(&written, nowhere.known.iter().map(String::as_str));
            if nowhere.known.is_empty() {
                report
            } else {
                report.note(format!(
                    "it may be {}",
                    list(nowhere.known.iter().map(String::as_str))
                ))
            }
        });
        false
    }

    /// Compiles a template and checks its variables.
    pub(super) fn template(&self, at: &Pointer, text: &str, sight: Sight<'_>) -> Option<Template> {
        match Template::parse(text) {
            Ok(template) => self.variables(at, &template, sight).then_some(template),
            Err(error) => {
                self.syntax(Code::BadTemplate, at, "template", text, &error);
                None
            }
        }
    }

    /// Compiles a text that may be a template.
    pub(super) fn text(&self, at: &Pointer, text: &TemplateText, sight: Sight<'_>) -> Option<Template> {
        if text.is_template() {
            self.template(at, text.as_str(), sight)
        } else {
            Some(Template::literal(text.as_str()))
        }
    }

    /// Compiles a path or a template.
    pub(super) fn source(
        &self,
        at: &Pointer,
        source: &definition::Source,
        sight: Sight<'_>,
    ) -> Option<Source> {
        match source {
            definition::Source::Path(path) => match sight.record {
                Some(view) => self.path_into(at, path, view).map(Source::Select),
                None => self.path(at, path).map(Source::Select),
            },
            definition::Source::Template(template) => {
                self.template(at, template.as_str(), sight).map(Source::Compute)
            }
        }
    }

    /// Compiles a value whose texts may be templates.
    pub(super) fn shape(&self, at: &Pointer, value: &ValueTemplate, sight: Sight<'_>) -> Option<Shape> {
        self.json_shape(at, &value.0, sight, false)
    }

    /// Compiles a request's body, in which `{each: .., as: ..}` makes a list.
    pub(super) fn body(&self, at: &Pointer, value: &ValueTemplate, sight: Sight<'_>) -> Option<Shape> {
        self.json_shape(at, &value.0, sight, true)
    }

    fn json_shape(&self, at: &Pointer, value: &Json, sight: Sight<'_>, lists: bool) -> Option<Shape> {
        match value {
            Json::String(text) if is_template(text) => self.template(at, text, sight).map(Shape::Template),
            Json::Array(items) if items.iter().any(holds_template) => {
                let shapes: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(position, item)| self.json_shape(&at.index(position), item, sight, lists))
                    .collect();
                shapes.into_iter().collect::<Option<Vec<_>>>().map(Shape::List)
            }
            Json::Object(members) if lists && members.contains_key("each") => self.each(at, members, sight),
            Json::Object(members) if members.values().any(holds_template) => {
                let shapes: Vec<_> = members
                    .iter()
                    .map(|(name, member)| {
                        Some((
                            name.clone(),
                            self.json_shape(&at.key(name), member, sight, lists)?,
                        ))
                    })
                    .collect();
                shapes.into_iter().collect::<Option<Vec<_>>>().map(Shape::Map)
            }
            constant => Some(Shape::Const(constant_value(constant))),
        }
    }

    fn each(&self, at: &Pointer, members: &serde_json::Map<String, Json>, sight: Sight<'_>) -> Option<Shape> {
        let items = match members.get("each") {
            Some(Json::String(text)) if is_template(text) => self.template(&at.key("each"), text, sight),
            _ => {
                self.error(Code::RuleSteps, &at.key("each"), |report| {
                    report
                        .message("`each` in a body is a template that gives a list")
                        .hint("write `each: \"{{ items }}\"`")
                });
                None
            }
        };
        let inner = Sight { item: true, ..sight };
        let shape = match members.get("as") {
            Some(shape) => self.json_shape(&at.key("as"), shape, inner, true),
            None => {
                self.error(Code::RuleSteps, at, |report| {
                    report
                        .message("`each` without `as` says nothing of what each element becomes")
                        .hint("write `as: \"{{ item }}\"` for the element itself")
                });
                None
            }
        };
        for name in members
            .keys()
            .filter(|name| !matches!(name.as_str(), "each" | "as"))
        {
            self.error(Code::RuleSteps, &at.key(name), |report| {
                report
                    .message(format!("`{name}` cannot stand beside `each`, which makes a list"))
                    .at_key()
            });
        }
        Some(Shape::Each {
            items: items?,
            shape: Box::new(shape?),
        })
    }

    fn syntax(&self, code: Code, at: &Pointer, what: &str, text: &str, error: &SyntaxError) {
        let offset = error.offset.min(text.len());
        self.error(code, at, |report| {
            let report = report
                .message(format!("the {what} `{text}` is wrong: {error}"))
                .inside(offset, error.length.max(1))
                .caption("here");
            if text.contains("[?") && text.matches('[').count() > text.matches(']').count() {
                return report.note("` #` begins a comment in YAML, also inside a path: if the path goes on after one, quote it");
            }
            report
        });
    }
}

/// Whether a value holds something to fill in.
fn holds_template(value: &Json) -> bool {
    match value {
        Json::String(text) => is_template(text),
        Json::Array(items) => items.iter().any(holds_template),
        Json::Object(members) => members.values().any(holds_template),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// A constant as records have it.
pub(super) fn constant_value(value: &Json) -> Value<'static> {
    Value::from(value.clone())
}
