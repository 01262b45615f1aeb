//! What a two-way flow may say, and probably does not mean: values that do not come back, records that could not be
//! found again, a winner told by a time that moves for other reasons.

use super::Parts;
use crate::compile::compiled::Side;
use crate::compile::legs::{LegRule, directed, row_path, side, travels};
use crate::compile::pipeline_checks::PipelineChecks;
use crate::compile::pointer::Pointer;
use crate::compile::record_schema::json_text;
use crate::compile::record_view::path_steps;
use crate::definition::{Conflict, OnUnknown, Rule};
use crate::diagnostic::{Code, list};

impl PipelineChecks<'_, '_> {
    /// Warns of what will surprise.
    pub(super) fn doubts(&self, parts: &Parts<'_>) {
        for to in Side::BOTH {
            self.found_again(parts, to);
            self.round_trips(parts, to);
        }
        self.newest(parts);
        self.travels_now(parts);
    }

    fn found_again(&self, parts: &Parts<'_>, to: Side) {
        let known = side(parts.flow.pair.as_ref(), to).is_some()
            || side(parts.flow.matching.as_ref(), to).is_some()
            || parts.facts(to).is_none_or(|facts| facts.creates_once);
        if known || !parts.creates(to) || !parts.direction.writes(to) {
            return;
        }
        let at = parts.at.key("create").key(to.name());
        self.checks.warning(Code::NotFoundAgain, &at, |report| {
            report
                .message(format!(
                    "a record of `{}` that was created could not be found again if the answer were lost",
                    parts.stream(to)
                ))
                .note("nothing in it names its counterpart, so such a record is held until a person links it, never created twice")
                .hint(format!(
                    "say with `pair: {{{}: {{field: \"{{{{ {}.id }}}}\"}}}}` where it keeps the other record's key",
                    to.name(),
                    to.other().name()
                ))
        });
    }

    /// Rows that go both ways although one way makes nothing of the value, or something that the other way refuses.
    fn round_trips(&self, parts: &Parts<'_>, to: Side) {
        let at = parts.at.key("fields");
        let back = directed(&at, parts.flow, to.other());
        for rule in directed(&at, parts.flow, to) {
            let both = parts.flow.fields.get_index(rule.row).is_some_and(|(_, row)| {
                row.remote.is_some() && row.local.is_some() && travels(row, to.other())
            });
            let Some(back) = back.iter().find(|back| back.row == rule.row && both) else {
                continue;
            };
            if rule.rule.constant.is_some() {
                self.constant_way(&rule, to);
            }
            self.table_back(parts, &rule, back, to);
        }
    }

    fn constant_way(&self, rule: &LegRule<'_>, to: Side) {
        self.checks
            .warning(Code::NoRoundTrip, &rule.at.key("const"), |report| {
                report
                    .message(format!(
                        "the row goes both ways, but `{}` writes the same whatever the {} field holds",
                        to.direction(),
                        to.other().name()
                    ))
                    .note(format!(
                        "a change of the {} field would undo what was changed in the {} one",
                        to.other().name(),
                        to.name()
                    ))
                    .hint("name one path only, or limit the row with `direction`")
            });
    }

