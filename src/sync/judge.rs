//! The judgement of one row: both sides as they are, as they were, and what each would be of the other.

use super::facts::{Mapped, PairFacts, RowFacts, Seen};
use super::policy::{ClosedBy, RowPolicy, Way};
use super::verdict::{Action, Cause, NotCarried, Refusal, Verdict, Winner, WonBy};
use crate::compile::compiled::{FirstLink, OnFrozen, PerSide, Policy, Side, WritePolicy};
use crate::state::PairRow;

/// Decides about a row.
pub(super) fn judge(policy: &RowPolicy, facts: &RowFacts, pair: &PairFacts) -> Verdict {
    let (Some(remote), Some(local)) = (facts.seen.remote, facts.seen.local) else {
        let unseen = if facts.seen.remote.is_none() {
            Side::Local
        } else {
            Side::Remote
        };
        let refusal = match facts.mapped[unseen] {
            Mapped::Refused => Refusal::Unmapped(unseen),
            _ => Refusal::Unknown(unseen),
        };
        return verdict(facts, Action::Refuse(refusal), Cause::Unchanged, facts.baseline);
    };
    let seen = PerSide { remote, local };
    Judgement {
        policy,
        facts,
        pair,
        seen,
        changed: PerSide::by(|side| {
            let in_step = facts.baseline.in_step;
            in_step.is_some_and(|in_step| in_step[side] != seen[side].digest)
        }),
    }
    .verdict()
}

/// What one direction has to say.
#[derive(Clone, Copy)]
enum Speech {
    /// This value.
    Says(Seen),
    /// Only this, which is no data.
    Falls(Seen),
    /// The rules of the direction leave the other side alone: what happened here asks for nothing there.
    Silent(NotCarried),
    /// The direction is closed: what happened here is kept for the day when it is not.
    Shut(NotCarried),
    /// It should say something and cannot.
    Refused(Refusal),
    /// There is no such direction.
    Nothing,
}

struct Judgement<'f> {
    policy: &'f RowPolicy,
    facts: &'f RowFacts,
    pair: &'f PairFacts,
    seen: PerSide<Seen>,
    changed: PerSide<bool>,
}

