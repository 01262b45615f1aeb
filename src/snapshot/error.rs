//! [`SnapshotError`]: why snapshots could not be written or read.

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A failure of the snapshot directory. It ends a run: results that cannot be recorded are not produced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The file system refused.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// What was tried, such as `write`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A Parquet file could not be written or read.
    #[error("cannot {action} the Parquet file `{}`", path.display())]
    Parquet {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the library says.
        #[source]
        source: Box<parquet::errors::ParquetError>,
    },
    /// Rows could not be brought into or out of their columnar form.
    #[error("cannot convert rows of `{}`", path.display())]
    Rows {
        /// The file that they come from or go to.
        path: PathBuf,
        /// What the library says.
        #[source]
        source: Box<arrow::error::ArrowError>,
    },
    /// A manifest or chain entry is not what this program writes.
    #[error("`{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A run was opened although the one before it was never closed.
    #[error(
        "run `{run}` of pipeline `{pipeline}` was not closed: it must be sealed before another run is opened"
    )]
    NotSealed {
        /// The pipeline.
        pipeline: String,
        /// The run that is open.
        run: Uuid,
    },
    /// A past run is asked for that is not there.
    #[error("pipeline `{pipeline}` has no run `{run}` under `{}`", root.display())]
    UnknownRun {
        /// The pipeline.
        pipeline: String,
        /// What was asked for.
        run: String,
        /// The snapshot directory.
        root: PathBuf,
    },
    /// A thread that wrote a file ended without an answer.
    #[error("the writer of `{}` ended without an answer", path.display())]
    WriterLost {
        /// The file.
        path: PathBuf,
    },
}

impl SnapshotError {
    /// Wraps an answer of the file system.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SnapshotError {
        let path = path.to_owned();
        move |source| SnapshotError::File { action, path, source }
    }

    /// Wraps a failure of the Parquet library; an error of the file system inside it is shown as such.
    pub(crate) fn parquet(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> SnapshotError {
        let path = path.to_owned();
        move |source| SnapshotError::Parquet {
            action,
            path,
            source: Box::new(source),
        }
    }

    /// Wraps a failure of the Arrow library.
    pub(crate) fn rows(path: &Path) -> impl FnOnce(arrow::error::ArrowError) -> SnapshotError {
        let path = path.to_owned();
        move |source| SnapshotError::Rows {
            path,
            source: Box::new(source),
        }
    }

    /// A file whose content cannot be trusted.
    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> SnapshotError {
        SnapshotError::Damaged {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
