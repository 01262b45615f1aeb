//! Parsing JSON text into borrowed [`Value`]s, as far as somebody reads it.
//!
//! The hot path of a run: a record's members that no rule reads are skipped without building anything, texts without
//! escapes are slices of the record, and numbers keep their digits. Every member that is wanted arrives as a raw slice,
//! already known to be well-formed: from [`Scanner`], and where that gives up, from `serde_json`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::number::Number;
use super::projection::Projection;
use super::scan::Scanner;
use super::value::{Map, Value};

/// Lists and objects may be nested this deep.
const DEEPEST: usize = 128;
/// Objects with more members than this are searched for duplicates by a sorted list of names.
const FEW_MEMBERS: usize = 32;

/// Why a text is not the JSON that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct JsonError {
    /// Where, in bytes from the start of the text.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

impl JsonError {
    /// A message of `serde_json` at its place in `text`, which starts at byte `base` of the whole.
    pub(crate) fn new(text: &[u8], base: usize, error: &serde_json::Error) -> Self {
        let line_start = match error.line() {
            0 | 1 => 0,
            line => memchr::memchr_iter(b'\n', text)
                .nth(line - 2)
                .map_or(0, |at| at + 1),
        };
        let full = error.to_string();
        let message = full.split(" at line ").next().unwrap_or_default().to_owned();
        let within = (line_start + error.column().saturating_sub(1)).min(text.len());
        JsonError {
            offset: base + within,
            message,
        }
    }

    pub(crate) fn at(offset: usize, message: impl Into<String>) -> Self {
        JsonError {
            offset,
            message: message.into(),
        }
    }
}

/// Parses one JSON text, borrowing from it.
///
/// # Errors
/// When the text is not UTF-8, not JSON (RFC 8259), nested deeper than 128, or holds half a surrogate pair.
pub fn parse_json(text: &[u8]) -> Result<Value<'_>, JsonError> {
    project_json(text, &Projection::everything())
}

/// Parses one JSON text into a value of its own.
///
/// # Errors
/// As [`parse_json`].
pub fn parse_json_owned(text: &[u8]) -> Result<Value<'static>, JsonError> {
    parse_json(text).map(Value::into_owned)
}

/// Parses what `projection` names of one JSON text; the rest is checked to be well-formed and skipped.
pub(crate) fn project_json<'a>(text: &'a [u8], projection: &Projection) -> Result<Value<'a>, JsonError> {
    project_text(utf8(text)?, projection)
}

/// A JSON text, which is UTF-8 as RFC 8259 says.
pub(super) fn utf8(text: &[u8]) -> Result<&str, JsonError> {
    simdutf8::compat::from_utf8(text)
        .map_err(|error| JsonError::at(error.valid_up_to(), "the text is not UTF-8"))
}

/// As [`project_json`], for what is known to be UTF-8.
pub(super) fn project_text<'a>(text: &'a str, projection: &Projection) -> Result<Value<'a>, JsonError> {
    let start = text.bytes().take_while(u8::is_ascii_whitespace).count();
    if text.as_bytes().get(start) == Some(&b'{') {
        let builder = Builder {
            whole: text,
            depth: 0,
        };
        return builder.map(text, projection);
    }
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|error| JsonError::new(text.as_bytes(), 0, &error))?;
    Builder {
        whole: text,
        depth: 0,
    }
    .value(raw.get(), projection)
}

/// Makes values of slices of one text.
#[derive(Clone, Copy)]
struct Builder<'a> {
    whole: &'a str,
    depth: usize,
}

impl<'a> Builder<'a> {
    /// Where a slice of the text starts.
    fn offset(&self, slice: &str) -> usize {
        (slice.as_ptr() as usize).saturating_sub(self.whole.as_ptr() as usize)
    }

    fn error(&self, slice: &str, error: &serde_json::Error) -> JsonError {
        JsonError::new(slice.as_bytes(), self.offset(slice), error)
    }

