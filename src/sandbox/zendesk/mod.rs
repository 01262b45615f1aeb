//! The Zendesk Support stand-in: authenticates, counts against budgets, routes.
//!
//! `export` is the incremental export, `tickets` and `users` read, `ticket_write` and `user_write` change, `jobs` does
//! bulk work, `paging` cuts lists, `errors` knows the vendor's many error bodies, `model` what is remembered; `edit` and
//! `activity` are the people at the screen.

mod activity;
mod audits;
mod auth;
mod body;
mod comments;
mod edit;
mod errors;
mod export;
pub(crate) mod fields;
mod identities;
mod jobs;
pub(crate) mod model;
mod paging;
mod requester;
mod search;
mod ticket_fields;
mod ticket_write;
mod tickets;
mod user_write;
mod users;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use serde_json::Value;

use super::activity::{Order, Triggers};
use super::clock::Clock;
use super::limit::{Budget, Limits};
use super::message::{Request, Response};
use super::server::{System, merge_settings};
use super::token::Tokens;
use auth::Caller;
pub(crate) use auth::{ACCOUNT_EMAIL, ACCOUNT_TOKEN};
use model::ZendeskState;

/// The group of every agent.
pub(crate) const SUPPORT_GROUP: u64 = 360_000_000_701;
/// The admin as whom every credential acts.
pub(crate) const ADMIN: u64 = 360_000_001_000;

/// How many requests a minute the account allows, as one of the Enterprise plan does.
pub(crate) const REQUESTS_A_MINUTE: u32 = 700;
const MINUTE: Duration = Duration::from_secs(60);

/// The stand-in.
#[derive(Debug)]
pub(crate) struct Zendesk {
    state: ZendeskState,
    clock: Arc<Clock>,
    tokens: Tokens,
    limits: Limits,
    settings: Settings,
    triggers: Triggers,
    /// How many requests were refused for their number: chooses the next refusal's body.
    refusals: usize,
    requests: u64,
}

/// What `POST /_sandbox/settings` can change.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Requests per minute of the account.
    account_limit: u32,
    /// Incremental exports per minute.
    export_limit: u32,
    /// Ticket updates per minute.
    update_limit: u32,
    /// Updates of one ticket in ten minutes.
    ticket_update_limit: u32,
    /// Spell limit headers as in 2023: `zendesk-rate-limit-...`, `rate-limit-...`.
    old_header_spelling: bool,
    /// Hold back the last changes from ticket exports.
    hold_last_minute: bool,
    /// For how long: a minute, as the vendor promises, or longer, as happens.
    export_lag_seconds: u64,
    /// For how long search, and filters that rest on it, do not know what was written.
    index_lag_seconds: u64,
    /// Begin a page at the start of its cursor's second when that second has rows left.
    repeat_boundary: bool,
    /// Always use this one of the four 429 bodies (0 to 3) instead of one after the other.
    refusal_body: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            account_limit: REQUESTS_A_MINUTE,
            export_limit: 10,
            update_limit: 100,
            ticket_update_limit: 30,
            old_header_spelling: false,
            hold_last_minute: true,
            export_lag_seconds: 60,
            index_lag_seconds: 120,
            repeat_boundary: true,
            refusal_body: None,
        }
    }
}

/// The budget of a single ticket, by its name in headers.
const TICKET_UPDATES: &str = "per-ticket-updates";

impl Zendesk {
    /// The connector that this stands in for.
    pub(crate) const NAME: &'static str = "zendesk";

    pub(crate) fn new(state: ZendeskState, clock: Arc<Clock>, token_lifetime: Duration) -> Self {
        Self {
            state,
            limits: Limits::new(Arc::clone(&clock)),
            clock,
            tokens: Tokens::new(token_lifetime),
            settings: Settings::default(),
            triggers: Triggers::default(),
            refusals: 0,
            requests: 0,
        }
    }

