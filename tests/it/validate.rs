//! `crosswalk validate` on whole files: what it prints of a pipeline that is right.

use std::path::Path;

use serde_json::{Value, json};

use crate::folder::Folder;

/// The arguments that check the two-way pipeline of the language's tests with the shipped connectors.
fn two_way(format: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = |below: &str| root.join(below).display().to_string();
    [
        "validate",
        "--connectors",
        &path("mappings/connectors"),
        "--format",
        format,
        &path("tests/definition/two_way.yaml"),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn validate(format: &str) -> (i32, String) {
    let arguments = two_way(format);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ran = Folder::new().crosswalk(&arguments);
    (ran.code, ran.stdout)
}

#[test]
fn people_are_told_what_each_direction_promises() {
    let (code, said) = validate("text");
    assert_eq!(code, 0, "{said}");
    for line in [
        "  cases.to_local (writes oro.cases)\n    create  once: where an answer was lost, the record is found by `$.externalId`\n    update  read before write, not atomic",
        "  cases.to_remote (writes zendesk.tickets)\n    update  atomic: ",
    ] {
        assert!(said.contains(line), "{line}\n is not said:\n{said}");
    }
}

#[test]
fn programs_are_told_the_same() {
    let (code, said) = validate("json");
    assert_eq!(code, 0);
    let said: Value = serde_json::from_str(&said).unwrap();
    let flows = said["guarantees"][0]["flows"].as_array().unwrap();
    assert_eq!(flows[0]["flow"], json!("cases.to_local"));
    assert_eq!(flows[1].get("create"), None, "`create.remote: never`");
    assert!(flows[1]["update"].as_str().unwrap().starts_with("atomic"));
}
