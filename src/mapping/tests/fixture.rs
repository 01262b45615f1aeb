//! A small pipeline made by hand: one connection, a stream of tickets, and a resolver that answers from a table.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::compile::compiled::*;
use crate::expression::{
    Normalizer, Path, Projection, Record, TargetType, Template, Value, normalize, parse_json_owned,
};
use crate::mapping::{Coverage, Found, Mapper, Outcome, Resolution, Resolver, Trace};

pub(super) fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

pub(super) fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

pub(super) fn json(text: &str) -> Value<'static> {
    parse_json_owned(text.as_bytes()).unwrap()
}

pub(super) fn record(text: &str) -> Record {
    Record::new(Bytes::copy_from_slice(text.as_bytes()))
}

pub(super) fn select(text: &str) -> Input {
    Input::Select(path(text))
}

pub(super) fn compute(text: &str) -> Input {
    Input::Compute(template(text))
}

/// A row that does nothing but its input.
pub(super) fn row(target: &str, input: Input) -> Row {
    Row {
        target: Target {
            name: target.to_owned(),
            segments: target.split('.').map(str::to_owned).collect(),
        },
        when: None,
        otherwise_clear: false,
        input,
        take: None,
        default: None,
        enumeration: None,
        lookup: None,
        then: None,
        target_type: TargetType::Any,
        on_null: OnNull::Clear,
        required: false,
        max_length: None,
        write: WritePolicy::Always,
        pointer: format!("/flows/cases/fields/{target}"),
    }
}

pub(super) fn use_enum(table: EnumId) -> Option<EnumUse> {
    Some(EnumUse {
        table,
        on_null: None,
        on_unknown: None,
    })
}

pub(super) fn use_lookup(lookup: LookupId) -> Option<LookupUse> {
    Some(LookupUse {
        lookup,
        on_none: None,
        on_many: None,
    })
}

pub(super) fn lookup(name: &str, theirs: &str, ours: MatchValue, on_none: OnNone) -> Lookup {
    Lookup {
        name: name.to_owned(),
        connection: 0,
        stream: 1,
        attempts: vec![Match {
            keys: vec![MatchKey {
                theirs: path(theirs),
                ours,
                find: None,
            }],
        }],
        conditions: Vec::new(),
        prefer: Vec::new(),
        normalize: vec![Normalizer::Trim, Normalizer::Lower],
        load: Load::OnDemand,
        fresh_for: Duration::from_secs(60),
        on_none,
        on_many: OnMany::Reject,
    }
}

pub(super) fn table(name: &str, values: &[(&str, &str)]) -> EnumTable {
    EnumTable {
        name: name.to_owned(),
        values: values
            .iter()
            .map(|(from, to)| ((*from).to_owned(), Value::text((*to).to_owned())))
            .collect(),
        on_null: OnNull::Clear,
        on_unknown: OnUnknown::Reject,
    }
}

