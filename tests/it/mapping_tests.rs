//! `crosswalk test`: cases that pass and cases that fail, what people and programs are told of them, and files that are
//! wrong. `UPDATE_GOLDEN=1` writes the expected text anew, to be read before it is committed.

use std::path::Path;

use serde_json::{Value, json};

use crate::folder::{Folder, Ran};

const GOLDEN: &str = "tests/mapping_tests/failing.txt";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with the tests' own pipeline and connectors, and one file of tests.
fn folder(tests: &str) -> Folder {
    let folder = Folder::new();
    for name in [
        "pipeline.yaml",
        "connectors/desk.yaml",
        "connectors/crm.yaml",
        tests,
    ] {
        let text = std::fs::read_to_string(root().join("tests/mapping_tests").join(name)).unwrap();
        folder.write(name, &text);
    }
    folder
}

fn test(folder: &Folder, options: &[&str]) -> Ran {
    folder.crosswalk(&[&["test"], options].concat())
}

#[test]
fn cases_that_fit_pass_and_touch_every_rule() {
    let folder = folder("passing.test.yaml");
    let ran = test(&folder, &[".", "--coverage"]).expect(0);
    assert!(
        ran.stdout
            .contains("6 of 6 entries of enum tables, 19 of 19 rules"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("no case touches"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with(" cases passed\n"), "{}", ran.stdout);
}

#[test]
fn people_are_told_what_failed_where_and_which_rule_made_it() {
    let folder = folder("failing.test.yaml");
    let said = test(&folder, &["failing.test.yaml"]).expect(11).stdout;
    let golden = root().join(GOLDEN);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &said).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(said == expected, "not as in {GOLDEN}:\n{said}");
}

#[test]
fn programs_are_told_the_same() {
    let folder = folder("failing.test.yaml");
    let ran = test(&folder, &["failing.test.yaml", "--format", "json"]).expect(11);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let file = &report["files"][0];
    let case = |name: &str| {
        let cases = file["cases"].as_array().unwrap();
        cases.iter().find(|case| case["name"] == name).unwrap().clone()
    };
    assert_eq!(report["cases"], json!(file["cases"].as_array().unwrap().len()));
    let made = case("a value that a table makes, and one that a lookup finds");
    let status = &made["mismatches"][0];
    assert_eq!(status["what"], "local.status");
    assert_eq!(
        (&status["expected"], &status["got"]),
        (&json!("\"open\""), &json!("\"waiting\""))
    );
    assert_eq!(status["place"]["file"], "failing.test.yaml");
    assert_eq!(status["rule"]["place"]["file"], "pipeline.yaml");
    assert_eq!(
        status["rule"]["steps"],
        json!(["value $.state: \"busy\"", "enum state_to_crm: \"waiting\""])
    );
    assert_eq!(case("state: new -> \"open\"")["mismatches"], json!([]));
}

#[test]
fn one_case_can_be_run_alone() {
    let folder = folder("failing.test.yaml");
    let ran = test(&folder, &["failing.test.yaml", "--only", "new -> "]).expect(0);
    assert_eq!(ran.stdout, "failing.test.yaml: 1 case passed\n");
}

#[test]
fn a_wrong_file_runs_no_case_and_is_what_validate_says() {
    let folder = folder("passing.test.yaml");
    folder.replace("passing.test.yaml", "flow: notes", "flow: nots");
    let ran = test(&folder, &["."]).expect(2).says("did you mean `notes`?");
    assert_eq!(ran.stdout, "");
    folder
        .crosswalk(&["validate", "."])
        .expect(2)
        .says("did you mean `notes`?");
    folder.write("other.yaml", "version: 1\nkind: other\n");
    test(&folder, &["other.yaml"])
        .expect(2)
        .says("no file of mapping tests");
    test(&Folder::new(), &[])
        .expect(2)
        .says("no file of mapping tests");
}

#[test]
fn a_pipeline_that_is_wrong_is_said_and_nothing_runs() {
    let folder = folder("passing.test.yaml");
    folder.replace("pipeline.yaml", "lookup: person", "lookup: persn");
    test(&folder, &["."]).expect(2).says("did you mean `person`?");
}

#[test]
fn the_shipped_mapping_tests_pass_and_touch_every_rule_and_every_value() {
    let shipped = root().join("mappings");
    let ran = test(&Folder::new(), &[shipped.to_str().unwrap(), "--coverage"]).expect(0);
    assert!(!ran.stdout.contains("no case touches"), "{}", ran.stdout);
}

#[test]
fn the_environment_changes_nothing() {
    let mut folder = folder("passing.test.yaml");
    folder.set_environment(vec![("CRM_URL".to_owned(), "http://127.0.0.1:1".to_owned())]);
    test(&folder, &["."]).expect(0);
}
