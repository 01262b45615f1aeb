//! The middle steps of a row: what null does, enum tables, and `first_of`, which takes its alternatives through them.

use super::input::{Held, NULL};
use super::row::{Context, Effects, Made, Stop, Stopped, describe};
use super::trace::{MASK, Trace};
use crate::compile::compiled::{Alternative, EnumUse, LookupUse, OnNull, OnUnknown, Row};
use crate::expression::Value;

impl<'m, 'r> Context<'m, 'r> {
    /// on_null, enum and lookup.
    pub(super) fn translated(
        &self,
        row: &'r Row,
        made: Made<'m, 'r>,
        effects: &mut Effects<'_>,
        trace: &mut Option<&mut Trace>,
    ) -> Result<Made<'m, 'r>, Stopped> {
        let Made::Held(mut held) = made else {
            return Ok(made);
        };
        let mut translate = row.enumeration.as_ref();
        if held.value().is_null() {
            match self.on_null(&row.on_null, row.lookup.as_ref(), effects, trace)? {
                Null::Value(value) if row.enumeration.is_some() && !value.is_null() => {
                    translate = None;
                    held = Held::Own(value);
                }
                Null::Value(value) => return Ok(Made::own(value)),
                Null::Made(made) => return Ok(made),
            }
        }
        if let Some(usage) = translate {
            let translated = self.enumerate(usage, held.value(), effects)?;
            if let Some(trace) = trace.as_deref_mut() {
                trace.step("enum", self.table_name(usage), held.value(), &translated, None);
            }
            held = Held::Own(translated);
        }
        match &row.lookup {
            Some(usage) if !held.value().is_null() => self.lookup(usage, &held, effects, trace),
            _ => Ok(Made::Held(held)),
        }
    }

    /// What the row does with null.
    fn on_null(
        &self,
        on_null: &'r OnNull,
        lookup: Option<&'r LookupUse>,
        effects: &mut Effects<'_>,
        trace: &mut Option<&mut Trace>,
    ) -> Result<Null<'m, 'r>, Stopped> {
        match on_null {
            OnNull::Reject => {
                Err(self.reject("on_null", "null_refused", "the value is null".to_owned(), None))
            }
            OnNull::Keep => Err(self.stop(Stop::Absent)),
            OnNull::Skip => Err(self.stop(Stop::Filter)),
            OnNull::Clear => Ok(Null::Value(Value::Null)),
            OnNull::Const(value) => {
                if let Some(trace) = trace.as_deref_mut() {
                    trace.step("on_null", None, &NULL, value, None);
                }
                Ok(Null::Value(value.borrow()))
            }
            OnNull::AsNone => match lookup {
                Some(usage) => self.none_found(usage, &NULL, effects, trace).map(Null::Made),
                None => Ok(Null::Value(Value::Null)),
            },
        }
    }

