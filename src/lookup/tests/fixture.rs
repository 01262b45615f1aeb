//! A pipeline with one searched stream, made by hand, and a system that counts what it is asked.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use indexmap::IndexMap;
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc};

use crate::compile::compiled::*;
use crate::connector::{ConnectorError, Page, Reader};
use crate::expression::{
    Normalizer, Path, Projection, Record, TargetType, Template, Value, parse_json_owned,
};
use crate::lookup::{Lookups, Source};
use crate::mapping::{Resolution, Resolver};
use crate::state::{SqliteState, State};

pub(super) const PEOPLE: &str = r#"[
    {"id": 1, "email": "ann@example.com", "role": "agent", "name": "Ann", "emails": [{"email": "ann@home.example"}, {"email": "Ann@Example.com"}]},
    {"id": 2, "email": "Bob@Example.com", "role": "agent", "name": "Bob", "emails": []},
    {"id": 3, "email": "cid@example.com", "role": "customer", "name": "Cid", "emails": [{"email": "shared@example.com"}]},
    {"id": 4, "email": "dora@example.com", "role": "customer", "name": "Dora", "emails": [{"email": "shared@example.com"}]},
    {"id": 5, "email": "ann@example.com.invalid", "role": "agent", "name": "Ann's copy", "emails": []}
]"#;

pub(super) fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

pub(super) fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

pub(super) fn json(text: &str) -> Value<'static> {
    parse_json_owned(text.as_bytes()).unwrap()
}

/// The stream's finds: by e-mail two at once, by nested e-mail, and by something that records do not show.
pub(super) const BY_EMAIL: usize = 0;
pub(super) const BY_EMAILS: usize = 1;
pub(super) const BY_ALIAS: usize = 2;

fn find(by: &str, at_most: usize, recheck: bool) -> Find {
    Find {
        by: path(by),
        request: Request {
            method: Method::Get,
            path: Template::literal("/people"),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            uses: Vec::new(),
            records: None,
            record: None,
            gone_is_none: false,
        },
        at_most,
        behind: Duration::ZERO,
        recheck,
        pages: Pages::Single,
        joins: Vec::new(),
    }
}

fn people() -> Stream {
    Stream {
        name: "people".to_owned(),
        key: path("$.id"),
        schema: None,
        resource_type: None,
        relationships: IndexMap::new(),
        file: None,
        list: None,
        get: None,
        get_joins: Vec::new(),
        find: vec![
            find("$.email", 2, true),
            find("$.emails[*].email", 10, true),
            find("$.alias", 1, false),
        ],
        create: None,
        update: None,
        upsert: None,
        delete: None,
        update_many: None,
        create_many: None,
        shape: RecordShape::default(),
        parent: None,
        deleted_when: Some(template("{{ record.deleted }}")),
        erased_when: None,
        frozen_when: None,
        never: Vec::new(),
        privacy: Vec::new(),
    }
}

/// A lookup of people by e-mail, on demand.
pub(super) fn by_email(name: &str) -> Lookup {
    Lookup {
        name: name.to_owned(),
        connection: 0,
        stream: 0,
        attempts: vec![attempt("$.email", MatchValue::Given, BY_EMAIL)],
        conditions: Vec::new(),
        prefer: Vec::new(),
        normalize: vec![Normalizer::Trim, Normalizer::Lower],
        load: Load::OnDemand,
        fresh_for: Duration::from_secs(600),
        on_none: OnNone::Reject,
        on_many: OnMany::Reject,
    }
}

pub(super) fn attempt(theirs: &str, ours: MatchValue, find: usize) -> Match {
    Match {
        keys: vec![key(theirs, ours, Some(find))],
    }
}

pub(super) fn key(theirs: &str, ours: MatchValue, find: Option<usize>) -> MatchKey {
    MatchKey {
        theirs: path(theirs),
        ours,
        find,
    }
}

pub(super) fn given(text: &str) -> MatchValue {
    MatchValue::Select(path(text))
}

