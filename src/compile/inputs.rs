//! Where a rule's value comes from: selected, computed, constant, the first of several, one for each of a list, or the
//! key of a linked record.

use std::sync::Arc;

use super::compiled::{Alternative, EnumUse, Input, Link, LookupUse, OnNone, Source};
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use super::rows::{RowPlace, shapes_result, whole};
use super::sight::Sight;
use super::syntax::constant_value;
use crate::definition::{self, Rule};
use crate::diagnostic::Code;

impl PipelineChecks<'_, '_> {
    /// A rule's input, and whether it may give several values. The target is known to be a list, or may be one.
    pub(super) fn input(
        &self,
        at: &Pointer,
        rule: &Rule,
        place: RowPlace<'_>,
        sight: Sight<'_>,
        step: Sight<'_>,
        (is_list, takes_list): (bool, bool),
    ) -> Option<(Input, bool)> {
        if let Some(value) = &rule.value {
            let at = at.key("value");
            let (input, several) = self.value(&at, value, sight)?;
            if several && rule.take.is_none() && !is_list {
                self.several(&at, value.as_str());
                return None;
            }
            return Some((input, several));
        }
        if let Some(constant) = &rule.constant {
            return Some((Input::Const(constant_value(&constant.0)), false));
        }
        if let Some(alternatives) = &rule.first_of {
            let at = at.key("first_of");
            if alternatives.is_empty() {
                self.checks.error(Code::RuleSteps, &at, |report| {
                    report.message("`first_of` of nothing is nothing").at_key()
                });
            }
            let compiled: Vec<_> = alternatives
                .iter()
                .enumerate()
                .map(|(position, one)| self.alternative(&at.index(position), one, rule, place, sight))
                .collect();
            return Some((
                Input::FirstOf(compiled.into_iter().collect::<Option<_>>()?),
                false,
            ));
        }
        if let Some(items) = &rule.each {
            let at_items = at.key("each");
            let compiled = self.checks.source(&at_items, items, sight);
            let shape = rule.each_as.as_ref().filter(|_| !shapes_result(rule));
            let shape = shape.map(|shape| self.output_shape(&at.key("as"), shape, step));
            let compiled = compiled?;
            if matches!(&compiled, Source::Select(path) if path.is_singular()) {
                let items = items.as_str();
                self.checks.error(Code::SeveralNodes, &at_items, |report| {
                    report
                        .message(format!("`{items}` selects one node, not the items of a list"))
                        .hint(format!("write `\"{items}[*]\"`"))
                });
                return None;
            }
            if rule.take.is_none() && !takes_list {
                self.several(&at_items, items.as_str());
                return None;
            }
            return Some((
                Input::Each {
                    items: compiled,
                    shape: whole(shape)?,
                },
                false,
            ));
        }
        let linked = rule.link.as_ref()?;
        if rule.on_none.is_none() {
            self.link_to_disabled(&at.key("link"), linked, true, place.flow);
        }
        let link = self.link(at, linked, rule.key.as_ref(), rule.on_none.as_ref(), place)?;
        Some((Input::Link(link), false))
    }

    fn several(&self, at: &Pointer, path: &str) {
        self.checks.error(Code::SeveralNodes, at, |report| {
            report
                .message(format!("`{path}` may give several values, and the target takes one"))
                .hint("say with `take` how they become one: `first`, `last`, `only`, `count`, `sum` or `{join: \", \"}`; `take: all` keeps them as a list")
        });
    }

    fn value(&self, at: &Pointer, source: &definition::Source, sight: Sight<'_>) -> Option<(Input, bool)> {
        Some(match self.checks.source(at, source, sight)? {
            Source::Select(path) => {
                let several = !path.is_singular();
                (Input::Select(path), several)
            }
            Source::Compute(template) => (Input::Compute(template), false),
        })
    }

    fn alternative(
        &self,
        at: &Pointer,
        one: &definition::Alternative,
        rule: &Rule,
        place: RowPlace<'_>,
        sight: Sight<'_>,
    ) -> Option<Alternative> {
        let when = one
            .when
            .as_ref()
            .map(|when| self.checks.template(&at.key("when"), when.as_str(), sight));
        let input = match (&one.value, &one.constant) {
            (Some(value), None) => self
                .value(&at.key("value"), value, sight)
                .and_then(|(input, several)| {
                    if several && rule.take.is_none() {
                        self.several(&at.key("value"), value.as_str());
                        return None;
                    }
                    Some(input)
                }),
            (None, Some(constant)) => Some(Input::Const(constant_value(&constant.0))),
            (value, _) => {
                let both = value.is_some();
                self.checks.error(Code::RuleSteps, at, |report| {
                    report.message(format!(
                        "an input is one of `value` and `const`, found {}",
                        if both { "both" } else { "neither" }
                    ))
                });
                None
            }
        };
        let enumeration = one.enum_table.as_ref().map(|table| {
            Some(EnumUse {
                table: self.enum_id(&at.key("enum"), table)?,
                on_null: None,
                on_unknown: None,
            })
        });
        let lookup = one.lookup.as_ref().map(|name| {
            let lookup = self.lookup_id(&at.key("lookup"), name)?;
            self.note_use(&at.key("lookup"), lookup, rule.on_none.is_some(), place.lookup);
            Some(LookupUse {
                lookup,
                on_none: None,
                on_many: None,
            })
        });
        Some(Alternative {
            when: whole(when)?,
            input: input?,
            enumeration: whole(enumeration)?,
            lookup: whole(lookup)?,
        })
    }

    /// The key of a linked record.
    pub(super) fn link(
        &self,
        at: &Pointer,
        flow: &str,
        key: Option<&definition::Source>,
        on_none: Option<&definition::OnNone>,
        place: RowPlace<'_>,
    ) -> Option<Link> {
        let id = self.linked(&at.key("link"), flow, key.is_none(), place.flow);
        let key_path = key.map(|key| {
            let sight = Sight::new(place.place, self.names).of(place.view);
            let source = self.checks.source(&at.key("key"), key, sight)?;
            if matches!(&source, Source::Select(path) if !path.is_singular()) {
                self.several(&at.key("key"), key.as_str());
                return None;
            }
            Some(source)
        });
        let on_none = match on_none {
            None => OnNone::Wait,
            Some(action @ (definition::OnNone::Create(_) | definition::OnNone::Instead(_))) => {
                let word = if matches!(action, definition::OnNone::Create(_)) {
                    "create"
                } else {
                    "instead"
                };
                self.checks
                    .error(Code::ActionDoesNotFit, &at.key("on_none"), |report| {
                        report
                            .message(format!(
                                "a link is made by its flow, so `{word}` has nothing to search or create"
                            ))
                            .hint("leave it out: the record waits until the link exists")
                    });
                return None;
            }
            Some(action) => self.on_none(&at.key("on_none"), action, None)?,
        };
        Some(Link {
            flow: id?,
            key: whole(key_path)?,
            on_none: Arc::new(on_none),
        })
    }
}
