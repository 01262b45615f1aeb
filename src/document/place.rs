//! From JSON pointers to places in the text.

use std::sync::Arc;

use super::Document;
use super::node::{Content, Node};
use super::scalar::raw_offset;
use crate::diagnostic::{Locate, Location, Part, SourceFile, Span};

/// Escapes a key for a JSON pointer (RFC 6901): `~` and `/`.
#[must_use]
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Builds a JSON pointer of keys.
#[must_use]
pub fn pointer<'a>(keys: impl IntoIterator<Item = &'a str>) -> String {
    keys.into_iter().map(|key| format!("/{}", escape(key))).collect()
}

/// What a pointer leads to.
struct Found<'d> {
    node: &'d Node,
    key: Option<Span>,
    /// Set once the way led through an alias: its place.
    alias: Option<Span>,
    /// Whether every step of the pointer exists, but for steps of short forms at its end.
    exact: bool,
}

impl Document {
    fn find(&self, pointer: &str) -> Found<'_> {
        let mut found = Found {
            node: &self.root,
            key: None,
            alias: None,
            exact: true,
        };
        let keys: Vec<String> = pointer
            .split('/')
            .skip(1)
            .map(|key| key.replace("~1", "/").replace("~0", "~"))
            .collect();
        for key in keys {
            let next = match &*found.node.content {
                Content::Map(entries) => entries
                    .iter()
                    .find(|entry| entry.key == key)
                    .map(|entry| (&entry.value, Some(entry.key_span))),
                Content::List(items) => key
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                    .map(|item| (item, None)),
                Content::Scalar(_) => None,
            };
            match next {
                Some((node, key)) => {
                    let alias = found.alias.or(node.origin.map(|_| node.span));
                    found = Found {
                        node,
                        key,
                        alias,
                        exact: true,
                    };
                }
                // One value where a list may stand: `/match/0/..` goes on at `/match`.
                None if key == "0" && !matches!(&*found.node.content, Content::List(_)) => {}
                // The main word of a short form, or a word that is missing: the nearest ancestor.
                None => {
                    found.exact = false;
                    break;
                }
            }
        }
        found
    }

    /// The value at a JSON pointer, or its nearest ancestor.
    #[must_use]
    pub fn nearest(&self, pointer: &str) -> &Node {
        self.find(pointer).node
    }

    /// Whether there is a value at a JSON pointer.
    #[must_use]
    pub fn contains(&self, pointer: &str) -> bool {
        self.find(pointer).exact
    }

    /// The place of a node: of a block, and of a long map or list in brackets, its key or else its first line.
    fn shown(&self, node: &Node, key: Option<Span>) -> Span {
        const LONG: usize = 60;
        let text = &self.text()[self.source.clamp(node.span)];
        let in_key = text.is_empty()
            || node.scalar().is_none() && (!text.starts_with(['[', '{']) || text.len() > LONG);
        match key {
            Some(key) if in_key => key,
            _ => match text.find('\n') {
                Some(length) => Span::new(node.span.start, node.span.start + length),
                None => node.span,
            },
        }
    }

    fn inside(&self, node: &Node, span: Span, offset: usize, length: usize) -> Option<Span> {
        let scalar = node.scalar()?;
        let raw = &self.text()[self.source.clamp(span)];
        let start = raw_offset(raw, scalar, offset)?;
        let end = raw_offset(raw, scalar, offset.saturating_add(length))?;
        Some(Span::new(span.start + start, span.start + end.max(start)))
    }
}

impl Locate for Document {
    fn source(&self) -> &Arc<SourceFile> {
        &self.source
    }

    fn locate(&self, pointer: &str, part: Part) -> Location {
        let found = self.find(pointer);
        let own = found.node.origin.unwrap_or(found.node.span);
        let direct = Node {
            span: own,
            origin: None,
            size: 1,
            content: Arc::clone(&found.node.content),
        };
        let span = match part {
            Part::Key => found.key.unwrap_or_else(|| self.shown(&direct, None)),
            Part::Value => self.shown(&direct, found.key.filter(|_| found.alias.is_none())),
            Part::Inside { offset, length } => self
                .inside(&direct, own, offset, length)
                .unwrap_or_else(|| self.shown(&direct, found.key.filter(|_| found.alias.is_none()))),
        };
        match found.alias {
            // The key of an aliased value stands beside the alias, not at the anchor.
            Some(_) if part == Part::Key && found.node.origin.is_some() => Location { span, origin: None },
            Some(alias) => Location {
                span: alias,
                origin: Some(span),
            },
            None => Location { span, origin: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostics;

    fn place(text: &str, pointer: &str, part: Part) -> (String, Option<String>) {
        let mut diagnostics = Diagnostics::new();
        let document = Document::from_text("a.yaml", text, &mut diagnostics).expect("a document");
        let location = document.locate(pointer, part);
        let show = |span: Span| text[document.file().clamp(span)].to_owned();
        (show(location.span), location.origin.map(show))
    }

    #[test]
    fn keys_and_values_are_found_whatever_their_style() {
        let text = "a:\n  b/c: [1, {d~e: 'ü x'}]\n  f: |\n    text\n  g:\n";
        assert_eq!(place(text, "/a/b~1c/1/d~0e", Part::Value).0, "'ü x'");
        assert_eq!(place(text, "/a/b~1c/1/d~0e", Part::Key).0, "d~e");
        assert_eq!(place(text, "/a/b~1c/0", Part::Value).0, "1");
        assert_eq!(place(text, "/a", Part::Value).0, "a");
        assert_eq!(place(text, "/a/f", Part::Key).0, "f");
        assert_eq!(place(text, "/a/g", Part::Value).0, "g");
        assert_eq!(
            place(text, "/a/b~1c/1/d~0e", Part::Inside { offset: 3, length: 1 }).0,
            "x"
        );
    }

    #[test]
    fn what_does_not_exist_is_its_nearest_ancestor() {
        let text = "fields:\n  subject: $.a.b\nmatch: {$.x: $.y}\n";
        assert_eq!(place(text, "/fields/subject/value", Part::Value).0, "$.a.b");
        assert_eq!(
            place(
                text,
                "/fields/subject/value",
                Part::Inside { offset: 4, length: 1 }
            )
            .0,
            "b"
        );
        assert_eq!(place(text, "/match/0/$.x", Part::Value).0, "$.y");
        assert_eq!(place(text, "/fields/nobody", Part::Value).0, "fields");
    }

    #[test]
    fn what_came_through_an_alias_is_shown_at_both_places() {
        let text = "one: &rows\n  a: $.x\ntwo: *rows\n";
        assert_eq!(
            place(text, "/two/a", Part::Value),
            ("*rows".into(), Some("$.x".into()))
        );
        assert_eq!(
            place(text, "/two/a", Part::Inside { offset: 2, length: 1 }),
            ("*rows".into(), Some("x".into()))
        );
        assert_eq!(place(text, "/one/a", Part::Value), ("$.x".into(), None));
        assert_eq!(place(text, "/two", Part::Key), ("two".into(), None));
    }

    #[test]
    fn pointers_escape_keys() {
        assert_eq!(pointer(["a/b", "c~d", "$.x"]), "/a~1b/c~0d/$.x");
    }
}
