//! Whether a flow's mode fits its streams, how its sink's records are found, and whose children it reads.

use indexmap::IndexMap;

use super::compiled::{Match, MatchKey, MatchValue, Source};
use super::lookups::found_by;
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use super::rows::RowPlace;
use super::sight::Sight;
use super::stream_facts::StreamFacts;
use crate::definition::{self, Flow, MatchValue as MatchValueText, Mode, OneOrMany, PathText};
use crate::diagnostic::{Code, list};

impl PipelineChecks<'_, '_> {
    /// Whether the sink can do what the mode needs, and the source gives what it needs.
    pub(super) fn mode_fits(
        &self,
        at: &Pointer,
        flow: &Flow,
        source: Option<&StreamFacts>,
        sink: &StreamFacts,
    ) {
        let at_mode = at.key("mode");
        let deletes = flow.mode == Mode::Mirror || flow.on_delete == Some(definition::OnDelete::Delete);
        let creates = flow.mode != Mode::Update;
        let updates = flow.mode != Mode::Insert;
        let needs = [
            (creates && !sink.can_create && !sink.can_upsert, "create"),
            (updates && !sink.can_update && !sink.can_upsert, "update"),
            (deletes && !sink.can_delete, "delete"),
        ];
        let missing: Vec<&str> = needs
            .into_iter()
            .filter_map(|(missing, operation)| missing.then_some(operation))
            .collect();
        if !missing.is_empty() {
            self.checks.error(Code::MissingOperation, &at_mode, |report| {
                let report = report
                    .message(format!(
                        "this flow needs {} of `{}`, which the stream does not have",
                        list(missing.iter().copied()),
                        flow.to
                    ))
                    .label(at.key("to").as_str(), "the stream")
                    .note(sink.operations());
                if sink.is_file {
                    report.hint("a file is written anew by each run: use `mode: insert`")
                } else {
                    report
                }
            });
        }
        if flow.matching.is_none() && flow.mode != Mode::Insert {
            self.checks.error(Code::ModeDoesNotFit, &at_mode, |report| {
                report
                    .message("this mode changes records that exist, and nothing says how they are found")
                    .hint(format!(
                        "add `match`; the target can be found by {}",
                        found_by(sink)
                    ))
            });
        }
        let Some(source) = source else { return };
        if flow.mode == Mode::Mirror && !source.reads_everything {
            self.checks.error(Code::ModeDoesNotFit, &at_mode, |report| {
                report
                    .message(format!("`mirror` deletes what the source no longer has, but `{}` is read by a cursor and never shows everything", flow.from))
                    .hint("use `upsert`, and `on_delete` for what the source says is deleted")
            });
        }
        if flow.mode == Mode::Mirror && (!flow.conditions.is_empty() || flow.when.is_some()) {
            self.checks.warning(Code::ModeDoesNotFit, &at_mode, |report| {
                report.message("with `where` or `when`, `mirror` deletes what no longer fits them as well")
            });
        }
        if updates && !source.follows_changes {
            self.checks.warning(Code::ModeDoesNotFit, &at_mode, |report| {
                report
                    .message(format!(
                        "`{}` gives new records only (`growing_key`), so changes to older ones never arrive",
                        flow.from
                    ))
                    .hint("use `mode: insert`")
            });
        }
        if updates && sink.can_update && !sink.precondition {
            self.checks.warning(Code::NotAtomic, &at.key("to"), |report| {
                report
                    .message(format!("`{}` is read before it is written, not atomically", flow.to))
                    .note("its `update` has no condition that the system itself checks: a change that somebody makes between our reading and our writing is overwritten")
            });
        }
    }

    /// How the sink's records are found.
    pub(super) fn matches(
        &self,
        at: &Pointer,
        matching: Option<&OneOrMany<IndexMap<PathText, MatchValueText>>>,
        to: &str,
        place: RowPlace<'_>,
        sink: Option<&StreamFacts>,
    ) -> Option<Vec<Match>> {
        let Some(matching) = matching else {
            return Some(Vec::new());
        };
        let one = matching.len() == 1;
        let sight = Sight::new(place.place, self.names).of(place.view);
        let compiled: Vec<_> = matching
            .iter()
            .enumerate()
            .map(|(position, keys)| {
                let at = if one { at.clone() } else { at.index(position) };
                if keys.is_empty() {
                    self.checks.error(Code::RuleSteps, &at, |report| {
                        report.message("a match without a path finds everything")
                    });
                    return None;
                }
                if let Some(sink) = sink {
                    self.can_be_found(
                        &at,
                        to,
                        &keys.keys().map(definition::PathText::as_str).collect::<Vec<_>>(),
                        sink,
                    );
                }
                let keys: Vec<_> = keys
                    .iter()
                    .map(|(path, input)| {
                        let key = at.itself(path.as_str());
                        let theirs = match sink {
                            Some(sink) => self.checks.path_into(&key, path, &sink.view),
                            None => self.checks.path(&key, path),
                        };
                        let at = at.key(path.as_str());
                        let ours = self.match_input(&at, input, place, sight);
                        let find =
                            sink.and_then(|sink| sink.find.iter().position(|(by, _)| by == path.as_str()));
                        Some(MatchKey {
                            theirs: theirs?,
                            ours: ours?,
                            find,
                        })
                    })
                    .collect();
                Some(Match {
                    keys: keys.into_iter().collect::<Option<_>>()?,
                })
            })
            .collect();
        compiled.into_iter().collect()
    }

    fn can_be_found(&self, at: &Pointer, to: &str, paths: &[&str], sink: &StreamFacts) {
        let by_key = |path: &&str| sink.can_get && sink.key.as_deref() == Some(*path);
        if paths
            .iter()
            .any(|path| by_key(path) || sink.find.iter().any(|(by, _)| by == path))
        {
            return;
        }
        self.checks.error(Code::NotFindable, at, |report| {
            report
                .message(format!(
                    "`{to}` cannot be found by {}; it can by {}",
                    list(paths.iter().copied()),
                    found_by(sink)
                ))
                .did_you_mean(
                    paths.first().copied().unwrap_or_default(),
                    sink.find.iter().map(|(by, _)| by.as_str()),
                )
        });
    }

    fn match_input(
        &self,
        at: &Pointer,
        input: &definition::MatchInput,
        place: RowPlace<'_>,
        sight: Sight<'_>,
    ) -> Option<MatchValue> {
        match (&input.value, &input.link) {
            (Some(value), None) => {
                if input.key.is_some() {
                    self.checks.error(Code::RuleSteps, &at.key("key"), |report| {
                        report
                            .message("`key` means something only beside `link`")
                            .at_key()
                    });
                }
                Some(match self.checks.source(&at.key("value"), value, sight)? {
                    Source::Select(path) => MatchValue::Select(path),
                    Source::Compute(template) => MatchValue::Compute(template),
                })
            }
            (None, Some(flow)) => {
                self.link_to_disabled(&at.key("link"), flow, false, place.flow);
                self.link(at, flow, input.key.as_ref(), None, place)
                    .map(MatchValue::Link)
            }
            (value, _) => {
                let found = if value.is_some() { "both" } else { "neither" };
                self.checks.error(Code::RuleSteps, at, |report| {
                    report
                        .message(format!(
                            "a path is matched by one of `value` and `link`, found {found}"
                        ))
                        .at_key()
                });
                None
            }
        }
    }
}
