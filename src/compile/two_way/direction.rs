//! One direction of a two-way flow: the flow that reads one side and writes the other.

use super::{Parts, rule_place, words};
use crate::compile::actions::{normalizers, on_frozen, write_policy};
use crate::compile::compiled::{
    DirectionOf, Flow, Mode, OnDelete, OnFrozen, OnMany, OnNone, PairKey, PerSide, Row, Side, WritePolicy,
};
use crate::compile::flows::{columns, selection};
use crate::compile::legs::{LegRule, directed, side};
use crate::compile::pipeline_checks::PipelineChecks;
use crate::compile::record_view::RecordView;
use crate::compile::rows::{FlowPlace, RowPlace, whole};
use crate::compile::sight::Sight;
use crate::definition::{self, Place};
use crate::diagnostic::Code;
use crate::expression::{Path, Projection};

/// A direction that was compiled.
pub(super) struct Compiled {
    /// The flow; what it reads and what is private in it follows once both directions are known.
    pub(super) flow: Flow,
    /// For each of its rows the position of the flow's row that it comes from; rows of `pair` come last and are not here.
    pub(super) rows_of: Vec<usize>,
    /// How the side that it writes remembers the other one.
    pub(super) pair: Option<PairKey>,
}

impl Compiled {
    /// The rule that the flow's row at `position` became here, and where it stands.
    pub(super) fn row(&self, position: usize) -> (Option<usize>, Option<&Row>) {
        let found = self.rows_of.iter().position(|row| *row == position);
        (found, found.and_then(|found| self.flow.rows.get(found)))
    }
}

impl PipelineChecks<'_, '_> {
    /// Compiles the direction that writes a side. `raw`: what the records that it reads hold before anything is joined.
    pub(super) fn direction(
        &self,
        parts: &Parts<'_>,
        to: Side,
        raw: &RecordView,
        paths: &[Option<PerSide<Option<Path>>>],
        has_parent: bool,
    ) -> Option<Compiled> {
        let (from, at, flow) = (to.other(), &parts.at, parts.flow);
        let (source, sink) = (parts.facts(from), parts.facts(to));
        let view = &parts.views[from];
        let place = RowPlace {
            place: rule_place(from),
            step: match from {
                Side::Remote => Place::RemoteRuleStep,
                Side::Local => Place::LocalRuleStep,
            },
            view,
            target: sink,
            write: flow.write.as_ref().map_or(WritePolicy::Always, write_policy),
            lookup: None,
            flow: Some(FlowPlace {
                name: parts.name,
                from: parts.stream(from),
                to: parts.stream(to),
                of: flow.of.as_deref(),
            }),
        };
        if let Some(source) = source.filter(|_| parts.direction.writes(to)) {
            self.can_read(&parts.at_stream(from), parts.stream(from), source);
        }
        let rules = directed(&at.key("fields"), flow, to);
        let rows = self.directed_rows(&rules, paths, place);
        let pair = side(flow.pair.as_ref(), to).map(|pair| self.pair(parts, to, pair, place));
        self.targets(parts, to, &rules);

        let at_match = at.key("match").key(to.name());
        let matches = self.matches(
            &at_match,
            side(flow.matching.as_ref(), to),
            parts.stream(to),
            place,
            sink,
        );
        let conditions = side(flow.conditions.as_ref(), from);
        let none = indexmap::IndexMap::new();
        let compiled_conditions = self.conditions(
            &at.key("where").key(from.name()),
            conditions.unwrap_or(&none),
            raw,
            Sight::new(Place::Condition, self.names),
        );
        let when = self.side_when(parts, from);
        let (since, at_since) = words::for_side(&at.key("since"), flow.since.as_ref(), from);
        let since = since.map(|since| self.since(&at_since, since, source));
        let (order_by, at_order) = words::for_side(&at.key("order_by"), flow.order_by.as_ref(), from);
        let order_by = order_by.map(|path| {
            self.checks
                .member_of(&at_order, path.as_str(), view)
                .then(|| self.checks.single_path(&at_order, path))
                .flatten()
        });
        let require = self.directed_require(parts, to);
        let nothing = indexmap::IndexMap::new();
        let pii = side(flow.pii.as_ref(), from).unwrap_or(&nothing);
        let at_pii = at.key("pii").key(from.name());
        let privacy = self.privacy(&at_pii, pii, parts.stream(from), source, view);
        let parent = flow
            .of
            .as_ref()
            .filter(|_| has_parent && source.is_some_and(|source| source.parent.is_some()))
            .map(|of| self.parent_flow(&at.key("of"), of, parts.stream(from), source));
        let (deletes, at_delete) = words::for_side(&at.key("on_delete"), flow.on_delete.as_ref(), to);
        let deletes = matches!(deletes, Some(definition::OnPairDeleted::Delete)).then_some(at_delete);
        let guard = self.guard(flow.guard.as_ref(), deletes.as_ref());
        let (frozen, _) = words::for_side(at, flow.on_frozen.as_ref(), to);
        if let (Some(source), Some(rows)) = (source, &rows) {
            self.never_read(parts.stream(from), source, rows);
        }

        let mut rows = rows?;
        let mut matches = matches?;
        let pair = match whole(pair)? {
            Some((row, mut pair, found)) => {
                pair.row = rows.len();
                rows.push(row);
                pair.matching = found.map(|found| {
                    matches.insert(0, found);
                    0
                });
                Some(pair)
            }
            None => None,
        };
        Some(Compiled {
            rows_of: rules.iter().map(|rule| rule.row).collect(),
            pair,
            flow: Flow {
                name: format!("{}.{}", parts.name, to.direction()),
                direction_of: Some(DirectionOf {
                    two_way: self.two_way_id(parts.name)?,
                    to,
                }),
                disabled: self.disabled.get(parts.name).cloned(),
                selection_digest: selection(
                    parts.stream(from),
                    conditions.unwrap_or(&none),
                    side(flow.when.as_ref(), from),
                    flow.of.as_deref(),
                    None,
                ),
                from: parts.streams[from]?.0,
                to: parts.streams[to]?.0,
                mode: if parts.creates(to) {
                    Mode::Upsert
                } else {
                    Mode::Update
                },
                matches,
                normalize: normalizers(&flow.normalize),
                on_none: OnNone::Skip,
                on_many: OnMany::Hold,
                of: whole(parent)?,
                since: whole(since)?,
                conditions: compiled_conditions?,
                when: when?,
                joins: Vec::new(),
                one_per: None,
                only_if_changed: Vec::new(),
                order_by: whole(order_by)?,
                require: require?,
                on_delete: OnDelete::Keep,
                on_frozen: frozen.map_or(OnFrozen::Hold, on_frozen),
                guard,
                rejects: self.rejects(flow.rejects.as_ref()),
                privacy: privacy?,
                private_targets: Vec::new(),
                columns: columns(&rows),
                rows,
                projection: Projection::new(),
            },
        })
    }

