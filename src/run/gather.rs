//! Gathering: some words of a flow need every record of a read at once, before the first one goes on.
//!
//! `order_by` does, and `one_per` where the source cannot be asked for the other members of a group. Only flows with these
//! words hold a whole read in memory.

use std::collections::HashMap;
use std::sync::Arc;

use super::Stop;
use super::context::Context;
use super::feed::Feed;
use super::one_per::group_of;
use crate::compile::compiled::{Flow, FlowId};
use crate::expression::{Path, Record, Value};

/// Records go on in batches of about this size; a group of `one_per` is never torn.
const AT_ONCE: usize = 500;

/// The feed as it is, or all of its records in the order that the flow's words need.
pub(crate) async fn gathered(context: &Arc<Context>, id: FlowId, mut feed: Feed) -> Result<Feed, Stop> {
    let flow = &context.pipeline.flows[id];
    if flow.order_by.is_none() && !groups_whole(flow) {
        return Ok(feed);
    }
    let mut records = Vec::new();
    let mut last = None;
    while let Some(mut batch) = feed.next(context).await? {
        records.append(&mut batch.records);
        last = Some(batch);
    }
    let Some(last) = last else { return Ok(feed) };
    if let Some(path) = &flow.order_by {
        sort(&mut records, path);
    }
    let chunks = match &flow.one_per {
        Some(rule) if groups_whole(flow) => {
            let group = |record: &Record| group_of(rule, context, record).map(|(_, group)| group);
            chunks(together(records, group))
        }
        _ => chunks(records.into_iter().map(|record| vec![record])),
    };
    Ok(Feed::chunks(chunks, last))
}

/// Sorts records by a path, ascending; equal ones keep their order.
pub(crate) fn sort(records: &mut [Record], path: &Path) {
    records.sort_by_cached_key(|record| {
        let view = record.value().unwrap_or_default();
        Rank(path.one(&view).cloned().unwrap_or_default().into_owned())
    });
}

/// Whether the members of a group are only found by having read everything.
fn groups_whole(flow: &Flow) -> bool {
    flow.one_per.as_ref().is_some_and(|rule| rule.find.is_none())
}

/// Records of the same group side by side, where the first of them stood.
fn together(records: Vec<Record>, group_of: impl Fn(&Record) -> Option<String>) -> Vec<Vec<Record>> {
    let mut groups: Vec<Vec<Record>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for record in records {
        let place = group_of(&record).map(|group| *places.entry(group).or_insert(groups.len()));
        match place.and_then(|place| groups.get_mut(place)) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    groups
}

fn chunks(groups: impl IntoIterator<Item = Vec<Record>>) -> Vec<Vec<Record>> {
    let mut chunks: Vec<Vec<Record>> = Vec::new();
    for mut group in groups {
        match chunks.last_mut().filter(|chunk| chunk.len() < AT_ONCE) {
            Some(chunk) => chunk.append(&mut group),
            None => chunks.push(group),
        }
    }
    chunks
}

/// A value in the order of values.
#[derive(PartialEq)]
struct Rank(Value<'static>);

impl Eq for Rank {}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.order(&other.0)
    }
}
