//! `crosswalk plan`, and runs that keep to a plan: it says what a run then does, writes nothing, and is executed exactly or
//! not at all.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::children;
use crate::oracle::rows;
use crate::rig::{PIPELINE, Ran, Rig};
use crate::two_way::{edit_case, open_tickets, sync};

/// A plan as JSON, with this exit code.
#[track_caller]
fn planned(rig: &Rig, pipeline: &str, options: &[&str], code: i32) -> Value {
    let mut arguments = vec!["plan", pipeline, "--format", "json", "--quiet"];
    if pipeline == PIPELINE {
        arguments.extend(["--flow", "cases"]);
    }
    arguments.extend_from_slice(options);
    serde_json::from_str(&rig.crosswalk(&arguments).expect(code).stdout).unwrap()
}

/// A plan as text.
fn shown(rig: &Rig, options: &[&str]) -> Ran {
    let mut arguments = vec!["plan", PIPELINE, "--quiet", "--flow", "cases"];
    arguments.extend_from_slice(options);
    rig.crosswalk(&arguments)
}

fn items<'p>(plan: &'p Value, kind: &str) -> Vec<&'p Value> {
    let items = plan["items"].as_array().unwrap();
    items.iter().filter(|item| item["kind"] == kind).collect()
}

fn field<'p>(item: &'p Value, name: &str) -> &'p Value {
    let fields = item["fields"].as_array().unwrap();
    fields
        .iter()
        .find(|field| field["name"] == name)
        .unwrap_or(&Value::Null)
}

fn linked(tickets: usize) -> Rig {
    let rig = Rig::new(tickets);
    sync(&rig, &[]).expect(0);
    rig
}

fn rename(rig: &Rig, ticket: u64, subject: &str) {
    rig.edit(
        "zendesk",
        &json!({"tickets": [{"id": ticket, "subject": subject}]}),
    );
}

/// A linked rig in which a ticket and the case of another one were renamed; the two tickets.
fn edited() -> (Rig, u64, u64) {
    let rig = linked(20);
    let open = open_tickets(&rig, 2);
    rename(&rig, open[0], "moved by the agent");
    edit_case(&rig, open[1], &json!({"subject": "moved in the office"}), &[]);
    rig.forget_requests();
    (rig, open[0], open[1])
}

#[track_caller]
fn assert_nothing_written(rig: &Rig) {
    for system in ["zendesk", "oro"] {
        assert_eq!(rig.writes(system), [""; 0], "{system}");
    }
}

#[test]
fn a_plan_says_what_a_run_then_does_and_leaves_nothing_behind() {
    let rig = Rig::new(20);
    let plan = planned(&rig, PIPELINE, &[], 0);

    assert_nothing_written(&rig);
    assert_eq!(rig.written_files().len(), 0, "neither state nor snapshots");
    assert_eq!(plan["complete"], true);
    let created = items(&plan, "create");
    let references = items(&plan, "create_reference");
    let waits = created
        .iter()
        .filter_map(|item| field(item, "relatedContact.id")["unknown"].as_str())
        .count();
    assert!(waits >= references.len() && !references.is_empty(), "{plan}");
    assert!(references.iter().all(|item| item["to"] == "oro.contacts"));

    let ran = sync(&rig, &[]).expect(0);

    assert_eq!(created.len() as u64, ran.count("cases.to_local.created"));
    let summary = ran.summary["flows"].as_array().unwrap();
    let made: u64 = summary
        .iter()
        .filter_map(|flow| flow["references_created"]["oro_contact"].as_u64())
        .sum();
    assert_eq!(references.len() as u64, made);
    let quiet = planned(&rig, PIPELINE, &[], 0);
    assert_eq!(quiet["items"], json!([]));
    shown(&rig, &[]).expect(0).says("nothing would be written");
}

