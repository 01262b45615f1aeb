//! Rounds of edits on both sides, made by a seed, with everything that can go wrong; every edit's fate is followed.
//!
//! `fates` foretells what becomes of edits made between runs. In the long soak `people` edit between and during runs, `history` judges each write of the program by what it had been shown, `tables`
//! says without the engine what corresponds. A round that fails names its seed, the record, the field and its history.

mod fates;
mod history;
mod people;
mod tables;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::rig::{PIPELINE, Ran, Rig};

pub(crate) use history::History;
pub(crate) use people::{People, wait};

/// The export lags a minute behind by the systems' own clock, which only the test moves.
const LAG_SECONDS: u64 = 60;
/// How many times faster than real time the stand-ins' limits are.
const TIME_SCALE: u64 = 600;
/// How many runs it may take until everything that waits has travelled.
const RUNS_TO_REST: usize = 8;

/// Two systems, people, and the history of all that they do.
pub(crate) struct Soak {
    pub(crate) rig: Rig,
    pub(crate) people: People,
    pub(crate) history: History,
    seed: u64,
    /// What a failure is told with.
    round: u64,
}

impl Soak {
    /// Tickets that have their cases, and nothing to do.
    pub(crate) fn new(seed: u64, tickets: usize) -> Self {
        let rig = Rig::new(tickets);
        // Small pages, so that some are read ahead; limits are other tests' subject.
        rig.replace(
            "mappings/connectors/zendesk.yaml",
            "per_page: 1000",
            "per_page: 9",
        );
        rig.replace(
            "mappings/connectors/oro.yaml",
            "\"page[size]\": 100",
            "\"page[size]\": 11",
        );
        rig.replace(
            PIPELINE,
            "base_url: \"{{ env.ZENDESK_URL }}\"}",
            "base_url: \"{{ env.ZENDESK_URL }}\", requests_per_minute: 60000, exports_per_minute: 60000, updates_per_minute: 60000}",
        );
        rig.control(
            "zendesk",
            "POST",
            "settings",
            &json!({"account_limit": 100_000, "export_limit": 100_000, "update_limit": 100_000,
                "export_lag_seconds": LAG_SECONDS * TIME_SCALE}),
        );
        wait(&rig, 2 * LAG_SECONDS);
        let history = History::new(&rig.state("zendesk"), &rig.state("oro"));
        rig.control("zendesk", "POST", "chronicle", &Value::Null);
        let mut soak = Soak {
            rig,
            people: People::new(seed),
            history,
            seed,
            round: 0,
        };
        soak.run(&[]).expect(0);
        soak.check();
        soak
    }

    /// One run while nobody edits.
    pub(crate) fn run(&mut self, options: &[&str]) -> Ran {
        let ran = self.rig.run_pipeline(PIPELINE, options);
        self.follow();
        balanced(&ran);
        ran
    }

    /// One run while people edit.
    pub(crate) fn run_amid_edits(&mut self, options: &[&str]) -> Ran {
        let pairs = self.history.pairs();
        let done = AtomicBool::new(false);
        let (rig, people, round) = (&self.rig, &self.people, self.round);
        let ran = std::thread::scope(|scope| {
            let child = rig.start_pipeline(PIPELINE, options);
            scope.spawn(|| people.during(rig, &pairs, round, &done));
            let ran = rig.finish(child);
            done.store(true, Ordering::Release);
            ran
        });
        self.follow();
        balanced(&ran);
        ran
    }

    /// Takes in what happened since the last time.
    pub(crate) fn follow(&mut self) {
        let told = self.rig.control("zendesk", "GET", "chronicle", &Value::Null);
        self.history.follow(told["events"].as_array().unwrap());
    }

    /// One round: edits, rules, faults, a run amid more edits, and nothing that must not be.
    pub(crate) fn round(&mut self, round: u64) {
        self.round = round;
        self.people.between(&self.rig, &self.history, round);
        self.people.rules(&self.rig);
        self.people.faults(&self.rig);
        self.follow();
        let options = self.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let ran = self.run_amid_edits(&options);
        assert!(
            [0, 3].contains(&ran.code),
            "{}: exit code {}\n{}\n{}",
            self.told(),
            ran.code,
            ran.stdout,
            ran.stderr
        );
        People::calm(&self.rig);
        self.check();
    }

    fn options(&mut self) -> Vec<String> {
        let pairs = self.history.pairs();
        if self.people.chance(9) {
            let (ticket, _) = *self.people.one_of(&pairs);
            return vec!["--only".to_owned(), format!("zendesk:{ticket}")];
        }
        match self.people.chance(12) {
            true => vec!["--full".to_owned()],
            false => Vec::new(),
        }
    }

