//! A run: the stages extract, transform, plan and load, their hand-over, cancellation and summary.
//!
//! [`run`] takes the pipeline's lease, seals what a dead run left, settles its writes, and then works through the flows in
//! their order. Whatever stops it, the snapshots are closed with a manifest and a [`Summary`] says what was done and why
//! it ended.

mod asked;
mod batch;
mod bulk;
mod cancellation;
mod context;
mod counterpart;
mod decide;
mod feed;
mod file_flow;
mod flow;
mod gather;
mod guard;
mod load;
mod mapping_tests;
mod matching;
mod memory;
mod mirror;
mod one_per;
mod options;
mod outlook;
mod plan;
mod preview;
mod record;
mod reference;
mod require;
mod send;
mod settle;
mod settle_job;
mod shared;
mod shown;
mod spool;
mod stop;
mod summary;
mod transform;
mod two_way;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

pub use cancellation::Cancellation;
pub use mapping_tests::{
    CaseReport, Mismatch, RuleTraced, SourcePlace, TestReport, Untouched, UntouchedIn, run_tests,
};
pub use options::{Publish, RunOptions};
pub use outlook::{
    Plan, PlanAsked, PlanBasis, PlanCalls, PlanConflict, PlanCount, PlanCursor, PlanDocument, PlanFallback,
    PlanField, PlanFileError, PlanHeld, PlanItem, PlanKind, PlanLimit, PlanNotCarried, PlanReason,
    PlanReport,
};
pub use preview::{
    Preview, PreviewChange, PreviewError, PreviewOptions, PreviewReason, PreviewRecord, PreviewRequest,
    preview,
};
pub use summary::{Ending, FlowSummary, Summary};

use crate::compile::compiled::{Flow, FlowId, PerSide, Pipeline, Side, StreamRef, TwoWayId};
use crate::connector::{Connection, ConnectionContext};
use crate::crash::{self, Point};
use crate::lookup::Lookups;
use crate::mapping::privacy::Redactor;
use crate::snapshot::{Closing, Configuration, CursorMove, FlowCounts, Opening, RunWriter};
use crate::state::{Digester, Holder, QueueFilter, RunEnd, RunStart, SqliteState, State};
use crate::telemetry::Telemetry;
use context::{Context, Searched, account_of};
use flow::FlowRun;
use memory::AccountMemory;
use outlook::{Collector, Kept};
use shared::SharedReads;
use stop::Stop;
use two_way::TwoWayRun;

/// Runs a pipeline. It never fails: the summary says how it ended.
pub async fn run(
    pipeline: Arc<Pipeline>,
    options: RunOptions,
    telemetry: Arc<Telemetry>,
    cancellation: Cancellation,
) -> Summary {
    supervised(pipeline, options, telemetry, cancellation, None).await
}

/// Decides what a run would do, over a copy of the state, and writes nothing to a system. With `lasting` the plan is to
/// be executed later: the state whose key its digests need is made if there is none yet.
///
/// # Errors
/// It did not come to a plan: the ending that a run would have, and why. What a run would meet later is in the plan.
pub async fn plan(
    pipeline: Arc<Pipeline>,
    options: RunOptions,
    telemetry: Arc<Telemetry>,
    cancellation: Cancellation,
    lasting: bool,
) -> Result<Plan, (Ending, String)> {
    let made = async {
        if lasting {
            SqliteState::open(&options.state)?;
        }
        planned(pipeline, options, telemetry, &cancellation).await
    };
    made.await
        .map_err(|stop| (stop.ending(&cancellation), with_causes(&stop)))
}

async fn planned(
    pipeline: Arc<Pipeline>,
    options: RunOptions,
    telemetry: Arc<Telemetry>,
    cancellation: &Cancellation,
) -> Result<Plan, Stop> {
    let options = RunOptions {
        dry_run: true,
        plan: None,
        ..options
    };
    let state: Arc<dyn State> = Arc::new(SqliteState::scratch_copy(&options.state)?);
    let basis = PlanBasis::now(&pipeline, &options, &*state)?;
    let key = state.digest_key();
    let collector = Arc::new(Collector::new()?);
    let summary = supervised(
        Arc::clone(&pipeline),
        options,
        Arc::clone(&telemetry),
        cancellation.clone(),
        Some((state, Arc::clone(&collector))),
    )
    .await;
    let collector =
        Arc::into_inner(collector).ok_or_else(|| Stop::Internal("a task outlived the plan".to_owned()))?;
    Plan::new(&pipeline, collector, basis, key, &summary, &telemetry)
}

