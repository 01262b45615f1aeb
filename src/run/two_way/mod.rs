//! A two-way flow: two passes over one set of pairs, remote first.
//!
//! A pass takes the records of its side, in batches, through the rules of the direction that leaves it; what equals its
//! baseline needs nothing more. Of the others both sides are read by key, mapped to each other, and reconciled row by row
//! ([`crate::sync`]). What travels is loaded through the directions, each an ordinary flow, and one transaction moves
//! links, baselines, queue and cursor. A side is never assumed to equal its baseline, and the second pass starts when the
//! first one's writes are committed.

mod absent;
mod alone;
mod commit;
mod foresee;
mod gather;
mod judge;
mod look;
mod pair;
mod quiet;
mod trial;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::TryStreamExt;

use super::asked::{asked_of, parent_keys};
use super::batch::{Batch, Decision, Origin};
use super::context::Context;
use super::feed::{Feed, read_request};
use super::flow::{FlowRun, readable_by_key};
use super::guard::{CHANGED, DELETED, check_rejects, refusal};
use super::load::Loader;
use super::record::Recorder;
use super::spool::Spool;
use super::transform::transform;
use super::{FlowSummary, Stop};
use crate::compile::compiled::{Allowance, Flow, Guard, OnPairDeleted, PerSide, Side, TwoWay, TwoWayId};
use crate::connector::ReadRequest;
use crate::crash::{self, Point};
use crate::expression::Record;
use crate::state::{QueueItem, key_in_queue};
use absent::Seen;
use commit::Commit;
use gather::Gatherer;
use judge::Judge;
use look::Look;
use pair::Pair;
use quiet::{Sifted, sifted_ahead};
pub(crate) use trial::{Conflict, InStep, Tried, remember, try_pair};

/// Queue items and unresolved keys are tried again in batches of this size.
const RETRIED_AT_ONCE: usize = 500;
/// How often a pair is decided again after a lost race.
const MOST_ROUNDS: usize = 3;

/// A two-way flow that is being run.
pub(crate) struct TwoWayRun {
    context: Arc<Context>,
    id: TwoWayId,
    /// What each direction did, by the side that it writes: its records are those of the other side.
    pub(crate) summaries: PerSide<FlowSummary>,
    /// The cursor of each side before and after, as JSON text.
    pub(crate) cursors: PerSide<(Option<String>, Option<String>)>,
    /// Two-way flows over the children of its pairs.
    pub(crate) children: Vec<TwoWayRun>,
    /// One-way flows over the children of one side's records, by the side that they read.
    pub(crate) readers: PerSide<Vec<FlowRun>>,
    batches: u32,
    /// The side's stream is read although others read it too, from somewhere else.
    alone: PerSide<bool>,
    /// Records of each side of which a write's answer was lost in this run.
    lost: PerSide<Vec<String>>,
    /// What the pass that is under way has shown.
    seen: Option<Seen>,
    /// Pairs that a plan has decided about, by the key of either side's record.
    foreseen: PerSide<HashSet<String>>,
    /// What the pass would change, as far as a plan counts it.
    toll: Toll,
}

impl TwoWayRun {
    /// A flow that has done nothing yet.
    pub(crate) fn new(context: Arc<Context>, id: TwoWayId) -> Self {
        let way = &context.pipeline.two_way[id];
        let flows = &context.pipeline.flows;
        let summaries = PerSide::by(|side| FlowSummary::new(&flows[way.to[side]].name));
        let children = (0..context.pipeline.two_way.len())
            .filter(|child| {
                let child = &context.pipeline.two_way[*child];
                child.of == Some(id) && context.runs(child.to.local)
            })
            .map(|child| TwoWayRun::new(Arc::clone(&context), child))
            .collect();
        let reads = |side: Side| {
            let direction = way.to[side.other()];
            let flows = flows.iter().enumerate().filter(|(id, flow)| {
                flow.of == Some(direction) && flow.direction_of.is_none() && context.runs(*id)
            });
            flows
                .map(|(flow, _)| FlowRun::new(Arc::clone(&context), flow))
                .collect()
        };
        let readers = PerSide::by(reads);
        TwoWayRun {
            context,
            id,
            summaries,
            cursors: PerSide::default(),
            children,
            readers,
            batches: 0,
            alone: PerSide::default(),
            lost: PerSide::default(),
            seen: None,
            foreseen: PerSide::default(),
            toll: Toll::default(),
        }
    }

