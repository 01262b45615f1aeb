//! `crosswalk schema`: the JSON Schemas of what people write and of what runs leave behind.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::Context;
use super::exit::{Exit, Failure};
use crate::definition::{connector_schema, pipeline_schema, tests_schema};
use crate::run::PlanDocument;
use crate::snapshot::{Manifest, Stage, documentation};

/// The arguments of `crosswalk schema`.
#[derive(Args, Debug)]
#[command(after_help = "\
Example, as the first line of a pipeline file:
  # yaml-language-server: $schema=../schemas/pipeline.schema.json")]
pub struct Schema {
    /// Of what
    kind: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// A pipeline file
    Pipeline,
    /// A connector file
    Connector,
    /// A file of mapping tests
    Tests,
    /// The columns of the snapshots, stage by stage
    Snapshot,
    /// A run's `manifest.json`
    Manifest,
    /// What `plan --format json` prints
    Plan,
}

/// Runs the subcommand.
pub(super) fn schema(context: &Context, arguments: &Schema) -> Result<Exit, Failure> {
    match arguments.kind {
        Kind::Pipeline => context.output.print_json(pipeline_schema())?,
        Kind::Connector => context.output.print_json(connector_schema())?,
        Kind::Tests => context.output.print_json(tests_schema())?,
        Kind::Snapshot => {
            let stages: Vec<Value> = Stage::ALL.into_iter().map(documentation).collect();
            context.output.print_json(&stages)?;
        }
        Kind::Plan => context.output.print_json(&PlanDocument::json_schema())?,
        Kind::Manifest => context.output.print_json(&Manifest::json_schema())?,
    }
    Ok(Exit::Complete)
}