/// Reads the plan that a run is to keep to, and fails unless the same would be done now.
async fn kept_plan(
    path: &Path,
    pipeline: &Arc<Pipeline>,
    options: &mut RunOptions,
    telemetry: &Arc<Telemetry>,
    cancellation: &Cancellation,
    state: &dyn State,
) -> Result<Kept, Stop> {
    let kept = Kept::read(path, &state.digest_key())?;
    let asked = &kept.basis.asked;
    options.flows.clone_from(&asked.flows);
    options.only.clone_from(&asked.only);
    (options.limit, options.full) = (asked.limit, asked.full);
    if let Some(moved) = kept.basis.moved(&PlanBasis::now(pipeline, options, state)?) {
        return Err(Stop::Refused(format!(
            "the plan `{}` is outdated: {moved}; nothing was written; make a new plan",
            path.display()
        )));
    }
    let again = RunOptions {
        time_limit: None,
        ..options.clone()
    };
    // Boxed, because planning is a run within this one.
    let now = planned(Arc::clone(pipeline), again, Arc::clone(telemetry), cancellation);
    let now = Box::pin(now).await?;
    if !now.report.complete {
        return Err(Stop::Planning {
            ending: now.report.ending,
            message: now.report.message.unwrap_or_default(),
        });
    }
    if let (Some(refusal), false) = (now.report.guards.first(), options.yes) {
        return Err(Stop::Refused(refusal.clone()));
    }
    kept.equals(&now)?;
    Ok(kept)
}

async fn supervised(
    pipeline: Arc<Pipeline>,
    options: RunOptions,
    telemetry: Arc<Telemetry>,
    cancellation: Cancellation,
    planning: Option<(Arc<dyn State>, Arc<Collector>)>,
) -> Summary {
    let run = Uuid::now_v7();
    let mut summary = Summary {
        run: run.to_string(),
        pipeline: pipeline.name.clone(),
        started: Timestamp::now(),
        ended: Timestamp::now(),
        ending: Ending::Complete,
        message: None,
        dry_run: options.dry_run,
        flows: Vec::new(),
        disabled: left_out(&pipeline, &options),
        queue: BTreeMap::new(),
        snapshots: None,
        continues: None,
        requests: BTreeMap::new(),
    };
    let timer = options.time_limit.map(|limit| {
        let cancellation = cancellation.clone();
        tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            cancellation.time_is_up();
        })
    });
    let outcome = execute(
        run,
        pipeline,
        options,
        Arc::clone(&telemetry),
        &cancellation,
        &mut summary,
        planning,
    )
    .await;
    if let Some(timer) = timer {
        timer.abort();
    }
    if let Err(stop) = outcome {
        summary.ending = stop.ending(&cancellation);
        summary.message = Some(match summary.ending {
            Ending::StoppedEarly if cancellation.is_out_of_time() => with_causes(&Stop::TimeLimit),
            _ => with_causes(&stop),
        });
    }
    summary.ended = Timestamp::now();
    summary.requests = telemetry
        .connections()
        .into_iter()
        .map(|(name, counters)| (name, counters.requests.get()))
        .collect();
    summary
}

