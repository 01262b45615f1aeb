//! The shape of a file held against a JSON Schema: every unknown word, missing word and wrong kind of value at once.
//!
//! It knows the part of JSON Schema that our own types generate and says what it finds in our own words. Errors that
//! the readers of texts would report (a path that does not begin with `$`) come from the same functions, through
//! [`Schema::check_text`].

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Document;
use super::expectation::{accepts, bare, choices, describe, expectation, meant, types, whereabouts};
use super::node::{Entry, Kind, Node};
use super::place::escape;
use crate::diagnostic::{Code, Diagnostics, closest, list};

/// What a file may look like.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'s> {
    /// The JSON Schema, with its definitions under `$defs`.
    pub root: &'s Value,
    /// Checks a text by the schema's `format`; the error is a sentence.
    pub check_text: fn(format: &str, text: &str) -> Result<(), String>,
}

/// Reports everything that does not fit. Returns the pointers that must be left out for the rest to be read, or
/// `None` if nothing would be left.
pub(super) fn check(
    document: &Document,
    schema: &Schema<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<BTreeSet<String>> {
    let mut check = Check {
        document,
        schema,
        diagnostics,
        omitted: BTreeSet::new(),
        hopeless: false,
    };
    check.value(
        document.root(),
        schema.root,
        &Place {
            pointer: String::new(),
            removable: None,
        },
    );
    (!check.hopeless).then_some(check.omitted)
}

/// Where the check is.
#[derive(Clone)]
struct Place {
    pointer: String,
    /// The nearest value around (or at) this place that may be left out.
    removable: Option<String>,
}

impl Place {
    fn entry(&self, key: &str, removable: bool) -> Self {
        let pointer = format!("{}/{}", self.pointer, escape(key));
        let removable = removable
            .then(|| pointer.clone())
            .or_else(|| self.removable.clone());
        Self { pointer, removable }
    }

    fn item(&self, index: usize) -> Self {
        Self {
            pointer: format!("{}/{index}", self.pointer),
            removable: self.removable.clone(),
        }
    }
}

struct Check<'c, 'd> {
    document: &'c Document,
    schema: &'c Schema<'c>,
    diagnostics: &'d mut Diagnostics,
    omitted: BTreeSet<String>,
    hopeless: bool,
}

impl<'c> Check<'c, '_> {
    /// Follows a reference into the schema's definitions.
    fn resolve(&self, schema: &'c Value) -> &'c Value {
        let mut schema = schema;
        for _ in 0..8 {
            let Some(name) = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|text| text.strip_prefix("#/$defs/"))
            else {
                break;
            };
            match self
                .schema
                .root
                .get("$defs")
                .and_then(|definitions| definitions.get(name))
            {
                Some(definition) => schema = definition,
                None => break,
            }
        }
        schema
    }

    /// The alternatives of a schema, references and nested alternatives taken apart.
    fn branches(&self, schema: &'c Value, into: &mut Vec<&'c Value>) {
        let schema = self.resolve(schema);
        match schema
            .get("anyOf")
            .or_else(|| schema.get("oneOf"))
            .and_then(Value::as_array)
        {
            Some(alternatives) => alternatives
                .iter()
                .for_each(|alternative| self.branches(alternative, into)),
            None => into.push(schema),
        }
    }

    fn value(&mut self, node: &Node, schema: &'c Value, place: &Place) {
        let mut branches = Vec::new();
        self.branches(schema, &mut branches);
        if branches
            .iter()
            .any(|branch| types(branch).is_empty() && branch.get("const").is_none())
        {
            return;
        }
        let kind = node.kind();
        let fitting: Vec<&'c Value> = branches
            .iter()
            .copied()
            .filter(|branch| accepts(branch, kind))
            .collect();
        if fitting.is_empty() {
            self.wrong_kind(node, &branches, place);
            return;
        }
        match kind {
            Kind::Map => self.map(node, &fitting, &branches, place),
            Kind::List => self.list(node, &fitting, place),
            Kind::Text => self.text(node, &fitting, &branches, place),
            Kind::Integer | Kind::Float => self.number(node, &fitting, place),
            Kind::Null | Kind::Boolean => {}
        }
    }

    fn wrong_kind(&mut self, node: &Node, branches: &[&'c Value], place: &Place) {
        let kind = node.kind();
        let word = place.pointer.rsplit('/').next().unwrap_or_default().to_owned();
        if kind == Kind::Null {
            let expected = expectation(branches);
            self.omit(place);
            self.diagnostics
                .error(Code::NoValue, self.document, place.pointer.as_str())
                .message(format!("`{word}` has no value, {expected} is expected"))
                .hint("leave the word out, or give it a value");
            return;
        }
        let found = match node.scalar() {
            Some(scalar) => format!("{} (`{}`)", kind.name(), scalar.text),
            None => kind.name().to_owned(),
        };
        let choices = choices(branches);
        self.omit(place);
        let report = self
            .diagnostics
            .error(Code::WrongKind, self.document, place.pointer.as_str())
            .message(format!(
                "{found} stands where {} is expected",
                expectation(branches)
            ));
        let text_format = branches
            .iter()
            .find(|branch| accepts(branch, Kind::Text))
            .map(|branch| branch.get("format").and_then(Value::as_str).unwrap_or_default());
        let scalar = node.scalar().map(|scalar| scalar.text.as_str());
        if let (Some("" | "template"), Some(text), []) = (text_format, scalar, choices.as_slice()) {
            report.hint(format!("quote it if it is text: `\"{text}\"`"));
        } else if let (Some("source"), Some(text)) = (text_format, scalar) {
            report.hint(format!("a constant is written `{{const: {text}}}`"));
        } else if kind == Kind::Map && branches.iter().any(|branch| accepts(branch, Kind::List)) {
            report.hint("a list begins with `- ` on each line, or stands in `[ ]`");
        }
    }

    fn map(&mut self, node: &Node, fitting: &[&'c Value], branches: &[&'c Value], place: &Place) {
        let Some(entries) = node.entries() else { return };
        // Among one-key maps of a closed list the key decides.
        let is_choice = |branch: &Value| {
            branch.get("additionalProperties") == Some(&Value::Bool(false))
                && branch
                    .get("required")
                    .and_then(Value::as_array)
                    .is_some_and(|required| required.len() == 1)
                && branch
                    .get("properties")
                    .and_then(Value::as_object)
                    .is_some_and(|words| words.len() == 1)
        };
        let words = |branch: &Value| {
            let known = branch.get("properties").and_then(Value::as_object);
            let is_known = |entry: &&Entry| known.is_some_and(|known| known.contains_key(&entry.key));
            entries.iter().filter(is_known).count()
        };
        let is_closed = |branch: &Value| branch.get("additionalProperties") == Some(&Value::Bool(false));
        let some_choice = fitting.iter().any(|branch| is_choice(branch));
        // Several maps may stand here: the one that is meant is the one whose words are used most.
        let chosen = fitting
            .iter()
            .filter(|branch| words(branch) > 0 || !is_closed(branch) || !some_choice)
            .rev()
            .max_by_key(|branch| words(branch));
        match chosen {
            Some(branch) => self.object(entries, branch, place),
            None => {
                let choices = choices(branches);
                let found = entries.first();
                self.omit(place);
                let pointer = found.map_or_else(
                    || place.pointer.clone(),
                    |entry| place.entry(&entry.key, false).pointer,
                );
                let message = match found {
                    Some(entry) => format!(
                        "`{{{}: ..}}` is not one of the choices: {} expected",
                        entry.key,
                        list(choices.iter().map(String::as_str))
                    ),
                    None => format!(
                        "an empty map is not one of the choices: {} expected",
                        list(choices.iter().map(String::as_str))
                    ),
                };
                let report = self
                    .diagnostics
                    .error(Code::NotAChoice, self.document, pointer)
                    .at_key()
                    .message(message);
                if let Some(entry) = found
                    && let Some(name) = meant(&entry.key, choices.iter().map(|choice| bare(choice)))
                {
                    report.hint(format!("did you mean `{name}`?"));
                }
            }
        }
    }

    fn object(&mut self, entries: &[Entry], schema: &'c Value, place: &Place) {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let object = |word: &str| schema.get(word).and_then(Value::as_object);
        let words = object("properties").unwrap_or(&NONE);
        let patterns = object("patternProperties").unwrap_or(&NONE);
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|required| required.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let others = schema.get("additionalProperties");
        let mut unknown: Vec<&str> = Vec::new();
        for entry in entries {
            let key = entry.key.as_str();
            if let Some(word) = words.get(key) {
                self.value(&entry.value, word, &place.entry(key, !required.contains(&key)));
            } else if let Some(value) = patterns.values().next().filter(|_| key.starts_with('$')) {
                self.value(&entry.value, value, &place.entry(key, true));
            } else if let Some(value) = others.filter(|others| **others != Value::Bool(false)) {
                self.value(&entry.value, value, &place.entry(key, true));
            } else if !patterns.is_empty() {
                let here = place.entry(key, true);
                self.omit(&here);
                self.diagnostics
                    .error(Code::MalformedText, self.document, here.pointer)
                    .at_key()
                    .message(format!(
                        "`{key}` is not a path: the keys of this map are paths, which begin with `$`"
                    ))
                    .hint(format!("write `$.{key}`"));
            } else if others.is_some() {
                unknown.push(key);
            }
        }
        self.unknown_words(&unknown, words, place);
        self.missing_words(entries, &required, &unknown, place);
        self.count(
            entries.len(),
            schema,
            ("minProperties", "maxProperties"),
            "key",
            place,
        );
    }

    fn unknown_words(&mut self, unknown: &[&str], words: &Map<String, Value>, place: &Place) {
        for key in unknown {
            let here = place.entry(key, true);
            self.omit(&here);
            let report = self
                .diagnostics
                .error(Code::UnknownWord, self.document, here.pointer)
                .at_key()
                .message(format!("unknown word `{key}` {}", whereabouts(&place.pointer)))
                .note(format!(
                    "known here: {}",
                    words.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
                ));
            if let Some(name) = meant(key, words.keys().map(String::as_str)) {
                report.hint(format!("did you mean `{name}`?"));
            } else if key.contains(' ') {
                report.hint("a comma inside `{ }` ends a text: quote the text that has one");
            }
        }
    }

    fn missing_words(&mut self, entries: &[Entry], required: &[&str], unknown: &[&str], place: &Place) {
        let missing: Vec<&str> = required
            .iter()
            .copied()
            .filter(|word| !entries.iter().any(|entry| entry.key == *word))
            .collect();
        if missing.is_empty() {
            return;
        }
        self.omit(place);
        // A word that is only misspelt was reported already.
        let missing: Vec<&str> = missing
            .into_iter()
            .filter(|word| !unknown.iter().any(|written| meant(written, [*word]).is_some()))
            .collect();
        if !missing.is_empty() {
            self.diagnostics
                .error(Code::MissingWord, self.document, place.pointer.as_str())
                .message(format!(
                    "{} needs {}",
                    describe(&place.pointer),
                    list(missing.iter().copied())
                ));
        }
    }

    fn list(&mut self, node: &Node, fitting: &[&'c Value], place: &Place) {
        let (Some(items), Some(schema)) = (node.items(), fitting.first()) else {
            return;
        };
        if let Some(item_schema) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.value(item, item_schema, &place.item(index));
            }
        }
        self.count(items.len(), schema, ("minItems", "maxItems"), "item", place);
    }

    fn count(&mut self, count: usize, schema: &Value, bounds: (&str, &str), thing: &str, place: &Place) {
        let bound = |word: &str| {
            schema
                .get(word)
                .and_then(Value::as_u64)
                .and_then(|bound| usize::try_from(bound).ok())
        };
        let (least, most) = (bound(bounds.0), bound(bounds.1));
        let plural = |count: usize| format!("{count} {thing}{}", if count == 1 { "" } else { "s" });
        let expected = match (least, most) {
            (Some(least), Some(most)) if least == most && count != least => {
                format!("exactly {}", plural(least))
            }
            (Some(least), _) if count < least => format!("at least {}", plural(least)),
            (_, Some(most)) if count > most => format!("at most {}", plural(most)),
            _ => return,
        };
        self.omit(place);
        self.diagnostics
            .error(Code::WrongCount, self.document, place.pointer.as_str())
            .message(format!(
                "{} has {}, {expected} is expected",
                describe(&place.pointer),
                plural(count)
            ));
    }

    fn text(&mut self, node: &Node, fitting: &[&'c Value], branches: &[&'c Value], place: &Place) {
        let Some(text) = node.text() else { return };
        let mut problem = None;
        for branch in fitting {
            match branch.get("const") {
                Some(word) if word.as_str() == Some(text) => return,
                Some(_) => {}
                None => match branch
                    .get("format")
                    .and_then(Value::as_str)
                    .map(|format| (self.schema.check_text)(format, text))
                {
                    None | Some(Ok(())) => return,
                    Some(Err(message)) => problem = problem.or(Some(message)),
                },
            }
        }
        self.omit(place);
        if let Some(message) = problem {
            self.diagnostics
                .error(Code::MalformedText, self.document, place.pointer.as_str())
                .message(message);
            return;
        }
        let choices = choices(branches);
        let report = self
            .diagnostics
            .error(Code::NotAChoice, self.document, place.pointer.as_str())
            .message(format!(
                "`{text}` is not one of the choices: {} expected",
                list(choices.iter().map(String::as_str))
            ));
        match closest(text, choices.iter().map(|choice| bare(choice))) {
            Some(name) if choices.iter().any(|choice| choice == name) => {
                report.hint(format!("did you mean `{name}`?"));
            }
            Some(name) => {
                report.hint(format!("did you mean `{{{name}: ..}}`?"));
            }
            None if choices.iter().any(|choice| choice == "{const: ..}") => {
                report.hint(format!("to write this very value, say `{{const: {text}}}`"));
            }
            None => {}
        }
    }

    fn number(&mut self, node: &Node, fitting: &[&'c Value], place: &Place) {
        let (Some(scalar), Some(schema)) = (node.scalar(), fitting.first()) else {
            return;
        };
        let Ok(number) = scalar.text.parse::<f64>() else {
            return;
        };
        let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
        let expected = match (schema.get("const"), bound("minimum"), bound("maximum")) {
            (Some(only), _, _) if only.as_f64() != Some(number) => format!("{only} is expected"),
            (_, Some(least), _) if number < least => format!("it must be at least {least}"),
            (_, _, Some(most)) if number > most => format!("it must be at most {most}"),
            _ => return,
        };
        self.omit(place);
        self.diagnostics
            .error(Code::OutOfRange, self.document, place.pointer.as_str())
            .message(format!("`{}` is out of range: {expected}", scalar.text));
    }

    /// Notes what must be left out for the rest of the file to be read.
    fn omit(&mut self, place: &Place) {
        match &place.removable {
            Some(pointer) => {
                self.omitted.insert(pointer.clone());
            }
            None => self.hopeless = true,
        }
    }
}
