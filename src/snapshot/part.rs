//! Parts: the Parquet files of a run, each made whole before it gets its name, with digest and fingerprint.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use uuid::Uuid;

use super::encoder::{Encoder, EncoderOptions};
use super::journal::Frames;
use super::layout::{self, RunDirectory};
use super::manifest::{ManifestFile, TornTail};
use super::{SnapshotError, Stage, schema, views};
use crate::crash::{self, Point};

/// Snapshots are written once and read seldom: the fastest level, which costs a tenth more room than level 3 for two
/// thirds of its time.
const LEVEL: i32 = 1;
/// Enough for good compression, small enough for a run with five stages and several flows at once.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// What a part belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PartOf {
    pub(crate) stage: Stage,
    pub(crate) flow: Arc<str>,
    pub(crate) run: Uuid,
}

impl PartOf {
    fn options(&self) -> EncoderOptions {
        EncoderOptions {
            level: LEVEL,
            row_group_bytes: ROW_GROUP_BYTES,
            threads: 0,
            metadata: vec![
                ("crosswalk.run_id".to_owned(), self.run.to_string()),
                ("crosswalk.stage".to_owned(), self.stage.name().to_owned()),
                ("crosswalk.flow".to_owned(), self.flow.to_string()),
            ],
        }
    }
}

/// A part that is being written.
#[derive(Debug)]
pub(crate) struct PartWriter {
    of: PartOf,
    name: String,
    path: PathBuf,
    temporary: PathBuf,
    schema: SchemaRef,
    encoder: Encoder<Hashing>,
}

impl PartWriter {
    pub(crate) fn create(
        directory: &RunDirectory,
        of: PartOf,
        number: u32,
        schema: &Schema,
    ) -> Result<PartWriter, SnapshotError> {
        let schema = views::stored(schema);
        let name = RunDirectory::part_name(of.stage, &of.flow, number);
        let path = directory.path().join(&name);
        if let Some(parent) = path.parent() {
            layout::create_directory(parent)?;
        }
        let temporary = layout::temporary(&path);
        let file = File::create(&temporary).map_err(SnapshotError::file("create", &temporary))?;
        let encoder = Encoder::new(Hashing::new(file), Arc::clone(&schema), of.options());
        crash::at(Point::PartBegun);
        Ok(PartWriter {
            of,
            name,
            path,
            temporary,
            schema,
            encoder,
        })
    }

    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), SnapshotError> {
        self.encoder
            .write(rows)
            .map_err(SnapshotError::parquet("write", &self.path))
    }

    /// Bytes that have reached the file; what is pending in memory is not counted.
    pub(crate) fn bytes(&self) -> u64 {
        self.encoder.out().map_or(0, |out| out.bytes)
    }

    /// Completes the file and gives it its name.
    pub(crate) fn finish(self) -> Result<ManifestFile, SnapshotError> {
        let rows = self.encoder.rows();
        let out = self
            .encoder
            .finish()
            .map_err(SnapshotError::parquet("complete", &self.path))?;
        let (file, digest, bytes) = out
            .finish()
            .map_err(SnapshotError::file("write", &self.temporary))?;
        crash::at(Point::PartWritten);
        layout::publish(&file, &self.temporary, &self.path)?;
        crash::at(Point::PartRenamed);
        Ok(ManifestFile {
            path: self.name,
            stage: self.of.stage,
            flow: self.of.flow.to_string(),
            rows,
            bytes,
            schema: schema::fingerprint(&self.schema),
            digest,
        })
    }
}

/// Makes parts of a journal, and removes the journal. Rows of different schemas go to different parts.
pub(crate) fn from_journal(
    directory: &RunDirectory,
    of: &PartOf,
    number: u32,
    journal: &Path,
) -> Result<(Option<ManifestFile>, Option<TornTail>), SnapshotError> {
    let mut frames = Frames::open(journal)?;
    let mut part: Option<PartWriter> = None;
    while let Some(rows) = frames.next()? {
        let writer = match &mut part {
            Some(writer) => writer,
            None => part.insert(PartWriter::create(directory, of.clone(), number, &rows.schema())?),
        };
        if *writer.schema != *rows.schema() {
            return Err(SnapshotError::damaged(journal, "its rows have different columns"));
        }
        writer.write(&rows)?;
    }
    let torn = (frames.torn_bytes() > 0).then(|| TornTail {
        stage: of.stage,
        flow: of.flow.to_string(),
        bytes: frames.torn_bytes(),
    });
    let file = part.map(PartWriter::finish).transpose()?;
    layout::remove_if_there(journal)?;
    crash::at(Point::JournalRemoved);
    Ok((file, torn))
}

/// A file, its length and its digest so far.
#[derive(Debug)]
pub(crate) struct Hashing {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Hashing {
    pub(crate) fn new(file: File) -> Hashing {
        Hashing {
            file: BufWriter::with_capacity(1 << 16, file),
            hasher: blake3::Hasher::new(),
            bytes: 0,
        }
    }

    /// The file with everything in it, its digest in hexadecimal and its length.
    pub(crate) fn finish(self) -> std::io::Result<(File, String, u64)> {
        let digest = self.hasher.finalize().to_hex().to_string();
        let file = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        Ok((file, digest, self.bytes))
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// The digest of a file's content, in hexadecimal.
pub(crate) fn digest_of(path: &Path) -> Result<String, SnapshotError> {
    let file = File::open(path).map_err(SnapshotError::file("open", path))?;
    let mut hasher = blake3::Hasher::new();
    hasher
        .update_reader(file)
        .map_err(SnapshotError::file("read", path))?;
    Ok(hasher.finalize().to_hex().to_string())
}
