//! The shipped connector files through the connector's runtime, against the stand-ins: what the two-way sync rests on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crosswalk::compile::environment::{EmptyEnvironment, Overrides};
use crosswalk::compile::{CompileOptions, compile_pipeline};
use crosswalk::connector::{
    Connection, ConnectionContext, ConnectorError, Cursor, HttpOptions, ManyOutcome, Operation, Prepared,
    ReadRequest, WriteIntent, WriteOutcome,
};
use crosswalk::expression::{Record, Value, parse_json_owned};
use crosswalk::sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::rig::{PIPELINE, Rig};

/// Both stand-ins and the shipped connectors' connections to them.
struct Bench {
    sandbox: Sandbox,
    client: reqwest::Client,
    zendesk: Desk,
    oro: Desk,
}

/// A connection with the places of its streams.
struct Desk {
    connection: Connection,
    streams: Vec<(String, Vec<String>)>,
}

impl Desk {
    fn stream(&self, name: &str) -> usize {
        self.streams.iter().position(|(known, _)| known == name).unwrap()
    }

    async fn find(&self, stream: &str, by: &str, values: &[&str]) -> Vec<Json> {
        let stream = self.stream(stream);
        let find = self.streams[stream]
            .1
            .iter()
            .position(|known| known == by)
            .unwrap();
        let values: Vec<Value<'static>> = values
            .iter()
            .map(|value| Value::text((*value).to_owned()))
            .collect();
        seen(&self.connection.find(stream, find, &values).await.unwrap())
    }

    async fn get(&self, stream: &str, key: &str) -> Option<Json> {
        let record = self.connection.get(self.stream(stream), key).await.unwrap();
        record.map(|record| seen(&[record]).remove(0))
    }

    /// All records of a stream, and where the read ended.
    async fn read(&self, stream: &str, request: ReadRequest) -> (Vec<Json>, Option<Cursor>) {
        let mut reader = self.connection.read(self.stream(stream), request);
        let (mut records, mut cursor, mut last) = (Vec::new(), None, false);
        while let Some(page) = reader.next().await.unwrap() {
            assert!(!last, "a page after the last one");
            records.extend(seen(&page.records));
            cursor = page.cursor.or(cursor);
            last = page.last;
        }
        assert!(last);
        (records, cursor)
    }

    fn prepare(&self, operation: Operation, stream: &str, key: Option<&str>, fields: &Json) -> Prepared {
        self.connection
            .prepare(self.stream(stream), intent(operation, key, fields, None))
            .unwrap()
    }

    async fn create(&self, stream: &str, fields: &Json) -> WriteOutcome {
        let prepared = self.prepare(Operation::Create, stream, None, fields);
        self.connection.execute(&prepared).await
    }

    async fn update(&self, stream: &str, key: &str, fields: &Json, before: &Json) -> WriteOutcome {
        let write = intent(Operation::Update, Some(key), fields, Some(before));
        let prepared = self.connection.prepare(self.stream(stream), write).unwrap();
        self.connection.execute(&prepared).await
    }
}

fn intent(operation: Operation, key: Option<&str>, fields: &Json, before: Option<&Json>) -> WriteIntent {
    WriteIntent {
        operation,
        key: key.map(str::to_owned),
        fields: value(fields),
        before: before.map(value),
        intent: Uuid::now_v7(),
        correlation: "test".to_owned(),
    }
}

fn value(json: &Json) -> Value<'static> {
    parse_json_owned(json.to_string().as_bytes()).unwrap()
}

fn seen(records: &[Record]) -> Vec<Json> {
    let text = |record: &Record| serde_json::from_str(&record.value().unwrap().to_json()).unwrap();
    records.iter().map(text).collect()
}

#[track_caller]
fn key_of(outcome: WriteOutcome) -> String {
    match outcome {
        WriteOutcome::Written { key, .. } => key.unwrap(),
        other => panic!("{other:?}"),
    }
}

