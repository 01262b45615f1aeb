//! [`recover`]: sealing the run that died.
//!
//! The chain's last link tells whether a run was opened and never closed; there can be only one, because no run is
//! opened before the one before it is sealed. Whole frames of its journals become parts, torn tails are cut off (their
//! cursor never moved), temporary files go, and the manifest says `interrupted`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use super::chain::{Chain, Closed, Link, Opened};
use super::layout::{self, RunDirectory};
use super::manifest::{Manifest, ManifestFile};
use super::part::{self, PartOf};
use super::reader::PartReader;
use super::run_writer::{close, remove_journals};
use super::{SnapshotError, Stage, schema};
use crate::crash::{self, Point};

/// Seals the last run of a pipeline if its process died, and returns its manifest. The caller holds the pipeline's
/// lease, so that no living run is taken for a dead one.
///
/// # Errors
/// The file system refused, or a file is damaged in a way that a dying process does not cause.
pub fn recover(root: &Path, pipeline: &str) -> Result<Option<Manifest>, SnapshotError> {
    let chain = Chain::of(root, pipeline);
    let Some(last) = chain.last()? else {
        return Ok(None);
    };
    let Link::Opened(opened) = last.link else {
        return Ok(None);
    };
    let directory = RunDirectory::of(root, pipeline, opened.run);
    layout::create_directory(directory.path())?;
    let manifest_path = directory.manifest();
    if manifest_path.exists() {
        // It died between its manifest and the link that closes it.
        let text = fs::read(&manifest_path).map_err(SnapshotError::file("read", &manifest_path))?;
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| SnapshotError::damaged(&manifest_path, error.to_string()))?;
        remove_journals(&directory)?;
        chain.append(&Link::Closed(Closed {
            run: opened.run,
            manifest: blake3::hash(&text).to_hex().to_string(),
            previous: Some(last.digest),
        }))?;
        return Ok(Some(manifest));
    }
    let manifest = seal(&directory, pipeline, opened, last.digest.clone())?;
    crash::at(Point::RecoverParts);
    close(root, &directory, &manifest, last.digest)?;
    Ok(Some(manifest))
}

fn seal(
    directory: &RunDirectory,
    pipeline: &str,
    opened: Opened,
    opening: String,
) -> Result<Manifest, SnapshotError> {
    let mut torn = Vec::new();
    for journal in files_below(&directory.journals(), "journal")? {
        let Some((of, number)) = belongs_to(&journal, opened.run) else {
            return Err(SnapshotError::damaged(
                &journal,
                "its name is not that of a journal",
            ));
        };
        let part = directory
            .path()
            .join(RunDirectory::part_name(of.stage, &of.flow, number));
        if part.exists() {
            // The part was complete before the journal could be removed.
            layout::remove_if_there(&journal)?;
            continue;
        }
        torn.extend(part::from_journal(directory, &of, number, &journal)?.1);
    }
    for leftover in files_below(directory.path(), layout::TEMPORARY)? {
        layout::remove_if_there(&leftover)?;
    }
    let files = parts(directory)?;
    Ok(Manifest {
        version: 1,
        pipeline: pipeline.to_owned(),
        run: opened.run,
        continues: opened.continues,
        program: opened.program,
        opened_at: opened.at,
        closed_at: Timestamp::now(),
        ending: "interrupted".to_owned(),
        exit_code: None,
        configuration: opened.configuration,
        counts: Vec::new(),
        disabled: BTreeMap::new(),
        cursors: Vec::new(),
        files,
        partial: vec![Stage::Extracted],
        torn,
        previous: opened.previous,
        opening,
    })
}

/// The parts that a run's directory holds.
fn parts(directory: &RunDirectory) -> Result<Vec<ManifestFile>, SnapshotError> {
    let mut parts = Vec::new();
    for path in files_below(directory.path(), "parquet")? {
        let Some((of, number)) = belongs_to(&path, Uuid::nil()) else {
            return Err(SnapshotError::damaged(&path, "its name is not that of a part"));
        };
        let reader = PartReader::open(&path)?;
        let bytes = fs::metadata(&path)
            .map_err(SnapshotError::file("read", &path))?
            .len();
        parts.push(ManifestFile {
            path: RunDirectory::part_name(of.stage, &of.flow, number),
            stage: of.stage,
            flow: of.flow.to_string(),
            rows: reader.rows(),
            bytes,
            schema: schema::fingerprint(reader.schema()),
            digest: part::digest_of(&path)?,
        });
    }
    Ok(parts)
}

/// Stage, flow and number from `<stage>/<flow>-00000.<extension>`.
fn belongs_to(path: &Path, run: Uuid) -> Option<(PartOf, u32)> {
    let stage = path.parent()?.file_name()?.to_str()?;
    let stage = Stage::ALL.into_iter().find(|one| one.name() == stage)?;
    let (flow, number) = path.file_stem()?.to_str()?.rsplit_once('-')?;
    let flow = percent_encoding::percent_decode_str(flow).decode_utf8().ok()?;
    let of = PartOf {
        stage,
        flow: flow.as_ref().into(),
        run,
    };
    Some((of, number.parse().ok()?))
}

/// All files with an extension below a directory, in order of their paths.
fn files_below(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, SnapshotError> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(SnapshotError::file("list", &directory))?,
        };
        for entry in entries {
            let path = entry.map_err(SnapshotError::file("list", &directory))?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
