//! The history of every followed field, and what the program does to it.
//!
//! It is made of what the stand-ins tell in one order: who changed what, and which records the program was shown before.
//! So it can be told whether a write replaced an edit that the program had not seen, brought back a value that had been
//! replaced, put a coarser value over a finer one, let a fallback win, went against the policy, or had no cause. That both
//! sides agree in the end shows none of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::tables::{FIELDS, Given, Side, Tables};
use crate::oracle::rows;

/// Requests between the program's last look at a case and its write to it: what is edited meanwhile is replaced, because
/// that system refuses nothing.
const LAST_LOOK: u64 = 24;

/// Who made a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Person,
    Rule,
    Program,
}

/// A value that stood in a field.
#[derive(Clone, Debug)]
struct Cell {
    value: Value,
    /// The edit that it goes back to, however many systems it has passed.
    edit: u64,
    at: u64,
    by: By,
    fallback: bool,
}

/// What a written value goes back to.
struct Cause {
    cell: Cell,
    fallback: bool,
    /// The first of several in a row that say the same: it may have been any of them.
    at_least: u64,
}

/// A ticket or a case.
#[derive(Debug, Default)]
struct Record {
    fields: BTreeMap<&'static str, Vec<Cell>>,
    /// When the program was shown it the last time, and how many requests had been made then.
    shown: u64,
    shown_at_request: u64,
    counterpart: Option<u64>,
    gone: bool,
}

/// A record by its side and id.
type Place = (Side, u64);

