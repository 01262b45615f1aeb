//! Standard output: where data goes, and nothing else.

use std::io::{self, ErrorKind, IsTerminal, Write};

use anyhow::Context as _;
use serde::Serialize;

use super::arguments::Color;
use super::exit::Failure;

/// Standard output, and whether it is coloured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    color: bool,
}

impl Output {
    /// Standard output as it is.
    pub(super) fn new(color: Color) -> Self {
        Output {
            color: color.applies(io::stdout().is_terminal()),
        }
    }

    /// Whether text may be coloured.
    pub(super) fn is_coloured(self) -> bool {
        self.color
    }

    /// Writes text as it is. A reader that has gone (`| head`) is no failure: it has what it wanted.
    pub(super) fn print(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error)
                .context("cannot write to standard output")
                .map_err(Failure::storage),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Writes one JSON document and a line end.
    pub(super) fn print_json(self, document: &impl Serialize) -> Result<(), Failure> {
        self.print(&json(document)?)
    }
}

/// A JSON document for people and programs: indented, with a line end.
pub(super) fn json(document: &impl Serialize) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(document)
        .context("cannot write the answer as JSON")
        .map_err(Failure::internal)?;
    text.push('\n');
    Ok(text)
}
