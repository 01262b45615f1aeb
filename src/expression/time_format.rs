//! [`TimeFormat`]: reading instants from the texts of one field, and writing them for another system.
//!
//! A source may write one field in several formats; they are tried in order. A format without an offset is read in the
//! declared zone. Nothing is guessed: a text that fits none is refused.

use std::borrow::Cow;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::number::Number;
use super::value::Value;

/// How a time field is read and written.
#[derive(Clone, Debug)]
pub struct TimeFormat {
    /// Tried in order.
    pub read: Vec<TimePattern>,
    /// Where a pattern without an offset is read, and in which a pattern is written.
    pub zone: TimeZone,
    /// How it is written.
    pub write: TimePattern,
}

/// One spelling of an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimePattern {
    /// `2024-05-01T12:00:00.5+02:00` (RFC 3339); written in UTC.
    Rfc3339,
    /// A `strftime` pattern, such as `%d-%b-%Y %H:%M:%S`.
    Strptime(String),
    /// Whole or fractional seconds since 1970, as a number or its text.
    Unix,
    /// Whole or fractional milliseconds since 1970, as a number or its text.
    UnixMilliseconds,
}

impl TimePattern {
    /// A pattern as the configuration writes it: `rfc3339`, `unix`, `unix_ms`, or a text with `%`.
    ///
    /// # Errors
    /// When the text is none of these, or holds a `%` sign that means nothing.
    pub fn parse(text: &str) -> Result<TimePattern, String> {
        match text {
            "rfc3339" => Ok(TimePattern::Rfc3339),
            "unix" => Ok(TimePattern::Unix),
            "unix_ms" => Ok(TimePattern::UnixMilliseconds),
            pattern if pattern.contains('%') => {
                let instant = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
                strtime::format(pattern, &instant)
                    .map(|_| TimePattern::Strptime(pattern.to_owned()))
                    .map_err(|error| format!("`{pattern}` is no time pattern: {error}"))
            }
            other => Err(format!(
                "`{other}` is no time format: expected `rfc3339`, `unix`, `unix_ms` or a pattern such as `%Y-%m-%d`"
            )),
        }
    }

    fn read(&self, value: &Value<'_>, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            TimePattern::Rfc3339 => parse_rfc3339(value.as_text()?.trim()),
            TimePattern::Strptime(pattern) => {
                let text = value.scalar_text()?;
                let parsed = strtime::parse(pattern, text.trim()).ok()?;
                if parsed.offset().is_some() {
                    return parsed.to_timestamp().ok();
                }
                let civil = match parsed.to_datetime() {
                    Ok(civil) => civil,
                    Err(_) => DateTime::from(parsed.to_date().ok()?),
                };
                // A time that a clock change skips or repeats has no one instant; guessing it would be silent.
                zone.to_ambiguous_timestamp(civil).unambiguous().ok()
            }
            TimePattern::Unix => from_unix(value, 9),
            TimePattern::UnixMilliseconds => from_unix(value, 6),
        }
    }
}

/// Reads RFC 3339; the offset is required.
pub(crate) fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let separated = bytes.get(4) == Some(&b'-') && matches!(bytes.get(10), Some(b'T' | b't' | b' '));
    if !separated || bytes.last() == Some(&b']') {
        return None;
    }
    text.parse().ok()
}

/// An instant from a count since 1970 whose unit is ten to the power of `digits` nanoseconds.
fn from_unix(value: &Value<'_>, digits: i64) -> Option<Timestamp> {
    let number = match value {
        Value::Number(number) => number.borrow(),
        Value::Text(text) => Number::parse(text.trim())?,
        _ => return None,
    };
    let nanoseconds = number.decimal()?.shift(digits)?.to_integer_digits()?;
    Timestamp::from_nanosecond(nanoseconds.parse().ok()?).ok()
}

impl Default for TimeFormat {
    /// RFC 3339 in and out.
    fn default() -> Self {
        TimeFormat {
            read: vec![TimePattern::Rfc3339],
            zone: TimeZone::UTC,
            write: TimePattern::Rfc3339,
        }
    }
}

impl TimeFormat {
    /// The instant that a value means, if it fits one of the formats.
    pub fn read(&self, value: &Value<'_>) -> Option<Timestamp> {
        if let Value::Time(time) = value {
            return Some(*time);
        }
        self.read
            .iter()
            .find_map(|pattern| pattern.read(value, &self.zone))
    }

