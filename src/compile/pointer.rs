//! [`Pointer`]: the place of something in a file, built step by step while it is compiled.

use std::fmt;

/// A place in a file, as a JSON pointer (RFC 6901).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Pointer(String);

impl Pointer {
    /// The whole file.
    pub(super) fn root() -> Self {
        Self::default()
    }

    /// A member of the map that stands here.
    pub(super) fn key(&self, name: impl AsRef<str>) -> Self {
        let name = name.as_ref().replace('~', "~0").replace('/', "~1");
        Pointer(format!("{}/{name}", self.0))
    }

    /// An element of the list that stands here.
    pub(super) fn index(&self, position: usize) -> Self {
        Pointer(format!("{}/{position}", self.0))
    }

    /// The text of the pointer.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
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
