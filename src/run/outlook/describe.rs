//! Describing a decision: which record of which stream, which fields with which values, as people may see them.

use super::collector::Additions;
use super::item::{PlanField, PlanItem, PlanKind, PlanReason};
use crate::compile::compiled::{FlowId, PrivacyKind, StreamRef, Target};
use crate::expression::Value;
use crate::mapping::{Cell, MASK, Pending};
use crate::run::batch::{Decision, MappedItem, Update};
use crate::run::context::Context;
use crate::run::decide;

/// Describes decisions about the records of one flow.
pub(super) struct Describe<'c> {
    pub(super) context: &'c Context,
    pub(super) flow: FlowId,
    /// What the rules made of the record.
    pub(super) mapped: Option<&'c MappedItem>,
}

impl Describe<'_> {
    /// A decision of which nothing but the record is known.
    pub(super) fn item(&self, key: &str, kind: PlanKind, digest: String) -> PlanItem {
        let flow = &self.context.pipeline.flows[self.flow];
        let direction = flow
            .direction_of
            .map(|direction| format!("to_{}", direction.to.name()));
        PlanItem {
            flow: self.context.flow_ref(flow).flow.to_owned(),
            direction,
            to: self.context.stream_name(flow.to),
            key: key.to_owned(),
            kind,
            target: None,
            fields: Vec::new(),
            reason: None,
            held: Vec::new(),
            not_carried: Vec::new(),
            digest,
        }
    }

    /// A record that a lookup creates for the record of this key.
    pub(super) fn reference(&self, key: &str, pending: &Pending, digest: String) -> PlanItem {
        let mut item = self.item(key, PlanKind::CreateReference, digest);
        item.to = self.context.stream_name(StreamRef {
            connection: pending.key.connection,
            stream: pending.key.stream,
        });
        let lookup = self.context.pipeline.lookups.get(pending.lookup);
        let name = lookup.map_or("", |lookup| lookup.name.as_str());
        item.reason = Some(PlanReason {
            field: None,
            rule: Some(format!("lookup {name}")),
            code: "lookup_none".to_owned(),
            message: format!("lookup `{name}` found nothing"),
            value: None,
        });
        // Which private members a created record's fields come from is not known: none are shown.
        let private = self.context.redactors[self.flow].applies();
        for (target, cell) in &pending.cells {
            let mut field = match cell {
                Cell::Absent => continue,
                Cell::Value(value) if private && !value.is_null() => described(target, &Value::text(MASK)),
                Cell::Value(value) => described(target, value),
                Cell::Pending(_) | Cell::List(_) => self.coming(target, cell),
            };
            field.private = private && field.unknown.is_none();
            item.fields.push(field);
        }
        item
    }

    /// The decision with the fields that it writes; one item for each record that is written.
    pub(super) fn written(
        &self,
        item: PlanItem,
        decision: &Decision,
        additions: &Additions<'_>,
    ) -> Vec<PlanItem> {
        let flow = &self.context.pipeline.flows[self.flow];
        let one = |target: Option<String>, fields: Vec<PlanField>| PlanItem {
            target,
            fields,
            ..item.clone()
        };
        match decision {
            Decision::Create => {
                let cells = self.mapped.map_or(&[][..], |mapped| &mapped.cells);
                let rows = decide::created(&flow.rows, cells);
                let fields = rows.into_iter().filter_map(|row| self.field(row, None));
                vec![one(None, fields.collect())]
            }
            Decision::Update(update) => vec![self.updated(&item, update, additions)],
            Decision::UpdateAll(updates) => updates
                .iter()
                .map(|update| self.updated(&item, update, additions))
                .collect(),
            Decision::Delete { target } => vec![one(Some(target.clone()), Vec::new())],
            Decision::Set {
                target,
                before,
                fields,
            } => {
                let fields = fields.iter().map(|(field, value)| {
                    let mut shown = self.shown(field, value);
                    shown.before = Some(self.masked(field, decide::at(before, &field.segments)));
                    shown
                });
                vec![one(Some(target.clone()), fields.collect())]
            }
            Decision::Unchanged { link, .. } => vec![one(link.clone(), Vec::new())],
            _ => vec![item],
        }
    }

    fn updated(&self, item: &PlanItem, update: &Update, additions: &Additions<'_>) -> PlanItem {
        let fields = update.changes.iter().filter_map(|change| {
            let mut field = self.field(change.row, Some(&change.before))?;
            let conflict = additions.conflicts.iter().find(|(row, _)| *row == change.row);
            field.conflict = conflict.map(|(_, conflict)| conflict.clone());
            Some(field)
        });
        PlanItem {
            target: Some(update.target.clone()),
            fields: fields.collect(),
            ..item.clone()
        }
    }

    fn field(&self, row: usize, before: Option<&Value<'_>>) -> Option<PlanField> {
        let target = &self.context.pipeline.flows[self.flow].rows.get(row)?.target;
        let mapped = self.mapped?;
        let mut field = match mapped.cells.get(row)? {
            Cell::Value(value) => self.shown(target, value),
            cell @ (Cell::Pending(_) | Cell::List(_)) => self.coming(target, cell),
            Cell::Absent => return None,
        };
        field.before = before.map(|before| self.masked(target, before));
        field.fallback = mapped.fallbacks.iter().any(|used| used.row == row);
        Some(field)
    }

    fn shown(&self, target: &Target, value: &Value<'_>) -> PlanField {
        let redactor = &self.context.redactors[self.flow];
        let kind = redactor.target(&target.name);
        PlanField {
            private: kind != PrivacyKind::Keep,
            ..described(target, &redactor.redact_target(&target.name, value))
        }
    }

    fn masked(&self, target: &Target, value: &Value<'_>) -> serde_json::Value {
        let redactor = &self.context.redactors[self.flow];
        json(&redactor.redact_target(&target.name, value))
    }

    /// A field that gets the key of a record which is created first.
    fn coming(&self, target: &Target, cell: &Cell<'_>) -> PlanField {
        let pending = cell.pending();
        let stream = pending.first().map_or_else(String::new, |key| {
            self.context.stream_name(StreamRef {
                connection: key.connection,
                stream: key.stream,
            })
        });
        PlanField {
            after: None,
            unknown: Some(match cell {
                Cell::List(_) => format!("a list with keys of {} new records in `{stream}`", pending.len()),
                _ => format!("key of the new record in `{stream}`"),
            }),
            ..described(target, &Value::Null)
        }
    }
}

fn described(target: &Target, value: &Value<'_>) -> PlanField {
    PlanField {
        name: target.name.clone(),
        before: None,
        after: Some(json(value)),
        unknown: None,
        private: false,
        fallback: false,
        conflict: None,
    }
}

fn json(value: &Value<'_>) -> serde_json::Value {
    serde_json::from_str(&value.to_json()).unwrap_or_default()
}

/// Why a record is not written.
pub(super) fn reason(decision: &Decision) -> Option<PlanReason> {
    match decision {
        Decision::Skipped(reject)
        | Decision::Rejected(reject)
        | Decision::Held(reject)
        | Decision::Waiting(reject) => Some(PlanReason {
            field: reject.field.clone(),
            rule: Some(reject.rule.clone()),
            code: reject.code.to_owned(),
            message: reject.message.clone(),
            value: reject.value.clone(),
        }),
        Decision::Unlink { reason } => Some(PlanReason {
            field: None,
            rule: None,
            code: "unlink".to_owned(),
            message: (*reason).to_owned(),
            value: None,
        }),
        _ => None,
    }
}
