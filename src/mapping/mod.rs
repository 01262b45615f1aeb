//! Applying compiled rules to a batch, in two halves: prepare and finish.

mod resolver;

pub use resolver::{Found, PendingKey, Resolution, Resolver};