    /// The flow.
    pub(crate) fn way(&self) -> &TwoWay {
        &self.context.pipeline.two_way[self.id]
    }

    /// The direction that reads a side.
    fn leaving(&self, side: Side) -> &Flow {
        &self.context.pipeline.flows[self.way().to[side.other()]]
    }

    /// The sides whose records may travel.
    fn sources(&self) -> impl Iterator<Item = Side> + use<> {
        let direction = self.way().direction;
        Side::BOTH
            .into_iter()
            .filter(move |side| direction.writes(side.other()))
    }

    /// Runs the flow. The summaries say what was done even when it stops early.
    pub(crate) async fn run(&mut self) -> Result<(), Stop> {
        let only = self.context.options.only.clone();
        if !only.is_empty() {
            return self.run_asked(&only).await;
        }
        if self.context.options.from_run.is_some() {
            return Err(Stop::Refused(format!(
                "flow `{}` goes both ways: an earlier run's snapshot is old for both systems and is never evidence; run it without --from-run",
                self.way().name
            )));
        }
        for side in self.sources() {
            self.retry(side).await?;
        }
        for side in self.sources() {
            self.pass(side).await?;
            self.fall_in_step(side)?;
            self.settle_lost(side).await?;
            let summary = &self.summaries[side.other()];
            check_rejects(&self.leaving(side).rejects.allow, summary, true)?;
        }
        for child in &mut self.children {
            Box::pin(child.run_unled()).await?;
        }
        Ok(())
    }

    /// The passes of a flow of children over sides that are not read along their parents.
    async fn run_unled(&mut self) -> Result<(), Stop> {
        for side in self.sources() {
            self.retry(side).await?;
            if !self.is_led(side) {
                self.pass(side).await?;
            }
        }
        for side in self.sources() {
            self.settle_lost(side).await?;
            let summary = &self.summaries[side.other()];
            check_rejects(&self.leaving(side).rejects.allow, summary, true)?;
        }
        for child in &mut self.children {
            Box::pin(child.run_unled()).await?;
        }
        Ok(())
    }

    /// One pass over what a side has beyond its cursor. With a guard it is judged as a whole before the first write.
    async fn pass(&mut self, side: Side) -> Result<(), Stop> {
        let mut feed = self.pages(side)?;
        let options = &self.context.options;
        let unguarded = options.dry_run || options.yes || self.context.kept.is_some();
        if let (Some(guard), false) = (self.guard(side), unguarded) {
            let mut spool = Spool::new()?;
            let mut toll = Toll::default();
            while let Some(batch) = feed.next(&self.context).await? {
                spool.write(&batch)?;
                self.weigh(batch, side, &mut toll).await?;
            }
            if let Some(stop) = self.refusal(side, &guard, &toll)? {
                let summary = &mut self.summaries[side.other()];
                summary.read += toll.read;
                summary.unfinished += toll.read;
                return Err(stop);
            }
            feed = Feed::spool(spool.reader()?);
        }
        let before = read_request(&self.context, self.way().to[side.other()])?.cursor;
        let looks_for_absent = self.context.tries_again() && self.context.options.limit.is_none();
        self.seen = looks_for_absent.then(Seen::default);
        self.toll = Toll::default();
        self.drive(feed, side, &Retried::default()).await?;
        if let Some(seen) = self.seen.take() {
            self.note_absent(side, seen, before.as_ref()).await?;
        }
        self.foresee_guard(side)
    }

