//! Whether the streams can do what a two-way flow needs of them.

use super::{Parts, words};
use crate::compile::compiled::Side;
use crate::compile::legs::directed;
use crate::compile::pipeline_checks::PipelineChecks;
use crate::definition::{OnPairDeleted, Write};
use crate::diagnostic::{Code, list};

impl PipelineChecks<'_, '_> {
    /// Refuses a stream that lacks an operation, and names the window that a missing precondition leaves.
    pub(super) fn abilities(&self, parts: &Parts<'_>) {
        let updates = |to: Side| {
            directed(&parts.at.key("fields"), parts.flow, to)
                .iter()
                .any(|rule| {
                    let write = rule.rule.write.as_ref().or(parts.flow.write.as_ref());
                    write != Some(&Write::OnCreate)
                })
        };
        let compares = Side::BOTH.into_iter().any(updates);
        for side in Side::BOTH {
            let Some(facts) = parts.facts(side) else { continue };
            let (deleted, _) = words::for_side(&parts.at, parts.flow.on_delete.as_ref(), side);
            let writes = parts.direction.writes(side);
            let changes = writes && (updates(side) || matches!(deleted, Some(OnPairDeleted::Set(_))));
            let needs = [
                (compares && !facts.can_get, "get"),
                (
                    writes && parts.creates(side) && !facts.can_create && !facts.can_upsert,
                    "create",
                ),
                (changes && !facts.can_update && !facts.can_upsert, "update"),
                (
                    writes && deleted == Some(&OnPairDeleted::Delete) && !facts.can_delete,
                    "delete",
                ),
            ];
            let missing: Vec<&str> = needs
                .into_iter()
                .filter_map(|(missing, operation)| missing.then_some(operation))
                .collect();
            let at = parts.at_stream(side);
            if !missing.is_empty() {
                self.checks.error(Code::MissingOperation, &at, |report| {
                    let report = report
                        .message(format!(
                            "this flow needs {} of `{}`, which the stream does not have",
                            list(missing.iter().copied()),
                            parts.stream(side)
                        ))
                        .note(facts.operations());
                    if facts.is_file {
                        report.hint("a file cannot be kept in step: read it or write it with a flow that goes one way")
                    } else if missing.contains(&"get") {
                        report.note("pairs are compared from fresh reads of both records, each by its key")
                    } else {
                        report.hint(format!(
                            "describe it in the connector, or never write this side: `direction: {}`",
                            side.other().direction()
                        ))
                    }
                });
            }
            if changes && facts.can_update && !facts.precondition {
                self.checks.warning(Code::NotAtomic, &at, |report| {
                    report
                        .message(format!(
                            "`{}` is read before it is written, not atomically",
                            parts.stream(side)
                        ))
                        .note("its `update` has no condition that the system itself checks: a change that somebody makes between our reading and our writing is overwritten")
                });
            }
        }
    }
}
