//! The names in cases and expectations: streams, flows, rows and fields.

use super::TestChecks;
use crate::compile::compiled::{FlowId, OnNone, Row, Side, StreamRef, TestedFlow, TwoWay};
use crate::compile::pointer::Pointer;
use crate::definition::Expectation;
use crate::diagnostic::{Code, list};

impl TestChecks<'_, '_> {
    /// Resolves `connection.stream`.
    pub(super) fn stream(&self, at: &Pointer, name: &str) -> Option<StreamRef> {
        let connections = self.pipeline.connections.iter().enumerate();
        let known: Vec<(String, StreamRef)> = connections
            .flat_map(|(connection, described)| {
                let streams = described.connector.streams.iter().enumerate();
                streams.map(move |(stream, facts)| {
                    let name = format!("{}.{}", described.name, facts.name);
                    (name, StreamRef { connection, stream })
                })
            })
            .collect();
        let found = known.iter().find(|(other, _)| other == name);
        if found.is_none() {
            let names = || known.iter().map(|(name, _)| name.as_str());
            self.checks.error(Code::UnknownStream, at, |report| {
                report
                    .message(format!("the pipeline has no stream `{name}`"))
                    .did_you_mean(name, names())
                    .note(format!("its streams are {}", list(names())))
            });
        }
        found.map(|(_, stream)| *stream)
    }

    /// Whether links are stored under a flow's name.
    pub(super) fn has_flow(&self, at: &Pointer, name: &str) -> bool {
        let one_way = self
            .pipeline
            .flows
            .iter()
            .filter(|flow| flow.direction_of.is_none());
        let known: Vec<&str> = one_way
            .map(|flow| flow.name.as_str())
            .chain(self.pipeline.two_way.iter().map(|way| way.name.as_str()))
            .collect();
        let is_known = known.contains(&name);
        if !is_known {
            self.checks.error(Code::UnknownFlow, at, |report| {
                report
                    .message(format!("the pipeline has no flow `{name}`"))
                    .did_you_mean(name, known.iter().copied())
                    .note(format!("its flows are {}", list(known.iter().copied())))
            });
        }
        is_known
    }

    /// Whether a two-way flow has a row.
    pub(super) fn has_row(&self, at: &Pointer, way: &TwoWay, name: &str) -> bool {
        let known: Vec<&str> = way.rows.iter().map(|row| row.name.as_str()).collect();
        self.one_of(at, "row", name, &known)
    }

    /// Whether rows write a field.
    fn has_field(&self, at: &Pointer, rows: &[&Row], name: &str) -> bool {
        let known: Vec<&str> = rows.iter().map(|row| row.target.name.as_str()).collect();
        self.one_of(at, "field", name, &known)
    }

    pub(super) fn one_of(&self, at: &Pointer, what: &str, name: &str, known: &[&str]) -> bool {
        let is_known = known.contains(&name);
        if !is_known {
            self.checks.error(Code::UnknownRow, at, |report| {
                let message = match what {
                    "field" => format!("no row writes a field `{name}` there"),
                    _ => format!("the flow has no {what} `{name}`"),
                };
                report
                    .message(message)
                    .did_you_mean(name, known.iter().copied())
                    .note(format!("the {what}s there: {}", list(known.iter().copied())))
            });
        }
        is_known
    }

    fn rows_of(&self, flow: FlowId) -> Vec<&Row> {
        self.pipeline.flows[flow].rows.iter().collect()
    }

