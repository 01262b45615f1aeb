//! Sending a request until its answer decides: limits, sign-in, error rules, repetition.
//!
//! The rule about repetition: what the system certainly did not process (it could not be reached, it said "wait" or
//! "who are you") is sent again; what it may have processed is sent again only if that is harmless. Everything waits
//! within bounds, and every wait ends when the run is stopped.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};

use super::HttpConnection;
use super::auth::Credentials;
use super::classify::classify;
use super::error::{Refusal, read_refusal};
use super::limit::{Denied, Draw, Grant, Later, Paused};
use super::retry::{answered_at, header_text, pauses, retry_after};
use super::template::Outgoing;
use super::transport::{Lost, Received};
use crate::compile::compiled::ErrorOutcome;
use crate::connector::ConnectorError;
use crate::crash::{self, Point};
use crate::expression::JsonError;

/// A request that is to be sent.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// The request in messages and logs: stream and purpose.
    pub(super) what: &'a str,
    /// The path's template: logged instead of the address, which may hold keys and e-mail addresses.
    pub(super) template: &'a str,
    /// Its bytes.
    pub(super) outgoing: &'a Outgoing,
    /// Its budgets.
    pub(super) draw: Draw,
    /// Whether it changes something, so that "no answer" leaves a doubt.
    pub(super) writes: bool,
    /// Whether sending it twice does what sending it once does.
    pub(super) repeatable: bool,
    /// Whether it gives up at once where only the budget of its record is spent, so that others go on.
    pub(super) defers: bool,
    /// Budgets whose bound of requests at once stays taken after the answer, for work that goes on in the system.
    pub(super) keep: &'a [usize],
}

/// An answer that was accepted.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status, 200 to 299.
    pub(super) status: u16,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body.
    pub(super) body: Bytes,
    /// When the system made it.
    pub(super) at: Timestamp,
}

/// An accepted answer and what it took.
#[derive(Debug)]
pub(super) struct Done<T> {
    /// What the caller read from the answer.
    pub(super) value: T,
    /// The answer.
    pub(super) answer: Answer,
    /// How often the request was sent.
    pub(super) attempts: u32,
    /// From the first sending to the answer.
    pub(super) latency: Duration,
    /// Still holds the budgets in [`Call::keep`].
    pub(super) grant: Grant,
}

/// Why there is no accepted answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The system refused; the caller decides what that means for the record.
    Refused {
        /// One of conflict, exists, gone, frozen, reject.
        outcome: ErrorOutcome,
        /// The status.
        status: u16,
        /// Its words.
        refusal: Refusal,
    },
    /// Sent, not repeatable, and no usable answer: nobody knows whether it happened.
    Unknown(String),
    /// Not sent, or refused, because the record's own budget is spent.
    Later(Later),
    /// The run, or what it was for, must end.
    Error(ConnectorError),
}

/// Why an accepted answer cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// Its JSON is torn; asking again may help.
    Json(JsonError),
    /// It is not what the connector says.
    Wrong(ConnectorError),
}

/// What to do after one sending.
enum Next {
    /// Send again after this pause; counts as an attempt.
    Retry {
        message: String,
        asked: Option<Duration>,
    },
    /// Send again once the budget is free.
    Wait {
        message: String,
        asked: Option<Duration>,
        headers: HeaderMap,
        limit: Option<usize>,
    },
    /// Get a new token, then send again.
    Renew { message: String },
    /// No use.
    Fail(Failure),
}