async fn execute(
    run: Uuid,
    pipeline: Arc<Pipeline>,
    mut options: RunOptions,
    telemetry: Arc<Telemetry>,
    cancellation: &Cancellation,
    summary: &mut Summary,
    planning: Option<(Arc<dyn State>, Arc<Collector>)>,
) -> Result<(), Stop> {
    let (state, collector): (Arc<dyn State>, _) = match planning {
        Some((state, collector)) => (state, Some(collector)),
        None if options.dry_run => (Arc::new(SqliteState::scratch_copy(&options.state)?), None),
        None => (Arc::new(SqliteState::open(&options.state)?), None),
    };
    let _lease = state.lease(&pipeline.name, &Holder::this_process(run, summary.started))?;
    let kept = match options.plan.clone() {
        Some(path) => {
            let kept = kept_plan(&path, &pipeline, &mut options, &telemetry, cancellation, &*state);
            Some(Arc::new(kept.await?))
        }
        None => None,
    };
    let dry_run = options.dry_run;
    let continues = if dry_run {
        None
    } else {
        let sealed = crate::snapshot::recover(&options.snapshots, &pipeline.name)?;
        sealed.map(|manifest| manifest.run)
    };
    let writer = if dry_run {
        None
    } else {
        Some(open_writer(run, &pipeline, &options, continues)?)
    };
    summary.continues = continues.map(|run| run.to_string());
    summary.snapshots = writer.as_ref().map(|writer| writer.directory().to_owned());
    if !dry_run {
        crash::at(Point::RunStartBefore);
        state.start_run(&RunStart {
            id: run,
            pipeline: pipeline.name.clone(),
            started: summary.started,
            continues,
        })?;
        crash::at(Point::RunStartAfter);
    }
    let mut cursors = Vec::new();
    let context = open(
        run,
        pipeline,
        options,
        telemetry,
        cancellation,
        Arc::clone(&state),
        writer,
    )?;
    let context = Arc::new(Context {
        collector,
        kept,
        ..context
    });
    let result = run_flows(&context, summary, &mut cursors).await;
    let result = result.and_then(|()| balanced(summary));
    for (name, item) in state.queue_list(&context.pipeline.name, &QueueFilter::default())? {
        tracing::trace!(flow = %name, key = %item.key, "Waiting.");
        *summary.queue.entry(item.kind.word().to_owned()).or_default() += 1;
    }
    let rejects = summary.flows.iter().any(|flow| flow.rejected + flow.held > 0);
    let older = context.options.strict && !summary.queue.is_empty();
    summary.ending = match &result {
        Err(stop) => stop.ending(cancellation),
        Ok(()) if rejects || older => Ending::CompleteWithRejects,
        Ok(()) => Ending::Complete,
    };
    let closed = close(context, &state, run, summary, cursors);
    result.and(closed)
}

fn open_writer(
    run: Uuid,
    pipeline: &Pipeline,
    options: &RunOptions,
    continues: Option<Uuid>,
) -> Result<RunWriter, Stop> {
    let opening = Opening {
        continues,
        configuration: Configuration {
            pipeline: pipeline.digest.clone(),
            sources: pipeline.sources.clone(),
        },
    };
    Ok(RunWriter::create(
        &options.snapshots,
        &pipeline.name,
        run,
        opening,
        pipeline.snapshots,
    )?)
}

fn open(
    run: Uuid,
    pipeline: Arc<Pipeline>,
    options: RunOptions,
    telemetry: Arc<Telemetry>,
    cancellation: &Cancellation,
    state: Arc<dyn State>,
    writer: Option<RunWriter>,
) -> Result<Context, Stop> {
    let connections = connect(run, &pipeline, &telemetry, cancellation, &state)?;
    assemble(
        run,
        pipeline,
        connections,
        options,
        telemetry,
        cancellation,
        state,
        writer,
    )
}

/// The pipeline's connections; nothing is sent yet.
fn connect(
    run: Uuid,
    pipeline: &Arc<Pipeline>,
    telemetry: &Arc<Telemetry>,
    cancellation: &Cancellation,
    state: &Arc<dyn State>,
) -> Result<Arc<[Connection]>, Stop> {
    let mut connections = Vec::with_capacity(pipeline.connections.len());
    for id in 0..pipeline.connections.len() {
        let context = ConnectionContext {
            stop: cancellation.polite().clone(),
            stop_now: cancellation.now().clone(),
            telemetry: Arc::clone(telemetry),
            run: run.to_string(),
            memory: Some(Arc::new(AccountMemory {
                state: Arc::clone(state),
                account: account_of(pipeline, id),
            })),
            ..ConnectionContext::default()
        };
        connections.push(Connection::open(Arc::clone(pipeline), id, context)?);
    }
    Ok(connections.into())
}

