//! Flows: their streams, modes, conditions and limits; the rules themselves are in `rows`.

use indexmap::IndexMap;

use super::actions::{flow_on_many, normalizers, on_frozen, on_many, write_policy};
use super::compiled::{
    Allowance, Column, Flow, Guard, Join, Mode, OnDelete, OnFrozen, OnMany, OnNone, OnePer, Preference,
    RejectBudget, Require, Row, Source, WritePolicy,
};
use super::compiled::{Input, LookupUse};
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use super::record_view::{RecordView, Step};
use super::rows::{FlowPlace, RowPlace, whole};
use super::sight::Sight;
use super::stream_facts::StreamFacts;
use crate::definition::Place;
use crate::definition::{self, Amount};
use crate::diagnostic::Code;
use crate::expression::{Path, Template};

impl PipelineChecks<'_, '_> {
    /// Compiles a flow.
    pub(super) fn flow(&self, name: &str, flow: &definition::Flow) -> Option<Flow> {
        let at = Pointer::root().key("flows").key(name);
        let from = self.stream(&at.key("from"), &flow.from);
        let to = self.stream(&at.key("to"), &flow.to);
        let source = from.as_ref().map(|(_, facts)| *facts);
        let sink = to.as_ref().map(|(_, facts)| *facts);
        if let Some(source) = source {
            self.can_read(&at.key("from"), &flow.from, source);
        }
        if let Some(sink) = sink {
            self.mode_fits(&at, flow, source, sink);
            if sink.is_file {
                self.file_sink(&at, flow);
            }
        }

        let mut view = source.map(|facts| facts.view.clone()).unwrap_or_default();
        let raw = view.clone();
        let joins: Vec<_> = flow
            .join
            .iter()
            .map(|(name, join)| {
                let sight = Sight::new(Place::Rule, self.names).of(&view);
                let compiled = self.join(&at.key("join").key(name), name, join, sight);
                view.join(name, self.joined_view(join, &view));
                compiled
            })
            .collect();
        if flow.one_per.is_some() {
            view.join("others", RecordView::default());
        }
        let view = &view;
        let sight = Sight::new(Place::Rule, self.names).of(view);
        let write = flow.write.as_ref().map_or(WritePolicy::Always, write_policy);
        let place = RowPlace {
            place: Place::Rule,
            step: Place::RuleStep,
            view,
            target: sink,
            write,
            lookup: None,
            flow: Some(FlowPlace {
                name,
                from: &flow.from,
                to: &flow.to,
                of: flow.of.as_deref(),
            }),
        };
        let matches = self.matches(&at.key("match"), flow.matching.as_ref(), &flow.to, place, sink);
        let conditions = self.conditions(
            &at.key("where"),
            &flow.conditions,
            &raw,
            Sight::new(Place::Condition, self.names),
        );
        let when = flow
            .when
            .as_ref()
            .map(|when| self.checks.template(&at.key("when"), when.as_str(), sight));
        let since = flow
            .since
            .as_ref()
            .map(|since| self.since(&at.key("since"), since, source));
        let of = flow
            .of
            .as_ref()
            .map(|of| self.parent_flow(&at.key("of"), of, &flow.from, source));
        let one_per = flow
            .one_per
            .as_ref()
            .map(|one_per| self.one_per(&at.key("one_per"), one_per, view, source));
        let only_if_changed: Vec<_> = flow
            .only_if_changed
            .iter()
            .enumerate()
            .map(|(position, path)| {
                self.checks
                    .path_into(&at.key("only_if_changed").index(position), path, view)
            })
            .collect();
        let order_by = flow.order_by.as_ref().map(|path| {
            let at = at.key("order_by");
            self.checks
                .member_of(&at, path.as_str(), view)
                .then(|| self.checks.single_path(&at, path))
                .flatten()
        });
        let require: Vec<_> = flow
            .require
            .iter()
            .enumerate()
            .map(|(position, require)| {
                let sight = Sight {
                    target: sink.map(|sink| &sink.view),
                    ..Sight::new(Place::Require, self.names).of(view)
                };
                self.require(&at.key("require").index(position), require, sight)
            })
            .collect();
        let rows = self.rows(&at.key("fields"), &flow.fields, place);
        let mode = mode(&flow.mode);
        if let Some(schema) = sink
            .and_then(|sink| sink.schema.as_ref())
            .filter(|_| mode != Mode::Update)
        {
            let names = flow.fields.keys().map(String::as_str);
            self.required_targets(&at.key("fields"), "this flow", schema, names);
        }
        let deletes = if mode == Mode::Mirror {
            Some(at.key("mode"))
        } else {
            (flow.on_delete == Some(definition::OnDelete::Delete)).then(|| at.key("on_delete"))
        };
        let guard = self.guard(flow.guard.as_ref(), deletes.as_ref());
        let rejects = self.rejects(flow.rejects.as_ref());
        let privacy = self.privacy(&at.key("pii"), &flow.pii, &flow.from, source, view);
        if let (Some(source), Some(rows)) = (source, &rows) {
            self.never_read(&flow.from, source, rows);
        }

        let (from, _) = from?;
        let (to, _) = to?;
        let rows = rows?;
        let mut compiled = Flow {
            name: name.to_owned(),
            direction_of: None,
            disabled: self.disabled.get(name).cloned(),
            selection_digest: selection(
                &flow.from,
                &flow.conditions,
                flow.when.as_ref(),
                flow.of.as_deref(),
                flow.one_per.as_ref(),
            ),
            from,
            to,
            mode,
            matches: matches?,
            normalize: normalizers(&flow.normalize),
            on_none: self.on_no_match(&at, flow),
            on_many: flow.on_many.as_ref().map_or(OnMany::Reject, flow_on_many),
            of: whole(of)?,
            since: whole(since)?,
            conditions: conditions?,
            when: whole(when)?,
            joins: joins.into_iter().collect::<Option<_>>()?,
            one_per: whole(one_per)?,
            only_if_changed: only_if_changed.into_iter().collect::<Option<_>>()?,
            order_by: whole(order_by)?,
            require: require.into_iter().collect::<Option<_>>()?,
            on_delete: match flow.on_delete {
                Some(definition::OnDelete::Unlink) => OnDelete::Unlink,
                Some(definition::OnDelete::Delete) => OnDelete::Delete,
                Some(definition::OnDelete::Keep) | None => OnDelete::Keep,
            },
            on_frozen: flow.on_frozen.as_ref().map_or(OnFrozen::Hold, on_frozen),
            guard,
            rejects,
            privacy: privacy?,
            private_targets: Vec::new(),
            columns: columns(&rows),
            rows,
            projection: crate::expression::Projection::new(),
        };
        compiled.private_targets = super::privacy::private_targets(&compiled, sink);
        compiled.projection =
            super::projections::projection(&compiled, source, self.link_keys(&compiled).as_ref());
        Some(compiled)
    }

