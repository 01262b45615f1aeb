//! The general JSONPath evaluator: `jsonpath-rust` over [`Value`], and the checks that make its answers safe.
//!
//! Numbers are compared in filters as 64-bit floats, as the library does; what is selected keeps its digits.
//! The library accepts some paths that RFC 9535 calls ill-typed and answers a few others wrongly (its own compliance
//! suite says so); both are refused here with a message.

use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::model::{
    Comparable, Comparison, Filter, FilterAtom, FnArg, JpQuery, Segment, Selector, SingularQuery, Test,
    TestFunction,
};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use jsonpath_rust::query::queryable::Queryable;

use super::path::SyntaxError;
use super::value::Value;

/// A parsed path in its general form.
#[derive(Clone, Debug)]
pub(super) struct Query {
    query: JpQuery,
    reads_root: bool,
}

/// One part of a path.
pub(super) enum QueryPart<'q> {
    /// A member.
    Name(&'q str),
    /// An element.
    Index(i64),
    /// Anything that may select several nodes.
    Other,
}

impl Query {
    pub(super) fn parse(text: &str) -> Result<Query, SyntaxError> {
        if !text.starts_with('$') {
            return Err(SyntaxError {
                offset: 0,
                length: text.chars().next().map_or(0, char::len_utf8),
                message: "a JSONPath starts with `$`".to_owned(),
            });
        }
        if let Some(offset) = space_in_name(text) {
            return Err(SyntaxError {
                offset,
                length: 1,
                message: "a name with a space stands in brackets and quotes: `$['a name']`".to_owned(),
            });
        }
        let query = parse_json_path(text).map_err(|error| syntax_error(text, &error))?;
        let mut check = Check { reads_root: false };
        check.segments(&query.segments, false).map_err(|refusal| {
            let offset = text.find(&refusal.near).unwrap_or(0);
            SyntaxError {
                offset,
                length: if text.contains(&refusal.near) {
                    refusal.near.len()
                } else {
                    text.len()
                },
                message: refusal.message,
            }
        })?;
        Ok(Query {
            query,
            reads_root: check.reads_root,
        })
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = QueryPart<'_>> {
        self.query.segments.iter().map(|segment| match segment {
            Segment::Selector(Selector::Name(name)) => QueryPart::Name(name),
            Segment::Selector(Selector::Index(index)) => QueryPart::Index(*index),
            Segment::Selector(_) | Segment::Selectors(_) | Segment::Descendant(_) => QueryPart::Other,
        })
    }

    /// Whether a filter looks at the whole document.
    pub(super) fn reads_root(&self) -> bool {
        self.reads_root
    }

    /// All nodes. An evaluation that fails selects nothing: the parsed path leaves no way to fail but memory.
    pub(super) fn all<'v, 'a>(&self, root: &'v Value<'a>) -> Vec<&'v Value<'a>> {
        js_path_process(&self.query, root)
            .map(|nodes| nodes.into_iter().map(|node| node.val()).collect())
            .unwrap_or_default()
    }
}

/// White space between two characters of names, outside quotes: the library would take it for a part of the name.
fn space_in_name(text: &str) -> Option<usize> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
    let mut quote = None;
    let mut escaped = false;
    let mut before = None;
    let mut space = None;
    for (offset, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c.is_ascii_whitespace() => {
                space.get_or_insert(offset);
                continue;
            }
            None if matches!(c, '\'' | '"') => quote = Some(c),
            None => {
                if let (Some(space), Some(true)) = (space, before)
                    && is_name(c)
                {
                    return Some(space);
                }
            }
        }
        before = Some(quote.is_none() && is_name(c));
        space = None;
    }
    None
}

