//! What an error answer says: the message as a whole, and messages about single fields.
//!
//! The connector's paths come first, then what the envelope defines, then members that most systems use, then the
//! beginning of the text. Pure: status and body in, [`Refusal`] out.

use std::borrow::Cow;

use crate::compile::compiled::{Envelope, ErrorFields, ErrorMessage};
use crate::expression::{Path, Value, parse_json};

/// How much of a body that is no JSON is shown, in characters.
const LONGEST_TEXT: usize = 200;

/// Members that hold a message in most error bodies, tried when the connector's paths select nothing.
const USUAL_MEMBERS: [&str; 8] = [
    "message",
    "error_description",
    "description",
    "detail",
    "details",
    "title",
    "reason",
    "error",
];

/// The system's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What it says as a whole.
    pub(super) message: String,
    /// What it says of single fields: dotted name and message.
    pub(super) fields: Vec<(String, String)>,
}

/// The system's words in an error body, by the connector's paths, else by the envelope's or the usual members, else
/// the beginning of its text.
pub(super) fn read_refusal(paths: &ErrorMessage, envelope: Envelope, status: u16, body: &[u8]) -> Refusal {
    let Ok(json) = parse_json(body) else {
        return Refusal {
            message: text_message(status, body),
            fields: Vec::new(),
        };
    };
    refusal_of(paths, envelope, &json).unwrap_or_else(|| Refusal {
        message: text_message(status, body),
        fields: Vec::new(),
    })
}

/// The system's words in a JSON value; `None` if it has none.
pub(super) fn refusal_of(paths: &ErrorMessage, envelope: Envelope, json: &Value<'_>) -> Option<Refusal> {
    let mut fields = paths
        .fields
        .as_ref()
        .map(|fields| field_messages(fields, json))
        .unwrap_or_default();
    if fields.is_empty() && envelope == Envelope::JsonApi {
        fields = pointer_messages(json);
    }
    let message = paths
        .first_of
        .iter()
        .find_map(|path| joined_texts(path, json))
        .or_else(|| (envelope == Envelope::JsonApi).then(|| api_message(json))?)
        .or_else(|| usual_message(json));
    match message {
        Some(message) => Some(Refusal { message, fields }),
        None if fields.is_empty() => None,
        None => Some(Refusal {
            message: fields
                .iter()
                .map(|(field, message)| format!("{field}: {message}"))
                .collect::<Vec<_>>()
                .join("; "),
            fields,
        }),
    }
}

/// The texts that a path selects, joined; `None` without any.
fn joined_texts(path: &Path, json: &Value<'_>) -> Option<String> {
    let mut texts: Vec<&str> = path
        .all(json)
        .into_iter()
        .filter_map(Value::as_text)
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .collect();
    texts.dedup();
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn field_messages(fields: &ErrorFields, json: &Value<'_>) -> Vec<(String, String)> {
    let mut messages = Vec::new();
    for selected in fields.each.all(json) {
        match selected {
            Value::Map(members) => {
                for (name, value) in members.iter() {
                    let texts = entry_messages(&fields.message, value);
                    messages.extend(texts.into_iter().map(|text| (field_name(name), text)));
                }
            }
            Value::List(entries) => {
                for entry in entries {
                    messages.extend(named_messages(fields, entry));
                }
            }
            _ => {}
        }
    }
    messages
}

/// An entry of a list names its field itself.
fn named_messages(fields: &ErrorFields, entry: &Value<'_>) -> Vec<(String, String)> {
    let name = fields
        .field
        .as_ref()
        .and_then(|path| path.one(entry))
        .and_then(Value::as_text);
    let Some(name) = name else {
        return Vec::new();
    };
    entry_messages(&fields.message, entry)
        .into_iter()
        .map(|text| (field_name(name), text))
        .collect()
}

/// The messages of one field: what the path selects from the whole value, else from each of its entries; an entry that
/// is a text is its own message.
fn entry_messages(path: &Path, value: &Value<'_>) -> Vec<String> {
    let select = |value: &Value<'_>| -> Vec<String> {
        let texts = path.all(value).into_iter().filter_map(Value::as_text);
        texts.map(str::to_owned).collect()
    };
    let whole = select(value);
    if !whole.is_empty() {
        return whole;
    }
    let entries = match value {
        Value::List(entries) => entries.as_slice(),
        other => std::slice::from_ref(other),
    };
    entries
        .iter()
        .flat_map(|entry| match entry.as_text() {
            Some(text) => vec![text.to_owned()],
            None => select(entry),
        })
        .collect()
}

/// The errors of a JSON:API document that say where they belong.
fn pointer_messages(json: &Value<'_>) -> Vec<(String, String)> {
    let errors = match json.get("errors") {
        Some(Value::List(errors)) => errors.as_slice(),
        _ => return Vec::new(),
    };
    errors
        .iter()
        .filter_map(|error| {
            let source = error.get("source")?;
            let place = ["pointer", "propertyPath", "parameter"]
                .iter()
                .find_map(|name| source.get(name)?.as_text())?;
            Some((field_name(place), api_error_text(error)?))
        })
        .collect()
}

