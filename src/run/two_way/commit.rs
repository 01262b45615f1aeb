//! Committing: what the writes of a batch led to becomes links, baselines, queue items and the cursor, in one transaction,
//! after the snapshots that prove it.

use jiff::Timestamp;

use super::Retried;
use super::judge::{Judge, is_linked};
use super::pair::Pair;
use crate::compile::compiled::{PerSide, Side, TwoWay};
use crate::expression::{Record, Value};
use crate::mapping::Cell;
use crate::run::batch::{Batch as Head, Decision, Item, ItemOutcome, Origin, PairPlan, Planned};
use crate::run::context::Context;
use crate::run::load::{Effect, Loaded};
use crate::run::record::{Recorder, count_decision, problem};
use crate::run::reference::References;
use crate::run::{FlowSummary, Stop};
use crate::state::{Batch, Fallback, LinkChange, PairKeys, QueueClear, SideMark, queue_key};
use crate::sync::{Answered, Confirmed};

/// Collects what a batch led to, and commits it.
pub(super) struct Commit<'c> {
    context: &'c Context,
    way: &'c TwoWay,
    from: Side,
    head: Head,
    retried: &'c Retried,
    batch: Batch,
    altered: PerSide<u64>,
    complete: bool,
}

impl<'c> Commit<'c> {
    /// Nothing yet.
    pub(super) fn new(
        context: &'c Context,
        way: &'c TwoWay,
        from: Side,
        head: Head,
        retried: &'c Retried,
    ) -> Self {
        let flow = context.flow_ref(&context.pipeline.flows[way.to[from]]);
        Commit {
            context,
            way,
            from,
            head,
            retried,
            batch: Batch::new(flow, context.run, Timestamp::now()),
            altered: PerSide::default(),
            complete: false,
        }
    }

    /// Takes in what the writes to one side led to; returns why the run must end, if it must.
    pub(super) fn loaded(
        &mut self,
        judge: &Judge<'_>,
        pairs: &mut [Pair],
        positions: &[usize],
        to: Side,
        mut loaded: Loaded,
        summaries: &mut PerSide<FlowSummary>,
    ) -> Result<Option<Stop>, Stop> {
        let recorder = Recorder::new(self.context, self.way.to[to]);
        recorder.journal(self.head.number, &loaded, Timestamp::now())?;
        recorder.count_writes(&loaded, &mut summaries[to]);
        self.batch.intents_settled.append(&mut loaded.settled);
        self.batch
            .created
            .extend(loaded.references.created.iter().cloned());
        for (position, effect) in positions.iter().zip(loaded.effects) {
            if let Some(pair) = pairs.get_mut(*position) {
                self.effect(judge, pair, to, effect, &loaded.references)?;
            }
        }
        Ok(loaded.stop)
    }

    fn effect(
        &mut self,
        judge: &Judge<'_>,
        pair: &mut Pair,
        to: Side,
        effect: Effect,
        references: &References,
    ) -> Result<(), Stop> {
        let Planned {
            item: lent, decision, ..
        } = effect.planned;
        pair.unfinished |= effect.unfinished;
        pair.raced |= effect.raced;
        if effect.raced {
            pair.deferred = effect.deferred;
        }
        pair.lost |= !effect.open.is_empty();
        let written = !effect.unfinished && !effect.raced && decision.writes();
        if written {
            if let Decision::Create = decision {
                pair.keys[to] = effect.target;
            }
            let creates = matches!(decision, Decision::Create);
            self.confirm(
                judge,
                pair,
                to,
                (&lent, effect.returned.as_ref(), creates),
                references,
            )?;
            pair.wrote[to] = Some(decision);
        } else if !effect.raced && !effect.unfinished {
            match &decision {
                Decision::Unlink { .. } | Decision::Skipped(_) => pair.at_once = Some(decision),
                Decision::Rejected(_) | Decision::Held(_) | Decision::Waiting(_) => {
                    pair.queued = Some(decision)
                }
                _ => {}
            }
        }
        if let Some(side) = &mut pair.sides[to.other()] {
            side.item = Some(lent);
        }
        Ok(())
    }

