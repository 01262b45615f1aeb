//! Everybody: agents and the back office's users, customers and their contacts.
//!
//! The helpdesk spells addresses in mixed case, the back office in lower case. Some people are on one side only.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::oro::model::{Entity, OroState};
use super::super::zendesk::ADMIN;
use super::super::zendesk::model::{Organization, User, ZendeskState};
use super::pick;

/// Helpdesk ids begin here, beyond 32 bits.
const FIRST_USER: u64 = 360_000_000_000;
/// The first of the customers that are not spelled out below.
const FIRST_GENERATED: u64 = FIRST_USER + 2000;
/// 2024-05-01T08:00:00Z: everybody is known from here on.
const KNOWN_SINCE: i64 = 1_714_550_400;

/// The people whom tickets choose from.
#[derive(Debug)]
pub(super) struct People {
    /// Agents who can be assigned and have a back-office user.
    pub(super) agents: Vec<u64>,
    /// Customers without anything special, with and without a contact.
    pub(super) customers: Vec<u64>,
}

/// An agent whom the back office does not know.
pub(super) const AGENT_UNKNOWN_TO_ORO: u64 = FIRST_USER + 1015;
/// An agent whom the back office knows by a secondary address only.
pub(super) const AGENT_BY_SECONDARY_EMAIL: u64 = FIRST_USER + 1020;
/// A suspended agent.
pub(super) const SUSPENDED_AGENT: u64 = FIRST_USER + 1021;
/// A customer with a contact.
pub(super) const CUSTOMER_WITH_CONTACT: u64 = FIRST_USER + 1101;
/// A customer without a contact.
pub(super) const CUSTOMER_WITHOUT_CONTACT: u64 = FIRST_USER + 1102;
/// A customer whose contact holds the address as a secondary one.
pub(super) const CUSTOMER_BY_SECONDARY_EMAIL: u64 = FIRST_USER + 1103;
/// A customer whose only contact belongs to another organization.
pub(super) const CUSTOMER_OF_OTHER_ORGANIZATION: u64 = FIRST_USER + 1104;
/// A customer without an address.
pub(super) const CUSTOMER_WITHOUT_EMAIL: u64 = FIRST_USER + 1105;
/// A customer whose data were erased.
pub(super) const ERASED_CUSTOMER: u64 = FIRST_USER + 1106;
/// A customer whom two contacts name, one of them as its primary address.
pub(super) const CUSTOMER_OF_TWO_CONTACTS: u64 = FIRST_USER + 1107;
/// Customers without a contact, whose names are hard to split.
pub(super) const ODD_NAMES: [u64; 5] = [
    FIRST_USER + 1110,
    FIRST_USER + 1111,
    FIRST_USER + 1112,
    FIRST_USER + 1113,
    FIRST_USER + 1114,
];

