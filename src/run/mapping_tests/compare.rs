//! Expectations held against what became of a case's records.

use indexmap::IndexMap;

use super::outcome::{Became, CreatedRecord, Refused, Written};
use super::touched::Touched;
use crate::compile::compiled::{FlowId, Pipeline, Side, TestedFlow};
use crate::definition::{ConflictWinner, Decided, Expectation, ExpectedReason, Literal};
use crate::document::pointer;
use crate::expression::Value;
use crate::mapping::Reject;

/// Something that is not as it was expected to be.
#[derive(Debug)]
pub(super) struct Difference {
    /// What: `decision`, `local.priority.id`.
    pub(super) what: String,
    /// What was expected.
    pub(super) expected: String,
    /// What is there instead.
    pub(super) got: String,
    /// JSON pointer of the expectation.
    pub(super) at: String,
    /// The rule that made it.
    pub(super) made_by: Option<(FlowId, usize)>,
}

/// Compares all that is expected of a case.
pub(super) struct Comparison<'c> {
    pub(super) pipeline: &'c Pipeline,
    pub(super) flow: TestedFlow,
    /// JSON pointer of `expect`.
    pub(super) at: &'c str,
    pub(super) expect: &'c Expectation,
    pub(super) became: &'c Became,
    pub(super) touched: &'c mut Touched,
    pub(super) found: Vec<Difference>,
}