    /// The instant as the target takes it: [`Value::Time`] for RFC 3339, else text or a number.
    pub fn write(&self, time: Timestamp) -> Value<'static> {
        match &self.write {
            TimePattern::Rfc3339 => Value::Time(time),
            TimePattern::Strptime(pattern) => {
                let zoned: Zoned = time.to_zoned(self.zone.clone());
                match strtime::format(pattern, &zoned) {
                    Ok(text) => Value::Text(Cow::Owned(text)),
                    Err(_) => Value::Time(time),
                }
            }
            TimePattern::Unix => Value::from(time.as_second()),
            TimePattern::UnixMilliseconds => Value::from(time.as_millisecond()),
        }
    }

    /// What it reads, for messages.
    pub fn expected(&self) -> String {
        let patterns: Vec<String> = self
            .read
            .iter()
            .map(|pattern| match pattern {
                TimePattern::Rfc3339 => "rfc3339".to_owned(),
                TimePattern::Strptime(pattern) => format!("`{pattern}`"),
                TimePattern::Unix => "unix seconds".to_owned(),
                TimePattern::UnixMilliseconds => "unix milliseconds".to_owned(),
            })
            .collect();
        format!("a time ({})", patterns.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(patterns: &[&str], zone: &str, text: &str) -> Option<String> {
        let format = TimeFormat {
            read: patterns
                .iter()
                .map(|pattern| TimePattern::parse(pattern).unwrap())
                .collect(),
            zone: TimeZone::get(zone).unwrap(),
            write: TimePattern::Rfc3339,
        };
        format.read(&Value::text(text)).map(|time| time.to_string())
    }

    #[test]
    fn several_formats_of_one_field() {
        let patterns = ["%d-%b-%Y %H:%M:%S", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S%.f", "rfc3339"];
        for (text, instant) in [
            ("01-May-2024 10:00:00", Some("2024-05-01T10:00:00Z")),
            ("05/31/2024", Some("2024-05-31T00:00:00Z")),
            ("2024-05-01 10:00:00.25", Some("2024-05-01T10:00:00.25Z")),
            ("2024-05-01T10:00:00+02:00", Some("2024-05-01T08:00:00Z")),
            ("31/05/2024", None),
            ("2024-02-30 10:00:00", None),
            ("", None),
        ] {
            assert_eq!(read(&patterns, "UTC", text).as_deref(), instant, "{text}");
        }
    }

    #[test]
    fn a_zone_applies_where_there_is_no_offset_and_never_guesses() {
        let pattern = ["%Y-%m-%d %H:%M"];
        assert_eq!(
            read(&pattern, "Europe/Berlin", "2024-07-01 10:00").unwrap(),
            "2024-07-01T08:00:00Z"
        );
        assert_eq!(read(&pattern, "Europe/Berlin", "2024-03-31 02:30"), None);
        assert_eq!(read(&pattern, "Europe/Berlin", "2024-10-27 02:30"), None);
        assert_eq!(read(&["rfc3339"], "Europe/Berlin", "2024-07-01T10:00:00"), None);
        assert_eq!(read(&["rfc3339"], "UTC", "2024-07-01"), None);
    }

    #[test]
    fn counts_since_1970() {
        assert_eq!(
            read(&["unix"], "UTC", "1714557600").unwrap(),
            "2024-05-01T10:00:00Z"
        );
        assert_eq!(
            read(&["unix_ms"], "UTC", "1714557600500").unwrap(),
            "2024-05-01T10:00:00.5Z"
        );
        assert_eq!(read(&["unix"], "UTC", "99999999999999999"), None);
    }

    #[test]
    fn writing_in_another_format() {
        let time: Timestamp = "2024-05-01T22:30:00Z".parse().unwrap();
        let format = TimeFormat {
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            write: TimePattern::parse("%d.%m.%Y %H:%M").unwrap(),
            ..TimeFormat::default()
        };
        assert_eq!(format.write(time), Value::text("02.05.2024 00:30"));
        assert_eq!(
            TimeFormat {
                write: TimePattern::Unix,
                ..format
            }
            .write(time),
            Value::from(1_714_602_600)
        );
        assert!(TimePattern::parse("iso").is_err());
        assert!(TimePattern::parse("%!").is_err());
    }
}
