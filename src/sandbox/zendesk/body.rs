//! Reading the body of a write.

use serde_json::{Map, Value, json};

use super::super::message::{Request, Response};

/// The object under `name` in a request's body.
pub(super) fn object(request: &Request, name: &str) -> Result<Map<String, Value>, Box<Response>> {
    let is_json = request
        .header("content-type")
        .is_some_and(|media_type| media_type.starts_with("application/json"));
    if !is_json {
        return Err(Box::new(invalid_attribute(name)));
    }
    let Some(body) = request.json() else {
        return Err(Box::new(Response::json(
            422,
            &json!({ "error": "Unprocessable Entity", "message": "Server could not parse JSON" }),
        )));
    };
    match body.get(name) {
        Some(Value::Object(fields)) => Ok(fields.clone()),
        _ => Err(Box::new(invalid_attribute(name))),
    }
}

/// The refusal of a body without the object that the endpoint wants.
pub(super) fn invalid_attribute(name: &str) -> Response {
    let message = format!(
        "You passed an invalid value for the {name} attribute. Invalid parameter: {name} must be an object"
    );
    Response::json(
        400,
        &json!({ "error": { "title": "Invalid attribute", "message": message } }),
    )
}
