//! A rig: stand-ins that a test steers, a folder with a copy of the shipped mappings, and the program run in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crosswalk::sandbox::{Sandbox, SandboxOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The shipped pipeline.
pub(crate) const PIPELINE: &str = "mappings/zendesk-oro.yaml";
/// Longer than any step of a test takes on a slow machine; only a defect waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stand-ins, a folder, and the program.
pub(crate) struct Rig {
    folder: TempDir,
    runtime: Runtime,
    sandbox: Sandbox,
    client: reqwest::Client,
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

impl Rig {
    /// Stand-ins with so many tickets, in which a minute lasts a tenth of a second.
    pub(crate) fn new(tickets: usize) -> Self {
        Rig::with(SandboxOptions {
            tickets,
            time_scale: 600.0,
            ..SandboxOptions::default()
        })
    }

    pub(crate) fn with(options: SandboxOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for shipped in ["mappings", "schemas"] {
            copy(&root.join(shipped), &folder.path().join(shipped));
        }
        let pipeline = folder.path().join(PIPELINE);
        let text = std::fs::read_to_string(&pipeline).unwrap();
        let (plain, led) = (
            "settings: {subdomain: \"{{ env.ZENDESK_SUBDOMAIN }}\"}",
            "settings: {subdomain: \"{{ env.ZENDESK_SUBDOMAIN }}\", base_url: \"{{ env.ZENDESK_URL }}\"}",
        );
        assert!(
            text.contains(plain),
            "the shipped pipeline has changed; lead it to the stand-in anew"
        );
        std::fs::write(&pipeline, text.replace(plain, led)).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
        Rig {
            folder,
            runtime,
            sandbox,
            client: reqwest::Client::new(),
        }
    }

    /// A path in the rig's folder.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).unwrap()
    }

    /// Replaces text in a file of the folder; the text must be there.
    pub(crate) fn replace(&self, relative: &str, old: &str, new: &str) {
        let text = self.read(relative);
        assert!(text.contains(old), "`{old}` is not in {relative}");
        std::fs::write(self.path(relative), text.replace(old, new)).unwrap();
    }

    /// The environment variables that lead the shipped pipeline to the stand-ins.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        self.sandbox.environment()
    }

    /// The program with these arguments, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crosswalk"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn crosswalk(&self, arguments: &[&str]) -> Ran {
        Ran::new(self.command(arguments).output().unwrap(), Value::Null)
    }

    /// A run of the shipped pipeline with further options.
    pub(crate) fn run(&self, options: &[&str]) -> Ran {
        self.finish(self.start(options))
    }

    /// A run that goes on while the test does something.
    pub(crate) fn start(&self, options: &[&str]) -> Child {
        let summary = self.path("summary.json");
        let _ = std::fs::remove_file(&summary);
        let mut arguments = vec!["run", PIPELINE, "--summary", "summary.json"];
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

    /// Asks a stand-in's control endpoint.
    pub(crate) fn control(&self, system: &str, method: &str, action: &str, body: &Value) -> Value {
        let address = self.sandbox.address(system).unwrap();
        let url = format!("{address}/_sandbox/{action}");
        self.runtime.block_on(async {
            let response = self
                .client
                .request(method.parse().unwrap(), &url)
                .body(body.to_string())
                .send()
                .await
                .unwrap();
            let status = response.status();
            let text = response.text().await.unwrap();
            assert!(status.is_success(), "{method} {action} on {system}: {text}");
            serde_json::from_str(&text).unwrap()
        })
    }

    pub(crate) fn faults(&self, system: &str, faults: &Value) {
        self.control(system, "POST", "faults", faults);
    }

    pub(crate) fn edit(&self, system: &str, edit: &Value) -> Value {
        self.control(system, "POST", "edit", edit)
    }

    /// Everything that a system remembers.
    pub(crate) fn state(&self, system: &str) -> Value {
        self.control(system, "GET", "state", &Value::Null)
    }

    /// Fails unless every ticket has exactly the case that it should have.
    #[track_caller]
    pub(crate) fn assert_in_step(&self) {
        crate::oracle::assert_in_step(&self.state("zendesk"), &self.state("oro"));
    }

    /// The requests that a system has answered since the log was cleared, as `METHOD path`.
    pub(crate) fn requests(&self, system: &str) -> Vec<String> {
        let log = self.control(system, "GET", "requests", &Value::Null);
        log["requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                format!(
                    "{} {}",
                    entry["method"].as_str().unwrap(),
                    entry["path"].as_str().unwrap()
                )
            })
            .collect()
    }

    pub(crate) fn forget_requests(&self) {
        for system in Sandbox::connectors() {
            self.control(system, "DELETE", "requests", &Value::Null);
        }
    }

    /// Writes that a system has been asked for since the log was cleared.
    pub(crate) fn writes(&self, system: &str) -> Vec<String> {
        self.requests(system)
            .into_iter()
            .filter(|request| !request.starts_with("GET ") && !request.contains("token"))
            .collect()
    }

    /// Waits until something holds that the running program brings about.
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Every byte of every file below the folder, the shipped ones left out.
    pub(crate) fn written_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        collect(self.folder.path(), &mut files);
        files.retain(|(path, _)| {
            let relative = path.strip_prefix(self.folder.path()).unwrap();
            !relative.starts_with("mappings") && !relative.starts_with("schemas")
        });
        files
    }
}

impl Ran {
    fn new(output: Output, summary: Value) -> Self {
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

    /// A count of the only flow, or of the named one (`cases.created`).
    #[track_caller]
    pub(crate) fn count(&self, path: &str) -> u64 {
        let (flow, count) = path.split_once('.').unwrap();
        self.summary["flows"]
            .as_array()
            .and_then(|flows| flows.iter().find(|summary| summary["flow"] == flow))
            .and_then(|summary| summary[count].as_u64())
            .unwrap_or_else(|| panic!("no count `{path}` in {}", self.summary))
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
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
