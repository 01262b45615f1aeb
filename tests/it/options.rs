//! The options of `run`: parts of a source, params, dry runs, single flows, earlier snapshots.

use serde_json::{Value, json};

use crate::folder::{CONVERSION, Folder};
use crate::oracle::rows;
use crate::rig::{ONE_WAY_PIPELINE, Rig};

const NUMBERS: &str = r#"
params:
  factor: {type: integer, default: 10}
  day: {type: date}
flows:
  all:
    from: files.in
    to: files.out
    mode: insert
    fields: {id: $.id, n: "{{ record.n * params.factor }}", day: {value: "{{ params.day }}", type: date}}
"#;

fn numbers() -> Folder {
    let folder = Folder::new();
    let records: Vec<Value> = (1..=5)
        .map(|id| json!({"id": format!("key:{id}"), "n": id}))
        .collect();
    folder.convert(&records, NUMBERS).expect(2).says("day");
    folder
}

fn made(folder: &Folder) -> Vec<i64> {
    folder
        .converted()
        .iter()
        .map(|record| record["n"].as_i64().unwrap())
        .collect()
}

#[test]
fn params_are_set_and_checked() {
    let folder = numbers();
    let run = |set: &[&str]| {
        let mut options = vec!["--set", "day=2026-01-02"];
        options.extend(set.iter().flat_map(|value| ["--set", value]));
        folder.run_pipeline(CONVERSION, &options)
    };
    run(&[]).expect(0);
    assert_eq!(made(&folder), [10, 20, 30, 40, 50]);
    assert_eq!(folder.converted()[0]["day"], "2026-01-02");
    run(&["factor=3"]).expect(0);
    assert_eq!(made(&folder), [3, 6, 9, 12, 15]);
    run(&["factor=much"]).expect(2).says("factor").says("much");
    run(&["factor_=3"]).expect(2).says("factor_").says("factor");
    run(&["day=2026-02-30"]).expect(2).says("day");
    assert_eq!(
        made(&folder),
        [3, 6, 9, 12, 15],
        "nothing was written by a run that could not start"
    );
}

#[test]
fn a_part_of_the_source_is_read() {
    let folder = numbers();
    let run = |options: &[&str]| {
        let mut all = vec!["--set", "day=2026-01-02"];
        all.extend_from_slice(options);
        folder.run_pipeline(CONVERSION, &all)
    };
    run(&["--limit", "2"])
        .expect(0)
        .counted("all", "read 2, created 2");
    assert_eq!(made(&folder), [10, 20]);
    run(&["--only", "key:4", "--only", "files.in:key:2"])
        .expect(0)
        .counted("all", "read 2");
    let mut chosen = made(&folder);
    chosen.sort_unstable();
    assert_eq!(chosen, [20, 40]);
    run(&["--only", "none"])
        .expect(0)
        .says("Not every record that was asked for exists");
    run(&["--dry-run"])
        .expect(0)
        .counted("all", "read 5, created 5, writes 0");
    assert_eq!(
        made(&folder),
        [] as [i64; 0],
        "a dry run leaves the file as it was"
    );
    run(&["--flow", "none"])
        .expect(2)
        .says("no flow `none`")
        .says("all");
}

#[test]
fn an_earlier_run_is_mapped_again_without_its_source() {
    let folder = numbers();
    let ran = folder
        .run_pipeline(CONVERSION, &["--set", "day=2026-01-02"])
        .expect(0);
    let run = ran.summary["run"].as_str().unwrap().to_owned();
    std::fs::remove_file(folder.path("in.ndjson")).unwrap();
    folder
        .run_pipeline(
            CONVERSION,
            &["--set", "day=2026-01-02", "--set", "factor=2", "--from-run", &run],
        )
        .expect(0)
        .counted("all", "read 5, created 5");
    assert_eq!(made(&folder), [2, 4, 6, 8, 10]);
    folder
        .run_pipeline(
            CONVERSION,
            &["--set", "day=2026-01-02", "--from-run", "yesterday"],
        )
        .expect(8)
        .says("yesterday");
    let unknown = "01a1fac8-8374-7041-9c33-c6dec11c044b";
    folder
        .run_pipeline(CONVERSION, &["--set", "day=2026-01-02", "--from-run", unknown])
        .expect(9)
        .says(unknown);
}

#[test]
fn a_flow_is_run_alone_without_the_others() {
    let folder = Folder::new();
    folder
        .convert(
            &[json!({"id": 1})],
            "flows:
  one: {from: files.in, to: files.out, mode: insert, fields: {id: $.id}}
  two: {from: files.in, to: files.people, mode: insert, fields: {id: $.id}}
",
        )
        .expect(0);
    std::fs::remove_file(folder.path("out.ndjson")).unwrap();
    let ran = folder.run_pipeline(CONVERSION, &["--flow", "two"]).expect(0);
    assert_eq!(ran.summary["flows"].as_array().unwrap().len(), 1);
    assert!(!folder.path("out.ndjson").exists());
}

/// The connector of the flagship's tickets.
const CONNECTOR: &str = "mappings/connectors/zendesk.yaml";

#[test]
fn an_earlier_run_keeps_the_people_who_came_with_its_tickets() {
    let rig = Rig::new(30);
    rig.write_one_way(None);
    for who in ["requester", "submitter"] {
        for field in ["email", "name", "phone"] {
            rig.replace(
                CONNECTOR,
                &format!("$.{who}.{field}: mask"),
                &format!("$.{who}.{field}: keep"),
            );
        }
    }
    let first = rig.run_pipeline(ONE_WAY_PIPELINE, &[]).expect(0);
    let run = first.summary["run"].as_str().unwrap();
    let before = rig.state("oro");
    rig.forget_requests();
    // Nothing differs, so nothing is written; had the people been lost, assignees and contacts would differ.
    rig.run_pipeline(ONE_WAY_PIPELINE, &["--from-run", run])
        .expect(0)
        .counted("cases", &format!("read {}, writes 0", first.count("cases.read")));
    assert!(
        !rig.requests("zendesk")
            .iter()
            .any(|request| request.contains("incremental"))
    );
    assert_eq!(rig.state("oro"), before);

    rig.replace(ONE_WAY_PIPELINE, "pending: in_progress", "pending: open");
    let again = rig.run_pipeline(ONE_WAY_PIPELINE, &["--from-run", run]).expect(0);
    assert!(again.count("cases.updated") > 0, "{}", again.summary);
    assert_eq!(again.count("cases.updated"), again.count("cases.field_changes"));
    let waiting = rows(&rig.state("oro"), "cases")
        .into_values()
        .filter(|case| case["to_one"]["status"] == "in_progress")
        .filter(|case| {
            case["attributes"]["externalId"]
                .as_str()
                .is_some_and(|id| id.starts_with("zd:"))
        })
        .count();
    assert_eq!(waiting, 0);
}

#[test]
fn an_earlier_run_that_kept_what_the_rules_need_hidden_is_not_mapped_again() {
    let rig = Rig::new(20);
    rig.write_one_way(None);
    let first = rig.run_pipeline(ONE_WAY_PIPELINE, &[]).expect(0);
    rig.forget_requests();
    rig.run_pipeline(
        ONE_WAY_PIPELINE,
        &["--from-run", first.summary["run"].as_str().unwrap()],
    )
    .expect(8)
    .says("$.requester.email")
    .says("pii");
    assert_eq!(rig.writes("oro"), [""; 0]);
}
