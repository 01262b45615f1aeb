//! Files as a system: streams of records read from and written to newline-delimited JSON, JSON, CSV and Parquet.
//!
//! [`FileConnection`] is what an opened connection of the file kind does. Reading cuts big chunks into records without
//! copying them ([`chunks`]); a line that is no record becomes a record that says so when it is read, with file and
//! place, so that it is rejected and the others go on. A sink ([`FileSink`]) appears under its name only when the run
//! commits it.

mod chunks;
mod csv;
mod input;
mod read;
mod sink;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use tokio::sync::mpsc;

use super::{ConnectorError, ReadRequest, Reader};
use crate::compile::compiled::{self, Column, ConnectorKind, FileStream};
use crate::expression::{Path, Record, Value};

pub use sink::{FileSink, Written};

/// Pages that wait while one is worked on.
const PAGES_AHEAD: usize = 2;

/// A connection to files below a directory.
#[derive(Clone, Debug)]
pub struct FileConnection {
    name: String,
    directory: PathBuf,
    streams: Vec<Option<StreamFile>>,
}

/// A stream as this connection needs it.
#[derive(Clone, Debug)]
struct StreamFile {
    name: String,
    key: Path,
    file: FileStream,
    find: Vec<Path>,
}

impl FileConnection {
    /// The connection, if its connector is one of files.
    pub fn new(connection: &compiled::Connection) -> Option<FileConnection> {
        let ConnectorKind::File(connector) = &connection.connector.kind else {
            return None;
        };
        let streams = connection
            .connector
            .streams
            .iter()
            .map(|stream| {
                Some(StreamFile {
                    name: stream.name.clone(),
                    key: stream.key.clone(),
                    file: stream.file.clone()?,
                    find: stream.find.iter().map(|find| find.by.clone()).collect(),
                })
            })
            .collect();
        Some(FileConnection {
            name: connection.name.clone(),
            directory: connector.directory.clone(),
            streams,
        })
    }

    /// Whether the directory is there.
    ///
    /// # Errors
    /// It is not, or cannot be read.
    pub fn check(&self) -> Result<(), ConnectorError> {
        let directory = input::or_here(&self.directory);
        std::fs::read_dir(directory)
            .map(drop)
            .map_err(input::file_error(directory, "read"))
    }

    /// The pages of a stream, read by a thread of its own. Must be called inside a Tokio runtime.
    pub fn read(&self, stream: usize, request: ReadRequest) -> Reader {
        let (pages, received) = mpsc::channel(PAGES_AHEAD);
        let source = self.stream(stream, "be read").cloned();
        let directory = self.directory.clone();
        let task = tokio::task::spawn_blocking(move || {
            let outcome = source.and_then(|stream| read::pages(&directory, &stream, &request, &pages));
            if let Err(error) = outcome {
                // Nobody listens any more: nothing is left to be told.
                let _ = pages.blocking_send(Err(error));
            }
        });
        Reader::new(received, task.abort_handle())
    }

    /// The record of a key: the first one in a scan.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn get(&self, stream: usize, key: &str) -> Result<Option<Record>, ConnectorError> {
        let keys = [key.to_owned()];
        Ok(self.get_many(stream, &keys).await?.into_iter().next())
    }

    /// The records of several keys, in one scan.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn get_many(&self, stream: usize, keys: &[String]) -> Result<Vec<Record>, ConnectorError> {
        let request = ReadRequest {
            only: Some(keys.to_vec()),
            ..ReadRequest::default()
        };
        let mut reader = self.read(stream, request);
        let mut found = Vec::new();
        while let Some(page) = reader.next().await? {
            found.extend(page.records);
        }
        Ok(found)
    }

    /// The records whose value at a path of the stream's `find` is one of these, in one scan.
    ///
    /// # Errors
    /// The file cannot be read, or the stream has no such `find`.
    pub async fn find(
        &self,
        stream: usize,
        find: usize,
        values: &[Value<'static>],
    ) -> Result<Vec<Record>, ConnectorError> {
        let by = self.stream(stream, "be searched")?.find.get(find).cloned();
        let by = by.ok_or_else(|| self.unsupported(stream, "be searched by this field"))?;
        let mut reader = self.read(stream, ReadRequest::default());
        let mut found = Vec::new();
        while let Some(page) = reader.next().await? {
            found.extend(page.records.into_iter().filter(|record| {
                record
                    .value()
                    .is_ok_and(|record| by.all(&record).into_iter().any(|value| values.contains(value)))
            }));
        }
        Ok(found)
    }

    /// Opens a stream for writing; what it held is replaced when the sink commits.
    ///
    /// # Errors
    /// The file cannot be created, or its format is one that is only read.
    pub fn open_sink(&self, stream: usize, columns: &[Column]) -> Result<FileSink, ConnectorError> {
        let target = self.stream(stream, "be written")?;
        FileSink::create(&self.name, &target.name, &self.directory, &target.file, columns)
    }

    fn stream(&self, stream: usize, operation: &str) -> Result<&StreamFile, ConnectorError> {
        self.streams
            .get(stream)
            .and_then(Option::as_ref)
            .ok_or_else(|| self.unsupported(stream, operation))
    }

    fn unsupported(&self, stream: usize, operation: &str) -> ConnectorError {
        let name = self
            .streams
            .get(stream)
            .and_then(Option::as_ref)
            .map(|stream| stream.name.clone());
        ConnectorError::Unsupported {
            connection: self.name.clone(),
            stream: name.unwrap_or_else(|| stream.to_string()),
            operation: operation.to_owned(),
        }
    }
}
