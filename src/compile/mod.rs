//! Definition to compiled: names resolved, paths and templates compiled, one file a check.

pub mod compiled;
pub mod environment;
pub mod place;
pub mod record_schema;
