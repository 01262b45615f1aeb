//! What the Zendesk stand-in remembers, and how it looks on the wire.
//!
//! Custom fields are kept without their nulls; on the wire a ticket carries every defined field, twice, as the vendor
//! sends it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::store::{Persistent, Table};
use super::fields::TICKET_FIELDS;

/// Everything.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ZendeskState {
    pub(crate) tickets: Table<Ticket>,
    pub(crate) users: Table<User>,
    pub(crate) organizations: Table<Organization>,
    pub(crate) jobs: Table<Job>,
    /// By number; found by scanning, as only the last two hours' matter.
    pub(crate) idempotency_keys: Table<IdempotencyKey>,
}

/// A ticket with its comments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ticket {
    pub(crate) id: u64,
    pub(crate) external_id: Option<String>,
    pub(crate) via: Value,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Unix seconds; moves on every change, the key of exports.
    pub(crate) generated_timestamp: i64,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) description: String,
    pub(crate) priority: Option<String>,
    pub(crate) status: String,
    pub(crate) recipient: Option<String>,
    pub(crate) requester_id: u64,
    pub(crate) submitter_id: u64,
    pub(crate) assignee_id: Option<u64>,
    pub(crate) organization_id: Option<u64>,
    pub(crate) group_id: Option<u64>,
    pub(crate) collaborator_ids: Vec<u64>,
    pub(crate) problem_id: Option<u64>,
    pub(crate) followup_ids: Vec<u64>,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) tags: Vec<String>,
    pub(crate) custom_fields: BTreeMap<u64, Value>,
    pub(crate) is_public: bool,
    pub(crate) support_type: String,
    pub(crate) comments: Vec<Comment>,
    /// What changes beside comments were made since the sandbox began; an audit that also brought a comment has its id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) audits: Vec<Audit>,
    /// When `external_id` was last set: searches by it lag behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) external_id_since: Option<Timestamp>,
}

/// What one change of a ticket did, beside bringing a comment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Audit {
    pub(crate) id: u64,
    pub(crate) author_id: u64,
    pub(crate) created_at: Timestamp,
    /// The `metadata` that the write carried, read back as `metadata.custom`.
    pub(crate) metadata: Value,
    /// Events of the type `Change`.
    pub(crate) events: Vec<Value>,
}

/// A comment, and with it the audit that brought it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) audit_id: u64,
    pub(crate) author_id: u64,
    pub(crate) body: String,
    pub(crate) html_body: String,
    pub(crate) public: bool,
    pub(crate) created_at: Timestamp,
    /// The `metadata` that the write carried, read back as `metadata.custom`.
    pub(crate) metadata: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) attachments: Vec<Value>,
}

/// An agent, an admin or a customer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    /// Further identities, which `email` on an update adds to.
    pub(crate) secondary_emails: Vec<String>,
    pub(crate) role: String,
    pub(crate) external_id: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) alias: Option<String>,
    pub(crate) details: Option<String>,
    pub(crate) notes: Option<String>,
    pub(crate) organization_id: Option<u64>,
    pub(crate) active: bool,
    pub(crate) verified: bool,
    pub(crate) suspended: bool,
    pub(crate) locale: String,
    pub(crate) time_zone: String,
    pub(crate) tags: Vec<String>,
    pub(crate) user_fields: BTreeMap<String, Value>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Whether the account sent this person a mail that asks to verify the address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) was_mailed: bool,
}

/// A customer's company.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Organization {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
}

/// Bulk work that was accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) job_type: String,
    pub(crate) total: usize,
    pub(crate) created_at: Timestamp,
    /// How often its status was asked for: it is queued at first, then working, then done.
    pub(crate) polls: u32,
    pub(crate) results: Vec<Value>,
}

/// A creation that may be repeated.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IdempotencyKey {
    pub(crate) key: String,
    pub(crate) body: String,
    pub(crate) ticket_id: u64,
    pub(crate) used_at: Timestamp,
}

