//! One stand-in on the network: takes requests, applies ordered faults, asks the system, keeps its state, logs.
//!
//! The listener hands out connections that can be cut from inside, because "the connection closed without an answer" is
//! what clients must survive and no ordinary handler can produce it.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response as HttpResponse;
use axum::serve::{IncomingStream, Listener};
use bytes::Bytes;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::SandboxError;
use super::activity::{Order, Triggers};
use super::chronicle::Chronicle;
use super::clock::Clock;
use super::control;
use super::faults::Faults;
use super::message::{Request, Response};
use super::store::{Persistent, Store};

/// More than any request that a test sends.
const LARGEST_BODY: usize = 64 << 20;
/// How many requests the log remembers.
const LOG_LENGTH: usize = 20_000;
/// How long `stop` waits for requests in flight.
const GRACE: Duration = Duration::from_secs(2);

/// A system that a stand-in imitates.
pub(crate) trait System: Send + std::fmt::Debug + 'static {
    /// Everything that it remembers.
    type State: Persistent;

    /// What tests call it.
    const NAME: &'static str;

    /// Answers a request as the vendor would.
    fn answer(&mut self, request: &Request) -> Response;

    /// Applies an edit as a person at the vendor's own screen would make it.
    fn edit(&mut self, edit: &Value) -> Result<Value, String>;

    /// Makes edits as people would, chosen by a seed, and says which.
    fn edit_at_random(&mut self, order: &Order) -> Result<Vec<Value>, String>;

    /// The business rules that fire when a client writes.
    fn triggers(&mut self) -> &mut Triggers;

    /// Ends every access token.
    fn expire_tokens(&mut self);

    /// Changes how the stand-in behaves; an unknown setting is refused.
    fn configure(&mut self, settings: &Value) -> Result<Value, String>;

    /// What it remembers.
    fn state(&mut self) -> &mut Self::State;
}

/// Lays new values over a system's settings and shows the result; an unknown one is refused.
pub(crate) fn merge_settings<T: Serialize + DeserializeOwned>(
    settings: &mut T,
    changes: &Value,
) -> Result<Value, String> {
    let mut merged = serde_json::to_value(&*settings).map_err(|error| error.to_string())?;
    let (Some(members), Some(changes)) = (merged.as_object_mut(), changes.as_object()) else {
        return Err("settings must be an object".to_owned());
    };
    members.extend(changes.clone());
    *settings = serde_json::from_value(merged.clone()).map_err(|error| error.to_string())?;
    Ok(merged)
}

/// A stand-in that is being served; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Server<S: System> {
    address: SocketAddr,
    shared: Arc<Shared<S>>,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

/// What the handlers of a stand-in share.
#[derive(Debug)]
pub(crate) struct Shared<S: System> {
    inner: Mutex<Inner<S>>,
    pub(crate) clock: Arc<Clock>,
    /// What happened here and in the other stand-ins.
    pub(crate) chronicle: Arc<Chronicle>,
}

#[derive(Debug)]
pub(crate) struct Inner<S: System> {
    pub(crate) system: S,
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    pub(crate) log: RequestLog,
}

impl<S: System> Shared<S> {
    /// The system and what belongs to it; a handler that panicked leaves it usable.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: System> Server<S> {
    /// Serves a system on a loopback port; 0 takes any free one.
    pub(crate) async fn start(
        system: S,
        store: Store,
        port: u16,
        (clock, chronicle): &(Arc<Clock>, Arc<Chronicle>),
    ) -> Result<Self, SandboxError> {
        let asked = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let refused = |source| SandboxError::Listen {
            address: asked,
            source,
        };
        let listener = TcpListener::bind(asked).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                system,
                store,
                faults: Faults::default(),
                log: RequestLog::default(),
            }),
            clock: Arc::clone(clock),
            chronicle: Arc::clone(chronicle),
        });
        let router = Router::new()
            .fallback(handle::<S>)
            .with_state(Arc::clone(&shared));
        let (shutdown, stopped) = oneshot::channel();
        let service = router.into_make_service_with_connect_info::<Scissors>();
        let task = tokio::spawn(async move {
            axum::serve(CuttableListener { listener }, service)
                .with_graceful_shutdown(async {
                    // Either way it is time to go: told to, or the handle was dropped.
                    let _ = stopped.await;
                })
                .await
        });
        Ok(Self {
            address,
            shared,
            shutdown: Some(shutdown),
            task,
        })
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops serving and writes the state to disk.
    pub(crate) async fn stop(mut self) -> Result<(), SandboxError> {
        if let Some(shutdown) = self.shutdown.take() {
            // The receiver is gone only when the server already ended.
            let _ = shutdown.send(());
        }
        if tokio::time::timeout(GRACE, &mut self.task).await.is_err() {
            self.task.abort();
        }
        let mut inner = self.shared.lock();
        let Inner { system, store, .. } = &mut *inner;
        store.flush(system.state())
    }
}

impl<S: System> Drop for Server<S> {
    /// Lets go of the files at once: connections that outlive the server are cut when they ask for more.
    fn drop(&mut self) {
        self.task.abort();
        self.shared.lock().store.close();
    }
}

