//! What can go wrong with the store, by cause, so that a run ends with the right exit code and words that help.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use super::Holder;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file or its directory cannot be made or opened.
    #[error("cannot open the state file `{}`: check that its directory exists and that you may write there", path.display())]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no such file.
    #[error("there is no state file `{}`: the first run of a pipeline makes it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file or its file system cannot be written.
    #[error("the state file `{}` is read-only: give its owner the right to write it and its directory", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// There is no space left.
    #[error("no space left for the state file `{}`: free some, then run again; nothing of this batch was stored", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("the state file `{}` is damaged ({detail}): restore it from a backup", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was noticed.
        detail: String,
    },
    /// The file is something else.
    #[error("`{}` is not a state file of this program: name another one", path.display())]
    NotState {
        /// The file.
        path: PathBuf,
    },
    /// A newer program made the file.
    #[error("the state file `{}` has version {found}, this program knows versions up to {known}: use the newer program", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest known version.
        known: u32,
    },
    /// Others keep the file locked.
    #[error("the state file `{}` stayed locked by another process: run again when that one has ended", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Another run of the pipeline is going on.
    #[error("pipeline `{pipeline}` is being run already{}: wait for it to end", describe(holder.as_deref()))]
    LeaseHeld {
        /// The pipeline.
        pipeline: String,
        /// Who runs it, where that is known.
        holder: Option<Box<Holder>>,
    },
    /// A link would give one target two sources.
    #[error("cannot link `{source_key}` of flow `{flow}` to `{target}`: that is linked to `{taken_by}`")]
    LinkTaken {
        /// The flow.
        flow: String,
        /// The source that asked.
        source_key: String,
        /// The target.
        target: String,
        /// The source that has it.
        taken_by: String,
    },
    /// Anything else that SQLite reports.
    #[error("the state file `{}` failed", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: rusqlite::Error,
    },
}

impl StateError {
    /// Whether the store itself is unusable (full, read-only, damaged, newer, locked), which has an exit code of its own.
    /// Otherwise another run holds the lease, or two records claim one target.
    pub fn is_unusable(&self) -> bool {
        !matches!(self, StateError::LeaseHeld { .. } | StateError::LinkTaken { .. })
    }

    /// The error that a failure of SQLite on this file is.
    pub(super) fn from_sqlite(path: &std::path::Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::ReadOnly) => StateError::ReadOnly { path },
            Some(ErrorCode::DiskFull) => StateError::Full { path },
            Some(ErrorCode::DatabaseCorrupt) => StateError::Corrupt {
                path,
                detail: source.to_string(),
            },
            Some(ErrorCode::NotADatabase) => StateError::NotState { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StateError::Busy { path },
            _ => StateError::Sqlite { path, source },
        }
    }
}

fn describe(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| format!(" by {holder}"))
}
