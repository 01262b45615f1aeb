//! Signing in: what is sent, how often a token is fetched, and what becomes of a refusal.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::compile::compiled::{AuthScheme, Shape};

fn client(json: bool, client_in_header: bool) -> AuthScheme {
    AuthScheme::OauthClientCredentials {
        token_url: template("{{ settings.base_url }}/token"),
        json,
        client_in_header,
        send: vec![("expires_in".to_owned(), Shape::Const(Value::from(3600)))],
    }
}

const CLIENT: [(&str, &str); 3] = [
    ("client_id", "crosswalk"),
    ("client_secret", "s3cret/ü"),
    ("scope", "read write"),
];

fn reading() -> Given {
    given(plain(), vec![rows(list())])
}

/// Gives tokens `t1`, `t2`, ...; accepts only the last one.
async fn token_server(lives: Option<&'static str>) -> Server {
    let given = Arc::new(AtomicUsize::new(0));
    Server::start(move |seen, _| {
        if seen.path == "/token" {
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            let lives = lives.map_or(String::new(), |lives| format!(r#","expires_in":{lives}"#));
            return Reply::status(
                201,
                format!(r#"{{"access_token":"token-{number}","token_type":"bearer"{lives}}}"#),
            );
        }
        let current = format!("Bearer token-{}", given.load(Ordering::SeqCst));
        if seen.header("authorization") == Some(&current) {
            Reply::json(r#"{"rows":[]}"#)
        } else {
            Reply::status(401, r#"{"error":"invalid_token"}"#)
        }
    })
    .await
}

fn token_requests(server: &Server) -> usize {
    server.seen().iter().filter(|seen| seen.path == "/token").count()
}

async fn read_at_once(connection: &Arc<HttpConnection>, count: usize) {
    let reads = (0..count).map(|_| read(connection));
    for result in futures::future::join_all(reads).await {
        result.unwrap();
    }
}

#[tokio::test]
async fn one_token_serves_all_who_wait_for_it() {
    let server = token_server(Some("3600")).await;
    let connection = reading().signing_in(client(true, false), &CLIENT).open(&server);
    read_at_once(&connection, 10).await;
    assert_eq!(token_requests(&server), 1);
    let asked = &server.seen()[0];
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(
        asked.body,
        r#"{"grant_type":"client_credentials","client_id":"crosswalk","client_secret":"s3cret/ü","scope":"read write","expires_in":3600}"#
    );
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let server = token_server(Some("\"0\"")).await;
    let connection = reading().signing_in(client(false, false), &CLIENT).open(&server);
    for _ in 0..3 {
        read(&connection).await.unwrap();
    }
    assert_eq!(token_requests(&server), 3);
    assert_eq!(
        server.seen()[0].body,
        "grant_type=client_credentials&client_id=crosswalk&client_secret=s3cret%2F%C3%BC&scope=read%20write&expires_in=3600"
    );
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_everybody() {
    let server = token_server(None).await;
    let connection = reading().signing_in(client(false, true), &CLIENT).open(&server);
    read(&connection).await.unwrap();
    // Somebody else signs in; ours is no longer accepted.
    let stranger = reading().signing_in(client(false, true), &CLIENT).open(&server);
    read(&stranger).await.unwrap();
    assert_eq!(token_requests(&server), 2);
    read_at_once(&connection, 10).await;
    assert_eq!(token_requests(&server), 3);
    let asked = &server.seen()[0];
    assert_eq!(
        asked.header("authorization"),
        Some("Basic Y3Jvc3N3YWxrOnMzY3JldCUyRiVDMyVCQw==")
    );
    assert_eq!(
        asked.body,
        "grant_type=client_credentials&scope=read%20write&expires_in=3600"
    );
}

#[tokio::test]
async fn a_refusal_is_told_in_the_systems_words_and_without_the_secret() {
    let server = Server::start(|seen, _| match seen.path.as_str() {
        "/token" => Reply::status(
            401,
            r#"{"error":"invalid_client","error_description":"not known: s3cret/ü"}"#,
        ),
        _ => Reply::json("{}"),
    })
    .await;
    let connection = reading().signing_in(client(true, false), &CLIENT).open(&server);
    let error = read(&connection).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`desk` refuses the credentials (signing in): not known: [secret] (status 401)"
    );
    assert_eq!(error.stop(), crate::connector::Stop::Refused);
    assert_eq!(server.seen().len(), 1);
    assert!(!format!("{connection:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_token_that_stays_refused_is_fetched_once_more_only() {
    let server = Server::start(|seen, _| match seen.path.as_str() {
        "/token" => Reply::json(r#"{"access_token":"token-1"}"#),
        _ => Reply::status(401, r#"{"error":"Couldn't authenticate you"}"#),
    })
    .await;
    let connection = reading().signing_in(client(true, false), &CLIENT).open(&server);
    let error = read(&connection).await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::Auth { message, .. } if message == "Couldn't authenticate you"),
        "{error}"
    );
    assert_eq!((token_requests(&server), server.seen().len()), (2, 4));
}

#[tokio::test]
async fn a_token_endpoint_that_recovers_is_asked_again() {
    let server = Server::start(|seen, before| match (seen.path.as_str(), before) {
        ("/token", 0) => Reply::status(503, "busy"),
        ("/token", 1) => Reply::json(r#"{"access_tok"#).torn(),
        ("/token", _) => Reply::json(r#"{"access_token":"token-1"}"#),
        _ => Reply::json(r#"{"rows":[]}"#),
    })
    .await;
    let connection = reading().signing_in(client(true, false), &CLIENT).open(&server);
    read(&connection).await.unwrap();
    assert_eq!(token_requests(&server), 3);
}

#[tokio::test]
async fn fixed_credentials_are_headers_and_a_401_is_final() {
    let server = Server::script(vec![Reply::json(r#"{"rows":[]}"#), Reply::status(401, "no")]).await;
    let basic = AuthScheme::Basic {
        username: template("{{ settings.email }}/token"),
        password: template("{{ settings.api_token }}"),
    };
    let settings = [("email", "ann@example.com"), ("api_token", "abc123")];
    let connection = reading().signing_in(basic, &settings).open(&server);
    connection.check().await.unwrap();
    read(&connection).await.unwrap();
    assert_eq!(
        server.seen()[0].header("authorization"),
        Some("Basic YW5uQGV4YW1wbGUuY29tL3Rva2VuOmFiYzEyMw==")
    );
    assert!(
        server.seen()[0]
            .header("user-agent")
            .unwrap()
            .starts_with("crosswalk/")
    );
    assert!(matches!(
        read(&connection).await,
        Err(ConnectorError::Auth { .. })
    ));
    assert_eq!(server.seen().len(), 2);

    let server = Server::script(vec![Reply::json(r#"{"rows":[]}"#)]).await;
    let headers = AuthScheme::Headers(pairs(&[
        ("partner-id", "{{ settings.partner }}"),
        ("api-key", "{{ settings.key }}"),
    ]));
    let connection = reading()
        .signing_in(headers, &[("partner", "p1"), ("key", "k1")])
        .open(&server);
    read(&connection).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(
        (seen.header("partner-id"), seen.header("api-key")),
        (Some("p1"), Some("k1"))
    );
}

#[tokio::test]
async fn the_probe_tells_refused_credentials() {
    let server = Server::script(vec![
        Reply::status(403, r#"{"error":{"message":"not an admin"}}"#),
        Reply::json("[]"),
    ])
    .await;
    let mut connector = plain();
    connector.check = Some(get("/rows?size=1"));
    let connection = given(connector, Vec::new()).open(&server);
    let error = connection.check().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`desk` refuses the credentials (check): not an admin"
    );
    connection.check().await.unwrap();
}
