//! Actions as written to actions as executed, where no check is needed.

use super::compiled::{OnFrozen, OnMany, OnNull, Take, WritePolicy};
use super::syntax::constant_value;
use crate::definition;
use crate::expression::Normalizer;

/// When a field is written.
pub(super) fn write_policy(write: &definition::Write) -> WritePolicy {
    match write {
        definition::Write::Always => WritePolicy::Always,
        definition::Write::OnCreate => WritePolicy::OnCreate,
        definition::Write::IfEmpty => WritePolicy::IfEmpty,
        definition::Write::NeverNull => WritePolicy::NeverNull,
    }
}

/// What null does.
pub(super) fn on_null(action: &definition::OnNull) -> OnNull {
    match action {
        definition::OnNull::Reject => OnNull::Reject,
        definition::OnNull::Keep => OnNull::Keep,
        definition::OnNull::Clear => OnNull::Clear,
        definition::OnNull::Skip => OnNull::Skip,
        definition::OnNull::AsNone => OnNull::AsNone,
        definition::OnNull::Const(value) => OnNull::Const(constant_value(&value.0)),
    }
}

/// What several matches of a lookup do.
pub(super) fn on_many(action: &definition::OnMany) -> OnMany {
    match action {
        definition::OnMany::Reject => OnMany::Reject,
        definition::OnMany::First => OnMany::First,
        definition::OnMany::All => OnMany::All,
        definition::OnMany::Hold => OnMany::Hold,
        definition::OnMany::Skip => OnMany::Skip,
        definition::OnMany::Keep => OnMany::Keep,
    }
}

/// What several matches of a flow do.
pub(super) fn flow_on_many(action: &definition::FlowOnMany) -> OnMany {
    match action {
        definition::FlowOnMany::Reject => OnMany::Reject,
        definition::FlowOnMany::First => OnMany::First,
        definition::FlowOnMany::All => OnMany::All,
        definition::FlowOnMany::Skip => OnMany::Skip,
        definition::FlowOnMany::Hold => OnMany::Hold,
    }
}

/// What a write to a frozen record does.
pub(super) fn on_frozen(action: &definition::OnFrozen) -> OnFrozen {
    match action {
        definition::OnFrozen::Hold => OnFrozen::Hold,
        definition::OnFrozen::Skip => OnFrozen::Skip,
        definition::OnFrozen::Reject => OnFrozen::Reject,
    }
}

/// How several values become one.
pub(super) fn take(take: &definition::Take) -> Take {
    match take {
        definition::Take::First => Take::First,
        definition::Take::Last => Take::Last,
        definition::Take::Only => Take::Only,
        definition::Take::Count => Take::Count,
        definition::Take::Sum => Take::Sum,
        definition::Take::All => Take::All,
        definition::Take::Join(between) => Take::Join(between.clone()),
    }
}

/// What is done before values are compared.
pub(super) fn normalizers(list: &[definition::Normalize]) -> Vec<Normalizer> {
    list.iter()
        .map(|one| match one {
            definition::Normalize::Trim => Normalizer::Trim,
            definition::Normalize::Lower => Normalizer::Lower,
            definition::Normalize::Upper => Normalizer::Upper,
            definition::Normalize::Digits => Normalizer::Digits,
            definition::Normalize::Spaces => Normalizer::Spaces,
        })
        .collect()
}