/// A flow `cases` whose rows use the lookups.
fn flow(lookups: usize, joins: Vec<Join>, projection: Projection) -> Flow {
    let stream = StreamRef {
        connection: 0,
        stream: 0,
    };
    Flow {
        name: "cases".to_owned(),
        direction_of: None,
        disabled: None,
        selection_digest: String::new(),
        from: stream,
        to: stream,
        mode: Mode::Upsert,
        matches: Vec::new(),
        normalize: Vec::new(),
        on_none: OnNone::Reject,
        on_many: OnMany::Reject,
        of: None,
        since: None,
        conditions: Vec::new(),
        when: None,
        joins,
        one_per: None,
        only_if_changed: Vec::new(),
        order_by: None,
        require: Vec::new(),
        on_delete: OnDelete::Unlink,
        on_frozen: OnFrozen::Reject,
        guard: None,
        rejects: RejectBudget {
            allow: Allowance::Unlimited,
            retry_at_most: 3,
        },
        privacy: Vec::new(),
        private_targets: Vec::new(),
        rows: (0..lookups).map(row).collect(),
        projection,
        columns: Vec::new(),
    }
}

fn row(lookup: LookupId) -> Row {
    Row {
        target: Target {
            name: "owner".to_owned(),
            segments: vec!["owner".to_owned()],
        },
        when: None,
        otherwise_clear: false,
        input: Input::Select(path("$.email")),
        take: None,
        default: None,
        enumeration: None,
        lookup: Some(LookupUse {
            lookup,
            on_none: None,
            on_many: None,
        }),
        then: None,
        target_type: TargetType::Any,
        on_null: OnNull::Reject,
        required: false,
        max_length: None,
        write: WritePolicy::Always,
        pointer: String::new(),
    }
}

/// What a test may vary.
pub(super) struct World {
    pub(super) lookups: Vec<Lookup>,
    pub(super) joins: Vec<Join>,
    pub(super) projection: Projection,
    pub(super) params: &'static str,
    pub(super) system: Arc<System>,
    pub(super) state: Arc<dyn State>,
}

impl World {
    pub(super) fn new(lookups: Vec<Lookup>) -> Self {
        World {
            lookups,
            joins: Vec::new(),
            projection: Projection::new(),
            params: r#"{"owner": "ann@example.com"}"#,
            system: System::new(PEOPLE),
            state: Arc::new(SqliteState::in_memory().unwrap()),
        }
    }

