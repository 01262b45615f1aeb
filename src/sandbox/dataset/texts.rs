//! What people write: subjects, first messages, replies.

use super::pick;

const SUBJECTS: &[&str] = &[
    "Order {order} has not arrived",
    "Wrong item in parcel {order}",
    "Refund for {order}?",
    "{product} arrived damaged",
    "Invoice for {order}: wrong company name",
    "Cannot log in to my account",
    "Question about the {product}",
    "Re: Re: delivery of {product}",
    "Änderung der Lieferadresse für {order}",
    "Le {product} ne fonctionne plus",
    "Rückgabe: \"{product}\" – Größe passt nicht",
    "問い合わせ: {product}",
    "URGENT!!! {order} <b>still</b> missing 😠",
    "Discount code 'WELCOME10' rejected",
];

const PRODUCTS: &[&str] = &[
    "desk lamp \"Aurora\"",
    "oak desk 160×80 cm",
    "office chair Lund",
    "bookshelf Malmö",
    "cable tray, 2 m",
    "standing mat",
];

const OPENINGS: &[&str] = &[
    "Hello,",
    "Dear support team,",
    "Hi there!",
    "Guten Tag,",
    "Bonjour,",
    "To whom it may concern:",
];

const BODIES: &[&str] = &[
    "I ordered a {product} two weeks ago (order {order}), and the tracking page still says \"label created\".",
    "The parcel for {order} came today. One corner was crushed;\nthe {product} has a dent and does not stand straight.",
    "Please send the invoice for {order} again:\n\n\tMüller & Söhne GmbH\n\tStraße 5/7\n\t10115 Berlin\n\nOurs says \"Muller & Sohne\".",
    "When I enter my password it says \"invalid credentials\". I reset it twice; the link leads to https://shop.example.com/reset?token=abc%20def&x=1.",
    "Does the {product} come with screws? The page says \"hardware included\", the manual (p. 3) says it doesn't.",
    "Es fehlt ein Teil: Nr. 4711-B. Laut Packliste wäre es dabei.\r\nKönnen Sie es nachsenden?",
    "C:\\Users\\me\\order.pdf is attached. Total: 1,299.00 € instead of 1,199.00 €; that is 8.3 % more.",
    "商品が届きません。注文番号は {order} です。",
];

const CLOSINGS: &[&str] = &[
    "Thanks",
    "Best regards",
    "Viele Grüße",
    "Merci d'avance 🙏",
    "Sent from my phone",
];

const AGENT_REPLIES: &[&str] = &[
    "Thank you for your message. We are looking into it and will get back to you within one working day.",
    "I have asked the carrier about {order}. They promised an answer by tomorrow noon.",
    "We are sorry about that! A replacement for the {product} leaves the warehouse today.",
    "The refund was booked just now; it takes 3–5 days to show on your statement.",
];

const INTERNAL_NOTES: &[&str] = &[
    "Checked with warehouse: stock of {product} is 0 until Friday.",
    "Customer called as well, quite upset. Handle with care.",
    "Carrier says \"delivered to neighbour\" – no name given.",
];

const CUSTOMER_REPLIES: &[&str] = &[
    "Any news?",
    "That worked, thank you!",
    "Still nothing. Please cancel {order}.",
    "See the photo: the {product} is *still* wobbling.",
];

/// What a ticket is about.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) order: String,
    product: &'static str,
}

impl Topic {
    pub(super) fn new(random: &mut fastrand::Rng) -> Self {
        Self {
            order: format!("SO-{:06}", random.u32(100_000..1_000_000)),
            product: pick(random, PRODUCTS),
        }
    }

    pub(super) fn subject(&self, random: &mut fastrand::Rng) -> String {
        self.fill(pick(random, SUBJECTS))
    }

    /// A subject that no target with a limit of 255 characters takes.
    pub(super) fn endless_subject(&self, random: &mut fastrand::Rng) -> String {
        let mut subject = self.subject(random);
        while subject.chars().count() <= 300 {
            subject.push_str(" – FW: ");
            subject.push_str(&self.subject(random));
        }
        subject
    }

    /// A first message, signed.
    pub(super) fn message(&self, random: &mut fastrand::Rng, name: &str) -> String {
        let opening = pick(random, OPENINGS);
        let body = self.fill(pick(random, BODIES));
        let closing = pick(random, CLOSINGS);
        format!("{opening}\n\n{body}\n\n{closing}\n{}", name.trim())
    }

    pub(super) fn agent_reply(&self, random: &mut fastrand::Rng) -> String {
        self.fill(pick(random, AGENT_REPLIES))
    }

    pub(super) fn internal_note(&self, random: &mut fastrand::Rng) -> String {
        self.fill(pick(random, INTERNAL_NOTES))
    }

    pub(super) fn customer_reply(&self, random: &mut fastrand::Rng) -> String {
        self.fill(pick(random, CUSTOMER_REPLIES))
    }

    fn fill(&self, template: &str) -> String {
        template
            .replace("{order}", &self.order)
            .replace("{product}", self.product)
    }
}
