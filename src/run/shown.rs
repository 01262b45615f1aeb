//! What may be kept of a record where people read it: in the `extracted` snapshot and in the queue.

use std::borrow::Cow;

use crate::expression::Record;
use crate::mapping::privacy::Redactor;

/// A record's texts without its private members.
pub(crate) struct Shown<'r> {
    /// As received. Private members are named as rules read them; where rules read another text than the one received,
    /// it is that text.
    pub(crate) raw: Cow<'r, [u8]>,
    /// As rules read it, joined records included, where that is another text.
    pub(crate) read: Option<Vec<u8>>,
    /// Whether anything private was masked, hashed or dropped.
    pub(crate) redacted: bool,
}

impl<'r> Shown<'r> {
    /// What the redactor leaves of a record.
    pub(crate) fn new(redactor: &Redactor, record: &'r Record) -> Self {
        let unwrapped = record.view().filter(|_| redactor.applies());
        let raw = redactor.redact_json(unwrapped.unwrap_or(record.received()));
        let more = !record.joined().is_empty() || (record.view().is_some() && unwrapped.is_none());
        let read = more
            .then(|| record.value().ok())
            .flatten()
            .map(|value| value.to_json().into_bytes());
        let mut redacted = matches!(raw, Cow::Owned(_));
        let read = read.map(|text| match redactor.redact_json(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(without) => {
                redacted = true;
                without
            }
        });
        Shown {
            raw,
            read,
            redacted: redacted || unwrapped.is_some(),
        }
    }
}
