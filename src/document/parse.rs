//! From a document to the struct that it is read into.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::Document;
use super::node::{Content, Node};
use super::place::escape;
use super::structure::{Schema, check};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Locate, Part, Severity, Span};

/// A file that was read into a struct, perhaps without the parts that did not fit.
#[derive(Debug)]
pub struct Parsed<T> {
    /// What was read. Where something was left out there is an error already, and it must not be run.
    pub definition: T,
    omitted: BTreeSet<String>,
    sound: bool,
}

impl<T> Parsed<T> {
    /// Whether everything was read, and read from a sound text.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.sound && self.omitted.is_empty()
    }

    /// Whether the value at a JSON pointer was left out, or something in it or around it was. A check that misses
    /// something there should be silent: what is missing was reported.
    #[must_use]
    pub fn is_omitted(&self, pointer: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.omitted
            .iter()
            .any(|omitted| within(omitted, pointer) || within(pointer, omitted))
    }
}

impl Document {
    /// Reads the document into a struct, after holding it against a schema. Everything that does not fit is reported;
    /// what fits is read all the same, so that later checks can go on. `None` if too little is left.
    pub fn parse<T: DeserializeOwned>(
        &self,
        schema: &Schema<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Parsed<T>> {
        let omitted = check(self, schema, diagnostics)?;
        if self.sound && omitted.is_empty() {
            let reader = serde_yaml::Deserializer::from_str(self.text());
            match serde_path_to_error::deserialize(reader) {
                Ok(definition) => {
                    return Some(Parsed {
                        definition,
                        omitted,
                        sound: self.sound,
                    });
                }
                Err(error) => {
                    let message = without_place(&error.inner().to_string()).to_owned();
                    let mut diagnostic = Diagnostic::new(
                        Severity::Error,
                        Code::Unreadable,
                        Arc::clone(self.file()),
                        Span::default(),
                        message,
                    );
                    diagnostic.pointer = pointer_of(error.path());
                    diagnostic.span = match error.inner().location() {
                        Some(place) if diagnostic.pointer.is_empty() => {
                            Span::new(place.index(), place.index())
                        }
                        _ => self.locate(&diagnostic.pointer, Part::Value).span,
                    };
                    diagnostics.push(diagnostic);
                    return None;
                }
            }
        }
        let value = without(self.root(), "", &omitted);
        let definition = T::deserialize(value).ok()?;
        Some(Parsed {
            definition,
            omitted,
            sound: self.sound,
        })
    }
}

/// The tree as a value, but for what is left out.
fn without(node: &Node, pointer: &str, omitted: &BTreeSet<String>) -> serde_yaml::Value {
    match &*node.content {
        Content::Scalar(scalar) => match scalar.kind() {
            super::Kind::Text => serde_yaml::Value::String(scalar.text.clone()),
            _ => serde_yaml::from_str(&scalar.text).unwrap_or_default(),
        },
        Content::List(items) => serde_yaml::Value::Sequence(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| without(item, &format!("{pointer}/{index}"), omitted))
                .collect(),
        ),
        Content::Map(entries) => serde_yaml::Value::Mapping(
            entries
                .iter()
                .map(|entry| (entry, format!("{pointer}/{}", escape(&entry.key))))
                .filter(|(_, pointer)| !omitted.contains(pointer))
                .map(|(entry, pointer)| {
                    (
                        serde_yaml::Value::String(entry.key.clone()),
                        without(&entry.value, &pointer, omitted),
                    )
                })
                .collect(),
        ),
    }
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", escape(key)),
            Segment::Enum { variant } => format!("/{}", escape(variant)),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// A reader's message without the path before it and the places in it, which the diagnostic shows itself.
pub(super) fn without_place(message: &str) -> &str {
    let message = message
        .split_once(" at line ")
        .map_or(message, |(message, _)| message);
    match message.split_once(": ") {
        Some((path, rest)) if !path.contains([' ', '`']) => rest,
        _ => message,
    }
}
