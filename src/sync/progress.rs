//! From verdicts to baselines: what holds without a write, what a write's intent keeps, and what an answer moves.

use std::sync::Arc;

use super::facts::{Mapped, PairFacts, RowFacts, Seen};
use super::judge::judge;
use super::policy::{RowPolicy, Way};
use super::verdict::{Action, Verdict};
use crate::compile::compiled::{OnAltered, PerSide, Side};
use crate::state::{IntendedRow, PairBaseline, PairIntent, PairRow, SideMark};

/// What is decided about a pair.
#[derive(Clone, Debug)]
pub struct Reconciled {
    rows: Vec<Judged>,
    /// The side that is created.
    creates: Option<Side>,
}

/// A row with what its baseline will be made of.
#[derive(Clone, Debug)]
struct Judged {
    verdict: Verdict,
    seen: PerSide<Option<Seen>>,
    mapped: PerSide<Mapped>,
    ways: PerSide<Way>,
    on_altered: PerSide<OnAltered>,
}

/// What a write's answer says of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The row's position.
    pub row: usize,
    /// What was sent, where that is not what mapping made: the key of a record that load created.
    pub sent: Option<Seen>,
    /// What the answer shows; `None` if it does not show the field.
    pub returned: Option<Seen>,
}

/// What became of a row that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The answer shows what was sent, or nothing of it.
    AsSent,
    /// It shows something else: it stays, it travels back, or the record is rejected and the row waits for a person.
    Altered(OnAltered),
}

/// Decides about the rows of a pair of which both sides were just read. One policy and one fact a row, in one order.
pub fn reconcile(policies: &[RowPolicy], facts: &[RowFacts], pair: &PairFacts) -> Reconciled {
    let rows = policies.iter().zip(facts).map(|(policy, facts)| {
        let verdict = judge(policy, facts, pair);
        Judged::new(policy, facts, verdict)
    });
    Reconciled {
        rows: rows.collect(),
        creates: None,
    }
}

impl Judged {
    fn new(policy: &RowPolicy, facts: &RowFacts, verdict: Verdict) -> Self {
        Judged {
            verdict,
            seen: facts.seen,
            mapped: facts.mapped,
            ways: policy.ways,
            on_altered: policy.on_altered,
        }
    }

    /// The row once `sent` stands on the side `to`; `None` where its source is not known.
    fn written(&self, to: Side, sent: Seen) -> Option<PairRow> {
        let source = self.seen[to.other()]?;
        let mut in_step = PerSide {
            remote: source.digest,
            local: source.digest,
        };
        in_step[to] = sent.digest;
        let mut row = PairRow {
            in_step: Some(in_step),
            ..PairRow::default()
        };
        row.fallback[to] = matches!(self.mapped[to], Mapped::Fallback(_));
        Some(row)
    }

    fn sends(&self, to: Side) -> Option<Seen> {
        match self.mapped[to] {
            Mapped::Value(seen) | Mapped::Fallback(seen) | Mapped::Pending(seen) => Some(seen),
            Mapped::NotApplied | Mapped::Refused | Mapped::Unknown => None,
        }
    }
}

impl Reconciled {
    pub(super) fn created(
        policies: &[RowPolicy],
        facts: &[RowFacts],
        verdicts: Vec<Verdict>,
        on: Side,
    ) -> Self {
        let rows = policies.iter().zip(facts).zip(verdicts);
        Reconciled {
            rows: rows
                .map(|((policy, facts), verdict)| Judged::new(policy, facts, verdict))
                .collect(),
            creates: Some(on),
        }
    }

    /// One for each row, in order.
    pub fn verdicts(&self) -> impl ExactSizeIterator<Item = &Verdict> {
        self.rows.iter().map(|row| &row.verdict)
    }

    /// The rows that are written to a side, by position: they travel in one request.
    pub fn rows_to(&self, to: Side) -> Vec<usize> {
        let written = self.rows.iter().enumerate();
        written
            .filter(|(_, row)| row.verdict.action == Action::Write(to))
            .map(|(position, _)| position)
            .collect()
    }

    /// Whether nothing is to be written, held, told or refused.
    pub fn is_quiet(&self) -> bool {
        let quiet = |row: &Judged| matches!(row.verdict.action, Action::Nothing | Action::Settle);
        self.rows.iter().all(quiet)
    }

    /// The pair as it is known now, without any of the writes. `sides` is what the observations rest on. To be stored
    /// also when nothing changed: what was prefetched before these observations is no evidence from now on.
    pub fn baseline(&self, names: &Arc<[String]>, sides: PerSide<SideMark>) -> PairBaseline {
        PairBaseline {
            sides,
            names: Arc::clone(names),
            rows: self.rows.iter().map(|row| row.verdict.row).collect(),
        }
    }

