//! Values that stand in a file: constants, values with templates in them, amounts, HTTP statuses.
//!
//! A [`Literal`] is taken as written. A [`ValueTemplate`] is a value whose texts may hold `{{ … }}`; what a request
//! sends is made of these. Values are `serde_json::Value` because they meet records, which are JSON.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::text::{ConditionText, is_template};

/// A value taken exactly as written: text, number, boolean, null, list or map.
#[derive(Debug, Clone, PartialEq)]
pub struct Literal(pub Value);

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Literal {
    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"format": "literal"})
    }
}

/// Reads a literal that is there even if it is null: `const: null`.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Literal>, D::Error> {
    Literal::deserialize(deserializer).map(Some)
}

/// A value whose texts, at any depth, may be templates. Keys are never filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueTemplate(pub Value);

impl ValueTemplate {
    /// Says whether any text in it has something to fill in.
    #[must_use]
    pub fn has_template(&self) -> bool {
        fn search(value: &Value) -> bool {
            match value {
                Value::String(text) => is_template(text),
                Value::Array(items) => items.iter().any(search),
                Value::Object(members) => members.values().any(search),
                Value::Null | Value::Bool(_) | Value::Number(_) => false,
            }
        }
        search(&self.0)
    }
}

impl<'de> Deserialize<'de> for ValueTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for ValueTemplate {
    fn schema_name() -> Cow<'static, str> {
        "ValueWithTemplates".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"format": "value-with-templates"})
    }
}

/// On or off: `true`, `false`, or a condition over what a run may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switch {
    /// Said once and for all.
    Always(bool),
    /// On where this is true.
    When(ConditionText),
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SwitchVisitor;

        impl Visitor<'_> for SwitchVisitor {
            type Value = Switch;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`true`, `false` or a condition such as \"{{ params.active }}\"")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<Switch, E> {
                Ok(Switch::Always(on))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Switch, E> {
                ConditionText::new(text).map(Switch::When).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(SwitchVisitor)
    }
}

impl JsonSchema for Switch {
    fn schema_name() -> Cow<'static, str> {
        "Switch".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let condition = ConditionText::json_schema(generator);
        json_schema!({"anyOf": [{"type": "boolean"}, condition]})
    }
}

/// How many, or which share: `0`, `500`, `20%`, `0.5%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// That many.
    Count(u64),
    /// That many of a hundred.
    Percent(f64),
}

impl Amount {
    /// Reads a share such as `20%`.
    ///
    /// # Errors
    /// The text is not a number from 0 to 100 before a percent sign.
    pub fn percent(text: &str) -> Result<Self, String> {
        text.strip_suffix('%')
            .and_then(|number| number.trim_end().parse::<f64>().ok())
            .filter(|percent| (0.0..=100.0).contains(percent))
            .map(Self::Percent)
            .ok_or_else(|| format!("`{text}` is neither a whole number nor a share from `0%` to `100%`"))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AmountVisitor;

        impl Visitor<'_> for AmountVisitor {
            type Value = Amount;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a whole number or a share such as `20%`")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Amount, E> {
                Ok(Amount::Count(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
                Amount::percent(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(AmountVisitor)
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "format": "share", "pattern": "^[0-9]+(\\.[0-9]+)?%$"},
        ]})
    }
}

/// The share of a budget that may be used: `60%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(
    /// From 0 to 100.
    pub f64,
);

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Amount::deserialize(deserializer)? {
            Amount::Percent(percent) if percent > 0.0 => Ok(Self(percent)),
            Amount::Percent(_) | Amount::Count(_) => {
                Err(D::Error::custom("a share such as `60%` is expected here"))
            }
        }
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "share", "pattern": "^[0-9]+(\\.[0-9]+)?%$"})
    }
}

/// Which HTTP statuses: one (`429`) or a hundred of them (`4xx`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPattern {
    /// Exactly this status.
    Code(u16),
    /// All statuses with this first digit: 4 for `4xx`.
    Class(u8),
}

impl StatusPattern {
    /// Reads a hundred statuses: `4xx`.
    ///
    /// # Errors
    /// The text is not a digit from 1 to 5 before `xx`.
    pub fn class(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            [first @ b'1'..=b'5', b'x', b'x'] => Ok(Self::Class(first - b'0')),
            _ => Err(format!("`{text}` is not an HTTP status: write `404` or `4xx`")),
        }
    }

    /// Says whether a status is one of them.
    #[must_use]
    pub fn matches(self, status: u16) -> bool {
        match self {
            Self::Code(code) => code == status,
            Self::Class(first) => u16::from(first) == status / 100,
        }
    }
}

impl<'de> Deserialize<'de> for StatusPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StatusVisitor;

        impl Visitor<'_> for StatusVisitor {
            type Value = StatusPattern;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an HTTP status such as `404`, or `4xx`")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<StatusPattern, E> {
                match u16::try_from(number) {
                    Ok(code) if (100..600).contains(&code) => Ok(StatusPattern::Code(code)),
                    _ => Err(E::custom(format_args!(
                        "`{number}` is not an HTTP status: they go from 100 to 599"
                    ))),
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<StatusPattern, E> {
                StatusPattern::class(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(StatusVisitor)
    }
}

impl JsonSchema for StatusPattern {
    fn schema_name() -> Cow<'static, str> {
        "Status".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 100, "maximum": 599},
            {"type": "string", "format": "status", "pattern": "^[1-5]xx$"},
        ]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_counts_or_shares() {
        assert_eq!(serde_yaml::from_str::<Amount>("0").unwrap(), Amount::Count(0));
        assert_eq!(
            serde_yaml::from_str::<Amount>("20%").unwrap(),
            Amount::Percent(20.0)
        );
        assert_eq!(
            serde_yaml::from_str::<Amount>("0.5%").unwrap(),
            Amount::Percent(0.5)
        );
        for wrong in ["-1", "120%", "20", "'20'", "many", "NaN%"] {
            let read = serde_yaml::from_str::<Amount>(wrong);
            assert_eq!(read.is_ok(), wrong == "20", "{wrong}");
        }
    }

    #[test]
    fn statuses_match_one_or_a_hundred() {
        let not_found: StatusPattern = serde_yaml::from_str("404").unwrap();
        let client: StatusPattern = serde_yaml::from_str("4xx").unwrap();
        assert!(not_found.matches(404) && !not_found.matches(403));
        assert!(client.matches(400) && client.matches(499) && !client.matches(500));
        assert!(serde_yaml::from_str::<StatusPattern>("4x").is_err());
        assert!(serde_yaml::from_str::<StatusPattern>("99").is_err());
    }

    #[test]
    fn templates_are_found_at_any_depth() {
        let nested: ValueTemplate = serde_yaml::from_str("{a: [1, {b: 'x {{ key }}'}]}").unwrap();
        let plain: ValueTemplate = serde_yaml::from_str("{a: [1, {b: x}]}").unwrap();
        assert!(nested.has_template() && !plain.has_template());
    }
}
