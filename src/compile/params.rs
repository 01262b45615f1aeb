//! The pipeline's params: defaults, then what `--set` says.

use serde_json::Value as Json;

use super::checks::Checks;
use super::pointer::Pointer;
use super::setting::{kind, typed};
use crate::definition;
use crate::diagnostic::{Code, Severity, list};
use crate::expression::Value;

/// The values of all params as templates see them.
///
/// A param that is set nowhere is an error with `severity`; it is null then.
pub(super) fn compile_params(
    checks: &Checks<'_>,
    pipeline: &definition::Pipeline,
    set: &[(String, String)],
    severity: Severity,
) -> Value<'static> {
    let at = Pointer::root().key("params");
    let mut values = serde_json::Map::new();
    for (name, param) in &pipeline.params {
        let at = at.key(name);
        let given = set.iter().rev().find(|(other, _)| other == name);
        let value = match (given, &param.default) {
            (Some((_, text)), _) => {
                let value = Json::String(text.clone());
                typed(&param.value_type, &value).unwrap_or_else(|expected| {
                    checks.error(Code::SettingType, &at, |report| {
                        report
                            .message(format!("`--set {name}={text}` is not {expected}"))
                            .at_key()
                    });
                    Json::Null
                })
            }
            (None, Some(default)) => typed(&param.value_type, &default.0).unwrap_or_else(|expected| {
                checks.error(Code::SettingType, &at.key("default"), |report| {
                    report.message(format!(
                        "the default is {}, and the param's type asks for {expected}",
                        kind(&default.0)
                    ))
                });
                Json::Null
            }),
            (None, None) => {
                checks.report(severity, Code::MissingParam, &at, |report| {
                    report
                        .message(format!("the param `{name}` has no default and is not set"))
                        .at_key()
                        .hint(format!("run with `--set {name}=…`, or give it a `default`"))
                });
                Json::Null
            }
        };
        values.insert(name.clone(), value);
    }
    for (name, _) in set.iter().filter(|(name, _)| !pipeline.params.contains_key(name)) {
        if checks.is_omitted(&at.key(name)) {
            continue;
        }
        let known: Vec<&str> = pipeline.params.keys().map(String::as_str).collect();
        checks.error(Code::UnknownParam, &at, |report| {
            report
                .message(format!("`--set {name}=…`: the pipeline has no param `{name}`"))
                .at_key()
                .did_you_mean(name, known.iter().copied())
                .note(format!("its params are {}", list(known.iter().copied())))
        });
    }
    Value::from(Json::Object(values))
}
