//! What flows use of lookups: which ones, what of a found record they read, which fallbacks they name.

use std::collections::HashSet;

use super::LookupError;
use super::answers::Answers;
use super::table::{Constant, Table};
use crate::compile::compiled::{
    Condition, Flow, FlowId, Input, Lookup, LookupId, LookupUse, OnNone, Pipeline, Row,
};
use crate::expression::{Path, Projection, Scope, Template, normalize};
use crate::mapping::evaluate_shape;

/// Empty tables for every lookup of a pipeline.
pub(super) fn tables(pipeline: &Pipeline) -> Result<Vec<Table>, LookupError> {
    let scope = Scope::new()
        .with("params", &pipeline.params)
        .with("connections", &pipeline.connections_seen);
    let lookups = pipeline.lookups.iter().enumerate();
    lookups
        .map(|(id, lookup)| table(pipeline, id, lookup, &scope))
        .collect()
}

/// The lookups that a flow asks, directly or for the records that other lookups create.
#[must_use]
pub fn lookups_of(pipeline: &Pipeline, flow: FlowId) -> Vec<LookupId> {
    Used::by(pipeline, &[flow]).lookups
}

fn table(
    pipeline: &Pipeline,
    id: LookupId,
    lookup: &Lookup,
    scope: &Scope<'_>,
) -> Result<Table, LookupError> {
    let stream = pipeline
        .connections
        .get(lookup.connection)
        .and_then(|connection| connection.connector.streams.get(lookup.stream));
    let Some(stream) = stream else {
        return Err(LookupError::Constant {
            lookup: lookup.name.clone(),
            template: "in".to_owned(),
            message: "there is no such stream".to_owned(),
        });
    };
    let key: Path = stream.key.clone();
    let kept = kept(pipeline, id, lookup);
    let mut read = kept.clone();
    read.add_path(&key);
    for matching in lookup.attempts.iter().flat_map(|attempt| &attempt.keys) {
        read.add_path(&matching.theirs);
    }
    for condition in &lookup.conditions {
        read.add_path(&condition.path);
    }
    let gone_when: Vec<Template> = [&stream.deleted_when, &stream.erased_when]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    for chain in gone_when.iter().flat_map(Template::variables) {
        if let Some(("record", rest)) = chain.split_first().map(|(first, rest)| (first.as_str(), rest)) {
            read.add_variable(rest);
        }
    }
    let conditions = lookup
        .conditions
        .iter()
        .map(|condition| constant(lookup, condition, scope))
        .collect::<Result<_, _>>()?;
    Ok(Table {
        conditions,
        gone_when,
        read,
        kept,
        key,
        whole: std::sync::OnceLock::new(),
        asked: lookup.attempts.iter().map(|_| Answers::default()).collect(),
        pinned: std::sync::RwLock::default(),
    })
}

/// What of a found record is read after it was found: by preferences, and by the flows that join it.
fn kept(pipeline: &Pipeline, id: LookupId, lookup: &Lookup) -> Projection {
    let mut kept = Projection::new();
    for condition in lookup.prefer.iter().flatten() {
        kept.add_path(&condition.path);
    }
    for flow in &pipeline.flows {
        for join in &flow.joins {
            let uses = join.lookup.as_ref().is_some_and(|used| used.lookup == id);
            if let Some(projection) = flow.projection.member(&join.name).filter(|_| uses) {
                kept.add_projection(projection);
            }
        }
    }
    kept
}

fn constant(lookup: &Lookup, condition: &Condition, scope: &Scope<'_>) -> Result<Constant, LookupError> {
    let values = condition
        .values
        .iter()
        .map(|shape| {
            evaluate_shape(shape, scope)
                .map(|value| normalize(&[], &value))
                .map_err(|error| LookupError::Constant {
                    lookup: lookup.name.clone(),
                    template: format!("where {}", condition.path.source()),
                    message: error.to_string(),
                })
        })
        .collect::<Result<_, _>>()?;
    Ok(Constant {
        path: condition.path.clone(),
        values,
    })
}

/// The lookups that some flows use, and the fallbacks that they name.
#[derive(Debug, Default)]
pub(super) struct Used<'p> {
    pub(super) lookups: Vec<LookupId>,
    pub(super) fallbacks: Vec<(LookupId, &'p Template)>,
    seen: HashSet<LookupId>,
}

impl<'p> Used<'p> {
    /// What these flows use, through the records that lookups create as well.
    pub(super) fn by(pipeline: &'p Pipeline, flows: &[FlowId]) -> Self {
        let mut used = Used::default();
        for flow in flows.iter().filter_map(|flow| pipeline.flows.get(*flow)) {
            used.add_flow(pipeline, flow);
        }
        used.lookups.sort_unstable();
        used
    }

    fn add_flow(&mut self, pipeline: &'p Pipeline, flow: &'p Flow) {
        for join in &flow.joins {
            if let Some(lookup) = &join.lookup {
                self.add_use(pipeline, lookup);
            }
        }
        self.add_rows(pipeline, &flow.rows);
    }

    fn add_rows(&mut self, pipeline: &'p Pipeline, rows: &'p [Row]) {
        for row in rows {
            if let Some(lookup) = &row.lookup {
                self.add_use(pipeline, lookup);
            }
            let Input::FirstOf(alternatives) = &row.input else {
                continue;
            };
            for lookup in alternatives.iter().filter_map(|one| one.lookup.as_ref()) {
                self.add_use(pipeline, lookup);
            }
        }
    }

    fn add_use(&mut self, pipeline: &'p Pipeline, used: &'p LookupUse) {
        let Some(lookup) = pipeline.lookups.get(used.lookup) else {
            return;
        };
        let is_new = self.seen.insert(used.lookup);
        if is_new {
            self.lookups.push(used.lookup);
        }
        match &used.on_none {
            Some(on_none) => self.add_on_none(pipeline, used.lookup, on_none),
            None => self.add_on_none(pipeline, used.lookup, &lookup.on_none),
        }
    }

    fn add_on_none(&mut self, pipeline: &'p Pipeline, lookup: LookupId, on_none: &'p OnNone) {
        match on_none {
            OnNone::Instead(template) => {
                let known = self
                    .fallbacks
                    .iter()
                    .any(|(other, fallback)| *other == lookup && fallback.source() == template.source());
                if !known {
                    self.fallbacks.push((lookup, template));
                }
            }
            OnNone::Create(rows) => self.add_rows(pipeline, rows),
            OnNone::Reject
            | OnNone::Keep
            | OnNone::Clear
            | OnNone::Skip
            | OnNone::Hold
            | OnNone::Wait
            | OnNone::Const(_) => {}
        }
    }
}