#[test]
fn private_values_are_in_no_form_of_a_plan() {
    let rig = Rig::new(20);
    let people = rig.state("zendesk");
    let emails: Vec<String> = rows(&people, "tickets")
        .into_values()
        .filter_map(|ticket| {
            let person = &people["users"][ticket["requester_id"].to_string()];
            Some(person["email"].as_str()?.trim().to_lowercase())
        })
        .collect();
    assert!(emails.len() > 5);
    let out = ["--out", "plan.json", "--all"];
    let text = shown(&rig, &out).expect(0).stdout;
    let json = planned(&rig, PIPELINE, &[], 0).to_string();
    for (form, told) in [("text", text), ("JSON", json), ("file", rig.read("plan.json"))] {
        assert!(told.contains("relatedContact.id"), "{form} is no plan");
        let told = told.to_lowercase();
        let leaked = emails.iter().find(|email| told.contains(email.as_str()));
        assert_eq!(leaked, None, "in the {form}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(rig.path("plan.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_plan_is_executed_exactly_and_once() {
    let (rig, first, second) = edited();
    let plan = planned(&rig, PIPELINE, &["--out", "plan.json"], 0);
    assert_nothing_written(&rig);
    let changes = items(&plan, "update");
    let said: Vec<(&str, &Value, &Value)> = changes
        .iter()
        .map(|item| {
            let direction = item["direction"].as_str().unwrap();
            (
                direction,
                &item["fields"][0]["before"],
                &item["fields"][0]["after"],
            )
        })
        .collect();
    assert_eq!(changes.len(), 2, "{plan}");
    assert!(
        said.iter()
            .any(|(to, _, after)| *to == "to_local" && **after == "moved by the agent")
    );
    assert!(
        said.iter()
            .any(|(to, _, after)| *to == "to_remote" && **after == "moved in the office")
    );
    assert!(said.iter().all(|(_, before, _)| before.is_string()));

    rig.run_whole(&["--plan", "plan.json"]).expect(0);

    for (system, to) in [("oro", "to_local"), ("zendesk", "to_remote")] {
        let targets: BTreeSet<&str> = changes
            .iter()
            .filter(|item| item["direction"] == to)
            .map(|item| item["target"].as_str().unwrap())
            .collect();
        let written = rig.writes(system);
        assert_eq!(written.len(), targets.len(), "{written:?}");
        let named = |target: &&str| written.iter().any(|request| request.contains(*target));
        assert!(targets.iter().all(named), "{targets:?} {written:?}");
    }
    let tickets = rig.state("zendesk")["tickets"].clone();
    assert_eq!(tickets[first.to_string()]["subject"], "moved by the agent");
    assert_eq!(tickets[second.to_string()]["subject"], "moved in the office");
    rig.forget_requests();
    rig.run_whole(&["--plan", "plan.json"])
        .expect(8)
        .says("has been made since");
    assert_nothing_written(&rig);
}

#[test]
fn a_plan_is_refused_when_anything_has_moved() {
    let (rig, first, _) = edited();
    shown(&rig, &["--out", "plan.json"]).expect(0);
    let whole = rig.read("plan.json");
    let refused = |options: &[&str], why: &str| {
        let mut arguments = vec!["--plan", "plan.json"];
        arguments.extend_from_slice(options);
        rig.run_whole(&arguments).expect(8).says(why);
        assert_nothing_written(&rig);
    };

    refused(&["--set", "publish=all"], "parameter `publish` has another value");
    refused(&["--state", "other.db"], "another state file");
    for (file, why) in [
        (PIPELINE, "the pipeline file has changed"),
        (
            "mappings/connectors/oro.yaml",
            "`connectors/oro.yaml` has changed",
        ),
    ] {
        let text = rig.read(file);
        rig.write(file, &format!("{text}\n# looked at\n"));
        refused(&[], why);
        rig.write(file, &text);
    }
    rig.write("plan.json", "what is to be done: nothing\n");
    refused(&[], "it is not a plan of crosswalk");
    rig.write(
        "plan.json",
        &whole.replacen("\"crosswalk_plan\":1", "\"crosswalk_plan\":2", 1),
    );
    refused(&[], "it has version 2");
    rig.write(
        "plan.json",
        &whole.replacen("moved by the agent", "moved by somebody", 1),
    );
    refused(&[], "it is damaged or was changed");
    let cut: Vec<&str> = whole.lines().collect();
    rig.write("plan.json", &format!("{}\n", cut[..cut.len() - 1].join("\n")));
    refused(&[], "it is damaged or was changed");
    rig.write("plan.json", &whole);
    rename(&rig, first, "moved once more");
    refused(
        &[],
        &format!("`cases.to_local` {first}: is still to be changed, with other values"),
    );
    rename(&rig, first, "moved by the agent");
    rig.run_whole(&["--plan", "nowhere.json"]).expect(2);
    rig.run_whole(&["--plan", "plan.json"]).expect(0);
}

#[test]
fn what_stands_against_each_other_is_told_with_its_winner() {
    let rig = linked(20);
    let id = open_tickets(&rig, 1)[0];
    rename(&rig, id, "of the ticket");
    edit_case(&rig, id, &json!({"subject": "of the case"}), &[]);

    let plan = planned(&rig, PIPELINE, &[], 0);
    let subject = field(items(&plan, "update")[0], "subject").clone();
    assert_eq!(subject["conflict"]["winner"], "remote");
    assert_eq!(
        (&subject["before"], &subject["after"]),
        (&json!("of the case"), &json!("of the ticket"))
    );
    assert_eq!(
        items(&plan, "update").len(),
        1,
        "both passes meet the pair, and it counts once"
    );
    shown(&rig, &[])
        .expect(0)
        .says("\"of the case\" -> \"of the ticket\"  (both sides had changed: remote wins, policy)");
    let coloured = shown(&rig, &["--color", "always"]).expect(0);
    assert!(
        coloured.stdout.contains("\u{1b}[33m~\u{1b}[0m"),
        "{}",
        coloured.stdout
    );

    rig.replace(PIPELINE, "conflict: remote_wins ", "conflict: hold ");
    let plan = planned(&rig, PIPELINE, &[], 3);
    let held = items(&plan, "hold");
    assert_eq!(held.len(), 1, "{plan}");
    assert_eq!(held[0]["held"][0]["remote"], "\"of the ticket\"");
    assert_eq!(held[0]["held"][0]["local"], "\"of the case\"");
    assert!(items(&plan, "update").is_empty());
}

#[test]
fn children_of_records_that_do_not_exist_yet_are_unknown_and_then_written() {
    let rig = children::rig();
    let pipeline = "mappings/children.yaml";
    let plan = planned(&rig, pipeline, &["--out", "plan.json"], 0);
    let unknown = items(&plan, "unknown");
    let expected = children::expected(&rig);
    let remarks: usize = expected.iter().map(|(_, remarks)| remarks.len()).sum();
    assert_eq!(unknown.len(), remarks, "{plan}");
    assert!(
        unknown
            .iter()
            .all(|item| item["flow"] == "remarks" && item["reason"]["code"] == "link_missing")
    );
    let calls = plan["calls"].as_array().unwrap();
    assert!(calls.iter().all(|calls| calls["at_least"] == true));

    children::run(&rig, &["--plan", "plan.json"]).expect(0);

    assert_eq!(children::remarks(&rig), expected);
    assert_eq!(planned(&rig, pipeline, &[], 0)["items"], json!([]));
}

#[test]
fn a_guard_holds_in_a_plan_too() {
    let (rig, ..) = edited();
    rig.replace(
        PIPELINE,
        "    on_frozen: hold\n",
        "    on_frozen: hold\n    guard: {change_at_most: 0}\n",
    );
    let plan = shown(&rig, &["--out", "plan.json"])
        .expect(8)
        .says("a run would be refused");
    assert!(plan.stdout.contains("to change in oro.cases"), "{}", plan.stdout);
    rig.run_whole(&["--plan", "plan.json"])
        .expect(8)
        .says("guard.change_at_most");
    assert_nothing_written(&rig);
    rig.run_whole(&["--plan", "plan.json", "--yes"]).expect(0);
    assert_eq!(rig.writes("oro").len(), 1);
}

/// What stands in the README between this line and the end of the block that follows.
const PICTURE: &str = "<!-- made by tests/it/plan.rs; UPDATE_GOLDEN=1 makes it anew -->\n\n```text\n";

/// The tickets of the pairs that a plan would touch.
fn touched(rig: &Rig) -> BTreeSet<u64> {
    let cases = rows(&rig.state("oro"), "cases");
    let ticket_of = |case: &str| {
        let key = cases[case]["attributes"]["externalId"].as_str().unwrap();
        key.strip_prefix("zd:").unwrap().parse().unwrap()
    };
    let plan = planned(rig, PIPELINE, &[], 3);
    let items = plan["items"].as_array().unwrap().iter();
    items
        .map(
            |item| match (item["direction"].as_str(), item["key"].as_str().unwrap()) {
                (Some("to_remote"), key) => ticket_of(key),
                (_, key) => key.parse().unwrap(),
            },
        )
        .collect()
}

#[test]
fn the_picture_in_the_readme_is_what_the_program_says() {
    let rig = Rig::new(60);
    // One request at a time, so that new records get their ids in the same order each time.
    rig.replace(
        "mappings/connectors/oro.yaml",
        "account: {at_once: 4}",
        "account: {at_once: 1}",
    );
    sync(&rig, &[]).expect(0);
    let tickets = open_tickets(&rig, 16);
    let cases: Vec<u64> = rows(&rig.state("oro"), "cases")
        .into_keys()
        .map(|id| id.parse().unwrap())
        .collect();
    let order = |seed: u64, count: u64, ids: &[u64]| json!({"seed": seed, "count": count, "fields": ["subject", "priority", "status"], "ids": ids});
    rig.control("zendesk", "POST", "edits", &order(1, 24, &tickets));
    rig.control("oro", "POST", "edits", &order(2, 16, &cases));
    rename(&rig, tickets[0], "Kettle leaks, again");
    edit_case(&rig, tickets[0], &json!({"subject": "Kettle leaks"}), &[]);
    let before = touched(&rig);
    assert!(before.len() < 30, "{} pairs", before.len());
    let now = rig.state("zendesk")["tickets"].clone();
    let others = 1..=60_u64;
    let open = |id: &u64| {
        let ticket = &now[id.to_string()];
        !before.contains(id) && matches!(ticket["status"].as_str(), Some("open" | "pending" | "new"))
    };
    for id in others.filter(open).take(30 - before.len()) {
        edit_case(&rig, id, &json!({"subject": format!("{id}: call back")}), &[]);
    }
    assert_eq!(touched(&rig).len(), 30, "pairs that a run would touch");

    let shown = shown(&rig, &[]).expect(3).stdout;

    // What is left of a limit depends on how fast this machine is.
    let timeless = |line: &str| match line.split_once("; left: ") {
        Some((front, _)) => format!("{front}; left: …\n"),
        None => format!("{line}\n"),
    };
    let timeless: String = shown.lines().map(timeless).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(PICTURE).expect("the picture's place");
    let (picture, after) = rest.split_once("```\n").unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{before}{PICTURE}{timeless}```\n{after}")).unwrap();
    } else {
        assert_eq!(timeless, picture, "UPDATE_GOLDEN=1 makes it anew");
    }
}
