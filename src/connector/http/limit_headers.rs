//! What answer headers say of a budget, in the spellings that are about: one number each, or pairs in one header.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName};

use super::retry::{header_text, seconds_to_wait};
use super::window::Said;
use crate::compile::compiled::LimitHeaders;

/// A reset this large is a point in time (Unix seconds), not a wait.
const UNIX_TIME: f64 = 1e9;

/// [`LimitHeaders`] with parsed names.
#[derive(Debug, Default)]
pub(super) struct Headers {
    limit: Vec<HeaderName>,
    remaining: Vec<HeaderName>,
    reset_seconds: Vec<HeaderName>,
    pairs: Vec<HeaderName>,
}

impl Headers {
    /// Parses the names.
    pub(super) fn new(names: &LimitHeaders) -> Self {
        // A name that no header can have matches no header.
        let parse = |names: &[String]| names.iter().filter_map(|name| name.parse().ok()).collect();
        Headers {
            limit: parse(&names.limit),
            remaining: parse(&names.remaining),
            reset_seconds: parse(&names.reset_seconds),
            pairs: parse(&names.pairs),
        }
    }

    /// What an answer's headers say.
    pub(super) fn read(&self, headers: &HeaderMap) -> Said {
        let number = |names: &[HeaderName]| {
            names
                .iter()
                .find_map(|name| leading_number(header_text(headers, name)?))
        };
        let mut said = Said {
            limit: number(&self.limit).map(whole),
            remaining: number(&self.remaining).map(whole),
            reset: number(&self.reset_seconds).and_then(reset),
        };
        for text in self.pairs.iter().filter_map(|name| header_text(headers, name)) {
            for (name, value) in text.split([';', ',']).filter_map(|pair| pair.split_once('=')) {
                let Some(value) = leading_number(value) else {
                    continue;
                };
                match name.trim().to_ascii_lowercase().as_str() {
                    "total" | "limit" => said.limit = Some(whole(value)),
                    "remaining" => said.remaining = Some(whole(value)),
                    "resets" | "reset" => said.reset = reset(value),
                    _ => {}
                }
            }
        }
        said
    }
}

/// `100`, `100;w=60`, `100, 100;w=60`.
fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

fn whole(number: f64) -> u64 {
    // Saturates; the sign is never negative.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let number = number as u64;
    number
}

fn reset(seconds: f64) -> Option<Duration> {
    if seconds < UNIX_TIME {
        return seconds_to_wait(seconds);
    }
    #[allow(clippy::cast_precision_loss)]
    let now = jiff::Timestamp::now().as_second() as f64;
    seconds_to_wait((seconds - now).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn headers_are_read_in_every_spelling() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let account = Headers::new(&LimitHeaders {
            limit: names(&["x-rate-limit", "no header name"]),
            remaining: names(&["x-rate-limit-remaining"]),
            reset_seconds: names(&["ratelimit-reset"]),
            pairs: Vec::new(),
        });
        let exports = Headers::new(&LimitHeaders {
            pairs: names(&["x-exports-new", "x-exports-old"]),
            ..LimitHeaders::default()
        });
        let read = |headers: &Headers, pairs: &[(&'static str, &str)]| {
            let pair = |(name, value): &(&'static str, &str)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            };
            headers.read(&pairs.iter().map(pair).collect())
        };
        let said = |limit, remaining, reset| Said {
            limit,
            remaining,
            reset: Option::map(reset, Duration::from_secs),
        };
        let all = [
            ("x-rate-limit", "700"),
            ("x-rate-limit-remaining", "699"),
            ("ratelimit-reset", "41"),
        ];
        assert_eq!(read(&account, &all), said(Some(700), Some(699), Some(41)));
        assert_eq!(
            read(&account, &[("x-rate-limit", "100, 100;w=60")]),
            said(Some(100), None, None)
        );
        assert_eq!(
            read(&exports, &[("x-exports-new", "total=10; remaining=9; resets=2")]),
            said(Some(10), Some(9), Some(2))
        );
        assert_eq!(
            read(&exports, &[("x-exports-old", "Total=10;remaining=0")]),
            said(Some(10), Some(0), None)
        );
        assert_eq!(
            read(&account, &[("x-rate-limit-remaining", "none")]),
            Said::default()
        );
    }
}
