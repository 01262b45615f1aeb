//! Reading users.

use serde_json::{Map, Value, json};

use super::super::message::{Request, Response};
use super::model::User;
use super::paging::{Listing, page};
use super::search::split_terms;
use super::tickets::ids;
use super::{Zendesk, errors};

/// `GET /users/me` without valid credentials: the vendor answers, with nobody.
pub(super) fn anonymous() -> Response {
    Response::json(
        200,
        &json!({ "user": { "id": null, "name": "Anonymous user", "email": "invalid@example.com", "role": "end-user", "active": null } }),
    )
}

impl Zendesk {
    /// The documents of users, as an array.
    pub(super) fn user_documents(&self, base: &str, ids: impl IntoIterator<Item = u64>) -> Value {
        ids.into_iter()
            .filter_map(|id| self.state.users.get(id))
            .map(|user| user.document(base))
            .collect()
    }

    /// `GET /users`.
    pub(super) fn list_users(&self, request: &Request) -> Response {
        let role = request.parameter("role");
        let users = self
            .state
            .users
            .values()
            .filter(|user| user.active && role.is_none_or(|role| user.role == role));
        self.user_page(request, users)
    }

    fn user_page<'a>(&self, request: &Request, users: impl Iterator<Item = &'a User>) -> Response {
        let base = request.base();
        let listing = Listing {
            name: "users",
            base: &base,
            places: users.map(|user| (0, user.id)).collect(),
            descending: false,
        };
        match page(request, listing, |id| {
            Some(self.state.users.get(id)?.document(&base))
        }) {
            Ok(document) => Response::json(200, &Value::Object(document)),
            Err(refusal) => *refusal,
        }
    }

    /// `GET /users/{id}`.
    pub(super) fn show_user(&self, request: &Request, id: &str) -> Response {
        let user = id.parse().ok().and_then(|id| self.state.users.get(id));
        match user {
            Some(user) => {
                let mut document = json!({ "user": user.document(&request.base()) });
                if request.includes("identities") {
                    document["identities"] = json!(user.identities(&request.base()));
                }
                Response::json(200, &document)
            }
            None => errors::record_not_found(),
        }
    }

    /// `GET /users/show_many`, by `ids` or `external_ids`; external ids do not look at case.
    pub(super) fn show_many_users(&self, request: &Request) -> Response {
        let by_external_id = request.parameter("external_ids").is_some();
        let name = if by_external_id { "external_ids" } else { "ids" };
        let wanted = match ids(request, name) {
            Ok(wanted) => wanted,
            Err(refusal) => return *refusal,
        };
        let find = |wanted: &str| {
            if by_external_id {
                self.state.users.values().find(|user| {
                    user.external_id
                        .as_deref()
                        .is_some_and(|external_id| external_id.eq_ignore_ascii_case(wanted))
                })
            } else {
                self.state.users.get(wanted.parse().ok()?)
            }
        };
        let base = request.base();
        let users: Vec<&User> = wanted.into_iter().filter_map(find).collect();
        let rows: Vec<Value> = users.iter().map(|user| user.document(&base)).collect();
        let count = rows.len();
        let mut document = Map::from_iter([
            ("users".to_owned(), Value::Array(rows)),
            ("next_page".to_owned(), Value::Null),
            ("previous_page".to_owned(), Value::Null),
            ("count".to_owned(), json!(count)),
        ]);
        if request.includes("identities") {
            let identities: Vec<Value> = users.iter().flat_map(|user| user.identities(&base)).collect();
            document.insert("identities".to_owned(), Value::Array(identities));
        }
        Response::json(200, &Value::Object(document))
    }

    /// `GET /users/search`: by exact external id, or by a query that matches more than it says.
    ///
    /// An e-mail term also finds addresses that merely begin with it, and secondary addresses that the answer does not
    /// show: a caller has to compare again. What was written in the last two minutes is not found yet.
    pub(super) fn search_users(&self, request: &Request) -> Response {
        if request.query.iter().any(|(name, _)| name.starts_with("page[")) {
            return errors::invalid_parameter(
                "InvalidPaginationParameter",
                "Invalid Pagination Parameter",
                "cursor pagination is not supported by this endpoint",
            );
        }
        let indexed = self.indexed_second();
        let external_id = request.parameter("external_id");
        let query = request.parameter("query").unwrap_or_default();
        let users = self.state.users.values().filter(|user| {
            let is_indexed = user.active && user.created_at.as_second() <= indexed;
            is_indexed
                && match external_id {
                    Some(external_id) => user
                        .external_id
                        .as_deref()
                        .is_some_and(|own| own.eq_ignore_ascii_case(external_id)),
                    None => matches(user, query),
                }
        });
        self.user_page(request, users)
    }
}

/// Whether a user satisfies every term of a search query; an empty query finds nobody.
fn matches(user: &User, query: &str) -> bool {
    let terms = split_terms(query);
    !terms.is_empty()
        && terms.iter().all(|term| {
            let (property, value) = term.split_once(':').unwrap_or(("", term));
            let value = value.to_lowercase();
            let has_email = || {
                let mut emails = user.email.iter().chain(&user.secondary_emails);
                emails.any(|email| email.to_lowercase().starts_with(&value))
            };
            match property {
                "type" => value == "user",
                "role" => user.role == value,
                "email" => !value.is_empty() && has_email(),
                "name" => user.name.to_lowercase().contains(&value),
                "" => user.name.to_lowercase().contains(&value) || has_email(),
                _ => false,
            }
        })
}