/// What the stages share, over connections that are there.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one struct, each from elsewhere"
)]
fn assemble(
    run: Uuid,
    pipeline: Arc<Pipeline>,
    connections: Arc<[Connection]>,
    options: RunOptions,
    telemetry: Arc<Telemetry>,
    cancellation: &Cancellation,
    state: Arc<dyn State>,
    writer: Option<RunWriter>,
) -> Result<Context, Stop> {
    let key = state.digest_key();
    let redactors = pipeline
        .flows
        .iter()
        .map(|flow| Redactor::new(&flow.privacy, &flow.private_targets, key))
        .collect();
    let searched = Arc::new(Searched(Arc::clone(&connections)));
    let lookups = Lookups::new(Arc::clone(&pipeline), searched, Arc::clone(&state))?;
    let shared = SharedReads::new(read_streams(&pipeline, &options).into_iter());
    Ok(Context {
        pipeline,
        connections,
        state,
        lookups,
        shared,
        writer,
        collector: None,
        kept: None,
        telemetry,
        options,
        cancellation: cancellation.clone(),
        run,
        digester: Digester::new(key),
        redactors,
    })
}

async fn run_flows(
    context: &Arc<Context>,
    summary: &mut Summary,
    cursors: &mut Vec<CursorMove>,
) -> Result<(), Stop> {
    let ids: Vec<FlowId> = chosen_flows(&context.pipeline, &context.options)
        .map(|(id, _)| id)
        .collect();
    // A pipeline that is off makes no request, not even to settle what an earlier run left open.
    if ids.is_empty() {
        return Ok(());
    }
    if !context.options.dry_run {
        settle::settle(context).await?;
    }
    context.lookups.start(&ids).await?;
    for unit in units(&context.pipeline, &context.options) {
        let id = match unit {
            Unit::Flow(id) => id,
            Unit::TwoWay(id) => {
                let mut running = TwoWayRun::new(Arc::clone(context), id);
                let result = running.run().await;
                collect_two_way(context, running, summary, cursors);
                result?;
                continue;
            }
        };
        let flow = &context.pipeline.flows[id];
        let mut running = FlowRun::new(Arc::clone(context), id);
        let result = running.run().await;
        collect(context, flow, running, summary, cursors);
        result?;
    }
    Ok(())
}

/// What a run works through, in the order of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// A one-way flow that reads its stream by itself.
    Flow(FlowId),
    /// A two-way flow.
    TwoWay(TwoWayId),
}

/// The flows that the run was asked for, directions of two-way flows included.
fn chosen_flows<'p>(
    pipeline: &'p Pipeline,
    options: &'p RunOptions,
) -> impl Iterator<Item = (FlowId, &'p Flow)> {
    let flows = pipeline.flows.iter().enumerate();
    flows.filter(move |(id, flow)| flow.disabled.is_none() && options.chooses(pipeline.written_name(*id)))
}

/// The flows that are off, of those that the run was asked for, each with the reason.
fn left_out(pipeline: &Pipeline, options: &RunOptions) -> BTreeMap<String, String> {
    let disabled = pipeline.disabled().filter(|(name, _)| options.chooses(name));
    disabled
        .map(|(name, reason)| (name.to_owned(), reason.to_string()))
        .collect()
}

/// What reads a stream by itself; the others are led by their parents.
fn units(pipeline: &Pipeline, options: &RunOptions) -> Vec<Unit> {
    let mut units = Vec::new();
    for (id, flow) in chosen_flows(pipeline, options) {
        if flow.of.is_some() {
            continue;
        }
        let unit = match flow.direction_of {
            Some(direction) if led_by_parents(pipeline, options, direction.two_way) => continue,
            Some(direction) => Unit::TwoWay(direction.two_way),
            None => Unit::Flow(id),
        };
        if !units.contains(&unit) {
            units.push(unit);
        }
    }
    units
}

/// Whether a two-way flow is run with the pairs that its records belong to, also where one side is read on its own.
fn led_by_parents(pipeline: &Pipeline, options: &RunOptions, two_way: TwoWayId) -> bool {
    let parent = pipeline.two_way.get(two_way).and_then(|way| way.of);
    parent
        .and_then(|parent| pipeline.two_way.get(parent))
        .is_some_and(|parent| options.chooses(&parent.name))
}

