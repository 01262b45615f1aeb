//! One flow from its cursor to its end: batches through transform, plan and load, overlapped and in order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::TryStreamExt;
use jiff::Timestamp;

use super::batch::{Batch, Decision, Origin, Planned};
use super::context::Context;
use super::feed::{Feed, read_request};
use super::guard::{CHANGED, DELETED, check_rejects, guard_of, refusal};
use super::load::Loader;
use super::plan::Planner;
use super::record::{CursorMoves, Recorder, count_decision};
use super::spool::Spool;
use super::transform::{Transformed, mapped_ahead, transform};
use super::{FlowSummary, Stop};
use crate::compile::compiled::{ConnectorKind, Flow, FlowId, Guard, Mode, StreamRef};
use crate::connector::ReadRequest;
use crate::crash::{self, Point};
use crate::expression::Record;
use crate::state::QueueItem;

/// Queue items are tried again in batches of this size.
const RETRIED_AT_ONCE: usize = 500;

/// A flow that is being run.
pub(crate) struct FlowRun {
    context: Arc<Context>,
    /// The flow.
    pub(crate) id: FlowId,
    /// What it did so far.
    pub(crate) summary: FlowSummary,
    /// The cursor before and after, as JSON text.
    pub(crate) cursors: (Option<String>, Option<String>),
    /// Flows over the children of this flow's records; they run batch by batch, before its cursor moves.
    pub(crate) children: Vec<FlowRun>,
    batches: u32,
    /// It read its stream for itself although others read it too.
    alone: bool,
    /// Records of which a write's answer was lost in this run.
    lost: Vec<String>,
    /// What a plan counts.
    foreseen: Foreseen,
}

/// What a plan counts of a flow, and the records of the queue that it has decided about.
#[derive(Debug, Default)]
struct Foreseen {
    again: HashSet<String>,
    changed: u64,
    deleted: u64,
}

impl FlowRun {
    /// A flow that has done nothing yet.
    pub(crate) fn new(context: Arc<Context>, id: FlowId) -> Self {
        let summary = FlowSummary::new(&context.pipeline.flows[id].name);
        // An earlier run's snapshot of the parents says nothing of what their children were.
        let wanted = context.options.from_run.is_none();
        let flows = context.pipeline.flows.iter().enumerate();
        let children = flows
            .filter(|(child, flow)| wanted && flow.of == Some(id) && context.runs(*child))
            .map(|(child, _)| FlowRun::new(Arc::clone(&context), child))
            .collect();
        FlowRun {
            context,
            id,
            summary,
            cursors: (None, None),
            children,
            batches: 0,
            alone: false,
            lost: Vec::new(),
            foreseen: Foreseen::default(),
        }
    }

    fn flow(&self) -> &Flow {
        &self.context.pipeline.flows[self.id]
    }

    /// Runs the flow. The summary says what was done even when it stops early.
    pub(crate) async fn run(&mut self) -> Result<(), Stop> {
        let to = self.flow().to;
        if matches!(
            self.context.pipeline.connections[to.connection].connector.kind,
            ConnectorKind::File(_)
        ) {
            return super::file_flow::run(&self.context, self.id, &mut self.summary).await;
        }
        let only = self.context.options.only.clone();
        if !only.is_empty() {
            return self.run_asked(&only).await;
        }
        if let Some(past) = self.context.options.from_run.clone() {
            return self.run_past(&past).await;
        }
        self.retry_queue().await?;
        self.retry_fallbacks().await?;
        for child in &mut self.children {
            child.retry_queue().await?;
        }
        let first = self.context.state.next_sequence(1)?;
        let feed = self.pages()?;
        let feed = super::gather::gathered(&self.context, self.id, feed).await?;
        match guard_of(self.flow()) {
            Some(guard)
                if !self.context.options.dry_run
                    && !self.context.options.yes
                    && self.context.kept.is_none() =>
            {
                self.run_guarded(feed, &guard).await?;
            }
            _ => self.drive(feed, &HashMap::new()).await?,
        }
        self.fall_in_step()?;
        self.settle_lost().await?;
        if self.mirrors() {
            self.delete_unseen(first).await?;
        }
        self.foresee_guard()?;
        self.check_budget(true)
    }

    /// Whether what the source no longer has is deleted in this run.
    fn mirrors(&self) -> bool {
        self.flow().mode == Mode::Mirror && self.context.options.limit.is_none()
    }