impl Judgement<'_> {
    fn verdict(&self) -> Verdict {
        let baseline = self.facts.baseline;
        if baseline.held {
            if let Some(side) = self.facts.ruling {
                return self.ruled(side);
            }
            if self.corresponds() {
                return self.settle(Cause::Agreed);
            }
            if baseline.in_step.is_some() && !self.changed.remote && !self.changed.local {
                let released = PairRow {
                    held: false,
                    ..baseline
                };
                return self.end(Action::Settle, Cause::Agreed, released);
            }
            return self.end(Action::Hold, Cause::Waiting, baseline);
        }
        if baseline.in_step.is_none() {
            return self.first_link();
        }
        match (self.changed.remote, self.changed.local) {
            (false, false) => self.unchanged(),
            _ if self.corresponds() => self.settle(Cause::Agreed),
            _ if let Some(refusal) = self.unknown() => {
                self.end(Action::Refuse(refusal), self.cause_of_change(), baseline)
            }
            (true, false) => self.one_changed(Side::Remote),
            (false, true) => self.one_changed(Side::Local),
            (true, true) => self.conflict(),
        }
    }

    /// Either direction maps one side to what the other has. Fallbacks do not count, neither as a result nor as what
    /// was mapped.
    fn corresponds(&self) -> bool {
        Side::BOTH.into_iter().any(|to| {
            let from = to.other();
            let stands_in = self.facts.baseline.fallback[from] && !self.changed[from];
            let exists = self.policy.ways[to] != Way::None;
            let says_so =
                matches!(self.facts.mapped[to], Mapped::Value(value) if value.digest == self.seen[to].digest);
            exists && says_so && !stands_in
        })
    }

    /// The side for which nobody knows what it should be, so that nobody can tell whether the sides correspond.
    fn unknown(&self) -> Option<Refusal> {
        Side::BOTH
            .into_iter()
            .find(|to| {
                matches!(self.policy.ways[*to], Way::Open(_)) && self.facts.mapped[*to] == Mapped::Unknown
            })
            .map(Refusal::Unknown)
    }

    /// What the other side has to say to `to`.
    fn speech(&self, to: Side) -> Speech {
        let write = match self.policy.ways[to] {
            Way::None => return Speech::Nothing,
            Way::Closed(ClosedBy::Flow) => return Speech::Shut(NotCarried::FlowDirection),
            Way::Closed(ClosedBy::Row) => return Speech::Shut(NotCarried::RowDirection),
            Way::Open(WritePolicy::OnCreate) => return Speech::Shut(NotCarried::OnCreate),
            Way::Open(write) => write,
        };
        let value = match self.facts.mapped[to] {
            Mapped::NotApplied => return Speech::Silent(NotCarried::NotApplied),
            Mapped::Refused => return Speech::Refused(Refusal::Unmapped(to)),
            Mapped::Unknown => return Speech::Refused(Refusal::Unknown(to)),
            Mapped::Value(value) | Mapped::Pending(value) | Mapped::Fallback(value) => value,
        };
        let own_fallback = self.facts.baseline.fallback[to] && !self.changed[to];
        match write {
            WritePolicy::IfEmpty if !self.seen[to].empty && !own_fallback => {
                Speech::Silent(NotCarried::NotEmpty)
            }
            WritePolicy::NeverNull if value.empty => Speech::Silent(NotCarried::Null),
            _ if matches!(self.facts.mapped[to], Mapped::Fallback(_)) => Speech::Falls(value),
            _ => Speech::Says(value),
        }
    }

    /// Neither side changed; a key that was not found before may have been found.
    fn unchanged(&self) -> Verdict {
        let baseline = self.facts.baseline;
        for to in Side::BOTH {
            if !baseline.fallback[to] {
                continue;
            }
            match self.speech(to) {
                Speech::Says(value) if value.digest == self.seen[to].digest => {
                    return self.settle(Cause::Resolved);
                }
                Speech::Says(_) => return self.write(to, Cause::Resolved),
                Speech::Falls(_)
                | Speech::Silent(_)
                | Speech::Shut(_)
                | Speech::Refused(_)
                | Speech::Nothing => {}
            }
        }
        self.end(Action::Nothing, Cause::Unchanged, baseline)
    }

    fn one_changed(&self, from: Side) -> Verdict {
        let to = from.other();
        let cause = Cause::Changed(from);
        let baseline = self.facts.baseline;
        match self.speech(to) {
            Speech::Says(_) => self.write(to, cause),
            Speech::Falls(value) if value.digest == self.seen[to].digest => {
                let mut row = self.in_step();
                row.fallback[to] = true;
                self.end(Action::Settle, cause, row)
            }
            Speech::Falls(_) => self.write(to, cause),
            Speech::Silent(reason) => self.not_carried(to, reason, cause, self.consumed(from)),
            Speech::Shut(reason) => self.not_carried(to, reason, cause, self.remembered(from, reason)),
            Speech::Refused(refusal) => self.end(Action::Refuse(refusal), cause, baseline),
            Speech::Nothing => self.end(Action::Nothing, cause, baseline),
        }
    }

    fn conflict(&self) -> Verdict {
        let winner = match self.only_source() {
            Some(source) if self.policy.conflict != Policy::Hold => Some((source, WonBy::OnlyWay)),
            _ => self.by_policy(self.policy.conflict),
        };
        match winner {
            Some((side, by)) => self.contest(side, by, Cause::Conflict),
            None => self.hold(Cause::Conflict),
        }
    }

    fn first_link(&self) -> Verdict {
        if self.corresponds() {
            return self.settle(Cause::Agreed);
        }
        // What stands there is what a fallback would write: it was one, or is as good.
        for to in Side::BOTH {
            let stands = matches!(self.facts.mapped[to], Mapped::Fallback(value) if value.digest == self.seen[to].digest);
            if stands && self.policy.ways[to] != Way::None {
                let mut row = self.in_step();
                row.fallback[to] = true;
                return self.end(Action::Settle, Cause::Agreed, row);
            }
        }
        let baseline = self.facts.baseline;
        if let Some(refusal) = self.unknown() {
            return self.end(Action::Refuse(refusal), first(None, WonBy::Policy), baseline);
        }
        if self.seen.remote.empty != self.seen.local.empty {
            let full = if self.seen.remote.empty {
                Side::Local
            } else {
                Side::Remote
            };
            let cause = first(Some(full), WonBy::OtherEmpty);
            let to = full.other();
            return match self.speech(to) {
                Speech::Says(_) | Speech::Falls(_) => self.write(to, cause),
                Speech::Silent(_) | Speech::Nothing => self.settle(cause),
                Speech::Shut(reason) => self.not_carried(to, reason, cause, self.remembered(full, reason)),
                Speech::Refused(refusal) => self.end(Action::Refuse(refusal), cause, baseline),
            };
        }
        if self.seen.remote.empty && !Side::BOTH.into_iter().any(|to| self.would_fill(to)) {
            return self.settle(Cause::Agreed);
        }
        let winner = match (self.policy.on_first_link, self.only_source()) {
            (FirstLink::Hold, _) => None,
            (FirstLink::Remote, _) => Some((Side::Remote, WonBy::Policy)),
            (FirstLink::Local, _) => Some((Side::Local, WonBy::Policy)),
            (FirstLink::Policy, Some(source)) if self.policy.conflict != Policy::Hold => {
                Some((source, WonBy::OnlyWay))
            }
            (FirstLink::Policy, _) => self.by_policy(self.policy.conflict),
        };
        match winner {
            // The target of a one-way row was asked to win: it stays.
            Some((side, by)) if self.policy.ways[side.other()] == Way::None => {
                self.settle(first(Some(side), by))
            }
            Some((side, by)) => self.contest(side, by, Cause::FirstLink),
            None => self.hold(Cause::FirstLink),
        }
    }

    /// Whether mapping makes something of nothing.
    fn would_fill(&self, to: Side) -> bool {
        match self.speech(to) {
            Speech::Says(value) | Speech::Falls(value) => !value.empty,
            Speech::Refused(_) => true,
            Speech::Silent(_) | Speech::Shut(_) | Speech::Nothing => false,
        }
    }

    /// The side that a row with one direction reads from.
    fn only_source(&self) -> Option<Side> {
        Side::BOTH
            .into_iter()
            .find(|side| self.policy.ways[*side] == Way::None)
    }

    fn by_policy(&self, policy: Policy) -> Option<(Side, WonBy)> {
        match policy {
            Policy::RemoteWins => Some((Side::Remote, WonBy::Policy)),
            Policy::LocalWins => Some((Side::Local, WonBy::Policy)),
            Policy::NewestWins => Some(match self.pair.newest {
                Some(side) => (side, WonBy::Policy),
                None => (Side::Remote, WonBy::NoTime),
            }),
            Policy::Hold => None,
        }
    }

    /// Two values stand against each other and `winner` is to win, if it has anything to say.
    fn contest(&self, winner: Side, by: WonBy, cause: fn(Winner) -> Cause) -> Verdict {
        let loser = winner.other();
        let baseline = self.facts.baseline;
        let won = |side: Side, by: WonBy| cause(Winner { side: Some(side), by });
        let nobody = cause(Winner { side: None, by });
        match (self.speech(loser), self.speech(winner)) {
            (Speech::Says(_), _) => self.write(loser, won(winner, by)),
            // Somebody chose what the fallback would be, or a write of ours is not remembered: both may stay, until the
            // winner's own value can be said.
            (Speech::Falls(value), _) if value.digest == self.seen[loser].digest => {
                let mut row = self.in_step();
                row.fallback[loser] = true;
                self.end(Action::Settle, nobody, row)
            }
            (Speech::Falls(_), Speech::Says(_)) => self.write(winner, won(loser, WonBy::Fallback)),
            (Speech::Falls(_), _) => self.not_carried(loser, NotCarried::Fallback, nobody, baseline),
            (Speech::Silent(_), Speech::Says(_)) => self.write(winner, won(loser, WonBy::Silence)),
            (Speech::Silent(_), Speech::Falls(_)) => {
                self.not_carried(winner, NotCarried::Fallback, nobody, baseline)
            }
            (Speech::Silent(_), Speech::Refused(refusal)) => {
                self.end(Action::Refuse(refusal), nobody, baseline)
            }
            (Speech::Silent(reason), Speech::Shut(_)) => {
                self.not_carried(loser, reason, nobody, self.consumed(winner))
            }
            (Speech::Silent(reason), _) => self.not_carried(loser, reason, nobody, self.in_step()),
            (Speech::Shut(reason), _) => {
                let row = self.remembered(winner, reason);
                self.not_carried(loser, reason, won(winner, by), row)
            }
            (Speech::Refused(refusal), _) => self.end(Action::Refuse(refusal), won(winner, by), baseline),
            (Speech::Nothing, _) => self.end(Action::Nothing, won(winner, by), baseline),
        }
    }

    /// A person chose `side`: its value travels, be it a fallback, whatever the other one has.
    fn ruled(&self, side: Side) -> Verdict {
        let to = side.other();
        let cause = Cause::Ruled(side);
        if self.corresponds() {
            return self.settle(cause);
        }
        match self.speech(to) {
            Speech::Says(value) | Speech::Falls(value) if value.digest == self.seen[to].digest => {
                self.settle(cause)
            }
            Speech::Says(_) | Speech::Falls(_) => self.write(to, cause),
            // Nothing can be written, and the person has seen both values: they stay as they are.
            Speech::Silent(reason) | Speech::Shut(reason) => {
                self.not_carried(to, reason, cause, self.in_step())
            }
            Speech::Refused(refusal) => self.end(Action::Refuse(refusal), cause, self.facts.baseline),
            Speech::Nothing => self.settle(cause),
        }
    }

    /// What mapping made for `to` is written there, unless its record takes no more writes.
    fn write(&self, to: Side, cause: Cause) -> Verdict {
        let mut row = self.facts.baseline;
        match self.pair.frozen[to] {
            None => self.end(Action::Write(to), cause, row),
            Some(OnFrozen::Hold) => {
                row.held = true;
                self.end(Action::Hold, cause, row)
            }
            Some(OnFrozen::Skip) => self.not_carried(to, NotCarried::Frozen, cause, self.in_step()),
            Some(OnFrozen::Reject) => self.end(Action::Refuse(Refusal::Frozen(to)), cause, row),
        }
    }

    fn hold(&self, cause: fn(Winner) -> Cause) -> Verdict {
        let row = PairRow {
            held: true,
            ..self.facts.baseline
        };
        let nobody = Winner {
            side: None,
            by: WonBy::Policy,
        };
        self.end(Action::Hold, cause(nobody), row)
    }

    fn settle(&self, cause: Cause) -> Verdict {
        self.end(Action::Settle, cause, self.in_step())
    }

    fn not_carried(&self, to: Side, reason: NotCarried, cause: Cause, row: PairRow) -> Verdict {
        self.end(Action::NotCarried { to, reason }, cause, row)
    }

    /// Both sides as they are now; nothing is a fallback or held any more.
    fn in_step(&self) -> PairRow {
        PairRow {
            in_step: Some(self.seen.map(|seen| seen.digest)),
            ..PairRow::default()
        }
    }

    /// One side as it is now, the other as it was.
    fn consumed(&self, side: Side) -> PairRow {
        let mut row = self.facts.baseline;
        match &mut row.in_step {
            Some(in_step) => in_step[side] = self.seen[side].digest,
            None => return self.in_step(),
        }
        row.fallback[side] &= !self.changed[side];
        row
    }

    /// A change that a closed direction does not carry is kept, so that it counts in a conflict and travels when the
    /// direction opens; except what only a create writes, where nothing comes back.
    fn remembered(&self, from: Side, reason: NotCarried) -> PairRow {
        let comes_back = !matches!(
            self.policy.ways[from],
            Way::None | Way::Open(WritePolicy::OnCreate)
        );
        if reason == NotCarried::OnCreate && !comes_back {
            self.consumed(from)
        } else {
            self.facts.baseline
        }
    }

    fn cause_of_change(&self) -> Cause {
        match (self.changed.remote, self.changed.local) {
            (true, false) => Cause::Changed(Side::Remote),
            (false, true) => Cause::Changed(Side::Local),
            _ => Cause::Conflict(Winner {
                side: None,
                by: WonBy::Policy,
            }),
        }
    }

    fn end(&self, action: Action, cause: Cause, row: PairRow) -> Verdict {
        verdict(self.facts, action, cause, row)
    }
}

fn first(side: Option<Side>, by: WonBy) -> Cause {
    Cause::FirstLink(Winner { side, by })
}

fn verdict(facts: &RowFacts, action: Action, cause: Cause, row: PairRow) -> Verdict {
    let unresolved = PerSide::by(|to| {
        let falls = matches!(facts.mapped[to], Mapped::Fallback(_));
        let stands = row.fallback[to];
        let wanted = match action {
            Action::Write(side) => side == to,
            Action::NotCarried { to: side, reason } => side == to && reason == NotCarried::Fallback,
            Action::Nothing | Action::Settle | Action::Hold | Action::Refuse(_) => false,
        };
        falls && (stands || wanted)
    });
    Verdict {
        action,
        cause,
        row,
        unresolved,
    }
}
