//! Commands by which people decide what a run cannot: which side wins, which records are one thing, what is published.

use crosswalk::compile::compiled::Side;
use crosswalk::state::{
    Batch, FlowRef, HeldRow, Holder, QueueItem, QueueKind, QueuedRecord, SqliteState, State,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::folder::Folder;

const CASES: FlowRef<'static> = FlowRef {
    pipeline: "sync",
    flow: "cases",
};

/// A folder with a pipeline file of which these commands read the names, and its state.
fn folder() -> (Folder, SqliteState) {
    let folder = Folder::new();
    folder.write("sync.yaml", "pipeline: sync\nflows: {cases: {}, contacts: {}}\n");
    let state = SqliteState::open(&folder.path(".crosswalk/state.db")).unwrap();
    (folder, state)
}

fn held_row(row: &str, remote: &str, local: &str) -> HeldRow {
    HeldRow {
        row: row.to_owned(),
        remote: Some(remote.to_owned()),
        local: Some(local.to_owned()),
        reason: "both sides changed".to_owned(),
        ruling: None,
    }
}

fn waits(state: &SqliteState, key: &str, held_rows: Vec<HeldRow>) {
    let item = QueueItem {
        kind: if held_rows.is_empty() {
            QueueKind::Rejected
        } else {
            QueueKind::Held
        },
        key: key.to_owned(),
        field: Some("priority".to_owned()),
        rule: "conflict".to_owned(),
        code: "held".to_owned(),
        reason: "a person decides".to_owned(),
        value: None,
        record: QueuedRecord::KeyOnly,
        attempts: 1,
        first_seen: Timestamp::UNIX_EPOCH,
        last_seen: Timestamp::UNIX_EPOCH,
        sequence: 1,
        run: Uuid::from_u128(1),
        waits_for: None,
        held_rows,
    };
    let mut batch = Batch::new(CASES, Uuid::from_u128(1), Timestamp::UNIX_EPOCH);
    batch.queue_put.push(item);
    state.commit(&batch).unwrap();
}

fn winners(folder: &Folder) -> Vec<Value> {
    let items = folder.queue("sync.yaml");
    let rows = items[0]["held_rows"].as_array().unwrap();
    rows.iter().map(|row| row["winner"].clone()).collect()
}

#[test]
fn held_rows_are_shown_with_both_values_and_a_side_is_chosen_for_each() {
    let (folder, state) = folder();
    let rows = vec![
        held_row("priority", "\"urgent\"", "\"low\""),
        held_row("owner", "{\"id\": 7}", "null"),
    ];
    waits(&state, "remote:4711", rows);

    let listed = folder.crosswalk(&["queue", "list", "sync.yaml"]).expect(0);
    for shown in [
        "remote:4711",
        "\"urgent\"",
        "\"low\"",
        "not chosen",
        "both sides changed",
    ] {
        assert!(listed.stdout.contains(shown), "{shown}: {}", listed.stdout);
    }
    let resolve = |options: &[&str]| {
        let mut arguments = vec!["queue", "resolve", "sync.yaml"];
        arguments.extend_from_slice(options);
        folder.crosswalk(&arguments)
    };
    resolve(&["4711", "--row", "subject", "--winner", "local"])
        .expect(2)
        .says("those that are held are priority, owner");
    resolve(&["4712", "--winner", "local"])
        .expect(2)
        .says("no record `4712` waits");
    assert_eq!(winners(&folder), [Value::Null, Value::Null]);

    resolve(&["4711", "--row", "owner", "--winner", "local"])
        .expect(0)
        .says("1 row of `4711`: local wins");
    assert_eq!(winners(&folder), [Value::Null, json!("local")]);
    resolve(&["remote:4711", "--winner", "remote"])
        .expect(0)
        .says("2 rows");
    assert_eq!(winners(&folder), [json!("remote"), json!("remote")]);
    let retried = state.queue_retryable(CASES, Some(0), None, 10).unwrap();
    assert_eq!(retried[0].held_rows[0].ruling, Some(Side::Remote));

    let shown = folder
        .crosswalk(&["queue", "show", "sync.yaml", "4711", "--format", "json"])
        .expect(0);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown[0]["held_rows"][1]["remote"], json!({"id": 7}));
    folder
        .crosswalk(&["queue", "show", "sync.yaml", "4711"])
        .expect(0)
        .says("{\"id\": 7}");
}