    /// Moves the rows that were written.
    fn confirm(
        &mut self,
        judge: &Judge<'_>,
        pair: &mut Pair,
        to: Side,
        (item, returned, creates): (&Item, Option<&Value<'static>>, bool),
        references: &References,
    ) -> Result<(), Stop> {
        let (Some(reconciled), Some(baseline)) = (&pair.reconciled, &mut pair.baseline) else {
            return Ok(());
        };
        let mark = SideMark {
            sequence: self.context.state.next_sequence(1)?,
            version: returned.and_then(|view| Judge::version(self.way, to, view)),
            own_write: true,
        };
        let rows = if creates {
            (0..self.way.rows.len()).collect()
        } else {
            reconciled.rows_to(to)
        };
        let mut answered = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(rule) = self.way.rows.get(row) else {
                continue;
            };
            let sent = match (rule.to[to], &item.outcome) {
                (Some(position), ItemOutcome::Mapped(mapped)) => match mapped.cells.get(position) {
                    Some(cell @ (Cell::Pending(_) | Cell::List(_))) => {
                        let written = self.context.pipeline.flows[self.way.to[to]].rows.get(position);
                        written
                            .and_then(|row| references.settled(row, cell))
                            .map(|value| judge.fingerprints().seen(&value))
                    }
                    _ => None,
                },
                _ => None,
            };
            let shown = rule.fields[to]
                .as_ref()
                .zip(returned)
                .and_then(|(path, view)| path.one(view));
            answered.push(Answered {
                row,
                sent,
                returned: shown.map(|value: &Value<'_>| judge.fingerprints().seen(value)),
            });
        }
        for (row, confirmed) in reconciled.confirm(baseline, to, mark, &answered) {
            if let (Confirmed::Altered(action), Some(rule)) = (confirmed, self.way.rows.get(row)) {
                self.altered[to] += 1;
                tracing::info!(flow = %self.way.name, row = %rule.name, key = pair.keys[to].as_deref(), ?action, "The system answered with another value than it was sent.");
            }
        }
        Ok(())
    }

    /// Journals and commits everything but the cursor. Returns the records whose children are to be read.
    pub(super) fn finish(
        &mut self,
        pairs: &[Pair],
        stopped: bool,
        summaries: &mut PerSide<FlowSummary>,
    ) -> Result<Vec<Record>, Stop> {
        self.complete = !stopped && pairs.iter().all(|pair| !pair.unfinished);
        let parents = pairs.iter().filter_map(Pair::parent).collect();
        for pair in pairs.iter() {
            self.store(pair);
        }
        self.journal(pairs)?;
        self.count(pairs, summaries);
        let committed = self.context.state.commit(&self.batch)?;
        for key in committed.stale_pairs {
            tracing::debug!(flow = %self.way.name, key = %key, "something newer is known of a pair");
        }
        Ok(parents)
    }

    /// Moves the cursor, when the children of the batch are committed too; returns it as JSON text.
    pub(super) fn move_cursor(&self) -> Result<Option<String>, Stop> {
        if !self.complete || self.head.origin != Origin::Source {
            return Ok(None);
        }
        Recorder::new(self.context, self.way.to[self.from.other()]).move_cursor(&self.head)?;
        Ok(self
            .head
            .cursor
            .as_ref()
            .and_then(|cursor| serde_json::to_string(cursor).ok()))
    }

    /// What one pair changes in the store.
    fn store(&mut self, pair: &Pair) {
        if pair.unfinished {
            return;
        }
        self.links(pair);
        let sequence = pair.sides[pair.from].as_ref().map_or(0, |side| side.sequence);
        if let Some(queued) = &pair.queued {
            let Some((kind, reject)) = problem(queued) else {
                return;
            };
            let Some(item) = pair.sides[pair.from].as_ref().and_then(|side| side.item.as_ref()) else {
                return;
            };
            // Both passes name the held rows of a pair by its remote record.
            let key = match (&pair.keys.remote, pair.held_rows.is_empty()) {
                (Some(remote), false) => queue_key(Side::Remote, remote),
                _ => queue_key(pair.from, pair.key()),
            };
            let recorder = Recorder::new(self.context, self.way.to[pair.from.other()]);
            let mut put = recorder.queue_item(kind, key, reject, item, &self.retried.attempts, self.batch.at);
            put.held_rows.clone_from(&pair.held_rows);
            self.batch.queue_put.push(put);
            return;
        }
        if matches!(pair.at_once, Some(Decision::Duplicate)) {
            return;
        }
        for side in Side::BOTH {
            if let Some(key) = &pair.keys[side] {
                self.batch.queue_clear.push(QueueClear {
                    key: queue_key(side, key),
                    sequence,
                });
            }
        }
    }

    /// The pair's link, baseline and unresolved keys.
    fn links(&mut self, pair: &Pair) {
        let ends = matches!(pair.at_once, Some(Decision::Unlink { .. }))
            || Side::BOTH.into_iter().any(|side| {
                matches!(
                    pair.wrote[side],
                    Some(Decision::Delete { .. } | Decision::Set { .. })
                )
            });
        if let (true, Some(source)) = (ends, &pair.keys.remote) {
            self.batch.links.push(LinkChange::End {
                source: source.clone(),
            });
            return;
        }
        let (Some(remote), Some(local), Some(baseline)) =
            (&pair.keys.remote, &pair.keys.local, &pair.baseline)
        else {
            return;
        };
        if !is_linked(pair.bond) {
            self.batch.links.push(LinkChange::Put {
                source: remote.clone(),
                target: local.clone(),
            });
        }
        let keys = PairKeys {
            remote: remote.clone(),
            local: local.clone(),
        };
        self.batch.pairs.push((keys, baseline.clone()));
        self.batch.fallbacks_of.push(remote.clone());
        for (to, row) in &pair.unresolved {
            let flow = &self.context.pipeline.flows[self.way.to[*to]];
            let mapped = pair.sides[to.other()].as_ref().and_then(|side| side.mapped());
            let used = mapped.and_then(|mapped| mapped.fallbacks.iter().find(|used| used.row == *row));
            let (Some(used), Some(rule)) = (used, flow.rows.get(*row)) else {
                continue;
            };
            if let (Some(key), Some(lookup)) = (&used.key, self.context.pipeline.lookups.get(used.lookup)) {
                self.batch.fallbacks.push(Fallback {
                    source: remote.clone(),
                    row: rule.target.name.clone(),
                    lookup: lookup.name.clone(),
                    key: key.clone(),
                    to: Some(*to),
                });
            }
        }
    }

    /// Writes stand under their own directions already; every other decision stands under the one that its record came by.
    fn journal(&self, pairs: &[Pair]) -> Result<(), Stop> {
        let mut effects = Vec::new();
        for pair in pairs {
            let wrote = Side::BOTH.into_iter().any(|side| pair.wrote[side].is_some());
            if wrote && pair.queued.is_none() {
                continue;
            }
            let decision = pair.outcome();
            let Some(item) = pair.sides[pair.from].as_ref().and_then(|side| side.item.as_ref()) else {
                continue;
            };
            let mut effect = Effect::new(Planned {
                item: head_of(item),
                decision,
                pair: Some(Box::new(PairPlan {
                    intent: None,
                    winner: pair.notes.winner,
                    remarks: pair.notes.remarks.clone(),
                })),
            });
            effect.unfinished = pair.unfinished;
            effects.push(effect);
        }
        let to = self.from.other();
        let rest = Loaded {
            effects,
            settled: Vec::new(),
            references: References::new(&self.way.name),
            stop: None,
        };
        Recorder::new(self.context, self.way.to[to]).journal(self.head.number, &rest, Timestamp::now())?;
        if let Some(writer) = &self.context.writer {
            writer.sync()?;
        }
        Ok(())
    }

    fn count(&self, pairs: &[Pair], summaries: &mut PerSide<FlowSummary>) {
        let summary = &mut summaries[self.from.other()];
        match self.head.origin {
            Origin::Queue => summary.retried += pairs.len() as u64,
            Origin::Source | Origin::Asked | Origin::Snapshot => summary.read += pairs.len() as u64,
        }
        for pair in pairs {
            count_decision(&pair.outcome(), pair.unfinished, summary);
            summary.conflicts += pair.conflicts;
            summary.first_links += pair.first_links;
            summary.not_carried += pair.not_carried.len() as u64;
        }
        for side in Side::BOTH {
            summaries[side].altered += self.altered[side];
        }
    }
}

/// An item's head, for snapshots of decisions that write nothing.
fn head_of(item: &Item) -> Item {
    Item {
        key: item.key.clone(),
        sequence: item.sequence,
        record: item.record.clone(),
        outcome: ItemOutcome::Duplicate,
    }
}