/// A pipeline with one flow of these rows.
pub(super) fn pipeline(rows: Vec<Row>) -> Pipeline {
    let stream = |name: &str| Stream::new(name, path("$.id"));
    let directory = std::path::PathBuf::new();
    let mut pipeline = Pipeline {
        name: "test".to_owned(),
        digest: String::new(),
        sources: Vec::new(),
        connections: vec![Connection {
            name: "crm".to_owned(),
            connector_name: "files".to_owned(),
            connector: Connector {
                kind: ConnectorKind::File(FileConnector { directory }),
                streams: vec![stream("tickets"), stream("people")],
            },
            settings: json(r#"{"organization":5}"#),
            auth: None,
            use_at_most: 1.0,
        }],
        params: json(r#"{"owner":"owner@x","start":"2024-01-01"}"#),
        connections_seen: json(r#"{"crm":{"settings":{"organization":5}}}"#),
        enums: vec![table(
            "priority",
            &[
                ("low", "low"),
                ("urgent", "high"),
                ("true", "yes"),
                ("7", "seven"),
            ],
        )],
        lookups: vec![lookup("person", "$.email", MatchValue::Given, OnNone::Reject)],
        flows: Vec::new(),
        two_way: Vec::new(),
        log_warnings: false,
        snapshots: SnapshotPolicy {
            extracted: true,
            mapped: true,
            planned: true,
            loaded: true,
            rejected: true,
        },
    };
    pipeline.flows.push(flow(rows));
    pipeline
}

fn flow(rows: Vec<Row>) -> Flow {
    Flow {
        name: "cases".to_owned(),
        direction_of: None,
        disabled: None,
        selection_digest: String::new(),
        from: StreamRef {
            connection: 0,
            stream: 0,
        },
        to: StreamRef {
            connection: 0,
            stream: 1,
        },
        mode: Mode::Upsert,
        matches: Vec::new(),
        normalize: Vec::new(),
        on_none: OnNone::Reject,
        on_many: OnMany::Reject,
        of: None,
        since: None,
        conditions: Vec::new(),
        when: None,
        joins: Vec::new(),
        one_per: None,
        only_if_changed: Vec::new(),
        order_by: None,
        require: Vec::new(),
        on_delete: OnDelete::Unlink,
        on_frozen: OnFrozen::Reject,
        guard: None,
        rejects: RejectBudget {
            allow: Allowance::Unlimited,
            retry_at_most: 0,
        },
        privacy: Vec::new(),
        private_targets: Vec::new(),
        rows,
        projection: Projection::everything(),
        columns: Vec::new(),
    }
}

/// Answers by lookup and normalised key; what is not in the table was not found, and `?` keys are not known yet.
#[derive(Default)]
pub(super) struct Answers {
    records: HashMap<(LookupId, String), Vec<Arc<Found>>>,
    links: HashMap<(FlowId, String), Value<'static>>,
    pub(super) asked: RefCell<Vec<String>>,
}

impl Answers {
    pub(super) fn with(mut self, lookup: LookupId, key: &str, records: &[&str]) -> Self {
        let found = records
            .iter()
            .map(|text| {
                let record = json(text);
                Arc::new(Found {
                    key: record.get("id").cloned().unwrap(),
                    record: Arc::new(record),
                })
            })
            .collect();
        self.records.insert((lookup, key.to_owned()), found);
        self
    }

    pub(super) fn linked(mut self, flow: FlowId, key: &str, to: i64) -> Self {
        self.links.insert((flow, key.to_owned()), Value::from(to));
        self
    }
}

impl Resolver for Answers {
    fn resolve(&self, lookup: LookupId, given: &Value<'_>) -> Resolution {
        let email = given.get("email").unwrap_or(given);
        let Some(key) = normalize(&[Normalizer::Trim, Normalizer::Lower], email) else {
            return Resolution::None;
        };
        self.asked.borrow_mut().push(key.clone());
        match key.as_str() {
            unknown if unknown.starts_with('?') => Resolution::Missing,
            "!" => Resolution::Failed("the system is down".to_owned()),
            _ => match self.records.get(&(lookup, key)).map(Vec::as_slice) {
                None | Some([]) => Resolution::None,
                Some([found]) => Resolution::Found(Arc::clone(found)),
                Some(found) => Resolution::Many(found.to_vec()),
            },
        }
    }

    fn link(&self, flow: FlowId, key: &str) -> Resolution {
        if key.starts_with('?') {
            return Resolution::Missing;
        }
        match self.links.get(&(flow, key.to_owned())) {
            Some(to) => Resolution::Found(Arc::new(Found {
                key: to.clone(),
                record: Arc::default(),
            })),
            None => Resolution::None,
        }
    }
}

/// A record's outcome in one line: its cells, or what became of it.
pub(super) fn outcome(pipeline: &Pipeline, record: &Record, resolver: &dyn Resolver) -> String {
    let mapper = Mapper::new(pipeline, 0);
    let plain = tell(mapper.map(record, resolver, &mut Coverage::new(&pipeline.enums), None));
    let mut trace = Trace::new();
    let traced = tell(mapper.map(
        record,
        resolver,
        &mut Coverage::new(&pipeline.enums),
        Some(&mut trace),
    ));
    assert_eq!(plain, traced, "a trace must not change what happens");
    plain
}

pub(super) fn map(pipeline: &Pipeline, text: &str, resolver: &dyn Resolver) -> String {
    outcome(pipeline, &record(text), resolver)
}

/// The cell of a pipeline of one row.
pub(super) fn one(row: Row, text: &str) -> String {
    map(&pipeline(vec![row]), text, &Answers::default())
}

pub(super) fn tell(outcome: Outcome<'_>) -> String {
    use crate::mapping::Cell;
    let reason = |reject: crate::mapping::Reject| {
        let field = reject.field.map_or(String::new(), |field| format!(" {field}"));
        let value = reject.value.map_or(String::new(), |value| format!(" [{value}]"));
        format!("{}{field} by {}{value}", reject.code, reject.rule)
    };
    match outcome {
        Outcome::Mapped(mapped) => {
            let cells: Vec<String> = mapped
                .cells
                .iter()
                .enumerate()
                .map(|(index, cell)| {
                    let mark = if mapped.fallbacks.iter().any(|used| used.row == index) {
                        "*"
                    } else {
                        ""
                    };
                    match cell {
                        Cell::Absent => "-".to_owned(),
                        Cell::Value(value) => value.to_json() + mark,
                        Cell::Pending(key) => format!("new({})", key.key),
                        Cell::List(items) => format!("{items:?}"),
                    }
                })
                .collect();
            let pending: Vec<String> = mapped
                .pending
                .iter()
                .map(|pending| {
                    let cells: Vec<String> = pending
                        .cells
                        .iter()
                        .map(|(target, cell)| match cell {
                            Cell::Absent => format!("{}=-", target.name),
                            Cell::Value(value) => format!("{}={}", target.name, value.to_json()),
                            Cell::Pending(key) => format!("{}=new({})", target.name, key.key),
                            Cell::List(items) => format!("{}={items:?}", target.name),
                        })
                        .collect();
                    format!(" + {}: {}", pending.key.key, cells.join(" "))
                })
                .collect();
            cells.join(" ") + &pending.concat()
        }
        Outcome::Filtered { key } => format!("filtered {key}"),
        Outcome::Deleted { key } => format!("deleted {key}"),
        Outcome::Erased { key } => format!("erased {key}"),
        Outcome::Skipped { reject, .. } => format!("skipped: {}", reason(reject)),
        Outcome::Rejected { reject, .. } => format!("rejected: {}", reason(reject)),
        Outcome::Held { reject, .. } => format!("held: {}", reason(reject)),
        Outcome::Waiting { reject, .. } => {
            let waits = reject
                .waits_for
                .clone()
                .map_or(String::new(), |(flow, key)| format!(" for {flow}/{key}"));
            format!("waits: {}{waits}", reason(reject))
        }
    }
}
