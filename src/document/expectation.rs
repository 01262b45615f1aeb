//! What a schema expects, in words for messages.

use serde_json::Value;

use super::node::Kind;
use crate::diagnostic::{closest, list};

/// Words that other tools (and earlier drafts of this language) use for ours.
const SYNONYMS: [(&str, &str); 22] = [
    ("fallback", "instead"),
    ("from", "value"),
    ("path", "value"),
    ("select", "value"),
    ("map", "enum"),
    ("translate", "enum"),
    ("reference", "lookup"),
    ("transform", "then"),
    ("only_when", "write"),
    ("condition", "when"),
    ("if", "when"),
    ("filter", "where"),
    ("source", "from"),
    ("target", "to"),
    ("sink", "to"),
    ("key", "match"),
    ("mapping", "fields"),
    ("mappings", "fields"),
    ("stream", "in"),
    ("cursor", "changes"),
    ("pagination", "pages"),
    ("paging", "pages"),
];

/// The known word that was most likely meant: a close one, or ours for another tool's.
pub(super) fn meant<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let known: Vec<&str> = known.into_iter().collect();
    closest(written, known.iter().copied()).or_else(|| {
        let (_, ours) = SYNONYMS
            .iter()
            .find(|(other, ours)| *other == written && known.contains(ours))?;
        known.iter().copied().find(|word| word == ours)
    })
}

/// The types that a schema names; none means any.
pub(super) fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a schema allows a kind of value.
pub(super) fn accepts(schema: &Value, kind: Kind) -> bool {
    types(schema).into_iter().any(|name| {
        matches!(
            (name, kind),
            ("object", Kind::Map)
                | ("array", Kind::List)
                | ("string", Kind::Text)
                | ("boolean", Kind::Boolean)
                | ("integer", Kind::Integer)
                | ("number", Kind::Integer | Kind::Float)
        )
    })
}

/// The words and one-key maps of a closed list, as they are written.
pub(super) fn choices(branches: &[&Value]) -> Vec<String> {
    branches
        .iter()
        .filter_map(|branch| {
            if let Some(word) = branch.get("const").and_then(Value::as_str) {
                return Some(word.to_owned());
            }
            let words = branch.get("properties").and_then(Value::as_object)?;
            let required = branch.get("required").and_then(Value::as_array)?;
            (words.len() == 1 && required.len() == 1)
                .then(|| words.keys().next().map(|word| format!("{{{word}: ..}}")))?
        })
        .collect()
}

/// The word of a choice: `create` of `{create: ..}`.
pub(super) fn bare(choice: &str) -> &str {
    choice
        .strip_prefix('{')
        .and_then(|inner| inner.strip_suffix(": ..}"))
        .unwrap_or(choice)
}

/// What a place expects, in words.
pub(super) fn expectation(branches: &[&Value]) -> String {
    let choices = choices(branches);
    let mut expected: Vec<String> = Vec::new();
    for branch in branches {
        if branch.get("const").is_some_and(Value::is_string) {
            continue;
        }
        let format = branch.get("format").and_then(Value::as_str).unwrap_or_default();
        for name in types(branch) {
            let words = match (name, format) {
                ("object", _) if choices.iter().any(|choice| choice.starts_with('{')) => continue,
                ("object", _) => "a map",
                ("array", _) => "a list",
                ("string", "path") => "a path",
                ("string", "source") => "a path, a template",
                ("string", "condition") => "a condition",
                ("string", "length-of-time") => "a length of time such as `5m`",
                ("string", "share") => "a share such as `20%`",
                ("string", _) => "text",
                ("boolean", _) => "`true` or `false`",
                ("integer", _) => "a whole number",
                ("number", _) => "a number",
                _ => continue,
            };
            if !expected.iter().any(|known| known == words) {
                expected.push(words.to_owned());
            }
        }
    }
    if !choices.is_empty() {
        expected.push(format!("one of {}", list(choices.iter().map(String::as_str))));
    }
    match expected.split_last() {
        None => String::from("something else"),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// Where a word stands, in words: `` in `flows.cases` ``.
pub(super) fn whereabouts(pointer: &str) -> String {
    if pointer.is_empty() {
        String::from("at the top of the file")
    } else {
        format!("in {}", describe(pointer))
    }
}

/// The map at a pointer, in words: `` `flows.cases` ``.
pub(super) fn describe(pointer: &str) -> String {
    if pointer.is_empty() {
        return String::from("the file");
    }
    let keys: Vec<String> = pointer
        .split('/')
        .skip(1)
        .map(|key| key.replace("~1", "/").replace("~0", "~"))
        .collect();
    format!("`{}`", keys.join("."))
}
