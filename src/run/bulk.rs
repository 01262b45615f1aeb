//! Which writes of a batch share a request.
//!
//! A record may share one only where that takes nothing from it: its own condition, its own result, and for a create a
//! way to find it again should the answer be lost. In a two-way flow the answer must also tell as much as the flow's
//! rules ask of it, which a job's does not always.

use std::collections::HashMap;

use super::Stop;
use super::context::Context;
use super::load::Ready;
use crate::compile::compiled::{Flow, FlowId, OnAltered, Policy, Precondition, Stream, WriteMany};
use crate::compile::{LostCreate, lost_create};
use crate::connector::{Operation, Prepared, PreparedMany, WriteIntent};

/// A job takes a request to begin it and some to ask after it: fewer records are written one by one.
const WORTH_A_JOB: usize = 5;
/// Without a job two records are worth one request.
const WORTH_A_REQUEST: usize = 2;

/// One request.
pub(super) enum Parcel {
    /// For one record.
    One(Box<Ready>),
    /// For several.
    Many(Vec<Ready>, Box<PreparedMany>),
}

impl Parcel {
    /// The writes that it makes.
    pub(super) fn writes(&self) -> &[Ready] {
        match self {
            Parcel::One(ready) => std::slice::from_ref(ready),
            Parcel::Many(writes, _) => writes,
        }
    }
}

/// How writes share requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharedBy {
    at_most: u64,
    has_job: bool,
}

impl SharedBy {
    /// About how many requests so many writes need: a job is asked after once at least.
    pub(super) fn requests(self, writes: u64) -> u64 {
        let (worth, each) = match self.has_job {
            true => (WORTH_A_JOB, 2),
            false => (WORTH_A_REQUEST, 1),
        };
        match writes < worth as u64 {
            true => writes,
            false => writes.div_ceil(self.at_most) * each,
        }
    }
}

/// What of a flow's writes may share requests.
pub(super) struct Sharing<'c> {
    flow: &'c Flow,
    sink: &'c Stream,
    create: Option<&'c WriteMany>,
    update: Option<&'c WriteMany>,
}

impl<'c> Sharing<'c> {
    /// As the sink's stream and the flow's rules allow.
    pub(super) fn of(context: &'c Context, flow_id: FlowId) -> Self {
        let flow = &context.pipeline.flows[flow_id];
        let sink = context.stream(flow.to);
        // Nothing promises that the records of one request are written in their order.
        let unordered = flow.order_by.is_none();
        let two_way = flow.direction_of.map(|direction| direction.two_way);
        let way = two_way.and_then(|way| context.pipeline.two_way.get(way));
        let side = flow.direction_of.map(|direction| direction.to);
        let told = |many: &&WriteMany| match (way, side) {
            // Whose change came last, and what a system made of a value, only the written record tells.
            (Some(way), Some(side)) if !tells_the_record(many) => way
                .rows
                .iter()
                .all(|row| row.conflict != Policy::NewestWins && row.on_altered[side] != OnAltered::Reject),
            _ => true,
        };
        let create = sink.create_many.as_ref().filter(|_| unordered);
        let update = sink.update_many.as_ref().filter(|_| unordered);
        Sharing {
            flow,
            sink,
            // What a system puts into the fields that nobody wrote is part of a new pair.
            create: create.filter(|many| way.is_none() || tells_the_record(many)),
            update: update.filter(told).filter(|many| keeps_condition(sink, many)),
        }
    }

    fn many(&self, operation: Operation) -> Option<&'c WriteMany> {
        match operation {
            Operation::Create => self.create,
            Operation::Update => self.update,
            Operation::Upsert | Operation::Delete => None,
        }
    }

    /// How such writes of the flow share requests, if they may.
    pub(super) fn shared_by(&self, operation: Operation) -> Option<SharedBy> {
        self.many(operation).map(|many| SharedBy {
            at_most: many.at_most.max(1) as u64,
            has_job: many.job.is_some(),
        })
    }

    /// Whether such writes of the flow may share a request.
    pub(super) fn may_share(&self, operation: Operation) -> bool {
        self.many(operation).is_some()
    }

    /// Whether this one loses nothing by it.
    pub(super) fn keeps_safe(&self, operation: Operation, prepared: &Prepared) -> bool {
        operation != Operation::Create
            || prepared.find_again.is_some()
            || matches!(lost_create(self.flow, self.sink), LostCreate::Matched { .. })
    }
}

