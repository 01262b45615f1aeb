//! Records that are given instead of a system: what mapping tests let lookups, matches and counterparts find.
//!
//! They are found as the compiled streams say: by key, and by the paths of `find`. A search compares loosely, as many
//! systems do; whoever asks compares again.

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{Cursor, Page, ReadRequest, Reader};
use crate::compile::compiled;
use crate::expression::{Normalizer, Path, Record, Value, normalize};

/// How a search compares.
const LOOSELY: [Normalizer; 2] = [Normalizer::Trim, Normalizer::Lower];

/// A connection that holds records.
#[derive(Debug)]
pub(super) struct GivenConnection {
    streams: Vec<GivenStream>,
}

#[derive(Debug)]
struct GivenStream {
    key: Path,
    find: Vec<Path>,
    records: Vec<Record>,
}

impl GivenConnection {
    /// A connection that holds these records, each with its stream's position. Of several with one key the last counts.
    pub(super) fn new(connection: &compiled::Connection, records: Vec<(usize, Record)>) -> Self {
        let streams = connection.connector.streams.iter();
        let mut streams: Vec<GivenStream> = streams
            .map(|stream| GivenStream {
                key: stream.key.clone(),
                find: stream.find.iter().map(|find| find.by.clone()).collect(),
                records: Vec::new(),
            })
            .collect();
        for (stream, record) in records {
            if let Some(stream) = streams.get_mut(stream) {
                stream.put(record);
            }
        }
        GivenConnection { streams }
    }

    /// The pages of a stream: one. Must be called inside a Tokio runtime.
    pub(super) fn read(&self, stream: usize, request: &ReadRequest) -> Reader {
        let records = match (&request.only, self.streams.get(stream)) {
            (Some(keys), _) => self.get_many(stream, keys),
            (None, Some(stream)) => stream.records.clone(),
            (None, None) => Vec::new(),
        };
        let (pages, received) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            let page = Page {
                bytes: 0,
                records,
                repeated: 0,
                cursor: Some(Cursor::Scan),
                at: Timestamp::now(),
                last: true,
            };
            // Whoever stopped listening does not miss it.
            let _ = pages.send(Ok(page)).await;
        });
        Reader::new(received, task.abort_handle())
    }

    /// The records of these keys.
    pub(super) fn get_many(&self, stream: usize, keys: &[String]) -> Vec<Record> {
        let Some(stream) = self.streams.get(stream) else {
            return Vec::new();
        };
        let wanted = |record: &&Record| stream.key_of(record).is_some_and(|key| keys.contains(&key));
        stream.records.iter().filter(wanted).cloned().collect()
    }

    /// The records that have one of these values where a `find` looks.
    pub(super) fn find(&self, stream: usize, find: usize, values: &[Value<'static>]) -> Vec<Record> {
        let Some((stream, by)) = self
            .streams
            .get(stream)
            .and_then(|stream| Some((stream, stream.find.get(find)?)))
        else {
            return Vec::new();
        };
        let values: Vec<String> = values
            .iter()
            .filter_map(|value| normalize(&LOOSELY, value))
            .collect();
        let fits = |record: &&Record| {
            record.value().is_ok_and(|view| {
                let mut nodes = by.all(&view).into_iter();
                nodes.any(|node| normalize(&LOOSELY, node).is_some_and(|text| values.contains(&text)))
            })
        };
        stream.records.iter().filter(fits).cloned().collect()
    }
}

impl GivenStream {
    fn put(&mut self, record: Record) {
        let key = self.key_of(&record);
        let same = |other: &Record| key.is_some() && self.key_of(other) == key;
        match self.records.iter().position(same) {
            Some(position) => {
                if let Some(old) = self.records.get_mut(position) {
                    *old = record;
                }
            }
            None => self.records.push(record),
        }
    }

    fn key_of(&self, record: &Record) -> Option<String> {
        self.key.one(&record.value().ok()?).and_then(Value::key_text)
    }
}