fn api_message(json: &Value<'_>) -> Option<String> {
    let Some(Value::List(errors)) = json.get("errors") else {
        return None;
    };
    let texts: Vec<String> = errors.iter().filter_map(api_error_text).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// `title: detail`, or what there is of the two.
fn api_error_text(error: &Value<'_>) -> Option<String> {
    let text = |name| {
        error
            .get(name)
            .and_then(Value::as_text)
            .filter(|text| !text.is_empty())
    };
    match (text("title"), text("detail")) {
        (Some(title), Some(detail)) => Some(format!("{title}: {detail}")),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

fn usual_message(json: &Value<'_>) -> Option<String> {
    let inside = |value: &Value<'_>| {
        USUAL_MEMBERS.iter().find_map(|name| {
            let text = value.get(name)?.as_text()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        })
    };
    inside(json)
        .or_else(|| inside(json.get("error")?))
        .or_else(|| match json.get("errors")? {
            Value::List(errors) => errors.iter().find_map(inside),
            _ => None,
        })
}

/// A field's name as mappings write it: a JSON pointer into a JSON:API document loses its envelope
/// (`/data/attributes/subject` is `subject`, `/data/relationships/status/data` is `status.id`), any other pointer its
/// slashes.
fn field_name(place: &str) -> String {
    let Some(pointer) = place.strip_prefix('/') else {
        return place.to_owned();
    };
    let parts: Vec<String> = pointer
        .split('/')
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["data", "attributes", rest @ ..] if !rest.is_empty() => rest.join("."),
        ["data", "relationships", name, ..] => format!("{name}.id"),
        ["data", rest @ ..] if !rest.is_empty() => rest.join("."),
        rest => rest.join("."),
    }
}

/// The beginning of a body that is no JSON, without markup.
fn text_message(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = if text.trim_start().starts_with('<') {
        without_markup(&text)
    } else {
        text
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return format!("status {status} without a message");
    }
    let mut message: String = words.join(" ");
    if let Some((end, _)) = message.char_indices().nth(LONGEST_TEXT) {
        message.truncate(end);
        message.push('…');
    }
    message
}

fn without_markup(text: &str) -> Cow<'_, str> {
    let mut plain = String::new();
    let mut inside = false;
    for character in text.chars() {
        match character {
            '<' => inside = true,
            '>' => {
                inside = false;
                plain.push(' ');
            }
            _ if !inside => plain.push(character),
            _ => {}
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    /// The paths of a help desk whose error bodies have every shape.
    fn help_desk() -> ErrorMessage {
        let first_of = [
            "$.description",
            "$.error.message",
            "$.error_description",
            "$.errors[*].detail",
            "$.errors[*].title",
            "$.detail",
            "$.error",
        ];
        ErrorMessage {
            first_of: first_of.map(path).into(),
            fields: Some(ErrorFields {
                each: path("$.details"),
                message: path("$.description"),
                field: None,
            }),
        }
    }

    fn refusal(body: &str) -> Refusal {
        read_refusal(&help_desk(), Envelope::Plain, 422, body.as_bytes())
    }

    #[test]
    fn every_shape_of_error_body_gives_its_message() {
        for (body, message) in [
            (
                r#"{"error":"RecordNotFound","description":"Not found"}"#,
                "Not found",
            ),
            (
                r#"{"error":{"title":"Forbidden","message":"no access"}}"#,
                "no access",
            ),
            (
                r#"{"errors":[{"code":"x","title":"Bad","detail":"first"},{"detail":"second"}]}"#,
                "first; second",
            ),
            (
                r#"{"error":"Couldn't authenticate you"}"#,
                "Couldn't authenticate you",
            ),
            (
                r#"{"error":"invalid_client","error_description":"unknown client"}"#,
                "unknown client",
            ),
            (
                r#"{"reason":"Rate limit exceeded","success":false}"#,
                "Rate limit exceeded",
            ),
            ("too many\n  requests", "too many requests"),
            (
                "<html><head><title>502 Bad Gateway</title></head></html>",
                "502 Bad Gateway",
            ),
            ("", "status 422 without a message"),
            ("[]", "[]"),
        ] {
            assert_eq!(refusal(body).message, message, "{body}");
        }
        assert_eq!(
            refusal(&"x".repeat(500)).message.chars().count(),
            LONGEST_TEXT + 1
        );
    }

    #[test]
    fn messages_about_fields_are_read_from_objects_lists_and_texts() {
        let body = r#"{"error":"RecordInvalid","description":"Record validation errors","details":
            {"email":[{"description":"is taken","error":"DuplicateValue"}],"base":["wrong"],"status":"closed"}}"#;
        let expected = [("email", "is taken"), ("base", "wrong"), ("status", "closed")]
            .map(|(field, message)| (field.to_owned(), message.to_owned()));
        assert_eq!(refusal(body).fields, expected);

        let paths = ErrorMessage {
            first_of: Vec::new(),
            fields: Some(ErrorFields {
                each: path("$.problems"),
                message: path("$.text"),
                field: Some(path("$.at")),
            }),
        };
        let body = br#"{"problems":[{"at":"name","text":"is blank"},{"text":"nowhere"}]}"#;
        let refusal = read_refusal(&paths, Envelope::Plain, 400, body);
        assert_eq!(refusal.fields, [("name".to_owned(), "is blank".to_owned())]);
        assert_eq!(refusal.message, "name: is blank");
    }

    #[test]
    fn pointers_of_json_api_errors_become_field_names() {
        let body = br#"{"errors":[
            {"status":"400","title":"not blank constraint","detail":"must not be blank","source":{"pointer":"/data/attributes/subject"}},
            {"status":"400","title":"unknown","source":{"pointer":"/data/relationships/status/data"}},
            {"status":"400","detail":"not supported","source":{"parameter":"filter[updatedAt]"}}]}"#;
        let refusal = read_refusal(&ErrorMessage::default(), Envelope::JsonApi, 400, body);
        let names: Vec<&str> = refusal.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["subject", "status.id", "filter[updatedAt]"]);
        assert_eq!(
            refusal.message,
            "not blank constraint: must not be blank; unknown; not supported"
        );
        assert_eq!(field_name("/data/attributes/emails/0/email"), "emails.0.email");
        assert_eq!(field_name("/meta/upsert"), "meta.upsert");
    }
}