impl ZendeskState {
    /// The youngest time that any record carries.
    pub(crate) fn latest(&self) -> Timestamp {
        let tickets = self.tickets.values().flat_map(|ticket| {
            let generated = Timestamp::from_second(ticket.generated_timestamp).unwrap_or_default();
            [ticket.updated_at, generated]
        });
        let users = self.users.values().map(|user| user.updated_at);
        tickets.chain(users).max().unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Names every table once, for what a store asks of a state.
macro_rules! persistent {
    ($($table:ident),+) => {
        impl Persistent for ZendeskState {
            fn drain(&mut self) -> Result<Map<String, Value>, serde_json::Error> {
                let mut changes = Map::new();
                $(self.$table.drain(stringify!($table), &mut changes)?;)+
                Ok(changes)
            }

            fn settle(&mut self) {
                $(self.$table.settle();)+
            }

            fn replay(&mut self, mut changes: Map<String, Value>) -> Result<(), serde_json::Error> {
                $(self.$table.replay(stringify!($table), &mut changes)?;)+
                Ok(())
            }
        }
    };
}

persistent!(tickets, users, organizations, jobs, idempotency_keys);

impl Ticket {
    /// A ticket about which nothing is known.
    pub(crate) fn blank(id: u64, now: Timestamp) -> Self {
        Self {
            id,
            external_id: None,
            via: via_api(),
            created_at: now,
            updated_at: now,
            generated_timestamp: now.as_second(),
            kind: None,
            subject: None,
            description: String::new(),
            priority: None,
            status: "new".to_owned(),
            recipient: None,
            requester_id: super::ADMIN,
            submitter_id: super::ADMIN,
            assignee_id: None,
            organization_id: None,
            group_id: Some(super::SUPPORT_GROUP),
            collaborator_ids: Vec::new(),
            problem_id: None,
            followup_ids: Vec::new(),
            due_at: None,
            tags: Vec::new(),
            custom_fields: BTreeMap::new(),
            is_public: true,
            support_type: "agent".to_owned(),
            comments: Vec::new(),
            audits: Vec::new(),
            external_id_since: None,
        }
    }

    /// Moves the stamps to the time of a change.
    pub(crate) fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.generated_timestamp = now.as_second();
    }

    /// Whether it was deleted by a person; it may be scrubbed as well.
    pub(crate) fn is_deleted(&self) -> bool {
        self.status == "deleted"
    }

    /// Erases what the ticket said, as the vendor does thirty days after a deletion: `updated_at` stays.
    pub(crate) fn scrub(&mut self, generated_timestamp: i64) {
        self.status = "deleted".to_owned();
        self.subject = Some("SCRUBBED".to_owned());
        self.description = "X".to_owned();
        self.comments.clear();
        self.custom_fields.clear();
        self.generated_timestamp = generated_timestamp;
    }

    /// Everybody whom the ticket names.
    pub(crate) fn people(&self) -> BTreeSet<u64> {
        [self.requester_id, self.submitter_id]
            .into_iter()
            .chain(self.assignee_id)
            .chain(self.collaborator_ids.iter().copied())
            .collect()
    }

    /// The ticket as every endpoint but exports shows it.
    pub(crate) fn document(&self, base: &str) -> Map<String, Value> {
        let custom_fields: Vec<Value> = TICKET_FIELDS
            .iter()
            .filter(|field| field.removable)
            .map(|field| {
                let value = self.custom_fields.get(&field.id).cloned();
                json!({ "id": field.id, "value": value })
            })
            .collect();
        let document = json!({
            "url": format!("{base}/api/v2/tickets/{}.json", self.id),
            "id": self.id,
            "external_id": self.external_id,
            "via": self.via,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "type": self.kind,
            "subject": self.subject,
            "raw_subject": self.subject,
            "description": self.description,
            "priority": self.priority,
            "status": self.status,
            "recipient": self.recipient,
            "requester_id": self.requester_id,
            "submitter_id": self.submitter_id,
            "assignee_id": self.assignee_id,
            "organization_id": self.organization_id,
            "group_id": self.group_id,
            "collaborator_ids": self.collaborator_ids,
            "follower_ids": [],
            "email_cc_ids": self.collaborator_ids,
            "forum_topic_id": null,
            "problem_id": self.problem_id,
            "has_incidents": self.kind.as_deref() == Some("problem"),
            "is_public": self.is_public,
            "due_at": self.due_at,
            "tags": self.tags,
            "custom_fields": custom_fields,
            "satisfaction_rating": { "score": "unoffered" },
            "sharing_agreement_ids": [],
            "custom_status_id": null,
            "fields": custom_fields,
            "followup_ids": self.followup_ids,
            "ticket_form_id": 360_000_000_901_u64,
            "brand_id": 360_000_000_801_u64,
            "allow_channelback": false,
            "allow_attachments": true,
            "from_messaging_channel": false,
            "support_type": self.support_type,
        });
        match document {
            Value::Object(document) => document,
            _ => Map::new(),
        }
    }
}

/// How everything comes that a client writes.
pub(super) fn via_api() -> Value {
    json!({ "channel": "api", "source": { "from": {}, "to": {}, "rel": null } })
}

impl User {
    /// Whether the user works for the account's owner.
    pub(crate) fn is_agent(&self) -> bool {
        self.role != "end-user"
    }

    pub(crate) fn document(&self, base: &str) -> Value {
        json!({
            "id": self.id,
            "url": format!("{base}/api/v2/users/{}.json", self.id),
            "name": self.name,
            "email": self.email,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "time_zone": self.time_zone,
            "iana_time_zone": "Europe/Berlin",
            "phone": self.phone,
            "shared_phone_number": null,
            "photo": null,
            "locale_id": 1,
            "locale": self.locale,
            "organization_id": self.organization_id,
            "role": self.role,
            "verified": self.verified,
            "external_id": self.external_id,
            "tags": self.tags,
            "alias": self.alias,
            "active": self.active,
            "shared": false,
            "shared_agent": false,
            "last_login_at": null,
            "two_factor_auth_enabled": null,
            "signature": null,
            "details": self.details,
            "notes": self.notes,
            "role_type": null,
            "custom_role_id": null,
            "moderator": self.is_agent(),
            "ticket_restriction": if self.is_agent() { Value::Null } else { json!("requested") },
            "only_private_comments": false,
            "restricted_agent": !self.is_agent(),
            "suspended": self.suspended,
            "default_group_id": self.is_agent().then_some(super::SUPPORT_GROUP),
            "report_csv": false,
            "user_fields": super::fields::user_fields_document(&self.user_fields),
        })
    }

    /// Whether an e-mail address is one of the user's; the vendor does not look at case.
    pub(crate) fn has_email(&self, email: &str) -> bool {
        self.email
            .iter()
            .chain(&self.secondary_emails)
            .any(|own| own.eq_ignore_ascii_case(email))
    }
}
