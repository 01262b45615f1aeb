//! A connector file to [`compiled::Connector`](super::compiled::Connector): one file for each part of it.
//!
//! A connector is compiled once for every connection that uses it, because the names of `map_of` come from that
//! connection's settings. Checked alone, it has none.

mod auth;
mod changes;
mod errors;
mod http;
mod limits;
mod pages;
mod request;
mod stream;
mod write;

use std::path::{Path as FilePath, PathBuf};

use super::checks::Checks;
use super::record_files::RecordFiles;
use super::sight::Names;
use crate::definition;
use crate::expression::Value;

pub(super) use http::compile_http;

/// What the parts of a connector need of it while it is compiled.
pub(super) struct ConnectorChecks<'c, 'd> {
    /// The file.
    pub(super) checks: &'c Checks<'d>,
    /// What it says.
    pub(super) definition: &'c definition::Connector,
    /// The names of its settings.
    pub(super) names: Names,
    /// The values of its settings in one connection; `None` where the connector is checked alone.
    pub(super) settings: Option<&'c Value<'static>>,
    /// Reads record schemas.
    pub(super) records: &'c RecordFiles,
    /// The file's path, from which record schemas are searched.
    pub(super) path: &'c FilePath,
}

impl ConnectorChecks<'_, '_> {
    /// Whether records come in the JSON:API envelope.
    fn is_json_api(&self) -> bool {
        self.definition.envelope.is_some()
    }
}

/// Where a connector's file was searched.
pub(super) fn candidates(name: &str, folders: &[PathBuf]) -> Vec<PathBuf> {
    let files = |folder: &PathBuf| {
        [
            folder.join(format!("{name}.yaml")),
            folder.join(format!("{name}.yml")),
        ]
    };
    folders.iter().flat_map(files).collect()
}

/// The names of the connectors that these folders hold, for messages.
pub(super) fn available(folders: &[PathBuf]) -> Vec<String> {
    let mut names = vec!["file".to_owned()];
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_yaml = path
                .extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml");
            if let (true, Some(stem)) = (is_yaml, path.file_stem().and_then(|stem| stem.to_str())) {
                names.push(stem.to_owned());
            }
        }
    }
    names.sort();
    names.dedup();
    names
}