    /// Nobody edits any more: all that waits travels, both sides correspond, nothing is there twice, and a further run
    /// writes nothing.
    pub(crate) fn rest(&mut self) {
        People::calm(&self.rig);
        self.decide_held();
        let mut last = Value::Null;
        for run in 1.. {
            wait(&self.rig, 2 * LAG_SECONDS);
            self.rig.forget_requests();
            let ran = self.run(&[]);
            assert!([0, 3].contains(&ran.code), "{}\n{}", ran.stdout, ran.stderr);
            self.check();
            last = ran.summary;
            if self.writes().is_empty() {
                break;
            }
            let writes = self.writes();
            assert!(run < RUNS_TO_REST, "{}: still writing {writes:?}", self.told());
        }
        let held = self.waiting();
        let odds = self.history.at_odds(&held);
        let queue = self.rig.queue(PIPELINE);
        assert!(
            odds.is_empty(),
            "{}: at odds:\n{}\n{queue:?}\n{last}",
            self.told(),
            odds.join("\n")
        );
        let doubles = History::doubles(&self.rig.state("zendesk"), &self.rig.state("oro"));
        assert!(doubles.is_empty(), "{}: twice: {doubles:?}", self.told());
    }

    fn writes(&self) -> Vec<String> {
        [self.rig.writes("zendesk"), self.rig.writes("oro")].concat()
    }

    /// Nothing has happened that must not.
    #[track_caller]
    pub(crate) fn check(&self) {
        let harm = self.history.harm();
        assert!(harm.is_empty(), "{}:\n{}", self.told(), harm.join("\n"));
    }

    fn told(&self) -> String {
        format!(
            "seed {}, round {}, `{}`",
            self.seed, self.round, self.history.policy
        )
    }

    /// Tickets of which something waits for a person, or cannot be written any more.
    fn waiting(&self) -> BTreeSet<u64> {
        let items = self.rig.queue(PIPELINE);
        items.iter().filter_map(|item| ticket_of(&item["key"])).collect()
    }

    /// A person lets the tickets win wherever the program asks.
    fn decide_held(&mut self) {
        for item in self.rig.queue(PIPELINE) {
            let key = item["key"].as_str().unwrap();
            if item["kind"] == "held" && item["held_rows"].as_array().is_some_and(|rows| !rows.is_empty()) {
                let decided = ["queue", "resolve", PIPELINE, key, "--winner", "remote"];
                self.rig.crosswalk(&decided).expect(0);
                if let Some(ticket) = ticket_of(&item["key"]) {
                    self.history.rule(ticket);
                }
            }
        }
    }

    /// Another policy from now on.
    fn follow_policy(&mut self, policy: &str) {
        let word = |policy: &str| format!("conflict: {policy} ");
        self.rig
            .replace(PIPELINE, &word(&self.history.policy), &word(policy));
        policy.clone_into(&mut self.history.policy);
    }
}

fn ticket_of(key: &Value) -> Option<u64> {
    let key = key.as_str()?;
    key.strip_prefix("remote:").unwrap_or(key).parse().ok()
}

/// Every record of a run has one outcome.
#[track_caller]
fn balanced(ran: &Ran) {
    for flow in ran.summary["flows"].as_array().into_iter().flatten() {
        let sum = |names: &[&str]| {
            names
                .iter()
                .map(|name| flow[*name].as_u64().unwrap())
                .sum::<u64>()
        };
        let outcomes = [
            "created",
            "updated",
            "deleted",
            "unchanged",
            "duplicate",
            "filtered",
            "skipped",
            "rejected",
            "held",
            "waiting",
            "unfinished",
        ];
        assert_eq!(sum(&["read", "retried"]), sum(&outcomes), "{flow}");
    }
}

/// So many rounds under each policy in turn, with a rest after every few.
fn rounds(seed: u64, rounds: u64, rest_after: u64) {
    let mut soak = Soak::new(seed, 30);
    let policies = ["remote_wins", "local_wins", "newest_wins", "hold"];
    for round in 0..rounds {
        if round.is_multiple_of(rest_after) {
            soak.rest();
            let turn = usize::try_from(seed + round / rest_after).unwrap() % policies.len();
            soak.follow_policy(policies[turn]);
        }
        soak.round(round);
    }
    soak.rest();
    println!("seed {seed}, {rounds} rounds: {:?}", soak.history.counts);
    assert!(soak.history.counts["edits"] > 4 * rounds && soak.history.counts["writes"] > rounds);
}

/// `cargo test --test it many_rounds -- --ignored`
#[test]
#[ignore = "takes a minute on a busy machine"]
fn every_edit_of_many_rounds_has_its_fate() {
    rounds(4, 4, 2);
}

/// `CROSSWALK_SOAK_ROUNDS=500 CROSSWALK_SOAK_SEED=1 cargo test --test it soak -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes; CROSSWALK_SOAK_ROUNDS says how many rounds (default 500), CROSSWALK_SOAK_SEED which"]
fn every_edit_of_very_many_rounds_has_its_fate() {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    rounds(
        number("CROSSWALK_SOAK_SEED").unwrap_or(1),
        number("CROSSWALK_SOAK_ROUNDS").unwrap_or(500),
        10,
    );
}
