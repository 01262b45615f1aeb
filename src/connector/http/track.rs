//! Reading only what changed: where a stream's reading starts, and where it stands after each page.
//!
//! Nothing here sends anything. A time cursor's lower bound is inclusive, because several records may change at the same
//! instant, also after some of them have been read; it never passes an instant that was not over when it was read. What
//! was read from the bound on is known by key and digest and left out when it comes again unchanged. With an overlap the
//! same holds for the stretch that is read again.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::HttpConnection;
use super::frame::Frame;
use super::mark::{Mark, compare, mark, signed};
use super::template::Parameters;
use crate::compile::compiled::Changes;
use crate::connector::{ConnectorError, Cursor, ReadRequest};
use crate::expression::{JsonError, Number, Path, Projection, Record, Scope, Template, Value};

/// Follows one read of a stream.
#[derive(Debug)]
pub(super) struct Track<'c> {
    changes: &'c Changes,
    key: &'c Path,
    since: Option<Timestamp>,
    position: Position,
}

#[derive(Debug)]
enum Position {
    Token(TokenPosition),
    Time(Box<TimePosition>),
    Key(KeyPosition),
    Scan,
    Parent,
}

#[derive(Debug, Default)]
struct TokenPosition {
    token: Option<String>,
    watermark: Option<Mark>,
    /// The token comes from an earlier run, so the system may have forgotten it.
    stored: bool,
    seen: HashSet<String>,
}

#[derive(Debug)]
struct TimePosition {
    /// The lower bound of the next request; `None` reads from the start.
    bound: Option<Mark>,
    /// Whether the bound is where an earlier read ended, so that the overlap is taken off.
    resumed: bool,
    /// The latest instant read that was over when it was read: nothing can come into it any more.
    closed: Option<Mark>,
    /// The earliest instant read that was not over yet. A later read begins before it, because what comes into it late
    /// may stand before what has been read of it.
    open: Option<Mark>,
    /// What was read from `closed` on, with its time where this read has met it.
    seen: HashMap<String, Option<Mark>>,
    /// The time of the record read last.
    last: Option<Mark>,
    /// Whether times only grew.
    ordered: bool,
    /// Whether the page moved on to a later instant.
    moved: bool,
}

#[derive(Debug, Default)]
struct KeyPosition {
    from: Option<String>,
    largest: Option<String>,
    last: Option<String>,
    ordered: bool,
}

/// What bounds a request from below.
#[derive(Debug)]
pub(super) struct LowerBound<'c> {
    /// The parameters that set it.
    query: &'c [(String, Template)],
    /// The name under which they see it.
    name: &'static str,
    /// A token, a time or a key.
    pub(super) value: Value<'static>,
}

/// What a page brought.
#[derive(Debug)]
pub(super) struct Observed {
    /// Its records, without those that an earlier page or run had.
    pub(super) records: Vec<Record>,
    /// How many were left out.
    pub(super) repeated: usize,
    /// Where to go on after it; `None` where stopping here would lose records.
    pub(super) cursor: Option<Cursor>,
    /// For a token: whether the system has more.
    pub(super) more: Option<bool>,
}

/// Why a page cannot be followed.
#[derive(Debug)]
pub(super) enum Astray {
    /// It is not JSON.
    Json(JsonError),
    /// It lacks the token that the connector says it has.
    NoToken(String),
    /// The same token came twice.
    Loop,
}

impl From<JsonError> for Astray {
    fn from(error: JsonError) -> Self {
        Astray::Json(error)
    }
}

