//! The tree of a file's values, each with its place in the text.

use std::sync::Arc;

use super::scalar::{Scalar, Style};
use crate::diagnostic::Span;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// The place: for a value that came through an alias, that of the alias.
    pub span: Span,
    /// Where the value stands itself, if it came through an alias.
    pub origin: Option<Span>,
    /// How many values there are in it, itself included, with aliases written out.
    pub(super) size: usize,
    /// The value, shared with the aliases of it.
    pub content: Arc<Content>,
}

/// A value.
#[derive(Debug)]
pub enum Content {
    /// Text, a number, a boolean or null.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order written. A repeated key is there once, with its first value.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// How the key is quoted.
    pub key_style: Style,
    /// The value.
    pub value: Node,
}

/// The kinds of value that a file can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number with a fraction or an exponent.
    Float,
    /// Text.
    Text,
    /// A list.
    List,
    /// A map.
    Map,
}

impl Kind {
    /// The kind in words, with an article.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean => "a boolean",
            Self::Integer => "a whole number",
            Self::Float => "a number",
            Self::Text => "text",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }
}

impl Node {
    /// The kind of the value.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &*self.content {
            Content::Scalar(scalar) => scalar.kind(),
            Content::List(_) => Kind::List,
            Content::Map(_) => Kind::Map,
        }
    }

    /// The entries, if it is a map.
    #[must_use]
    pub fn entries(&self) -> Option<&[Entry]> {
        match &*self.content {
            Content::Map(entries) => Some(entries),
            Content::Scalar(_) | Content::List(_) => None,
        }
    }

    /// The items, if it is a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Node]> {
        match &*self.content {
            Content::List(items) => Some(items),
            Content::Scalar(_) | Content::Map(_) => None,
        }
    }

    /// The scalar, if it is one.
    #[must_use]
    pub fn scalar(&self) -> Option<&Scalar> {
        match &*self.content {
            Content::Scalar(scalar) => Some(scalar),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.scalar()
            .filter(|scalar| scalar.kind() == Kind::Text)
            .map(|scalar| scalar.text.as_str())
    }

    /// The value under a key, if it is a map that has it.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<&Node> {
        self.entries()?
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }
}
