//! Tickets: mostly ordinary ones, and in every forty the ones that trip up integrations.
//!
//! | place in forty | what is special |
//! |---|---|
//! | 1 | new, no priority, no assignee |
//! | 2, 3 | deleted; deleted and scrubbed |
//! | 4 | closed, and changed before 2024 |
//! | 5 | on hold |
//! | 6, 7 | blank subject; subject of more than 255 characters |
//! | 8, 20, 23 | assignee unknown to the back office; suspended; known there by a secondary address |
//! | 9 to 15, 25 | requester without contact; of another organization; by secondary address; a new one with two tickets (12, 13); without address; erased; named by two contacts |
//! | 16 | handled by an AI agent |
//! | 17, 18, 19 | a problem, its incident, a task |
//! | 21, 22, 24 | closed lately; with collaborators; requested by an agent |
//! | 26 to 30 | requesters whose names are hard to split |
//! | 31, 32, 33 | changed in the same second |

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::zendesk::SUPPORT_GROUP;
use super::super::zendesk::fields::{
    ITEM_COUNT, ORDER_NUMBER, PRODUCTS, PROMISED_DAY, REASON, RETURNED, TICKET_FIELDS,
};
use super::super::zendesk::model::{Ticket, ZendeskState};
use super::people::{self, People};
use super::pick;
use super::texts::Topic;

/// 2025-01-06T08:00:00Z: the first ticket.
const FIRST_SECOND: i64 = 1_736_150_400;
/// All tickets are created within this many seconds.
const SPAN: i64 = 400 * 86_400;
/// Between one ticket and the next, when there are few.
const USUAL_STEP: i64 = 47 * 60;
/// 2023-11-20T10:00:00Z: changes that a start in 2024 leaves out.
const LONG_AGO: i64 = 1_700_474_400;
const DAY: i64 = 86_400;

/// Adds so many tickets.
pub(super) fn generate(
    random: &mut fastrand::Rng,
    count: usize,
    people: &People,
    zendesk: &mut ZendeskState,
) {
    let step = (SPAN / (count as i64).max(1)).clamp(1, USUAL_STEP);
    let mut second_of_bulk_change = 0;
    for number in 0..count as i64 {
        let id = number as u64 + 1;
        let place = number % 40 + 1;
        let topic = Topic::new(random);
        let mut created = FIRST_SECOND + number * step;
        if place == 4 {
            created = LONG_AGO + number;
        }
        let mut ticket = ordinary(random, id, created, people, &topic);
        let mut updated = created + random.i64(60..5 * DAY);
        make_special(random, &mut ticket, place, number / 40, people, &topic);
        if place == 4 {
            updated = created + DAY;
        }
        match place {
            31 => second_of_bulk_change = updated,
            32 | 33 => updated = second_of_bulk_change.max(created),
            _ => {}
        }
        write_thread(random, &mut ticket, zendesk, people, &topic, updated);
        ticket.updated_at = time(updated);
        ticket.generated_timestamp = match place {
            31..=33 => updated + 1,
            _ => updated + [0, 1, 1, 1, 1, 2, 2, 3][random.usize(..8)],
        };
        if place == 3 {
            ticket.scrub(updated + 30 * DAY);
        }
        zendesk.tickets.insert(id, ticket);
    }
}

fn ordinary(random: &mut fastrand::Rng, id: u64, created: i64, people: &People, topic: &Topic) -> Ticket {
    let requester = people.customers[random.usize(..people.customers.len())];
    let assignee = people.agents[random.usize(..people.agents.len())];
    let status = pick(
        random,
        &[
            "open", "open", "open", "pending", "pending", "hold", "solved", "solved", "new",
        ],
    );
    let is_new = status == "new";
    let mut ticket = Ticket::blank(id, time(created));
    ticket.subject = Some(topic.subject(random));
    ticket.status = status.to_owned();
    ticket.kind = match random.u8(..4) {
        0 => None,
        1 => Some("incident".to_owned()),
        _ => Some("question".to_owned()),
    };
    ticket.priority = match random.u8(..6) {
        0 => None,
        1 => Some("urgent".to_owned()),
        2 => Some("high".to_owned()),
        3 => Some("low".to_owned()),
        _ => Some("normal".to_owned()),
    };
    ticket.requester_id = requester;
    ticket.submitter_id = requester;
    ticket.assignee_id = (!is_new && random.u8(..8) > 0).then_some(assignee);
    ticket.group_id = Some(SUPPORT_GROUP);
    ticket.tags = match random.u8(..3) {
        0 => Vec::new(),
        1 => vec!["web".to_owned(), "shop_eu".to_owned()],
        _ => vec!["vip".to_owned()],
    };
    let (channel, recipient) = match random.u8(..4) {
        0 => ("web", None),
        1 => ("api", None),
        _ => ("email", Some("support@example.com".to_owned())),
    };
    ticket.via = json!({ "channel": channel, "source": { "from": {}, "to": {}, "rel": null } });
    ticket.recipient = recipient;
    if random.u8(..10) < 4 {
        ticket.custom_fields.insert(ORDER_NUMBER, json!(topic.order));
        ticket
            .custom_fields
            .insert(ITEM_COUNT, json!(random.u8(1..9).to_string()));
    }
    if random.u8(..10) < 2 {
        let reasons = TICKET_FIELDS
            .iter()
            .find(|field| field.id == REASON)
            .map_or(&[][..], |field| field.options);
        if !reasons.is_empty() {
            ticket.custom_fields.insert(REASON, json!(pick(random, reasons)));
        }
        ticket.custom_fields.insert(RETURNED, json!(random.bool()));
        ticket
            .custom_fields
            .insert(PRODUCTS, json!(["product_lamp", "product_desk"]));
        ticket.custom_fields.insert(PROMISED_DAY, json!("2025-04-16"));
    }
    ticket
}

