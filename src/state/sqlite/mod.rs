//! [`SqliteState`]: the store in one SQLite file.
//!
//! One connection behind a mutex: transactions are short, and whole batches go through each. The file is readable by its
//! owner only and in WAL mode, so that people may look into it with any SQLite tool while a run goes on. Commits that
//! hold intents wait for the disk (`synchronous=FULL`); the others may lose the last of them when power fails, never in
//! part: the cursor goes back with them and the records are read again.

mod budgets;
mod commit;
mod intents;
mod lookups;
mod pairs;
mod queue;
mod read;
mod runs;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use uuid::Uuid;

use super::lease::{FileLease, PrivateLease};
use super::{
    Baseline, Batch, BudgetDraw, BudgetGrant, BudgetRef, CachedLookup, Claim, Committed, CreateKey, Fallback,
    FlowRef, Holder, Intent, Lease, Link, QueueFilter, QueueItem, Run, RunEnd, RunStart, State, StateError,
    Status, StoredCursor, StoredPair,
};
use crate::compile::compiled::Side;
use crate::crash::{self, Point};

/// How long another process may keep the file locked before that is an error.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The store in a SQLite file.
#[derive(Debug)]
pub struct SqliteState {
    /// Its file; `:memory:` for one that lives in this process only.
    path: PathBuf,
    /// Whether other processes can reach it.
    private: bool,
    digest_key: [u8; 32],
    connection: Mutex<Connection>,
}