/// The streams that the units read, each as often as it is read.
fn read_streams(pipeline: &Pipeline, options: &RunOptions) -> Vec<StreamRef> {
    let mut streams = Vec::new();
    for unit in units(pipeline, options) {
        match unit {
            Unit::Flow(id) => streams.push(pipeline.flows[id].from),
            Unit::TwoWay(id) => {
                let way = &pipeline.two_way[id];
                let read = Side::BOTH
                    .into_iter()
                    .filter(|side| way.direction.writes(side.other()));
                streams.extend(read.map(|side| way.streams[side]));
            }
        }
    }
    streams
}

fn collect_two_way(
    context: &Context,
    running: TwoWayRun,
    summary: &mut Summary,
    cursors: &mut Vec<CursorMove>,
) {
    let way = running.way();
    let parse = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    for side in Side::BOTH {
        let (before, after) = running.cursors[side].clone();
        cursors.push(CursorMove {
            flow: way.name.clone(),
            stream: context.stream_name(way.streams[side]),
            before: parse(before),
            after: parse(after),
        });
    }
    let PerSide { remote, local } = running.summaries;
    summary.flows.extend([local, remote]);
    let PerSide { remote, local } = running.readers;
    for reader in remote.into_iter().chain(local) {
        let flow = &context.pipeline.flows[reader.id];
        collect(context, flow, reader, summary, cursors);
    }
    for child in running.children {
        collect_two_way(context, child, summary, cursors);
    }
}

fn collect(
    context: &Context,
    flow: &Flow,
    running: FlowRun,
    summary: &mut Summary,
    cursors: &mut Vec<CursorMove>,
) {
    let parse = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    cursors.push(CursorMove {
        flow: flow.name.clone(),
        stream: context.stream_name(flow.from),
        before: parse(running.cursors.0),
        after: parse(running.cursors.1),
    });
    summary.flows.push(running.summary);
    for child in running.children {
        collect(
            context,
            &context.pipeline.flows[child.id],
            child,
            summary,
            cursors,
        );
    }
}

/// A run whose counts do not balance has lost a record somewhere, whatever else it did.
fn balanced(summary: &Summary) -> Result<(), Stop> {
    match summary.flows.iter().find(|flow| !flow.balances()) {
        Some(flow) => Err(Stop::Internal(format!(
            "the counts of flow `{}` do not balance: {} records came in, {} have an outcome",
            flow.flow,
            flow.read + flow.retried,
            flow.outcomes()
        ))),
        None => Ok(()),
    }
}

fn close(
    context: Arc<Context>,
    state: &Arc<dyn State>,
    run: Uuid,
    summary: &Summary,
    cursors: Vec<CursorMove>,
) -> Result<(), Stop> {
    let ending = ending_word(&summary.ending);
    if !context.options.dry_run {
        crash::at(Point::RunEndBefore);
        state.end_run(&RunEnd {
            id: run,
            ended: Timestamp::now(),
            ending: ending.clone(),
            counts: serde_json::to_string(&summary.flows)
                .map_err(|error| Stop::Internal(format!("counts cannot be stored: {error}")))?,
        })?;
        crash::at(Point::RunEndAfter);
    }
    let Some(context) = Arc::into_inner(context) else {
        return Err(Stop::Internal("a task outlived the run".to_owned()));
    };
    if let Some(writer) = context.writer {
        writer.finish(Closing {
            ending,
            exit_code: summary.ending.exit_code(),
            counts: summary.flows.iter().map(flow_counts).collect(),
            disabled: summary.disabled.clone(),
            cursors,
        })?;
        crash::at(Point::Closed);
    }
    Ok(())
}

fn ending_word(ending: &Ending) -> String {
    match serde_json::to_value(ending) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "interrupted".to_owned(),
    }
}

fn flow_counts(flow: &FlowSummary) -> FlowCounts {
    let counts = match serde_json::to_value(flow) {
        Ok(serde_json::Value::Object(members)) => members
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_u64()?)))
            .collect(),
        _ => BTreeMap::new(),
    };
    FlowCounts {
        flow: flow.flow.clone(),
        counts,
    }
}

/// An error with everything that caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
