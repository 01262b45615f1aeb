//! Journals: rows that must survive the process, before they are Parquet.
//!
//! A journal is a file of frames, one frame for the rows of one append. A frame carries its length, its batch, its row
//! count and a BLAKE3 checksum over all of it, and an Arrow IPC stream inside, schema included; so every frame can be
//! read alone. A process that dies leaves whole frames and perhaps a torn one at the end, which reading drops.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::{SnapshotError, views};
use crate::crash::{self, Point};

/// The first bytes of every frame.
const MAGIC: [u8; 4] = *b"CWJ1";
/// Magic, payload length (u32), rows (u32), batch (u64), checksum.
const HEADER: usize = 4 + 4 + 4 + 8 + CHECKSUM;
const CHECKSUM: usize = 16;

/// A journal that is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    unsynced: bool,
}

impl Journal {
    /// Begins a journal; the file must not exist.
    pub(crate) fn create(path: &Path) -> Result<Journal, SnapshotError> {
        if let Some(parent) = path.parent() {
            super::layout::create_directory(parent)?;
        }
        let file = File::create_new(path).map_err(SnapshotError::file("create", path))?;
        super::layout::sync_parent(path)?;
        Ok(Journal {
            path: path.to_owned(),
            file,
            bytes: 0,
            unsynced: false,
        })
    }

    /// Appends a frame made by [`frame`]; durable after the next [`Journal::sync`].
    pub(crate) fn append(&mut self, frame: &[u8]) -> Result<(), SnapshotError> {
        crash::at(Point::JournalBefore);
        self.file
            .write_all(frame)
            .map_err(SnapshotError::file("append to", &self.path))?;
        crash::at(Point::JournalAppended);
        self.bytes += frame.len() as u64;
        self.unsynced = true;
        Ok(())
    }

    /// Makes everything appended durable.
    pub(crate) fn sync(&mut self) -> Result<(), SnapshotError> {
        if self.unsynced {
            self.file
                .sync_data()
                .map_err(SnapshotError::file("sync", &self.path))?;
            self.unsynced = false;
            crash::at(Point::JournalSynced);
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Rows as a frame.
pub(crate) fn frame(batch: u64, rows: &RecordBatch, path: &Path) -> Result<Vec<u8>, SnapshotError> {
    let mut frame = vec![0; HEADER];
    {
        let rows = &views::compacted(rows).map_err(SnapshotError::rows(path))?;
        let mut writer =
            StreamWriter::try_new(&mut frame, &rows.schema()).map_err(SnapshotError::rows(path))?;
        writer.write(rows).map_err(SnapshotError::rows(path))?;
        writer.finish().map_err(SnapshotError::rows(path))?;
    }
    let length = u32::try_from(frame.len() - HEADER)
        .map_err(|_| SnapshotError::damaged(path, "the rows of one batch exceed four gibibytes"))?;
    let count = u32::try_from(rows.num_rows()).unwrap_or(u32::MAX);
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&length.to_le_bytes());
    header.extend_from_slice(&count.to_le_bytes());
    header.extend_from_slice(&batch.to_le_bytes());
    let checksum = checksum(&header, frame.get(HEADER..).unwrap_or_default());
    header.extend_from_slice(&checksum);
    frame.splice(..HEADER, header);
    Ok(frame)
}

fn checksum(header: &[u8], payload: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    let mut short = [0; CHECKSUM];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM]);
    short
}

/// A journal that is being read, frame by frame.
#[derive(Debug)]
pub(crate) struct Frames {
    path: PathBuf,
    file: BufReader<File>,
    remaining: u64,
}

