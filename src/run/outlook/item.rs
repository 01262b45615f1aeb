//! A plan's decisions as data: what each would do, field by field, and why. People read them as text, programs as JSON,
//! and a plan file keeps one a line.
//!
//! Values stand here as people may see them: private ones are masked, hashed or left out as `pii` says. What was really
//! decided is in the keyed digest of each decision, by which a later run tells whether it still decides the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One decision of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanItem {
    /// The flow.
    pub flow: String,
    /// `to_local` or `to_remote` in a two-way flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// The stream that would be written, `connection.stream`.
    pub to: String,
    /// The source record's key.
    pub key: String,
    /// What would be done.
    pub kind: PlanKind,
    /// The key of the record that would be written, where there is one already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The fields that would be written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<PlanField>,
    /// Why nothing is written, or why it is not known what would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<PlanReason>,
    /// Rows that wait for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<PlanHeld>,
    /// Changes that the flow's rules do not let travel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_carried: Vec<PlanNotCarried>,
    /// Keyed digest of the decision with its true values: equal digests are equal decisions.
    pub digest: String,
}

/// What would be done about a record. The order is that in which people read a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// A record that a lookup found nothing for is created before those that need it.
    CreateReference,
    /// A record is created.
    Create,
    /// Fields of a record are changed.
    Update,
    /// A record is deleted.
    Delete,
    /// A link ends and leaves a tombstone; nothing is written.
    Unlink,
    /// Two records that correspond are linked; nothing is written.
    Link,
    /// Something changed that may not travel; nothing is written.
    NotCarried,
    /// What would be done cannot be known before the run.
    Unknown,
    /// The record is refused and goes to the queue.
    Reject,
    /// The record, or a row of it, waits for a person.
    Hold,
    /// The record waits for another one that does not exist and would not be created by this run either.
    Wait,
    /// The record is left alone.
    Skip,
}

impl PlanKind {
    /// The word for it, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            PlanKind::CreateReference => "create_reference",
            PlanKind::Create => "create",
            PlanKind::Update => "update",
            PlanKind::Delete => "delete",
            PlanKind::Unlink => "unlink",
            PlanKind::Link => "link",
            PlanKind::NotCarried => "not_carried",
            PlanKind::Unknown => "unknown",
            PlanKind::Reject => "reject",
            PlanKind::Hold => "hold",
            PlanKind::Wait => "wait",
            PlanKind::Skip => "skip",
        }
    }

    /// Whether it changes a system.
    pub fn writes(self) -> bool {
        matches!(
            self,
            PlanKind::CreateReference | PlanKind::Create | PlanKind::Update | PlanKind::Delete
        )
    }
}

/// A field that would be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanField {
    /// Its name in the written record.
    pub name: String,
    /// What stands there now; absent for a record that is created.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub before: Option<serde_json::Value>,
    /// What would stand there; absent where that is not known yet.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub after: Option<serde_json::Value>,
    /// Why the new value is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// The values are masked, hashed or left out, because they are private.
    #[serde(default, skip_serializing_if = "is_false")]
    pub private: bool,
    /// The new value is a lookup's fallback.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fallback: bool,
    /// Both sides had changed the field, or differed when they were compared for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<PlanConflict>,
}

/// A value that is there, also where it is null: null is known, and an absent value is not.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// How two values that stood against each other were decided between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanConflict {
    /// The side that wins; absent where nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<String>,
    /// By what: `policy`, `no_time`, `fallback`, `silence`, `other_empty`, `only_way`.
    pub by: String,
    /// There was no earlier common value: the records are compared for the first time.
    #[serde(default, skip_serializing_if = "is_false")]
    pub first_link: bool,
}

/// Why a record is not written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanReason {
    /// The field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The rule or step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// A stable word for the reason.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// The value, masked if it is private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// A row that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanHeld {
    /// The row.
    pub row: String,
    /// What the remote side has, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// What the local side has, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// Why it waits.
    pub reason: String,
}

/// A change that does not travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanNotCarried {
    /// The row.
    pub row: String,
    /// The side that is left as it is.
    pub to: String,
    /// Why: `flow_direction`, `row_direction`, `on_create`, `if_empty`, `never_null`, `not_applied`, `fallback`, `frozen`.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_stays_known_and_an_absent_value_unknown() {
        let field = |text: &str| serde_json::from_str::<PlanField>(text).unwrap();
        let emptied = field(r#"{"name": "subject", "before": "old", "after": null}"#);
        assert_eq!(emptied.after, Some(serde_json::Value::Null));
        let later = field(r#"{"name": "contact.id", "unknown": "created first"}"#);
        assert_eq!((later.before, later.after), (None, None));
        let text = serde_json::to_string(&emptied).unwrap();
        assert_eq!(serde_json::from_str::<PlanField>(&text).unwrap(), emptied);
    }
}
