//! The chain: every run's opening and closing, each naming the digest of the link before it.
//!
//! `chain.ndjson` stands in the pipeline's directory, one link a line, only ever appended to. An opening is durable
//! before the run's first request, so a run that was killed is a link without a closing and never a gap. The links are
//! also in the manifests, so a lost chain file can be told from a forged one.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::manifest::Configuration;
use super::{SnapshotError, layout};
use crate::crash::{self, Point};

/// The last link is looked for in this many bytes at the end of the file first.
const TAIL: u64 = 64 << 10;

/// One link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Link {
    /// A run began.
    Opened(Opened),
    /// A run's manifest was written.
    Closed(Closed),
}

/// The opening entry of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Opened {
    pub(crate) run: Uuid,
    pub(crate) at: Timestamp,
    pub(crate) program: String,
    pub(crate) continues: Option<Uuid>,
    pub(crate) configuration: Configuration,
    pub(crate) previous: Option<String>,
}

/// The closing entry of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub(crate) run: Uuid,
    /// BLAKE3 digest of its manifest.json.
    pub(crate) manifest: String,
    pub(crate) previous: Option<String>,
}

impl Link {
    pub(crate) fn run(&self) -> Uuid {
        match self {
            Link::Opened(opened) => opened.run,
            Link::Closed(closed) => closed.run,
        }
    }

    pub(crate) fn previous(&self) -> Option<&str> {
        match self {
            Link::Opened(opened) => opened.previous.as_deref(),
            Link::Closed(closed) => closed.previous.as_deref(),
        }
    }
}

/// A pipeline's chain file.
#[derive(Debug)]
pub(crate) struct Chain {
    path: PathBuf,
}

/// A link and the digest of its line.
#[derive(Debug)]
pub(crate) struct Dated {
    pub(crate) link: Link,
    pub(crate) digest: String,
}

impl Chain {
    pub(crate) fn of(root: &Path, pipeline: &str) -> Chain {
        Chain {
            path: layout::pipeline_directory(root, pipeline).join("chain.ndjson"),
        }
    }

    /// The last link, if there is any. A line that the process did not live to complete is not a link.
    pub(crate) fn last(&self) -> Result<Option<Dated>, SnapshotError> {
        let Some(mut file) = self.open()? else {
            return Ok(None);
        };
        let length = self.length(&file)?;
        let mut from = length.saturating_sub(TAIL);
        loop {
            file.seek(SeekFrom::Start(from))
                .map_err(SnapshotError::file("read", &self.path))?;
            let mut tail = Vec::new();
            file.read_to_end(&mut tail)
                .map_err(SnapshotError::file("read", &self.path))?;
            let whole = memchr::memrchr(b'\n', &tail).map(|end| tail.get(..end).unwrap_or_default());
            let line = match whole {
                Some(lines) => match memchr::memrchr(b'\n', lines) {
                    Some(start) => lines.get(start + 1..),
                    None if from == 0 => Some(lines),
                    None => None,
                },
                None if from == 0 => return Ok(None),
                None => None,
            };
            match line {
                Some(line) => return self.parse(line).map(Some),
                None => from = from.saturating_sub(TAIL),
            }
        }
    }

