//! Trouble on the wire: limits, failing servers, expiring tokens, torn answers, cut connections. Nothing is lost, nothing
//! is written twice.

use serde_json::{Value, json};

use crate::rig::{Ran, Rig};

/// A run under these faults ends as if there were none.
#[track_caller]
fn survives(rig: &Rig, faults: &[(&str, Value)]) -> Ran {
    for (system, faults) in faults {
        rig.faults(system, faults);
    }
    let ran = rig.run(&[]).expect(0);
    for (system, _) in faults {
        let left = rig.control(system, "GET", "faults", &Value::Null);
        assert_eq!(left, json!([]), "faults that met no request of {system}");
    }
    rig.assert_in_step();
    ran
}

#[test]
fn refusals_with_429_are_waited_out() {
    let rig = Rig::new(30);
    survives(
        &rig,
        &[
            (
                "zendesk",
                json!([{"match": "GET /api/v2/incremental", "status": 429, "retry_after": 1, "body": "Number of allowed incremental ticket export API requests per minute exceeded"}]),
            ),
            (
                "oro",
                json!([{"match": "POST", "status": 429, "retry_after": 1, "after": 3, "times": 2}]),
            ),
        ],
    );
}

#[test]
fn failing_servers_are_asked_again() {
    let rig = Rig::new(30);
    survives(
        &rig,
        &[
            (
                "zendesk",
                json!([{"match": "GET /api/v2/incremental", "status": 503}]),
            ),
            (
                "oro",
                json!([{"match": "GET", "status": 502, "times": 2}, {"match": "POST", "status": 503, "retry_after": 0, "after": 5}]),
            ),
        ],
    );
}

#[test]
fn a_token_that_expires_is_renewed() {
    let rig = Rig::new(30);
    survives(
        &rig,
        &[
            ("oro", json!([{"match": "POST", "status": 401, "after": 4}])),
            (
                "zendesk",
                json!([{"match": "GET /api/v2/incremental", "status": 401}]),
            ),
        ],
    );
}

#[test]
fn torn_answers_are_read_again() {
    let rig = Rig::new(30);
    survives(
        &rig,
        &[
            (
                "zendesk",
                json!([{"match": "GET /api/v2/incremental", "torn": true}]),
            ),
            ("oro", json!([{"match": "GET", "torn": true, "times": 2}])),
        ],
    );
}

#[test]
fn a_create_whose_answer_was_lost_is_not_repeated() {
    let rig = Rig::new(30);
    survives(
        &rig,
        &[(
            "oro",
            json!([{"match": "POST /admin/api/cases", "cut_after_write": true, "after": 2, "times": 2}]),
        )],
    );
}

#[test]
fn connections_that_are_cut_before_anything_happened_are_made_again() {
    let rig = Rig::new(30);
    survives(
        &rig,
        &[
            (
                "zendesk",
                json!([{"match": "GET /api/v2/incremental", "cut": true}]),
            ),
            (
                "oro",
                json!([{"match": "POST /admin/api/cases", "cut": true, "after": 3}]),
            ),
        ],
    );
}

#[test]
#[ignore = "waits out a minute of back-off"]
fn a_system_that_stays_away_ends_the_run_with_5_and_the_next_run_goes_on() {
    let rig = Rig::new(30);
    rig.faults(
        "oro",
        &json!([{"match": "GET /admin/api/users", "status": 502, "times": 1000}]),
    );
    rig.run(&[]).expect(5);
    rig.control("oro", "DELETE", "faults", &Value::Null);

    rig.run(&[]).expect(0);

    rig.assert_in_step();
}

#[test]
fn refused_credentials_end_the_run_with_6() {
    let rig = Rig::new(10);
    let (name, _) = rig
        .environment()
        .into_iter()
        .find(|(name, _)| name.starts_with("ORO") && name.ends_with("SECRET"))
        .unwrap();
    let output = rig
        .command(&["run", crate::rig::PIPELINE])
        .env(name, "wrong-secret-value")
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(6),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!said.contains("wrong-secret-value"), "{said}");
}
