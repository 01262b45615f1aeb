//! How everything stands after a run, without what may differ: ids that a system gives out, times, ids of runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crosswalk::snapshot::{PastRun, Stage, verify};
use serde_json::{Value, json};

use super::situation::Situation;
use crate::oracle::rows;
use crate::rig::Rig;

/// Records that there were before: their ids are theirs in every attempt.
pub(super) struct Known {
    tickets: BTreeSet<String>,
    cases: BTreeSet<String>,
}

/// Every fact as one line; what stands twice is there twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Standing(Vec<String>);

impl Known {
    pub(super) fn of(rig: &Rig) -> Known {
        Known {
            tickets: rows(&rig.state("zendesk"), "tickets").into_keys().collect(),
            cases: rows(&rig.state("oro"), "cases").into_keys().collect(),
        }
    }
}

impl Standing {
    pub(super) fn of(rig: &Rig, situation: &Situation, known: &Known) -> Standing {
        let systems = Systems::of(rig, known);
        let mut facts = Vec::new();
        systems.tickets(&mut facts);
        systems.cases(&mut facts);
        systems.people(&mut facts);
        for flow in status(rig, situation)["flows"].as_array().unwrap() {
            let name = flow["flow"].as_str().unwrap();
            let counts =
                ["links", "tombstones", "rejected", "held", "waiting"].map(|count| flow[count].to_string());
            let cursors = flow["cursors"].as_array().unwrap().len();
            facts.push(format!("flow {name}: {} and {cursors} cursors", counts.join(" ")));
            let arguments = [
                "links",
                "list",
                situation.pipeline,
                name,
                "--ended",
                "--format",
                "json",
            ];
            let listed = rig.crosswalk(&arguments);
            if listed.code == 0 && situation.called == "zendesk-oro" {
                let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
                for link in listed["links"].as_array().unwrap() {
                    let ticket = systems.ticket_name(&link["source"]);
                    let case = systems.case_name(&link["target"]);
                    facts.push(format!("link {ticket} - {case} {}", link["ended"]));
                }
            }
        }
        for item in rig.queue(situation.pipeline) {
            facts.push(format!(
                "queue {} {} {} {}",
                item["key"], item["kind"], item["code"], item["field"]
            ));
        }
        if let Ok(text) = fs::read_to_string(rig.path("out.ndjson")) {
            facts.push(text);
        }
        facts.sort();
        Standing(facts)
    }

    #[track_caller]
    pub(super) fn assert_is(&self, other: &Standing) {
        let mut differs = Vec::new();
        let mut counts: BTreeMap<&String, i32> = BTreeMap::new();
        self.0
            .iter()
            .for_each(|fact| *counts.entry(fact).or_default() += 1);
        other
            .0
            .iter()
            .for_each(|fact| *counts.entry(fact).or_default() -= 1);
        for (fact, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
            differs.push(format!("{count:+} {fact}"));
        }
        assert!(differs.is_empty(), "it stands otherwise:\n{}", differs.join("\n"));
    }
}

/// Both systems' records, and names for them that no attempt changes.
struct Systems<'k> {
    zendesk: Value,
    oro: Value,
    known: &'k Known,
}

impl<'k> Systems<'k> {
    fn of(rig: &Rig, known: &'k Known) -> Self {
        Systems {
            zendesk: rig.state("zendesk"),
            oro: rig.state("oro"),
            known,
        }
    }

    fn ticket_name(&self, id: &Value) -> String {
        let id = text(id);
        if self.known.tickets.contains(&id) {
            return format!("ticket {id}");
        }
        let external = text(&self.zendesk["tickets"][&id]["external_id"]);
        match external.strip_prefix("oro-case:") {
            Some(case) => format!("ticket of {}", self.case_name(&json!(case))),
            None => format!("ticket {external}"),
        }
    }

    fn case_name(&self, id: &Value) -> String {
        let id = text(id);
        if self.known.cases.contains(&id) {
            return format!("case {id}");
        }
        format!(
            "case {}",
            text(&self.oro["cases"][&id]["attributes"]["externalId"])
        )
    }

    fn person(&self, id: &Value) -> String {
        match id {
            Value::Null => "nobody".to_owned(),
            id => text(&self.zendesk["users"][text(id)]["email"]),
        }
    }

    fn tickets(&self, facts: &mut Vec<String>) {
        for (id, ticket) in rows(&self.zendesk, "tickets") {
            let name = self.ticket_name(&json!(id));
            let fields = [
                "subject",
                "description",
                "priority",
                "status",
                "type",
                "tags",
                "custom_fields",
            ];
            let fields = fields.map(|field| ticket[field].to_string()).join(" ");
            let people =
                ["requester_id", "submitter_id", "assignee_id"].map(|field| self.person(&ticket[field]));
            let comments = ticket["comments"].as_array().unwrap().iter();
            let comments: Vec<String> = comments
                .map(|comment| {
                    format!(
                        "{} {} {}",
                        comment["body"],
                        comment["public"],
                        self.person(&comment["author_id"])
                    )
                })
                .collect();
            facts.push(format!("{name}: {fields} {} {comments:?}", people.join(" ")));
        }
    }