    /// A value of a slice that is known to be well-formed, but for the escapes in its texts.
    fn value(self, raw: &'a str, projection: &Projection) -> Result<Value<'a>, JsonError> {
        match raw.as_bytes().first() {
            Some(b'"') => self.text(raw).map(Value::Text),
            Some(b'{') => self.deeper(raw)?.map(raw, projection),
            Some(b'[') => self.deeper(raw)?.list(raw, projection),
            Some(b't') => Ok(Value::Bool(true)),
            Some(b'f') => Ok(Value::Bool(false)),
            Some(b'n') => Ok(Value::Null),
            _ => Ok(Value::Number(Number::from_digits(raw))),
        }
    }

    fn deeper(self, raw: &str) -> Result<Self, JsonError> {
        if self.depth >= DEEPEST {
            return Err(JsonError::at(
                self.offset(raw),
                "lists and objects are nested too deep",
            ));
        }
        Ok(Builder {
            depth: self.depth + 1,
            ..self
        })
    }

    fn text(self, raw: &'a str) -> Result<Cow<'a, str>, JsonError> {
        let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
        match unescaped(inner) {
            Some(text) => Ok(text),
            // It knows what is wrong.
            None => serde_json::from_str(raw)
                .map(Cow::Owned)
                .map_err(|error| self.error(raw, &error)),
        }
    }

    fn map(self, raw: &'a str, projection: &Projection) -> Result<Value<'a>, JsonError> {
        if let Some(map) = self.scanned_map(raw, projection) {
            return map;
        }
        let mut failure = None;
        let mut deserializer = serde_json::Deserializer::from_str(raw);
        let visitor = Members {
            builder: self,
            projection,
            failure: &mut failure,
        };
        let parsed = serde::Deserializer::deserialize_map(&mut deserializer, visitor)
            .and_then(|map| deserializer.end().map(|()| map));
        match (parsed, failure) {
            (_, Some(failure)) => Err(failure),
            (Ok(map), None) => Ok(Value::Map(map)),
            (Err(error), None) => Err(self.error(raw, &error)),
        }
    }

    /// `None` where the scanner gives up.
    fn scanned_map(self, raw: &'a str, projection: &Projection) -> Option<Result<Value<'a>, JsonError>> {
        let mut members = Vec::with_capacity(projection.expected_members());
        let mut scanner = Scanner::new(raw);
        // Bit n: the member at place n of the projection was there before.
        let mut seen: u64 = 0;
        let mut more = scanner.open(b'{', b'}')?;
        while more {
            let name = scanner.name()?;
            match projection.place(name) {
                None => scanner.skip()?,
                Some((place, projection)) => {
                    let value = match self.value(scanner.value()?, projection) {
                        Ok(value) => value,
                        Err(failure) => return Some(Err(failure)),
                    };
                    let bit = place.filter(|place| *place < 64).map_or(0, |place| 1 << place);
                    if bit & !seen != 0 {
                        members.push((Cow::Borrowed(name), value));
                    } else {
                        put(&mut members, Cow::Borrowed(name), value);
                    }
                    seen |= bit;
                }
            }
            more = scanner.more(b'}')?;
        }
        scanner.end()?;
        Some(Ok(Value::Map(whole(members))))
    }

    /// `None` where the scanner gives up.
    fn scanned_list(self, raw: &'a str, projection: &Projection) -> Option<Result<Value<'a>, JsonError>> {
        let mut items = Vec::new();
        let mut scanner = Scanner::new(raw);
        let mut more = scanner.open(b'[', b']')?;
        while more {
            match self.value(scanner.value()?, projection) {
                Ok(value) => items.push(value),
                Err(failure) => return Some(Err(failure)),
            }
            more = scanner.more(b']')?;
        }
        scanner.end()?;
        Some(Ok(Value::List(items)))
    }

    fn list(self, raw: &'a str, projection: &Projection) -> Result<Value<'a>, JsonError> {
        if let Some(list) = self.scanned_list(raw, projection) {
            return list;
        }
        let mut failure = None;
        let mut deserializer = serde_json::Deserializer::from_str(raw);
        let visitor = Elements {
            builder: self,
            projection,
            failure: &mut failure,
        };
        let parsed = serde::Deserializer::deserialize_seq(&mut deserializer, visitor);
        match (parsed, failure) {
            (_, Some(failure)) => Err(failure),
            (Ok(items), None) => Ok(Value::List(items)),
            (Err(error), None) => Err(self.error(raw, &error)),
        }
    }
}

/// A text without its escapes; `None` where one of them is wrong.
fn unescaped(mut rest: &str) -> Option<Cow<'_, str>> {
    let Some(mut backslash) = memchr::memchr(b'\\', rest.as_bytes()) else {
        return Some(Cow::Borrowed(rest));
    };
    let mut text = String::with_capacity(rest.len());
    loop {
        text.push_str(rest.get(..backslash)?);
        let escape = rest.get(backslash + 1..)?;
        let (letter, after) = (*escape.as_bytes().first()?, escape.get(1..)?);
        rest = after;
        text.push(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let mut units = char::decode_utf16([code_unit(&mut rest)?]);
                match units.next()? {
                    Ok(single) => single,
                    Err(half) => {
                        rest = rest.strip_prefix("\\u")?;
                        let pair = [half.unpaired_surrogate(), code_unit(&mut rest)?];
                        char::decode_utf16(pair).next()?.ok()?
                    }
                }
            }
            _ => return None,
        });
        match memchr::memchr(b'\\', rest.as_bytes()) {
            Some(next) => backslash = next,
            None => {
                text.push_str(rest);
                return Some(Cow::Owned(text));
            }
        }
    }
}

/// Takes four hexadecimal digits.
fn code_unit(rest: &mut &str) -> Option<u16> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hexadecimal.then(|| u16::from_str_radix(digits, 16).ok())?
}

/// Collects the members of an object that a projection names.
struct Members<'a, 'p> {
    builder: Builder<'a>,
    projection: &'p Projection,
    failure: &'p mut Option<JsonError>,
}

impl<'a> Visitor<'a> for Members<'a, '_> {
    type Value = Map<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut access: A) -> Result<Map<'a>, A::Error> {
        let mut members: Vec<(Cow<'a, str>, Value<'a>)> =
            Vec::with_capacity(self.projection.expected_members());
        while let Some(wanted) = access.next_key_seed(MemberName(self.projection))? {
            let Some((name, projection)) = wanted else {
                access.next_value::<IgnoredAny>()?;
                continue;
            };
            let raw: &'a RawValue = access.next_value()?;
            match self.builder.value(raw.get(), projection) {
                Ok(value) => put(&mut members, name, value),
                Err(failure) => {
                    *self.failure = Some(failure);
                    return Err(A::Error::custom("a member cannot be read"));
                }
            }
        }
        Ok(whole(members))
    }
}

