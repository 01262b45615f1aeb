//! Rules to rows: every word of a rule a compiled step, and the checks that the words fit together and fit the target.

use indexmap::IndexMap;

use super::actions::{on_many, on_null, take, write_policy};
use super::compiled::{
    EnumUse, FieldSchema, LookupUse, OnNull, OnTooLong, Row, Shape, Take, Target, WritePolicy,
};
use super::enums::{on_unknown, table_on_null};
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use super::record_schema::json_text;
use super::record_view::RecordView;
use super::sight::Sight;
use super::stream_facts::StreamFacts;
use super::syntax::constant_value;
use super::types::{named_type, schema_type, takes};
use crate::definition::Place;
use crate::definition::{self, Output, Rule};
use crate::diagnostic::{Code, list};
use crate::expression::TargetType;

/// Where rules stand.
#[derive(Clone, Copy)]
pub(super) struct RowPlace<'a> {
    /// What the inputs see.
    pub(super) place: Place,
    /// What `then` and `as` see.
    pub(super) step: Place,
    /// The records that the inputs read.
    pub(super) view: &'a RecordView,
    /// The sink.
    pub(super) target: Option<&'a StreamFacts>,
    /// When fields are written that do not say it.
    pub(super) write: WritePolicy,
    /// The lookup whose `create` this is.
    pub(super) lookup: Option<usize>,
    /// The flow whose rules these are.
    pub(super) flow: Option<FlowPlace<'a>>,
}

/// What links are resolved by: between which streams a flow goes.
#[derive(Clone, Copy)]
pub(super) struct FlowPlace<'a> {
    /// Its name in the file.
    pub(super) name: &'a str,
    /// The stream that is read.
    pub(super) from: &'a str,
    /// The stream that is written.
    pub(super) to: &'a str,
    /// The flow whose linked pairs are the parents.
    pub(super) of: Option<&'a str>,
}

impl PipelineChecks<'_, '_> {
    /// Compiles rules; `None` where one is wrong.
    pub(super) fn rows(
        &self,
        at: &Pointer,
        fields: &IndexMap<String, definition::Row>,
        place: RowPlace<'_>,
    ) -> Option<Vec<Row>> {
        self.targets_apart(fields.keys().map(|name| (name.as_str(), at.key(name))));
        let rows: Vec<_> = fields
            .iter()
            .map(|(name, rule)| self.row(&at.key(name), name, rule, place))
            .collect();
        rows.into_iter().collect()
    }

    /// Compiles the rule that writes the field `name`.
    pub(super) fn row(&self, at: &Pointer, name: &str, rule: &Rule, place: RowPlace<'_>) -> Option<Row> {
        let sight = Sight::new(place.place, self.names).of(place.view);
        let step = sight.from(place.step);
        let target = self.target(at, name, place.target.map(|facts| &facts.view));
        let field = target.as_ref().and_then(|(_, field)| *field);
        self.words_fit(at, rule);

        let when = rule
            .when
            .as_ref()
            .map(|when| self.checks.template(&at.key("when"), when.as_str(), sight));
        let target_type = self.target_type(&at.key("type"), name, rule, field);
        let is_list = target_type
            .as_ref()
            .is_some_and(|kind| matches!(kind, TargetType::List | TargetType::Json));
        // What `each` makes is a list, unless something else is known of the target.
        let takes_list = is_list || matches!(target_type, Some(TargetType::Any));
        let input = self.input(at, rule, place, sight, step, (is_list, takes_list));
        let default = rule
            .default
            .as_ref()
            .map(|default| self.checks.shape(&at.key("default"), default, sight));
        let enumeration = rule.enum_table.as_ref().map(|table| {
            Some(EnumUse {
                table: self.enum_id(&at.key("enum"), table)?,
                on_null: rule.on_null.as_ref().map(on_null),
                on_unknown: rule.on_unknown.as_ref().map(on_unknown),
            })
        });
        let lookup = rule
            .lookup
            .as_ref()
            .map(|lookup| self.lookup_use(at, lookup, rule, place));
        let then = self.then(at, rule, step);
        let max_length = self.max_length(at, name, rule, field);
        if let Some(field) = field {
            self.values_fit(at, name, rule, field, place);
        }
        let table_null = rule
            .enum_table
            .as_ref()
            .and_then(|table| self.definition.enums.get(table))
            .and_then(|table| table.on_null.as_ref());
        let null = match (&rule.on_null, table_null) {
            (Some(action), _) => on_null(action),
            (None, Some(action)) => table_on_null(action),
            (None, None) => OnNull::Clear,
        };
        let mut row_take = rule.take.as_ref().map(take);
        let (input, several) = input?;
        if several && row_take.is_none() {
            row_take = Some(Take::All);
        }
        let (target, _): (Target, _) = target?;
        Some(Row {
            target,
            when: whole(when)?,
            otherwise_clear: rule.otherwise == Some(definition::Otherwise::Clear),
            input,
            take: row_take,
            default: whole(default)?,
            enumeration: whole(enumeration)?,
            lookup: whole(lookup)?,
            then: then?,
            target_type: target_type?,
            on_null: null,
            required: rule
                .required
                .unwrap_or_else(|| field.is_some_and(|field| field.required)),
            max_length: max_length?,
            write: rule.write.as_ref().map_or(place.write, write_policy),
            pointer: at.as_str().to_owned(),
        })
    }

