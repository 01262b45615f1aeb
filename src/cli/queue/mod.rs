//! `crosswalk queue`: the records that wait, why, and what a person decides about them.

mod render;

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::Context;
use super::arguments::Format;
use super::exit::{Exit, Failure};
use super::location::{StateLocation, leased, pipeline_name, state_failure};
use crate::compile::compiled::Side;
use crate::state::{FlowRef, QueueFilter, QueueItem, QueueKind, State};

/// The arguments of `crosswalk queue`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  crosswalk queue list mappings/tickets-cases.yaml
  crosswalk queue list sync.yaml --kind held --format json
  crosswalk queue show sync.yaml 4711
  crosswalk queue resolve sync.yaml 4711 --row priority --winner remote
  crosswalk queue retry sync.yaml --all && crosswalk run sync.yaml
  crosswalk queue drop sync.yaml 4711 4712")]
pub struct Queue {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the records that wait, and why
    List {
        #[command(flatten)]
        which: Which,
        /// Show at most so many
        #[arg(long, value_name = "COUNT")]
        limit: Option<usize>,
        /// The form of the answer
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Show all that is known of one waiting record
    Show {
        #[command(flatten)]
        which: Which,
        /// The record's key; in a two-way flow with or without the side before it (`remote:KEY`)
        key: String,
        /// The form of the answer
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Let the next run try records again, whatever their kind and however often they failed
    Retry(Selected),
    /// Decide which side of a two-way flow wins where rows are held: the next run writes its value to the other one
    Resolve {
        #[command(flatten)]
        which: Which,
        /// The record's key, with or without the side before it (`remote:KEY`)
        key: String,
        /// Only this row; may be given several times [default: all rows that are held]
        #[arg(long, value_name = "ROW")]
        row: Vec<String>,
        /// The side whose value stays
        #[arg(long, value_enum, value_name = "SIDE")]
        winner: Winner,
    },
    /// Forget records for good: they come again only when they change in their source
    Drop(Selected),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Winner {
    /// The flow's `remote`
    Remote,
    /// The flow's `local`
    Local,
}

impl From<Winner> for Side {
    fn from(winner: Winner) -> Self {
        match winner {
            Winner::Remote => Side::Remote,
            Winner::Local => Side::Local,
        }
    }
}

#[derive(Args, Debug)]
struct Which {
    /// The pipeline's file, or its name
    pipeline: String,
    /// Only records of this flow
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    /// Only records that wait for this reason
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    #[command(flatten)]
    location: StateLocation,
}

#[derive(Args, Debug)]
struct Selected {
    #[command(flatten)]
    which: Which,
    /// The records' keys; in a two-way flow with or without the side before them (`remote:KEY`)
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "KEY")]
    keys: Vec<String>,
    /// All records, of the flow and kind if those are given
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Could not be mapped or written
    Rejected,
    /// A person decides
    Held,
    /// What it refers to does not exist yet
    Waiting,
}

impl From<Kind> for QueueKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Rejected => QueueKind::Rejected,
            Kind::Held => QueueKind::Held,
            Kind::Waiting => QueueKind::Waiting,
        }
    }
}

/// Runs the subcommand.
pub(super) fn queue(context: &Context, arguments: Queue) -> Result<Exit, Failure> {
    match arguments.action {
        Action::List { which, limit, format } => list(context, &which, limit, format),
        Action::Show { which, key, format } => show(context, &which, &key, format),
        Action::Retry(selected) => change(
            context,
            &selected,
            "will be tried by the next run",
            |state, flow, keys| state.queue_retry(flow, keys),
        ),
        Action::Resolve {
            which,
            key,
            row,
            winner,
        } => resolve(context, &which, &key, &row, winner.into()),
        Action::Drop(selected) => change(context, &selected, "forgotten", |state, flow, keys| {
            state.queue_drop(flow, keys)
        }),
    }
}

impl Which {
    /// Items with their flows, in order of flow and key.
    fn items(
        &self,
        state: &dyn State,
        limit: Option<usize>,
    ) -> Result<(String, Vec<(String, QueueItem)>), Failure> {
        let pipeline = pipeline_name(&self.pipeline)?;
        let filter = QueueFilter {
            flow: self.flow.clone(),
            kind: self.kind.map(QueueKind::from),
            limit,
        };
        let items = state.queue_list(&pipeline, &filter).map_err(state_failure)?;
        Ok((pipeline, items))
    }
}

fn list(context: &Context, which: &Which, limit: Option<usize>, format: Format) -> Result<Exit, Failure> {
    let state = which.location.open()?;
    let (_, items) = which.items(&state, limit)?;
    match format {
        Format::Json => {
            let documents: Vec<Value> = items
                .iter()
                .map(|(flow, item)| render::document(flow, item, false))
                .collect();
            context.output.print_json(&documents)?;
        }
        Format::Text if items.is_empty() => context.output.print("the queue is empty\n")?,
        Format::Text => context.output.print(&render::table(&items))?,
    }
    Ok(Exit::Complete)
}

fn show(context: &Context, which: &Which, key: &str, format: Format) -> Result<Exit, Failure> {
    let state = which.location.open()?;
    let (pipeline, items) = which.items(&state, None)?;
    let found: Vec<&(String, QueueItem)> = items.iter().filter(|(_, item)| item.is_called(key)).collect();
    if found.is_empty() {
        return Err(not_waiting(&pipeline, key));
    }
    match format {
        Format::Json => {
            let documents: Vec<Value> = found
                .iter()
                .map(|(flow, item)| render::document(flow, item, true))
                .collect();
            context.output.print_json(&documents)?;
        }
        Format::Text => {
            let texts: Vec<String> = found
                .iter()
                .map(|(flow, item)| render::lines(flow, item))
                .collect();
            context.output.print(&texts.join("\n"))?;
        }
    }
    Ok(Exit::Complete)
}

