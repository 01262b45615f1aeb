//! A rig: stand-ins that a test steers, a folder with a copy of the shipped mappings, and the program run in it.

use std::ops::Deref;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use crosswalk::sandbox::{Sandbox, SandboxOptions};
use serde_json::Value;
use serde_yaml::{Mapping, Value as Yaml};
use tokio::runtime::Runtime;

use crate::folder::Folder;
pub(crate) use crate::folder::Ran;

/// The shipped pipeline, which keeps both systems in step both ways.
pub(crate) const PIPELINE: &str = "mappings/zendesk-oro.yaml";
/// The option that closes its way back.
pub(crate) const ONE_WAY: [&str; 2] = ["--set", "direction=to_local"];
/// Where [`Rig::write_one_way`] writes.
pub(crate) const ONE_WAY_PIPELINE: &str = "mappings/one-way.yaml";
/// Longer than any step of a test takes on a slow machine; only a defect waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stand-ins, a folder, and the program.
pub(crate) struct Rig {
    folder: Folder,
    runtime: Runtime,
    sandbox: Sandbox,
    client: reqwest::Client,
}

impl Deref for Rig {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
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
        let mut folder = Folder::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for shipped in ["mappings", "schemas"] {
            copy(&root.join(shipped), &folder.path(shipped));
        }
        let (plain, led) = (
            "settings: {subdomain: \"{{ env.ZENDESK_SUBDOMAIN }}\"}",
            "settings: {subdomain: \"{{ env.ZENDESK_SUBDOMAIN }}\", base_url: \"{{ env.ZENDESK_URL }}\"}",
        );
        folder.replace(PIPELINE, plain, led);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let time_scale = options.time_scale;
        let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
        let mut environment = sandbox.environment();
        // Waits for what the stand-ins do later are as much shorter as that is sooner.
        environment.push(("CROSSWALK_TIME_SCALE".to_owned(), time_scale.to_string()));
        folder.set_environment(environment);
        Rig {
            folder,
            runtime,
            sandbox,
            client: reqwest::Client::new(),
        }
    }

    /// Adds a pipeline that is what the shipped one does to cases, as a flow that goes one way: for what only such
    /// flows can do. `connection`: stands in place of the tickets' own one.
    pub(crate) fn write_one_way(&self, connection: Option<&str>) {
        let text = self.read(PIPELINE).replace("remote.", "record.");
        let mut file: Yaml = serde_yaml::from_str(&text).unwrap();
        let cases = &file["flows"]["cases"]["fields"];
        let mut fields = Mapping::new();
        fields.insert("externalId".into(), "zd:{{ record.id }}".into());
        for row in cases.as_mapping().unwrap().values() {
            let mut rule = match &row["to_local"] {
                Yaml::Mapping(rule) => rule.clone(),
                Yaml::Null if row.get("local").is_none() => continue,
                _ => Mapping::new(),
            };
            let field = rule.remove("field");
            let field = field.unwrap_or_else(|| row["local"].as_str().unwrap()[2..].into());
            if !["value", "const", "first_of"]
                .iter()
                .any(|word| rule.contains_key(*word))
            {
                rule.insert("value".into(), row["remote"].clone());
            }
            fields.insert(field, rule.into());
        }
        let flow = "{from: zendesk.tickets, to: oro.cases, mode: upsert, on_delete: unlink, on_frozen: hold, \
                    match: {$.externalId: 'zd:{{ record.id }}'}}";
        let mut flow: Yaml = serde_yaml::from_str(flow).unwrap();
        flow["fields"] = fields.into();
        file["flows"] = Mapping::from_iter([("cases".into(), flow)]).into();
        file["pipeline"] = "one-way".into();
        let lookups = file["lookups"].as_mapping_mut().unwrap();
        lookups.retain(|_, lookup| !lookup["in"].as_str().unwrap().starts_with("zendesk."));
        if let Some(connection) = connection {
            file["connections"]["zendesk"] = serde_yaml::from_str(connection).unwrap();
        }
        self.write(ONE_WAY_PIPELINE, &serde_yaml::to_string(&file).unwrap());
    }

    /// A run of the shipped pipeline's main flow with further options.
    pub(crate) fn run(&self, options: &[&str]) -> Ran {
        self.finish(self.start(options))
    }

    /// A run of the shipped pipeline's main flow that goes on while the test does something.
    pub(crate) fn start(&self, options: &[&str]) -> Child {
        self.start_pipeline(PIPELINE, &[&["--flow", "cases"], options].concat())
    }

    /// A run of all flows of the shipped pipeline.
    pub(crate) fn run_whole(&self, options: &[&str]) -> Ran {
        self.run_pipeline(PIPELINE, options)
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
}

pub(crate) fn copy(from: &Path, to: &Path) {
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