    /// What becomes of the result. `as` beside an enum or a lookup and without `take` shapes what those made, so it is
    /// the same.
    fn then(&self, at: &Pointer, rule: &Rule, step: Sight<'_>) -> Option<Option<Shape>> {
        let (word, shape) = match (&rule.then, &rule.each_as) {
            (Some(then), _) => ("then", then),
            (None, Some(each)) if shapes_result(rule) => ("as", each),
            (None, _) => return Some(None),
        };
        if rule.then.is_some() && rule.each_as.is_some() && shapes_result(rule) {
            self.checks.error(Code::RuleSteps, &at.key("as"), |report| {
                report
                    .message(
                        "beside `enum` or `lookup`, `as` shapes what those made, and `then` does so already",
                    )
                    .at_key()
                    .label(at.key("then").as_str(), "does so")
            });
        }
        if self.may_be_pending(rule) {
            self.checks.error(Code::ActionDoesNotFit, &at.key(word), |report| {
                report
                    .message("the lookup may create its record only later, in load, so its key can be written but not computed with")
                    .at_key()
                    .hint(format!("leave out `{word}`, or let the lookup do something else than `create`"))
            });
        }
        self.output_shape(&at.key(word), shape, step).map(Some)
    }

    /// The use of a lookup by a rule.
    fn lookup_use(&self, at: &Pointer, name: &str, rule: &Rule, place: RowPlace<'_>) -> Option<LookupUse> {
        let lookup = self.lookup_id(&at.key("lookup"), name)?;
        self.note_use(&at.key("lookup"), lookup, rule.on_none.is_some(), place.lookup);
        let on_none = match &rule.on_none {
            Some(action) => Some(self.on_none(&at.key("on_none"), action, Some(lookup))?),
            None => None,
        };
        Some(LookupUse {
            lookup,
            on_none,
            on_many: rule.on_many.as_ref().map(on_many),
        })
    }

    /// Remembers that a lookup is used.
    pub(super) fn note_use(&self, at: &Pointer, lookup: usize, says_none: bool, within: Option<usize>) {
        let declared = self
            .definition
            .lookups
            .get_index(lookup)
            .is_some_and(|(_, lookup)| lookup.on_none.is_some());
        if !says_none && !declared {
            self.used.silent.borrow_mut().push((lookup, at.clone()));
        }
        if let Some(within) = within {
            self.used.needs.borrow_mut().insert((within, lookup));
        }
    }

    /// Whether a rule's lookup may give the key of a record that load creates.
    pub(super) fn may_be_pending(&self, rule: &Rule) -> bool {
        let creates = |action: &definition::OnNone| matches!(action, definition::OnNone::Create(_));
        let Some(lookup) = rule
            .lookup
            .as_ref()
            .and_then(|name| self.definition.lookups.get(name))
        else {
            return false;
        };
        rule.on_none
            .as_ref()
            .or(lookup.on_none.as_ref())
            .is_some_and(creates)
    }