    /// The guard of a pass. What may delete and says nothing about it may not delete anything.
    fn guard(&self, side: Side) -> Option<Guard> {
        let deletes = Side::BOTH
            .into_iter()
            .any(|side| self.way().on_delete[side] == OnPairDeleted::Delete);
        let guard = self.leaving(side).guard.clone();
        guard.or(deletes.then_some(Guard {
            change_at_most: Allowance::Unlimited,
            delete_at_most: Allowance::Count(0),
        }))
    }

    /// Adds what a batch would change.
    async fn weigh(&self, batch: Batch, side: Side, toll: &mut Toll) -> Result<(), Stop> {
        toll.read += batch.records.len() as u64;
        let direction = self.way().to[side.other()];
        let at = batch.at;
        let transformed = transform(Arc::clone(&self.context), direction, batch, false).await?;
        let judge = Judge::new(&self.context, self.way());
        let mut pairs = Gatherer::new(&self.context, &judge, side)
            .gather(transformed.items, at, &Retried::default())
            .await?;
        for pair in &mut pairs {
            judge.judge(pair);
            toll.add(pair);
        }
        Ok(())
    }

    fn refusal(&self, side: Side, guard: &Guard, toll: &Toll) -> Result<Option<Stop>, Stop> {
        let flow = self.leaving(side);
        let linked = self.context.state.link_count(self.context.flow_ref(flow))?;
        let changed = refusal(flow, CHANGED, toll.changed, guard.change_at_most, linked);
        Ok(changed.or_else(|| refusal(flow, DELETED, toll.deleted, guard.delete_at_most, linked)))
    }

    /// Whether a side's records can be read only with their parents.
    fn needs_parents(&self, side: Side) -> bool {
        self.is_led(side) && !readable_by_key(&self.context, self.way().streams[side])
    }

    /// Whether a side's records are read with their parents.
    fn is_led(&self, side: Side) -> bool {
        self.context.stream(self.way().streams[side]).parent.is_some()
    }

    fn pages(&mut self, side: Side) -> Result<Feed, Stop> {
        let direction = self.way().to[side.other()];
        let request = read_request(&self.context, direction)?;
        let before = request
            .cursor
            .as_ref()
            .and_then(|cursor| serde_json::to_string(cursor).ok());
        self.cursors[side] = (before.clone(), before);
        let (feed, alone) = Feed::stream(&self.context, self.way().streams[side], request)?;
        self.alone[side] = alone;
        Ok(feed)
    }

    /// Brings a side's cursor in step with that of the flow which read its stream first.
    fn fall_in_step(&mut self, side: Side) -> Result<(), Stop> {
        let options = &self.context.options;
        if !self.alone[side] || options.dry_run || options.limit.is_some() {
            return Ok(());
        }
        if let Some(end) = self.context.shared.end(self.way().streams[side]) {
            Recorder::new(&self.context, self.way().to[side.other()]).set_cursor(&end)?;
            self.cursors[side].1 = serde_json::to_string(&end).ok();
        }
        Ok(())
    }

    /// Works on the records of these keys, each named with its connection or stream where both sides could be meant.
    async fn run_asked(&mut self, asked: &[String]) -> Result<(), Stop> {
        for side in self.sources() {
            let keys = asked_of(&self.context, self.way().streams[side], Some(side), asked);
            if keys.is_empty() {
                continue;
            }
            let (records, gone) = self.read_or_gone(side, &keys).await?;
            if let (Some(key), Some(publish)) = (gone.first(), &self.context.options.publish)
                && publish.flow == self.way().name
            {
                return Err(Stop::Refused(format!(
                    "flow `{}`: there is no {} record `{key}`, so that nothing was published",
                    self.way().name,
                    side.name()
                )));
            }
            for key in &gone {
                tracing::warn!(flow = %self.way().name, side = side.name(), key, "A record that was asked for does not exist.");
            }
            self.drive(Feed::given(records, Origin::Asked, 0), side, &Retried::default())
                .await?;
            self.part(side, &gone, Origin::Asked, &Retried::default()).await?;
        }
        for child in &mut self.children {
            // A key without a stream's name before it is that of a parent, whose children come with it.
            let names = child.way().streams.map(|stream| {
                let stream_name = child.context.stream(stream).name.clone();
                [child.context.stream_name(stream), stream_name]
            });
            let is_named = |key: &&String| {
                key.split_once(':').is_some_and(|(name, _)| {
                    Side::BOTH
                        .into_iter()
                        .any(|side| names[side].iter().any(|own| own == name))
                })
            };
            let named: Vec<String> = asked.iter().filter(is_named).cloned().collect();
            if !named.is_empty() {
                Box::pin(child.run_asked(&named)).await?;
            }
        }
        Ok(())
    }

