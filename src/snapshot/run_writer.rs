//! [`RunWriter`]: one run's directory while the run goes on.
//!
//! Rows of a batch are appended to the journal of their stage and flow; [`RunWriter::sync`] makes them durable and must
//! come before the batch's cursor commit. Journals are turned into Parquet parts by size in the background, and the
//! rest of them when the run ends. What can be made again goes straight into Parquet: records as received, and what a
//! flow into a file made of them, because that file appears whole at the end or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;
use uuid::Uuid;

use super::chain::{Chain, Closed, Link, Opened};
use super::journal::{self, Journal};
use super::layout::{self, RunDirectory};
use super::manifest::{Configuration, CursorMove, FlowCounts, Manifest, ManifestFile, TornTail};
use super::part::{self, PartOf, PartWriter};
use super::{Rows, SnapshotError, Stage};
use crate::compile::compiled::SnapshotPolicy;
use crate::crash::{self, Point};

/// A journal of this many bytes becomes a part.
const JOURNAL_BYTES: u64 = 128 << 20;
/// A part that is written directly is closed at this size.
const PART_BYTES: u64 = 128 << 20;

/// What is known when a run begins.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// The interrupted run whose work this one goes on with.
    pub continues: Option<Uuid>,
    /// Digests of what the run was configured with.
    pub configuration: Configuration,
}

/// What is known when a run ends.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    /// How it ended, in the summary's word.
    pub ending: String,
    /// The process's exit code.
    pub exit_code: u8,
    /// Counts per flow.
    pub counts: Vec<FlowCounts>,
    /// Flows that were left out because they are off, each with the reason.
    pub disabled: BTreeMap<String, String>,
    /// Cursors before and after.
    pub cursors: Vec<CursorMove>,
}

/// What is being written, by stage and flow.
type Streams = Mutex<BTreeMap<(Stage, Arc<str>), Arc<Mutex<Stream>>>>;
/// What a journal became: its part, if it had rows, and what of its end was torn.
type Converted = Result<(Option<ManifestFile>, Option<TornTail>), SnapshotError>;

/// Writes the snapshots of one run. Threads may share it.
#[derive(Debug)]
pub struct RunWriter {
    run: Uuid,
    pipeline: String,
    root: PathBuf,
    directory: RunDirectory,
    opened: Opened,
    opening_digest: String,
    policy: SnapshotPolicy,
    streams: Streams,
}

impl RunWriter {
    /// Opens a run: its opening link is durable when this returns. The caller holds the pipeline's lease and has
    /// recovered what an earlier run left ([`super::recover`]).
    ///
    /// # Errors
    /// The directory cannot be written, or an earlier run was not sealed.
    pub fn create(
        root: &Path,
        pipeline: &str,
        run: Uuid,
        opening: Opening,
        policy: SnapshotPolicy,
    ) -> Result<RunWriter, SnapshotError> {
        let chain = Chain::of(root, pipeline);
        let last = chain.last()?;
        if let Some(Link::Opened(open)) = last.as_ref().map(|last| &last.link) {
            return Err(SnapshotError::NotSealed {
                pipeline: pipeline.to_owned(),
                run: open.run,
            });
        }
        let opened = Opened {
            run,
            at: Timestamp::now(),
            program: program(),
            continues: opening.continues,
            configuration: opening.configuration,
            previous: last.map(|last| last.digest),
        };
        let opening_digest = chain.append(&Link::Opened(opened.clone()))?;
        let directory = RunDirectory::of(root, pipeline, run);
        layout::create_directory(directory.path())?;
        Ok(RunWriter {
            run,
            pipeline: pipeline.to_owned(),
            root: root.to_owned(),
            directory,
            opened,
            opening_digest,
            policy,
            streams: Mutex::default(),
        })
    }

    /// The run's identifier.
    pub fn run(&self) -> Uuid {
        self.run
    }

    /// The run's directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Whether rows of a stage are kept; others need not be built.
    pub fn keeps(&self, stage: Stage) -> bool {
        match stage {
            Stage::Extracted => self.policy.extracted,
            Stage::Mapped => self.policy.mapped,
            Stage::Planned => self.policy.planned,
            Stage::Loaded => self.policy.loaded,
            Stage::Rejected => self.policy.rejected,
        }
    }

    /// Appends rows to their stage; durable after the next [`RunWriter::sync`]. Rows of a stage that is not kept, and
    /// empty ones, are dropped.
    ///
    /// # Errors
    /// The file system refused; the run must end.
    pub fn append(&self, rows: &Rows) -> Result<(), SnapshotError> {
        if rows.is_empty() || !self.keeps(rows.stage) {
            return Ok(());
        }
        let stream = Arc::clone(
            lock(&self.streams)
                .entry((rows.stage, Arc::clone(&rows.flow)))
                .or_insert_with(|| Arc::new(Mutex::new(Stream::new(self, rows)))),
        );
        if !rows.repeatable {
            let frame = journal::frame(rows.batch, &rows.rows, self.directory.path())?;
            lock(&stream).append_frame(&frame)
        } else {
            lock(&stream).append_rows(rows)
        }
    }

    /// Makes all rows appended so far durable; to be called before a batch's cursor moves.
    ///
    /// # Errors
    /// The file system refused; the cursor must not move.
    pub fn sync(&self) -> Result<(), SnapshotError> {
        let streams: Vec<_> = lock(&self.streams).values().cloned().collect();
        streams.iter().try_for_each(|stream| lock(stream).sync())
    }

