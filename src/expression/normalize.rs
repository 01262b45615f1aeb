//! Bringing keys to one form before they are compared.

/// One normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalizer {
    /// White space at both ends is removed.
    Trim,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// Only digits are kept.
    Digits,
    /// Runs of white space become one space.
    Spaces,
}
