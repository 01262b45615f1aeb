//! Edits as a person makes them in the back office, ordered by tests through the control endpoint.
//!
//! ```json
//! {"cases": [{"id": "22", "attributes": {"subject": "Moved"}, "relationships": {"status": {"data": {"type": "casestatuses", "id": "closed"}}}}],
//!  "delete": {"cases": ["23"]}, "publish": ["22"]}
//! ```
//! `publish` presses the button of the helpdesk bundle: a mirrored ticket without a number appears beside the case.
//! Entries without an id are created. The rules of the API hold, for users too, whom the API itself does not change.

use serde_json::{Value, json};

use super::errors::Problem;
use super::{Oro, schema};

/// Applies an edit; answers with the ids that it touched, by type.
pub(super) fn apply(oro: &mut Oro, edit: &Value) -> Result<Value, String> {
    let parts = edit.as_object().ok_or("an edit must be an object")?;
    let mut touched = json!({});
    for (name, value) in parts {
        if name == "delete" {
            for (name, ids) in value.as_object().into_iter().flatten() {
                for id in ids.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    if !oro.remove(name, id) {
                        return Err(format!("no `{name}` of id `{id}`"));
                    }
                }
            }
            continue;
        }
        if name == "publish" {
            touched["zendesktickets"] = publish(oro, value)?;
            continue;
        }
        if name == "time" {
            return Err("`time` cannot be set here: this system stamps its own writes".to_owned());
        }
        let kind = schema::kind(name).ok_or_else(|| format!("no resource type `{name}`"))?;
        let mut ids = Vec::new();
        for entry in value.as_array().into_iter().flatten() {
            let data = entry
                .as_object()
                .ok_or_else(|| format!("each of `{name}` must be an object"))?;
            match data.get("id").and_then(Value::as_str) {
                None => ids.push(oro.insert(kind, data).map_err(|problems| said(&problems))?),
                Some(id) if oro.state.entity(name, id).is_none() => {
                    return Err(format!("no `{name}` of id `{id}`"));
                }
                Some(id) => {
                    oro.change(kind, id, data).map_err(|problems| said(&problems))?;
                    ids.push(id.to_owned());
                }
            }
        }
        touched[name] = json!(ids);
    }
    Ok(touched)
}

/// Makes a mirrored ticket for each case, as the button does, and shows their ids.
fn publish(oro: &mut Oro, cases: &Value) -> Result<Value, String> {
    let tickets = schema::kind("zendesktickets").ok_or("no mirrored tickets")?;
    let mut ids = Vec::new();
    for case in cases.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let ticket = json!({ "relationships": { "relatedCase": { "data": { "type": "cases", "id": case } },
            "channel": { "data": { "type": "integrationchannels", "id": "1" } } } });
        let ticket = ticket.as_object().cloned().unwrap_or_default();
        ids.push(oro.insert(tickets, &ticket).map_err(|problems| said(&problems))?);
    }
    Ok(json!(ids))
}

fn said(problems: &[Problem]) -> String {
    let details: Vec<String> = problems
        .iter()
        .map(|problem| format!("{} {:?}", problem.detail, problem.source))
        .collect();
    details.join("; ")
}
