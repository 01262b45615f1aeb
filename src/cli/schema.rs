//! `crosswalk schema`: the JSON Schemas of what people write and of what runs leave behind.

use clap::{Args, ValueEnum};

use super::Context;
use super::exit::{Exit, Failure};
use crate::definition::{connector_schema, pipeline_schema};

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
}

/// Runs the subcommand.
pub(super) fn schema(context: &Context, arguments: &Schema) -> Result<Exit, Failure> {
    let document = match arguments.kind {
        Kind::Pipeline => pipeline_schema(),
        Kind::Connector => connector_schema(),
    };
    context.output.print_json(document)?;
    Ok(Exit::Complete)
}
