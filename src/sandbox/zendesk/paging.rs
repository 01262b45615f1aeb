//! The two ways in which list endpoints page, and what each refuses.
//!
//! Cursor paging (`page[size]`, `page[after]`) follows a sort key; offset paging (`page`, `per_page`) counts and stops at
//! ten thousand rows. A request that mixes them gets cursor paging, and its offset sort is dropped without a word.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::super::message::{Request, Response};
use super::errors;

/// Rows per page, at most and by default.
const PAGE_SIZE: usize = 100;
/// Offset paging ends here.
const DEEPEST_ROW: usize = 10_000;

/// A row's place in the order of a list: the sorted value, then the id.
pub(crate) type Place = (i64, u64);

/// The rows of a list with the places that the request's sort gives them.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    /// The name of the list in the answer.
    pub(crate) name: &'a str,
    /// Scheme, host and port for the links.
    pub(crate) base: &'a str,
    /// Places in ascending order.
    pub(crate) places: Vec<Place>,
    /// Whether the highest place comes first.
    pub(crate) descending: bool,
}

/// Cuts the page that the request asks for and renders its rows with `render`.
pub(crate) fn page(
    request: &Request,
    mut listing: Listing<'_>,
    render: impl Fn(u64) -> Option<Value>,
) -> Result<Map<String, Value>, Box<Response>> {
    listing.places.sort_unstable();
    if listing.descending {
        listing.places.reverse();
    }
    let is_cursor = request.query.iter().any(|(name, _)| name.starts_with("page["));
    let mut answer = if is_cursor {
        by_cursor(request, &listing)?
    } else {
        by_offset(request, &listing)?
    };
    let rows: Vec<Value> = answer.places.drain(..).filter_map(|(_, id)| render(id)).collect();
    let mut document = Map::from_iter([(listing.name.to_owned(), Value::Array(rows))]);
    document.append(&mut answer.rest);
    Ok(document)
}

struct Page {
    places: Vec<Place>,
    rest: Map<String, Value>,
}

fn by_cursor(request: &Request, listing: &Listing<'_>) -> Result<Page, Box<Response>> {
    let size = match request.parameter("page[size]") {
        None => PAGE_SIZE,
        Some(text) => match text.parse::<usize>() {
            Ok(size) if (1..=PAGE_SIZE).contains(&size) => size,
            _ => {
                return Err(Box::new(errors::invalid_parameter(
                    "InvalidPaginationParameter",
                    "Invalid Pagination Parameter",
                    "page[size] must be an integer between 1 and 100",
                )));
            }
        },
    };
    let after = match request.parameter("page[after]") {
        None => None,
        Some(text) => match read_cursor(text) {
            Some(place) => Some(place),
            None => {
                return Err(Box::new(errors::invalid_parameter(
                    "InvalidPaginationParameter",
                    "Invalid Pagination Parameter",
                    "page[after] is not valid",
                )));
            }
        },
    };
    let mut places: Vec<Place> = listing
        .places
        .iter()
        .copied()
        .filter(|place| match after {
            None => true,
            Some(after) if listing.descending => *place < after,
            Some(after) => *place > after,
        })
        .take(size + 1)
        .collect();
    let has_more = places.len() > size;
    places.truncate(size);
    let after_cursor = places.last().map(|place| write_cursor(*place));
    let before_cursor = places.first().map(|place| write_cursor(*place));
    let next = after_cursor
        .as_deref()
        .filter(|_| has_more)
        .map(|cursor| link(request, listing.base, &[("page[after]", cursor)]));
    let rest = Map::from_iter([
        (
            "meta".to_owned(),
            json!({ "has_more": has_more, "after_cursor": after_cursor, "before_cursor": before_cursor }),
        ),
        ("links".to_owned(), json!({ "prev": null, "next": next })),
    ]);
    Ok(Page { places, rest })
}

fn by_offset(request: &Request, listing: &Listing<'_>) -> Result<Page, Box<Response>> {
    let number = |name: &str, default: usize| {
        request
            .parameter(name)
            .and_then(|text| text.parse().ok())
            .filter(|number| *number > 0)
            .unwrap_or(default)
    };
    let page = number("page", 1);
    let size = number("per_page", PAGE_SIZE).min(PAGE_SIZE);
    if page.saturating_mul(size) > DEEPEST_ROW {
        return Err(Box::new(errors::invalid_parameter(
            "InvalidPaginationDepth",
            "Invalid Pagination Depth",
            "The requested page is too deep: use cursor pagination to read beyond 10,000 records",
        )));
    }
    let start = (page - 1) * size;
    let places = listing.places.iter().copied().skip(start).take(size).collect();
    let count = listing.places.len();
    let turn = |page: usize| link(request, listing.base, &[("page", &page.to_string())]);
    let rest = Map::from_iter([
        (
            "next_page".to_owned(),
            json!((start + size < count).then(|| turn(page + 1))),
        ),
        (
            "previous_page".to_owned(),
            json!((page > 1).then(|| turn(page - 1))),
        ),
        ("count".to_owned(), json!(count)),
    ]);
    Ok(Page { places, rest })
}

/// The request's own address with some parameters replaced, encoded as the vendor does.
pub(crate) fn link(request: &Request, base: &str, replaced: &[(&str, &str)]) -> String {
    let path = request.target.split('?').next().unwrap_or_default();
    let kept = request
        .query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| !replaced.iter().any(|(other, _)| other == name));
    let query: Vec<String> = kept
        .chain(replaced.iter().copied())
        .map(|(name, value)| {
            format!(
                "{}={}",
                utf8_percent_encode(name, NON_ALPHANUMERIC),
                utf8_percent_encode(value, NON_ALPHANUMERIC)
            )
        })
        .collect();
    format!("{base}{path}?{}", query.join("&"))
}

fn write_cursor((value, id): Place) -> String {
    STANDARD.encode(format!("{value}|{id}"))
}

fn read_cursor(text: &str) -> Option<Place> {
    let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let (value, id) = text.split_once('|')?;
    Some((value.parse().ok()?, id.parse().ok()?))
}
