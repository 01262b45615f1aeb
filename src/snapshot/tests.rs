//! Whole runs written, killed, recovered, read back and verified.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::compile::compiled::{Column, SnapshotPolicy, WritePolicy};
use crate::expression::{TargetType, Value};
use crate::mapping::Columns;

const ALL: SnapshotPolicy = SnapshotPolicy {
    extracted: true,
    mapped: true,
    planned: true,
    loaded: true,
    rejected: true,
};

fn open(root: &Path) -> RunWriter {
    RunWriter::create(root, "cases", Uuid::now_v7(), Opening::default(), ALL).unwrap()
}

fn head(key: &str) -> RowHead<'_> {
    RowHead {
        record_key: key,
        correlation_id: "c-1",
        at: Timestamp::from_second(1_700_000_000).unwrap(),
    }
}

fn planned(writer: &RunWriter, batch: u64, keys: &[&str]) {
    let mut rows = PlannedRows::new(writer.run(), "tickets", batch);
    for key in keys {
        let row = PlannedRow {
            decision: "update",
            changed_fields: &["subject".to_owned(), "status".to_owned()],
            before: Some("{\"subject\":\"a\"}"),
            after: Some("{\"subject\":\"b\"}"),
            ..PlannedRow::default()
        };
        rows.push(&head(key), &row);
    }
    writer.append(&rows.finish().unwrap()).unwrap();
}

fn extracted(writer: &RunWriter, key: &str) {
    let mut rows = ExtractedRows::new(writer.run(), "tickets", 0);
    rows.push(&head(key), b"{\"id\": 1.10}", None, false);
    writer.append(&rows.finish().unwrap()).unwrap();
}

fn closing() -> Closing {
    Closing {
        ending: "complete".to_owned(),
        ..Closing::default()
    }
}

fn keys(run: &PastRun, stage: Stage) -> Vec<String> {
    run.rows(stage, Some("tickets"))
        .map(|row| row.unwrap().record_key)
        .collect()
}

/// A process that dies leaves its files as they are.
fn die(writer: RunWriter) -> Uuid {
    let run = writer.run();
    drop(writer);
    run
}

fn all_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn a_run_reads_back_as_it_was_written() {
    let root = tempfile::tempdir().unwrap();
    let writer = open(root.path());
    extracted(&writer, "7");
    planned(&writer, 0, &["7", "8"]);
    planned(&writer, 1, &["9"]);
    let columns = [Column {
        name: "at".to_owned(),
        column_type: TargetType::Integer,
        write: WritePolicy::Always,
    }];
    let mut cells = ColumnsBuilder::new(&columns);
    cells.append(0, Some(&Value::from(5))).unwrap();
    cells.end_row();
    let mut heads = Heads::new(writer.run(), "tickets", 0);
    heads.push(&head("7"));
    writer
        .append(&heads.mapped(&cells.finish().unwrap()).unwrap())
        .unwrap();
    let mut loaded = LoadedRows::new(writer.run(), "tickets", 0);
    let row = LoadedRow {
        action: "update",
        status: Some(200),
        attempts: 2,
        latency_ms: Some(31),
        ..LoadedRow::default()
    };
    loaded.push(&head("7"), &row);
    writer.append(&loaded.finish().unwrap()).unwrap();
    let rejected = RejectedRows::new(writer.run(), "tickets", 0);
    writer.append(&rejected.finish().unwrap()).unwrap();
    writer.sync().unwrap();
    let run = writer.run();
    let manifest = writer.finish(closing()).unwrap();

    let past = PastRun::open(root.path(), "cases", run).unwrap();
    assert_eq!(past.manifest(), &manifest);
    assert_eq!(keys(&past, Stage::Planned), ["7", "8", "9"]);
    let plan = past.rows(Stage::Planned, None).next().unwrap().unwrap();
    assert_eq!(
        plan.columns["changed_fields"],
        serde_json::json!(["subject", "status"])
    );
    assert_eq!(plan.text("before"), Some("{\"subject\":\"a\"}"));
    assert_eq!(plan.at, head("7").at);
    let raw = past.rows(Stage::Extracted, None).next().unwrap().unwrap();
    assert_eq!(raw.text("raw"), Some("{\"id\": 1.10}"));
    let mapped = past.rows(Stage::Mapped, None).next().unwrap().unwrap();
    assert_eq!(
        mapped.columns["at_"], 5,
        "a target called like a head column moves aside"
    );
    let load = past.rows(Stage::Loaded, None).next().unwrap().unwrap();
    assert_eq!(
        (&load.columns["status"], &load.columns["error"]),
        (&200.into(), &serde_json::Value::Null)
    );
    // An empty stage leaves no file, and no journal stays.
    let names: Vec<String> = all_files(&root.path().join("pipeline=cases"))
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 4 + 2, "{names:?}");
    assert_eq!(verify(root.path(), "cases").unwrap(), []);
}

#[test]
fn a_run_that_changed_nothing_leaves_a_manifest_only() {
    let root = tempfile::tempdir().unwrap();
    let writer = open(root.path());
    let directory = writer.directory().to_owned();
    let manifest = writer.finish(closing()).unwrap();
    assert_eq!(manifest.files, []);
    assert_eq!(all_files(&directory), [directory.join("manifest.json")]);
}