/// Adds a member; of equal names the last value counts, which [`whole`] sees to where there are many.
fn put<'a>(members: &mut Vec<(Cow<'a, str>, Value<'a>)>, name: Cow<'a, str>, value: Value<'a>) {
    match duplicate(members, &name) {
        Some(old) => *old = value,
        None => members.push((name, value)),
    }
}

/// An object of these members.
fn whole<'a>(mut members: Vec<(Cow<'a, str>, Value<'a>)>) -> Map<'a> {
    if members.len() > FEW_MEMBERS {
        keep_last(&mut members);
    }
    Map(members)
}

/// The earlier member of the same name, while looking for it is cheap.
fn duplicate<'m, 'a>(members: &'m mut [(Cow<'a, str>, Value<'a>)], name: &str) -> Option<&'m mut Value<'a>> {
    if members.len() > FEW_MEMBERS {
        return None;
    }
    members
        .iter_mut()
        .find(|(other, _)| other == name)
        .map(|(_, value)| value)
}

/// Leaves of each name only the last value, where the name first stood.
fn keep_last<'a>(members: &mut Vec<(Cow<'a, str>, Value<'a>)>) {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|left, right| {
        let name = |index: &usize| members.get(*index).map(|(name, _)| name);
        name(left).cmp(&name(right)).then(left.cmp(right))
    });
    let mut repeated = vec![false; members.len()];
    for pair in order.windows(2) {
        if let [earlier, later] = pair
            && members.get(*earlier).map(|(name, _)| name) == members.get(*later).map(|(name, _)| name)
            && let Some(repeated) = repeated.get_mut(*later)
        {
            *repeated = true;
        }
    }
    // Equal names stand together in `order`, earliest first: the last of their values is swapped in last.
    let mut first = 0;
    for index in order {
        if repeated.get(index).copied().unwrap_or(false) {
            members.swap(first, index);
        } else {
            first = index;
        }
    }
    let mut repeated = repeated.into_iter();
    members.retain(|_| !repeated.next().unwrap_or(false));
}

