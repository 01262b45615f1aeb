//! `crosswalk` moves records between business systems by tables written in YAML.
//!
//! A pipeline file says which records of one system become which records of another; this crate reads it
//! ([`document`], [`definition`]), checks all of it before the first request ([`compile`], [`diagnostic`]) and runs it
//! ([`run`]) as staged extract, transform, plan and load, leaving Parquet snapshots ([`snapshot`]) behind.
//!
//! Dependencies point one way, down this list: `cli`, `run`, `sync`, `lookup`, `connector`, `snapshot`, `state`, `mapping`,
//! `compile`, `definition`, `expression`, `document`, `diagnostic`, `telemetry`, `crash`. `sandbox` stands apart: it imitates
//! systems, so only `cli` and tests reach it, and only there are vendors named.

pub mod cli;
pub mod compile;
pub mod connector;
pub mod crash;
pub mod definition;
pub mod diagnostic;
pub mod document;
pub mod expression;
pub mod lookup;
pub mod mapping;
pub mod run;
pub mod sandbox;
pub mod snapshot;
pub mod state;
pub mod sync;
pub mod telemetry;
