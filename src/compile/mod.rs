//! Definition to compiled: names resolved, paths and templates compiled, one file a check.

pub mod compiled;