    /// Authenticates and counts a request, then lets its endpoint answer.
    fn serve(&mut self, request: &Request) -> Response {
        let route = request.route();
        let Some(["api", "v2", path @ ..]) = route.get(..) else {
            return Response::typed(404, "text/html", "<html><body>Page not found</body></html>");
        };
        let path: Vec<&str> = path
            .iter()
            .map(|segment| segment.strip_suffix(".json").unwrap_or(segment))
            .collect();
        let scope = match auth::caller(&self.tokens, request) {
            Caller::Admin { scope } => scope,
            Caller::Anonymous if path == ["users", "me"] => return users::anonymous(),
            Caller::Anonymous => return errors::not_authenticated(),
            Caller::InvalidToken => return errors::invalid_token(),
        };
        let account = self.limits.take("account", self.settings.account_limit, MINUTE);
        let response = if account.allowed {
            self.serve_counted(request, &path, &scope)
        } else {
            self.refuse(account, "account")
        };
        self.with_account_headers(response, account)
    }

    /// Checks the scope and the endpoint's own budgets.
    fn serve_counted(&mut self, request: &Request, path: &[&str], scope: &str) -> Response {
        let action = if request.method == Method::GET {
            "read"
        } else {
            "write"
        };
        let resource = match path {
            ["incremental", resource, ..] => resource,
            [resource, ..] => resource,
            [] => "",
        };
        if !auth::allows(scope, resource, action) {
            return errors::missing_scope(action);
        }
        let mut named = Vec::new();
        for (name, key, total, period) in self.endpoint_budgets(request, path) {
            let budget = self.limits.take(&key, total, period);
            if !budget.allowed {
                let refusal = self.refuse(budget, name);
                return self.with_budget_header(refusal, name, budget);
            }
            named.push((name, budget));
        }
        let mut response = self.route(request, path);
        for (name, budget) in named {
            response = self.with_budget_header(response, name, budget);
        }
        response
    }

    /// The budgets of an endpoint: the name in headers, the key it is counted by, how many per period.
    fn endpoint_budgets(
        &self,
        request: &Request,
        path: &[&str],
    ) -> Vec<(&'static str, String, u32, Duration)> {
        let once = |name: &'static str, total, period| vec![(name, name.to_owned(), total, period)];
        match (&request.method, path) {
            (&Method::GET, ["incremental", ..]) => {
                once("incremental-exports", self.settings.export_limit, MINUTE)
            }
            (&Method::GET, ["search", "export"]) => once("search-export", 100, MINUTE),
            (&Method::GET, ["deleted_tickets"]) => once("deleted-tickets-index", 10, MINUTE),
            (&Method::DELETE, ["tickets", _]) => once("tickets-destroy", 400, MINUTE),
            (&Method::PUT, ["tickets", id]) if *id != "update_many" => vec![
                (
                    "tickets-update",
                    "tickets-update".to_owned(),
                    self.settings.update_limit,
                    MINUTE,
                ),
                (
                    TICKET_UPDATES,
                    format!("{TICKET_UPDATES}/{id}"),
                    self.settings.ticket_update_limit,
                    MINUTE * 10,
                ),
            ],
            (&Method::PUT, ["users", id]) => vec![
                (
                    "users-update",
                    "user-writes".to_owned(),
                    1,
                    Duration::from_secs(1),
                ),
                ("per-user-updates", format!("per-user-updates/{id}"), 5, MINUTE),
            ],
            (&Method::POST, ["users", "create_or_update"]) => {
                vec![(
                    "users-update",
                    "user-writes".to_owned(),
                    1,
                    Duration::from_secs(1),
                )]
            }
            _ => Vec::new(),
        }
    }

