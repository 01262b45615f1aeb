//! Judging: a gathered pair becomes facts, the facts become verdicts, and the verdicts become decisions of the directions.
//!
//! The rules are [`crate::sync`]'s; here is only what leads to them and what follows from them.

use std::sync::Arc;

use jiff::Timestamp;

use super::pair::{Observed, Pair};
use crate::compile::compiled::{CreateWhen, OnFrozen, OnPairDeleted, PerSide, Side, SyncRow, TwoWay};
use crate::expression::{Scope, Value};
use crate::mapping::{Cell, RefusedAs, RefusedRow, Reject};
use crate::run::batch::{Decision, ItemOutcome, Planned, Update};
use crate::run::context::Context;
use crate::run::decide::{self, Change};
use crate::run::plan::Planner;
use crate::state::{HeldRow, PairBaseline, SideMark};
use crate::sync::{
    Action, Bond, Cause, Fingerprints, Freshness, Mapped, NotCarried, Observation, PairAction, PairFacts,
    PairSituation, Presence, Reconciled, Refusal, RowFacts, RowPolicy, Seen, Verdict, changed_last,
    decide_pair, freshness, reconcile, reconcile_create, row_names,
};

/// Judges the pairs of one two-way flow.
pub(super) struct Judge<'c> {
    context: &'c Context,
    way: &'c TwoWay,
    policies: Vec<RowPolicy>,
    names: Arc<[String]>,
    fingerprints: Fingerprints,
}

impl<'c> Judge<'c> {
    /// The rules of a flow.
    pub(super) fn new(context: &'c Context, way: &'c TwoWay) -> Self {
        Judge {
            context,
            way,
            policies: RowPolicy::all(&context.pipeline, way),
            names: row_names(way),
            fingerprints: Fingerprints::new(context.digester.clone()),
        }
    }

