//! A compiled connector becomes requests: HTTP and files, behind one [`Connection`].
//!
//! A connection reads the pages of a stream ([`Connection::read`]), finds single records, and writes: a write is first
//! prepared (pure, exact bytes, what an intent stores) and then executed. It knows no pipeline beyond the compiled
//! connection it was made from, no vendor, and decides nothing about records. In mapping tests records that are given
//! stand in for the system, behind the same [`Connection`].

mod context;
mod cursor;
mod error;
pub mod file;
mod given;
mod http;
mod reader;
mod write;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

pub use context::{ConnectionContext, HttpOptions, Memory};
pub use cursor::Cursor;
pub use error::{ConnectorError, Stop};
pub use reader::{Page, ReadRequest, Reader};
pub use write::{
    FindAgain, JobEnd, ManyOutcome, Operation, Prepared, PreparedMany, WriteIntent, WriteOutcome,
};

use crate::compile::compiled::{self, Column, ConnectionId, Pipeline};
use crate::expression::{Record, Value};
use file::{FileConnection, FileSink};
use given::GivenConnection;
use http::HttpConnection;

/// A compiled connection that can be talked to. Clones share sign-in, budgets and counters.
#[derive(Clone, Debug)]
pub struct Connection {
    name: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Http(Arc<HttpConnection>),
    File(Arc<FileConnection>),
    Given(Arc<GivenConnection>),
}

impl Connection {
    /// Makes a pipeline's connection ready; sends nothing and opens no file.
    ///
    /// # Errors
    /// [`ConnectorError::Setting`] when its settings make no address, rate or credentials.
    pub fn open(
        pipeline: Arc<Pipeline>,
        id: ConnectionId,
        context: ConnectionContext,
    ) -> Result<Connection, ConnectorError> {
        let described = pipeline.connections.get(id);
        let name = described.map_or_else(|| id.to_string(), |connection| connection.name.clone());
        let kind = match described.and_then(FileConnection::new) {
            Some(files) => Kind::File(Arc::new(files)),
            None => Kind::Http(Arc::new(HttpConnection::open(pipeline, id, context)?)),
        };
        Ok(Connection { name, kind })
    }

    /// A connection to no system: it holds these records, each with its stream's position, and takes no writes.
    pub fn given(connection: &compiled::Connection, records: Vec<(usize, Record)>) -> Connection {
        Connection {
            name: connection.name.clone(),
            kind: Kind::Given(Arc::new(GivenConnection::new(connection, records))),
        }
    }

    /// The connection's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Finds out whether the system can be reached and accepts the credentials.
    ///
    /// # Errors
    /// What is against it.
    pub async fn check(&self) -> Result<(), ConnectorError> {
        match &self.kind {
            Kind::Http(http) => http.check().await,
            Kind::File(files) => files.check(),
            Kind::Given(_) => Ok(()),
        }
    }

    /// Whether the account has a stream: some systems have parts that must be installed. A connection to files has all.
    ///
    /// # Errors
    /// What stopped the question.
    pub async fn has(&self, stream: usize) -> Result<bool, ConnectorError> {
        match &self.kind {
            Kind::Http(http) => http.has(stream).await,
            Kind::File(_) | Kind::Given(_) => Ok(true),
        }
    }

    /// How far the system's clock is ahead of ours, by what its last answer said; none where it does not tell the time.
    pub fn clock_ahead(&self) -> SignedDuration {
        match &self.kind {
            Kind::Http(http) => http.clock_ahead(),
            Kind::File(_) | Kind::Given(_) => SignedDuration::ZERO,
        }
    }

    /// Reads a stream. Must be called within a Tokio runtime; errors come from the reader.
    pub fn read(&self, stream: usize, request: ReadRequest) -> Reader {
        match &self.kind {
            Kind::Http(http) => http.read(stream, request),
            Kind::File(files) => files.read(stream, request),
            Kind::Given(given) => given.read(stream, &request),
        }
    }

    /// One record by its key; `None` if there is none.
    ///
    /// # Errors
    /// What stopped the question.
    pub async fn get(&self, stream: usize, key: &str) -> Result<Option<Record>, ConnectorError> {
        match &self.kind {
            Kind::Http(http) => http.get(stream, key).await,
            Kind::File(files) => files.get(stream, key).await,
            Kind::Given(given) => Ok(given.get_many(stream, &[key.to_owned()]).pop()),
        }
    }

    /// The records of these keys, those that exist, in no order: in batches where the stream can be found by its key,
    /// else one by one.
    ///
    /// # Errors
    /// What stopped the question.
    pub async fn get_many(&self, stream: usize, keys: &[String]) -> Result<Vec<Record>, ConnectorError> {
        match &self.kind {
            Kind::Http(http) => http.get_many(stream, keys).await,
            Kind::File(files) => files.get_many(stream, keys).await,
            Kind::Given(given) => Ok(given.get_many(stream, keys)),
        }
    }

