//! Budgets: which are paused, what waits for which, and how long.

use super::*;
use crate::compile::compiled::LimitHeaders;
use reqwest::header::{HeaderName, HeaderValue};

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    pairs.iter().map(pair).collect()
}

fn limit(name: &str, at_once: Option<u32>, headers: LimitHeaders) -> Limit {
    Limit {
        name: name.to_owned(),
        rate: None,
        at_once,
        each: None,
        wait_at_most: Duration::from_secs(30),
        headers,
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn limits(rates: &[Option<&str>]) -> Arc<Limits> {
    let account = LimitHeaders {
        limit: names(&["x-rate-limit"]),
        remaining: names(&["x-rate-limit-remaining"]),
        reset_seconds: names(&["ratelimit-reset"]),
        pairs: Vec::new(),
    };
    let exports = LimitHeaders {
        pairs: names(&["x-exports-new", "x-exports-old"]),
        ..LimitHeaders::default()
    };
    let limits = [
        limit("account", Some(2), account),
        limit("exports", None, exports),
    ];
    let rates = rates.iter().map(|rate| rate.map(str::to_owned)).collect();
    Arc::new(Limits::new(&limits, rates, 1.0, Arc::default()).unwrap())
}

fn both(limits: &Limits) -> Draw {
    limits.draw([(0, Each::Whole), (1, Each::Whole)])
}

#[tokio::test]
async fn only_the_budget_that_is_not_shown_innocent_is_paused() {
    let limits = limits(&[None, None]);
    let answer = headers(&[("x-rate-limit-remaining", "500")]);
    assert_eq!(
        limits.pause(&both(&limits), None, &answer, Duration::from_secs(30)),
        Paused::All("exports".to_owned())
    );
    let stop = CancellationToken::new();
    let account = limits.draw([(0, Each::Whole)]);
    limits
        .acquire(&account, false, Duration::ZERO, &stop)
        .await
        .unwrap();
    let denied = limits
        .acquire(&both(&limits), false, Duration::from_secs(1), &stop)
        .await
        .unwrap_err();
    assert!(matches!(denied, Denied::Spent { budget, .. } if budget == "exports"));
}

#[tokio::test]
async fn a_request_without_budgets_pauses_the_connection() {
    let limits = limits(&[None, None]);
    let free = limits.draw([]);
    limits.pause(&free, None, &HeaderMap::new(), Duration::from_secs(30));
    let stop = CancellationToken::new();
    let denied = limits.acquire(&both(&limits), false, Duration::ZERO, &stop).await;
    assert!(matches!(denied, Err(Denied::Spent { .. })));
}

#[tokio::test]
async fn a_spent_budget_takes_nothing_from_the_others() {
    let limits = limits(&[Some("5 per minute"), Some("1 per minute")]);
    let stop = CancellationToken::new();
    drop(
        limits
            .acquire(&both(&limits), false, Duration::ZERO, &stop)
            .await
            .unwrap(),
    );
    for _ in 0..3 {
        assert!(
            limits
                .acquire(&both(&limits), false, Duration::ZERO, &stop)
                .await
                .is_err()
        );
    }
    let slot = Slot {
        budget: 0,
        each: None,
    };
    let left = limits
        .lock()
        .windows
        .get_mut(&slot)
        .unwrap()
        .remaining(Instant::now());
    assert_eq!(left, Some(4));
}

#[tokio::test]
async fn values_of_each_have_windows_of_their_own() {
    let limits = limits(&[Some("1 per minute"), None]);
    let stop = CancellationToken::new();
    let one = |key: &str| limits.draw([(0, Each::Value(key.to_owned()))]);
    drop(
        limits
            .acquire(&one("a"), false, Duration::ZERO, &stop)
            .await
            .unwrap(),
    );
    drop(
        limits
            .acquire(&one("b"), false, Duration::ZERO, &stop)
            .await
            .unwrap(),
    );
    assert!(
        limits
            .acquire(&one("a"), false, Duration::ZERO, &stop)
            .await
            .is_err()
    );
    let none = limits.draw([(0, Each::Nothing)]);
    drop(limits.acquire(&none, false, Duration::ZERO, &stop).await.unwrap());
}

#[tokio::test]
async fn no_more_requests_than_allowed_are_on_their_way_and_stopping_ends_the_wait() {
    let limits = limits(&[None, None]);
    let stop = CancellationToken::new();
    let mut first = limits
        .acquire(&both(&limits), false, Duration::ZERO, &stop)
        .await
        .unwrap();
    let second = limits
        .acquire(&both(&limits), false, Duration::ZERO, &stop)
        .await
        .unwrap();
    let (third, ()) = tokio::join!(limits.acquire_owned_for_test(&stop), async { stop.cancel() });
    assert!(matches!(third, Err(Denied::Cancelled)));
    let stop = CancellationToken::new();
    first.answered(&[]);
    drop(
        limits
            .acquire(&both(&limits), false, Duration::ZERO, &stop)
            .await
            .unwrap(),
    );
    drop(second);
}

/// One budget for all and one for each record, of which the headers say something.
fn of_records() -> Arc<Limits> {
    let records = LimitHeaders {
        pairs: names(&["x-record"]),
        ..LimitHeaders::default()
    };
    let account = LimitHeaders {
        pairs: names(&["x-account"]),
        ..LimitHeaders::default()
    };
    let limits = [limit("account", None, account), limit("record", None, records)];
    let rates = vec![None, Some("1 per minute".to_owned())];
    Arc::new(Limits::new(&limits, rates, 1.0, Arc::default()).unwrap())
}

fn of_record(limits: &Limits, key: &str) -> Draw {
    limits.draw([(0, Each::Whole), (1, Each::Value(key.to_owned()))])
}

#[tokio::test]
async fn a_write_does_not_wait_for_the_budget_of_its_record() {
    let limits = of_records();
    let stop = CancellationToken::new();
    let (a, b) = (of_record(&limits, "a"), of_record(&limits, "b"));
    drop(limits.acquire(&a, true, Duration::ZERO, &stop).await.unwrap());
    let denied = limits.acquire(&a, true, Duration::from_secs(600), &stop).await;
    assert!(matches!(denied, Err(Denied::Later(later)) if later.budget == "record"));
    drop(limits.acquire(&b, true, Duration::ZERO, &stop).await.unwrap());
}

#[tokio::test]
async fn a_refusal_for_one_record_pauses_that_record_alone() {
    let stop = CancellationToken::new();
    let told = headers(&[("x-record", "total=30; remaining=0; resets=60")]);
    for (named, headers) in [(None, &told), (Some(1), &HeaderMap::new())] {
        let limits = of_records();
        let (a, b) = (of_record(&limits, "a"), of_record(&limits, "b"));
        let paused = limits.pause(&a, named, headers, Duration::from_secs(60));
        assert!(matches!(paused, Paused::Records(later) if later.budget == "record"));
        assert!(limits.acquire(&a, true, Duration::ZERO, &stop).await.is_err());
        drop(limits.acquire(&b, true, Duration::ZERO, &stop).await.unwrap());
    }
    // Of two records in one request nobody knows which it was.
    let limits = of_records();
    let mut both = of_record(&limits, "a");
    both.add(of_record(&limits, "b"));
    let paused = limits.pause(&both, Some(1), &HeaderMap::new(), Duration::from_secs(60));
    assert!(matches!(paused, Paused::Records(_)));
    drop(
        limits
            .acquire(&of_record(&limits, "a"), true, Duration::ZERO, &stop)
            .await
            .unwrap(),
    );
}

impl Limits {
    async fn acquire_owned_for_test(self: &Arc<Self>, stop: &CancellationToken) -> Result<Grant, Denied> {
        self.acquire(&both(self), false, Duration::ZERO, stop).await
    }
}
