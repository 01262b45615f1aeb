//! Survivorship: of records that are the same thing, one goes on and sees the others.
//!
//! A batch holds only what changed. The rest of each group is fetched through the stream's `find`, so that a changed
//! loser never beats an unchanged winner; where a stream is read whole each time, [`super::gather`] has put each group
//! into one batch.

use std::collections::HashMap;
use std::sync::Arc;

use super::Stop;
use super::context::Context;
use super::transform::record_key;
use crate::compile::compiled::{Flow, OnePer, Source};
use crate::expression::{Joined, Record, Scope, Value, normalize};
use crate::mapping::winner;

/// Name under which the winner's rules see the losers.
const OTHERS: &str = "others";

/// A batch's records after survivorship, and which of them are losers.
#[derive(Debug)]
pub(crate) struct Survivors {
    /// As many as came in; a group's first place holds its winner.
    pub(crate) records: Vec<Record>,
    /// Places whose record does not go on.
    pub(crate) losers: Vec<bool>,
}

/// Chooses one record of each group.
pub(crate) async fn survivors(
    context: &Context,
    flow: &Flow,
    records: Vec<Record>,
) -> Result<Survivors, Stop> {
    let mut losers = vec![false; records.len()];
    let Some(rule) = &flow.one_per else {
        return Ok(Survivors { records, losers });
    };
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    let mut asked: Vec<Value<'static>> = Vec::new();
    for (place, record) in records.iter().enumerate() {
        if let Some((value, group)) = group_of(rule, context, record) {
            let members = places.entry(group).or_default();
            if members.is_empty() {
                asked.push(value);
            }
            members.push(place);
        }
    }
    let mut groups: HashMap<String, Vec<Record>> = HashMap::new();
    if let (Some(find), false) = (rule.find, asked.is_empty()) {
        for record in context
            .connection(flow.from)
            .find(flow.from.stream, find, &asked)
            .await?
        {
            if let Some((_, group)) = group_of(rule, context, &record) {
                groups.entry(group).or_default().push(record);
            }
        }
    }
    let key = &context.stream(flow.from).key;
    let mut survivors = records;
    for (group, members) in places {
        let mut candidates: Vec<Record> = members.iter().map(|place| survivors[*place].clone()).collect();
        let known: Vec<Option<String>> = candidates.iter().map(|record| record_key(key, record)).collect();
        for other in groups.remove(&group).unwrap_or_default() {
            if !known.contains(&record_key(key, &other)) {
                candidates.push(other);
            }
        }
        let mut views = Vec::with_capacity(candidates.len());
        for candidate in &candidates {
            views.push(candidate.value().unwrap_or_default());
        }
        let best = winner(rule, &views).unwrap_or_default();
        drop(views);
        let mut best = candidates.swap_remove(best);
        let others = candidates.iter().map(|record| record.text().clone()).collect();
        best.join(Arc::from(OTHERS), Joined::Many(others));
        for (rank, place) in members.iter().enumerate() {
            losers[*place] = rank > 0;
        }
        if let Some(first) = members.first() {
            survivors[*first] = best;
        }
    }
    Ok(Survivors {
        records: survivors,
        losers,
    })
}

/// What makes a record the same as others: the value to ask for, and its normal form.
pub(crate) fn group_of(
    rule: &OnePer,
    context: &Context,
    record: &Record,
) -> Option<(Value<'static>, String)> {
    let view = record.value().ok()?;
    let value = match &rule.same {
        Source::Select(path) => path.one(&view)?.clone().into_owned(),
        Source::Compute(template) => {
            let scope = Scope::new()
                .with("record", &view)
                .with("params", &context.pipeline.params)
                .with("connections", &context.pipeline.connections_seen);
            template.evaluate(&scope).ok()?
        }
    };
    let group = normalize(&rule.normalize, &value).filter(|text| !text.is_empty())?;
    Some((value, group))
}
