//! Named budgets: how many requests in which time, and which answer headers correct that.

use std::time::Duration;

use super::ConnectorChecks;
use crate::compile::compiled::{Limit, LimitHeaders};
use crate::compile::pointer::Pointer;
use crate::compile::sight::Sight;
use crate::definition::Place;
use crate::definition::{self, OneOrMany};
use crate::diagnostic::Code;
use crate::expression::{Scope, Template};

/// How long a record whose own budget is spent waits within a run.
const WAITS_AT_MOST: Duration = Duration::from_secs(30);

impl ConnectorChecks<'_, '_> {
    /// All budgets, in the order written.
    pub(super) fn limits(&self, at: &Pointer) -> Option<Vec<Limit>> {
        let limits: Vec<_> = self
            .definition
            .limits
            .iter()
            .map(|(name, limit)| self.limit(&at.key(name), name, limit))
            .collect();
        limits.into_iter().collect()
    }

    fn limit(&self, at: &Pointer, name: &str, limit: &definition::Limit) -> Option<Limit> {
        if limit.rate.is_none() && limit.at_once.is_none() {
            self.checks.error(Code::BadRate, at, |report| {
                report
                    .message(format!("the limit `{name}` limits nothing"))
                    .at_key()
                    .hint("give it a `rate` such as `100 per minute`, or `at_once`")
            });
        }
        let rate = limit.rate.as_ref().map(|text| {
            let at = at.key("rate");
            let rate = self
                .checks
                .text(&at, text, Sight::new(Place::LimitRate, &self.names))?;
            self.check_rate(&at, &rate).then_some(rate)
        });
        let each = limit.each.as_ref().map(|text| {
            self.checks
                .text(&at.key("each"), text, Sight::new(Place::LimitKey, &self.names))
        });
        if limit.wait_at_most.is_some() && limit.each.is_none() {
            self.checks.error(Code::BadRate, &at.key("wait_at_most"), |report| {
                report
                    .message(format!("`wait_at_most` of the limit `{name}` has no effect: it has no `each`"))
                    .at_key()
                    .hint("only a record's own budget lets others go on; give the limit `each`, or leave this out")
            });
        }
        let lower = |names: Option<&OneOrMany<String>>| {
            names
                .map(|names| names.iter().map(|name| name.to_ascii_lowercase()).collect())
                .unwrap_or_default()
        };
        let headers = limit.headers.as_ref();
        Some(Limit {
            name: name.to_owned(),
            rate: match rate {
                Some(rate) => Some(rate?),
                None => None,
            },
            at_once: limit.at_once,
            each: match each {
                Some(each) => Some(each?),
                None => None,
            },
            wait_at_most: limit
                .wait_at_most
                .as_ref()
                .map_or(WAITS_AT_MOST, |wait| wait.duration()),
            headers: LimitHeaders {
                limit: lower(headers.and_then(|headers| headers.limit.as_ref())),
                remaining: lower(headers.and_then(|headers| headers.remaining.as_ref())),
                reset_seconds: lower(headers.and_then(|headers| headers.reset_seconds.as_ref())),
                pairs: lower(headers.and_then(|headers| headers.pairs.as_ref())),
            },
        })
    }

    /// Checks the text that a rate has with this connection's settings.
    fn check_rate(&self, at: &Pointer, rate: &Template) -> bool {
        let text = match (rate.is_literal(), self.settings) {
            (Some(text), _) => text.to_owned(),
            (None, Some(settings)) => match rate.render(&Scope::new().with("settings", settings)) {
                Ok(Some(text)) => text,
                Ok(None) | Err(_) => return true,
            },
            (None, None) => return true,
        };
        if parse_rate(&text).is_some() {
            return true;
        }
        self.checks.error(Code::BadRate, at, |report| {
            report
                .message(format!("`{text}` is not a rate"))
                .hint("write it as `100 per minute`, `1 per second` or `30 per 10 minutes`")
        });
        false
    }
}

/// Reads `100 per minute` or `30 per 10 minutes`; the number is not zero.
pub(super) fn parse_rate(text: &str) -> Option<(u64, Duration)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (count, many, unit) = match words.as_slice() {
        [count, "per", unit] => (*count, "1", *unit),
        [count, "per", many, unit] => (*count, *many, *unit),
        _ => return None,
    };
    let seconds = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
    let many: u64 = many.parse().ok().filter(|many| *many > 0)?;
    Some((count, Duration::from_secs(many.checked_mul(seconds)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_a_count_and_a_time() {
        assert_eq!(parse_rate("100 per minute"), Some((100, Duration::from_secs(60))));
        assert_eq!(
            parse_rate("30 per 10 minutes"),
            Some((30, Duration::from_secs(600)))
        );
        for wrong in [
            "100",
            "100/minute",
            "0 per minute",
            "x per minute",
            "1 per fortnight",
            "1 per 0 seconds",
        ] {
            assert_eq!(parse_rate(wrong), None, "{wrong}");
        }
    }
}
