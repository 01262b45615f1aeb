//! The data that a fresh sandbox holds: the same for the same seed and number of tickets, whatever the clock says.
//!
//! `people` makes everybody on both sides, `texts` what they write, `tickets` the helpdesk's records, `cases` the back
//! office's. Cases that matter to whoever maps these systems come up in every forty tickets, from the first ones on; see
//! [`tickets`]. All times are in the past.

mod cases;
mod people;
mod texts;
mod tickets;

use super::oro::model::OroState;
use super::zendesk::model::ZendeskState;

/// Both systems' states.
#[derive(Debug)]
pub(super) struct DataSet {
    pub(super) zendesk: ZendeskState,
    pub(super) oro: OroState,
}

/// Generates the data of a seed with so many tickets.
pub(super) fn generate(seed: u64, tickets: usize) -> DataSet {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut zendesk = ZendeskState::default();
    let mut oro = OroState::default();
    let people = people::generate(&mut random, tickets, &mut zendesk, &mut oro);
    tickets::generate(&mut random, tickets, &people, &mut zendesk);
    cases::generate(&mut random, tickets, &mut oro);
    DataSet { zendesk, oro }
}

/// One of the choices.
fn pick<'a, T: ?Sized>(random: &mut fastrand::Rng, choices: &[&'a T]) -> &'a T {
    choices[random.usize(..choices.len())]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_data() {
        let text = |set: &DataSet| {
            let zendesk = serde_json::to_string(&set.zendesk).unwrap();
            zendesk + &serde_json::to_string(&set.oro).unwrap()
        };
        assert_eq!(text(&generate(7, 60)), text(&generate(7, 60)));
        assert_ne!(text(&generate(7, 60)), text(&generate(8, 60)));
    }

    #[test]
    fn forty_tickets_hold_every_case() {
        let set = generate(1, 40);
        let tickets = || set.zendesk.tickets.values();
        let statuses: BTreeSet<&str> = tickets().map(|ticket| ticket.status.as_str()).collect();
        let expected = ["closed", "deleted", "hold", "new", "open", "pending", "solved"];
        assert_eq!(statuses, BTreeSet::from(expected));
        let subject = |test: &dyn Fn(&str) -> bool| {
            tickets().any(|ticket| test(ticket.subject.as_deref().unwrap_or_default()))
        };
        assert!(subject(&|subject| subject == "SCRUBBED"));
        assert!(subject(&|subject| subject.trim().is_empty()));
        assert!(subject(&|subject| subject.chars().count() > 255));
        assert!(tickets().any(|ticket| ticket.priority.is_none()));
        assert!(tickets().any(|ticket| ticket.assignee_id.is_none()));
        assert!(tickets().any(|ticket| ticket.description.contains('"')));
        assert!(tickets().any(|ticket| ticket.support_type == "ai_agent"));
        assert!(tickets().any(|ticket| ticket.problem_id.is_some()));
        assert!(tickets().any(|ticket| !ticket.collaborator_ids.is_empty()));

        let requester = |ticket: &crate::sandbox::zendesk::model::Ticket| {
            set.zendesk.users.get(ticket.requester_id).unwrap()
        };
        assert!(tickets().any(|ticket| requester(ticket).email.is_none()));
        let contacts = |email: &str| {
            set.oro.select("contacts", |_, contact| {
                let mut emails = contact.value("emails").as_array().into_iter().flatten();
                emails.any(|item| item["email"] == email)
            })
        };
        let emails =
            || tickets().filter_map(|ticket| requester(ticket).email.as_deref().map(str::to_lowercase));
        assert!(emails().any(|email| contacts(&email).is_empty()));
        assert!(emails().any(|email| !contacts(&email).is_empty()));
        assert!(emails().any(|email| {
            contacts(&email)
                .iter()
                .any(|(_, contact)| contact.to_one["organization"] == "2")
        }));
        assert!(emails().any(|email| {
            contacts(&email)
                .iter()
                .any(|(_, contact)| contact.value("primaryEmail") != email.as_str())
        }));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let set = generate(3, 200);
        for ticket in set.zendesk.tickets.values() {
            for id in ticket.people() {
                assert!(
                    set.zendesk.users.get(id).is_some(),
                    "user {id} of ticket {}",
                    ticket.id
                );
            }
            if let Some(problem) = ticket.problem_id {
                assert!(set.zendesk.tickets.get(problem).is_some());
            }
        }
        for (kind, entity) in ["cases", "casecomments", "contacts", "users", "accounts"]
            .into_iter()
            .flat_map(|kind| {
                set.oro
                    .select(kind, |_, _| true)
                    .into_iter()
                    .map(move |(_, entity)| (kind, entity))
            })
        {
            let definition = crate::sandbox::oro::kind(kind).unwrap();
            for (name, id) in &entity.to_one {
                let target = definition.relationship(name).unwrap().target;
                assert!(set.oro.entity(target, id).is_some(), "{kind}.{name} {id}");
            }
        }
    }
}
