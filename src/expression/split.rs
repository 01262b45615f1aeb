//! Cutting a page into its records without copying or building anything.
//!
//! A page is scanned once; what comes out are slices that share the page's memory. Where [`Scanner`] gives up,
//! `serde_json` does it.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json::JsonError;
use super::path::{Path, Step};
use super::scan::Scanner;
use super::value::position;

/// Why a page gives no records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The page is not JSON.
    #[error("the answer is not JSON: {0}")]
    Json(#[from] JsonError),
    /// There is nothing at the path.
    #[error("the answer has nothing at `{path}`")]
    NotFound {
        /// The path.
        path: String,
    },
    /// What is at the path is no list.
    #[error("the answer has no list at `{path}`")]
    NotAList {
        /// The path.
        path: String,
    },
    /// The path is not a plain chain of names and indexes.
    #[error("`{path}` is not a plain chain of names and indexes")]
    NotPlain {
        /// The path.
        path: String,
    },
}

/// The elements of the list at a plain path, as slices of the page. Null counts as an empty list.
///
/// # Errors
/// When the page is not JSON, or has no list there.
pub fn split_records(page: &Bytes, records: &Path) -> Result<Vec<Bytes>, SplitError> {
    let path = || records.source().to_owned();
    match find(page, records, Goal::Split)? {
        Found::Nothing => Err(SplitError::NotFound { path: path() }),
        Found::Other => Err(SplitError::NotAList { path: path() }),
        Found::Null => Ok(Vec::new()),
        Found::Slice(_) => Ok(Vec::new()),
        Found::List(items) => Ok(items
            .into_iter()
            .map(|item| page.slice_ref(item.as_bytes()))
            .collect()),
    }
}

/// The JSON text at a plain path, as a slice of the page; `None` if there is nothing.
///
/// # Errors
/// When the page is not JSON.
pub fn select_slice(page: &Bytes, path: &Path) -> Result<Option<Bytes>, SplitError> {
    match find(page, path, Goal::Select)? {
        Found::Slice(raw) => Ok(Some(page.slice_ref(raw.as_bytes()))),
        Found::Nothing | Found::Other | Found::Null | Found::List(_) => Ok(None),
    }
}

/// The JSON text at a plain path of a text; `None` if there is nothing.
///
/// # Errors
/// When the text is not JSON.
pub fn select_text<'t>(text: &'t [u8], path: &Path) -> Result<Option<&'t str>, SplitError> {
    match find(text, path, Goal::Select)? {
        Found::Slice(raw) => Ok(Some(raw)),
        Found::Nothing | Found::Other | Found::Null | Found::List(_) => Ok(None),
    }
}

fn find<'t>(text: &'t [u8], path: &Path, goal: Goal) -> Result<Found<'t>, SplitError> {
    let steps = path.steps().ok_or_else(|| SplitError::NotPlain {
        path: path.source().to_owned(),
    })?;
    if let Ok(text) = super::json::utf8(text) {
        let mut scanner = Scanner::new(text);
        if let Some(found) = scanned(&mut scanner, steps, goal)
            && scanner.end().is_some()
        {
            return Ok(found);
        }
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    Descend { steps, goal }
        .deserialize(&mut deserializer)
        .and_then(|found| deserializer.end().map(|()| found))
        .map_err(|error| SplitError::Json(JsonError::new(text, 0, &error)))
}

/// Follows names while stepping over the text; `None` where the scanner gives up or the path has a position.
fn scanned<'t>(scanner: &mut Scanner<'t>, steps: &[Step], goal: Goal) -> Option<Found<'t>> {
    let first = scanner.peek()?;
    match steps.split_first() {
        None if matches!(goal, Goal::Split) && first == b'[' => {
            let mut items = Vec::new();
            let mut more = scanner.open(b'[', b']')?;
            while more {
                items.push(scanner.value()?);
                more = scanner.more(b']')?;
            }
            Some(Found::List(items))
        }
        None => {
            let text = scanner.value()?;
            Some(match goal {
                Goal::Select => Found::Slice(text),
                Goal::Split if text == "null" => Found::Null,
                Goal::Split => Found::Other,
            })
        }
        Some((Step::Name(name), rest)) if first == b'{' => {
            let mut found = Found::Nothing;
            let mut more = scanner.open(b'{', b'}')?;
            while more {
                if scanner.name()? == name {
                    found = scanned(scanner, rest, goal)?;
                } else {
                    scanner.skip()?;
                }
                more = scanner.more(b'}')?;
            }
            Some(found)
        }
        Some((Step::Name(_), _)) => {
            scanner.skip()?;
            Some(Found::Nothing)
        }
        Some((Step::Index(_), _)) => None,
    }
}

#[derive(Clone, Copy)]
enum Goal {
    Split,
    Select,
}

enum Found<'t> {
    Nothing,
    Null,
    Other,
    Slice(&'t str),
    List(Vec<&'t str>),
}

/// Follows the steps while the text is scanned.
#[derive(Clone, Copy)]
struct Descend<'p> {
    steps: &'p [Step],
    goal: Goal,
}

