//! Comments and changes of properties as the audits that brought them, and as lists show them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::model::{Audit, Comment, Ticket, via_api};

impl Comment {
    /// The comment as lists and audits show it; lists add how and when it came.
    fn event(&self) -> Value {
        json!({
            "id": self.id,
            "type": "Comment",
            "author_id": self.author_id,
            "body": self.body,
            "html_body": self.html_body,
            "plain_body": self.body,
            "public": self.public,
            "attachments": self.attachments,
            "audit_id": self.audit_id,
        })
    }

    pub(crate) fn document(&self) -> Value {
        let mut document = self.event();
        document["via"] = via_api();
        document["created_at"] = json!(self.created_at);
        document["metadata"] = json!({ "system": {}, "custom": self.metadata });
        document
    }
}

impl Ticket {
    /// The audits by id: what brought comments, what changed properties, or both.
    pub(crate) fn audit_documents(&self) -> BTreeMap<u64, Value> {
        let audit = |id: u64, author_id: u64, created_at: Timestamp, metadata: &Value, events: Vec<Value>| {
            json!({
                "id": id,
                "ticket_id": self.id,
                "created_at": created_at,
                "author_id": author_id,
                "metadata": { "system": {}, "custom": metadata },
                "events": events,
                "via": via_api(),
            })
        };
        let mut documents: BTreeMap<u64, Value> = BTreeMap::new();
        for Comment {
            audit_id,
            author_id,
            created_at,
            metadata,
            ..
        } in &self.comments
        {
            documents.insert(
                *audit_id,
                audit(*audit_id, *author_id, *created_at, metadata, Vec::new()),
            );
        }
        for comment in &self.comments {
            if let Some(events) = documents
                .get_mut(&comment.audit_id)
                .and_then(|document| document["events"].as_array_mut())
            {
                events.push(comment.event());
            }
        }
        for own in &self.audits {
            let known = documents
                .get_mut(&own.id)
                .and_then(|document| document["events"].as_array_mut());
            match known {
                Some(events) => events.extend(own.events.iter().cloned()),
                None => {
                    let document = audit(
                        own.id,
                        own.author_id,
                        own.created_at,
                        &own.metadata,
                        own.events.clone(),
                    );
                    documents.insert(own.id, document);
                }
            }
        }
        documents
    }

    /// The id of the next audit; a comment that comes with it has the number after.
    pub(crate) fn next_audit_id(&self) -> u64 {
        let first = 5_000_000_000_000 + self.id * 100_000;
        let comment = self.comments.last().map(|comment| comment.audit_id);
        let audit = self.audits.last().map(|audit| audit.id);
        comment.max(audit).map_or(first, |last| last + 2)
    }

    /// Notes which properties a change set; `before` is the ticket as it was.
    pub(crate) fn note_changes(
        &mut self,
        before: &Self,
        audit_id: u64,
        now: Timestamp,
        metadata: Option<&Value>,
    ) {
        const TOLD: &[&str] = &[
            "subject",
            "status",
            "priority",
            "type",
            "assignee_id",
            "requester_id",
            "group_id",
            "organization_id",
            "external_id",
            "recipient",
            "problem_id",
            "due_at",
            "collaborator_ids",
            "tags",
        ];
        let (old, new) = (before.document(""), self.document(""));
        let events: Vec<Value> = TOLD
            .iter()
            .filter(|name| old.get(**name) != new.get(**name))
            .map(|name| json!({ "type": "Change", "field_name": name, "value": new.get(*name), "previous_value": old.get(*name) }))
            .collect();
        if events.is_empty() {
            return;
        }
        self.audits.push(Audit {
            id: audit_id,
            author_id: super::ADMIN,
            created_at: now,
            metadata: metadata.cloned().unwrap_or_else(|| json!({})),
            events,
        });
    }
}
