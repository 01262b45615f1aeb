//! Applying compiled rules to records: pure functions over values.
//!
//! A [`Mapper`] takes one record through the fixed order of steps and answers an [`Outcome`]: cells for the sink, or the
//! reason why not. What it needs of other records it asks a [`Resolver`], which answers from memory; what memory lacks
//! is noted, fetched by `run` for a whole batch, and the batch is mapped again. So mapping knows no I/O, and the same
//! record with the same answers always gives the same outcome.
//!
//! | place | `$` is | templates see |
//! |---|---|---|
//! | `deleted_when`, `erased_when` of a stream | | `record`, `params`, `connections` |
//! | `where` of a flow | the record | `params`, `connections` |
//! | `when` of a flow, `join`, rows | the record | `record`, `params`, `connections` |
//! | `as` | the element | these and `value`, the element |
//! | `then` | `value` | these and `value`, the result so far |
//! | rows of a record that a lookup creates | what the lookup was given | `given`, `params`, `connections` |

mod asked;
mod columns;
mod group;
mod input;
mod mapper;
mod outcome;
mod payload;
pub mod privacy;
mod reads;
mod reference;
mod resolver;
mod row;
mod shape;
mod trace;
mod translate;

pub use asked::{
    AskedKey, AskedValue, asked_key, asked_value, attempt_label, join_keys, name_pending, pending_key,
};
pub use columns::{ColumnError, Columns};
pub use group::{digest_values, group_key, winner};
pub use mapper::Mapper;
pub use outcome::{Cell, Coverage, FallbackUsed, Mapped, Outcome, Pending, RefusedAs, RefusedRow, Reject};
pub use payload::payload;
pub use resolver::{Found, PendingKey, Resolution, Resolver};
pub use shape::evaluate_shape;
pub use trace::{MASK, RowTrace, Trace, TraceStep};

#[cfg(test)]
mod tests;
