//! What a flow's rules read of a record.

use std::collections::HashMap;

use super::mapper::is_numbered;
use crate::compile::compiled::{Alternative, Flow, Input, Row, Shape, Source, Stream, names_record};
use crate::expression::{PARENT, Path, Projection, TargetType, Template};

/// What is read, and how often each top-level member.
#[derive(Debug, Default)]
pub(super) struct Reads {
    pub(super) projection: Projection,
    counts: HashMap<String, usize>,
    /// Something reads the whole record.
    whole: bool,
}

/// What the rules of a flow read; the source's own rules included.
pub(super) fn of(flow: Option<&Flow>, stream: Option<&Stream>) -> Reads {
    let mut reads = Reads::default();
    if let Some(stream) = stream {
        // Records of a file without a key are known by their number; nothing of them is read for it.
        if !is_numbered(stream) {
            reads.path(&stream.key);
        }
        reads.template(stream.deleted_when.as_ref());
        reads.template(stream.erased_when.as_ref());
    }
    if let Some(flow) = flow {
        for condition in &flow.conditions {
            reads.path(&condition.path);
        }
        reads.template(flow.when.as_ref());
        for join in &flow.joins {
            reads.template(join.when.as_ref());
            reads.input(&join.input);
        }
        if flow.of.is_some() {
            reads.name(PARENT);
        }
        for row in &flow.rows {
            reads.row(row);
        }
    }
    reads
}

impl Reads {
    /// Whether a top-level member is read by one rule only.
    pub(super) fn only_once(&self, name: &str) -> bool {
        !self.whole && self.counts.get(name) == Some(&1)
    }

    fn name(&mut self, name: &str) {
        self.chain(&[name.to_owned()]);
    }

    fn chain(&mut self, chain: &[String]) {
        self.projection.add_variable(chain);
        match chain.first() {
            Some(name) => *self.counts.entry(name.clone()).or_default() += 1,
            None => self.whole = true,
        }
    }

    fn path(&mut self, path: &Path) {
        self.projection.add_path(path);
        match path.first_name() {
            Some(name) => *self.counts.entry(name.to_owned()).or_default() += 1,
            None => self.whole = true,
        }
        self.whole |= self.projection.is_everything();
    }

    fn template(&mut self, template: Option<&Template>) {
        for chain in template.map(Template::variables).unwrap_or_default() {
            if let Some((root, rest)) = chain.split_first()
                && names_record(root)
            {
                self.chain(rest);
            }
        }
    }

    fn source(&mut self, source: &Source) {
        match source {
            Source::Select(path) => self.path(path),
            Source::Compute(template) => self.template(Some(template)),
        }
    }

    fn shape(&mut self, shape: Option<&Shape>) {
        match shape {
            // A path in a shape selects from `value`, which its row has read.
            None | Some(Shape::Const(_) | Shape::Select(_)) => {}
            Some(Shape::Template(template)) => self.template(Some(template)),
            Some(Shape::List(items)) => items.iter().for_each(|item| self.shape(Some(item))),
            Some(Shape::Map(members)) => members.iter().for_each(|(_, member)| self.shape(Some(member))),
            Some(Shape::Each { items, shape }) => {
                self.template(Some(items));
                self.shape(Some(shape));
            }
        }
    }

    fn input(&mut self, input: &Input) {
        match input {
            Input::Select(path) => self.path(path),
            Input::Compute(template) => self.template(Some(template)),
            Input::Const(_) => {}
            Input::FirstOf(alternatives) => {
                for Alternative { when, input, .. } in alternatives {
                    self.template(when.as_ref());
                    self.input(input);
                }
            }
            Input::Each { items, shape } => {
                self.source(items);
                self.shape(shape.as_ref());
            }
            Input::Link(link) => {
                if let Some(source) = &link.key {
                    self.source(source);
                }
            }
        }
    }

    fn row(&mut self, row: &Row) {
        self.template(row.when.as_ref());
        self.shape(row.default.as_ref());
        self.shape(row.then.as_ref());
        match &row.input {
            // Kept as received: the text is taken from the record's bytes, nothing is parsed for it.
            Input::Select(path) if path.is_root() && kept_as_received(row) => {}
            input => self.input(input),
        }
    }
}

/// Whether a row keeps JSON text and does nothing else with it.
pub(super) fn kept_as_received(row: &Row) -> bool {
    matches!(row.target_type, TargetType::Json)
        && matches!(&row.input, Input::Select(path) if path.is_singular())
        && row.take.is_none()
        && row.default.is_none()
        && row.enumeration.is_none()
        && row.lookup.is_none()
        && row.then.is_none()
}
