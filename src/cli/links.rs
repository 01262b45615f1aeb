//! `crosswalk links`: which records are one thing in both systems, and what a person corrects about that.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use super::arguments::Format;
use super::exit::{Exit, Failure};
use super::location::{NamedPipeline, StateLocation, leased, named_pipeline, state_failure};
use super::table::{Align, Table};
use crate::state::{FlowRef, Lease, Link, Linked, LinkingError, SqliteState, State, Unlinked, link, unlink};
use crate::telemetry::progress::grouped;

/// How many links are read at once.
const PAGE: usize = 1000;

/// The arguments of `crosswalk links`.
#[derive(Args, Debug)]
#[command(after_help = "\
The first key is that of the record which the flow reads, in a two-way flow that of the remote one.

Examples:
  crosswalk links list sync.yaml cases --limit 20
  crosswalk links list sync.yaml cases --key 4711 --ended --format json
  crosswalk links add sync.yaml cases 4711 C-22          these two are one thing
  crosswalk links remove sync.yaml cases 4711            they part for good: neither is matched or created again
  crosswalk links remove sync.yaml cases 4711 --forget   as if they had never been linked")]
pub struct Links {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List linked records, in the order of their source keys
    List {
        #[command(flatten)]
        of: Of,
        /// Show links that have ended, too
        #[arg(long)]
        ended: bool,
        /// Only the link of the record with this key, on either side
        #[arg(long, value_name = "KEY", conflicts_with_all = ["after", "limit"])]
        key: Option<String>,
        /// Begin after this source key
        #[arg(long, value_name = "KEY")]
        after: Option<String>,
        /// Show at most so many
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: usize,
        /// The form of the answer
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Link two records, also when their link had ended
    Add {
        #[command(flatten)]
        of: Of,
        /// The key of the record that the flow reads, in a two-way flow the remote one
        #[arg(value_name = "REMOTE")]
        source: String,
        /// The key of the record that the flow writes, in a two-way flow the local one
        #[arg(value_name = "LOCAL")]
        target: String,
    },
    /// End a link: neither record is matched or created again
    Remove {
        #[command(flatten)]
        of: Of,
        /// The key of the record that the flow reads, in a two-way flow the remote one
        #[arg(value_name = "REMOTE")]
        source: String,
        /// Forget the link altogether: both records may be matched and created again
        #[arg(long)]
        forget: bool,
    },
}

#[derive(Args, Debug)]
struct Of {
    /// The pipeline's file, or its name
    pipeline: String,
    /// The flow
    flow: String,
    #[command(flatten)]
    location: StateLocation,
}

/// A page of links.
struct Listed {
    links: Vec<(String, Link)>,
    /// The last source key, if there are more behind it.
    next: Option<String>,
}

/// Runs the subcommand.
pub(super) fn links(context: &Context, arguments: &Links) -> Result<Exit, Failure> {
    match &arguments.action {
        Action::List {
            of,
            ended,
            key,
            after,
            limit,
            format,
        } => {
            let state = of.location.open()?;
            let pipeline = of.checked(&state)?;
            let flow = of.flow_of(&pipeline);
            let listed = match key {
                Some(key) => of_key(&state, flow, key, *ended),
                None => page(&state, flow, after.clone(), *limit, *ended),
            }
            .map_err(state_failure)?;
            let count = state.link_count(flow).map_err(state_failure)?;
            match format {
                Format::Json => context.output.print_json(&describe(flow, &listed, count))?,
                Format::Text => context.output.print(&render(&listed, count, *ended))?,
            }
        }
        Action::Add { of, source, target } => {
            let (state, pipeline, _lease) = of.open_to_change()?;
            let linked = link(&state, of.flow_of(&pipeline), source, target).map_err(linking_failure)?;
            let said = match linked {
                Linked::New => format!("`{source}` is linked to `{target}` now"),
                Linked::Again => format!("`{source}` is linked to `{target}` again"),
                Linked::Already => format!("`{source}` is linked to `{target}` already"),
            };
            context.output.print(&format!(
                "{said}: they are compared when one of them changes, or with `crosswalk run … --only {source}`\n"
            ))?;
        }
        Action::Remove { of, source, forget } => {
            let (state, pipeline, _lease) = of.open_to_change()?;
            let unlinked = unlink(&state, of.flow_of(&pipeline), source, *forget).map_err(linking_failure)?;
            let to =
                |target: Option<String>| target.map_or_else(String::new, |target| format!(" to `{target}`"));
            let said = match unlinked {
                Unlinked::Ended(target) => format!(
                    "the link of `{source}`{} has ended: neither is matched or created again",
                    to(target)
                ),
                Unlinked::Already(target) => format!(
                    "the link of `{source}`{} had ended before; --forget lets both be matched again",
                    to(target)
                ),
                Unlinked::Forgotten(target) => format!(
                    "the link of `{source}`{} is forgotten: both may be matched and created again",
                    to(target)
                ),
            };
            context.output.print(&format!("{said}\n"))?;
        }
    }
    Ok(Exit::Complete)
}

impl Of {
    fn flow_of<'n>(&'n self, pipeline: &'n str) -> FlowRef<'n> {
        FlowRef {
            pipeline,
            flow: &self.flow,
        }
    }

    /// Opens the state under the pipeline's lease, so that no run changes links at the same time.
    fn open_to_change(&self) -> Result<(SqliteState, String, Box<dyn Lease>), Failure> {
        let NamedPipeline { flows, .. } = named_pipeline(&self.pipeline)?;
        // Links may be made before the first run, where the file says that there is such a flow.
        let state = match flows {
            Some(_) => SqliteState::open(&self.location.path()).map_err(state_failure)?,
            None => self.location.open()?,
        };
        let pipeline = self.checked(&state)?;
        let lease = leased(&state, &pipeline)?;
        Ok((state, pipeline, lease))
    }

