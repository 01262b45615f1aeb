//! [`PipelineChecks`]: what the parts of a pipeline know of each other while they are compiled, and the resolution of
//! names to positions.

use std::cell::RefCell;
use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::checks::Checks;
use super::compiled::{Disabled, EnumId, FlowId, LookupId, StreamRef};
use super::connections::ConnectionFacts;
use super::pointer::Pointer;
use super::record_view::RecordView;
use super::sight::Names;
use super::stream_facts::StreamFacts;
use super::types::Types;
use crate::definition;
use crate::diagnostic::{Code, list};
use crate::expression::Value;

/// A pipeline while it is compiled.
pub(super) struct PipelineChecks<'c, 'd> {
    /// The file.
    pub(super) checks: &'c Checks<'d>,
    /// What it says.
    pub(super) definition: &'c definition::Pipeline,
    /// The names that its templates see.
    pub(super) names: &'c Names,
    /// Its connections, in the order written.
    pub(super) connections: &'c [ConnectionFacts],
    /// Its own types.
    pub(super) types: &'c Types,
    /// The values of its params.
    pub(super) params: &'c Value<'static>,
    /// Positions of its flows in the order in which they run, by name; of a two-way flow that of its direction to the
    /// local side, which the other one follows.
    pub(super) flow_ids: IndexMap<String, FlowId>,
    /// The flows that are off, by name.
    pub(super) disabled: IndexMap<String, Disabled>,
    /// What each lookup is given, where all its uses agree on a known part of a record.
    pub(super) given: Vec<RecordView>,
    /// What was referred to.
    pub(super) used: Used,
}

/// What was referred to so far.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// Enum tables.
    pub(super) enums: RefCell<BTreeSet<EnumId>>,
    /// Lookups.
    pub(super) lookups: RefCell<BTreeSet<LookupId>>,
    /// Sections of the file in which a name was searched and not found, so that it may be a mistyped one.
    pub(super) missed: RefCell<BTreeSet<&'static str>>,
    /// Uses of lookups that do not say what happens when nothing is found.
    pub(super) silent: RefCell<Vec<(LookupId, Pointer)>>,
    /// Lookups that another lookup needs for the records that it creates.
    pub(super) needs: RefCell<BTreeSet<(LookupId, LookupId)>>,
}

impl PipelineChecks<'_, '_> {
    /// Resolves `connection.stream`.
    pub(super) fn stream(&self, at: &Pointer, text: &str) -> Option<(StreamRef, &StreamFacts)> {
        let root = Pointer::root();
        let Some((connection, stream)) = text.split_once('.') else {
            self.checks.error(Code::UnknownStream, at, |report| {
                let report = report.message(format!(
                    "`{text}` is no stream: a stream is named with its connection, as `connection.stream`"
                ));
                match self.connections.iter().find(|facts| facts.name == text) {
                    Some(facts) => report.hint(format!(
                        "did you mean {}?",
                        list(stream_names(facts).iter().map(String::as_str))
                    )),
                    None => report,
                }
            });
            return None;
        };
        let position = self.connections.iter().position(|facts| facts.name == connection);
        let Some((position, facts)) =
            position.and_then(|position| Some((position, self.connections.get(position)?)))
        else {
            self.used.missed.borrow_mut().insert("connections");
            if !self.checks.is_omitted(&root.key("connections").key(connection)) {
                let known: Vec<&str> = self.connections.iter().map(|facts| facts.name.as_str()).collect();
                self.checks.error(Code::UnknownConnection, at, |report| {
                    report
                        .message(format!("the pipeline has no connection `{connection}`"))
                        .inside(0, connection.len())
                        .did_you_mean(connection, known.iter().copied())
                        .note(format!("its connections are {}", list(known.iter().copied())))
                });
            }
            return None;
        };
        let streams = facts.streams.as_ref()?;
        let Some(found) = streams.iter().position(|facts| facts.name == stream) else {
            if !self
                .checks
                .is_omitted(&root.key("connections").key(connection).key("streams").key(stream))
            {
                let known: Vec<&str> = streams.iter().map(|facts| facts.name.as_str()).collect();
                self.checks.error(Code::UnknownStream, at, |report| {
                    report
                        .message(format!("the connection `{connection}` has no stream `{stream}`"))
                        .inside(connection.len() + 1, stream.len())
                        .did_you_mean(stream, known.iter().copied())
                        .note(format!("its streams are {}", list(known.iter().copied())))
                });
            }
            return None;
        };
        Some((
            StreamRef {
                connection: position,
                stream: found,
            },
            streams.get(found)?,
        ))
    }

    /// The facts of a stream that was resolved.
    pub(super) fn facts(&self, stream: StreamRef) -> Option<&StreamFacts> {
        self.connections
            .get(stream.connection)?
            .streams
            .as_ref()?
            .get(stream.stream)
    }

    /// Resolves the name of an enum table.
    pub(super) fn enum_id(&self, at: &Pointer, name: &str) -> Option<EnumId> {
        let id = self.resolve(
            at,
            name,
            "enums",
            "enum table",
            Code::UnknownEnum,
            &self.definition.enums,
        )?;
        self.used.enums.borrow_mut().insert(id);
        Some(id)
    }

    /// Resolves the name of a lookup.
    pub(super) fn lookup_id(&self, at: &Pointer, name: &str) -> Option<LookupId> {
        let id = self.resolve(
            at,
            name,
            "lookups",
            "lookup",
            Code::UnknownLookup,
            &self.definition.lookups,
        )?;
        self.used.lookups.borrow_mut().insert(id);
        Some(id)
    }

    /// Resolves the name of a flow to its position in the order in which flows run.
    pub(super) fn flow_id(&self, at: &Pointer, name: &str) -> Option<FlowId> {
        self.resolve(
            at,
            name,
            "flows",
            "flow",
            Code::UnknownFlow,
            &self.definition.flows,
        )?;
        self.flow_ids.get(name).copied()
    }

    fn resolve<T>(
        &self,
        at: &Pointer,
        name: &str,
        section: &'static str,
        what: &str,
        code: Code,
        known: &IndexMap<String, T>,
    ) -> Option<usize> {
        let found = known.get_index_of(name);
        if found.is_none() {
            self.used.missed.borrow_mut().insert(section);
        }
        if found.is_none() && !self.checks.is_omitted(&Pointer::root().key(section).key(name)) {
            let names = known.keys().map(String::as_str);
            self.checks.error(code, at, |report| {
                let report = report
                    .message(format!("the pipeline has no {what} `{name}`"))
                    .did_you_mean(name, names.clone());
                if known.is_empty() {
                    report.note(format!("it has no `{section}`"))
                } else {
                    report.note(format!("its {section} are {}", list(names)))
                }
            });
        }
        found
    }
}

fn stream_names(facts: &ConnectionFacts) -> Vec<String> {
    let streams = facts.streams.iter().flatten();
    streams
        .map(|stream| format!("{}.{}", facts.name, stream.name))
        .collect()
}
