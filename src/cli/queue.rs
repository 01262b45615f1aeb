//! `crosswalk queue`: the records that wait, why, and what a person decides about them.

use std::fmt::Write as _;

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Context;
use super::arguments::Format;
use super::exit::{Exit, Failure};
use super::location::{StateLocation, pipeline_name, state_failure};
use super::table::{Align, Table, shorten};
use crate::state::{FlowRef, QueueFilter, QueueItem, QueueKind, QueuedRecord, State};

/// The arguments of `crosswalk queue`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  crosswalk queue list mappings/tickets-cases.yaml
  crosswalk queue list sync.yaml --kind held --format json
  crosswalk queue show sync.yaml 4711
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
        /// The record's key
        key: String,
        /// The form of the answer
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Let the next run try records again, whatever their kind and however often they failed
    Retry(Selected),
    /// Forget records for good: they come again only when they change in their source
    Drop(Selected),
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
    /// The records' keys
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
                .map(|(flow, item)| describe(flow, item, false))
                .collect();
            context.output.print_json(&documents)?;
        }
        Format::Text if items.is_empty() => context.output.print("the queue is empty\n")?,
        Format::Text => {
            let mut table = Table::new([
                ("flow", Align::Left),
                ("key", Align::Left),
                ("kind", Align::Left),
                ("field", Align::Left),
                ("tries", Align::Right),
                ("since", Align::Left),
                ("reason", Align::Left),
            ]);
            for (flow, item) in &items {
                table.row([
                    flow.clone(),
                    item.key.clone(),
                    item.kind.word().to_owned(),
                    item.field.clone().unwrap_or_default(),
                    item.attempts.to_string(),
                    item.first_seen.strftime("%Y-%m-%d %H:%M").to_string(),
                    shorten(&item.reason, 90),
                ]);
            }
            context.output.print(&table.render())?;
        }
    }
    Ok(Exit::Complete)
}

fn show(context: &Context, which: &Which, key: &str, format: Format) -> Result<Exit, Failure> {
    let state = which.location.open()?;
    let (pipeline, items) = which.items(&state, None)?;
    let found: Vec<(String, QueueItem)> = items.into_iter().filter(|(_, item)| item.key == key).collect();
    if found.is_empty() {
        return Err(not_waiting(&pipeline, key));
    }
    let documents: Vec<Value> = found
        .iter()
        .map(|(flow, item)| describe(flow, item, true))
        .collect();
    match format {
        Format::Json => context.output.print_json(&documents)?,
        Format::Text => {
            let texts: Vec<String> = documents.iter().map(lines).collect();
            context.output.print(&texts.join("\n"))?;
        }
    }
    Ok(Exit::Complete)
}

fn change(
    context: &Context,
    selected: &Selected,
    done: &str,
    act: impl Fn(&dyn State, FlowRef<'_>, &[&str]) -> Result<u64, crate::state::StateError>,
) -> Result<Exit, Failure> {
    let state = selected.which.location.open()?;
    let (pipeline, items) = selected.which.items(&state, None)?;
    if let Some(missing) = selected
        .keys
        .iter()
        .find(|key| !items.iter().any(|(_, item)| item.key == **key))
    {
        return Err(not_waiting(&pipeline, missing));
    }
    let chosen: Vec<&(String, QueueItem)> = items
        .iter()
        .filter(|(_, item)| selected.all || selected.keys.contains(&item.key))
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

fn not_waiting(pipeline: &str, key: &str) -> Failure {
    Failure::usage(anyhow!(
        "no record `{key}` waits in the queue of `{pipeline}`: `crosswalk queue list` shows those that do"
    ))
}

fn describe(flow: &str, item: &QueueItem, with_record: bool) -> Value {
    let mut document = json!({
        "flow": flow,
        "key": item.key,
        "kind": item.kind.word(),
        "field": item.field,
        "rule": item.rule,
        "code": item.code,
        "reason": item.reason,
        "value": item.value,
        "attempts": item.attempts,
        "first_seen": item.first_seen,
        "last_seen": item.last_seen,
        "run": item.run,
        "waits_for": item.waits_for.as_ref().map(|link| json!({"flow": link.flow, "key": link.key})),
    });
    if with_record {
        let (kept, record) = match &item.record {
            QueuedRecord::AsReceived(text) => ("as received", parsed(text)),
            QueuedRecord::Redacted(text) => ("masked", parsed(text)),
            QueuedRecord::KeyOnly => ("key only", Value::Null),
        };
        document["record_kept"] = json!(kept);
        document["record"] = record;
    }
    document
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// A document as lines of `name  value`, without what is null.
fn lines(document: &Value) -> String {
    let mut text = String::new();
    for (name, value) in document.as_object().into_iter().flatten() {
        let _ = match value {
            Value::Null => continue,
            Value::String(value) => writeln!(text, "{name:<12} {value}"),
            Value::Object(_) | Value::Array(_) => writeln!(
                text,
                "{name:<12} {}",
                serde_json::to_string_pretty(value).unwrap_or_default()
            ),
            Value::Bool(_) | Value::Number(_) => writeln!(text, "{name:<12} {value}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Arguments;

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
    fn the_state_is_a_file_or_that_of_the_sandbox() {
        assert!(parses("crosswalk queue list sync --sandbox"));
        assert!(parses("crosswalk queue list sync --state other.db"));
        assert!(!parses("crosswalk queue list sync --sandbox --state other.db"));
        assert!(!parses("crosswalk queue list sync --kind lost"));
    }
}