    /// The pipeline's name, if it has the flow: in its file, or in the state for want of a file.
    fn checked(&self, state: &dyn State) -> Result<String, Failure> {
        let NamedPipeline { name, flows } = named_pipeline(&self.pipeline)?;
        let known = match flows {
            Some(flows) => flows,
            None => {
                let status = state.status(&name).map_err(state_failure)?;
                status.flows.into_iter().map(|flow| flow.flow).collect()
            }
        };
        if known.contains(&self.flow) {
            return Ok(name);
        }
        Err(Failure::usage(match known.is_empty() {
            true => anyhow!("nothing is known of a pipeline `{name}`: give its file, or run it first"),
            false => anyhow!(
                "pipeline `{name}` has no flow `{}`: it has {}",
                self.flow,
                known.join(", ")
            ),
        }))
    }
}

fn linking_failure(error: LinkingError) -> Failure {
    match error {
        LinkingError::State(error) => state_failure(error),
        refusal => Failure::usage(refusal.into()),
    }
}

/// The link of one record, given by either side's key.
fn of_key(
    state: &dyn State,
    flow: FlowRef<'_>,
    key: &str,
    ended: bool,
) -> Result<Listed, crate::state::StateError> {
    let mut sources = vec![key.to_owned()];
    sources.extend(state.linked_sources(flow, &[key])?.remove(key));
    sources.dedup();
    let names: Vec<&str> = sources.iter().map(String::as_str).collect();
    let mut found = state.links(flow, &names)?;
    let links = sources
        .into_iter()
        .filter_map(|source| {
            let link = found.remove(&source)?;
            (ended || !link.tombstone).then_some((source, link))
        })
        .collect();
    Ok(Listed { links, next: None })
}

fn page(
    state: &dyn State,
    flow: FlowRef<'_>,
    mut after: Option<String>,
    limit: usize,
    ended: bool,
) -> Result<Listed, crate::state::StateError> {
    let mut links: Vec<(String, Link)> = Vec::new();
    loop {
        let read = state.links_after(flow, after.as_deref(), PAGE)?;
        let Some((last, _)) = read.last() else {
            return Ok(Listed { links, next: None });
        };
        after = Some(last.clone());
        for (source, link) in read.into_iter().filter(|(_, link)| ended || !link.tombstone) {
            if links.len() == limit {
                let next = links.last().map(|(source, _)| source.clone());
                return Ok(Listed { links, next });
            }
            links.push((source, link));
        }
    }
}

fn describe(flow: FlowRef<'_>, listed: &Listed, count: u64) -> serde_json::Value {
    let link = |(source, link): &(String, Link)| json!({"source": source, "target": link.target, "ended": link.tombstone});
    json!({
        "pipeline": flow.pipeline,
        "flow": flow.flow,
        "linked": count,
        "links": listed.links.iter().map(link).collect::<Vec<_>>(),
        "next": listed.next,
    })
}

fn render(listed: &Listed, count: u64, ended: bool) -> String {
    if listed.links.is_empty() {
        return match (count, ended) {
            (0, false) => "no linked records\n".to_owned(),
            _ => "no such links\n".to_owned(),
        };
    }
    let mut head = vec![("source (remote)", Align::Left), ("target (local)", Align::Left)];
    if ended {
        head.push(("", Align::Left));
    }
    let mut table = Table::new(head);
    for (source, link) in &listed.links {
        let word = if link.tombstone { "ended" } else { "" };
        table.row(
            [source.clone(), link.target.clone().unwrap_or_default()]
                .into_iter()
                .chain(ended.then(|| word.to_owned())),
        );
    }
    let mut text = table.render();
    if let Some(next) = &listed.next {
        text.push_str(&format!(
            "… of {} linked records; more with `--after {next}`\n",
            grouped(count)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: FlowRef<'static> = FlowRef {
        pipeline: "sync",
        flow: "cases",
    };

    fn sources(listed: &Listed) -> Vec<&str> {
        listed.links.iter().map(|(source, _)| source.as_str()).collect()
    }

    #[test]
    fn pages_are_full_although_links_have_ended_and_lead_to_each_other() {
        let state = SqliteState::in_memory().unwrap();
        for key in ["1", "2", "3", "4", "5"] {
            link(&state, CASES, key, &format!("c{key}")).unwrap();
        }
        unlink(&state, CASES, "2", false).unwrap();
        let first = page(&state, CASES, None, 2, false).unwrap();
        assert_eq!(
            (sources(&first), first.next.as_deref()),
            (vec!["1", "3"], Some("3"))
        );
        let second = page(&state, CASES, first.next, 2, false).unwrap();
        assert_eq!((sources(&second), second.next.as_deref()), (vec!["4", "5"], None));
        let all = page(&state, CASES, None, 9, true).unwrap();
        assert_eq!(sources(&all), ["1", "2", "3", "4", "5"]);
    }

    #[test]
    fn a_link_is_found_by_either_key() {
        let state = SqliteState::in_memory().unwrap();
        link(&state, CASES, "1", "2").unwrap();
        link(&state, CASES, "2", "3").unwrap();
        let found = |key| {
            let listed = of_key(&state, CASES, key, false).unwrap();
            listed
                .links
                .into_iter()
                .map(|(source, _)| source)
                .collect::<Vec<_>>()
        };
        assert_eq!(found("1"), ["1"]);
        assert_eq!(found("2"), ["2", "1"]);
        assert_eq!(found("3"), ["2"]);
        assert!(found("4").is_empty());
    }
}
