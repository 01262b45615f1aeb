//! `/_sandbox/...`: how tests steer a stand-in and look inside it. No credentials are asked for; it is loopback only.
//!
//! | request | effect |
//! |---|---|
//! | `POST faults` | orders faults, see [`Fault`](super::faults::Fault) |
//! | `GET faults`, `DELETE faults` | shows, forgets those still to come |
//! | `POST expire_tokens` | ends every access token |
//! | `POST edit` | applies an edit as a person would, then pushes the clock 90 s ahead, so that exports show it |
//! | `POST edits` | makes random edits, see [`Order`](super::activity::Order), without pushing the clock; tells each |
//! | `POST triggers` | replaces the business rules, see [`Trigger`](super::activity::Trigger) |
//! | `GET triggers`, `DELETE triggers` | shows, forgets the rules and what they did |
//! | `POST chronicle` | remembers from now on what happens in both stand-ins, see [`Chronicle`](super::chronicle::Chronicle) |
//! | `GET chronicle` | what happened since it was asked the last time |
//! | `POST settings` | changes the stand-in's behaviour |
//! | `POST clock` | `{"advance_seconds": 90}` |
//! | `POST flush` | writes the state to disk |
//! | `GET state` | everything that the system remembers |
//! | `GET requests`, `DELETE requests` | the log of requests, with counters |

use axum::http::Method;
use serde_json::{Value, json};

use super::chronicle::Chronicle;
use super::message::{Request, Response};
use super::server::{Inner, RequestLog, Shared, System};
use super::store::Store;

/// How far an edit pushes the clock: past the minute that exports hold back.
const EDIT_AGE_SECONDS: i64 = 90;

/// Answers a request to the control endpoint.
pub(crate) fn answer<S: System>(shared: &Shared<S>, action: &str, request: &Request) -> Response {
    match perform(shared, action, request) {
        Ok(document) => Response::json(200, &document),
        Err(message) => Response::json(400, &json!({ "error": message })),
    }
}

fn perform<S: System>(shared: &Shared<S>, action: &str, request: &Request) -> Result<Value, String> {
    let mut inner = shared.lock();
    let Inner {
        system,
        store,
        faults,
        log,
    } = &mut *inner;
    match (&request.method, action) {
        (&Method::POST, "faults") => {
            let ordered = serde_json::from_slice(&request.body).map_err(in_words)?;
            faults.order(ordered);
            serde_json::to_value(faults.ordered()).map_err(in_words)
        }
        (&Method::GET, "faults") => serde_json::to_value(faults.ordered()).map_err(in_words),
        (&Method::DELETE, "faults") => {
            faults.clear();
            Ok(json!({}))
        }
        (&Method::POST, "expire_tokens") => {
            system.expire_tokens();
            Ok(json!({}))
        }
        (&Method::POST, "edit") => {
            let edit = body(request)?;
            let edited = system.edit(&edit)?;
            keep(&shared.chronicle, store, system)?;
            if edit.get("time").is_none() {
                shared.clock.advance(EDIT_AGE_SECONDS);
            }
            Ok(edited)
        }
        (&Method::POST, "edits") => {
            let order = serde_json::from_slice(&request.body).map_err(in_words)?;
            let edits = system.edit_at_random(&order)?;
            keep(&shared.chronicle, store, system)?;
            Ok(json!({ "edits": edits }))
        }
        (&Method::POST, "triggers") => {
            let rules = serde_json::from_slice(&request.body).map_err(in_words)?;
            system.triggers().order(rules);
            Ok(system.triggers().document())
        }
        (&Method::GET, "triggers") => Ok(system.triggers().document()),
        (&Method::DELETE, "triggers") => {
            system.triggers().clear();
            Ok(json!({}))
        }
        (&Method::POST, "chronicle") => {
            shared.chronicle.begin();
            Ok(json!({}))
        }
        (&Method::GET, "chronicle") => Ok(json!({ "events": shared.chronicle.take() })),
        (&Method::POST, "settings") => system.configure(&body(request)?),
        (&Method::POST, "clock") => {
            let seconds = body(request)?
                .get("advance_seconds")
                .and_then(Value::as_i64)
                .ok_or("`advance_seconds` must be a whole number")?;
            shared.clock.advance(seconds);
            Ok(json!({ "now": shared.clock.now().to_string() }))
        }
        (&Method::POST, "flush") => {
            store.flush(system.state()).map_err(in_words)?;
            Ok(json!({}))
        }
        (&Method::GET, "state") => serde_json::to_value(&*system.state()).map_err(in_words),
        (&Method::GET, "requests") => serde_json::to_value(&*log).map_err(in_words),
        (&Method::DELETE, "requests") => {
            *log = RequestLog::default();
            Ok(json!({}))
        }
        _ => Err(format!("no such control: {} {action}", request.method)),
    }
}

/// Makes durable what a person changed, and tells the chronicle.
fn keep<S: System>(chronicle: &Chronicle, store: &mut Store, system: &mut S) -> Result<(), String> {
    if !chronicle.is_on() {
        return store.commit(system.state()).map_err(in_words);
    }
    let rows = store.commit_told(system.state()).map_err(in_words)?;
    chronicle.person(S::NAME, &rows);
    Ok(())
}

fn body(request: &Request) -> Result<Value, String> {
    serde_json::from_slice(&request.body).map_err(in_words)
}

fn in_words(error: impl std::error::Error) -> String {
    error.to_string()
}
