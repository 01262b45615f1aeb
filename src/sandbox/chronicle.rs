//! What happened in both stand-ins, in one order: who changed which rows, what a client wrote, and which records it was
//! shown.
//!
//! Soak tests follow every edit through it: whether the client had seen a value before it replaced it cannot be told from
//! what stands in the end. Off until a test asks for it (`POST /_sandbox/chronicle` on either stand-in).

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::message::Request;

/// Events in the order in which they happened; `None` while nobody asks.
#[derive(Debug, Default)]
pub(crate) struct Chronicle {
    events: Mutex<Option<Vec<Value>>>,
}

impl Chronicle {
    /// Begins anew, from now on.
    pub(crate) fn begin(&self) {
        *self.lock() = Some(Vec::new());
    }

    /// Whether anybody asks.
    pub(crate) fn is_on(&self) -> bool {
        self.lock().is_some()
    }

    /// What happened since the last call.
    pub(crate) fn take(&self) -> Vec<Value> {
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A person changed something: the rows, whole, as they are now; null for one that is gone.
    pub(crate) fn person(&self, system: &str, rows: &Map<String, Value>) {
        self.add(json!({ "by": "person", "system": system, "rows": rows }));
    }

    /// A client asked for something: what it sent, what it was shown if the answer reached it, which rows that changed,
    /// and what business rules did.
    pub(crate) fn client(
        &self,
        system: &str,
        request: &Request,
        answered: (u16, Option<&[u8]>),
        rows: &Map<String, Value>,
        fired: &[Value],
    ) {
        let (status, body) = answered;
        self.add(json!({
            "by": "client",
            "system": system,
            "method": request.method.as_str(),
            "path": request.target,
            "sent": request.json(),
            "status": status,
            "arrived": body.is_some(),
            "shown": body.map(shown).unwrap_or_default(),
            "rows": rows,
            "fired": fired,
        }));
    }

    fn add(&self, event: Value) {
        if let Some(events) = self.lock().as_mut() {
            events.push(event);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Value>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The records of an answer, as `tickets/7`; those beside them (`users`, `included`) are not meant.
fn shown(body: &[u8]) -> Vec<String> {
    let Ok(document) = serde_json::from_slice::<Value>(body) else {
        return Vec::new();
    };
    let name = |record: &Value, kind: &str| {
        let kind = record
            .get("type")
            .and_then(Value::as_str)
            .filter(|_| kind == "data")
            .unwrap_or(kind);
        let id = record.get("id")?;
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        Some(match kind {
            "ticket" => format!("tickets/{id}"),
            kind => format!("{kind}/{id}"),
        })
    };
    ["ticket", "tickets", "data"]
        .into_iter()
        .filter_map(|kind| Some((kind, document.get(kind)?)))
        .flat_map(|(kind, found)| match found {
            Value::Array(records) => records.iter().filter_map(|record| name(record, kind)).collect(),
            record => Vec::from_iter(name(record, kind)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_of_an_answer_are_named_whatever_its_form() {
        let shown = |text: &str| shown(text.as_bytes());
        assert_eq!(
            shown(r#"{"tickets":[{"id":7},{"id":8}],"users":[{"id":1}]}"#),
            ["tickets/7", "tickets/8"]
        );
        assert_eq!(shown(r#"{"ticket":{"id":7,"type":"problem"}}"#), ["tickets/7"]);
        assert_eq!(
            shown(r#"{"data":[{"type":"cases","id":"3"}],"included":[]}"#),
            ["cases/3"]
        );
        assert_eq!(shown(r#"{"data":{"type":"cases","id":"3"}}"#), ["cases/3"]);
        assert_eq!(shown("not JSON"), [""; 0]);
    }

    #[test]
    fn nothing_is_kept_until_somebody_asks() {
        let chronicle = Chronicle::default();
        chronicle.person("helpdesk", &Map::new());
        assert!(!chronicle.is_on() && chronicle.take().is_empty());
        chronicle.begin();
        chronicle.person("helpdesk", &Map::new());
        assert_eq!(chronicle.take().len(), 1);
        assert!(chronicle.is_on() && chronicle.take().is_empty());
    }
}
