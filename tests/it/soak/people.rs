//! People and misfortunes, chosen by a seed: who edits what between and during runs, which business rules act, and what
//! goes wrong on the way to either system.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::history::History;
use crate::rig::Rig;

/// Each order of edits takes a seed of its own, so that every text is written once.
const ORDERS_A_ROUND: u64 = 1000;
/// Between two edits while the program works.
const BREATH: Duration = Duration::from_millis(12);

/// Everybody but the program.
pub(crate) struct People {
    seed: u64,
    random: fastrand::Rng,
}

impl People {
    pub(crate) fn new(seed: u64) -> Self {
        People {
            seed,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    pub(crate) fn chance(&mut self, of: u32) -> bool {
        self.random.u32(..of) == 0
    }

    pub(crate) fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.random.usize(..choices.len())]
    }

    fn order(&self, round: u64, number: u64) -> u64 {
        self.seed * 100_000_000 + round * ORDERS_A_ROUND + number
    }

    /// Edits on both sides before the program is started; now and then a new record, or the end of one.
    pub(crate) fn between(&mut self, rig: &Rig, history: &History, round: u64) {
        let pairs = history.pairs();
        for number in 0..4 {
            let order = self.order(round, number);
            edits(rig, order, 2, &pairs);
            wait(rig, *self.one_of(&[0, 1, 2, 20, 60]));
        }
        let order = self.order(round, 4);
        if self.chance(4) {
            let new = json!({"seed": order, "count": 1, "fields": ["create"]});
            rig.control("zendesk", "POST", "edits", &new);
        }
        if self.chance(5) {
            let new = json!({"seed": order, "count": 1, "fields": ["create"]});
            rig.control("oro", "POST", "edits", &new);
        }
        // Busy records are left alone, or there would soon be none.
        let Some(quiet) = pairs.get(busy(&pairs).len()..).filter(|quiet| quiet.len() > 12) else {
            return;
        };
        let (ticket, case) = *self.one_of(quiet);
        let (other, _) = *self.one_of(quiet);
        match self.random.u32(..24) {
            0 => drop(rig.edit("zendesk", &json!({"delete": [ticket]}))),
            1 if other != ticket => {
                drop(rig.edit("zendesk", &json!({"merge": [{"source": ticket, "into": other}]})));
            }
            2 => drop(rig.edit(
                "zendesk",
                &json!({"tickets": [{"id": ticket, "status": "closed"}]}),
            )),
            3 => drop(rig.edit("oro", &json!({"delete": {"cases": [case.to_string()]}}))),
            4 => {
                if let Some((user, email)) = history.tables.strangers() {
                    let known = json!({"users": [{"id": user, "attributes": {"email": email}}]});
                    rig.edit("oro", &known);
                }
            }
            _ => {}
        }
    }

    /// Edits while the program works, until it is done.
    pub(crate) fn during(&self, rig: &Rig, pairs: &[(u64, u64)], round: u64, done: &AtomicBool) {
        let mut random = fastrand::Rng::with_seed(self.order(round, 5));
        for number in 10..ORDERS_A_ROUND {
            if done.load(Ordering::Acquire) {
                return;
            }
            edits(rig, self.order(round, number), 1, pairs);
            wait(rig, [0, 0, 1, 3, 10][random.usize(..5)]);
            std::thread::sleep(BREATH * random.u32(1..6));
        }
    }

    /// Rules that act on every so-many-th write of the program, before its answer and after.
    pub(crate) fn rules(&mut self, rig: &Rig) {
        let low = json!({"data": {"type": "casepriorities", "id": "low"}});
        let helpdesk = [
            json!({"moment": "after", "every": 4, "set": {"priority": "urgent"}}),
            json!({"moment": "before", "every": 5, "set": {"subject": "helpdesk rule {n}"}}),
            json!({"moment": "before", "every": 6, "set": {"status": "hold"}}),
        ];
        let office = [
            json!({"moment": "after", "every": 4, "set": {"relationships": {"priority": low}}}),
            json!({"moment": "before", "every": 5, "set": {"attributes": {"subject": "office rule {n}"}}}),
        ];
        for (system, rules) in [("zendesk", &helpdesk[..]), ("oro", &office[..])] {
            let chosen: Vec<&Value> = rules.iter().filter(|_| self.random.bool()).collect();
            rig.control(system, "POST", "triggers", &json!(chosen));
        }
    }