impl HttpConnection {
    /// Sends a request until there is an answer that `read` accepts, or a reason to give up. Giving up on a write that
    /// the system may have processed is [`Failure::Unknown`], whatever the reason.
    pub(super) async fn exchange<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(&Answer) -> Result<T, Unusable>,
    ) -> Result<Done<T>, Failure> {
        let mut doubtful = false;
        match self.exchange_until(call, read, &mut doubtful).await {
            Err(Failure::Error(error)) if doubtful && call.writes => Err(Failure::Unknown(error.to_string())),
            // The change that it met may be its own, made by the attempt that was not answered.
            Err(Failure::Refused {
                outcome: ErrorOutcome::Conflict,
                refusal,
                ..
            }) if doubtful && call.writes => Err(Failure::Unknown(refusal.message)),
            result => result,
        }
    }

    async fn exchange_until<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(&Answer) -> Result<T, Unusable>,
        doubtful: &mut bool,
    ) -> Result<Done<T>, Failure> {
        let started = Instant::now();
        let mut retry_pauses = pauses(&self.context.http);
        let mut wait_pauses = pauses(&self.context.http);
        let mut patience = self.context.http.patience;
        let mut renewed = false;
        let mut attempts = 0;
        loop {
            let limit = self.limits.acquire(
                &call.draw,
                call.defers,
                self.context.http.patience,
                &self.context.stop,
            );
            let mut grant = limit.await.map_err(|denied| self.denied(call, denied))?;
            let credentials = self
                .authenticator
                .credentials(&self.transport)
                .await
                .map_err(Failure::Error)?;
            if attempts > 0 {
                self.counters.retries.add(1);
            }
            attempts += 1;
            if call.writes {
                crash::at(Point::RequestBefore);
            }
            let received = self.send_once(call, &credentials, attempts).await;
            if call.writes {
                crash::at(Point::ResponseReceived);
            }
            grant.answered(call.keep);
            let next = match received {
                Err(lost) => {
                    *doubtful |= !matches!(lost, Lost::NotSent(_));
                    self.after_loss(call, lost)
                }
                Ok(received) => {
                    *doubtful |= received.status < 300 || received.status >= 500;
                    self.limits.observe(&call.draw, &received.headers);
                    self.learn_time(&received.headers);
                    if (200..300).contains(&received.status) {
                        let answer = Answer::new(received);
                        match read(&answer) {
                            Ok(value) => {
                                let latency = started.elapsed();
                                return Ok(Done {
                                    value,
                                    answer,
                                    attempts,
                                    latency,
                                    grant,
                                });
                            }
                            Err(unusable) => self.after_unusable(call, unusable),
                        }
                    } else {
                        self.after_refusal(call, &received)
                    }
                }
            };
            drop(grant);
            match next {
                Next::Fail(failure) => return Err(failure),
                Next::Retry { message, asked } => {
                    let pause = retry_pauses
                        .next()
                        .map(|pause| asked.map_or(pause, |asked| asked.max(pause)));
                    let Some(pause) = pause.filter(|pause| *pause <= patience) else {
                        return Err(self.unreachable(call, attempts, message));
                    };
                    patience = patience.saturating_sub(pause);
                    self.sleep(pause).await?;
                }
                Next::Wait {
                    message,
                    asked,
                    headers,
                    limit,
                } => {
                    let told = asked.or_else(|| self.limits.told_wait(&call.draw, &headers));
                    let wait = told
                        .or_else(|| wait_pauses.next())
                        .unwrap_or(self.context.http.longest_pause);
                    // A server that says "now" and refuses again must not be asked in a tight loop.
                    let wait = wait.max(self.context.http.first_pause);
                    let budget = match self.limits.pause(&call.draw, limit, &headers, wait) {
                        Paused::Records(later) if call.defers => return Err(Failure::Later(later)),
                        Paused::Records(later) => later.budget,
                        Paused::All(budget) => budget,
                    };
                    tracing::debug!(
                        connection = self.name(),
                        request = call.what,
                        budget,
                        message,
                        "told to wait"
                    );
                    if wait > patience {
                        return Err(Failure::Error(ConnectorError::QuotaSpent {
                            connection: self.name().to_owned(),
                            what: call.what.to_owned(),
                            budget,
                            wait,
                        }));
                    }
                    patience -= wait;
                }
                Next::Renew { message } => {
                    let renewal = async {
                        Ok(!renewed && self.authenticator.renew(&self.transport, &credentials).await?)
                    };
                    if !renewal.await.map_err(Failure::Error)? {
                        return Err(Failure::Error(self.auth(call, message)));
                    }
                    renewed = true;
                }
            }
        }
    }

    async fn send_once(
        &self,
        call: &Call<'_>,
        credentials: &Credentials,
        attempt: u32,
    ) -> Result<Received, Lost> {
        let mut headers = call.outgoing.headers.clone();
        for (name, value) in &credentials.headers {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(redact) = &self.context.http.log_bodies {
            let body = redact.redact_json(&call.outgoing.body);
            tracing::debug!(connection = self.name(), request = call.what, body = %String::from_utf8_lossy(&body), "body sent");
        }
        let started = Instant::now();
        let outgoing = call.outgoing;
        let received = self
            .transport
            .send(&outgoing.method, &outgoing.url, headers, outgoing.body.clone())
            .await;
        let milliseconds = started.elapsed().as_millis();
        let (connection, method) = (self.name(), outgoing.method.as_str());
        match &received {
            Ok(received) => {
                tracing::debug!(
                    connection,
                    request = call.what,
                    method,
                    template = call.template,
                    attempt,
                    status = received.status,
                    bytes = received.body.len(),
                    milliseconds,
                    "answered"
                );
                if let Some(redact) = &self.context.http.log_bodies {
                    let body = redact.redact_json(&received.body);
                    tracing::debug!(connection, request = call.what, body = %String::from_utf8_lossy(&body), "body received");
                }
            }
            Err(lost) => {
                tracing::debug!(
                    connection, request = call.what, method, template = call.template, attempt, milliseconds,
                    error = ?lost, "no answer"
                );
            }
        }
        received
    }

    fn after_loss(&self, call: &Call<'_>, lost: Lost) -> Next {
        match lost {
            Lost::NotSent(message) => Next::Retry { message, asked: None },
            Lost::Unanswered(message) if call.repeatable => Next::Retry { message, asked: None },
            Lost::Unanswered(message) => Next::Fail(Failure::Unknown(message)),
            Lost::Stopped if call.repeatable => Next::Fail(Failure::Error(ConnectorError::Cancelled)),
            Lost::Stopped => Next::Fail(Failure::Unknown(
                "stopped while the request was on its way".to_owned(),
            )),
            Lost::TooLarge if call.repeatable => Next::Fail(Failure::Error(ConnectorError::TooLarge {
                connection: self.name().to_owned(),
                what: call.what.to_owned(),
                limit: self.transport.largest_body(),
            })),
            Lost::TooLarge => Next::Fail(Failure::Unknown("the answer is too large".to_owned())),
        }
    }

    fn after_unusable(&self, call: &Call<'_>, unusable: Unusable) -> Next {
        match unusable {
            Unusable::Json(error) if call.repeatable => Next::Retry {
                message: format!("the answer is not valid JSON: {error}"),
                asked: None,
            },
            Unusable::Json(error) => {
                Next::Fail(Failure::Unknown(format!("the answer is not valid JSON: {error}")))
            }
            Unusable::Wrong(error) if call.repeatable => Next::Fail(Failure::Error(error)),
            Unusable::Wrong(error) => Next::Fail(Failure::Unknown(error.to_string())),
        }
    }

    fn after_refusal(&self, call: &Call<'_>, received: &Received) -> Next {
        let status = received.status;
        let connector = match self.connector() {
            Ok(connector) => connector,
            Err(error) => return Next::Fail(Failure::Error(error)),
        };
        if (300..400).contains(&status) {
            let to = header_text(&received.headers, &LOCATION).unwrap_or_default();
            return Next::Fail(Failure::Error(ConnectorError::Redirected {
                connection: self.name().to_owned(),
                what: call.what.to_owned(),
                to: to.split('?').next().unwrap_or_default().to_owned(),
            }));
        }
        let (outcome, limit) = classify(&connector.errors, status, &received.body);
        let refusal = read_refusal(
            &connector.error_message,
            connector.envelope,
            status,
            &received.body,
        );
        let asked = retry_after(&received.headers, Timestamp::now());
        let message = refusal.message.clone();
        match outcome {
            ErrorOutcome::Wait => Next::Wait {
                message,
                asked,
                headers: received.headers.clone(),
                limit,
            },
            ErrorOutcome::Retry if status >= 500 && !call.repeatable => {
                Next::Fail(Failure::Unknown(format!("{message} (status {status})")))
            }
            ErrorOutcome::Retry => Next::Retry {
                message: format!("{message} (status {status})"),
                asked,
            },
            ErrorOutcome::RenewToken => Next::Renew { message },
            ErrorOutcome::Auth => Next::Fail(Failure::Error(self.auth(call, message))),
            ErrorOutcome::Fatal => Next::Fail(Failure::Error(ConnectorError::Fatal {
                connection: self.name().to_owned(),
                what: call.what.to_owned(),
                message,
            })),
            ErrorOutcome::Conflict
            | ErrorOutcome::Exists
            | ErrorOutcome::Gone
            | ErrorOutcome::Frozen
            | ErrorOutcome::Reject => Next::Fail(Failure::Refused {
                outcome,
                status,
                refusal,
            }),
        }
    }

    /// Sleeps, unless the run is stopped.
    pub(super) async fn sleep(&self, pause: Duration) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = self.context.stop.cancelled() => Err(Failure::Error(ConnectorError::Cancelled)),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    fn denied(&self, call: &Call<'_>, denied: Denied) -> Failure {
        Failure::Error(match denied {
            Denied::Later(later) => return Failure::Later(later),
            Denied::Cancelled => ConnectorError::Cancelled,
            Denied::Spent { budget, wait } => ConnectorError::QuotaSpent {
                connection: self.name().to_owned(),
                what: call.what.to_owned(),
                budget,
                wait,
            },
        })
    }

    fn auth(&self, call: &Call<'_>, message: String) -> ConnectorError {
        ConnectorError::Auth {
            connection: self.name().to_owned(),
            what: call.what.to_owned(),
            message,
        }
    }

    fn unreachable(&self, call: &Call<'_>, attempts: u32, message: String) -> Failure {
        Failure::Error(ConnectorError::Unreachable {
            connection: self.name().to_owned(),
            what: call.what.to_owned(),
            attempts,
            message,
        })
    }
}