#[test]
fn a_key_without_its_side_means_one_record_or_is_asked_for_again() {
    let (folder, state) = folder();
    waits(&state, "remote:7", Vec::new());
    waits(&state, "local:7", Vec::new());
    folder
        .crosswalk(&["queue", "resolve", "sync.yaml", "7", "--winner", "local"])
        .expect(2)
        .says("no row of `7` waits for a choice");
    folder
        .crosswalk(&["queue", "drop", "sync.yaml", "7"])
        .expect(2)
        .says("say `remote:7` or `local:7`");
    folder
        .crosswalk(&["queue", "drop", "sync.yaml", "local:7"])
        .expect(0);
    folder.crosswalk(&["queue", "drop", "sync.yaml", "7"]).expect(0);
    assert!(folder.queue("sync.yaml").is_empty());
}

#[test]
fn links_are_made_ended_forgotten_and_listed() {
    let (folder, _state) = folder();
    let links = |arguments: &[&str]| {
        let mut all = vec!["links", arguments[0], "sync.yaml", "cases"];
        all.extend_from_slice(&arguments[1..]);
        folder.crosswalk(&all)
    };
    let listed = |options: &[&str]| -> Value {
        let mut arguments = vec!["list", "--format", "json"];
        arguments.extend_from_slice(options);
        serde_json::from_str(&links(&arguments).expect(0).stdout).unwrap()
    };
    links(&["list"]).expect(0).says("no linked records");
    links(&["add", "7", "C-1"]).expect(0).says("linked to `C-1` now");
    links(&["add", "8", "C-2"]).expect(0);
    links(&["add", "7", "C-1"]).expect(0).says("already");
    links(&["add", "7", "C-3"])
        .expect(2)
        .says("`7` of flow `cases` is linked to `C-1`");
    links(&["add", "9", "C-1"])
        .expect(2)
        .says("`C-1` of flow `cases` is linked to `7`");

    links(&["remove", "7"]).expect(0).says("has ended");
    let live = json!([{"source": "8", "target": "C-2", "ended": false}]);
    assert_eq!(listed(&[])["links"], live);
    assert_eq!(listed(&[])["linked"], 1);
    assert_eq!(
        listed(&["--ended"])["links"][0],
        json!({"source": "7", "target": "C-1", "ended": true})
    );
    assert_eq!(listed(&["--key", "C-2"])["links"], live);
    links(&["list", "--ended"]).expect(0).says("ended");
    links(&["add", "7", "C-1"]).expect(0).says("again");

    let first = listed(&["--limit", "1"]);
    assert_eq!(first["next"], "7");
    assert_eq!(listed(&["--limit", "1", "--after", "7"])["links"], live);
    assert_eq!(listed(&["--limit", "1", "--after", "7"])["next"], Value::Null);

    links(&["remove", "7", "--forget"]).expect(0).says("forgotten");
    assert_eq!(listed(&["--ended"])["links"], live);
    links(&["remove", "7"]).expect(2).says("has no link");
}

#[test]
fn links_are_not_changed_while_a_run_is_at_work_or_for_a_flow_that_is_not_there() {
    let (folder, state) = folder();
    folder
        .crosswalk(&["links", "add", "sync.yaml", "case", "7", "C-1"])
        .expect(2)
        .says("it has cases, contacts");
    folder
        .crosswalk(&["links", "list", "unknown", "cases"])
        .expect(2)
        .says("nothing is known of a pipeline `unknown`");
    let holder = Holder::this_process(Uuid::from_u128(1), Timestamp::UNIX_EPOCH);
    let lease = state.lease("sync", &holder).unwrap();
    let add = ["links", "add", "sync.yaml", "cases", "7", "C-1"];
    folder.crosswalk(&add).expect(7).says("is being run already");
    drop(lease);
    folder.crosswalk(&add).expect(0);
    let remove = ["links", "remove", "sync", "cases", "7"];
    folder.crosswalk(&remove).expect(0);
}
