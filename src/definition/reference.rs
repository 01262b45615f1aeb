//! The reference page: every word, where it stands, what may stand there, its default and its meaning.
//!
//! It is made from the same schemas as editors use, so the doc comments of the structs are the only place where a word
//! is documented.

use std::collections::HashSet;
use std::fmt::Write;

use serde_json::{Map, Value};

use super::{NAMES, PLACES, connector_schema, pipeline_schema, tests_schema};
use crate::expression::{FILTERS, TESTS};

/// The reference page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# The words of pipeline, connector and test files\n\n\
         Generated from the program's own types; do not edit. `$.a.b` is a path (JSONPath, RFC 9535) and `\"{{ … }}\"` a \
         template; what `$` is and which names a template sees stands with each word. `NAME` is a name of your own.\n\n\
         The steps of a rule always happen in this order: value, each/as, take, default, enum, lookup, then, type, \
         checks, masking.\n",
    );
    for (title, schema) in [
        ("Pipeline files", pipeline_schema()),
        ("Connector files", connector_schema()),
        ("Mapping test files", tests_schema()),
    ] {
        let _ = write!(page, "\n## {title}\n");
        Section {
            root: schema,
            page: &mut page,
            done: HashSet::new(),
            waiting: Vec::new(),
        }
        .all();
    }
    templates(&mut page);
    page
}

