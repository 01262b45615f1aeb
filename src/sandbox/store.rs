//! What the stand-ins remember, in memory and on disk.
//!
//! A [`Table`] knows which of its rows changed since it was last asked. [`Store`] appends these rows to a journal before a
//! request is answered, so that killing the process loses nothing that a client was told, and folds the journal into one
//! JSON file per system, written beside its place and renamed into it, when it starts, flushes or stops.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{SandboxError, state_file};

/// A system's whole state.
pub(crate) trait Persistent: Serialize + DeserializeOwned {
    /// The rows changed since the last call, by table; nothing when none did.
    fn drain(&mut self) -> Result<Map<String, Value>, serde_json::Error>;

    /// Takes every row as known: the next [`drain`](Persistent::drain) starts from here.
    fn settle(&mut self);

    /// Applies what an earlier [`drain`](Persistent::drain) returned.
    fn replay(&mut self, changes: Map<String, Value>) -> Result<(), serde_json::Error>;
}

/// Rows by id, in id order.
#[derive(Debug, Clone)]
pub(crate) struct Table<T> {
    rows: BTreeMap<u64, T>,
    changed: BTreeSet<u64>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }
}

impl<T> Table<T> {
    pub(crate) fn get(&self, id: u64) -> Option<&T> {
        self.rows.get(&id)
    }

    /// The row, to be changed: it counts as changed from now on.
    pub(crate) fn edit(&mut self, id: u64) -> Option<&mut T> {
        let row = self.rows.get_mut(&id)?;
        self.changed.insert(id);
        Some(row)
    }

    pub(crate) fn insert(&mut self, id: u64, row: T) {
        self.rows.insert(id, row);
        self.changed.insert(id);
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let row = self.rows.remove(&id)?;
        self.changed.insert(id);
        Some(row)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &T)> {
        self.rows.iter().map(|(id, row)| (*id, row))
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.values()
    }

    /// The id after the highest one.
    pub(crate) fn next_id(&self) -> u64 {
        self.rows.last_key_value().map_or(1, |(id, _)| id + 1)
    }
}

impl<T> Table<T> {
    /// Takes every row as known.
    pub(crate) fn settle(&mut self) {
        self.changed.clear();
    }
}

impl<T: Serialize + DeserializeOwned> Table<T> {
    /// Adds the rows changed since the last call to `changes` under `name`, removed ones as null.
    pub(crate) fn drain(
        &mut self,
        name: &str,
        changes: &mut Map<String, Value>,
    ) -> Result<(), serde_json::Error> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let rows: BTreeMap<u64, Option<&T>> = std::mem::take(&mut self.changed)
            .into_iter()
            .map(|id| (id, self.rows.get(&id)))
            .collect();
        changes.insert(name.to_owned(), serde_json::to_value(rows)?);
        Ok(())
    }

    /// Takes back what [`drain`](Table::drain) put under `name`.
    pub(crate) fn replay(
        &mut self,
        name: &str,
        changes: &mut Map<String, Value>,
    ) -> Result<(), serde_json::Error> {
        let Some(rows) = changes.remove(name) else {
            return Ok(());
        };
        for (id, row) in serde_json::from_value::<BTreeMap<u64, Option<T>>>(rows)? {
            match row {
                Some(row) => self.rows.insert(id, row),
                None => self.rows.remove(&id),
            };
        }
        Ok(())
    }
}

impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rows.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self {
            rows: BTreeMap::deserialize(deserializer)?,
            changed: BTreeSet::new(),
        })
    }
}

/// The files behind one system's state; without a directory, nothing is kept.
#[derive(Debug)]
pub(crate) struct Store {
    files: Option<Files>,
    closed: bool,
}

#[derive(Debug)]
struct Files {
    state: PathBuf,
    journal_path: PathBuf,
    journal: File,
    /// Held, not read: the lock ends with the process.
    _lock: File,
}

