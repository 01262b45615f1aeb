//! Mirror: what a complete read of the source no longer had is deleted in the sink.
//!
//! Every record that a mirror flow loads or finds equal gets a baseline with this read's observation number; a link whose
//! baseline is older was not seen. Absence is only a suspicion where the source can be asked by key: then each is
//! confirmed. Deletions pass the guard, whose default is none at all: they are counted with everything else before the
//! first write, and once more before the first deletion, because a source may change meanwhile.

use std::collections::HashSet;

use super::Stop;
use super::batch::{Decision, Item, ItemOutcome, Planned};
use super::context::Context;
use super::flow::readable_by_key;
use super::guard::deletions_allowed;
use super::transform::record_key;
use crate::compile::compiled::{Flow, FlowId};
use crate::expression::Record;
use crate::state::Link;

/// Links are looked through in batches of this size.
const AT_ONCE: usize = 500;

/// Links that a complete read from observation `first` on did not see, as deletions.
pub(crate) async fn unseen(context: &Context, id: FlowId, first: u64) -> Result<Vec<Vec<Planned>>, Stop> {
    let flow = &context.pipeline.flows[id];
    let mut batches = Vec::new();
    let mut after: Option<String> = None;
    let mut deletions = 0;
    loop {
        context.may_go_on()?;
        let links = context
            .state
            .links_after(context.flow_ref(flow), after.as_deref(), AT_ONCE)?;
        let Some((last, _)) = links.last() else { break };
        after = Some(last.clone());
        let missing = missing(context, flow, links, first).await?;
        deletions += missing.len() as u64;
        if !missing.is_empty() {
            batches.push(missing);
        }
    }
    if deletions > 0 && !context.options.yes && !context.options.dry_run && context.kept.is_none() {
        deletions_allowed(context, flow, deletions)?;
    }
    Ok(batches)
}

/// How many linked records a complete read did not have that saw these keys.
pub(crate) async fn absent(context: &Context, id: FlowId, seen: &HashSet<String>) -> Result<u64, Stop> {
    let flow = &context.pipeline.flows[id];
    let mut after: Option<String> = None;
    let mut count = 0;
    loop {
        context.may_go_on()?;
        let links = context
            .state
            .links_after(context.flow_ref(flow), after.as_deref(), AT_ONCE)?;
        let Some((last, _)) = links.last() else {
            return Ok(count);
        };
        after = Some(last.clone());
        let suspects = links
            .into_iter()
            .filter(|(key, link)| !link.tombstone && !seen.contains(key))
            .filter_map(|(key, link)| Some((key, link.target?)))
            .collect();
        count += confirmed(context, flow, suspects).await?.len() as u64;
    }
}

async fn missing(
    context: &Context,
    flow: &Flow,
    links: Vec<(String, Link)>,
    first: u64,
) -> Result<Vec<Planned>, Stop> {
    let keys: Vec<&str> = links.iter().map(|(key, _)| key.as_str()).collect();
    let baselines = context.state.baselines(context.flow_ref(flow), &keys)?;
    let mut suspects: Vec<(String, String)> = Vec::new();
    for (key, link) in &links {
        let seen = baselines
            .get(key)
            .is_some_and(|baseline| baseline.sequence >= first);
        let waits = context
            .state
            .queue_show(context.flow_ref(flow), key)?
            .is_some_and(|item| item.sequence >= first);
        if let (false, false, false, Some(target)) = (seen, waits, link.tombstone, &link.target) {
            suspects.push((key.clone(), target.clone()));
        }
    }
    let suspects = confirmed(context, flow, suspects).await?;
    let sequence = context.state.next_sequence(suspects.len() as u64)?;
    Ok(suspects
        .into_iter()
        .zip(sequence..)
        .map(|((key, target), sequence)| {
            let item = Item {
                key,
                sequence,
                record: Record::new(bytes::Bytes::from_static(b"null")),
                outcome: ItemOutcome::Deleted,
            };
            Planned::new(item, Decision::Delete { target })
        })
        .collect())
}

/// Of suspected source keys, those that the source does not have when it is asked.
async fn confirmed(
    context: &Context,
    flow: &Flow,
    mut suspects: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, Stop> {
    if !suspects.is_empty() && readable_by_key(context, flow.from) {
        let keys: Vec<String> = suspects.iter().map(|(key, _)| key.clone()).collect();
        let source = context.stream(flow.from);
        let records = context
            .connection(flow.from)
            .get_many(flow.from.stream, &keys)
            .await?;
        let there: Vec<String> = records
            .iter()
            .filter_map(|record| record_key(&source.key, record))
            .collect();
        suspects.retain(|(key, _)| !there.contains(key));
    }
    Ok(suspects)
}
