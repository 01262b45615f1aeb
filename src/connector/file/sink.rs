//! [`FileSink`]: a file that appears whole, or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::input::{file_error, or_here};
use super::read::with_causes;
use crate::compile::compiled::{Column, Compression, FileFormat, FileStream};
use crate::connector::ConnectorError;
use crate::crash::{self, Point};
use crate::snapshot::{ColumnBatch, ParquetFile, SnapshotError, TextRows};

/// A file that is being written under a temporary name. Dropped without [`FileSink::commit`], it leaves nothing.
#[derive(Debug)]
pub struct FileSink {
    target: PathBuf,
    /// `None` for standard output, which cannot be taken back.
    temporary: Option<PathBuf>,
    writer: Option<Writer>,
    rows: u64,
}

/// What a committed sink holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Bytes of the file; 0 for standard output.
    pub bytes: u64,
}

#[derive(Debug)]
enum Writer {
    Parquet(Box<ParquetFile<Output>>),
    Ndjson(TextRows, Compressed),
    Csv(TextRows, Compressed),
}

/// Where bytes go.
#[derive(Debug)]
enum Output {
    Standard(std::io::Stdout),
    File(BufWriter<File>),
}

/// Text on its way into a file.
enum Compressed {
    Not(Output),
    Gzip(Box<flate2::write::GzEncoder<Output>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Output>>),
}

impl FileSink {
    /// Begins a file for a stream; see [`super::FileConnection::open_sink`].
    pub(super) fn create(
        connection: &str,
        stream: &str,
        directory: &Path,
        file: &FileStream,
        columns: &[Column],
    ) -> Result<FileSink, ConnectorError> {
        let unsupported = |operation: &str| ConnectorError::Unsupported {
            connection: connection.to_owned(),
            stream: stream.to_owned(),
            operation: operation.to_owned(),
        };
        if file.path.contains('*') {
            return Err(unsupported("be written: its path is a pattern"));
        }
        let target = directory.join(&file.path);
        let (temporary, output) = if file.path == "-" {
            (None, Output::Standard(std::io::stdout()))
        } else {
            let parent = or_here(target.parent().unwrap_or(directory));
            std::fs::create_dir_all(parent).map_err(file_error(parent, "created"))?;
            let mut name = target.file_name().unwrap_or_default().to_owned();
            name.push(".tmp");
            let temporary = target.with_file_name(name);
            let created = File::create(&temporary).map_err(file_error(&temporary, "created"))?;
            (
                Some(temporary),
                Output::File(BufWriter::with_capacity(1 << 18, created)),
            )
        };
        let mut sink = FileSink {
            target,
            temporary,
            writer: None,
            rows: 0,
        };
        let text = || TextRows::new(columns);
        sink.writer = Some(match file.format {
            FileFormat::Parquet => Writer::Parquet(Box::new(ParquetFile::new(output, columns))),
            FileFormat::Ndjson => Writer::Ndjson(text(), sink.compressed(output, file.compression)?),
            FileFormat::Csv => {
                let rows = text();
                let mut header = Vec::new();
                rows.csv_header(&mut header);
                let mut out = sink.compressed(output, file.compression)?;
                out.write_all(&header)
                    .map_err(file_error(&sink.target, "written"))?;
                Writer::Csv(rows, out)
            }
            FileFormat::Json => return Err(unsupported("be written as one JSON array; use `ndjson`")),
        });
        Ok(sink)
    }

    /// Adds rows. Blocks while the threads that compress are busy.
    ///
    /// # Errors
    /// The file system refused.
    pub fn append(&mut self, columns: &ColumnBatch) -> Result<(), ConnectorError> {
        let path = &self.target;
        let mut text = Vec::new();
        match &mut self.writer {
            Some(Writer::Parquet(file)) => {
                file.write(columns, path).map_err(snapshot_error(path))?;
            }
            Some(Writer::Ndjson(rows, out)) => {
                rows.ndjson(columns, &mut text);
                out.write_all(&text).map_err(file_error(path, "written"))?;
            }
            Some(Writer::Csv(rows, out)) => {
                rows.csv(columns, &mut text);
                out.write_all(&text).map_err(file_error(path, "written"))?;
            }
            None => {}
        }
        self.rows += columns.rows() as u64;
        Ok(())
    }

    /// Completes the file and gives it its name, durably.
    ///
    /// # Errors
    /// The file system refused; what was there before is still there.
    pub fn commit(mut self) -> Result<Written, ConnectorError> {
        let path = self.target.clone();
        let output = match self.writer.take() {
            Some(Writer::Parquet(file)) => file.finish(&path).map_err(snapshot_error(&path))?,
            Some(Writer::Ndjson(_, out) | Writer::Csv(_, out)) => {
                out.finish().map_err(file_error(&path, "written"))?
            }
            None => return Ok(Written { rows: 0, bytes: 0 }),
        };
        let written = file_error(&path, "written");
        let mut bytes = 0;
        match (output, self.temporary.take()) {
            (Output::File(file), Some(temporary)) => {
                let committed = file
                    .into_inner()
                    .map_err(std::io::IntoInnerError::into_error)
                    .and_then(|file| {
                        file.sync_all()?;
                        bytes = file.metadata()?.len();
                        crash::at(Point::FileWritten);
                        std::fs::rename(&temporary, &path)?;
                        crash::at(Point::FileRenamed);
                        File::open(or_here(path.parent().unwrap_or(Path::new("."))))?.sync_all()
                    });
                if committed.is_err() {
                    self.temporary = Some(temporary);
                }
                committed.map_err(written)?;
            }
            (mut output, _) => output.flush().map_err(written)?,
        }
        Ok(Written {
            rows: self.rows,
            bytes,
        })
    }

    /// Gives the file up; what was there before stays.
    pub fn abort(self) {}

    fn compressed(&self, output: Output, compression: Compression) -> Result<Compressed, ConnectorError> {
        Ok(match compression {
            Compression::None => Compressed::Not(output),
            Compression::Gzip => Compressed::Gzip(Box::new(flate2::write::GzEncoder::new(
                output,
                flate2::Compression::default(),
            ))),
            Compression::Zstd => Compressed::Zstd(Box::new(
                zstd::stream::write::Encoder::new(output, 3).map_err(file_error(&self.target, "written"))?,
            )),
        })
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        // The writer first: its threads still write to the file.
        self.writer = None;
        if let Some(temporary) = &self.temporary {
            // A leftover temporary file harms nobody; the next run replaces it.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

fn snapshot_error(path: &Path) -> impl FnOnce(SnapshotError) -> ConnectorError {
    let written = file_error(path, "written");
    move |error| match error {
        SnapshotError::File { source, .. } => written(source),
        other => written(std::io::Error::other(with_causes(&other))),
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Output::Standard(out) => out.write(bytes),
            Output::File(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Output::Standard(out) => out.flush(),
            Output::File(out) => out.flush(),
        }
    }
}

impl Compressed {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Compressed::Not(out) => out.write_all(bytes),
            Compressed::Gzip(out) => out.write_all(bytes),
            Compressed::Zstd(out) => out.write_all(bytes),
        }
    }

    fn finish(self) -> std::io::Result<Output> {
        match self {
            Compressed::Not(out) => Ok(out),
            Compressed::Gzip(out) => out.finish(),
            Compressed::Zstd(out) => out.finish(),
        }
    }
}

impl std::fmt::Debug for Compressed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Compressed::Not(_) => "Not",
            Compressed::Gzip(_) => "Gzip",
            Compressed::Zstd(_) => "Zstd",
        })
    }
}
