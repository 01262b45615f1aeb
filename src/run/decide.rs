//! The plan of one record: what differs between what the rules made and what the sink has. Pure.
//!
//! A row travels when its own value changed since it was last loaded and the sink does not already have it. So an edit
//! that somebody made in the sink survives until the source changes that very field.

use crate::compile::compiled::{Row, WritePolicy};
use crate::expression::Value;
use crate::mapping::Cell;
use crate::state::{Digest, Digester};

/// Digests a cell in its canonical form, so that `1.0` and `1`, or one instant in two spellings, are equal. `None` for a
/// row that was not applied.
pub(crate) fn digest(digester: &Digester, cell: &Cell<'_>) -> Option<Digest> {
    let mut canonical = Vec::new();
    match cell {
        Cell::Absent => return None,
        Cell::Value(value) => value.canonical(&mut canonical),
        Cell::Pending(_) | Cell::List(_) => {
            canonical.extend_from_slice(format!("pending {:?}", cell.pending()).as_bytes());
        }
    }
    Some(digester.digest(&canonical))
}

/// The digest of all of a record's cells.
pub(crate) fn digest_all(digester: &Digester, digests: &[Option<Digest>]) -> Digest {
    let mut bytes = Vec::with_capacity(digests.len() * 17);
    for digest in digests {
        bytes.push(u8::from(digest.is_some()));
        if let Some(Digest(digest)) = digest {
            bytes.extend_from_slice(digest);
        }
    }
    digester.digest(&bytes)
}

/// One field that an update changes.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Position of the row.
    pub(crate) row: usize,
    /// What the sink has; null when the field is absent.
    pub(crate) before: Value<'static>,
}

/// Which rows an update of `before` sends. `changed_since` tells whether a row's value differs from the one that was
/// loaded last (true when none was).
pub(crate) fn changes(
    rows: &[Row],
    cells: &[Cell<'_>],
    before: &Value<'_>,
    changed_since: impl Fn(usize) -> bool,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (row, cell) in cells.iter().enumerate() {
        let Some(rule) = rows.get(row) else { continue };
        let current = at(before, &rule.target.segments);
        let applies = match (cell, rule.write) {
            (Cell::Absent, _) | (_, WritePolicy::OnCreate) => false,
            (_, WritePolicy::IfEmpty) => is_empty(current),
            (Cell::Value(value), WritePolicy::NeverNull) => !value.is_null(),
            _ => true,
        };
        if !applies || !changed_since(row) {
            continue;
        }
        let differs = match cell {
            Cell::Value(value) => !same(value, current),
            Cell::Pending(_) | Cell::List(_) => true,
            Cell::Absent => false,
        };
        if differs {
            changes.push(Change {
                row,
                before: current.clone().into_owned(),
            });
        }
    }
    changes
}

/// The rows that a create sends: all that have a value, except null for rows that never write it.
pub(crate) fn created(rows: &[Row], cells: &[Cell<'_>]) -> Vec<usize> {
    cells
        .iter()
        .enumerate()
        .filter(|(row, cell)| match cell {
            Cell::Absent => false,
            Cell::Value(Value::Null) => rows
                .get(*row)
                .is_some_and(|rule| !matches!(rule.write, WritePolicy::NeverNull | WritePolicy::IfEmpty)),
            Cell::Value(_) | Cell::Pending(_) | Cell::List(_) => true,
        })
        .map(|(row, _)| row)
        .collect()
}

/// The value at a dotted target; null where nothing is.
pub(crate) fn at<'v, 'a>(value: &'v Value<'a>, segments: &[String]) -> &'v Value<'a> {
    let mut current = value;
    for segment in segments {
        match current.get(segment) {
            Some(next) => current = next,
            None => return &Value::Null,
        }
    }
    current
}

fn is_empty(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        _ => false,
    }
}

/// Whether the sink already has a value. Systems spell identifiers as text or number and instants with or without
/// fractions and offsets; these are the same. Inside objects only the members that we write are compared, because
/// systems answer with more.
pub(crate) fn same(ours: &Value<'_>, theirs: &Value<'_>) -> bool {
    match (ours, theirs) {
        (Value::Number(number), Value::Text(text)) | (Value::Text(text), Value::Number(number)) => {
            number.digits() == text
        }
        (Value::Time(time), Value::Text(text)) | (Value::Text(text), Value::Time(time)) => {
            instant(text) == Some(*time)
        }
        (Value::Text(one), Value::Text(other)) => {
            one == other || instant(one).is_some_and(|time| instant(other) == Some(time))
        }
        (Value::List(ones), Value::List(others)) => {
            ones.len() == others.len() && ones.iter().zip(others).all(|(one, other)| same(one, other))
        }
        (Value::Map(members), Value::Map(_)) => members
            .iter()
            .all(|(name, value)| same(value, theirs.get(name).unwrap_or(&Value::Null))),
        _ => ours == theirs,
    }
}

/// An RFC 3339 instant; a quick look at the first bytes spares other texts the parse.
fn instant(text: &str) -> Option<jiff::Timestamp> {
    let bytes = text.as_bytes();
    (bytes.len() >= 20 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-')
        .then(|| text.parse().ok())
        .flatten()
}
