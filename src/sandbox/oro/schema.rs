//! The resources of the Oro stand-in: attributes, relationships, and what may be filtered and sorted by.
//!
//! A stock system filters and sorts by fields with a database index only, which is why cases cannot be polled by the time
//! of their last change.

/// A resource type.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) attributes: &'static [Attribute],
    pub(crate) relationships: &'static [Relationship],
    pub(crate) filters: &'static [Filter],
    /// What `sort` takes, without `id`, which it always takes.
    pub(crate) sorts: &'static [&'static str],
    /// Whether the API changes it.
    pub(crate) writable: bool,
}

/// An attribute.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) value: ValueKind,
    pub(crate) required: bool,
    /// What is sent for an attribute that is not is ignored.
    pub(crate) writable: bool,
}

/// The values that an attribute takes, besides null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// Text of at most this many characters.
    Text(usize),
    /// Text of any length.
    LongText,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A moment, such as `2014-06-10T17:45:22Z`.
    Time,
    /// `[{"email": text}]`.
    Emails,
    /// `[{"phone": text}]`.
    Phones,
    /// An array of texts.
    Texts,
}

/// A relationship.
#[derive(Debug)]
pub(crate) struct Relationship {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) many: bool,
    pub(crate) required: bool,
    pub(crate) writable: bool,
    /// The relationship of `target` that holds the other end, where this side is only its reflection.
    pub(crate) inverse_of: Option<&'static str>,
}

/// A filter.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    pub(crate) kind: FilterKind,
    /// Whether a comma separates alternatives; otherwise it is part of the value.
    pub(crate) arrays: bool,
}

/// What a filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilterKind {
    /// The id of this type, a number.
    Number,
    /// The id of this type, a name.
    Name,
    /// An attribute, letter by letter.
    Text,
    /// An attribute that is a time; ranges `a..b` too.
    Time,
    /// The entries of a list attribute under this name.
    Entries(&'static str),
    /// The id at the other end of a relationship.
    Association,
}

const fn attribute(name: &'static str, value: ValueKind) -> Attribute {
    Attribute {
        name,
        value,
        required: false,
        writable: true,
    }
}

const fn required(name: &'static str, value: ValueKind) -> Attribute {
    Attribute {
        name,
        value,
        required: true,
        writable: true,
    }
}

const fn read_only(name: &'static str, value: ValueKind) -> Attribute {
    Attribute {
        name,
        value,
        required: false,
        writable: false,
    }
}

const fn one(name: &'static str, target: &'static str) -> Relationship {
    Relationship {
        name,
        target,
        many: false,
        required: false,
        writable: true,
        inverse_of: None,
    }
}

const fn required_one(name: &'static str, target: &'static str) -> Relationship {
    Relationship {
        name,
        target,
        many: false,
        required: true,
        writable: true,
        inverse_of: None,
    }
}

const fn reflection(name: &'static str, target: &'static str, inverse_of: &'static str) -> Relationship {
    Relationship {
        name,
        target,
        many: true,
        required: false,
        writable: false,
        inverse_of: Some(inverse_of),
    }
}

const fn filter(name: &'static str, kind: FilterKind, arrays: bool) -> Filter {
    Filter { name, kind, arrays }
}

const ID: Filter = filter("id", FilterKind::Number, true);
const NAME: Filter = filter("id", FilterKind::Name, true);
const EXTERNAL_ID: Filter = filter("externalId", FilterKind::Text, true);

const fn association(name: &'static str) -> Filter {
    filter(name, FilterKind::Association, true)
}

const REFERENCE: &[Attribute] = &[
    read_only("label", ValueKind::Text(255)),
    read_only("order", ValueKind::Integer),
];

const fn reference(name: &'static str) -> Kind {
    Kind {
        name,
        attributes: REFERENCE,
        relationships: &[],
        filters: &[NAME],
        sorts: &[],
        writable: false,
    }
}

