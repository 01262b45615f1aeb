//! Diagnostics and the collection in which a check gathers them.

use std::sync::Arc;

use super::Code;
use super::source::{SourceFile, Span};
use super::suggest::closest;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used; this is probably not what was meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Something that knows where a JSON pointer stands in a file's text.
pub trait Locate {
    /// The file.
    fn source(&self) -> &Arc<SourceFile>;

    /// Where a part of the value at a JSON pointer stands. A pointer that does not exist is that of its nearest
    /// ancestor.
    fn locate(&self, pointer: &str, part: Part) -> Location;
}

/// A part of what stands at a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The value; of a map or list of several lines its key.
    Value,
    /// The key.
    Key,
    /// A part of the value's text, in bytes of the text as it was read (without quotes and escapes).
    Inside {
        /// From this byte.
        offset: usize,
        /// So many bytes.
        length: usize,
    },
}

/// Where something stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The place; where the value came through an alias, that of the alias.
    pub span: Span,
    /// Where the value came through an alias: where it stands itself.
    pub origin: Option<Span>,
}

/// Another place that has to do with a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The file.
    pub source: Arc<SourceFile>,
    /// The place.
    pub span: Span,
    /// What it has to do with it.
    pub text: String,
}

/// One mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of mistake.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What was found and what was expected, in a sentence.
    pub message: String,
    /// The file.
    pub source: Arc<SourceFile>,
    /// The JSON pointer of the value; empty for the whole file.
    pub pointer: String,
    /// The place.
    pub span: Span,
    /// A few words that stand under the place.
    pub caption: Option<String>,
    /// Other places.
    pub labels: Vec<Label>,
    /// What else is to know.
    pub notes: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
}

impl Diagnostic {
    /// A diagnostic of a place in a text, where there is no pointer (yet).
    #[must_use]
    pub fn new(
        severity: Severity,
        code: Code,
        source: Arc<SourceFile>,
        span: Span,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            source,
            pointer: String::new(),
            span,
            caption: None,
            labels: Vec::new(),
            notes: Vec::new(),
            hints: Vec::new(),
        }
    }
}

/// Gathers diagnostics.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reports an error at a JSON pointer; the returned report takes its words.
    pub fn error<'a>(
        &'a mut self,
        code: Code,
        place: &'a dyn Locate,
        pointer: impl Into<String>,
    ) -> Report<'a> {
        self.report(Severity::Error, code, place, pointer.into())
    }

    /// Reports a warning at a JSON pointer; the returned report takes its words.
    pub fn warning<'a>(
        &'a mut self,
        code: Code,
        place: &'a dyn Locate,
        pointer: impl Into<String>,
    ) -> Report<'a> {
        self.report(Severity::Warning, code, place, pointer.into())
    }

    fn report<'a>(
        &'a mut self,
        severity: Severity,
        code: Code,
        place: &'a dyn Locate,
        pointer: String,
    ) -> Report<'a> {
        let Location { span, origin } = place.locate(&pointer, Part::Value);
        let source = Arc::clone(place.source());
        let labels = origin
            .map(|span| Label {
                source: Arc::clone(&source),
                span,
                text: String::from("the value stands here"),
            })
            .into_iter()
            .collect();
        let mut diagnostic = Diagnostic::new(severity, code, source, span, code.title());
        diagnostic.pointer = pointer;
        diagnostic.labels = labels;
        Report {
            diagnostic: self.add(diagnostic),
            place,
            origin,
        }
    }

    /// Adds a diagnostic and returns it for more words.
    pub fn add(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        let index = self.list.len();
        self.list.push(diagnostic);
        &mut self.list[index]
    }

    /// Adds a finished diagnostic.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds all of another collection.
    pub fn append(&mut self, other: Diagnostics) {
        self.list.extend(other.list);
    }

    /// Whether there is nothing, not even a warning.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// How many errors and how many warnings there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let errors = self
            .list
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .count();
        (errors, self.list.len() - errors)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Sorts them by file and place and drops repetitions, for showing.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.list.sort_by(|a, b| {
            let key = |diagnostic: &Diagnostic| (diagnostic.span.start, diagnostic.code);
            a.source
                .name()
                .cmp(b.source.name())
                .then_with(|| key(a).cmp(&key(b)))
                .then_with(|| a.message.cmp(&b.message))
        });
        self.list.dedup_by(|a, b| {
            a.code == b.code
                && a.span == b.span
                && a.message == b.message
                && a.source.name() == b.source.name()
        });
        self
    }
}

/// A diagnostic that is being worded.
pub struct Report<'a> {
    diagnostic: &'a mut Diagnostic,
    place: &'a dyn Locate,
    origin: Option<Span>,
}

impl Report<'_> {
    /// What was found and what was expected: lower case, names in backticks, no final period.
    pub fn message(self, message: impl Into<String>) -> Self {
        self.diagnostic.message = message.into();
        self
    }

    /// Points at the key instead of the value.
    pub fn at_key(self) -> Self {
        self.at(Part::Key)
    }

    /// Points at a part of the value's text, in bytes of the text as it was read.
    pub fn inside(self, offset: usize, length: usize) -> Self {
        self.at(Part::Inside { offset, length })
    }

    fn at(mut self, part: Part) -> Self {
        let Location { span, origin } = self.place.locate(&self.diagnostic.pointer, part);
        self.diagnostic.span = span;
        if let (Some(old), Some(new)) = (self.origin, origin) {
            for label in self
                .diagnostic
                .labels
                .iter_mut()
                .filter(|label| label.span == old)
            {
                label.span = new;
            }
        }
        self.origin = origin;
        self
    }

    /// A few words that stand under the place: what was expected.
    pub fn caption(self, caption: impl Into<String>) -> Self {
        self.diagnostic.caption = Some(caption.into());
        self
    }

    /// Shows another place of the same file: the key at a pointer.
    pub fn label(self, pointer: &str, text: impl Into<String>) -> Self {
        let place = self.place;
        self.label_in(place, pointer, text)
    }

    /// Shows a place of another file: the key at a pointer.
    pub fn label_in(self, place: &dyn Locate, pointer: &str, text: impl Into<String>) -> Self {
        let span = place.locate(pointer, Part::Key).span;
        self.diagnostic.labels.push(Label {
            source: Arc::clone(place.source()),
            span,
            text: text.into(),
        });
        self
    }

    /// What else is to know.
    pub fn note(self, note: impl Into<String>) -> Self {
        self.diagnostic.notes.push(note.into());
        self
    }

    /// What to do.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.diagnostic.hints.push(hint.into());
        self
    }

    /// Adds "did you mean" where a known name is close to what was written.
    pub fn did_you_mean<'k>(self, written: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        match closest(written, known) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

impl std::fmt::Debug for Report<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.diagnostic.fmt(formatter)
    }
}
