//! [`Normalizer`]: bringing keys to one form before they are compared.
//!
//! Lookups, matches and `one_per` apply the same list to both sides, so that ` Ann@Example.com` finds `ann@example.com`.

use std::borrow::Cow;

use super::value::Value;

/// One normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalizer {
    /// White space at both ends is removed.
    Trim,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// Only digits are kept.
    Digits,
    /// Runs of white space become one space.
    Spaces,
}

impl Normalizer {
    /// Every name that [`Normalizer::parse`] knows, with its meaning.
    pub const NAMES: &'static [(&'static str, &'static str)] = &[
        ("trim", "white space at both ends is removed"),
        ("lower", "lower case"),
        ("upper", "upper case"),
        ("digits", "only digits are kept"),
        ("spaces", "runs of white space become one space"),
    ];

    /// A normalisation by its name in the configuration.
    pub fn parse(name: &str) -> Option<Normalizer> {
        Some(match name {
            "trim" => Normalizer::Trim,
            "lower" => Normalizer::Lower,
            "upper" => Normalizer::Upper,
            "digits" => Normalizer::Digits,
            "spaces" => Normalizer::Spaces,
            _ => return None,
        })
    }

    /// The text in that form; borrowed when it already has it.
    pub fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self {
            Normalizer::Trim => Cow::Borrowed(text.trim()),
            Normalizer::Lower => changed(
                text,
                |c| c.is_ascii() && !c.is_ascii_uppercase(),
                str::to_lowercase,
            ),
            Normalizer::Upper => changed(
                text,
                |c| c.is_ascii() && !c.is_ascii_lowercase(),
                str::to_uppercase,
            ),
            Normalizer::Digits => changed(
                text,
                |c| c.is_ascii_digit(),
                |text| text.chars().filter(char::is_ascii_digit).collect(),
            ),
            Normalizer::Spaces => changed(
                text,
                |c| !c.is_whitespace(),
                |text| {
                    let mut spaced = String::with_capacity(text.len());
                    for c in text.chars() {
                        let c = if c.is_whitespace() { ' ' } else { c };
                        if c != ' ' || !spaced.ends_with(' ') {
                            spaced.push(c);
                        }
                    }
                    spaced
                },
            ),
        }
    }
}

fn changed<'t>(text: &'t str, fits: impl Fn(char) -> bool, change: impl Fn(&str) -> String) -> Cow<'t, str> {
    if text.chars().all(fits) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(change(text))
    }
}

/// A value as a comparable key: its text through every normalisation, numbers in their one spelling (so `5`, `5.0` and
/// `"5"` agree). `None` for null and for a text that nothing is left of; lists and objects by their canonical JSON.
pub fn normalize(list: &[Normalizer], value: &Value<'_>) -> Option<String> {
    let text: Cow<'_, str> = match value {
        Value::Null => return None,
        Value::Number(number) => number.canonical(),
        Value::List(_) | Value::Map(_) => {
            let mut json = Vec::new();
            value.canonical(&mut json);
            return String::from_utf8(json).ok();
        }
        Value::Bool(_) | Value::Text(_) | Value::Time(_) => value.scalar_text()?,
    };
    let mut text = text;
    for normalizer in list {
        text = match text {
            Cow::Borrowed(borrowed) => normalizer.apply(borrowed),
            Cow::Owned(owned) => Cow::Owned(normalizer.apply(&owned).into_owned()),
        };
    }
    (!text.is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_normalisation() {
        for (name, text, expected) in [
            ("trim", "\t a b \n", "a b"),
            ("lower", "ÄNN@X", "änn@x"),
            ("upper", "straße", "STRASSE"),
            ("digits", "+49 (30) 12-3", "4930123"),
            ("spaces", "a \t b\n\nc", "a b c"),
        ] {
            assert_eq!(Normalizer::parse(name).unwrap().apply(text), expected, "{name}");
        }
        assert_eq!(Normalizer::parse("lowercase"), None);
        assert_eq!(Normalizer::NAMES.len(), 5);
        assert!(
            Normalizer::NAMES
                .iter()
                .all(|(name, _)| Normalizer::parse(name).is_some())
        );
    }

    #[test]
    fn keys_of_every_kind() {
        let list = [Normalizer::Trim, Normalizer::Lower];
        assert_eq!(
            normalize(&list, &Value::text(" Ann@X ")).as_deref(),
            Some("ann@x")
        );
        assert_eq!(normalize(&list, &Value::text("  ")), None);
        assert_eq!(normalize(&list, &Value::Null), None);
        let number = |digits| Value::Number(crate::expression::Number::parse(digits).unwrap());
        assert_eq!(normalize(&[], &number("5.0")), normalize(&[], &Value::text("5")));
        assert_eq!(
            normalize(&[], &number("360001100001")).as_deref(),
            Some("360001100001")
        );
    }
}