impl Comparison<'_> {
    /// The differences.
    pub(super) fn differences(mut self) -> Vec<Difference> {
        self.decision();
        match self.flow {
            TestedFlow::OneWay(id) => {
                self.side(id, "fields", Side::Local, self.expect.fields.as_ref());
            }
            TestedFlow::TwoWay(id) => {
                let to = self.pipeline.two_way[id].to;
                self.side(to.local, "local", Side::Local, self.expect.local.as_ref());
                self.side(to.remote, "remote", Side::Remote, self.expect.remote.as_ref());
            }
        }
        self.not_written();
        self.created();
        self.reasons();
        self.fallbacks();
        self.conflicts();
        self.not_carried();
        self.found
    }

    fn differs(&mut self, what: &str, at: &[&str], expected: String, got: String) {
        let at = self.place(at);
        self.found.push(Difference {
            what: what.to_owned(),
            expected,
            got,
            at,
            made_by: None,
        });
    }

    fn place(&self, words: &[&str]) -> String {
        format!("{}{}", self.at, pointer(words.iter().copied()))
    }

    fn decision(&mut self) {
        let Some(decided) = &self.expect.decision else {
            return;
        };
        let word = word(decided);
        if word != self.became.decision {
            let got = self.decided();
            self.differs("decision", &["decision"], word.to_owned(), got);
        }
    }

    /// The decision, with its reason where it has one.
    fn decided(&self) -> String {
        match &self.became.reason {
            Some((_, reject)) => format!("{} ({})", self.became.decision, said(reject)),
            None => self.became.decision.clone(),
        }
    }

    fn side(&mut self, flow: FlowId, word: &str, side: Side, expected: Option<&IndexMap<String, Literal>>) {
        let became = self.became;
        let written = became.writes[side].as_ref();
        let Some(expected) = expected else {
            let unexpected = written.filter(|written| {
                written.is_update && self.expect.decision.is_none() || self.expect.exactly == Some(true)
            });
            for (row, name, value) in unexpected.iter().flat_map(|written| &written.fields) {
                self.unexpected(flow, word, *row, name, value);
            }
            return;
        };
        let Some(written) = written else {
            let names: Vec<&str> = expected.keys().map(String::as_str).collect();
            let got = match self.expect.decision {
                Some(_) => "nothing is written there".to_owned(),
                None => format!("nothing is written there: {}", self.decided()),
            };
            self.differs(word, &[word], names.join(", "), got);
            return;
        };
        for (name, literal) in expected {
            self.touch_target(flow, name);
            self.field(written, word, name, literal);
        }
        if written.is_update || self.expect.exactly == Some(true) {
            for (row, name, value) in &written.fields {
                if !expected.contains_key(name) {
                    self.unexpected(flow, word, *row, name, value);
                }
            }
        }
    }

    fn field(&mut self, written: &Written, word: &str, name: &str, literal: &Literal) {
        let wanted = Value::from(literal.0.clone());
        let found = written.fields.iter().find(|(_, other, _)| other == name);
        if found.is_some_and(|(_, _, value)| equal(&wanted, value)) {
            return;
        }
        let rows = &self.pipeline.flows[written.flow].rows;
        let row = match found {
            Some((row, _, _)) => *row,
            None => rows.iter().position(|row| row.target.name == name),
        };
        self.found.push(Difference {
            what: format!("{word}.{name}"),
            expected: shown(&wanted),
            got: found.map_or_else(|| "not written".to_owned(), |(_, _, value)| shown(value)),
            at: self.place(&[word, name]),
            made_by: row.map(|row| (written.flow, row)),
        });
    }

    fn unexpected(&mut self, flow: FlowId, word: &str, row: Option<usize>, name: &str, value: &Value<'_>) {
        self.found.push(Difference {
            what: format!("{word}.{name}"),
            expected: "not written".to_owned(),
            got: shown(value),
            at: self.place(&[word]),
            made_by: row.map(|row| (flow, row)),
        });
    }

    fn touch_target(&mut self, flow: FlowId, name: &str) {
        let rows = self.pipeline.flows[flow].rows.iter();
        for (row, _) in rows.enumerate().filter(|(_, row)| row.target.name == name) {
            self.touched.rows.insert((flow, row));
        }
    }

    fn touch_any_target(&mut self, name: &str) {
        match self.flow {
            TestedFlow::OneWay(id) => self.touch_target(id, name),
            TestedFlow::TwoWay(id) => {
                let to = self.pipeline.two_way[id].to;
                self.touch_target(to.local, name);
                self.touch_target(to.remote, name);
            }
        }
    }

    fn touch_row(&mut self, name: &str) {
        let TestedFlow::TwoWay(id) = self.flow else {
            return self.touch_any_target(name);
        };
        let way = &self.pipeline.two_way[id];
        for row in way.rows.iter().filter(|row| row.name == name) {
            for side in Side::BOTH {
                let row = row.to[side].map(|row| (way.to[side], row));
                self.touched.rows.extend(row);
            }
        }
    }

    fn not_written(&mut self) {
        for (position, name) in self.expect.not_written.iter().enumerate() {
            self.touch_any_target(name);
            let written = Side::BOTH
                .into_iter()
                .filter_map(|side| self.became.writes[side].as_ref());
            let found = written
                .flat_map(|written| &written.fields)
                .find(|(_, other, _)| other == name);
            if let Some((_, _, value)) = found {
                let (position, got) = (position.to_string(), shown(value));
                self.differs(name, &["not_written", &position], "not written".to_owned(), got);
            }
        }
    }

    fn created(&mut self) {
        let name = |record: &CreatedRecord| {
            let connection = &self.pipeline.connections[record.stream.connection];
            let stream = &connection.connector.streams[record.stream.stream];
            format!("{}.{}", connection.name, stream.name)
        };
        let mut created: IndexMap<String, Vec<&CreatedRecord>> = IndexMap::new();
        for record in &self.became.created {
            created.entry(name(record)).or_default().push(record);
        }
        let Some(expected) = &self.expect.created else {
            if self.expect.exactly == Some(true) {
                for (stream, records) in created {
                    let got = format!("{} created", records.len());
                    self.differs(&format!("created.{stream}"), &[], "none".to_owned(), got);
                }
            }
            return;
        };
        for (stream, wanted) in expected {
            let records = created.shift_remove(stream).unwrap_or_default();
            if records.len() != wanted.len() {
                let (wanted, got) = (wanted.len().to_string(), records.len().to_string());
                self.differs(&format!("created.{stream}"), &["created", stream], wanted, got);
                continue;
            }
            for (position, (record, wanted)) in records.iter().zip(wanted).enumerate() {
                for (field, literal) in wanted {
                    self.touched.created.insert((record.lookup, field.clone()));
                    let found = record.fields.iter().find(|(other, _)| other == field);
                    let literal = Value::from(literal.0.clone());
                    if found.is_some_and(|(_, value)| equal(&literal, value)) {
                        continue;
                    }
                    let place = position.to_string();
                    let got = found.map_or_else(|| "not written".to_owned(), |(_, value)| shown(value));
                    self.differs(
                        &format!("created.{stream}.{field}"),
                        &["created", stream, &place, field],
                        shown(&literal),
                        got,
                    );
                }
            }
        }
        for (stream, records) in created {
            let got = format!("{} created", records.len());
            self.differs(&format!("created.{stream}"), &["created"], "none".to_owned(), got);
        }
    }

    fn reasons(&mut self) {
        let expected = [
            (Refused::Rejected, &self.expect.rejected),
            (Refused::Held, &self.expect.held),
            (Refused::Waiting, &self.expect.waiting),
            (Refused::Skipped, &self.expect.skipped),
        ];
        for (kind, wanted) in expected {
            if let Some(wanted) = wanted {
                self.reason(kind, wanted);
            }
        }
        let Some((kind, reject)) = &self.became.reason else {
            return;
        };
        let stopped = matches!(
            self.expect.decision,
            Some(Decided::Reject | Decided::Hold | Decided::Wait)
        );
        let asked = expected
            .iter()
            .any(|(other, wanted)| other == kind && wanted.is_some());
        if !asked && !stopped && *kind != Refused::Skipped {
            let (what, got) = (kind.word(), said(reject));
            self.differs(what, &[], "not so".to_owned(), got);
        }
    }

    fn reason(&mut self, kind: Refused, wanted: &ExpectedReason) {
        let became = self.became;
        let reject = match &became.reason {
            Some((other, reject)) if *other == kind => reject,
            _ => {
                let got = self.decided();
                return self.differs(kind.word(), &[kind.word()], kind.word().to_owned(), got);
            }
        };
        if let Some(field) = &wanted.field {
            self.touch_any_target(field);
        }
        let parts = [
            ("field", &wanted.field, reject.field.clone()),
            ("rule", &wanted.rule, Some(reject.rule.clone())),
            ("code", &wanted.code, Some(reject.code.to_owned())),
            ("value", &wanted.value, reject.value.clone()),
        ];
        for (word, wanted, got) in parts {
            if let Some(wanted) = wanted
                && got.as_ref() != Some(wanted)
            {
                let got = got.unwrap_or_else(|| "none".to_owned());
                let what = format!("{}.{word}", kind.word());
                self.differs(&what, &[kind.word(), word], wanted.clone(), got);
            }
        }
        if let Some(says) = &wanted.says
            && !reject.message.contains(says.as_str())
        {
            let what = format!("{}.says", kind.word());
            self.differs(
                &what,
                &[kind.word(), "says"],
                says.clone(),
                reject.message.clone(),
            );
        }
        if let Some(rows) = &wanted.rows {
            rows.iter().for_each(|row| self.touch_row(row));
            let what = format!("{}.rows", kind.word());
            self.same_set(&what, &[kind.word(), "rows"], rows, &became.held);
        }
    }

    fn fallbacks(&mut self) {
        if let Some(rows) = &self.expect.fallbacks {
            rows.iter().for_each(|row| self.touch_row(row));
            self.same_set("fallbacks", &["fallbacks"], rows, &self.became.fallbacks);
        }
    }

    fn same_set(&mut self, what: &str, at: &[&str], wanted: &[String], got: &[String]) {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names.dedup();
            names
        };
        let (wanted, got) = (sorted(wanted), sorted(got));
        if wanted != got {
            let shown = |names: &[String]| match names {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            self.differs(what, at, shown(&wanted), shown(&got));
        }
    }

    fn conflicts(&mut self) {
        let Some(expected) = &self.expect.conflicts else {
            return;
        };
        let became = self.became;
        let wanted: Vec<String> = expected.keys().cloned().collect();
        wanted.iter().for_each(|row| self.touch_row(row));
        let got: Vec<String> = became
            .conflicts
            .iter()
            .map(|conflict| conflict.row.clone())
            .collect();
        self.same_set("conflicts", &["conflicts"], &wanted, &got);
        for conflict in &became.conflicts {
            let row = conflict.row.as_str();
            let Some(wanted) = expected.get(row) else { continue };
            let sides = [
                ("remote", &wanted.remote, &conflict.values.remote),
                ("local", &wanted.local, &conflict.values.local),
            ];
            for (word, wanted, got) in sides {
                let Some(wanted) = wanted.as_ref().map(|wanted| Value::from(wanted.0.clone())) else {
                    continue;
                };
                if !equal(&wanted, got) {
                    let what = format!("conflicts.{row}.{word}");
                    self.differs(&what, &["conflicts", row, word], shown(&wanted), shown(got));
                }
            }
            if let Some(winner) = &wanted.winner {
                let wanted = match winner {
                    ConflictWinner::Remote => "remote",
                    ConflictWinner::Local => "local",
                    ConflictWinner::Nobody => "nobody",
                };
                let got = conflict.winner.map_or("nobody", Side::name);
                if wanted != got {
                    let what = format!("conflicts.{row}.winner");
                    self.differs(
                        &what,
                        &["conflicts", row, "winner"],
                        wanted.to_owned(),
                        got.to_owned(),
                    );
                }
            }
        }
    }

    fn not_carried(&mut self) {
        let Some(expected) = &self.expect.not_carried else {
            return;
        };
        let line = |row: &str, reason: &str| format!("{row} ({reason})");
        let wanted: Vec<String> = expected.iter().map(|(row, reason)| line(row, reason)).collect();
        expected.keys().for_each(|row| self.touch_row(row));
        let got: Vec<String> = self
            .became
            .not_carried
            .iter()
            .map(|(row, reason)| line(row, reason))
            .collect();
        self.same_set("not_carried", &["not_carried"], &wanted, &got);
    }
}

