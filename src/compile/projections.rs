//! What of a source record a flow reads, so that the rest is never parsed.

use super::compiled::{Alternative, Flow, Row};
use super::privacy::match_source;
use super::reads::Reads;
use super::stream_facts::StreamFacts;
use crate::expression::{Path, Projection};

/// Everything that rules, conditions, joins and matches read, and the record's key.
pub(super) fn projection(flow: &Flow, source: Option<&StreamFacts>, key: Option<&Path>) -> Projection {
    let mut reads = Reading {
        projection: Projection::new(),
    };
    key.iter().for_each(|path| reads.path(path));
    for chain in source.iter().flat_map(|source| &source.conditions) {
        reads.projection.add_variable(chain.get(1..).unwrap_or_default());
    }
    flow.rows.iter().for_each(|row| reads.row(row));
    flow.conditions
        .iter()
        .for_each(|condition| reads.path(&condition.path));
    flow.when.iter().for_each(|when| reads.template(when));
    for join in &flow.joins {
        reads.input(&join.input);
        join.when.iter().for_each(|when| reads.template(when));
    }
    for key in flow.matches.iter().flat_map(|attempt| &attempt.keys) {
        match_source(&key.ours)
            .iter()
            .for_each(|source| reads.source(source));
    }
    if let Some(one_per) = &flow.one_per {
        reads.source(&one_per.same);
        one_per.keep.iter().for_each(|(path, _)| reads.path(path));
    }
    flow.only_if_changed.iter().for_each(|path| reads.path(path));
    flow.order_by.iter().for_each(|path| reads.path(path));
    for require in &flow.require {
        reads.template(&require.that);
        reads.template(&require.otherwise);
    }
    reads.projection
}

struct Reading {
    projection: Projection,
}

impl Reading {
    fn row(&mut self, row: &Row) {
        self.input(&row.input);
        row.when.iter().for_each(|when| self.template(when));
        row.default.iter().for_each(|shape| self.shape(shape));
        row.then.iter().for_each(|shape| self.shape(shape));
    }
}

impl Reads for Reading {
    fn path(&mut self, path: &Path) {
        self.projection.add_path(path);
    }

    fn member(&mut self, names: &[String]) {
        self.projection.add_variable(names);
    }

    fn alternative(&mut self, alternative: &Alternative) {
        self.input(&alternative.input);
        alternative.when.iter().for_each(|when| self.template(when));
    }
}
