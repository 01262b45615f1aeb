//! Two-way flows: each is compiled into its two directions, which are ordinary flows, and what ties them.
//!
//! `direction` makes a direction, `rows` what a row says of both, `pair` how the sides remember each other, `abilities`
//! and `doubts` hold the flow against its streams, `words` turns words into actions.

mod abilities;
mod direction;
mod doubts;
mod pair;
mod rows;
mod words;

use super::compiled::{
    CreateWhen, Direction, Flow, FlowId, OnPairDeleted, PerSide, Side, StreamRef, TwoWay, TwoWayId,
};
use super::legs::{side, stream};
use super::links::direction as direction_id;
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use super::record_view::RecordView;
use super::rows::whole;
use super::sight::Sight;
use super::stream_facts::StreamFacts;
use super::syntax::constant_value;
use super::types::schema_type;
use crate::definition::{self, AnyFlow, Place, TwoWayFlow};
use crate::diagnostic::{Code, list};
use crate::expression::{Path, Scope, Template};

/// What a flow of the file was compiled to.
pub(super) enum CompiledFlow {
    /// A one-way flow.
    OneWay(Box<Flow>),
    /// The directions of a two-way flow, by the side that they write, and the flow.
    TwoWay(Box<(PerSide<Flow>, TwoWay)>),
}

/// A two-way flow while it is compiled.
pub(super) struct Parts<'a> {
    /// Its name.
    name: &'a str,
    /// Where it stands.
    at: Pointer,
    /// What it says.
    flow: &'a TwoWayFlow,
    /// Its streams, where they are known.
    streams: PerSide<Option<(StreamRef, &'a StreamFacts)>>,
    /// What each side's records hold, with what is joined to them.
    views: PerSide<RecordView>,
    /// Which directions travel; both where that is not known.
    direction: Direction,
}

impl<'a> Parts<'a> {
    fn facts(&self, side: Side) -> Option<&'a StreamFacts> {
        self.streams[side].map(|(_, facts)| facts)
    }

    fn stream(&self, side: Side) -> &'a str {
        stream(self.flow, side)
    }

    /// Whether a side's records are created.
    fn creates(&self, side: Side) -> bool {
        !matches!(
            self::side(self.flow.create.as_ref(), side),
            None | Some(definition::CreateWhen::Never)
        )
    }

    /// Where the flow names a side's stream.
    fn at_stream(&self, side: Side) -> Pointer {
        self.at.key(side.name())
    }
}

/// Where templates see the record of a side.
fn rule_place(side: Side) -> Place {
    match side {
        Side::Remote => Place::RemoteRule,
        Side::Local => Place::LocalRule,
    }
}

impl PipelineChecks<'_, '_> {
    /// Compiles a flow of either kind.
    pub(super) fn any_flow(&self, name: &str, flow: &AnyFlow) -> Option<CompiledFlow> {
        match flow {
            AnyFlow::OneWay(flow) => Some(CompiledFlow::OneWay(Box::new(self.flow(name, flow)?))),
            AnyFlow::TwoWay(flow) => Some(CompiledFlow::TwoWay(Box::new(self.two_way(name, flow)?))),
        }
    }

    /// Position of a two-way flow among those of the pipeline, in the order in which they run.
    fn two_way_id(&self, name: &str) -> Option<TwoWayId> {
        let own: FlowId = *self.flow_ids.get(name)?;
        let is_before = |(other, flow): &(&String, &AnyFlow)| {
            flow.two_way().is_some() && self.flow_ids.get(*other).is_some_and(|id| *id < own)
        };
        Some(self.definition.flows.iter().filter(is_before).count())
    }