    /// Values that one way writes and the other way's table rejects, where the side's schema does not list them (where it
    /// does, they were held against the table already).
    fn table_back(&self, parts: &Parts<'_>, rule: &LegRule<'_>, back: &LegRule<'_>, to: Side) {
        let plain = |rule: &Rule| rule.lookup.is_none() && rule.then.is_none() && rule.each.is_none();
        if !plain(&rule.rule) || !plain(&back.rule) {
            return;
        }
        let tables = &self.definition.enums;
        let table = |rule: &Rule| {
            rule.enum_table
                .as_ref()
                .and_then(|name| tables.get_key_value(name))
        };
        let (Some((_, out)), Some((name, again))) = (table(&rule.rule), table(&back.rule)) else {
            return;
        };
        let action = back.rule.on_unknown.as_ref().or(again.on_unknown.as_ref());
        if !matches!(action, None | Some(OnUnknown::Reject)) || lists_values(parts, rule.row, to) {
            return;
        }
        let unread: Vec<String> = out
            .values
            .values()
            .filter(|value| !value.0.is_null())
            .map(|value| json_text(&value.0))
            .filter(|text| !again.values.contains_key(text))
            .collect();
        let mut shown: Vec<&str> = unread.iter().map(String::as_str).collect();
        shown.dedup();
        if shown.is_empty() {
            return;
        }
        self.checks.warning(Code::NoRoundTrip, &back.at.key("enum"), |report| {
            report
                .message(format!(
                    "`{}` writes {}, which `{name}` does not list on the way back",
                    to.direction(),
                    list(shown.iter().copied())
                ))
                .label(rule.at.key("enum").as_str(), "written by this table")
                .note("what was written is left alone; but where a person sets such a value, the record is rejected")
                .hint("list the value, or say what happens to it: `on_unknown: keep`")
        });
    }

    /// `newest_wins` goes by the time of the record, which other changes move as well.
    fn newest(&self, parts: &Parts<'_>) {
        let flow = parts.flow;
        let own = flow
            .conflict
            .as_ref()
            .map(|conflict| (parts.at.key("conflict"), conflict));
        let rows = flow.fields.iter().filter_map(|(name, row)| {
            let at = parts.at.key("fields").key(name).key("conflict");
            Some((at, row.conflict.as_ref()?))
        });
        let newest: Option<Pointer> = own
            .into_iter()
            .chain(rows)
            .find(|(_, conflict)| **conflict == Conflict::NewestWins)
            .map(|(at, _)| at);
        let Some(at) = newest else { return };
        let mut unknown = Vec::new();
        for on in Side::BOTH {
            let said = side(flow.changed_at.as_ref(), on).is_some();
            let known = said || parts.facts(on).is_none_or(|facts| facts.changed_at.is_some());
            if !known {
                unknown.push(on);
            }
        }
        if let Some(first) = unknown.first() {
            let names: Vec<&str> = unknown.iter().map(|on| parts.stream(*on)).collect();
            self.checks.error(Code::RecordTime, &at, |report| {
                report
                    .message(format!(
                        "it is not known when a record of {} was changed last",
                        list(names.iter().copied())
                    ))
                    .hint(format!(
                        "say where it stands: `changed_at: {{{}: $.updated_at}}`",
                        first.name()
                    ))
            });
            return;
        }
        self.checks.warning(Code::RecordTime, &at, |report| {
            report
                .message("the newest side is told by the time of its record's last change, which other fields, comments and other programs move as well")
                .note("our own writes are left out; where a time cannot be trusted the remote side wins, and the decision says so")
        });
    }

    /// A direction that no row takes although both are to travel.
    fn travels_now(&self, parts: &Parts<'_>) {
        for to in Side::BOTH {
            let goes = parts.flow.fields.values().any(|row| travels(row, to));
            if goes || !parts.direction.writes(to) || parts.flow.fields.is_empty() {
                continue;
            }
            self.checks
                .warning(Code::NowhereRow, &parts.at.key("fields"), |report| {
                    report
                        .message(format!(
                            "no row goes `{}`, so the {} side is never written",
                            to.direction(),
                            to.name()
                        ))
                        .at_key()
                        .hint(format!("say so: `direction: {}`", to.other().direction()))
                });
        }
    }
}

/// Whether the schema of a side lists the values of a row's field there.
fn lists_values(parts: &Parts<'_>, row: usize, on: Side) -> bool {
    let path = parts
        .flow
        .fields
        .get_index(row)
        .and_then(|(_, row)| row_path(row, on));
    let Some(path) = path else { return false };
    let (steps, _) = path_steps(path.as_str());
    let steps: Vec<_> = steps.into_iter().map(|(step, _)| step).collect();
    matches!(parts.views[on].field(&steps), Ok(Some(field)) if field.values.is_some())
}
