//! What a resource type of the Oro stand-in consists of: attributes, relationships, and what may be filtered and sorted by.
//!
//! The types themselves are in `kinds`, and those that the vendor's own helpdesk bundle adds in `mirror`.

use super::kinds::KINDS;
use super::mirror::MIRROR;

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
    /// Whether a stock system lacks it, for the field has no index.
    pub(crate) extra: bool,
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

pub(super) const fn attribute(name: &'static str, value: ValueKind) -> Attribute {
    Attribute {
        name,
        value,
        required: false,
        writable: true,
    }
}

pub(super) const fn required(name: &'static str, value: ValueKind) -> Attribute {
    Attribute {
        name,
        value,
        required: true,
        writable: true,
    }
}

pub(super) const fn read_only(name: &'static str, value: ValueKind) -> Attribute {
    Attribute {
        name,
        value,
        required: false,
        writable: false,
    }
}

pub(super) const fn one(name: &'static str, target: &'static str) -> Relationship {
    Relationship {
        name,
        target,
        many: false,
        required: false,
        writable: true,
        inverse_of: None,
    }
}

pub(super) const fn required_one(name: &'static str, target: &'static str) -> Relationship {
    Relationship {
        name,
        target,
        many: false,
        required: true,
        writable: true,
        inverse_of: None,
    }
}

pub(super) const fn reflection(
    name: &'static str,
    target: &'static str,
    inverse_of: &'static str,
) -> Relationship {
    Relationship {
        name,
        target,
        many: true,
        required: false,
        writable: false,
        inverse_of: Some(inverse_of),
    }
}

pub(super) const fn filter(name: &'static str, kind: FilterKind, arrays: bool) -> Filter {
    Filter {
        name,
        kind,
        arrays,
        extra: false,
    }
}

/// A filter and sort that only an installation with a few lines of configuration has.
pub(super) const fn extra_filter(name: &'static str, kind: FilterKind) -> Filter {
    Filter {
        name,
        kind,
        arrays: false,
        extra: true,
    }
}

pub(super) const ID: Filter = filter("id", FilterKind::Number, true);
pub(super) const NAME: Filter = filter("id", FilterKind::Name, true);
pub(super) const EXTERNAL_ID: Filter = filter("externalId", FilterKind::Text, true);

pub(super) const fn association(name: &'static str) -> Filter {
    filter(name, FilterKind::Association, true)
}

pub(super) const REFERENCE: &[Attribute] = &[
    read_only("label", ValueKind::Text(255)),
    read_only("order", ValueKind::Integer),
];

pub(super) const fn reference(name: &'static str) -> Kind {
    Kind {
        name,
        attributes: REFERENCE,
        relationships: &[],
        filters: &[NAME],
        sorts: &[],
        writable: false,
    }
}

/// The resource type of that name.
pub(crate) fn kind(name: &str) -> Option<&'static Kind> {
    kinds().find(|kind| kind.name == name)
}

/// Every resource type.
pub(crate) fn kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().chain(MIRROR)
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