    fn two_way(&self, name: &str, flow: &TwoWayFlow) -> Option<(PerSide<Flow>, TwoWay)> {
        let at = Pointer::root().key("flows").key(name);
        let streams = PerSide::by(|side| self.stream(&at.key(side.name()), stream(flow, side)));
        if flow.remote == flow.local {
            self.checks
                .error(Code::WrongChildren, &at.key("local"), |report| {
                    report
                        .message("a stream cannot be kept in step with itself")
                        .label(at.key("remote").as_str(), "the same stream")
                });
        }
        let direction = self.travelling(&at.key("direction"), flow.direction.as_ref());
        let mut parts = Parts {
            name,
            flow,
            views: PerSide::by(|side| {
                streams[side]
                    .map(|(_, facts)| facts.view.clone())
                    .unwrap_or_default()
            }),
            streams,
            direction: direction.unwrap_or(Direction::Both),
            at,
        };
        let raw = PerSide::by(|side| parts.views[side].clone());
        let joins = PerSide::by(|side| self.side_joins(&mut parts, side));
        let of = flow.of.as_ref().map(|of| self.parent_pair(&parts, of));
        let paths = self.row_paths(&parts);
        let has_parent = of.flatten().is_some();
        let directions = PerSide::by(|to| self.direction(&parts, to, &raw[to.other()], &paths, has_parent));
        let create = PerSide::by(|to| self.create_when(&parts, to));
        let changed_at = PerSide::by(|side| self.changed_at(&parts, side));
        let on_delete = PerSide::by(|side| self.on_pair_deleted(&parts, side));
        self.abilities(&parts);
        self.doubts(&parts);

        let of = whole(of)?;
        let PerSide { remote, local } = directions;
        let (mut remote, mut local) = (remote?, local?);
        let joins = PerSide {
            remote: joins.remote?,
            local: joins.local?,
        };
        local.flow.joins = joins.remote;
        remote.flow.joins = joins.local;
        let create = PerSide {
            remote: create.remote?,
            local: create.local?,
        };
        let changed_at = PerSide {
            remote: changed_at.remote?,
            local: changed_at.local?,
        };
        let on_delete = PerSide {
            remote: on_delete.remote?,
            local: on_delete.local?,
        };
        let paths: Vec<PerSide<Option<Path>>> = paths.into_iter().collect::<Option<_>>()?;
        let rows = rows::sync_rows(&parts, paths, &local, &remote);
        let id = *self.flow_ids.get(name)?;
        let mut compiled = TwoWay {
            name: name.to_owned(),
            streams: PerSide {
                remote: parts.streams.remote?.0,
                local: parts.streams.local?.0,
            },
            to: PerSide::by(|to| direction_id(id, to)),
            direction: direction?,
            create,
            pair: PerSide {
                remote: remote.pair.take(),
                local: local.pair.take(),
            },
            changed_at,
            on_delete,
            of,
            rows,
            pointer: parts.at.as_str().to_owned(),
        };
        let mut directions = PerSide {
            remote: remote.flow,
            local: local.flow,
        };
        for to in Side::BOTH {
            self.finish(&parts, &mut compiled, &mut directions, to);
        }
        Some((directions, compiled))
    }

    /// What a direction reads and what is private in it, once all of the flow is known.
    fn finish(&self, parts: &Parts<'_>, compiled: &mut TwoWay, directions: &mut PerSide<Flow>, to: Side) {
        let from = to.other();
        let flow = &mut directions[to];
        flow.private_targets = super::privacy::private_targets(flow, parts.facts(to));
        flow.projection =
            super::projections::projection(flow, parts.facts(from), self.link_keys(flow).as_ref());
        let fields = compiled.rows.iter().filter_map(|row| row.fields[from].as_ref());
        let pair = compiled.pair[from].iter().map(|pair| &pair.path);
        for path in fields.chain(pair).chain(&compiled.changed_at[from]) {
            flow.projection.add_path(path);
        }
        if let CreateWhen::When(template) = &compiled.create[to] {
            for chain in template.variables() {
                if let Some((_, names)) = chain.split_first().filter(|(first, _)| *first == from.name()) {
                    flow.projection.add_variable(names);
                }
            }
        }
    }

