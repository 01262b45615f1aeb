//! Personal data: what a flow masks beyond its stream, which targets are private because their input is, and fields
//! that nobody may read.

use indexmap::IndexMap;

use super::compiled::{Alternative, Flow, MatchValue, Privacy, PrivacyKind, Row, Source};
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use super::reads::Reads;
use super::record_view::{RecordView, Step, path_steps};
use super::stream_facts::{StreamFacts, privacy_kind};
use crate::definition;
use crate::diagnostic::Code;
use crate::expression::Path;

/// How closely a value is kept; more is tighter.
fn tightness(kind: PrivacyKind) -> u8 {
    match kind {
        PrivacyKind::Keep => 0,
        PrivacyKind::Hash => 1,
        PrivacyKind::Mask => 2,
        PrivacyKind::Drop => 3,
    }
}

fn steps(path: &str) -> Vec<Step> {
    path_steps(path).0.into_iter().map(|(step, _)| step).collect()
}

impl PipelineChecks<'_, '_> {
    /// The stream's own rules and the flow's, which may only be tighter.
    pub(super) fn privacy(
        &self,
        at: &Pointer,
        pii: &IndexMap<definition::PathText, definition::Pii>,
        from: &str,
        source: Option<&StreamFacts>,
        view: &RecordView,
    ) -> Option<Vec<Privacy>> {
        let inherited = source.map(|source| source.private.as_slice()).unwrap_or_default();
        let mut rules = Vec::new();
        for (path, kind) in inherited {
            if !pii.keys().any(|own| own.as_str() == path) {
                rules.push(Path::parse(path).ok().map(|path| Privacy { path, kind: *kind }));
            }
        }
        let at_pii = at;
        for (path, action) in pii {
            let at = at_pii.key(path.as_str());
            let kind = privacy_kind(action);
            let own = steps(path.as_str());
            let looser = inherited.iter().find(|(inherited, other)| {
                own.starts_with(&steps(inherited)) && tightness(kind) < tightness(*other)
            });
            if let Some((inherited, other)) = looser {
                self.checks.error(Code::PiiLoosened, &at, |report| {
                    report
                        .message(format!("the stream `{}` says `{}: {}`, and a flow may be stricter than that, never looser", from, inherited, kind_name(*other)))
                        .hint("leave it out, or change it in the connector")
                });
            }
            rules.push(
                self.checks
                    .path_into(&at_pii.itself(path.as_str()), path, view)
                    .map(|path| Privacy { path, kind }),
            );
        }
        rules.into_iter().collect()
    }

    /// Rules that read what the connector removes.
    pub(super) fn never_read(&self, from: &str, source: &StreamFacts, rows: &[Row]) {
        for row in rows {
            let mut read = Shown {
                lookups: true,
                ..Shown::default()
            };
            read.row(row);
            for never in &source.never {
                let forbidden = steps(never);
                if read.paths.iter().any(|path| path.starts_with(&forbidden)) {
                    let at = Pointer::written(&row.pointer);
                    self.checks.error(Code::NeverMapped, &at, |report| {
                        report
                            .message(format!("`{}` reads `{never}`, which the stream `{}` removes before anything is mapped", row.target.name, from))
                            .note("the connector lists it under `never`: nobody may read it")
                    });
                }
            }
        }
    }
}

fn kind_name(kind: PrivacyKind) -> &'static str {
    match kind {
        PrivacyKind::Keep => "keep",
        PrivacyKind::Hash => "hash",
        PrivacyKind::Mask => "mask",
        PrivacyKind::Drop => "drop",
    }
}

/// Targets whose value comes from a private member, or that are private in the sink itself.
pub(super) fn private_targets(flow: &Flow, sink: Option<&StreamFacts>) -> Vec<(String, PrivacyKind)> {
    let mut found = Vec::new();
    for row in &flow.rows {
        let mut read = Shown::default();
        read.row(row);
        let inputs = flow.privacy.iter().filter(|rule| {
            let private = steps(rule.path.source());
            read.paths
                .iter()
                .any(|path| path.starts_with(&private) || private.starts_with(path))
        });
        let target: Vec<Step> = row.target.segments.iter().cloned().map(Step::Name).collect();
        let own = sink.iter().flat_map(|sink| &sink.private).filter(|(path, _)| {
            let private = steps(path);
            target.starts_with(&private) || private.starts_with(&target)
        });
        let kinds = inputs.map(|rule| rule.kind).chain(own.map(|(_, kind)| *kind));
        if let Some(kind) = kinds
            .max_by_key(|kind| tightness(*kind))
            .filter(|kind| *kind != PrivacyKind::Keep)
        {
            found.push((row.target.name.clone(), kind));
        }
    }
    found
}

/// The members of the source record whose values a row's result shows. The result of a lookup is another record's
/// key, so its input does not show unless `lookups` asks for that too.
#[derive(Debug, Default)]
struct Shown {
    paths: Vec<Vec<Step>>,
    lookups: bool,
}

impl Shown {
    fn row(&mut self, row: &Row) {
        if self.lookups || row.lookup.is_none() {
            self.input(&row.input);
        }
        row.default.iter().for_each(|shape| self.shape(shape));
        row.then.iter().for_each(|shape| self.shape(shape));
    }
}

impl Reads for Shown {
    fn path(&mut self, path: &Path) {
        self.paths.push(steps(path.source()));
    }

    fn member(&mut self, names: &[String]) {
        self.paths.push(names.iter().cloned().map(Step::Name).collect());
    }

    fn alternative(&mut self, alternative: &Alternative) {
        if self.lookups || alternative.lookup.is_none() {
            self.input(&alternative.input);
        }
    }
}

/// What a match brings, for the projection.
pub(super) fn match_source(value: &MatchValue) -> Option<Source> {
    match value {
        MatchValue::Given => None,
        MatchValue::Select(path) => Some(Source::Select(path.clone())),
        MatchValue::Compute(template) => Some(Source::Compute(template.clone())),
        MatchValue::Link(link) => link.key.clone(),
    }
}
