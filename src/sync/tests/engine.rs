//! A run in miniature: passes over both sides, pages read ahead, intents, crashes; every decision is the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::model::{NEWCOMER, ROWS, in_step, policy, seen};
use super::world::{Put, Record, World};
use crate::compile::compiled::{OnAltered, PerSide, Side};
use crate::state::{PairBaseline, PairIntent, SideMark};
use crate::sync::{
    Action, Answered, Cause, Confirmed, Freshness, Observation, PairFacts, Reconciled, changed_last,
    freshness, is_precondition, reconcile, settle,
};

const PAGE: usize = 5;
/// The remote feed shows what is at least so old.
const LAG: SignedDuration = SignedDuration::from_secs(60);

/// A record as it was read, and when.
#[derive(Clone)]
struct Reading {
    record: Record,
    sequence: u64,
    at: Timestamp,
    by_key: bool,
}

/// The process died.
struct Crash;

/// A page of one side, read ahead; the cursor moves when it has been worked through.
struct Page {
    side: Side,
    readings: Vec<(usize, Reading)>,
    cursor: Option<Timestamp>,
}

/// What is left to read of a side, page by page.
type Left = Vec<(Vec<usize>, Option<Timestamp>)>;

pub(super) struct Engine {
    names: Arc<[String]>,
    sequence: u64,
    cursor: Timestamp,
    baselines: Vec<Option<PairBaseline>>,
    intents: Vec<(usize, PairIntent)>,
    /// Queue: pairs that were refused too often.
    retried: BTreeSet<usize>,
    /// Pairs that wait for somebody to become known.
    unresolved: BTreeMap<usize, String>,
}

impl Engine {
    pub(super) fn new(world: &mut World) -> Self {
        let names: Arc<[String]> = ROWS.iter().map(|row| format!("{row:?}")).collect();
        let baseline = |pair: usize, world: &World| {
            let value = |side: Side, row: usize| world.records[side][pair].cells[row].value.clone();
            let rows = (0..ROWS.len()).map(|row| {
                let (remote, local) = (value(Side::Remote, row), value(Side::Local, row));
                let mut known = in_step(PerSide {
                    remote: &remote,
                    local: &local,
                });
                known.fallback.local = world.tables.map(ROWS[row], Side::Local, &remote).is_fallback();
                known
            });
            PairBaseline {
                rows: rows.collect(),
                ..PairBaseline::unknown(Arc::clone(&names))
            }
        };
        let pairs = 0..world.nature.pairs;
        let mut unresolved = BTreeMap::new();
        for pair in pairs.clone().filter(|pair| !world.is_new(*pair)) {
            unresolved.insert(pair, world.records.remote[pair].cells[3].value.clone());
        }
        Engine {
            sequence: 0,
            cursor: Timestamp::from_second(0).unwrap(),
            baselines: pairs
                .map(|pair| (!world.is_new(pair)).then(|| baseline(pair, world)))
                .collect(),
            names,
            intents: Vec::new(),
            retried: BTreeSet::new(),
            unresolved,
        }
    }

    pub(super) fn is_held(&self, pair: usize, row: usize) -> bool {
        self.baselines[pair]
            .as_ref()
            .is_some_and(|baseline| baseline.rows[row].held)
    }

    pub(super) fn run(&mut self, world: &mut World, crashes: f64) {
        if self.passes(world, crashes).is_err() {
            world.bustle.crashes += 1;
        }
    }

    fn passes(&mut self, world: &mut World, crashes: f64) -> Result<(), Crash> {
        self.settle(world);
        let feed = world.feed(self.cursor, world.now - LAG);
        let remote: Left = feed
            .chunks(PAGE)
            .map(|page| {
                (
                    page.iter().map(|(_, pair)| *pair).collect(),
                    page.last().map(|(at, _)| *at),
                )
            })
            .collect();
        let all: Vec<usize> = (0..world.nature.pairs).collect();
        let local: Left = all.chunks(PAGE).map(|page| (page.to_vec(), None)).collect();
        let mut left = PerSide { remote, local }.map(std::collections::VecDeque::from);
        let mut ahead: PerSide<Option<Page>> = PerSide::default();
        loop {
            let open = |side: Side| !left[side].is_empty() || ahead[side].is_some();
            let side = match (open(Side::Remote), open(Side::Local)) {
                (false, false) => break,
                (true, true) if world.nature.interleaved && world.random.bool() => Side::Local,
                (true, _) => Side::Remote,
                (false, true) => Side::Local,
            };
            let next = left[side].pop_front().map(|(pairs, cursor)| {
                world.tick();
                let sequence = self.draw();
                let read = |pair: usize| Reading {
                    record: world.read(side, pair),
                    sequence,
                    at: world.now,
                    by_key: false,
                };
                Page {
                    side,
                    readings: pairs.into_iter().map(|pair| (pair, read(pair))).collect(),
                    cursor,
                }
            });
            if let Some(page) = std::mem::replace(&mut ahead[side], next) {
                self.page(world, page, crashes)?;
            }
        }
        let known: Vec<usize> = self
            .unresolved
            .iter()
            .filter(|(_, person)| world.tables.newcomer && *person == NEWCOMER)
            .map(|(pair, _)| *pair)
            .collect();
        // The queue survives a crash: an item goes when its pair is done with.
        for pair in known.into_iter().chain(self.retried.clone()) {
            self.retried.remove(&pair);
            self.pair(world, pair, None, crashes)?;
        }
        Ok(())
    }

