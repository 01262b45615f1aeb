//! [`Sight`]: what the templates of one place see, and the check of their variables against it.

use indexmap::IndexMap;

use super::checks::Checks;
use super::pointer::Pointer;
use super::record_view::{RecordView, name_steps};
use crate::definition::{NAMES, PLACES, Place};
use crate::diagnostic::{Code, list};
use crate::expression::Template;

/// The names that a pipeline or a connector declares.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// The pipeline's params.
    pub(super) params: Vec<String>,
    /// Its connections, each with its connector's settings; `None` where the connector is not known.
    pub(super) connections: IndexMap<String, Option<Vec<String>>>,
    /// In a connector: its settings, and those of an auth variant.
    pub(super) settings: Vec<String>,
}

/// What templates see at one place.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    /// The place.
    pub(super) place: Place,
    /// What is declared.
    pub(super) names: &'a Names,
    /// What `record` (or `given`, `parent`, `last`) may hold.
    pub(super) record: Option<&'a RecordView>,
    /// What `target`, `fields` and `before` may hold.
    pub(super) target: Option<&'a RecordView>,
    /// Whether `item` is seen, below `each` and `as`.
    pub(super) item: bool,
}

impl<'a> Sight<'a> {
    /// A place that sees no record.
    pub(super) fn new(place: Place, names: &'a Names) -> Self {
        Sight {
            place,
            names,
            record: None,
            target: None,
            item: false,
        }
    }

    /// The same with a record.
    pub(super) fn of(self, record: &'a RecordView) -> Self {
        Sight {
            record: Some(record),
            ..self
        }
    }

    /// The same record, seen from another place.
    pub(super) fn from(self, place: Place) -> Self {
        Sight { place, ..self }
    }

    fn sees(&self, name: &str) -> bool {
        self.place.names().contains(&name) || (self.item && name == "item")
    }
}

