//! Exit codes that schedulers rely on, where no other test has them.

use serde_json::{Value, json};

use crate::folder::{CONVERSION, Folder};
use crate::rig::Rig;

const COPY: &str = "flows:\n  all: {from: files.in, to: files.out, mode: insert, fields: {id: $.id}}\n";

fn copied() -> Folder {
    let folder = Folder::new();
    folder.convert(&[json!({"id": 1})], COPY).expect(0);
    folder
}

#[test]
fn wrong_usage_and_a_pipeline_that_is_not_there_end_with_2() {
    let folder = copied();
    folder.crosswalk(&["run"]).expect(2);
    folder
        .crosswalk(&["run", "nowhere.yaml"])
        .expect(2)
        .says("nowhere.yaml");
    folder.run_pipeline(CONVERSION, &["--frobnicate"]).expect(2);
}

#[test]
fn a_state_that_cannot_be_used_ends_with_9() {
    let folder = copied();
    folder.write("corrupt.db", &"this is no database ".repeat(400));
    folder
        .run_pipeline(CONVERSION, &["--state", "corrupt.db"])
        .expect(9)
        .says("corrupt.db");

    let state = rusqlite::Connection::open(folder.path(".crosswalk/state.db")).unwrap();
    state.pragma_update(None, "user_version", 4242).unwrap();
    drop(state);
    folder.run_pipeline(CONVERSION, &[]).expect(9).says("newer");
    folder.crosswalk(&["status", CONVERSION]).expect(9).says("newer");
}

#[test]
fn snapshots_that_cannot_be_written_end_with_9() {
    let folder = copied();
    // A file in the way holds for every user, root as well, for whom a read-only folder is writable.
    folder.write("in_the_way", "");
    folder
        .run_pipeline(CONVERSION, &["--snapshots", "in_the_way"])
        .expect(9)
        .says("in_the_way");
}

#[test]
fn a_time_limit_ends_with_10_and_the_next_run_goes_on() {
    let rig = Rig::new(40);
    rig.faults(
        "oro",
        &json!([{"match": "POST /admin/api/cases", "delay_ms": 500, "times": 1000}]),
    );
    let ran = rig.run(&["--time-limit", "1500ms"]).expect(10).says("time limit");
    assert_eq!(ran.summary["ending"], "stopped_early", "{}", ran.summary);
    rig.control("oro", "DELETE", "faults", &Value::Null);
    rig.run(&[]).expect(0);
    rig.assert_in_step();
}