    /// What every stage of the run shares.
    pub(super) fn context(&self) -> &'c Context {
        self.context
    }

    /// The flow.
    pub(super) fn way(&self) -> &'c TwoWay {
        self.way
    }

    /// What identifies the rows in baselines.
    pub(super) fn names(&self) -> &Arc<[String]> {
        &self.names
    }

    /// What each row may do.
    pub(super) fn policies(&self) -> &[RowPolicy] {
        &self.policies
    }

    /// How values are compared.
    pub(super) fn fingerprints(&self) -> &Fingerprints {
        &self.fingerprints
    }

    /// A record's version or change stamp.
    pub(super) fn version(way: &TwoWay, side: Side, view: &Value<'_>) -> Option<String> {
        way.changed_at[side].as_ref()?.one(view)?.key_text()
    }

    /// Whether an observation (its number, and whether it was read by key) is older than what a baseline rests on.
    pub(super) fn is_stale(
        way: &TwoWay,
        side: Side,
        view: &Value<'_>,
        (sequence, by_key): (u64, bool),
        baseline: &PairBaseline,
    ) -> bool {
        let version = Judge::version(way, side, view);
        let observation = Observation {
            sequence,
            version: version.as_deref(),
            by_key,
        };
        freshness(&observation, Some(&baseline.sides[side])) == Freshness::ReadAgain
    }

    /// Decides what becomes of a pair.
    pub(super) fn judge(&self, pair: &mut Pair) {
        if pair.at_once.is_some() {
            return;
        }
        let action = decide_pair(&self.situation(pair));
        pair.action = Some(action);
        match action {
            PairAction::Reconcile if pair.alone => self.reconcile_alone(pair),
            PairAction::Reconcile | PairAction::Link => self.reconcile(pair),
            PairAction::Create(to) => self.create(pair, to),
            PairAction::StaysAlone(_) | PairAction::LeftOut(_) | PairAction::Nothing => {
                pair.at_once = Some(Decision::Filtered);
            }
            PairAction::Ended => {
                pair.at_once = Some(Decision::Skipped(Reject::new(
                    "link",
                    "link_ended",
                    "the link between the two records has ended, so that nothing is brought back".to_owned(),
                )));
            }
            PairAction::Unlink(deleted) => {
                let reason = match deleted {
                    Some(side) if side == pair.from => "deleted in the source",
                    Some(_) => "deleted in the sink",
                    None => "deleted on both sides",
                };
                pair.at_once = Some(Decision::Unlink { reason });
            }
            PairAction::Keep(_) | PairAction::Confirm(_) => {
                pair.at_once = Some(Decision::Unchanged {
                    link: None,
                    baseline: false,
                });
            }
            PairAction::Delete(side) => {
                if let Some(target) = pair.keys[side].clone() {
                    pair.plan[side] = Some(Decision::Delete { target });
                }
            }
            PairAction::Set(side) => {
                if let (OnPairDeleted::Set(fields), Some(target), Some(observed)) = (
                    &self.way.on_delete[side],
                    pair.keys[side].clone(),
                    &pair.sides[side],
                ) {
                    pair.plan[side] = Some(Decision::Set {
                        target,
                        before: observed.view.clone(),
                        fields: fields.clone(),
                    });
                }
            }
            PairAction::Hold(held) => {
                let other = pair.keys[pair.from.other()].as_deref().unwrap_or("");
                let mut message = format!("its counterpart cannot be told (`{other}`): {}", held_match(held));
                for remark in pair.notes.remarks.drain(..) {
                    message = format!("{message}; {remark}");
                }
                pair.queued = Some(Decision::Held(Reject::new("match", held.word(), message)));
            }
        }
    }

    fn situation(&self, pair: &Pair) -> PairSituation<'_> {
        PairSituation {
            presence: PerSide::by(|side| match &pair.sides[side] {
                Some(observed) => observed.presence,
                None if pair.alone => Presence::Present,
                None => Presence::Absent,
            }),
            bond: pair.bond,
            creates: PerSide::by(|side| self.creates(pair, side)),
            writes: PerSide::by(|side| self.way.direction.writes(side)),
            on_delete: self.way.on_delete.as_ref(),
        }
    }

    /// Whether the flow makes a record of `side` for the other one.
    fn creates(&self, pair: &Pair, side: Side) -> bool {
        let published = self.context.options.publishes(&self.way.name, pair.key());
        match &self.way.create[side] {
            CreateWhen::Always => true,
            CreateWhen::Never => false,
            CreateWhen::When(_) if published => true,
            CreateWhen::When(template) => pair.sides[side.other()].as_ref().is_some_and(|observed| {
                let scope = self.scope(side.other(), &observed.view);
                template.is_true(&scope).unwrap_or(false)
            }),
        }
    }

    fn scope<'s>(&'s self, side: Side, view: &'s Value<'s>) -> Scope<'s> {
        Scope::new()
            .with(side.name(), view)
            .with("params", &self.context.pipeline.params)
            .with("connections", &self.context.pipeline.connections_seen)
    }

    /// Both sides were just read: row by row.
    fn reconcile(&self, pair: &mut Pair) {
        let facts = self.facts(pair);
        let pair_facts = PairFacts {
            newest: self.newest(pair),
            frozen: PerSide::by(|side| self.frozen(pair, side)),
        };
        let reconciled = reconcile(&self.policies, &facts, &pair_facts);
        let marks = PerSide::by(|side| self.mark(pair, side));
        let baseline = reconciled.baseline(&self.names, marks);
        for to in Side::BOTH {
            pair.plan[to] = self.update(pair, &reconciled, to);
            if pair.plan[to].is_some() {
                pair.notes.intents[to] = Some(reconciled.intent(pair.keys.clone(), to, &baseline));
            }
        }
        self.tell(pair, &reconciled);
        pair.baseline = Some(baseline);
        pair.reconciled = Some(reconciled);
    }

    fn create(&self, pair: &mut Pair, to: Side) {
        let facts = self.facts(pair);
        let reconciled = reconcile_create(&self.policies, &facts, to);
        let marks = PerSide::by(|side| self.mark(pair, side));
        let baseline = reconciled.baseline(&self.names, marks);
        self.tell(pair, &reconciled);
        let refused = self.refused_elsewhere(pair);
        if pair.queued.is_none() {
            pair.queued = refused;
        }
        if pair.queued.is_none() {
            let decision = self.required(pair, to, None, Decision::Create);
            if matches!(decision, Decision::Create) {
                pair.notes.intents[to] = Some(reconciled.intent(pair.keys.clone(), to, &baseline));
                pair.plan[to] = Some(decision);
            } else {
                pair.queued = Some(decision);
            }
        }
        pair.baseline = Some(baseline);
        pair.reconciled = Some(reconciled);
    }

    /// A create needs every row that the direction has, those too that belong to no pair of fields.
    fn refused_elsewhere(&self, pair: &Pair) -> Option<Decision> {
        let mapped = pair.sides[pair.from].as_ref()?.mapped()?;
        mapped.refused.iter().find_map(refusal_of)
    }

    /// What is written to a side, if anything.
    fn update(&self, pair: &mut Pair, reconciled: &Reconciled, to: Side) -> Option<Decision> {
        let observed = pair.sides[to].as_ref()?;
        let flow = &self.context.pipeline.flows[self.way.to[to]];
        let changes: Vec<Change> = reconciled
            .rows_to(to)
            .into_iter()
            .filter_map(|position| {
                let row = self.way.rows.get(position)?.to[to]?;
                let before = decide::at(&observed.view, &flow.rows.get(row)?.target.segments);
                Some(Change {
                    row,
                    before: before.clone(),
                })
            })
            .collect();
        if changes.is_empty() {
            return None;
        }
        let decision = Decision::Update(Update {
            target: pair.keys[to].clone()?,
            before: observed.view.clone(),
            changes,
        });
        let before = observed.view.clone();
        match self.required(pair, to, Some(&before), decision) {
            refused @ Decision::Rejected(_) => {
                pair.queued = Some(refused);
                None
            }
            decision => Some(decision),
        }
    }

    /// Applies the `require` of the direction that writes `to`.
    fn required(
        &self,
        pair: &Pair,
        to: Side,
        before: Option<&Value<'static>>,
        decision: Decision,
    ) -> Decision {
        let source = pair.sides[to.other()].as_ref();
        let Some((item, mapped)) = source.and_then(|source| Some((source.item.as_ref()?, source.mapped()?)))
        else {
            return decision;
        };
        let planner = Planner::new(self.context, self.way.to[to]);
        match planner.required(item, mapped, before, decision) {
            Ok(decision) => decision,
            Err(stop) => Decision::Rejected(Reject::new("require", "require_failed", stop.to_string())),
        }
    }

    /// What is known of each row.
    pub(super) fn facts(&self, pair: &Pair) -> Vec<RowFacts> {
        let baseline = pair
            .stored
            .as_ref()
            .map(|stored| stored.aligned(&self.names))
            .unwrap_or_default();
        let seen = PerSide::by(|side| seen_values(self, pair, side));
        self.way
            .rows
            .iter()
            .enumerate()
            .map(|(position, row)| RowFacts {
                seen: PerSide::by(|side| seen[side].get(position).copied().flatten()),
                mapped: PerSide::by(|to| self.mapped(pair, row, to)),
                baseline: baseline.get(position).copied().unwrap_or_default(),
                ruling: pair
                    .rulings
                    .iter()
                    .find(|(name, _)| *name == row.name)
                    .map(|(_, side)| *side),
            })
            .collect()
    }

    /// What mapping made for one side's field.
    fn mapped(&self, pair: &Pair, row: &SyncRow, to: Side) -> Mapped {
        let source = pair.sides[to.other()].as_ref().and_then(Observed::mapped);
        let (Some(position), Some(mapped)) = (row.to[to], source) else {
            return Mapped::Unknown;
        };
        if let Some(refused) = mapped.refused.iter().find(|refused| refused.row == position) {
            return match refused.as_kind {
                RefusedAs::Skipped => Mapped::NotApplied,
                RefusedAs::Rejected | RefusedAs::Held | RefusedAs::Waiting => Mapped::Refused,
            };
        }
        match mapped.cells.get(position) {
            Some(Cell::Value(value)) => {
                let seen = self.fingerprints.seen(value);
                match mapped.fallbacks.iter().any(|used| used.row == position) {
                    true => Mapped::Fallback(seen),
                    false => Mapped::Value(seen),
                }
            }
            Some(cell @ (Cell::Pending(_) | Cell::List(_))) => {
                Mapped::Pending(self.fingerprints.pending(&format!("{:?}", cell.pending())))
            }
            Some(Cell::Absent) => Mapped::NotApplied,
            None => Mapped::Unknown,
        }
    }

    pub(super) fn mark(&self, pair: &Pair, side: Side) -> SideMark {
        let Some(observed) = &pair.sides[side] else {
            return SideMark::default();
        };
        let version = Judge::version(self.way, side, &observed.view);
        let known = pair.stored.as_ref().map(|stored| &stored.sides[side]);
        let own_write = known.is_some_and(|known| known.own_write && known.version == version);
        SideMark {
            sequence: observed.sequence,
            version,
            own_write,
        }
    }

    /// The side whose record was changed last.
    fn newest(&self, pair: &Pair) -> Option<Side> {
        let changed_at = PerSide::by(|side| {
            let view = &pair.sides[side].as_ref()?.view;
            Judge::version(self.way, side, view)?.parse::<Timestamp>().ok()
        });
        let own_write = PerSide::by(|side| self.mark(pair, side).own_write);
        let ahead = PerSide::by(|side| self.context.connection(self.way.streams[side]).clock_ahead());
        changed_last(changed_at, ahead, own_write)
    }

    fn frozen(&self, pair: &Pair, side: Side) -> Option<OnFrozen> {
        let stream = self.context.stream(self.way.streams[side]);
        let template = stream.frozen_when.as_ref()?;
        let view = &pair.sides[side].as_ref()?.view;
        let frozen = template
            .is_true(&Scope::new().with("record", view))
            .unwrap_or(false);
        frozen.then(|| self.context.pipeline.flows[self.way.to[side]].on_frozen)
    }

    /// What people, the queue and the counts are told of the verdicts.
    fn tell(&self, pair: &mut Pair, reconciled: &Reconciled) {
        for (row, verdict) in self.way.rows.iter().zip(reconciled.verdicts()) {
            for to in Side::BOTH {
                if verdict.unresolved[to]
                    && let Some(position) = row.to[to]
                {
                    pair.unresolved.push((to, position));
                }
            }
            // A row that is written on create only has nothing to say to two records that were linked later.
            let silent = matches!(
                (verdict.cause, verdict.action),
                (
                    Cause::FirstLink(_),
                    Action::NotCarried {
                        reason: NotCarried::OnCreate,
                        ..
                    }
                )
            );
            if silent {
                continue;
            }
            let remark = match verdict.cause {
                Cause::Conflict(winner) | Cause::FirstLink(winner) => {
                    let conflict = matches!(verdict.cause, Cause::Conflict(_));
                    match conflict {
                        true => pair.conflicts += 1,
                        false => pair.first_links += 1,
                    }
                    let word = if conflict { "conflict" } else { "first link" };
                    let name = winner.side.map(Side::name);
                    pair.notes.winner = pair.notes.winner.or(name);
                    let who = name.map_or_else(|| "nobody wins".to_owned(), |name| format!("{name} wins"));
                    Some(format!("{word} in `{}`: {who} ({})", row.name, winner.by.word()))
                }
                Cause::Resolved => Some(format!("`{}`: what a fallback stood for was found", row.name)),
                Cause::Ruled(side) => Some(format!("`{}`: {} was chosen", row.name, side.name())),
                Cause::Unchanged | Cause::Changed(_) | Cause::Agreed | Cause::Waiting | Cause::Created => {
                    None
                }
            };
            pair.notes.remarks.extend(remark);
            self.tell_action(pair, row, verdict);
        }
        if pair.queued.is_none() && !pair.held_rows.is_empty() {
            let names: Vec<&str> = pair.held_rows.iter().map(|held| held.row.as_str()).collect();
            let mut reject = Reject::new(
                "conflict",
                "held",
                format!(
                    "both sides of `{}` differ and a person decides: `crosswalk queue resolve`",
                    names.join("`, `")
                ),
            );
            reject.field = Some(names.join(", "));
            pair.queued = Some(Decision::Held(reject));
        }
    }

    fn tell_action(&self, pair: &mut Pair, row: &SyncRow, verdict: &Verdict) {
        match verdict.action {
            Action::Nothing | Action::Settle | Action::Write(_) => {}
            Action::Hold => {
                let held = HeldRow {
                    row: row.name.clone(),
                    remote: self.shown(pair, row, Side::Remote),
                    local: self.shown(pair, row, Side::Local),
                    reason: match verdict.cause {
                        Cause::Waiting => "it waits since an earlier run".to_owned(),
                        _ => "both sides changed, or one can no longer be written".to_owned(),
                    },
                    ruling: None,
                };
                pair.held_rows.push(held);
            }
            Action::NotCarried { to, reason } => {
                pair.not_carried.push((row.name.clone(), to, reason));
                let remark = format!(
                    "`{}` does not travel to {} ({})",
                    row.name,
                    to.name(),
                    reason.word()
                );
                pair.notes.remarks.push(remark);
            }
            Action::Refuse(refusal) => {
                let (Refusal::Unmapped(to) | Refusal::Unknown(to) | Refusal::Frozen(to)) = refusal;
                let decision = pair.sides[to.other()]
                    .as_ref()
                    .and_then(|source| refused(source, row.to[to]))
                    .unwrap_or_else(|| Decision::Rejected(unexplained(row, refusal)));
                pair.queued.get_or_insert(decision);
            }
        }
    }

    /// A side's value as people may see it.
    fn shown(&self, pair: &Pair, row: &SyncRow, side: Side) -> Option<String> {
        let value = row.fields[side].as_ref()?.one(&pair.sides[side].as_ref()?.view)?;
        let written = |to: Side| {
            let flow = self.way.to[to];
            let target = &self.context.pipeline.flows[flow].rows.get(row.to[to]?)?.target;
            Some((flow, target.name.as_str()))
        };
        let (flow, name) = written(side).or_else(|| written(side.other()))?;
        Some(self.context.redactors[flow].redact_target(name, value).to_json())
    }

    /// The writes to one side of the pairs at these positions. Their items are lent to load.
    pub(super) fn planned(
        &self,
        pairs: &mut [Pair],
        to: Side,
        chosen: &[usize],
    ) -> (Vec<usize>, Vec<Planned>) {
        let mut positions = Vec::new();
        let mut planned = Vec::new();
        for &position in chosen {
            let Some(pair) = pairs.get_mut(position) else {
                continue;
            };
            let Some(decision) = pair.plan[to].take() else {
                continue;
            };
            let Some(item) = pair.sides[to.other()].as_mut().and_then(|side| side.item.take()) else {
                pair.plan[to] = Some(decision);
                continue;
            };
            positions.push(position);
            planned.push(Planned {
                item,
                decision,
                pair: Some(Box::new(pair.notes.of(to))),
            });
        }
        (positions, planned)
    }
}