/// Every resource type.
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        name: "cases",
        attributes: &[
            required("subject", ValueKind::Text(255)),
            attribute("description", ValueKind::LongText),
            attribute("resolution", ValueKind::LongText),
            read_only("createdAt", ValueKind::Time),
            read_only("updatedAt", ValueKind::Time),
            attribute("reportedAt", ValueKind::Time),
            attribute("closedAt", ValueKind::Time),
            attribute("externalId", ValueKind::Text(36)),
        ],
        relationships: &[
            required_one("source", "casesources"),
            required_one("status", "casestatuses"),
            required_one("priority", "casepriorities"),
            one("relatedContact", "contacts"),
            one("relatedAccount", "accounts"),
            one("assignedTo", "users"),
            one("owner", "users"),
            reflection("comments", "casecomments", "case"),
            one("organization", "organizations"),
        ],
        filters: &[
            ID,
            EXTERNAL_ID,
            filter("reportedAt", FilterKind::Time, false),
            association("source"),
            association("status"),
            association("priority"),
            association("relatedContact"),
            association("relatedAccount"),
            association("assignedTo"),
            association("owner"),
            association("organization"),
        ],
        sorts: &["reportedAt", "externalId"],
        writable: true,
    },
    Kind {
        name: "casecomments",
        attributes: &[
            required("message", ValueKind::LongText),
            attribute("public", ValueKind::Boolean),
            read_only("createdAt", ValueKind::Time),
            read_only("updatedAt", ValueKind::Time),
        ],
        relationships: &[
            required_one("case", "cases"),
            one("contact", "contacts"),
            one("owner", "users"),
            one("organization", "organizations"),
            Relationship {
                writable: false,
                ..one("updatedBy", "users")
            },
        ],
        filters: &[
            ID,
            association("case"),
            association("contact"),
            association("owner"),
            association("organization"),
            association("updatedBy"),
        ],
        sorts: &[],
        writable: true,
    },
    Kind {
        name: "contacts",
        attributes: &[
            attribute("namePrefix", ValueKind::Text(255)),
            attribute("firstName", ValueKind::Text(255)),
            attribute("middleName", ValueKind::Text(255)),
            attribute("lastName", ValueKind::Text(255)),
            attribute("nameSuffix", ValueKind::Text(255)),
            attribute("gender", ValueKind::Text(8)),
            attribute("birthday", ValueKind::Text(10)),
            attribute("description", ValueKind::LongText),
            attribute("jobTitle", ValueKind::Text(255)),
            attribute("fax", ValueKind::Text(255)),
            attribute("skype", ValueKind::Text(255)),
            attribute("twitter", ValueKind::Text(255)),
            attribute("facebook", ValueKind::Text(255)),
            attribute("linkedIn", ValueKind::Text(255)),
            read_only("createdAt", ValueKind::Time),
            read_only("updatedAt", ValueKind::Time),
            attribute("primaryEmail", ValueKind::Text(255)),
            attribute("primaryPhone", ValueKind::Text(255)),
            attribute("emails", ValueKind::Emails),
            attribute("phones", ValueKind::Phones),
            attribute("externalId", ValueKind::Text(36)),
        ],
        relationships: &[
            one("owner", "users"),
            one("assignedTo", "users"),
            one("reportsTo", "contacts"),
            reflection("accounts", "accounts", "contacts"),
            one("organization", "organizations"),
        ],
        filters: &[
            ID,
            EXTERNAL_ID,
            filter("firstName", FilterKind::Text, false),
            filter("lastName", FilterKind::Text, false),
            filter("updatedAt", FilterKind::Time, false),
            filter("emails", FilterKind::Entries("email"), true),
            filter("primaryEmail", FilterKind::Text, false),
            filter("phones", FilterKind::Entries("phone"), true),
            filter("primaryPhone", FilterKind::Text, false),
            association("owner"),
            association("assignedTo"),
            association("reportsTo"),
            association("accounts"),
            association("organization"),
        ],
        sorts: &[
            "firstName",
            "lastName",
            "updatedAt",
            "primaryEmail",
            "primaryPhone",
            "externalId",
        ],
        writable: true,
    },
    Kind {
        name: "users",
        attributes: &[
            attribute("username", ValueKind::Text(255)),
            attribute("email", ValueKind::Text(255)),
            attribute("emails", ValueKind::Texts),
            attribute("phone", ValueKind::Text(255)),
            attribute("title", ValueKind::Text(255)),
            attribute("namePrefix", ValueKind::Text(255)),
            attribute("firstName", ValueKind::Text(255)),
            attribute("middleName", ValueKind::Text(255)),
            attribute("lastName", ValueKind::Text(255)),
            attribute("nameSuffix", ValueKind::Text(255)),
            attribute("enabled", ValueKind::Boolean),
            read_only("createdAt", ValueKind::Time),
            read_only("updatedAt", ValueKind::Time),
        ],
        relationships: &[
            one("owner", "businessunits"),
            one("organization", "organizations"),
        ],
        filters: &[
            ID,
            filter("username", FilterKind::Text, false),
            filter("email", FilterKind::Text, false),
            association("owner"),
            association("organization"),
        ],
        sorts: &["username", "email"],
        writable: false,
    },
    Kind {
        name: "accounts",
        attributes: &[
            required("name", ValueKind::Text(255)),
            attribute("externalId", ValueKind::Text(36)),
            read_only("createdAt", ValueKind::Time),
            read_only("updatedAt", ValueKind::Time),
        ],
        relationships: &[
            one("owner", "users"),
            Relationship {
                many: true,
                ..one("contacts", "contacts")
            },
            one("defaultContact", "contacts"),
            one("organization", "organizations"),
        ],
        filters: &[
            ID,
            EXTERNAL_ID,
            filter("name", FilterKind::Text, false),
            association("owner"),
            association("contacts"),
            association("defaultContact"),
            association("organization"),
        ],
        sorts: &["name", "externalId"],
        writable: true,
    },
    reference("casestatuses"),
    reference("casepriorities"),
    reference("casesources"),
    Kind {
        name: "organizations",
        attributes: &[
            read_only("name", ValueKind::Text(255)),
            read_only("enabled", ValueKind::Boolean),
        ],
        relationships: &[],
        filters: &[ID],
        sorts: &[],
        writable: false,
    },
    Kind {
        name: "businessunits",
        attributes: &[read_only("name", ValueKind::Text(255))],
        relationships: &[],
        filters: &[ID],
        sorts: &[],
        writable: false,
    },
];

/// The resource type of that name.
pub(crate) fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl Kind {
    /// Whether its ids are numbers.
    pub(crate) fn has_numbers(&self) -> bool {
        self.filter("id")
            .is_some_and(|filter| filter.kind == FilterKind::Number)
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        let attributes: &'static [Attribute] = self.attributes;
        attributes.iter().find(|attribute| attribute.name == name)
    }

    pub(crate) fn relationship(&self, name: &str) -> Option<&'static Relationship> {
        let relationships: &'static [Relationship] = self.relationships;
        relationships
            .iter()
            .find(|relationship| relationship.name == name)
    }

    pub(crate) fn filter(&self, name: &str) -> Option<&'static Filter> {
        let filters: &'static [Filter] = self.filters;
        filters.iter().find(|filter| filter.name == name)
    }
}
