//! The files of connectors: found beside the pipeline or in further folders, each read once, compiled for a connection.

use std::cell::RefCell;
use std::path::{Path as FilePath, PathBuf};

use indexmap::IndexMap;

use super::CompileOptions;
use super::checks::Checks;
use super::connector::{ConnectorChecks, available, candidates, compile_http};
use super::pointer::Pointer;
use super::record_files::{RecordFiles, digest};
use super::sight::Names;
use super::stream_facts::StreamFacts;
use crate::definition;
use crate::diagnostic::{Code, Diagnostics, list};
use crate::document::{Document, Parsed};
use crate::expression::Value;

/// A connector file that was read.
pub(super) struct ConnectorFile {
    path: PathBuf,
    pub(super) document: Document,
    pub(super) parsed: Parsed<definition::Connector>,
}

/// The connector files that a pipeline names, each read once.
#[derive(Default)]
pub(super) struct ConnectorFiles {
    /// By the name that connections use; `None` where there is none or it cannot be read.
    files: IndexMap<String, Option<ConnectorFile>>,
}

impl ConnectorFiles {
    /// Reads the connector files of all connections.
    pub(super) fn read(
        checks: &Checks<'_>,
        path: &FilePath,
        pipeline: &definition::Pipeline,
        options: &CompileOptions<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let beside = path
            .parent()
            .map_or_else(PathBuf::new, FilePath::to_owned)
            .join("connectors");
        let folders: Vec<PathBuf> = std::iter::once(beside)
            .chain(options.connector_paths.iter().cloned())
            .collect();
        let mut files: IndexMap<String, Option<ConnectorFile>> = IndexMap::new();
        for (name, connection) in &pipeline.connections {
            let connector = &connection.connector;
            let at = Pointer::root().key("connections").key(name).key("connector");
            if connector == "file" {
                continue;
            }
            if files.get(connector).is_some_and(Option::is_some) {
                continue;
            }
            let is_name =
                !connector.is_empty() && !connector.contains(['/', '\\']) && !connector.starts_with('.');
            let found = candidates(connector, &folders)
                .into_iter()
                .find(|path| is_name && path.is_file());
            let Some(found) = found else {
                let known = available(&folders);
                checks.error(Code::UnknownConnector, &at, |report| {
                    report
                        .message(format!("there is no connector `{connector}`"))
                        .did_you_mean(connector, known.iter().map(String::as_str))
                        .note(format!(
                            "it is searched as `{connector}.yaml` in {}",
                            list(folders.iter().filter_map(|folder| folder.to_str()))
                        ))
                        .note(format!(
                            "those that are there: {}",
                            list(known.iter().map(String::as_str))
                        ))
                        .hint(format!(
                            "put `{connector}.yaml` there, or name its folder with `--connectors`"
                        ))
                });
                files.insert(connector.clone(), None);
                continue;
            };
            files.insert(connector.clone(), read_connector_file(&found, diagnostics));
        }
        ConnectorFiles { files }
    }

    /// The file of a connector, if there is one that can be read.
    pub(super) fn get(&self, connector: &str) -> Option<&ConnectorFile> {
        self.files.get(connector)?.as_ref()
    }

    /// The names of a connection's settings; `None` where its connector is not known.
    pub(super) fn settings(&self, connection: &definition::Connection) -> Option<Vec<String>> {
        if connection.connector == "file" {
            return Some(vec!["directory".to_owned()]);
        }
        let file = self.get(&connection.connector)?;
        Some(file.parsed.definition.settings.keys().cloned().collect())
    }

    /// Name and digest of every file that was read; the name is that below the folder of connectors.
    pub(super) fn sources(&self) -> Vec<(String, String)> {
        let files = self.files.values().flatten();
        files
            .map(|file| {
                let name = file
                    .path
                    .file_name()
                    .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                (format!("connectors/{name}"), digest(file.document.text()))
            })
            .collect()
    }
}

/// Reads one connector file.
pub(super) fn read_connector_file(path: &FilePath, diagnostics: &mut Diagnostics) -> Option<ConnectorFile> {
    let document = Document::read(path, diagnostics)?;
    let parsed = definition::read_connector(&document, diagnostics)?;
    Some(ConnectorFile {
        path: path.to_owned(),
        document,
        parsed,
    })
}

impl ConnectorFile {
    /// Compiles the connector for one connection, or with no settings alone.
    pub(super) fn compile(
        &self,
        settings: Option<&Value<'static>>,
        records: &RecordFiles,
        diagnostics: &RefCell<Diagnostics>,
    ) -> (Option<super::compiled::Connector>, Vec<StreamFacts>) {
        let omitted = |pointer: &str| self.parsed.is_omitted(pointer);
        let checks = Checks::new(&self.document, &omitted);
        let definition = &self.parsed.definition;
        let names = Names {
            settings: definition.settings.keys().cloned().collect(),
            ..Names::default()
        };
        let result = compile_http(&ConnectorChecks {
            checks: &checks,
            definition,
            names,
            settings,
            records,
            path: &self.path,
        });
        diagnostics.borrow_mut().append(checks.take());
        if self.parsed.is_complete() {
            result
        } else {
            (None, result.1)
        }
    }
}
