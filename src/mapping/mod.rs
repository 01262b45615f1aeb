//! Applying compiled rules to a batch, in two halves: prepare and finish.

mod asked;
mod columns;
mod outcome;
mod resolver;
mod shape;

pub use asked::{
    AskedKey, AskedValue, asked_key, asked_value, attempt_label, join_keys, name_pending, pending_key,
};
pub use columns::{ColumnError, Columns};
pub use outcome::{Cell, Coverage, Mapped, Outcome, Pending, Reject};
pub use resolver::{Found, PendingKey, Resolution, Resolver};
pub use shape::evaluate_shape;
