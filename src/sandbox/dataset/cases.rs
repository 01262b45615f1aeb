//! The back office's own cases: made there by people, unknown to the helpdesk, with and without comments.

use jiff::Timestamp;
use serde_json::json;

use super::super::oro::model::{Entity, OroState};
use super::pick;
use super::texts::Topic;

/// 2025-01-07T09:00:00Z: the first case.
const FIRST_SECOND: i64 = 1_736_240_400;
/// Ids begin here.
const FIRST_CASE: u64 = 21;
const FIRST_COMMENT: u64 = 370;

/// Adds about one case for ten tickets.
pub(super) fn generate(random: &mut fastrand::Rng, tickets: usize, oro: &mut OroState) {
    let contacts: Vec<String> = oro
        .select("contacts", |_, contact| {
            contact
                .to_one
                .get("organization")
                .is_some_and(|organization| organization == "1")
        })
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    let mut next_comment = FIRST_COMMENT;
    for number in 0..(tickets / 10).clamp(4, 2000) as u64 {
        let id = FIRST_CASE + number;
        let topic = Topic::new(random);
        let created = FIRST_SECOND + number as i64 * 5400;
        let contact = &contacts[random.usize(..contacts.len())];
        let mut case = Entity::default();
        case.set("subject", json!(topic.subject(random)));
        if number % 5 != 4 {
            case.set("description", json!(topic.message(random, "Back office")));
        }
        case.set("createdAt", json!(time(created)));
        case.set("reportedAt", json!(time(created)));
        let status = pick(random, &["open", "open", "in_progress", "resolved", "closed"]);
        if status == "closed" {
            case.set("closedAt", json!(time(created + 7200)));
        }
        // A case that was never changed has no time of change.
        if number % 3 == 1 || status == "closed" {
            case.set("updatedAt", json!(time(created + 7200)));
        }
        let relationships = [
            ("status", status),
            ("priority", pick(random, &["low", "normal", "normal", "high"])),
            ("source", pick(random, &["phone", "email", "web", "other"])),
            ("owner", pick(random, &["1", "20", "35"])),
            ("organization", "1"),
        ];
        for (name, target) in relationships {
            case.to_one.insert(name.to_owned(), target.to_owned());
        }
        if number % 4 != 3 {
            case.to_one.insert(
                "assignedTo".to_owned(),
                pick(random, &["20", "21", "22", "35"]).to_owned(),
            );
        }
        if number % 6 != 5 {
            case.to_one.insert("relatedContact".to_owned(), contact.clone());
        }
        for reply in 0..random.i64(0..3) {
            let mut comment = Entity::default();
            let at = json!(time(created + 600 * (reply + 1)));
            comment.set("message", json!(topic.agent_reply(random)));
            comment.set("public", json!(random.bool()));
            comment.set("createdAt", at.clone());
            comment.set("updatedAt", at);
            comment.to_one.insert("case".to_owned(), id.to_string());
            comment.to_one.insert("owner".to_owned(), "20".to_owned());
            comment.to_one.insert("organization".to_owned(), "1".to_owned());
            oro.casecomments.insert(next_comment, comment);
            next_comment += 1;
        }
        oro.cases.insert(id, case);
    }
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or_default()
}