/// What templates see, and what can be done with it.
fn templates(page: &mut String) {
    page.push_str("\n## Templates\n\n| in | a template sees |\n|---|---|\n");
    for line in PLACES {
        let names: Vec<String> = line.names.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(page, "| {} | {} |", line.position, names.join(", "));
    }
    page.push_str("\n| name | what it is |\n|---|---|\n");
    for (name, meaning) in NAMES {
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
    page.push_str("\nNull and what is missing are the same, and go through a filter unchanged unless it says otherwise.\n");
    page.push_str("\n| filter | what it does |\n|---|---|\n");
    for filter in FILTERS {
        let _ = writeln!(
            page,
            "| `{}` | {} |",
            filter.signature.replace('|', "\\|"),
            filter.meaning.replace('|', "\\|")
        );
    }
    page.push_str("\n| test | what it asks |\n|---|---|\n");
    for test in TESTS {
        let _ = writeln!(page, "| `is {}` | {} |", test.name, test.meaning);
    }
}

/// Writes one schema's sections, each type once, in the order in which they are met.
struct Section<'s, 'p> {
    root: &'s Value,
    page: &'p mut String,
    done: HashSet<&'s str>,
    /// Types to write next: name and where they were met.
    waiting: Vec<(&'s str, String)>,
}

impl<'s> Section<'s, '_> {
    fn all(mut self) {
        let root = self.root;
        let _ = write!(self.page, "\n{}\n", text(root, "description"));
        if let Some(words) = root.get("properties").and_then(Value::as_object) {
            self.words(words, root, "");
        }
        while !self.waiting.is_empty() {
            let (name, place) = self.waiting.remove(0);
            let Some(schema) = root.get("$defs").and_then(|definitions| definitions.get(name)) else {
                continue;
            };
            let _ = write!(
                self.page,
                "\n### {name}\n\n`{place}`: {}\n",
                text(schema, "description")
            );
            let before = self.waiting.len();
            match schema.get("properties").and_then(Value::as_object) {
                Some(words) => self.words(words, schema, &place),
                None => self.choices(schema, &place),
            }
            // What was met inside a type follows it, before what was met beside it.
            let inner = self.waiting.split_off(before);
            self.waiting.splice(0..0, inner);
        }
    }

    fn words(&mut self, words: &'s Map<String, Value>, schema: &'s Value, place: &str) {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|required| required.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        self.page
            .push_str("\n| word | what stands there | default | meaning |\n|---|---|---|---|\n");
        for (word, value) in words {
            let here = if place.is_empty() {
                word.clone()
            } else {
                format!("{place}.{word}")
            };
            let (meaning, default) = match text(value, "description").split_once("Default: ") {
                Some((meaning, default)) => (meaning.trim(), default.trim_end_matches('.')),
                None if required.contains(&word.as_str()) => (text(value, "description"), "needed"),
                None => (text(value, "description"), "none"),
            };
            let stands = self.describe(value, &here);
            let _ = writeln!(
                self.page,
                "| `{word}` | {} | {} | {} |",
                cell(&stands),
                cell(default),
                cell(meaning)
            );
        }
    }

    fn choices(&mut self, schema: &'s Value, place: &str) {
        self.page.push('\n');
        let alternatives = schema
            .get("oneOf")
            .or_else(|| schema.get("anyOf"))
            .and_then(Value::as_array);
        for alternative in alternatives.into_iter().flatten() {
            let (written, stands) = match alternative.get("properties").and_then(Value::as_object) {
                Some(words) => match words.iter().next() {
                    Some((word, value)) => {
                        let stands = self.describe(value, &format!("{place}.{word}"));
                        (format!("`{{{word}: ..}}`"), format!(" ({stands})"))
                    }
                    None => continue,
                },
                None => match alternative.get("const").and_then(Value::as_str) {
                    Some(word) => (format!("`{word}`"), String::new()),
                    None => (self.describe(alternative, place), String::new()),
                },
            };
            let _ = writeln!(
                self.page,
                "- {written}{stands}: {}",
                text(alternative, "description")
            );
        }
    }

    /// What may stand at a place, in words; types that have a section of their own are linked.
    fn describe(&mut self, schema: &'s Value, place: &str) -> String {
        if let Some(name) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| path.strip_prefix("#/$defs/"))
        {
            if self.done.insert(name) {
                self.waiting.push((name, place.to_owned()));
            }
            return format!("[{name}](#{})", name.to_lowercase());
        }
        if let Some(alternatives) = schema
            .get("anyOf")
            .or_else(|| schema.get("oneOf"))
            .and_then(Value::as_array)
        {
            let described: Vec<String> = alternatives
                .iter()
                .map(|alternative| self.describe(alternative, place))
                .collect();
            return described.join(" or ");
        }
        if let Some(only) = schema.get("const") {
            return format!(
                "`{}`",
                only.as_str().map_or_else(|| only.to_string(), str::to_owned)
            );
        }
        let format = text(schema, "format");
        match text(schema, "type") {
            "object" => {
                if let Some(words) = schema.get("properties").and_then(Value::as_object) {
                    let names: Vec<String> = words.keys().map(|word| format!("`{word}`")).collect();
                    let stands = words.values().next().map(|value| self.describe(value, place));
                    return format!("map of {} to {}", names.join(" and "), stands.unwrap_or_default());
                }
                let keys = schema
                    .get("patternProperties")
                    .and_then(Value::as_object)
                    .and_then(|keys| keys.values().next());
                let (key, value) = match (keys, schema.get("additionalProperties")) {
                    (Some(value), _) => ("path", value),
                    (None, Some(value)) => ("name", value),
                    (None, None) => return String::from("map"),
                };
                let only = if schema.get("maxProperties").is_some() {
                    "one "
                } else {
                    ""
                };
                format!(
                    "map of {only}{key} to {}",
                    self.describe(value, &format!("{place}.NAME"))
                )
            }
            "array" => match schema.get("items") {
                Some(items) => format!("list of {}", self.describe(items, place)),
                None => String::from("list"),
            },
            "string" => String::from(match format {
                "path" => "path",
                "source" => "path or template",
                "template" => "text, may be a template",
                "condition" => "condition",
                "length-of-time" => "length of time",
                "share" => "share",
                "status" => "`4xx`",
                _ => "text",
            }),
            "integer" => String::from("whole number"),
            "boolean" => String::from("`true` or `false`"),
            _ if format == "value-with-templates" => String::from("value, texts may be templates"),
            _ => String::from("value"),
        }
    }
}

fn text<'v>(schema: &'v Value, word: &str) -> &'v str {
    schema.get(word).and_then(Value::as_str).unwrap_or_default()
}

/// A text inside a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
