//! A folder that the program is run in: files, pipelines from file to file, and what one call of the program left.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Where [`Folder::convert`] writes its pipeline.
pub(crate) const CONVERSION: &str = "pipeline.yaml";

/// The head of every pipeline from `in.ndjson` to `out.ndjson`; `people.ndjson` is there to be looked up in.
const HEAD: &str = "\
version: 1
pipeline: conversion
connections:
  files:
    connector: file
    streams:
      in: {path: in.ndjson, key: $.id}
      people: {path: people.ndjson, key: $.id}
      out: {path: out.ndjson, key: $.id}
";

/// A folder, the environment, and the program.
pub(crate) struct Folder {
    directory: TempDir,
    environment: Vec<(String, String)>,
}

/// What one call of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The run's summary, where there was a run.
    pub(crate) summary: Value,
}

impl Folder {
    /// An empty folder and an empty environment.
    pub(crate) fn new() -> Self {
        Folder {
            directory: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        }
    }

    /// What the program finds in its environment.
    pub(crate) fn set_environment(&mut self, environment: Vec<(String, String)>) {
        self.environment = environment;
    }

    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        self.environment.clone()
    }

    /// A path in the folder; the folder itself for an empty one.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).unwrap()
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Replaces text in a file of the folder; the text must be there.
    pub(crate) fn replace(&self, relative: &str, old: &str, new: &str) {
        let text = self.read(relative);
        assert!(text.contains(old), "`{old}` is not in {relative}");
        self.write(relative, &text.replace(old, new));
    }

    /// A file of one JSON record a line.
    pub(crate) fn write_records(&self, relative: &str, records: &[Value]) {
        let lines: Vec<String> = records.iter().map(|record| format!("{record}\n")).collect();
        self.write(relative, &lines.concat());
    }

    /// The records of such a file.
    pub(crate) fn records(&self, relative: &str) -> Vec<Value> {
        self.read(relative)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The program with these arguments, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crosswalk"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn crosswalk(&self, arguments: &[&str]) -> Ran {
        Ran::new(self.command(arguments).output().unwrap(), Value::Null)
    }

    /// A run of a pipeline of the folder.
    pub(crate) fn run_pipeline(&self, pipeline: &str, options: &[&str]) -> Ran {
        self.finish(self.start_pipeline(pipeline, options))
    }

    /// A run that goes on while the test does something.
    pub(crate) fn start_pipeline(&self, pipeline: &str, options: &[&str]) -> Child {
        let _ = std::fs::remove_file(self.path("summary.json"));
        let mut arguments = vec!["run", pipeline, "--summary", "summary.json"];
        arguments.extend_from_slice(options);
        self.command(&arguments).spawn().unwrap()
    }

    pub(crate) fn finish(&self, child: Child) -> Ran {
        let output = child.wait_with_output().unwrap();
        let summary = std::fs::read(self.path("summary.json"))
            .ok()
            .map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
        Ran::new(output, summary)
    }

    /// Runs `in.ndjson` with these records through a pipeline of which only what follows its connections is given.
    pub(crate) fn convert(&self, records: &[Value], rest: &str) -> Ran {
        self.write_records("in.ndjson", records);
        self.write(CONVERSION, &format!("{HEAD}{rest}"));
        self.run_pipeline(CONVERSION, &[])
    }

    /// What that left in `out.ndjson`.
    pub(crate) fn converted(&self) -> Vec<Value> {
        self.records("out.ndjson")
    }

    /// The waiting records of a pipeline, in the order of their keys.
    pub(crate) fn queue(&self, pipeline: &str) -> Vec<Value> {
        let listed = self
            .crosswalk(&["queue", "list", pipeline, "--format", "json"])
            .expect(0);
        let mut items: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
        items.sort_by_key(|item| item["key"].as_str().map(str::to_owned));
        items
    }

    /// Key, kind and one more member of each waiting record of a pipeline.
    pub(crate) fn queued(&self, pipeline: &str, member: &str) -> Vec<(String, String, Value)> {
        let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
        self.queue(pipeline)
            .iter()
            .map(|item| (text(item, "key"), text(item, "kind"), item[member].clone()))
            .collect()
    }

    /// Every byte of every file below the folder, the shipped ones left out.
    pub(crate) fn written_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        collect(self.directory.path(), &mut files);
        files.retain(|(path, _)| {
            let relative = path.strip_prefix(self.directory.path()).unwrap();
            !relative.starts_with("mappings") && !relative.starts_with("schemas")
        });
        files
    }
}

impl Ran {
    pub(crate) fn new(output: Output, summary: Value) -> Self {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            summary,
        }
    }

    /// Fails with all that the program said unless it ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "exit code\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// A count of the named flow or direction (`cases.created`, `cases.to_local.created`).
    #[track_caller]
    pub(crate) fn count(&self, path: &str) -> u64 {
        let (flow, count) = path.rsplit_once('.').unwrap();
        self.summary["flows"]
            .as_array()
            .and_then(|flows| flows.iter().find(|summary| summary["flow"] == flow))
            .and_then(|summary| summary[count].as_u64())
            .unwrap_or_else(|| panic!("no count `{path}` in {}", self.summary))
    }

    /// Fails unless the named flow has these counts (`"read 3, created 2, rejected 1"`).
    #[track_caller]
    pub(crate) fn counted(self, flow: &str, expected: &str) -> Self {
        let found: Vec<String> = expected
            .split(", ")
            .map(|count| {
                let name = count.split(' ').next().unwrap();
                format!("{name} {}", self.count(&format!("{flow}.{name}")))
            })
            .collect();
        assert_eq!(found.join(", "), expected, "{}", self.summary);
        self
    }

    /// Fails unless the program said this somewhere.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "`{text}` is not said\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
}