    /// Settles the writes whose answers were lost in this run, and decides about their records again: what a cut
    /// connection left open need not wait for the next run.
    async fn settle_lost(&mut self) -> Result<(), Stop> {
        let keys = std::mem::take(&mut self.lost);
        if keys.is_empty() || !readable_by_key(&self.context, self.flow().from) {
            return Ok(());
        }
        super::settle::settle(&self.context).await?;
        let from = self.flow().from;
        for keys in keys.chunks(RETRIED_AT_ONCE) {
            let records = self.context.connection(from).get_many(from.stream, keys).await?;
            // Each was counted as rejected; now it is a record that came twice.
            let again = records.len() as u64;
            self.summary.rejected -= again.min(self.summary.rejected);
            self.summary.duplicate += again;
            self.drive(Feed::given(records, Origin::Queue, self.batches), &HashMap::new())
                .await?;
        }
        Ok(())
    }

    /// Deletes what the source no longer has.
    async fn delete_unseen(&mut self, first: u64) -> Result<(), Stop> {
        for planned in super::mirror::unseen(&self.context, self.id, first).await? {
            self.batches += 1;
            let head = Batch {
                number: self.batches,
                records: Vec::new(),
                sequence: first,
                at: Timestamp::now(),
                cursor: None,
                origin: Origin::Asked,
            };
            if self.context.options.dry_run {
                self.foresee(&head, planned)?;
                continue;
            }
            let context = Arc::clone(&self.context);
            let loaded = Loader::new(&context, self.id).load(planned).await?;
            let recorder = Recorder::new(&context, self.id);
            recorder.record(
                &head,
                &loaded,
                &HashMap::new(),
                CursorMoves::Now,
                &mut self.summary,
            )?;
            if let Some(stop) = loaded.stop {
                return Err(stop);
            }
        }
        Ok(())
    }

    /// The stream's pages from the flow's cursor on.
    fn pages(&mut self) -> Result<Feed, Stop> {
        let request = read_request(&self.context, self.id)?;
        self.cursors.0 = request
            .cursor
            .as_ref()
            .and_then(|cursor| serde_json::to_string(cursor).ok());
        self.cursors.1.clone_from(&self.cursors.0);
        let from = self.flow().from;
        let (feed, alone) = Feed::stream(&self.context, from, request)?;
        self.alone = alone;
        Ok(feed)
    }

    /// Brings the cursor in step with that of the flow which read the stream first, so that they read together from now on.
    fn fall_in_step(&mut self) -> Result<(), Stop> {
        let from = self.flow().from;
        let options = &self.context.options;
        if !self.alone || options.dry_run || options.limit.is_some() {
            return Ok(());
        }
        if let Some(end) = self.context.shared.end(from) {
            Recorder::new(&self.context, self.id).set_cursor(&end)?;
            self.cursors.1 = serde_json::to_string(&end).ok();
        }
        Ok(())
    }

    async fn run_asked(&mut self, keys: &[String]) -> Result<(), Stop> {
        let records = super::asked::asked(&self.context, self.flow(), keys).await?;
        self.drive(Feed::given(records, Origin::Asked, 0), &HashMap::new())
            .await
    }

    /// Maps an earlier run's extracted records again.
    async fn run_past(&mut self, past: &str) -> Result<(), Stop> {
        let records = super::asked::extracted(&self.context, self.id, past)?;
        self.drive(Feed::given(records, Origin::Snapshot, 0), &HashMap::new())
            .await
    }

    /// Tries the queue's items again, from fresh reads.
    async fn retry_queue(&mut self) -> Result<(), Stop> {
        let from = self.flow().from;
        let parents = super::asked::parents(&self.context, self.flow());
        if !self.context.tries_again()
            || parents.is_none() && !readable_by_key(&self.context, self.flow().from)
        {
            return Ok(());
        }
        let most = self.flow().rejects.retry_at_most;
        let mut after: Option<String> = None;
        loop {
            self.context.may_go_on()?;
            let items = self.context.state.queue_retryable(
                self.context.flow_ref(self.flow()),
                Some(most),
                after.as_deref(),
                RETRIED_AT_ONCE,
            )?;
            let Some(last) = items.last() else { return Ok(()) };
            after = Some(last.key.clone());
            let attempts: HashMap<String, u32> = items
                .iter()
                .map(|item: &QueueItem| (item.key.clone(), item.attempts))
                .collect();
            match parents {
                // Children say whose they are only when they are read with their parents.
                Some(parents) => {
                    let keys = super::asked::parent_keys(&items);
                    let parents = self
                        .context
                        .connection(parents)
                        .get_many(parents.stream, &keys)
                        .await?;
                    self.run_children(&parents, &attempts).await?;
                }
                None => {
                    let keys: Vec<String> = items.into_iter().map(|item| item.key).collect();
                    let records = self.context.connection(from).get_many(from.stream, &keys).await?;
                    self.drive(Feed::given(records, Origin::Queue, 0), &attempts)
                        .await?;
                }
            }
        }
    }

