//! Where a flow's batches come from: the stream's pages, records asked for by key, an earlier snapshot, or a spool.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::Stop;
use super::batch::{Batch, Origin};
use super::context::Context;
use super::shared::Reading;
use super::spool::SpoolReader;
use crate::compile::compiled::{FlowId, StreamRef};
use crate::connector::{Cursor, ReadRequest, Reader};
use crate::crash::{self, Point};
use crate::expression::{Record, Scope, Value};

/// Records asked for by key are worked on in batches of this size.
const ASKED_AT_ONCE: usize = 500;

/// A source of batches.
#[derive(Debug)]
pub(crate) struct Feed {
    kind: Kind,
    number: u32,
    left: Option<u64>,
    /// The stream whose pages other flows of this run replay.
    kept_as: Option<StreamRef>,
}

#[derive(Debug)]
enum Kind {
    Pages(Reader),
    Given(VecDeque<Vec<Record>>, Origin),
    /// Chunks of one read; the head is that of its last page, whose cursor counts once all are done.
    Chunks(VecDeque<Vec<Record>>, Box<Batch>),
    Spool(SpoolReader),
}

impl Feed {
    /// The pages of a stream, at most `limit` records of them.
    pub(crate) fn pages(reader: Reader, limit: Option<u64>) -> Self {
        Feed {
            kind: Kind::Pages(reader),
            number: 0,
            left: limit,
            kept_as: None,
        }
    }

    /// What a stream has beyond a flow's cursor: read, or replayed from what an earlier flow of this run read. The flag
    /// says that it is read although others read it too, from somewhere else.
    pub(crate) fn stream(
        context: &Context,
        stream: StreamRef,
        request: ReadRequest,
    ) -> Result<(Self, bool), Stop> {
        Ok(match context.shared.next_reader(stream, &request)? {
            Reading::Replayed(reader) => (Feed::spool(reader), false),
            Reading::Itself { spooled } => {
                let reader = context.connection(stream).read(stream.stream, request);
                let feed = Feed {
                    kept_as: spooled.then_some(stream),
                    ..Feed::pages(reader, context.options.limit)
                };
                (feed, !spooled)
            }
        })
    }

    /// Records that were read already. Batches are numbered after `number`.
    pub(crate) fn given(records: Vec<Record>, origin: Origin, number: u32) -> Self {
        let mut chunks = VecDeque::new();
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            chunks.push_back(records.by_ref().take(ASKED_AT_ONCE).collect());
        }
        Feed {
            kind: Kind::Given(chunks, origin),
            number,
            left: None,
            kept_as: None,
        }
    }

    /// What was read already, of which `last` was the last page.
    pub(crate) fn chunks(chunks: Vec<Vec<Record>>, last: Batch) -> Self {
        Feed {
            kind: Kind::Chunks(chunks.into(), Box::new(last)),
            number: 0,
            left: None,
            kept_as: None,
        }
    }

    /// What an earlier pass spooled.
    pub(crate) fn spool(reader: SpoolReader) -> Self {
        Feed {
            kind: Kind::Spool(reader),
            number: 0,
            left: None,
            kept_as: None,
        }
    }

    /// The next batch.
    pub(crate) async fn next(&mut self, context: &Context) -> Result<Option<Batch>, Stop> {
        context.may_go_on()?;
        if self.left == Some(0) {
            return Ok(None);
        }
        let (mut records, cursor, at, origin) = match &mut self.kind {
            Kind::Pages(reader) => match reader.next().await? {
                Some(page) => {
                    crash::at(Point::PageFetched);
                    (page.records, page.cursor, page.at, Origin::Source)
                }
                None => {
                    if let Some(stream) = self.kept_as {
                        context.shared.complete(stream);
                    }
                    return Ok(None);
                }
            },
            Kind::Given(chunks, origin) => match chunks.pop_front() {
                Some(records) => (records, None, Timestamp::now(), *origin),
                None => return Ok(None),
            },
            Kind::Chunks(chunks, last) => match chunks.pop_front() {
                Some(records) => {
                    let cursor = last.cursor.take_if(|_| chunks.is_empty());
                    (records, cursor, last.at, last.origin)
                }
                None => return Ok(None),
            },
            Kind::Spool(reader) => return reader.next(),
        };
        let mut cut = false;
        if let Some(left) = &mut self.left {
            let most = usize::try_from(*left).unwrap_or(usize::MAX);
            cut = records.len() > most;
            records.truncate(most);
            *left -= records.len() as u64;
        }
        self.number += 1;
        let sequence = context.state.next_sequence(records.len() as u64)?;
        let batch = Batch {
            number: self.number,
            records,
            sequence,
            at,
            cursor: cursor.filter(|_| !cut),
            origin,
        };
        if let Some(stream) = self.kept_as {
            context.shared.keep(stream, &batch)?;
        }
        Ok(Some(batch))
    }
}

/// What is read of a flow's stream: from its cursor, or from the start.
pub(crate) fn read_request(context: &Context, id: FlowId) -> Result<ReadRequest, Stop> {
    let flow = &context.pipeline.flows[id];
    let stored = context
        .state
        .cursor(context.flow_ref(flow), &context.stream_name(flow.from))?;
    let cursor = match stored {
        Some(stored) if !context.options.full => {
            if stored.selection != flow.selection_digest {
                tracing::warn!(
                    flow = %flow.name,
                    "What this flow reads has changed since its cursor was stored: records that the old selection left out are not read again. Run once with --full."
                );
            }
            serde_json::from_str::<Cursor>(&stored.cursor).ok()
        }
        _ => None,
    };
    let since = match &flow.since {
        Some(template) => {
            let scope = Scope::new().with("params", &context.pipeline.params);
            let value = template
                .evaluate(&scope)
                .map_err(|error| Stop::Refused(format!("`since` of flow `{}`: {error}", flow.name)))?;
            instant(&value)
        }
        None => None,
    };
    Ok(ReadRequest {
        cursor,
        since,
        full: context.options.full,
        ..ReadRequest::default()
    })
}

/// An instant, or the beginning of a day in UTC.
fn instant(value: &Value<'_>) -> Option<Timestamp> {
    match value {
        Value::Time(time) => Some(*time),
        Value::Text(text) => text.parse().ok().or_else(|| {
            let day: jiff::civil::Date = text.parse().ok()?;
            Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
        }),
        _ => None,
    }
}
