//! Applying compiled rules to a batch, in two halves: prepare and finish.

mod columns;
mod outcome;
mod resolver;

pub use columns::{ColumnError, Columns};
pub use outcome::{Cell, Coverage, Mapped, Outcome, Pending, Reject};
pub use resolver::{Found, PendingKey, Resolution, Resolver};
