//! A small world of two systems, and what becomes of every edit that is made in it.
//!
//! Values carry the number of the edit that made them, which the engine cannot see; so it can be told exactly whether
//! a write destroyed an edit that the engine had not looked at, brought back a value that had been replaced, put a
//! coarser value over a finer one, or had no cause. That both sides agree and are quiet at the end shows none of it.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::engine::Engine;
use super::model::{ROWS, Row, Tables, domain};
use crate::compile::compiled::{PerSide, Policy, Side};

/// What kind of world it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nature {
    pub(super) policy: Policy,
    pub(super) pairs: usize,
    pub(super) rounds: usize,
    /// How often the process dies between a request and the commit of its answer.
    pub(super) crashes: f64,
    /// The passes overlap; the design has them one after the other, so this is the harder world.
    pub(super) interleaved: bool,
    /// Servers' rules act before the answer is written, so that it shows what they did.
    pub(super) triggers_in_answers: bool,
    /// Every fourth pair is new to the engine.
    pub(super) first_links: bool,
}

/// A field: what it holds and the edit that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) value: String,
    edit: u64,
}

/// A record as its system holds and shows it.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) cells: Vec<Cell>,
    /// In whole seconds.
    pub(super) stamp: Timestamp,
    changed: Timestamp,
}

/// What happened that must not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Harm {
    pub(super) edits_lost: u32,
    pub(super) old_values_back: u32,
    pub(super) finer_flattened: u32,
    pub(super) fallbacks_over_edits: u32,
    pub(super) writes_without_cause: u32,
    pub(super) held_rows_written: u32,
    pub(super) at_odds: u32,
    pub(super) noisy: u32,
}

/// How much happened, so that a test that sees nothing is noticed.
#[derive(Clone, Debug, Default)]
pub(super) struct Bustle {
    pub(super) edits: u32,
    pub(super) triggers: u32,
    pub(super) writes: u32,
    pub(super) conflicts: u32,
    pub(super) stale: u32,
    pub(super) refused: u32,
    pub(super) crashes: u32,
    pub(super) resolved: u32,
    pub(super) held: u32,
    pub(super) altered: u32,
}

pub(super) struct World {
    pub(super) nature: Nature,
    pub(super) random: fastrand::Rng,
    pub(super) now: Timestamp,
    pub(super) tables: Tables,
    pub(super) records: PerSide<Vec<Record>>,
    pub(super) harm: Harm,
    pub(super) bustle: Bustle,
    people: bool,
    last_edit: u64,
    /// Edits that have stood somewhere.
    stood: HashSet<(Side, usize, usize, u64)>,
    /// Edits that the engine has looked at and judged.
    judged: HashSet<(Side, usize, usize, u64)>,
}

/// One field that the engine writes.
pub(super) struct Put {
    pub(super) row: usize,
    pub(super) value: String,
    pub(super) fallback: bool,
    pub(super) resolves: bool,
    pub(super) held: bool,
    /// What the engine believes to replace.
    pub(super) believed: String,
    /// And that is not what was there when both sides were last in step.
    pub(super) replaces_edit: bool,
    /// The edit at the source that travels.
    pub(super) cause: Cell,
}

impl World {
    pub(super) fn new(seed: u64, nature: Nature) -> Self {
        let mut world = World {
            nature,
            random: fastrand::Rng::with_seed(seed),
            now: Timestamp::from_second(1_700_000_000).unwrap(),
            tables: Tables::default(),
            records: PerSide::default(),
            harm: Harm::default(),
            bustle: Bustle::default(),
            people: true,
            last_edit: 0,
            stood: HashSet::new(),
            judged: HashSet::new(),
        };
        for pair in 0..nature.pairs {
            let mut cells: PerSide<Vec<Cell>> = PerSide::default();
            for (position, row) in ROWS.into_iter().enumerate() {
                let remote = world.any(row, Side::Remote);
                let tables = world.tables;
                let local = match tables.map(row, Side::Local, &remote).text() {
                    Some(text) if !world.is_new(pair) => text.to_owned(),
                    _ => world.any(row, Side::Local),
                };
                for (side, value) in [(Side::Remote, remote), (Side::Local, local)] {
                    let edit = world.edit();
                    world.stood.insert((side, pair, position, edit));
                    if !world.is_new(pair) {
                        world.judged.insert((side, pair, position, edit));
                    }
                    cells[side].push(Cell { value, edit });
                }
            }
            for side in Side::BOTH {
                let cells = std::mem::take(&mut cells[side]);
                let (stamp, changed) = (world.stamp(), world.now);
                world.records[side].push(Record {
                    cells,
                    stamp,
                    changed,
                });
            }
        }
        world
    }

    /// Whether the engine has no baseline of a pair at first.
    pub(super) fn is_new(&self, pair: usize) -> bool {
        self.nature.first_links && pair.is_multiple_of(4)
    }

