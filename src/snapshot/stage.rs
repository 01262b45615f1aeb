//! [`Stage`]: the five stages of a run that leave rows behind.

use serde::{Deserialize, Serialize};

/// A stage of a run; its name is the directory of its Parquet files.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Records as received.
    Extracted,
    /// What the rules made of them, typed.
    Mapped,
    /// What was decided about each record, with before and after.
    Planned,
    /// The result of every write.
    Loaded,
    /// Records that could not be mapped or written.
    Rejected,
}

impl Stage {
    /// All stages, in the order in which a record passes them.
    pub const ALL: [Stage; 5] = [
        Stage::Extracted,
        Stage::Mapped,
        Stage::Planned,
        Stage::Loaded,
        Stage::Rejected,
    ];

    /// The directory's name.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Extracted => "extracted",
            Stage::Mapped => "mapped",
            Stage::Planned => "planned",
            Stage::Loaded => "loaded",
            Stage::Rejected => "rejected",
        }
    }

    /// Whether rows go through a journal, so that none of a committed batch is lost when the process dies. What was
    /// extracted can be read again from its source; everything else is evidence that exists nowhere else.
    pub(crate) fn is_journaled(self) -> bool {
        self != Stage::Extracted
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}
