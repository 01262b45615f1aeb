//! What is wrong with a file, where, and what to do about it.
//!
//! A check reports through [`Diagnostics`]:
//! `diagnostics.error(Code::UnknownWord, &document, "/flows/cases/form").message(..).did_you_mean(..)`. Nothing stops
//! at the first mistake; [`Diagnostics::sorted`] brings them into the order of the file, and [`text`], [`json`],
//! [`json_lines`] or [`sarif`] show them. Places are JSON pointers until the moment of reporting, when a [`Locate`]
//! (a `document::Document`) says where they stand in the text.

mod code;
mod machine;
mod render;
mod report;
mod source;
mod suggest;

pub use code::Code;
pub use machine::{json, json_lines, sarif};
pub use render::{summary, text};
pub use report::{Diagnostic, Diagnostics, Label, Locate, Location, Part, Report, Severity};
pub use source::{Position, SourceFile, Span};
pub use suggest::{closest, list};
