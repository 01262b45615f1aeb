//! [`Record`]: one record of a stream, as bytes, with what was joined to it.
//!
//! A record is parsed only as far as somebody asks: [`Record::project`] materialises the members that compiled rules
//! read and skips the rest. It lives here, below connectors and mapping, because both speak of it.

use std::sync::Arc;

use bytes::Bytes;

use super::value::Value;

/// One record as a connector read it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The record's JSON text exactly as received; snapshots keep these bytes.
    received: Bytes,
    /// The JSON text that rules read, where the envelope or the stream's `shape` made another of `received`.
    view: Option<Bytes>,
    /// Records joined to this one, by the name under which rules see them (`$.requester`).
    joined: Vec<(Arc<str>, Joined)>,
}

/// What stands under the name of a join.
#[derive(Clone, Debug)]
pub enum Joined {
    /// Nothing was found; rules read null.
    Nothing,
    /// One record's JSON text.
    One(Bytes),
    /// Several records' JSON texts, in order.
    Many(Vec<Bytes>),
    /// A value that is already parsed, such as a record that a lookup found.
    Parsed(Arc<Value<'static>>),
}

impl Record {
    /// A record whose text rules read as it was received.
    pub fn new(received: Bytes) -> Self {
        Record {
            received,
            view: None,
            joined: Vec::new(),
        }
    }

    /// The same record, read by rules through another JSON text.
    pub fn with_view(mut self, view: Bytes) -> Self {
        self.view = Some(view);
        self
    }

    /// Puts a joined record under a name, replacing what stood there.
    pub fn join(&mut self, name: Arc<str>, joined: Joined) {
        self.joined.retain(|(other, _)| *other != name);
        self.joined.push((name, joined));
    }

    /// The JSON text as received.
    pub fn received(&self) -> &Bytes {
        &self.received
    }

    /// The JSON text that rules read.
    pub fn text(&self) -> &Bytes {
        self.view.as_ref().unwrap_or(&self.received)
    }

    /// What was joined, by name.
    pub fn joined(&self) -> &[(Arc<str>, Joined)] {
        &self.joined
    }
}
