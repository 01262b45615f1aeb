//! Which members of a record are read.

/// The members of a record that compiled rules read.
#[derive(Clone, Debug, Default)]
pub struct Projection {}
