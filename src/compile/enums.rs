//! Enum tables, and whether what goes in and comes out fits the fields on both sides.

use super::compiled::{EnumTable, FieldSchema, OnNull, OnUnknown};
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use super::record_schema::json_text;
use super::syntax::constant_value;
use crate::definition::{self, TableOnNull};
use crate::diagnostic::{Code, list};

/// A table as it is executed.
pub(super) fn compile_enum(name: &str, table: &definition::EnumTable) -> EnumTable {
    EnumTable {
        name: name.to_owned(),
        values: table
            .values
            .iter()
            .map(|(key, value)| (key.clone(), constant_value(&value.0)))
            .collect(),
        on_null: table.on_null.as_ref().map_or(OnNull::Clear, table_on_null),
        on_unknown: table.on_unknown.as_ref().map_or(OnUnknown::Reject, on_unknown),
    }
}

/// What a table makes of null.
pub(super) fn table_on_null(action: &TableOnNull) -> OnNull {
    match action {
        TableOnNull::Reject => OnNull::Reject,
        TableOnNull::Keep => OnNull::Keep,
        TableOnNull::Clear => OnNull::Clear,
        TableOnNull::Skip => OnNull::Skip,
        TableOnNull::Const(value) => OnNull::Const(constant_value(&value.0)),
    }
}

/// What happens to a value that a table does not list.
pub(super) fn on_unknown(action: &definition::OnUnknown) -> OnUnknown {
    match action {
        definition::OnUnknown::Reject => OnUnknown::Reject,
        definition::OnUnknown::Keep => OnUnknown::Keep,
        definition::OnUnknown::Clear => OnUnknown::Clear,
        definition::OnUnknown::Skip => OnUnknown::Skip,
        definition::OnUnknown::Const(value) => OnUnknown::Const(constant_value(&value.0)),
    }
}

impl PipelineChecks<'_, '_> {
    /// Checks a table's results against the field that they are written to.
    pub(super) fn enum_outputs(&self, row: &Pointer, table: &str, target: &str, field: &FieldSchema) {
        let Some(definition) = self.definition.enums.get(table) else {
            return;
        };
        let at = Pointer::root().key("enums").key(table);
        for (key, value) in &definition.values {
            self.output(&at.key("values").key(key), row, target, field, &value.0);
        }
        if let Some(TableOnNull::Const(value)) = &definition.on_null {
            self.output(&at.key("on_null").key("const"), row, target, field, &value.0);
        }
        if let Some(definition::OnUnknown::Const(value)) = &definition.on_unknown {
            self.output(&at.key("on_unknown").key("const"), row, target, field, &value.0);
        }
    }

    /// Checks one constant against the values that the target lists.
    pub(super) fn output(
        &self,
        at: &Pointer,
        row: &Pointer,
        target: &str,
        field: &FieldSchema,
        value: &serde_json::Value,
    ) {
        let Some(values) = field.values.as_ref().filter(|_| !value.is_null()) else {
            return;
        };
        let text = json_text(value);
        if values.contains(&text) {
            return;
        }
        self.checks.error(Code::EnumOutput, at, |report| {
            let report = report
                .message(format!("`{text}` is no value of `{target}`"))
                .did_you_mean(&text, values.iter().map(String::as_str))
                .note(format!(
                    "`{target}` takes {}",
                    list(values.iter().map(String::as_str))
                ));
            if at.as_str().starts_with(row.as_str()) {
                report
            } else {
                report.label(row.as_str(), "written here")
            }
        });
    }

    /// Compares a table's keys with the values that the source lists.
    pub(super) fn enum_inputs(
        &self,
        row: &Pointer,
        table: &str,
        rejects_unknown: bool,
        source: &str,
        field: &FieldSchema,
    ) {
        let (Some(definition), Some(values)) = (self.definition.enums.get(table), &field.values) else {
            return;
        };
        let at = Pointer::root().key("enums").key(table).key("values");
        for key in definition.values.keys().filter(|key| !values.contains(key)) {
            self.checks.warning(Code::EnumInput, &at.key(key), |report| {
                report
                    .message(format!(
                        "`{key}` is no value of the source's `{source}`, so this line is never used"
                    ))
                    .at_key()
                    .did_you_mean(key, values.iter().map(String::as_str))
                    .label(row.as_str(), "translated here")
                    .note(format!(
                        "`{source}` may be {}",
                        list(values.iter().map(String::as_str))
                    ))
            });
        }
        let left_out: Vec<&str> = values
            .iter()
            .map(String::as_str)
            .filter(|value| !definition.values.contains_key(*value))
            .collect();
        if rejects_unknown && !left_out.is_empty() {
            self.checks.warning(Code::EnumInput, &at, |report| {
                report
                    .message(format!(
                        "the source's `{source}` may also be {}, which this table does not list, so such records are rejected",
                        list(left_out.iter().copied())
                    ))
                    .at_key()
                    .label(row.as_str(), "translated here")
                    .hint("add them, or say with `on_unknown` what else is to happen")
            });
        }
    }
}
