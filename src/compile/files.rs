//! The built-in `file` connector: files below a directory as streams.

use std::path::{Path as FilePath, PathBuf};

use super::checks::Checks;
use super::compiled::{
    Compression, Connector, ConnectorKind, FileConnector, FileFormat, FileStream, Privacy, Stream,
};
use super::environment::Environment;
use super::pointer::Pointer;
use super::record_files::RecordFiles;
use super::record_view::RecordView;
use super::sight::{Names, Sight};
use super::stream_facts::{StreamFacts, privacy_kind};
use crate::definition;
use crate::definition::Place;
use crate::diagnostic::Code;
use crate::expression::{Map, Path, Scope, Template, Value};

/// What file streams need of the pipeline.
pub(super) struct Files<'c, 'd> {
    /// The pipeline file.
    pub(super) checks: &'c Checks<'d>,
    /// Its path.
    pub(super) path: &'c FilePath,
    /// The names that templates see.
    pub(super) names: &'c Names,
    /// The values of its params.
    pub(super) params: &'c Value<'static>,
    /// Environment variables.
    pub(super) environment: &'c dyn Environment,
    /// Reads record schemas.
    pub(super) records: &'c RecordFiles,
}

impl Files<'_, '_> {
    /// Compiles a connection to files; `directory` is the setting's value.
    pub(super) fn connector(
        &self,
        at: &Pointer,
        connection: &definition::Connection,
        directory: Option<&str>,
    ) -> (Option<Connector>, Vec<StreamFacts>) {
        let beside = self.path.parent().map_or_else(PathBuf::new, FilePath::to_owned);
        let directory = directory.map_or(beside.clone(), |directory| beside.join(directory));
        let streams: Vec<_> = connection
            .streams
            .iter()
            .map(|(name, stream)| self.stream(&at.key("streams").key(name), name, stream))
            .collect();
        let (streams, facts): (Vec<Option<Stream>>, Vec<StreamFacts>) = streams.into_iter().unzip();
        let connector = streams
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .map(|streams| Connector {
                kind: ConnectorKind::File(FileConnector { directory }),
                streams,
            });
        (connector, facts)
    }

    fn stream(
        &self,
        at: &Pointer,
        name: &str,
        stream: &definition::FileStream,
    ) -> (Option<Stream>, StreamFacts) {
        let schema = stream
            .schema
            .as_ref()
            .and_then(|file| self.records.read(self.checks, &at.key("schema"), self.path, file));
        let view = RecordView::new(schema.clone());
        let facts = StreamFacts {
            name: name.to_owned(),
            schema: schema.clone(),
            view: view.clone(),
            key: stream.key.as_ref().map(|key| key.as_str().to_owned()),
            find: Vec::new(),
            can_list: true,
            can_get: false,
            can_create: true,
            can_update: false,
            can_upsert: false,
            can_delete: false,
            reads_everything: true,
            follows_changes: true,
            parent: None,
            is_file: true,
            never: Vec::new(),
            private: stream
                .pii
                .iter()
                .map(|(path, pii)| (path.as_str().to_owned(), privacy_kind(pii)))
                .collect(),
            conditions: Vec::new(),
            precondition: true,
            creates_once: true,
            changed_at: None,
        };
        let file = self.file(at, stream);
        let key = match &stream.key {
            Some(key) => self.checks.single_path(&at.key("key"), key),
            None => Path::parse("$").ok(),
        };
        let privacy: Vec<_> = stream
            .pii
            .iter()
            .map(|(path, pii)| {
                let path = self
                    .checks
                    .path_into(&at.key("pii").itself(path.as_str()), path, &view)?;
                Some(Privacy {
                    path,
                    kind: privacy_kind(pii),
                })
            })
            .collect();
        let compiled = || {
            Some(Stream {
                schema,
                file: Some(file?),
                privacy: privacy.into_iter().collect::<Option<_>>()?,
                ..Stream::new(name, key?)
            })
        };
        (compiled(), facts)
    }

    fn file(&self, at: &Pointer, stream: &definition::FileStream) -> Option<FileStream> {
        let path_at = at.key("path");
        let template = self
            .checks
            .text(&path_at, &stream.path, Sight::new(Place::FilePath, self.names))?;
        let path = self.file_path(&path_at, &template)?;
        let (stem, compression) = match path.strip_suffix(".gz") {
            Some(stem) => (stem, Compression::Gzip),
            None => match path.strip_suffix(".zst") {
                Some(stem) => (stem, Compression::Zstd),
                None => (path.as_str(), Compression::None),
            },
        };
        let extension = FilePath::new(stem)
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        let format = match (&stream.format, extension) {
            (Some(definition::FileFormat::Ndjson), _) | (None, "ndjson" | "jsonl") => FileFormat::Ndjson,
            (Some(definition::FileFormat::Json), _) | (None, "json") => FileFormat::Json,
            (Some(definition::FileFormat::Csv), _) | (None, "csv") => FileFormat::Csv,
            (Some(definition::FileFormat::Parquet), _) | (None, "parquet") => FileFormat::Parquet,
            (None, _) => {
                self.checks.error(Code::FileStream, &path_at, |report| {
                    report
                        .message(format!("the name `{path}` does not tell how the file is written"))
                        .hint("write `format: ndjson`, `json`, `csv` or `parquet`")
                });
                return None;
            }
        };
        if format == FileFormat::Parquet && compression != Compression::None {
            self.checks.error(Code::FileStream, &path_at, |report| {
                report
                    .message("a Parquet file is compressed inside, never as a whole")
                    .hint("leave out `.gz` or `.zst`")
            });
        }
        if format == FileFormat::Parquet && path == "-" {
            self.checks.error(Code::FileStream, &path_at, |report| {
                report
                    .message("a Parquet file is read from its end, so it cannot be standard input")
                    .hint("name a file")
            });
        }
        Some(FileStream {
            path,
            format,
            compression,
        })
    }

    fn file_path(&self, at: &Pointer, template: &Template) -> Option<String> {
        let mut variables = Map::default();
        for chain in template.variables() {
            if let [first, name, ..] = chain.as_slice()
                && first == "env"
            {
                let Some(value) = self.environment.get(name) else {
                    self.checks.error(Code::MissingEnvironment, at, |report| {
                        report
                            .message(format!("the environment variable `{name}` is not set"))
                            .hint(format!("set `{name}`"))
                    });
                    return None;
                };
                variables.insert(name.clone(), Value::text(value));
            }
        }
        let scope = Scope::new()
            .with("params", self.params)
            .with_owned("env", Value::Map(variables));
        match template.render(&scope) {
            Ok(Some(path)) if !path.is_empty() => Some(path),
            Ok(_) => {
                self.checks
                    .error(Code::FileStream, at, |report| report.message("the path is empty"));
                None
            }
            Err(error) => {
                self.checks.error(Code::FileStream, at, |report| {
                    report.message(format!("the path cannot be made: {error}"))
                });
                None
            }
        }
    }
}
