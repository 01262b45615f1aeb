//! Filters and tests of templates: one documented table each, which the reference page prints.
//!
//! Null goes through every filter unchanged unless its row says otherwise, so that `{{ record.name | trim }}` of a record
//! without a name is null and the row's `default` or `on_null` decides.

#![allow(
    clippy::needless_pass_by_value,
    reason = "every filter has the signature of the table, whether it keeps the value or not"
)]

mod list;
mod number;
mod person_name;
mod text;
mod time;

use super::value::Value;
pub use number::exact_sum;

/// A filter: `value | name(arguments)`.
#[derive(Debug)]
pub struct Filter {
    /// Its name.
    pub name: &'static str,
    /// How it is written.
    pub signature: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Fewest arguments.
    pub least: usize,
    /// Most arguments.
    pub most: usize,
    /// Whether it is asked about null, instead of null going through.
    pub sees_null: bool,
    function: Function,
}

type Function = fn(Value<'static>, &[Value<'static>]) -> Result<Value<'static>, String>;

impl Filter {
    /// The filtered value, or why there is none; the message never shows the value.
    pub(super) fn apply(
        &self,
        value: Value<'static>,
        arguments: &[Value<'static>],
    ) -> Result<Value<'static>, String> {
        if value.is_null() && !self.sees_null {
            return Ok(Value::Null);
        }
        (self.function)(value, arguments).map_err(|message| format!("`{}` {message}", self.name))
    }
}

/// A test: `value is name`.
#[derive(Debug)]
pub struct ValueTest {
    /// Its name.
    pub name: &'static str,
    /// What it asks.
    pub meaning: &'static str,
    pub(super) holds: fn(&Value<'static>, &[Value<'static>]) -> bool,
}

const fn filter(
    name: &'static str,
    signature: &'static str,
    (least, most): (usize, usize),
    meaning: &'static str,
    function: Function,
) -> Filter {
    Filter {
        name,
        signature,
        meaning,
        least,
        most,
        sees_null: false,
        function,
    }
}

const fn of_null(filter: Filter) -> Filter {
    Filter {
        sees_null: true,
        ..filter
    }
}

/// Every filter.
pub static FILTERS: &[Filter] = &[
    filter(
        "trim",
        "trim",
        (0, 0),
        "without white space at both ends",
        text::trim,
    ),
    filter("lower", "lower", (0, 0), "in lower case", text::lower),
    filter("upper", "upper", (0, 0), "in upper case", text::upper),
    filter(
        "capitalize",
        "capitalize",
        (0, 0),
        "first letter in upper case, the others in lower case",
        text::capitalize,
    ),
    filter(
        "replace",
        "replace(from, to)",
        (2, 2),
        "with every `from` replaced by `to`",
        text::replace,
    ),
    filter(
        "truncate",
        "truncate(length)",
        (1, 1),
        "at most so many characters",
        text::truncate,
    ),
    filter(
        "split",
        "split(separator)",
        (0, 1),
        "a list of the parts between separators; without one, of the words",
        text::split,
    ),
    filter(
        "quote",
        "quote",
        (0, 0),
        "in double quotes, with `\\` before quotes and backslashes inside: for query languages",
        text::quote,
    ),
    filter(
        "quoted",
        "quoted",
        (0, 0),
        "a list with every element in quotes as `quote` does",
        text::quoted,
    ),
    of_null(filter(
        "words",
        "words",
        (0, 0),
        "the texts of a list that are not blank, joined by one space; null if there are none",
        text::words,
    )),
    filter(
        "person_name",
        "person_name",
        (0, 0),
        "an object of a person's name with prefix, first, middle, last and suffix; null for a blank name",
        person_name::person_name,
    ),
    of_null(filter(
        "default",
        "default(value, blank)",
        (1, 2),
        "`value` if there is null; with `true` as `blank` also for false, zero, empty and blank text",
        list::default,
    )),
    filter(
        "first",
        "first",
        (0, 0),
        "the first element of a list or character of a text; null if it is empty",
        list::first,
    ),
    filter(
        "last",
        "last",
        (0, 0),
        "the last element of a list or character of a text; null if it is empty",
        list::last,
    ),
    filter(
        "length",
        "length",
        (0, 0),
        "how many characters, elements or members there are",
        list::length,
    ),
    filter(
        "join",
        "join(separator)",
        (0, 1),
        "the texts of a list joined; nulls are left out",
        list::join,
    ),
    filter(
        "each_words",
        "each_words(name, …)",
        (1, 16),
        "a list of texts: of each object of a list these members that are not blank, joined by one space",
        list::each_words,
    ),
    filter(
        "items",
        "items",
        (0, 0),
        "a list of an object's members, each a list of name and value",
        list::items,
    ),
    filter("keys", "keys", (0, 0), "a list of an object's names", list::keys),
    filter(
        "without",
        "without(name, …)",
        (1, 16),
        "an object without these members, or a list without these elements",
        list::without,
    ),
    filter(
        "unique",
        "unique",
        (0, 0),
        "a list without repeated elements",
        list::unique,
    ),
    filter(
        "sort",
        "sort",
        (0, 0),
        "a list of numbers or texts in order",
        list::sort,
    ),
    filter(
        "reverse",
        "reverse",
        (0, 0),
        "a list or text from its end",
        list::reverse,
    ),
    filter(
        "sum",
        "sum",
        (0, 0),
        "the exact sum of a list of numbers; nulls are left out",
        number::sum,
    ),
    filter(
        "shift",
        "shift(places)",
        (1, 1),
        "multiplied by ten to the power of `places`, exactly: cents to money is `shift(-2)`",
        number::shift,
    ),
    filter(
        "round",
        "round(places)",
        (0, 1),
        "with so many digits after the point, halves away from zero, exactly",
        number::round,
    ),
    filter("abs", "abs", (0, 0), "without its sign", number::abs),
    filter(
        "integer",
        "integer",
        (0, 0),
        "a whole number, also from its text; anything else is an error",
        number::integer,
    ),
    filter(
        "decimal",
        "decimal",
        (0, 0),
        "an exact decimal number, also from its text",
        number::decimal,
    ),
    filter(
        "text",
        "text",
        (0, 0),
        "numbers by their digits, `true` and `false`, lists and objects as JSON",
        text::text,
    ),
    filter("json", "json", (0, 0), "the value's JSON text", text::json),
    filter(
        "time",
        "time(pattern, zone)",
        (0, 2),
        "a time as RFC 3339 in UTC; from RFC 3339, or a text in a pattern such as `%d-%b-%Y`, in a time zone (UTC)",
        time::time,
    ),
    filter(
        "format_time",
        "format_time(pattern, zone)",
        (1, 2),
        "an RFC 3339 time as text in a pattern such as `%d.%m.%Y`, in a time zone (UTC)",
        time::format_time,
    ),
    filter(
        "date",
        "date",
        (0, 0),
        "the UTC day of an RFC 3339 time, or a date, as `2024-05-01`",
        time::date,
    ),
    filter(
        "unix",
        "unix",
        (0, 0),
        "seconds since 1970 of an RFC 3339 time or a date",
        time::unix,
    ),
    filter(
        "unix_ms",
        "unix_ms",
        (0, 0),
        "milliseconds since 1970 of an RFC 3339 time or a date",
        time::unix_ms,
    ),
    filter(
        "plus",
        "plus(duration)",
        (1, 1),
        "an RFC 3339 time moved by a duration such as `PT5M` or `-P1D` (ISO 8601, days of 24 hours)",
        time::plus,
    ),
];

