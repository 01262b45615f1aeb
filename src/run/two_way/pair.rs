//! A pair on its way through a batch: what was read of both sides, what is decided, and what came of it.

use jiff::Timestamp;

use super::judge::is_linked;
use crate::compile::compiled::{PerSide, Side};
use crate::expression::{Record, Value};
use crate::mapping::Reject;
use crate::run::batch::{Decision, Item, ItemOutcome, MappedItem, PairPlan};
use crate::state::{HeldRow, PairBaseline, PairIntent};
use crate::sync::{Bond, NotCarried, PairAction, Presence, Reconciled};

/// One side's record as it was read.
#[derive(Debug)]
pub(super) struct Observed {
    /// Its key.
    pub(super) key: String,
    /// Number of its observation.
    pub(super) sequence: u64,
    /// When it was read, by its system's clock.
    pub(super) at: Timestamp,
    /// Read by its key, not from a list that may lag.
    pub(super) by_key: bool,
    /// The whole record.
    pub(super) view: Value<'static>,
    /// How it was found.
    pub(super) presence: Presence,
    /// The record and what the rules made of it for the other side; out while load has it.
    pub(super) item: Option<Item>,
}

impl Observed {
    /// What the rules made of it for the other side.
    pub(super) fn mapped(&self) -> Option<&MappedItem> {
        match self.item.as_ref().map(|item| &item.outcome) {
            Some(ItemOutcome::Mapped(mapped)) => Some(mapped),
            _ => None,
        }
    }
}

/// What goes with the decisions about a pair.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The side that won a conflict.
    pub(super) winner: Option<&'static str>,
    /// Conflicts, changes that do not travel, and the like, for people.
    pub(super) remarks: Vec<String>,
    /// What the intent of each side's write keeps.
    pub(super) intents: PerSide<Option<PairIntent>>,
}

impl Notes {
    /// What goes with the write to one side.
    pub(super) fn of(&self, to: Side) -> PairPlan {
        PairPlan {
            intent: self.intents[to].clone(),
            winner: self.winner,
            remarks: self.remarks.clone(),
        }
    }
}

/// A record that a pass brought, with its counterpart.
#[derive(Debug)]
pub(super) struct Pair {
    /// The side of the record that was brought.
    pub(super) from: Side,
    /// Both keys, as far as they are known.
    pub(super) keys: PerSide<Option<String>>,
    /// Both records, as far as they were read.
    pub(super) sides: PerSide<Option<Observed>>,
    /// What binds them.
    pub(super) bond: Bond,
    /// The other side's system has no way to read this one record: what stood there last is taken for what stands there.
    pub(super) alone: bool,
    /// The stored baseline.
    pub(super) stored: Option<PairBaseline>,
    /// The baseline as writes of this batch moved it, which is not stored yet.
    pub(super) known: Option<PairBaseline>,
    /// Decided before any row was looked at.
    pub(super) at_once: Option<Decision>,
    /// What becomes of the pair as a whole.
    pub(super) action: Option<PairAction>,
    /// What is decided about its rows.
    pub(super) reconciled: Option<Reconciled>,
    /// What is to be written to each side.
    pub(super) plan: PerSide<Option<Decision>>,
    /// What the snapshots say beside the decision, and what intents keep.
    pub(super) notes: Notes,
    /// Rows that wait for a person.
    pub(super) held_rows: Vec<HeldRow>,
    /// Sides that a person has chosen, by row.
    pub(super) rulings: Vec<(String, Side)>,
    /// Rows that both sides had changed.
    pub(super) conflicts: u64,
    /// Rows that were compared without a baseline and differed.
    pub(super) first_links: u64,
    /// Changes that may not travel: the row, the side that is left as it is, and why.
    pub(super) not_carried: Vec<(String, Side, NotCarried)>,
    /// The record must wait in the queue, whatever else travels: rejected, held or waiting.
    pub(super) queued: Option<Decision>,
    /// What was written to each side.
    pub(super) wrote: PerSide<Option<Decision>>,
    /// What the store is to know of the pair.
    pub(super) baseline: Option<PairBaseline>,
    /// Keys that fallbacks stand for, by the side that lacks them, with the row.
    pub(super) unresolved: Vec<(Side, usize)>,
    /// A write lost a race, or waited.
    pub(super) raced: bool,
    /// What the queue is told where it waited for the budget of its record.
    pub(super) deferred: Option<Reject>,
    /// The answer of a write was lost: it is settled before the run ends.
    pub(super) lost: bool,
    /// A write was not made because the run ends.
    pub(super) unfinished: bool,
}

