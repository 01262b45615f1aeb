//! Linked records whose counterpart cannot be read, because its system shows such records only in lists: remarks of a
//! helpdesk, for example. They are created there and never changed, so all that can be done with a change of this side is
//! to tell it, once.

use super::judge::{Judge, seen_values};
use super::pair::Pair;
use crate::state::PairBaseline;
use crate::sync::NotCarried;

impl Judge<'_> {
    /// Tells what changed on the side that was read; nothing of it travels.
    pub(super) fn reconcile_alone(&self, pair: &mut Pair) {
        let Some(stored) = &pair.stored else { return };
        let (from, to) = (pair.from, pair.from.other());
        let mut rows = stored.aligned(self.names());
        let mut sides = stored.sides.clone();
        sides[from] = self.mark(pair, from);
        let seen = seen_values(self, pair, from);
        for ((rule, row), seen) in self.way().rows.iter().zip(&mut rows).zip(seen) {
            let Some(seen) = seen else { continue };
            if let Some(in_step) = &mut row.in_step
                && in_step[from] != seen.digest
            {
                in_step[from] = seen.digest;
                pair.not_carried
                    .push((rule.name.clone(), to, NotCarried::OnCreate));
                pair.notes.remarks.push(format!(
                    "`{}` does not travel to {} ({})",
                    rule.name,
                    to.name(),
                    NotCarried::OnCreate.word()
                ));
            }
        }
        pair.baseline = Some(PairBaseline {
            sides,
            names: self.names().clone(),
            rows,
        });
    }
}
