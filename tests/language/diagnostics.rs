//! Every diagnostic, as people see it: each `tests/diagnostics/NAME.yaml` is a file with mistakes in its text or shape,
//! each `tests/diagnostics/meaning/NAME.yaml` one whose words do not fit together, `NAME.txt` beside it what is said
//! about them. `UPDATE_GOLDEN=1` writes the texts anew, to be read before they are committed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crosswalk::compile::environment::EmptyEnvironment;
use crosswalk::compile::{CompileOptions, check_file};
use crosswalk::definition::{FileKind, read_connector, read_mapping_tests, read_pipeline};
use crosswalk::diagnostic::{Code, Diagnostics, json, json_lines, sarif, summary, text};
use crosswalk::document::Document;

/// Checks one file as far as it goes. The name is shown without its directory.
fn check(path: &Path) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let bytes = fs::read(path).expect("a fixture can be read");
    let name = path.file_name().expect("a file name").to_string_lossy();
    if let Some(document) =
        Document::from_text(name, String::from_utf8(bytes).expect("UTF-8"), &mut diagnostics)
    {
        match FileKind::of(&document) {
            FileKind::Pipeline => drop(read_pipeline(&document, &mut diagnostics)),
            FileKind::Connector => drop(read_connector(&document, &mut diagnostics)),
            FileKind::Tests => drop(read_mapping_tests(&document, &mut diagnostics)),
        }
    }
    diagnostics.sorted()
}

/// Checks everything in one file. Names are shown from the folder of fixtures on.
fn check_meaning(path: &Path) -> Diagnostics {
    let options = CompileOptions {
        environment: &EmptyEnvironment,
        set: &[],
        connector_paths: Vec::new(),
        connection_overrides: &[],
        require_environment: true,
    };
    check_file(path, &options).diagnostics
}

fn fixtures() -> Vec<PathBuf> {
    fixtures_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics"))
}

/// Tests run in the package's folder, so that this path is what messages show.
fn meaning_fixtures() -> Vec<PathBuf> {
    fixtures_in(Path::new("tests/diagnostics/meaning"))
}

fn fixtures_in(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the fixtures")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_mistake_is_said_as_expected() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    let read = fixtures().into_iter().map(|fixture| (check(&fixture), fixture));
    let checked = meaning_fixtures()
        .into_iter()
        .map(|fixture| (check_meaning(&fixture), fixture));
    for (diagnostics, fixture) in read.chain(checked) {
        let said = format!("{}{}\n", text(&diagnostics, false), summary(&diagnostics));
        let expected = fixture.with_extension("txt");
        if update {
            fs::write(&expected, said).expect("the text can be written");
        } else if fs::read_to_string(&expected).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", fixture.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "not as in the .txt beside them (UPDATE_GOLDEN=1 writes them):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_code_has_a_fixture() {
    let read = fixtures().into_iter().map(|fixture| check(&fixture));
    let checked = meaning_fixtures()
        .into_iter()
        .map(|fixture| check_meaning(&fixture));
    let seen: BTreeSet<Code> = read
        .chain(checked)
        .flat_map(|found| found.iter().map(|found| found.code).collect::<Vec<_>>())
        .collect();
    // A missing file and an argument cannot be fixtures, and the last resort has no known way to be reached.
    let elsewhere = [Code::FileUnreadable, Code::Unreadable, Code::UnknownParam];
    let missing: Vec<&Code> = Code::ALL
        .iter()
        .filter(|code| !elsewhere.contains(code) && !seen.contains(code))
        .collect();
    assert!(missing.is_empty(), "without a fixture: {missing:?}");
}

#[test]
fn programs_are_told_the_same_as_people() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics/words.yaml");
    let diagnostics = check(&fixture);
    let list = json(&diagnostics);
    let list = list.as_array().expect("a list");
    assert_eq!(list.len(), diagnostics.len());
    let first = &list[0];
    assert_eq!(first["code"], "CW020");
    assert_eq!(first["file"], "words.yaml");
    assert_eq!((&first["line"], &first["column"]), (&3.into(), &1.into()));
    assert_eq!(first["pointer"], "/onwer");
    assert_eq!(first["hints"][0], "did you mean `owner`?");
    assert_eq!(json_lines(&diagnostics).lines().count(), diagnostics.len());

    let log = sarif(&diagnostics);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let result = &run["results"][0];
    assert_eq!(result["ruleId"], "CW020");
    assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "CW020");
    assert_eq!(
        result["locations"][0]["physicalLocation"]["region"]["startLine"],
        3
    );
    assert_eq!(
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "words.yaml"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_diagnostic() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut diagnostics = Diagnostics::new();
    assert!(Document::read(&directory.path().join("none.yaml"), &mut diagnostics).is_none());
    let binary = directory.path().join("binary.yaml");
    fs::write(&binary, b"version: 1\n\xff\xfe").expect("written");
    assert!(Document::read(&binary, &mut diagnostics).is_none());
    let said: Vec<&str> = diagnostics.iter().map(|found| found.message.as_str()).collect();
    assert!(
        said[0].contains("cannot be read") && said[1].contains("byte 12"),
        "{said:?}"
    );
    assert!(diagnostics.iter().all(|found| found.code == Code::FileUnreadable));
    assert!(text(&diagnostics, true).contains("CW001"));
}

#[test]
fn set_names_a_param_and_gives_a_value_of_its_type() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("set.yaml");
    let text = "version: 1\npipeline: set\nconnections: {}\nparams:\n  start: {type: date}\nflows: {}\n";
    fs::write(&path, text).expect("written");
    let set = |name: &str, value: &str| {
        let set = [(name.to_owned(), value.to_owned())];
        let options = CompileOptions {
            environment: &EmptyEnvironment,
            set: &set,
            connector_paths: Vec::new(),
            connection_overrides: &[],
            require_environment: true,
        };
        check_file(&path, &options)
    };
    let good = set("start", "2026-08-01");
    assert!(good.pipeline.is_some(), "{}", text_of(&good.diagnostics));
    let wrong = text_of(&set("start", "yesterday").diagnostics);
    assert!(wrong.contains("`--set start=yesterday` is not a day"), "{wrong}");
    let unknown = text_of(&set("strat", "2026-08-01").diagnostics);
    assert!(
        unknown.contains("no param `strat`") && unknown.contains("did you mean `start`?"),
        "{unknown}"
    );
}

fn text_of(diagnostics: &Diagnostics) -> String {
    text(diagnostics, false)
}
