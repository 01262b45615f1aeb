//! [`Manifest`]: what a run left behind, so that an auditor can prove that nothing was changed since.
//!
//! It is written once, when the run ends, and never changed. It holds no personal data: counts, digests and cursors, no
//! values of records.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Stage;

/// A run's manifest, `manifest.json` in its directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// The version of this form.
    pub version: u32,
    /// The pipeline.
    pub pipeline: String,
    /// The run.
    #[schemars(with = "String")]
    pub run: Uuid,
    /// The interrupted run whose work this one went on with.
    #[schemars(with = "Option<String>")]
    pub continues: Option<Uuid>,
    /// Program and version.
    pub program: String,
    /// When the run was opened.
    #[schemars(with = "String")]
    pub opened_at: Timestamp,
    /// When it was closed; of an interrupted run, when it was sealed.
    #[schemars(with = "String")]
    pub closed_at: Timestamp,
    /// How the run ended; `interrupted` if its process died.
    pub ending: String,
    /// The process's exit code; null if the process died.
    pub exit_code: Option<u8>,
    /// What the run was configured with.
    pub configuration: Configuration,
    /// What happened to records, per flow.
    pub counts: Vec<FlowCounts>,
    /// Flows that the run left out because they are off, each with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disabled: BTreeMap<String, String>,
    /// Where each flow's reading stood before and after.
    pub cursors: Vec<CursorMove>,
    /// The Parquet files.
    pub files: Vec<ManifestFile>,
    /// Stages of an interrupted run of which rows may be missing. Only `extracted` can be: it can be read again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partial: Vec<Stage>,
    /// What was cut off the journals of an interrupted run: writes that never completed, so no cursor moved past them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub torn: Vec<TornTail>,
    /// BLAKE3 digest of the link of the chain before this run's opening, in hexadecimal; null for the first run.
    pub previous: Option<String>,
    /// BLAKE3 digest of this run's opening link.
    pub opening: String,
}

/// What a run was configured with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    /// BLAKE3 digest of the pipeline file.
    pub pipeline: String,
    /// Connector and schema files that were read: name and BLAKE3 digest.
    pub sources: Vec<(String, String)>,
}

/// Counts of one flow by name (`read`, `created`, `rejected` and so on).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowCounts {
    /// The flow.
    pub flow: String,
    /// How many.
    pub counts: BTreeMap<String, u64>,
}

/// A cursor before and after the run, as the state store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CursorMove {
    /// The flow.
    pub flow: String,
    /// The stream that it reads.
    pub stream: String,
    /// Before; null if the stream had never been read.
    pub before: Option<serde_json::Value>,
    /// After.
    pub after: Option<serde_json::Value>,
}

/// A Parquet file of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestFile {
    /// Its path below the run's directory.
    pub path: String,
    /// The stage.
    pub stage: Stage,
    /// The flow.
    pub flow: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Fingerprint of names and types: files of equal fingerprints can be read as one table.
    pub schema: String,
    /// BLAKE3 digest of the content, in hexadecimal.
    pub digest: String,
}

/// The end of a journal that was not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TornTail {
    /// The stage.
    pub stage: Stage,
    /// The flow.
    pub flow: String,
    /// Bytes cut off.
    pub bytes: u64,
}

impl Manifest {
    /// The JSON Schema of `manifest.json`.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Manifest).to_value()
    }

    /// The text of `manifest.json`.
    pub(crate) fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}
