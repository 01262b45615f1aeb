//! What of a record compiled rules read: one walk over inputs and shapes, for whoever wants to know (the projection, the
//! privacy of targets).

use super::compiled::{Alternative, Input, Shape, Source, names_record};
use crate::expression::{Path, Template};

/// Somebody who notes what is read. Paths and names start at the record.
pub(super) trait Reads {
    /// A path is read.
    fn path(&mut self, path: &Path);

    /// A template reads a member of a member.
    fn member(&mut self, names: &[String]);

    /// An alternative may be taken.
    fn alternative(&mut self, alternative: &Alternative);

    fn input(&mut self, input: &Input) {
        match input {
            Input::Select(path) => self.path(path),
            Input::Compute(template) => self.template(template),
            Input::Const(_) => {}
            Input::FirstOf(alternatives) => alternatives.iter().for_each(|one| self.alternative(one)),
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

    fn template(&mut self, template: &Template) {
        for chain in template.variables() {
            if let Some((first, names)) = chain.split_first()
                && names_record(first)
            {
                self.member(names);
            }
        }
    }
}
