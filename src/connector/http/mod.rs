//! The HTTP runtime of a compiled connector.
//!
//! [`HttpConnection`] holds what one account's requests share: base address, sign-in, budgets. A request is rendered
//! from its templates ([`template`]), sent within limits and repeated where that is safe ([`client`]), and its answer
//! becomes records ([`records`]). Reading pages, finding and writing are built on that, a file each.

mod again;
mod auth;
mod changes;
mod classify;
mod client;
mod error;
mod find;
mod frame;
mod job;
mod job_results;
mod json_api;
mod limit;
mod limit_headers;
mod mark;
mod page;
mod read;
mod records;
mod retry;
mod shape;
mod template;
mod track;
mod transport;
mod window;
mod write;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use reqwest::header::HeaderMap;

use auth::Authenticator;
use client::Call;
use limit::Limits;
use retry::answered_at;
use transport::Transport;

use super::{ConnectionContext, ConnectorError};
use crate::compile::compiled::{
    Connection as CompiledConnection, ConnectionId, ConnectorKind, HttpConnector, Pipeline, Stream,
};
use crate::expression::{Map, Path, Scope, Template, Value};
use crate::telemetry::ConnectionCounters;

/// An account of an HTTP API.
#[derive(Debug)]
pub(super) struct HttpConnection {
    pipeline: Arc<Pipeline>,
    id: ConnectionId,
    context: ConnectionContext,
    counters: Arc<ConnectionCounters>,
    base: Url,
    run: Value<'static>,
    transport: Transport,
    authenticator: Authenticator,
    limits: Arc<Limits>,
    paths: EnvelopePaths,
    /// Whether the account takes the parameters by which changes of a stream are read, where that was asked.
    probed: Mutex<HashMap<usize, bool>>,
    /// How many milliseconds the system's clock is ahead of ours, by its last answer that told the time.
    clock_ahead: AtomicI64,
}

/// Where envelopes have their parts.
#[derive(Debug)]
struct EnvelopePaths {
    root: Path,
    data: Path,
    included: Path,
}

impl HttpConnection {
    /// Makes a connection ready; sends nothing.
    ///
    /// # Errors
    /// [`ConnectorError::Setting`] when the settings make no address, rate or credentials.
    pub(in crate::connector) fn open(
        pipeline: Arc<Pipeline>,
        id: ConnectionId,
        context: ConnectionContext,
    ) -> Result<Self, ConnectorError> {
        let (connection, connector) = described(&pipeline, id)?;
        let setting = |message: String| ConnectorError::Setting {
            connection: connection.name.clone(),
            message,
        };
        let scope = Scope::new().with("settings", &connection.settings);
        let render = |template: &Template| {
            template
                .render(&scope)
                .map_err(|error| setting(error.to_string()))
        };
        let address = render(&connector.base_url)?
            .ok_or_else(|| setting("the base address has no value".to_owned()))?;
        let base = base_address(&address).ok_or_else(|| {
            setting(format!(
                "the base address `{address}` is not an http address without a query"
            ))
        })?;
        let mut rates = Vec::with_capacity(connector.limits.len());
        for limit in &connector.limits {
            rates.push(limit.rate.as_ref().map(&render).transpose()?.flatten());
        }
        let counters = context.telemetry.connection(&connection.name);
        let limits = Limits::new(
            &connector.limits,
            rates,
            connection.use_at_most,
            Arc::clone(&counters),
        )
        .map_err(|(name, rate)| {
            setting(format!(
                "the limit `{name}` has the rate `{rate}`, which is not like `30 per 10 minutes`"
            ))
        })?;
        let transport = Transport::new(&context, Arc::clone(&counters)).map_err(setting)?;
        let authenticator = Authenticator::new(connection, &context)?;
        let path = |text: &str| Path::parse(text).map_err(|error| setting(error.to_string()));
        let paths = EnvelopePaths {
            root: path("$")?,
            data: path("$.data")?,
            included: path("$.included")?,
        };
        let run = Value::Map(Map(vec![("id".into(), Value::text(context.run.clone()))]));
        Ok(HttpConnection {
            id,
            paths,
            base,
            run,
            transport,
            authenticator,
            limits: Arc::new(limits),
            counters,
            context,
            pipeline,
            probed: Mutex::default(),
            clock_ahead: AtomicI64::new(0),
        })
    }