/// Makes one message of the library's, with the place it names.
fn syntax_error(text: &str, error: &JsonPathError) -> SyntaxError {
    let shown = error.to_string();
    let column = shown
        .split_once("--> ")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit() && c != ':').next())
        .and_then(|place| place.split_once(':'))
        .and_then(|(_, column)| column.parse::<usize>().ok());
    let offset = column
        .and_then(|column| text.char_indices().nth(column.saturating_sub(1)))
        .map_or(text.len(), |(offset, _)| offset);
    let offset = if column.is_none() { 0 } else { offset };
    let rest = text.get(offset..).unwrap_or_default();
    let length = rest.chars().next().map_or(1, char::len_utf8);
    let before = text.get(..offset).unwrap_or_default();
    let message = match (error, rest.chars().next()) {
        (JsonPathError::PestError(_), None) if before.ends_with('.') => {
            "a member's name is missing after `.`".to_owned()
        }
        (JsonPathError::PestError(_), None) => {
            "the path ends too early: a bracket, quote or operand is missing".to_owned()
        }
        (JsonPathError::PestError(_), Some('-')) => {
            "a name with `-` stands in brackets and quotes: `$['end-user']`".to_owned()
        }
        (JsonPathError::PestError(_), Some(c)) => format!("`{c}` is not expected here (JSONPath, RFC 9535)"),
        (JsonPathError::InvalidJsonPath(message) | JsonPathError::InvalidNumber(message), _) => {
            lower_start(message)
        }
        (other, _) => lower_start(&other.to_string()),
    };
    let length = if column.is_none() {
        text.len().max(1)
    } else {
        length
    };
    SyntaxError {
        offset,
        length,
        message,
    }
}

fn lower_start(message: &str) -> String {
    let mut chars = message.chars();
    let start: String = chars
        .next()
        .map(|c| c.to_lowercase().collect())
        .unwrap_or_default();
    start + chars.as_str()
}

/// Why a path that parses is refused.
struct Refusal {
    /// A piece of the path's text to point at.
    near: String,
    message: String,
}

fn refuse<T>(near: &str, message: String) -> Result<T, Refusal> {
    Err(Refusal {
        near: near.to_owned(),
        message,
    })
}

/// Walks a parsed path.
struct Check {
    reads_root: bool,
}

impl Check {
    fn segments(&mut self, segments: &[Segment], in_filter: bool) -> Result<(), Refusal> {
        segments
            .iter()
            .try_for_each(|segment| self.segment(segment, in_filter))
    }

    fn segment(&mut self, segment: &Segment, in_filter: bool) -> Result<(), Refusal> {
        match segment {
            Segment::Descendant(inner) if matches!(**inner, Segment::Selectors(_)) => refuse(
                "..[",
                "`..` with several selectors is not supported: write one path for each".to_owned(),
            ),
            Segment::Descendant(inner) => self.segment(inner, in_filter),
            Segment::Selector(selector) => self.selector(selector, in_filter),
            Segment::Selectors(selectors) => selectors
                .iter()
                .try_for_each(|selector| self.selector(selector, in_filter)),
        }
    }

    fn selector(&mut self, selector: &Selector, in_filter: bool) -> Result<(), Refusal> {
        match selector {
            Selector::Filter(_) if in_filter => refuse(
                "?",
                "a filter inside a filter is not supported: select in two steps, with `each`".to_owned(),
            ),
            Selector::Filter(filter) => self.filter(filter),
            Selector::Name(_) | Selector::Wildcard | Selector::Index(_) | Selector::Slice(..) => Ok(()),
        }
    }

    fn filter(&mut self, filter: &Filter) -> Result<(), Refusal> {
        match filter {
            Filter::Or(filters) | Filter::And(filters) => {
                filters.iter().try_for_each(|filter| self.filter(filter))
            }
            Filter::Atom(FilterAtom::Filter { expr, .. }) => self.filter(expr),
            Filter::Atom(FilterAtom::Test { expr, .. }) => match &**expr {
                Test::Function(function) => match &**function {
                    TestFunction::Search(..) | TestFunction::Match(..) => self.function(function),
                    TestFunction::Length(_) | TestFunction::Value(_) | TestFunction::Count(_) => {
                        let name = name_of(function);
                        refuse(
                            name,
                            format!("`{name}(…)` needs a comparison, such as `{name}(…) > 0`"),
                        )
                    }
                    TestFunction::Custom(..) => self.function(function),
                },
                query => self.query(query),
            },
            Filter::Atom(FilterAtom::Comparison(comparison)) => {
                let (Comparison::Eq(left, right)
                | Comparison::Ne(left, right)
                | Comparison::Gt(left, right)
                | Comparison::Gte(left, right)
                | Comparison::Lt(left, right)
                | Comparison::Lte(left, right)) = &**comparison;
                self.comparable(left)?;
                self.comparable(right)
            }
        }
    }

