//! Which of its two faces the API shows: JSON:API for exactly one media type, the plain API for everything else.
//!
//! Nothing tells a client that it got the wrong face, except that `page[size]` is "not supported" there and that bodies
//! have another form.

use serde_json::{Value, json};

use super::super::message::{Request, Response};
use super::errors::{Problem, refuse_plainly};
use super::model::OroState;
use super::schema::Kind;

/// The media type, which takes no parameters.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.api+json";

/// Whether a request gets the JSON:API face.
pub(crate) fn is_json_api(request: &Request) -> bool {
    let header = match request.method.as_str() {
        "GET" => request.header("accept"),
        _ => request.header("content-type"),
    };
    header.is_some_and(|media_type| media_type.trim() == MEDIA_TYPE)
}

/// The plain API's answer to a read: flat objects, `page` and `limit` instead of `page[...]`.
pub(crate) fn read_plainly(state: &OroState, kind: &Kind, id: Option<&str>, request: &Request) -> Response {
    let foreign = request
        .query
        .iter()
        .find(|(name, _)| !matches!(name.as_str(), "page" | "limit" | "sort"));
    if let Some((name, _)) = foreign {
        let detail = format!("Filter \"{name}\" is not supported.");
        return refuse_plainly(&Problem::with_parameter("filter constraint", detail, name));
    }
    if let Some(id) = id {
        return match state.entity(kind.name, id) {
            Some(entity) => {
                let mut document = entity.attribute_document(kind, |_| true);
                document.insert("id".to_owned(), json!(id));
                Response::json(200, &Value::Object(document))
            }
            None => refuse_plainly(&Problem {
                status: 404,
                title: "not found http exception",
                detail: "An entity with the requested identifier does not exist.".to_owned(),
                source: None,
            }),
        };
    }
    let number = |name: &str, default: usize| {
        request
            .parameter(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (page, limit) = (number("page", 1).max(1), number("limit", 10));
    let rows: Vec<Value> = state
        .select(kind.name, |_, _| true)
        .into_iter()
        .skip((page - 1).saturating_mul(limit))
        .take(limit)
        .map(|(id, entity)| {
            let mut document = entity.attribute_document(kind, |_| true);
            document.insert("id".to_owned(), json!(id));
            Value::Object(document)
        })
        .collect();
    Response::json(200, &Value::Array(rows))
}

/// The plain API's answer to a write whose body is a JSON:API document: its only property is unknown there.
pub(crate) fn refuse_write_plainly() -> Response {
    refuse_plainly(&Problem {
        status: 400,
        title: "extra fields constraint",
        detail: "This form should not contain extra fields: \"data\".".to_owned(),
        source: None,
    })
}
