//! The values of settings and params: their types, and texts brought to them without loss.
//!
//! A value from the environment or the command line is a text, so every type reads its text form as well.

use serde_json::Value as Json;

use crate::definition::{DurationText, SettingType};

/// Brings a value to a type; null stays null.
///
/// # Errors
/// The value is not of that type; the text says what is expected.
pub(super) fn typed(kind: &SettingType, value: &Json) -> Result<Json, &'static str> {
    if value.is_null() {
        return Ok(Json::Null);
    }
    let text = match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    };
    let text = text.as_deref();
    let parsed = || text.and_then(|text| serde_json::from_str::<Json>(text).ok());
    match kind {
        SettingType::Text => text.map(Json::from).ok_or("text"),
        SettingType::Email => text
            .filter(|text| is_email(text))
            .map(Json::from)
            .ok_or("an e-mail address"),
        SettingType::Url => text
            .filter(|text| is_url(text))
            .map(|text| Json::from(text.trim_end_matches('/')))
            .ok_or("an address that begins with `https://` or `http://`"),
        SettingType::Integer => text
            .and_then(|text| text.trim().parse::<i64>().ok())
            .map(Json::from)
            .ok_or("a whole number"),
        SettingType::Decimal => match (value, parsed()) {
            (Json::Number(_), _) => Ok(value.clone()),
            (_, Some(number @ Json::Number(_))) => Ok(number),
            _ => Err("a number"),
        },
        SettingType::Boolean => match (value, text) {
            (Json::Bool(_), _) => Ok(value.clone()),
            (_, Some("true")) => Ok(Json::Bool(true)),
            (_, Some("false")) => Ok(Json::Bool(false)),
            _ => Err("`true` or `false`"),
        },
        SettingType::Date => text
            .filter(|text| text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10)
            .map(Json::from)
            .ok_or("a day such as `2026-08-01`"),
        SettingType::Time => text
            .filter(|text| text.parse::<jiff::Timestamp>().is_ok())
            .map(Json::from)
            .ok_or("a time such as `2026-08-01T10:00:00Z`"),
        SettingType::Duration => text
            .filter(|text| DurationText::new(text).is_ok())
            .map(Json::from)
            .ok_or("a length of time such as `5m`"),
        SettingType::List => match (value, parsed()) {
            (Json::Array(_), _) => Ok(value.clone()),
            (_, Some(list @ Json::Array(_))) => Ok(list),
            _ => Err("a list"),
        },
        SettingType::Map => match (value, parsed()) {
            (Json::Object(_), _) => Ok(value.clone()),
            (_, Some(map @ Json::Object(_))) => Ok(map),
            _ => Err("a map"),
        },
    }
}

/// What a value is, for messages; never the value itself, which may be a secret.
pub(super) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "`true` or `false`",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "a map",
    }
}

fn is_email(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
        && !text.contains(char::is_whitespace)
}

fn is_url(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/') && !host.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_and_their_texts_are_brought_to_the_type() {
        for (kind, value, expected) in [
            (SettingType::Integer, json!("200"), Some(json!(200))),
            (SettingType::Integer, json!(1.5), None),
            (SettingType::Text, json!(12), Some(json!("12"))),
            (SettingType::Text, json!([1]), None),
            (
                SettingType::Url,
                json!("https://a.example/"),
                Some(json!("https://a.example")),
            ),
            (SettingType::Url, json!("a.example"), None),
            (
                SettingType::Email,
                json!("a@b.example"),
                Some(json!("a@b.example")),
            ),
            (SettingType::Email, json!("a b@c"), None),
            (SettingType::Boolean, json!("yes"), None),
            (SettingType::Date, json!("2026-08-01"), Some(json!("2026-08-01"))),
            (SettingType::Date, json!("2026-02-30"), None),
            (SettingType::Duration, json!("5m"), Some(json!("5m"))),
            (SettingType::List, json!("[1, 2]"), Some(json!([1, 2]))),
            (SettingType::Map, json!("[1]"), None),
            (
                SettingType::Decimal,
                json!("1.50"),
                Some(serde_json::from_str("1.50").unwrap()),
            ),
        ] {
            assert_eq!(typed(&kind, &value).ok(), expected, "{kind:?} {value}");
        }
    }
}