impl Frames {
    pub(crate) fn open(path: &Path) -> Result<Frames, SnapshotError> {
        let file = File::open(path).map_err(SnapshotError::file("open", path))?;
        let remaining = file.metadata().map_err(SnapshotError::file("open", path))?.len();
        Ok(Frames {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 16, file),
            remaining,
        })
    }

    /// The next whole frame's rows; `None` at the end, or where what follows is not a whole frame. How many bytes that
    /// is tells [`Frames::torn_bytes`].
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>, SnapshotError> {
        if self.remaining < HEADER as u64 {
            return Ok(None);
        }
        let mut header = [0; HEADER];
        self.file
            .read_exact(&mut header)
            .map_err(SnapshotError::file("read", &self.path))?;
        let (fields, expected) = header.split_at(HEADER - CHECKSUM);
        let mut length = [0; 4];
        length.copy_from_slice(&header[4..8]);
        let length = u32::from_le_bytes(length);
        if fields[..4] != MAGIC || u64::from(length) > self.remaining - HEADER as u64 {
            return Ok(None);
        }
        let mut payload = Vec::new();
        self.file
            .by_ref()
            .take(u64::from(length))
            .read_to_end(&mut payload)
            .map_err(SnapshotError::file("read", &self.path))?;
        if checksum(fields, &payload) != expected {
            return Ok(None);
        }
        let mut stream = StreamReader::try_new(std::io::Cursor::new(payload), None)
            .map_err(SnapshotError::rows(&self.path))?;
        let rows = stream
            .next()
            .ok_or_else(|| SnapshotError::damaged(&self.path, "a frame holds no rows"))?
            .map_err(SnapshotError::rows(&self.path))?;
        self.remaining -= HEADER as u64 + u64::from(length);
        Ok(Some(rows))
    }

    /// Bytes at the end that are no whole frame; known after [`Frames::next`] answered `None`.
    pub(crate) fn torn_bytes(&self) -> u64 {
        self.remaining
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn rows(texts: &[&str]) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(texts.to_vec()))]).unwrap()
    }

    fn texts(path: &Path) -> (Vec<String>, u64) {
        let mut frames = Frames::open(path).unwrap();
        let mut all = Vec::new();
        while let Some(batch) = frames.next().unwrap() {
            all.extend(
                batch
                    .column(0)
                    .as_string::<i32>()
                    .iter()
                    .flatten()
                    .map(str::to_owned),
            );
        }
        (all, frames.torn_bytes())
    }

    fn three_frames() -> (Vec<u8>, Vec<usize>) {
        let mut content = Vec::new();
        let mut ends = Vec::new();
        for (batch, of_batch) in [vec!["a", "b"], vec!["c"], vec!["d", "e"]].iter().enumerate() {
            content.extend(frame(batch as u64, &rows(of_batch), Path::new("x")).unwrap());
            ends.push(content.len());
        }
        (content, ends)
    }

    #[test]
    fn what_was_appended_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/x.journal");
        let mut journal = Journal::create(&path).unwrap();
        journal
            .append(&frame(0, &rows(&["a", "b"]), &path).unwrap())
            .unwrap();
        journal.append(&frame(1, &rows(&["c"]), &path).unwrap()).unwrap();
        journal.sync().unwrap();
        assert_eq!(
            texts(&path),
            (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], 0)
        );
        assert_eq!(journal.bytes(), std::fs::metadata(&path).unwrap().len());
    }

    /// A process may die after any byte of a write.
    #[test]
    fn a_tail_torn_at_any_byte_costs_only_its_own_frame() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.journal");
        let (content, ends) = three_frames();
        let counts = [2, 3, 5];
        for length in 0..=content.len() {
            std::fs::write(&path, &content[..length]).unwrap();
            let whole = ends.iter().filter(|end| **end <= length).count();
            let (texts, torn) = texts(&path);
            assert_eq!(
                texts.len(),
                whole.checked_sub(1).map_or(0, |last| counts[last]),
                "cut at {length}"
            );
            assert_eq!(
                torn as usize,
                length - whole.checked_sub(1).map_or(0, |last| ends[last])
            );
        }
    }

    /// A page of the file may have reached the disk with other bytes than were written.
    #[test]
    fn a_changed_byte_never_gives_other_rows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.journal");
        let (content, ends) = three_frames();
        let all = ["a", "b", "c", "d", "e"];
        for position in (0..content.len()).step_by(7) {
            let mut changed = content.clone();
            changed[position] ^= 0x5a;
            std::fs::write(&path, &changed).unwrap();
            let (texts, torn) = texts(&path);
            assert_eq!(texts, all[..texts.len()]);
            let whole = ends.iter().filter(|end| **end <= position).count();
            assert_eq!(texts.len(), [0, 2, 3][whole], "changed at {position}");
            assert!(torn > 0);
        }
    }
}
