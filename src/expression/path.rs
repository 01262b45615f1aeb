//! JSONPath (RFC 9535), compiled once.

/// A compiled JSONPath.
#[derive(Clone, Debug)]
pub struct Path {
    source: String,
}

/// One step of a path that is a plain chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A member.
    Name(String),
    /// An element; negative ones count from the end.
    Index(i64),
}

/// Where a path's or template's text is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Byte offset in the text.
    pub offset: usize,
    /// Length in bytes of what is wrong.
    pub length: usize,
    /// What is wrong.
    pub message: String,
}

impl Path {
    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }
}