    /// Closes the run: the rest of every journal becomes a part, and the manifest is written.
    ///
    /// # Errors
    /// The file system refused. The run stays open; the next start seals it as interrupted.
    pub fn finish(self, closing: Closing) -> Result<Manifest, SnapshotError> {
        let streams = self.streams.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut files = Vec::new();
        for stream in streams.into_values() {
            files.extend(lock(&stream).finish()?);
        }
        let manifest = Manifest {
            version: 1,
            pipeline: self.pipeline.clone(),
            run: self.run,
            continues: self.opened.continues,
            program: self.opened.program,
            opened_at: self.opened.at,
            closed_at: Timestamp::now(),
            ending: closing.ending,
            exit_code: Some(closing.exit_code),
            configuration: self.opened.configuration,
            counts: closing.counts,
            disabled: closing.disabled,
            cursors: closing.cursors,
            files,
            partial: Vec::new(),
            torn: Vec::new(),
            previous: self.opened.previous,
            opening: self.opening_digest.clone(),
        };
        close(&self.root, &self.directory, &manifest, self.opening_digest)?;
        Ok(manifest)
    }
}

/// Writes a run's manifest, and the link that closes it.
pub(crate) fn close(
    root: &Path,
    directory: &RunDirectory,
    manifest: &Manifest,
    previous: String,
) -> Result<(), SnapshotError> {
    let path = directory.manifest();
    let text = manifest
        .to_text()
        .map_err(|error| SnapshotError::damaged(&path, format!("it cannot be written: {error}")))?;
    layout::write_atomically(&path, text.as_bytes())?;
    crash::at(Point::ManifestRenamed);
    remove_journals(directory)?;
    Chain::of(root, &manifest.pipeline).append(&Link::Closed(Closed {
        run: manifest.run,
        manifest: blake3::hash(text.as_bytes()).to_hex().to_string(),
        previous: Some(previous),
    }))?;
    Ok(())
}

/// Removes the directories of a run's journals, which are parts by now. Before the closing link: nobody looks at a run
/// again that is closed.
pub(crate) fn remove_journals(directory: &RunDirectory) -> Result<(), SnapshotError> {
    match std::fs::remove_dir_all(directory.journals()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(SnapshotError::file("remove", &directory.journals())(error))
        }
        _ => Ok(()),
    }
}

/// Program and version, as manifests name them.
pub(crate) fn program() -> String {
    concat!("crosswalk ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// The rows of one stage and flow.
#[derive(Debug)]
struct Stream {
    directory: RunDirectory,
    of: PartOf,
    /// The number of the part that is being filled.
    number: u32,
    files: Vec<ManifestFile>,
    journal: Option<Journal>,
    part: Option<PartWriter>,
    conversion: Option<JoinHandle<Converted>>,
}

impl Stream {
    fn new(writer: &RunWriter, rows: &Rows) -> Stream {
        Stream {
            directory: writer.directory.clone(),
            of: PartOf {
                stage: rows.stage,
                flow: Arc::clone(&rows.flow),
                run: writer.run,
            },
            number: 0,
            files: Vec::new(),
            journal: None,
            part: None,
            conversion: None,
        }
    }

    fn append_frame(&mut self, frame: &[u8]) -> Result<(), SnapshotError> {
        let journal = match &mut self.journal {
            Some(journal) => journal,
            None => {
                let path = self.directory.journal(self.of.stage, &self.of.flow, self.number);
                self.journal.insert(Journal::create(&path)?)
            }
        };
        journal.append(frame)?;
        if journal.bytes() >= JOURNAL_BYTES {
            self.roll()?;
        }
        Ok(())
    }

    fn append_rows(&mut self, rows: &Rows) -> Result<(), SnapshotError> {
        let part = match &mut self.part {
            Some(part) => part,
            None => {
                let schema = rows.rows.schema();
                self.part.insert(PartWriter::create(
                    &self.directory,
                    self.of.clone(),
                    self.number,
                    &schema,
                )?)
            }
        };
        part.write(&rows.rows)?;
        if part.bytes() >= PART_BYTES {
            self.close_part()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), SnapshotError> {
        self.journal.as_mut().map_or(Ok(()), Journal::sync)
    }

    /// Begins a new journal and turns the old one into a part in the background, one at a time.
    fn roll(&mut self) -> Result<(), SnapshotError> {
        self.await_conversion()?;
        let Some(mut journal) = self.journal.take() else {
            return Ok(());
        };
        journal.sync()?;
        let (directory, of, number) = (self.directory.clone(), self.of.clone(), self.number);
        let path = journal.path().to_owned();
        self.number += 1;
        self.conversion = Some(std::thread::spawn(move || {
            part::from_journal(&directory, &of, number, &path)
        }));
        Ok(())
    }

    fn await_conversion(&mut self) -> Result<(), SnapshotError> {
        if let Some(conversion) = self.conversion.take() {
            let lost = |_| SnapshotError::WriterLost {
                path: self.directory.path().to_owned(),
            };
            let (file, torn) = conversion.join().map_err(lost)??;
            if torn.is_some() {
                let path = self.directory.journal(self.of.stage, &self.of.flow, self.number);
                return Err(SnapshotError::damaged(
                    &path,
                    "what was written to it cannot be read back",
                ));
            }
            self.files.extend(file);
        }
        Ok(())
    }

    fn close_part(&mut self) -> Result<(), SnapshotError> {
        if let Some(part) = self.part.take() {
            self.files.push(part.finish()?);
            self.number += 1;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<ManifestFile>, SnapshotError> {
        self.roll()?;
        self.await_conversion()?;
        self.close_part()?;
        Ok(std::mem::take(&mut self.files))
    }
}

/// A lock whose holder panicked guards nothing that could be half done: every change of it is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
