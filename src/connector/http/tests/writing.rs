//! Writing: exact bytes, outcomes, repetition only where it is harmless, bulk writes and their jobs.

use std::sync::Mutex;

use super::*;
use crate::compile::compiled::{
    ErrorOutcome, ErrorRule, Idempotency, Job, JobResult, MapOf, Precondition, RecordShape, Relationship,
    Shape, Write, WriteMany,
};
use crate::connector::{JobEnd, ManyOutcome, Operation, Prepared, WriteIntent, WriteOutcome};

pub(super) fn write(request: Request) -> Write {
    Write {
        request,
        precondition: None,
        idempotency: None,
        new_key: None,
        counts_for: None,
        find_again: None,
    }
}

fn wrapped(method: Method, text: &str) -> Request {
    let fields = Shape::Template(template("{{ fields }}"));
    Request {
        body: Some(Shape::Map(vec![("ticket".to_owned(), fields)])),
        record: Some(path("$.ticket")),
        ..request(method, text)
    }
}

fn tickets() -> Stream {
    Stream {
        create: Some(write(wrapped(Method::Post, "/tickets"))),
        update: Some(Write {
            precondition: Some(Precondition::InBody(vec![
                ("ticket.safe_update".to_owned(), Shape::Const(Value::from(true))),
                (
                    "ticket.stamp".to_owned(),
                    Shape::Template(template("{{ before.updated_at }}")),
                ),
            ])),
            ..write(wrapped(Method::Put, "/tickets/{{ key }}"))
        }),
        delete: Some(write(request(Method::Delete, "/tickets/{{ key }}"))),
        shape: RecordShape {
            map_of: vec![MapOf {
                member: "custom_fields".to_owned(),
                key: path("$.id"),
                value: path("$.value"),
                names: IndexMap::from([("order".to_owned(), "36".to_owned())]),
            }],
            ..RecordShape::default()
        },
        ..Stream::new("tickets", path("$.id"))
    }
}

fn intent(operation: Operation, key: Option<&str>, fields: &str) -> WriteIntent {
    WriteIntent {
        operation,
        key: key.map(str::to_owned),
        fields: owned(fields),
        before: None,
        intent: uuid::Uuid::from_u128(7),
        correlation: "case-9".to_owned(),
    }
}

fn create() -> WriteIntent {
    intent(
        Operation::Create,
        None,
        r#"{"subject":"x","price":1.10,"custom_fields":{"order":"A"}}"#,
    )
}

async fn outcome_on(
    stream: Stream,
    write: WriteIntent,
    replies: Vec<Reply>,
) -> (WriteOutcome, Vec<server::Seen>) {
    let server = Server::script(replies).await;
    let connection = given(with_rules(plain()), vec![stream]).open(&server);
    let prepared = connection.prepare(0, write).unwrap();
    let outcome = connection.execute(&prepared).await;
    (outcome, server.seen())
}

fn with_rules(mut connector: HttpConnector) -> HttpConnector {
    let rule = |status, body: &[(&str, &str)], outcome| ErrorRule {
        limit: None,
        statuses: vec![(status, status)],
        body: body
            .iter()
            .map(|(at, text)| (path(at), vec![(*text).to_owned()]))
            .collect(),
        text_contains: None,
        outcome,
    };
    connector.errors = vec![
        rule(409, &[("$.error", "UpdateConflict")], ErrorOutcome::Conflict),
        rule(409, &[], ErrorOutcome::Retry),
        rule(422, &[("$.error", "Closed")], ErrorOutcome::Frozen),
        rule(
            422,
            &[("$.details.*[*].error", "DuplicateValue")],
            ErrorOutcome::Exists,
        ),
    ];
    connector
}