    /// Maps the records again whose fallbacks can be replaced by what is found now.
    async fn retry_fallbacks(&mut self) -> Result<(), Stop> {
        if !self.context.tries_again() || !readable_by_key(&self.context, self.flow().from) {
            return Ok(());
        }
        let resolved = self.context.lookups.resolved_fallbacks(&self.flow().name).await?;
        let mut keys: Vec<String> = resolved.into_iter().map(|fallback| fallback.source).collect();
        keys.sort_unstable();
        keys.dedup();
        let from = self.flow().from;
        for keys in keys.chunks(RETRIED_AT_ONCE) {
            let records = self.context.connection(from).get_many(from.stream, keys).await?;
            self.drive(Feed::given(records, Origin::Queue, self.batches), &HashMap::new())
                .await?;
        }
        Ok(())
    }

    /// Counts what would change before anything does, then does it.
    async fn run_guarded(&mut self, mut feed: Feed, guard: &Guard) -> Result<(), Stop> {
        let mut spool = Spool::new()?;
        let (mut changed, mut deleted, mut read) = (0_u64, 0_u64, 0_u64);
        let mut references: HashSet<crate::mapping::PendingKey> = HashSet::new();
        let mirrors = self.mirrors();
        let mut seen: HashSet<String> = HashSet::new();
        while let Some(batch) = feed.next(&self.context).await? {
            spool.write(&batch)?;
            read += batch.records.len() as u64;
            let transformed = transform(Arc::clone(&self.context), self.id, batch, false).await?;
            for planned in Planner::new(&self.context, self.id)
                .plan(transformed.items)
                .await?
            {
                if mirrors {
                    seen.insert(planned.item.key.clone());
                }
                if let (true, Some(mapped)) = (planned.decision.writes(), planned.mapped()) {
                    references.extend(mapped.pending.iter().map(|pending| pending.key.clone()));
                }
                match planned.decision {
                    Decision::Create | Decision::Update(_) | Decision::UpdateAll(_) => changed += 1,
                    Decision::Delete { .. } => deleted += 1,
                    _ => {}
                }
            }
        }
        if mirrors {
            deleted += super::mirror::absent(&self.context, self.id, &seen).await?;
        }
        let linked = self
            .context
            .state
            .link_count(self.context.flow_ref(self.flow()))?;
        let changed = changed + references.len() as u64;
        let refusal = refusal(self.flow(), CHANGED, changed, guard.change_at_most, linked)
            .or_else(|| refusal(self.flow(), DELETED, deleted, guard.delete_at_most, linked));
        if let Some(stop) = refusal {
            self.summary.read += read;
            self.summary.unfinished += read;
            return Err(stop);
        }
        self.drive(Feed::spool(spool.reader()?), &HashMap::new()).await
    }

    /// Takes batches through the stages: some are mapped ahead while one is planned and loaded.
    async fn drive(&mut self, feed: Feed, attempts: &HashMap<String, u32>) -> Result<(), Stop> {
        let context = Arc::clone(&self.context);
        let ahead = context.options.workers.max(1);
        let mut transformed = std::pin::pin!(mapped_ahead(Arc::clone(&context), self.id, feed, ahead));
        while let Some(batch) = transformed.try_next().await? {
            context.may_go_on()?;
            self.batches = self.batches.max(batch.head.number);
            self.work(batch, attempts).await?;
            self.check_budget(false)?;
        }
        Ok(())
    }

    async fn work(&mut self, batch: Transformed, attempts: &HashMap<String, u32>) -> Result<(), Stop> {
        let context = Arc::clone(&self.context);
        batch.coverage.add_to(
            &context.pipeline.enums,
            &mut self.summary.enum_coverage,
            &mut self.summary.unknown_values,
        );
        let planned = Planner::new(&context, self.id).plan(batch.items).await?;
        crash::at(Point::Planned);
        let counters = context.counters(self.id);
        counters.transform.records.add(planned.len() as u64);
        counters.transform.batches.add(1);
        counters.plan.records.add(planned.len() as u64);
        counters.plan.batches.add(1);
        if context.options.dry_run {
            let parents = self.foresee(&batch.head, planned)?;
            for child in &mut self.children {
                child.run_children(&parents, &HashMap::new()).await?;
            }
            return Ok(());
        }
        if let Some(writer) = &context.writer {
            for rows in &batch.rows {
                writer.append(rows)?;
            }
        }
        let loaded = Loader::new(&context, self.id).load(planned).await?;
        self.lost.extend(loaded.lost());
        let recorder = Recorder::new(&context, self.id);
        if self.children.is_empty() || loaded.stop.is_some() {
            recorder.record(
                &batch.head,
                &loaded,
                attempts,
                CursorMoves::Now,
                &mut self.summary,
            )?;
        } else {
            recorder.record(
                &batch.head,
                &loaded,
                attempts,
                CursorMoves::AfterChildren,
                &mut self.summary,
            )?;
            let effects = loaded.effects.iter().filter(|effect| !effect.unfinished);
            let parents = parents(effects.map(|effect| &effect.planned));
            for child in &mut self.children {
                child.run_children(&parents, &HashMap::new()).await?;
            }
            recorder.move_cursor(&batch.head)?;
        }
        if let (None, Some(cursor), Origin::Source) = (&loaded.stop, &batch.head.cursor, batch.head.origin) {
            self.cursors.1 = serde_json::to_string(cursor).ok();
        }
        match loaded.stop {
            Some(stop) => Err(stop),
            None => Ok(()),
        }
    }

