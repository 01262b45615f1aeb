//! The error bodies of Zendesk Support. There is no single shape; each function is one that was seen.

use serde_json::{Value, json};

use super::super::message::Response;

/// One validation error: the field, what is wrong, its code.
pub(crate) type Problem = (&'static str, String, Option<&'static str>);

/// `{"error": code, "description": text}`, the commonest shape.
pub(crate) fn plain(status: u16, code: &str, description: &str) -> Response {
    Response::json(status, &json!({ "error": code, "description": description }))
}

/// No record of that id.
pub(crate) fn record_not_found() -> Response {
    plain(404, "RecordNotFound", "Not found")
}

/// No endpoint of that path on this account.
pub(crate) fn invalid_endpoint() -> Response {
    Response::json(
        404,
        &json!({ "error": { "title": "InvalidEndpoint", "message": "Not found" }, "description": "Not found" }),
    )
}

/// The credentials are missing or wrong.
pub(crate) fn not_authenticated() -> Response {
    Response::json(401, &json!({ "error": "Couldn't authenticate you" }))
        .header("www-authenticate", "Basic realm=\"Web Password\"")
}

/// The access token is over.
pub(crate) fn invalid_token() -> Response {
    Response::json(
        401,
        &json!({
            "error": "invalid_token",
            "error_description": "The access token provided is expired, revoked, malformed or invalid for other reasons.",
        }),
    )
    .header("www-authenticate", "Bearer error=\"invalid_token\"")
}

/// The token's scope does not cover the request.
pub(crate) fn missing_scope(scope: &str) -> Response {
    let description = format!("You are missing the following required scopes: {scope}");
    plain(403, "Forbidden", &description)
}

/// An OAuth endpoint's refusal.
pub(crate) fn oauth(status: u16, code: &str, description: &str) -> Response {
    Response::json(
        status,
        &json!({ "error": code, "error_description": description }),
    )
}

/// A parameter that is refused before anything is looked up.
pub(crate) fn invalid_parameter(code: &str, title: &str, detail: &str) -> Response {
    Response::json(
        400,
        &json!({ "errors": [{ "code": code, "title": title, "detail": detail }] }),
    )
}

/// Validation errors, grouped by field.
pub(crate) fn record_invalid(problems: &[Problem]) -> Response {
    Response::json(422, &record_invalid_document(problems))
}

/// The body of [`record_invalid`].
pub(crate) fn record_invalid_document(problems: &[Problem]) -> Value {
    let mut details = serde_json::Map::new();
    for (field, description, code) in problems {
        let mut problem = json!({ "description": description });
        if let Some(code) = code {
            problem["error"] = json!(code);
        }
        if let Some(listed) = details.entry(*field).or_insert_with(|| json!([])).as_array_mut() {
            listed.push(problem);
        }
    }
    json!({ "error": "RecordInvalid", "description": "Record validation errors", "details": details })
}

/// More items than a bulk endpoint takes.
pub(crate) fn too_many_values() -> Response {
    Response::json(
        400,
        &json!({
            "error": "TooManyValues",
            "description": "Parameter  cannot specify more than 100 values",
            "max_count": 100,
        }),
    )
}

/// One ticket was changed too often.
pub(crate) fn ticket_update_limit(retry_after: u64) -> Response {
    plain(
        429,
        "TicketUpdateLimit",
        "Ticket update limit: this ticket was updated too often, please try again later",
    )
    .header("retry-after", retry_after.max(1))
}

/// The bodies that come with a 429, of which the vendor has several.
pub(crate) fn rate_limited(kind: usize, retry_after: u64, subject: &str) -> Response {
    let response = match kind % 4 {
        0 => plain(
            429,
            "APIRateLimitExceeded",
            &format!("Number of allowed {subject} API requests per minute exceeded"),
        ),
        1 => Response::text(
            429,
            "You have exceeded the rate limit for updating a single unique user. Please wait before trying again.",
        ),
        2 => Response::json(
            429,
            &json!({
                "detail": "Rate limited by Zendesk edge protection",
                "status": "429",
                "title": "Automated response",
            }),
        ),
        _ => Response::text(429, "Pagination limit reached for offset model"),
    };
    response.header("retry-after", retry_after.max(1))
}
