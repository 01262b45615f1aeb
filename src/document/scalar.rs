//! Scalars: what a plain one means, and where a part of its text stands in the file.

use super::node::Kind;

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
    /// `|` or `>`, over several lines.
    Block,
}

/// Text, a number, a boolean or null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, without quotes and escapes.
    pub text: String,
    /// How it is written.
    pub style: Style,
}

impl Scalar {
    /// What it is, as the YAML 1.2 core schema has it (and `serde_yaml` reads it).
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.style != Style::Plain {
            return Kind::Text;
        }
        let text = self.text.as_str();
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return Kind::Boolean,
            _ => {}
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
            return Kind::Float;
        }
        if has_leading_zero(text) || unsigned.starts_with(['+', '-']) {
            return Kind::Text;
        }
        let radix = |prefix: &str, radix: u32| {
            unsigned
                .strip_prefix(prefix)
                .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix)))
        };
        let decimal = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
        if decimal || radix("0x", 16) || radix("0o", 8) || radix("0b", 2) {
            return Kind::Integer;
        }
        let numeric = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
        if numeric && unsigned.parse::<f64>().is_ok_and(f64::is_finite) {
            Kind::Float
        } else {
            Kind::Text
        }
    }
}

/// Says whether a text is digits with a zero in front, such as `0123`.
pub(super) fn has_leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Says whether a plain number has more digits than the types that it is read into can keep.
pub(super) fn loses_digits(scalar: &Scalar) -> bool {
    let text = scalar.text.as_str();
    match scalar.kind() {
        Kind::Integer => {
            let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
            unsigned.bytes().all(|byte| byte.is_ascii_digit()) && unsigned.parse::<u64>().is_err()
                || text.starts_with('-')
                    && unsigned.bytes().all(|byte| byte.is_ascii_digit())
                    && text.parse::<i64>().is_err()
        }
        Kind::Float => match (significant(text), text.parse::<f64>().ok()) {
            (Some(written), Some(read)) => significant(&read.to_string()).is_some_and(|kept| kept != written),
            _ => false,
        },
        _ => false,
    }
}

/// The digits of a decimal number and the power of ten of the last one, both without superfluous zeros.
fn significant(text: &str) -> Option<(String, i64)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let trimmed = digits.trim_end_matches('0');
    exponent += i64::try_from(digits.len() - trimmed.len()).ok()?;
    let trimmed = trimmed.trim_start_matches('0');
    Some(if trimmed.is_empty() {
        (String::from("0"), 0)
    } else {
        (trimmed.to_owned(), exponent)
    })
}

/// Finds where a byte of a scalar's text stands in the scalar as written (quotes, escapes and line breaks included).
///
/// `raw` is the scalar as it stands in the file. `None` if the two cannot be aligned.
pub(super) fn raw_offset(raw: &str, scalar: &Scalar, offset: usize) -> Option<usize> {
    let mut written = raw.char_indices().peekable();
    match scalar.style {
        Style::Plain => {}
        Style::Single | Style::Double => {
            written.next();
        }
        Style::Block => {
            // The header line (`|`, `>-`) is no content.
            while written.next_if(|(_, character)| *character != '\n').is_some() {}
            written.next();
            skip_blanks(&mut written);
        }
    }
    let mut read = scalar.text.char_indices().peekable();
    loop {
        let mut at = written.peek().map_or(raw.len(), |(at, _)| *at);
        // An escaped line break stands for nothing: what it is followed by comes next.
        while scalar.style == Style::Double && raw[at..].starts_with("\\\n") {
            written.nth(1);
            skip_blanks(&mut written);
            at = written.peek().map_or(raw.len(), |(at, _)| *at);
        }
        let Some((position, character)) = read.next() else {
            return Some(at);
        };
        if position >= offset {
            return Some(at);
        }
        let (_, found) = written.next()?;
        match (scalar.style, found) {
            (Style::Double, '\\') => escape(&mut written)?,
            (Style::Single, '\'') => {
                written.next_if(|(_, next)| *next == '\'')?;
            }
            (_, found) if found == character && found != '\n' => {}
            (_, found) if found.is_whitespace() && character.is_whitespace() => {
                // A folded or kept line break: the white space on both sides is skipped as one.
                skip_blanks(&mut written);
                while read.next_if(|(_, next)| next.is_whitespace()).is_some() {}
            }
            _ => return None,
        }
    }
}

