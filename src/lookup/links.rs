//! Links from the store, as mapping asks for them.
//!
//! A link that exists stays for the run. That there is none is true for the batch that asked only: its record may be
//! created a moment later.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::LookupError;
use super::answers::{Answer, Answers};
use crate::compile::compiled::{FlowId, Pipeline, Side};
use crate::expression::Value;
use crate::mapping::{Found, Resolution};
use crate::state::{FlowRef, State};

/// Links by flow and source key.
#[derive(Debug)]
pub(super) struct Links {
    flows: Vec<Answers>,
}

impl Links {
    /// Nothing known, for so many flows.
    pub(super) fn new(flows: usize) -> Self {
        Links {
            flows: (0..flows).map(|_| Answers::default()).collect(),
        }
    }

    /// The answer for a batch that began at `since`.
    pub(super) fn resolve(&self, flow: FlowId, key: &str, since: Instant) -> Resolution {
        let Some(answers) = self.flows.get(flow) else {
            return Resolution::None;
        };
        match answers.find(key, since) {
            None => Resolution::Missing,
            Some(Answer::Failed(message)) => Resolution::Failed(message.to_string()),
            Some(Answer::Found(found)) => match found.first() {
                Some(found) => Resolution::Found(found.clone()),
                None => Resolution::None,
            },
        }
    }

    /// Reads links of one flow from the store. One that has ended is none.
    pub(super) fn fetch(
        &self,
        pipeline: &Pipeline,
        state: &dyn State,
        flow: FlowId,
        keys: &[&str],
    ) -> Result<(), LookupError> {
        let (Some(answers), Some((name, ours))) = (self.flows.get(flow), pipeline.links_of(flow)) else {
            return Ok(());
        };
        let flow = FlowRef {
            pipeline: &pipeline.name,
            flow: name,
        };
        let linked = match ours {
            Side::Remote => targets(state, flow, keys)?,
            Side::Local => sources(state, flow, keys)?,
        };
        for key in keys {
            let (answer, fresh_for) = match linked.get(*key) {
                Some(other) => {
                    let found = Found {
                        key: Value::text(other.clone()),
                        record: Value::Null.into(),
                    };
                    (vec![found.into()], Duration::MAX)
                }
                None => (Vec::new(), Duration::ZERO),
            };
            answers.put(key, Answer::Found(answer.into()), fresh_for);
        }
        Ok(())
    }
}

/// The targets of sources.
fn targets(
    state: &dyn State,
    flow: FlowRef<'_>,
    sources: &[&str],
) -> Result<HashMap<String, String>, LookupError> {
    let links = state.links(flow, sources)?;
    let live = links.into_iter().filter(|(_, link)| !link.tombstone);
    Ok(live
        .filter_map(|(source, link)| Some((source, link.target?)))
        .collect())
}

/// The sources of targets: the way back through the links of a two-way flow.
fn sources(
    state: &dyn State,
    flow: FlowRef<'_>,
    targets: &[&str],
) -> Result<HashMap<String, String>, LookupError> {
    let sources = state.linked_sources(flow, targets)?;
    let names: Vec<&str> = sources.values().map(String::as_str).collect();
    let links = state.links(flow, &names)?;
    let is_live = |source: &String| links.get(source).is_some_and(|link| !link.tombstone);
    Ok(sources
        .into_iter()
        .filter(|(_, source)| is_live(source))
        .collect())
}
