//! The lines of a plan, read back from the temporary file in which they were collected.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};

use super::item::PlanItem;
use crate::run::Stop;

/// Decisions, one a line.
#[derive(Debug)]
pub(super) struct Lines {
    file: File,
}

impl Lines {
    /// Those of a file that is complete.
    pub(super) fn new(file: File) -> Self {
        Lines { file }
    }

    /// The decision whose line begins there.
    pub(super) fn at(&self, place: u64) -> Result<PlanItem, Stop> {
        let mut line = String::new();
        self.from(place)?.read_line(&mut line).map_err(Stop::Spool)?;
        parse(&line)
    }

    /// Every line, as text, in the order in which they were collected.
    pub(super) fn texts(&self) -> Result<impl Iterator<Item = Result<String, Stop>> + use<>, Stop> {
        Ok(self.from(0)?.lines().map(|line| line.map_err(Stop::Spool)))
    }

    fn from(&self, place: u64) -> Result<BufReader<File>, Stop> {
        let mut file = self.file.try_clone().map_err(Stop::Spool)?;
        file.seek(SeekFrom::Start(place)).map_err(Stop::Spool)?;
        Ok(BufReader::new(file))
    }
}

/// A decision from its line.
pub(super) fn parse(line: &str) -> Result<PlanItem, Stop> {
    serde_json::from_str(line).map_err(|error| Stop::Internal(format!("a decision cannot be read: {error}")))
}
