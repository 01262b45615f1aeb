//! [`TargetType`]: the types that a field may have, and coercion without loss.
//!
//! A coercion changes how a value is written, never what it says: `"12"` is the integer 12, 12.5 is no integer.

use std::borrow::Cow;
use std::sync::Arc;

use super::number::Number;
use super::time_format::TimeFormat;
use super::value::Value;

/// The type that a target field takes.
#[derive(Clone, Debug, Default)]
pub enum TargetType {
    /// Whatever the value is.
    #[default]
    Any,
    /// Text; numbers by their digits, `true` and `false`, times as RFC 3339.
    Text,
    /// A whole number; also from its text, and from `12.0`.
    Integer,
    /// An exact decimal number, digits kept; also from its text.
    Decimal,
    /// True or false; also from the texts `true` and `false`.
    Boolean,
    /// An instant.
    Time(Arc<TimeFormat>),
    /// A calendar day, `2024-05-01`; also the UTC day of an RFC 3339 time.
    Date,
    /// A list.
    List,
    /// An object.
    Map,
    /// The value's JSON text, as received.
    Json,
}

/// Why a value does not have, and cannot be brought to, a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found}, expected {expected}")]
pub struct CoerceError {
    /// What the value is; never the value itself, which may be private.
    pub found: String,
    /// What the field takes.
    pub expected: String,
}

impl TargetType {
    /// Whether coercion leaves a value exactly as it is, seen without looking into it.
    pub fn keeps(&self, value: &Value<'_>) -> bool {
        matches!(
            (self, value),
            (_, Value::Null)
                | (TargetType::Any, _)
                | (TargetType::Text, Value::Text(_))
                | (TargetType::Decimal, Value::Number(_))
                | (TargetType::Boolean, Value::Bool(_))
                | (TargetType::List, Value::List(_))
                | (TargetType::Map, Value::Map(_))
        )
    }

    /// The value in this type. Null stays null.
    ///
    /// # Errors
    /// When that would lose or invent something.
    pub fn coerce<'a>(&self, value: Value<'a>) -> Result<Value<'a>, CoerceError> {
        if value.is_null() {
            return Ok(value);
        }
        match (self, value) {
            (TargetType::Any, value) => Ok(value),
            (TargetType::Text, Value::Text(text)) => Ok(Value::Text(text)),
            (TargetType::Text, Value::Number(number)) => Ok(Value::Text(number.into_digits())),
            (TargetType::Text, value @ (Value::Bool(_) | Value::Time(_))) => match value.scalar_text() {
                Some(text) => Ok(Value::Text(Cow::Owned(text.into_owned()))),
                None => Err(self.refuse(&value)),
            },
            (TargetType::Integer, Value::Number(number)) => match integer(&number) {
                Some(Integer::AsWritten) => Ok(Value::Number(number)),
                Some(Integer::Digits(digits)) => Ok(Value::Number(Number::from_digits(digits))),
                None => Err(CoerceError {
                    found: "a number with a fraction".to_owned(),
                    expected: self.expected(),
                }),
            },
            (TargetType::Integer, Value::Text(text)) => {
                let number = number_text(text).map_err(|text| self.refuse(&Value::Text(text)))?;
                self.coerce(Value::Number(number))
            }
            (TargetType::Decimal, Value::Number(number)) => Ok(Value::Number(number)),
            (TargetType::Decimal, Value::Text(text)) => number_text(text)
                .map(Value::Number)
                .map_err(|text| self.refuse(&Value::Text(text))),
            (TargetType::Boolean, Value::Bool(value)) => Ok(Value::Bool(value)),
            (TargetType::Boolean, Value::Text(text)) => match &*text {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(self.refuse(&Value::Text(text))),
            },
            (TargetType::Time(format), value) => match format.read(&value) {
                Some(time) => Ok(format.write(time)),
                None => Err(self.refuse(&value)),
            },
            (TargetType::Date, value) => match date(&value) {
                Some(date) => Ok(match value {
                    Value::Text(text) if text.len() == 10 => Value::Text(text),
                    _ => Value::Text(Cow::Owned(date.to_string())),
                }),
                None => Err(self.refuse(&value)),
            },
            (TargetType::List, Value::List(items)) => Ok(Value::List(items)),
            (TargetType::Map, Value::Map(map)) => Ok(Value::Map(map)),
            (TargetType::Json, value) => Ok(Value::Text(Cow::Owned(value.to_json()))),
            (_, value) => Err(self.refuse(&value)),
        }
    }

    /// Its name, for messages: `an integer`.
    pub fn expected(&self) -> String {
        match self {
            TargetType::Any => "any value".to_owned(),
            TargetType::Text => "text".to_owned(),
            TargetType::Integer => "an integer".to_owned(),
            TargetType::Decimal => "a decimal number".to_owned(),
            TargetType::Boolean => "true or false".to_owned(),
            TargetType::Time(format) => format.expected(),
            TargetType::Date => "a date (YYYY-MM-DD)".to_owned(),
            TargetType::List => "a list".to_owned(),
            TargetType::Map => "an object".to_owned(),
            TargetType::Json => "a value".to_owned(),
        }
    }

    fn refuse(&self, value: &Value<'_>) -> CoerceError {
        let found = match value {
            Value::Text(text) if text.is_empty() => "an empty text",
            Value::Text(_) => "a text that is not one",
            other => other.kind(),
        };
        CoerceError {
            found: found.to_owned(),
            expected: self.expected(),
        }
    }
}