/// The values of a side's fields, row by row.
pub(super) fn seen_values(judge: &Judge<'_>, pair: &Pair, side: Side) -> Vec<Option<Seen>> {
    let Some(observed) = &pair.sides[side] else {
        return vec![None; judge.way.rows.len()];
    };
    let flow = &judge.context.pipeline.flows[judge.way.to[side]];
    let written = |row: &SyncRow| Some(&flow.rows.get(row.to[side]?)?.target.segments);
    let value = |row: &SyncRow| match (&row.fields[side], written(row)) {
        (Some(path), _) => Some(
            judge
                .fingerprints
                .seen(path.one(&observed.view).unwrap_or(&Value::Null)),
        ),
        (None, Some(segments)) => Some(judge.fingerprints.seen(decide::at(&observed.view, segments))),
        (None, None) => judge.fingerprints.source(&judge.mapped(pair, row, side.other())),
    };
    judge.way.rows.iter().map(value).collect()
}

/// The decision about a record one of whose rows was refused.
fn refusal_of(refused: &RefusedRow) -> Option<Decision> {
    let reject = refused.reject.clone();
    match refused.as_kind {
        RefusedAs::Skipped => None,
        RefusedAs::Rejected => Some(Decision::Rejected(reject)),
        RefusedAs::Held => Some(Decision::Held(reject)),
        RefusedAs::Waiting => Some(Decision::Waiting(reject)),
    }
}

