//! What mapping makes of a record: cells for the sink, or the reason why not.

use std::collections::BTreeMap;

use super::PendingKey;
use crate::compile::compiled::{EnumId, EnumTable, LookupId, Target};
use crate::expression::Value;

/// What became of a record.
#[derive(Debug)]
pub enum Outcome<'r> {
    /// Values for the sink.
    Mapped(Mapped<'r>),
    /// Left out by the flow's conditions.
    Filtered {
        /// The record's key.
        key: String,
    },
    /// The source says that it was deleted.
    Deleted {
        /// The record's key.
        key: String,
    },
    /// The source says that its content was erased.
    Erased {
        /// The record's key.
        key: String,
    },
    /// Left alone, as a rule says.
    Skipped {
        /// The record's key.
        key: String,
        /// Why.
        reject: Reject,
    },
    /// Refused.
    Rejected {
        /// The record's key, if it has one.
        key: Option<String>,
        /// Why.
        reject: Reject,
    },
    /// A person decides.
    Held {
        /// The record's key.
        key: String,
        /// Why.
        reject: Reject,
    },
    /// What it refers to does not exist yet.
    Waiting {
        /// The record's key.
        key: String,
        /// Why, and for what.
        reject: Reject,
    },
}

/// A record's values for the sink.
#[derive(Debug)]
pub struct Mapped<'r> {
    /// The source record's key, as text.
    pub key: String,
    /// One for each row, in order.
    pub cells: Vec<Cell<'r>>,
    /// Rows that hold a fallback.
    pub fallbacks: Vec<FallbackUsed>,
    /// Records that load creates before this one, each before those that need it.
    pub pending: Vec<Pending>,
    /// Rows that could not be applied. Only in a direction of a two-way flow, where each row stands for itself;
    /// elsewhere such a row decides about its record.
    pub refused: Vec<RefusedRow>,
}

/// A row that could not be applied to a record whose other rows were.
#[derive(Clone, Debug)]
pub struct RefusedRow {
    /// The row, by position.
    pub row: usize,
    /// What is to become of it.
    pub as_kind: RefusedAs,
    /// Why.
    pub reject: Reject,
}

/// What is to become of a row that could not be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedAs {
    /// It is left alone.
    Skipped,
    /// Its record is refused.
    Rejected,
    /// A person decides.
    Held,
    /// It waits for a record that does not exist yet.
    Waiting,
}

/// A fallback that stands in place of what a lookup did not find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackUsed {
    /// The row, by position.
    pub row: usize,
    /// The lookup.
    pub lookup: LookupId,
    /// What was not found, named as [`PendingKey::key`] names it; `None` when there was nothing to look for.
    pub key: Option<String>,
}

/// One row's value.
#[derive(Clone, Debug)]
pub enum Cell<'r> {
    /// The row was not applied: the target's field is left as it is.
    Absent,
    /// The value.
    Value(Value<'r>),
    /// The key of a record that load creates.
    Pending(PendingKey),
    /// A list with keys of such records among its elements.
    List(Vec<Cell<'r>>),
}

impl<'r> Cell<'r> {
    /// The value, if there is one already.
    pub fn value(&self) -> Option<&Value<'r>> {
        match self {
            Cell::Value(value) => Some(value),
            Cell::Absent | Cell::Pending(_) | Cell::List(_) => None,
        }
    }

    /// The same cell, owning what it holds.
    pub fn into_owned(self) -> Cell<'static> {
        match self {
            Cell::Absent => Cell::Absent,
            Cell::Value(value) => Cell::Value(value.into_owned()),
            Cell::Pending(key) => Cell::Pending(key),
            Cell::List(items) => Cell::List(items.into_iter().map(Cell::into_owned).collect()),
        }
    }

    /// The records that load must have created before it can be written.
    pub fn pending(&self) -> Vec<&PendingKey> {
        match self {
            Cell::Absent | Cell::Value(_) => Vec::new(),
            Cell::Pending(key) => vec![key],
            Cell::List(items) => items.iter().flat_map(Cell::pending).collect(),
        }
    }

    /// The value once `key` tells the keys of the records that were created; `None` where there is none.
    pub fn settled(&self, key: &dyn Fn(&PendingKey) -> Option<Value<'static>>) -> Option<Value<'r>> {
        match self {
            Cell::Absent => None,
            Cell::Value(value) => Some(value.clone()),
            Cell::Pending(pending) => key(pending),
            Cell::List(items) => items
                .iter()
                .map(|item| item.settled(key))
                .collect::<Option<Vec<_>>>()
                .map(Value::List),
        }
    }
}