impl<'c> Track<'c> {
    /// Where a request begins. A cursor of another kind (the connector file changed) is no cursor.
    pub(super) fn new(changes: &'c Changes, key: &'c Path, request: &ReadRequest) -> Self {
        let cursor = request.cursor.as_ref().filter(|_| !request.full);
        let position = match changes {
            Changes::Token { .. } => Position::Token(match cursor {
                Some(Cursor::Token { token, watermark }) => TokenPosition {
                    token: Some(token.clone()),
                    watermark: watermark.as_deref().map(Mark::new),
                    stored: true,
                    seen: HashSet::new(),
                },
                _ => TokenPosition::default(),
            }),
            Changes::Time { .. } => Position::Time(Box::new(match cursor {
                Some(Cursor::Time { at, seen }) => {
                    let mark = Mark::new(at);
                    TimePosition {
                        seen: seen.iter().map(|entry| (entry.clone(), None)).collect(),
                        bound: Some(mark.clone()),
                        closed: Some(mark),
                        open: None,
                        last: None,
                        resumed: true,
                        ordered: true,
                        moved: false,
                    }
                }
                _ => TimePosition {
                    bound: request.since.map(|since| Mark::new(&since.to_string())),
                    closed: None,
                    open: None,
                    seen: HashMap::new(),
                    last: None,
                    resumed: false,
                    ordered: true,
                    moved: false,
                },
            })),
            Changes::GrowingKey { .. } => Position::Key(KeyPosition {
                from: match cursor {
                    Some(Cursor::Key(key)) => Some(key.clone()),
                    _ => None,
                },
                largest: match cursor {
                    Some(Cursor::Key(key)) => Some(key.clone()),
                    _ => None,
                },
                last: None,
                ordered: true,
            }),
            Changes::Scan { .. } => Position::Scan,
            Changes::WithParent => Position::Parent,
        };
        Track {
            changes,
            key,
            since: request.since,
            position,
        }
    }

    /// The parameters that bound the next request.
    ///
    /// # Errors
    /// [`ConnectorError::Template`].
    pub(super) fn parameters(
        &self,
        connection: &HttpConnection,
        scope: &Scope<'_>,
        now: Timestamp,
        what: &str,
    ) -> Result<Parameters, ConnectorError> {
        let Some(bound) = self.lower_bound(now) else {
            return Ok(Vec::new());
        };
        let scope = scope.child().with_owned(bound.name, bound.value);
        connection.parameters(bound.query, &scope, what)
    }

