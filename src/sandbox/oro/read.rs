//! Reading lists and single resources.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::super::message::{Request, Response};
use super::document::{View, answer, wants};
use super::errors::{self, Problem};
use super::filter;
use super::included::Written;
use super::model::Entity;
use super::schema::{Kind, kind};
use super::{Oro, PREFIX};

/// Rows per page when nothing is said.
const PAGE_SIZE: usize = 10;

impl Oro {
    /// `GET /{type}`.
    pub(super) fn list(&self, kind: &Kind, request: &Request) -> Response {
        match self.try_list(kind, request) {
            Ok(response) => response,
            Err(problem) => errors::refuse(&[problem]),
        }
    }

    fn try_list(&self, kind: &Kind, request: &Request) -> Result<Response, Problem> {
        check_parameters(request, true)?;
        let view = View::new(&self.state, request, PREFIX, kind)?;
        let mut entities = self.matching(kind, request)?;
        filter::sort(kind, request, self.settings.updated_at_filter, &mut entities)?;
        let total = entities.len();
        let number = match number(request, "page[number]")?.unwrap_or(1) {
            number if number >= 1 => number as usize,
            _ => return Err(not_positive("page[number]")),
        };
        let size = match number_or_all(request)? {
            Some(size) => size,
            None => total.max(1),
        };
        let start = (number - 1).saturating_mul(size);
        let page: Vec<(String, Cow<'_, Entity>)> = entities.into_iter().skip(start).take(size).collect();
        let next =
            (start.saturating_add(size) < total).then(|| self.page_link(request, &(number + 1).to_string()));
        let response = answer(200, &view.many(kind, &page, next.as_deref()));
        if wants(request, "totalCount") {
            return Ok(response.header("x-include-total-count", total));
        }
        Ok(response)
    }

    /// The entities that pass the request's filters, in id order.
    pub(super) fn matching(
        &self,
        kind: &Kind,
        request: &Request,
    ) -> Result<Vec<(String, Cow<'_, Entity>)>, Problem> {
        let conditions = filter::conditions(&self.state, kind, request, self.settings.updated_at_filter)?;
        Ok(self.state.select(kind.name, |id, entity| {
            conditions.iter().all(|condition| condition.holds(id, entity))
        }))
    }

    /// `GET /{type}/{id}`.
    pub(super) fn show(&self, kind: &Kind, id: &str, request: &Request) -> Response {
        let checked = check_id(kind, id).and_then(|()| check_parameters(request, false));
        if let Err(problem) = checked {
            return errors::refuse(&[problem]);
        }
        match self.shown(kind, id, request) {
            Ok(document) => answer(200, &document),
            Err(refusal) => *refusal,
        }
    }

    /// The document of one resource as it stands.
    pub(super) fn shown(&self, kind: &Kind, id: &str, request: &Request) -> Result<Value, Box<Response>> {
        let Some(entity) = self.state.entity(kind.name, id) else {
            return Err(Box::new(errors::not_found()));
        };
        View::new(&self.state, request, PREFIX, kind)
            .map(|view| view.one(kind, id, &entity))
            .map_err(|problem| Box::new(errors::refuse(&[problem])))
    }

    /// What was written as it stands, as an answer, with the resources that came with it.
    pub(super) fn rendered(
        &self,
        status: u16,
        kind: &Kind,
        written: &Written,
        request: &Request,
    ) -> Response {
        let mut document = match self.shown(kind, &written.id, request) {
            Ok(document) => document,
            Err(refusal) => return *refusal,
        };
        self.show_included(&mut document, written, request);
        answer(status, &document)
    }

    fn page_link(&self, request: &Request, number: &str) -> String {
        let path = request.target.split('?').next().unwrap_or_default();
        let kept = request
            .query
            .iter()
            .filter(|(name, _)| name != "page[number]")
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let query: Vec<String> = kept
            .chain([("page[number]", number)])
            .map(|(name, value)| {
                format!(
                    "{}={}",
                    utf8_percent_encode(name, NON_ALPHANUMERIC),
                    utf8_percent_encode(value, NON_ALPHANUMERIC)
                )
            })
            .collect();
        format!("{}{path}?{}", request.base(), query.join("&"))
    }
}

/// Refuses the id of an address that cannot be one of the type.
pub(super) fn check_id(kind: &Kind, id: &str) -> Result<(), Problem> {
    if kind.has_numbers() && id.parse::<u64>().is_err() {
        return Err(Problem {
            status: 400,
            title: "entity identifier constraint",
            detail: format!("Expected integer value. Given \"{id}\"."),
            source: None,
        });
    }
    Ok(())
}

/// Refuses a parameter that the API does not know; a single read takes no filters, sorts or pages.
fn check_parameters(request: &Request, is_list: bool) -> Result<(), Problem> {
    for (name, _) in &request.query {
        let fields_of = name
            .strip_prefix("fields[")
            .and_then(|rest| rest.strip_suffix(']'));
        let is_known = match name.as_str() {
            "include" | "meta" => true,
            "sort" | "page[number]" | "page[size]" => is_list,
            _ if name.starts_with("filter[") => is_list,
            _ => fields_of.is_some_and(|name| kind(name).is_some()),
        };
        if !is_known {
            let detail = format!("Filter \"{name}\" is not supported.");
            return Err(Problem::with_parameter("filter constraint", detail, name));
        }
    }
    Ok(())
}

fn number(request: &Request, name: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = request.parameter(name) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let detail = format!("Expected integer value. Given \"{text}\".");
        Problem::with_parameter("filter constraint", detail, name)
    })
}

/// The page's size, or nothing for all rows (-1).
fn number_or_all(request: &Request) -> Result<Option<usize>, Problem> {
    match number(request, "page[size]")? {
        None => Ok(Some(PAGE_SIZE)),
        Some(-1) => Ok(None),
        Some(size) if size >= 1 => Ok(Some(usize::try_from(size).unwrap_or(usize::MAX))),
        Some(_) => Err(not_positive("page[size]")),
    }
}

fn not_positive(parameter: &str) -> Problem {
    let detail = "The value should be greater than or equals to 1.".to_owned();
    Problem::with_parameter("filter constraint", detail, parameter)
}
