//! The order in which flows run: after every flow that they refer to by `link` or `of`; else as written.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::checks::Checks;
use super::compiled::{FlowId, Side};
use super::legs::{row_rule, side};
use super::links::taken_apart;
use super::pointer::Pointer;
use crate::definition::{self, AnyFlow, MatchValue, OneOrMany, PathText};
use crate::diagnostic::Code;

/// The position of every flow in that order, by name in the order written.
pub(super) fn flow_order(checks: &Checks<'_>, pipeline: &definition::Pipeline) -> IndexMap<String, FlowId> {
    let flows = &pipeline.flows;
    let needs: Vec<Vec<(usize, Pointer)>> = flows
        .iter()
        .map(|(name, flow)| {
            let at = Pointer::root().key("flows").key(name);
            let named = references(&at, flow).into_iter();
            named
                .filter(|(other, _)| *other != name)
                .filter_map(|(other, at)| Some((flows.get_index_of(other)?, at)))
                .collect()
        })
        .collect();
    let mut done: Vec<usize> = Vec::new();
    let mut waiting: BTreeSet<usize> = (0..flows.len()).collect();
    while !waiting.is_empty() {
        let is_ready = |flow: &usize| {
            needs
                .get(*flow)
                .is_some_and(|needs| needs.iter().all(|(other, _)| done.contains(other)))
        };
        let ready = waiting.iter().copied().find(is_ready);
        let chosen = ready.or_else(|| waiting.first().copied());
        let Some(flow) = chosen else { break };
        if ready.is_none() {
            report_cycle(checks, pipeline, &needs, &done, flow);
            done.extend(std::mem::take(&mut waiting));
            break;
        }
        waiting.remove(&flow);
        done.push(flow);
    }
    // A two-way flow has a place for each of its directions.
    let places = |position: usize| match flows.get_index(position) {
        Some((_, AnyFlow::TwoWay(_))) => 2,
        _ => 1,
    };
    let mut order = IndexMap::new();
    for (name, position) in flows.keys().zip(0..) {
        let before = done.iter().take_while(|flow| **flow != position);
        order.insert(name.clone(), before.map(|flow| places(*flow)).sum());
    }
    order
}

fn report_cycle(
    checks: &Checks<'_>,
    pipeline: &definition::Pipeline,
    needs: &[Vec<(usize, Pointer)>],
    done: &[usize],
    start: usize,
) {
    let mut path: Vec<usize> = vec![start];
    let mut places: Vec<Pointer> = Vec::new();
    let mut at = start;
    // Every flow that waits needs one that waits, so this walk meets one of its own steps.
    let begin = loop {
        let next = needs
            .get(at)
            .and_then(|needs| needs.iter().find(|(other, _)| !done.contains(other)));
        let Some((next, place)) = next else { return };
        places.push(place.clone());
        if let Some(begin) = path.iter().position(|flow| flow == next) {
            break begin;
        }
        path.push(*next);
        at = *next;
    };
    let circle = path.get(begin..).unwrap_or_default();
    let names: Vec<&String> = circle
        .iter()
        .chain(circle.first())
        .filter_map(|flow| pipeline.flows.get_index(*flow))
        .map(|(name, _)| name)
        .collect();
    let chain = names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(" waits for ");
    let Some((first, others)) = places.get(begin..).and_then(<[Pointer]>::split_first) else {
        return;
    };
    checks.error(Code::FlowCycle, first, |report| {
        let report = report.message(format!("these flows can never run: {chain}"));
        others.iter().fold(report, |report, place| {
            report.label(place.as_str(), "and waits here")
        })
    });
}

/// The flows that a flow refers to, with the places.
fn references<'f>(at: &Pointer, flow: &'f AnyFlow) -> Vec<(&'f str, Pointer)> {
    let mut found = Vec::new();
    let of = match flow {
        AnyFlow::OneWay(flow) => &flow.of,
        AnyFlow::TwoWay(flow) => &flow.of,
    };
    found.extend(of.iter().map(|other| (other.as_str(), at.key("of"))));
    match flow {
        AnyFlow::OneWay(flow) => {
            for (name, rule) in &flow.fields {
                let link = rule.link.iter();
                found.extend(link.map(|other| (named(other), at.key("fields").key(name).key("link"))));
            }
            found.extend(matched(&at.key("match"), flow.matching.as_ref()));
        }
        AnyFlow::TwoWay(flow) => {
            for (name, row) in &flow.fields {
                for to in Side::BOTH {
                    let link = row_rule(row, to).and_then(|rule| rule.rule.link.as_ref());
                    let at = at.key("fields").key(name).key(to.direction()).key("link");
                    found.extend(link.map(|other| (named(other), at)));
                }
            }
            for on in Side::BOTH {
                let at = at.key("match").key(on.name());
                found.extend(matched(&at, side(flow.matching.as_ref(), on)));
            }
        }
    }
    found
}

fn named(text: &str) -> &str {
    taken_apart(text).0
}

fn matched<'f>(
    at: &Pointer,
    matching: Option<&'f OneOrMany<IndexMap<PathText, MatchValue>>>,
) -> Vec<(&'f str, Pointer)> {
    let one = matching.is_some_and(|matching| matching.len() == 1);
    let attempts = matching.into_iter().flat_map(|matching| matching.iter());
    let mut found = Vec::new();
    for (position, attempt) in attempts.enumerate() {
        let at = if one { at.clone() } else { at.index(position) };
        for (path, value) in attempt {
            let link = value.link.iter();
            found.extend(link.map(|other| (named(other), at.key(path.as_str()).key("link"))));
        }
    }
    found
}
