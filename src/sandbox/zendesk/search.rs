//! `GET /search/export`: tickets by custom field or external id, from an index that lags behind.

use serde_json::{Value, json};

use super::super::message::{Request, Response};
use super::model::Ticket;
use super::paging::{Listing, page};
use super::{Zendesk, errors};

impl Zendesk {
    pub(super) fn search_export(&self, request: &Request) -> Response {
        if request.parameter("filter[type]") != Some("ticket") {
            return errors::invalid_parameter(
                "InvalidParameter",
                "Invalid parameter",
                "filter[type] is required; only `ticket` is served",
            );
        }
        if request.parameter("page").is_some() || request.parameter("per_page").is_some() {
            return errors::invalid_parameter(
                "InvalidPaginationParameter",
                "Invalid Pagination Parameter",
                "offset pagination is not supported by this endpoint",
            );
        }
        // Only the cursor form exists here, so a request without a page size gets it as well.
        let mut query = request.query.clone();
        if request.parameter("page[size]").is_none() {
            query.push(("page[size]".to_owned(), "100".to_owned()));
        }
        let paged = Request {
            method: request.method.clone(),
            target: request.target.clone(),
            segments: request.segments.clone(),
            query,
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        let indexed = self.indexed_second();
        let terms = request.parameter("query").unwrap_or_default();
        let base = request.base();
        let listing = Listing {
            name: "results",
            base: &base,
            places: self
                .state
                .tickets
                .values()
                .filter(|ticket| {
                    !ticket.is_deleted() && ticket.created_at.as_second() <= indexed && matches(ticket, terms)
                })
                .map(|ticket| (ticket.created_at.as_second(), ticket.id))
                .collect(),
            descending: false,
        };
        let render = |id| {
            let mut document = self.state.tickets.get(id)?.document(&base);
            document.insert("result_type".to_owned(), json!("ticket"));
            Some(Value::Object(document))
        };
        match page(&paged, listing, render) {
            Ok(document) => Response::json(200, &Value::Object(document)),
            Err(refusal) => *refusal,
        }
    }
}

/// Whether a ticket satisfies every term; a term of an unknown property satisfies none.
fn matches(ticket: &Ticket, terms: &str) -> bool {
    split_terms(terms).iter().all(|term| {
        let Some((property, value)) = term.split_once(':') else {
            let word = term.to_lowercase();
            let subject = ticket.subject.as_deref().unwrap_or_default().to_lowercase();
            return subject.contains(&word) || ticket.description.to_lowercase().contains(&word);
        };
        match property {
            "status" => ticket.status == value,
            "priority" => ticket.priority.as_deref() == Some(value),
            "external_id" => ticket.external_id.as_deref() == Some(value),
            "tags" => ticket.tags.iter().any(|tag| tag == value),
            _ => property
                .strip_prefix("custom_field_")
                .and_then(|id| ticket.custom_fields.get(&id.parse().ok()?))
                .is_some_and(|own| match own {
                    Value::Array(items) => items.iter().any(|item| item == value),
                    Value::Bool(own) => value.parse() == Ok(*own),
                    own => own == value,
                }),
        }
    })
}

/// The terms of a search query: separated by spaces, except between quotes, which are dropped.
pub(super) fn split_terms(query: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut is_quoted = false;
    for character in query.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => terms.push(String::new()),
            _ => {
                if let Some(term) = terms.last_mut() {
                    term.push(character);
                }
            }
        }
    }
    terms.retain(|term| !term.is_empty());
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_a_term_together() {
        let terms = split_terms("type:user  name:\"Jim Smith\" email:\"a@b.c\"");
        assert_eq!(terms, ["type:user", "name:Jim Smith", "email:a@b.c"]);
        assert!(split_terms(" \"\" ").is_empty());
    }
}