    /// What bounds the next request from below; `None` where nothing does.
    pub(super) fn lower_bound(&self, now: Timestamp) -> Option<LowerBound<'c>> {
        let (query, name, value) = match (self.changes, &self.position) {
            (
                Changes::Token { next, .. },
                Position::Token(TokenPosition {
                    token: Some(token), ..
                }),
            ) => (next, "token", Value::text(token.clone())),
            (
                Changes::Token {
                    first,
                    since_before_now,
                    ..
                },
                Position::Token(_),
            ) => {
                let start = self.start(now, *since_before_now);
                (first, "since", Value::text(start.to_string()))
            }
            (Changes::Time { query, overlap, .. }, Position::Time(position)) => {
                let bound = position.bound.as_ref();
                let overlap = if position.resumed {
                    *overlap
                } else {
                    Duration::ZERO
                };
                (
                    query,
                    "since",
                    bound.map_or(Value::Null, |bound| bound.less(overlap)),
                )
            }
            (Changes::GrowingKey { query, overlap, .. }, Position::Key(position)) => {
                let from = position.from.as_deref();
                (
                    query,
                    "since",
                    from.map_or(Value::Null, |from| key_less(from, *overlap)),
                )
            }
            _ => return None,
        };
        Some(LowerBound { query, name, value })
    }

    /// Takes note of a page, which the system made at this time by its own clock.
    ///
    /// # Errors
    /// [`Astray`].
    pub(super) fn observe(
        &mut self,
        page: &Frame,
        records: Vec<Record>,
        answered_at: Timestamp,
    ) -> Result<Observed, Astray> {
        match (self.changes, &mut self.position) {
            (
                Changes::Token {
                    at, done, on_lost, ..
                },
                Position::Token(position),
            ) => position.observe(page, records, at, done, on_lost.as_ref().map(|(path, _)| path)),
            (Changes::Time { from, overlap, .. }, Position::Time(position)) => {
                Ok(position.observe(records, from, self.key, *overlap, answered_at)?)
            }
            (Changes::GrowingKey { key, .. }, Position::Key(position)) => Ok(position.observe(records, key)?),
            _ => Ok(Observed {
                records,
                repeated: 0,
                cursor: None,
                more: None,
            }),
        }
    }

    /// The cursor once the last page has been read.
    pub(super) fn finished(&self) -> Option<Cursor> {
        match &self.position {
            Position::Token(position) => position.cursor(),
            Position::Time(position) => position.cursor(true),
            Position::Key(position) => position.largest.clone().map(Cursor::Key),
            Position::Scan => Some(Cursor::Scan),
            Position::Parent => None,
        }
    }

    /// The system refuses the stored token: starts over from the latest record time known. `false` if the token is not
    /// a stored one, or the connector does not say how to start over.
    pub(super) fn lose_token(&mut self) -> bool {
        let (
            Changes::Token {
                on_lost: Some((_, overlap)),
                ..
            },
            Position::Token(position),
        ) = (self.changes, &mut self.position)
        else {
            return false;
        };
        if !position.stored {
            return false;
        }
        if let Some(at) = position.watermark.as_ref().and_then(|mark| mark.at) {
            self.since = at.checked_sub(signed(*overlap)).ok().or(self.since);
        }
        position.token = None;
        position.stored = false;
        true
    }

    /// For listings by page number: moves the lower bound up to the newest record, so that a record which changes while
    /// the listing is read, and with it the place of all behind it, pushes none past us. `false` where that would bring
    /// nothing: then the page number goes on.
    pub(super) fn move_bound(&mut self) -> bool {
        let Position::Time(position) = &mut self.position else {
            return false;
        };
        if !(position.ordered && position.moved && position.bound.is_some()) {
            return false;
        }
        position.moved = false;
        position.resumed = false;
        position.bound.clone_from(&position.last);
        true
    }

    fn start(&self, now: Timestamp, before_now: Duration) -> Timestamp {
        let since = self.since.unwrap_or(Timestamp::UNIX_EPOCH);
        let latest = now.checked_sub(signed(before_now)).unwrap_or(now);
        since.min(latest)
    }
}

impl TokenPosition {
    fn observe(
        &mut self,
        page: &Frame,
        records: Vec<Record>,
        at: &Path,
        done: &Path,
        watermark: Option<&Path>,
    ) -> Result<Observed, Astray> {
        if let Some(path) = watermark {
            let mut projection = Projection::new();
            projection.add_path(path);
            for record in &records {
                let mark = mark(&record.project(&projection)?, path);
                self.watermark = self.watermark.take().max(mark);
            }
        }
        let done = page.select(done)?.is_some_and(|done| done.is_true());
        let token = page
            .select(at)?
            .and_then(|token| token.scalar_text().map(String::from));
        let stands_still = token.is_some() && token == self.token;
        match token {
            Some(token) => self.token = Some(token),
            None if done => {}
            None => return Err(Astray::NoToken(at.source().to_owned())),
        }
        self.stored = false;
        // A system that has not caught up gives an empty page and the same token: it is asked again in the next run.
        let caught_up = done || (stands_still && records.is_empty());
        let more = !caught_up;
        if more {
            let new = self.token.clone().is_some_and(|token| self.seen.insert(token));
            if stands_still || !new {
                return Err(Astray::Loop);
            }
        }
        Ok(Observed {
            records,
            repeated: 0,
            cursor: self.cursor(),
            more: Some(more),
        })
    }

    fn cursor(&self) -> Option<Cursor> {
        Some(Cursor::Token {
            token: self.token.clone()?,
            watermark: self.watermark.as_ref().map(|mark| mark.text.clone()),
        })
    }
}