/// A value as people read it.
pub(super) fn shown(value: &Value<'_>) -> String {
    value.to_json()
}

/// Why a record is not written, in a line.
pub(super) fn said(reject: &Reject) -> String {
    let field = reject
        .field
        .as_ref()
        .map(|field| format!("`{field}`, "))
        .unwrap_or_default();
    let value = reject
        .value
        .as_ref()
        .map(|value| format!(": `{value}`"))
        .unwrap_or_default();
    format!("{field}{}: {}{value}", reject.rule, reject.message)
}

/// Whether a value is the expected one. An instant is expected as text.
pub(super) fn equal(wanted: &Value<'_>, got: &Value<'_>) -> bool {
    match (wanted, got) {
        (Value::Text(text), Value::Time(time)) => text.parse::<jiff::Timestamp>().ok() == Some(*time),
        (Value::List(wanted), Value::List(got)) => {
            wanted.len() == got.len() && wanted.iter().zip(got).all(|(wanted, got)| equal(wanted, got))
        }
        (Value::Map(wanted), Value::Map(got)) => {
            wanted.len() == got.len()
                && wanted
                    .iter()
                    .all(|(name, value)| got.get(name).is_some_and(|got| equal(value, got)))
        }
        _ => wanted == got,
    }
}

fn word(decided: &Decided) -> &'static str {
    match decided {
        Decided::Create => "create",
        Decided::Update => "update",
        Decided::Delete => "delete",
        Decided::CreateLocal => "create_local",
        Decided::CreateRemote => "create_remote",
        Decided::UpdateLocal => "update_local",
        Decided::UpdateRemote => "update_remote",
        Decided::UpdateBoth => "update_both",
        Decided::DeleteLocal => "delete_local",
        Decided::DeleteRemote => "delete_remote",
        Decided::Unlink => "unlink",
        Decided::Unchanged => "unchanged",
        Decided::Filtered => "filtered",
        Decided::Skip => "skip",
        Decided::Reject => "reject",
        Decided::Hold => "hold",
        Decided::Wait => "wait",
    }
}
