//! A run: the stages extract, transform, plan and load, their hand-over, cancellation and summary.

mod cancellation;
mod summary;

pub use cancellation::Cancellation;
pub use summary::{Ending, FlowSummary, Summary};
