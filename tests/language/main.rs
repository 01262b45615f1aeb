//! The language of pipeline and connector files: its words, its schemas and what is said about mistakes.

mod definitions;
mod diagnostics;
mod mutations;
