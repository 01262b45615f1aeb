//! [`verify`]: proving that nothing was changed since it was written.
//!
//! Walks the chain from its first link: every link must name the digest of the one before it, every closing the digest
//! of its manifest, every manifest the digests of its files. What does not hold is a finding; nothing is repaired.

use std::fs;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::chain::{Chain, Closed, Link};
use super::layout::RunDirectory;
use super::manifest::Manifest;
use super::{SnapshotError, part};

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The run.
    pub run: Uuid,
    /// The file, below the snapshot directory's pipeline directory where it belongs to a run.
    pub path: PathBuf,
    /// What was expected and what was found.
    pub message: String,
}

/// Checks all runs of a pipeline, and returns what does not hold.
///
/// # Errors
/// The chain itself cannot be read.
pub fn verify(root: &Path, pipeline: &str) -> Result<Vec<Finding>, SnapshotError> {
    let links = Chain::of(root, pipeline).all()?;
    let mut findings = Vec::new();
    let mut previous: Option<String> = None;
    let mut open: Option<(Uuid, String)> = None;
    for dated in links {
        let run = dated.link.run();
        let directory = RunDirectory::of(root, pipeline, run);
        let mut find = |path: &Path, message: String| {
            findings.push(Finding {
                run,
                path: path.to_owned(),
                message,
            });
        };
        if dated.link.previous() != previous.as_deref() {
            find(
                Path::new("chain.ndjson"),
                "the link does not follow from the one before it".to_owned(),
            );
        }
        match &dated.link {
            Link::Opened(_) => {
                if let Some((unclosed, _)) = &open {
                    find(
                        Path::new("chain.ndjson"),
                        format!("run `{unclosed}` was opened and never closed"),
                    );
                }
                open = Some((run, dated.digest.clone()));
            }
            Link::Closed(closed) => {
                let opening = open
                    .take()
                    .filter(|(opened, _)| *opened == run)
                    .map(|(_, digest)| digest);
                if opening.is_none() {
                    find(
                        Path::new("chain.ndjson"),
                        "the run was closed but never opened".to_owned(),
                    );
                }
                for (path, message) in of_run(&directory, closed, opening.as_deref()) {
                    find(&path, message);
                }
            }
        }
        previous = Some(dated.digest);
    }
    Ok(findings)
}

/// What does not hold of one run.
fn of_run(directory: &RunDirectory, closed: &Closed, opening: Option<&str>) -> Vec<(PathBuf, String)> {
    let path = directory.manifest();
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) => return vec![(path, format!("the manifest cannot be read: {error}"))],
    };
    let digest = blake3::hash(&text).to_hex().to_string();
    if digest != closed.manifest {
        return vec![(
            path,
            format!(
                "the manifest was changed: its digest is {digest}, the chain says {}",
                closed.manifest
            ),
        )];
    }
    let manifest: Manifest = match serde_json::from_slice(&text) {
        Ok(manifest) => manifest,
        Err(error) => return vec![(path, format!("the manifest is damaged: {error}"))],
    };
    let mut findings = Vec::new();
    if opening.is_some_and(|opening| opening != manifest.opening) {
        findings.push((
            path,
            "the manifest names another opening than the chain".to_owned(),
        ));
    }
    for file in &manifest.files {
        let path = directory.path().join(&file.path);
        match part::digest_of(&path) {
            Ok(digest) if digest == file.digest => {}
            Ok(digest) => {
                findings.push((
                    path,
                    format!(
                        "the file was changed: its digest is {digest}, the manifest says {}",
                        file.digest
                    ),
                ));
            }
            Err(_) if !path.exists() => findings.push((path, "the file is missing".to_owned())),
            Err(error) => findings.push((path, error.to_string())),
        }
    }
    findings
}
