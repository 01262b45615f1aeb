//! A YAML file as text, as a tree of values with places, and as the struct that it is read into.
//!
//! [`Document::read`] takes a file apart and reports everything that is wrong with it as YAML;
//! [`Document::parse`] holds the tree against a JSON Schema, reporting every unknown word, missing word and wrong kind
//! of value at once, and reads the text into a struct. Later checks speak of places as JSON pointers; the document
//! says where they stand ([`crate::diagnostic::Locate`]).

mod expectation;
mod node;
mod parse;
mod place;
mod read;
mod scalar;
mod structure;
mod traps;

use std::path::Path;
use std::sync::Arc;

pub use node::{Content, Entry, Kind, Node};
pub use parse::Parsed;
pub use place::{escape, pointer};
pub use scalar::{Scalar, Style};
pub use structure::Schema;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity, SourceFile, Span};

/// A YAML file that is one map.
#[derive(Debug)]
pub struct Document {
    source: Arc<SourceFile>,
    root: Node,
    /// The text has no mistake as YAML, so a reader of the text reads what the tree holds.
    sound: bool,
}

impl Document {
    /// Reads a file. What is wrong with it goes to `diagnostics`; `None` if there is no tree to go on with.
    pub fn read(path: &Path, diagnostics: &mut Diagnostics) -> Option<Self> {
        let name = path.display().to_string();
        let problem = match std::fs::read(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => return Self::from_text(name, text, diagnostics),
                Err(error) => format!(
                    "`{name}` is not UTF-8 text: byte {} begins no character",
                    error.utf8_error().valid_up_to() + 1
                ),
            },
            Err(error) => format!("`{name}` cannot be read: {error}"),
        };
        let source = Arc::new(SourceFile::new(name, ""));
        diagnostics.add(Diagnostic::new(
            Severity::Error,
            Code::FileUnreadable,
            source,
            Span::default(),
            problem,
        ));
        None
    }

    /// Takes a file's name, as it is to be shown, and its text.
    pub fn from_text(
        name: impl Into<String>,
        text: impl Into<String>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let text = text.into();
        let text = text
            .strip_prefix('\u{feff}')
            .map_or_else(|| text.clone(), str::to_owned);
        let source = Arc::new(SourceFile::new(name, text));
        let mut found = Diagnostics::new();
        let root = read::read(&source, &mut found);
        let sound = !found.has_errors();
        diagnostics.append(found);
        root.map(|root| Self { source, root, sound })
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Arc<SourceFile> {
        &self.source
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source.text()
    }

    /// The tree of values; its top is a map.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }
}