enum Integer {
    AsWritten,
    Digits(String),
}

fn integer(number: &Number<'_>) -> Option<Integer> {
    let digits = number.digits();
    let plain = digits.strip_prefix('-').unwrap_or(digits);
    if plain.bytes().all(|byte| byte.is_ascii_digit()) && digits != "-0" {
        return Some(Integer::AsWritten);
    }
    number.decimal()?.to_integer_digits().map(Integer::Digits)
}

/// A number from its text, white space around it aside; the text itself if it is none.
fn number_text(text: Cow<'_, str>) -> Result<Number<'_>, Cow<'_, str>> {
    match &text {
        Cow::Borrowed(borrowed) => Number::parse(borrowed.trim()),
        Cow::Owned(owned) => Number::parse(owned.trim().to_owned()),
    }
    .ok_or(text)
}

fn date(value: &Value<'_>) -> Option<jiff::civil::Date> {
    let instant = |time: jiff::Timestamp| time.to_zoned(jiff::tz::TimeZone::UTC).date();
    match value {
        Value::Time(time) => Some(instant(*time)),
        Value::Text(text) => {
            let bytes = text.as_bytes();
            if bytes.len() == 10 && bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-') {
                return text.parse().ok();
            }
            super::time_format::parse_rfc3339(text).map(instant)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::json::parse_json;
    use proptest::prelude::*;

    fn coerce(target: &TargetType, json: &str) -> Option<String> {
        target
            .coerce(parse_json(json.as_bytes()).unwrap())
            .ok()
            .map(|value| value.to_json())
    }

    #[test]
    fn coercions_without_loss() {
        let time = TargetType::Time(Arc::default());
        for (target, json, expected) in [
            (TargetType::Integer, r#""12""#, Some("12")),
            (TargetType::Integer, r#"" 12 ""#, Some("12")),
            (TargetType::Integer, "12.0", Some("12")),
            (TargetType::Integer, "1.2e1", Some("12")),
            (TargetType::Integer, "12.5", None),
            (TargetType::Integer, r#""12.5""#, None),
            (TargetType::Integer, r#""""#, None),
            (TargetType::Integer, r#""0x1""#, None),
            (TargetType::Integer, r#""012""#, None),
            (
                TargetType::Integer,
                "123456789012345678901234567890",
                Some("123456789012345678901234567890"),
            ),
            (TargetType::Integer, "true", None),
            (TargetType::Decimal, r#""1.10""#, Some("1.10")),
            (TargetType::Decimal, "1.10", Some("1.10")),
            (TargetType::Decimal, r#""1,10""#, None),
            (TargetType::Boolean, r#""true""#, Some("true")),
            (TargetType::Boolean, r#""True""#, None),
            (TargetType::Boolean, "1", None),
            (TargetType::Text, "1.10", Some(r#""1.10""#)),
            (TargetType::Text, "true", Some(r#""true""#)),
            (TargetType::Text, "[1]", None),
            (TargetType::Date, r#""2024-05-01""#, Some(r#""2024-05-01""#)),
            (
                TargetType::Date,
                r#""2024-05-01T23:00:00-05:00""#,
                Some(r#""2024-05-02""#),
            ),
            (TargetType::Date, r#""2024-02-30""#, None),
            (TargetType::Date, r#""01.05.2024""#, None),
            (
                time.clone(),
                r#""2024-05-01T10:00:00+02:00""#,
                Some(r#""2024-05-01T08:00:00Z""#),
            ),
            (time, r#""yesterday""#, None),
            (TargetType::List, "[1]", Some("[1]")),
            (TargetType::List, "1", None),
            (TargetType::Map, "{}", Some("{}")),
            (TargetType::Json, r#"{"a":1.10}"#, Some(r#""{\"a\":1.10}""#)),
            (TargetType::Json, "null", Some("null")),
        ] {
            assert_eq!(coerce(&target, json).as_deref(), expected, "{target:?} of {json}");
        }
    }

    #[test]
    fn a_refusal_never_shows_the_value() {
        let error = TargetType::Integer.coerce(Value::text("secret")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "found a text that is not one, expected an integer"
        );
    }

    proptest! {
        #[test]
        fn numbers_and_their_texts_round_trip(value: i64, fraction in 0u32..10_000) {
            let integer = Value::from(value);
            let text = TargetType::Text.coerce(integer.clone()).unwrap();
            prop_assert_eq!(TargetType::Integer.coerce(text).unwrap(), integer);
            let digits = format!("{value}.{fraction:04}");
            let decimal = TargetType::Decimal.coerce(Value::text(digits.clone())).unwrap();
            prop_assert_eq!(TargetType::Text.coerce(decimal).unwrap(), Value::text(digits));
        }

        #[test]
        fn coercing_twice_changes_nothing(text in "[0-9tfals.rue-]{0,12}") {
            for target in [TargetType::Text, TargetType::Integer, TargetType::Decimal, TargetType::Boolean, TargetType::Date] {
                if let Ok(once) = target.coerce(Value::text(text.clone())) {
                    prop_assert_eq!(target.coerce(once.clone()).unwrap(), once);
                }
            }
        }
    }
}