type Characters<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

fn skip_blanks(written: &mut Characters<'_>) {
    while written
        .next_if(|(_, character)| matches!(character, ' ' | '\t' | '\n' | '\r'))
        .is_some()
    {}
}

/// Skips the rest of an escape in double quotes.
fn escape(written: &mut Characters<'_>) -> Option<()> {
    let digits = match written.next()?.1 {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    for _ in 0..digits {
        written.next()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Scalar {
        Scalar {
            text: text.to_owned(),
            style: Style::Plain,
        }
    }

    #[test]
    fn kinds_agree_with_the_reader_into_structs() {
        for text in [
            "",
            "~",
            "null",
            "true",
            "True",
            "yes",
            "no",
            "on",
            "0",
            "12",
            "-3",
            "+4",
            "0x1F",
            "0o17",
            "0b11",
            "007",
            "0123",
            "1.5",
            "1.",
            ".5",
            "1e3",
            "1e400",
            ".inf",
            "-.inf",
            ".nan",
            "nan",
            "inf",
            "infinity",
            "2024-01-01",
            "1_000",
            "12:30",
            "++1",
            "0x",
            "$.a",
            "18446744073709551615",
        ] {
            let kind = match serde_yaml::from_str::<serde_yaml::Value>(text).unwrap() {
                serde_yaml::Value::Null => Kind::Null,
                serde_yaml::Value::Bool(_) => Kind::Boolean,
                serde_yaml::Value::Number(number) if number.is_f64() => Kind::Float,
                serde_yaml::Value::Number(_) => Kind::Integer,
                serde_yaml::Value::String(_) => Kind::Text,
                other => panic!("{other:?}"),
            };
            assert_eq!(plain(text).kind(), kind, "{text}");
        }
    }

    #[test]
    fn digits_that_would_be_lost_are_seen() {
        for kept in [
            "1.10",
            "0.1",
            "1e3",
            "18446744073709551615",
            "-9223372036854775808",
            "123456.789",
            "0.0",
        ] {
            assert!(!loses_digits(&plain(kept)), "{kept}");
        }
        for lost in [
            "18446744073709551616",
            "-9223372036854775809",
            "0.12345678901234567890",
            "9007199254740993.5",
        ] {
            assert!(loses_digits(&plain(lost)), "{lost}");
        }
    }

    #[test]
    fn parts_are_found_behind_quotes_escapes_and_folds() {
        let find = |raw: &str, style, text: &str, part: &str| {
            let scalar = Scalar {
                text: text.to_owned(),
                style,
            };
            raw_offset(raw, &scalar, text.find(part).unwrap()).map(|at| raw[at..].to_owned())
        };
        assert_eq!(find("$.a.b", Style::Plain, "$.a.b", "b"), Some("b".into()));
        assert_eq!(
            find(r#""a\"\u00fcb c""#, Style::Double, "a\"üb c", "b c"),
            Some("b c\"".into())
        );
        assert_eq!(find("'it''s x'", Style::Single, "it's x", "x"), Some("x'".into()));
        assert_eq!(
            find("one\n   two three", Style::Plain, "one two three", "three"),
            Some("three".into())
        );
        assert_eq!(
            find("|\n  one\n  two\n", Style::Block, "one\ntwo\n", "two"),
            Some("two\n".into())
        );
        assert_eq!(
            find("\"a\\\n   b\"", Style::Double, "ab", "b"),
            Some("b\"".into())
        );
    }
}