    pub(super) fn first_of(
        &self,
        row: &'r Row,
        alternatives: &'r [Alternative],
        effects: &mut Effects<'_>,
        mut trace: Option<&mut Trace>,
    ) -> Result<Made<'m, 'r>, Stopped> {
        // `on_none` counts once, after the last: it is given what the first alternative with a value was given.
        let mut unfound: Option<(&'r LookupUse, Held<'m, 'r>)> = None;
        for alternative in alternatives {
            if let Some(when) = &alternative.when
                && !when
                    .is_true(self.scope)
                    .map_err(|error| self.template_failed(&error))?
            {
                continue;
            }
            let held = self.input(&alternative.input)?;
            let held = match &row.take {
                Some(take) => self.take(take, held)?,
                None => held,
            };
            if let Some(trace) = trace.as_deref_mut() {
                trace.step("value", describe(&alternative.input), &NULL, held.value(), None);
            }
            if held.value().is_null() {
                continue;
            }
            let held = match alternative.enumeration.as_ref().or(row.enumeration.as_ref()) {
                Some(usage) => Held::Own(self.enumerate(usage, held.value(), effects)?),
                None => held,
            };
            let Some(usage) = alternative.lookup.as_ref().or(row.lookup.as_ref()) else {
                return Ok(Made::Held(held));
            };
            match self.find(usage, held.value())? {
                Some(found) => {
                    if let Some(trace) = trace.as_deref_mut() {
                        trace.step("lookup", self.lookup_name(usage), held.value(), &found, None);
                    }
                    return Ok(Made::own(found));
                }
                None => unfound = unfound.or(Some((usage, held))),
            }
        }
        if let Some((usage, given)) = unfound {
            return self.none_found(usage, given.value(), effects, &mut trace);
        }
        let made = self.defaulted(row, Made::own(Value::Null), &mut trace)?;
        match made {
            Made::Held(held) if held.value().is_null() => {
                match self.on_null(&row.on_null, row.lookup.as_ref(), effects, &mut trace)? {
                    Null::Value(value) => Ok(Made::own(value)),
                    Null::Made(made) => Ok(made),
                }
            }
            other => self.translated(row, other, effects, &mut trace),
        }
    }

    /// Translates a value, or each element of a list.
    fn enumerate(
        &self,
        usage: &'r EnumUse,
        value: &Value<'_>,
        effects: &mut Effects<'_>,
    ) -> Result<Value<'r>, Stopped> {
        match value {
            Value::List(items) => items
                .iter()
                .map(|item| self.enumerate_one(usage, item, effects))
                .collect::<Result<_, _>>()
                .map(Value::List),
            single => self.enumerate_one(usage, single, effects),
        }
    }

    fn enumerate_one(
        &self,
        usage: &'r EnumUse,
        value: &Value<'_>,
        effects: &mut Effects<'_>,
    ) -> Result<Value<'r>, Stopped> {
        let Some(table) = self.mapper.pipeline.enums.get(usage.table) else {
            return Err(self.reject("enum", "enum_unknown", "there is no such table".to_owned(), None));
        };
        if value.is_null() {
            return match usage.on_null.as_ref().unwrap_or(&table.on_null) {
                OnNull::Reject => Err(self.reject(
                    &format!("enum {}", table.name),
                    "null_refused",
                    "the value is null".to_owned(),
                    None,
                )),
                OnNull::Keep => Err(self.stop(Stop::Absent)),
                OnNull::Skip => Err(self.stop(Stop::Filter)),
                OnNull::Clear | OnNull::AsNone => Ok(Value::Null),
                OnNull::Const(value) => Ok(value.borrow()),
            };
        }
        let text = value.scalar_text();
        let entry = text.as_deref().and_then(|text| table.values.get_full(text));
        if let Some((index, _, value)) = entry {
            effects.coverage.count(usage.table, index);
            return Ok(value.borrow());
        }
        let shown = self.shown(value).unwrap_or_else(|| MASK.to_owned());
        effects.coverage.count_unknown(usage.table, &shown);
        match usage.on_unknown.as_ref().unwrap_or(&table.on_unknown) {
            OnUnknown::Reject => Err(self.reject(
                &format!("enum {}", table.name),
                "enum_unknown",
                format!("the value is not in the table `{}`", table.name),
                Some(value),
            )),
            OnUnknown::Keep => Err(self.stop(Stop::Absent)),
            OnUnknown::Skip => Err(self.stop(Stop::Filter)),
            OnUnknown::Clear => Ok(Value::Null),
            OnUnknown::Const(value) => Ok(value.borrow()),
        }
    }

    fn table_name(&self, usage: &EnumUse) -> Option<String> {
        self.mapper
            .pipeline
            .enums
            .get(usage.table)
            .map(|table| table.name.clone())
    }
}

/// What stands for null.
enum Null<'v, 'r> {
    /// This value, or null itself.
    Value(Value<'r>),
    /// What a lookup gives that found nothing.
    Made(Made<'v, 'r>),
}
