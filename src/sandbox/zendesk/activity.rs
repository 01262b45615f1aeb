//! People at the helpdesk's screen, chosen by a seed: they rename tickets, move them on, reassign, tag, comment, open new ones.

use serde_json::{Map, Value, json};

use super::super::activity::Order;
use super::Zendesk;
use super::model::User;

/// What is edited when nothing is said: what a sync keeps in step, and `tags`, which it does not.
const USUAL: &[&str] = &[
    "subject",
    "priority",
    "status",
    "assignee_id",
    "requester_id",
    "comment",
    "tags",
];
/// What can be edited.
const KNOWN: &[&str] = &[
    "subject",
    "priority",
    "status",
    "type",
    "assignee_id",
    "requester_id",
    "comment",
    "tags",
    "create",
];
const STATUSES: &[&str] = &["open", "pending", "hold", "solved"];
const PRIORITIES: &[&str] = &["low", "normal", "high", "urgent"];
const KINDS: &[&str] = &["problem", "incident", "question", "task"];

/// Makes the edits of an order; each is told with what was there before and what is there now. Tickets that nobody can
/// change are left alone.
pub(super) fn edit_at_random(zendesk: &mut Zendesk, order: &Order) -> Result<Vec<Value>, String> {
    let fields = order.fields(USUAL, KNOWN)?;
    let mut random = fastrand::Rng::with_seed(order.seed);
    let mut edits = Vec::new();
    for number in 1..=order.count {
        let tickets = zendesk.state.tickets.values();
        let ids: Vec<u64> = tickets
            .filter(|ticket| !ticket.is_deleted() && ticket.status != "closed")
            .map(|ticket| ticket.id)
            .filter(|id| order.ids.is_empty() || order.ids.contains(id))
            .collect();
        let field = fields
            .get(random.usize(..fields.len().max(1)))
            .copied()
            .unwrap_or("subject");
        if field == "create" {
            edits.push(create(zendesk, order, number, &mut random)?);
            continue;
        }
        let Some(id) = ids.get(random.usize(..ids.len().max(1))).copied() else {
            return Err("there is no ticket to edit".to_owned());
        };
        edits.push(edit(zendesk, order, number, field, id, &mut random)?);
    }
    Ok(edits)
}

fn edit(
    zendesk: &mut Zendesk,
    order: &Order,
    number: usize,
    field: &str,
    id: u64,
    random: &mut fastrand::Rng,
) -> Result<Value, String> {
    let ticket = zendesk.state.tickets.get(id).ok_or("no such ticket")?.clone();
    let before = ticket.document("").remove(field).unwrap_or_default();
    let value = match field {
        "comment" => {
            let author = if random.bool() {
                ticket.requester_id
            } else {
                super::ADMIN
            };
            json!({ "body": order.unique(number, "message"), "public": random.bool(), "author_id": author })
        }
        "status" => json!(Order::another(random, STATUSES, Some(&ticket.status))),
        "priority" => json!(Order::another(random, PRIORITIES, ticket.priority.as_deref())),
        "type" => json!(Order::another(random, KINDS, ticket.kind.as_deref())),
        "assignee_id" if ticket.assignee_id.is_some() && random.u8(..4) == 0 => Value::Null,
        "assignee_id" => json!(another_of(zendesk, ticket.assignee_id, random, |user| {
            user.is_agent() && user.active && !user.suspended
        })),
        "requester_id" => json!(another_of(zendesk, Some(ticket.requester_id), random, |user| {
            !user.is_agent() && user.active && user.email.is_some()
        })),
        "tags" => json!([order.unique(number, "tag").replace(' ', "_")]),
        text => json!(order.unique(number, text)),
    };
    let change = Map::from_iter([(field.to_owned(), value)]);
    zendesk
        .update(id, &change)
        .map_err(|refusal| said(&refusal.body))?;
    let ticket = zendesk.state.tickets.get(id).ok_or("no such ticket")?;
    let after = match (field, ticket.comments.last()) {
        ("comment", Some(comment)) => {
            json!({ "id": comment.id, "body": comment.body, "public": comment.public, "author_id": comment.author_id })
        }
        _ => ticket.document("").remove(field).unwrap_or_default(),
    };
    Ok(told(number, id, field, &before, &after, ticket.updated_at))
}

/// A new ticket of a customer.
fn create(
    zendesk: &mut Zendesk,
    order: &Order,
    number: usize,
    random: &mut fastrand::Rng,
) -> Result<Value, String> {
    let subject = order.unique(number, "new ticket");
    let requester = another_of(zendesk, None, random, |user| {
        !user.is_agent() && user.active && user.email.is_some()
    });
    let ticket = json!({
        "subject": subject,
        "requester_id": requester,
        "priority": Order::another(random, PRIORITIES, None),
        "comment": { "body": order.unique(number, "first message"), "public": true },
    });
    let ticket = ticket.as_object().cloned().unwrap_or_default();
    let (id, _) = zendesk.create(&ticket).map_err(|refusal| said(&refusal.body))?;
    let after = json!({ "subject": subject });
    Ok(told(
        number,
        id,
        "create",
        &Value::Null,
        &after,
        zendesk.clock.now(),
    ))
}

fn told(number: usize, id: u64, field: &str, before: &Value, after: &Value, at: jiff::Timestamp) -> Value {
    json!({ "n": number, "resource": "tickets", "id": id, "field": field, "before": before, "after": after, "at": at })
}

/// A user of a kind other than the present one.
fn another_of(
    zendesk: &Zendesk,
    present: Option<u64>,
    random: &mut fastrand::Rng,
    fits: impl Fn(&User) -> bool,
) -> Option<u64> {
    let users = zendesk.state.users.values();
    let ids: Vec<u64> = users
        .filter(|user| fits(user) && Some(user.id) != present)
        .map(|user| user.id)
        .collect();
    ids.get(random.usize(..ids.len().max(1))).copied()
}

fn said(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
