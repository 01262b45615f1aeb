//! When a request is sent again: what `Retry-After` and `Date` say, and the growing pauses when nothing is said.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

use crate::connector::HttpOptions;

/// The longest wait that is believed; a server that says more is misread rather than patient.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The pauses before repetitions: doubled each time, with jitter so that several clients do not return together.
pub(super) fn pauses(options: &HttpOptions) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(options.first_pause)
        .with_max_delay(options.longest_pause)
        .with_max_times(usize::try_from(options.attempts.saturating_sub(1)).unwrap_or(usize::MAX))
        .with_jitter()
        .build()
}

/// When the server made the answer, by its own clock.
pub(super) fn answered_at(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(header_text(headers, &DATE)?)
}

/// How long the server asks to wait: seconds, or until a date (RFC 9110 §10.2.3). A date is measured by the server's
/// own clock where it tells the time, so that a wrong local clock does not matter.
pub(super) fn retry_after(headers: &HeaderMap, local_now: Timestamp) -> Option<Duration> {
    let text = header_text(headers, &RETRY_AFTER)?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds_to_wait(seconds);
    }
    let until = http_date(text)?;
    let now = answered_at(headers).unwrap_or(local_now);
    let wait = Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO);
    Some(wait.min(LONGEST_WAIT))
}

/// A number of seconds from a header, as a wait; none if it is negative or no number.
pub(super) fn seconds_to_wait(seconds: f64) -> Option<Duration> {
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    Some(wait.min(LONGEST_WAIT))
}

/// A header's value, where it is text.
pub(super) fn header_text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The three forms of RFC 9110 §5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT` and its two obsolete ones.
fn http_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(zoned) = jiff::fmt::rfc2822::parse(text) {
        return Some(zoned.timestamp());
    }
    let form = if text.contains('-') {
        "%A, %d-%b-%y %H:%M:%S GMT"
    } else {
        "%a %b %e %H:%M:%S %Y"
    };
    let civil = DateTime::strptime(form, text).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(HeaderName, &str)| (name.clone(), HeaderValue::from_str(value).unwrap());
        pairs.iter().map(pair).collect()
    }

    fn now() -> Timestamp {
        "1994-11-06T08:49:07Z".parse().unwrap()
    }

    #[test]
    fn every_form_of_retry_after_is_understood() {
        for (text, seconds) in [
            ("30", Some(30.0)),
            (" 0 ", Some(0.0)),
            ("1.5", Some(1.5)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30.0)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(30.0)),
            ("Sun Nov  6 08:49:37 1994", Some(30.0)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0.0)),
            ("99999999999", Some(7.0 * 24.0 * 3600.0)),
            ("-3", None),
            ("soon", None),
            ("", None),
        ] {
            let wait = retry_after(&headers(&[(RETRY_AFTER, text)]), now());
            assert_eq!(wait.map(|wait| wait.as_secs_f64()), seconds, "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now()), None);
    }

    #[test]
    fn a_date_is_measured_by_the_servers_clock() {
        let headers = headers(&[
            (RETRY_AFTER, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (DATE, "Sun, 06 Nov 1994 08:49:27 GMT"),
        ]);
        let wait = retry_after(&headers, "2030-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(wait, Some(Duration::from_secs(10)));
    }

    #[test]
    fn pauses_grow_and_end() {
        let options = HttpOptions {
            attempts: 4,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_millis(300),
            ..HttpOptions::default()
        };
        let pauses: Vec<Duration> = pauses(&options).collect();
        assert_eq!(pauses.len(), 3);
        assert!(pauses[0] >= Duration::from_millis(100), "{pauses:?}");
        assert!(pauses[2] >= Duration::from_millis(300), "{pauses:?}");
    }
}