    /// The records that a stream's `find` (by its position) gives for these values, in batches. The system may compare
    /// more loosely than is meant: the caller compares again.
    ///
    /// # Errors
    /// What stopped the question.
    pub async fn find(
        &self,
        stream: usize,
        find: usize,
        values: &[Value<'static>],
    ) -> Result<Vec<Record>, ConnectorError> {
        match &self.kind {
            Kind::Http(http) => http.find(stream, find, values).await,
            Kind::File(files) => files.find(stream, find, values).await,
            Kind::Given(given) => Ok(given.find(stream, find, values)),
        }
    }

    /// The exact request of a write. Pure: sends nothing.
    ///
    /// # Errors
    /// When the stream has no such operation, or a template gives no request.
    pub fn prepare(&self, stream: usize, write: WriteIntent) -> Result<Prepared, ConnectorError> {
        match &self.kind {
            Kind::Http(http) => http.prepare(stream, write),
            Kind::File(_) | Kind::Given(_) => Err(self.cannot(stream, "write single records")),
        }
    }

    /// Sends a prepared write, within limits, signed in, repeated only where that is harmless.
    pub async fn execute(&self, prepared: &Prepared) -> WriteOutcome {
        match &self.kind {
            Kind::Http(http) => http.execute(prepared).await,
            Kind::File(_) | Kind::Given(_) => {
                WriteOutcome::Stopped(self.cannot(prepared.stream, "write single records"))
            }
        }
    }

    /// The records that a create whose answer was lost may have made: the one that carries its mark, or those that hold
    /// what it wrote and were made since it was first sent. None means that it was not carried out; which of several it
    /// was, only the links can tell. Empty, too, where [`Prepared::find_again`] is `None`. A search that lags behind
    /// (`find.behind`) has to be waited for before this is asked.
    ///
    /// # Errors
    /// What stopped the question.
    pub async fn find_again(
        &self,
        prepared: &Prepared,
        first_sent: jiff::Timestamp,
    ) -> Result<Vec<Record>, ConnectorError> {
        match &self.kind {
            Kind::Http(http) => http.find_again(prepared, first_sent).await,
            Kind::File(_) | Kind::Given(_) => {
                Err(self.cannot(prepared.stream, "find a created record again"))
            }
        }
    }

    /// The exact requests that write several records, all created or all updated, split by how many one request takes.
    /// Pure: sends nothing.
    ///
    /// # Errors
    /// When the stream has no such operation, or a template gives no request.
    pub fn prepare_many(
        &self,
        stream: usize,
        writes: &[WriteIntent],
    ) -> Result<Vec<PreparedMany>, ConnectorError> {
        match &self.kind {
            Kind::Http(http) => http.prepare_many(stream, writes),
            Kind::File(_) | Kind::Given(_) => Err(self.cannot(stream, "write several records at once")),
        }
    }

    /// Sends a prepared bulk write and waits for the job that it may start, whose id `on_job` is told as soon as it is
    /// known.
    ///
    /// # Errors
    /// What ends the run; nothing was written then.
    pub async fn execute_many(
        &self,
        prepared: &PreparedMany,
        on_job: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<ManyOutcome, ConnectorError> {
        match &self.kind {
            Kind::Http(http) => http.execute_many(prepared, on_job).await,
            Kind::File(_) | Kind::Given(_) => {
                Err(self.cannot(prepared.request.stream, "write several records at once"))
            }
        }
    }

    /// How long a record cannot be part of a bulk write because its own budget is spent; `None` if it can.
    ///
    /// # Errors
    /// When the stream has no such operation, or a budget's template fails.
    pub fn record_wait(
        &self,
        stream: usize,
        operation: Operation,
        key: &str,
    ) -> Result<Option<Duration>, ConnectorError> {
        match &self.kind {
            Kind::Http(http) => http.record_wait(stream, operation, key),
            Kind::File(_) | Kind::Given(_) => Ok(None),
        }
    }

    /// The outcomes of a bulk write whose job an earlier process started.
    ///
    /// # Errors
    /// When the stream's bulk write has no job.
    pub async fn settle_job(&self, prepared: &PreparedMany, job: &str) -> Result<JobEnd, ConnectorError> {
        match &self.kind {
            Kind::Http(http) => http.settle_job(prepared, job).await,
            Kind::File(_) | Kind::Given(_) => {
                Err(self.cannot(prepared.request.stream, "be asked after a job"))
            }
        }
    }

    /// Opens a stream of files for writing as a whole; what it held is replaced when the sink commits.
    ///
    /// # Errors
    /// When this is no connection to files, or the file cannot be created.
    pub fn open_sink(&self, stream: usize, columns: &[Column]) -> Result<FileSink, ConnectorError> {
        match &self.kind {
            Kind::Http(http) => Err(http.cannot(stream, "be written as a whole")),
            Kind::File(files) => files.open_sink(stream, columns),
            Kind::Given(_) => Err(self.cannot(stream, "be written as a whole")),
        }
    }

    fn cannot(&self, stream: usize, operation: &str) -> ConnectorError {
        ConnectorError::Unsupported {
            connection: self.name.clone(),
            stream: stream.to_string(),
            operation: operation.to_owned(),
        }
    }
}