impl Bench {
    async fn start() -> Self {
        let options = SandboxOptions {
            tickets: 60,
            time_scale: 600.0,
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let environment = Overrides::new(sandbox.environment(), &EmptyEnvironment);
        let settings: Vec<_> = ["zendesk", "oro"]
            .into_iter()
            .flat_map(|connector| {
                let settings = sandbox.settings(connector).into_iter();
                settings.map(move |(name, value)| (connector.to_owned(), name.to_owned(), value))
            })
            .collect();
        let options = CompileOptions {
            environment: &environment,
            set: &[],
            connector_paths: Vec::new(),
            connection_overrides: &settings,
            require_environment: true,
        };
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join(PIPELINE);
        let compiled = compile_pipeline(&shipped, &options);
        let pipeline = Arc::new(compiled.pipeline.expect("the shipped pipeline is accepted"));
        let open = |name: &str| {
            let position = pipeline
                .connections
                .iter()
                .position(|one| one.name == name)
                .unwrap();
            let context = ConnectionContext {
                http: HttpOptions {
                    attempts: 3,
                    first_pause: Duration::from_millis(5),
                    longest_pause: Duration::from_millis(20),
                    ..HttpOptions::default()
                },
                ..ConnectionContext::default()
            };
            let streams = &pipeline.connections[position].connector.streams;
            let streams = streams.iter().map(|stream| {
                let find = stream.find.iter().map(|find| find.by.source().to_owned());
                (stream.name.clone(), find.collect())
            });
            Desk {
                streams: streams.collect(),
                connection: Connection::open(Arc::clone(&pipeline), position, context).unwrap(),
            }
        };
        let (zendesk, oro) = (open("zendesk"), open("oro"));
        Bench {
            sandbox,
            client: reqwest::Client::new(),
            zendesk,
            oro,
        }
    }

    async fn control(&self, system: &str, action: &str, body: Json) -> Json {
        let url = format!("{}/_sandbox/{action}", self.sandbox.address(system).unwrap());
        let response = self.client.post(url).body(body.to_string()).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn comments(&self, ticket: u64) -> Vec<Json> {
        let request = ReadRequest {
            parents: vec![value(&json!({ "id": ticket }))],
            ..ReadRequest::default()
        };
        self.zendesk.read("ticket_comments", request).await.0
    }
}

#[tokio::test]
async fn ticket_comments_come_oldest_first_with_their_authors() {
    let bench = Bench::start().await;
    bench
        .control(
            "zendesk",
            "edit",
            json!({"tickets": [{"id": 7, "comment": {"body": "last", "public": false}}]}),
        )
        .await;
    let comments = bench.comments(7).await;
    let times: Vec<&str> = comments
        .iter()
        .map(|comment| comment["created_at"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let last = comments.last().unwrap();
    assert_eq!(
        (&last["body"], &last["public"], &last["ticket_id"]),
        (&json!("last"), &json!(false), &json!(7))
    );
    assert_eq!(last["author"]["email"], "admin@example.com");
    assert!(bench.comments(2).await.is_empty(), "a deleted ticket shows none");
}

#[tokio::test]
async fn a_ticket_comment_is_written_and_found_again_by_its_mark() {
    let bench = Bench::start().await;
    let fields = json!({"ticket_id": 7, "body": "Thanks!", "public": false});
    let first = bench
        .zendesk
        .prepare(Operation::Create, "ticket_comments", None, &fields);
    let sent = jiff::Timestamp::now();
    let WriteOutcome::Written { key, record, .. } = bench.zendesk.connection.execute(&first).await else {
        panic!("not written")
    };
    let written = bench.comments(7).await.pop().unwrap();
    assert_eq!(key.unwrap(), written["id"].to_string());
    let record = serde_json::from_str::<Json>(&record.unwrap().to_json()).unwrap();
    assert_eq!(
        (&record["body"], &record["public"]),
        (&json!("Thanks!"), &json!(false))
    );
    assert_eq!(
        record.get("ticket_id"),
        None,
        "the answer does not say where it belongs"
    );

    // The same words again, with an answer that never comes.
    let second = bench
        .zendesk
        .prepare(Operation::Create, "ticket_comments", None, &fields);
    let fault = json!([{"match": "PUT /api/v2/tickets/7", "cut_after_write": true}]);
    bench.control("zendesk", "faults", fault).await;
    let lost = bench.zendesk.connection.execute(&second).await;
    assert!(matches!(lost, WriteOutcome::Unknown { .. }), "{lost:?}");
    let never_sent = bench
        .zendesk
        .prepare(Operation::Create, "ticket_comments", None, &fields);
    let newest = bench.comments(7).await.pop().unwrap();
    for (prepared, expected) in [
        (&first, vec![&written["id"]]),
        (&second, vec![&newest["id"]]),
        (&never_sent, vec![]),
    ] {
        let found = seen(&bench.zendesk.connection.find_again(prepared, sent).await.unwrap());
        let ids: Vec<&Json> = found.iter().map(|record| &record["id"]).collect();
        assert_eq!(ids, expected);
    }

    let closed = json!({"ticket_id": 21, "body": "late", "public": false});
    let refused = bench.zendesk.create("ticket_comments", &closed).await;
    assert!(matches!(refused, WriteOutcome::Frozen { .. }), "{refused:?}");
    let unknown = json!({"ticket_id": 7, "body": "x", "public": false, "author_id": 1});
    let refused = bench.zendesk.create("ticket_comments", &unknown).await;
    assert!(
        matches!(refused, WriteOutcome::Rejected { status: 422, .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_case_comment_is_found_again_among_those_that_say_the_same() {
    let bench = Bench::start().await;
    let fields = json!({"message": "Thanks!", "public": true, "case": {"id": "22"}, "owner": {"id": "20"}});
    let prepared = bench
        .oro
        .prepare(Operation::Create, "casecomments", None, &fields);
    let sent = jiff::Timestamp::now();
    let found = || async { seen(&bench.oro.connection.find_again(&prepared, sent).await.unwrap()).len() };
    assert_eq!(found().await, 0);
    let key = key_of(bench.oro.connection.execute(&prepared).await);
    assert_eq!(found().await, 1);
    let other = json!({"message": "Thanks!", "public": false, "case": {"id": "22"}, "owner": {"id": "20"}});
    key_of(bench.oro.create("casecomments", &other).await);
    assert_eq!(found().await, 1);
    key_of(bench.oro.create("casecomments", &fields).await);
    assert_eq!(found().await, 2, "nothing tells these two apart");
    let comment = bench.oro.get("casecomments", &key).await.unwrap();
    assert_eq!(
        (&comment["case"]["id"], &comment["owner"]["email"]),
        (&json!("22"), &json!("james.cook@example.com"))
    );
    let of_cases = bench.oro.find("casecomments", "$.case.id", &["22", "23"]).await;
    assert!(of_cases.len() >= 3);

    let (_, cursor) = bench.oro.read("casecomments", ReadRequest::default()).await;
    let late = key_of(bench.oro.create("casecomments", &fields).await);
    let request = ReadRequest {
        cursor,
        ..ReadRequest::default()
    };
    let (records, _) = bench.oro.read("casecomments", request).await;
    assert_eq!(records.last().unwrap()["id"], late);
}

#[tokio::test]
async fn a_lost_race_is_noticed_by_the_stamp() {
    let bench = Bench::start().await;
    let before = bench.zendesk.get("tickets", "7").await.unwrap();
    let edit = json!({"tickets": [{"id": 7, "subject": "theirs"}]});
    bench.control("zendesk", "edit", edit).await;
    let lost = bench
        .zendesk
        .update("tickets", "7", &json!({"priority": "low"}), &before)
        .await;
    assert!(matches!(lost, WriteOutcome::Conflict { .. }), "{lost:?}");
    let fresh = bench.zendesk.get("tickets", "7").await.unwrap();
    assert_eq!(fresh["subject"], "theirs");
    let won = bench
        .zendesk
        .update("tickets", "7", &json!({"priority": "low"}), &fresh)
        .await;
    assert_eq!(key_of(won), "7");
    let closed = bench.zendesk.get("tickets", "21").await.unwrap();
    let frozen = bench
        .zendesk
        .update("tickets", "21", &json!({"priority": "low"}), &closed)
        .await;
    assert!(matches!(frozen, WriteOutcome::Frozen { .. }), "{frozen:?}");
    let gone = bench
        .zendesk
        .update("tickets", "999999", &json!({"priority": "low"}), &fresh)
        .await;
    assert!(matches!(gone, WriteOutcome::Gone), "{gone:?}");
}

#[tokio::test]
async fn each_item_of_a_job_has_its_own_end() {
    let bench = Bench::start().await;
    let tickets = bench.zendesk.stream("tickets");
    let mut writes = Vec::new();
    for key in ["7", "8", "21", "6"] {
        let before = bench.zendesk.get("tickets", key).await.unwrap();
        let fields = json!({"tags": [format!("bulk_{key}")]});
        writes.push(intent(Operation::Update, Some(key), &fields, Some(&before)));
    }
    bench
        .control(
            "zendesk",
            "edit",
            json!({"tickets": [{"id": 8, "subject": "theirs"}]}),
        )
        .await;
    let prepared = bench.zendesk.connection.prepare_many(tickets, &writes).unwrap();
    assert_eq!(prepared.len(), 1);
    assert!(prepared[0].request.precondition);
    let outcomes = items(bench.zendesk.connection.execute_many(&prepared[0], &|_| {}).await);
    let ends: Vec<&str> = outcomes.iter().map(end).collect();
    assert_eq!(ends, ["written", "conflict", "frozen", "written"], "{outcomes:?}");

    let create = |fields: Json| intent(Operation::Create, None, &fields, None);
    let writes = [
        create(
            json!({"subject": "one", "comment": {"body": "x", "public": false}, "external_id": "oro-case:1"}),
        ),
        create(json!({"subject": "no comment"})),
        create(json!({"subject": "two", "comment": {"body": "y", "public": false}})),
    ];
    let prepared = bench.zendesk.connection.prepare_many(tickets, &writes).unwrap();
    let mut outcomes = items(bench.zendesk.connection.execute_many(&prepared[0], &|_| {}).await);
    let ends: Vec<&str> = outcomes.iter().map(end).collect();
    assert_eq!(ends, ["written", "rejected", "written"]);
    let last = key_of(outcomes.pop().unwrap());
    assert_eq!(
        bench.zendesk.get("tickets", &last).await.unwrap()["subject"],
        "two"
    );
}

fn items(ended: Result<ManyOutcome, ConnectorError>) -> Vec<WriteOutcome> {
    match ended.unwrap() {
        ManyOutcome::Items(outcomes) => outcomes,
        refused @ ManyOutcome::Refused { .. } => panic!("{refused:?}"),
    }
}

fn end(outcome: &WriteOutcome) -> &'static str {
    match outcome {
        WriteOutcome::Written { .. } => "written",
        WriteOutcome::Later { .. } => "later",
        WriteOutcome::Conflict { .. } => "conflict",
        WriteOutcome::Frozen { .. } => "frozen",
        WriteOutcome::Rejected { .. } => "rejected",
        WriteOutcome::Exists { .. } => "exists",
        WriteOutcome::Gone => "gone",
        WriteOutcome::Unknown { .. } => "unknown",
        WriteOutcome::Stopped(_) => "stopped",
    }
}

#[tokio::test]
async fn a_customer_is_made_quietly_and_only_once() {
    let bench = Bench::start().await;
    let fields =
        json!({"name": "Ada", "email": "ada@example.org", "role": "end-user", "skip_verify_email": true});
    let key = key_of(bench.zendesk.create("users", &fields).await);
    let again = bench.zendesk.create("users", &fields).await;
    assert_eq!(end(&again), "exists");
    assert!(
        bench
            .zendesk
            .find("users", "$.email", &["ada@example.org"])
            .await
            .is_empty(),
        "the search lags behind"
    );
    bench
        .control("zendesk", "clock", json!({"advance_seconds": 300}))
        .await;
    let found = bench.zendesk.find("users", "$.email", &["ada@example.org"]).await;
    assert_eq!(found[0]["id"].to_string(), key);
    let many = bench
        .zendesk
        .connection
        .get_many(bench.zendesk.stream("users"), &[key])
        .await
        .unwrap();
    assert_eq!(many.len(), 1);
}

#[tokio::test]
async fn the_mirror_of_tickets_is_written_where_the_bundle_is() {
    let bench = Bench::start().await;
    let tickets = bench.oro.stream("zendesktickets");
    assert!(bench.oro.connection.has(tickets).await.unwrap());
    let person = json!({"originId": 360_000_001_101_u64, "name": "Jim", "role": {"id": "end-user"}, "relatedContact": {"id": "3"}});
    let person = key_of(bench.oro.create("zendeskusers", &person).await);
    let fields = json!({"originId": 7, "relatedCase": {"id": "22"}, "status": {"id": "hold"}, "ticketType": {"id": "task"},
        "requester": {"id": person}, "collaborators": [{"id": person}]});
    let key = key_of(bench.oro.create("zendesktickets", &fields).await);
    let found = bench
        .oro
        .find("zendesktickets", "$.relatedCase.id", &["22", "23"])
        .await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["id"], &found[0]["status"]["id"]),
        (&json!(key), &json!("hold"))
    );
    assert_eq!(found[0]["collaborators"][0]["id"], person);
    let change = json!({"status": {"id": "solved"}, "collaborators": []});
    key_of(bench.oro.update("zendesktickets", &key, &change, &found[0]).await);
    let now = bench.oro.get("zendesktickets", &key).await.unwrap();
    assert_eq!(
        (&now["status"]["id"], &now["collaborators"]),
        (&json!("solved"), &json!([]))
    );
    let twice = bench.oro.create("zendesktickets", &fields).await;
    assert_eq!(end(&twice), "exists");

    bench
        .control("oro", "settings", json!({"zendesk_bundle": false}))
        .await;
    assert!(!bench.oro.connection.has(tickets).await.unwrap());
    for (desk, stream) in [
        (&bench.oro, "cases"),
        (&bench.zendesk, "tickets"),
        (&bench.zendesk, "users"),
    ] {
        assert!(
            desk.connection.has(desk.stream(stream)).await.unwrap(),
            "{stream}"
        );
    }
}

#[test]
fn a_check_finds_out_whether_the_bundle_is_installed() {
    let rig = Rig::new(4);
    let flow = "flows:\n  mirror: {from: oro.zendesktickets, to: oro.contacts, mode: insert, fields: {lastName: $.subject}}\n";
    rig.replace(PIPELINE, "flows:\n", flow);
    rig.crosswalk(&["check", PIPELINE]).expect(0);
    rig.control("oro", "POST", "settings", &json!({"zendesk_bundle": false}));
    let found = rig.crosswalk(&["check", PIPELINE]).expect(11);
    assert!(
        found.stdout.contains("the account has no `zendesktickets`"),
        "{}",
        found.stdout
    );
}

#[tokio::test]
async fn cases_are_read_whole_or_by_their_time_as_the_account_allows() {
    let bench = Bench::start().await;
    let (all, cursor) = bench.oro.read("cases", ReadRequest::default()).await;
    assert_eq!(cursor, Some(Cursor::Scan));
    let request = ReadRequest {
        cursor,
        ..ReadRequest::default()
    };
    let (again, _) = bench.oro.read("cases", request).await;
    assert_eq!(all.len(), again.len());

    // Another process, against an installation that takes the filter.
    let bench = Bench::start().await;
    bench
        .control("oro", "settings", json!({"updated_at_filter": true}))
        .await;
    let (first, cursor) = bench.oro.read("cases", ReadRequest::default()).await;
    assert_eq!(first.len(), all.len());
    assert!(matches!(cursor, Some(Cursor::TimeAndKey { .. })), "{cursor:?}");
    let edits = bench
        .control(
            "oro",
            "edits",
            json!({"seed": 5, "count": 1, "fields": ["subject"], "ids": [22]}),
        )
        .await;
    assert_eq!(edits["edits"][0]["id"], "22");
    let created = bench
        .control(
            "oro",
            "edits",
            json!({"seed": 6, "count": 1, "fields": ["create"]}),
        )
        .await;
    let new = &created["edits"][0]["id"];
    let request = ReadRequest {
        cursor,
        ..ReadRequest::default()
    };
    let (changed, cursor) = bench.oro.read("cases", request).await;
    let ids: Vec<&Json> = changed.iter().map(|case| &case["id"]).collect();
    assert!(ids.contains(&&json!("22")), "a changed one: {ids:?}");
    assert!(
        ids.contains(&new),
        "a new one, which has no time of a change: {ids:?}"
    );
    assert!(matches!(cursor, Some(Cursor::TimeAndKey { .. })));
    let stored = serde_json::to_string(&cursor).unwrap();
    assert_eq!(serde_json::from_str::<Option<Cursor>>(&stored).unwrap(), cursor);
}
