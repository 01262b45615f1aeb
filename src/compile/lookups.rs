//! Lookups: what they search, by what, and what happens when nothing or too much is found.

use std::sync::Arc;
use std::time::Duration;

use super::actions::{normalizers, on_many};
use super::compiled::{
    Load, Lookup, LookupId, Match, MatchKey, MatchValue, OnMany, OnNone, Source, WritePolicy,
};
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use super::record_view::RecordView;
use super::rows::RowPlace;
use super::sight::Sight;
use super::stream_facts::StreamFacts;
use super::syntax::constant_value;
use crate::definition::Place;
use crate::definition::{self, LookupAttempt};
use crate::diagnostic::{Code, list};

/// How long a found record may be reused where nothing is said: longer than any run.
const RUN: Duration = Duration::from_secs(7 * 86_400);

impl PipelineChecks<'_, '_> {
    /// Compiles a lookup.
    pub(super) fn lookup(&self, id: LookupId, name: &str, lookup: &definition::Lookup) -> Option<Lookup> {
        let at = Pointer::root().key("lookups").key(name);
        let unknown = RecordView::default();
        let given = self.given.get(id).unwrap_or(&unknown);
        let sight = Sight::new(Place::LookupMatch, self.names).of(given);
        let found = self.stream(&at.key("in"), &lookup.stream);
        let view = found.as_ref().map_or(&unknown, |(_, facts)| &facts.view);
        let facts = found.as_ref().map(|(_, facts)| *facts);

        let at_match = at.key("match");
        let one = lookup.matching.len() == 1;
        let attempts: Vec<_> = lookup
            .matching
            .iter()
            .enumerate()
            .map(|(position, attempt)| {
                let at = if one {
                    at_match.clone()
                } else {
                    at_match.index(position)
                };
                self.attempt(&at, attempt, view, sight, facts)
            })
            .collect();
        let conditions = self.conditions(
            &at.key("where"),
            &lookup.conditions,
            view,
            Sight::new(Place::Condition, self.names),
        );
        let prefer: Vec<_> = lookup
            .prefer
            .iter()
            .enumerate()
            .map(|(position, one)| self.conditions(&at.key("prefer").index(position), one, view, sight))
            .collect();
        let load = facts.and_then(|facts| self.load(&at, name, lookup, facts));
        let on_none = match &lookup.on_none {
            Some(action) => self.on_none(&at.key("on_none"), action, Some(id)),
            None => Some(OnNone::Reject),
        };
        let (stream, _) = found?;
        Some(Lookup {
            name: name.to_owned(),
            connection: stream.connection,
            stream: stream.stream,
            attempts: attempts.into_iter().collect::<Option<_>>()?,
            conditions: conditions?,
            prefer: prefer.into_iter().collect::<Option<_>>()?,
            normalize: normalizers(&lookup.normalize),
            load: load?,
            fresh_for: lookup
                .fresh_for
                .as_ref()
                .map_or(RUN, definition::DurationText::duration),
            on_none: on_none?,
            on_many: lookup.on_many.as_ref().map_or(OnMany::Reject, on_many),
        })
    }

    fn attempt(
        &self,
        at: &Pointer,
        attempt: &definition::LookupMatch,
        view: &RecordView,
        sight: Sight<'_>,
        facts: Option<&StreamFacts>,
    ) -> Option<Match> {
        let find = |path: &str| facts.and_then(|facts| facts.find.iter().position(|(by, _)| by == path));
        match &**attempt {
            LookupAttempt::Given(path) => {
                let theirs = self.checks.path_into(at, path, view)?;
                Some(Match {
                    keys: vec![MatchKey {
                        theirs,
                        ours: MatchValue::Given,
                        find: find(path.as_str()),
                    }],
                })
            }
            LookupAttempt::Together(keys) => {
                let keys: Vec<_> = keys
                    .iter()
                    .map(|(path, source)| {
                        let theirs = self.checks.path_into(&at.itself(path.as_str()), path, view);
                        let at = at.key(path.as_str());
                        let ours = match self.checks.source(&at, source, sight)? {
                            Source::Select(path) if path.is_root() => MatchValue::Given,
                            Source::Select(path) => MatchValue::Select(path),
                            Source::Compute(template) => MatchValue::Compute(template),
                        };
                        Some(MatchKey {
                            theirs: theirs?,
                            ours,
                            find: find(path.as_str()),
                        })
                    })
                    .collect();
                Some(Match {
                    keys: keys.into_iter().collect::<Option<_>>()?,
                })
            }
        }
    }

