//! Change cursors: tokens, times with their inclusive bound, growing keys. Nothing is lost, nothing comes twice.

use bytes::Bytes;
use proptest::prelude::*;

use super::frame::Frame;
use super::track::Track;
use super::*;
use crate::compile::compiled::PageStop;
use crate::connector::{Cursor, ReadRequest};

fn by_token(on_lost: bool) -> List {
    List {
        changes: Changes::Token {
            at: path("$.after"),
            done: path("$.end"),
            first: pairs(&[("start_time", "{{ since | unix }}")]),
            next: pairs(&[("cursor", "{{ token }}")]),
            since_before_now: Duration::from_secs(61),
            on_lost: on_lost.then(|| (path("$.generated"), Duration::from_secs(300))),
        },
        ..list()
    }
}

async fn cursors(
    connection: &Arc<HttpConnection>,
    request: ReadRequest,
) -> Result<Vec<Option<Cursor>>, ConnectorError> {
    let mut reader = connection.read(0, request);
    let mut cursors = Vec::new();
    while let Some(page) = reader.next().await? {
        cursors.push(page.cursor);
    }
    Ok(cursors)
}

fn token(token: &str, watermark: Option<&str>) -> Cursor {
    Cursor::Token {
        token: token.to_owned(),
        watermark: watermark.map(str::to_owned),
    }
}

