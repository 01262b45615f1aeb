//! [`PastRun`]: reading the rows of a run that has ended, for `preview`, `run --from-run` and audits.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::chain::{Chain, Link};
use super::layout::RunDirectory;
use super::manifest::{Manifest, ManifestFile};
use super::{PartReader, SnapshotError, Stage};

/// A run that has ended, complete or not.
#[derive(Debug)]
pub struct PastRun {
    directory: RunDirectory,
    manifest: Manifest,
}

/// One row of a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRow {
    /// The source record's key.
    pub record_key: String,
    /// What ties the stages of one observation together.
    pub correlation_id: String,
    /// The batch.
    pub batch: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The stage's own columns by name.
    pub columns: Map<String, Value>,
}

impl StoredRow {
    /// A column's text; `None` if it is null, not text or not there.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.columns.get(column)?.as_str()
    }

    /// Whether a column is true.
    pub fn flag(&self, column: &str) -> bool {
        self.columns
            .get(column)
            .and_then(Value::as_bool)
            .unwrap_or_default()
    }
}

impl PastRun {
    /// Opens a run by its identifier.
    ///
    /// # Errors
    /// There is no such run, it was not closed, or its manifest is damaged.
    pub fn open(root: &Path, pipeline: &str, run: Uuid) -> Result<PastRun, SnapshotError> {
        let directory = RunDirectory::of(root, pipeline, run);
        let path = directory.manifest();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SnapshotError::UnknownRun {
                    pipeline: pipeline.to_owned(),
                    run: run.to_string(),
                    root: root.to_owned(),
                });
            }
            text => text.map_err(SnapshotError::file("read", &path))?,
        };
        let manifest = serde_json::from_slice(&text)
            .map_err(|error| SnapshotError::damaged(&path, error.to_string()))?;
        Ok(PastRun { directory, manifest })
    }

    /// The runs of a pipeline that have ended, oldest first.
    ///
    /// # Errors
    /// The chain cannot be read.
    pub fn list(root: &Path, pipeline: &str) -> Result<Vec<Uuid>, SnapshotError> {
        let links = Chain::of(root, pipeline).all()?;
        Ok(links
            .iter()
            .filter(|dated| matches!(dated.link, Link::Closed(_)))
            .map(|dated| dated.link.run())
            .collect())
    }

    /// The last run of a pipeline that has ended.
    ///
    /// # Errors
    /// No run has ended, or the last one cannot be opened.
    pub fn last(root: &Path, pipeline: &str) -> Result<PastRun, SnapshotError> {
        match PastRun::list(root, pipeline)?.last() {
            Some(run) => PastRun::open(root, pipeline, *run),
            None => Err(SnapshotError::UnknownRun {
                pipeline: pipeline.to_owned(),
                run: "last".to_owned(),
                root: root.to_owned(),
            }),
        }
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The rows of a stage, of one flow or of all, in the order in which they were written.
    pub fn rows(&self, stage: Stage, flow: Option<&str>) -> PastRows {
        let files: Vec<PathBuf> = self
            .manifest
            .files
            .iter()
            .filter(|file| file.stage == stage && flow.is_none_or(|flow| file.flow == flow))
            .map(|file: &ManifestFile| self.directory.path().join(&file.path))
            .collect();
        PastRows {
            files: files.into_iter(),
            reader: None,
            objects: Vec::new().into_iter(),
        }
    }
}

/// Iterates rows of a past run.
#[derive(Debug)]
pub struct PastRows {
    files: std::vec::IntoIter<PathBuf>,
    reader: Option<(PathBuf, PartReader)>,
    objects: std::vec::IntoIter<Bytes>,
}

impl Iterator for PastRows {
    type Item = Result<StoredRow, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let (Some(object), Some((path, _))) = (self.objects.next(), &self.reader) {
                return Some(stored(&object, path));
            }
            match &mut self.reader {
                Some((_, reader)) => match reader.next_objects() {
                    Ok(Some(objects)) => self.objects = objects.into_iter(),
                    Ok(None) => self.reader = None,
                    Err(error) => {
                        self.reader = None;
                        return Some(Err(error));
                    }
                },
                None => {
                    let path = self.files.next()?;
                    match PartReader::open(&path) {
                        Ok(reader) => self.reader = Some((path, reader)),
                        Err(error) => return Some(Err(error)),
                    }
                }
            }
        }
    }
}

fn stored(object: &[u8], path: &Path) -> Result<StoredRow, SnapshotError> {
    let mut columns: Map<String, Value> =
        serde_json::from_slice(object).map_err(|error| SnapshotError::damaged(path, error.to_string()))?;
    let missing = |name: &str| SnapshotError::damaged(path, format!("a row has no `{name}`"));
    let text = |columns: &mut Map<String, Value>, name: &str| match columns.shift_remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(missing(name)),
    };
    columns.shift_remove("run_id");
    columns.shift_remove("flow");
    let record_key = text(&mut columns, "record_key")?;
    let correlation_id = text(&mut columns, "correlation_id")?;
    let batch = columns
        .shift_remove("batch")
        .and_then(|batch| batch.as_u64())
        .ok_or_else(|| missing("batch"))?;
    let at = text(&mut columns, "at")?.parse().map_err(|_| missing("at"))?;
    Ok(StoredRow {
        record_key,
        correlation_id,
        batch,
        at,
        columns,
    })
}