impl<'t> DeserializeSeed<'t> for Descend<'_> {
    type Value = Found<'t>;

    fn deserialize<D: serde::Deserializer<'t>>(self, deserializer: D) -> Result<Found<'t>, D::Error> {
        if self.steps.is_empty() && matches!(self.goal, Goal::Select) {
            return <&RawValue>::deserialize(deserializer).map(|raw| Found::Slice(raw.get()));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'t> Descend<'_> {
    /// Whether the path ends here, at something that is no list.
    fn scalar(&self) -> Found<'t> {
        if self.steps.is_empty() {
            Found::Other
        } else {
            Found::Nothing
        }
    }
}

impl<'t> Visitor<'t> for Descend<'_> {
    type Value = Found<'t>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut access: A) -> Result<Found<'t>, A::Error> {
        let (name, rest) = match self.steps.split_first() {
            Some((Step::Name(name), rest)) => (Some(name.as_str()), rest),
            _ => (None, self.steps),
        };
        let mut found = self.scalar();
        while let Some(hit) = access.next_key_seed(Is(name))? {
            if hit {
                found = access.next_value_seed(Descend {
                    steps: rest,
                    goal: self.goal,
                })?;
            } else {
                access.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut access: A) -> Result<Found<'t>, A::Error> {
        let mut items: Vec<&'t str> = Vec::new();
        match self.steps.split_first() {
            None => {
                while let Some(item) = access.next_element::<&RawValue>()? {
                    items.push(item.get());
                }
                Ok(Found::List(items))
            }
            Some((Step::Name(_), _)) => {
                while access.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Found::Nothing)
            }
            Some((Step::Index(index), rest)) => {
                while let Some(item) = access.next_element::<&RawValue>()? {
                    items.push(item.get());
                }
                let Some(item) = position(*index, items.len()).and_then(|at| items.get(at)) else {
                    return Ok(Found::Nothing);
                };
                let mut deserializer = serde_json::Deserializer::from_str(item);
                Descend {
                    steps: rest,
                    goal: self.goal,
                }
                .deserialize(&mut deserializer)
                .map_err(serde::de::Error::custom)
            }
        }
    }

    fn visit_unit<E>(self) -> Result<Found<'t>, E> {
        Ok(if self.steps.is_empty() {
            Found::Null
        } else {
            Found::Nothing
        })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found<'t>, E> {
        Ok(self.scalar())
    }

    fn visit_str<E>(self, _: &str) -> Result<Found<'t>, E> {
        Ok(self.scalar())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found<'t>, E> {
        Ok(self.scalar())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found<'t>, E> {
        Ok(self.scalar())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found<'t>, E> {
        Ok(self.scalar())
    }
}

/// Compares a member's name.
struct Is<'p>(Option<&'p str>);

impl<'t> DeserializeSeed<'t> for Is<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'t>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(self.0 == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    #[test]
    fn records_are_slices_of_the_page() {
        let page =
            page(r#"{"meta":{"tickets":[0]},"data":{"tickets":[{"id":1}, {"id" : 2.50}]},"next":null}"#);
        let records = split_records(&page, &path("$.data.tickets")).unwrap();
        assert_eq!(records, [r#"{"id":1}"#, r#"{"id" : 2.50}"#]);
        let range = page.as_ptr_range();
        assert!(records.iter().all(|record| range.contains(&record.as_ptr())));
        assert_eq!(
            split_records(&Bytes::from_static(b"[1,[2]]"), &path("$")).unwrap(),
            ["1", "[2]"]
        );
    }

    #[test]
    fn what_is_not_there_is_told_from_what_is_no_list() {
        let page = page(r#"{"a":{"b":1},"c":null,"d":"x","e":[[1],[2,3]]}"#);
        assert!(matches!(
            split_records(&page, &path("$.a.x")),
            Err(SplitError::NotFound { .. })
        ));
        assert!(matches!(
            split_records(&page, &path("$.d.x")),
            Err(SplitError::NotFound { .. })
        ));
        assert!(matches!(
            split_records(&page, &path("$.a.b")),
            Err(SplitError::NotAList { .. })
        ));
        assert!(matches!(
            split_records(&page, &path("$.a")),
            Err(SplitError::NotAList { .. })
        ));
        assert!(matches!(
            split_records(&page, &path("$.d")),
            Err(SplitError::NotAList { .. })
        ));
        assert!(matches!(
            split_records(&page, &path("$.e[*]")),
            Err(SplitError::NotPlain { .. })
        ));
        assert_eq!(split_records(&page, &path("$.c")).unwrap().len(), 0);
        assert_eq!(split_records(&page, &path("$.e[-1]")).unwrap(), ["2", "3"]);
    }

    #[test]
    fn slices_of_single_members() {
        let page = page(r#"{"a":{"b": "x\n" },"a":{"b":[1, 2]},"n":12.0}"#);
        assert_eq!(select_slice(&page, &path("$.a.b")).unwrap().unwrap(), "[1, 2]");
        assert_eq!(select_slice(&page, &path("$.a.b[1]")).unwrap().unwrap(), "2");
        assert_eq!(select_slice(&page, &path("$.n")).unwrap().unwrap(), "12.0");
        assert_eq!(select_slice(&page, &path("$.n.x")).unwrap(), None);
    }

    #[test]
    fn a_torn_page_is_an_error() {
        for torn in [
            "{\"t\":[{\"id\":1},{\"id\"",
            "{\"t\":[1]",
            "{\"t\":[1]} x",
            "<html>",
        ] {
            let error = split_records(&Bytes::copy_from_slice(torn.as_bytes()), &path("$.t")).unwrap_err();
            assert!(matches!(error, SplitError::Json(_)), "{torn}");
        }
    }
}
