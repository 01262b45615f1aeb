//! What of a source record a flow reads, so that the rest is never parsed.

use super::compiled::{Flow, Input, Row, Shape, Source, names_record};
use super::privacy::match_source;
use super::stream_facts::StreamFacts;
use crate::expression::{Path, Projection, Template};

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

    fn input(&mut self, input: &Input) {
        match input {
            Input::Select(path) => self.path(path),
            Input::Compute(template) => self.template(template),
            Input::Const(_) => {}
            Input::FirstOf(alternatives) => {
                for one in alternatives {
                    self.input(&one.input);
                    one.when.iter().for_each(|when| self.template(when));
                }
            }
            Input::Each { items, shape } => {
                self.source(items);
                shape.iter().for_each(|shape| self.shape(shape));
            }
            Input::Link(link) => link.key.iter().for_each(|key| self.source(key)),
        }
    }

    fn source(&mut self, source: &Source) {
        match source {
            Source::Select(path) => self.path(path),
            Source::Compute(template) => self.template(template),
        }
    }

    fn shape(&mut self, shape: &Shape) {
        shape.each_template(&mut |template| self.template(template));
    }

    fn path(&mut self, path: &Path) {
        self.projection.add_path(path);
    }

    fn template(&mut self, template: &Template) {
        for chain in template.variables() {
            if let Some((first, names)) = chain.split_first()
                && names_record(first)
            {
                self.projection.add_variable(names);
            }
        }
    }
}