impl TimePosition {
    fn observe(
        &mut self,
        records: Vec<Record>,
        from: &Path,
        key: &Path,
        overlap: Duration,
        answered_at: Timestamp,
    ) -> Result<Observed, JsonError> {
        let mut projection = Projection::new();
        projection.add_path(from);
        projection.add_path(key);
        let mut kept = Vec::with_capacity(records.len());
        let mut repeated = 0;
        let mut first = None;
        for record in records {
            let value = record.project(&projection)?;
            let Some(mark) = mark(&value, from) else {
                kept.push(record);
                continue;
            };
            self.ordered &= self.last.as_ref().is_none_or(|last| *last <= mark);
            first.get_or_insert_with(|| mark.clone());
            self.last = Some(mark.clone());
            self.sort(&mark, answered_at);
            let known = self.seen.insert(entry(&value, key, &record), Some(mark));
            if known.is_some() {
                repeated += 1;
            } else {
                kept.push(record);
            }
        }
        self.moved = first.is_some() && self.last > self.bound && self.last > first;
        if let Some(at) = self.closed.as_ref().or(self.open.as_ref()) {
            self.seen
                .retain(|_, mark| mark.as_ref().is_none_or(|mark| at.reaches(mark, overlap)));
        }
        let cursor = self.cursor(false).filter(|_| self.ordered);
        Ok(Observed {
            records: kept,
            repeated,
            cursor,
            more: None,
        })
    }

    /// Notes whether the system was past an instant when it told what happened in it.
    fn sort(&mut self, mark: &Mark, answered_at: Timestamp) {
        // The system tells its time in whole seconds.
        let is_open = mark
            .at
            .is_some_and(|at| at.as_second() >= answered_at.as_second());
        if is_open {
            if self.open.as_ref().is_none_or(|open| mark < open) {
                self.open = Some(mark.clone());
            }
        } else if self.open.as_ref().is_none_or(|open| mark < open) {
            self.closed = self.closed.take().max(Some(mark.clone()));
        }
    }

    /// Where to go on. What was seen earlier and did not come again is forgotten once everything has been read.
    fn cursor(&self, complete: bool) -> Option<Cursor> {
        let at = self.closed.as_ref().or(self.open.as_ref())?;
        let seen = self.seen.iter().filter(|(_, mark)| mark.is_some() || !complete);
        let mut seen: Vec<String> = seen.map(|(entry, _)| entry.clone()).collect();
        seen.sort();
        Some(Cursor::Time {
            at: at.text.clone(),
            seen,
        })
    }
}

impl KeyPosition {
    fn observe(&mut self, records: Vec<Record>, path: &Path) -> Result<Observed, JsonError> {
        let mut projection = Projection::new();
        projection.add_path(path);
        for record in &records {
            let value = record.project(&projection)?;
            let Some(key) = path.one(&value).and_then(Value::scalar_text) else {
                continue;
            };
            let grows = |than: &Option<String>| {
                than.as_deref()
                    .is_none_or(|than| compare(than, &key) == Ordering::Less)
            };
            self.ordered &= grows(&self.last);
            if grows(&self.largest) {
                self.largest = Some(key.clone().into_owned());
            }
            self.last = Some(key.into_owned());
        }
        let cursor = self.largest.clone().filter(|_| self.ordered).map(Cursor::Key);
        Ok(Observed {
            records,
            repeated: 0,
            cursor,
            more: None,
        })
    }
}

/// Knows a record again as long as it has not changed.
fn entry(value: &Value<'_>, key: &Path, record: &Record) -> String {
    let key = key.one(value).and_then(Value::scalar_text).unwrap_or_default();
    let digest = blake3::hash(record.received()).to_hex();
    format!("{key} {}", digest.get(..16).unwrap_or_default())
}

fn key_less(key: &str, overlap: u64) -> Value<'static> {
    match Number::parse(key.to_owned()) {
        Some(number) => match number.as_i64() {
            Some(whole) => Value::from(whole.saturating_sub_unsigned(overlap)),
            None => Value::Number(number),
        },
        None => Value::text(key.to_owned()),
    }
}
