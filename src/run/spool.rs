//! A spool: batches of records in a private temporary file, to be gone through again without asking the system again.
//! A guard needs the whole plan before the first write, several flows may read one stream, and memory must not hold it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Stop;
use super::batch::{Batch, Origin};
use crate::connector::Cursor;
use crate::crash::{self, Point};
use crate::expression::{Joined, Record};

/// Writes batches.
#[derive(Debug)]
pub(crate) struct Spool {
    file: BufWriter<File>,
}

/// Reads them back.
#[derive(Debug)]
pub(crate) struct SpoolReader {
    file: BufReader<File>,
}

/// What of a batch is not its records' bytes.
#[derive(Serialize, Deserialize)]
struct Head {
    number: u32,
    sequence: u64,
    at: jiff::Timestamp,
    cursor: Option<Cursor>,
    /// For each record: length of its text as received, of its view, and its joins.
    records: Vec<Lengths>,
}

#[derive(Serialize, Deserialize)]
struct Lengths {
    received: usize,
    view: Option<usize>,
    joined: Vec<(String, JoinedLengths)>,
}

#[derive(Serialize, Deserialize)]
enum JoinedLengths {
    Nothing,
    One(usize),
    Many(Vec<usize>),
}

impl Spool {
    /// An empty spool in an anonymous file that goes with the process.
    pub(crate) fn new() -> Result<Self, Stop> {
        let file = tempfile::tempfile().map_err(failed)?;
        Ok(Spool {
            file: BufWriter::new(file),
        })
    }

    /// Adds a batch.
    pub(crate) fn write(&mut self, batch: &Batch) -> Result<(), Stop> {
        let mut bytes: Vec<Bytes> = Vec::new();
        let mut records = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            bytes.push(record.received().clone());
            let view = record.view().map(|view| {
                bytes.push(view.clone());
                view.len()
            });
            let mut joined = Vec::with_capacity(record.joined().len());
            for (name, join) in record.joined() {
                let lengths = match join {
                    Joined::Nothing => JoinedLengths::Nothing,
                    Joined::One(text) => {
                        bytes.push(text.clone());
                        JoinedLengths::One(text.len())
                    }
                    Joined::Many(texts) => {
                        bytes.extend(texts.iter().cloned());
                        JoinedLengths::Many(texts.iter().map(Bytes::len).collect())
                    }
                    Joined::Parsed(value) => {
                        let text = Bytes::from(value.to_json());
                        let length = text.len();
                        bytes.push(text);
                        JoinedLengths::One(length)
                    }
                };
                joined.push((name.to_string(), lengths));
            }
            records.push(Lengths {
                received: record.received().len(),
                view,
                joined,
            });
        }
        let head = serde_json::to_vec(&Head {
            number: batch.number,
            sequence: batch.sequence,
            at: batch.at,
            cursor: batch.cursor.clone(),
            records,
        })
        .map_err(|error| Stop::Internal(format!("a batch cannot be spooled: {error}")))?;
        self.file
            .write_all(&(head.len() as u64).to_le_bytes())
            .map_err(failed)?;
        self.file.write_all(&head).map_err(failed)?;
        for text in bytes {
            self.file.write_all(&text).map_err(failed)?;
        }
        crash::at(Point::Spooled);
        Ok(())
    }

    /// From the first batch again. One reader is used at a time, and nothing is written any more.
    pub(crate) fn reader(&mut self) -> Result<SpoolReader, Stop> {
        self.file.flush().map_err(failed)?;
        let mut file = self.file.get_ref().try_clone().map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(SpoolReader {
            file: BufReader::new(file),
        })
    }
}

impl SpoolReader {
    /// The next batch.
    pub(crate) fn next(&mut self) -> Result<Option<Batch>, Stop> {
        let mut length = [0; 8];
        match self.file.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        let length = usize::try_from(u64::from_le_bytes(length))
            .map_err(|_| Stop::Internal("a spooled batch is too large".to_owned()))?;
        let head: Head = serde_json::from_slice(&self.take(length)?)
            .map_err(|error| Stop::Internal(format!("a spooled batch cannot be read: {error}")))?;
        let mut records = Vec::with_capacity(head.records.len());
        for lengths in head.records {
            let mut record = Record::new(self.take(lengths.received)?);
            if let Some(view) = lengths.view {
                record = record.with_view(self.take(view)?);
            }
            for (name, join) in lengths.joined {
                let joined = match join {
                    JoinedLengths::Nothing => Joined::Nothing,
                    JoinedLengths::One(length) => Joined::One(self.take(length)?),
                    JoinedLengths::Many(lengths) => Joined::Many(
                        lengths
                            .into_iter()
                            .map(|length| self.take(length))
                            .collect::<Result<_, _>>()?,
                    ),
                };
                record.join(Arc::from(name), joined);
            }
            records.push(record);
        }
        Ok(Some(Batch {
            number: head.number,
            records,
            sequence: head.sequence,
            at: head.at,
            cursor: head.cursor,
            origin: Origin::Source,
        }))
    }

    fn take(&mut self, length: usize) -> Result<Bytes, Stop> {
        let mut bytes = vec![0; length];
        self.file.read_exact(&mut bytes).map_err(failed)?;
        Ok(Bytes::from(bytes))
    }
}

fn failed(error: std::io::Error) -> Stop {
    Stop::Spool(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spooled_batch_comes_back_byte_for_byte() {
        let mut record =
            Record::new(Bytes::from_static(b"{\"id\": 1.10}")).with_view(Bytes::from_static(b"{}"));
        record.join(
            Arc::from("requester"),
            Joined::One(Bytes::from_static(b"{\"id\":7}")),
        );
        record.join(
            Arc::from("others"),
            Joined::Many(vec![Bytes::from_static(b"1"), Bytes::from_static(b"22")]),
        );
        record.join(Arc::from("nobody"), Joined::Nothing);
        let batch = Batch {
            number: 3,
            records: vec![record, Record::new(Bytes::from_static(b"[]"))],
            sequence: 99,
            at: jiff::Timestamp::UNIX_EPOCH,
            cursor: Some(Cursor::Scan),
            origin: Origin::Source,
        };
        let mut spool = Spool::new().unwrap();
        spool.write(&batch).unwrap();
        let mut reader = spool.reader().unwrap();
        let back = reader.next().unwrap().unwrap();
        assert_eq!(
            (back.number, back.sequence, back.cursor),
            (3, 99, Some(Cursor::Scan))
        );
        let first = &back.records[0];
        assert_eq!(first.received(), &Bytes::from_static(b"{\"id\": 1.10}"));
        assert_eq!(first.text(), &Bytes::from_static(b"{}"));
        assert!(matches!(&first.joined()[1].1, Joined::Many(texts) if texts.len() == 2 && texts[1] == "22"));
        assert!(reader.next().unwrap().is_none());
    }
}
