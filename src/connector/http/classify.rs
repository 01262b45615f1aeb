//! What an error answer means: the connector's rules in their order, then what its status usually means.

use crate::compile::compiled::{ErrorOutcome, ErrorRule};
use crate::expression::{Value, parse_json};

/// What an answer with this status and body means, and the budget that it says is spent. The first fitting rule decides.
pub(super) fn classify(rules: &[ErrorRule], status: u16, body: &[u8]) -> (ErrorOutcome, Option<usize>) {
    let json = if rules.iter().any(|rule| !rule.body.is_empty()) {
        parse_json(body).unwrap_or_default()
    } else {
        Value::Null
    };
    rules
        .iter()
        .find(|rule| {
            rule.statuses
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&status))
                && body_fits(rule, &json)
                && text_fits(rule, body)
        })
        .map_or_else(
            || (usual_outcome(status), None),
            |rule| (rule.outcome, rule.limit),
        )
}

/// What a failed item of a bulk answer means, likewise: a rule decides only by its body conditions, because an item has
/// no status of its own.
pub(super) fn classify_item(rules: &[ErrorRule], item: &Value<'_>) -> (ErrorOutcome, Option<usize>) {
    let text = item.to_json();
    rules
        .iter()
        .filter(|rule| !rule.body.is_empty() || rule.text_contains.is_some())
        .find(|rule| body_fits(rule, item) && text_fits(rule, text.as_bytes()))
        .map_or((ErrorOutcome::Reject, None), |rule| (rule.outcome, rule.limit))
}

fn body_fits(rule: &ErrorRule, json: &Value<'_>) -> bool {
    rule.body.iter().all(|(path, texts)| {
        path.all(json)
            .into_iter()
            .any(|value| texts.iter().any(|text| *text == plain_text(value)))
    })
}

fn text_fits(rule: &ErrorRule, body: &[u8]) -> bool {
    rule.text_contains.as_ref().is_none_or(|text| {
        String::from_utf8_lossy(body)
            .to_lowercase()
            .contains(&text.to_lowercase())
    })
}

fn usual_outcome(status: u16) -> ErrorOutcome {
    match status {
        429 | 503 => ErrorOutcome::Wait,
        401 => ErrorOutcome::RenewToken,
        403 => ErrorOutcome::Auth,
        404 | 410 => ErrorOutcome::Gone,
        408 | 500..=599 => ErrorOutcome::Retry,
        _ => ErrorOutcome::Reject,
    }
}

/// A scalar as plain text, anything else as JSON.
fn plain_text(value: &Value<'_>) -> String {
    match value.as_text() {
        Some(text) => text.to_owned(),
        None => value.to_json(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Path;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn rule(
        statuses: (u16, u16),
        body: &[(&str, &str)],
        text: Option<&str>,
        outcome: ErrorOutcome,
    ) -> ErrorRule {
        ErrorRule {
            statuses: vec![statuses],
            body: body
                .iter()
                .map(|(at, value)| (path(at), vec![(*value).to_owned()]))
                .collect(),
            text_contains: text.map(str::to_owned),
            outcome,
            limit: None,
        }
    }

    #[test]
    fn the_first_fitting_rule_decides_and_defaults_follow() {
        let rules = [
            rule(
                (409, 409),
                &[("$.error", "UpdateConflict")],
                None,
                ErrorOutcome::Conflict,
            ),
            rule((409, 409), &[], None, ErrorOutcome::Retry),
            rule((422, 422), &[], Some("CLOSED prevents"), ErrorOutcome::Frozen),
            rule(
                (422, 422),
                &[("$.details.*[*].error", "DuplicateValue")],
                None,
                ErrorOutcome::Exists,
            ),
            rule((400, 499), &[("$.code", "7")], None, ErrorOutcome::Fatal),
        ];
        for (status, body, outcome) in [
            (409, r#"{"error":"UpdateConflict"}"#, ErrorOutcome::Conflict),
            (409, "not json", ErrorOutcome::Retry),
            (
                422,
                r#"{"details":{"status":[{"description":"closed prevents update"}]}}"#,
                ErrorOutcome::Frozen,
            ),
            (
                422,
                r#"{"details":{"email":[{"error":"DuplicateValue"}]}}"#,
                ErrorOutcome::Exists,
            ),
            (422, r#"{"code":7}"#, ErrorOutcome::Fatal),
            (422, "{}", ErrorOutcome::Reject),
            (429, "", ErrorOutcome::Wait),
            (503, "", ErrorOutcome::Wait),
            (500, "", ErrorOutcome::Retry),
            (599, "", ErrorOutcome::Retry),
            (401, "", ErrorOutcome::RenewToken),
            (403, "", ErrorOutcome::Auth),
            (404, "", ErrorOutcome::Gone),
            (418, "", ErrorOutcome::Reject),
        ] {
            assert_eq!(
                classify(&rules, status, body.as_bytes()).0,
                outcome,
                "{status} {body}"
            );
        }
        let item = parse_json(br#"{"error":"UpdateConflict"}"#).unwrap();
        assert_eq!(classify_item(&rules, &item).0, ErrorOutcome::Conflict);
        let item = parse_json(br#"{"error":"Other"}"#).unwrap();
        assert_eq!(classify_item(&rules, &item).0, ErrorOutcome::Reject);
    }
}