    /// What goes wrong in one run, if anything.
    pub(crate) fn faults(&mut self, rig: &Rig) {
        const REFUSALS: [&str; 4] = [
            r#"{"error":"APIRateLimitExceeded","description":"Number of allowed API requests per minute exceeded"}"#,
            "You have exceeded the rate limit for updating a single unique user.",
            r#"{"detail":"Rate limited by Zendesk edge protection","status":"429","title":"Automated response"}"#,
            "Pagination limit reached for offset model",
        ];
        const PLACES: [(&str, &str); 8] = [
            ("zendesk", "GET /api/v2/incremental"),
            ("zendesk", "GET /api/v2/tickets"),
            ("zendesk", "PUT /api/v2/tickets/"),
            ("zendesk", "PUT /api/v2/tickets/"),
            ("zendesk", "POST /api/v2/tickets"),
            ("oro", "GET /admin/api/cases"),
            ("oro", "PATCH /admin/api/cases/"),
            ("oro", "PATCH /admin/api/cases/"),
        ];
        for _ in 0..self.random.u32(..4) {
            let (system, place) = *self.one_of(&PLACES);
            let mut fault = match self.random.u32(..9) {
                0 | 1 => json!({"status": 429, "body": self.one_of(&REFUSALS)}),
                2 => json!({"status": 503, "body": "<html><body>Service Unavailable</body></html>"}),
                3 => json!({"status": 500, "body": "{}"}),
                4 => json!({"torn": true}),
                5 => json!({"cut": true}),
                6 | 7 => json!({"cut_after_write": true}),
                _ => json!({"delay_ms": 60}),
            };
            fault["match"] = json!(place);
            fault["after"] = json!(self.random.u32(..3));
            rig.faults(system, &json!([fault]));
        }
    }

    /// Nothing goes wrong any more, and no rule acts.
    pub(crate) fn calm(rig: &Rig) {
        for system in ["zendesk", "oro"] {
            rig.control(system, "DELETE", "faults", &Value::Null);
            rig.control(system, "DELETE", "triggers", &Value::Null);
        }
    }
}

/// Time goes by in both systems.
pub(crate) fn wait(rig: &Rig, seconds: u64) {
    if seconds > 0 {
        rig.control("zendesk", "POST", "clock", &json!({"advance_seconds": seconds}));
    }
}

/// Some records are busier than others, so that edits meet.
fn busy(pairs: &[(u64, u64)]) -> &[(u64, u64)] {
    pairs.get(..6).unwrap_or(pairs)
}

/// So many edits in each system.
fn edits(rig: &Rig, order: u64, count: usize, pairs: &[(u64, u64)]) {
    let among = if order.is_multiple_of(3) {
        pairs
    } else {
        busy(pairs)
    };
    let (tickets, cases): (Vec<u64>, Vec<u64>) = among.iter().copied().unzip();
    let helpdesk = json!([
        "subject",
        "subject",
        "priority",
        "status",
        "assignee_id",
        "comment",
        "tags"
    ]);
    let office = json!([
        "subject",
        "subject",
        "priority",
        "status",
        "assignedTo",
        "comment",
        "resolution"
    ]);
    for (system, fields, ids, salt) in [("zendesk", helpdesk, tickets, 0), ("oro", office, cases, 1)] {
        let order = json!({"seed": 2 * order + salt, "count": count, "fields": fields, "ids": ids});
        rig.control(system, "POST", "edits", &order);
    }
}