    fn page(&mut self, world: &mut World, page: Page, crashes: f64) -> Result<(), Crash> {
        for (pair, reading) in page.readings {
            if self.differs(pair, page.side, &reading.record) {
                self.pair(world, pair, Some((page.side, reading)), crashes)?;
            }
        }
        self.cursor = self.cursor.max(page.cursor.unwrap_or(self.cursor));
        Ok(())
    }

    /// Whether a record is another than its baseline.
    fn differs(&self, pair: usize, side: Side, record: &Record) -> bool {
        let Some(baseline) = &self.baselines[pair] else {
            return true;
        };
        let rows = baseline.rows.iter().zip(&record.cells);
        rows.into_iter().any(|(row, cell)| {
            row.in_step
                .is_none_or(|in_step| in_step[side] != seen(&cell.value).digest)
        })
    }

    fn draw(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn read(&mut self, world: &World, side: Side, pair: usize) -> Reading {
        Reading {
            sequence: self.draw(),
            record: world.read(side, pair),
            at: world.now,
            by_key: true,
        }
    }

    /// One pair: read, judged, written; after a lost race again.
    fn pair(
        &mut self,
        world: &mut World,
        pair: usize,
        mut listed: Option<(Side, Reading)>,
        crashes: f64,
    ) -> Result<(), Crash> {
        for _ in 0..4 {
            world.tick();
            let mark = |side: Side| {
                self.baselines[pair]
                    .as_ref()
                    .map(|baseline| &baseline.sides[side])
            };
            let listed = listed.take().filter(|(side, reading)| {
                let version = reading.record.stamp.to_string();
                let observation = Observation {
                    sequence: reading.sequence,
                    version: Some(&version),
                    by_key: reading.by_key,
                };
                let fresh = freshness(&observation, mark(*side)) == Freshness::Evidence;
                world.bustle.stale += u32::from(!fresh);
                fresh
            });
            let readings = PerSide::by(|side: Side| match &listed {
                Some((read, reading)) if *read == side => reading.clone(),
                _ => self.read(world, side, pair),
            });
            world.tick();
            if self.round(world, pair, &readings, crashes)? {
                return Ok(());
            }
        }
        self.retried.insert(pair);
        Ok(())
    }

    /// Whether the pair is done with.
    fn round(
        &mut self,
        world: &mut World,
        pair: usize,
        readings: &PerSide<Reading>,
        crashes: f64,
    ) -> Result<bool, Crash> {
        let read = readings.as_ref().map(|reading| reading.record.clone());
        world.looked_at(pair, &read);
        let before = self.baselines[pair].clone();
        let before = before.unwrap_or_else(|| PairBaseline::unknown(Arc::clone(&self.names)));
        let marks = PerSide::by(|side: Side| {
            let version = Some(read[side].stamp.to_string());
            SideMark {
                sequence: readings[side].sequence.max(before.sides[side].sequence),
                own_write: before.sides[side].own_write && before.sides[side].version == version,
                version,
            }
        });
        let reconciled = decide(world, &before, &read, &marks);
        self.note(world, pair, &reconciled, &read);
        let mut baseline = reconciled.baseline(&self.names, marks);
        self.baselines[pair] = Some(baseline.clone());
        for to in [Side::Local, Side::Remote] {
            let rows = reconciled.rows_to(to);
            if rows.is_empty() {
                continue;
            }
            if !guarded(world, to, pair, &rows, &readings[to]) {
                world.bustle.refused += 1;
                world.pass(2_000);
                return Ok(false);
            }
            let puts = puts(world, &reconciled, &before, &read, to, &rows);
            let keys = PerSide::by(|_| Some(pair.to_string()));
            self.intents.push((pair, reconciled.intent(keys, to, &baseline)));
            if world.chance(crashes / 4.0) {
                return Err(Crash);
            }
            let answer = world.put(to, pair, &puts);
            if world.chance(crashes) {
                return Err(Crash);
            }
            let mark = SideMark {
                sequence: self.draw(),
                version: Some(answer.stamp.to_string()),
                own_write: true,
            };
            let answered: Vec<Answered> = rows
                .iter()
                .map(|row| Answered {
                    row: *row,
                    sent: None,
                    returned: Some(seen(&answer.cells[*row].value)),
                })
                .collect();
            let confirmed = reconciled.confirm(&mut baseline, to, mark, &answered);
            let altered = |(_, outcome): &&(usize, Confirmed)| {
                matches!(outcome, Confirmed::Altered(OnAltered::Follow | OnAltered::Accept))
            };
            world.bustle.altered += u32::try_from(confirmed.iter().filter(altered).count()).unwrap();
            self.baselines[pair] = Some(baseline.clone());
            self.intents.clear();
            world.tick();
        }
        Ok(true)
    }

    fn note(&mut self, world: &mut World, pair: usize, reconciled: &Reconciled, read: &PerSide<Record>) {
        self.unresolved.remove(&pair);
        for (row, verdict) in reconciled.verdicts().enumerate() {
            world.bustle.conflicts += u32::from(matches!(verdict.cause, Cause::Conflict(_)));
            world.bustle.resolved += u32::from(verdict.cause == Cause::Resolved);
            world.bustle.held += u32::from(verdict.action == Action::Hold);
            if verdict.unresolved.local {
                self.unresolved.insert(pair, read.remote.cells[row].value.clone());
            }
        }
    }

    /// What a dead run's open intents have done.
    fn settle(&mut self, world: &mut World) {
        for (pair, intent) in std::mem::take(&mut self.intents) {
            let reading = self.read(world, intent.to, pair);
            let mark = SideMark {
                sequence: reading.sequence,
                version: Some(reading.record.stamp.to_string()),
                own_write: true,
            };
            let present: Vec<_> = reading
                .record
                .cells
                .iter()
                .map(|cell| Some(seen(&cell.value)))
                .collect();
            let settled = settle(self.baselines[pair].take(), &intent, mark, &present);
            self.baselines[pair] = Some(settled.baseline);
            self.retried.insert(pair);
        }
    }
}

fn decide(
    world: &World,
    before: &PairBaseline,
    read: &PerSide<Record>,
    marks: &PerSide<SideMark>,
) -> Reconciled {
    let policies = ROWS.map(|row| policy(row, world.nature.policy));
    let facts: Vec<_> = ROWS
        .into_iter()
        .enumerate()
        .map(|(position, row)| {
            let values = read.as_ref().map(|record| record.cells[position].value.as_str());
            world.tables.facts(row, values, before.rows[position])
        })
        .collect();
    let changed_at = read.as_ref().map(|record| Some(record.stamp));
    let own = marks.as_ref().map(|mark| mark.own_write);
    let pair = PairFacts {
        newest: changed_last(changed_at, PerSide::default(), own),
        frozen: PerSide::default(),
    };
    reconcile(&policies, &facts, &pair)
}

/// The remote system refuses a write whose stamp is not the record's; the local one knows no such thing, so that its
/// record is read again just before.
fn guarded(world: &World, to: Side, pair: usize, rows: &[usize], reading: &Reading) -> bool {
    let now = world.read(to, pair);
    match to {
        Side::Remote => {
            let grain = SignedDuration::from_secs(1);
            is_precondition(reading.record.stamp, grain, reading.at) && now.stamp == reading.record.stamp
        }
        Side::Local => rows
            .iter()
            .all(|row| now.cells[*row].value == reading.record.cells[*row].value),
    }
}

fn puts(
    world: &World,
    reconciled: &Reconciled,
    before: &PairBaseline,
    read: &PerSide<Record>,
    to: Side,
    rows: &[usize],
) -> Vec<Put> {
    let verdicts: Vec<_> = reconciled.verdicts().collect();
    let put = |row: &usize| {
        let cause = read[to.other()].cells[*row].clone();
        let believed = read[to].cells[*row].value.clone();
        let given = world.tables.map(ROWS[*row], to, &cause.value);
        Put {
            row: *row,
            value: given.text().unwrap_or_default().to_owned(),
            fallback: given.is_fallback(),
            resolves: verdicts[*row].cause == Cause::Resolved,
            held: before.rows[*row].held,
            replaces_edit: before.rows[*row]
                .in_step
                .is_none_or(|in_step| in_step[to] != seen(&believed).digest),
            believed,
            cause,
        }
    };
    rows.iter().map(put).collect()
}
