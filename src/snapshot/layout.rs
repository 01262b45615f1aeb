//! Where a run's files are, and how a file becomes durable.
//!
//! `ROOT/pipeline=NAME/date=YYYY-MM-DD/run=ID/<stage>/<flow>-00000.parquet`, so that DuckDB, Spark and pandas read the
//! whole tree as one partitioned table. Every file is written under a temporary name, synced and renamed, and its
//! directory synced: a reader sees it whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::{SnapshotError, Stage};
use crate::crash::{self, Point};

/// What may stand in a file name as it is; everything else is percent-encoded.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b' ');

/// Files under this suffix are not finished; nobody reads them, and recovery removes them.
pub(crate) const TEMPORARY: &str = "tmp";

/// The directory of all runs of a pipeline.
pub(crate) fn pipeline_directory(root: &Path, pipeline: &str) -> PathBuf {
    root.join(format!("pipeline={}", encoded(pipeline)))
}

/// One run's directory.
#[derive(Clone, Debug)]
pub(crate) struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// The directory of a run; the date is that of its identifier (UTC), so it follows from the identifier alone.
    pub(crate) fn of(root: &Path, pipeline: &str, run: Uuid) -> RunDirectory {
        RunDirectory {
            path: pipeline_directory(root, pipeline)
                .join(format!("date={}", date_of(run)))
                .join(format!("run={run}")),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.path.join("manifest.json")
    }

    /// The path of a part, relative to the run's directory, with `/` on every system.
    pub(crate) fn part_name(stage: Stage, flow: &str, number: u32) -> String {
        format!("{stage}/{}-{number:05}.parquet", encoded(flow))
    }

    /// Journals stand in a directory whose name Spark and Hive skip.
    pub(crate) fn journals(&self) -> PathBuf {
        self.path.join("_journal")
    }

    /// The journal from which a part is made.
    pub(crate) fn journal(&self, stage: Stage, flow: &str, number: u32) -> PathBuf {
        self.journals()
            .join(stage.name())
            .join(format!("{}-{number:05}.journal", encoded(flow)))
    }
}

/// The UTC date of a version 7 identifier; of other identifiers the first day of 1970.
fn date_of(run: Uuid) -> jiff::civil::Date {
    let seconds = run
        .get_timestamp()
        .and_then(|timestamp| i64::try_from(timestamp.to_unix().0).ok())
        .unwrap_or_default();
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
}

/// A name as part of a file name.
pub(crate) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NAME).to_string()
}

/// Creates a directory with its parents, and makes the new entries durable.
pub(crate) fn create_directory(path: &Path) -> Result<(), SnapshotError> {
    let mut missing = Vec::new();
    let mut current = Some(path);
    while let Some(directory) =
        current.filter(|directory| !directory.as_os_str().is_empty() && !directory.exists())
    {
        missing.push(directory);
        current = directory.parent();
    }
    fs::create_dir_all(path).map_err(SnapshotError::file("create", path))?;
    for directory in missing.into_iter().rev() {
        sync_parent(directory)?;
    }
    Ok(())
}

/// Writes a small file durably and atomically.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), SnapshotError> {
    let temporary = temporary(path);
    let mut file = File::create(&temporary).map_err(SnapshotError::file("create", &temporary))?;
    file.write_all(content)
        .map_err(SnapshotError::file("write", &temporary))?;
    crash::at(Point::ManifestWritten);
    publish(&file, &temporary, path)
}

/// The name under which a file is written before it is complete.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(TEMPORARY);
    path.with_file_name(name)
}

/// Gives a complete file its name: content synced, renamed, directory synced.
pub(crate) fn publish(file: &File, temporary: &Path, path: &Path) -> Result<(), SnapshotError> {
    file.sync_all().map_err(SnapshotError::file("sync", temporary))?;
    fs::rename(temporary, path).map_err(SnapshotError::file("rename", temporary))?;
    sync_parent(path)
}

/// Makes the entry of a file in its directory durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), SnapshotError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(SnapshotError::file("sync", parent))
}

/// Removes a file that may be gone already.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), SnapshotError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(SnapshotError::file("remove", path)(source))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_follows_from_the_identifier() {
        let run = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, 1_700_000_000, 0));
        let directory = RunDirectory::of(Path::new("snapshots"), "crm sync/2", run);
        let expected = format!("snapshots/pipeline=crm sync%2F2/date=2023-11-14/run={run}");
        assert_eq!(directory.path(), Path::new(&expected));
        assert_eq!(
            RunDirectory::part_name(Stage::Planned, "ca/ses", 3),
            "planned/ca%2Fses-00003.parquet"
        );
    }

    #[test]
    fn an_atomic_write_leaves_only_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/file.json");
        create_directory(path.parent().unwrap()).unwrap();
        write_atomically(&path, b"{}").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{}");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
