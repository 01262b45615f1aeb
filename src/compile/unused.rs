//! What nothing refers to: probably a mistake or a leftover.

use std::collections::BTreeSet;

use super::legs::legs;
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use crate::definition::AnyFlow;
use crate::diagnostic::Code;

impl PipelineChecks<'_, '_> {
    /// Warns of enum tables, lookups, types and connections that are never used.
    pub(super) fn unused(&self) {
        let pipeline = self.definition;
        let enums = self.used.enums.borrow();
        for (position, name) in pipeline.enums.keys().enumerate() {
            self.leftover("enums", "enum table", name, enums.contains(&position));
        }
        let lookups = self.used.lookups.borrow();
        for (position, name) in pipeline.lookups.keys().enumerate() {
            self.leftover("lookups", "lookup", name, lookups.contains(&position));
        }
        let created = pipeline
            .lookups
            .values()
            .filter_map(|lookup| match &lookup.on_none {
                Some(crate::definition::OnNone::Create(fields)) => Some(fields.values()),
                _ => None,
            });
        let root = Pointer::root();
        let legs: Vec<_> = pipeline
            .flows
            .values()
            .flat_map(|flow| legs(&root, flow))
            .collect();
        let rules = legs.iter().flat_map(|leg| &leg.rules).map(|rule| &*rule.rule);
        let rules = rules.chain(created.flatten().map(|rule| &**rule));
        let types: BTreeSet<&String> = rules.filter_map(|rule| rule.value_type.as_ref()).collect();
        for name in pipeline.types.keys() {
            self.leftover("types", "type", name, types.contains(name));
        }
        let flows = pipeline.flows.values().flat_map(|flow| match flow {
            AnyFlow::OneWay(flow) => [&flow.from, &flow.to],
            AnyFlow::TwoWay(flow) => [&flow.remote, &flow.local],
        });
        let streams = flows.chain(pipeline.lookups.values().map(|lookup| &lookup.stream));
        let connections: BTreeSet<&str> = streams
            .filter_map(|stream| stream.split_once('.'))
            .map(|(connection, _)| connection)
            .collect();
        for name in pipeline.connections.keys() {
            self.leftover(
                "connections",
                "connection",
                name,
                connections.contains(name.as_str()),
            );
        }
    }

    fn leftover(&self, section: &'static str, what: &str, name: &str, is_used: bool) {
        // Where something was left out of the file or misspelt, it may be what used it.
        if is_used || self.checks.is_omitted(&Pointer::root()) || self.used.missed.borrow().contains(section)
        {
            return;
        }
        let at = Pointer::root().key(section).key(name);
        self.checks.warning(Code::Unused, &at, |report| {
            report
                .message(format!("the {what} `{name}` is never used"))
                .at_key()
        });
    }
}
