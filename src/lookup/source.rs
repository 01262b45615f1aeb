//! [`Source`]: where lookups get records from. Connections are one; tests have their own.

use futures::future::BoxFuture;

use crate::compile::compiled::ConnectionId;
use crate::connector::{ConnectorError, Reader};
use crate::expression::{Record, Value};

/// Gives records of a pipeline's streams.
pub trait Source: std::fmt::Debug + Send + Sync {
    /// Reads a whole stream.
    fn read(&self, connection: ConnectionId, stream: usize) -> Reader;

    /// Finds the records that have one of the values at the stream's `find` of that position; the caller compares again.
    fn find<'s>(
        &'s self,
        connection: ConnectionId,
        stream: usize,
        find: usize,
        values: &'s [Value<'static>],
    ) -> BoxFuture<'s, Result<Vec<Record>, ConnectorError>>;
}