/// Answers one request, faults included.
async fn handle<S: System>(
    State(shared): State<Arc<Shared<S>>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: HttpRequest,
) -> Result<HttpResponse, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return Ok(send(Response::text(413, "body too large"), &shared.clock, false));
    };
    let request = Request::new(parts.method, &parts.uri, parts.headers, body);
    if let Some(["_sandbox", action]) = request.route().get(..2) {
        let response = control::answer(&shared, action, &request);
        return Ok(send(response, &shared.clock, false));
    }
    let fault = {
        let mut inner = shared.lock();
        if inner.store.is_closed() {
            scissors.cut();
        }
        inner.faults.take(request.method.as_str(), &request.target)
    };
    if let Some(milliseconds) = fault.as_ref().and_then(|fault| fault.delay_ms) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    let mut cut = false;
    let mut torn = false;
    let response = match &fault {
        Some(fault) if fault.cut => {
            cut = true;
            Response::empty(502)
        }
        Some(fault) if fault.status.is_some() || fault.body.is_some() => {
            let body = fault.body.clone().unwrap_or_default();
            let media_type = match fault.content_type.as_deref() {
                Some(media_type) => media_type,
                None if body.starts_with(['{', '[']) => "application/json",
                None => "text/plain",
            };
            let response = Response::typed(fault.status.unwrap_or(200), media_type, body);
            match fault.retry_after {
                Some(seconds) => response.header("retry-after", seconds),
                None => response,
            }
        }
        fault => {
            let arrives = fault
                .as_ref()
                .is_none_or(|fault| !fault.cut_after_write && !fault.torn);
            ask(&shared, &request, arrives)
        }
    };
    if let Some(fault) = &fault {
        cut |= fault.cut_after_write;
        torn = fault.torn;
    }
    let entry = Entry {
        at: shared.clock.now().to_string(),
        method: request.method.to_string(),
        path: request.target.clone(),
        status: (!cut).then_some(response.status),
    };
    shared.lock().log.add(entry);
    if cut {
        scissors.cut();
    }
    Ok(send(response, &shared.clock, torn))
}

/// Asks the system and makes what it changed durable before anybody is told. `arrives` says whether the answer will.
fn ask<S: System>(shared: &Shared<S>, request: &Request, arrives: bool) -> Response {
    let mut inner = shared.lock();
    let Inner { system, store, .. } = &mut *inner;
    let fired = system.triggers().fired().len();
    let response = system.answer(request);
    let committed = if shared.chronicle.is_on() {
        store.commit_told(system.state()).map(|rows| {
            let fired = system.triggers().fired().get(fired..).unwrap_or_default();
            let answered = (response.status, arrives.then_some(response.body.as_slice()));
            shared.chronicle.client(S::NAME, request, answered, &rows, fired);
        })
    } else {
        store.commit(system.state())
    };
    match committed {
        Ok(()) => response,
        Err(error) => Response::text(500, &error.to_string()),
    }
}

/// Turns an answer into an HTTP one; a torn one promises its whole body and sends half of it.
fn send(response: Response, clock: &Clock, torn: bool) -> HttpResponse {
    let length = response.body.len();
    let body = if torn {
        let half = Bytes::from(response.body).slice(..length / 2);
        let pieces: [io::Result<Bytes>; 2] = [Ok(half), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
        Body::from_stream(futures::stream::iter(pieces))
    } else {
        Body::from(response.body)
    };
    let mut answer = HttpResponse::new(body);
    *answer.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut headers = response.headers;
    if let Ok(date) = DateTimePrinter::new().timestamp_to_rfc9110_string(&clock.now()) {
        headers.push(("date".to_owned(), date));
    }
    if torn {
        headers.push(("content-length".to_owned(), length.to_string()));
    }
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value.as_str()),
        ) {
            answer.headers_mut().append(name, value);
        }
    }
    answer
}

/// What was asked and answered.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RequestLog {
    total: u64,
    by_status: BTreeMap<String, u64>,
    by_method: BTreeMap<String, u64>,
    requests: VecDeque<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    at: String,
    method: String,
    path: String,
    /// Null when the connection was cut.
    status: Option<u16>,
}

impl RequestLog {
    fn add(&mut self, entry: Entry) {
        self.total += 1;
        let status = entry
            .status
            .map_or_else(|| "cut".to_owned(), |status| status.to_string());
        *self.by_status.entry(status).or_default() += 1;
        *self.by_method.entry(entry.method.clone()).or_default() += 1;
        if self.requests.len() == LOG_LENGTH {
            self.requests.pop_front();
        }
        self.requests.push_back(entry);
    }
}

/// A listener whose connections can be cut from inside.
struct CuttableListener {
    listener: TcpListener,
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let stream = CuttableStream {
            stream,
            scissors: Scissors::default(),
        };
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Cuts the connection that it was taken from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scissors {
    is_cut: Arc<AtomicBool>,
}

impl Scissors {
    fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().scissors.clone()
    }
}

struct CuttableStream {
    stream: TcpStream,
    scissors: Scissors,
}

impl CuttableStream {
    fn check(&self) -> io::Result<()> {
        if self.scissors.is_cut.load(Ordering::Acquire) {
            return Err(io::Error::from(io::ErrorKind::ConnectionReset));
        }
        Ok(())
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
