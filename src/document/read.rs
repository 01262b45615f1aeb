//! From a file's text to the tree of its values, by the events of a YAML 1.2 parser.
//!
//! Beyond syntax this refuses what YAML readers disagree on or what would silently mean something else: repeated keys,
//! merge keys, keys that are not text, tags, numbers with leading zeros.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks};

use super::node::{Content, Entry, Node};
use super::parse::without_place;
use super::scalar::{Scalar, Style, has_leading_zero, loses_digits};
use super::traps;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Label, Severity, SourceFile, Span};

/// More values than this, with aliases written out, are taken for an attack or a mistake.
const SIZE_AT_MOST: usize = 200_000;
/// Deeper nesting than this is refused, so that no later step can run out of stack.
const DEPTH_AT_MOST: usize = 100;

/// Reads the tree; `None` if there is none.
pub(super) fn read(source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> Option<Node> {
    let mut reader = Reader::new(source, diagnostics);
    let root = reader.document().filter(|_| !reader.failed)?;
    // The structs are read by another parser, which is stricter in places.
    if let Err(error) = serde_yaml::from_str::<serde::de::IgnoredAny>(source.text()) {
        let at = error.location().map_or(0, |place| place.index());
        let message = error.to_string();
        traps::syntax(source, at, without_place(&message))
            .into_iter()
            .for_each(|trap| diagnostics.push(trap));
        return None;
    }
    Some(root)
}

struct Reader<'s, 'd> {
    source: &'s Arc<SourceFile>,
    parser: Parser<'s, saphyr_parser::StrInput<'s>>,
    diagnostics: &'d mut Diagnostics,
    /// Byte of each character, where the two differ.
    bytes: Option<Vec<usize>>,
    anchors: HashMap<usize, Node>,
    /// The tree cannot be trusted: reading stopped early.
    failed: bool,
}

impl<'s, 'd> Reader<'s, 'd> {
    fn new(source: &'s Arc<SourceFile>, diagnostics: &'d mut Diagnostics) -> Self {
        let text = source.text();
        let bytes = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self {
            source,
            parser: Parser::new_from_str(text),
            diagnostics,
            bytes,
            anchors: HashMap::new(),
            failed: false,
        }
    }

    fn document(&mut self) -> Option<Node> {
        let mut root = None;
        while let Some((event, marks)) = self.next() {
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    self.error(Code::NotOneMap, self.span(marks), "a second document begins here")
                        .hints
                        .push(String::from("write one file for each"));
                    self.failed = true;
                    return None;
                }
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                value => root = self.value(value, marks, 0),
            }
            if self.failed {
                return None;
            }
        }
        if self.failed {
            return None;
        }
        match root {
            Some(node) if matches!(&*node.content, Content::Map(_)) => Some(node),
            Some(node) => {
                let found = if node.kind() == super::Kind::Null {
                    "nothing"
                } else {
                    node.kind().name()
                };
                self.error(
                    Code::NotOneMap,
                    node.span,
                    format!("the file holds {found} where a map of words is expected"),
                );
                None
            }
            None => {
                self.error(
                    Code::NotOneMap,
                    Span::default(),
                    "the file is empty where a map of words is expected",
                );
                None
            }
        }
    }

    /// The next event; a syntax error ends the file.
    fn next(&mut self) -> Option<(Event<'s>, Marks)> {
        match self.parser.next_event()? {
            Ok(event) => Some(event),
            Err(error) => {
                self.failed = true;
                let at = self.byte(error.marker().index());
                for trap in traps::syntax(self.source, at, error.info()) {
                    self.diagnostics.push(trap);
                }
                None
            }
        }
    }

    fn value(&mut self, event: Event<'s>, marks: Marks, depth: usize) -> Option<Node> {
        let span = self.span(marks);
        if depth > DEPTH_AT_MOST {
            self.error(
                Code::AliasTooLarge,
                span,
                format!("values are nested more than {DEPTH_AT_MOST} deep"),
            );
            self.failed = true;
            return None;
        }
        let (node, anchor, tag) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = Scalar {
                    text: text.into_owned(),
                    style: style_of(style),
                };
                self.check_scalar(&scalar, span);
                (node(span, 1, Content::Scalar(scalar)), anchor, tag)
            }
            Event::SequenceStart(anchor, tag) => (self.list(span, depth)?, anchor, tag),
            Event::MappingStart(anchor, tag) => (self.map(span, depth)?, anchor, tag),
            _ => return None,
        };
        if let Some(tag) = tag {
            let message = format!("`{}` is a tag, and tags mean nothing here", tag.suffix);
            self.error(Code::Tag, span, message);
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Some(node)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Option<Node> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            self.error(
                Code::AliasTooLarge,
                span,
                "this alias is inside the very value that it repeats",
            );
            self.failed = true;
            return None;
        };
        Some(Node {
            span,
            origin: Some(anchored.origin.unwrap_or(anchored.span)),
            size: anchored.size,
            content: Arc::clone(&anchored.content),
        })
    }

    fn list(&mut self, start: Span, depth: usize) -> Option<Node> {
        let (mut items, mut size, mut end) = (Vec::new(), 1usize, start.end);
        loop {
            let (event, marks) = self.next()?;
            if event == Event::SequenceEnd {
                return Some(self.close(start, end, marks, size, Content::List(items)));
            }
            let item = self.value(event, marks, depth + 1)?;
            size = self.grow(size, item.size, item.span)?;
            end = item.span.end;
            items.push(item);
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Option<Node> {
        let (mut entries, mut size, mut end): (Vec<Entry>, _, _) = (Vec::new(), 1usize, start.end);
        let mut seen: HashMap<String, Span> = HashMap::new();
        let mut template: Option<Span> = None;
        loop {
            let (event, marks) = self.next()?;
            if event == Event::MappingEnd {
                if let Some(span) = template {
                    // It was meant as a text, so it goes on as one.
                    let text = self.source.text()[self.source.clamp(span)].to_owned();
                    return Some(node(
                        span,
                        1,
                        Content::Scalar(Scalar {
                            text,
                            style: Style::Plain,
                        }),
                    ));
                }
                return Some(self.close(start, end, marks, size, Content::Map(entries)));
            }
            let key = self.key(event, marks, depth)?;
            if let Key::Template(span) = key {
                template = Some(span);
            }
            let (event, marks) = self.next()?;
            let value = self.value(event, marks, depth + 1)?;
            size = self.grow(size, value.size, value.span)?;
            end = value.span.end;
            let Key::Text(key, key_style, key_span) = key else {
                continue;
            };
            end = end.max(key_span.end);
            if let Some(first) = seen.get(&key) {
                let first = *first;
                let source = Arc::clone(self.source);
                let report = self.error(Code::DuplicateKey, key_span, format!("`{key}` stands here twice"));
                report.labels.push(Label {
                    source,
                    span: first,
                    text: String::from("the first one"),
                });
                continue;
            }
            seen.insert(key.clone(), key_span);
            entries.push(Entry {
                key,
                key_span,
                key_style,
                value,
            });
        }
    }

    fn key(&mut self, event: Event<'s>, marks: Marks, depth: usize) -> Option<Key> {
        let span = self.span(marks);
        match event {
            Event::Scalar(text, style, _, tag) => {
                let style = style_of(style);
                if style == Style::Plain {
                    if text == "<<" {
                        let report = self.error(
                            Code::MergeKey,
                            span,
                            "`<<` merges maps in some readers and is a key in others",
                        );
                        report.hints.push(String::from(
                            "repeat the whole map with an alias (`fields: *rows`) or write its entries out",
                        ));
                        return Some(Key::Refused);
                    }
                    if has_leading_zero(&text) {
                        self.leading_zero(&text, span);
                    } else {
                        self.check_key(&text, span);
                    }
                }
                if let Some(tag) = tag {
                    let message = format!("`{}` is a tag, and tags mean nothing here", tag.suffix);
                    self.error(Code::Tag, span, message);
                }
                Some(Key::Text(text.into_owned(), style, span))
            }
            Event::Alias(_) => {
                self.error(Code::KeyNotText, span, "an alias cannot be a key")
                    .hints
                    .push(String::from("write the key out"));
                Some(Key::Refused)
            }
            other => {
                let key = self.value(other, marks, depth + 1)?;
                if let Some(template) = traps::template_at(self.source.text(), key.span) {
                    self.diagnostics.push(traps::unquoted(self.source, template));
                    return Some(Key::Template(template));
                }
                let message = format!("a key must be text, not {}", key.kind().name());
                self.error(Code::KeyNotText, key.span, message);
                Some(Key::Refused)
            }
        }
    }

    fn check_scalar(&mut self, scalar: &Scalar, span: Span) {
        if scalar.style != Style::Plain {
            return;
        }
        if has_leading_zero(&scalar.text) {
            self.leading_zero(&scalar.text, span);
        } else if loses_digits(scalar) {
            let report = self.error(
                Code::LossyNumber,
                span,
                format!("`{}` has more digits than a number keeps", scalar.text),
            );
            report
                .hints
                .push(format!("quote it to keep them: `\"{}\"`", scalar.text));
        } else if let Some(trap) = traps::cut_by_comment(self.source, &scalar.text, span) {
            self.diagnostics.push(trap);
        }
    }

    fn check_key(&mut self, text: &str, span: Span) {
        const BOOLEANS: [&str; 6] = ["yes", "no", "on", "off", "true", "false"];
        let lower = text.to_ascii_lowercase();
        let other = if BOOLEANS.contains(&lower.as_str()) {
            "a boolean"
        } else if matches!(lower.as_str(), "null" | "~" | "") {
            "null"
        } else {
            return;
        };
        let message = format!("other YAML readers take the key `{text}` for {other}");
        let report = self.report(Severity::Warning, Code::AmbiguousKey, span, message);
        report.hints.push(format!("quote it: `\"{text}\"`"));
    }

    fn leading_zero(&mut self, text: &str, span: Span) {
        let report = self.error(
            Code::LeadingZero,
            span,
            format!("`{text}` is read differently by different readers"),
        );
        report.hints.push(format!(
            "quote it if the zero belongs to it: `\"{text}\"`; else leave the zero out"
        ));
    }

    fn grow(&mut self, size: usize, more: usize, span: Span) -> Option<usize> {
        let size = size.saturating_add(more);
        if size > SIZE_AT_MOST {
            self.error(
                Code::AliasTooLarge,
                span,
                format!("with its aliases written out the file has more than {SIZE_AT_MOST} values"),
            );
            self.failed = true;
            return None;
        }
        Some(size)
    }

    /// A list or map at its end: one in brackets reaches to the closing one, a block to its last value.
    fn close(&self, start: Span, last: usize, marks: Marks, size: usize, content: Content) -> Node {
        let in_brackets = matches!(self.source.text().as_bytes().get(start.start), Some(b'[' | b'{'));
        let end = if in_brackets { self.span(marks).end } else { last };
        node(Span::new(start.start, end.max(start.start)), size, content)
    }

    fn error(&mut self, code: Code, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.report(Severity::Error, code, span, message.into())
    }

    fn report(&mut self, severity: Severity, code: Code, span: Span, message: String) -> &mut Diagnostic {
        self.diagnostics.add(Diagnostic::new(
            severity,
            code,
            Arc::clone(self.source),
            span,
            message,
        ))
    }

    fn span(&self, marks: Marks) -> Span {
        Span::new(self.byte(marks.start.index()), self.byte(marks.end.index()))
    }

    fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.source.text().len()),
            None => character,
        }
    }
}

/// A key as it was read.
enum Key {
    /// The text, how it is quoted and where it stands.
    Text(String, Style, Span),
    /// It was refused, and its value is passed over.
    Refused,
    /// The map around it is a template without quotes.
    Template(Span),
}

fn node(span: Span, size: usize, content: Content) -> Node {
    Node {
        span,
        origin: None,
        size,
        content: Arc::new(content),
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    }
}
