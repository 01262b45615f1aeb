//! One row: the fixed order of steps from the record to the target's value.
//!
//! value -> each/as -> take -> default -> on_null -> enum -> lookup -> then -> type -> checks. A list goes through enum,
//! lookup and `then` element by element.

use super::input::{Held, NULL};
use super::mapper::Mapper;
use super::outcome::{Cell, Coverage, Pending, Reject};
use super::shape::evaluate_shape;
use super::trace::{MASK, Trace};
use super::{PendingKey, Resolver};
use crate::compile::compiled::{Input, LookupId, OnTooLong, PrivacyKind, Row, Shape, Source};
use crate::expression::{Scope, TargetType, Value};

/// What a row sees.
pub(super) struct Context<'m, 'r> {
    pub(super) mapper: &'m Mapper<'r>,
    /// `$`.
    pub(super) root: &'m Value<'r>,
    /// The names of templates.
    pub(super) scope: &'m Scope<'m>,
    /// The record's JSON text, where `$` is a record.
    pub(super) text: Option<&'r str>,
    /// The record's own key.
    pub(super) key: &'m str,
    pub(super) resolver: &'m dyn Resolver,
    /// The row's target, for messages.
    pub(super) field: &'m str,
    /// What is done with the row's values wherever they are shown.
    pub(super) privacy: PrivacyKind,
    /// How deep in rows of records to be created.
    pub(super) depth: usize,
}

/// What rows leave behind beside their values.
pub(super) struct Effects<'c> {
    pub(super) pending: Vec<Pending>,
    pub(super) coverage: &'c mut Coverage,
    /// The fallback that the row which is being made holds: its lookup, and what was not found.
    pub(super) fallback: Option<(LookupId, Option<String>)>,
}

/// Why a record is not mapped any further.
pub(super) enum Stop {
    Reject(Reject),
    Skip(Reject),
    Hold(Reject),
    Wait(Reject),
    Filter,
    /// The row is not applied.
    Absent,
    /// An answer is missing: noted by the resolver.
    Missing,
}

/// Boxed, because rows rarely stop.
pub(super) type Stopped = Box<Stop>;

/// A value on its way, or a reference to a record that load creates.
pub(super) enum Made<'v, 'r> {
    Held(Held<'v, 'r>),
    Pending(PendingKey),
    /// A list, some of whose elements are such references.
    List(Vec<Cell<'r>>),
}

impl<'v, 'r> Made<'v, 'r> {
    pub(super) fn own(value: Value<'r>) -> Self {
        Made::Held(Held::Own(value))
    }

    pub(super) fn shown(&self) -> &Value<'r> {
        match self {
            Made::Held(held) => held.value(),
            Made::Pending(_) | Made::List(_) => &NULL,
        }
    }
}