    /// Everything that an expectation names.
    pub(super) fn expectation(&self, at: &Pointer, flow: TestedFlow, expect: &Expectation) {
        let foreign: &[(&str, bool)] = match flow {
            TestedFlow::OneWay(_) => &[
                ("local", expect.local.is_some()),
                ("remote", expect.remote.is_some()),
                ("conflicts", expect.conflicts.is_some()),
                ("not_carried", expect.not_carried.is_some()),
            ],
            TestedFlow::TwoWay(_) => &[("fields", expect.fields.is_some())],
        };
        for (word, _) in foreign.iter().filter(|(_, there)| *there) {
            let why = match flow {
                TestedFlow::OneWay(_) => "the flow goes one way: what it writes stands below `fields`",
                TestedFlow::TwoWay(_) => {
                    "the flow goes both ways: what it writes stands below `local` and `remote`"
                }
            };
            self.wrong(&at.itself(word), why);
        }
        let every_row: Vec<&Row> = match flow {
            TestedFlow::OneWay(id) => {
                let rows = self.rows_of(id);
                self.fields(
                    &at.key("fields"),
                    &rows,
                    expect.fields.iter().flat_map(|m| m.keys()),
                );
                rows
            }
            TestedFlow::TwoWay(id) => {
                let way = &self.pipeline.two_way[id];
                let (local, remote) = (self.rows_of(way.to.local), self.rows_of(way.to.remote));
                self.fields(
                    &at.key("local"),
                    &local,
                    expect.local.iter().flat_map(|m| m.keys()),
                );
                let remote_fields = expect.remote.iter().flat_map(|m| m.keys());
                self.fields(&at.key("remote"), &remote, remote_fields);
                self.rows(at, way, expect);
                local.into_iter().chain(remote).collect()
            }
        };
        for (position, name) in expect.not_written.iter().enumerate() {
            self.has_field(&at.key("not_written").index(position), &every_row, name);
        }
        if let (TestedFlow::OneWay(_), Some(fallbacks)) = (flow, &expect.fallbacks) {
            for (position, name) in fallbacks.iter().enumerate() {
                self.has_field(&at.key("fallbacks").index(position), &every_row, name);
            }
        }
        self.created(&at.key("created"), expect);
    }

    fn fields<'n>(&self, at: &Pointer, rows: &[&Row], names: impl Iterator<Item = &'n String>) {
        for name in names {
            self.has_field(&at.itself(name), rows, name);
        }
    }

    /// The rows that an expectation of a two-way flow names.
    fn rows(&self, at: &Pointer, way: &TwoWay, expect: &Expectation) {
        let lists = [
            ("fallbacks", expect.fallbacks.as_ref()),
            ("held", expect.held.as_ref().and_then(|held| held.rows.as_ref())),
        ];
        for (word, rows) in lists {
            let at = match word {
                "held" => at.key(word).key("rows"),
                word => at.key(word),
            };
            for (position, row) in rows.into_iter().flatten().enumerate() {
                self.has_row(&at.index(position), way, row);
            }
        }
        for row in expect.conflicts.iter().flat_map(|conflicts| conflicts.keys()) {
            self.has_row(&at.key("conflicts").itself(row), way, row);
        }
        for row in expect.not_carried.iter().flat_map(|rows| rows.keys()) {
            self.has_row(&at.key("not_carried").itself(row), way, row);
        }
    }

    /// The records that lookups are expected to create.
    fn created(&self, at: &Pointer, expect: &Expectation) {
        for (name, records) in expect.created.iter().flatten() {
            let Some(stream) = self.stream(&at.itself(name), name) else {
                continue;
            };
            let lookups = self.pipeline.lookups.iter();
            let rows: Vec<&Row> = lookups
                .filter(|lookup| (lookup.connection, lookup.stream) == (stream.connection, stream.stream))
                .filter_map(|lookup| match &lookup.on_none {
                    OnNone::Create(rows) => Some(rows.iter()),
                    _ => None,
                })
                .flatten()
                .collect();
            if rows.is_empty() && !records.is_empty() {
                self.wrong(&at.itself(name), "no lookup creates records of this stream");
                continue;
            }
            for (position, record) in records.iter().enumerate() {
                self.fields(&at.key(name).index(position), &rows, record.keys());
            }
        }
    }

    /// Position of a row in the direction of a table, and that direction.
    pub(super) fn table_row(
        &self,
        at: &Pointer,
        flow: TestedFlow,
        to: Option<Side>,
        name: &str,
    ) -> Option<(FlowId, usize)> {
        match (flow, to) {
            (TestedFlow::OneWay(id), _) => {
                let rows = self.rows_of(id);
                let known: Vec<&str> = rows.iter().map(|row| row.target.name.as_str()).collect();
                self.one_of(at, "row", name, &known).then_some(())?;
                let row = rows.iter().position(|row| row.target.name == name)?;
                Some((id, row))
            }
            (TestedFlow::TwoWay(id), Some(to)) => {
                let way = &self.pipeline.two_way[id];
                self.has_row(at, way, name).then_some(())?;
                let row = way.rows.iter().find(|row| row.name == name)?;
                if row.to[to].is_none() {
                    self.wrong(at, &format!("the row does not go {}", to.direction()));
                }
                Some((way.to[to], row.to[to]?))
            }
            (TestedFlow::TwoWay(_), None) => None,
        }
    }
}
