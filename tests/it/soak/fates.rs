//! Rounds of edits on both sides, made by a seed. After every round each edit's fate is known: what one side changed
//! stands on both, what nobody changed stays to the letter, and where both changed the remote side wins.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::oracle::rows;
use crate::rig::Rig;
use crate::two_way::{assert_quiet, sync};

/// Field of the ticket, field of the case.
const FIELDS: [&str; 3] = ["subject", "priority", "status"];

/// What stands in one field of a pair: the ticket's value, the case's.
type Standing = BTreeMap<(u64, &'static str), (Value, Value)>;

fn standing(rig: &Rig) -> Standing {
    let tickets = rows(&rig.state("zendesk"), "tickets");
    let mut standing = Standing::new();
    for case in rows(&rig.state("oro"), "cases").into_values() {
        let key = case["attributes"]["externalId"].as_str();
        let Some(id) = key.and_then(|key| key.strip_prefix("zd:")) else {
            continue;
        };
        let ticket = &tickets[id];
        for field in FIELDS {
            let local = match field {
                "subject" => case["attributes"]["subject"].clone(),
                field => case["to_one"][field].clone(),
            };
            standing.insert((id.parse().unwrap(), field), (ticket[field].clone(), local));
        }
    }
    standing
}

fn to_local(field: &str, value: &Value) -> Value {
    match (field, value.as_str()) {
        ("priority", Some("urgent")) => json!("high"),
        ("priority", None) => json!("normal"),
        ("status", Some("new" | "hold")) => json!("open"),
        ("status", Some("pending")) => json!("in_progress"),
        ("status", Some("solved")) => json!("closed"),
        _ => value.clone(),
    }
}

fn to_remote(field: &str, value: &Value) -> Value {
    match (field, value.as_str()) {
        ("status", Some("in_progress")) => json!("pending"),
        ("status", Some("resolved" | "closed")) => json!("solved"),
        _ => value.clone(),
    }
}

/// Whether either table brings one value to the other.
fn correspond(field: &str, remote: &Value, local: &Value) -> bool {
    to_local(field, remote) == *local || to_remote(field, local) == *remote
}

#[track_caller]
fn assert_fates(round: u64, before: &Standing, edited: &Standing, after: &Standing) {
    for ((ticket, field), (remote, local)) in edited {
        let (old_remote, old_local) = &before[&(*ticket, *field)];
        let (new_remote, new_local) = &after[&(*ticket, *field)];
        let told = format!(
            "round {round}, `{field}` of ticket {ticket}: {old_remote} | {old_local}, edited to {remote} | {local}, now {new_remote} | {new_local}"
        );
        let (remote_changed, local_changed) = (old_remote != remote, old_local != local);
        let agree = correspond(field, remote, local);
        let (wanted_remote, wanted_local) = match (remote_changed, local_changed) {
            _ if agree => (remote.clone(), local.clone()),
            (false, true) => (to_remote(field, local), local.clone()),
            (true, _) => (remote.clone(), to_local(field, remote)),
            (false, false) => (remote.clone(), local.clone()),
        };
        assert_eq!((new_remote, new_local), (&wanted_remote, &wanted_local), "{told}");
    }
}

/// Tickets that can be edited, and their cases.
fn editable(rig: &Rig) -> (Vec<u64>, Vec<u64>) {
    let tickets = rows(&rig.state("zendesk"), "tickets");
    let open = |id: &str| {
        let ticket = &tickets[id];
        ticket["status"] != "closed" && ticket["status"] != "deleted"
    };
    let cases = rows(&rig.state("oro"), "cases").into_iter();
    let pairs = cases.filter_map(|(id, case)| {
        let ticket = case["attributes"]["externalId"].as_str()?.strip_prefix("zd:")?;
        open(ticket).then(|| (ticket.parse::<u64>().unwrap(), id.parse::<u64>().unwrap()))
    });
    pairs.unzip()
}

/// Stamps count in seconds, and the export of the helpdesk lags behind by a minute.
fn later(rig: &Rig) {
    for system in ["zendesk", "oro"] {
        rig.control(system, "POST", "clock", &json!({"advance_seconds": 90}));
    }
}

fn rounds(seed: u64, rounds: u64) {
    let rig = Rig::new(30);
    sync(&rig, &[]).expect(0);
    let (tickets, cases) = editable(&rig);
    for round in 0..rounds {
        let before = standing(&rig);
        let order = |salt: u64, ids: &[u64]| json!({"seed": seed + 2 * round + salt, "count": 12, "fields": FIELDS, "ids": ids});
        rig.control("zendesk", "POST", "edits", &order(0, &tickets));
        rig.control("oro", "POST", "edits", &order(1, &cases));
        let edited = standing(&rig);
        later(&rig);
        sync(&rig, &[]).expect(0);
        assert_fates(round, &before, &edited, &standing(&rig));
        later(&rig);
    }
    assert_quiet(&rig);
}

#[test]
fn what_becomes_of_every_edit_between_runs_is_foretold() {
    rounds(7, 6);
}
