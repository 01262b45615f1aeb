//! One request: method, path, query, headers, body and the budgets that it draws from.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::ConnectorChecks;
use crate::compile::compiled::{Method, Request, SideLoad};
use crate::compile::pointer::Pointer;
use crate::compile::record_view::RecordView;
use crate::compile::sight::Sight;
use crate::definition::{self, PathText, RequestWords, TemplateText, ValueTemplate, is_template};
use crate::diagnostic::{Code, list};
use crate::expression::{Path, Template};

impl ConnectorChecks<'_, '_> {
    /// Compiles what all requests have; the caller adds where its records are.
    pub(super) fn request(&self, at: &Pointer, words: RequestWords<'_>, sight: Sight<'_>) -> Option<Request> {
        let target = self.target(at, words, sight);
        let query = self.query(&at.key("query"), words.query, sight);
        let headers = self.headers(&at.key("headers"), words.headers, sight);
        let body = words
            .body
            .map(|body| self.checks.body(&at.key("body"), body, sight));
        let uses = self.uses(&at.key("uses"), words.uses);
        let (method, path) = target?;
        Some(Request {
            method,
            path,
            query: query?,
            headers: headers?,
            body: match body {
                Some(body) => Some(body?),
                None => None,
            },
            uses: uses?,
            records: None,
            record: None,
            gone_is_none: false,
        })
    }

    fn target(&self, at: &Pointer, words: RequestWords<'_>, sight: Sight<'_>) -> Option<(Method, Template)> {
        let written: Vec<_> = words.written().collect();
        let [(name, path)] = written.as_slice() else {
            self.checks.error(Code::WrongRequest, at, |report| {
                let report = report.at_key();
                if written.is_empty() {
                    return report
                        .message("a request needs a method and a path")
                        .hint("write `get: /path`, or another method");
                }
                let names = list(written.iter().map(|(name, _)| *name));
                report.message(format!("a request has one method, found {names}"))
            });
            return None;
        };
        let method = match *name {
            "get" => Method::Get,
            "post" => Method::Post,
            "put" => Method::Put,
            "patch" => Method::Patch,
            _ => Method::Delete,
        };
        let text = path.as_str();
        if !text.starts_with('/') && !text.starts_with("http") && !text.starts_with("{{") {
            self.checks.error(Code::WrongRequest, &at.key(name), |report| {
                report
                    .message(format!("`{text}` is no path below the base address"))
                    .hint(format!("write `{name}: /{text}`"))
            });
        }
        Some((method, self.checks.text(&at.key(name), path, sight)?))
    }

    /// Query parameters; a list repeats its parameter, null leaves it out.
    pub(super) fn query(
        &self,
        at: &Pointer,
        query: &IndexMap<String, ValueTemplate>,
        sight: Sight<'_>,
    ) -> Option<Vec<(String, Template)>> {
        let mut parameters: Vec<Option<(String, Template)>> = Vec::new();
        for (name, value) in query {
            let at = at.key(name);
            match &value.0 {
                Json::Null => {}
                Json::Array(items) => {
                    for (position, item) in items.iter().enumerate() {
                        parameters.push(self.parameter(&at.index(position), name, item, sight));
                    }
                }
                value => parameters.push(self.parameter(&at, name, value, sight)),
            }
        }
        parameters.into_iter().collect()
    }

    fn parameter(
        &self,
        at: &Pointer,
        name: &str,
        value: &Json,
        sight: Sight<'_>,
    ) -> Option<(String, Template)> {
        let template = match value {
            Json::String(text) if is_template(text) => self.checks.template(at, text, sight)?,
            Json::String(text) => Template::literal(text),
            Json::Number(_) | Json::Bool(_) => Template::literal(&value.to_string()),
            Json::Null | Json::Array(_) | Json::Object(_) => {
                self.checks.error(Code::WrongRequest, at, |report| {
                    report.message(format!(
                        "a query parameter is a text, a number or a list of them, not {}",
                        crate::compile::setting::kind(value)
                    ))
                });
                return None;
            }
        };
        Some((name.to_owned(), template))
    }

    /// Headers.
    pub(super) fn headers(
        &self,
        at: &Pointer,
        headers: &IndexMap<String, TemplateText>,
        sight: Sight<'_>,
    ) -> Option<Vec<(String, Template)>> {
        let compiled: Vec<_> = headers
            .iter()
            .map(|(name, text)| {
                let at = at.key(name);
                let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
                if name.is_empty() || !name.bytes().all(is_token) {
                    self.checks.error(Code::WrongRequest, &at, |report| {
                        report
                            .message(format!("`{name}` is no name of a header"))
                            .at_key()
                    });
                }
                Some((name.clone(), self.checks.text(&at, text, sight)?))
            })
            .collect();
        compiled.into_iter().collect()
    }

    fn uses(&self, at: &Pointer, uses: &[String]) -> Option<Vec<usize>> {
        let limits = &self.definition.limits;
        if uses.is_empty() {
            return Some(
                (0..limits.len())
                    .filter(|position| {
                        limits
                            .get_index(*position)
                            .is_some_and(|(_, limit)| limit.each.is_none())
                    })
                    .collect(),
            );
        }
        let positions: Vec<_> = uses
            .iter()
            .enumerate()
            .map(|(position, name)| self.limit_position(&at.index(position), name))
            .collect();
        positions.into_iter().collect()
    }

    /// The position of a budget in `limits`.
    pub(super) fn limit_position(&self, at: &Pointer, name: &str) -> Option<usize> {
        let limits = &self.definition.limits;
        let found = limits.get_index_of(name);
        if found.is_none() {
            self.checks.error(Code::UnknownLimit, at, |report| {
                let known = limits.keys().map(String::as_str);
                let report = report.message(format!("the connector has no limit `{name}`"));
                report
                    .did_you_mean(name, known.clone())
                    .note(format!("its limits are {}", list(known)))
            });
        }
        found
    }

    /// Records that come in the same answer.
    pub(super) fn side_loads(
        &self,
        at: &Pointer,
        joins: &IndexMap<String, definition::SideLoad>,
        view: &RecordView,
    ) -> Option<Vec<SideLoad>> {
        let compiled: Vec<_> = joins
            .iter()
            .map(|(name, join)| self.side_load(&at.key(name), name, join, view))
            .collect();
        compiled.into_iter().collect()
    }

    fn side_load(
        &self,
        at: &Pointer,
        name: &str,
        join: &definition::SideLoad,
        view: &RecordView,
    ) -> Option<SideLoad> {
        let among = self.checks.path(&at.key("among"), &join.among);
        let whose = self.checks.path(&at.key("whose"), &join.whose);
        let (key, path, many) = match (&join.is, &join.is_in) {
            (Some(path), None) => ("is", path, false),
            (None, Some(path)) => ("is_in", path, true),
            (one, _) => {
                let found = if one.is_some() { "both" } else { "neither" };
                self.checks.error(Code::RuleSteps, at, |report| {
                    report
                        .message(format!("a side-load says by one of `is` and `is_in` which records it joins, found {found}"))
                        .at_key()
                        .hint("`is` selects one reference of the record, `is_in` a list of them")
                });
                return None;
            }
        };
        let is = self.checks.path_into(&at.key(key), path, view);
        Some(SideLoad {
            name: name.to_owned(),
            among: among?,
            whose: whose?,
            is: is?,
            many,
        })
    }

    /// An optional path.
    pub(super) fn optional_path(&self, at: &Pointer, path: Option<&PathText>) -> Option<Option<Path>> {
        match path {
            Some(path) => self.checks.path(at, path).map(Some),
            None => Some(None),
        }
    }
}
