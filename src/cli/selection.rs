//! Which of a pipeline's flows and records a command works on: the options that `run` and `plan` share.

use anyhow::anyhow;
use clap::Args;

use super::exit::Failure;
use crate::compile::compiled::Pipeline;
use crate::run::RunOptions;

/// Which flows and records.
#[derive(Args, Debug)]
pub(super) struct Selection {
    /// Stop reading after so many records; the next run continues there
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Only the record with this key; may be given several times. `NAME:KEY` says whose key it is: NAME is a connection,
    /// a stream, or a side of a two-way flow (`remote`, `local`); a bare KEY is a source's, in a two-way flow the remote
    /// record's
    #[arg(long, value_name = "KEY")]
    only: Vec<String>,
    /// Only this flow; may be given several times
    #[arg(long, value_name = "NAME")]
    flow: Vec<String>,
    /// Read everything again instead of what changed since the last run, and compare
    #[arg(long)]
    full: bool,
}

impl Selection {
    /// What is asked for, of flows that exist and are on.
    pub(super) fn ask(&self, pipeline: &Pipeline, options: RunOptions) -> Result<RunOptions, Failure> {
        let mut known: Vec<&str> = (0..pipeline.flows.len())
            .map(|id| pipeline.written_name(id))
            .collect();
        known.dedup();
        for asked in &self.flow {
            if !known.contains(&asked.as_str()) {
                return Err(Failure::usage(anyhow!(
                    "the pipeline has no flow `{asked}`: it has {}",
                    known.join(", ")
                )));
            }
            is_on(pipeline, asked)?;
        }
        Ok(self.of(options))
    }

    /// The options with what is asked for.
    pub(super) fn of(&self, options: RunOptions) -> RunOptions {
        RunOptions {
            limit: self.limit,
            only: self.only.clone(),
            flows: self.flow.clone(),
            full: self.full,
            ..options
        }
    }
}

/// Refuses a flow by name that is off.
pub(super) fn is_on(pipeline: &Pipeline, flow: &str) -> Result<(), Failure> {
    match pipeline.disabled().find(|(name, _)| *name == flow) {
        Some((_, reason)) => Err(Failure::usage(anyhow!("flow `{flow}` is disabled: {reason}"))),
        None => Ok(()),
    }
}