    /// How far the system's clock is ahead of ours.
    pub(in crate::connector) fn clock_ahead(&self) -> SignedDuration {
        SignedDuration::from_millis(self.clock_ahead.load(Ordering::Relaxed))
    }

    fn learn_time(&self, headers: &HeaderMap) {
        if let Some(told) = answered_at(headers) {
            let ahead = told.duration_since(Timestamp::now()).as_millis();
            let ahead = i64::try_from(ahead).unwrap_or_default();
            self.clock_ahead.store(ahead, Ordering::Relaxed);
        }
    }

    /// Sends the connector's probe: a request that only accepted credentials pass. A connector without one signs in.
    ///
    /// # Errors
    /// What the system says against it.
    pub(in crate::connector) async fn check(&self) -> Result<(), ConnectorError> {
        let Some(request) = &self.connector()?.check else {
            return self.authenticator.credentials(&self.transport).await.map(|_| ());
        };
        let what = "check";
        let scope = self.scope()?;
        let outgoing = self.outgoing(request, &scope, &[], None, what)?;
        let call = Call {
            what,
            template: request.path.source(),
            draw: self.draw(request, &scope, what)?,
            outgoing: &outgoing,
            writes: false,
            repeatable: true,
            defers: false,
            keep: &[],
        };
        let sent = self.exchange(&call, |_| Ok(())).await;
        sent.map(|_| ())
            .map_err(|failure| failure.into_error(self.name(), what))
    }

    /// The connection's name.
    fn name(&self) -> &str {
        self.connection().map_or("", |connection| &connection.name)
    }

    fn connection(&self) -> Result<&CompiledConnection, ConnectorError> {
        described(&self.pipeline, self.id).map(|(connection, _)| connection)
    }

    fn connector(&self) -> Result<&HttpConnector, ConnectorError> {
        described(&self.pipeline, self.id).map(|(_, connector)| connector)
    }

    fn stream(&self, stream: usize) -> Result<&Stream, ConnectorError> {
        let connection = self.connection()?;
        connection
            .connector
            .streams
            .get(stream)
            .ok_or_else(|| ConnectorError::Setting {
                connection: connection.name.clone(),
                message: format!("its connector has no stream number {stream}"),
            })
    }

    /// What every template of this connection sees.
    fn scope(&self) -> Result<Scope<'_>, ConnectorError> {
        let settings = &self.connection()?.settings;
        Ok(Scope::new().with("settings", settings).with("run", &self.run))
    }

    /// Says that a stream has no such operation.
    pub(in crate::connector) fn cannot(&self, stream: usize, operation: &str) -> ConnectorError {
        match self.stream(stream) {
            Ok(stream) => self.unsupported(stream, operation),
            Err(error) => error,
        }
    }

    fn unsupported(&self, stream: &Stream, operation: impl Into<String>) -> ConnectorError {
        ConnectorError::Unsupported {
            connection: self.name().to_owned(),
            stream: stream.name.clone(),
            operation: operation.into(),
        }
    }
}

/// The compiled connection and its HTTP description.
fn described(
    pipeline: &Pipeline,
    id: ConnectionId,
) -> Result<(&CompiledConnection, &HttpConnector), ConnectorError> {
    let setting = |name: &str, message: &str| ConnectorError::Setting {
        connection: name.to_owned(),
        message: message.to_owned(),
    };
    let connection = pipeline
        .connections
        .get(id)
        .ok_or_else(|| setting(&id.to_string(), "the pipeline has no such connection"))?;
    match &connection.connector.kind {
        ConnectorKind::Http(connector) => Ok((connection, connector)),
        ConnectorKind::File(_) => Err(setting(
            &connection.name,
            "it is a directory of files, not an HTTP API",
        )),
    }
}

/// The base address without a slash at its end.
fn base_address(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim().trim_end_matches('/')).ok()?;
    let sound = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty();
    sound.then_some(url)
}
