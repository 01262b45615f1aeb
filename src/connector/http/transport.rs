//! One request over the wire: the HTTP client with its bounds, and reading an answer's body up to a size.
//!
//! Redirects are not followed, because credentials would travel along; a proxy is used only if one was asked for.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Proxy, Response, Url};
use tokio_util::sync::CancellationToken;

use crate::connector::{ConnectionContext, HttpOptions};
use crate::telemetry::ConnectionCounters;

/// How systems see this program.
const USER_AGENT: &str = concat!("crosswalk/", env!("CARGO_PKG_VERSION"));

/// The largest body whose announced size is believed before it has arrived.
const LARGEST_RESERVE: u64 = 16 * 1024 * 1024;

/// Sends single requests.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    client: Client,
    stop_now: CancellationToken,
    counters: Arc<ConnectionCounters>,
    largest_body: u64,
}

/// An answer as received.
#[derive(Debug)]
pub(super) struct Received {
    /// The status code.
    pub(super) status: u16,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body, decompressed.
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// The request did not leave: it certainly had no effect.
    NotSent(String),
    /// The request may have arrived; its answer did not, or not whole.
    Unanswered(String),
    /// The answer is larger than is read.
    TooLarge,
    /// The run ends at once.
    Stopped,
}

impl Transport {
    /// A client with the context's bounds.
    ///
    /// # Errors
    /// What is wrong with the proxy's address or the system's certificates.
    pub(super) fn new(
        context: &ConnectionContext,
        counters: Arc<ConnectionCounters>,
    ) -> Result<Self, String> {
        let HttpOptions {
            connect_timeout,
            read_timeout,
            total_timeout,
            largest_body,
            ref proxy,
            ..
        } = context.http;
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .connect_timeout(connect_timeout)
            .read_timeout(read_timeout)
            .timeout(total_timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .no_proxy();
        if let Some(proxy) = proxy {
            let proxy =
                Proxy::all(proxy).map_err(|error| format!("the proxy cannot be used: {}", causes(&error)))?;
            builder = builder.proxy(proxy);
        }
        let client = builder
            .build()
            .map_err(|error| format!("the HTTP client cannot be set up: {}", causes(&error)))?;
        Ok(Transport {
            client,
            stop_now: context.stop_now.clone(),
            counters,
            largest_body,
        })
    }

    /// The largest answer that is read, in bytes.
    pub(super) fn largest_body(&self) -> u64 {
        self.largest_body
    }

    /// Sends one request and reads its answer.
    pub(super) async fn send(
        &self,
        method: &Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Received, Lost> {
        self.counters.requests.add(1);
        self.counters.bytes_sent.add(length(body.len()));
        let mut request = self.client.request(method.clone(), url.clone()).headers(headers);
        // A body of length zero is said for methods that usually have one, as some servers insist on it.
        if !body.is_empty() || matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
            request = request.body(body);
        }
        let exchange = async {
            let response = request.send().await.map_err(|error| {
                let certainly_unsent = error.is_connect() || error.is_builder();
                let message = causes(&error.without_url());
                if certainly_unsent {
                    Lost::NotSent(message)
                } else {
                    Lost::Unanswered(message)
                }
            })?;
            self.read(response).await
        };
        tokio::select! {
            biased;
            () = self.stop_now.cancelled() => Err(Lost::Stopped),
            answer = exchange => answer,
        }
    }

    async fn read(&self, mut response: Response) -> Result<Received, Lost> {
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let announced = response.content_length().unwrap_or(0);
        if announced > self.largest_body {
            return Err(Lost::TooLarge);
        }
        let reserve = usize::try_from(announced.min(LARGEST_RESERVE)).unwrap_or(0);
        let mut body = BytesMut::with_capacity(reserve);
        let unanswered = |error: reqwest::Error| Lost::Unanswered(causes(&error.without_url()));
        while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
            self.counters.bytes_received.add(length(chunk.len()));
            if length(body.len() + chunk.len()) > self.largest_body {
                return Err(Lost::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Received {
            status,
            headers,
            body: body.freeze(),
        })
    }
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// An error with its causes, which `reqwest` keeps apart.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
