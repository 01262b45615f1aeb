//! Templates (minijinja expressions in `{{ }}`), compiled once.

/// A compiled template.
#[derive(Clone, Debug)]
pub struct Template {
    source: String,
}

impl Template {
    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }
}
