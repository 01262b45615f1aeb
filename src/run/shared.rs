//! Streams that several flows of a run read: each is asked for once.
//!
//! Flows run one after another, because a later one may need the links of an earlier one. So the first flow that reads a
//! stream spools its pages, and the others that start at the same place replay them. A flow that starts elsewhere (a new
//! flow, one that failed yesterday) reads for itself, and its cursor then falls in step with the first one's: from the
//! next run on they read together.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::Stop;
use super::batch::Batch;
use super::spool::{Spool, SpoolReader};
use crate::compile::compiled::StreamRef;
use crate::connector::{Cursor, ReadRequest};

/// What this run has read of the streams that several of its flows need.
#[derive(Debug, Default)]
pub(crate) struct SharedReads {
    streams: Mutex<HashMap<StreamRef, Shared>>,
}

#[derive(Debug)]
struct Shared {
    /// Flows that have not read the stream yet.
    readers: usize,
    /// Where the spooled pages begin; `None` before anybody read.
    start: Option<Start>,
    spool: Option<Spool>,
    /// The cursor after the last spooled page.
    end: Option<Cursor>,
    /// Whether the stream was read to its end.
    complete: bool,
}

/// Where a read of a stream starts.
#[derive(Clone, Debug, PartialEq)]
enum Start {
    After(Cursor),
    Since(Option<Timestamp>),
}

impl Start {
    fn of(request: &ReadRequest) -> Self {
        match &request.cursor {
            Some(cursor) if !request.full => Start::After(cursor.clone()),
            _ => Start::Since(request.since),
        }
    }
}

/// How a flow gets the pages of its stream.
#[derive(Debug)]
pub(crate) enum Reading {
    /// From the system; pages go to the spool if `spooled`.
    Itself {
        /// Whether others will replay them.
        spooled: bool,
    },
    /// From what an earlier flow read.
    Replayed(SpoolReader),
}

impl SharedReads {
    /// Nothing is read yet of the streams of these flows.
    pub(crate) fn new(streams: impl Iterator<Item = StreamRef>) -> Self {
        let mut readers: HashMap<StreamRef, Shared> = HashMap::new();
        for stream in streams {
            let shared = readers.entry(stream).or_insert(Shared {
                readers: 0,
                start: None,
                spool: None,
                end: None,
                complete: false,
            });
            shared.readers += 1;
        }
        readers.retain(|_, shared| shared.readers > 1);
        SharedReads {
            streams: Mutex::new(readers),
        }
    }

    /// How the next flow reads a stream.
    pub(crate) fn next_reader(&self, stream: StreamRef, request: &ReadRequest) -> Result<Reading, Stop> {
        let mut streams = self.lock();
        let Some(shared) = streams.get_mut(&stream) else {
            return Ok(Reading::Itself { spooled: false });
        };
        shared.readers = shared.readers.saturating_sub(1);
        let start = Start::of(request);
        if shared.complete && shared.start.as_ref() == Some(&start) {
            let last = shared.readers == 0;
            if let Some(spool) = &mut shared.spool {
                let reader = spool.reader()?;
                if last {
                    shared.spool = None;
                }
                return Ok(Reading::Replayed(reader));
            }
        }
        let spooled = shared.start.is_none() && shared.readers > 0;
        if spooled {
            shared.start = Some(start);
            shared.spool = Some(Spool::new()?);
        }
        Ok(Reading::Itself { spooled })
    }

    /// Keeps a batch for the flows that come later.
    pub(crate) fn keep(&self, stream: StreamRef, batch: &Batch) -> Result<(), Stop> {
        if let Some(shared) = self.lock().get_mut(&stream) {
            if let Some(spool) = &mut shared.spool {
                spool.write(batch)?;
            }
            if batch.cursor.is_some() {
                shared.end.clone_from(&batch.cursor);
            }
        }
        Ok(())
    }

    /// The stream has no further pages.
    pub(crate) fn complete(&self, stream: StreamRef) {
        if let Some(shared) = self.lock().get_mut(&stream) {
            shared.complete = true;
        }
    }

    /// Where the first reader of a stream ended: a flow that read for itself, later and to the end, has seen everything
    /// up to there.
    pub(crate) fn end(&self, stream: StreamRef) -> Option<Cursor> {
        self.lock()
            .get(&stream)
            .filter(|shared| shared.complete)
            .and_then(|shared| shared.end.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamRef, Shared>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::batch::Origin;
    use super::*;
    use crate::expression::Record;

    const TICKETS: StreamRef = StreamRef {
        connection: 0,
        stream: 1,
    };
    const USERS: StreamRef = StreamRef {
        connection: 0,
        stream: 2,
    };

    fn batch(number: u32) -> Batch {
        Batch {
            number,
            records: vec![Record::new(Bytes::from_static(b"{\"id\":1}"))],
            sequence: u64::from(number),
            at: Timestamp::UNIX_EPOCH,
            cursor: Some(Cursor::Key(number.to_string())),
            origin: Origin::Source,
        }
    }

    fn after(key: &str) -> ReadRequest {
        ReadRequest {
            cursor: Some(Cursor::Key(key.to_owned())),
            ..ReadRequest::default()
        }
    }

    #[test]
    fn later_flows_replay_what_the_first_one_read_and_a_lone_one_spools_nothing() {
        let shared = SharedReads::new([TICKETS, USERS, TICKETS, TICKETS].into_iter());
        let request = ReadRequest::default();
        assert!(matches!(
            shared.next_reader(USERS, &request).unwrap(),
            Reading::Itself { spooled: false }
        ));
        assert!(matches!(
            shared.next_reader(TICKETS, &request).unwrap(),
            Reading::Itself { spooled: true }
        ));
        for number in 1..=2 {
            shared.keep(TICKETS, &batch(number)).unwrap();
        }
        shared.complete(TICKETS);
        for _ in 0..2 {
            let Reading::Replayed(mut replay) = shared.next_reader(TICKETS, &request).unwrap() else {
                panic!("the pages are there");
            };
            assert_eq!(replay.next().unwrap().unwrap().number, 1);
            assert_eq!(replay.next().unwrap().unwrap().number, 2);
            assert!(replay.next().unwrap().is_none());
        }
    }

    #[test]
    fn a_flow_that_starts_elsewhere_or_after_a_broken_read_reads_for_itself() {
        let shared = SharedReads::new([TICKETS, TICKETS, TICKETS].into_iter());
        shared.next_reader(TICKETS, &after("5")).unwrap();
        shared.keep(TICKETS, &batch(7)).unwrap();
        assert!(matches!(
            shared.next_reader(TICKETS, &after("5")).unwrap(),
            Reading::Itself { spooled: false }
        ));
        assert_eq!(shared.end(TICKETS), None);
        shared.complete(TICKETS);
        assert!(matches!(
            shared.next_reader(TICKETS, &after("3")).unwrap(),
            Reading::Itself { spooled: false }
        ));
        assert_eq!(shared.end(TICKETS), Some(Cursor::Key("7".to_owned())));
    }
}