impl Store {
    /// Opens a system's state in a directory, or generates it where there is none.
    ///
    /// # Errors
    /// When the directory is in use, cannot be written, or holds what is not a state.
    pub(crate) fn open<P: Persistent>(
        directory: Option<&Path>,
        system: &str,
        generate: impl FnOnce() -> P,
    ) -> Result<(Self, P), SandboxError> {
        let Some(directory) = directory else {
            let store = Self {
                files: None,
                closed: false,
            };
            return Ok((store, generate()));
        };
        fs::create_dir_all(directory).map_err(storage("create", directory))?;
        let lock_path = directory.join(format!("{system}.lock"));
        let lock = open_file(&lock_path)?;
        lock.try_lock().map_err(|_| SandboxError::InUse {
            path: directory.to_owned(),
        })?;
        let state = state_file(directory, system);
        let journal_path = directory.join(format!("{system}.journal"));
        let mut contents = match fs::read(&state) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(unreadable(&state))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => generate(),
            Err(source) => return Err(storage("read", &state)(source)),
        };
        replay(&journal_path, &mut contents)?;
        let journal = open_file(&journal_path)?;
        let mut store = Self {
            files: Some(Files {
                state,
                journal_path,
                journal,
                _lock: lock,
            }),
            closed: false,
        };
        store.flush(&mut contents)?;
        Ok((store, contents))
    }

    /// Lets go of the files; nothing is kept from now on.
    pub(crate) fn close(&mut self) {
        self.files = None;
        self.closed = true;
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Makes what changed since the last call outlive this process.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(crate) fn commit<P: Persistent>(&mut self, contents: &mut P) -> Result<(), SandboxError> {
        if self.files.is_none() {
            contents.settle();
            return Ok(());
        }
        self.commit_told(contents).map(drop)
    }

    /// The same; tells what changed, by table.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(crate) fn commit_told<P: Persistent>(
        &mut self,
        contents: &mut P,
    ) -> Result<Map<String, Value>, SandboxError> {
        let path = self.files.as_ref().map(|files| files.journal_path.clone());
        let path = path.unwrap_or_default();
        let changes = contents.drain().map_err(unreadable(&path))?;
        if let (Some(files), false) = (&mut self.files, changes.is_empty()) {
            let mut line = serde_json::to_vec(&changes).map_err(unreadable(&path))?;
            line.push(b'\n');
            files.journal.write_all(&line).map_err(storage("write", &path))?;
        }
        Ok(changes)
    }

    /// Writes the whole state in one file and empties the journal.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn flush<P: Persistent>(&mut self, contents: &mut P) -> Result<(), SandboxError> {
        contents.settle();
        let Some(files) = &mut self.files else {
            return Ok(());
        };
        let temporary = files.state.with_extension("json.new");
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec(contents)?)?;
            file.sync_all()?;
            fs::rename(&temporary, &files.state)
        };
        write().map_err(storage("write", &files.state))?;
        // Rows are replayed whole, so a crash between the rename and this line changes nothing.
        files
            .journal
            .set_len(0)
            .map_err(storage("empty", &files.journal_path))
    }
}

/// Applies a journal; a last line without its end was never acknowledged and is dropped.
fn replay<P: Persistent>(path: &Path, contents: &mut P) -> Result<(), SandboxError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(storage("read", path)(source)),
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        reader
            .read_until(b'\n', &mut line)
            .map_err(storage("read", path))?;
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
        let changes = serde_json::from_slice(&line).map_err(unreadable(path))?;
        contents.replay(changes).map_err(unreadable(path))?;
    }
}

fn open_file(path: &Path) -> Result<File, SandboxError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(storage("open", path))
}

fn storage(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SandboxError {
    let path = path.to_owned();
    move |source| SandboxError::Storage { action, path, source }
}

fn unreadable(path: &Path) -> impl FnOnce(serde_json::Error) -> SandboxError {
    let path = path.to_owned();
    move |source| SandboxError::Unreadable { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Notes {
        notes: Table<String>,
    }

    impl Persistent for Notes {
        fn drain(&mut self) -> Result<Map<String, Value>, serde_json::Error> {
            let mut changes = Map::new();
            self.notes.drain("notes", &mut changes)?;
            Ok(changes)
        }

        fn settle(&mut self) {
            self.notes.settle();
        }

        fn replay(&mut self, mut changes: Map<String, Value>) -> Result<(), serde_json::Error> {
            self.notes.replay("notes", &mut changes)
        }
    }

    fn open(directory: &Path) -> (Store, Notes) {
        Store::open(Some(directory), "notes", Notes::default).unwrap()
    }

    #[test]
    fn what_was_committed_is_there_after_a_kill() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, mut notes) = open(directory.path());
        notes.notes.insert(1, "one".to_owned());
        notes.notes.insert(2, "two".to_owned());
        store.commit(&mut notes).unwrap();
        notes.notes.remove(2);
        notes.notes.edit(1).unwrap().push('!');
        store.commit(&mut notes).unwrap();
        // Never committed, so never promised.
        notes.notes.insert(3, "three".to_owned());
        drop(store);
        let (_store, notes) = open(directory.path());
        assert_eq!(notes.notes.iter().collect::<Vec<_>>(), [(1, &"one!".to_owned())]);
    }

    #[test]
    fn a_torn_last_line_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, mut notes) = open(directory.path());
        notes.notes.insert(1, "one".to_owned());
        store.commit(&mut notes).unwrap();
        drop(store);
        let journal = directory.path().join("notes.journal");
        let mut bytes = fs::read(&journal).unwrap();
        bytes.extend_from_slice(br#"{"notes":{"2":"tw"#);
        fs::write(&journal, bytes).unwrap();
        let (_store, notes) = open(directory.path());
        assert_eq!(notes.notes.iter().count(), 1);
    }

    #[test]
    fn a_directory_has_one_user() {
        let directory = tempfile::tempdir().unwrap();
        let (_store, _notes) = open(directory.path());
        let second = Store::open(Some(directory.path()), "notes", Notes::default);
        assert!(matches!(second, Err(SandboxError::InUse { .. })));
    }
}
