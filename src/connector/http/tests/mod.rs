//! The HTTP runtime against a small server of its own: what is sent, how often, and what becomes of the answers.

mod again;
mod limits;
mod reading;
mod server;
mod sign_in;
mod tracking;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::*;
use crate::compile::compiled::{
    AuthSetting, AuthVariant, Changes, ConnectionAuth, Connector, Envelope, ErrorMessage, Find, Limit,
    LimitHeaders, List, Method, Pages, Request, SideLoad, SnapshotPolicy,
};
use crate::connector::HttpOptions;
use crate::expression::{Record, parse_json};
use server::{Reply, Server};

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, Template)> {
    let pair = |(name, text): &(&str, &str)| ((*name).to_owned(), template(text));
    pairs.iter().map(pair).collect()
}

fn request(method: Method, text: &str) -> Request {
    Request {
        method,
        path: template(text),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        uses: Vec::new(),
        records: None,
        record: None,
        gone_is_none: false,
    }
}

fn get(text: &str) -> Request {
    request(Method::Get, text)
}

/// A listing of `$.rows` in one page, read whole each time.
fn list() -> List {
    List {
        request: Request {
            records: Some(path("$.rows")),
            ..get("/rows")
        },
        pages: Pages::Single,
        changes: Changes::Scan { except: Vec::new() },
        new: None,
        otherwise: None,
        ask_every: Duration::from_secs(86_400),
        whole_every: None,
        joins: Vec::new(),
    }
}

fn rows(list: List) -> Stream {
    Stream {
        list: Some(list),
        ..Stream::new("rows", path("$.id"))
    }
}

fn find(by: &str, request: Request, at_most: usize) -> Find {
    Find {
        by: path(by),
        request,
        at_most,
        behind: Duration::ZERO,
        recheck: false,
        pages: Pages::Single,
        joins: Vec::new(),
    }
}

fn limit(name: &str) -> Limit {
    Limit {
        wait_at_most: Duration::from_secs(30),
        name: name.to_owned(),
        rate: None,
        at_once: None,
        each: None,
        headers: LimitHeaders::default(),
    }
}

fn plain() -> HttpConnector {
    HttpConnector {
        base_url: template("{{ settings.base_url }}"),
        headers: Vec::new(),
        envelope: Envelope::Plain,
        auth: IndexMap::new(),
        check: None,
        limits: Vec::new(),
        errors: Vec::new(),
        error_message: ErrorMessage::default(),
        jobs: IndexMap::new(),
    }
}

fn json_api() -> HttpConnector {
    HttpConnector {
        envelope: Envelope::JsonApi,
        ..plain()
    }
}

/// Options that make tests quick: short pauses, few attempts.
fn options() -> HttpOptions {
    HttpOptions {
        attempts: 4,
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(20),
        patience: Duration::from_secs(5),
        ..HttpOptions::default()
    }
}

struct Given {
    connector: HttpConnector,
    streams: Vec<Stream>,
    auth: Option<ConnectionAuth>,
    options: HttpOptions,
    base: String,
}

fn given(connector: HttpConnector, streams: Vec<Stream>) -> Given {
    Given {
        connector,
        streams,
        auth: None,
        options: options(),
        base: String::new(),
    }
}

impl Given {
    fn open(self, server: &Server) -> Arc<HttpConnection> {
        Arc::new(self.try_open(&server.address).unwrap())
    }

    fn try_open(self, address: &str) -> Result<HttpConnection, ConnectorError> {
        let settings = Value::Map(Map(vec![(
            "base_url".into(),
            Value::text(format!("{address}{}", self.base)),
        )]));
        let connection = CompiledConnection {
            name: "desk".to_owned(),
            connector_name: "desk".to_owned(),
            connector: Connector {
                kind: ConnectorKind::Http(Box::new(self.connector)),
                streams: self.streams,
            },
            settings,
            auth: self.auth,
            use_at_most: 1.0,
        };
        let pipeline = Pipeline {
            name: "test".to_owned(),
            digest: String::new(),
            sources: Vec::new(),
            connections: vec![connection],
            params: Value::Null,
            connections_seen: Value::Null,
            enums: Vec::new(),
            lookups: Vec::new(),
            flows: Vec::new(),
            two_way: Vec::new(),
            log_warnings: false,
            snapshots: SnapshotPolicy {
                extracted: false,
                mapped: false,
                planned: false,
                loaded: false,
                rejected: false,
            },
        };
        let context = ConnectionContext {
            run: "run-1".to_owned(),
            http: self.options,
            ..ConnectionContext::default()
        };
        HttpConnection::open(Arc::new(pipeline), 0, context)
    }

    fn signing_in(mut self, scheme: crate::compile::compiled::AuthScheme, settings: &[(&str, &str)]) -> Self {
        let variant = AuthVariant {
            deprecated: None,
            scheme,
        };
        self.connector.auth.insert("way".to_owned(), variant);
        let setting = |(name, text): &(&str, &str)| {
            (
                (*name).to_owned(),
                AuthSetting::Secret(secrecy::SecretString::from(*text)),
            )
        };
        self.auth = Some(ConnectionAuth {
            variant: "way".to_owned(),
            settings: settings.iter().map(setting).collect(),
        });
        self
    }
}

/// The texts that rules read of all records of a stream, page by page.
async fn read_pages(
    connection: &Arc<HttpConnection>,
    request: crate::connector::ReadRequest,
) -> Result<Vec<Vec<String>>, ConnectorError> {
    let mut reader = connection.read(0, request);
    let mut pages = Vec::new();
    while let Some(page) = reader.next().await? {
        pages.push(texts(&page.records));
    }
    Ok(pages)
}

async fn read(connection: &Arc<HttpConnection>) -> Result<Vec<String>, ConnectorError> {
    let pages = read_pages(connection, crate::connector::ReadRequest::default()).await?;
    Ok(pages.into_iter().flatten().collect())
}

/// Records as rules see them, joined members included.
fn texts(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .map(|record| record.value().unwrap().to_json())
        .collect()
}

fn owned(json: &str) -> Value<'static> {
    parse_json(json.as_bytes()).unwrap().into_owned()
}

fn side_load(name: &str, whose: &str, is: &str, many: bool) -> SideLoad {
    SideLoad {
        name: name.to_owned(),
        among: path("$.users"),
        whose: path(whose),
        is: path(is),
        many,
    }
}
