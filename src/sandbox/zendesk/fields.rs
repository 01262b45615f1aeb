//! The custom fields that the account defines for tickets and users.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A field of tickets.
#[derive(Debug)]
pub(crate) struct TicketField {
    pub(crate) id: u64,
    pub(crate) kind: &'static str,
    pub(crate) title: &'static str,
    /// System fields cannot be removed, and are no custom fields.
    pub(crate) removable: bool,
    /// The values of a drop-down list.
    pub(crate) options: &'static [&'static str],
}

const fn system(id: u64, kind: &'static str, title: &'static str) -> TicketField {
    TicketField {
        id: 360_000_000_100 + id,
        kind,
        title,
        removable: false,
        options: &[],
    }
}

const fn custom(id: u64, kind: &'static str, title: &'static str) -> TicketField {
    TicketField {
        id: 360_000_012_000 + id,
        kind,
        title,
        removable: true,
        options: &[],
    }
}

const fn choice(
    id: u64,
    kind: &'static str,
    title: &'static str,
    options: &'static [&'static str],
) -> TicketField {
    TicketField {
        id: 360_000_012_000 + id,
        kind,
        title,
        removable: true,
        options,
    }
}

/// The custom field that holds an order's number.
pub(crate) const ORDER_NUMBER: u64 = 360_000_012_001;
/// The custom field that holds a whole number.
pub(crate) const ITEM_COUNT: u64 = 360_000_012_010;
/// The custom field that is a check box.
pub(crate) const RETURNED: u64 = 360_000_012_011;
/// The custom field that is a drop-down list.
pub(crate) const REASON: u64 = 360_000_012_012;
/// The custom field that is a list of several choices.
pub(crate) const PRODUCTS: u64 = 360_000_012_013;
/// The custom field that is a day.
pub(crate) const PROMISED_DAY: u64 = 360_000_012_014;

/// Every ticket field of the account.
pub(crate) const TICKET_FIELDS: &[TicketField] = &[
    system(1, "subject", "Subject"),
    system(2, "description", "Description"),
    system(3, "status", "Status"),
    system(4, "tickettype", "Type"),
    system(5, "priority", "Priority"),
    system(6, "group", "Group"),
    system(7, "assignee", "Assignee"),
    custom(1, "text", "Order number"),
    custom(2, "text", "Order id"),
    custom(3, "text", "Order state"),
    custom(4, "text", "Payment state"),
    custom(5, "text", "Shipment state"),
    custom(6, "text", "Tracking"),
    custom(7, "decimal", "Order total"),
    custom(8, "text", "Order currency"),
    custom(9, "decimal", "Refunded amount"),
    custom(10, "integer", "Number of items"),
    custom(11, "checkbox", "Returned"),
    choice(
        12,
        "tagger",
        "Reason",
        &[
            "reason_damaged",
            "reason_late",
            "reason_wrong_item",
            "reason_other",
        ],
    ),
    choice(
        13,
        "multiselect",
        "Products",
        &["product_lamp", "product_desk", "product_chair"],
    ),
    custom(14, "date", "Promised day"),
    custom(15, "text", "Store"),
    custom(16, "regexp", "Serial number"),
    custom(17, "textarea", "Internal remark"),
    custom(18, "lookup", "Related order"),
    custom(19, "text", "Channel reference"),
    custom(20, "partialcreditcard", "Card"),
];

/// A field of users.
#[derive(Debug)]
pub(crate) struct UserField {
    pub(crate) key: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) title: &'static str,
}

/// Every user field of the account.
pub(crate) const USER_FIELDS: &[UserField] = &[
    UserField {
        key: "customer_number",
        kind: "text",
        title: "Customer number",
    },
    UserField {
        key: "loyalty_points",
        kind: "integer",
        title: "Loyalty points",
    },
    UserField {
        key: "loyalty_tier",
        kind: "text",
        title: "Loyalty tier",
    },
    UserField {
        key: "member_since",
        kind: "date",
        title: "Member since",
    },
    UserField {
        key: "newsletter",
        kind: "checkbox",
        title: "Newsletter",
    },
];

/// Whether a ticket has a custom field of that id.
pub(crate) fn is_custom_field(id: u64) -> bool {
    TICKET_FIELDS
        .iter()
        .any(|field| field.removable && field.id == id)
}

/// A user's fields as they are sent: all of them, missing ones null, days with a time.
pub(crate) fn user_fields_document(values: &BTreeMap<String, Value>) -> Value {
    let document: Map<String, Value> = USER_FIELDS
        .iter()
        .map(|field| {
            let value = match values.get(field.key) {
                Some(Value::String(day)) if field.kind == "date" && day.len() == 10 => {
                    json!(format!("{day}T00:00:00+00:00"))
                }
                Some(value) => value.clone(),
                None => Value::Null,
            };
            (field.key.to_owned(), value)
        })
        .collect();
    Value::Object(document)
}

/// `GET /ticket_fields`: all of them, on one page.
pub(crate) fn ticket_fields_document(base: &str) -> Value {
    let fields: Vec<Value> = TICKET_FIELDS
        .iter()
        .enumerate()
        .map(|(position, field)| {
            let options: Vec<Value> = field
                .options
                .iter()
                .map(|option| json!({ "name": option.replace('_', " "), "value": option }))
                .collect();
            let mut document = json!({
                "url": format!("{base}/api/v2/ticket_fields/{}.json", field.id),
                "id": field.id,
                "type": field.kind,
                "title": field.title,
                "raw_title": field.title,
                "position": position,
                "active": true,
                "required": false,
                "removable": field.removable,
                "created_at": "2023-01-09T08:00:00Z",
                "updated_at": "2023-01-09T08:00:00Z",
            });
            if !options.is_empty() {
                document["custom_field_options"] = Value::Array(options);
            }
            document
        })
        .collect();
    json!({ "ticket_fields": fields, "count": fields.len(), "next_page": null, "previous_page": null })
}

/// `GET /user_fields`: all of them, on one page.
pub(crate) fn user_fields_list(base: &str) -> Value {
    let fields: Vec<Value> = USER_FIELDS
        .iter()
        .enumerate()
        .map(|(position, field)| {
            let id = 360_000_013_001 + position;
            json!({
                "url": format!("{base}/api/v2/user_fields/{id}.json"),
                "id": id,
                "key": field.key,
                "type": field.kind,
                "title": field.title,
                "raw_title": field.title,
                "position": position,
                "active": true,
                "system": false,
                "created_at": "2023-01-09T08:00:00Z",
                "updated_at": "2023-01-09T08:00:00Z",
            })
        })
        .collect();
    json!({ "user_fields": fields, "count": fields.len(), "next_page": null, "previous_page": null })
}