    /// What `as` or `then` make of a value.
    pub(super) fn output_shape(
        &self,
        at: &Pointer,
        output: &definition::OutputShape,
        sight: Sight<'_>,
    ) -> Option<Shape> {
        match &**output {
            Output::Value(definition::Source::Template(text)) => self
                .checks
                .template(at, text.as_str(), sight)
                .map(Shape::Template),
            Output::Value(definition::Source::Path(path)) => self.checks.path(at, path).map(Shape::Select),
            Output::Members(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| {
                        Some((name.clone(), self.checks.shape(&at.key(name), value, sight)?))
                    })
                    .collect();
                members.into_iter().collect::<Option<Vec<_>>>().map(Shape::Map)
            }
        }
    }

    fn target_type(
        &self,
        at: &Pointer,
        target: &str,
        rule: &Rule,
        field: Option<&FieldSchema>,
    ) -> Option<TargetType> {
        let Some(name) = &rule.value_type else {
            return Some(field.map_or(TargetType::Any, schema_type));
        };
        let kind = named_type(self.checks, self.types, at, name)?;
        if let Some(field) = field.filter(|field| !takes(field, &kind)) {
            let kinds = field.types.join("` or `");
            self.checks.error(Code::TypeDoesNotFit, at, |report| {
                report
                    .message(format!(
                        "`{target}` takes `{kinds}`, and `{name}` gives something else"
                    ))
                    .hint("leave out `type`: the target's record schema says it already")
            });
        }
        Some(kind)
    }

    fn max_length(
        &self,
        at: &Pointer,
        target: &str,
        rule: &Rule,
        field: Option<&FieldSchema>,
    ) -> Option<Option<(usize, OnTooLong)>> {
        let allowed = field.and_then(|field| field.max_length);
        let at = at.key("on_too_long");
        match &rule.on_too_long {
            None => Some(allowed.map(|length| (length, OnTooLong::Reject))),
            Some(definition::OnTooLong::Reject) => {
                if allowed.is_none() {
                    self.checks.warning(Code::ActionDoesNotFit, &at, |report| {
                        report
                            .message(format!(
                                "nothing is known of how long `{target}` may be, so nothing is ever too long"
                            ))
                            .at_key()
                    });
                }
                Some(allowed.map(|length| (length, OnTooLong::Reject)))
            }
            Some(definition::OnTooLong::Truncate(length)) => {
                let length = usize::try_from(*length).unwrap_or(usize::MAX);
                if length == 0 || allowed.is_some_and(|allowed| length > allowed) {
                    self.checks
                        .error(Code::ActionDoesNotFit, &at.key("truncate"), |report| {
                            let report = report.message(if length == 0 {
                                "nothing would be left of the text".to_owned()
                            } else {
                                format!("a text of {length} characters is still too long for `{target}`")
                            });
                            match allowed {
                                Some(allowed) => report.hint(format!("cut it after {allowed} or less")),
                                None => report,
                            }
                        });
                    return None;
                }
                Some(Some((allowed.unwrap_or(length), OnTooLong::Truncate(length))))
            }
        }
    }

    /// Constants and tables against what the target takes and the source gives.
    fn values_fit(&self, at: &Pointer, name: &str, rule: &Rule, field: &FieldSchema, place: RowPlace<'_>) {
        let unchanged = rule.lookup.is_none() && rule.then.is_none();
        if unchanged && rule.value_type.is_none() {
            if let Some(table) = &rule.enum_table {
                self.enum_outputs(at, table, name, field);
            }
            let mut constants = Vec::new();
            if rule.enum_table.is_none() {
                constants.extend(rule.constant.iter().map(|value| (at.key("const"), &value.0)));
                constants.extend(
                    rule.default
                        .iter()
                        .filter(|value| !value.has_template())
                        .map(|value| (at.key("default"), &value.0)),
                );
            }
            if let Some(definition::OnNull::Const(value)) = &rule.on_null {
                constants.push((at.key("on_null").key("const"), &value.0));
            }
            for (at_value, value) in constants {
                self.constant_fits(&at_value, name, field, value);
                self.output(&at_value, at, name, field, value);
            }
        }
        self.enum_source(at, rule, place);
    }

    /// Whether a constant is of the type that a target takes.
    pub(super) fn constant_fits(
        &self,
        at: &Pointer,
        target: &str,
        field: &FieldSchema,
        value: &serde_json::Value,
    ) {
        if let Err(error) = schema_type(field).coerce(constant_value(value)) {
            self.checks.error(Code::TypeDoesNotFit, at, |report| {
                report.message(format!("`{}` does not fit `{target}`: {error}", json_text(value)))
            });
        }
        if value.is_null() && !field.nullable && field.required {
            self.checks.error(Code::TypeDoesNotFit, at, |report| {
                report.message(format!("`{target}` cannot be null"))
            });
        }
    }

    fn enum_source(&self, at: &Pointer, rule: &Rule, place: RowPlace<'_>) {
        let (Some(table), Some(definition::Source::Path(path))) = (&rule.enum_table, &rule.value) else {
            return;
        };
        let (steps, whole) = super::record_view::path_steps(path.as_str());
        let steps: Vec<_> = steps.into_iter().map(|(step, _)| step).collect();
        if let (true, Ok(Some(field))) = (whole, place.view.field(&steps)) {
            let table_says = self
                .definition
                .enums
                .get(table)
                .and_then(|table| table.on_unknown.as_ref());
            let action = rule.on_unknown.as_ref().or(table_says);
            let rejects = matches!(action, None | Some(definition::OnUnknown::Reject));
            self.enum_inputs(at, table, rejects, path.as_str(), field);
        }
    }

    /// Words that exclude or need each other.
    fn words_fit(&self, at: &Pointer, rule: &Rule) {
        let starts = [
            ("value", rule.value.is_some()),
            ("const", rule.constant.is_some()),
            ("first_of", rule.first_of.is_some()),
            ("each", rule.each.is_some()),
            ("link", rule.link.is_some()),
        ];
        let written: Vec<&str> = starts
            .iter()
            .filter(|(_, written)| *written)
            .map(|(word, _)| *word)
            .collect();
        if written.len() != 1 {
            self.checks.error(Code::RuleSteps, at, |report| {
                let names = list(starts.iter().map(|(word, _)| *word));
                let report = report.at_key();
                if written.is_empty() {
                    report
                        .message("this rule does not say where its value comes from")
                        .hint(format!("begin it with one of {names}"))
                } else {
                    report.message(format!(
                        "a rule begins with one of {names}, found {}",
                        list(written.iter().copied())
                    ))
                }
            });
        }
        let needs = |word: &str, present: bool, needed: &str, there: bool| {
            if present && !there {
                self.checks.error(Code::RuleSteps, &at.key(word), |report| {
                    report
                        .message(format!("`{word}` means something only beside {needed}"))
                        .at_key()
                });
            }
        };
        let alternatives = || rule.first_of.iter().flatten();
        let has_enum = rule.enum_table.is_some() || alternatives().any(|one| one.enum_table.is_some());
        let has_lookup = rule.lookup.is_some() || alternatives().any(|one| one.lookup.is_some());
        needs("as", rule.each_as.is_some(), "`each`", rule.each.is_some());
        needs("key", rule.key.is_some(), "`link`", rule.link.is_some());
        needs(
            "otherwise",
            rule.otherwise.is_some(),
            "`when`",
            rule.when.is_some(),
        );
        needs("on_unknown", rule.on_unknown.is_some(), "`enum`", has_enum);
        needs("on_many", rule.on_many.is_some(), "`lookup`", has_lookup);
        needs(
            "on_none",
            rule.on_none.is_some(),
            "`lookup` or `link`",
            has_lookup || rule.link.is_some(),
        );
        if rule.on_null == Some(definition::OnNull::AsNone) && !has_lookup {
            self.checks
                .error(Code::ActionDoesNotFit, &at.key("on_null"), |report| {
                    report.message(
                        "`as_none` treats null as a lookup that finds nothing, and this rule has no `lookup`",
                    )
                });
        }
        if rule.link.is_some() {
            let words = [
                ("lookup", rule.lookup.is_some()),
                ("enum", rule.enum_table.is_some()),
                ("take", rule.take.is_some()),
            ];
            for (word, _) in words.into_iter().filter(|(_, written)| *written) {
                self.checks.error(Code::RuleSteps, &at.key(word), |report| {
                    report
                        .message(format!(
                            "`link` gives a key already, so `{word}` has nothing to do"
                        ))
                        .at_key()
                });
            }
        }
        if rule.constant.is_some() && rule.take.is_some() {
            self.checks.error(Code::RuleSteps, &at.key("take"), |report| {
                report
                    .message("a constant is one value, so `take` has nothing to do")
                    .at_key()
            });
        }
        let never_null = rule
            .default
            .as_ref()
            .is_some_and(|default| !default.has_template() && !default.0.is_null());
        if never_null && rule.on_null.is_some() {
            self.checks
                .warning(Code::ActionDoesNotFit, &at.key("on_null"), |report| {
                    report
                        .message("this never happens: `default` stands in for null")
                        .at_key()
                        .label(at.key("default").as_str(), "stands in")
                });
        }
        if rule.required == Some(true) && rule.on_null == Some(definition::OnNull::Clear) {
            self.checks
                .error(Code::ActionDoesNotFit, &at.key("on_null"), |report| {
                    report
                        .message("null is to be written, but the rule is `required`, so it is rejected")
                        .at_key()
                        .label(at.key("required").as_str(), "required")
                });
        }
    }
}

/// Turns "written, maybe wrong" inside out: `None` where it was written and is wrong.
pub(super) fn whole<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        Some(Some(part)) => Some(Some(part)),
        Some(None) => None,
        None => Some(None),
    }
}

/// Whether `as` is applied after `enum` and `lookup`.
pub(super) fn shapes_result(rule: &Rule) -> bool {
    rule.take.is_none() && (rule.enum_table.is_some() || rule.lookup.is_some())
}
