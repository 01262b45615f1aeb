//! Target fields: dotted names taken apart, checked against the sink's record schema and against each other.

use super::compiled::{FieldSchema, RecordSchema, Target};
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use super::record_view::{RecordView, name_steps};
use crate::diagnostic::{Code, list};

/// A target name's parts: `status.id` has two, `['a.b']` is one with a dot in it.
pub(super) fn parse_target(name: &str) -> Option<Target> {
    let mut segments = Vec::new();
    let mut rest = name;
    loop {
        if let Some(quoted) = rest.strip_prefix("['") {
            let (segment, after) = quoted.split_once("']")?;
            segments.push(segment.to_owned());
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            segments.push(rest.get(..end)?.to_owned());
            rest = rest.get(end..)?;
        }
        if rest.is_empty() {
            break;
        }
        rest = rest
            .strip_prefix('.')
            .or_else(|| rest.starts_with('[').then_some(rest))?;
    }
    (!segments.iter().any(String::is_empty)).then(|| Target {
        name: name.to_owned(),
        segments,
    })
}

impl PipelineChecks<'_, '_> {
    /// A target and what the schema says of it.
    pub(super) fn target<'v>(
        &self,
        at: &Pointer,
        name: &str,
        view: Option<&'v RecordView>,
    ) -> Option<(Target, Option<&'v FieldSchema>)> {
        let Some(target) = parse_target(name) else {
            self.checks.error(Code::UnknownTarget, at, |report| {
                report
                    .message(format!("`{name}` is no name of a field"))
                    .at_key()
                    .hint("nested fields have dots (`status.id`); a name with a real dot is written `\"['a.b']\"`")
            });
            return None;
        };
        let field = match view.map(|view| view.field(&name_steps(&target.segments))) {
            None => None,
            Some(Ok(field)) => field,
            Some(Err(nowhere)) => {
                let written = target.segments.get(nowhere.step).cloned().unwrap_or_default();
                self.checks.error(Code::UnknownTarget, at, |report| {
                    let report = report
                        .message(format!("the target has no field `{name}`: {}", nowhere.reason))
                        .at_key()
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
                return None;
            }
        };
        if field.is_some_and(|field| field.read_only) {
            self.checks.error(Code::ReadOnlyTarget, at, |report| {
                report
                    .message(format!("the system sets `{name}` itself; it cannot be written"))
                    .at_key()
            });
            return None;
        }
        Some((target, field))
    }

    /// Two rules for one field, or for a field and a part of it.
    pub(super) fn targets_apart<'f>(&self, fields: impl Iterator<Item = (&'f str, Pointer)>) {
        let targets: Vec<(Target, Pointer)> = fields
            .filter_map(|(name, at)| Some((parse_target(name)?, at)))
            .collect();
        for (position, (target, at)) in targets.iter().enumerate() {
            let earlier = targets.iter().take(position).find(|(earlier, _)| {
                earlier.segments.starts_with(&target.segments)
                    || target.segments.starts_with(&earlier.segments)
            });
            let Some((earlier, other)) = earlier else { continue };
            self.checks.error(Code::TwiceDefined, at, |report| {
                let message = if earlier.segments == target.segments {
                    format!("two rules write `{}`", target.name)
                } else if earlier.segments.len() < target.segments.len() {
                    format!(
                        "`{}` is a part of `{}`, which another rule writes whole",
                        target.name, earlier.name
                    )
                } else {
                    format!(
                        "`{}` is written whole, and another rule writes its part `{}`",
                        target.name, earlier.name
                    )
                };
                report
                    .message(message)
                    .at_key()
                    .label(other.as_str(), "the other rule")
            });
        }
    }

    /// Fields that a new record needs and that no rule writes.
    pub(super) fn required_targets<'f>(
        &self,
        at: &Pointer,
        what: &str,
        schema: &RecordSchema,
        fields: impl Iterator<Item = &'f str>,
    ) {
        let targets: Vec<Target> = fields.filter_map(parse_target).collect();
        let has_required_parts = |name: &str| {
            let prefix = format!("{name}.");
            schema
                .fields
                .iter()
                .any(|(other, field)| field.required && other.starts_with(&prefix))
        };
        let missing: Vec<&str> = schema
            .fields
            .iter()
            .filter(|(name, field)| {
                field.required && !field.read_only && !name.contains("[]") && !has_required_parts(name)
            })
            .map(|(name, _)| name.as_str())
            .filter(|name| {
                let segments: Vec<String> = name.split('.').map(str::to_owned).collect();
                !targets.iter().any(|target| {
                    segments.starts_with(&target.segments) || target.segments.starts_with(&segments)
                })
            })
            .collect();
        if !missing.is_empty() {
            self.checks.error(Code::MissingTarget, at, |report| {
                report
                    .message(format!(
                        "{what} creates records, and the target requires {}",
                        list(missing.iter().copied())
                    ))
                    .at_key()
                    .hint("add a rule for each, or a constant: `{const: …}`")
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_at_dots() {
        let segments = |name: &str| parse_target(name).map(|target| target.segments.join("|"));
        assert_eq!(segments("status.id").as_deref(), Some("status|id"));
        assert_eq!(segments("['a.b']").as_deref(), Some("a.b"));
        assert_eq!(segments("x['a.b'].c").as_deref(), Some("x|a.b|c"));
        for wrong in ["", "a.", ".a", "a..b", "['a", "a['']"] {
            assert_eq!(segments(wrong), None, "{wrong}");
        }
    }
}
