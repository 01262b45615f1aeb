//! Texts that mean something: JSONPaths, templates, durations.
//!
//! They stay text here; `compile` parses them, because only it knows which names a place sees. What can be told from
//! the text alone is checked while reading: a path begins with `$`, a rule's input is a path or a template, a duration
//! is a number and a unit.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads a text and nothing else, so that a number or a list in its place is refused with what was expected.
fn read_text<'de, D, T>(
    deserializer: D,
    expected: &'static str,
    build: fn(&str) -> Result<T, String>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    struct TextVisitor<T> {
        expected: &'static str,
        build: fn(&str) -> Result<T, String>,
    }

    impl<T> Visitor<'_> for TextVisitor<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.expected)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.build)(text).map_err(E::custom)
        }
    }

    deserializer.deserialize_any(TextVisitor { expected, build })
}

/// Says whether a text holds a template: `{{ … }}` or `{% … %}`.
#[must_use]
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// A JSONPath (RFC 9535) as written: it begins with `$`, nothing else is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathText(String);

impl PathText {
    /// Takes a text that begins with `$`.
    ///
    /// # Errors
    /// The text does not begin with `$`; the sentence says what to write.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.starts_with('$') {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{text}` is not a path: a path begins with `$`, as in `$.{text}`"
            ))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PathText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PathText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "a path that begins with `$`", Self::new)
    }
}

impl JsonSchema for PathText {
    fn schema_name() -> Cow<'static, str> {
        "Path".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "path", "pattern": "^\\$"})
    }
}

/// A text in which `{{ … }}` is filled in. Text without any is taken as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TemplateText(String);

impl TemplateText {
    /// Takes any text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether there is anything to fill in.
    #[must_use]
    pub fn is_template(&self) -> bool {
        is_template(&self.0)
    }
}

impl fmt::Display for TemplateText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TemplateText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "text", |text| Ok(Self::new(text)))
    }
}

impl JsonSchema for TemplateText {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "template"})
    }
}

/// A condition: a text that is one expression, `"{{ record.status != 'closed' }}"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConditionText(String);

impl ConditionText {
    /// Takes a text that holds an expression.
    ///
    /// # Errors
    /// There is no `{{ … }}` in it, so it would always be true.
    pub fn new(text: &str) -> Result<Self, String> {
        if is_template(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{text}` is not a condition: write it as `\"{{{{ … }}}}\"`"
            ))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConditionText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ConditionText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(
            deserializer,
            "a condition such as \"{{ record.active }}\"",
            Self::new,
        )
    }
}

impl JsonSchema for ConditionText {
    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "condition", "pattern": "\\{\\{"})
    }
}

/// Where a value comes from: selected by a path or computed by a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// `$.requester.email`
    Path(PathText),
    /// `"{{ record.first ~ ' ' ~ record.last }}"`
    Template(TemplateText),
}

impl Source {
    /// Tells the two apart.
    ///
    /// # Errors
    /// The text is neither; the sentence says how to write the three things it may have meant.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.starts_with('$') {
            PathText::new(text).map(Self::Path)
        } else if is_template(text) {
            Ok(Self::Template(TemplateText::new(text)))
        } else {
            Err(format!(
                "`{text}` is neither a path nor a template: write `$.{text}` to select a field, \
                 `\"{{{{ … }}}}\"` to compute, or `{{const: {text}}}` for this very text"
            ))
        }
    }

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Path(path) => path.as_str(),
            Self::Template(template) => template.as_str(),
        }
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(
            deserializer,
            "a path (`$.a.b`) or a template (`\"{{ … }}\"`)",
            Self::new,
        )
    }
}

impl JsonSchema for Source {
    fn schema_name() -> Cow<'static, str> {
        "PathOrTemplate".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "source", "pattern": "^\\$|\\{\\{|\\{%"})
    }
}

/// A length of time as a number and a unit: `500ms`, `61s`, `5m`, `2h`, `30d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurationText {
    text: String,
    duration: Duration,
}

impl DurationText {
    /// Reads a number and a unit.
    ///
    /// # Errors
    /// The text is something else, or too long a time to hold.
    pub fn new(text: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "`{text}` is not a length of time: write a number and a unit, as in `90s`, `5m`, `2h` or `30d`"
            )
        };
        let digits = text
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| refused())?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(refused()),
        };
        let duration = number
            .checked_mul(milliseconds)
            .map(Duration::from_millis)
            .ok_or_else(refused)?;
        Ok(Self {
            text: text.to_owned(),
            duration,
        })
    }

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The time it says.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "a length of time such as `5m`", Self::new)
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "length-of-time", "pattern": "^[0-9]+(ms|s|m|h|d)$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_path_or_a_template_and_nothing_else() {
        assert!(matches!(Source::new("$"), Ok(Source::Path(_))));
        assert!(matches!(Source::new("$.a[0]"), Ok(Source::Path(_))));
        assert!(matches!(Source::new("{{ record.a }}"), Ok(Source::Template(_))));
        assert!(matches!(
            Source::new("case-{{ record.id }}"),
            Ok(Source::Template(_))
        ));
        let refused = Source::new("subject").unwrap_err();
        assert!(
            refused.contains("`$.subject`") && refused.contains("{const: subject}"),
            "{refused}"
        );
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(
            DurationText::new("61s").unwrap().duration(),
            Duration::from_secs(61)
        );
        assert_eq!(
            DurationText::new("2h").unwrap().duration(),
            Duration::from_secs(7200)
        );
        assert_eq!(
            DurationText::new("500ms").unwrap().duration(),
            Duration::from_millis(500)
        );
        for wrong in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "1.5h",
            "5w",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert!(DurationText::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_condition_without_an_expression_is_refused() {
        assert!(ConditionText::new("{{ record.active }}").is_ok());
        assert!(ConditionText::new("record.active").is_err());
    }
}
