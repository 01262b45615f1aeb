//! `person_name`: a person's name taken apart.
//!
//! The rules are those of a widely used CRM importer, so that both sides of a migration agree: words are split on white
//! space into at most five; a prefix and a suffix are taken from known lists only while more than two words remain; of
//! two words the first is the first name; a single word is both first and last name.

use std::borrow::Cow;

use super::text_of;
use crate::expression::value::{Map, Value};

/// Known without a point; one may follow.
const PREFIXES: [&str; 10] = [
    "Mr", "Mrs", "Ms", "Miss", "Mx", "Dr", "Master", "Atty", "Rev", "Prof",
];
/// Known as written; one point may follow.
const SUFFIXES: [&str; 26] = [
    "Jr", "Sr", "Jnr", "III", "II", "IV", "V", "C.S.V", "CSV", "PMP", "P.M.P", "RA", "R.A", "JD", "J.D",
    "MD", "M.D", "PhD", "Ph.D", "BA", "B.A", "BSc", "B.Sc", "MA", "M.A", "MSc",
];
/// The rest of them.
const MORE_SUFFIXES: [&str; 3] = ["M.Sc", "MBA", "M.B.A"];

pub(super) fn person_name(value: Value<'static>, _: &[Value<'static>]) -> Result<Value<'static>, String> {
    let text = text_of(&value)?;
    let mut parts = five_words(text.trim());
    if parts.is_empty() {
        return Ok(Value::Null);
    }
    let known = |part: &str, names: &[&str]| {
        let part = part.strip_suffix('.').unwrap_or(part);
        names.iter().any(|name| name.eq_ignore_ascii_case(part))
    };
    let prefix = (parts.len() > 2 && parts.first().is_some_and(|part| known(part, &PREFIXES)))
        .then(|| parts.remove(0));
    let is_suffix = |part: &&str| known(part, &SUFFIXES) || known(part, &MORE_SUFFIXES);
    let suffix = if parts.len() > 2 && parts.last().is_some_and(is_suffix) {
        parts.pop()
    } else {
        None
    };
    let (first, middle, last) = match parts.as_slice() {
        [only] => (Some(*only), None, Cow::Borrowed(*only)),
        [first, last] => (Some(*first), None, Cow::Borrowed(*last)),
        [first, middle, rest @ ..] => (Some(*first), Some(*middle), Cow::Owned(rest.join(" "))),
        [] => (None, None, Cow::Borrowed("")),
    };
    let member = |part: Option<&str>| part.map_or(Value::Null, Value::from);
    let mut name = Map::new();
    name.insert("prefix", member(prefix));
    name.insert("first", member(first));
    name.insert("middle", member(middle));
    name.insert("last", member(Some(&last)));
    name.insert("suffix", member(suffix));
    Ok(Value::Map(name))
}

/// At most five words; the fifth keeps whatever follows it.
fn five_words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = if words.len() == 4 {
            None
        } else {
            rest.find(char::is_whitespace)
        };
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(word);
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(name: &str) -> Option<[Option<String>; 5]> {
        let value = person_name(Value::from(name), &[]).unwrap();
        let map = value.as_map()?;
        Some(
            ["prefix", "first", "middle", "last", "suffix"]
                .map(|part| map.get(part).and_then(Value::as_text).map(str::to_owned)),
        )
    }

    #[test]
    fn names_as_the_importer_splits_them() {
        for (name, expected) in [
            (
                "Mr\tAlex\tM.\tSmith\tJr",
                [Some("Mr"), Some("Alex"), Some("M."), Some("Smith"), Some("Jr")],
            ),
            (
                "Alex M. Smith",
                [None, Some("Alex"), Some("M."), Some("Smith"), None],
            ),
            ("Alex Smith", [None, Some("Alex"), None, Some("Smith"), None]),
            ("Dr Jnr.", [None, Some("Dr"), None, Some("Jnr."), None]),
            (
                "  Alex M. Smith   ",
                [None, Some("Alex"), Some("M."), Some("Smith"), None],
            ),
            ("  Alex   ", [None, Some("Alex"), None, Some("Alex"), None]),
            (
                "Dr. Alex Smith",
                [Some("Dr."), Some("Alex"), None, Some("Smith"), None],
            ),
            (
                "Alex Smith Ph.D.",
                [None, Some("Alex"), None, Some("Smith"), Some("Ph.D.")],
            ),
            ("Mr Alex Jr", [Some("Mr"), Some("Alex"), None, Some("Jr"), None]),
            (
                "Alex de la Cruz",
                [None, Some("Alex"), Some("de"), Some("la Cruz"), None],
            ),
            (
                "Mr Alex van der Berg Smith",
                [
                    Some("Mr"),
                    Some("Alex"),
                    Some("van"),
                    Some("der Berg Smith"),
                    None,
                ],
            ),
        ] {
            assert_eq!(
                split(name),
                Some(expected.map(|part| part.map(str::to_owned))),
                "{name}"
            );
        }
        assert_eq!(split("   "), None);
    }
}
