//! People at the back office's screen, chosen by a seed: they rename cases, move them on, reassign, comment, open new ones.

use serde_json::{Map, Value, json};

use super::super::activity::Order;
use super::Oro;
use super::schema::kind;

/// What is edited when nothing is said: what a sync keeps in step, and `resolution`, which it does not.
const USUAL: &[&str] = &[
    "subject",
    "priority",
    "status",
    "assignedTo",
    "relatedContact",
    "comment",
    "resolution",
];
/// What can be edited.
const KNOWN: &[&str] = &[
    "subject",
    "description",
    "priority",
    "status",
    "assignedTo",
    "relatedContact",
    "comment",
    "resolution",
    "create",
];
const STATUSES: &[&str] = &["open", "in_progress", "resolved"];
const PRIORITIES: &[&str] = &["low", "normal", "high"];

/// Makes the edits of an order; each is told with what was there before and what is there now.
pub(super) fn edit_at_random(oro: &mut Oro, order: &Order) -> Result<Vec<Value>, String> {
    let fields = order.fields(USUAL, KNOWN)?;
    let mut random = fastrand::Rng::with_seed(order.seed);
    let mut edits = Vec::new();
    for number in 1..=order.count {
        let ids: Vec<u64> = oro
            .state
            .cases
            .iter()
            .map(|(id, _)| id)
            .filter(|id| order.ids.is_empty() || order.ids.contains(id))
            .collect();
        let field = fields
            .get(random.usize(..fields.len().max(1)))
            .copied()
            .unwrap_or("subject");
        if field == "create" {
            edits.push(create(oro, order, number, &mut random)?);
            continue;
        }
        let Some(id) = ids.get(random.usize(..ids.len().max(1))).map(u64::to_string) else {
            return Err("there is no case to edit".to_owned());
        };
        edits.push(edit(oro, order, number, field, &id, &mut random)?);
    }
    Ok(edits)
}

fn edit(
    oro: &mut Oro,
    order: &Order,
    number: usize,
    field: &str,
    id: &str,
    random: &mut fastrand::Rng,
) -> Result<Value, String> {
    let case = oro
        .state
        .entity("cases", id)
        .map(std::borrow::Cow::into_owned)
        .unwrap_or_default();
    let present = case.to_one.get(field).map(String::as_str);
    let at = oro.clock.now();
    let told = |before: Value, after: Value| json!({ "n": number, "resource": "cases", "id": id, "field": field, "before": before, "after": after, "at": at });
    if field == "comment" {
        let message = order.unique(number, "remark");
        let public = random.bool();
        let comment = json!({
            "attributes": { "message": message, "public": public },
            "relationships": { "case": { "data": { "type": "cases", "id": id } },
                "owner": { "data": { "type": "users", "id": another_of(oro, "users", None, random) } } },
        });
        let made = insert(oro, "casecomments", &comment)?;
        return Ok(told(
            Value::Null,
            json!({ "id": made, "message": message, "public": public }),
        ));
    }
    let (change, before, after) = match field {
        "status" | "priority" => {
            let choices = if field == "status" { STATUSES } else { PRIORITIES };
            let target = if field == "status" {
                "casestatuses"
            } else {
                "casepriorities"
            };
            let chosen = Order::another(random, choices, present);
            (
                pointing(field, target, Some(chosen)),
                json!(present),
                json!(chosen),
            )
        }
        "assignedTo" | "relatedContact" => {
            let target = if field == "assignedTo" {
                "users"
            } else {
                "contacts"
            };
            let is_cleared = present.is_some() && field == "assignedTo" && random.u8(..4) == 0;
            let chosen = (!is_cleared).then(|| another_of(oro, target, present, random));
            (
                pointing(field, target, chosen.as_deref()),
                json!(present),
                json!(chosen),
            )
        }
        text => {
            let value = order.unique(number, text);
            (
                json!({ "attributes": { text: value } }),
                case.value(text).clone(),
                json!(value),
            )
        }
    };
    let cases = kind("cases").ok_or("no cases")?;
    let change = change.as_object().cloned().unwrap_or_default();
    oro.change(cases, id, &change)
        .map_err(|problems| format!("{problems:?}"))?;
    Ok(told(before, after))
}

/// A new case, half of them to be published.
fn create(oro: &mut Oro, order: &Order, number: usize, random: &mut fastrand::Rng) -> Result<Value, String> {
    let subject = order.unique(number, "new case");
    let publish = random.bool();
    let priority = Order::another(random, PRIORITIES, None);
    let contact = another_of(oro, "contacts", None, random);
    let case = json!({
        "attributes": { "subject": subject, "description": order.unique(number, "what happened"), "publish_to_zendesk": publish },
        "relationships": {
            "source": { "data": { "type": "casesources", "id": "phone" } },
            "status": { "data": { "type": "casestatuses", "id": "open" } },
            "priority": { "data": { "type": "casepriorities", "id": priority } },
            "relatedContact": { "data": { "type": "contacts", "id": contact } },
        },
    });
    let id = insert(oro, "cases", &case)?;
    let after = json!({ "subject": subject, "publish": publish });
    Ok(json!({
        "n": number, "resource": "cases", "id": id, "field": "create", "before": null, "after": after, "at": oro.clock.now(),
    }))
}

fn insert(oro: &mut Oro, name: &str, resource: &Value) -> Result<String, String> {
    let kind = kind(name).ok_or("no such type")?;
    let resource = resource.as_object().cloned().unwrap_or_default();
    oro.insert(kind, &resource)
        .map_err(|problems| format!("{problems:?}"))
}

fn pointing(name: &str, target: &str, id: Option<&str>) -> Value {
    let data = id.map(|id| json!({ "type": target, "id": id }));
    let relationship = Map::from_iter([(name.to_owned(), json!({ "data": data }))]);
    json!({ "relationships": relationship })
}

/// An entity of a type other than the present one, within the first organization.
fn another_of(oro: &Oro, kind: &str, present: Option<&str>, random: &mut fastrand::Rng) -> String {
    let found = oro.state.select(kind, |id, entity| {
        Some(id) != present && entity.to_one.get("organization").is_none_or(|id| id == "1")
    });
    let ids: Vec<String> = found.into_iter().map(|(id, _)| id).collect();
    ids.get(random.usize(..ids.len().max(1)))
        .cloned()
        .unwrap_or_default()
}
