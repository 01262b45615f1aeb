//! [`Projection`]: which members of a record are read.
//!
//! A trie of member names, filled from the paths and templates that a flow compiles; the parser skips everything else.

use super::path::Path;

/// The members of a record that compiled rules read.
#[derive(Clone, Debug, Default)]
pub struct Projection {
    everything: bool,
    members: Vec<(Box<str>, Projection)>,
    /// Bit n: a member whose name has n bytes (63: or more).
    lengths: u64,
    /// Bit n: a member whose name's first byte is n modulo 64.
    first_bytes: u64,
}

/// What everything below a fully read member is read with.
static EVERYTHING: Projection = Projection {
    everything: true,
    members: Vec::new(),
    lengths: 0,
    first_bytes: 0,
};

impl Projection {
    /// Every member is read.
    pub fn everything() -> Self {
        EVERYTHING.clone()
    }

    /// Nothing is read.
    pub fn new() -> Self {
        Projection::default()
    }

    /// Whether every member is read.
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// Adds what a path reads.
    pub fn add_path(&mut self, path: &Path) {
        if path.reads_root() {
            self.everything = true;
            return;
        }
        self.add(path.leading_names());
    }

    /// Adds what a template reads of the record: the chain below the name under which it sees it, so
    /// `["requester", "role"]` for `{{ record.requester.role }}`. An empty chain is the whole record.
    pub fn add_variable(&mut self, chain: &[String]) {
        self.add(chain.iter().map(String::as_str));
    }

    /// Adds what another projection reads.
    pub fn add_projection(&mut self, other: &Projection) {
        if other.everything {
            self.everything = true;
        }
        for (name, projection) in &other.members {
            self.child(name).add_projection(projection);
        }
    }

    fn add<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        let mut at = self;
        for name in names {
            at = at.child(name);
        }
        at.everything = true;
    }

    fn child(&mut self, name: &str) -> &mut Projection {
        self.lengths |= length_bit(name);
        self.first_bytes |= first_byte_bit(name);
        let index = match self.members.iter().position(|(other, _)| **other == *name) {
            Some(index) => index,
            None => {
                self.members.push((name.into(), Projection::new()));
                self.members.len() - 1
            }
        };
        &mut self.members[index].1
    }

    /// How a member is read; `None`: not at all.
    pub(crate) fn member(&self, name: &str) -> Option<&Projection> {
        self.place(name).map(|(_, projection)| projection)
    }

    /// How a member is read, and its place among those that are named; `None`: not at all.
    pub(crate) fn place(&self, name: &str) -> Option<(Option<usize>, &Projection)> {
        if self.everything {
            return Some((None, &EVERYTHING));
        }
        if self.lengths & length_bit(name) == 0 || self.first_bytes & first_byte_bit(name) == 0 {
            return None;
        }
        let place = self.members.iter().position(|(other, _)| **other == *name)?;
        let (_, projection) = self.members.get(place)?;
        Some((Some(place), projection))
    }

    /// How many members a record is likely to have that are read.
    pub(crate) fn expected_members(&self) -> usize {
        if self.everything { 8 } else { self.members.len() }
    }
}

fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}

fn first_byte_bit(name: &str) -> u64 {
    1 << (name.as_bytes().first().copied().unwrap_or(0) & 63)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::json::project_json;

    #[test]
    fn only_what_is_named_is_read() {
        let mut projection = Projection::new();
        for path in ["$.id", "$.requester.email", "$.tags[0]", "$.items[*].price"] {
            projection.add_path(&Path::parse(path).unwrap());
        }
        projection.add_variable(&["requester".to_owned(), "role".to_owned()]);
        let text = br#"{"id":1,"skipped":{"a":[1]},"requester":{"email":"a@b","name":"x","role":"end-user"},
            "tags":["a","b"],"items":[{"price":1,"n":2}]}"#;
        assert_eq!(
            project_json(text, &projection).unwrap().to_json(),
            r#"{"id":1,"requester":{"email":"a@b","role":"end-user"},"tags":["a","b"],"items":[{"price":1,"n":2}]}"#
        );
        projection.add_projection(&Projection::everything());
        assert!(project_json(text, &projection).unwrap().get("skipped").is_some());
    }

    #[test]
    fn a_filter_that_reads_the_root_reads_everything() {
        let mut projection = Projection::new();
        projection.add_path(&Path::parse("$.a[?@.b == $.c]").unwrap());
        assert!(projection.is_everything());
    }

    #[test]
    fn malformed_text_is_an_error_even_in_what_is_skipped() {
        let mut projection = Projection::new();
        projection.add_variable(&["a".to_owned()]);
        assert!(project_json(br#"{"a":1,"b":tru}"#, &projection).is_err());
    }
}