/// Decides about one name whether its member is read.
struct MemberName<'p>(&'p Projection);

impl<'a, 'p> DeserializeSeed<'a> for MemberName<'p> {
    type Value = Option<(Cow<'a, str>, &'p Projection)>;

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a, 'p> Visitor<'a> for MemberName<'p> {
    type Value = Option<(Cow<'a, str>, &'p Projection)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Self::Value, E> {
        Ok(self
            .0
            .member(name)
            .map(|projection| (Cow::Borrowed(name), projection)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self
            .0
            .member(name)
            .map(|projection| (Cow::Owned(name.to_owned()), projection)))
    }
}

/// Collects the elements of a list.
struct Elements<'a, 'p> {
    builder: Builder<'a>,
    projection: &'p Projection,
    failure: &'p mut Option<JsonError>,
}

impl<'a> Visitor<'a> for Elements<'a, '_> {
    type Value = Vec<Value<'a>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut access: A) -> Result<Vec<Value<'a>>, A::Error> {
        let mut items = Vec::new();
        while let Some(raw) = access.next_element::<&'a RawValue>()? {
            match self.builder.value(raw.get(), self.projection) {
                Ok(value) => items.push(value),
                Err(failure) => {
                    *self.failure = Some(failure);
                    return Err(A::Error::custom("an element cannot be read"));
                }
            }
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_names_counts_in_small_and_large_objects() {
        assert_eq!(
            parse_json(br#"{"a":1,"b":2,"a":3}"#).unwrap().to_json(),
            r#"{"a":3,"b":2}"#
        );
        let many: Vec<String> = (0..100)
            .map(|index| format!(r#""n{}":{index}"#, index % 60))
            .collect();
        let text = format!("{{{}}}", many.join(","));
        let value = parse_json(text.as_bytes()).unwrap();
        assert_eq!(value.as_map().unwrap().len(), 60);
        assert_eq!(value.get("n0"), Some(&Value::from(60)));
        assert_eq!(value.get("n59"), Some(&Value::from(59)));
        assert_eq!(value.as_map().unwrap().0[1].0, "n1");
    }

    #[test]
    fn errors_say_where() {
        for (text, offset) in [
            (r#"{"a": tru}"#, 9),
            (r#"{"a": {"b": "\ud800"}}"#, 19),
            ("[1, 2,]", 6),
            ("{\n \"a\": 01}", 9),
            (r#"{"a":1} x"#, 8),
        ] {
            let error = parse_json(text.as_bytes()).unwrap_err();
            assert_eq!(error.offset, offset, "{text}: {error}");
        }
        assert_eq!(parse_json(b"{\"a\": \"\xff\"}").unwrap_err().offset, 7);
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_crash() {
        let text = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(
            parse_json(text.as_bytes())
                .unwrap_err()
                .message
                .contains("too deep")
        );
    }

    #[test]
    fn texts_without_escapes_are_borrowed() {
        let value = parse_json(br#"["plain", "es\u0063aped"]"#).unwrap();
        let items = value.as_list().unwrap();
        assert!(matches!(&items[0], Value::Text(Cow::Borrowed("plain"))));
        assert!(matches!(&items[1], Value::Text(Cow::Owned(text)) if text == "escaped"));
    }

    #[test]
    fn canonical_texts_agree_when_values_do() {
        let canonical = |text: &str| {
            let mut out = Vec::new();
            parse_json(text.as_bytes()).unwrap().canonical(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            canonical(r#"{"b":1.10,"a":[1e2]}"#),
            canonical(r#" {"a":[100.0], "b":1.1}"#)
        );
        assert_ne!(canonical("\"1\""), canonical("1"));
    }

    #[test]
    fn serde_keeps_the_digits() {
        let value = parse_json(br#"{"n":9007199254740993.10}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&value).unwrap(),
            r#"{"n":9007199254740993.10}"#
        );
        let tree = serde_json::Value::from(value);
        assert_eq!(Value::from(tree).to_json(), r#"{"n":9007199254740993.10}"#);
    }
}