impl Answer {
    fn new(received: Received) -> Self {
        Answer {
            status: received.status,
            at: answered_at(&received.headers).unwrap_or_else(Timestamp::now),
            headers: received.headers,
            body: received.body,
        }
    }
}

impl Failure {
    /// This failure as the end of a question: a refusal is an error of the request.
    pub(super) fn into_error(self, connection: &str, what: &str) -> ConnectorError {
        match self {
            Failure::Error(error) => error,
            Failure::Refused { status, refusal, .. } => ConnectorError::Rejected {
                connection: connection.to_owned(),
                what: what.to_owned(),
                status,
                message: refusal.message,
            },
            Failure::Later(Later { budget, wait, .. }) => ConnectorError::QuotaSpent {
                connection: connection.to_owned(),
                what: what.to_owned(),
                budget,
                wait,
            },
            Failure::Unknown(message) => ConnectorError::Unreachable {
                connection: connection.to_owned(),
                what: what.to_owned(),
                attempts: 1,
                message,
            },
        }
    }

    /// Whether the system says that there is no such thing.
    pub(super) fn is_gone(&self) -> bool {
        matches!(
            self,
            Failure::Refused {
                outcome: ErrorOutcome::Gone,
                ..
            }
        )
    }
}

/// A header from texts; `None` if they cannot make one.
pub(super) fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, HeaderValue::from_str(value).ok()?))
}