    /// Which directions travel: one of three words, which a param may give.
    fn travelling(&self, at: &Pointer, text: Option<&definition::TemplateText>) -> Option<Direction> {
        const WORDS: [(&str, Direction); 3] = [
            ("both", Direction::Both),
            ("to_local", Direction::ToLocal),
            ("to_remote", Direction::ToRemote),
        ];
        let Some(text) = text else {
            return Some(Direction::Both);
        };
        let template = self.checks.text(at, text, Sight::new(Place::Since, self.names))?;
        let scope = Scope::new().with("params", self.params);
        let found = match template.render(&scope) {
            Ok(found) => found.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        let word = WORDS.iter().find(|(word, _)| *word == found);
        if word.is_none() {
            let words = || WORDS.iter().map(|(word, _)| *word);
            self.checks.error(Code::NotAChoice, at, |report| {
                let report = report
                    .message(match text.is_template() {
                        true => format!("this gives `{found}`, and a direction is {}", list(words())),
                        false => format!("`{found}` is no direction: it is {}", list(words())),
                    })
                    .did_you_mean(&found, words());
                if text.is_template() {
                    report.note("it is decided before the run, from the values of the params")
                } else {
                    report
                }
            });
        }
        word.map(|(_, direction)| *direction)
    }

    /// The joins of a side's records, whose names its rules then see.
    fn side_joins(&self, parts: &mut Parts<'_>, side: Side) -> Option<Vec<super::compiled::Join>> {
        let joins = self::side(parts.flow.join.as_ref(), side);
        let at = parts.at.key("join").key(side.name());
        let compiled: Vec<_> = joins
            .into_iter()
            .flatten()
            .map(|(name, join)| {
                let view = &parts.views[side];
                let sight = Sight::new(rule_place(side), self.names).of(view);
                let compiled = self.join(&at.key(name), name, join, sight);
                let joined = self.joined_view(join, view);
                parts.views[side].join(name, joined);
                compiled
            })
            .collect();
        compiled.into_iter().collect()
    }

    /// The two-way flow whose pairs are the parents.
    fn parent_pair(&self, parts: &Parts<'_>, of: &str) -> Option<TwoWayId> {
        let at = parts.at.key("of");
        self.flow_id(&at, of)?;
        if self.definition.flows.get(of)?.two_way().is_some() {
            let has_parent = |side: &Side| parts.facts(*side).is_none_or(|facts| facts.parent.is_some());
            if Side::BOTH.iter().any(has_parent) {
                return self.two_way_id(of);
            }
            self.checks.error(Code::WrongChildren, &at, |report| {
                report
                    .message(format!(
                        "neither `{}` nor `{}` has a parent, so their records are nobody's children",
                        parts.flow.remote, parts.flow.local
                    ))
                    .hint("leave out `of`, and refer to the other record with `link`")
            });
            return None;
        }
        self.checks.error(Code::WrongChildren, &at, |report| {
            report
                .message(format!(
                    "`{of}` goes one way, so it keeps no pairs whose children could be kept in step"
                ))
                .label(Pointer::root().key("flows").key(of).as_str(), "goes one way")
                .hint("name a flow with `remote` and `local`")
        });
        None
    }

    fn create_when(&self, parts: &Parts<'_>, to: Side) -> Option<CreateWhen> {
        Some(match side(parts.flow.create.as_ref(), to) {
            None | Some(definition::CreateWhen::Never) => CreateWhen::Never,
            Some(definition::CreateWhen::Always) => CreateWhen::Always,
            Some(definition::CreateWhen::When(when)) => {
                let from = to.other();
                let sight = Sight::new(rule_place(from), self.names).of(&parts.views[from]);
                let at = parts.at.key("create").key(to.name()).key("when");
                CreateWhen::When(self.checks.template(&at, when.as_str(), sight)?)
            }
        })
    }

    fn changed_at(&self, parts: &Parts<'_>, side: Side) -> Option<Option<Path>> {
        match self::side(parts.flow.changed_at.as_ref(), side) {
            Some(path) => {
                let at = parts.at.key("changed_at").key(side.name());
                let known = self.checks.member_of(&at, path.as_str(), &parts.views[side]);
                let path = self.checks.single_path(&at, path)?;
                known.then_some(Some(path))
            }
            None => {
                let path = parts.facts(side).and_then(|facts| facts.changed_at.as_ref());
                Some(path.and_then(|path| Path::parse(path).ok()))
            }
        }
    }

    fn on_pair_deleted(&self, parts: &Parts<'_>, side: Side) -> Option<OnPairDeleted> {
        let (action, at) = words::for_side(&parts.at.key("on_delete"), parts.flow.on_delete.as_ref(), side);
        Some(match action {
            None | Some(definition::OnPairDeleted::Unlink) => OnPairDeleted::Unlink,
            Some(definition::OnPairDeleted::Keep) => OnPairDeleted::Keep,
            Some(definition::OnPairDeleted::Delete) => OnPairDeleted::Delete,
            Some(definition::OnPairDeleted::Set(fields)) => {
                let at = at.key("set");
                let view = parts.facts(side).map(|facts| &facts.view);
                let set: Vec<_> = fields
                    .iter()
                    .map(|(name, value)| {
                        let at = at.key(name);
                        let (target, field) = self.target(&at, name, view)?;
                        let constant = constant_value(&value.0);
                        let Some(field) = field else {
                            return Some((target, constant));
                        };
                        self.constant_fits(&at, name, field, &value.0);
                        self.output(&at, &at, name, field, &value.0);
                        Some((target, schema_type(field).coerce(constant).ok()?))
                    })
                    .collect();
                OnPairDeleted::Set(set.into_iter().collect::<Option<_>>()?)
            }
        })
    }

    /// A condition over a side's records.
    fn side_when(&self, parts: &Parts<'_>, side: Side) -> Option<Option<Template>> {
        let when = self::side(parts.flow.when.as_ref(), side).map(|when| {
            let sight = Sight::new(rule_place(side), self.names).of(&parts.views[side]);
            let at = parts.at.key("when").key(side.name());
            self.checks.template(&at, when.as_str(), sight)
        });
        whole(when)
    }
}