    /// Whether the stream is read whole or asked, and whether it can be.
    fn load(
        &self,
        at: &Pointer,
        name: &str,
        lookup: &definition::Lookup,
        facts: &StreamFacts,
    ) -> Option<Load> {
        let all = match &lookup.load {
            Some(definition::Load::All) => true,
            Some(definition::Load::OnDemand) => false,
            None => facts.is_file,
        };
        if all {
            if !facts.can_list || facts.parent.is_some() {
                let at = if lookup.load.is_some() {
                    at.key("load")
                } else {
                    at.clone()
                };
                self.checks.error(Code::MissingOperation, &at, |report| {
                    report
                        .message(format!("the stream `{}` cannot be read whole", lookup.stream))
                        .hint(format!("it can be found by {}", found_by(facts)))
                });
                return None;
            }
            if facts.is_file && facts.key.is_none() {
                self.checks.error(Code::FileStream, &at.key("in"), |report| {
                    report
                        .message(format!("a lookup gives the key of the record that it finds, and the file stream `{}` has none", lookup.stream))
                        .hint("give the stream a `key`, such as `key: $.id`")
                });
                return None;
            }
            return Some(Load::All);
        }
        let mut fine = true;
        let one = lookup.matching.len() == 1;
        for (position, attempt) in lookup.matching.iter().enumerate() {
            let paths: Vec<&str> = match &**attempt {
                LookupAttempt::Given(path) => vec![path.as_str()],
                LookupAttempt::Together(keys) => keys.keys().map(definition::PathText::as_str).collect(),
            };
            if paths
                .iter()
                .any(|path| facts.find.iter().any(|(by, _)| by == path))
            {
                continue;
            }
            fine = false;
            let at = if one {
                at.key("match")
            } else {
                at.key("match").index(position)
            };
            let written = list(paths.iter().copied());
            self.checks.error(Code::NotFindable, &at, |report| {
                let report = report
                    .message(format!(
                        "`{}` cannot be found by {written}; it can by {}",
                        lookup.stream,
                        found_by(facts)
                    ))
                    .did_you_mean(
                        paths.first().copied().unwrap_or_default(),
                        facts.find.iter().map(|(by, _)| by.as_str()),
                    );
                if facts.can_list && !facts.is_file {
                    report.hint(format!(
                        "add `load: all` to `{name}` if the stream is small enough to be read whole"
                    ))
                } else if facts.is_file {
                    report.hint("a file can only be read whole: write `load: all`")
                } else {
                    report
                }
            });
        }
        fine.then_some(Load::OnDemand)
    }

    /// What happens when nothing is found; `lookup` is the one that searches.
    pub(super) fn on_none(
        &self,
        at: &Pointer,
        action: &definition::OnNone,
        lookup: Option<LookupId>,
    ) -> Option<OnNone> {
        Some(match action {
            definition::OnNone::Reject => OnNone::Reject,
            definition::OnNone::Keep => OnNone::Keep,
            definition::OnNone::Clear => OnNone::Clear,
            definition::OnNone::Skip => OnNone::Skip,
            definition::OnNone::Hold => OnNone::Hold,
            definition::OnNone::Wait => OnNone::Wait,
            definition::OnNone::Const(value) => OnNone::Const(constant_value(&value.0)),
            definition::OnNone::Instead(text) => {
                let at = at.key("instead");
                OnNone::Instead(
                    self.checks
                        .text(&at, text, Sight::new(Place::Instead, self.names))?,
                )
            }
            definition::OnNone::Create(fields) => {
                let at = at.key("create");
                let lookup = lookup?;
                let (_, definition) = self.definition.lookups.get_index(lookup)?;
                let facts = self.stream_quietly(&definition.stream);
                if let Some(facts) = facts.filter(|facts| !facts.can_create && !facts.can_upsert) {
                    self.checks.error(Code::MissingOperation, &at, |report| {
                        report
                            .message(format!("records of `{}` cannot be created", definition.stream))
                            .at_key()
                            .note(facts.operations())
                    });
                }
                let unknown = RecordView::default();
                let place = RowPlace {
                    place: Place::CreateRule,
                    step: Place::CreateRuleStep,
                    view: self.given.get(lookup).unwrap_or(&unknown),
                    target: facts,
                    write: WritePolicy::Always,
                    lookup: Some(lookup),
                    flow: None,
                };
                let rows = self.rows(&at, fields, place);
                if let Some(schema) = facts.and_then(|facts| facts.schema.as_ref()) {
                    self.required_targets(&at, "this lookup", schema, fields.keys().map(String::as_str));
                }
                OnNone::Create(Arc::new(rows?))
            }
        })
    }