#[test]
fn a_stage_that_is_not_kept_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let policy = SnapshotPolicy {
        planned: false,
        ..ALL
    };
    let writer = RunWriter::create(root.path(), "cases", Uuid::now_v7(), Opening::default(), policy).unwrap();
    planned(&writer, 0, &["7"]);
    assert_eq!(writer.finish(closing()).unwrap().files, []);
}

#[test]
fn a_killed_run_is_sealed_with_every_whole_batch() {
    let root = tempfile::tempdir().unwrap();
    let writer = open(root.path());
    extracted(&writer, "1");
    planned(&writer, 0, &["1", "2"]);
    writer.sync().unwrap();
    planned(&writer, 1, &["3"]);
    let directory = writer.directory().to_owned();
    let run = die(writer);
    // The last write was cut.
    let journal = directory.join("_journal/planned/tickets-00000.journal");
    let length = fs::metadata(&journal).unwrap().len();
    fs::OpenOptions::new()
        .write(true)
        .open(&journal)
        .unwrap()
        .set_len(length - 5)
        .unwrap();

    let error = RunWriter::create(root.path(), "cases", Uuid::now_v7(), Opening::default(), ALL).unwrap_err();
    assert!(matches!(error, SnapshotError::NotSealed { run: open, .. } if open == run));
    let manifest = recover(root.path(), "cases").unwrap().unwrap();
    assert_eq!(
        (manifest.run, manifest.ending.as_str(), manifest.exit_code),
        (run, "interrupted", None)
    );
    assert_eq!(manifest.partial, [Stage::Extracted]);
    assert_eq!(manifest.torn.len(), 1);
    let past = PastRun::open(root.path(), "cases", run).unwrap();
    assert_eq!(keys(&past, Stage::Planned), ["1", "2"]);
    let left = all_files(&directory);
    assert!(
        left.iter().all(|path| path
            .extension()
            .is_some_and(|end| end == "parquet" || end == "json")),
        "{left:?}"
    );
    assert_eq!(recover(root.path(), "cases").unwrap(), None, "sealed once");

    let opening = Opening {
        continues: Some(run),
        ..Opening::default()
    };
    let next = RunWriter::create(root.path(), "cases", Uuid::now_v7(), opening, ALL).unwrap();
    assert_eq!(next.finish(closing()).unwrap().continues, Some(run));
    assert_eq!(verify(root.path(), "cases").unwrap(), []);
}

/// Recovery itself may die after any of its steps and is then simply repeated.
#[test]
fn recovery_can_be_repeated_from_any_step() {
    let root = tempfile::tempdir().unwrap();
    let writer = open(root.path());
    planned(&writer, 0, &["1"]);
    let directory = writer.directory().to_owned();
    let journal = directory.join("_journal/planned/tickets-00000.journal");
    let content = fs::read(&journal).unwrap();
    let run = die(writer);
    let chain = root.path().join("pipeline=cases/chain.ndjson");
    let opened = fs::read(&chain).unwrap();
    let first = recover(root.path(), "cases").unwrap().unwrap();

    // Died after the manifest, before the closing link.
    fs::write(&chain, &opened).unwrap();
    assert_eq!(recover(root.path(), "cases").unwrap().unwrap(), first);
    assert_eq!(verify(root.path(), "cases").unwrap(), []);

    // Died after the part, before its journal was removed; another part was half written.
    fs::write(&chain, &opened).unwrap();
    fs::remove_file(directory.join("manifest.json")).unwrap();
    fs::create_dir_all(journal.parent().unwrap()).unwrap();
    fs::write(&journal, &content).unwrap();
    fs::write(directory.join("planned/tickets-00001.parquet.tmp"), b"PAR1").unwrap();
    let again = recover(root.path(), "cases").unwrap().unwrap();
    assert_eq!(again.files, first.files);
    assert_eq!(
        keys(&PastRun::open(root.path(), "cases", run).unwrap(), Stage::Planned),
        ["1"]
    );
    assert!(!journal.exists());
    assert_eq!(all_files(&directory).len(), 2);

    // Died before anything but the opening was durable.
    let bare = open(root.path());
    let directory = bare.directory().to_owned();
    die(bare);
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(recover(root.path(), "cases").unwrap().unwrap().files, []);
    assert_eq!(verify(root.path(), "cases").unwrap(), []);
}

#[test]
fn every_change_after_the_fact_is_found() {
    let root = tempfile::tempdir().unwrap();
    for key in ["1", "2"] {
        let writer = open(root.path());
        planned(&writer, 0, &[key]);
        writer.finish(closing()).unwrap();
    }
    let base = root.path().join("pipeline=cases");
    for path in all_files(&base) {
        let content = fs::read(&path).unwrap();
        let mut changed = content.clone();
        // A byte that stays readable JSON, and is in the middle of a Parquet file.
        let position = content.iter().rposition(u8::is_ascii_digit).unwrap();
        changed[position] = if content[position] == b'7' { b'8' } else { b'7' };
        fs::write(&path, &changed).unwrap();
        let found = verify(root.path(), "cases");
        let is_last_link = path.ends_with("chain.ndjson");
        assert!(
            found.is_err() || found.is_ok_and(|found| !found.is_empty()) || is_last_link,
            "{}",
            path.display()
        );
        fs::remove_file(&path).unwrap();
        if !is_last_link {
            assert_ne!(
                verify(root.path(), "cases").unwrap(),
                [],
                "{} is gone",
                path.display()
            );
        }
        fs::write(&path, &content).unwrap();
    }
    assert_eq!(verify(root.path(), "cases").unwrap(), []);
}