fn resolve(
    context: &Context,
    which: &Which,
    key: &str,
    rows: &[String],
    winner: Side,
) -> Result<Exit, Failure> {
    let state = which.location.open()?;
    let _lease = leased(&state, &pipeline_name(&which.pipeline)?)?;
    let (pipeline, items) = which.items(&state, None)?;
    let called: Vec<&(String, QueueItem)> = items.iter().filter(|(_, item)| item.is_called(key)).collect();
    if called.is_empty() {
        return Err(not_waiting(&pipeline, key));
    }
    let mut held = called.iter().filter(|(_, item)| !item.held_rows.is_empty());
    let (flow, item) = match (held.next(), held.next()) {
        (Some(only), None) => only,
        (None, _) => {
            return Err(Failure::usage(anyhow!(
                "no row of `{key}` waits for a choice between two sides: `crosswalk queue show` says why it waits"
            )));
        }
        (Some((one, _)), Some((other, _))) => {
            return Err(Failure::usage(anyhow!(
                "`{key}` is held by the flows `{one}` and `{other}`: name one with --flow"
            )));
        }
    };
    if let Some(unknown) = rows
        .iter()
        .find(|name| !item.held_rows.iter().any(|held| held.row == **name))
    {
        let known: Vec<&str> = item.held_rows.iter().map(|held| held.row.as_str()).collect();
        return Err(Failure::usage(anyhow!(
            "row `{unknown}` of `{key}` is not held: those that are held are {}",
            known.join(", ")
        )));
    }
    let flow = FlowRef {
        pipeline: &pipeline,
        flow,
    };
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let count = state
        .queue_resolve(flow, &item.key, &rows, winner)
        .map_err(state_failure)?;
    let named = if count == 1 { "row" } else { "rows" };
    context.output.print(&format!(
        "{count} {named} of `{key}`: {} wins; the next run writes its value to the {} side\n",
        winner.name(),
        winner.other().name()
    ))?;
    Ok(Exit::Complete)
}

fn change(
    context: &Context,
    selected: &Selected,
    done: &str,
    act: impl Fn(&dyn State, FlowRef<'_>, &[&str]) -> Result<u64, crate::state::StateError>,
) -> Result<Exit, Failure> {
    let state = selected.which.location.open()?;
    let _lease = leased(&state, &pipeline_name(&selected.which.pipeline)?)?;
    let (pipeline, items) = selected.which.items(&state, None)?;
    if let Some(missing) = selected
        .keys
        .iter()
        .find(|key| !items.iter().any(|(_, item)| item.is_called(key)))
    {
        return Err(not_waiting(&pipeline, missing));
    }
    if let Some(ambiguous) = selected.keys.iter().find(|key| waits_on_both_sides(&items, key)) {
        return Err(Failure::usage(anyhow!(
            "two records `{ambiguous}` wait, one of each side: say `remote:{ambiguous}` or `local:{ambiguous}`"
        )));
    }
    let chosen: Vec<&(String, QueueItem)> = items
        .iter()
        .filter(|(_, item)| selected.all || selected.keys.iter().any(|key| item.is_called(key)))
        .collect();
    let mut count = 0;
    for group in chosen.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((flow, _)) = group.first() else { continue };
        let keys: Vec<&str> = group.iter().map(|(_, item)| item.key.as_str()).collect();
        let flow = FlowRef {
            pipeline: &pipeline,
            flow,
        };
        count += act(&state, flow, &keys).map_err(state_failure)?;
    }
    let records = if count == 1 { "record" } else { "records" };
    context.output.print(&format!("{count} {records} {done}\n"))?;
    Ok(Exit::Complete)
}

/// Whether a key without a side means two records of one flow.
fn waits_on_both_sides(items: &[(String, QueueItem)], key: &str) -> bool {
    let mut flows = items
        .iter()
        .filter(|(_, item)| item.is_called(key))
        .map(|(flow, _)| flow);
    let mut last = None;
    flows.any(|flow| last.replace(flow) == Some(flow))
}

fn not_waiting(pipeline: &str, key: &str) -> Failure {
    Failure::usage(anyhow!(
        "no record `{key}` waits in the queue of `{pipeline}`: `crosswalk queue list` shows those that do"
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Arguments;

    fn parses(arguments: &str) -> bool {
        Arguments::try_parse_from(arguments.split(' ')).is_ok()
    }

    #[test]
    fn retry_and_drop_need_keys_or_all_but_not_both() {
        assert!(parses("crosswalk queue retry sync.yaml 1 2"));
        assert!(parses(
            "crosswalk queue drop sync.yaml --all --kind held --flow cases"
        ));
        assert!(!parses("crosswalk queue retry sync.yaml"));
        assert!(!parses("crosswalk queue drop sync.yaml 1 --all"));
    }

    #[test]
    fn a_choice_names_the_side_that_wins() {
        assert!(parses(
            "crosswalk queue resolve sync.yaml 7 --row a --row b --winner local"
        ));
        assert!(!parses("crosswalk queue resolve sync.yaml 7"));
        assert!(!parses("crosswalk queue resolve sync.yaml 7 --winner newest"));
    }

    #[test]
    fn the_state_is_a_file_or_that_of_the_sandbox() {
        assert!(parses("crosswalk queue list sync --sandbox"));
        assert!(parses("crosswalk queue list sync --state other.db"));
        assert!(!parses("crosswalk queue list sync --sandbox --state other.db"));
        assert!(!parses("crosswalk queue list sync --kind lost"));
    }
}
