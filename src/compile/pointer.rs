//! [`Pointer`]: the place of something in a file, built step by step while it is compiled.

use std::fmt;

/// A place in a file, as a JSON pointer (RFC 6901).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Pointer {
    text: String,
    is_key: bool,
}

impl Pointer {
    /// The whole file.
    pub(super) fn root() -> Self {
        Self::default()
    }

    /// A pointer whose text is known.
    pub(super) fn written(text: &str) -> Self {
        Pointer {
            text: text.to_owned(),
            is_key: false,
        }
    }

    /// A member of the map that stands here.
    pub(super) fn key(&self, name: impl AsRef<str>) -> Self {
        let name = name.as_ref().replace('~', "~0").replace('/', "~1");
        Pointer {
            text: format!("{}/{name}", self.text),
            is_key: false,
        }
    }

    /// An element of the list that stands here.
    pub(super) fn index(&self, position: usize) -> Self {
        Pointer {
            text: format!("{}/{position}", self.text),
            is_key: false,
        }
    }

    /// A member's key rather than its value, such as the path in `where: {$.status: open}`.
    pub(super) fn itself(&self, name: impl AsRef<str>) -> Self {
        Pointer {
            is_key: true,
            ..self.key(name)
        }
    }

    /// Whether the key is meant.
    pub(super) fn is_key(&self) -> bool {
        self.is_key
    }

    /// The text of the pointer.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        let pointer = Pointer::root().key("a/b~c").index(2).key("$.x[*].y");
        assert_eq!(pointer.as_str(), "/a~1b~0c/2/$.x[*].y");
    }
}
