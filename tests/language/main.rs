//! The language of pipeline and connector files: its words, its schemas and what is said about mistakes.

#![allow(clippy::expect_used, reason = "a test that cannot read its files must fail")]

mod definitions;
mod diagnostics;
mod mutations;
mod two_way;
