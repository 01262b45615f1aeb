//! References to other records: lookups with their fallbacks, links, and records that load will create.

use std::sync::Arc;

use super::input::{Held, NULL};
use super::mapper::Mapper;
use super::outcome::{Cell, Pending, Reject};
use super::row::{Context, Effects, Made, Stop, Stopped};
use super::trace::Trace;
use super::{Found, PendingKey, Resolution, pending_key};
use crate::compile::compiled::{Link, Lookup, LookupId, LookupUse, OnMany, OnNone, PrivacyKind, Row};
use crate::expression::{PARENT, Scope, Value};

/// Records to be created may need others, this deep.
const DEEPEST: usize = 8;

impl<'m, 'r> Context<'m, 'r> {
    /// Resolves a value, or each element of a list, to a key.
    pub(super) fn lookup(
        &self,
        usage: &'r LookupUse,
        given: &Held<'m, 'r>,
        effects: &mut Effects<'_>,
        trace: &mut Option<&mut Trace>,
    ) -> Result<Made<'m, 'r>, Stopped> {
        let Value::List(items) = given.value() else {
            return self.lookup_one(usage, given.value(), effects, trace);
        };
        let mut keys = Vec::with_capacity(items.len());
        for item in items.iter().filter(|item| !item.is_null()) {
            keys.push(match self.lookup_one(usage, item, effects, trace)? {
                Made::Held(held) => Cell::Value(held.into_value()),
                Made::Pending(key) => Cell::Pending(key),
                Made::List(items) => Cell::List(items),
            });
        }
        let known = keys.iter().map(Cell::value).collect::<Option<Vec<_>>>();
        Ok(match known {
            Some(known) => Made::own(Value::List(known.into_iter().cloned().collect())),
            None => Made::List(keys),
        })
    }

    fn lookup_one(
        &self,
        usage: &'r LookupUse,
        given: &Value<'_>,
        effects: &mut Effects<'_>,
        trace: &mut Option<&mut Trace>,
    ) -> Result<Made<'m, 'r>, Stopped> {
        match self.find(usage, given)? {
            Some(found) => {
                if let Some(trace) = trace.as_deref_mut() {
                    trace.step("lookup", self.lookup_name(usage), given, &found, None);
                }
                Ok(Made::own(found))
            }
            None => self.none_found(usage, given, effects, trace),
        }
    }

