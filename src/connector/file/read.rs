//! Reading a stream's files page by page, in a thread of its own.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc::Sender;

use super::StreamFile;
use super::chunks::{ChunkError, Chunks, Cut, Elements, Lines};
use super::csv::{Row, Rows};
use super::input::{Input, file_error, inputs};
use crate::compile::compiled::FileFormat;
use crate::connector::{ConnectorError, Cursor, Page, ReadRequest};
use crate::expression::{Place, Record, Value};
use crate::snapshot::{PartReader, SnapshotError};

/// A page never has more records.
const RECORDS_AT_MOST: usize = 4000;
/// Rows of a CSV file are gathered up to this many bytes a page.
const PAGE_BYTES: usize = 4 << 20;

/// Sends all pages of a stream; ends early when nobody listens any more.
pub(super) fn pages(
    directory: &Path,
    stream: &StreamFile,
    request: &ReadRequest,
    pages: &Sender<Result<Page, ConnectorError>>,
) -> Result<(), ConnectorError> {
    let mut out = Pages {
        stream,
        only: request.only.as_deref(),
        pages,
        waiting: None,
    };
    for input in inputs(directory, &stream.file)? {
        if !read(&input, stream, &mut out)? {
            return Ok(());
        }
    }
    out.finish();
    Ok(())
}

/// Reads one file; false when nobody listens any more.
fn read(input: &Input, stream: &StreamFile, out: &mut Pages<'_>) -> Result<bool, ConnectorError> {
    let file: Arc<str> = input.name().into();
    let compression = stream.file.compression;
    match stream.file.format {
        FileFormat::Ndjson => read_chunks(Chunks::new(input.open(compression)?, Lines), &file, "line", out),
        FileFormat::Json => read_chunks(
            Chunks::new(input.open(compression)?, Elements::default()),
            &file,
            "element",
            out,
        ),
        FileFormat::Csv => read_csv(Rows::new(input.open(compression)?), &file, out),
        FileFormat::Parquet => match input {
            Input::File(path) => read_parquet(path, &file, out),
            Input::Standard => Err(content(
                &file,
                "start",
                "Parquet cannot be read from standard input",
            )),
        },
    }
}

fn read_chunks<C: Cut>(
    mut chunks: Chunks<C>,
    file: &Arc<str>,
    unit: &'static str,
    out: &mut Pages<'_>,
) -> Result<bool, ConnectorError> {
    let mut number = 0;
    loop {
        let texts = match chunks.next() {
            Ok(Some(texts)) => texts,
            Ok(None) => return Ok(true),
            Err(ChunkError::Read(source)) => return Err(file_error(Path::new(&**file), "read")(source)),
            Err(ChunkError::Content(message)) => {
                return Err(content(file, &format!("after {unit} {number}"), &message));
            }
        };
        for part in texts.chunks(RECORDS_AT_MOST) {
            let mut records = Vec::with_capacity(part.len());
            for text in part {
                number += 1;
                let text = text
                    .strip_suffix(b"\r")
                    .map_or_else(|| text.clone(), |line| text.slice_ref(line));
                if !text.trim_ascii().is_empty() {
                    records.push(Record::new(text).with_place(place(file, unit, number, None)));
                }
            }
            if !out.send(records) {
                return Ok(false);
            }
        }
    }
}

fn read_csv(mut rows: Rows, file: &Arc<str>, out: &mut Pages<'_>) -> Result<bool, ConnectorError> {
    let mut number = 0;
    let mut ended = false;
    while !ended {
        let mut texts = Vec::new();
        let mut parts: Vec<(usize, Option<Arc<str>>)> = Vec::new();
        while parts.len() < RECORDS_AT_MOST && texts.len() < PAGE_BYTES {
            match rows.next().map_err(file_error(Path::new(&**file), "read"))? {
                Some(Row::Object(object)) => {
                    texts.extend_from_slice(&object);
                    parts.push((texts.len(), None));
                }
                Some(Row::Faulty(fault)) => parts.push((texts.len(), Some(fault.into()))),
                None => {
                    ended = true;
                    break;
                }
            }
        }
        let texts = Bytes::from(texts);
        let mut start = 0;
        let records = parts
            .into_iter()
            .map(|(end, fault)| {
                number += 1;
                let text = texts.slice(start..end);
                start = end;
                Record::new(text).with_place(place(file, "row", number, fault))
            })
            .collect();
        if !out.send(records) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn read_parquet(path: &Path, file: &Arc<str>, out: &mut Pages<'_>) -> Result<bool, ConnectorError> {
    let damaged = |error: SnapshotError| match error {
        SnapshotError::File { source, .. } => file_error(path, "read")(source),
        other => content(file, "Parquet", &with_causes(&other)),
    };
    let mut rows = PartReader::open(path).map_err(damaged)?;
    let mut number = 0;
    while let Some(objects) = rows.next_objects().map_err(damaged)? {
        let mut objects = objects.into_iter().peekable();
        while objects.peek().is_some() {
            let records = objects
                .by_ref()
                .take(RECORDS_AT_MOST)
                .map(|object| {
                    number += 1;
                    Record::new(object).with_place(place(file, "row", number, None))
                })
                .collect();
            if !out.send(records) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn place(file: &Arc<str>, unit: &'static str, number: u64, fault: Option<Arc<str>>) -> Place {
    Place {
        file: Arc::clone(file),
        unit,
        number,
        fault,
    }
}

fn content(file: &str, place: &str, message: &str) -> ConnectorError {
    ConnectorError::Content {
        path: file.to_owned(),
        place: place.to_owned(),
        message: message.to_owned(),
    }
}

/// An error with what caused it, in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

/// Sends pages, one behind, because the last one must say that it is.
struct Pages<'a> {
    stream: &'a StreamFile,
    only: Option<&'a [String]>,
    pages: &'a Sender<Result<Page, ConnectorError>>,
    waiting: Option<Page>,
}

impl Pages<'_> {
    /// Takes a page's records; false when nobody listens any more.
    fn send(&mut self, mut records: Vec<Record>) -> bool {
        if let Some(only) = self.only {
            records.retain(|record| self.has_key(record, only));
        }
        if records.is_empty() {
            return !self.pages.is_closed();
        }
        let page = Page {
            bytes: records.iter().map(|record| record.received().len() as u64).sum(),
            records,
            repeated: 0,
            cursor: None,
            at: Timestamp::now(),
            last: false,
        };
        match self.waiting.replace(page) {
            Some(page) => self.pages.blocking_send(Ok(page)).is_ok(),
            None => true,
        }
    }

    fn finish(self) {
        let mut page = self.waiting.unwrap_or_else(|| Page {
            bytes: 0,
            records: Vec::new(),
            repeated: 0,
            cursor: None,
            at: Timestamp::now(),
            last: true,
        });
        page.last = true;
        page.cursor = Some(Cursor::Scan);
        // Whoever stopped listening does not miss it.
        let _ = self.pages.blocking_send(Ok(page));
    }

    fn has_key(&self, record: &Record, only: &[String]) -> bool {
        let key = match self.stream.key.steps() {
            // A stream without a key counts its records.
            Some([]) => record.numbered_key(self.stream.file.path.contains('*')),
            _ => match record.value() {
                Ok(value) => self.stream.key.one(&value).and_then(Value::key_text),
                Err(_) => None,
            },
        };
        key.is_some_and(|key| only.contains(&key))
    }
}