    fn comparable(&mut self, comparable: &Comparable) -> Result<(), Refusal> {
        match comparable {
            Comparable::Literal(_) => Ok(()),
            Comparable::SingularQuery(query) => {
                self.reads_root |= matches!(query, SingularQuery::Root(_));
                Ok(())
            }
            Comparable::Function(function) => match function {
                TestFunction::Search(..) | TestFunction::Match(..) => {
                    let name = name_of(function);
                    refuse(
                        name,
                        format!("`{name}(…)` is true or false by itself and is not compared"),
                    )
                }
                TestFunction::Length(_)
                | TestFunction::Value(_)
                | TestFunction::Count(_)
                | TestFunction::Custom(..) => self.function(function),
            },
        }
    }

    fn function(&mut self, function: &TestFunction) -> Result<(), Refusal> {
        match function {
            TestFunction::Custom(name, _) => refuse(
                name,
                format!(
                    "there is no function `{name}`: JSONPath has `length`, `count`, `value`, `match` and `search`"
                ),
            ),
            TestFunction::Length(argument) => self.value_argument("length", argument),
            TestFunction::Match(text, pattern) => {
                self.value_argument("match", text)?;
                self.value_argument("match", pattern)
            }
            TestFunction::Search(text, pattern) => {
                self.value_argument("search", text)?;
                self.value_argument("search", pattern)
            }
            TestFunction::Count(argument) => self.nodes_argument("count", argument),
            TestFunction::Value(argument) => self.nodes_argument("value", argument),
        }
    }

    /// An argument that must be one value (RFC 9535 §2.4.3).
    fn value_argument(&mut self, function: &str, argument: &FnArg) -> Result<(), Refusal> {
        let singular = |segments: &[Segment]| {
            segments
                .iter()
                .all(|segment| matches!(segment, Segment::Selector(Selector::Name(_) | Selector::Index(_))))
        };
        match argument {
            FnArg::Literal(_) => Ok(()),
            FnArg::Test(test) => match &**test {
                Test::RelQuery(segments) if singular(segments) => self.query(test),
                Test::AbsQuery(query) if singular(&query.segments) => self.query(test),
                Test::Function(inner) => match &**inner {
                    TestFunction::Length(_) | TestFunction::Value(_) | TestFunction::Count(_) => {
                        self.function(inner)
                    }
                    TestFunction::Search(..) | TestFunction::Match(..) | TestFunction::Custom(..) => {
                        refuse(function, format!("`{function}` takes a value, not true or false"))
                    }
                },
                Test::RelQuery(_) | Test::AbsQuery(_) => refuse(
                    function,
                    format!("`{function}` takes a path that selects one node; this one may select several"),
                ),
            },
            FnArg::Filter(_) => refuse(function, format!("`{function}` takes a value, not a condition")),
        }
    }

    /// An argument that must be a path.
    fn nodes_argument(&mut self, function: &str, argument: &FnArg) -> Result<(), Refusal> {
        match argument {
            FnArg::Test(test) if !matches!(**test, Test::Function(_)) => self.query(test),
            _ => refuse(function, format!("`{function}` takes a path")),
        }
    }

    fn query(&mut self, test: &Test) -> Result<(), Refusal> {
        match test {
            Test::RelQuery(segments) => self.segments(segments, true),
            Test::AbsQuery(query) => {
                self.reads_root = true;
                self.segments(&query.segments, true)
            }
            Test::Function(function) => self.function(function),
        }
    }
}

fn name_of(function: &TestFunction) -> &str {
    match function {
        TestFunction::Custom(name, _) => name,
        TestFunction::Length(_) => "length",
        TestFunction::Value(_) => "value",
        TestFunction::Count(_) => "count",
        TestFunction::Search(..) => "search",
        TestFunction::Match(..) => "match",
    }
}

impl Queryable for Value<'_> {
    fn get(&self, key: &str) -> Option<&Self> {
        Value::get(self, key)
    }

    fn as_array(&self) -> Option<&Vec<Self>> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    fn as_object(&self) -> Option<Vec<(&str, &Self)>> {
        self.as_map().map(|map| map.iter().collect())
    }

    fn as_str(&self) -> Option<&str> {
        self.as_text()
    }

    fn as_i64(&self) -> Option<i64> {
        self.as_integer()
    }

    fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    fn as_bool(&self) -> Option<bool> {
        self.as_boolean()
    }

    fn null() -> Self {
        Value::Null
    }
}