/// Id, name, helpdesk address, role, back-office id and address.
type Staff = (
    u64,
    &'static str,
    &'static str,
    &'static str,
    Option<(u64, &'static str)>,
);

const STAFF: &[Staff] = &[
    (
        ADMIN,
        "Admin User",
        "admin@example.com",
        "admin",
        Some((1, "admin@example.com")),
    ),
    (
        AGENT_UNKNOWN_TO_ORO,
        "Fred Taylor",
        "fred.taylor@example.com",
        "agent",
        None,
    ),
    (
        FIRST_USER + 1016,
        "James Cook",
        "James.Cook@Example.com",
        "agent",
        Some((20, "james.cook@example.com")),
    ),
    (
        FIRST_USER + 1017,
        "Anna Lee",
        "anna.lee@example.com",
        "admin",
        Some((22, "anna.lee@example.com")),
    ),
    (
        FIRST_USER + 1018,
        "Bob Miller",
        "Bob.Miller@example.com",
        "agent",
        Some((35, "bob.miller@example.com")),
    ),
    (FIRST_USER + 1019, "Support", "support@example.com", "agent", None),
    (
        AGENT_BY_SECONDARY_EMAIL,
        "John Smith",
        "j.smith@helpdesk.example.com",
        "agent",
        Some((21, "john.smith@example.com")),
    ),
    (
        SUSPENDED_AGENT,
        "Carla Voss",
        "Carla.Voss@example.com",
        "agent",
        None,
    ),
];

/// Id, name, address.
const CUSTOMERS: &[(u64, &str, Option<&str>)] = &[
    (CUSTOMER_WITH_CONTACT, "Jim Smith", Some("Jim.Smith@Example.com")),
    (
        CUSTOMER_WITHOUT_CONTACT,
        "Alex Taylor",
        Some("alex.taylor@example.com"),
    ),
    (
        CUSTOMER_BY_SECONDARY_EMAIL,
        "Alex Miller",
        Some("alex.miller+shop@example.net"),
    ),
    (
        CUSTOMER_OF_OTHER_ORGANIZATION,
        "Grace Hall",
        Some("grace.hall@example.org"),
    ),
    (CUSTOMER_WITHOUT_EMAIL, "Caller +49 30 901820", None),
    (ERASED_CUSTOMER, "Permanently Deleted User", None),
    (
        CUSTOMER_OF_TWO_CONTACTS,
        "Front Desk",
        Some("Front.Desk@example.net"),
    ),
    (
        ODD_NAMES[0],
        "Mr\tAlex\tM.\tSmith\tJr",
        Some("alex.smith.jr@example.net"),
    ),
    (ODD_NAMES[1], "Dr Jnr.", Some("dr.jnr@example.net")),
    (
        ODD_NAMES[2],
        "  Alex M. Smith   ",
        Some("alex.m.smith@example.net"),
    ),
    (ODD_NAMES[3], "  Alex   ", Some("alex@example.net")),
    (
        ODD_NAMES[4],
        "Prof. Ana María de la Cruz PhD",
        Some("Ana.de.la.Cruz@example.net"),
    ),
];

const FIRST_NAMES: &[&str] = &[
    "Anna",
    "Ben",
    "Chloé",
    "Dmitri",
    "Elif",
    "Farid",
    "Greta",
    "Hiro",
    "Inês",
    "Jürgen",
    "Katarzyna",
    "Liam",
    "Mei",
    "Noah",
    "Olga",
    "Pádraig",
    "Quentin",
    "Renée",
    "Søren",
    "Thảo",
    "Uma",
    "Víctor",
    "Wanda",
    "Yusuf",
    "Zoë",
];

const LAST_NAMES: &[&str] = &[
    "Almeida", "Becker", "Çelik", "Dubois", "Ekström", "Fischer", "García", "Hansen", "Ivanova", "Jansen",
    "Kowalska", "Löwe", "Müller", "Nguyễn", "O'Brien", "Petrov", "Quispe", "Rossi", "Schäfer", "Tanaka",
    "Ünal", "Vogel", "Wójcik",
];

/// Fills both sides with people; the number of customers follows that of tickets.
pub(super) fn generate(
    random: &mut fastrand::Rng,
    tickets: usize,
    zendesk: &mut ZendeskState,
    oro: &mut OroState,
) -> People {
    let mut agents = Vec::new();
    for (id, name, email, role, back_office) in STAFF {
        let mut user = new_user(*id, name, Some(email), known_since(*id - FIRST_USER));
        user.role = (*role).to_owned();
        user.suspended = *id == SUSPENDED_AGENT;
        zendesk.users.insert(*id, user);
        if let Some((number, address)) = back_office {
            let other = (*id == AGENT_BY_SECONDARY_EMAIL).then(|| email.to_lowercase());
            insert_oro_user(oro, *number, name, address, other);
            if *id != AGENT_BY_SECONDARY_EMAIL {
                agents.push(*id);
            }
        }
    }
    // A back-office user who is no agent.
    insert_oro_user(oro, 36, "Mike Jones", "mike.jones@example.com", None);
    for number in 1..=5_u64 {
        let id = 360_000_500_000 + number;
        let name = format!("{} GmbH & Co. KG", LAST_NAMES[number as usize * 3]);
        let created_at = known_since(number);
        zendesk
            .organizations
            .insert(id, Organization { id, name, created_at });
    }
    for (id, name, email) in CUSTOMERS {
        let mut user = new_user(*id, name, *email, known_since(*id - FIRST_USER));
        if *id == ERASED_CUSTOMER {
            user.active = false;
            user.external_id = None;
        }
        if *id == CUSTOMER_WITHOUT_EMAIL {
            user.phone = Some("+4930901820".to_owned());
        }
        zendesk.users.insert(*id, user);
    }
    insert_known_contacts(oro);
    let customers = generate_customers(random, (tickets / 3).clamp(8, 20_000), zendesk, oro);
    People { agents, customers }
}

fn generate_customers(
    random: &mut fastrand::Rng,
    count: usize,
    zendesk: &mut ZendeskState,
    oro: &mut OroState,
) -> Vec<u64> {
    let mut customers = Vec::with_capacity(count);
    for number in 0..count as u64 {
        let id = FIRST_GENERATED + number;
        let first = pick(random, FIRST_NAMES);
        let last = pick(random, LAST_NAMES);
        let name = match random.u8(..12) {
            0 => format!("Dr. {first} {last}"),
            1 => format!("Ms {first} {last} MBA"),
            2 => format!("{first} {} {last}", pick(random, FIRST_NAMES)),
            3 => format!("{first} {last} Jr."),
            _ => format!("{first} {last}"),
        };
        let local = format!("{}.{number}", ascii(last));
        let email = match random.u8(..4) {
            0 => format!("{}@Example.NET", capitalized(&local)),
            1 => format!("{local}@example.NET"),
            _ => format!("{local}@example.net"),
        };
        let mut user = new_user(id, &name, Some(&email), known_since(3000 + number * 600));
        user.verified = true;
        if random.u8(..3) == 0 {
            user.external_id = Some(format!("C-{:06}", 100_000 + number));
            user.user_fields.insert(
                "customer_number".to_owned(),
                json!(format!("{}", 100_000 + number)),
            );
            user.user_fields
                .insert("member_since".to_owned(), json!("2022-11-30"));
        }
        if random.u8(..4) == 0 {
            user.phone = Some(format!("+49301{:06}", random.u32(..1_000_000)));
            user.organization_id = Some(360_000_500_001 + random.u64(..5));
        }
        if random.u8(..10) < 6 {
            let number = oro.give_id("contacts");
            let contact = new_contact(first, last, &[&email.to_lowercase()], "1", 3000 + number * 600);
            oro.contacts.insert(number, contact);
        }
        zendesk.users.insert(id, user);
        customers.push(id);
    }
    customers
}

fn insert_known_contacts(oro: &mut OroState) {
    let known: &[(u64, &str, &str, &[&str], &str)] = &[
        (3, "Jim", "Smith", &["jim.smith@example.com"], "1"),
        (4, "Mike", "Johnson", &["mike.johnson@example.com"], "1"),
        (
            5,
            "Alex",
            "Miller",
            &["alex.miller@example.com", "alex.miller+shop@example.net"],
            "1",
        ),
        (6, "Grace", "Hall", &["grace.hall@example.org"], "2"),
        (7, "Front", "Desk", &["front.desk@example.net"], "1"),
        (
            8,
            "Old",
            "Desk",
            &["old.desk@example.net", "front.desk@example.net"],
            "1",
        ),
    ];
    for (id, first, last, emails, organization) in known {
        let contact = new_contact(first, last, emails, organization, *id * 600);
        oro.contacts.insert(*id, contact);
    }
    oro.last_ids.insert("contacts".to_owned(), 8);
    for (id, name, contacts) in [
        (1_u64, "Smith & Sons", vec!["3", "4"]),
        (2, "Miller AG", vec!["5"]),
    ] {
        let mut account = Entity::default();
        account.set("name", json!(name));
        account.set("createdAt", json!(known_since(id)));
        account.set("updatedAt", json!(known_since(id)));
        account.to_one.insert("owner".to_owned(), "1".to_owned());
        account.to_one.insert("organization".to_owned(), "1".to_owned());
        account
            .to_one
            .insert("defaultContact".to_owned(), contacts[0].to_owned());
        let contacts = contacts.into_iter().map(str::to_owned).collect();
        account.to_many.insert("contacts".to_owned(), contacts);
        oro.accounts.insert(id, account);
    }
}

fn new_user(id: u64, name: &str, email: Option<&str>, known_since: Timestamp) -> User {
    User {
        name: name.to_owned(),
        email: email.map(str::to_owned),
        verified: email.is_some(),
        ..User::blank(id, known_since)
    }
}

fn insert_oro_user(oro: &mut OroState, id: u64, name: &str, email: &str, other: Option<String>) {
    let (first, last) = name.split_once(' ').unwrap_or((name, ""));
    let username = email.split('@').next().unwrap_or_default();
    let emails: Vec<String> = [Some(email.to_owned()), other].into_iter().flatten().collect();
    let mut user = Entity::default();
    let attributes: [(&str, Value); 8] = [
        ("username", json!(username)),
        ("email", json!(email)),
        ("emails", json!(emails)),
        ("firstName", json!(first)),
        ("lastName", json!(last)),
        ("enabled", json!(true)),
        ("createdAt", json!(known_since(id))),
        ("updatedAt", json!(known_since(id))),
    ];
    for (name, value) in attributes {
        user.set(name, value);
    }
    user.to_one.insert("owner".to_owned(), "1".to_owned());
    user.to_one.insert("organization".to_owned(), "1".to_owned());
    oro.users.insert(id, user);
}

fn new_contact(first: &str, last: &str, emails: &[&str], organization: &str, at: u64) -> Entity {
    let mut contact = Entity::default();
    let entries: Vec<Value> = emails.iter().map(|email| json!({ "email": email })).collect();
    let attributes: [(&str, Value); 6] = [
        ("firstName", json!(first)),
        ("lastName", json!(last)),
        ("emails", json!(entries)),
        ("primaryEmail", json!(emails.first())),
        ("createdAt", json!(known_since(at))),
        ("updatedAt", json!(known_since(at))),
    ];
    for (name, value) in attributes {
        contact.set(name, value);
    }
    contact.to_one.insert("owner".to_owned(), "1".to_owned());
    contact
        .to_one
        .insert("organization".to_owned(), organization.to_owned());
    contact
}

/// A time in the months after everybody became known.
fn known_since(offset: u64) -> Timestamp {
    let offset = i64::try_from(offset % 20_000_000).unwrap_or_default();
    Timestamp::from_second(KNOWN_SINCE + offset).unwrap_or_default()
}

/// Letters that every mail system takes.
fn ascii(name: &str) -> String {
    let letters: String = name
        .to_lowercase()
        .chars()
        .filter(char::is_ascii_alphabetic)
        .collect();
    if letters.is_empty() {
        "customer".to_owned()
    } else {
        letters
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}
