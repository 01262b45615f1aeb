//! Reading tickets and their comments.
//!
//! Lists leave out what is deleted, and what was closed more than 120 days ago: it is archived, and only exports, single
//! reads and search still know it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::message::{Request, Response};
use super::model::Ticket;
use super::paging::{Listing, Place, page};
use super::{Zendesk, errors};

/// Closed tickets leave the lists after this many seconds.
const ARCHIVED_AFTER: i64 = 120 * 86_400;
/// The most ids of a `show_many`.
const MOST_IDS: usize = 100;

impl Zendesk {
    /// `GET /tickets`.
    pub(super) fn list_tickets(&self, request: &Request) -> Response {
        let external_id = request.parameter("external_id");
        let archived_before = self.clock.second() - ARCHIVED_AFTER;
        let indexed = self.indexed_second();
        let tickets = self.state.tickets.values().filter(|ticket| match external_id {
            Some(external_id) => {
                !ticket.is_deleted()
                    && ticket.external_id.as_deref() == Some(external_id)
                    && ticket
                        .external_id_since
                        .is_none_or(|since| since.as_second() <= indexed)
            }
            None => {
                let is_archived =
                    ticket.status == "closed" && ticket.updated_at.as_second() < archived_before;
                !ticket.is_deleted() && !is_archived
            }
        });
        self.ticket_page(request, "tickets", tickets)
    }

    /// `GET /deleted_tickets`.
    pub(super) fn list_deleted_tickets(&self, request: &Request) -> Response {
        let since = self.clock.second() - 30 * 86_400;
        let tickets = self
            .state
            .tickets
            .values()
            .filter(|ticket| ticket.is_deleted() && ticket.generated_timestamp >= since);
        self.ticket_page(request, "deleted_tickets", tickets)
    }