    pub(super) fn build(self) -> Lookups {
        let flow = flow(self.lookups.len(), self.joins, self.projection);
        let pipeline = Pipeline {
            name: "helpdesk-crm".to_owned(),
            digest: "digest".to_owned(),
            sources: Vec::new(),
            connections: vec![Connection {
                name: "crm".to_owned(),
                connector_name: "crm".to_owned(),
                connector: Connector {
                    kind: ConnectorKind::File(FileConnector {
                        directory: ".".into(),
                    }),
                    streams: vec![people()],
                },
                settings: json(r#"{"role": "agent"}"#),
                auth: None,
                use_at_most: 1.0,
            }],
            params: json(self.params),
            connections_seen: json(r#"{"crm": {"settings": {"role": "agent"}}}"#),
            enums: Vec::new(),
            lookups: self.lookups,
            flows: vec![flow],
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
        Lookups::new(Arc::new(pipeline), self.system, self.state).unwrap()
    }
}

/// The searched system: compares loosely (without case, by beginnings), logs what it is asked.
#[derive(Debug)]
pub(super) struct System {
    pub(super) records: Mutex<Vec<Value<'static>>>,
    pub(super) asked: Mutex<Vec<(usize, Vec<String>)>>,
    pub(super) reads: Mutex<usize>,
    /// Values whose presence makes it refuse a request.
    pub(super) refused: Mutex<HashSet<String>>,
    pub(super) down: Mutex<bool>,
    /// How many requests may pass.
    pub(super) gate: Semaphore,
}

impl System {
    pub(super) fn new(records: &str) -> Arc<Self> {
        let Value::List(records) = json(records) else {
            panic!("a list is expected");
        };
        Arc::new(System {
            records: Mutex::new(records),
            asked: Mutex::default(),
            reads: Mutex::default(),
            refused: Mutex::default(),
            down: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    /// What it was asked so far, each request's values in order.
    pub(super) fn asked(&self) -> Vec<Vec<String>> {
        let mut asked: Vec<Vec<String>> = self
            .asked
            .lock()
            .unwrap()
            .iter()
            .map(|(_, values)| values.clone())
            .collect();
        for values in &mut asked {
            values.sort();
        }
        asked.sort();
        asked
    }

    fn answer(&self, find: usize, values: &[Value<'static>]) -> Result<Vec<Record>, ConnectorError> {
        let texts: Vec<String> = values
            .iter()
            .map(|value| value.scalar_text().unwrap().into_owned())
            .collect();
        self.asked.lock().unwrap().push((find, texts.clone()));
        if *self.down.lock().unwrap() {
            return Err(ConnectorError::Unreachable {
                connection: "crm".to_owned(),
                what: "find people".to_owned(),
                attempts: 3,
                message: "connection refused".to_owned(),
            });
        }
        let refused = self.refused.lock().unwrap();
        if let Some(text) = texts.iter().find(|text| refused.contains(*text)) {
            return Err(ConnectorError::Rejected {
                connection: "crm".to_owned(),
                what: "find people".to_owned(),
                status: 422,
                message: format!("{text} is no address"),
            });
        }
        let by = match find {
            BY_EMAIL => path("$.email"),
            BY_EMAILS => path("$.emails[*].email"),
            _ => path("$.hidden_alias"),
        };
        let records = self.records.lock().unwrap();
        let fitting = records.iter().filter(|record| {
            by.all(record).iter().any(|node| {
                let node = node.as_text().unwrap().to_lowercase();
                texts
                    .iter()
                    .any(|text| node.starts_with(&text.trim().to_lowercase()))
            })
        });
        Ok(fitting.map(shown).collect())
    }
}

/// A record as the system shows it: without what is hidden.
fn shown(record: &Value<'static>) -> Record {
    let mut record = record.clone();
    path("$.hidden_alias").edit(&mut record, &mut |_| crate::expression::Edit::Remove);
    Record::new(Bytes::from(record.to_json()))
}

impl Source for System {
    fn read(&self, _: ConnectionId, _: usize) -> Reader {
        *self.reads.lock().unwrap() += 1;
        let records: Vec<Record> = self.records.lock().unwrap().iter().map(shown).collect();
        let (pages, receiver) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            // Pages that overlap by one record, as listings without a stable order give them.
            let ends = (0..records.len()).step_by(2);
            for start in ends {
                let page = Page {
                    bytes: 0,
                    records: records.iter().skip(start).take(3).cloned().collect(),
                    repeated: 0,
                    cursor: None,
                    at: Timestamp::UNIX_EPOCH,
                    last: start + 2 >= records.len(),
                };
                if pages.send(Ok(page)).await.is_err() {
                    return;
                }
            }
        });
        Reader::new(receiver, task.abort_handle())
    }

    fn find<'s>(
        &'s self,
        _: ConnectionId,
        _: usize,
        find: usize,
        values: &'s [Value<'static>],
    ) -> BoxFuture<'s, Result<Vec<Record>, ConnectorError>> {
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            self.answer(find, values)
        })
    }
}

/// The keys that a lookup finds for a value, as text: `1`, `3 4`, `none`, `missing` or `failed`.
pub(super) fn resolve(resolver: &dyn Resolver, lookup: LookupId, given: &str) -> String {
    word(resolver.resolve(lookup, &json(given)))
}

pub(super) fn word(resolution: Resolution) -> String {
    match resolution {
        Resolution::Found(found) => found.key.scalar_text().unwrap().into_owned(),
        Resolution::Many(found) => {
            let keys: Vec<String> = found.iter().map(|found| found.key.to_json()).collect();
            keys.join(" ")
        }
        Resolution::None => "none".to_owned(),
        Resolution::Missing => "missing".to_owned(),
        Resolution::Failed(message) => format!("failed: {message}"),
    }
}

/// Resolves, fetches what is missing, and resolves again, as a run does with a batch.
pub(super) async fn settle(lookups: &Lookups, lookup: LookupId, given: &[&str]) -> Vec<String> {
    let resolver = lookups.resolver();
    for given in given {
        resolve(&resolver, lookup, given);
    }
    lookups.fetch(resolver.questions()).await.unwrap();
    given
        .iter()
        .map(|given| resolve(&resolver, lookup, given))
        .collect()
}
