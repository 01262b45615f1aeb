//! `crosswalk publish`: gives records of a two-way flow's local side their remote counterparts now, although the flow's own
//! condition for that does not hold. It is a run of just these records; how it ends is said as a run says it.

use anyhow::anyhow;
use clap::Args;

use super::Context;
use super::execution::Execution;
use super::exit::{Exit, Failure};
use super::selection::is_on;
use crate::compile::compiled::{CreateWhen, Pipeline, Side, TwoWay};
use crate::run::{Publish as Published, RunOptions};

/// The arguments of `crosswalk publish`.
#[derive(Args, Debug)]
#[command(after_help = "\
A record that has a counterpart already is kept in step with it, as in any run.

Examples:
  crosswalk publish sync.yaml cases 22               create the remote record for the local record 22
  crosswalk publish sync.yaml cases 22 23 --dry-run  say what would be done
  crosswalk publish sync.yaml cases 22 --sandbox     rehearse it against local stand-ins")]
pub struct Publish {
    #[command(flatten)]
    execution: Execution,
    /// The two-way flow
    flow: String,
    /// The keys of the local records
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

/// Runs the subcommand.
pub(super) fn publish(context: &Context, arguments: &Publish) -> Result<Exit, Failure> {
    arguments.execution.execute(context, |pipeline, options| {
        let way =
            publishing_flow(pipeline, &arguments.flow).map_err(|reason| Failure::usage(anyhow!(reason)))?;
        is_on(pipeline, &way.name)?;
        Ok(ask(pipeline, way, &arguments.keys, options))
    })
}

/// A run of the flow and its children for just these local records.
fn ask(pipeline: &Pipeline, way: &TwoWay, keys: &[String], options: RunOptions) -> RunOptions {
    let connection = &pipeline.connections[way.streams.local.connection].name;
    RunOptions {
        only: keys.iter().map(|key| format!("{connection}:{key}")).collect(),
        flows: with_children(pipeline, way),
        publish: Some(Published {
            flow: way.name.clone(),
            keys: keys.to_vec(),
        }),
        ..options
    }
}

/// The flow that creates remote records, or why there is none of this name.
fn publishing_flow<'p>(pipeline: &'p Pipeline, name: &str) -> Result<&'p TwoWay, String> {
    let Some(way) = pipeline.two_way.iter().find(|way| way.name == name) else {
        let known: Vec<&str> = pipeline.two_way.iter().map(|way| way.name.as_str()).collect();
        let known = match known.is_empty() {
            true => "it has none".to_owned(),
            false => format!("it has {}", known.join(", ")),
        };
        return Err(match pipeline.flows.iter().any(|flow| flow.name == name) {
            true => format!(
                "flow `{name}` goes one way (`from`, `to`), so that there is nothing to publish: that takes a flow with `remote` and `local`; {known}"
            ),
            false => format!("the pipeline has no two-way flow `{name}`: {known}"),
        });
    };
    if let CreateWhen::Never = way.create[Side::Remote] {
        return Err(format!(
            "flow `{name}` never creates remote records (`create: {{remote: never}}`): write `create: {{remote: {{when: \"{{{{ … }}}}\"}}}}` with a condition over `local`; records for which it does not hold are created when they are published"
        ));
    }
    if !way.direction.writes(Side::Remote) {
        return Err(format!(
            "flow `{name}` does not write its remote side now: its `direction` must be `both` or `to_remote`"
        ));
    }
    Ok(way)
}

/// The flow, and those whose records belong to its pairs.
fn with_children(pipeline: &Pipeline, way: &TwoWay) -> Vec<String> {
    let mut chosen = vec![way.name.clone()];
    // Flows stand behind those whose children they are.
    for (id, flow) in pipeline.flows.iter().enumerate() {
        let name = |id: usize| pipeline.links_of(id).map(|(name, _)| name.to_owned());
        let is_child = flow
            .of
            .and_then(name)
            .is_some_and(|parent| chosen.contains(&parent));
        if let (true, Some(name)) = (is_child, name(id))
            && !chosen.contains(&name)
        {
            chosen.push(name);
        }
    }
    chosen
}
