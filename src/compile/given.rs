//! What lookups are given: where all uses of a lookup hand over the same known part of a record, its `given` is
//! checked against that.

use indexmap::IndexMap;

use super::compiled::LookupId;
use super::connections::ConnectionFacts;
use super::legs::{Leg, legs};
use super::pointer::Pointer;
use super::record_view::{RecordView, path_steps};
use crate::definition::{self, Rule, Source};

/// For each lookup, what `given` may hold.
pub(super) fn given_views(
    pipeline: &definition::Pipeline,
    connections: &[ConnectionFacts],
) -> Vec<RecordView> {
    let mut uses: Vec<Vec<Option<(String, RecordView)>>> = vec![Vec::new(); pipeline.lookups.len()];
    let root = Pointer::root();
    let legs = pipeline.flows.values().flat_map(|flow| legs(&root, flow));
    for leg in legs {
        let view = stream_view(&leg, connections);
        for join in leg.join.into_iter().flat_map(IndexMap::values) {
            note(
                pipeline,
                &mut uses,
                join.lookup.as_ref(),
                Some(&join.value),
                leg.from,
                view.as_ref(),
            );
        }
        for rule in leg.rules.iter().map(|rule| &rule.rule) {
            let plain = rule.take.is_none() && rule.enum_table.is_none() && rule.default.is_none();
            let value = rule.value.as_ref().filter(|_| plain);
            note(
                pipeline,
                &mut uses,
                rule.lookup.as_ref().filter(|_| rule.first_of.is_none()),
                value,
                leg.from,
                view.as_ref(),
            );
            for one in rule.first_of.iter().flatten() {
                let lookup = one.lookup.as_ref().or(rule.lookup.as_ref());
                let value = one.value.as_ref().filter(|_| plain && one.enum_table.is_none());
                note(pipeline, &mut uses, lookup, value, leg.from, view.as_ref());
            }
        }
    }
    for lookup in pipeline.lookups.values() {
        let Some(definition::OnNone::Create(fields)) = &lookup.on_none else {
            continue;
        };
        for rule in fields.values() {
            note_rule(pipeline, &mut uses, rule);
        }
    }
    uses.into_iter().map(agreed).collect()
}

/// A use below `create`, where what is given is itself given.
fn note_rule(pipeline: &definition::Pipeline, uses: &mut [Vec<Option<(String, RecordView)>>], rule: &Rule) {
    note(pipeline, uses, rule.lookup.as_ref(), None, "", None);
    for one in rule.first_of.iter().flatten() {
        note(pipeline, uses, one.lookup.as_ref(), None, "", None);
    }
}

fn stream_view(leg: &Leg<'_>, connections: &[ConnectionFacts]) -> Option<RecordView> {
    let (connection, stream) = leg.from.split_once('.')?;
    let facts = connections.iter().find(|facts| facts.name == connection)?;
    let facts = facts
        .streams
        .as_ref()?
        .iter()
        .find(|facts| facts.name == stream)?;
    let mut view = facts.view.clone();
    for name in leg.join.into_iter().flat_map(IndexMap::keys) {
        view.join(name, RecordView::default());
    }
    Some(view)
}

fn note(
    pipeline: &definition::Pipeline,
    uses: &mut [Vec<Option<(String, RecordView)>>],
    lookup: Option<&String>,
    value: Option<&Source>,
    stream: &str,
    view: Option<&RecordView>,
) {
    let id: Option<LookupId> = lookup.and_then(|name| pipeline.lookups.get_index_of(name));
    let Some(uses) = id.and_then(|id| uses.get_mut(id)) else {
        return;
    };
    let part = match (value, view) {
        (Some(Source::Path(path)), Some(view)) => {
            let (steps, whole) = path_steps(path.as_str());
            let names: Vec<_> = steps.into_iter().map(|(step, _)| step).collect();
            view.part(&names)
                .filter(|_| whole)
                .map(|part| (format!("{stream} {path}"), part))
        }
        _ => None,
    };
    uses.push(part);
}

/// The view that all uses share, else one in which everything may be.
fn agreed(uses: Vec<Option<(String, RecordView)>>) -> RecordView {
    let mut shared: Option<(String, RecordView)> = None;
    for one in uses {
        match (one, &shared) {
            (None, _) => return RecordView::default(),
            (Some((name, _)), Some((other, _))) if name != *other => return RecordView::default(),
            (Some(part), _) => shared = Some(part),
        }
    }
    shared.map(|(_, view)| view).unwrap_or_default()
}