    /// All links in order.
    pub(crate) fn all(&self) -> Result<Vec<Dated>, SnapshotError> {
        let Some(mut file) = self.open()? else {
            return Ok(Vec::new());
        };
        let mut content = Vec::new();
        file.read_to_end(&mut content)
            .map_err(SnapshotError::file("read", &self.path))?;
        let whole = memchr::memrchr(b'\n', &content).map_or(0, |end| end + 1);
        content
            .get(..whole)
            .unwrap_or_default()
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| self.parse(line))
            .collect()
    }

    /// Appends a link durably and returns its digest. An incomplete line at the end is cut off first.
    pub(crate) fn append(&self, link: &Link) -> Result<String, SnapshotError> {
        if let Some(parent) = self.path.parent() {
            layout::create_directory(parent)?;
        }
        let mut line = serde_json::to_vec(link).map_err(|error| {
            SnapshotError::damaged(&self.path, format!("a link cannot be written: {error}"))
        })?;
        let digest = blake3::hash(&line).to_hex().to_string();
        line.push(b'\n');
        let is_new = !self.path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)
            .map_err(SnapshotError::file("open", &self.path))?;
        let end = self.whole_length(&mut file)?;
        let io = SnapshotError::file("append to", &self.path);
        crash::at(Point::ChainBefore);
        file.set_len(end)
            .and_then(|()| file.seek(SeekFrom::Start(end)))
            .and_then(|_| file.write_all(&line))
            .and_then(|()| file.sync_all())
            .map_err(io)?;
        if is_new {
            layout::sync_parent(&self.path)?;
        }
        crash::at(Point::ChainAfter);
        Ok(digest)
    }

    /// The length of all complete lines.
    fn whole_length(&self, file: &mut File) -> Result<u64, SnapshotError> {
        let mut end = self.length(file)?;
        let mut buffer = [0; 4096];
        while end > 0 {
            let from = end.saturating_sub(buffer.len() as u64);
            let size = usize::try_from(end - from).unwrap_or(buffer.len());
            let part = buffer.get_mut(..size).unwrap_or_default();
            file.seek(SeekFrom::Start(from))
                .and_then(|_| file.read_exact(part))
                .map_err(SnapshotError::file("read", &self.path))?;
            if let Some(last) = memchr::memrchr(b'\n', part) {
                return Ok(from + last as u64 + 1);
            }
            end = from;
        }
        Ok(0)
    }

    fn open(&self) -> Result<Option<File>, SnapshotError> {
        match File::open(&self.path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SnapshotError::file("open", &self.path)(error)),
        }
    }

    fn length(&self, file: &File) -> Result<u64, SnapshotError> {
        file.metadata()
            .map(|metadata| metadata.len())
            .map_err(SnapshotError::file("read", &self.path))
    }

    fn parse(&self, line: &[u8]) -> Result<Dated, SnapshotError> {
        let link = serde_json::from_slice(line)
            .map_err(|error| SnapshotError::damaged(&self.path, format!("a line is not a link: {error}")))?;
        Ok(Dated {
            link,
            digest: blake3::hash(line).to_hex().to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(manifest: &str, previous: Option<String>) -> Link {
        Link::Closed(Closed {
            run: Uuid::nil(),
            manifest: manifest.to_owned(),
            previous,
        })
    }

    #[test]
    fn the_last_link_is_found_however_long_the_lines_are() {
        let root = tempfile::tempdir().unwrap();
        let chain = Chain::of(root.path(), "p");
        assert!(chain.last().unwrap().is_none());
        for length in [3, 100_000, 200_000, 5] {
            let link = closed(&"x".repeat(length), None);
            let digest = chain.append(&link).unwrap();
            let last = chain.last().unwrap().unwrap();
            assert_eq!((&last.link, &last.digest), (&link, &digest));
        }
        assert_eq!(chain.all().unwrap().len(), 4);
    }

    #[test]
    fn a_link_torn_at_any_byte_is_no_link() {
        let root = tempfile::tempdir().unwrap();
        let chain = Chain::of(root.path(), "p");
        let first = chain.append(&closed("a", None)).unwrap();
        let before = std::fs::read(&chain.path).unwrap();
        chain.append(&closed("b", Some(first.clone()))).unwrap();
        let after = std::fs::read(&chain.path).unwrap();
        for length in before.len()..after.len() {
            std::fs::write(&chain.path, &after[..length]).unwrap();
            assert_eq!(chain.last().unwrap().unwrap().digest, first, "cut at {length}");
            chain.append(&closed("c", Some(first.clone()))).unwrap();
            let links = chain.all().unwrap();
            assert_eq!(links.len(), 2);
            assert_eq!(links[1].link.previous(), Some(first.as_str()));
        }
    }
}