#[tokio::test]
async fn tokens_lead_from_page_to_page_and_from_run_to_run() {
    let server = Server::script(vec![
        Reply::json(r#"{"rows":[{"id":1,"generated":100}],"after":"a","end":false}"#),
        Reply::json(r#"{"rows":[{"id":2,"generated":90}],"after":"b","end":true}"#),
        Reply::json(r#"{"rows":[],"after":"b","end":true}"#),
    ])
    .await;
    let connection = given(plain(), vec![rows(by_token(true))]).open(&server);
    let since = ReadRequest {
        since: Some("1970-01-02T00:00:00Z".parse().unwrap()),
        ..ReadRequest::default()
    };
    let read = cursors(&connection, since).await.unwrap();
    assert_eq!(
        read,
        [Some(token("a", Some("100"))), Some(token("b", Some("100")))]
    );
    let again = ReadRequest {
        cursor: read[1].clone(),
        ..ReadRequest::default()
    };
    assert_eq!(
        cursors(&connection, again).await.unwrap(),
        [Some(token("b", Some("100")))]
    );
    assert_eq!(
        server.queries("start_time"),
        [Some("86400".to_owned()), None, None]
    );
    assert_eq!(
        server.queries("cursor"),
        [None, Some("a".to_owned()), Some("b".to_owned())]
    );
}

#[tokio::test]
async fn a_start_that_is_too_young_is_moved_back() {
    let server = Server::script(vec![Reply::json(r#"{"rows":[],"after":"a","end":true}"#)]).await;
    let connection = given(plain(), vec![rows(by_token(false))]).open(&server);
    let now = jiff::Timestamp::now();
    let young = ReadRequest {
        since: Some(now),
        ..ReadRequest::default()
    };
    cursors(&connection, young).await.unwrap();
    let sent: i64 = server.queries("start_time")[0]
        .as_deref()
        .unwrap()
        .parse()
        .unwrap();
    assert!((60..=62).contains(&(now.as_second() - sent)), "{sent}");
}

#[tokio::test]
async fn a_token_that_stands_still_ends_or_is_an_error() {
    let lagging = Server::script(vec![
        Reply::json(r#"{"rows":[{"id":1}],"after":"a","end":false}"#),
        Reply::json(r#"{"rows":[],"after":"a","end":false}"#),
    ])
    .await;
    let connection = given(plain(), vec![rows(by_token(false))]).open(&lagging);
    let read = cursors(&connection, ReadRequest::default()).await.unwrap();
    assert_eq!(read, [Some(token("a", None)), Some(token("a", None))]);

    let ghost = Server::script(vec![Reply::json(
        r#"{"rows":[{"id":1}],"after":"a","end":false}"#,
    )])
    .await;
    let connection = given(plain(), vec![rows(by_token(false))]).open(&ghost);
    let error = cursors(&connection, ReadRequest::default()).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Loop { thing: "cursor", .. }));
    assert_eq!(ghost.seen().len(), 2);
}

#[tokio::test]
async fn a_lost_token_starts_over_before_the_latest_record() {
    let server = Server::script(vec![
        Reply::status(400, r#"{"error":"InvalidCursor"}"#),
        Reply::json(r#"{"rows":[],"after":"b","end":true}"#),
    ])
    .await;
    let connection = given(plain(), vec![rows(by_token(true))]).open(&server);
    let stored = || ReadRequest {
        cursor: Some(token("old", Some("86700"))),
        ..ReadRequest::default()
    };
    assert_eq!(
        cursors(&connection, stored()).await.unwrap(),
        [Some(token("b", Some("86700")))]
    );
    assert_eq!(server.queries("start_time"), [None, Some("86400".to_owned())]);

    let server = Server::script(vec![Reply::status(400, r#"{"error":"InvalidCursor"}"#)]).await;
    let connection = given(plain(), vec![rows(by_token(false))]).open(&server);
    let error = cursors(&connection, stored()).await.unwrap_err();
    assert!(
        matches!(error, ConnectorError::Rejected { status: 400, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn growing_keys_reach_back_by_their_overlap() {
    let server = Server::script(vec![
        Reply::json(r#"{"rows":[{"id":9},{"id":10}]}"#),
        Reply::json(r#"{"rows":[]}"#),
    ])
    .await;
    let changes = Changes::GrowingKey {
        key: path("$.id"),
        query: pairs(&[("filter[id][gt]", "{{ since }}")]),
        overlap: 3,
    };
    let connection = given(plain(), vec![rows(List { changes, ..list() })]).open(&server);
    let read = cursors(&connection, ReadRequest::default()).await.unwrap();
    assert_eq!(read, [Some(Cursor::Key("10".to_owned()))]);
    let again = ReadRequest {
        cursor: read[0].clone(),
        ..ReadRequest::default()
    };
    assert_eq!(cursors(&connection, again).await.unwrap(), read);
    assert_eq!(server.queries("filter[id][gt]"), [None, Some("7".to_owned())]);
}

fn by_time(overlap: Duration) -> Changes {
    Changes::Time {
        from: path("$.at"),
        query: pairs(&[("from", "{{ since }}")]),
        overlap,
    }
}

#[tokio::test]
async fn a_time_cursor_is_inclusive_and_knows_what_it_saw_at_its_bound() {
    let row = |id: u32, at: &str, x: u32| format!(r#"{{"id":{id},"at":"2016-08-01T10:00:{at}Z","x":{x}}}"#);
    let page = |rows: &[String]| Reply::json(format!(r#"{{"rows":[{}]}}"#, rows.join(",")));
    let first = [row(1, "01", 0), row(2, "02", 0), row(3, "02", 0)];
    // 2 changed again within the same second, 4 came into it late, 3 did not change.
    let second = [row(2, "02", 1), row(3, "02", 0), row(4, "02", 0)];
    let server = Server::script(vec![page(&first), page(&second), page(&second)]).await;
    let connection = given(
        plain(),
        vec![rows(List {
            changes: by_time(Duration::ZERO),
            ..list()
        })],
    )
    .open(&server);
    let mut cursor = None;
    let mut read = Vec::new();
    for _ in 0..3 {
        let mut reader = connection.read(
            0,
            ReadRequest {
                cursor,
                ..ReadRequest::default()
            },
        );
        let page = reader.next().await.unwrap().unwrap();
        read.push((texts(&page.records), page.repeated));
        cursor = page.cursor;
    }
    assert_eq!(read[0], (first.to_vec(), 0));
    assert_eq!(read[1], (vec![second[0].clone(), second[2].clone()], 1));
    assert_eq!(read[2], (Vec::new(), 3));
    let bound = Some("2016-08-01T10:00:02Z".to_owned());
    assert_eq!(server.queries("from"), [None, bound.clone(), bound]);
}

#[tokio::test]
async fn a_listing_by_number_is_anchored_at_the_newest_record_so_that_none_slips_past() {
    // While page 1 is worked on, record 1 changes: all behind it move up by one place.
    let server = Server::start(|seen, before| {
        let at = |second: u32| format!("2016-08-01T10:00:{second:02}Z");
        let mut rows: Vec<(u32, String)> = if before == 0 {
            (1..=4).map(|id| (id, at(id))).collect()
        } else {
            (2..=4).map(|id| (id, at(id))).chain([(1, at(9))]).collect()
        };
        rows.retain(|(_, at)| seen.query("from").is_none_or(|from| at.as_str() >= from));
        let page: usize = seen.query("page").unwrap().parse().unwrap();
        let rows = rows.into_iter().skip((page - 1) * 2).take(2);
        let rows: Vec<String> = rows
            .map(|(id, at)| format!(r#"{{"id":{id},"at":"{at}"}}"#))
            .collect();
        Reply::json(format!(r#"{{"rows":[{}]}}"#, rows.join(",")))
    })
    .await;
    let pages = Pages::Number {
        query: "page".to_owned(),
        first: 1,
        stop: PageStop::Empty,
    };
    let connection = given(
        plain(),
        vec![rows(List {
            changes: by_time(Duration::ZERO),
            pages,
            ..list()
        })],
    )
    .open(&server);
    let since = ReadRequest {
        since: Some("2016-08-01T00:00:00Z".parse().unwrap()),
        ..ReadRequest::default()
    };
    let read = read_pages(&connection, since).await.unwrap().concat();
    let ids: Vec<String> = read
        .iter()
        .map(|row| owned(row).get("id").unwrap().to_json())
        .collect();
    assert_eq!(ids, ["1", "2", "3", "4", "1"]);
}

/// A system whose records change while they are read. Its clock has a coarse grain, so that many share an instant.
#[derive(Debug, Default)]
struct System {
    rows: Vec<(u32, i64, u32)>,
    now: i64,
}

impl System {
    fn change(&mut self, id: u32) {
        let version = self
            .rows
            .iter()
            .find(|row| row.0 == id)
            .map_or(0, |row| row.2 + 1);
        self.rows.retain(|row| row.0 != id);
        self.rows.push((id, self.now, version));
    }

    /// Rows changed at or after `from`, in the order of change time and id, after the row `after`.
    fn page(&self, from: i64, after: Option<(i64, u32)>, size: usize) -> Vec<(u32, i64, u32)> {
        let mut rows = self.rows.clone();
        rows.sort_by_key(|row| (row.1, row.0));
        rows.retain(|row| row.1 >= from && after.is_none_or(|after| (row.1, row.0) > after));
        rows.truncate(size);
        rows
    }
}

#[derive(Clone, Debug)]
enum Event {
    Change(u32),
    Tick,
    /// One page is read and its cursor stored.
    Page,
    /// The process is killed and begins again from the stored cursor.
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0u32..12).prop_map(Event::Change),
        2 => Just(Event::Tick),
        4 => Just(Event::Page),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 0..120)
}

struct Reading<'c> {
    changes: &'c Changes,
    key: &'c Path,
    track: Track<'c>,
    cursor: Option<Cursor>,
    after: Option<(i64, u32)>,
    read: Vec<(u32, u32)>,
}

impl<'c> Reading<'c> {
    fn new(changes: &'c Changes, key: &'c Path) -> Self {
        let track = Track::new(changes, key, &ReadRequest::default());
        Reading {
            changes,
            key,
            track,
            cursor: None,
            after: None,
            read: Vec::new(),
        }
    }

    fn restart(&mut self) {
        let request = ReadRequest {
            cursor: self.cursor.clone(),
            ..ReadRequest::default()
        };
        self.track = Track::new(self.changes, self.key, &request);
        self.after = None;
    }

    /// Reads one page; the last page of a read begins the next read.
    fn page(&mut self, system: &System, size: usize) -> usize {
        let from = match self.track.lower_bound(jiff::Timestamp::UNIX_EPOCH) {
            Some(bound) => bound.value.as_integer().unwrap_or(i64::MIN),
            None => i64::MIN,
        };
        let rows = system.page(from, self.after, size);
        let records = rows
            .iter()
            .map(|(id, at, version)| {
                Record::new(Bytes::from(format!(r#"{{"id":{id},"at":{at},"v":{version}}}"#)))
            })
            .collect();
        let now = jiff::Timestamp::from_second(system.now).unwrap();
        let observed = self
            .track
            .observe(&Frame::new(&Bytes::from_static(b"{}")), records, now)
            .unwrap();
        for record in &observed.records {
            let value = record.value().unwrap();
            let number = |name| u32::try_from(value.get(name).unwrap().as_integer().unwrap()).unwrap();
            self.read.push((number("id"), number("v")));
        }
        let last = rows.len() < size;
        let cursor = if last {
            self.track.finished()
        } else {
            observed.cursor
        };
        self.cursor = cursor.or(self.cursor.take());
        self.after = rows.last().map(|row| (row.1, row.0));
        if last {
            self.restart();
        }
        observed.records.len()
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(events in events(), size in 1usize..5, overlap in 0u64..3) {
        let changes = by_time(Duration::from_secs(overlap));
        let key = path("$.id");
        let mut system = System { now: 1_700_000_000, ..System::default() };
        let mut reading = Reading::new(&changes, &key);
        for event in events {
            match event {
                Event::Change(id) => system.change(id),
                Event::Tick => system.now += 1,
                Event::Page => { reading.page(&system, size); }
                Event::Restart => reading.restart(),
            }
        }
        // The system comes to rest: two whole reads see all there is.
        for _ in 0..60 {
            reading.page(&system, size);
        }
        let mut read = reading.read.clone();
        for (id, _, version) in &system.rows {
            prop_assert!(read.contains(&(*id, *version)), "lost: version {version} of record {id}");
        }
        read.sort_unstable();
        let all = read.len();
        read.dedup();
        prop_assert_eq!(read.len(), all, "something came twice");
    }
}
