//! The house rules that a compiler does not check: dependencies point one way, vendors are named in one place, files
//! stay small.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should panic"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the top down; each may use only those after it.
const ORDER: [&str; 15] = [
    "cli",
    "run",
    "sync",
    "lookup",
    "connector",
    "snapshot",
    "state",
    "mapping",
    "compile",
    "definition",
    "expression",
    "document",
    "diagnostic",
    "telemetry",
    "crash",
];

/// Words that only the stand-ins may say.
const VENDORS: [&str; 4] = ["zendesk", "commercetools", "zinrelo", "oro"];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the source folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    assert!(found.len() > 20, "the source folder was not found");
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file is text");
            (path.strip_prefix(&root).expect("below the root").to_owned(), text)
        })
        .collect()
}

fn module_of(path: &Path) -> String {
    let first = path.components().next().expect("a path has a part");
    first
        .as_os_str()
        .to_string_lossy()
        .trim_end_matches(".rs")
        .to_owned()
}

#[test]
fn dependencies_point_one_way() {
    let mut upward = Vec::new();
    for (path, text) in all_sources() {
        let module = module_of(&path);
        let Some(position) = ORDER.iter().position(|name| *name == module) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for mention in code.split("crate::").skip(1) {
                let name: String = mention
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let above = ORDER
                    .iter()
                    .position(|other| *other == name)
                    .is_some_and(|other| other < position);
                let stands_apart = name == "sandbox" && module != "cli";
                if above || stands_apart {
                    upward.push(format!(
                        "src/{}:{}: {module} uses {name}",
                        path.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(upward.is_empty(), "upward dependencies:\n{}", upward.join("\n"));
}

#[test]
fn the_sandbox_stands_apart() {
    let mut uses = Vec::new();
    for (path, text) in all_sources() {
        if module_of(&path) == "sandbox" {
            for (number, line) in text.lines().enumerate() {
                for mention in line.split("crate::").skip(1) {
                    if !mention.starts_with("sandbox") {
                        uses.push(format!("src/{}:{}: {line}", path.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(
        uses.is_empty(),
        "the sandbox uses the engine that it tests:\n{}",
        uses.join("\n")
    );
}

#[test]
fn vendors_are_named_only_by_their_stand_ins() {
    let mut named = Vec::new();
    for (path, text) in all_sources() {
        if module_of(&path) == "sandbox" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let words = line.to_lowercase();
            let mut words = words.split(|c: char| !c.is_alphanumeric());
            if words.any(|word| VENDORS.contains(&word)) {
                named.push(format!("src/{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(
        named.is_empty(),
        "vendors named outside `sandbox/`:\n{}",
        named.join("\n")
    );
}

#[test]
fn files_have_one_reason_to_exist() {
    let long: Vec<String> = all_sources()
        .iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > 700)
        .map(|(path, lines)| format!("src/{}: {lines} lines", path.display()))
        .collect();
    assert!(
        long.is_empty(),
        "files that outgrew their reason:\n{}",
        long.join("\n")
    );
}