    /// What the intent of the write to one side keeps, so that it can be settled by reading the record.
    pub fn intent(&self, keys: PerSide<Option<String>>, to: Side, baseline: &PairBaseline) -> PairIntent {
        let written = self.rows_to(to).into_iter().filter_map(|position| {
            let row = self.rows.get(position)?;
            let replaces = row.seen[to].filter(|_| self.creates != Some(to));
            Some(IntendedRow {
                row: position,
                replaces: replaces.map(|seen| seen.digest),
                becomes: row.written(to, row.sends(to)?)?,
            })
        });
        PairIntent {
            keys,
            to,
            before: baseline.clone(),
            written: written.collect(),
        }
    }

    /// A write to `to` was answered: moves the rows of it, and no other, and the side's mark. `mark` bears a number
    /// drawn after the answer came. After a create the answer speaks of every row that it shows.
    pub fn confirm(
        &self,
        baseline: &mut PairBaseline,
        to: Side,
        mark: SideMark,
        answered: &[Answered],
    ) -> Vec<(usize, Confirmed)> {
        baseline.sides[to] = mark;
        let mut confirmed = Vec::new();
        for answer in answered {
            let (Some(judged), Some(row)) = (self.rows.get(answer.row), baseline.rows.get_mut(answer.row))
            else {
                continue;
            };
            if judged.verdict.action != Action::Write(to) {
                if let Some(moved) = self.unsent(judged, to, answer) {
                    *row = moved;
                }
                continue;
            }
            let Some(sent) = answer.sent.or_else(|| judged.sends(to)) else {
                continue;
            };
            let Some(mut moved) = judged.written(to, sent) else {
                continue;
            };
            let altered = answer.returned.filter(|returned| returned.digest != sent.digest);
            let outcome = match (altered, judged.on_altered[to]) {
                (None, _) => Confirmed::AsSent,
                (Some(returned), OnAltered::Accept) => {
                    if let Some(in_step) = &mut moved.in_step {
                        in_step[to] = returned.digest;
                    }
                    moved.fallback[to] = false;
                    Confirmed::Altered(OnAltered::Accept)
                }
                (Some(_), OnAltered::Follow) => Confirmed::Altered(OnAltered::Follow),
                (Some(_), OnAltered::Reject) => {
                    moved.held = true;
                    Confirmed::Altered(OnAltered::Reject)
                }
            };
            *row = moved;
            confirmed.push((answer.row, outcome));
        }
        confirmed
    }

    /// A row that had nothing to say to a record that was created: what the system put there is nobody's edit. Rows
    /// that only go the other way stay without a baseline, so that what was created travels back.
    fn unsent(&self, judged: &Judged, to: Side, answer: &Answered) -> Option<PairRow> {
        let had_its_say = self.creates == Some(to) && matches!(judged.ways[to], Way::Open(_));
        had_its_say
            .then(|| judged.written(to, answer.returned?))
            .flatten()
    }
}

/// What is known of an intent of a dead run when its target has been read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The pair from now on.
    pub baseline: PairBaseline,
    /// Rows that were written, by position in the intent.
    pub written: Vec<usize>,
    /// Rows of which nobody knows: they are held.
    pub unknown: Vec<usize>,
}

/// The pair of an intent whose answer is lost, and of which it is known otherwise that it was carried out.
pub fn settled_as_sent(intent: &PairIntent) -> PairBaseline {
    let mut baseline = intent.before.clone();
    for intended in &intent.written {
        if let Some(row) = baseline.rows.get_mut(intended.row) {
            *row = intended.becomes;
        }
    }
    baseline
}

/// Settles an intent whose answer is lost by what its target shows now. A row that shows what was sent was written; one
/// that shows what was there, in a record that bears the same version, was not. Of any other a person decides, since
/// writing again could destroy what somebody made of it. `stored` is the pair as it is in the store, `present` what the target shows of each row of the intent, in its order.
pub fn settle(
    stored: Option<PairBaseline>,
    intent: &PairIntent,
    mark: SideMark,
    present: &[Option<Seen>],
) -> Settled {
    let mut settled = Settled {
        baseline: stored.unwrap_or_else(|| intent.before.clone()),
        written: Vec::new(),
        unknown: Vec::new(),
    };
    let before = &intent.before.sides[intent.to].version;
    let untouched = mark.version.is_none() || *before == mark.version;
    settled.baseline.sides[intent.to] = mark;
    for intended in &intent.written {
        let name = intent.before.names.get(intended.row);
        let names = &settled.baseline.names;
        let place = names.iter().position(|other| Some(other) == name);
        let row = place.and_then(|place| settled.baseline.rows.get_mut(place));
        let (Some(Some(shown)), Some(row)) = (present.get(intended.row), row) else {
            continue;
        };
        let sent = intended.becomes.in_step.map(|in_step| in_step[intent.to]);
        if sent == Some(shown.digest) {
            *row = intended.becomes;
            settled.written.push(intended.row);
        } else if intended.replaces != Some(shown.digest) || !untouched {
            row.held = true;
            settled.unknown.push(intended.row);
        }
    }
    settled
}