const fn test(
    name: &'static str,
    meaning: &'static str,
    holds: fn(&Value<'static>, &[Value<'static>]) -> bool,
) -> ValueTest {
    ValueTest { name, meaning, holds }
}

/// Every test.
pub static TESTS: &[ValueTest] = &[
    test("defined", "there is something other than null", |value, _| {
        !value.is_null()
    }),
    test("undefined", "there is nothing, or null", |value, _| {
        value.is_null()
    }),
    test("none", "there is nothing, or null", |value, _| value.is_null()),
    test(
        "empty",
        "nothing, null, blank text, an empty list or object",
        |value, _| list::is_blank(value),
    ),
    test("string", "a text", |value, _| matches!(value, Value::Text(_))),
    test("number", "a number", |value, _| matches!(value, Value::Number(_))),
    test(
        "integer",
        "a whole number",
        |value, _| matches!(value, Value::Number(number) if number.is_integer()),
    ),
    test("boolean", "true or false", |value, _| {
        matches!(value, Value::Bool(_))
    }),
    test("sequence", "a list", |value, _| matches!(value, Value::List(_))),
    test("mapping", "an object", |value, _| matches!(value, Value::Map(_))),
    test(
        "startingwith",
        "`is startingwith('x')`: a text that starts so",
        |value, arguments| {
            text::both(value, arguments.first()).is_some_and(|(text, start)| text.starts_with(&*start))
        },
    ),
    test(
        "endingwith",
        "`is endingwith('x')`: a text that ends so",
        |value, arguments| {
            text::both(value, arguments.first()).is_some_and(|(text, end)| text.ends_with(&*end))
        },
    ),
];

/// The text of a scalar.
fn text_of(value: &Value<'_>) -> Result<String, String> {
    value
        .scalar_text()
        .map(std::borrow::Cow::into_owned)
        .ok_or_else(|| format!("takes text, found {}", value.kind()))
}

/// A text argument.
fn text_argument(arguments: &[Value<'static>], index: usize) -> Result<String, String> {
    arguments
        .get(index)
        .and_then(|argument| argument.scalar_text())
        .map(std::borrow::Cow::into_owned)
        .ok_or_else(|| format!("takes a text as argument {}", index + 1))
}

/// A whole number argument.
fn integer_argument(arguments: &[Value<'static>], index: usize) -> Result<i64, String> {
    arguments
        .get(index)
        .and_then(Value::as_integer)
        .ok_or_else(|| format!("takes a whole number as argument {}", index + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_documented() {
        let mut names: Vec<&str> = FILTERS.iter().map(|filter| filter.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FILTERS.len());
        for filter in FILTERS {
            assert!(
                filter.signature.starts_with(filter.name)
                    && filter.least <= filter.most
                    && !filter.meaning.is_empty()
            );
        }
    }

    #[test]
    fn null_goes_through_unless_the_filter_asks() {
        for filter in FILTERS.iter().filter(|filter| !filter.sees_null) {
            assert_eq!(filter.apply(Value::Null, &[]), Ok(Value::Null), "{}", filter.name);
        }
    }

    #[test]
    fn no_filter_panics_or_shows_the_value_in_its_error() {
        let values = [
            Value::from("secret-value"),
            Value::from(-3),
            Value::from(true),
            Value::List(vec![Value::from("secret-value"), Value::Null]),
            Value::Map(crate::expression::Map::new()),
            Value::from(""),
            Value::from(1e300),
        ];
        for filter in FILTERS {
            for value in &values {
                for argument in &values {
                    for count in filter.least..=filter.most.min(2) {
                        let arguments = vec![argument.clone(); count];
                        if let Err(message) = filter.apply(value.clone(), &arguments) {
                            assert!(!message.contains("secret"), "{}: {message}", filter.name);
                        }
                    }
                }
            }
        }
    }
}
