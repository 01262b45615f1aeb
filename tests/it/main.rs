//! The program from outside: its binary, against the stand-ins, over real HTTP.
//!
//! One binary for all of it, one module per subject. `folder` runs the program on files, `rig` starts the stand-ins
//! besides; `oracle` works out what every case must look like without the engine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should panic"
)]

mod asking;
mod bulk;
mod changes;
mod children;
mod commands;
mod comments;
mod connectors;
mod crash;
mod documented;
mod enabled;
mod exits;
mod files;
mod folder;
mod gone;
mod interruption;
mod limits;
mod main_job;
mod mapping_tests;
mod options;
mod oracle;
mod plan;
mod privacy;
mod queue;
mod rig;
mod rules;
mod shared_reading;
mod soak;
mod ticket_records;
mod trouble;
mod two_way;
mod validate;
mod writes;
