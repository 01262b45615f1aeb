//! Two imaginary systems' fields and the tables between them, lossy both ways, for the tests of the rules.

use crate::compile::compiled::{FirstLink, OnAltered, PerSide, Policy, Side, WritePolicy};
use crate::expression::Value;
use crate::state::{Digester, PairRow};
use crate::sync::{ClosedBy, Fingerprints, Mapped, RowFacts, RowPolicy, Seen, Way};

/// A row of the imaginary flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A text; the remote system trims it.
    Subject,
    /// Remotely finer: `urgent` and `high` are `high` here.
    Priority,
    /// Finer on either side in another place.
    Status,
    /// A lookup with a fallback; an empty local one leaves the remote side alone.
    Assignee,
    /// Goes to the local side only.
    Tag,
}

/// In the order of the flow.
pub(super) const ROWS: [Row; 5] = [Row::Subject, Row::Priority, Row::Status, Row::Assignee, Row::Tag];

/// What stands in locally for a person that is not known there.
pub(super) const OWNER: &str = "OWNER";
/// What stands in remotely.
pub(super) const DEFAULT: &str = "default";
/// A remote person who may become known locally, as [`NEWCOMER_HERE`].
pub(super) const NEWCOMER: &str = "x";
pub(super) const NEWCOMER_HERE: &str = "X";

/// The tables, which can learn of one person.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tables {
    pub(super) newcomer: bool,
}

/// What a table gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Value(String),
    Fallback(String),
    NotApplied,
}

impl Given {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Given::Value(text) | Given::Fallback(text) => Some(text),
            Given::NotApplied => None,
        }
    }

    pub(super) fn is_fallback(&self) -> bool {
        matches!(self, Given::Fallback(_))
    }
}

impl Tables {
    /// What the other side's value is on the side `to`.
    pub(super) fn map(self, row: Row, to: Side, value: &str) -> Given {
        let known = match (row, to, value) {
            (Row::Subject | Row::Tag, _, _) => value,
            (Row::Priority, Side::Local, "urgent") => "high",
            (Row::Priority, _, _) => value,
            (Row::Status, Side::Local, "new" | "open" | "hold") => "open",
            (Row::Status, Side::Local, "pending") => "in_progress",
            (Row::Status, Side::Local, "solved") => "closed",
            (Row::Status, Side::Remote, "open") => "open",
            (Row::Status, Side::Remote, "in_progress") => "pending",
            (Row::Status, Side::Remote, "resolved" | "closed") => "solved",
            (Row::Assignee, Side::Local, "a") => "A",
            (Row::Assignee, Side::Local, "b") => "B",
            (Row::Assignee, Side::Local, NEWCOMER) if self.newcomer => NEWCOMER_HERE,
            (Row::Assignee, Side::Local, _) => return Given::Fallback(OWNER.to_owned()),
            (Row::Assignee, Side::Remote, "") => return Given::NotApplied,
            (Row::Assignee, Side::Remote, "A") => "a",
            (Row::Assignee, Side::Remote, "B") => "b",
            (Row::Assignee, Side::Remote, NEWCOMER_HERE) if self.newcomer => NEWCOMER,
            (Row::Assignee, Side::Remote, _) => return Given::Fallback(DEFAULT.to_owned()),
            (Row::Status, _, other) => panic!("no such status: {other}"),
        };
        Given::Value(known.to_owned())
    }

    pub(super) fn mapped(self, row: Row, to: Side, value: &str) -> Mapped {
        match self.map(row, to, value) {
            Given::Value(text) => Mapped::Value(seen(&text)),
            Given::Fallback(text) => Mapped::Fallback(seen(&text)),
            Given::NotApplied => Mapped::NotApplied,
        }
    }

    /// Whether two values correspond, as the design says it.
    pub(super) fn correspond(self, row: Row, values: PerSide<&str>) -> bool {
        Side::BOTH.into_iter().any(|to| {
            policy(row, Policy::RemoteWins).ways[to] != Way::None
                && self.map(row, to, values[to.other()]) == Given::Value(values[to].to_owned())
        })
    }

    /// Whether nobody could complain about the two values when all is quiet: they correspond, one is the fallback of
    /// the other, or neither can be said on the other side.
    pub(super) fn at_peace(self, row: Row, values: PerSide<&str>) -> bool {
        let trimmed = values.map(|value| if row == Row::Subject { value.trim() } else { value });
        let given = PerSide::by(|to: Side| self.map(row, to, trimmed[to.other()]));
        let shows = |to: Side| given[to].text().is_none_or(|text| text == trimmed[to]);
        let mute = Side::BOTH.into_iter().all(|to| given[to].is_fallback());
        // What is edited locally in a row that goes the other way stays there.
        row == Row::Tag || shows(Side::Local) || shows(Side::Remote) || mute
    }

    pub(super) fn facts(self, row: Row, values: PerSide<&str>, baseline: PairRow) -> RowFacts {
        RowFacts {
            seen: values.map(|value| Some(seen(value))),
            mapped: PerSide::by(|to: Side| self.mapped(row, to, values[to.other()])),
            baseline,
            ruling: None,
        }
    }
}

/// Everything that people may put into a field.
pub(super) fn domain(row: Row, side: Side) -> &'static [&'static str] {
    match (row, side) {
        (Row::Subject | Row::Tag, _) => &["", "one", "two", "three"],
        (Row::Priority, Side::Remote) => &["low", "normal", "high", "urgent"],
        (Row::Priority, Side::Local) => &["low", "normal", "high"],
        (Row::Status, Side::Remote) => &["new", "open", "pending", "hold", "solved"],
        (Row::Status, Side::Local) => &["open", "in_progress", "resolved", "closed"],
        (Row::Assignee, Side::Remote) => &["", "a", "b", NEWCOMER, DEFAULT],
        (Row::Assignee, Side::Local) => &["", "A", "B", "C", OWNER],
    }
}

pub(super) fn policy(row: Row, conflict: Policy) -> RowPolicy {
    let follow = matches!(row, Row::Priority | Row::Status | Row::Assignee);
    let on_altered = if follow {
        OnAltered::Follow
    } else {
        OnAltered::Accept
    };
    RowPolicy {
        ways: PerSide {
            remote: match row {
                Row::Tag => Way::Closed(ClosedBy::Row),
                _ => Way::Open(WritePolicy::Always),
            },
            local: Way::Open(WritePolicy::Always),
        },
        conflict,
        on_first_link: FirstLink::Policy,
        on_altered: PerSide {
            remote: on_altered,
            local: on_altered,
        },
    }
}

pub(super) fn seen(text: &str) -> Seen {
    Fingerprints::new(Digester::new([7; 32])).seen(&Value::from(text.to_owned()))
}

/// A row that was in step with these values.
pub(super) fn in_step(values: PerSide<&str>) -> PairRow {
    PairRow {
        in_step: Some(values.map(|value| seen(value).digest)),
        ..PairRow::default()
    }
}