#[tokio::test]
async fn a_create_sends_exactly_what_was_prepared_and_tells_the_new_key() {
    let server = Server::script(vec![
        Reply::status(
            201,
            r#"{"ticket":{"id":42,"subject":"x","custom_fields":[{"id":36,"value":"A"}]}}"#,
        )
        .with("content-type", "application/json; charset=utf-8"),
    ])
    .await;
    let mut connector = plain();
    connector.headers = pairs(&[
        ("X-Correlation-ID", "{{ run.id }}/{{ record_key }}"),
        ("X-None", "{{ settings.none }}"),
    ]);
    let connection = given(connector, vec![tickets()]).open(&server);
    let prepared = connection.prepare(0, create()).unwrap();
    let stored = serde_json::to_string(&prepared).unwrap();
    let prepared: Prepared = serde_json::from_str(&stored).unwrap();
    let outcome = connection.execute(&prepared).await;
    let seen = &server.seen()[0];
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str(), seen.body.as_str()),
        (
            "POST",
            "/tickets",
            r#"{"ticket":{"subject":"x","price":1.10,"custom_fields":[{"id":36,"value":"A"}]}}"#
        )
    );
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("x-correlation-id"), Some("run-1/case-9"));
    assert_eq!(seen.header("x-none"), None);
    let WriteOutcome::Written {
        key,
        record,
        status,
        attempts,
        ..
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!((key.as_deref(), status, attempts), (Some("42"), 201, 1));
    assert_eq!(
        record.unwrap().to_json(),
        r#"{"id":42,"subject":"x","custom_fields":{"order":"A"}}"#
    );
}

