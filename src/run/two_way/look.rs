//! The last look at a record before it is written, so that nobody's edit is replaced unseen.
//!
//! Where a system refuses a write to a record that changed, its change stamp must be old enough to tell: an edit in the
//! stamp's own second would leave it as it is. Where a system knows no such refusal, the record is read again just before,
//! a few at a time, and the fields that are to be written must be as they were when they were judged. What fails either
//! counts as a lost race: both sides are read and judged again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::judge::Judge;
use super::pair::Pair;
use crate::compile::compiled::{Precondition, Side};
use crate::run::Stop;
use crate::run::batch::Decision;
use crate::run::context::Context;
use crate::run::counterpart::Counterparts;
use crate::run::decide;
use crate::run::send::WRITES_AT_ONCE;
use crate::sync::is_precondition;

/// Change stamps without a fraction count in seconds.
const GRAIN: SignedDuration = SignedDuration::from_secs(1);

/// Looks at the records of one side.
pub(super) struct Look<'c> {
    context: &'c Context,
    judge: &'c Judge<'c>,
    to: Side,
    refuses: bool,
}

impl<'c> Look<'c> {
    /// At the side that is to be written.
    pub(super) fn new(context: &'c Context, judge: &'c Judge<'c>, to: Side) -> Self {
        let sink = context.stream(judge.way().streams[to]);
        let precondition = sink.update.as_ref().and_then(|write| write.precondition.as_ref());
        Look {
            context,
            judge,
            to,
            refuses: matches!(
                precondition,
                Some(Precondition::InBody(_) | Precondition::AlreadyInBody)
            ),
        }
    }

    /// Where the system refuses by a stamp: waits until the stamps of the records that are to be written are old enough,
    /// and has those judged again that were not when they were read.
    pub(super) async fn wait_for_stamps(&self, pairs: &mut [Pair]) -> Result<(), Stop> {
        if !self.refuses {
            return Ok(());
        }
        let mut longest = Duration::ZERO;
        for pair in pairs.iter_mut() {
            if let Some(wait) = self.youth(pair) {
                longest = longest.max(wait);
                pair.plan[self.to] = None;
                pair.raced = true;
            }
        }
        if longest.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(longest) => Ok(()),
            () = self.context.cancellation.polite().cancelled() => Err(Stop::Cancelled),
        }
    }

    /// For how long a record's stamp guards nothing yet.
    fn youth(&self, pair: &Pair) -> Option<Duration> {
        let Some(Decision::Update(_)) = &pair.plan[self.to] else {
            return None;
        };
        let observed = pair.sides[self.to].as_ref()?;
        let stamp: Timestamp = Judge::version(self.judge.way(), self.to, &observed.view)?
            .parse()
            .ok()?;
        let grain = match stamp.subsec_nanosecond() {
            0 => GRAIN,
            _ => SignedDuration::ZERO,
        };
        if is_precondition(stamp, grain, observed.at) {
            return None;
        }
        let left = (GRAIN + GRAIN).checked_sub(observed.at.duration_since(stamp))?;
        // A stamp far ahead of its system's own clock is nobody's edit of just now.
        Some(
            Duration::try_from(left)
                .unwrap_or_default()
                .min(Duration::from_secs(2)),
        )
    }

    /// The pairs that are written to this side, in portions: small ones where each is looked at just before.
    pub(super) fn portions(&self, pairs: &[Pair]) -> Vec<Vec<usize>> {
        let planned = |position: &usize| {
            pairs
                .get(*position)
                .is_some_and(|pair| pair.plan[self.to].is_some())
        };
        let planned = (0..pairs.len()).filter(planned);
        let (looked_at, others): (Vec<usize>, Vec<usize>) =
            planned.partition(|position| pairs.get(*position).is_some_and(|pair| self.is_looked_at(pair)));
        let mut portions: Vec<Vec<usize>> = looked_at.chunks(WRITES_AT_ONCE).map(<[usize]>::to_vec).collect();
        if !others.is_empty() {
            portions.insert(0, others);
        }
        portions
    }

    fn is_looked_at(&self, pair: &Pair) -> bool {
        !self.refuses && matches!(&pair.plan[self.to], Some(Decision::Update(_)))
    }

    /// Reads the records of a portion once more; whose fields are not as they were judged is judged again.
    pub(super) async fn last(&self, pairs: &mut [Pair], chosen: &[usize]) -> Result<(), Stop> {
        let keys: Vec<String> = chosen
            .iter()
            .filter_map(|position| pairs.get(*position))
            .filter(|pair| self.is_looked_at(pair))
            .filter_map(|pair| pair.keys[self.to].clone())
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let flow = &self.context.pipeline.flows[self.judge.way().to[self.to]];
        let fresh = Counterparts::new(self.context, flow).read(&keys).await?;
        for position in chosen {
            let Some(pair) = pairs.get_mut(*position) else {
                continue;
            };
            let (Some(Decision::Update(update)), Some(key)) = (&pair.plan[self.to], &pair.keys[self.to])
            else {
                continue;
            };
            let view = fresh.get(key).and_then(|record| record.value().ok());
            let fingerprints = self.judge.fingerprints();
            let as_judged = view.is_some_and(|view| {
                update.changes.iter().all(|change| {
                    let now = flow
                        .rows
                        .get(change.row)
                        .map(|row| decide::at(&view, &row.target.segments));
                    now.is_some_and(|now| {
                        fingerprints.seen(now).digest == fingerprints.seen(&change.before).digest
                    })
                })
            });
            if !as_judged {
                pair.plan[self.to] = None;
                pair.raced = true;
            }
        }
        Ok(())
    }
}