/// Why mapping made nothing of a row, or of its whole record.
fn refused(source: &Observed, row: Option<usize>) -> Option<Decision> {
    match &source.item.as_ref()?.outcome {
        ItemOutcome::Mapped(mapped) => {
            let refused = mapped.refused.iter().find(|refused| Some(refused.row) == row)?;
            refusal_of(refused)
        }
        ItemOutcome::Rejected(reject) => Some(Decision::Rejected(reject.clone())),
        ItemOutcome::Held(reject) => Some(Decision::Held(reject.clone())),
        ItemOutcome::Waiting(reject) => Some(Decision::Waiting(reject.clone())),
        ItemOutcome::Filtered | ItemOutcome::Duplicate | ItemOutcome::Deleted | ItemOutcome::Skipped(_) => {
            None
        }
    }
}

fn unexplained(row: &SyncRow, refusal: Refusal) -> Reject {
    let (side, what) = match refusal {
        Refusal::Unmapped(side) => (side, "has no counterpart there"),
        Refusal::Unknown(side) => (side, "could not be mapped"),
        Refusal::Frozen(side) => (side, "meets a record that can no longer be changed"),
    };
    let mut reject = Reject::new(
        "sync",
        "row_refused",
        format!("the value of `{}` for the {} side {what}", row.name, side.name()),
    );
    reject.field = Some(row.name.clone());
    reject
}

fn held_match(held: crate::sync::HeldMatch) -> &'static str {
    use crate::sync::HeldMatch;
    match held {
        HeldMatch::Several => "several records fit",
        HeldMatch::Taken => "the one that fits is linked to another record",
        HeldMatch::NamesOther => "the one that fits says that it belongs to another record",
        HeldMatch::Missing => "the key stored in it names a record that does not exist",
        HeldMatch::Contradicted => "the two are linked, and a key stored in one of them names a third",
    }
}

/// Whether a bond is a link that lives.
pub(super) fn is_linked(bond: Bond) -> bool {
    matches!(bond, Bond::Linked { .. })
}
