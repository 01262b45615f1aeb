//! The program from outside: its binary, against the stand-ins, over real HTTP.
//!
//! One binary for all of it, one module per subject. `rig` starts the stand-ins and runs the program; `oracle` works out
//! what every case must look like without the engine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should panic"
)]

mod interruption;
mod main_job;
mod oracle;
mod privacy;
mod queue;
mod rig;
mod shared_reading;
mod trouble;
