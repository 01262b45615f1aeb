//! The rows of a two-way flow: the fields that they keep in step, where they can travel, who wins.

use super::direction::Compiled;
use super::{Parts, words};
use crate::compile::compiled::{Input, OnAltered, PerSide, Row, Side, SyncRow};
use crate::compile::legs::{row_path, row_rule, travels};
use crate::compile::pipeline_checks::PipelineChecks;
use crate::compile::pointer::Pointer;
use crate::definition::{RowDirection, TwoWayRow};
use crate::diagnostic::Code;
use crate::expression::Path;

impl PipelineChecks<'_, '_> {
    /// The paths of every row; `None` for a row that is wrong by itself, so that nothing more is said of it.
    pub(super) fn row_paths(&self, parts: &Parts<'_>) -> Vec<Option<PerSide<Option<Path>>>> {
        let rows = parts.flow.fields.iter();
        rows.map(|(name, row)| {
            let at = parts.at.key("fields").key(name);
            let paths = PerSide::by(|side| self.row_path(&at.key(side.name()), parts, row, side));
            let goes = self.goes_somewhere(&at, row);
            Some(PerSide {
                remote: paths.remote?,
                local: paths.local?,
            })
            .filter(|_| goes)
        })
        .collect()
    }

    fn row_path(&self, at: &Pointer, parts: &Parts<'_>, row: &TwoWayRow, side: Side) -> Option<Option<Path>> {
        let Some(path) = row_path(row, side) else {
            return Some(None);
        };
        let known = self.checks.path_into(at, path, &parts.views[side]).is_some();
        let path = self.checks.single_path(at, path).filter(|_| known)?;
        Some(Some(path))
    }

    fn goes_somewhere(&self, at: &Pointer, row: &TwoWayRow) -> bool {
        let limited = match row.direction {
            Some(RowDirection::ToLocal) => Some(Side::Local),
            Some(RowDirection::ToRemote) => Some(Side::Remote),
            Some(RowDirection::Both) | None => None,
        };
        if let Some(only) = limited
            && row_rule(row, only.other()).is_some()
        {
            let word = only.other().direction();
            self.checks
                .error(Code::NowhereRow, &at.key("direction"), |report| {
                    report
                        .message(format!(
                            "the row goes `{}` only, so its `{word}` is never applied",
                            only.direction()
                        ))
                        .label(at.key(word).as_str(), "never applied")
                        .hint("leave out one of the two")
                });
            return false;
        }
        if Side::BOTH.iter().any(|to| travels(row, *to)) {
            return true;
        }
        self.checks.error(Code::NowhereRow, at, |report| {
            let report = report.at_key();
            match (&row.remote, &row.local) {
                (Some(path), None) => report
                    .message(format!("`{path}` goes nowhere: the row names no local field"))
                    .hint("add `local: $.field`, or `to_local: {field: ..}` for one way"),
                (None, Some(path)) => report
                    .message(format!("`{path}` goes nowhere: the row names no remote field"))
                    .hint("add `remote: $.field`, or `to_remote: {field: ..}` for one way"),
                _ => report.message("this row goes nowhere").hint(
                    "name both fields (`remote: $.a`, `local: $.b`), or one way with `to_local: {field: ..}`",
                ),
            }
        });
        false
    }
}

/// The rows as they are executed.
pub(super) fn sync_rows(
    parts: &Parts<'_>,
    paths: Vec<PerSide<Option<Path>>>,
    local: &Compiled,
    remote: &Compiled,
) -> Vec<SyncRow> {
    let rows = parts.flow.fields.iter().zip(paths).enumerate();
    rows.map(|(position, ((name, row), fields))| {
        let (to_remote, to_local) = (remote.row(position), local.row(position));
        let written = row.on_altered.as_ref().or(parts.flow.on_altered.as_ref());
        let on_altered = |row: Option<&Row>| match written {
            Some(word) => words::on_altered(word),
            None if row.is_some_and(translates) => OnAltered::Follow,
            None => OnAltered::Accept,
        };
        SyncRow {
            name: name.clone(),
            fields,
            to: PerSide {
                remote: to_remote.0,
                local: to_local.0,
            },
            conflict: words::policy(row.conflict.as_ref().or(parts.flow.conflict.as_ref())),
            on_first_link: words::first_link(
                row.on_first_link.as_ref().or(parts.flow.on_first_link.as_ref()),
            ),
            on_altered: PerSide {
                remote: on_altered(to_remote.1),
                local: on_altered(to_local.1),
            },
            pointer: parts.at.key("fields").key(name).as_str().to_owned(),
        }
    })
    .collect()
}

/// Whether a row's values go through a table or a lookup, so that what a system makes of them may mean something else.
fn translates(row: &Row) -> bool {
    let alternatives = match &row.input {
        Input::FirstOf(alternatives) => alternatives.as_slice(),
        _ => &[],
    };
    row.enumeration.is_some()
        || row.lookup.is_some()
        || alternatives
            .iter()
            .any(|one| one.enumeration.is_some() || one.lookup.is_some())
}