    /// The key path of the records that the flow reads, which links need.
    pub(super) fn link_keys(&self, flow: &Flow) -> Option<Path> {
        self.facts(flow.from)?
            .key
            .as_deref()
            .and_then(|key| Path::parse(key).ok())
    }

    pub(super) fn can_read(&self, at: &Pointer, name: &str, source: &StreamFacts) {
        if !source.can_list {
            self.checks.error(Code::MissingOperation, at, |report| {
                report.message(format!("the stream `{name}` cannot be read: it has no `list`"))
            });
        }
        if source.is_file && source.key.is_none() {
            self.checks.error(Code::FileStream, at, |report| {
                report
                    .message(format!(
                        "the file stream `{name}` has no `key`, and records that are read are known by theirs"
                    ))
                    .hint("give the stream a `key`, such as `key: $.id`")
            });
        }
    }

    /// A join; what it reads is the record of `sight`.
    pub(super) fn join(
        &self,
        at: &Pointer,
        name: &str,
        join: &definition::Join,
        sight: Sight<'_>,
    ) -> Option<Join> {
        let is_field = |view: &RecordView| matches!(view.field(&[Step::Name(name.to_owned())]), Ok(Some(_)));
        if sight.record.is_some_and(is_field) {
            self.checks.error(Code::TwiceDefined, at, |report| {
                report
                    .message(format!("the source's records have a field `{name}` already"))
                    .at_key()
                    .hint("choose another name")
            });
        }
        let input = self.checks.source(&at.key("value"), &join.value, sight);
        let when = join
            .when
            .as_ref()
            .map(|when| self.checks.template(&at.key("when"), when.as_str(), sight));
        let lookup = join.lookup.as_ref().map(|name| {
            let lookup = self.lookup_id(&at.key("lookup"), name)?;
            self.note_use(&at.key("lookup"), lookup, join.on_none.is_some(), None);
            let declared = self.definition.lookups.get(name).and_then(|lookup| lookup.on_none.as_ref());
            if matches!(join.on_none.as_ref().or(declared), Some(definition::OnNone::Create(_))) {
                self.checks.error(Code::ActionDoesNotFit, &at.key("lookup"), |report| {
                    report
                        .message(format!("`{name}` creates what it does not find, in load, and the rules need the joined record before that"))
                        .hint("say here what happens instead: `on_none: clear`")
                });
            }
            let on_none = match &join.on_none {
                Some(action) => Some(self.on_none(&at.key("on_none"), action, Some(lookup))?),
                None => None,
            };
            Some(LookupUse { lookup, on_none, on_many: join.on_many.as_ref().map(on_many) })
        });
        for (word, written) in [
            ("on_none", join.on_none.is_some()),
            ("on_many", join.on_many.is_some()),
        ] {
            if written && join.lookup.is_none() {
                self.checks.error(Code::RuleSteps, &at.key(word), |report| {
                    report
                        .message(format!("`{word}` means something only beside `lookup`"))
                        .at_key()
                });
            }
        }
        Some(Join {
            name: name.to_owned(),
            when: whole(when)?,
            input: match input? {
                Source::Select(path) => Input::Select(path),
                Source::Compute(template) => Input::Compute(template),
            },
            lookup: whole(lookup)?,
        })
    }

