//! Foreseeing: what was judged about the pairs of a batch is counted and told to the plan, where a run would load it.
//!
//! The second pass of a run finds written what the first one decided. A plan writes nothing, so that its second pass meets
//! the same pairs once more: what was decided about them already counts as unchanged, as it will when it is written.

use super::TwoWayRun;
use super::judge::Judge;
use super::pair::Pair;
use crate::compile::compiled::{PerSide, Side};
use crate::expression::Record;
use crate::run::Stop;
use crate::run::batch::{Batch, Decision, Origin};
use crate::run::outlook::{Additions, Collector};
use crate::run::record::{Recorder, count_decision};
use crate::run::{PlanConflict, PlanHeld, PlanNotCarried};
use crate::sync::{Action, Cause, PairAction, Winner};

impl TwoWayRun {
    /// Counts a batch where nothing is written, and tells the plan of it; returns the parents of children.
    pub(super) fn foresee(
        &mut self,
        head: &Batch,
        from: Side,
        judge: &Judge<'_>,
        pairs: &mut [Pair],
    ) -> Result<Vec<Record>, Stop> {
        let summary = &mut self.summaries[from.other()];
        match head.origin {
            Origin::Queue => summary.retried += pairs.len() as u64,
            Origin::Source | Origin::Asked | Origin::Snapshot => summary.read += pairs.len() as u64,
        }
        let context = std::sync::Arc::clone(&self.context);
        let recorder = Recorder::new(&context, judge.way().to[from.other()]);
        for pair in pairs.iter_mut() {
            self.see_once(pair);
            recorder.log(pair.key(), &pair.outcome());
            if head.origin != Origin::Queue {
                self.toll.add(pair);
            }
            if let Some(collector) = &self.context.collector {
                tell(collector, judge, pair)?;
            }
            let summary = &mut self.summaries[from.other()];
            count_decision(&pair.outcome(), false, summary);
            summary.conflicts += pair.conflicts;
            summary.first_links += pair.first_links;
            summary.not_carried += pair.not_carried.len() as u64;
            for to in Side::BOTH {
                self.summaries[to].field_changes += pair.changes(to);
            }
        }
        Ok(pairs.iter().filter_map(Pair::parent).collect())
    }

    /// Notes a pair that was decided about, or takes it for seen if it was already.
    fn see_once(&mut self, pair: &mut Pair) {
        if pair.action.is_none() && pair.queued.is_none() {
            return;
        }
        if self.foreseen[pair.from].contains(pair.key()) {
            let action = pair.action;
            pair.reopen();
            pair.action = action;
            pair.at_once = Some(Decision::Unchanged {
                link: None,
                baseline: false,
            });
            return;
        }
        for side in Side::BOTH {
            self.foreseen[side].extend(pair.keys[side].clone());
        }
    }

    /// Tells the plan what the guard of a pass would refuse.
    pub(super) fn foresee_guard(&self, side: Side) -> Result<(), Stop> {
        if let (Some(collector), Some(guard)) = (&self.context.collector, self.guard(side))
            && let Some(refusal) = self.refusal(side, &guard, &self.toll)?
        {
            collector.refused(&refusal);
        }
        Ok(())
    }
}

/// Tells the plan of one pair: each side's write, and what else is decided about it.
fn tell(collector: &Collector, judge: &Judge<'_>, pair: &Pair) -> Result<(), Stop> {
    let (context, way) = (judge.context(), judge.way());
    let item = |side: Side| pair.sides[side].as_ref().and_then(|side| side.item.as_ref());
    for to in Side::BOTH {
        if let (Some(decision), Some(item)) = (&pair.plan[to], item(to.other())) {
            let conflicts = conflicts(judge, pair, to);
            let additions = Additions {
                conflicts: &conflicts,
                ..Additions::default()
            };
            collector.decided(context, way.to[to], item, decision, additions)?;
        }
    }
    let Some(item) = item(pair.from) else {
        return Ok(());
    };
    let to = pair.from.other();
    let writes = PerSide::by(|side| pair.plan[side].is_some());
    let decision = match (&pair.queued, &pair.at_once) {
        (Some(decision), _) | (None, Some(decision)) => decision.clone(),
        (None, None) => Decision::Unchanged {
            link: pair.keys[to]
                .clone()
                .filter(|_| pair.action == Some(PairAction::Link) && !writes.remote && !writes.local),
            baseline: false,
        },
    };
    collector.decided(context, way.to[to], item, &decision, additions(pair))
}

/// What a plan says of a pair beside its writes.
fn additions(pair: &Pair) -> Additions<'static> {
    let held = pair.held_rows.iter().map(|held| PlanHeld {
        row: held.row.clone(),
        remote: held.remote.clone(),
        local: held.local.clone(),
        reason: held.reason.clone(),
    });
    let not_carried = pair.not_carried.iter().map(|(row, to, reason)| PlanNotCarried {
        row: row.clone(),
        to: to.name().to_owned(),
        reason: reason.word().to_owned(),
    });
    Additions {
        conflicts: &[],
        held: held.collect(),
        not_carried: not_carried.collect(),
    }
}

/// Rows of the direction that writes `to` whose values stood against each other, with who wins.
fn conflicts(judge: &Judge<'_>, pair: &Pair, to: Side) -> Vec<(usize, PlanConflict)> {
    let Some(reconciled) = &pair.reconciled else {
        return Vec::new();
    };
    let verdicts = judge.way().rows.iter().zip(reconciled.verdicts());
    let written = verdicts.filter(|(_, verdict)| verdict.action == Action::Write(to));
    written
        .filter_map(|(row, verdict)| {
            let (Winner { side, by }, first_link) = match verdict.cause {
                Cause::Conflict(winner) => (winner, false),
                Cause::FirstLink(winner) => (winner, true),
                _ => return None,
            };
            let conflict = PlanConflict {
                winner: side.map(|side| side.name().to_owned()),
                by: by.word().to_owned(),
                first_link,
            };
            Some((row.to[to]?, conflict))
        })
        .collect()
}