    /// The rows of a direction; rows that are wrong by themselves are passed over.
    fn directed_rows(
        &self,
        rules: &[LegRule<'_>],
        paths: &[Option<PerSide<Option<Path>>>],
        place: RowPlace<'_>,
    ) -> Option<Vec<Row>> {
        let rows: Vec<_> = rules
            .iter()
            .map(|rule| {
                paths.get(rule.row)?.as_ref()?;
                let Some(target) = &rule.target else {
                    self.checks.error(Code::RuleSteps, &rule.at, |report| {
                        report
                            .message("this row does not say which field it writes")
                            .at_key()
                            .hint("name it with `field`, or give the row a plain path of that side, such as `$.status.id`")
                    });
                    return None;
                };
                self.row(&rule.at, target, &rule.rule, place)
            })
            .collect();
        rows.into_iter().collect()
    }

    /// Fields that are written twice, or not at all although a new record needs them.
    fn targets(&self, parts: &Parts<'_>, to: Side, rules: &[LegRule<'_>]) {
        let pair = side(parts.flow.pair.as_ref(), to);
        let at_pair = parts.at.key("pair").key(to.name());
        let pair = pair.map(|pair| (pair.key.as_str(), at_pair.key(&pair.key)));
        let written: Vec<_> = rules
            .iter()
            .filter_map(|rule| Some((rule.target.as_deref()?, rule.at.clone())))
            .chain(pair)
            .collect();
        self.targets_apart(written.iter().map(|(name, at)| (*name, at.clone())));
        let schema = parts.facts(to).and_then(|facts| facts.schema.as_ref());
        if let Some(schema) = schema.filter(|_| parts.creates(to) && parts.direction.writes(to)) {
            let at = parts.at.key("create").key(to.name());
            self.required_targets(&at, "this flow", schema, written.iter().map(|(name, _)| *name));
        }
    }

    fn directed_require(
        &self,
        parts: &Parts<'_>,
        to: Side,
    ) -> Option<Vec<crate::compile::compiled::Require>> {
        let from = to.other();
        let sight = Sight {
            target: parts.facts(to).map(|facts| &facts.view),
            ..Sight::new(
                match from {
                    Side::Remote => Place::RemoteRequire,
                    Side::Local => Place::LocalRequire,
                },
                self.names,
            )
            .of(&parts.views[from])
        };
        let at = parts.at.key("require").key(to.name());
        let require = side(parts.flow.require.as_ref(), to).into_iter().flatten();
        let compiled: Vec<_> = require
            .enumerate()
            .map(|(position, require)| self.require(&at.index(position), require, sight))
            .collect();
        compiled.into_iter().collect()
    }
}
