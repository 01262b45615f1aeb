//! Incremental exports: everything that changed since a moment, deleted and scrubbed tickets included.
//!
//! The order is that of `(generated_timestamp, id)`, for users `(updated_at, id)`; a cursor is such a pair in base64. A
//! record that changes while it is being read appears again, further on. Ticket exports hold back the last minute.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::super::message::{Request, Response};
use super::paging::{Place, link};
use super::{MINUTE, Zendesk, errors};

/// Rows per page, at most and by default.
const PAGE_SIZE: usize = 1000;

/// Where a page begins.
#[derive(Debug, Clone, Copy)]
enum From {
    /// At this second, included.
    Time(i64),
    /// After this row.
    Row(Place),
}

/// One page of rows.
struct Page {
    ids: Vec<u64>,
    after: Option<String>,
    end_of_stream: bool,
}

impl Zendesk {
    /// `GET /incremental/tickets/cursor`.
    pub(super) fn export_tickets(&self, request: &Request) -> Response {
        let from = match self.beginning(request) {
            Ok(from) => from,
            Err(refusal) => return *refusal,
        };
        let page = self.cut(from, request, self.exported_tickets(request));
        self.export_document(request, "tickets", &page)
    }

    /// `GET /incremental/users/cursor`.
    pub(super) fn export_users(&self, request: &Request) -> Response {
        let from = match self.beginning(request) {
            Ok(from) => from,
            Err(refusal) => return *refusal,
        };
        // Users are shown at once, but a second only when it is complete.
        let visible = self.clock.visible_second(Duration::ZERO);
        let places = self
            .state
            .users
            .values()
            .map(|user| (user.updated_at.as_second(), user.id))
            .filter(|(second, _)| *second <= visible)
            .collect();
        let page = self.cut(from, request, places);
        self.export_document(request, "users", &page)
    }

    /// `GET /incremental/tickets`, the older form that pages by time: a second's rows are never split, and the end time of
    /// a full page is the last second plus one.
    pub(super) fn export_tickets_by_time(&self, request: &Request) -> Response {
        let start = match self.beginning(request) {
            Ok(From::Time(start)) => start,
            Ok(From::Row(_)) => return missing_start_time(),
            Err(refusal) => return *refusal,
        };
        let size = page_size(request);
        let mut places = self.exported_tickets(request);
        places.retain(|(second, _)| *second >= start);
        places.sort_unstable();
        let total = places.len();
        let last = places
            .get(size.min(total).saturating_sub(1))
            .map(|(second, _)| *second);
        places.retain(|(second, _)| Some(*second) <= last);
        let end_of_stream = places.len() == total;
        let end_time = last.map(|last| if end_of_stream { last } else { last + 1 });
        let ids: Vec<u64> = places.into_iter().map(|(_, id)| id).collect();
        let next_page =
            end_time.map(|end_time| link(request, &request.base(), &[("start_time", &end_time.to_string())]));
        let mut document = self.rows(request, "tickets", &ids);
        document.insert("count".to_owned(), json!(ids.len()));
        document.insert("end_time".to_owned(), json!(end_time));
        document.insert("next_page".to_owned(), json!(next_page));
        document.insert("end_of_stream".to_owned(), json!(end_of_stream));
        Response::json(200, &Value::Object(document))
    }

    /// The tickets that the request's filters leave, with their places.
    fn exported_tickets(&self, request: &Request) -> Vec<Place> {
        let held_back = if self.settings.hold_last_minute {
            Duration::from_secs(self.settings.export_lag_seconds)
        } else {
            Duration::ZERO
        };
        let visible = self.clock.visible_second(held_back);
        let support_type = request.parameter("support_type_scope").unwrap_or("agent");
        let exclude_deleted = request.flag("exclude_deleted");
        self.state
            .tickets
            .values()
            .filter(|ticket| ticket.generated_timestamp <= visible)
            .filter(|ticket| support_type == "all" || ticket.support_type == support_type)
            .filter(|ticket| !(exclude_deleted && ticket.is_deleted()))
            .map(|ticket| (ticket.generated_timestamp, ticket.id))
            .collect()
    }

    fn beginning(&self, request: &Request) -> Result<From, Box<Response>> {
        if let Some(cursor) = request.parameter("cursor") {
            return read_cursor(cursor)
                .map(From::Row)
                .ok_or_else(|| Box::new(errors::plain(400, "InvalidCursor", "The cursor is not valid")));
        }
        let Some(start) = request.parameter("start_time") else {
            return Err(Box::new(missing_start_time()));
        };
        let Ok(start) = start.parse::<i64>() else {
            return Err(Box::new(errors::plain(
                400,
                "InvalidValue",
                "start_time must be an integer",
            )));
        };
        if start > self.clock.visible_second(MINUTE) {
            return Err(Box::new(errors::plain(
                400,
                "StartTimeTooRecent",
                "Too recent start_time. Use a start_time older than 60 seconds",
            )));
        }
        Ok(From::Time(start))
    }

