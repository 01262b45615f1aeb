//! Reading a stream: page after page, bounded by what changed, into a channel that stays one page ahead.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use reqwest::Url;
use tokio::sync::mpsc::{self, Sender};

use super::HttpConnection;
use super::client::{Answer, Call, Failure};
use super::frame::Frame;
use super::page::{Pager, Step};
use super::records::RecordReader;
use super::template::{Outgoing, Parameters, replaced};
use super::track::{Astray, Track};
use crate::compile::compiled::{Changes, ErrorOutcome, List, Stream};
use crate::connector::{ConnectorError, Page, ReadRequest, Reader};
use crate::expression::{Joined, JsonError, PARENT, Record, Scope, Value};

/// How many parents' children are read at once.
const PARENTS_AT_ONCE: usize = 4;

/// Children of several parents are handed on together, about this many at a time.
const RECORDS_TOGETHER: usize = 500;

/// Keys of one page when only certain records are read.
const KEYS_TOGETHER: usize = 100;

/// Where pages go; the receiver is gone when nobody wants more.
pub(super) type Pages = Sender<Result<Page, ConnectorError>>;

/// Nobody wants more pages, or reading failed.
pub(super) enum End {
    Unwanted,
    Failed(ConnectorError),
}

impl From<ConnectorError> for End {
    fn from(error: ConnectorError) -> Self {
        End::Failed(error)
    }
}

impl HttpConnection {
    /// Reads a stream. The reading task lives until the last page, an error, or until the reader is dropped.
    pub(in crate::connector) fn read(self: &Arc<Self>, stream: usize, request: ReadRequest) -> Reader {
        let (sender, receiver) = mpsc::channel(1);
        let connection = Arc::clone(self);
        let task = tokio::spawn(async move {
            if let Err(End::Failed(error)) = connection.read_all(stream, request, &sender).await {
                // Without a receiver nobody wants to know.
                let _ = sender.send(Err(error)).await;
            }
        });
        Reader::new(receiver, task.abort_handle())
    }

    async fn read_all(&self, stream: usize, request: ReadRequest, pages: &Pages) -> Result<(), End> {
        if let Some(keys) = &request.only {
            return self.read_only(stream, keys, pages).await;
        }
        let described = self.stream(stream)?;
        let list = described
            .list
            .as_ref()
            .ok_or_else(|| self.unsupported(described, "be listed"))?;
        if matches!(list.changes, Changes::WithParent) || !request.parents.is_empty() {
            return self.read_children(described, list, &request, pages).await;
        }
        let what = format!("list `{}`", described.name);
        let changes = self.changes_of(stream, list, &what).await?;
        match self
            .read_listed(described, list, changes, &request, &what, pages)
            .await
        {
            Err(End::Failed(error)) => {
                let otherwise = self.changes_refused(stream, list, changes, error, &what).await?;
                self.read_listed(described, list, otherwise, &request, &what, pages)
                    .await
            }
            read => read,
        }
    }

    /// Reads what changed, in one of the ways.
    async fn read_listed(
        &self,
        described: &Stream,
        list: &List,
        changes: &Changes,
        request: &ReadRequest,
        what: &str,
        pages: &Pages,
    ) -> Result<(), End> {
        if let (Changes::Time { .. }, Some(new)) = (changes, &list.new) {
            return self
                .read_changed_and_new(described, list, new, request, what, pages)
                .await;
        }
        let mut listing = Listing::new(self, described, (list, changes), request, None, what)?;
        while let Some(page) = listing.next().await? {
            send(pages, page).await?;
        }
        Ok(())
    }

    /// The records of certain keys.
    async fn read_only(&self, stream: usize, keys: &[String], pages: &Pages) -> Result<(), End> {
        let mut chunks = keys.chunks(KEYS_TOGETHER).peekable();
        if chunks.peek().is_none() {
            return send(pages, page_of(Vec::new(), 0, Timestamp::now(), true)).await;
        }
        while let Some(chunk) = chunks.next() {
            let records = self.get_many(stream, chunk).await?;
            let bytes = records.iter().map(|record| length(record.received().len())).sum();
            send(
                pages,
                page_of(records, bytes, Timestamp::now(), chunks.peek().is_none()),
            )
            .await?;
        }
        Ok(())
    }