    /// The key that a lookup finds; `None` if it finds nothing.
    pub(super) fn find(&self, usage: &'r LookupUse, given: &Value<'_>) -> Result<Option<Value<'r>>, Stopped> {
        let found = self.found(usage, given)?;
        Ok(match found {
            Answer::None => None,
            Answer::One(found) => Some(found.key.clone()),
            Answer::All(found) => Some(Value::List(found.iter().map(|found| found.key.clone()).collect())),
        })
    }

    /// The records that a lookup finds, after `on_many`.
    pub(super) fn found(&self, usage: &LookupUse, given: &Value<'_>) -> Result<Answer, Stopped> {
        let found = match self.resolver.resolve(usage.lookup, given) {
            Resolution::Found(found) => return Ok(Answer::One(found)),
            Resolution::None => return Ok(Answer::None),
            Resolution::Missing => return Err(self.stop(Stop::Missing)),
            Resolution::Failed(message) => {
                return Err(self.reject(
                    &self.lookup_rule(usage),
                    "lookup_failed",
                    format!("the lookup failed: {message}"),
                    None,
                ));
            }
            Resolution::Many(found) => found,
        };
        let refusal = || {
            let message = format!("{} records were found where one is wanted", found.len());
            self.refusal(&self.lookup_rule(usage), "lookup_many", message, Some(given))
        };
        let on_many = usage.on_many.or(self.rule(usage).map(|rule| rule.on_many));
        match on_many.unwrap_or(OnMany::Reject) {
            OnMany::First => Ok(found
                .first()
                .map_or(Answer::None, |found| Answer::One(Arc::clone(found)))),
            OnMany::All => Ok(Answer::All(found)),
            OnMany::Keep => Err(self.stop(Stop::Absent)),
            OnMany::Reject => Err(self.stop(Stop::Reject(refusal()))),
            OnMany::Hold => Err(self.stop(Stop::Hold(refusal()))),
            OnMany::Skip => Err(self.stop(Stop::Skip(refusal()))),
        }
    }

    /// What a lookup gives that found nothing.
    pub(super) fn none_found(
        &self,
        usage: &'r LookupUse,
        given: &Value<'_>,
        effects: &mut Effects<'_>,
        trace: &mut Option<&mut Trace>,
    ) -> Result<Made<'m, 'r>, Stopped> {
        let on_none = usage
            .on_none
            .as_ref()
            .or(self.rule(usage).map(|rule| &rule.on_none));
        let rule = self.lookup_rule(usage);
        let made = match on_none.unwrap_or(&OnNone::Reject) {
            OnNone::Instead(template) => {
                let instead = template
                    .evaluate(self.scope)
                    .map_err(|error| self.template_failed(&error))?;
                match self.find(usage, &instead)? {
                    Some(found) => {
                        let unfound = pending_key(self.mapper.pipeline, usage.lookup, given, self.resolver);
                        effects.fallback = Some((usage.lookup, unfound.map(|pending| pending.key)));
                        Made::own(found)
                    }
                    None => {
                        let message = "nothing was found, and nothing for the fallback either".to_owned();
                        return Err(self.reject(&rule, "fallback_missing", message, Some(given)));
                    }
                }
            }
            OnNone::Create(rows) => Made::Pending(self.create(usage.lookup, rows, given, effects)?),
            other => self.unfound(other, &rule, given)?,
        };
        if let Some(trace) = trace.as_deref_mut() {
            let note = match &made {
                Made::Pending(_) | Made::List(_) => "nothing found: created in load",
                Made::Held(_) if effects.fallback.is_some() => "nothing found: the fallback",
                Made::Held(_) => "nothing found",
            };
            trace.step("lookup", self.lookup_name(usage), given, made.shown(), Some(note));
        }
        Ok(made)
    }

    /// The answers to "nothing found" that need no other record.
    fn unfound(&self, on_none: &'r OnNone, rule: &str, given: &Value<'_>) -> Result<Made<'m, 'r>, Stopped> {
        let refusal = || self.refusal(rule, "lookup_none", "nothing was found".to_owned(), Some(given));
        match on_none {
            OnNone::Keep => Err(self.stop(Stop::Absent)),
            OnNone::Clear => Ok(Made::own(Value::Null)),
            OnNone::Const(value) => Ok(Made::own(value.borrow())),
            OnNone::Skip => Err(self.stop(Stop::Skip(refusal()))),
            OnNone::Hold => Err(self.stop(Stop::Hold(refusal()))),
            OnNone::Wait => Err(self.stop(Stop::Wait(refusal()))),
            OnNone::Reject | OnNone::Instead(_) | OnNone::Create(_) => {
                Err(self.stop(Stop::Reject(refusal())))
            }
        }
    }

    /// What a join shows that finds nothing.
    pub(super) fn unjoined(&self, usage: &'r LookupUse, given: &Value<'_>) -> Result<Value<'r>, Stopped> {
        let rule = self.lookup_rule(usage);
        let on_none = usage
            .on_none
            .as_ref()
            .or(self.rule(usage).map(|rule| &rule.on_none));
        match on_none.unwrap_or(&OnNone::Reject) {
            OnNone::Keep | OnNone::Clear => Ok(Value::Null),
            OnNone::Instead(template) => {
                let instead = template
                    .evaluate(self.scope)
                    .map_err(|error| self.template_failed(&error))?;
                match self.found(usage, &instead)? {
                    Answer::One(found) => Ok(self.mapper.joined_value(self.field, &found)),
                    Answer::None | Answer::All(_) => {
                        let message =
                            "nothing was found, and not one record for the fallback either".to_owned();
                        Err(self.reject(&rule, "fallback_missing", message, None))
                    }
                }
            }
            OnNone::Create(_) => {
                let message =
                    "nothing was found, and a record that does not exist yet cannot be joined".to_owned();
                Err(self.reject(&rule, "lookup_none", message, None))
            }
            other => match self.unfound(other, &rule, given)? {
                Made::Held(held) => Ok(held.into_value()),
                Made::Pending(_) | Made::List(_) => Ok(Value::Null),
            },
        }
    }

    /// A record that load will create: its rows see what the lookup was given.
    fn create(
        &self,
        lookup: LookupId,
        rows: &'r [Row],
        given: &Value<'_>,
        effects: &mut Effects<'_>,
    ) -> Result<PendingKey, Stopped> {
        let name = self
            .mapper
            .pipeline
            .lookups
            .get(lookup)
            .map_or("", |lookup| lookup.name.as_str());
        let rule = format!("lookup {name}");
        if self.depth >= DEEPEST {
            return Err(self.reject(
                &rule,
                "create_too_deep",
                "records to be created need each other without end".to_owned(),
                None,
            ));
        }
        let Some(key) = pending_key(self.mapper.pipeline, lookup, given, self.resolver) else {
            let message = "nothing was found, and there is no key by which a new record could be found again"
                .to_owned();
            return Err(self.reject(&rule, "create_without_key", message, Some(given)));
        };
        if effects.pending.iter().any(|pending| pending.key == key) {
            return Ok(key);
        }
        let given = given.clone().into_owned();
        let scope = Scope::new()
            .with("given", &given)
            .with("params", &self.mapper.pipeline.params)
            .with("connections", &self.mapper.pipeline.connections_seen);
        let mut cells = Vec::with_capacity(rows.len());
        for row in rows {
            let context = Context {
                mapper: self.mapper,
                root: &given,
                scope: &scope,
                text: None,
                key: self.key,
                resolver: self.resolver,
                field: self.field,
                // What a record is created from is as private as what was looked up: never shown.
                privacy: PrivacyKind::Drop,
                depth: self.depth + 1,
            };
            let fallback = std::mem::take(&mut effects.fallback);
            let cell = context.row(row, effects, None);
            effects.fallback = fallback;
            match cell.map_err(|stop| within(stop, &row.target.name, name))? {
                Cell::Absent => {}
                cell => cells.push((row.target.clone(), cell.into_owned())),
            }
        }
        effects.pending.push(Pending {
            lookup,
            key: key.clone(),
            given,
            cells,
        });
        Ok(key)
    }

    /// The key to which a flow linked a record of ours.
    pub(super) fn link(&self, link: &'r Link) -> Result<Made<'m, 'r>, Stopped> {
        let key = match &link.key {
            Some(source) => self.source(source)?.value().key_text(),
            None => Some(self.own_key()?),
        };
        let Some(key) = key else {
            return match &*link.on_none {
                OnNone::Keep => Err(self.stop(Stop::Absent)),
                OnNone::Const(value) => Ok(Made::own(value.borrow())),
                _ => Ok(Made::own(Value::Null)),
            };
        };
        let flow = self
            .mapper
            .pipeline
            .links_of(link.flow)
            .map_or("", |(name, _)| name);
        let rule = format!("link {flow}");
        match self.resolver.link(link.flow, &key) {
            Resolution::Found(found) => Ok(Made::own(found.key.clone())),
            Resolution::Missing => Err(self.stop(Stop::Missing)),
            Resolution::Failed(message) => Err(self.reject(
                &rule,
                "lookup_failed",
                format!("the link cannot be read: {message}"),
                None,
            )),
            Resolution::Many(_) => Err(self.reject(
                &rule,
                "link_many",
                "the record has several links".to_owned(),
                None,
            )),
            Resolution::None => match &*link.on_none {
                OnNone::Wait => {
                    let off = self.mapper.pipeline.flows.get(link.flow);
                    let off = off.and_then(|flow| flow.disabled.as_ref());
                    let message = match off {
                        None => format!("the record of flow `{flow}` that it refers to is not linked yet"),
                        Some(reason) => format!(
                            "the record of flow `{flow}` that it refers to is not linked, and that flow is disabled: {reason}"
                        ),
                    };
                    let reject = Reject {
                        waits_for: Some((flow.to_owned(), key)),
                        ..self.refusal(&rule, "link_missing", message, None)
                    };
                    Err(self.stop(Stop::Wait(reject)))
                }
                other => self.unfound(other, &rule, &NULL),
            },
        }
    }

    /// The record's own key; for children their parent's.
    fn own_key(&self) -> Result<String, Stopped> {
        let Some((parent, key)) = &self.mapper.parent else {
            return Ok(self.key.to_owned());
        };
        let joined = self.root.get(PARENT).unwrap_or(&NULL);
        let text = match joined {
            Value::Map(_) => key.one(joined).and_then(Value::key_text),
            scalar => scalar.key_text(),
        };
        text.ok_or_else(|| {
            let message = format!("the record does not say which record of `{parent}` it belongs to");
            self.reject("link", "parent_missing", message, None)
        })
    }

    fn rule(&self, usage: &LookupUse) -> Option<&'r Lookup> {
        self.mapper.pipeline.lookups.get(usage.lookup)
    }

    pub(super) fn lookup_name(&self, usage: &LookupUse) -> Option<String> {
        self.rule(usage).map(|rule| rule.name.clone())
    }

    fn lookup_rule(&self, usage: &LookupUse) -> String {
        format!(
            "lookup {}",
            self.rule(usage).map_or("", |rule| rule.name.as_str())
        )
    }
}

/// What a lookup found.
pub(super) enum Answer {
    None,
    One(Arc<Found>),
    All(Vec<Arc<Found>>),
}

/// A stop of a row of a record to be created, told as one of the row that needs the record.
fn within(mut stop: Stopped, field: &str, lookup: &str) -> Stopped {
    if let Stop::Reject(reject) | Stop::Skip(reject) | Stop::Hold(reject) | Stop::Wait(reject) = &mut *stop {
        reject.message = format!(
            "field `{field}` of the record that `{lookup}` would create: {}",
            reject.message
        );
    }
    stop
}

impl Mapper<'_> {
    /// A record as a join shows it: as much of it as is read.
    pub(super) fn joined_value(&self, name: &str, found: &Found) -> Value<'static> {
        match self.projection.member(name) {
            Some(projection) => found.record.project(projection).into_owned(),
            None => Value::Null,
        }
    }
}
