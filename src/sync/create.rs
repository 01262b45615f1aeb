//! A record that is created for its counterpart: which rows are sent.

use super::facts::{Mapped, RowFacts};
use super::policy::{RowPolicy, Way};
use super::progress::Reconciled;
use super::verdict::{Action, Cause, Refusal, Verdict};
use crate::compile::compiled::{PerSide, Side, WritePolicy};
use crate::state::PairRow;

/// Decides about the rows of a record that is created on one side. What is known of that side's values does not
/// count; the facts' baselines neither.
pub fn reconcile_create(policies: &[RowPolicy], facts: &[RowFacts], on: Side) -> Reconciled {
    let verdicts = policies.iter().zip(facts).map(|(policy, facts)| Verdict {
        action: action(policy, facts, on),
        cause: Cause::Created,
        row: PairRow::default(),
        unresolved: PerSide::by(|side| side == on && matches!(facts.mapped[on], Mapped::Fallback(_))),
    });
    let verdicts = verdicts.collect();
    Reconciled::created(policies, facts, verdicts, on)
}

fn action(policy: &RowPolicy, facts: &RowFacts, on: Side) -> Action {
    let Way::Open(write) = policy.ways[on] else {
        return Action::Nothing;
    };
    let never_null = matches!(write, WritePolicy::NeverNull | WritePolicy::IfEmpty);
    match facts.mapped[on] {
        Mapped::Value(value) | Mapped::Fallback(value) if value.empty && never_null => Action::Nothing,
        Mapped::Value(_) | Mapped::Fallback(_) | Mapped::Pending(_) => Action::Write(on),
        Mapped::NotApplied => Action::Nothing,
        Mapped::Refused => Action::Refuse(Refusal::Unmapped(on)),
        Mapped::Unknown => Action::Refuse(Refusal::Unknown(on)),
    }
}