    fn any(&mut self, row: Row, side: Side) -> String {
        let choices = domain(row, side);
        choices[self.random.usize(..choices.len())].to_owned()
    }

    fn edit(&mut self) -> u64 {
        self.last_edit += 1;
        self.last_edit
    }

    fn stamp(&self) -> Timestamp {
        Timestamp::from_second(self.now.as_second()).unwrap()
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.random.f64() < share
    }

    pub(super) fn pass(&mut self, milliseconds: i64) {
        self.now += SignedDuration::from_millis(milliseconds);
    }

    /// Some time goes by, and somebody may edit something.
    pub(super) fn tick(&mut self) {
        let milliseconds = self.random.i64(0..500);
        self.pass(milliseconds);
        if self.people && self.chance(0.35) {
            self.somebody_edits();
        }
    }

    fn somebody_edits(&mut self) {
        // Some records are busier than others, so that edits meet.
        let busy = if self.random.bool() {
            self.nature.pairs
        } else {
            1 + self.nature.pairs / 8
        };
        let pair = self.random.usize(..busy);
        let side = if self.random.bool() {
            Side::Remote
        } else {
            Side::Local
        };
        let position = self.random.usize(..ROWS.len());
        let row = ROWS[position];
        let old = self.records[side][pair].cells[position].value.clone();
        let value = match row {
            Row::Subject | Row::Tag => {
                let space = if side == Side::Local && self.chance(0.2) {
                    " "
                } else {
                    ""
                };
                format!("edit {}{space}", self.last_edit + 1)
            }
            _ => loop {
                let value = self.any(row, side);
                if value != old {
                    break value;
                }
            },
        };
        self.change(side, pair, position, value.clone());
        self.bustle.edits += 1;
        self.server_rules(side, pair, position, &value);
    }

    fn change(&mut self, side: Side, pair: usize, row: usize, value: String) {
        let edit = self.edit();
        self.stood.insert((side, pair, row, edit));
        let (stamp, now) = (self.stamp(), self.now);
        let record = &mut self.records[side][pair];
        record.cells[row] = Cell { value, edit };
        record.stamp = stamp;
        record.changed = now;
    }

    /// The remote system's own rules: what is pending becomes urgent, what is opened may be put on hold.
    fn server_rules(&mut self, side: Side, pair: usize, row: usize, value: &str) {
        if side != Side::Remote || ROWS[row] != Row::Status {
            return;
        }
        let (row, becomes) = match value {
            "pending" => (1, "urgent"),
            "open" => (2, "hold"),
            _ => return,
        };
        let already = self.records.remote[pair].cells[row].value == becomes;
        if !already && self.chance(0.3) {
            self.bustle.triggers += 1;
            self.change(Side::Remote, pair, row, becomes.to_owned());
        }
    }

    pub(super) fn read(&self, side: Side, pair: usize) -> Record {
        self.records[side][pair].clone()
    }

    /// Pairs whose remote record changed after one moment and not after another, oldest change first.
    pub(super) fn feed(&self, after: Timestamp, until: Timestamp) -> Vec<(Timestamp, usize)> {
        let records = self.records.remote.iter().enumerate();
        let mut changed: Vec<(Timestamp, usize)> = records
            .filter(|(_, record)| record.changed > after && record.changed <= until)
            .map(|(pair, record)| (record.changed, pair))
            .collect();
        changed.sort_unstable();
        changed
    }

    /// The engine has judged a pair by these readings.
    pub(super) fn looked_at(&mut self, pair: usize, read: &PerSide<Record>) {
        for side in Side::BOTH {
            for (row, cell) in read[side].cells.iter().enumerate() {
                self.judged.insert((side, pair, row, cell.edit));
            }
        }
    }

    /// The engine writes; the answer is the record as it is then.
    pub(super) fn put(&mut self, side: Side, pair: usize, puts: &[Put]) -> Record {
        self.bustle.writes += 1;
        for put in puts {
            let old = self.records[side][pair].cells[put.row].clone();
            self.blame(side, pair, put, &old);
            let trims = side == Side::Remote && ROWS[put.row] == Row::Subject;
            let value = if trims {
                put.value.trim().to_owned()
            } else {
                put.value.clone()
            };
            let edit = put.cause.edit;
            for known in [&mut self.stood, &mut self.judged] {
                known.insert((side, pair, put.row, edit));
            }
            self.records[side][pair].cells[put.row] = Cell { value, edit };
        }
        let (stamp, now) = (self.stamp(), self.now);
        self.records[side][pair].stamp = stamp;
        self.records[side][pair].changed = now;
        let before = self.read(side, pair);
        for put in puts {
            self.server_rules(side, pair, put.row, &put.value);
        }
        if self.nature.triggers_in_answers {
            self.read(side, pair)
        } else {
            before
        }
    }

