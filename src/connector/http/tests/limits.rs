//! Waiting and repeating: 429 in every form, corrections by headers, server errors, torn and missing answers.

use std::time::Instant;

use super::*;

fn row() -> Reply {
    Reply::json(r#"{"rows":[{"id":1}]}"#)
}

fn limited(headers: LimitHeaders) -> Given {
    let mut connector = plain();
    connector.limits = vec![Limit {
        headers,
        ..limit("account")
    }];
    let mut list = list();
    list.request.uses = vec![0];
    given(connector, vec![rows(list)])
}

#[tokio::test]
async fn a_429_is_waited_for_whatever_its_body_and_retry_after() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let server = Server::script(vec![
        Reply::status(429, r#"{"error":"APIRateLimitExceeded"}"#).with("retry-after", "0"),
        Reply::status(429, "You have exceeded the rate limit").with("retry-after", "0.02"),
        Reply::status(429, "<html>slow down</html>")
            .with("retry-after", date)
            .with("date", date),
        Reply::status(429, "").with("retry-after", "soon"),
        Reply::status(429, ""),
        Reply::status(503, "overloaded"),
        row(),
    ])
    .await;
    let connection = limited(LimitHeaders::default()).open(&server);
    assert_eq!(read(&connection).await.unwrap(), [r#"{"id":1}"#]);
    assert_eq!(server.seen().len(), 7);
    assert_eq!(connection.counters.waits.get(), 6);
    assert_eq!(connection.counters.requests.get(), 7);
}

#[tokio::test]
async fn a_wait_longer_than_patience_ends_the_run_as_resumable() {
    let server = Server::script(vec![Reply::status(429, "").with("retry-after", "3600")]).await;
    let connection = limited(LimitHeaders::default()).open(&server);
    let error = read(&connection).await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::QuotaSpent { budget, wait, .. } if budget == "account" && wait.as_secs() == 3600)
    );
    assert_eq!(error.stop(), crate::connector::Stop::Quota);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn what_headers_say_is_left_holds_the_next_request_back() {
    let server = Server::script(vec![
        row().with("x-left", "total=10; remaining=0; resets=1"),
        row().with("x-left", "total=10; remaining=9; resets=60"),
    ])
    .await;
    let pairs = LimitHeaders {
        pairs: vec!["x-left".to_owned()],
        ..LimitHeaders::default()
    };
    let connection = limited(pairs).open(&server);
    let started = Instant::now();
    read(&connection).await.unwrap();
    read(&connection).await.unwrap();
    assert!(
        started.elapsed() > Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
    let quotas = connection.counters.quotas();
    assert_eq!(quotas[0].0, "account");
    assert_eq!((quotas[0].1.remaining, quotas[0].1.allowed), (9, Some(10)));
}

#[tokio::test]
async fn server_errors_and_torn_or_missing_answers_of_reads_are_asked_for_again() {
    let server = Server::script(vec![
        Reply::status(502, "<html>bad gateway</html>"),
        Reply::json(r#"{"rows":[{"id":"#).torn(),
        Reply::json(r#"{"rows":[{"id":"#),
        row(),
    ])
    .await;
    let connection = limited(LimitHeaders::default()).open(&server);
    assert_eq!(read(&connection).await.unwrap(), [r#"{"id":1}"#]);
    assert_eq!(connection.counters.retries.get(), 3);
}

#[tokio::test]
async fn repetition_ends_and_says_how_often_it_tried() {
    let server = Server::script(vec![Reply::status(500, r#"{"message":"broken"}"#)]).await;
    let connection = limited(LimitHeaders::default()).open(&server);
    let error = read(&connection).await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::Unreachable { attempts: 4, message, .. } if message == "broken (status 500)"),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_listening_is_unreachable_and_stopping_ends_waiting_at_once() {
    let server = Server::script(vec![Reply::status(429, "").with("retry-after", "4")]).await;
    let address = "http://127.0.0.1:1";
    let connection = Arc::new(limited(LimitHeaders::default()).try_open(address).unwrap());
    assert!(matches!(
        read(&connection).await,
        Err(ConnectorError::Unreachable { attempts: 4, .. })
    ));

    let connection = limited(LimitHeaders::default()).open(&server);
    let stop = connection.context.stop.clone();
    let started = Instant::now();
    let (read, ()) = tokio::join!(read(&connection), async {
        while server.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    });
    assert!(matches!(read, Err(ConnectorError::Cancelled)));
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn redirects_are_not_followed_and_large_answers_not_read() {
    let server = Server::script(vec![
        Reply::status(302, "").with("location", "https://elsewhere.example/login?token=x"),
        Reply::json("x".repeat(4096)),
    ])
    .await;
    let mut limited = limited(LimitHeaders::default());
    limited.options.largest_body = 1024;
    let connection = limited.open(&server);
    let error = read(&connection).await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::Redirected { to, .. } if to == "https://elsewhere.example/login"),
        "{error}"
    );
    let error = read(&connection).await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::TooLarge { limit: 1024, .. }),
        "{error}"
    );
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_rate_that_cannot_be_read_is_refused_before_anything_is_sent() {
    let mut connector = plain();
    connector.limits = vec![Limit {
        rate: Some(template("often")),
        ..limit("account")
    }];
    let error = given(connector, Vec::new())
        .try_open("http://127.0.0.1:1")
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the limit `account` has the rate `often`"),
        "{error}"
    );
    for address in ["ftp://x", "x", "http://u@x", "http://x?y=1"] {
        let error = given(plain(), Vec::new()).try_open(address).unwrap_err();
        assert!(matches!(error, ConnectorError::Setting { .. }), "{address}");
    }
}
