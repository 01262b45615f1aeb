//! What waits, for people and programs: a line a record, the two values of every row that is held, and all of one record.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::table::{Align, Table, shorten};
use crate::state::{HeldRow, QueueItem, QueuedRecord};

/// How much of one side's value is shown in a list.
const VALUE_WIDTH: usize = 40;

/// The items of a queue, a line each, and below them the rows that wait for a choice.
pub(super) fn table(items: &[(String, QueueItem)]) -> String {
    let mut table = Table::new([
        ("flow", Align::Left),
        ("key", Align::Left),
        ("kind", Align::Left),
        ("field", Align::Left),
        ("tries", Align::Right),
        ("since", Align::Left),
        ("reason", Align::Left),
    ]);
    for (flow, item) in items {
        table.row([
            flow.clone(),
            item.key.clone(),
            item.kind.word().to_owned(),
            item.field.clone().unwrap_or_default(),
            item.attempts.to_string(),
            item.first_seen.strftime("%Y-%m-%d %H:%M").to_string(),
            shorten(&item.reason, 90),
        ]);
    }
    let mut text = table.render();
    let held: Vec<_> = items
        .iter()
        .flat_map(|(flow, item)| item.held_rows.iter().map(move |held| (flow, item, held)))
        .collect();
    if held.is_empty() {
        return text;
    }
    let mut table = Table::new(
        [("flow", Align::Left), ("key", Align::Left)]
            .into_iter()
            .chain(HELD_HEAD),
    );
    for (flow, item, held) in held {
        table.row([flow.clone(), item.key.clone()].into_iter().chain(cells(held)));
    }
    let _ = write!(
        text,
        "\nheld rows: `crosswalk queue resolve` chooses a side\n{}",
        table.render()
    );
    text
}

/// All that is known of a waiting record, as lines of `name  value`, without what is not known.
pub(super) fn lines(flow: &str, item: &QueueItem) -> String {
    let mut text = String::new();
    for (name, value) in document(flow, item, true).as_object().into_iter().flatten() {
        let _ = match value {
            Value::Null => continue,
            _ if name == "held_rows" => continue,
            Value::String(value) => writeln!(text, "{name:<12} {value}"),
            Value::Object(_) | Value::Array(_) => writeln!(
                text,
                "{name:<12} {}",
                serde_json::to_string_pretty(value).unwrap_or_default()
            ),
            Value::Bool(_) | Value::Number(_) => writeln!(text, "{name:<12} {value}"),
        };
    }
    if !item.held_rows.is_empty() {
        let mut table = Table::new(HELD_HEAD);
        for held in &item.held_rows {
            table.row(cells(held));
        }
        let _ = write!(text, "\n{}", table.render());
    }
    text
}

/// A waiting record as a JSON document.
pub(super) fn document(flow: &str, item: &QueueItem, with_record: bool) -> Value {
    let held = |held: &HeldRow| {
        json!({
            "row": held.row,
            "remote": held.remote.as_deref().map(parsed),
            "local": held.local.as_deref().map(parsed),
            "reason": held.reason,
            "winner": held.ruling.map(|side| side.name()),
        })
    };
    let mut document = json!({
        "flow": flow,
        "key": item.key,
        "kind": item.kind.word(),
        "field": item.field,
        "rule": item.rule,
        "code": item.code,
        "reason": item.reason,
        "value": item.value,
        "attempts": item.attempts,
        "first_seen": item.first_seen,
        "last_seen": item.last_seen,
        "run": item.run,
        "waits_for": item.waits_for.as_ref().map(|link| json!({"flow": link.flow, "key": link.key})),
        "held_rows": item.held_rows.iter().map(held).collect::<Vec<_>>(),
    });
    if with_record {
        let (kept, record) = match &item.record {
            QueuedRecord::AsReceived(text) => ("as received", parsed(text)),
            QueuedRecord::Redacted(text) => ("masked", parsed(text)),
            QueuedRecord::KeyOnly => ("key only", Value::Null),
        };
        document["record_kept"] = json!(kept);
        document["record"] = record;
    }
    document
}

const HELD_HEAD: [(&str, Align); 5] = [
    ("row", Align::Left),
    ("remote", Align::Left),
    ("local", Align::Left),
    ("winner", Align::Left),
    ("reason", Align::Left),
];

fn cells(held: &HeldRow) -> [String; 5] {
    let shown = |value: &Option<String>| {
        value
            .as_deref()
            .map_or_else(|| "-".to_owned(), |text| shorten(text, VALUE_WIDTH))
    };
    [
        held.row.clone(),
        shown(&held.remote),
        shown(&held.local),
        held.ruling.map_or("not chosen", |side| side.name()).to_owned(),
        held.reason.clone(),
    ]
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
