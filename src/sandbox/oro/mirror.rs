//! The resource types that the vendor's own helpdesk bundle adds, where it is installed: what it keeps of tickets, users
//! and comments beside cases, contacts and case comments.
//!
//! Numbers of the helpdesk (`originId`) have no index of their own, so nothing can be found by them.

use super::schema::{
    ID, Kind, Relationship, ValueKind, association, attribute, one, read_only, reference, reflection,
};

const COLLABORATORS: Relationship = Relationship {
    many: true,
    ..one("collaborators", "zendeskusers")
};

/// Every resource type that only an installation with the bundle has.
pub(crate) const MIRROR: &[Kind] = &[
    Kind {
        name: "zendesktickets",
        attributes: &[
            attribute("originId", ValueKind::Integer),
            attribute("url", ValueKind::Text(255)),
            attribute("subject", ValueKind::Text(255)),
            attribute("description", ValueKind::LongText),
            attribute("externalId", ValueKind::Text(50)),
            attribute("recipient", ValueKind::Text(100)),
            attribute("hasIncidents", ValueKind::Boolean),
            attribute("dueAt", ValueKind::Time),
            attribute("originCreatedAt", ValueKind::Time),
            attribute("originUpdatedAt", ValueKind::Time),
            read_only("createdAt", ValueKind::Time),
            read_only("updatedAt", ValueKind::Time),
        ],
        relationships: &[
            one("status", "zendeskticketstatuses"),
            one("priority", "zendeskticketpriorities"),
            one("ticketType", "zendesktickettypes"),
            one("requester", "zendeskusers"),
            one("submitter", "zendeskusers"),
            one("assignee", "zendeskusers"),
            COLLABORATORS,
            one("problem", "zendesktickets"),
            reflection("comments", "zendeskticketcomments", "ticket"),
            one("relatedCase", "cases"),
            one("channel", "integrationchannels"),
        ],
        filters: &[
            ID,
            association("status"),
            association("priority"),
            association("ticketType"),
            association("requester"),
            association("submitter"),
            association("assignee"),
            association("collaborators"),
            association("problem"),
            association("relatedCase"),
            association("channel"),
        ],
        sorts: &[],
        writable: true,
    },
    Kind {
        name: "zendeskusers",
        attributes: &[
            attribute("originId", ValueKind::Integer),
            attribute("url", ValueKind::Text(255)),
            attribute("externalId", ValueKind::Text(50)),
            attribute("name", ValueKind::Text(255)),
            attribute("details", ValueKind::LongText),
            attribute("ticketRestriction", ValueKind::Text(30)),
            attribute("onlyPrivateComments", ValueKind::Boolean),
            attribute("notes", ValueKind::LongText),
            attribute("verified", ValueKind::Boolean),
            attribute("active", ValueKind::Boolean),
            attribute("alias", ValueKind::Text(100)),
            attribute("email", ValueKind::Text(255)),
            attribute("phone", ValueKind::Text(50)),
            attribute("timeZone", ValueKind::Text(30)),
            attribute("locale", ValueKind::Text(30)),
            attribute("lastLoginAt", ValueKind::Time),
            attribute("originCreatedAt", ValueKind::Time),
            attribute("originUpdatedAt", ValueKind::Time),
            read_only("createdAt", ValueKind::Time),
            read_only("updatedAt", ValueKind::Time),
        ],
        relationships: &[
            one("role", "zendeskuserroles"),
            one("relatedContact", "contacts"),
            one("relatedUser", "users"),
            one("channel", "integrationchannels"),
        ],
        filters: &[
            ID,
            association("role"),
            association("relatedContact"),
            association("relatedUser"),
            association("channel"),
        ],
        sorts: &[],
        writable: true,
    },
    Kind {
        name: "zendeskticketcomments",
        attributes: &[
            attribute("originId", ValueKind::Integer),
            attribute("body", ValueKind::LongText),
            attribute("htmlBody", ValueKind::LongText),
            attribute("public", ValueKind::Boolean),
            attribute("originCreatedAt", ValueKind::Time),
            read_only("createdAt", ValueKind::Time),
            read_only("updatedAt", ValueKind::Time),
        ],
        relationships: &[
            one("author", "zendeskusers"),
            one("ticket", "zendesktickets"),
            one("relatedComment", "casecomments"),
            one("channel", "integrationchannels"),
        ],
        filters: &[
            ID,
            association("author"),
            association("ticket"),
            association("relatedComment"),
            association("channel"),
        ],
        sorts: &[],
        writable: true,
    },
    reference("zendeskticketstatuses"),
    reference("zendeskticketpriorities"),
    reference("zendesktickettypes"),
    reference("zendeskuserroles"),
];

/// What is unique in a type: attributes and relationships that no two entities share as a whole.
pub(crate) fn unique(kind: &str) -> &'static [&'static [&'static str]] {
    match kind {
        "zendesktickets" => &[&["originId", "channel"], &["relatedCase"]],
        "zendeskusers" => &[&["originId", "channel"]],
        "zendeskticketcomments" => &[&["originId", "channel"], &["relatedComment"]],
        _ => &[&["externalId"]],
    }
}

/// Whether only the bundle brings a type.
pub(crate) fn is_mirrored(kind: &str) -> bool {
    MIRROR.iter().any(|mirrored| mirrored.name == kind)
}