    /// Cuts a page out of the places.
    fn cut(&self, from: From, request: &Request, mut places: Vec<Place>) -> Page {
        let size = page_size(request);
        let mut repeated = Vec::new();
        match from {
            From::Time(start) => places.retain(|(second, _)| *second >= start),
            From::Row(last) => {
                let same_second = |place: &Place| place.0 == last.0;
                let goes_on = places.iter().any(|place| same_second(place) && *place > last);
                if goes_on && self.settings.repeat_boundary {
                    repeated.extend(
                        places
                            .iter()
                            .filter(|place| same_second(place) && **place <= last)
                            .copied(),
                    );
                }
                places.retain(|place| *place > last);
            }
        }
        let end_of_stream = places.len() <= size;
        if !end_of_stream {
            places.select_nth_unstable(size);
            places.truncate(size);
        }
        places.sort_unstable();
        let after = match (places.last(), from) {
            (Some(last), _) => Some(*last),
            (None, From::Row(last)) => Some(last),
            (None, From::Time(_)) => None,
        };
        repeated.sort_unstable();
        Page {
            ids: repeated.into_iter().chain(places).map(|(_, id)| id).collect(),
            after: after.map(write_cursor),
            end_of_stream,
        }
    }

    fn export_document(&self, request: &Request, name: &str, page: &Page) -> Response {
        let after_url = page.after.as_deref().map(|cursor| {
            let per_page = page_size(request).to_string();
            let path = request.target.split('?').next().unwrap_or_default();
            let include = request
                .parameter("include")
                .map(|include| format!("&include={include}"))
                .unwrap_or_default();
            format!(
                "{}{path}?cursor={}&per_page={per_page}{include}",
                request.base(),
                cursor.replace('=', "%3D").replace('+', "%2B")
            )
        });
        let mut document = self.rows(request, name, &page.ids);
        document.insert("after_url".to_owned(), json!(after_url));
        document.insert("before_url".to_owned(), Value::Null);
        document.insert("after_cursor".to_owned(), json!(page.after));
        document.insert("before_cursor".to_owned(), Value::Null);
        document.insert("end_of_stream".to_owned(), json!(page.end_of_stream));
        Response::json(200, &Value::Object(document))
    }

    /// The rows of a page, and beside them what they name, where that was asked for.
    fn rows(&self, request: &Request, name: &str, ids: &[u64]) -> Map<String, Value> {
        let base = request.base();
        let mut document = Map::new();
        if name == "users" {
            document.insert(name.to_owned(), self.user_documents(&base, ids.iter().copied()));
            return document;
        }
        let tickets = ids.iter().filter_map(|id| self.state.tickets.get(*id));
        let rows: Vec<Value> = tickets
            .clone()
            .map(|ticket| {
                let mut row = ticket.document(&base);
                row.insert(
                    "generated_timestamp".to_owned(),
                    json!(ticket.generated_timestamp),
                );
                Value::Object(row)
            })
            .collect();
        document.insert(name.to_owned(), Value::Array(rows));
        if request.includes("users") {
            let people: BTreeSet<u64> = tickets.flat_map(|ticket| ticket.people()).collect();
            document.insert("users".to_owned(), self.user_documents(&base, people));
        }
        document
    }
}

fn page_size(request: &Request) -> usize {
    request
        .parameter("per_page")
        .and_then(|text| text.parse().ok())
        .filter(|size| *size > 0)
        .unwrap_or(PAGE_SIZE)
        .min(PAGE_SIZE)
}

fn missing_start_time() -> Response {
    errors::plain(400, "InvalidValue", "Invalid search: start_time is required")
}

/// `1707271741.0||4045|` in base64, as the vendor's cursors read.
fn write_cursor((second, id): Place) -> String {
    STANDARD.encode(format!("{second}.0||{id}|"))
}

fn read_cursor(text: &str) -> Option<Place> {
    let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let (time, id) = text.split_once("||")?;
    let second = time.split('.').next()?.parse().ok()?;
    Some((second, id.trim_end_matches('|').parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_as_the_vendors_do() {
        let recorded = "MTcwNzI3MTc0MS4wfHw0MDQ1fA==";
        assert_eq!(read_cursor(recorded), Some((1_707_271_741, 4045)));
        assert_eq!(write_cursor((1_707_271_741, 4045)), recorded);
        assert_eq!(read_cursor("nonsense"), None);
    }
}