impl<'m, 'r> Context<'m, 'r> {
    /// The row's cell.
    pub(super) fn row(
        &self,
        row: &'r Row,
        effects: &mut Effects<'_>,
        mut trace: Option<&mut Trace>,
    ) -> Result<Cell<'r>, Stopped> {
        if let Some(trace) = trace.as_deref_mut() {
            trace.begin(
                &row.target.name,
                self.privacy != PrivacyKind::Keep,
                self.hides_structures(),
            );
        }
        effects.fallback = None;
        let result = self.steps(row, effects, trace.as_deref_mut());
        let result = match result {
            Err(stop) if matches!(*stop, Stop::Absent) => Ok(Cell::Absent),
            other => other,
        };
        if let Some(trace) = trace {
            match &result {
                Ok(Cell::Absent) => trace.end(&NULL, Some("not applied".to_owned())),
                Ok(Cell::Value(value)) => {
                    trace.end(value, effects.fallback.is_some().then(|| "fallback".to_owned()))
                }
                Ok(Cell::Pending(key)) => {
                    let shown = if self.privacy == PrivacyKind::Keep {
                        &key.key
                    } else {
                        MASK
                    };
                    trace.end(&NULL, Some(format!("created in load: {shown}")));
                }
                Ok(Cell::List(items)) => {
                    trace.end(
                        &NULL,
                        Some(format!("{} elements, some created in load", items.len())),
                    );
                }
                Err(stop) => trace.end(&NULL, Some(stop.describe())),
            }
        }
        result
    }

    fn steps(
        &self,
        row: &'r Row,
        effects: &mut Effects<'_>,
        mut trace: Option<&mut Trace>,
    ) -> Result<Cell<'r>, Stopped> {
        if !self.applies(row, trace.as_deref_mut())? {
            return if row.otherwise_clear {
                self.checked(row, Value::Null).map(Cell::Value)
            } else {
                Ok(Cell::Absent)
            };
        }
        if let Some(received) = self.received(row) {
            return self.checked(row, received?).map(Cell::Value);
        }
        let made = match &row.input {
            Input::FirstOf(alternatives) => {
                self.first_of(row, alternatives, effects, trace.as_deref_mut())?
            }
            Input::Link(link) => {
                let made = self.link(link)?;
                if let Some(trace) = trace.as_deref_mut() {
                    let links = self.mapper.pipeline.links_of(link.flow);
                    let name = links.map(|(name, _)| name.to_owned());
                    trace.step("link", name, &NULL, made.shown(), None);
                }
                self.defaulted(row, made, &mut trace)?
            }
            input => {
                let held = self.input(input)?;
                if let Some(trace) = trace.as_deref_mut() {
                    trace.step("value", describe(input), &NULL, held.value(), None);
                }
                let held = match &row.take {
                    Some(take) => {
                        let before = trace.is_some().then(|| held.value().clone());
                        let taken = self.take(take, held)?;
                        if let Some(trace) = trace.as_deref_mut() {
                            trace.step(
                                "take",
                                Some(format!("{take:?}").to_lowercase()),
                                &before.unwrap_or_default(),
                                taken.value(),
                                None,
                            );
                        }
                        taken
                    }
                    None => held,
                };
                let made = self.defaulted(row, Made::Held(held), &mut trace)?;
                self.translated(row, made, effects, &mut trace)?
            }
        };
        let held = match made {
            Made::Held(held) => held,
            made @ (Made::Pending(_) | Made::List(_)) => {
                if row.then.is_some() {
                    return Err(self.reject(
                        "then",
                        "pending_in_template",
                        "the record that is referred to does not exist yet, so nothing can be computed from its key".to_owned(),
                        None,
                    ));
                }
                return Ok(match made {
                    Made::Pending(key) => Cell::Pending(key),
                    Made::List(items) => Cell::List(items),
                    Made::Held(held) => Cell::Value(held.into_value()),
                });
            }
        };
        let held = match &row.then {
            Some(shape) => {
                let then = self.then(shape, held.value())?;
                if let Some(trace) = trace.as_deref_mut() {
                    trace.step("then", None, held.value(), &then, None);
                }
                Held::Own(then)
            }
            None => held,
        };
        let typed = self.typed(row, held, trace)?;
        self.checked(row, typed).map(Cell::Value)
    }

    fn applies(&self, row: &'r Row, trace: Option<&mut Trace>) -> Result<bool, Stopped> {
        let Some(when) = &row.when else {
            return Ok(true);
        };
        let applies = when
            .is_true(self.scope)
            .map_err(|error| self.template_failed(&error))?;
        if let Some(trace) = trace {
            trace.step(
                "when",
                Some(when.source().to_owned()),
                &NULL,
                &Value::Bool(applies),
                None,
            );
        }
        Ok(applies)
    }

    /// The value, or the row's default for null.
    pub(super) fn defaulted(
        &self,
        row: &'r Row,
        made: Made<'m, 'r>,
        trace: &mut Option<&mut Trace>,
    ) -> Result<Made<'m, 'r>, Stopped> {
        let Some(default) = &row.default else {
            return Ok(made);
        };
        match made {
            Made::Held(held) if held.value().is_null() => {
                let value =
                    evaluate_shape(default, self.scope).map_err(|error| self.template_failed(&error))?;
                if let Some(trace) = trace.as_deref_mut() {
                    trace.step("default", None, &NULL, &value, None);
                }
                Ok(Made::own(value))
            }
            other => Ok(other),
        }
    }

    /// Computes from the value, or from each element of a list.
    fn then(&self, shape: &'r Shape, value: &Value<'_>) -> Result<Value<'r>, Stopped> {
        let one = |value: &Value<'_>| {
            evaluate_shape(
                shape,
                &self.scope.child().with_owned("value", value.clone().into_owned()),
            )
            .map_err(|error| self.template_failed(&error))
        };
        match value {
            Value::List(items) => items.iter().map(one).collect::<Result<_, _>>().map(Value::List),
            single => one(single),
        }
    }

    fn typed(
        &self,
        row: &'r Row,
        held: Held<'_, 'r>,
        trace: Option<&mut Trace>,
    ) -> Result<Value<'r>, Stopped> {
        if trace.is_none() && row.target_type.keeps(held.value())
            || matches!(row.target_type, TargetType::Any)
        {
            return Ok(held.into_value());
        }
        let before = match &held {
            Held::Selected(value) => Held::Selected(value),
            Held::Own(value) => Held::Own(value.clone()),
        };
        let typed = row.target_type.coerce(held.into_value());
        let typed = typed
            .map_err(|error| self.reject("type", "type_mismatch", error.to_string(), Some(before.value())))?;
        if let Some(trace) = trace {
            trace.step(
                "type",
                Some(row.target_type.expected()),
                before.value(),
                &typed,
                None,
            );
        }
        Ok(typed)
    }

    /// The checks at the end.
    fn checked(&self, row: &'r Row, value: Value<'r>) -> Result<Value<'r>, Stopped> {
        if row.required && value.is_null() {
            return Err(self.reject(
                "required",
                "required_missing",
                "the field is required and there is no value".to_owned(),
                None,
            ));
        }
        let (Some((most, action)), Value::Text(text)) = (row.max_length, &value) else {
            return Ok(value);
        };
        if text.len() <= most || text.chars().count() <= most {
            return Ok(value);
        }
        match action {
            OnTooLong::Reject => Err(self.reject(
                "on_too_long",
                "too_long",
                format!("the text has more than {most} characters"),
                None,
            )),
            OnTooLong::Truncate(length) => Ok(Value::from(text.chars().take(length).collect::<String>())),
        }
    }

    /// A reject of this row; the value is shown only where it is not private.
    pub(super) fn reject(
        &self,
        rule: &str,
        code: &'static str,
        message: String,
        value: Option<&Value<'_>>,
    ) -> Stopped {
        self.stop(Stop::Reject(self.refusal(rule, code, message, value)))
    }

    pub(super) fn refusal(
        &self,
        rule: &str,
        code: &'static str,
        message: String,
        value: Option<&Value<'_>>,
    ) -> Reject {
        Reject {
            field: Some(self.field.to_owned()),
            value: value.and_then(|value| self.shown(value)),
            ..Reject::new(rule, code, message)
        }
    }

    /// Whether objects and lists are never shown whole, because members of the flow's records are private: a row may
    /// select what holds them.
    fn hides_structures(&self) -> bool {
        self.mapper.flow.is_none_or(|flow| !flow.privacy.is_empty())
    }

    /// A value as messages may show it.
    pub(super) fn shown(&self, value: &Value<'_>) -> Option<String> {
        /// Longer texts are cut.
        const MOST: usize = 200;
        match self.privacy {
            _ if value.is_null() => None,
            PrivacyKind::Keep if is_structure(value) && self.hides_structures() => Some(MASK.to_owned()),
            PrivacyKind::Keep => {
                let text = value
                    .scalar_text()
                    .map_or_else(|| value.to_json(), std::borrow::Cow::into_owned);
                Some(text.chars().take(MOST).collect())
            }
            PrivacyKind::Mask | PrivacyKind::Hash => Some(MASK.to_owned()),
            PrivacyKind::Drop => None,
        }
    }
}

/// Whether a value has members or elements.
pub(super) fn is_structure(value: &Value<'_>) -> bool {
    matches!(value, Value::Map(_) | Value::List(_))
}

impl Stop {
    fn describe(&self) -> String {
        match self {
            Stop::Reject(reject) => format!("rejected: {}", reject.message),
            Stop::Skip(reject) => format!("skipped: {}", reject.message),
            Stop::Hold(reject) => format!("held: {}", reject.message),
            Stop::Wait(reject) => format!("waits: {}", reject.message),
            Stop::Filter => "left out".to_owned(),
            Stop::Absent => "not applied".to_owned(),
            Stop::Missing => "not looked up yet".to_owned(),
        }
    }
}

pub(super) fn describe(input: &Input) -> Option<String> {
    match input {
        Input::Select(path) => Some(path.source().to_owned()),
        Input::Compute(template) => Some(template.source().to_owned()),
        Input::Each { items, .. } => match items {
            Source::Select(path) => Some(path.source().to_owned()),
            Source::Compute(template) => Some(template.source().to_owned()),
        },
        Input::Const(_) => Some("const".to_owned()),
        Input::FirstOf(_) | Input::Link(_) => None,
    }
}