    fn route(&mut self, request: &Request, path: &[&str]) -> Response {
        match (&request.method, path) {
            (&Method::GET, ["incremental", "tickets", "cursor"]) => self.export_tickets(request),
            (&Method::GET, ["incremental", "users", "cursor"]) => self.export_users(request),
            (&Method::GET, ["incremental", "tickets"]) => self.export_tickets_by_time(request),
            (&Method::GET, ["tickets"]) => self.list_tickets(request),
            (&Method::GET, ["deleted_tickets"]) => self.list_deleted_tickets(request),
            (&Method::GET, ["tickets", "show_many"]) => self.show_many_tickets(request),
            (&Method::GET, ["tickets", id]) => self.show_ticket(request, id),
            (&Method::GET, ["tickets", id, "comments"]) => self.list_comments(request, id),
            (&Method::GET, ["tickets", id, "audits"]) => self.list_audits(request, id),
            (&Method::POST, ["tickets"]) => self.create_ticket(request),
            (&Method::POST, ["tickets", "create_many"]) => self.create_many_tickets(request),
            (&Method::PUT, ["tickets", "update_many"]) => self.update_many_tickets(request),
            (&Method::PUT, ["tickets", id]) => self.update_ticket(request, id),
            (&Method::DELETE, ["tickets", id]) => self.delete_ticket(id),
            (&Method::GET, ["users"]) => self.list_users(request),
            (&Method::GET, ["users", "me"]) => self.show_user(request, &ADMIN.to_string()),
            (&Method::GET, ["users", "show_many"]) => self.show_many_users(request),
            (&Method::GET, ["users", "search"]) => self.search_users(request),
            (&Method::GET, ["users", id]) => self.show_user(request, id),
            (&Method::POST, ["users"]) => self.create_user(request),
            (&Method::POST, ["users", "create_or_update"]) => self.create_or_update_user(request),
            (&Method::PUT, ["users", id]) => self.update_user(request, id),
            (&Method::GET, ["users", id, "identities"]) => self.list_identities(request, id),
            (&Method::POST, ["users", id, "identities"]) => self.create_identity(request, id),
            (&Method::PUT, ["users", id, "identities", own, "make_primary"]) => {
                self.make_identity_primary(request, id, own)
            }
            (&Method::GET, ["job_statuses", "show_many"]) => self.show_many_jobs(request),
            (&Method::GET, ["job_statuses", id]) => self.show_job(request, id),
            (&Method::GET, ["search", "export"]) => self.search_export(request),
            (&Method::GET, ["ticket_fields"]) => {
                Response::json(200, &fields::ticket_fields_document(&request.base()))
            }
            (&Method::GET, ["user_fields"]) => {
                Response::json(200, &fields::user_fields_list(&request.base()))
            }
            _ => errors::invalid_endpoint(),
        }
    }

    /// Counts an update of a ticket that comes as an item of a bulk request.
    fn count_item(&mut self, id: u64) -> Result<(), Box<Response>> {
        let key = format!("{TICKET_UPDATES}/{id}");
        let budget = self
            .limits
            .take(&key, self.settings.ticket_update_limit, MINUTE * 10);
        match budget.allowed {
            true => Ok(()),
            false => Err(Box::new(errors::ticket_update_limit(budget.resets))),
        }
    }

    /// A refusal of a request too many, in the next of the vendor's shapes.
    fn refuse(&mut self, budget: Budget, name: &str) -> Response {
        let kind = self.settings.refusal_body.unwrap_or(self.refusals);
        self.refusals += 1;
        if name == TICKET_UPDATES {
            return errors::ticket_update_limit(budget.resets);
        }
        let subject = if name == "incremental-exports" {
            "incremental export"
        } else {
            name
        };
        errors::rate_limited(kind, budget.resets, subject)
    }

    fn with_account_headers(&self, response: Response, budget: Budget) -> Response {
        let prefix = if self.settings.old_header_spelling {
            "rate-limit"
        } else {
            "ratelimit"
        };
        response
            .header("x-rate-limit", budget.total)
            .header("x-rate-limit-remaining", budget.remaining)
            .header(&format!("{prefix}-limit"), budget.total)
            .header(&format!("{prefix}-remaining"), budget.remaining)
            .header(&format!("{prefix}-reset"), budget.resets)
    }

    fn with_budget_header(&self, response: Response, name: &str, budget: Budget) -> Response {
        let prefix = if self.settings.old_header_spelling {
            "zendesk-rate-limit"
        } else {
            "zendesk-ratelimit"
        };
        let Budget {
            total,
            remaining,
            resets,
            ..
        } = budget;
        response.header(
            &format!("{prefix}-{name}"),
            format!("total={total}; remaining={remaining}; resets={resets}"),
        )
    }
}

impl System for Zendesk {
    type State = ZendeskState;

    const NAME: &'static str = Self::NAME;

    fn answer(&mut self, request: &Request) -> Response {
        self.requests += 1;
        let response = if request.method == Method::POST && request.route() == ["oauth", "tokens"] {
            auth::issue_token(&mut self.tokens, request)
        } else {
            self.serve(request)
        };
        response
            .header("x-request-id", format!("sandbox-{:08}", self.requests))
            .header("x-zendesk-api-version", "v2")
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

    fn state(&mut self) -> &mut ZendeskState {
        &mut self.state
    }
}
