//! What an account can do: whether it has a stream at all, and by which way its changes are read.
//!
//! A way that only some accounts offer is tried once, with a request that would find nothing; a refusal chooses the other,
//! and so does one that comes later. What was found out is remembered for some time.
//! Where records that were never changed have no time of a change, new ones are read by their key after the changed ones.

use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;

use super::HttpConnection;
use super::client::{Call, Failure};
use super::frame::Frame;
use super::page::Pager;
use super::read::{End, Listing, Pages, send};
use super::template::replaced;
use super::track::Track;
use crate::compile::compiled::{Changes, ErrorOutcome, List, Stream};
use crate::connector::{ConnectorError, Cursor, ReadRequest};
use crate::expression::Value;

impl HttpConnection {
    /// Whether the account has a stream: some systems have parts that must be installed.
    ///
    /// # Errors
    /// What stopped the question.
    pub(in crate::connector) async fn has(&self, stream: usize) -> Result<bool, ConnectorError> {
        let described = self.stream(stream)?;
        let list = described
            .list
            .as_ref()
            .filter(|_| described.parent.is_none())
            .ok_or_else(|| self.unsupported(described, "be asked for: it has no list of its own"))?;
        let what = format!("list `{}`", described.name);
        let changes = self.changes_of(stream, list, &what).await?;
        let request = ReadRequest {
            since: Some(Timestamp::now()),
            ..ReadRequest::default()
        };
        let asked = Listing::new(self, described, (list, changes), &request, None, &what)?
            .is_there()
            .await;
        match asked {
            Err(error) => {
                let otherwise = self.changes_refused(stream, list, changes, error, &what).await?;
                Listing::new(self, described, (list, otherwise), &request, None, &what)?
                    .is_there()
                    .await
            }
            is_there => is_there,
        }
    }