#[tokio::test]
async fn a_precondition_goes_into_the_body_and_a_lost_race_is_a_conflict() {
    let update = WriteIntent {
        before: Some(owned(r#"{"updated_at":"2026-08-01T10:00:00Z"}"#)),
        ..intent(Operation::Update, Some("42"), r#"{"subject":"y"}"#)
    };
    let conflict = Reply::status(409, r#"{"error":"UpdateConflict","description":"outdated"}"#);
    let (outcome, seen) = outcome_on(tickets(), update, vec![conflict]).await;
    assert!(
        matches!(&outcome, WriteOutcome::Conflict { message } if message == "outdated"),
        "{outcome:?}"
    );
    assert_eq!(
        seen[0].body,
        r#"{"ticket":{"subject":"y","safe_update":true,"stamp":"2026-08-01T10:00:00Z"}}"#
    );
}

#[tokio::test]
async fn every_refusal_has_its_outcome() {
    let refused = |status, body: &str| vec![Reply::status(status, body)];
    let (outcome, _) = outcome_on(
        tickets(),
        create(),
        refused(422, r#"{"details":{"email":[{"error":"DuplicateValue"}]}}"#),
    )
    .await;
    assert!(matches!(outcome, WriteOutcome::Exists { .. }), "{outcome:?}");
    let update = || intent(Operation::Update, Some("42"), "{}");
    let (outcome, _) = outcome_on(tickets(), update(), refused(422, r#"{"error":"Closed"}"#)).await;
    assert!(matches!(outcome, WriteOutcome::Frozen { .. }), "{outcome:?}");
    let (outcome, _) = outcome_on(tickets(), update(), refused(404, "")).await;
    assert!(matches!(outcome, WriteOutcome::Gone), "{outcome:?}");
    let (outcome, _) = outcome_on(tickets(), create(), refused(404, "no such organization")).await;
    assert!(
        matches!(outcome, WriteOutcome::Rejected { status: 404, .. }),
        "{outcome:?}"
    );
    let (outcome, _) = outcome_on(tickets(), create(), refused(403, "")).await;
    assert!(
        matches!(outcome, WriteOutcome::Stopped(ConnectorError::Auth { .. })),
        "{outcome:?}"
    );
    let delete = intent(Operation::Delete, Some("42"), "null");
    let (outcome, seen) = outcome_on(tickets(), delete, refused(204, "")).await;
    assert!(
        matches!(&outcome, WriteOutcome::Written { key, record: None, status: 204, .. } if key.as_deref() == Some("42"))
    );
    assert_eq!((seen[0].method.as_str(), seen[0].body.as_str()), ("DELETE", ""));
}

#[tokio::test]
async fn a_create_that_may_have_happened_is_unknown_and_not_repeated() {
    for lost in [
        Reply::status(500, "broken"),
        Reply::status(504, ""),
        Reply::json(r#"{"ticket":{"id"#).torn(),
        Reply::json(r#"{"ticket":{"id"#),
    ] {
        let (outcome, seen) = outcome_on(tickets(), create(), vec![lost]).await;
        assert!(matches!(outcome, WriteOutcome::Unknown { .. }), "{outcome:?}");
        assert_eq!(seen.len(), 1);
    }
    // What was certainly not processed is sent again.
    let created = Reply::status(201, r#"{"ticket":{"id":1}}"#);
    let replies = vec![
        Reply::status(429, "").with("retry-after", "0"),
        Reply::status(409, "busy"),
        created,
    ];
    let (outcome, seen) = outcome_on(tickets(), create(), replies).await;
    assert!(
        matches!(outcome, WriteOutcome::Written { attempts: 3, .. }),
        "{outcome:?}"
    );
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn an_idempotency_key_makes_a_create_repeatable_with_the_same_bytes() {
    let mut stream = tickets();
    let mut create_ticket = write(wrapped(Method::Post, "/tickets"));
    create_ticket.idempotency = Some(Idempotency {
        header: "Idempotency-Key".to_owned(),
        kept_for: Duration::from_secs(7200),
    });
    stream.create = Some(create_ticket);
    let replies = vec![
        Reply::json(r#"{"ti"#).torn(),
        Reply::status(502, ""),
        Reply::status(201, r#"{"ticket":{"id":1}}"#),
    ];
    let (outcome, seen) = outcome_on(stream, create(), replies).await;
    assert!(
        matches!(outcome, WriteOutcome::Written { attempts: 3, .. }),
        "{outcome:?}"
    );
    assert!(seen.iter().all(|request| request.body == seen[0].body));
    let keys: Vec<_> = seen.iter().map(|seen| seen.header("idempotency-key")).collect();
    assert_eq!(keys, [Some("00000000-0000-0000-0000-000000000007"); 3]);
}

#[tokio::test]
async fn a_repeatable_write_that_is_never_answered_is_unknown_and_one_never_sent_is_not() {
    let update = || intent(Operation::Update, Some("42"), r#"{"subject":"y"}"#);
    let (outcome, seen) = outcome_on(tickets(), update(), vec![Reply::status(500, "broken")]).await;
    assert!(matches!(outcome, WriteOutcome::Unknown { .. }), "{outcome:?}");
    assert_eq!(seen.len(), 4);
    let connection = given(plain(), vec![tickets()])
        .try_open("http://127.0.0.1:1")
        .unwrap();
    let prepared = connection.prepare(0, update()).unwrap();
    let outcome = connection.execute(&prepared).await;
    assert!(
        matches!(outcome, WriteOutcome::Stopped(ConnectorError::Unreachable { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_no_failure_where_none_was_promised() {
    let mut stream = tickets();
    stream.create = Some(write(request(Method::Post, "/tickets")));
    let ok = Reply::status(200, "OK").with("content-type", "text/plain");
    let (outcome, seen) = outcome_on(stream, create(), vec![ok]).await;
    assert!(
        matches!(
            outcome,
            WriteOutcome::Written {
                key: None,
                record: None,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(
        seen[0].body,
        r#"{"subject":"x","price":1.10,"custom_fields":[{"id":36,"value":"A"}]}"#
    );
}

#[tokio::test]
async fn a_stored_write_for_another_host_is_refused() {
    let server = Server::script(vec![Reply::json("{}")]).await;
    let connection = given(plain(), vec![tickets()]).open(&server);
    let mut prepared = connection.prepare(0, create()).unwrap();
    prepared.url = "https://elsewhere.example/tickets".to_owned();
    let outcome = connection.execute(&prepared).await;
    assert!(
        matches!(outcome, WriteOutcome::Stopped(ConnectorError::ForeignHost { .. })),
        "{outcome:?}"
    );
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn json_api_documents_are_rebuilt_and_their_errors_name_fields() {
    let relationship = |name: &str| Relationship {
        resource_type: name.to_owned(),
        many: false,
    };
    let cases = Stream {
        resource_type: Some("cases".to_owned()),
        relationships: IndexMap::from([
            ("status".to_owned(), relationship("casestatuses")),
            ("assignedTo".to_owned(), relationship("users")),
        ]),
        update: Some(write(request(Method::Patch, "/cases/{{ key }}"))),
        delete: Some(write(request(Method::Delete, "/cases/{{ key }}"))),
        ..Stream::new("cases", path("$.id"))
    };
    let answer = r#"{"data":{"type":"cases","id":"22","attributes":{"subject":"x"},"relationships":{"assignedTo":{"data":null}}}}"#;
    let server = Server::script(vec![
        Reply::status(200, answer).with("content-type", "application/vnd.api+json"),
        Reply::status(400, r#"{"errors":[{"title":"not blank constraint","detail":"no","source":{"pointer":"/data/attributes/subject"}}]}"#),
        Reply::status(204, ""),
    ])
    .await;
    let connection = given(json_api(), vec![cases]).open(&server);
    let update = intent(
        Operation::Update,
        Some("22"),
        r#"{"subject":"x","status":{"id":"open"},"assignedTo":{"id":null}}"#,
    );
    let prepared = connection.prepare(0, update).unwrap();
    let outcome = connection.execute(&prepared).await;
    let WriteOutcome::Written {
        key,
        record: Some(record),
        ..
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(key.as_deref(), Some("22"));
    assert_eq!(
        record.to_json(),
        r#"{"id":"22","type":"cases","subject":"x","assignedTo":null}"#
    );
    let outcome = connection.execute(&prepared).await;
    assert!(
        matches!(&outcome, WriteOutcome::Rejected { fields, message, .. }
            if fields == &[("subject".to_owned(), "not blank constraint: no".to_owned())] && message == "not blank constraint: no"),
        "{outcome:?}"
    );
    let delete = connection
        .prepare(0, intent(Operation::Delete, Some("22"), "null"))
        .unwrap();
    connection.execute(&delete).await;
    let seen = server.seen();
    assert_eq!(
        seen[0].body,
        r#"{"data":{"type":"cases","id":"22","attributes":{"subject":"x"},"relationships":{"status":{"data":{"type":"casestatuses","id":"open"}},"assignedTo":{"data":null}}}}"#
    );
    assert!(
        seen.iter()
            .all(|seen| seen.header("content-type") == Some("application/vnd.api+json"))
    );
}

fn bulk() -> Given {
    let mut connector = with_rules(plain());
    connector.jobs.insert(
        "job".to_owned(),
        Job {
            id: path("$.job.id"),
            poll: get("/jobs/{{ job.id }}"),
            every: Duration::from_millis(1),
            give_up_after: Duration::from_secs(5),
            state: path("$.job.state"),
            running: vec!["queued".to_owned(), "working".to_owned()],
            done: vec!["completed".to_owned()],
            failed: vec!["killed".to_owned()],
            results: path("$.job.results"),
            result: JobResult {
                index: Some(path("$.index")),
                key: path("$.id"),
                failed_when: path("$.error"),
                message: vec![path("$.details"), path("$.error")],
            },
        },
    );
    let items = Shape::Map(vec![(
        "tickets".to_owned(),
        Shape::Template(template("{{ items }}")),
    )]);
    let many = WriteMany {
        request: Request {
            body: Some(items),
            ..request(Method::Put, "/tickets/update_many")
        },
        at_most: 3,
        at_most_bytes: None,
        item: vec![
            ("id".to_owned(), Shape::Template(template("{{ key }}"))),
            ("stamp".to_owned(), Shape::Template(template("{{ before.at }}"))),
        ],
        job: Some("job".to_owned()),
        has_precondition: true,
    };
    given(
        connector,
        vec![Stream {
            update_many: Some(many),
            ..tickets()
        }],
    )
}

fn updates(count: usize) -> Vec<WriteIntent> {
    let update = |key: usize| {
        intent(
            Operation::Update,
            Some(&key.to_string()),
            &format!(r#"{{"n":{key}}}"#),
        )
    };
    (1..=count).map(update).collect()
}

#[tokio::test]
async fn a_job_gives_every_item_its_own_outcome() {
    let results = r#"{"job":{"state":"completed","results":[
        {"index":2,"id":3,"error":"UpdateConflict","details":"outdated"},{"id":1,"success":true},{"index":9,"id":9}]}}"#;
    let server = Server::start(move |seen, before| match (seen.method.as_str(), before) {
        ("PUT", _) => Reply::json(r#"{"job":{"id":"j1","state":"queued"}}"#),
        (_, 1) => Reply::json(r#"{"job":{"state":"queued","results":null}}"#),
        (_, 2) => Reply::status(502, ""),
        _ => Reply::json(results),
    })
    .await;
    let connection = bulk().open(&server);
    let prepared = connection.prepare_many(0, &updates(5)).unwrap();
    assert_eq!(
        prepared.iter().map(|many| many.keys.len()).collect::<Vec<_>>(),
        [3, 2]
    );
    assert_eq!(
        prepared[0].request.body,
        r#"{"tickets":[{"n":1,"id":"1"},{"n":2,"id":"2"},{"n":3,"id":"3"}]}"#
    );
    let told = Mutex::new(Vec::new());
    let outcomes = connection
        .execute_many(&prepared[0], &|id| told.lock().unwrap().push(id.to_owned()))
        .await
        .unwrap();
    let ManyOutcome::Items(outcomes) = outcomes else {
        panic!("{outcomes:?}");
    };
    assert_eq!(*told.lock().unwrap(), ["j1"]);
    assert!(matches!(&outcomes[0], WriteOutcome::Written { key, .. } if key.as_deref() == Some("1")));
    assert!(
        matches!(&outcomes[1], WriteOutcome::Unknown { .. }),
        "not mentioned: {:?}",
        outcomes[1]
    );
    assert!(
        matches!(&outcomes[2], WriteOutcome::Conflict { message } if message == "outdated"),
        "{:?}",
        outcomes[2]
    );
    let settled = connection.settle_job(&prepared[0], "j1").await.unwrap();
    assert!(matches!(settled, JobEnd::Ended(settled) if matches!(settled[2], WriteOutcome::Conflict { .. })));
}

#[tokio::test]
async fn a_job_that_is_lost_or_killed_leaves_its_items_unknown() {
    for poll in [
        Reply::json(r#"{"job":{"state":"killed","details":"stopped"}}"#),
        Reply::json(r#"{"job":{"state":"dreaming"}}"#),
        Reply::status(404, ""),
    ] {
        let server = Server::script(vec![Reply::json(r#"{"job":{"id":"j1"}}"#), poll]).await;
        let connection = bulk().open(&server);
        let prepared = connection.prepare_many(0, &updates(2)).unwrap();
        let ManyOutcome::Items(outcomes) = connection.execute_many(&prepared[0], &|_| {}).await.unwrap()
        else {
            panic!("a job is no refusal");
        };
        assert_eq!(outcomes.len(), 2);
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, WriteOutcome::Unknown { .. })),
            "{outcomes:?}"
        );
    }
    let server = Server::script(vec![Reply::status(403, "")]).await;
    let connection = bulk().open(&server);
    let prepared = connection.prepare_many(0, &updates(2)).unwrap();
    assert!(
        connection.execute_many(&prepared[0], &|_| {}).await.is_err(),
        "nothing was written"
    );
}

#[tokio::test]
async fn a_refused_bulk_request_names_no_item_and_a_large_one_is_divided() {
    let server = Server::script(vec![Reply::status(400, r#"{"error":"TooManyValues"}"#)]).await;
    let mut given = bulk();
    let many = given.streams[0].update_many.as_mut().unwrap();
    (many.at_most, many.at_most_bytes) = (100, Some(60));
    let connection = given.open(&server);
    let prepared = connection.prepare_many(0, &updates(9)).unwrap();
    let sizes: Vec<usize> = prepared.iter().map(|many| many.keys.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 9, "{sizes:?}");
    assert!(
        prepared.iter().all(|many| many.request.body.len() <= 60),
        "{sizes:?}"
    );
    let outcome = connection.execute_many(&prepared[0], &|_| {}).await.unwrap();
    assert!(matches!(outcome, ManyOutcome::Refused { .. }), "{outcome:?}");
}

#[tokio::test]
async fn what_a_stream_cannot_do_is_said() {
    let connection = given(plain(), vec![tickets()])
        .try_open("http://127.0.0.1:1")
        .unwrap();
    let error = connection
        .prepare(0, intent(Operation::Upsert, None, "{}"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "stream `tickets` of `desk` cannot upsert records"
    );
    assert!(connection.prepare_many(0, &updates(1)).is_err());
}