    async fn read(&self, side: Side, keys: &[String]) -> Result<Vec<Record>, Stop> {
        let stream = self.way().streams[side];
        Ok(self
            .context
            .connection(stream)
            .get_many(stream.stream, keys)
            .await?)
    }

    /// Tries the queue's items of a side again, and the pairs in which a fallback stands, from fresh reads.
    async fn retry(&mut self, side: Side) -> Result<(), Stop> {
        if !self.context.tries_again() {
            return Ok(());
        }
        let most = self.leaving(side).rejects.retry_at_most;
        let mut after: Option<String> = None;
        loop {
            self.context.may_go_on()?;
            let items = self.context.state.queue_retryable(
                self.context.flow_ref(self.leaving(side)),
                Some(most),
                after.as_deref(),
                RETRIED_AT_ONCE,
            )?;
            let Some(last) = items.last() else { break };
            after = Some(last.key.clone());
            let parents = match self.needs_parents(side) {
                true => parent_keys(&items),
                false => Vec::new(),
            };
            let mut retried = Retried::default();
            let mut keys = Vec::new();
            for item in items {
                if let Some(key) = key_in_queue(side, &item.key) {
                    keys.push(key.to_owned());
                    retried.add(item);
                }
            }
            if self.needs_parents(side) {
                self.again_with_parents(side, &parents, &retried).await?;
            } else {
                self.again(side, &keys, &retried).await?;
            }
        }
        let resolved = match side {
            // Only what can be written again is worth a question.
            Side::Remote if !self.needs_parents(side) => self.resolved().await?,
            Side::Remote | Side::Local => Vec::new(),
        };
        for keys in resolved.chunks(RETRIED_AT_ONCE) {
            self.again(side, keys, &Retried::default()).await?;
        }
        Ok(())
    }

