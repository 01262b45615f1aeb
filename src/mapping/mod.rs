//! Applying compiled rules to a batch, in two halves: prepare and finish.

mod columns;
mod resolver;

pub use columns::{ColumnError, Columns};
pub use resolver::{Found, PendingKey, Resolution, Resolver};