/// A record that a lookup did not find and load will create.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The lookup.
    pub lookup: LookupId,
    /// What makes it one with the pending records of others.
    pub key: PendingKey,
    /// What the lookup was given, so that it can be asked again.
    pub given: Value<'static>,
    /// Its fields.
    pub cells: Vec<(Target, Cell<'static>)>,
}

/// Why a record is not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The target field.
    pub field: Option<String>,
    /// The rule or step, such as `enum status_to_crm`.
    pub rule: String,
    /// A stable word for the reason.
    pub code: &'static str,
    /// A sentence without values.
    pub message: String,
    /// The value, redacted if it is private.
    pub value: Option<String>,
    /// The link that a waiting record needs: flow and source key.
    pub waits_for: Option<(String, String)>,
}

impl Reject {
    /// A reject that concerns no single field.
    pub fn new(rule: &str, code: &'static str, message: String) -> Self {
        Reject {
            field: None,
            rule: rule.to_owned(),
            code,
            message,
            value: None,
            waits_for: None,
        }
    }
}

/// How often entries of enum tables were used, and the values that no table lists. Mapping counts by position, so that
/// counting costs nothing; names come in when it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    used: Vec<Vec<u64>>,
    unknown: Vec<BTreeMap<String, u64>>,
}

impl Coverage {
    /// Nothing used of a pipeline's tables yet.
    pub fn new(tables: &[EnumTable]) -> Self {
        Coverage {
            used: tables.iter().map(|table| vec![0; table.values.len()]).collect(),
            unknown: vec![BTreeMap::new(); tables.len()],
        }
    }

    /// Counts one use of an entry.
    pub fn count(&mut self, table: EnumId, entry: usize) {
        if let Some(count) = self
            .used
            .get_mut(table)
            .and_then(|entries| entries.get_mut(entry))
        {
            *count += 1;
        }
    }

    /// Counts a value that the table does not list; the value is redacted already if it is private.
    pub fn count_unknown(&mut self, table: EnumId, value: &str) {
        if let Some(values) = self.unknown.get_mut(table) {
            *values.entry(value.to_owned()).or_default() += 1;
        }
    }

    /// Adds the counts of another run over the same tables.
    pub fn add(&mut self, other: &Coverage) {
        for (counts, more) in self.used.iter_mut().zip(&other.used) {
            for (count, more) in counts.iter_mut().zip(more) {
                *count += more;
            }
        }
        for (values, more) in self.unknown.iter_mut().zip(&other.unknown) {
            for (value, more) in more {
                *values.entry(value.clone()).or_default() += more;
            }
        }
    }

    /// Entries of a table that were never used, by position.
    pub fn unused(&self, table: EnumId) -> impl Iterator<Item = usize> {
        let counts = self.used.get(table).map(Vec::as_slice).unwrap_or_default();
        counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count == 0)
            .map(|(entry, _)| entry)
    }

    /// Adds these counts, by table and entry, to others.
    pub fn add_to(
        &self,
        tables: &[EnumTable],
        used: &mut BTreeMap<String, BTreeMap<String, u64>>,
        unknown: &mut BTreeMap<String, BTreeMap<String, u64>>,
    ) {
        for ((table, counts), values) in tables.iter().zip(&self.used).zip(&self.unknown) {
            if counts.iter().any(|count| *count > 0) {
                let entries = used.entry(table.name.clone()).or_default();
                for (name, count) in table.values.keys().zip(counts) {
                    *entries.entry(name.clone()).or_default() += count;
                }
            }
            for (value, count) in values {
                *unknown
                    .entry(table.name.clone())
                    .or_default()
                    .entry(value.clone())
                    .or_default() += count;
            }
        }
    }
}
