//! [`Reader`]: the pages of a stream, each fetched while the one before is worked on.
//!
//! A connector's reading task sends pages into a bounded channel; the reader is the other end. Dropping it ends the task.

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::{ConnectorError, Cursor};
use crate::expression::{Record, Value};

/// What of a stream is read.
#[derive(Clone, Debug, Default)]
pub struct ReadRequest {
    /// Up to where it has been read; `None` reads from `since`, or from the start.
    pub cursor: Option<Cursor>,
    /// Where the very first read starts.
    pub since: Option<Timestamp>,
    /// Reads everything from `since` (or the start) although there is a cursor.
    pub full: bool,
    /// For a stream that is read with its parent: the parents, as rules see them.
    pub parents: Vec<Value<'static>>,
    /// Reads only the records of these keys; no cursor moves.
    pub only: Option<Vec<String>>,
}

/// One page.
#[derive(Debug)]
pub struct Page {
    /// Size of the answer, in bytes.
    pub bytes: u64,
    /// Its records, without repetitions at a time cursor's bound.
    pub records: Vec<Record>,
    /// How many records at the bound were left out because an earlier read had them.
    pub repeated: usize,
    /// Where to go on after this page; `None` where stopping here would lose records.
    pub cursor: Option<Cursor>,
    /// When the system made the answer, by the system's own clock where it tells.
    pub at: Timestamp,
    /// Whether this is the last page.
    pub last: bool,
}

/// The pages of a stream.
#[derive(Debug)]
pub struct Reader {
    pages: mpsc::Receiver<Result<Page, ConnectorError>>,
    task: AbortHandle,
    ended: bool,
}

impl Reader {
    /// A reader of what a task sends. The task must send a last page (or an error) before it drops its sender.
    pub fn new(pages: mpsc::Receiver<Result<Page, ConnectorError>>, task: AbortHandle) -> Self {
        Reader {
            pages,
            task,
            ended: false,
        }
    }

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// What stopped reading; nothing comes after it. A task that ended without a last page (it was aborted with the
    /// runtime) is [`ConnectorError::Cancelled`].
    pub async fn next(&mut self) -> Result<Option<Page>, ConnectorError> {
        if self.ended {
            return Ok(None);
        }
        let answer = self.pages.recv().await;
        let ended = !matches!(&answer, Some(Ok(page)) if !page.last);
        self.ended = ended;
        match answer {
            Some(Ok(page)) => Ok(Some(page)),
            Some(Err(error)) => Err(error),
            None => Err(ConnectorError::Cancelled),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}
