//! The suite on SQLite, and what only a file can do wrong.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, ffi};
use uuid::Uuid;

use super::SqliteState;
use crate::state::suite::state_suite;
use crate::state::{
    Batch, FlowRef, Holder, Intent, LinkChange, QueueItem, QueueKind, QueuedRecord, State, StateError,
};

state_suite!(SqliteState::in_memory().unwrap());

const FLOW: FlowRef<'static> = FlowRef {
    pipeline: "helpdesk-crm",
    flow: "cases",
};

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kept/state.db");
    (directory, path)
}

fn linked(source: &str, target: &str) -> Batch {
    let mut batch = Batch::new(FLOW, Uuid::from_u128(1), Timestamp::UNIX_EPOCH);
    batch.links = vec![LinkChange::Put {
        source: source.to_owned(),
        target: target.to_owned(),
    }];
    batch
}

fn intent() -> Intent {
    Intent {
        id: Uuid::from_u128(7),
        pipeline: FLOW.pipeline.to_owned(),
        flow: FLOW.flow.to_owned(),
        connection: "crm".to_owned(),
        stream: "cases".to_owned(),
        operation: "update".to_owned(),
        key: Some("a".to_owned()),
        source_key: "1".to_owned(),
        request: b"{}".to_vec(),
        baseline: None,
        pair: None,
        create: None,
        first_sent: Timestamp::UNIX_EPOCH,
        job: None,
        run: Uuid::from_u128(1),
    }
}

#[test]
fn what_was_committed_is_there_after_reopening_and_nothing_else() {
    let (_directory, path) = place();
    let state = SqliteState::open(&path).unwrap();
    state.commit(&linked("1", "a")).unwrap();
    state.put_intents(&[intent()]).unwrap();
    let key = state.digest_key();
    let sequence = state.next_sequence(5).unwrap();
    {
        // The process dies in the middle of a transaction: nothing is rolled back in order, nothing is closed.
        let connection = state.connection();
        connection
            .execute_batch("BEGIN IMMEDIATE; DELETE FROM links; DELETE FROM intents; UPDATE meta SET value = 99 WHERE name = 'sequence';")
            .unwrap();
    }
    let crashed = copy_of(&path);
    let reopened = SqliteState::open_existing(&crashed.path().join("state.db")).unwrap();
    assert_eq!(
        reopened.links(FLOW, &["1"]).unwrap()["1"].target.as_deref(),
        Some("a")
    );
    assert_eq!(reopened.open_intents(FLOW.pipeline).unwrap(), [intent()]);
    assert_eq!(reopened.digest_key(), key);
    assert_eq!(reopened.next_sequence(1).unwrap(), sequence + 5);
}

/// What a crash leaves of the store: its file and its log, as they are now.
fn copy_of(path: &Path) -> tempfile::TempDir {
    let crashed = tempfile::tempdir().unwrap();
    for name in ["state.db", "state.db-wal"] {
        let from = path.with_file_name(name);
        std::fs::copy(from, crashed.path().join(name)).unwrap();
    }
    crashed
}

#[test]
fn a_torn_log_loses_the_last_commit_only() {
    let (_directory, path) = place();
    let state = SqliteState::open(&path).unwrap();
    state.commit(&linked("1", "a")).unwrap();
    state.commit(&linked("2", "b")).unwrap();
    let crashed = copy_of(&path);
    let log = std::fs::OpenOptions::new()
        .write(true)
        .open(crashed.path().join("state.db-wal"))
        .unwrap();
    log.set_len(log.metadata().unwrap().len() - 100).unwrap();
    let reopened = SqliteState::open_existing(&crashed.path().join("state.db")).unwrap();
    let links = reopened.links(FLOW, &["1", "2"]).unwrap();
    assert!(links.contains_key("1") && !links.contains_key("2"));
}

