//! The codes: one list of everything that can be wrong with a file.
//!
//! A code is stable: it is printed, searched for, suppressed by editors and named in documentation, so it is never
//! reused or renumbered. Below CW020 are the text and YAML itself, from CW020 the shape of a file; checks of what the
//! words mean (`compile`) begin at CW040.

use std::fmt;

/// Defines [`Code`] from the one list.
macro_rules! codes {
    ($( $(#[doc = $doc:literal])* $name:ident = $number:literal, $title:literal; )*) => {
        /// What kind of mistake a diagnostic reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $( $(#[doc = $doc])* $name, )*
        }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// The stable code, such as `CW020`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $number,)* }
            }

            /// What kind of mistake it is, in a line.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// What it means and why it is refused, in a few sentences.
            #[must_use]
            pub fn explanation(self) -> String {
                match self {
                    $(Code::$name => [$($doc),*].map(str::trim).join(" "),)*
                }
            }
        }
    };
}

codes! {
    /// The file does not exist, may not be read, or is not UTF-8 text.
    FileUnreadable = "CW001", "the file cannot be read";
    /// The text is not YAML. Indentation and unclosed quotes or brackets are the usual reasons.
    Syntax = "CW002", "the file is not valid YAML";
    /// A map has the same key twice. YAML readers disagree on which one counts, so neither does.
    DuplicateKey = "CW003", "the same key twice";
    /// `<<` merges maps in some YAML readers and is a key in others. A plain alias (`fields: *rows`) is allowed.
    MergeKey = "CW004", "merge keys are not allowed";
    /// A key must be text. An unquoted template looks like a map inside a map to YAML.
    KeyNotText = "CW005", "a key that is not text";
    /// A path with brackets, or a template, must be quoted: to YAML brackets and braces begin a list or a map.
    Unquoted = "CW006", "a path or template that must be quoted";
    /// ` #` begins a comment in YAML, even inside a path or a template; what follows it is not read.
    CutByComment = "CW007", "a comment cuts a value short";
    /// `0123` is 123 to one YAML reader, 83 to another and text to a third.
    LeadingZero = "CW008", "a number with a leading zero";
    /// Other YAML readers take `yes`, `no`, `on`, `off`, `null` and `~` as keys for booleans or null.
    AmbiguousKey = "CW009", "a key that other readers take for something else";
    /// Tags such as `!env` mean nothing here.
    Tag = "CW010", "tags are not allowed";
    /// A file holds exactly one YAML document, and its top is a map.
    NotOneMap = "CW011", "the file is not one map";
    /// Aliases repeat so much that the file would become too large or would contain itself.
    AliasTooLarge = "CW012", "aliases that repeat too much";
    /// A number has more digits than YAML readers keep. Quoted, it is text and keeps them.
    LossyNumber = "CW013", "a number that would lose digits";

    /// The word is not known at this place.
    UnknownWord = "CW020", "unknown word";
    /// A word is missing that this place needs.
    MissingWord = "CW021", "missing word";
    /// The value is of another kind than this place expects, such as a list instead of a text.
    WrongKind = "CW022", "the wrong kind of value";
    /// The value is not one of the words that this place knows.
    NotAChoice = "CW023", "not one of the choices";
    /// A map or list has more or fewer entries than this place allows.
    WrongCount = "CW024", "the wrong number of entries";
    /// The text is not written as this place expects, such as a path that does not begin with `$`.
    MalformedText = "CW025", "the wrong kind of text";
    /// The number is out of the range that this place allows.
    OutOfRange = "CW026", "a number out of range";
    /// A word stands without a value.
    NoValue = "CW027", "a word without a value";
    /// The value cannot be read, for a reason that the reader gives.
    Unreadable = "CW028", "a value that cannot be read";
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_ascending_and_explained() {
        for pair in Code::ALL.windows(2) {
            assert!(
                pair[0].as_str() < pair[1].as_str(),
                "{} before {}",
                pair[0],
                pair[1]
            );
        }
        for code in Code::ALL {
            assert_eq!(code.as_str().len(), 5);
            assert!(
                !code.explanation().is_empty() && !code.title().ends_with('.'),
                "{code}"
            );
        }
    }
}