impl Checks<'_> {
    /// Checks that every variable of a template is seen at its place and exists; says whether all do.
    pub(super) fn variables(&self, at: &Pointer, template: &Template, sight: Sight<'_>) -> bool {
        let mut fine = true;
        for chain in template.variables() {
            let Some((first, below)) = chain.split_first() else {
                continue;
            };
            let found = if sight.sees(first) {
                self.variable(at, template, first, below, sight)
            } else {
                self.unseen(at, template, first, sight);
                false
            };
            fine &= found;
        }
        fine
    }

    fn unseen(&self, at: &Pointer, template: &Template, name: &str, sight: Sight<'_>) {
        let (offset, length) = position(template.source(), &[name.to_owned()]);
        let mut seen = sight.place.names().to_vec();
        if sight.item {
            seen.push("item");
        }
        self.error(Code::UnknownVariable, at, |report| {
            let report = report
                .message(format!(
                    "`{name}` is not seen in {}: names there are {}",
                    sight.place.line().position,
                    list(seen.iter().copied())
                ))
                .inside(offset, length)
                .caption("not seen here");
            if matches!(name, "env" | "secret") {
                return report.hint("environment variables and secrets are seen in connections only; for anything else declare a param and set it with `--set`");
            }
            let holders = ["given", "record", "remote", "local"];
            let holder = holders.into_iter().find(|holder| seen.contains(holder)).unwrap_or("record");
            if matches!(name, "record" | "remote" | "local") && matches!(holder, "remote" | "local") {
                return report.hint(format!("the record that is read here is named `{holder}`"));
            }
            let fits = sight.record.is_some_and(|record| {
                seen.contains(&holder) && matches!(record.field(&name_steps(&[name.to_owned()])), Ok(Some(_)))
            });
            if fits {
                return report.hint(format!("did you mean `{holder}.{name}`?"));
            }
            if sight.names.params.iter().any(|param| param == name) && seen.contains(&"params") {
                return report.hint(format!("did you mean `params.{name}`?"));
            }
            let elsewhere = PLACES.iter().find(|line| line.names.contains(&name));
            let report = report.did_you_mean(name, seen.iter().copied());
            match (elsewhere, NAMES.iter().find(|(known, _)| *known == name)) {
                (Some(line), Some((_, meaning))) => report.note(format!("`{name}` ({meaning}) is seen in {}", line.position)),
                _ => report,
            }
        });
    }

    fn variable(
        &self,
        at: &Pointer,
        template: &Template,
        first: &str,
        below: &[String],
        sight: Sight<'_>,
    ) -> bool {
        match (first, below.split_first()) {
            ("params", Some((name, _))) => self.known(
                at,
                template,
                first,
                below,
                0,
                "the pipeline has no param",
                &sight.names.params,
                name,
            ),
            ("settings", Some((name, _))) => self.known(
                at,
                template,
                first,
                below,
                0,
                "there is no setting",
                &sight.names.settings,
                name,
            ),
            ("connections", Some((name, rest))) => {
                let names: Vec<String> = sight.names.connections.keys().cloned().collect();
                if !self.known(
                    at,
                    template,
                    first,
                    below,
                    0,
                    "the pipeline has no connection",
                    &names,
                    name,
                ) {
                    return false;
                }
                let settings = sight.names.connections.get(name).and_then(Option::as_ref);
                match (rest, settings) {
                    ([word, ..], _) if word != "settings" => self.known(
                        at,
                        template,
                        first,
                        below,
                        1,
                        "of a connection only the settings are seen, not",
                        &["settings".to_owned()],
                        word,
                    ),
                    ([_, setting, ..], Some(settings)) => self.known(
                        at,
                        template,
                        first,
                        below,
                        2,
                        "that connection has no setting",
                        settings,
                        setting,
                    ),
                    _ => true,
                }
            }
            ("record" | "remote" | "local" | "given" | "parent" | "last", Some(_)) => sight
                .record
                .is_none_or(|view| self.member(at, template, first, below, view)),
            ("target" | "fields" | "before", Some(_)) => sight
                .target
                .is_none_or(|view| self.member(at, template, first, below, view)),
            _ => true,
        }
    }

    fn member(
        &self,
        at: &Pointer,
        template: &Template,
        first: &str,
        below: &[String],
        view: &RecordView,
    ) -> bool {
        let Err(nowhere) = view.field(&name_steps(below)) else {
            return true;
        };
        let wrong: Vec<String> = std::iter::once(first.to_owned())
            .chain(below.iter().take(nowhere.step + 1).cloned())
            .collect();
        let (offset, length) = position(template.source(), &wrong);
        let written = below.get(nowhere.step).cloned().unwrap_or_default();
        self.error(Code::UnknownField, at, |report| {
            let report = report
                .message(format!("{} (`{}`)", nowhere.reason, wrong.join(".")))
                .inside(offset, length);
            let report = report.caption("the record schema does not list it");
            let report = report.did_you_mean(&written, nowhere.known.iter().map(String::as_str));
            if nowhere.known.is_empty() {
                report
            } else {
                report.note(format!(
                    "it may be {}",
                    list(nowhere.known.iter().map(String::as_str))
                ))
            }
        });
        false
    }

    #[allow(clippy::too_many_arguments, reason = "one message in four places")]
    fn known(
        &self,
        at: &Pointer,
        template: &Template,
        first: &str,
        below: &[String],
        depth: usize,
        sentence: &str,
        names: &[String],
        written: &str,
    ) -> bool {
        if names.iter().any(|name| name == written) {
            return true;
        }
        let wrong: Vec<String> = std::iter::once(first.to_owned())
            .chain(below.iter().take(depth + 1).cloned())
            .collect();
        let (offset, length) = position(template.source(), &wrong);
        self.error(Code::UnknownVariable, at, |report| {
            let report = report
                .message(format!("{sentence} `{written}`"))
                .inside(offset, length);
            let report = report.did_you_mean(written, names.iter().map(String::as_str));
            if names.is_empty() {
                report
            } else {
                report.note(format!("known: {}", list(names.iter().map(String::as_str))))
            }
        });
        false
    }
}

/// Where a dotted name stands in a template's text, its last part; the whole text if it is not written in one piece.
pub(super) fn position(source: &str, chain: &[String]) -> (usize, usize) {
    let whole = (0, source.len());
    let (Some(first), Some(last)) = (chain.first(), chain.last()) else {
        return whole;
    };
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let find = |needle: &str| {
        source.match_indices(needle).map(|(at, _)| at).find(|at| {
            let before = source.get(..*at).and_then(|text| text.chars().next_back());
            let after = source
                .get(at + needle.len()..)
                .and_then(|text| text.chars().next());
            !before.is_some_and(|character| is_word(character) || character == '.')
                && !after.is_some_and(is_word)
        })
    };
    let dotted = chain.join(".");
    if let Some(at) = find(&dotted) {
        return (at + dotted.len() - last.len(), last.len());
    }
    find(first).map_or(whole, |at| (at, first.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_as_a_word() {
        let chain = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            position("{{ params.a ~ params.ab }}", &chain("params.ab")),
            (21, 2)
        );
        assert_eq!(position("{{ record.record }}", &chain("record")), (3, 6));
        assert_eq!(position("{{ record['a'].b }}", &chain("record.a.b")), (3, 6));
        assert_eq!(position("x", &chain("record")), (0, 1));
    }
}
