//! The commands beside `run`: validate, preview, check, status, completions.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::folder::{CONVERSION, Folder, Ran};
use crate::rig::{PIPELINE, Rig};

/// `validate` over the ten broken files, in the package's folder, so that messages show paths below it.
fn validate_broken(options: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_crosswalk"))
        .args([
            "validate",
            "tests/broken",
            "--connectors",
            "tests/diagnostics/meaning/connectors",
        ])
        .args(options)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran::new(output, Value::Null)
}

#[test]
fn ten_broken_files_are_explained_all_at_once() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken/said.txt");
    let said = validate_broken(&["--color", "never"]).expect(2).stdout;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &said).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        said == expected,
        "what `validate` says has changed; UPDATE_GOLDEN=1 writes it anew:\n{said}"
    );
    for file in std::fs::read_dir(golden.parent().unwrap()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".yaml") {
            assert!(
                said.contains(&format!("tests/broken/{name}:")),
                "nothing is said about {name}"
            );
        }
    }
}

#[test]
fn programs_read_what_people_read() {
    let text = validate_broken(&["--color", "never"]).expect(2).stdout;
    let errors = text.lines().filter(|line| line.starts_with("error[")).count();
    let warnings = text.lines().filter(|line| line.starts_with("warning[")).count();
    assert!(
        errors > 30 && warnings > 5,
        "{errors} errors, {warnings} warnings"
    );

    let report: Value =
        serde_json::from_str(&validate_broken(&["--format", "json"]).expect(2).stdout).unwrap();
    let found = report["diagnostics"].as_array().unwrap();
    let of = |severity: &str| found.iter().filter(|one| one["severity"] == severity).count();
    assert_eq!((of("error"), of("warning")), (errors, warnings));
    let quoted = found.iter().find(|one| one["code"] == "CW006").unwrap();
    assert!(quoted.to_string().contains("01_unquoted_path.yaml"), "{quoted}");

    let sarif: Value =
        serde_json::from_str(&validate_broken(&["--format", "sarif"]).expect(2).stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), errors + warnings);
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(
        place["artifactLocation"]["uri"],
        "tests/broken/01_unquoted_path.yaml"
    );
    assert_eq!(place["region"]["startLine"], 17);
}

#[test]
fn shipped_files_are_valid_and_warnings_count_only_where_asked() {
    let rig = Rig::new(0);
    rig.crosswalk(&["validate", "mappings"]).expect(0);
    rig.crosswalk(&["validate", "mappings", "--strict"]).expect(2);
    rig.crosswalk(&["validate", "nowhere"]).expect(2).says("nowhere");
}

#[test]
fn a_record_is_shown_from_the_source_from_a_file_and_as_it_was() {
    let rig = Rig::new(20);
    let preview = |options: &[&str]| -> Value {
        let mut arguments = vec![
            "preview",
            PIPELINE,
            "--flow",
            "cases.to_local",
            "--format",
            "json",
        ];
        arguments.extend_from_slice(options);
        serde_json::from_str(&rig.crosswalk(&arguments).expect(0).stdout).unwrap()
    };
    let before = preview(&["--key", "7"]);
    assert_eq!(before["decision"], "create", "{before}");
    assert_eq!(rig.writes("oro"), [""; 0]);

    let ran = rig.run(&[]).expect(0);
    let run = ran.summary["run"].as_str().unwrap();
    assert_eq!(preview(&["--key", "7"])["decision"], "unchanged");
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": 7, "subject": "a later subject"}]}),
    );
    let now = preview(&["--key", "7"]);
    assert_eq!(now["decision"], "update", "{now}");
    assert!(now.to_string().contains("a later subject"));
    rig.forget_requests();
    let then = preview(&["--key", "7", "--from-run", run]);
    assert!(!then.to_string().contains("a later subject"), "{then}");
    let asked = rig.requests("zendesk");
    assert!(
        !asked.iter().any(|request| request.contains("/tickets")),
        "{asked:?}"
    );

    rig.write("ticket.json", r#"{"id": 4242, "subject": "from a file", "status": "pending", "description": "d", "created_at": "2026-01-01T00:00:00Z"}"#);
    let filed = preview(&["--file", "ticket.json"]);
    assert_eq!(filed["decision"], "create", "{filed}");
    assert!(filed.to_string().contains("in_progress"), "{filed}");
    rig.forget_requests();
    preview(&["--file", "ticket.json", "--offline"]);
    assert_eq!(rig.requests("oro"), [""; 0]);
    rig.crosswalk(&["preview", PIPELINE, "--flow", "cases.to_local", "--key", "999999"])
        .expect(2)
        .says("999999");
    let text = rig
        .crosswalk(&["preview", PIPELINE, "--flow", "cases.to_local", "--key", "7"])
        .expect(0)
        .stdout;
    for step in ["status.id", "status_to_oro", "assignedTo.id", "oro_user"] {
        assert!(text.contains(step), "`{step}` is not in\n{text}");
    }
}

#[test]
fn a_flow_into_a_file_can_be_previewed() {
    let folder = Folder::new();
    folder
        .convert(
            &[json!({"id": 1, "n": 2})],
            "flows:\n  all: {from: files.in, to: files.out, mode: insert, fields: {id: $.id, n: \"{{ record.n * 2 }}\"}}\n",
        )
        .expect(0);
    let shown = folder
        .crosswalk(&["preview", CONVERSION, "--key", "1"])
        .expect(0)
        .stdout;
    assert!(shown.contains('4'), "{shown}");
}

#[test]
fn check_says_which_system_refuses() {
    let rig = Rig::new(0);
    let accepted = rig.crosswalk(&["check", PIPELINE]).expect(0);
    assert_eq!(
        accepted.stdout.matches("accepted").count(),
        2,
        "{}",
        accepted.stdout
    );

    let (name, _) = rig
        .environment()
        .into_iter()
        .find(|(name, _)| name.starts_with("ORO") && name.ends_with("SECRET"))
        .unwrap();
    let output = rig
        .command(&["check", PIPELINE, "--format", "json"])
        .env(name, "wrong")
        .output()
        .unwrap();
    let refused = Ran::new(output, Value::Null).expect(11);
    assert!(
        refused.stdout.contains("zendesk") && !refused.stdout.contains("\"wrong\""),
        "{}",
        refused.stdout
    );
}

#[test]
fn status_tells_cursors_the_queue_and_the_last_run() {
    let rig = Rig::new(20);
    rig.crosswalk(&["status", PIPELINE])
        .expect(2)
        .says("the first run of a pipeline makes it");
    let ran = rig.run(&[]).expect(0);
    let status: Value = serde_json::from_str(
        &rig.crosswalk(&["status", PIPELINE, "--format", "json"])
            .expect(0)
            .stdout,
    )
    .unwrap();
    let text = status.to_string();
    assert!(text.contains(ran.summary["run"].as_str().unwrap()), "{text}");
    let people = rig.crosswalk(&["status", PIPELINE]).expect(0).stdout;
    assert!(
        people.contains("zendesk.tickets") && people.contains("complete"),
        "{people}"
    );
}

#[test]
fn every_shell_gets_its_completions() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.crosswalk(&["completions", shell]).expect(0).stdout;
        assert!(
            script.contains("crosswalk") && script.contains("dry-run"),
            "{shell}"
        );
    }
    folder.crosswalk(&["completions", "tcsh"]).expect(2);
}