impl SqliteState {
    /// Opens the store at `path`, making it and its directory if they are not there.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        make_file(path)?;
        Self::open_existing(path)
    }

    /// Opens the store at `path`, which must be there.
    pub fn open_existing(path: &Path) -> Result<Self, StateError> {
        if !path.exists() {
            return Err(StateError::Missing {
                path: path.to_owned(),
            });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|source| StateError::from_sqlite(path, source))?;
        if connection.is_readonly("main").unwrap_or(false) {
            return Err(StateError::ReadOnly {
                path: path.to_owned(),
            });
        }
        Self::prepare(connection, path.to_owned(), false)
    }

    /// A store that lives in this process only and is gone with it.
    pub fn in_memory() -> Result<Self, StateError> {
        let path = PathBuf::from(":memory:");
        let connection =
            Connection::open_in_memory().map_err(|source| StateError::from_sqlite(&path, source))?;
        Self::prepare(connection, path, true)
    }

    /// A copy of the store at `path` that lives in this process only; an empty one if there is none. What is done with
    /// it leaves the file alone.
    pub fn scratch_copy(path: &Path) -> Result<Self, StateError> {
        if !path.exists() {
            return Self::in_memory();
        }
        let failed = |source| StateError::from_sqlite(path, source);
        let source = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        let mut copy = Connection::open_in_memory().map_err(failed)?;
        rusqlite::backup::Backup::new(&source, &mut copy)
            .and_then(|backup| backup.run_to_completion(i32::MAX, Duration::ZERO, None))
            .map_err(failed)?;
        Self::prepare(copy, PathBuf::from(":memory:"), true)
    }

    fn prepare(mut connection: Connection, path: PathBuf, private: bool) -> Result<Self, StateError> {
        let failed = |source| StateError::from_sqlite(&path, source);
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection
            .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
            .map_err(failed)?;
        connection
            .execute_batch("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;")
            .map_err(failed)?;
        // Erased rows are overwritten: they held personal data.
        connection
            .query_row("PRAGMA secure_delete = ON", [], |_| Ok(()))
            .map_err(failed)?;
        schema::migrate(&mut connection, &path)?;
        let digest_key = connection
            .query_row("SELECT value FROM meta WHERE name = 'digest_key'", [], |row| {
                row.get(0)
            })
            .map_err(failed)?;
        Ok(SqliteState {
            path,
            private,
            digest_key,
            connection: Mutex::new(connection),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A panic while the connection was held rolled its transaction back, so that the connection is good.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: rusqlite::Error) -> StateError {
        StateError::from_sqlite(&self.path, source)
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StateError> {
        let connection = self.connection();
        // One view of the file for all statements, and no lock taken anew for each.
        let transaction = connection
            .unchecked_transaction()
            .map_err(|source| self.failed(source))?;
        work(&transaction).map_err(|source| self.failed(source))
    }

    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>) -> Result<T, StateError> {
        let mut connection = self.connection();
        self.write_with(&mut connection, work)
    }

    /// As `write`, and on return the change survives the loss of power.
    fn write_durably<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StateError> {
        let mut connection = self.connection();
        let synchronous = |connection: &Connection, value: &str| {
            connection
                .pragma_update(None, "synchronous", value)
                .map_err(|source| self.failed(source))
        };
        synchronous(&connection, "FULL")?;
        let result = self.write_with(&mut connection, work);
        synchronous(&connection, "NORMAL")?;
        result
    }

    fn write_with<T>(
        &self,
        connection: &mut Connection,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StateError> {
        let failed = |source| self.failed(source);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        match work(&transaction) {
            Ok(value) => {
                transaction.commit().map_err(failed)?;
                Ok(value)
            }
            Err(Failure::Sqlite(source)) => Err(failed(source)),
            Err(Failure::State(error)) => Err(*error),
        }
    }
}

/// Why a transaction is rolled back.
enum Failure {
    Sqlite(rusqlite::Error),
    State(Box<StateError>),
}

impl From<rusqlite::Error> for Failure {
    fn from(source: rusqlite::Error) -> Self {
        Failure::Sqlite(source)
    }
}

impl State for SqliteState {
    fn digest_key(&self) -> [u8; 32] {
        self.digest_key
    }

    fn next_sequence(&self, count: u64) -> Result<u64, StateError> {
        self.write(|transaction| {
            let last: i64 = transaction.query_row(
                "UPDATE meta SET value = value + ?1 WHERE name = 'sequence' RETURNING value",
                [to_stored(count)],
                |row| row.get(0),
            )?;
            Ok(to_count(last).saturating_sub(count) + 1)
        })
    }

    fn lease(&self, pipeline: &str, holder: &Holder) -> Result<Box<dyn Lease>, StateError> {
        if self.private {
            return Ok(Box::new(PrivateLease(pipeline.to_owned())));
        }
        let lease = FileLease::acquire(&self.path, pipeline, holder)?;
        Ok(Box::new(lease))
    }

    fn lease_holder(&self, pipeline: &str) -> Result<Option<Holder>, StateError> {
        if self.private {
            return Ok(None);
        }
        Ok(FileLease::current(&self.path, pipeline))
    }

    fn cursor(&self, flow: FlowRef<'_>, stream: &str) -> Result<Option<StoredCursor>, StateError> {
        self.read(|connection| read::cursor(connection, flow, stream))
    }

    fn links(&self, flow: FlowRef<'_>, sources: &[&str]) -> Result<HashMap<String, Link>, StateError> {
        self.read(|connection| read::links(connection, flow, sources))
    }

    fn linked_sources(
        &self,
        flow: FlowRef<'_>,
        targets: &[&str],
    ) -> Result<HashMap<String, String>, StateError> {
        self.read(|connection| read::linked_sources(connection, flow, targets))
    }

    fn links_after(
        &self,
        flow: FlowRef<'_>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Link)>, StateError> {
        self.read(|connection| read::links_after(connection, flow, after, limit))
    }

    fn link_count(&self, flow: FlowRef<'_>) -> Result<u64, StateError> {
        self.read(|connection| read::link_count(connection, flow))
    }

    fn baselines(
        &self,
        flow: FlowRef<'_>,
        sources: &[&str],
    ) -> Result<HashMap<String, Baseline>, StateError> {
        self.read(|connection| read::baselines(connection, flow, sources))
    }

    fn pairs(
        &self,
        flow: FlowRef<'_>,
        side: Side,
        keys: &[&str],
    ) -> Result<HashMap<String, StoredPair>, StateError> {
        self.read(|connection| pairs::pairs(connection, flow, side, keys))
    }

    fn pairs_after(
        &self,
        flow: FlowRef<'_>,
        side: Side,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredPair>, StateError> {
        self.read(|connection| pairs::pairs_after(connection, flow, side, after, limit))
    }

    fn commit(&self, batch: &Batch) -> Result<Committed, StateError> {
        for (point, _) in batch.crash_points() {
            crash::at(point);
        }
        let committed = self.write(|transaction| commit::commit(transaction, batch))?;
        for (_, point) in batch.crash_points() {
            crash::at(point);
        }
        Ok(committed)
    }

    fn put_intents(&self, intents: &[Intent]) -> Result<(), StateError> {
        crash::at(Point::IntentBefore);
        self.write_durably(|transaction| intents::put(transaction, intents))?;
        crash::at(Point::IntentAfter);
        Ok(())
    }

    fn set_intent_job(&self, intents: &[Uuid], job: &str) -> Result<(), StateError> {
        crash::at(Point::JobBefore);
        self.write_durably(|transaction| intents::set_job(transaction, intents, job))?;
        crash::at(Point::JobAfter);
        Ok(())
    }

    fn open_intents(&self, pipeline: &str) -> Result<Vec<Intent>, StateError> {
        self.read(|connection| intents::open(connection, pipeline))
    }

    fn claim_creates(
        &self,
        pipeline: &str,
        run: Uuid,
        keys: &[CreateKey],
        believe_after: Timestamp,
    ) -> Result<Vec<Claim>, StateError> {
        crash::at(Point::ClaimBefore);
        let claims = self
            .write_durably(|transaction| intents::claim(transaction, pipeline, run, keys, believe_after))?;
        crash::at(Point::ClaimAfter);
        Ok(claims)
    }

    fn release_creates(&self, run: Uuid, keys: &[CreateKey]) -> Result<(), StateError> {
        self.write(|transaction| intents::release(transaction, run, keys))
    }

    fn queue_list(
        &self,
        pipeline: &str,
        filter: &QueueFilter,
    ) -> Result<Vec<(String, QueueItem)>, StateError> {
        self.read(|connection| queue::list(connection, pipeline, filter))
    }

    fn queue_show(&self, flow: FlowRef<'_>, key: &str) -> Result<Option<QueueItem>, StateError> {
        self.read(|connection| queue::show(connection, flow, key))
    }

    fn queue_held(&self, flow: FlowRef<'_>, code: &str) -> Result<HashMap<String, String>, StateError> {
        self.read(|connection| queue::held(connection, flow, code))
    }

    fn queue_drop(&self, flow: FlowRef<'_>, keys: &[&str]) -> Result<u64, StateError> {
        self.write(|transaction| queue::drop_items(transaction, flow, keys))
    }

    fn queue_retry(&self, flow: FlowRef<'_>, keys: &[&str]) -> Result<u64, StateError> {
        self.write(|transaction| queue::ask_retry(transaction, flow, keys))
    }

    fn queue_resolve(
        &self,
        flow: FlowRef<'_>,
        key: &str,
        rows: &[&str],
        winner: Side,
    ) -> Result<u64, StateError> {
        self.write(|transaction| queue::resolve(transaction, flow, key, rows, winner))
    }

    fn queue_retryable(
        &self,
        flow: FlowRef<'_>,
        at_most_attempts: Option<u32>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<QueueItem>, StateError> {
        self.read(|connection| queue::retryable(connection, flow, at_most_attempts, after, limit))
    }

    fn cached_lookups(
        &self,
        scope: &str,
        lookup: &str,
        keys: &[&str],
        now: Timestamp,
    ) -> Result<HashMap<String, CachedLookup>, StateError> {
        self.read(|connection| lookups::cached(connection, scope, lookup, keys, now))
    }

    fn put_cached_lookups(
        &self,
        scope: &str,
        lookup: &str,
        answers: &[CachedLookup],
    ) -> Result<(), StateError> {
        self.write(|transaction| lookups::put(transaction, scope, lookup, answers))
    }

    fn expire_cached_lookups(&self, now: Timestamp) -> Result<u64, StateError> {
        self.write(|transaction| lookups::expire(transaction, now))
    }

    fn fallbacks(&self, flow: FlowRef<'_>) -> Result<Vec<Fallback>, StateError> {
        self.read(|connection| lookups::fallbacks(connection, flow))
    }

    fn draw_budget(&self, draw: &BudgetDraw<'_>) -> Result<BudgetGrant, StateError> {
        self.write(|transaction| budgets::draw(transaction, draw))
    }

    fn pause_budget(&self, budget: BudgetRef<'_>, until: Timestamp) -> Result<(), StateError> {
        self.write(|transaction| budgets::pause(transaction, budget, until))
    }

    fn correct_budget(
        &self,
        budget: BudgetRef<'_>,
        remaining: u64,
        now: Timestamp,
    ) -> Result<(), StateError> {
        self.write(|transaction| budgets::correct(transaction, budget, remaining, now))
    }

    fn start_run(&self, start: &RunStart) -> Result<(), StateError> {
        self.write(|transaction| runs::start(transaction, start))
    }

    fn end_run(&self, end: &RunEnd) -> Result<(), StateError> {
        self.write(|transaction| runs::end(transaction, end))
    }

    fn runs(&self, pipeline: &str, limit: usize) -> Result<Vec<Run>, StateError> {
        self.read(|connection| runs::list(connection, pipeline, limit))
    }

    fn status(&self, pipeline: &str) -> Result<Status, StateError> {
        let holder = self.lease_holder(pipeline)?;
        self.read(|connection| runs::status(connection, pipeline, holder))
    }
}

/// Makes an empty file that only its owner may read, unless there is one; takes others' rights from one that is there.
fn make_file(path: &Path) -> Result<(), StateError> {
    let failed = |source: io::Error| {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StateError::Full { path },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied if path.exists() => {
                StateError::ReadOnly { path }
            }
            _ => StateError::CannotOpen { path, source },
        }
    };
    if let Some(directory) = path.parent().filter(|path| !path.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let permissions = file.metadata().map_err(failed)?.permissions();
        if permissions.mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))
                .map_err(failed)?;
        }
    }
    drop(file);
    Ok(())
}

/// SQLite's integers are signed; a count beyond them does not happen.
fn to_stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn to_count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

fn to_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A stored value that does not mean anything: the file was damaged or edited.
fn unreadable(column: &str, reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    let reason: Box<dyn std::error::Error + Send + Sync> = reason.into();
    rusqlite::Error::FromSqlConversionFailure(
        0,
        rusqlite::types::Type::Text,
        format!("column `{column}`: {reason}").into(),
    )
}

/// A time as it is stored.
fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

fn time(stored: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(stored).map_err(|error| unreadable("time", error))
}

fn run_id(stored: &str) -> rusqlite::Result<Uuid> {
    Uuid::parse_str(stored).map_err(|error| unreadable("run", error))
}