#[test]
fn two_processes_may_share_a_file() {
    let (_directory, path) = place();
    let one = SqliteState::open(&path).unwrap();
    let other = SqliteState::open(&path).unwrap();
    one.commit(&linked("1", "a")).unwrap();
    other.commit(&linked("2", "b")).unwrap();
    assert_eq!(one.link_count(FLOW).unwrap(), 2);
    assert_eq!(one.digest_key(), other.digest_key());
    let numbers = [
        one.next_sequence(1).unwrap(),
        other.next_sequence(1).unwrap(),
        one.next_sequence(1).unwrap(),
    ];
    assert_eq!(numbers, [1, 2, 3]);
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, path) = place();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let state = SqliteState::open(&path).unwrap();
    state.commit(&linked("1", "a")).unwrap();
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        let mode = std::fs::metadata(path.with_file_name(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let (_directory, path) = place();
    drop(SqliteState::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = SqliteState::open(&path).unwrap_err();
    assert!(matches!(error, StateError::Newer { found: 99, .. }));
    assert!(error.is_unusable());
    assert!(error.to_string().contains("use the newer program"));
}

#[test]
fn other_files_are_refused() {
    let (_directory, path) = place();
    let missing = SqliteState::open_existing(&path).unwrap_err();
    assert!(matches!(missing, StateError::Missing { .. }));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(
        &path,
        "not a database, but a longer text than its header".repeat(9),
    )
    .unwrap();
    let text = SqliteState::open(&path).unwrap_err();
    assert!(matches!(text, StateError::NotState { .. }), "{text:?}");
    std::fs::remove_file(&path).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("CREATE TABLE somebody_elses (id INTEGER)")
        .unwrap();
    drop(connection);
    let foreign = SqliteState::open(&path).unwrap_err();
    assert!(matches!(foreign, StateError::NotState { .. }), "{foreign:?}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let (directory, _) = place();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = SqliteState::open(&file.join("state.db")).unwrap_err();
    assert!(matches!(error, StateError::CannotOpen { .. }), "{error:?}");
}

#[test]
fn damage_is_told_apart() {
    let (_directory, path) = place();
    let state = SqliteState::open(&path).unwrap();
    for number in 0..2_000 {
        state
            .commit(&linked(&number.to_string(), &format!("target {number}")))
            .unwrap();
    }
    drop(state);
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    // Everything after the first page, which holds the header and the list of tables.
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xA5; bytes.len() - 4096]).unwrap();
    drop(file);
    let error = SqliteState::open(&path)
        .and_then(|state| state.links(FLOW, &["1"]))
        .unwrap_err();
    assert!(matches!(error, StateError::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_full_disk_is_told_apart_and_loses_nothing_committed() {
    let (_directory, path) = place();
    let state = SqliteState::open(&path).unwrap();
    state.commit(&linked("1", "a")).unwrap();
    state
        .connection()
        .query_row("PRAGMA max_page_count = 1", [], |_| Ok(()))
        .unwrap();
    let long = "x".repeat(100_000);
    let error = state.commit(&linked(&long, "b")).unwrap_err();
    assert!(matches!(error, StateError::Full { .. }), "{error:?}");
    assert_eq!(state.link_count(FLOW).unwrap(), 1);
}

#[test]
fn a_read_only_file_is_told_apart() {
    let (_directory, path) = place();
    let state = SqliteState::open(&path).unwrap();
    state
        .connection()
        .execute_batch("PRAGMA query_only = ON")
        .unwrap();
    let error = state.commit(&linked("1", "a")).unwrap_err();
    assert!(matches!(error, StateError::ReadOnly { .. }), "{error:?}");
    for code in [ffi::SQLITE_READONLY_DIRECTORY, ffi::SQLITE_READONLY_DBMOVED] {
        let source = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let error = StateError::from_sqlite(&path, source);
        assert!(matches!(error, StateError::ReadOnly { .. }), "{error:?}");
    }
}

#[test]
fn a_baseline_in_another_canonical_form_is_none() {
    let state = SqliteState::in_memory().unwrap();
    let mut batch = linked("1", "a");
    batch.baselines = vec![(
        "1".to_owned(),
        crate::state::Baseline {
            source_version: None,
            sequence: 5,
            whole: crate::state::Digest([1; 16]),
            names: Vec::new().into(),
            rows: Vec::new(),
        },
    )];
    state.commit(&batch).unwrap();
    state
        .connection()
        .execute("UPDATE baselines SET form = form + 1, sequence = 9", [])
        .unwrap();
    assert!(state.baselines(FLOW, &["1"]).unwrap().is_empty());
    // What is known in the present form replaces it, whatever its number.
    state.commit(&batch).unwrap();
    assert_eq!(state.baselines(FLOW, &["1"]).unwrap()["1"].sequence, 5);
}

#[test]
fn erased_values_leave_the_file() {
    let (_directory, path) = place();
    let state = SqliteState::open(&path).unwrap();
    let secret = "ann.private@example.com";
    let mut batch = Batch::new(FLOW, Uuid::from_u128(1), Timestamp::UNIX_EPOCH);
    batch.queue_put = vec![QueueItem {
        kind: QueueKind::Rejected,
        key: "1".to_owned(),
        field: None,
        rule: "lookup".to_owned(),
        code: "none".to_owned(),
        reason: "nobody".to_owned(),
        value: None,
        record: QueuedRecord::Redacted(secret.to_owned()),
        attempts: 1,
        first_seen: Timestamp::UNIX_EPOCH,
        last_seen: Timestamp::UNIX_EPOCH,
        sequence: 1,
        run: Uuid::from_u128(1),
        waits_for: None,
        held_rows: Vec::new(),
    }];
    state.commit(&batch).unwrap();
    state.queue_drop(FLOW, &["1"]).unwrap();
    // Closing moves the log into the file and removes it.
    drop(state);
    let bytes = std::fs::read(&path).unwrap();
    assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none());
}

#[test]
fn one_run_holds_a_pipelines_lease() {
    let (_directory, path) = place();
    let state = SqliteState::open(&path).unwrap();
    let other = SqliteState::open(&path).unwrap();
    let holder = |run| Holder::this_process(Uuid::from_u128(run), Timestamp::UNIX_EPOCH);
    assert_eq!(state.lease_holder("a/b").unwrap(), None);
    let lease = state.lease("a/b", &holder(1)).unwrap();
    assert_eq!(lease.pipeline(), "a/b");
    let error = other.lease("a/b", &holder(2)).unwrap_err();
    assert!(!error.is_unusable());
    let message = error.to_string();
    assert!(message.contains(&std::process::id().to_string()), "{message}");
    assert!(message.contains(&Uuid::from_u128(1).to_string()), "{message}");
    assert_eq!(other.lease_holder("a/b").unwrap(), Some(holder(1)));
    let elsewhere = other.lease("a-b", &holder(2)).unwrap();
    drop(lease);
    assert_eq!(other.lease_holder("a/b").unwrap(), None);
    let next = other.lease("a/b", &holder(3)).unwrap();
    assert_eq!(state.lease_holder("a/b").unwrap(), Some(holder(3)));
    drop((elsewhere, next));
}