/// Everything that was followed.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) tables: Tables,
    /// Who wins where both sides changed, as the pipeline has it now.
    pub(crate) policy: String,
    records: BTreeMap<Place, Record>,
    /// Edits that have stood in a field of a record.
    stood: HashSet<(Place, &'static str, u64)>,
    /// Edits with which the other side agreed, once at least.
    agreed: HashSet<(u64, &'static str)>,
    /// What rules made of texts, which stays as it is.
    accepted: HashSet<u64>,
    /// Writes whose answer did not arrive.
    unanswered: HashSet<(Place, &'static str, String)>,
    /// Tickets of which a person decided held rows.
    ruled: BTreeSet<u64>,
    now: u64,
    requests: u64,
    last_edit: u64,
    harm: Vec<String>,
    /// Edits of people, of rules, writes, conflicts, and edits replaced between the last look and the write.
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl History {
    /// Begins with what stands in both systems.
    pub(crate) fn new(zendesk: &Value, oro: &Value) -> Self {
        let mut history = History {
            tables: Tables::new(zendesk, oro),
            policy: "remote_wins".to_owned(),
            records: BTreeMap::new(),
            stood: HashSet::new(),
            agreed: HashSet::new(),
            accepted: HashSet::new(),
            unanswered: HashSet::new(),
            ruled: BTreeSet::new(),
            now: 0,
            requests: 0,
            last_edit: 0,
            harm: Vec::new(),
            counts: BTreeMap::new(),
        };
        for (side, state, table) in [(Side::Remote, zendesk, "tickets"), (Side::Local, oro, "cases")] {
            for (id, row) in rows(state, table) {
                history.stands((side, id.parse().unwrap()), &row, By::Person);
            }
        }
        history
    }

    /// Takes in what happened.
    pub(crate) fn follow(&mut self, events: &[Value]) {
        for event in events {
            self.now += 1;
            match event["by"].as_str() {
                Some("person") => self.person(event),
                _ => self.client(event),
            }
        }
    }

    /// What must not have happened, told with the whole history of the field.
    pub(crate) fn harm(&self) -> &[String] {
        &self.harm
    }

    /// Tickets that live and have a case, with the case.
    pub(crate) fn pairs(&self) -> Vec<(u64, u64)> {
        let pairs = self.records.iter().filter_map(|((side, id), record)| {
            let case = record
                .counterpart
                .filter(|_| *side == Side::Remote && !record.gone)?;
            let lives = self
                .records
                .get(&(Side::Local, case))
                .is_some_and(|case| !case.gone);
            (lives && self.value((*side, *id), "status")? != "closed").then_some((*id, case))
        });
        pairs.collect()
    }

    /// A person decided held rows of a ticket: what travels then is no longer the policy's.
    pub(crate) fn rule(&mut self, ticket: u64) {
        self.ruled.insert(ticket);
    }

    /// Fields of living pairs that do not correspond.
    pub(crate) fn at_odds(&self, held: &BTreeSet<u64>) -> Vec<String> {
        let mut odds = Vec::new();
        for (ticket, case) in self.pairs() {
            for field in FIELDS {
                let (Some(remote), Some(local)) = (
                    self.value((Side::Remote, ticket), field),
                    self.value((Side::Local, case), field),
                ) else {
                    continue;
                };
                let accepted = |place: Place| {
                    let cell = self.records[&place].fields[field].last();
                    cell.is_some_and(|cell| self.accepted.contains(&cell.edit))
                };
                if accepted((Side::Remote, ticket)) || accepted((Side::Local, case)) {
                    continue;
                }
                if !held.contains(&ticket) && !self.tables.at_peace(field, remote, local) {
                    odds.push(format!(
                        "{remote} | {local}: {}",
                        self.told((Side::Remote, ticket), field)
                    ));
                }
            }
        }
        odds
    }

    /// Records that stand for one record of the other side twice.
    pub(crate) fn doubles(zendesk: &Value, oro: &Value) -> Vec<String> {
        let tickets = rows(zendesk, "tickets").into_values();
        let cases = rows(oro, "cases").into_values();
        let named = tickets
            .filter(|ticket| ticket["status"] != "deleted")
            .map(|ticket| ticket["external_id"].clone());
        let named = named.chain(cases.map(|case| case["attributes"]["externalId"].clone()));
        let mut seen = BTreeSet::new();
        let names = named.filter_map(|name| name.as_str().map(str::to_owned));
        names.filter(|name| !seen.insert(name.clone())).collect()
    }

    fn value(&self, place: Place, field: &str) -> Option<&Value> {
        Some(&self.records.get(&place)?.fields.get(field)?.last()?.value)
    }

    fn person(&mut self, event: &Value) {
        if let Some(users) = event["rows"]["users"]
            .as_object()
            .filter(|_| event["system"] == "oro")
        {
            self.tables.learn(&users.clone().into_iter().collect());
        }
        for (place, row) in changed(event) {
            self.stands(place, &row, By::Person);
        }
    }

    fn client(&mut self, event: &Value) {
        self.requests += 1;
        let rows = changed(event);
        let accepted = event["status"].as_u64().is_some_and(|status| status < 300);
        let written = if accepted {
            written(event, &rows)
        } else {
            Vec::new()
        };
        let addressed: BTreeSet<Place> = written.iter().map(|(place, _)| *place).collect();
        for (place, values) in written {
            for (field, value) in values {
                if self.records.contains_key(&place) {
                    self.wrote(place, field, &value);
                    if event["arrived"] == false {
                        self.unanswered.insert((place, field, value.to_string()));
                    }
                }
            }
        }
        self.rules(event, "before", &rows);
        for name in event["shown"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            let (now, requests) = (self.now, self.requests);
            if let Some(record) = place(name).and_then(|place| self.records.get_mut(&place)) {
                (record.shown, record.shown_at_request) = (now, requests);
            }
        }
        self.now += 1;
        self.rules(event, "after", &rows);
        // What was created, and what the system itself made of a write.
        for (place, row) in rows {
            let by = if addressed.contains(&place) {
                By::Rule
            } else {
                By::Program
            };
            self.stands(place, &row, by);
        }
    }

    /// What business rules set, as far as it stands in the end.
    fn rules(&mut self, event: &Value, moment: &str, rows: &[(Place, Value)]) {
        for fired in event["fired"].as_array().into_iter().flatten() {
            let record = place(&format!(
                "{}/{}",
                fired["resource"].as_str().unwrap_or_default(),
                fired["id"].as_str().unwrap_or_default()
            ));
            let row = rows.iter().find(|(place, _)| Some(*place) == record);
            let (Some((place, row)), true) = (row, fired["moment"] == moment) else {
                continue;
            };
            for (field, value) in sent_fields(place.0, &fired["set"]) {
                let stands = held(place.0, field, row) == value;
                if stands && self.value(*place, field).is_some_and(|present| *present != value) {
                    self.make(*place, field, value, By::Rule);
                    // The program sees it in the answer, and puts up with what a system makes of a text.
                    if moment == "before" && field == "subject" {
                        self.accepted.insert(self.last_edit);
                        self.agreed.insert((self.last_edit, field));
                    }
                }
            }
        }
    }

    /// Compares a row with what was known of it: what differs was made by somebody.
    fn stands(&mut self, place: Place, row: &Value, by: By) {
        let record = self.records.entry(place).or_default();
        let is_new = record.fields.is_empty();
        if row.is_null() || row["status"] == "deleted" {
            record.gone = true;
            return;
        }
        if record.counterpart.is_none()
            && let Some(other) = counterpart(place.0, row)
        {
            record.counterpart = Some(other);
            let other = (place.0.other(), other);
            self.records.entry(other).or_default().counterpart = Some(place.1);
        }
        for field in FIELDS {
            let value = held(place.0, field, row);
            match self.value(place, field) {
                Some(present) if *present == value => {}
                Some(_) if by == By::Program => self.wrote(place, field, &value),
                None if by == By::Program && is_new => self.created(place, field, value),
                _ => self.make(place, field, value, by),
            }
        }
    }

    fn make(&mut self, place: Place, field: &'static str, value: Value, by: By) {
        self.last_edit += 1;
        *self
            .counts
            .entry(if by == By::Rule { "rules" } else { "edits" })
            .or_default() += 1;
        let edit = self.last_edit;
        self.stood.insert((place, field, edit));
        self.put(
            place,
            field,
            Cell {
                value,
                edit,
                at: self.now,
                by,
                fallback: false,
            },
        );
    }

    fn created(&mut self, place: Place, field: &'static str, value: Value) {
        let cause = self.cause(place, field, &value);
        let edit = cause.map_or_else(
            || {
                self.last_edit += 1;
                self.last_edit
            },
            |cause| cause.cell.edit,
        );
        self.stood.insert((place, field, edit));
        self.put(
            place,
            field,
            Cell {
                value,
                edit,
                at: self.now,
                by: By::Program,
                fallback: false,
            },
        );
    }

    fn put(&mut self, place: Place, field: &'static str, cell: Cell) {
        let record = self.records.entry(place).or_default();
        record.fields.entry(field).or_default().push(cell);
        let Some(other) = record.counterpart else {
            return;
        };
        let Some(cell) = record.fields[field].last().cloned() else {
            return;
        };
        // What the program compares it with is what stands there, or what it was shown of it some time ago.
        let other = self.records.get(&(place.0.other(), other));
        let cells = other.and_then(|other| Some((other.fields.get(field)?, other.shown)));
        let Some((cells, shown)) = cells else {
            return;
        };
        let compared = [cells.last(), cells.iter().rev().find(|cell| cell.at <= shown)];
        let agreeing = compared.into_iter().flatten().filter(|other| match place.0 {
            Side::Remote => self.tables.correspond(field, &cell.value, &other.value),
            Side::Local => self.tables.correspond(field, &other.value, &cell.value),
        });
        let edits: Vec<u64> = agreeing.flat_map(|other| [cell.edit, other.edit]).collect();
        self.agreed.extend(edits.into_iter().map(|edit| (edit, field)));
    }

    /// What a value that the program writes goes back to: the latest value of the other side that says so, of those that
    /// the program was shown.
    fn cause(&self, place: Place, field: &str, value: &Value) -> Option<Cause> {
        let other = (place.0.other(), self.records.get(&place)?.counterpart?);
        let source = self.records.get(&other)?;
        let cells = source.fields.get(field)?;
        let given = |cell: &Cell| self.tables.map(field, place.0, &cell.value);
        let fits = |cell: &Cell| given(cell).value() == Some(value);
        let shown = cells
            .iter()
            .rposition(|cell| fits(cell) && cell.at <= source.shown);
        let latest = shown.or_else(|| cells.iter().rposition(fits))?;
        let first = cells[..latest]
            .iter()
            .rposition(|cell| !fits(cell))
            .map_or(0, |other| other + 1);
        Some(Cause {
            cell: cells[latest].clone(),
            fallback: matches!(given(&cells[latest]), Given::Fallback(_)),
            at_least: cells[first].edit,
        })
    }

    /// The program wrote a field: what that did to what stood there.
    fn wrote(&mut self, place: Place, field: &'static str, value: &Value) {
        *self.counts.entry("writes").or_default() += 1;
        let Some(old) = self.records[&place]
            .fields
            .get(field)
            .and_then(|cells| cells.last())
            .cloned()
        else {
            return;
        };
        let again = self.unanswered.contains(&(place, field, value.to_string()));
        if again && old.value == *value && old.by == By::Program {
            return;
        }
        let Some(cause) = self.cause(place, field, value) else {
            self.blame(
                place,
                field,
                &format!("{value} is written, and nothing on the other side says so"),
            );
            self.make(place, field, value.clone(), By::Program);
            return;
        };
        let (fallback, edit) = (cause.fallback, cause.cell.edit);
        self.judge(place, field, value, (&old, &cause.cell, fallback));
        self.stood.insert((place, field, cause.at_least));
        let cell = Cell {
            value: value.clone(),
            edit,
            at: self.now,
            by: By::Program,
            fallback,
        };
        self.put(place, field, cell);
    }

    fn judge(
        &mut self,
        place: Place,
        field: &'static str,
        value: &Value,
        (old, cause, fallback): (&Cell, &Cell, bool),
    ) {
        let record = &self.records[&place];
        let other = record.counterpart.map(|other| (place.0.other(), other));
        let ticket = if place.0 == Side::Remote {
            Some(place.1)
        } else {
            record.counterpart
        };
        if ticket.is_some_and(|ticket| self.ruled.contains(&ticket)) {
            return;
        }
        let is_other = old.edit != cause.edit;
        let resolves = old.by == By::Program && old.fallback && !fallback;
        let seen = old.at <= record.shown;
        let believed = record.fields[field]
            .iter()
            .rev()
            .find(|cell| cell.at <= record.shown);
        if is_other && !seen && believed.is_none_or(|believed| believed.value != old.value) {
            if place.0 == Side::Local && self.requests - record.shown_at_request <= LAST_LOOK {
                *self.counts.entry("replaced between look and write").or_default() += 1;
            } else {
                self.blame(
                    place,
                    field,
                    &format!("{value} replaces an edit that was never looked at"),
                );
            }
            return;
        }
        // Away and back to what both sides had in common is no change to whoever compares.
        let common = |cell: &&Cell| {
            cell.by == By::Program
                || cell.at == 0
                || self.agreed.contains(&(cell.edit, field))
                || other.is_some_and(|other| self.stood.contains(&(other, field, cell.edit)))
        };
        let mut in_common = record.fields[field].iter().filter(common);
        let travelled = in_common.any(|cell| cell.value == old.value);
        let (remote, local) = match place.0 {
            Side::Remote => (&old.value, &cause.value),
            Side::Local => (&cause.value, &old.value),
        };
        let corresponded = self.tables.correspond(field, remote, local);
        let by_somebody = old.by != By::Program;
        let mute = !matches!(
            self.tables.map(field, place.0.other(), &old.value),
            Given::Value(_)
        );
        let wins = match self.policy.as_str() {
            "remote_wins" => place.0 == Side::Local,
            "local_wins" => place.0 == Side::Remote,
            "hold" => false,
            _ => true,
        };
        if is_other && !resolves && self.stood.contains(&(place, field, cause.edit)) {
            self.blame(place, field, &format!("{value} was there before and comes back"));
        }
        if corresponded && !resolves && *value != old.value {
            self.blame(
                place,
                field,
                &format!("{value} replaces what already corresponded"),
            );
        } else if *value == old.value && seen {
            self.blame(place, field, &format!("{value} is written over itself"));
        }
        if by_somebody && is_other && !travelled && !old.value.is_null() {
            *self.counts.entry("conflicts").or_default() += 1;
            if fallback {
                self.blame(place, field, &format!("the fallback {value} replaces an edit"));
            } else if !wins && !mute {
                self.blame(
                    place,
                    field,
                    &format!("{value} replaces an edit against `{}`", self.policy),
                );
            }
        }
    }

    fn blame(&mut self, place: Place, field: &str, what: &str) {
        let told = format!("{place:?} `{field}`: {what}\n{}", self.told(place, field));
        self.harm.push(told);
    }

    /// The history of a field on both sides.
    fn told(&self, place: Place, field: &str) -> String {
        let mut told = String::new();
        let other = self.records[&place]
            .counterpart
            .map(|other| (place.0.other(), other));
        for place in [Some(place), other].into_iter().flatten() {
            let record = &self.records[&place];
            let _ = writeln!(told, "  {place:?}, shown at {}, now {}:", record.shown, self.now);
            for cell in record.fields.get(field).into_iter().flatten().rev().take(8) {
                let stands_in = if cell.fallback { ", a fallback" } else { "" };
                let _ = writeln!(
                    told,
                    "    at {} {} by {:?}, edit {}{stands_in}",
                    cell.at, cell.value, cell.by, cell.edit
                );
            }
        }
        told
    }
}

/// The rows of an event, tickets and cases only.
fn changed(event: &Value) -> Vec<(Place, Value)> {
    let (side, table) = match event["system"].as_str() {
        Some("zendesk") => (Side::Remote, "tickets"),
        _ => (Side::Local, "cases"),
    };
    let rows = event["rows"][table].as_object().into_iter().flatten();
    rows.filter_map(|(id, row)| Some(((side, id.parse().ok()?), row.clone())))
        .collect()
}

/// `tickets/7`, `cases/3`.
fn place(name: &str) -> Option<Place> {
    let (kind, id) = name.split_once('/')?;
    let side = match kind {
        "tickets" => Side::Remote,
        "cases" => Side::Local,
        _ => return None,
    };
    Some((side, id.parse().ok()?))
}

/// The records that a request changed, with the fields that it sent. A bulk request may have changed some of its records
/// only.
fn written(event: &Value, rows: &[(Place, Value)]) -> Vec<(Place, Vec<(&'static str, Value)>)> {
    let path = event["path"].as_str().unwrap_or_default();
    let path = path
        .split('?')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".json");
    let (records, id) = path.rsplit_once('/').unwrap_or_default();
    match (event["method"].as_str(), records, id.parse::<u64>()) {
        (Some("PUT"), "/api/v2/tickets", Ok(id)) => {
            vec![(
                (Side::Remote, id),
                sent_fields(Side::Remote, &event["sent"]["ticket"]),
            )]
        }
        (Some("PATCH"), "/admin/api/cases", Ok(id)) => {
            vec![(
                (Side::Local, id),
                sent_fields(Side::Local, &event["sent"]["data"]),
            )]
        }
        (Some("PUT"), "/api/v2/tickets", Err(_)) => {
            let items = event["sent"]["tickets"].as_array().into_iter().flatten();
            let changed = items.filter_map(|item| {
                let place = (Side::Remote, item["id"].as_u64()?);
                let is_changed = rows.iter().any(|(changed, _)| *changed == place);
                is_changed.then(|| (place, sent_fields(Side::Remote, item)))
            });
            changed.collect()
        }
        _ => Vec::new(),
    }
}

/// The followed fields among those that are sent, as the system spells them.
fn sent_fields(side: Side, sent: &Value) -> Vec<(&'static str, Value)> {
    let member = |names: &[&str]| {
        names
            .iter()
            .try_fold(sent, |value, name| value.get(*name))
            .cloned()
    };
    let sent = |field: &'static str| {
        let value = match (side, field) {
            (Side::Remote, "assignee") => member(&["assignee_id"]),
            (Side::Remote, field) => member(&[field]),
            (Side::Local, "subject") => member(&["attributes", "subject"]),
            (Side::Local, "assignee") => related(member(&["relationships", "assignedTo", "data"])),
            (Side::Local, field) => related(member(&["relationships", field, "data"])),
        };
        Some((field, value?))
    };
    FIELDS.into_iter().filter_map(sent).collect()
}

fn related(data: Option<Value>) -> Option<Value> {
    data.map(|data| data.get("id").cloned().unwrap_or_default())
}

/// What stands in a field of a row.
fn held(side: Side, field: &str, row: &Value) -> Value {
    let member = |part: &str, name: &str| row[part].get(name).cloned().unwrap_or_default();
    match (side, field) {
        (Side::Remote, "assignee") => row["assignee_id"].clone(),
        (Side::Remote, field) => row[field].clone(),
        (Side::Local, "subject") => member("attributes", "subject"),
        (Side::Local, "assignee") => member("to_one", "assignedTo"),
        (Side::Local, field) => member("to_one", field),
    }
}

/// The record of the other side that a row remembers.
fn counterpart(side: Side, row: &Value) -> Option<u64> {
    let empty = Map::new();
    let name = match side {
        Side::Remote => row["external_id"].as_str()?.strip_prefix("oro-case:")?,
        Side::Local => {
            let attributes = row["attributes"].as_object().unwrap_or(&empty);
            attributes.get("externalId")?.as_str()?.strip_prefix("zd:")?
        }
    };
    name.parse().ok()
}
