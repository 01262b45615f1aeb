//! Filters over times. Times are RFC 3339 texts inside templates; nothing here reads a clock.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::text_argument;
use crate::expression::time_format::{TimeFormat, TimePattern, parse_rfc3339};
use crate::expression::value::Value;

type Filtered = Result<Value<'static>, String>;

/// The instant of a time, or the start of a UTC day.
fn instant(value: &Value<'_>) -> Result<Timestamp, String> {
    let time = match value {
        Value::Time(time) => Some(*time),
        Value::Text(text) => {
            let text = text.trim();
            let day = || -> Option<Timestamp> {
                let date: jiff::civil::Date = (text.len() == 10).then(|| text.parse().ok())??;
                date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
            };
            parse_rfc3339(text).or_else(day)
        }
        _ => None,
    };
    time.ok_or_else(|| "takes a time (RFC 3339) or a date".to_owned())
}

fn zone(arguments: &[Value<'static>], index: usize) -> Result<TimeZone, String> {
    if arguments.len() <= index {
        return Ok(TimeZone::UTC);
    }
    let name = text_argument(arguments, index)?;
    TimeZone::get(&name).map_err(|_| "takes the name of a time zone, such as `Europe/Berlin`".to_owned())
}

fn pattern(arguments: &[Value<'static>]) -> Result<TimePattern, String> {
    TimePattern::parse(&text_argument(arguments, 0)?)
        .map_err(|_| "takes a pattern such as `%Y-%m-%d`".to_owned())
}

pub(super) fn time(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    if arguments.is_empty() {
        return Ok(Value::from(instant(&value)?.to_string()));
    }
    let format = TimeFormat {
        read: vec![pattern(arguments)?],
        zone: zone(arguments, 1)?,
        write: TimePattern::Rfc3339,
    };
    format
        .read(&value)
        .map(|time| Value::from(time.to_string()))
        .ok_or_else(|| "found a text that does not fit the pattern".to_owned())
}

pub(super) fn format_time(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    let format = TimeFormat {
        read: Vec::new(),
        zone: zone(arguments, 1)?,
        write: pattern(arguments)?,
    };
    Ok(match format.write(instant(&value)?) {
        Value::Time(time) => Value::from(time.to_string()),
        other => other,
    })
}

pub(super) fn date(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    Ok(Value::from(
        instant(&value)?.to_zoned(TimeZone::UTC).date().to_string(),
    ))
}

pub(super) fn unix(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    Ok(Value::from(instant(&value)?.as_second()))
}

pub(super) fn unix_ms(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    Ok(Value::from(instant(&value)?.as_millisecond()))
}

pub(super) fn plus(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    let refused = || "takes a duration such as `PT5M` or `-P1D`".to_owned();
    let span: jiff::Span = text_argument(arguments, 0)?.parse().map_err(|_| refused())?;
    let duration: SignedDuration = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| refused())?;
    instant(&value)?
        .checked_add(duration)
        .map(|time| Value::from(time.to_string()))
        .map_err(|_| "leaves the range of times".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_and_out() {
        let time_text = Value::from("2024-05-01T23:30:00+02:00");
        let berlin = [Value::from("%d.%m.%Y %H:%M"), Value::from("Europe/Berlin")];
        assert_eq!(
            time(time_text.clone(), &[]),
            Ok(Value::from("2024-05-01T21:30:00Z"))
        );
        assert_eq!(
            format_time(time_text.clone(), &berlin),
            Ok(Value::from("01.05.2024 23:30"))
        );
        assert_eq!(
            time(Value::from("01.05.2024 23:30"), &berlin),
            Ok(Value::from("2024-05-01T21:30:00Z"))
        );
        assert_eq!(date(time_text.clone(), &[]), Ok(Value::from("2024-05-01")));
        assert_eq!(unix(Value::from("1970-01-02"), &[]), Ok(Value::from(86_400)));
        assert_eq!(
            unix_ms(Value::from("1970-01-01T00:00:01.5Z"), &[]),
            Ok(Value::from(1500))
        );
        assert_eq!(
            plus(time_text.clone(), &[Value::from("-P1D")]),
            Ok(Value::from("2024-04-30T21:30:00Z"))
        );
        assert!(plus(time_text, &[Value::from("tomorrow")]).is_err());
        assert!(unix(Value::from("soon"), &[]).is_err());
    }
}