    /// The children of every parent, in the parents' order, several parents at once.
    async fn read_children(
        &self,
        stream: &Stream,
        list: &List,
        request: &ReadRequest,
        pages: &Pages,
    ) -> Result<(), End> {
        let what = &*format!("list `{}`", stream.name);
        // By position: a closure over references would not be general enough for a spawned task.
        let children = futures::stream::iter(0..request.parents.len())
            .map(|position| self.children(stream, list, request, position, what))
            .buffered(PARENTS_AT_ONCE);
        let mut children = std::pin::pin!(children);
        let (mut together, mut size, mut at) = (Vec::new(), 0, Timestamp::now());
        while let Some((records, bytes, answered)) = children.try_next().await? {
            if together.is_empty() {
                at = answered;
            }
            together.extend(records);
            size += bytes;
            at = at.min(answered);
            if together.len() >= RECORDS_TOGETHER {
                send(
                    pages,
                    page_of(
                        std::mem::take(&mut together),
                        std::mem::take(&mut size),
                        at,
                        false,
                    ),
                )
                .await?;
            }
        }
        send(pages, page_of(together, size, at, true)).await
    }

    /// All children of one parent, their size, and when the system answered.
    async fn children(
        &self,
        stream: &Stream,
        list: &List,
        request: &ReadRequest,
        position: usize,
        what: &str,
    ) -> Result<(Vec<Record>, u64, Timestamp), ConnectorError> {
        let mut listing = Listing::new(
            self,
            stream,
            (list, &list.changes),
            request,
            request.parents.get(position),
            what,
        )?;
        let mut records = Vec::new();
        let (mut bytes, mut at) = (0, Timestamp::now());
        while let Some(page) = listing.next().await? {
            records.extend(page.records);
            bytes += page.bytes;
            at = page.at;
        }
        if let Some(key) = self.parent_key(stream, request.parents.get(position)) {
            for record in &mut records {
                record.join(Arc::from(PARENT), Joined::One(key.clone()));
            }
        }
        Ok((records, bytes, at))
    }

    /// The key of a parent, as JSON.
    fn parent_key(&self, stream: &Stream, parent: Option<&Value<'_>>) -> Option<Bytes> {
        let key = &self.stream(stream.parent?).ok()?.key;
        Some(Bytes::from(key.one(parent?)?.to_json()))
    }

    /// An answer that is not JSON.
    pub(super) fn body(&self, what: &str, error: JsonError) -> ConnectorError {
        ConnectorError::Body {
            connection: self.name().to_owned(),
            what: what.to_owned(),
            source: Box::new(error),
        }
    }
}

pub(super) async fn send(pages: &Pages, page: Page) -> Result<(), End> {
    pages.send(Ok(page)).await.map_err(|_| End::Unwanted)
}

fn page_of(records: Vec<Record>, bytes: u64, at: Timestamp, last: bool) -> Page {
    Page {
        bytes,
        records,
        repeated: 0,
        cursor: None,
        at,
        last,
    }
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// One listing, from its first to its last page.
pub(super) struct Listing<'r> {
    connection: &'r HttpConnection,
    list: &'r List,
    changes: &'r Changes,
    what: &'r str,
    parent: Option<&'r Value<'r>>,
    reader: RecordReader<'r>,
    pager: Pager<'r>,
    track: Track<'r>,
    /// `None` after the last page.
    turn: Option<Turn>,
}

/// How the next page is asked for.
#[derive(Clone)]
enum Turn {
    Parameters(Parameters),
    Address(Url),
}

impl<'r> Listing<'r> {
    /// A listing by one of the ways in which changes are read.
    pub(super) fn new(
        connection: &'r HttpConnection,
        stream: &'r Stream,
        (list, changes): (&'r List, &'r Changes),
        request: &ReadRequest,
        parent: Option<&'r Value<'r>>,
        what: &'r str,
    ) -> Result<Self, ConnectorError> {
        let mut pager = Pager::new(connection, &list.pages, what);
        let turn = Some(Turn::Parameters(pager.first()));
        Ok(Listing {
            connection,
            list,
            changes,
            what,
            parent,
            reader: RecordReader::new(connection, stream, &list.request, &list.joins, what)?,
            pager,
            track: Track::new(changes, &stream.key, request),
            turn,
        })
    }

