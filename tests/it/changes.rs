//! Reading what changed where only some installations can filter by time: both kinds, one that becomes the other, and
//! records that are gone.

use serde_json::{Value, json};

use crate::oracle::rows;
use crate::rig::Rig;
use crate::two_way::{assert_quiet, sync};

const CONNECTOR: &str = "mappings/connectors/oro.yaml";

fn allow(rig: &Rig, allowed: bool) {
    rig.control("oro", "POST", "settings", &json!({"updated_at_filter": allowed}));
}

/// Questions for cases by the time of their change, since the log was cleared.
fn by_time(rig: &Rig) -> usize {
    let requests = rig.requests("oro");
    requests
        .iter()
        .filter(|request| request.starts_with("GET /admin/api/cases?") && request.contains("updatedAt"))
        .count()
}

/// Pages of cases that were read from the first one on.
fn from_the_start(rig: &Rig) -> usize {
    let requests = rig.requests("oro");
    requests
        .iter()
        .filter(|request| {
            request.starts_with("GET /admin/api/cases?")
                && !request.contains("filter")
                && request.contains("sort=id")
        })
        .count()
}

/// Cases of tickets, with their tickets.
fn cases(rig: &Rig) -> Vec<(String, String)> {
    let open = |ticket: &str| {
        let state = rig.state("zendesk");
        let ticket = &state["tickets"][ticket];
        ticket["status"] == "open" && ticket["subject"] != "SCRUBBED"
    };
    rows(&rig.state("oro"), "cases")
        .into_iter()
        .filter_map(|(id, case)| {
            let ticket = case["attributes"]["externalId"].as_str()?.strip_prefix("zd:")?;
            Some((id, ticket.to_owned()))
        })
        .filter(|(_, ticket)| open(ticket))
        .collect()
}

/// Edits cases, and sees the edits arrive with the next run.
#[track_caller]
fn edits_travel(rig: &Rig, cases: &[(String, String)], text: &str) {
    let edits: Vec<Value> = cases
        .iter()
        .map(|(id, _)| json!({"id": id, "attributes": {"subject": text}}))
        .collect();
    rig.edit("oro", &json!({ "cases": edits }));
    rig.forget_requests();
    sync(rig, &[]).expect(0);
    let state = rig.state("zendesk");
    for (_, ticket) in cases {
        assert_eq!(state["tickets"][ticket]["subject"], text, "{text}");
    }
}

#[test]
fn an_installation_without_the_filter_is_asked_once_and_then_read_whole() {
    let rig = Rig::new(20);
    sync(&rig, &[]).expect(0);
    assert_eq!(by_time(&rig), 1);
    let cases = cases(&rig);
    edits_travel(&rig, &cases[..2], "compared with what was known");
    assert_eq!((by_time(&rig), from_the_start(&rig)), (0, 1), "it is remembered");
    assert_quiet(&rig);
}

#[test]
fn an_installation_with_the_filter_shows_what_changed_and_what_is_new() {
    let rig = Rig::new(20);
    allow(&rig, true);
    sync(&rig, &[]).expect(0);
    let cases = cases(&rig);
    // Those of one edit bear the same second, which the next run begins with again.
    for text in ["one", "two", "three"] {
        edits_travel(&rig, &cases[..3], text);
        assert!(by_time(&rig) > 0);
        assert_eq!(from_the_start(&rig), 0);
    }
    edits_travel(&rig, &cases[1..], "four");
    assert_quiet(&rig);
}

#[test]
fn an_installation_that_changes_is_read_as_it_allows_and_loses_nothing() {
    let rig = Rig::new(20);
    rig.replace(CONNECTOR, "ask_every: 1d", "ask_every: 0s");
    sync(&rig, &[]).expect(0);
    let cases = cases(&rig);
    let mut texts = 0;
    for allowed in [false, true, true, false, false, true] {
        allow(&rig, allowed);
        texts += 1;
        edits_travel(&rig, &cases[..3], &format!("edit {texts}"));
    }
    // What is believed is wrong: the refusal says so, and everything is read instead.
    rig.replace(CONNECTOR, "ask_every: 0s", "ask_every: 1d");
    edits_travel(&rig, &cases[..3], "believed from now on");
    allow(&rig, false);
    edits_travel(&rig, &cases[..3], "and disappointed");
    assert_eq!(from_the_start(&rig), 1, "{:?}", rig.requests("oro"));
    edits_travel(&rig, &cases[..3], "not asked again");
    assert_eq!(by_time(&rig), 0);
    assert_quiet(&rig);
}

#[test]
fn a_case_that_is_gone_is_noticed_where_everything_is_read() {
    for allowed in [false, true] {
        let rig = Rig::new(20);
        allow(&rig, allowed);
        sync(&rig, &[]).expect(0);
        let cases = cases(&rig);
        let (gone, ticket) = &cases[0];
        rig.edit("oro", &json!({"delete": {"cases": [gone]}}));
        let noticed = sync(&rig, &[]).expect(0).count("cases.to_remote.deleted");
        assert_eq!(noticed, u64::from(!allowed), "filtered by time, nobody is missed");
        if allowed {
            rig.replace(CONNECTOR, "whole_every: 1d", "whole_every: 0s");
            let noticed = sync(&rig, &[]).expect(0).count("cases.to_remote.deleted");
            assert_eq!(noticed, 1);
        }
        rig.edit(
            "zendesk",
            &json!({"tickets": [{"id": ticket.parse::<u64>().unwrap(), "subject": "nobody's case"}]}),
        );
        sync(&rig, &[]).expect(0);
        let again = rows(&rig.state("oro"), "cases")
            .into_values()
            .filter(|case| case["attributes"]["externalId"] == format!("zd:{ticket}").as_str())
            .count();
        assert_eq!(again, 0, "what was deleted is not made again");
        assert_quiet(&rig);
    }
}