    /// Runs this flow over the children of its parent's records.
    pub(crate) async fn run_children(
        &mut self,
        parents: &[Record],
        attempts: &HashMap<String, u32>,
    ) -> Result<(), Stop> {
        let mut request = ReadRequest::default();
        for parent in parents {
            match parent.value() {
                Ok(value) => request.parents.push(value.into_owned()),
                Err(error) => {
                    tracing::warn!(flow = %self.summary.flow, %error, "A parent record cannot be read.")
                }
            }
        }
        if request.parents.is_empty() {
            return Ok(());
        }
        let from = self.flow().from;
        let mut reader = self.context.connection(from).read(from.stream, request);
        let mut records = Vec::new();
        while let Some(page) = reader.next().await? {
            records.extend(page.records);
        }
        if let Some(path) = &self.flow().order_by {
            super::gather::sort(&mut records, path);
        }
        let feed = Feed::given(records, Origin::Asked, self.batches);
        // Boxed, because a flow of children may have children of its own.
        Box::pin(self.drive(feed, attempts)).await?;
        self.check_budget(false)
    }

    /// Counts a batch where nothing is written, and tells the plan of it; returns the parents of children.
    fn foresee(&mut self, head: &Batch, mut planned: Vec<Planned>) -> Result<Vec<Record>, Stop> {
        match head.origin {
            Origin::Queue => self.summary.retried += planned.len() as u64,
            Origin::Source | Origin::Asked | Origin::Snapshot => self.summary.read += planned.len() as u64,
        }
        let recorder = Recorder::new(&self.context, self.id);
        for one in &mut planned {
            // A run would have written what it tried again when the stream brings it once more.
            if head.origin != Origin::Queue && self.foreseen.again.contains(&one.item.key) {
                one.decision = Decision::Duplicate;
            }
            recorder.log(&one.item.key, &one.decision);
            count_decision(&one.decision, false, &mut self.summary);
            if let Decision::Update(update) = &one.decision {
                self.summary.field_changes += update.changes.len() as u64;
            }
            match (head.origin, &one.decision) {
                (Origin::Queue, _) => {
                    self.foreseen.again.insert(one.item.key.clone());
                }
                (_, Decision::Create | Decision::Update(_) | Decision::UpdateAll(_)) => {
                    self.foreseen.changed += 1;
                }
                (_, Decision::Delete { .. }) => self.foreseen.deleted += 1,
                _ => {}
            }
        }
        if let Some(collector) = &self.context.collector {
            collector.planned(&self.context, self.id, &planned)?;
        }
        Ok(parents(planned.iter()))
    }

    /// Tells the plan what the flow's guard would refuse.
    fn foresee_guard(&self) -> Result<(), Stop> {
        let (Some(collector), Some(guard)) = (&self.context.collector, guard_of(self.flow())) else {
            return Ok(());
        };
        let linked = self
            .context
            .state
            .link_count(self.context.flow_ref(self.flow()))?;
        let Foreseen { changed, deleted, .. } = self.foreseen;
        let changed = changed + collector.references(self.id);
        let refusal = refusal(self.flow(), CHANGED, changed, guard.change_at_most, linked)
            .or_else(|| refusal(self.flow(), DELETED, deleted, guard.delete_at_most, linked));
        if let Some(refusal) = refusal {
            collector.refused(&refusal);
        }
        Ok(())
    }

    fn check_budget(&self, at_end: bool) -> Result<(), Stop> {
        check_rejects(&self.flow().rejects.allow, &self.summary, at_end)
    }
}

/// Whether single records of a stream can be read by key.
pub(crate) fn readable_by_key(context: &Context, stream: StreamRef) -> bool {
    let stream = context.stream(stream);
    stream.get.is_some()
        || stream
            .find
            .iter()
            .any(|find| find.by.source() == stream.key.source())
}

/// The records that have a counterpart now, or would have: what their children belong to.
fn parents<'p>(planned: impl Iterator<Item = &'p Planned>) -> Vec<Record> {
    planned
        .filter(|planned| {
            matches!(
                planned.decision,
                Decision::Create | Decision::Update(_) | Decision::Unchanged { .. }
            )
        })
        .map(|planned| planned.item.record.clone())
        .collect()
}