    /// Remote keys of pairs in which a fallback can be replaced by what is found now.
    async fn resolved(&self) -> Result<Vec<String>, Stop> {
        let found = self.context.lookups.resolved_fallbacks(&self.way().name).await?;
        let mut keys: Vec<String> = found.into_iter().map(|fallback| fallback.source).collect();
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// Reads the children of these parents again.
    async fn again_with_parents(
        &mut self,
        side: Side,
        parents: &[String],
        retried: &Retried,
    ) -> Result<(), Stop> {
        let Some(of) = self.way().of.filter(|_| !parents.is_empty()) else {
            return Ok(());
        };
        let stream = self.context.pipeline.two_way[of].streams[side];
        let parents = self
            .context
            .connection(stream)
            .get_many(stream.stream, parents)
            .await?;
        self.run_led(side, &parents, Origin::Queue, retried).await
    }

    async fn again(&mut self, side: Side, keys: &[String], retried: &Retried) -> Result<(), Stop> {
        if keys.is_empty() {
            return Ok(());
        }
        let (records, gone) = self.read_or_gone(side, keys).await?;
        self.drive(Feed::given(records, Origin::Queue, self.batches), side, retried)
            .await?;
        self.part(side, &gone, Origin::Queue, retried).await
    }

    /// Takes batches of one side through the stages: some are mapped ahead while one is reconciled and loaded.
    async fn drive(&mut self, feed: Feed, side: Side, retried: &Retried) -> Result<(), Stop> {
        let context = Arc::clone(&self.context);
        let ahead = context.options.workers.max(1);
        let mut batches = std::pin::pin!(sifted_ahead(Arc::clone(&context), self.id, side, feed, ahead));
        while let Some(sifted) = batches.try_next().await? {
            context.may_go_on()?;
            self.batches = self.batches.max(sifted.batch.head.number);
            if let Some(seen) = &mut self.seen {
                seen.batch(
                    &sifted,
                    &context
                        .stream(self.context.pipeline.two_way[self.id].streams[side])
                        .key,
                );
            }
            self.work(sifted, side, retried).await?;
            let summary = &self.summaries[side.other()];
            check_rejects(&self.leaving(side).rejects.allow, summary, false)?;
        }
        Ok(())
    }

    /// One batch of one side: pairs gathered, judged, loaded and committed.
    async fn work(&mut self, sifted: Sifted, from: Side, retried: &Retried) -> Result<(), Stop> {
        let Sifted { batch, quiet } = sifted;
        let context = Arc::clone(&self.context);
        let way = &context.pipeline.two_way[self.id];
        let summary = &mut self.summaries[from.other()];
        batch.coverage.add_to(
            &context.pipeline.enums,
            &mut summary.enum_coverage,
            &mut summary.unknown_values,
        );
        match batch.head.origin {
            Origin::Queue => summary.retried += quiet.len() as u64,
            Origin::Source | Origin::Asked | Origin::Snapshot => summary.read += quiet.len() as u64,
        }
        summary.unchanged += quiet.len() as u64;
        if let (Some(writer), false) = (&context.writer, context.options.dry_run) {
            for rows in &batch.rows {
                writer.append(rows)?;
            }
        }
        let judge = Judge::new(&context, way);
        let mut pairs = Gatherer::new(&context, &judge, from)
            .gather(batch.items, batch.head.at, retried)
            .await?;
        for pair in &mut pairs {
            judge.judge(pair);
        }
        crash::at(Point::Reconciled);
        if context.options.dry_run {
            let mut parents = self.foresee(&batch.head, from, &judge, &mut pairs)?;
            parents.extend(quiet);
            return self.run_children(from, &parents).await;
        }
        let mut commit = Commit::new(&context, way, from, batch.head, retried);
        let stop = self.load(&mut pairs, &judge, &mut commit).await?;
        let mut parents = commit.finish(&pairs, stop.is_some(), &mut self.summaries)?;
        parents.extend(quiet);
        let lost = pairs.iter().filter(|pair| pair.lost);
        self.lost[from].extend(lost.map(|pair| pair.key().to_owned()));
        if let Some(stop) = stop {
            return Err(stop);
        }
        self.run_children(from, &parents).await?;
        if let Some(cursor) = commit.move_cursor()? {
            self.cursors[from].1 = Some(cursor);
        }
        Ok(())
    }

    /// Makes the writes of the pairs, each side's in turn; a pair that lost a race is read and judged again.
    async fn load(
        &mut self,
        pairs: &mut [Pair],
        judge: &Judge<'_>,
        commit: &mut Commit<'_>,
    ) -> Result<Option<Stop>, Stop> {
        let context = Arc::clone(&self.context);
        let way = &context.pipeline.two_way[self.id];
        let mut stop = None;
        for round in 1..=MOST_ROUNDS {
            for to in Side::BOTH {
                let look = Look::new(&context, judge, to);
                look.wait_for_stamps(pairs).await?;
                for chosen in look.portions(pairs) {
                    look.last(pairs, &chosen).await?;
                    let (positions, planned) = judge.planned(pairs, to, &chosen);
                    if planned.is_empty() {
                        continue;
                    }
                    let loaded = Loader::of_direction(&context, way.to[to]).load(planned).await?;
                    stop = commit.loaded(judge, pairs, &positions, to, loaded, &mut self.summaries)?;
                    if stop.is_some() {
                        return Ok(stop);
                    }
                }
            }
            let raced: Vec<usize> = pairs
                .iter()
                .enumerate()
                .filter(|(_, pair)| pair.raced)
                .map(|(position, _)| position)
                .collect();
            if raced.is_empty() {
                break;
            }
            for position in raced {
                let Some(pair) = pairs.get_mut(position) else {
                    continue;
                };
                if round == MOST_ROUNDS {
                    pair.give_up(MOST_ROUNDS);
                } else {
                    Gatherer::new(&context, judge, pair.from).again(pair).await?;
                    judge.judge(pair);
                }
            }
        }
        Ok(stop)
    }

    /// Settles the writes whose answers were lost, and judges their pairs again.
    async fn settle_lost(&mut self, side: Side) -> Result<(), Stop> {
        let keys = std::mem::take(&mut self.lost[side]);
        if keys.is_empty() {
            return Ok(());
        }
        super::settle::settle(&self.context).await?;
        if self.needs_parents(side) {
            // Each was counted as rejected; it waits in the queue, and is found settled there.
            let again = keys.len() as u64;
            let summary = &mut self.summaries[side.other()];
            summary.duplicate += again.min(summary.rejected);
            summary.rejected -= again.min(summary.rejected);
            return self.retry(side).await;
        }
        for keys in keys.chunks(RETRIED_AT_ONCE) {
            let records = self.read(side, keys).await?;
            // Each was counted as rejected; now it is a record that came twice.
            let again = records.len() as u64;
            let summary = &mut self.summaries[side.other()];
            summary.duplicate += again.min(summary.rejected);
            summary.rejected -= again.min(summary.rejected);
            let feed = Feed::given(records, Origin::Queue, self.batches);
            self.drive(feed, side, &Retried::default()).await?;
        }
        Ok(())
    }

    /// The children of a batch's records, before its cursor moves.
    async fn run_children(&mut self, from: Side, parents: &[Record]) -> Result<(), Stop> {
        for reader in &mut self.readers[from] {
            reader.run_children(parents, &HashMap::new()).await?;
        }
        for child in &mut self.children {
            if child.sources().any(|side| side == from) && child.is_led(from) {
                child
                    .run_led(from, parents, Origin::Asked, &Retried::default())
                    .await?;
            }
        }
        Ok(())
    }

    /// A pass over the children of these records.
    async fn run_led(
        &mut self,
        side: Side,
        parents: &[Record],
        origin: Origin,
        retried: &Retried,
    ) -> Result<(), Stop> {
        let mut request = ReadRequest::default();
        for parent in parents {
            if let Ok(value) = parent.value() {
                request.parents.push(value.into_owned());
            }
        }
        if request.parents.is_empty() {
            return Ok(());
        }
        let stream = self.way().streams[side];
        let mut reader = self.context.connection(stream).read(stream.stream, request);
        let mut records = Vec::new();
        while let Some(page) = reader.next().await? {
            records.extend(page.records);
        }
        if let Some(path) = &self.leaving(side).order_by {
            super::gather::sort(&mut records, path);
        }
        let feed = Feed::given(records, origin, self.batches);
        // Boxed, because children may have children of their own.
        Box::pin(self.drive(feed, side, retried)).await
    }
}

/// What a pass would change.
#[derive(Debug, Default)]
struct Toll {
    read: u64,
    changed: u64,
    deleted: u64,
}

impl Toll {
    fn add(&mut self, pair: &Pair) {
        for to in Side::BOTH {
            match &pair.plan[to] {
                Some(Decision::Create | Decision::Update(_) | Decision::Set { .. }) => self.changed += 1,
                Some(Decision::Delete { .. }) => self.deleted += 1,
                _ => {}
            }
        }
    }
}

/// What the queue knows of records that are tried again, by their keys there.
#[derive(Debug, Default)]
pub(crate) struct Retried {
    /// How often each was tried.
    attempts: HashMap<String, u32>,
    /// What a person has chosen for held rows.
    rulings: HashMap<String, Vec<(String, Side)>>,
}

impl Retried {
    fn add(&mut self, item: QueueItem) {
        let chosen = item
            .held_rows
            .into_iter()
            .filter_map(|held| Some((held.row, held.ruling?)));
        let chosen: Vec<(String, Side)> = chosen.collect();
        if !chosen.is_empty() {
            self.rulings.insert(item.key.clone(), chosen);
        }
        self.attempts.insert(item.key, item.attempts);
    }
}
