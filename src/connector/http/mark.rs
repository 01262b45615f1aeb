//! A change time or key as a system writes it, and its order.
//!
//! Times come as RFC 3339, without a zone, or as Unix seconds or milliseconds; whatever they are, they go back to the
//! system in the form in which they came. What is neither time nor number is compared as text.

use std::cmp::Ordering;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::expression::{Number, Path, Value};

/// Unix times from here on count milliseconds.
const MILLISECONDS: f64 = 1e11;

/// A change time: as the system wrote it, and as an instant where that can be read.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    /// As the system wrote it.
    pub(super) text: String,
    /// The instant, where it can be read.
    pub(super) at: Option<Timestamp>,
}

impl Mark {
    /// Reads a change time.
    pub(super) fn new(text: &str) -> Self {
        Mark {
            at: instant(text),
            text: text.to_owned(),
        }
    }

    /// This time less an overlap, in the system's own form: a number stays one.
    pub(super) fn less(&self, overlap: Duration) -> Value<'static> {
        if let Some(number) = Number::parse(self.text.clone()) {
            let unit = if number.as_f64().is_some_and(|number| number.abs() >= MILLISECONDS) {
                1000
            } else {
                1
            };
            let less = i64::try_from(overlap.as_secs())
                .unwrap_or(i64::MAX)
                .saturating_mul(unit);
            return match number.as_i64() {
                Some(whole) if less > 0 => Value::from(whole.saturating_sub(less)),
                _ => Value::Number(number),
            };
        }
        match self.at.filter(|_| !overlap.is_zero()) {
            Some(at) => Value::text(at.checked_sub(signed(overlap)).unwrap_or(at).to_string()),
            None => Value::text(self.text.clone()),
        }
    }

    /// Whether a read that starts at this time less the overlap meets that mark again.
    pub(super) fn reaches(&self, mark: &Mark, overlap: Duration) -> bool {
        match (self.at, mark.at) {
            (Some(newest), Some(at)) => newest.checked_sub(signed(overlap)).unwrap_or(newest) <= at,
            _ => self == mark,
        }
    }
}

impl PartialEq for Mark {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Mark {}

impl PartialOrd for Mark {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Mark {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.at, other.at) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => compare(&self.text, &other.text),
        }
    }
}

/// The change time that a path selects.
pub(super) fn mark(value: &Value<'_>, path: &Path) -> Option<Mark> {
    Some(Mark::new(&path.one(value)?.scalar_text()?))
}

/// RFC 3339, a date and time without a zone (taken as UTC), or Unix seconds or milliseconds.
fn instant(text: &str) -> Option<Timestamp> {
    if let Some(number) = Number::parse(text) {
        let number = number.as_f64()?;
        let seconds = if number.abs() >= MILLISECONDS {
            number / 1000.0
        } else {
            number
        };
        return Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok();
    }
    text.parse().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

/// How two texts compare as numbers, if they are numbers.
pub(super) fn numbers(one: &str, other: &str) -> Option<Ordering> {
    Number::parse(one)?.compare(&Number::parse(other)?)
}

/// How two keys or times compare: as numbers, else as texts.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    numbers(one, other).unwrap_or_else(|| one.cmp(other))
}

/// A duration as one that may be subtracted from a time; the longest if it is longer.
pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_compare_as_instants_whatever_their_form() {
        let mark = Mark::new;
        assert_eq!(mark("2026-08-01T12:00:00+02:00"), mark("2026-08-01T10:00:00Z"));
        assert_eq!(mark("2026-08-01 10:00:00"), mark("2026-08-01T10:00:00.000Z"));
        assert_eq!(mark("1785578400"), mark("1785578400000"));
        assert!(mark("1707271741") < mark("2026-08-01T10:00:00Z"));
        assert!(mark("v9") > mark("v10"), "neither time nor number: as text");
    }

    #[test]
    fn an_overlap_is_taken_off_in_the_systems_own_form() {
        let less = |text: &str, seconds| Mark::new(text).less(Duration::from_secs(seconds)).to_json();
        assert_eq!(
            less("2026-08-01T10:00:00+02:00", 0),
            r#""2026-08-01T10:00:00+02:00""#
        );
        assert_eq!(less("2026-08-01T10:00:00+02:00", 60), r#""2026-08-01T07:59:00Z""#);
        assert_eq!(less("1707271741", 41), "1707271700");
        assert_eq!(less("1707271741000", 41), "1707271700000");
        assert_eq!(less("v9", 60), r#""v9""#);
    }

    #[test]
    fn numbered_keys_compare_as_numbers() {
        assert_eq!(numbers("9", "10"), Some(Ordering::Less));
        assert_eq!(
            numbers("9007199254740993", "9007199254740992"),
            Some(Ordering::Greater)
        );
        assert_eq!(numbers("a9", "a10"), None);
    }
}
