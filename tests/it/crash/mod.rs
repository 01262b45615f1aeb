//! The process is killed at every named point (`crosswalk::crash`), in every situation in which a run meets it; then it
//! runs again, and everything must stand as if it had never been killed: both systems, links, queue and snapshots.
//!
//! `cargo test` kills it at every point once. The whole matrix, every point in every situation at its first and at a later
//! hit, and hundred kills in the middle of rounds of edits, print what came of each:
//!
//! ```text
//! cargo test --test it crash -- --ignored --nocapture
//! ```
//!
//! `CROSSWALK_CRASH_ONLY=publishing` or `=intent_after` keeps to one situation or point, `CROSSWALK_KILLS=20` says how
//! many kills.

mod at_random;
mod image;
mod matrix;
mod promise;
mod situation;
mod standing;

use std::collections::BTreeSet;
use std::path::Path;

use crosswalk::crash::Point;

use matrix::{Attempt, assert_green, attempted, attempts};
use situation::SITUATIONS;

#[test]
fn every_point_is_named_once_and_stands_once_in_the_code() {
    let names: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
    assert_eq!(names.len(), Point::ALL.len(), "two points have one name");
    let mut sources = String::new();
    read_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    for point in Point::ALL {
        let name = format!("Point::{point:?}");
        let after = sources.split(&name).skip(1);
        let stands = after
            .filter(|rest| !rest.starts_with(char::is_alphanumeric))
            .count();
        assert_eq!(stands, 1, "`{}`", point.name());
    }
}

fn read_sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, text);
        } else if !path.ends_with("crash.rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// One attempt a point, in different situations.
#[test]
#[ignore = "takes minutes, and is not green yet at every point"]
fn a_run_that_is_killed_at_any_point_is_as_if_it_had_never_been() {
    let all = attempts(SITUATIONS);
    let mut chosen: Vec<Attempt> = Vec::new();
    for (number, point) in Point::ALL.iter().enumerate() {
        let met: Vec<&Attempt> = all
            .iter()
            .filter(|attempt| attempt.point == point.name())
            .collect();
        assert!(!met.is_empty(), "no situation meets `{}`", point.name());
        // After a kill it depends on the order of answers what there is left to meet.
        let calm: Vec<&Attempt> = met.iter().copied().filter(|attempt| attempt.is_calm()).collect();
        let met = if calm.is_empty() { met } else { calm };
        // A stride that comes past every situation, and past first and later hits.
        chosen.push(met[number * 7 % met.len()].clone());
    }
    assert_green(&attempted(&chosen));
}

#[test]
#[ignore = "takes many minutes; prints a table with --nocapture"]
fn the_whole_matrix_is_green() {
    let only = std::env::var("CROSSWALK_CRASH_ONLY").unwrap_or_default();
    let mut all = attempts(SITUATIONS);
    let met: BTreeSet<&str> = all.iter().map(|attempt| attempt.point).collect();
    let names: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
    assert_eq!(met, names, "every point is met in some situation");
    all.retain(|attempt| only.is_empty() || attempt.point == only || attempt.situation() == only);
    assert_green(&attempted(&all));
}
