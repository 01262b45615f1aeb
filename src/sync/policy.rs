//! What a row may do: its directions and who wins.

use std::sync::Arc;

use crate::compile::compiled::{
    FirstLink, OnAltered, PerSide, Pipeline, Policy, Side, SyncRow, TwoWay, WritePolicy,
};

/// The rules of one row, the same for all pairs of a flow.
#[derive(Clone, Copy, Debug)]
pub struct RowPolicy {
    /// The direction that writes each side.
    pub ways: PerSide<Way>,
    /// Who wins when both sides changed.
    pub conflict: Policy,
    /// Who wins without a baseline.
    pub on_first_link: FirstLink,
    /// What an altered answer of each side means.
    pub on_altered: PerSide<OnAltered>,
}

/// One direction of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Values travel when the write policy lets them.
    Open(WritePolicy),
    /// There are fields on both sides, but values do not travel this way; a change is told and kept for later.
    Closed(ClosedBy),
    /// There is nothing to write: a one-way row has only a target.
    None,
}

/// What closes a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The flow's `direction`, for now.
    Flow,
    /// The row has no rule that way.
    Row,
}

impl RowPolicy {
    /// The policies of a two-way flow's rows, in their order.
    pub fn all(pipeline: &Pipeline, two_way: &TwoWay) -> Vec<RowPolicy> {
        let policy = |row: &SyncRow| RowPolicy {
            ways: PerSide::by(|to| way(pipeline, two_way, row, to)),
            conflict: row.conflict,
            on_first_link: row.on_first_link,
            on_altered: row.on_altered,
        };
        two_way.rows.iter().map(policy).collect()
    }
}

fn way(pipeline: &Pipeline, two_way: &TwoWay, row: &SyncRow, to: Side) -> Way {
    let direction = pipeline.flows.get(two_way.to[to]);
    let rule = row.to[to].and_then(|position| direction?.rows.get(position));
    match rule {
        Some(_) if !two_way.direction.writes(to) => Way::Closed(ClosedBy::Flow),
        Some(rule) => Way::Open(rule.write),
        None if row.fields[to].is_some() => Way::Closed(ClosedBy::Row),
        None => Way::None,
    }
}

/// What identifies a flow's rows in stored baselines: name and fields. A row whose fields become others has no
/// baseline, instead of looking as if everything had changed.
pub fn row_names(two_way: &TwoWay) -> Arc<[String]> {
    let name = |row: &SyncRow| {
        let field = |side: Side| row.fields[side].as_ref().map_or("", |path| path.source());
        format!("{} {} {}", row.name, field(Side::Remote), field(Side::Local))
    };
    two_way.rows.iter().map(name).collect()
}