    fn cases(&self, facts: &mut Vec<String>) {
        let contact = |id: &Value| match id.as_str() {
            Some(id) => text(&self.oro["contacts"][id]["attributes"]["primaryEmail"]),
            None => "nobody".to_owned(),
        };
        for (id, case) in rows(&self.oro, "cases") {
            let mut attributes = case["attributes"].clone();
            for moving in ["createdAt", "updatedAt", "closedAt"] {
                attributes.as_object_mut().unwrap().remove(moving);
            }
            // The system fills in the time of creation where nobody says when it was reported.
            if text(&attributes["externalId"]).starts_with("p:") {
                attributes.as_object_mut().unwrap().remove("reportedAt");
            }
            let mut related = case["to_one"].clone();
            let related_contact = related
                .as_object_mut()
                .unwrap()
                .remove("relatedContact")
                .unwrap_or_default();
            let name = self.case_name(&json!(id));
            facts.push(format!(
                "{name}: {attributes} {related} {}",
                contact(&related_contact)
            ));
        }
        for remark in rows(&self.oro, "casecomments").into_values() {
            let case = self.case_name(&remark["to_one"]["case"]);
            facts.push(format!(
                "remark of {case}: {} {}",
                remark["attributes"]["message"], remark["attributes"]["public"]
            ));
        }
    }

    fn people(&self, facts: &mut Vec<String>) {
        for user in rows(&self.zendesk, "users").into_values() {
            facts.push(format!(
                "user {} {} {}",
                user["email"], user["name"], user["role"]
            ));
        }
        for contact in rows(&self.oro, "contacts").into_values() {
            let attributes = &contact["attributes"];
            facts.push(format!(
                "contact {} {} {} {}",
                attributes["primaryEmail"],
                attributes["firstName"],
                attributes["lastName"],
                contact["to_one"]
            ));
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn status(rig: &Rig, situation: &Situation) -> Value {
    let ran = rig
        .crosswalk(&["status", situation.pipeline, "--format", "json"])
        .expect(0);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Nothing is left open in state.
#[track_caller]
pub(super) fn assert_settled(rig: &Rig, situation: &Situation) {
    let status = status(rig, situation);
    assert_eq!(status["open_intents"], 0, "writes are not settled");
    assert_eq!(status["running"], Value::Null, "the lease is still held");
}

/// Every run is sealed, every file whole, the chain without a gap, and no record is told to be created twice.
#[track_caller]
pub(super) fn assert_snapshots(rig: &Rig, situation: &Situation) {
    let root = rig.path("snapshots");
    let findings = verify(&root, situation.called).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    let chain = fs::read_to_string(root.join(format!("pipeline={}/chain.ndjson", situation.called))).unwrap();
    let opened = chain
        .lines()
        .filter(|line| line.starts_with("{\"opened\""))
        .count();
    let runs = PastRun::list(&root, situation.called).unwrap();
    assert_eq!(runs.len(), opened, "a run was opened and not closed");
    let mut creates: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let mut interrupted = None;
    for run in runs {
        let past = PastRun::open(&root, situation.called, run).unwrap();
        let manifest = past.manifest();
        if let Some(dead) = interrupted.take() {
            assert_eq!(
                manifest.continues,
                Some(dead),
                "it does not say whose work it goes on with"
            );
        }
        if manifest.ending == "interrupted" {
            assert_eq!(manifest.exit_code, None);
            interrupted = Some(run);
        }
        for stage in Stage::ALL {
            let told: u64 = manifest
                .files
                .iter()
                .filter(|file| file.stage == stage)
                .map(|file| file.rows)
                .sum();
            let rows: Result<Vec<_>, _> = past.rows(stage, None).collect();
            let rows = rows.unwrap();
            assert_eq!(rows.len() as u64, told, "{stage} of {run}");
            for row in rows.iter().filter(|_| stage == Stage::Loaded) {
                let made = row
                    .text("action")
                    .is_some_and(|action| action.starts_with("create"));
                if let (true, None, Some(key)) = (made, row.text("error"), row.text("remote_key")) {
                    let of = format!("{:?} {:?}", row.text("flow"), row.text("action"));
                    let request = row.text("request_id").unwrap_or_default().to_owned();
                    creates.entry((of, key.to_owned())).or_default().insert(request);
                }
            }
        }
    }
    assert_eq!(interrupted, None, "the last run was not sealed by another");
    for (created, requests) in creates {
        assert!(
            situation.called == "conversion" || requests.len() == 1,
            "{created:?} was created by {requests:?}"
        );
    }
    let mut left = Vec::new();
    leftovers(&root, &mut left);
    assert!(left.is_empty(), "files of a dead run are left: {left:?}");
}

fn leftovers(folder: &Path, left: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.ends_with("_journal") {
                left.push(path.clone());
            }
            leftovers(&path, left);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "tmp" || extension == "journal")
        {
            left.push(path);
        }
    }
}