    /// What a write does to the edit that it replaces.
    fn blame(&mut self, side: Side, pair: usize, put: &Put, old: &Cell) {
        let row = ROWS[put.row];
        let place = |edit: u64| (side, pair, put.row, edit);
        let is_other = old.edit != put.cause.edit;
        // Away and back to the value that the engine believes to replace is no loss.
        if is_other && !self.judged.contains(&place(old.edit)) && old.value != put.believed {
            self.harm.edits_lost += 1;
        }
        // Where a fallback stands that was away and back, what it stood in for may come.
        if is_other && !put.resolves && self.stood.contains(&place(put.cause.edit)) {
            self.harm.old_values_back += 1;
        }
        let mut values = PerSide {
            remote: old.value.as_str(),
            local: old.value.as_str(),
        };
        values[side.other()] = &put.cause.value;
        let corresponded = self.tables.correspond(row, values);
        if corresponded && !put.resolves && put.value.trim() != old.value {
            self.harm.finer_flattened += 1;
        } else if corresponded || !is_other && !put.resolves {
            self.harm.writes_without_cause += 1;
        }
        if put.fallback && put.replaces_edit && !put.believed.is_empty() {
            self.harm.fallbacks_over_edits += 1;
        }
        self.harm.held_rows_written += u32::from(put.held);
    }
}

/// Lets a world live, then come to rest.
pub(super) fn live(seed: u64, nature: Nature) -> (Harm, Bustle) {
    let mut world = World::new(seed, nature);
    let mut engine = Engine::new(&mut world);
    for round in 0..nature.rounds {
        for _ in 0..world.random.usize(0..12) {
            world.tick();
        }
        world.tables.newcomer = round > nature.rounds / 2;
        engine.run(&mut world, nature.crashes);
        let pause = [1_000, 20_000, 90_000, 300_000][world.random.usize(..4)];
        world.pass(pause);
    }
    world.people = false;
    for _ in 0..6 {
        world.pass(400_000);
        engine.run(&mut world, 0.0);
    }
    let writes = world.bustle.writes;
    world.pass(400_000);
    engine.run(&mut world, 0.0);
    world.harm.noisy = world.bustle.writes - writes;
    for pair in 0..nature.pairs {
        for (position, row) in ROWS.into_iter().enumerate() {
            let values = world
                .records
                .as_ref()
                .map(|records| records[pair].cells[position].value.as_str());
            if !engine.is_held(pair, position) && !world.tables.at_peace(row, values) {
                world.harm.at_odds += 1;
            }
        }
    }
    (world.harm, world.bustle)
}

const WORLD: Nature = Nature {
    policy: Policy::RemoteWins,
    pairs: 24,
    rounds: 14,
    crashes: 0.0,
    interleaved: true,
    triggers_in_answers: false,
    first_links: true,
};

/// Worlds of every kind, under every policy.
fn natures() -> Vec<Nature> {
    let policies = [
        Policy::RemoteWins,
        Policy::LocalWins,
        Policy::NewestWins,
        Policy::Hold,
    ];
    let kinds = [
        WORLD,
        Nature {
            interleaved: false,
            triggers_in_answers: true,
            ..WORLD
        },
        Nature {
            crashes: 0.04,
            triggers_in_answers: true,
            ..WORLD
        },
        Nature {
            crashes: 0.04,
            first_links: false,
            ..WORLD
        },
    ];
    let all = policies
        .into_iter()
        .flat_map(|policy| kinds.map(|kind| Nature { policy, ..kind }));
    all.collect()
}

fn no_harm_in(seeds: std::ops::Range<u64>) {
    let mut bustle = Bustle::default();
    for nature in natures() {
        for seed in seeds.clone() {
            let (harm, seen) = live(seed, nature);
            assert_eq!(harm, Harm::default(), "seed {seed} in {nature:?}: {seen:?}");
            bustle.edits += seen.edits;
            bustle.triggers += seen.triggers;
            bustle.conflicts += seen.conflicts;
            bustle.stale += seen.stale;
            bustle.refused += seen.refused;
            bustle.crashes += seen.crashes;
            bustle.resolved += seen.resolved;
            bustle.held += seen.held;
            bustle.altered += seen.altered;
        }
    }
    // A world in which nothing happens proves nothing.
    let happened = [
        bustle.edits / 1000,
        bustle.triggers,
        bustle.conflicts,
        bustle.stale,
        bustle.refused,
        bustle.crashes,
        bustle.resolved,
        bustle.held,
        bustle.altered,
    ];
    assert!(happened.iter().all(|count| *count > 0), "{bustle:?}");
}

#[test]
fn no_edit_is_lost_and_all_comes_to_rest() {
    no_harm_in(0..4);
}

/// `cargo test --release --lib sync::tests::world -- --ignored`
#[test]
#[ignore = "the same for hundreds of seeds: minutes"]
fn no_edit_is_lost_in_many_worlds() {
    no_harm_in(100..400);
}