    /// What a join shows under its name.
    pub(super) fn joined_view(&self, join: &definition::Join, view: &RecordView) -> RecordView {
        match (&join.lookup, &join.value) {
            (Some(lookup), _) => {
                let several = join.on_many == Some(definition::OnMany::All);
                let stream = self
                    .definition
                    .lookups
                    .get(lookup)
                    .map(|lookup| lookup.stream.as_str());
                let facts = stream.and_then(|stream| self.stream_quietly(stream));
                facts
                    .filter(|_| !several)
                    .map(|facts| facts.view.clone())
                    .unwrap_or_default()
            }
            (None, definition::Source::Path(path)) => {
                let (steps, whole) = super::record_view::path_steps(path.as_str());
                let steps: Vec<_> = steps.into_iter().map(|(step, _)| step).collect();
                view.part(&steps).filter(|_| whole).unwrap_or_default()
            }
            (None, definition::Source::Template(_)) => RecordView::default(),
        }
    }

    /// Where the first run starts.
    pub(super) fn since(
        &self,
        at: &Pointer,
        since: &definition::TemplateText,
        source: Option<&StreamFacts>,
    ) -> Option<Template> {
        let template = self
            .checks
            .text(at, since, Sight::new(Place::Since, self.names))?;
        if let Some(text) = template.is_literal()
            && text.parse::<jiff::Timestamp>().is_err()
            && text.parse::<jiff::civil::Date>().is_err()
        {
            self.checks.error(Code::SettingType, at, |report| {
                report
                    .message(format!("`{text}` is neither a day nor a time"))
                    .hint("write `2026-08-01` or `2026-08-01T10:00:00Z`")
            });
            return None;
        }
        if source.is_some_and(|source| source.reads_everything) {
            self.checks.warning(Code::Unused, at, |report| {
                report
                    .message(
                        "this stream is read whole each time, so there is nothing that `since` could start",
                    )
                    .at_key()
                    .hint("use `where` or `when` to leave records out")
            });
        }
        Some(template)
    }

    fn one_per(
        &self,
        at: &Pointer,
        one_per: &definition::OnePer,
        view: &RecordView,
        source: Option<&StreamFacts>,
    ) -> Option<OnePer> {
        let same = self.checks.source(
            &at.key("same"),
            &one_per.same,
            Sight::new(Place::Rule, self.names).of(view),
        );
        let keep: Vec<_> = one_per
            .keep
            .iter()
            .enumerate()
            .map(|(position, rank)| {
                let path = self.checks.path_into(
                    &at.key("keep").index(position).itself(rank.key.as_str()),
                    &rank.key,
                    view,
                )?;
                let preference = match rank.value {
                    definition::Rank::Highest => Preference::Highest,
                    definition::Rank::Lowest => Preference::Lowest,
                };
                Some((path, preference))
            })
            .collect();
        let find =
            source.and_then(|source| source.find.iter().position(|(by, _)| by == one_per.same.as_str()));
        if let Some(source) = source.filter(|source| find.is_none() && !source.reads_everything) {
            self.checks.error(Code::NotFindable, &at.key("same"), |report| {
                report.message(format!(
                    "when one of several changes, the others are searched by `{}`, and this stream cannot be found by that; it can by {}",
                    one_per.same.as_str(),
                    super::lookups::found_by(source)
                ))
            });
            return None;
        }
        Some(OnePer {
            same: same?,
            normalize: normalizers(&one_per.normalize),
            keep: keep.into_iter().collect::<Option<_>>()?,
            find,
        })
    }

