//! Reading only what changed: where a stream's reading starts, and where it stands after each page.
//!
//! Nothing here sends anything. A time cursor's lower bound is inclusive, because several records may have changed at the
//! same instant and a page can end between them; what was read at the bound is known by key and digest and left out
//! when it comes again unchanged. With an overlap the same holds for the stretch that is read again.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::HttpConnection;
use super::page::numbers;
use super::records::select;
use super::template::Parameters;
use crate::compile::compiled::Changes;
use crate::connector::{ConnectorError, Cursor, ReadRequest};
use crate::expression::{JsonError, Number, Path, Projection, Record, Scope, Value};

/// Unix times from here on count milliseconds.
const MILLISECONDS: f64 = 1e11;

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
    newest: Option<Mark>,
    seen: HashMap<String, Mark>,
    last: Option<Mark>,
    ordered: bool,
    moved: bool,
}

#[derive(Debug, Default)]
struct KeyPosition {
    from: Option<String>,
    largest: Option<String>,
    last: Option<String>,
    ordered: bool,
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
                        seen: seen.iter().map(|entry| (entry.clone(), mark.clone())).collect(),
                        bound: Some(mark.clone()),
                        newest: Some(mark),
                        last: None,
                        resumed: true,
                        ordered: true,
                        moved: false,
                    }
                }
                _ => TimePosition {
                    bound: request.since.map(|since| Mark::new(&since.to_string())),
                    newest: None,
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
        let (query, name, value) = match (self.changes, &self.position) {
            (
                Changes::Token {
                    first,
                    next,
                    since_before_now,
                    ..
                },
                Position::Token(position),
            ) => match &position.token {
                Some(token) => (next, "token", Value::text(token.clone())),
                None => (
                    first,
                    "since",
                    Value::text(self.start(now, *since_before_now).to_string()),
                ),
            },
            (Changes::Time { query, overlap, .. }, Position::Time(position)) => {
                let overlap = if position.resumed {
                    *overlap
                } else {
                    Duration::ZERO
                };
                let bound = position
                    .bound
                    .as_ref()
                    .map_or(Value::Null, |bound| bound.less(overlap));
                (query, "since", bound)
            }
            (Changes::GrowingKey { query, overlap, .. }, Position::Key(position)) => {
                let from = position.from.as_deref();
                (
                    query,
                    "since",
                    from.map_or(Value::Null, |from| key_less(from, *overlap)),
                )
            }
            _ => return Ok(Vec::new()),
        };
        let scope = scope.child().with_owned(name, value);
        connection.parameters(query, &scope, what)
    }

    /// Takes note of a page.
    ///
    /// # Errors
    /// [`Astray`].
    pub(super) fn observe(&mut self, page: &bytes::Bytes, records: Vec<Record>) -> Result<Observed, Astray> {
        match (self.changes, &mut self.position) {
            (
                Changes::Token {
                    at, done, on_lost, ..
                },
                Position::Token(position),
            ) => position.observe(page, records, at, done, on_lost.as_ref().map(|(path, _)| path)),
            (Changes::Time { from, overlap, .. }, Position::Time(position)) => {
                Ok(position.observe(records, from, self.key, *overlap)?)
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
            Position::Time(position) => position.cursor(),
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
        position.bound.clone_from(&position.newest);
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
        page: &bytes::Bytes,
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
        let done = select(page, done)?.is_some_and(|done| done.is_true());
        let token = select(page, at)?.and_then(|token| token.scalar_text().map(String::from));
        let stands_still = token.is_some() && token == self.token;
        match token {
            Some(token) => self.token = Some(token),
            None if done => {}
            None => return Err(Astray::NoToken(at.source().to_owned())),
        }
        self.stored = false;
        // A system that has not caught up gives an empty page and the same token: it is asked again in the next run.
        let more = !done && !(stands_still && records.is_empty());
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
            let entry = entry(&value, key, &record);
            if self.seen.contains_key(&entry) {
                repeated += 1;
                continue;
            }
            self.seen.insert(entry, mark.clone());
            self.newest = self.newest.take().max(Some(mark));
            kept.push(record);
        }
        self.moved = first.is_some() && self.last > self.bound && self.last > first;
        if let Some(newest) = &self.newest {
            self.seen.retain(|_, mark| newest.reaches(mark, overlap));
        }
        let cursor = self.cursor().filter(|_| self.ordered);
        Ok(Observed {
            records: kept,
            repeated,
            cursor,
            more: None,
        })
    }

    fn cursor(&self) -> Option<Cursor> {
        let newest = self.newest.as_ref()?;
        let mut seen: Vec<String> = self.seen.keys().cloned().collect();
        seen.sort();
        Some(Cursor::Time {
            at: newest.text.clone(),
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

/// A change time: as the system wrote it, and as an instant where that can be read.
#[derive(Clone, Debug)]
struct Mark {
    text: String,
    at: Option<Timestamp>,
}

impl Mark {
    fn new(text: &str) -> Self {
        Mark {
            at: instant(text),
            text: text.to_owned(),
        }
    }

    /// This time less an overlap, in the system's own form: a number stays one.
    fn less(&self, overlap: Duration) -> Value<'static> {
        if let Some(number) = Number::parse(self.text.clone()) {
            let unit = if number.as_f64().is_some_and(|number| number.abs() >= MILLISECONDS) {
                1000
            } else {
                1
            };
            let less = i64::try_from(overlap.as_secs())
                .unwrap_or(i64::MAX)
                .saturating_mul(unit);
            return match number.as_i64() {
                Some(whole) if less > 0 => Value::from(whole.saturating_sub(less)),
                _ => Value::Number(number),
            };
        }
        match self.at.filter(|_| !overlap.is_zero()) {
            Some(at) => Value::text(at.checked_sub(signed(overlap)).unwrap_or(at).to_string()),
            None => Value::text(self.text.clone()),
        }
    }

    /// Whether a read that starts at this time less the overlap meets that mark again.
    fn reaches(&self, mark: &Mark, overlap: Duration) -> bool {
        match (self.at, mark.at) {
            (Some(newest), Some(at)) => newest.checked_sub(signed(overlap)).unwrap_or(newest) <= at,
            _ => self == mark,
        }
    }
}

impl PartialEq for Mark {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Mark {}

impl PartialOrd for Mark {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Mark {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.at, other.at) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => compare(&self.text, &other.text),
        }
    }
}

fn mark(value: &Value<'_>, path: &Path) -> Option<Mark> {
    Some(Mark::new(&path.one(value)?.scalar_text()?))
}

/// RFC 3339, a date and time without a zone (taken as UTC), or Unix seconds or milliseconds.
fn instant(text: &str) -> Option<Timestamp> {
    if let Some(number) = Number::parse(text) {
        let number = number.as_f64()?;
        let seconds = if number.abs() >= MILLISECONDS {
            number / 1000.0
        } else {
            number
        };
        return Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok();
    }
    text.parse().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })
}

/// Knows a record again as long as it has not changed.
fn entry(value: &Value<'_>, key: &Path, record: &Record) -> String {
    let key = key.one(value).and_then(Value::scalar_text).unwrap_or_default();
    let digest = blake3::hash(record.received()).to_hex();
    format!("{key} {}", digest.get(..16).unwrap_or_default())
}

fn compare(one: &str, other: &str) -> Ordering {
    numbers(one, other).unwrap_or_else(|| one.cmp(other))
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

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
