//! The Oro back-office JSON:API stand-in: authenticates, chooses the API's face, routes.
//!
//! `kinds` and `mirror` say what there is in the terms of `schema`, `media` which face a media type gets, `filter` and
//! `document` read, `write` and `relationships` change what `body` reads and `check` lets pass, `errors` words refusals,
//! `model` is what is remembered; `edit` and `activity` are the people at the screen. Storefront and back office share a
//! host: without the prefix there is nothing here.

mod activity;
mod body;
mod check;
mod document;
mod edit;
mod errors;
mod filter;
mod included;
mod kinds;
mod media;
mod mirror;
pub(crate) mod model;
mod read;
mod reflection;
mod relationships;
mod schema;
mod write;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::activity::{Order, Triggers};
use super::clock::Clock;
use super::message::{Request, Response};
use super::server::{System, merge_settings};
use super::token::{CLIENT_ID, CLIENT_SECRET, Tokens};
use model::OroState;
#[cfg(test)]
pub(crate) use schema::kind;

/// Where the back-office API lives.
pub(crate) const PREFIX: &str = "/admin/api";
/// The user as whom every token acts, and who owns what names no owner.
pub(crate) const API_USER: &str = "1";
/// The organization of that user.
pub(crate) const API_ORGANIZATION: &str = "1";

/// The stand-in.
#[derive(Debug)]
pub(crate) struct Oro {
    state: OroState,
    clock: Arc<Clock>,
    tokens: Tokens,
    settings: Settings,
    triggers: Triggers,
}

/// What `POST /_sandbox/settings` can change.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Whether the vendor's own helpdesk bundle is installed, with its resource types.
    zendesk_bundle: bool,
    /// Whether cases can be filtered and sorted by the time of their last change, which a stock system cannot.
    updated_at_filter: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            zendesk_bundle: true,
            updated_at_filter: false,
        }
    }
}

impl Oro {
    /// The connector that this stands in for.
    pub(crate) const NAME: &'static str = "oro";

    pub(crate) fn new(state: OroState, clock: Arc<Clock>, token_lifetime: Duration) -> Self {
        Self {
            state,
            clock,
            tokens: Tokens::new(token_lifetime),
            settings: Settings::default(),
            triggers: Triggers::default(),
        }
    }

    fn serve(&mut self, request: &Request) -> Response {
        let route = request.route();
        let Some(["admin", "api", path @ ..]) = route.get(..) else {
            return Response::typed(404, "text/html", "<html><body>404 Not Found</body></html>");
        };
        let is_known = request
            .header("authorization")
            .and_then(|header| header.strip_prefix("Bearer "))
            .is_some_and(|token| self.tokens.check(token.trim()).is_some());
        if !is_known {
            return Response::empty(401).header("www-authenticate", "Bearer");
        }
        let kind = path.first().and_then(|name| schema::kind(name));
        let Some(kind) = kind.filter(|kind| self.settings.zendesk_bundle || !mirror::is_mirrored(kind.name))
        else {
            return errors::no_resource();
        };
        let is_json_api = media::is_json_api(request);
        match (&request.method, path) {
            (&Method::GET, [_]) if is_json_api => self.list(kind, request),
            (&Method::GET, [_, id]) if is_json_api => self.show(kind, id, request),
            (&Method::GET, [_]) => media::read_plainly(&self.state, kind, None, request),
            (&Method::GET, [_, id]) => media::read_plainly(&self.state, kind, Some(id), request),
            (&Method::GET, [_, id, "relationships", name]) => self.relationship(kind, id, name, request),
            (&Method::POST | &Method::PATCH | &Method::DELETE, _) if !kind.writable => {
                errors::not_allowed(request.method.as_str())
            }
            (&Method::DELETE, [_, id]) => self.delete(kind, id),
            (&Method::DELETE, [_]) => self.delete_many(kind, request),
            (&Method::POST | &Method::PATCH, _) if !is_json_api => media::refuse_write_plainly(),
            (&Method::POST, [_]) => self.create(kind, request),
            (&Method::PATCH, [_, id]) => self.update(kind, id, request),
            (_, [_, id, "relationships", name]) => self.relationship(kind, id, name, request),
            (_, [_] | [_, _]) => errors::not_allowed(request.method.as_str()),
            _ => errors::no_resource(),
        }
    }

    /// `POST /oauth2-token`: client credentials, in a JSON body.
    fn issue_token(&mut self, request: &Request) -> Response {
        let refuse = |status: u16, error: &str, description: &str| {
            Response::json(
                status,
                &json!({ "error": error, "error_description": description, "message": description }),
            )
        };
        let is_json = request
            .header("content-type")
            .is_some_and(|media_type| media_type.starts_with("application/json"));
        let body = request.json().filter(|_| is_json).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("grant_type") {
            "client_credentials" => {}
            "" => {
                return refuse(
                    400,
                    "unsupported_grant_type",
                    "The authorization grant type is not supported by the authorization server.",
                );
            }
            _ => {
                return refuse(
                    400,
                    "unauthorized_client",
                    "The authenticated client is not authorized to use this authorization grant type.",
                );
            }
        }
        if text("client_id") != CLIENT_ID || text("client_secret") != CLIENT_SECRET {
            return refuse(401, "invalid_client", "Client authentication failed");
        }
        // An hour is what a stock system gives.
        let (token, lifetime) = self.tokens.issue("all", Some(Duration::from_secs(3600)));
        Response::json(
            200,
            &json!({ "token_type": "Bearer", "expires_in": lifetime.as_secs(), "access_token": token }),
        )
    }
}

impl System for Oro {
    type State = OroState;

    const NAME: &'static str = Self::NAME;

    fn answer(&mut self, request: &Request) -> Response {
        if request.method == Method::POST && request.route() == ["oauth2-token"] {
            return self.issue_token(request);
        }
        self.serve(request)
    }

    fn edit(&mut self, edit: &Value) -> Result<Value, String> {
        edit::apply(self, edit)
    }

    fn expire_tokens(&mut self) {
        self.tokens.expire_all();
    }

    fn edit_at_random(&mut self, order: &Order) -> Result<Vec<Value>, String> {
        activity::edit_at_random(self, order)
    }

    fn triggers(&mut self) -> &mut Triggers {
        &mut self.triggers
    }

    fn configure(&mut self, settings: &Value) -> Result<Value, String> {
        merge_settings(&mut self.settings, settings)
    }

    fn state(&mut self) -> &mut OroState {
        &mut self.state
    }
}
