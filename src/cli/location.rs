//! Where a pipeline's memory and snapshots lie: the options for it, and the pipeline's name from its file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::Uuid;

use super::exit::{Exit, Failure};
use crate::run::Ending;
use crate::state::{Holder, Lease, SqliteState, State, StateError};

/// The state file, where no other is named.
pub(super) const STATE: &str = ".crosswalk/state.db";
/// The snapshots, where no other directory is named.
pub(super) const SNAPSHOTS: &str = "snapshots";
/// The rehearsal's own state file.
pub(super) const SANDBOX_STATE: &str = ".crosswalk/sandbox/state.db";
/// The rehearsal's own snapshots.
pub(super) const SANDBOX_SNAPSHOTS: &str = ".crosswalk/sandbox/snapshots";
/// What the systems of the rehearsal remember.
pub(super) const SANDBOX_DATA: &str = ".crosswalk/sandbox/data";

/// Which state file a command looks into.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct StateLocation {
    /// The state file [default: .crosswalk/state.db]
    #[arg(long, value_name = "FILE")]
    pub(super) state: Option<PathBuf>,
    /// Look into the state of `run --sandbox`
    #[arg(long, conflicts_with = "state")]
    pub(super) sandbox: bool,
}

impl StateLocation {
    /// The file.
    pub(super) fn path(&self) -> PathBuf {
        match &self.state {
            Some(path) => path.clone(),
            None if self.sandbox => PathBuf::from(SANDBOX_STATE),
            None => PathBuf::from(STATE),
        }
    }

    /// The options that lead another command to the same file, with a space before them; empty for the default.
    pub(super) fn options(&self) -> String {
        match &self.state {
            Some(path) => format!(" --state {}", quoted(path)),
            None if self.sandbox => " --sandbox".to_owned(),
            None => String::new(),
        }
    }

    /// Opens the file, which must exist.
    pub(super) fn open(&self) -> Result<SqliteState, Failure> {
        SqliteState::open_existing(&self.path()).map_err(state_failure)
    }
}

/// Takes a pipeline's lease, so that no run changes the same things at the same time.
pub(super) fn leased(state: &SqliteState, pipeline: &str) -> Result<Box<dyn Lease>, Failure> {
    let holder = Holder::this_process(Uuid::now_v7(), Timestamp::now());
    state.lease(pipeline, &holder).map_err(state_failure)
}

/// What a failure of the state means for the process.
pub(super) fn state_failure(error: StateError) -> Failure {
    match error {
        StateError::Missing { .. } | StateError::LinkTaken { .. } => Failure::usage(error.into()),
        StateError::LeaseHeld { .. } => Failure::new(Exit::Ended(Ending::Leased), error.into()),
        error => Failure::storage(error.into()),
    }
}

/// A pipeline, as far as a command needs it that only looks into the state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NamedPipeline {
    /// Its name.
    pub(super) name: String,
    /// The names of its flows, where its file was given.
    pub(super) flows: Option<Vec<String>>,
}

/// The name of a pipeline, given as its file or as the name itself.
pub(super) fn pipeline_name(argument: &str) -> Result<String, Failure> {
    named_pipeline(argument).map(|pipeline| pipeline.name)
}

/// A pipeline, given as its file or as its name.
pub(super) fn named_pipeline(argument: &str) -> Result<NamedPipeline, Failure> {
    #[derive(Deserialize)]
    struct File {
        pipeline: Option<String>,
        #[serde(default)]
        flows: IndexMap<String, IgnoredAny>,
    }

    let path = Path::new(argument);
    let looks_like_a_file = path
        .extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml");
    if !looks_like_a_file && !path.is_file() {
        return Ok(NamedPipeline {
            name: argument.to_owned(),
            flows: None,
        });
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the pipeline file `{argument}`"))
        .map_err(Failure::usage)?;
    serde_yaml::from_str::<File>(&text)
        .with_context(|| format!("cannot read the pipeline's name in `{argument}`"))
        .and_then(|file| match file.pipeline {
            Some(name) => Ok(NamedPipeline {
                name,
                flows: Some(file.flows.into_keys().collect()),
            }),
            None => Err(anyhow!(
                "`{argument}` is not a pipeline file: it has no key `pipeline`"
            )),
        })
        .map_err(Failure::usage)
}

/// A path as a shell reads it back.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |character: char| character.is_alphanumeric() || "/._-+:@%=,".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_named_by_its_file_or_by_itself() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sync.yaml");
        std::fs::write(&file, "version: 1\npipeline: tickets-cases\nflows: {}\n").unwrap();
        assert_eq!(pipeline_name(file.to_str().unwrap()).unwrap(), "tickets-cases");
        assert_eq!(pipeline_name("tickets-cases").unwrap(), "tickets-cases");
        assert!(pipeline_name("missing.yaml").is_err());
    }

    #[test]
    fn the_options_lead_back_to_the_same_file() {
        let sandbox = StateLocation {
            state: None,
            sandbox: true,
        };
        assert_eq!(sandbox.path(), Path::new(SANDBOX_STATE));
        assert_eq!(sandbox.options(), " --sandbox");
        let own = StateLocation {
            state: Some("it's here/state.db".into()),
            sandbox: false,
        };
        assert_eq!(own.options(), r" --state 'it'\''s here/state.db'");
        assert_eq!(StateLocation::default().options(), "");
    }
}