fn make_special(
    random: &mut fastrand::Rng,
    ticket: &mut Ticket,
    place: i64,
    round: i64,
    people: &People,
    topic: &Topic,
) {
    let asked_by = |ticket: &mut Ticket, id: u64| {
        ticket.requester_id = id;
        ticket.submitter_id = id;
    };
    let handled_by = |ticket: &mut Ticket, id: u64| {
        ticket.assignee_id = Some(id);
        if ticket.status == "new" {
            ticket.status = "open".to_owned();
        }
    };
    // Every round has a new customer with two tickets, as far as there are customers.
    let two_tickets = people.customers[usize::try_from(round).unwrap_or_default() % people.customers.len()];
    match place {
        1 => {
            ticket.status = "new".to_owned();
            ticket.priority = None;
            ticket.assignee_id = None;
            asked_by(ticket, people::CUSTOMER_WITH_CONTACT);
        }
        2 | 3 => ticket.status = "deleted".to_owned(),
        4 | 21 => ticket.status = "closed".to_owned(),
        5 => {
            ticket.status = "hold".to_owned();
            ticket.priority = Some("urgent".to_owned());
        }
        6 => ticket.subject = (round % 2 == 1).then(|| "  ".to_owned()),
        7 => ticket.subject = Some(topic.endless_subject(random)),
        8 => handled_by(ticket, people::AGENT_UNKNOWN_TO_ORO),
        9 => asked_by(ticket, people::CUSTOMER_WITHOUT_CONTACT),
        10 => asked_by(ticket, people::CUSTOMER_OF_OTHER_ORGANIZATION),
        11 => asked_by(ticket, people::CUSTOMER_BY_SECONDARY_EMAIL),
        12 | 13 => asked_by(
            ticket,
            if round == 0 {
                people::ODD_NAMES[4]
            } else {
                two_tickets
            },
        ),
        14 => asked_by(ticket, people::CUSTOMER_WITHOUT_EMAIL),
        15 => asked_by(ticket, people::ERASED_CUSTOMER),
        16 => ticket.support_type = "ai_agent".to_owned(),
        17 => ticket.kind = Some("problem".to_owned()),
        18 => {
            ticket.kind = Some("incident".to_owned());
            ticket.problem_id = Some(ticket.id - 1);
        }
        19 => {
            ticket.kind = Some("task".to_owned());
            ticket.due_at = Some(time(ticket.created_at.as_second() + 7 * DAY));
        }
        20 => handled_by(ticket, people::SUSPENDED_AGENT),
        22 => {
            ticket.collaborator_ids = vec![people::CUSTOMER_WITHOUT_CONTACT, people::AGENT_UNKNOWN_TO_ORO];
        }
        23 => handled_by(ticket, people::AGENT_BY_SECONDARY_EMAIL),
        24 => asked_by(ticket, people.agents[random.usize(..people.agents.len())]),
        25 => asked_by(ticket, people::CUSTOMER_OF_TWO_CONTACTS),
        26..=30 => {
            asked_by(
                ticket,
                people::ODD_NAMES[usize::try_from(place - 26).unwrap_or_default()],
            );
        }
        _ => {}
    }
}

/// Writes the first message and what followed, none of it after the ticket's last change.
fn write_thread(
    random: &mut fastrand::Rng,
    ticket: &mut Ticket,
    zendesk: &ZendeskState,
    people: &People,
    topic: &Topic,
    updated: i64,
) {
    let requester = ticket.requester_id;
    let name = zendesk.users.get(requester).map_or("", |user| user.name.as_str());
    ticket.description = topic.message(random, name);
    let first = comment(&ticket.description, true);
    ticket.append(&first, requester, ticket.created_at, None);
    let created = ticket.created_at.as_second();
    let replies = random.i64(0..4);
    for number in 1..=replies {
        let at = time(created + (updated - created) * number / (replies + 1));
        let agent = ticket.assignee_id.unwrap_or(people.agents[0]);
        match random.u8(..4) {
            0 => {
                let note = comment(&topic.internal_note(random), false);
                ticket.append(&note, agent, at, None);
            }
            1 => {
                let reply = comment(&topic.customer_reply(random), true);
                ticket.append(&reply, requester, at, None);
            }
            _ => {
                let reply = comment(&topic.agent_reply(random), true);
                ticket.append(&reply, agent, at, None);
            }
        }
    }
}

fn comment(body: &str, public: bool) -> Value {
    json!({ "body": body, "public": public })
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or_default()
}
