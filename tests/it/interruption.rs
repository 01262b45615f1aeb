//! Interruption: signals, kills, and two runs at once.

use std::process::{Child, Command};

use serde_json::{Value, json};

use crate::oracle::{actual, expected};
use crate::rig::{PIPELINE, Rig};

/// Starts a run and lets it get into the middle of its writes, which are slow enough for that.
fn in_the_middle(rig: &Rig) -> Child {
    rig.faults(
        "oro",
        &json!([{"match": "POST /admin/api/cases", "delay_ms": 100, "times": 1000}]),
    );
    let child = rig.start(&[]);
    rig.wait_until("some cases are written", || actual(&rig.state("oro")).len() >= 5);
    child
}

pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[track_caller]
fn completes(rig: &Rig) {
    rig.control("oro", "DELETE", "faults", &Value::Null);
    rig.run(&[]).expect(0);
    rig.assert_in_step();
}

#[test]
fn sigterm_ends_with_143_and_the_next_run_goes_on() {
    let rig = Rig::new(60);
    let child = in_the_middle(&rig);
    signal(&child, "TERM");
    let ran = rig.finish(child).expect(143);
    assert!(ran.stdout.contains("interrupted"), "{}", ran.stdout);
    assert!(actual(&rig.state("oro")).len() < expected(&rig.state("zendesk"), &rig.state("oro")).len());
    completes(&rig);
}

#[test]
fn sigint_ends_with_130() {
    let rig = Rig::new(60);
    let child = in_the_middle(&rig);
    signal(&child, "INT");
    rig.finish(child).expect(130);
    completes(&rig);
}

#[test]
fn a_killed_run_loses_and_repeats_nothing() {
    let rig = Rig::new(60);
    let child = in_the_middle(&rig);
    signal(&child, "KILL");
    rig.finish(child);
    completes(&rig);
}

#[test]
fn a_second_run_at_the_same_time_is_refused_with_7() {
    let rig = Rig::new(60);
    let child = in_the_middle(&rig);
    let second = rig.crosswalk(&["run", PIPELINE]).expect(7);
    assert!(
        (second.stdout + &second.stderr).contains("another run"),
        "the reason is not said"
    );
    signal(&child, "TERM");
    rig.finish(child);
    completes(&rig);
}