impl Pair {
    /// A record that was brought, of which nothing else is known yet.
    pub(super) fn new(from: Side, observed: Observed) -> Self {
        let mut keys = PerSide::default();
        keys[from] = Some(observed.key.clone());
        let mut sides = PerSide::default();
        sides[from] = Some(observed);
        Pair {
            from,
            keys,
            sides,
            bond: Bond::Unlinked(crate::sync::Candidate::None),
            alone: false,
            stored: None,
            known: None,
            at_once: None,
            action: None,
            reconciled: None,
            plan: PerSide::default(),
            notes: Notes::default(),
            held_rows: Vec::new(),
            rulings: Vec::new(),
            conflicts: 0,
            first_links: 0,
            not_carried: Vec::new(),
            queued: None,
            wrote: PerSide::default(),
            baseline: None,
            unresolved: Vec::new(),
            raced: false,
            deferred: None,
            lost: false,
            unfinished: false,
        }
    }

    /// The key of the record that was brought.
    pub(super) fn key(&self) -> &str {
        self.keys[self.from].as_deref().unwrap_or_default()
    }

    /// Forgets what was decided, to decide anew.
    pub(super) fn reopen(&mut self) {
        self.action = None;
        self.reconciled = None;
        self.plan = PerSide::default();
        self.notes = Notes::default();
        self.held_rows.clear();
        (self.conflicts, self.first_links) = (0, 0);
        self.not_carried.clear();
        self.queued = None;
        // What was written already, is known: else it would look like somebody's edit.
        let written = Side::BOTH.into_iter().any(|side| self.wrote[side].is_some());
        self.known = self.baseline.take().filter(|_| written);
        self.unresolved.clear();
        self.raced = false;
    }

    /// The record lost one race too many.
    pub(super) fn give_up(&mut self, rounds: usize) {
        self.raced = false;
        self.plan = PerSide::default();
        if let Some(reject) = self.deferred.take() {
            self.queued = Some(Decision::Waiting(reject));
            return;
        }
        self.queued = Some(Decision::Rejected(Reject::new(
            "sink",
            "conflict",
            format!("the record changed during each of {rounds} attempts to write it"),
        )));
    }

    /// The record that was brought, if the pair exists on both sides now or would after its writes: children belong to it.
    pub(super) fn parent(&self) -> Option<Record> {
        let ended = matches!(
            self.at_once,
            Some(Decision::Unlink { .. } | Decision::Filtered | Decision::Duplicate | Decision::Skipped(_))
        );
        let to = self.from.other();
        let bound = is_linked(self.bond)
            || self.keys[to].is_some()
            || matches!(self.plan[to], Some(Decision::Create));
        if ended || self.unfinished || !bound || matches!(self.action, Some(PairAction::Hold(_))) {
            return None;
        }
        Some(self.sides[self.from].as_ref()?.item.as_ref()?.record.clone())
    }

    /// How many fields of a side would be changed.
    pub(super) fn changes(&self, to: Side) -> u64 {
        match &self.plan[to] {
            Some(Decision::Update(update)) => update.changes.len() as u64,
            Some(Decision::Set { fields, .. }) => fields.len() as u64,
            _ => 0,
        }
    }

    /// The record's one outcome, the worst of what happened to it.
    pub(super) fn outcome(&self) -> Decision {
        if let Some(queued) = &self.queued {
            return queued.clone();
        }
        if let Some(at_once) = &self.at_once {
            return at_once.clone();
        }
        let done = |side: Side| self.wrote[side].as_ref().or(self.plan[side].as_ref());
        let (to, from) = (done(self.from.other()), done(self.from));
        match (to, from) {
            (Some(decision), _) | (None, Some(decision)) => decision.clone(),
            (None, None) => Decision::Unchanged {
                link: None,
                baseline: false,
            },
        }
    }
}