    /// A condition before a write; what it sees is that of `sight`.
    pub(super) fn require(
        &self,
        at: &Pointer,
        require: &definition::Require,
        sight: Sight<'_>,
    ) -> Option<Require> {
        let that = self
            .checks
            .template(&at.key("that"), require.that.as_str(), sight);
        let otherwise = self.checks.text(&at.key("else"), &require.otherwise, sight);
        Some(Require {
            that: that?,
            otherwise: otherwise?,
        })
    }

    fn on_no_match(&self, at: &Pointer, flow: &definition::Flow) -> OnNone {
        if flow.on_none.is_some() && flow.mode != definition::Mode::Update {
            self.checks.error(Code::ActionDoesNotFit, &at.key("on_none"), |report| {
                report
                    .message("`on_none` says what happens in mode `update` when nothing is found; this mode creates then")
                    .at_key()
                    .label(at.key("mode").as_str(), "the mode")
            });
        }
        match flow.on_none {
            Some(definition::FlowOnNone::Skip) => OnNone::Skip,
            Some(definition::FlowOnNone::Hold) => OnNone::Hold,
            Some(definition::FlowOnNone::Wait) => OnNone::Wait,
            Some(definition::FlowOnNone::Reject) | None => OnNone::Reject,
        }
    }

    /// A flow's guard, its own or the pipeline's; `deletes` is the word that makes it delete.
    pub(super) fn guard(&self, own: Option<&definition::Guard>, deletes: Option<&Pointer>) -> Option<Guard> {
        let guard = own.or(self.definition.guard.as_ref());
        let allowed = guard.and_then(|guard| guard.delete_at_most);
        if let Some(at) = deletes
            && allowed.is_none_or(|amount| matches!(amount, Amount::Count(0)))
        {
            self.checks.warning(Code::ActionDoesNotFit, at, |report| {
                report
                    .message("this flow deletes, but no deletion is allowed, so a run that would delete is refused")
                    .hint("say how many a run may delete: `guard: {delete_at_most: 10}`")
            });
        }
        match guard {
            Some(guard) => Some(Guard {
                change_at_most: guard.change_at_most.map_or(Allowance::Unlimited, allowance),
                delete_at_most: guard.delete_at_most.map_or(Allowance::Count(0), allowance),
            }),
            None => deletes.map(|_| Guard {
                change_at_most: Allowance::Unlimited,
                delete_at_most: Allowance::Count(0),
            }),
        }
    }

    /// A flow's budget of rejects, its own or the pipeline's.
    pub(super) fn rejects(&self, own: Option<&definition::Rejects>) -> RejectBudget {
        let rejects = own.or(self.definition.rejects.as_ref());
        let allow = rejects.and_then(|rejects| rejects.allow);
        let retry = rejects.and_then(|rejects| rejects.retry_at_most);
        RejectBudget {
            allow: allow.map_or(Allowance::Unlimited, allowance),
            retry_at_most: retry.map_or(10, |times| u32::try_from(times).unwrap_or(u32::MAX)),
        }
    }
}

fn allowance(amount: Amount) -> Allowance {
    match amount {
        Amount::Count(count) => Allowance::Count(count),
        Amount::Percent(percent) => Allowance::Share(percent / 100.0),
    }
}

/// The mode as it is executed.
pub(super) fn mode(mode: &definition::Mode) -> Mode {
    match mode {
        definition::Mode::Insert => Mode::Insert,
        definition::Mode::Update => Mode::Update,
        definition::Mode::Upsert => Mode::Upsert,
        definition::Mode::Mirror => Mode::Mirror,
    }
}

/// The columns of what rows make.
pub(super) fn columns(rows: &[Row]) -> Vec<Column> {
    let column = |row: &Row| Column {
        name: row.target.name.clone(),
        column_type: row.target_type.clone(),
        write: row.write,
    };
    rows.iter().map(column).collect()
}

/// A digest of what decides which records are read.
pub(super) fn selection(
    from: &str,
    conditions: &IndexMap<definition::PathText, definition::ValueTemplate>,
    when: Option<&definition::ConditionText>,
    of: Option<&str>,
    one_per: Option<&definition::OnePer>,
) -> String {
    let mut text = format!("from {from}\n");
    for (path, value) in conditions {
        text.push_str(&format!("where {path} {}\n", value.0));
    }
    if let Some(when) = when {
        text.push_str(&format!("when {when}\n"));
    }
    if let Some(of) = of {
        text.push_str(&format!("of {of}\n"));
    }
    if let Some(one_per) = one_per {
        text.push_str(&format!("one_per {}\n", one_per.same.as_str()));
    }
    super::record_files::digest(&text)
}
