//! Creates whose answers were lost: found by their mark or by what they wrote, and only then.

use super::writing::write;
use super::*;
use crate::compile::compiled::{FindAgain, RecordShape, Shape, Write};
use crate::connector::{FindAgain as Remembered, Operation, Prepared, WriteIntent};

const INTENT: &str = "00000000-0000-0000-0000-000000000007";

fn intent(fields: &str) -> WriteIntent {
    WriteIntent {
        operation: Operation::Create,
        key: None,
        fields: owned(fields),
        before: None,
        intent: uuid::Uuid::from_u128(7),
        correlation: "case-9".to_owned(),
    }
}

/// Comments that carry their write's id, listed newest first.
fn marked() -> Stream {
    let again = FindAgain::Marked {
        request: Box::new(Request {
            query: pairs(&[("sort", "-id")]),
            records: Some(path("$.rows")),
            ..get("/tickets/{{ fields.ticket.id }}/comments")
        }),
        pages: Pages::NextUrl {
            next: path("$.next"),
            more: None,
        },
        marker: path("$.metadata.mark"),
    };
    let body = Shape::Map(vec![
        ("text".to_owned(), Shape::Template(template("{{ fields.text }}"))),
        ("mark".to_owned(), Shape::Template(template("{{ intent }}"))),
    ]);
    Stream {
        create: Some(Write {
            find_again: Some(again),
            counts_for: Some(template("{{ fields.ticket.id }}")),
            ..write(Request {
                body: Some(body),
                ..request(Method::Put, "/tickets/{{ fields.ticket.id }}")
            })
        }),
        shape: RecordShape {
            add: vec![("ticket".to_owned(), template("{{ parent.id }}"))],
            ..RecordShape::default()
        },
        ..Stream::new("comments", path("$.id"))
    }
}

/// Comments that nothing marks.
fn alike() -> Stream {
    Stream {
        find: vec![find(
            "$.ticket.id",
            Request {
                query: pairs(&[("ticket", "{{ value }}")]),
                records: Some(path("$.rows")),
                ..get("/comments")
            },
            1,
        )],
        create: Some(Write {
            find_again: Some(FindAgain::Written {
                find: 0,
                same: vec![path("$.text"), path("$.public")],
                made: Some(path("$.at")),
            }),
            ..write(Request {
                body: Some(Shape::Template(template("{{ fields }}"))),
                ..request(Method::Post, "/comments")
            })
        }),
        ..Stream::new("comments", path("$.id"))
    }
}

async fn found(connection: &HttpConnection, prepared: &Prepared) -> Vec<String> {
    let first_sent = "2026-01-01T12:00:00Z".parse().unwrap();
    texts(&connection.find_again(prepared, first_sent).await.unwrap())
}

#[tokio::test]
async fn a_mark_is_looked_for_page_by_page_until_it_is_there() {
    let server = Server::start(|seen, before| match (seen.path.as_str(), before) {
        ("/tickets/7/comments", 0) => Reply::json(
            r#"{"rows":[{"id":3,"metadata":{"mark":"other"}},{"id":2}],"next":"/tickets/7/comments?page=2"}"#,
        ),
        ("/tickets/7/comments", _) => Reply::json(format!(
            r#"{{"rows":[{{"id":1,"metadata":{{"mark":"{INTENT}"}}}}],"next":"/tickets/7/comments?page=3"}}"#
        )),
        _ => Reply::status(404, ""),
    })
    .await;
    let connection = given(plain(), vec![marked()]).open(&server);
    let prepared = connection
        .prepare(0, intent(r#"{"ticket":{"id":7},"text":"private"}"#))
        .unwrap();
    assert_eq!(prepared.counts_for.as_deref(), Some("7"));
    let Some(Remembered::Marked { fields, intent }) = &prepared.find_again else {
        panic!("{prepared:?}");
    };
    assert_eq!(
        (fields.as_str(), intent.as_str()),
        (r#"{"ticket":{"id":7}}"#, INTENT)
    );
    assert_eq!(
        found(&connection, &prepared).await,
        [format!(r#"{{"id":1,"metadata":{{"mark":"{INTENT}"}}}}"#)],
        "the record itself, without a parent's member as it was read alone"
    );
    assert_eq!(server.queries("sort"), [Some("-id".to_owned()), None]);

    let stored: Prepared = serde_json::from_str(&serde_json::to_string(&prepared).unwrap()).unwrap();
    assert_eq!(stored, prepared);
}

#[tokio::test]
async fn a_mark_that_is_nowhere_means_that_nothing_was_written() {
    for reply in [Reply::json(r#"{"rows":[{"id":3}]}"#), Reply::status(404, "")] {
        let server = Server::script(vec![reply]).await;
        let connection = given(plain(), vec![marked()]).open(&server);
        let prepared = connection.prepare(0, intent(r#"{"ticket":{"id":7}}"#)).unwrap();
        assert!(found(&connection, &prepared).await.is_empty());
    }
}

#[tokio::test]
async fn what_was_written_is_compared_where_nothing_marks_it() {
    let rows = r#"{"rows":[
        {"id":1,"ticket":{"id":"7"},"text":"Thanks!","public":true,"at":"2026-01-01T11:00:00Z"},
        {"id":2,"ticket":{"id":"7"},"text":"Thanks!","public":true,"at":"2026-01-01T12:00:05Z"},
        {"id":3,"ticket":{"id":"7"},"text":"Thanks","public":true,"at":"2026-01-01T12:00:05Z"},
        {"id":4,"ticket":{"id":"8"},"text":"Thanks!","public":true,"at":"2026-01-01T12:00:05Z"},
        {"id":5,"ticket":{"id":"7"},"text":"Thanks!","public":false,"at":"2026-01-01T12:00:05Z"}
    ]}"#;
    let server = Server::script(vec![Reply::json(rows)]).await;
    let connection = given(plain(), vec![alike()]).open(&server);
    let ids = |found: &[String]| -> Vec<i64> {
        let ids = found
            .iter()
            .map(|record| owned(record).get("id").and_then(Value::as_integer));
        ids.map(Option::unwrap).collect()
    };
    let whole = connection
        .prepare(0, intent(r#"{"ticket":{"id":7},"text":"Thanks!","public":true}"#))
        .unwrap();
    assert_eq!(ids(&found(&connection, &whole).await), [2]);
    let without_public = connection
        .prepare(0, intent(r#"{"ticket":{"id":7},"text":"Thanks!"}"#))
        .unwrap();
    assert_eq!(ids(&found(&connection, &without_public).await), [2, 5]);
    let without_ticket = connection.prepare(0, intent(r#"{"text":"Thanks!"}"#)).unwrap();
    assert_eq!(without_ticket.find_again, None);
    assert!(found(&connection, &without_ticket).await.is_empty());
    assert_eq!(
        server.queries("ticket"),
        [Some("7".to_owned()), Some("7".to_owned())]
    );
}