    /// The way in which this account's changes are read.
    pub(super) async fn changes_of<'l>(
        &self,
        stream: usize,
        list: &'l List,
        what: &str,
    ) -> Result<&'l Changes, ConnectorError> {
        let (Changes::Time { query, .. }, Some(otherwise)) = (&list.changes, &list.otherwise) else {
            return Ok(&list.changes);
        };
        let name = &self.stream(stream)?.name;
        let memory = self.context.memory.as_ref();
        let probed = || self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = probed().get(&stream).copied();
        let is_taken = match known.or_else(|| memory?.takes_changes(name)) {
            Some(is_taken) => is_taken,
            None => {
                let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
                let scope = self.scope()?.with_owned("since", Value::text(now.to_string()));
                let bound = self.parameters(query, &scope, what)?;
                let is_taken = match self.asked(list, what, bound).await {
                    Ok(()) => true,
                    Err(failure) if is_refusal(&failure) => false,
                    // What is not there at all is said by the listing itself.
                    Err(failure) if failure.is_gone() => return Ok(&list.changes),
                    Err(failure) => return Err(failure.into_error(self.name(), what)),
                };
                tracing::debug!(
                    connection = self.name(),
                    request = what,
                    is_taken,
                    "asked whether changes can be filtered by time"
                );
                if let Some(memory) = memory {
                    memory.note_changes(name, is_taken, list.ask_every);
                }
                is_taken
            }
        };
        // One read sees one way, whatever is believed meanwhile.
        probed().insert(stream, is_taken);
        Ok(if is_taken { &list.changes } else { otherwise })
    }

    /// The way in which changes are read after the account refused the other one, which it took before.
    ///
    /// # Errors
    /// The refusal, where it has another reason.
    pub(super) async fn changes_refused<'l>(
        &self,
        stream: usize,
        list: &'l List,
        tried: &Changes,
        refusal: ConnectorError,
        what: &str,
    ) -> Result<&'l Changes, ConnectorError> {
        let is_refusal = matches!(
            refusal,
            ConnectorError::Fatal { .. } | ConnectorError::Rejected { .. }
        );
        if !is_refusal || list.otherwise.is_none() || !std::ptr::eq(tried, &raw const list.changes) {
            return Err(refusal);
        }
        let forget = Duration::ZERO;
        if let Some(memory) = &self.context.memory {
            memory.note_changes(&self.stream(stream)?.name, true, forget);
        }
        self.probed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&stream);
        match self.changes_of(stream, list, what).await? {
            Changes::Time { .. } => Err(refusal),
            otherwise => {
                tracing::warn!(
                    connection = self.name(),
                    request = what,
                    "the account no longer takes a filter by time; everything is read and compared"
                );
                Ok(otherwise)
            }
        }
    }

    /// Asks for the first page of a list, whatever it holds.
    async fn asked(
        &self,
        list: &List,
        what: &str,
        bound: super::template::Parameters,
    ) -> Result<(), Failure> {
        let scope = self.scope().map_err(Failure::Error)?;
        let first = Pager::new(self, &list.pages, what).first();
        let outgoing = self
            .outgoing(&list.request, &scope, &replaced(bound, first), None, what)
            .map_err(Failure::Error)?;
        let call = Call {
            what,
            template: list.request.path.source(),
            draw: self.draw(&list.request, &scope, what).map_err(Failure::Error)?,
            outgoing: &outgoing,
            writes: false,
            repeatable: true,
            defers: false,
            keep: &[],
        };
        self.exchange(&call, |_| Ok(())).await.map(|_| ())
    }

    /// Reads what changed since a time, then what is new since a key. The first read has no bounds and is one listing,
    /// of which both are noted.
    pub(super) async fn read_changed_and_new(
        &self,
        stream: &Stream,
        list: &List,
        new: &Changes,
        request: &ReadRequest,
        what: &str,
        pages: &Pages,
    ) -> Result<(), End> {
        let part = |cursor: Option<&Cursor>| ReadRequest {
            cursor: cursor.cloned(),
            ..ReadRequest::default()
        };
        let now = Timestamp::now();
        let (time, key, whole) = match request.cursor.as_ref().filter(|_| !request.full) {
            Some(Cursor::TimeAndKey { time, key, whole }) if !is_due(*whole, list.whole_every, now) => {
                (&**time, &**key, *whole)
            }
            _ => {
                let mut keys = Track::new(new, &stream.key, &part(None));
                let mut listing = Listing::new(self, stream, (list, &list.changes), &part(None), None, what)?;
                while let Some(mut page) = listing.next().await? {
                    let observed =
                        keys.observe(&Frame::default(), std::mem::take(&mut page.records), page.at);
                    page.records = observed.map_err(|astray| listing.astray(astray))?.records;
                    let time = page.cursor.take().filter(|_| page.last);
                    page.cursor = time
                        .zip(keys.finished())
                        .map(|(time, key)| both(time, key, Some(now)));
                    send(pages, page).await?;
                }
                return Ok(());
            }
        };
        let mut time = time.clone();
        let mut changed = Listing::new(
            self,
            stream,
            (list, &list.changes),
            &part(Some(&time)),
            None,
            what,
        )?;
        while let Some(mut page) = changed.next().await? {
            page.last = false;
            if let Some(reached) = page.cursor.take() {
                time = reached;
                page.cursor = Some(both(time.clone(), key.clone(), whole));
            }
            send(pages, page).await?;
        }
        let mut listing = Listing::new(self, stream, (list, new), &part(Some(key)), None, what)?;
        while let Some(mut page) = listing.next().await? {
            page.cursor = page.cursor.take().map(|key| both(time.clone(), key, whole));
            send(pages, page).await?;
        }
        Ok(())
    }
}

fn both(time: Cursor, key: Cursor, whole: Option<Timestamp>) -> Cursor {
    Cursor::TimeAndKey {
        time: Box::new(time),
        key: Box::new(key),
        whole,
    }
}

/// Whether it is time to read everything again.
fn is_due(whole: Option<Timestamp>, every: Option<Duration>, now: Timestamp) -> bool {
    let Some(every) = every else { return false };
    let Some(whole) = whole else { return true };
    // A clock that was set back reads everything once too often.
    !Duration::try_from(now.duration_since(whole)).is_ok_and(|age| age < every)
}

/// Whether the system says that it does not take such a request.
fn is_refusal(failure: &Failure) -> bool {
    match failure {
        Failure::Error(error) => matches!(error, ConnectorError::Fatal { .. }),
        Failure::Refused { outcome, .. } => matches!(outcome, ErrorOutcome::Reject | ErrorOutcome::Fatal),
        Failure::Unknown(_) | Failure::Later(_) => false,
    }
}
