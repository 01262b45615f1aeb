//! Faults that a test orders: wrong statuses, delays, cut connections, torn bodies.
//!
//! Ordered by `POST /_sandbox/faults`, used up in order, first match first.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// One fault, for the requests that it matches.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// The beginning of `METHOD /path?query`; a lone method or the empty text matches more.
    #[serde(rename = "match")]
    pub(crate) matches: String,
    /// Answer with this status instead of asking the system.
    pub(crate) status: Option<u16>,
    /// The `Retry-After` header of that answer, in seconds.
    pub(crate) retry_after: Option<u64>,
    /// The body of that answer.
    pub(crate) body: Option<String>,
    /// The media type of that body; JSON or plain text, by its first character, when nothing is said.
    pub(crate) content_type: Option<String>,
    /// Wait this long before anything else.
    pub(crate) delay_ms: Option<u64>,
    /// Close the connection without doing anything and without an answer.
    #[serde(default)]
    pub(crate) cut: bool,
    /// Do what was asked, then close the connection without an answer.
    #[serde(default)]
    pub(crate) cut_after_write: bool,
    /// Send the first half of the answer's body, then close.
    #[serde(default)]
    pub(crate) torn: bool,
    /// How many matching requests are hit.
    #[serde(default = "once")]
    pub(crate) times: u32,
    /// How many matching requests pass before the first is hit.
    #[serde(default)]
    pub(crate) after: u32,
}

fn once() -> u32 {
    1
}

/// The faults still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    ordered: VecDeque<Fault>,
}

impl Faults {
    pub(crate) fn order(&mut self, faults: Vec<Fault>) {
        self.ordered.extend(faults);
    }

    pub(crate) fn clear(&mut self) {
        self.ordered.clear();
    }

    pub(crate) fn ordered(&self) -> &VecDeque<Fault> {
        &self.ordered
    }

    /// The fault for a request, if one is due; counts it as used.
    pub(crate) fn take(&mut self, method: &str, target: &str) -> Option<Fault> {
        let request = format!("{method} {target}");
        let mut due = None;
        for fault in &mut self.ordered {
            if !request.starts_with(&fault.matches) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                due = Some(fault.clone());
                break;
            }
        }
        self.ordered.retain(|fault| fault.times > 0);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Faults {
        let mut faults = Faults::default();
        faults.order(serde_json::from_str(text).unwrap());
        faults
    }

    #[test]
    fn faults_hit_what_they_match_as_often_as_ordered() {
        let mut faults = order(r#"[{"match":"GET /a","status":503,"times":2}]"#);
        assert!(faults.take("POST", "/a").is_none());
        assert_eq!(faults.take("GET", "/a?x=1").unwrap().status, Some(503));
        assert!(faults.take("GET", "/ab").is_some());
        assert!(faults.take("GET", "/a").is_none());
        assert!(faults.ordered().is_empty());
    }

    #[test]
    fn a_fault_can_let_some_requests_pass_first() {
        let mut faults = order(r#"[{"match":"GET","cut":true,"after":1}]"#);
        assert!(faults.take("GET", "/a").is_none());
        assert!(faults.take("GET", "/a").unwrap().cut);
    }
}