    fn ticket_page<'a>(
        &self,
        request: &Request,
        name: &str,
        tickets: impl Iterator<Item = &'a Ticket>,
    ) -> Response {
        let base = request.base();
        let is_cursor = request.query.iter().any(|(name, _)| name.starts_with("page["));
        let (field, descending) = if is_cursor {
            match request.parameter("sort").unwrap_or("id") {
                sort @ ("id" | "updated_at") => (sort, false),
                "-id" => ("id", true),
                "-updated_at" => ("updated_at", true),
                _ => {
                    return errors::invalid_parameter(
                        "InvalidPaginationParameter",
                        "Invalid Pagination Parameter",
                        "sort is not valid",
                    );
                }
            }
        } else {
            let descending = request.parameter("sort_order") == Some("desc");
            (request.parameter("sort_by").unwrap_or("created_at"), descending)
        };
        let place = |ticket: &Ticket| -> Place {
            let value = match field {
                "id" => 0,
                "updated_at" => ticket.updated_at.as_second(),
                _ => ticket.created_at.as_second(),
            };
            (value, ticket.id)
        };
        let places: Vec<Place> = tickets.map(place).collect();
        let listing = Listing {
            name,
            base: &base,
            places,
            descending,
        };
        let render = |id| Some(Value::Object(self.state.tickets.get(id)?.document(&base)));
        match page(request, listing, render) {
            Ok(mut document) => {
                self.side_load(request, name, &mut document);
                Response::json(200, &Value::Object(document))
            }
            Err(refusal) => *refusal,
        }
    }

    /// Adds the people of a page's tickets when the request includes users.
    fn side_load(&self, request: &Request, name: &str, document: &mut Map<String, Value>) {
        if !request.includes("users") {
            return;
        }
        let people: BTreeSet<u64> = document
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|ticket| self.state.tickets.get(ticket.get("id")?.as_u64()?))
            .flat_map(Ticket::people)
            .collect();
        document.insert("users".to_owned(), self.user_documents(&request.base(), people));
    }

    /// `GET /tickets/show_many`: those of the ids that exist, in the order of the ids.
    pub(super) fn show_many_tickets(&self, request: &Request) -> Response {
        let ids = match ids(request, "ids") {
            Ok(ids) => ids,
            Err(refusal) => return *refusal,
        };
        let base = request.base();
        let rows: Vec<Value> = ids
            .iter()
            .filter_map(|id| self.state.tickets.get(id.parse().ok()?))
            .filter(|ticket| !ticket.is_deleted())
            .map(|ticket| Value::Object(ticket.document(&base)))
            .collect();
        let count = rows.len();
        let mut document = Map::from_iter([("tickets".to_owned(), Value::Array(rows))]);
        self.side_load(request, "tickets", &mut document);
        document.insert("next_page".to_owned(), Value::Null);
        document.insert("previous_page".to_owned(), Value::Null);
        document.insert("count".to_owned(), json!(count));
        Response::json(200, &Value::Object(document))
    }

    /// `GET /tickets/{id}`.
    pub(super) fn show_ticket(&self, request: &Request, id: &str) -> Response {
        let Some(ticket) = self.live_ticket(id) else {
            return errors::record_not_found();
        };
        let base = request.base();
        let mut document = Map::from_iter([("ticket".to_owned(), Value::Object(ticket.document(&base)))]);
        if request.includes("users") {
            document.insert("users".to_owned(), self.user_documents(&base, ticket.people()));
        }
        Response::json(200, &Value::Object(document))
    }

    /// `GET /tickets/{id}/comments`.
    pub(super) fn list_comments(&self, request: &Request, id: &str) -> Response {
        let Some(ticket) = self.live_ticket(id) else {
            return errors::record_not_found();
        };
        let base = request.base();
        let sorted_descending = request.parameter("sort") == Some("-created_at")
            || request.parameter("sort_order") == Some("desc");
        let listing = Listing {
            name: "comments",
            base: &base,
            places: ticket
                .comments
                .iter()
                .map(|comment| (comment.created_at.as_second(), comment.id))
                .collect(),
            descending: sorted_descending,
        };
        let comment = |id| ticket.comments.iter().find(|comment| comment.id == id);
        match page(request, listing, |id| Some(comment(id)?.document())) {
            Ok(mut document) => {
                if request.includes("users") {
                    let authors: BTreeSet<u64> =
                        ticket.comments.iter().map(|comment| comment.author_id).collect();
                    document.insert("users".to_owned(), self.user_documents(&base, authors));
                }
                Response::json(200, &Value::Object(document))
            }
            Err(refusal) => *refusal,
        }
    }

    /// `GET /tickets/{id}/audits`.
    pub(super) fn list_audits(&self, request: &Request, id: &str) -> Response {
        let Some(ticket) = self.live_ticket(id) else {
            return errors::record_not_found();
        };
        let base = request.base();
        let audits = ticket.audit_documents();
        let listing = Listing {
            name: "audits",
            base: &base,
            places: audits.keys().map(|id| (0, *id)).collect(),
            descending: request.parameter("sort") == Some("-created_at")
                || request.parameter("sort_order") == Some("desc"),
        };
        match page(request, listing, |id| audits.get(&id).cloned()) {
            Ok(document) => Response::json(200, &Value::Object(document)),
            Err(refusal) => *refusal,
        }
    }

    /// The ticket of an id as it stands in a path, unless it is deleted.
    pub(super) fn live_ticket(&self, id: &str) -> Option<&Ticket> {
        self.state
            .tickets
            .get(id.parse().ok()?)
            .filter(|ticket| !ticket.is_deleted())
    }

    /// What was written up to this second can be searched for.
    pub(super) fn indexed_second(&self) -> i64 {
        self.clock
            .visible_second(Duration::from_secs(self.settings.index_lag_seconds))
    }
}

/// The values of a comma-separated list parameter, refused when there are too many.
pub(super) fn ids<'a>(request: &'a Request, name: &str) -> Result<Vec<&'a str>, Box<Response>> {
    let ids: Vec<&str> = request
        .parameter(name)
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .collect();
    if ids.len() > MOST_IDS {
        return Err(Box::new(errors::too_many_values()));
    }
    Ok(ids)
}