    /// The facts of a stream whose name was or will be checked elsewhere.
    pub(super) fn stream_quietly(&self, text: &str) -> Option<&StreamFacts> {
        let (connection, stream) = text.split_once('.')?;
        let connection = self.connections.iter().find(|facts| facts.name == connection)?;
        connection
            .streams
            .as_ref()?
            .iter()
            .find(|facts| facts.name == stream)
    }

    /// Lookups that nobody says what to do about when they find nothing.
    pub(super) fn silent_lookups(&self) {
        for (lookup, user) in self.used.silent.borrow().iter() {
            let Some((name, _)) = self.definition.lookups.get_index(*lookup) else {
                continue;
            };
            let at = Pointer::root().key("lookups").key(name);
            self.checks.error(Code::MissingOnNone, &at, |report| {
                report
                    .message(format!("the lookup `{name}` does not say what happens when it finds nothing"))
                    .at_key()
                    .label(user.as_str(), "used here, which does not say it either")
                    .hint("add `on_none`: `reject`, `keep`, `clear`, `skip`, `hold`, `{instead: …}`, `{create: …}` or `{const: …}`")
            });
        }
    }

    /// Lookups whose created records need each other.
    pub(super) fn lookup_cycles(&self) {
        let needs = self.used.needs.borrow();
        let lookups = &self.definition.lookups;
        let mut reported = std::collections::BTreeSet::new();
        for start in 0..lookups.len() {
            let mut path = vec![start];
            let mut open: Vec<Vec<usize>> = vec![next(&needs, start)];
            while let Some(following) = open.last_mut() {
                let Some(lookup) = following.pop() else {
                    open.pop();
                    path.pop();
                    continue;
                };
                if lookup == start {
                    let mut members: Vec<usize> = path.clone();
                    members.sort_unstable();
                    if reported.insert(members) {
                        self.cycle(&path);
                    }
                } else if !path.contains(&lookup) {
                    path.push(lookup);
                    open.push(next(&needs, lookup));
                }
            }
        }
    }

    fn cycle(&self, path: &[usize]) {
        let names: Vec<&str> = path
            .iter()
            .filter_map(|id| self.definition.lookups.get_index(*id))
            .map(|(name, _)| name.as_str())
            .collect();
        let Some(first) = names.first() else { return };
        let chain = names
            .iter()
            .chain(names.first())
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(" needs ");
        self.checks.error(
            Code::LookupCycle,
            &Pointer::root().key("lookups").key(first).key("on_none"),
            |report| {
                report
                    .message(format!("creating a record never ends: {chain}"))
                    .at_key()
                    .hint("let one of them do something else than `create` when it finds nothing")
            },
        );
    }
}

fn next(needs: &std::collections::BTreeSet<(usize, usize)>, lookup: usize) -> Vec<usize> {
    needs
        .iter()
        .filter(|(from, _)| *from == lookup)
        .map(|(_, to)| *to)
        .collect()
}

/// By what a stream can be found, for messages.
pub(super) fn found_by(facts: &StreamFacts) -> String {
    let mut paths: Vec<&str> = facts.find.iter().map(|(by, _)| by.as_str()).collect();
    if facts.can_get
        && let Some(key) = facts.key.as_deref().filter(|key| !paths.contains(key))
    {
        paths.insert(0, key);
    }
    if paths.is_empty() {
        "no path at all".to_owned()
    } else {
        list(paths)
    }
}
