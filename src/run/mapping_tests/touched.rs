//! What cases have looked at: which rules an expectation was held against, which entries of tables a value went through.

use std::collections::HashSet;

use serde::Serialize;

use crate::compile::compiled::{FlowId, LookupId, OnNone, Pipeline};
use crate::mapping::Coverage;

/// What cases have looked at so far.
#[derive(Debug)]
pub(super) struct Touched {
    /// Rules of flows and directions, by position.
    pub(super) rows: HashSet<(FlowId, usize)>,
    /// Rules of records that lookups create, by target.
    pub(super) created: HashSet<(LookupId, String)>,
    /// Entries of enum tables.
    pub(super) enums: Coverage,
}

/// What no case has looked at.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Untouched {
    /// Entries of enum tables through which no value went.
    pub enum_entries: Vec<UntouchedIn>,
    /// How many entries there are.
    pub all_enum_entries: usize,
    /// Rules whose result no expectation was held against.
    pub rules: Vec<UntouchedIn>,
    /// How many rules there are.
    pub all_rules: usize,
}

/// What no case has looked at of one table, flow or lookup.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct UntouchedIn {
    /// The table, flow, direction or lookup.
    pub name: String,
    /// The entries, or the targets of the rules.
    pub missing: Vec<String>,
}

impl Touched {
    /// Nothing yet.
    pub(super) fn new(pipeline: &Pipeline) -> Self {
        Touched {
            rows: HashSet::new(),
            created: HashSet::new(),
            enums: Coverage::new(&pipeline.enums),
        }
    }

    /// What is left.
    pub(super) fn untouched(&self, pipeline: &Pipeline) -> Untouched {
        let mut left = Untouched::default();
        for (id, table) in pipeline.enums.iter().enumerate() {
            left.all_enum_entries += table.values.len();
            let unused = self.enums.unused(id);
            let missing = unused.filter_map(|entry| Some(table.values.get_index(entry)?.0.clone()));
            add(&mut left.enum_entries, &table.name, missing.collect());
        }
        for (id, flow) in pipeline.flows.iter().enumerate() {
            left.all_rules += flow.rows.len();
            let rows = flow.rows.iter().enumerate();
            let missing = rows.filter(|(row, _)| !self.rows.contains(&(id, *row)));
            let missing = missing.map(|(_, row)| row.target.name.clone());
            add(&mut left.rules, &flow.name, missing.collect());
        }
        for (id, lookup) in pipeline.lookups.iter().enumerate() {
            let OnNone::Create(rows) = &lookup.on_none else {
                continue;
            };
            left.all_rules += rows.len();
            let names = rows.iter().map(|row| row.target.name.clone());
            let missing = names.filter(|name| !self.created.contains(&(id, name.clone())));
            add(&mut left.rules, &lookup.name, missing.collect());
        }
        left
    }
}

fn add(list: &mut Vec<UntouchedIn>, name: &str, missing: Vec<String>) {
    if !missing.is_empty() {
        list.push(UntouchedIn {
            name: name.to_owned(),
            missing,
        });
    }
}
