//! Reading: every kind of paging with its guard, joins, envelopes, finding, children.

use super::*;
use crate::compile::compiled::{PageStop, RecordShape, Relationship};
use crate::connector::{ReadRequest, Stop};

fn paged(pages: Pages) -> Given {
    given(plain(), vec![rows(List { pages, ..list() })])
}

/// Three pages of ids 1 to 5, addressed by what `number` reads from a request; pages carry `extra`.
async fn three_pages(
    number: impl Fn(&server::Seen) -> usize + Clone + Send + Sync + 'static,
    extra: impl Fn(usize) -> String + Clone + Send + Sync + 'static,
) -> Server {
    Server::start(move |seen, _| {
        let number = number(seen);
        let rows = [r#"{"id":1},{"id":2}"#, r#"{"id":3},{"id":4}"#, r#"{"id":5}"#];
        let rows = rows.get(number).copied().unwrap_or_default();
        Reply::json(format!(r#"{{"rows":[{rows}]{}}}"#, extra(number)))
    })
    .await
}

fn parsed(seen: &server::Seen, name: &str) -> usize {
    seen.query(name).map_or(0, |text| text.parse().unwrap())
}

const ALL: [&str; 5] = [
    r#"{"id":1}"#,
    r#"{"id":2}"#,
    r#"{"id":3}"#,
    r#"{"id":4}"#,
    r#"{"id":5}"#,
];

#[tokio::test]
async fn next_addresses_are_followed_on_our_own_host_with_our_credentials() {
    let server = three_pages(
        |seen| parsed(seen, "at"),
        |number| match number {
            0 => r#","links":{"next":"/rows?at=1&page%5Bsize%5D=2"},"meta":{"more":true}"#.to_owned(),
            1 => r#","links":{"next":"rows?at=2"},"meta":{"more":true}"#.to_owned(),
            _ => r#","links":{"next":"/rows?at=9"},"meta":{"more":false}"#.to_owned(),
        },
    )
    .await;
    let pages = Pages::NextUrl {
        next: path("$.links.next"),
        more: Some(path("$.meta.more")),
    };
    let bearer = crate::compile::compiled::AuthScheme::Bearer(template("{{ settings.token }}"));
    let connection = paged(pages)
        .signing_in(bearer, &[("token", "abcdef")])
        .open(&server);
    assert_eq!(read(&connection).await.unwrap(), ALL);
    let seen = server.seen();
    assert_eq!(seen[1].query("page[size]"), Some("2"));
    assert!(
        seen.iter()
            .all(|seen| seen.header("authorization") == Some("Bearer abcdef"))
    );
}

#[tokio::test]
async fn foreign_and_repeated_next_addresses_are_refused() {
    let next = || Pages::NextUrl {
        next: path("$.next"),
        more: None,
    };
    let server = Server::script(vec![Reply::json(
        r#"{"rows":[],"next":"https://elsewhere.example/rows?token=x"}"#,
    )])
    .await;
    let error = read(&paged(next()).open(&server)).await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::ForeignHost { to, .. } if to == "https://elsewhere.example/rows"),
        "{error}"
    );
    assert_eq!(error.stop(), Stop::Configuration);

    let server = three_pages(|_| 0, |_| r#","next":"/rows?at=1""#.to_owned()).await;
    let error = read(&paged(next()).open(&server)).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Loop { thing: "page", .. }));
    assert_eq!(server.seen().len(), 2);

    let more = Pages::NextUrl {
        next: path("$.next"),
        more: Some(path("$.more")),
    };
    let server = Server::script(vec![Reply::json(r#"{"rows":[],"more":true,"next":null}"#)]).await;
    let error = read(&paged(more).open(&server)).await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::Shape { path, .. } if path == "$.next"),
        "{error}"
    );
}

#[tokio::test]
async fn link_headers_are_followed() {
    let server = Server::start(|seen, _| {
        let at = parsed(seen, "at");
        let reply = Reply::json(format!(r#"{{"rows":[{{"id":{}}}]}}"#, at + 1));
        if at < 2 {
            reply.with(
                "link",
                format!(r#"</rows?at=0>; rel="first", </rows?at={}>; rel="next""#, at + 1),
            )
        } else {
            reply
        }
    })
    .await;
    assert_eq!(
        read(&paged(Pages::LinkHeader).open(&server)).await.unwrap(),
        ALL[..3]
    );
}

#[tokio::test]
async fn tokens_numbers_and_offsets_reach_the_last_page() {
    let token = Pages::Token {
        query: "page[after]".to_owned(),
        token: path("$.after"),
        more: None,
    };
    let server = three_pages(
        |seen| parsed(seen, "page[after]"),
        |number| {
            if number < 2 {
                format!(r#","after":{}"#, number + 1)
            } else {
                r#","after":null"#.to_owned()
            }
        },
    )
    .await;
    assert_eq!(read(&paged(token).open(&server)).await.unwrap(), ALL);
    assert_eq!(
        server.queries("page[after]"),
        [None, Some("1".to_owned()), Some("2".to_owned())]
    );

    let number = |stop| Pages::Number {
        query: "page".to_owned(),
        first: 1,
        stop,
    };
    for (stop, requests) in [(PageStop::Empty, 4), (PageStop::Short(2), 3)] {
        let server = three_pages(|seen| parsed(seen, "page") - 1, |_| String::new()).await;
        assert_eq!(read(&paged(number(stop)).open(&server)).await.unwrap(), ALL);
        assert_eq!(server.seen().len(), requests);
    }

    let offset = Pages::Offset {
        query: "start".to_owned(),
        stop: PageStop::Short(2),
    };
    let server = three_pages(|seen| parsed(seen, "start") / 2, |_| String::new()).await;
    assert_eq!(read(&paged(offset).open(&server)).await.unwrap(), ALL);
    assert_eq!(
        server.queries("start"),
        [None, Some("2".to_owned()), Some("4".to_owned())]
    );
}

#[tokio::test]
async fn listings_that_stand_still_end_with_an_error() {
    let ignores_its_parameters = || three_pages(|_| 0, |_| r#","after":"same""#.to_owned());
    let stop = PageStop::Empty;
    for (pages, thing, requests) in [
        (
            Pages::Token {
                query: "after".to_owned(),
                token: path("$.after"),
                more: None,
            },
            "cursor",
            2,
        ),
        (
            Pages::Number {
                query: "page".to_owned(),
                first: 1,
                stop,
            },
            "page",
            2,
        ),
        (
            Pages::Offset {
                query: "start".to_owned(),
                stop,
            },
            "page",
            2,
        ),
        (
            Pages::AfterKey {
                query: pairs(&[("after", "{{ last.id }}")]),
                key: path("$.id"),
                stop,
            },
            "key",
            2,
        ),
    ] {
        let server = ignores_its_parameters().await;
        let error = read(&paged(pages).open(&server)).await.unwrap_err();
        assert!(
            matches!(&error, ConnectorError::Loop { thing: found, .. } if *found == thing),
            "{error}"
        );
        assert_eq!(server.seen().len(), requests);
    }
}

#[tokio::test]
async fn keyset_paging_asks_for_what_comes_after_the_last_row_and_keeps_other_parameters() {
    let server = three_pages(
        |seen| parsed(seen, "filter[id][gt]").div_ceil(2),
        |_| String::new(),
    )
    .await;
    let pages = Pages::AfterKey {
        query: pairs(&[("filter[id][gt]", "{{ last.id }}")]),
        key: path("$.id"),
        stop: PageStop::Empty,
    };
    let mut list = List { pages, ..list() };
    list.request.query = pairs(&[("sort", "id"), ("size", "{{ settings.none }}")]);
    let connection = given(plain(), vec![rows(list)]).open(&server);
    assert_eq!(read(&connection).await.unwrap(), ALL);
    assert_eq!(
        server.queries("filter[id][gt]"),
        [
            None,
            Some("2".to_owned()),
            Some("4".to_owned()),
            Some("5".to_owned())
        ]
    );
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.query("sort") == Some("id") && seen.query("size").is_none())
    );
}

#[tokio::test]
async fn a_records_path_that_selects_nothing_is_an_error() {
    let server = Server::script(vec![Reply::json(r#"{"tickets":[]}"#)]).await;
    let error = read(&paged(Pages::Single).open(&server)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer of `desk` (list `rows`) has nothing at `$.rows`: there must be a list"
    );
}

#[tokio::test]
async fn side_loaded_records_are_joined_by_one_index_and_shapes_applied() {
    let body = r#"{"rows":[{"id":1,"by":7,"to":8,"cc":[8,9,7],"x":1},{"id":2,"by":null,"cc":[]}],
        "users":[{"id":7,"name":"Ann"},{"id":8,"name":"Bob"}]}"#;
    let server = Server::script(vec![
        Reply::json(body),
        Reply::json(r#"{"rows":[{"id":3,"by":7}]}"#),
    ])
    .await;
    let list = List {
        joins: vec![
            side_load("author", "$.id", "$.by", false),
            side_load("copies", "$.id", "$.cc", true),
            side_load("receiver", "$.id", "$.to", false),
        ],
        ..list()
    };
    let shape = RecordShape {
        drop: vec![path("$.x")],
        ..RecordShape::default()
    };
    let connection = given(plain(), vec![Stream { shape, ..rows(list) }]).open(&server);
    assert_eq!(
        read(&connection).await.unwrap(),
        [
            r#"{"id":1,"by":7,"to":8,"cc":[8,9,7],"x":null,"author":{"id":7,"name":"Ann"},"copies":[{"id":8,"name":"Bob"},{"id":7,"name":"Ann"}],"receiver":{"id":8,"name":"Bob"}}"#,
            r#"{"id":2,"by":null,"cc":[],"author":null,"copies":[],"receiver":null}"#,
        ]
    );
    let sent_none = read(&connection).await.unwrap();
    assert_eq!(
        sent_none,
        [r#"{"id":3,"by":7,"author":null,"copies":[],"receiver":null}"#]
    );
}

#[tokio::test]
async fn json_api_is_flattened_and_keeps_what_was_received() {
    let body = r#"{"data":[{"type":"cases","id":"22","attributes":{"subject":"Printer"},"relationships":
        {"status":{"data":{"type":"casestatuses","id":"open"}},"account":{"data":null},"owner":{"data":{"type":"users","id":"20"}}}}],
        "included":[{"type":"users","id":"20","attributes":{"email":"ann@example.com"}}]}"#;
    let server = Server::script(vec![Reply::json(body)]).await;
    let mut list = list();
    list.request.records = None;
    let connection = given(json_api(), vec![rows(list)]).open(&server);
    let mut reader = connection.read(0, ReadRequest::default());
    let page = reader.next().await.unwrap().unwrap();
    assert_eq!(
        texts(&page.records),
        [
            r#"{"id":"22","type":"cases","subject":"Printer","status":{"id":"open","type":"casestatuses"},"account":null,"owner":{"id":"20","type":"users","email":"ann@example.com"}}"#
        ]
    );
    assert!(
        page.records[0]
            .received()
            .starts_with(br#"{"type":"cases","id":"22","attributes""#)
    );
    assert_eq!(
        server.seen()[0].header("accept"),
        Some("application/vnd.api+json")
    );
    assert_eq!(server.seen()[0].header("content-type"), None);
    assert!(reader.next().await.unwrap().is_none());
}

#[tokio::test]
async fn pages_carry_the_servers_time_and_the_cursor_of_a_complete_scan() {
    let server = Server::script(vec![
        Reply::json(r#"{"rows":[]}"#).with("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ])
    .await;
    let connection = paged(Pages::Single).open(&server);
    let mut reader = connection.read(0, ReadRequest::default());
    let page = reader.next().await.unwrap().unwrap();
    assert_eq!(page.at.to_string(), "1994-11-06T08:49:37Z");
    assert_eq!(
        (page.last, page.cursor),
        (true, Some(crate::connector::Cursor::Scan))
    );
}

#[tokio::test]
async fn values_are_asked_for_in_batches_and_all_pages_of_an_answer_read() {
    let server = Server::start(|seen, _| {
        let second = seen.query("page") == Some("2");
        let ids: Vec<&str> = seen.query("ids").unwrap().split(',').collect();
        let ids = if second { &ids[1..] } else { &ids[..1] };
        let rows: Vec<String> = ids.iter().map(|id| format!(r#"{{"id":{id}}}"#)).collect();
        Reply::json(format!(
            r#"{{"rows":[{}],"next":{}}}"#,
            rows.join(","),
            if second { "null" } else { "2" }
        ))
    })
    .await;
    let mut by_key = find("$.id", get("/rows"), 2);
    by_key.request.records = Some(path("$.rows"));
    by_key.request.query = pairs(&[("ids", "{{ values | join(',') }}")]);
    by_key.pages = Pages::Token {
        query: "page".to_owned(),
        token: path("$.next"),
        more: None,
    };
    let stream = Stream {
        find: vec![by_key],
        ..rows(list())
    };
    let connection = given(plain(), vec![stream]).open(&server);
    let keys: Vec<String> = (1..=5).map(|key| key.to_string()).collect();
    assert_eq!(texts(&connection.get_many(0, &keys).await.unwrap()), ALL);
    let mut batches = server.queries("ids");
    batches.sort();
    batches.dedup();
    assert_eq!(
        batches,
        [
            Some("1,2".to_owned()),
            Some("3,4".to_owned()),
            Some("5".to_owned())
        ]
    );
    assert_eq!(
        texts(
            &connection
                .get(0, "3")
                .await
                .unwrap()
                .into_iter()
                .collect::<Vec<_>>()
        ),
        [ALL[2]]
    );

    let only = ReadRequest {
        only: Some(vec!["2".to_owned()]),
        ..ReadRequest::default()
    };
    let mut reader = connection.read(0, only);
    let page = reader.next().await.unwrap().unwrap();
    assert_eq!(
        (texts(&page.records), page.cursor, page.last),
        (vec![ALL[1].to_owned()], None, true)
    );
}

#[tokio::test]
async fn a_key_is_one_encoded_segment_and_404_means_no_record() {
    let server = Server::script(vec![
        Reply::json(r#"{"row":{"id":"a/b"},"users":[{"id":"a/b","n":1}]}"#),
        Reply::status(404, r#"{"error":"RecordNotFound"}"#),
        Reply::json(r#"{"row":null}"#),
        Reply::status(404, "InvalidEndpoint"),
    ])
    .await;
    let one = Request {
        record: Some(path("$.row")),
        ..get("/rows/{{ key }}.json")
    };
    let stream = Stream {
        get: Some(one),
        get_joins: vec![side_load("same", "$.id", "$.id", false)],
        find: vec![find(
            "$.email",
            Request {
                records: Some(path("$.rows")),
                ..get("/search")
            },
            1,
        )],
        ..rows(list())
    };
    let connection = given(plain(), vec![stream]).open(&server);
    let found = connection.get(0, "a/b?c").await.unwrap().unwrap();
    assert_eq!(texts(&[found]), [r#"{"id":"a/b","same":{"id":"a/b","n":1}}"#]);
    assert_eq!(server.seen()[0].path, "/rows/a%2Fb%3Fc.json");
    assert!(connection.get(0, "x").await.unwrap().is_none());
    assert!(connection.get(0, "y").await.unwrap().is_none());
    for misplaced in ["", "..", "."] {
        let error = connection.get(0, misplaced).await.unwrap_err();
        assert!(
            matches!(error, ConnectorError::Template { .. }),
            "{misplaced:?}: {error}"
        );
    }
    let values = [Value::text("ann@example.com")];
    let error = connection.find(0, 0, &values).await.unwrap_err();
    assert!(
        matches!(error, ConnectorError::Rejected { status: 404, .. }),
        "a search that does not exist finds nobody"
    );
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn children_are_read_for_each_parent_and_gone_parents_have_none() {
    let server = Server::start(|seen, _| match seen.path.as_str() {
        "/parents/1/rows" => Reply::json(r#"{"rows":[{"id":11},{"id":12}]}"#),
        "/parents/3/rows" => Reply::json(r#"{"rows":[{"id":31}]}"#),
        _ => Reply::status(404, ""),
    })
    .await;
    let mut list = List {
        changes: Changes::WithParent,
        ..list()
    };
    list.request.path = template("/parents/{{ parent.id }}/rows");
    list.request.gone_is_none = true;
    let shape = RecordShape {
        add: pairs(&[("parent_id", "{{ parent.id }}")]),
        ..RecordShape::default()
    };
    let connection = given(plain(), vec![Stream { shape, ..rows(list) }]).open(&server);
    let parents = ["1", "2", "3"]
        .map(|id| owned(&format!(r#"{{"id":{id}}}"#)))
        .into();
    let pages = read_pages(
        &connection,
        ReadRequest {
            parents,
            ..ReadRequest::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(
        pages.concat(),
        [
            r#"{"id":11,"parent_id":1}"#,
            r#"{"id":12,"parent_id":1}"#,
            r#"{"id":31,"parent_id":3}"#
        ]
    );
}

#[tokio::test]
async fn spellings_and_relationship_filters_reach_the_query() {
    let server = Server::script(vec![Reply::json(r#"{"data":[]}"#)]).await;
    let mut by_email = find("$.emails[*].email", get("/rows"), 50);
    by_email.request.query = pairs(&[("filter[emails]", "{{ spellings | join(',') }}")]);
    let relationships = IndexMap::from([(
        "owner".to_owned(),
        Relationship {
            resource_type: "users".to_owned(),
            many: false,
        },
    )]);
    let stream = Stream {
        find: vec![by_email],
        relationships,
        ..rows(list())
    };
    let connection = given(json_api(), vec![stream]).open(&server);
    let values = [Value::text("Ann@Example.com"), Value::text("bob+x@example.com")];
    assert!(connection.find(0, 0, &values).await.unwrap().is_empty());
    assert_eq!(
        server.queries("filter[emails]"),
        [Some(
            "Ann@Example.com,ann@example.com,bob+x@example.com".to_owned()
        )]
    );
}
