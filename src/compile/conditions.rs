//! Conditions on records, as `where` and `prefer` have them.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::compiled::{Condition, Shape};
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use super::record_schema::json_text;
use super::record_view::{RecordView, path_steps};
use super::sight::Sight;
use crate::definition::{PathText, ValueTemplate};
use crate::diagnostic::{Code, list};

impl PipelineChecks<'_, '_> {
    /// Compiles a map from path to a value or a list of values.
    pub(super) fn conditions(
        &self,
        at: &Pointer,
        conditions: &IndexMap<PathText, ValueTemplate>,
        view: &RecordView,
        sight: Sight<'_>,
    ) -> Option<Vec<Condition>> {
        let compiled: Vec<_> = conditions
            .iter()
            .map(|(path, value)| {
                let compiled = self.checks.path_into(&at.itself(path.as_str()), path, view);
                let at = at.key(path.as_str());
                let values = match &value.0 {
                    Json::Array(items) => items
                        .iter()
                        .enumerate()
                        .map(|(position, item)| {
                            self.condition_value(&at.index(position), path, item, view, sight)
                        })
                        .collect::<Vec<_>>(),
                    item => vec![self.condition_value(&at, path, item, view, sight)],
                };
                Some(Condition {
                    path: compiled?,
                    values: values.into_iter().collect::<Option<_>>()?,
                })
            })
            .collect();
        compiled.into_iter().collect()
    }

    fn condition_value(
        &self,
        at: &Pointer,
        path: &PathText,
        value: &Json,
        view: &RecordView,
        sight: Sight<'_>,
    ) -> Option<Shape> {
        let shape = self.checks.shape(at, &ValueTemplate(value.clone()), sight)?;
        let (steps, whole) = path_steps(path.as_str());
        let steps: Vec<_> = steps.into_iter().map(|(step, _)| step).collect();
        if let (Shape::Const(_), true, Ok(Some(field))) = (&shape, whole, view.field(&steps))
            && let Some(values) = field
                .values
                .as_ref()
                .filter(|values| !value.is_null() && !values.contains(&json_text(value)))
        {
            let text = json_text(value);
            self.checks.error(Code::EnumInput, at, |report| {
                report
                    .message(format!("`{path}` is never `{text}`, so no record fits"))
                    .did_you_mean(&text, values.iter().map(String::as_str))
                    .note(format!("it may be {}", list(values.iter().map(String::as_str))))
            });
            return None;
        }
        Some(shape)
    }
}
