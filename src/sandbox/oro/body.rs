//! Reading the body of a write: a resource object whose type and id are those of the address.

use serde_json::{Map, Value};

use super::super::message::Request;
use super::errors::Problem;
use super::schema::Kind;

/// The resource object of a request, with the type and id that its address says.
pub(super) fn primary_data(
    kind: &Kind,
    id: Option<&str>,
    request: &Request,
) -> Result<Map<String, Value>, Problem> {
    const TITLE: &str = "request data constraint";
    let Some(body) = request.json() else {
        return Err(Problem {
            status: 400,
            title: "bad request http exception",
            detail: "Invalid json message received".to_owned(),
            source: None,
        });
    };
    let Some(data) = body.get("data") else {
        return Err(Problem::at(
            TITLE,
            "The primary data object should exist",
            "/data",
        ));
    };
    let Some(data) = data.as_object().filter(|data| !data.is_empty()) else {
        return Err(Problem::at(
            TITLE,
            "The primary data object should not be empty",
            "/data",
        ));
    };
    let conflict = |detail: &str, pointer: &str| Problem {
        status: 409,
        ..Problem::at("conflict constraint", detail, pointer)
    };
    match data.get("type").and_then(Value::as_str) {
        None => {
            return Err(Problem::at(
                TITLE,
                "The 'type' property is required",
                "/data/type",
            ));
        }
        Some(name) if name != kind.name => {
            return Err(conflict(
                "The 'type' property of the primary data object should match the requested resource",
                "/data/type",
            ));
        }
        Some(_) => {}
    }
    if let Some(id) = id {
        match data.get("id").and_then(Value::as_str) {
            None => {
                return Err(Problem::at(TITLE, "The 'id' property is required", "/data/id"));
            }
            Some(own) if own != id => {
                return Err(conflict(
                    "The 'id' property of the primary data object should match 'id' parameter of the query sting",
                    "/data/id",
                ));
            }
            Some(_) => {}
        }
    }
    for block in ["attributes", "relationships"] {
        if data.get(block).is_some_and(|block| !block.is_object()) {
            let detail = format!("The '{block}' property should be an object");
            return Err(Problem::at(TITLE, detail, format!("/data/{block}")));
        }
    }
    if !data.contains_key("attributes") && !data.contains_key("relationships") {
        return Err(Problem::at(
            TITLE,
            "The primary data object should contain 'attributes' or 'relationships' block",
            "/data",
        ));
    }
    Ok(data.clone())
}
