//! Attempts: one point, one situation, one hit; what came of each, and the table of them all.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crosswalk::crash::Point;

use super::image::{Image, later};
use super::situation::Situation;
use super::standing::{Standing, assert_settled, assert_snapshots};
use crate::rig::Rig;

/// How many attempts are under way at once.
const AT_ONCE: usize = 3;

/// One kill.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) point: &'static str,
    hit: usize,
    image: Arc<Image>,
    /// How everything stands when nobody is killed.
    undisturbed: Arc<Standing>,
}

/// What came of one.
pub(super) struct Outcome {
    attempt: Attempt,
    /// Whether the point was met; a later hit may not be where requests overlap.
    met: bool,
    found: Result<(), String>,
}

impl Attempt {
    /// Whether its run comes after one that nobody killed.
    pub(super) fn is_calm(&self) -> bool {
        self.image.situation.after_kill.is_none()
    }

    pub(super) fn situation(&self) -> &'static str {
        self.image.situation.name
    }
}

/// Every point that a run of these situations meets, at its first and at a later hit.
pub(super) fn attempts(situations: &'static [Situation]) -> Vec<Attempt> {
    let found = Mutex::new(Vec::new());
    each(situations.len(), |number| {
        let image = Arc::new(Image::of(&situations[number]));
        let copied = image.copied();
        let undisturbed = if image.situation.after_kill.is_some() {
            let calm = image.copied();
            finish(&image, &calm.rig)
        } else {
            Standing::default()
        };
        image.begin(&copied.rig);
        let trace = image.traced(&copied.rig);
        let ended = ended(&image, &copied.rig);
        let undisturbed = Arc::new(match image.situation.after_kill {
            Some(_) => undisturbed,
            None => ended,
        });
        let mut attempts = Vec::new();
        for point in Point::ALL.iter().map(|point| point.name()) {
            let hits = trace.iter().filter(|met| *met == point).count();
            let later = hits / 2 + 1;
            let chosen = [
                (hits > 0).then_some(1),
                (later > 1 && later <= hits).then_some(later),
            ];
            attempts.extend(chosen.into_iter().flatten().map(|hit| Attempt {
                point,
                hit,
                image: Arc::clone(&image),
                undisturbed: Arc::clone(&undisturbed),
            }));
        }
        found.lock().unwrap().push((number, attempts));
    });
    let mut found = found.into_inner().unwrap();
    assert_eq!(found.len(), situations.len(), "a situation could not be set up");
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().flat_map(|(_, attempts)| attempts).collect()
}

/// Makes the attempts, and prints what came of them.
pub(super) fn attempted(attempts: &[Attempt]) -> Vec<Outcome> {
    let outcomes = Mutex::new(Vec::new());
    each(attempts.len(), |number| {
        let attempt = attempts[number].clone();
        let tried = catch_unwind(AssertUnwindSafe(|| attempt.make()));
        let (met, found) = match tried {
            Ok(met) => (met, Ok(())),
            Err(panic) => {
                let message = panic.downcast_ref::<String>().cloned();
                let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                (true, Err(message.unwrap_or_default()))
            }
        };
        outcomes
            .lock()
            .unwrap()
            .push((number, Outcome { attempt, met, found }));
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|(number, _)| *number);
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    println!("{:<18} {:<15} {:>4}  outcome", "point", "situation", "hit");
    for outcome in &outcomes {
        let Attempt { point, hit, .. } = &outcome.attempt;
        let word = match (&outcome.found, outcome.met) {
            (Err(message), _) => message.lines().next().unwrap_or_default(),
            (Ok(()), true) => "as undisturbed",
            (Ok(()), false) => "not met this time",
        };
        println!("{point:<18} {:<15} {hit:>4}  {word}", outcome.attempt.situation());
    }
    outcomes
}

#[track_caller]
pub(super) fn assert_green(outcomes: &[Outcome]) {
    let mut met: BTreeMap<&str, bool> = BTreeMap::new();
    let mut failed = Vec::new();
    for outcome in outcomes {
        let Attempt { point, hit, .. } = &outcome.attempt;
        *met.entry(point).or_default() |= outcome.met;
        if let Err(message) = &outcome.found {
            failed.push(format!(
                "{point}:{hit} in {}: {message}",
                outcome.attempt.situation()
            ));
        }
    }
    assert!(
        failed.is_empty(),
        "{} kills left traces:\n{}",
        failed.len(),
        failed.join("\n\n")
    );
    let dead: Vec<&&str> = met
        .iter()
        .filter(|(_, met)| !**met)
        .map(|(point, _)| point)
        .collect();
    assert!(dead.is_empty(), "never met: {dead:?}");
}

impl Attempt {
    /// Kills a run, lets the next ones finish, and compares; whether the point was met.
    fn make(&self) -> bool {
        let copied = self.image.copied();
        let rig = &copied.rig;
        self.image.begin(rig);
        let mut hit = self.hit;
        while !self.image.killed(rig, self.point, hit) {
            // The run went to its end; what is left has to be met from the beginning again.
            if hit == 1 {
                return false;
            }
            hit = 1;
        }
        finish(&self.image, rig).assert_is(&self.undisturbed);
        true
    }
}

/// Runs until everything is done, and says how it stands then.
fn finish(image: &Image, rig: &Rig) -> Standing {
    later(rig);
    let ran = image.run(rig);
    assert!(
        matches!(ran.code, 0 | 3),
        "it does not go on: {}{}",
        ran.stdout,
        ran.stderr
    );
    ended(image, rig)
}

/// One more run must find nothing to do.
fn ended(image: &Image, rig: &Rig) -> Standing {
    later(rig);
    rig.forget_requests();
    let ran = image.run(rig);
    assert!(
        matches!(ran.code, 0 | 3),
        "it does not end: {}{}",
        ran.stdout,
        ran.stderr
    );
    let writes = [rig.writes("zendesk"), rig.writes("oro")].concat();
    assert!(writes.is_empty(), "a quiet run writes: {writes:?}");
    assert_snapshots(rig, image.situation);
    assert_settled(rig, image.situation);
    image.standing(rig)
}

/// Does something for each number, several at a time.
fn each(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    work(number);
                }
            });
        }
    });
}
