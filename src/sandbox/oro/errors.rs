//! The error documents of the Oro JSON:API.

use serde_json::{Value, json};

use super::super::message::Response;
use super::media::MEDIA_TYPE;

/// One error object.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    pub(crate) detail: String,
    /// `pointer` or `parameter`, and its value.
    pub(crate) source: Option<(&'static str, String)>,
}

impl Problem {
    /// A problem with a place in the request's body.
    pub(crate) fn at(title: &'static str, detail: impl Into<String>, pointer: impl Into<String>) -> Self {
        Self {
            status: 400,
            title,
            detail: detail.into(),
            source: Some(("pointer", pointer.into())),
        }
    }

    /// A problem with a query parameter.
    pub(crate) fn with_parameter(
        title: &'static str,
        detail: impl Into<String>,
        parameter: impl Into<String>,
    ) -> Self {
        Self {
            status: 400,
            title,
            detail: detail.into(),
            source: Some(("parameter", parameter.into())),
        }
    }

    fn document(&self) -> Value {
        let mut document = json!({
            "status": self.status.to_string(),
            "title": self.title,
            "detail": self.detail,
        });
        if let Some((kind, place)) = &self.source {
            document["source"] = json!({ *kind: place });
        }
        document
    }
}

/// An error document; its status is that of the first problem.
pub(crate) fn refuse(problems: &[Problem]) -> Response {
    let status = problems.first().map_or(400, |problem| problem.status);
    let documents: Vec<Value> = problems.iter().map(Problem::document).collect();
    Response::typed(status, MEDIA_TYPE, json!({ "errors": documents }).to_string())
}

/// The same problems as the plain API words them: a bare array.
pub(crate) fn refuse_plainly(problem: &Problem) -> Response {
    let mut document = problem.document();
    if let Some((_, place)) = &problem.source {
        document["source"] = json!(place);
    }
    Response::json(problem.status, &json!([document]))
}

/// No entity of that id.
pub(crate) fn not_found() -> Response {
    refuse(&[Problem {
        status: 404,
        title: "not found http exception",
        detail: "An entity with the requested identifier does not exist.".to_owned(),
        source: None,
    }])
}

/// No resource type of that name.
pub(crate) fn no_resource() -> Response {
    refuse(&[Problem {
        status: 404,
        title: "resource not accessible exception",
        detail: "The resource is not accessible.".to_owned(),
        source: None,
    }])
}

/// The type does not offer the method.
pub(crate) fn not_allowed(method: &str) -> Response {
    refuse(&[Problem {
        status: 405,
        title: "method not allowed http exception",
        detail: format!("Method \"{method}\" is not allowed for the resource."),
        source: None,
    }])
}