    /// The next page; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Page>, ConnectorError> {
        let Some(turn) = self.turn.take() else {
            return Ok(None);
        };
        let outgoing = self.outgoing(&turn)?;
        let fetched = match self.fetch(&outgoing).await {
            Err(failure) if self.lost_token(&failure) => {
                tracing::warn!(
                    connection = self.connection.name(),
                    request = self.what,
                    "the stored token is refused; starting over from the latest record time"
                );
                let outgoing = self.outgoing(&turn)?;
                self.fetch(&outgoing).await
            }
            fetched => fetched,
        };
        let (answer, (records, frame)) = match fetched {
            Err(failure) if failure.is_gone() && self.list.request.gone_is_none => {
                return Ok(Some(page_of(Vec::new(), 0, Timestamp::now(), true)));
            }
            Err(failure) => return Err(failure.into_error(self.connection.name(), self.what)),
            Ok(fetched) => fetched,
        };
        self.connection.counters.pages.add(1);
        self.page(&outgoing, &answer, records, &frame).map(Some)
    }

    /// Whether the account has what is listed.
    pub(super) async fn is_there(&self) -> Result<bool, ConnectorError> {
        let Some(turn) = &self.turn else {
            return Ok(true);
        };
        match self.fetch(&self.outgoing(turn)?).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_gone() => Ok(false),
            Err(failure) => Err(failure.into_error(self.connection.name(), self.what)),
        }
    }

    async fn fetch(&self, outgoing: &Outgoing) -> Result<(Answer, (Vec<Record>, Frame)), Failure> {
        let scope = self.scope().map_err(Failure::Error)?;
        let request = &self.list.request;
        let call = Call {
            what: self.what,
            template: request.path.source(),
            draw: self
                .connection
                .draw(request, &scope, self.what)
                .map_err(Failure::Error)?,
            outgoing,
            writes: false,
            repeatable: true,
            defers: false,
            keep: &[],
        };
        let done = self
            .connection
            .exchange(&call, |answer| self.reader.page(answer, self.parent))
            .await?;
        Ok((done.answer, done.value))
    }

    /// Takes the answer's place in the listing: what comes after it, and where a later read goes on.
    fn page(
        &mut self,
        outgoing: &Outgoing,
        answer: &Answer,
        records: Vec<Record>,
        frame: &Frame,
    ) -> Result<Page, ConnectorError> {
        let scope = self.scope()?;
        let step = match self.changes {
            Changes::Token { .. } => Step::End,
            _ => self.pager.next(answer, frame, &outgoing.url, &records, &scope)?,
        };
        let observed = self
            .track
            .observe(frame, records, answer.at)
            .map_err(|astray| self.astray(astray))?;
        self.turn = match (observed.more, step) {
            (Some(true), _) => Some(Turn::Parameters(Vec::new())),
            (_, Step::End) => None,
            (_, Step::Address(url)) => Some(Turn::Address(url)),
            (_, Step::Parameters(parameters)) => {
                let moved = self.pager.is_counted() && self.track.move_bound();
                Some(Turn::Parameters(if moved {
                    self.pager.first()
                } else {
                    parameters
                }))
            }
        };
        let last = self.turn.is_none();
        Ok(Page {
            bytes: length(answer.body.len()),
            records: observed.records,
            repeated: observed.repeated,
            cursor: if last {
                self.track.finished()
            } else {
                observed.cursor
            },
            at: answer.at,
            last,
        })
    }

    fn outgoing(&self, turn: &Turn) -> Result<Outgoing, ConnectorError> {
        let scope = self.scope()?;
        let request = &self.list.request;
        match turn {
            Turn::Parameters(page) => {
                let bound = self
                    .track
                    .parameters(self.connection, &scope, Timestamp::now(), self.what)?;
                let parameters = replaced(bound, page.clone());
                self.connection
                    .outgoing(request, &scope, &parameters, None, self.what)
            }
            Turn::Address(url) => {
                let mut outgoing = self.connection.outgoing(request, &scope, &[], None, self.what)?;
                outgoing.url = url.clone();
                Ok(outgoing)
            }
        }
    }

    fn scope(&self) -> Result<Scope<'r>, ConnectorError> {
        let scope = self.connection.scope()?;
        Ok(match self.parent {
            Some(parent) => scope.with("parent", parent),
            None => scope,
        })
    }

    fn lost_token(&mut self, failure: &Failure) -> bool {
        let refused = matches!(
            failure,
            Failure::Refused {
                outcome: ErrorOutcome::Gone | ErrorOutcome::Reject,
                ..
            }
        );
        refused && self.track.lose_token()
    }

    pub(super) fn astray(&self, astray: Astray) -> ConnectorError {
        let (connection, what) = (self.connection.name().to_owned(), self.what.to_owned());
        match astray {
            Astray::Json(error) => self.connection.body(self.what, error),
            Astray::NoToken(path) => ConnectorError::Shape {
                connection,
                what,
                path,
                message: "there is more, but no token to ask for it".to_owned(),
            },
            Astray::Loop => ConnectorError::Loop {
                connection,
                what,
                thing: "cursor",
            },
        }
    }
}
