//! YAML text to values with source spans.