/// Whether the answer holds the written records.
fn tells_the_record(many: &WriteMany) -> bool {
    many.job.is_none() && many.request.records.is_some()
}

/// Whether each item notices a change by somebody else as a request of its own would.
fn keeps_condition(sink: &Stream, many: &WriteMany) -> bool {
    let alone = sink
        .update
        .as_ref()
        .and_then(|update| update.precondition.as_ref());
    match alone {
        None => true,
        Some(Precondition::InBody(_) | Precondition::AlreadyInBody | Precondition::ReadAgain) => {
            many.has_precondition
        }
    }
}

/// The requests that make these writes.
pub(super) fn parcels(context: &Context, flow_id: FlowId, ready: Vec<Ready>) -> Result<Vec<Parcel>, Stop> {
    let sharing = Sharing::of(context, flow_id);
    let mut targets: HashMap<String, usize> = HashMap::new();
    for target in ready.iter().filter_map(|ready| ready.job.target.clone()) {
        *targets.entry(target).or_default() += 1;
    }
    // Two changes of one record come one after the other.
    let once = |ready: &Ready| {
        ready
            .job
            .target
            .as_ref()
            .is_none_or(|target| targets.get(target) == Some(&1))
    };
    // One record whose own budget is spent would keep the others waiting.
    let connection = context.connection(sharing.flow.to);
    let may_go_on = |ready: &Ready| match &ready.job.target {
        Some(target) => Ok(connection
            .record_wait(sharing.flow.to.stream, ready.job.operation, target)?
            .is_none()),
        None => Ok::<bool, Stop>(true),
    };
    let mut parcels = Vec::with_capacity(ready.len());
    let (mut creates, mut updates) = (Vec::new(), Vec::new());
    for one in ready {
        match one.job.operation {
            Operation::Create if one.write.is_some() => creates.push(one),
            Operation::Update if one.write.is_some() && once(&one) && may_go_on(&one)? => updates.push(one),
            _ => parcels.push(Parcel::One(Box::new(one))),
        }
    }
    for (operation, group) in [(Operation::Create, creates), (Operation::Update, updates)] {
        if let Some(many) = sharing.many(operation) {
            let worth = if many.job.is_some() {
                WORTH_A_JOB
            } else {
                WORTH_A_REQUEST
            };
            share(context, sharing.flow, group, worth, &mut parcels)?;
        }
    }
    Ok(parcels)
}

/// Divides writes of one kind among as few requests as the endpoint allows.
fn share(
    context: &Context,
    flow: &Flow,
    group: Vec<Ready>,
    worth: usize,
    parcels: &mut Vec<Parcel>,
) -> Result<(), Stop> {
    if group.len() < worth {
        parcels.extend(group.into_iter().map(|ready| Parcel::One(Box::new(ready))));
        return Ok(());
    }
    let writes: Vec<WriteIntent> = group.iter().filter_map(|ready| ready.write.clone()).collect();
    let connection = context.connection(flow.to);
    let mut left = group.into_iter();
    for prepared in connection.prepare_many(flow.to.stream, &writes)? {
        let mut items: Vec<Ready> = left.by_ref().take(prepared.keys.len()).collect();
        if items.len() < worth {
            parcels.extend(items.into_iter().map(|ready| Parcel::One(Box::new(ready))));
            continue;
        }
        for (position, ready) in items.iter_mut().enumerate() {
            ready.item = Some(position);
        }
        parcels.push(Parcel::Many(items, Box::new(prepared)));
    }
    Ok(())
}

/// What an intent stores of a write that shares its request: never to be sent again as it stands.
pub(super) fn as_item(prepared: &Prepared, position: usize) -> Prepared {
    Prepared {
        idempotency_key: None,
        idempotency_seconds: None,
        item_of_many: Some(position),
        ..prepared.clone()
    }
}
