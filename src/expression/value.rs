//! [`Value`]: a JSON value that borrows from the text it was parsed from and keeps every digit of a number.
//!
//! It is what paths select from, what templates and rules see, and what is written to a target. Numbers stay text, so
//! that a long identifier or a price with trailing zeros leaves exactly as it came. What survives a path from source
//! to target is one table, in the documentation of [`crate::expression`].

use std::borrow::Cow;
use std::cmp::Ordering;

use super::number::Number;
use super::time_format::parse_rfc3339;

/// A JSON value, or an instant that a rule made of one.
#[derive(Clone, Debug, Default)]
pub enum Value<'a> {
    /// JSON `null`; also what an absent member is read as.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, in the digits in which it was written.
    Number(Number<'a>),
    /// Text, escapes decoded.
    Text(Cow<'a, str>),
    /// An instant, made by `type: time`; its JSON form is RFC 3339 in UTC.
    Time(jiff::Timestamp),
    /// An array.
    List(Vec<Value<'a>>),
    /// An object, members in the order in which they were written.
    Map(Map<'a>),
}

/// An object's members in order. Of a name that occurs twice the last counts, as in `serde_json`.
#[derive(Clone, Debug, Default)]
pub struct Map<'a>(pub Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Map<'a> {
    /// An object without members.
    pub fn new() -> Self {
        Map(Vec::new())
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// The value of a member, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value<'a>> {
        self.0
            .iter_mut()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Sets a member, in its old place if it exists.
    pub fn insert(&mut self, name: impl Into<Cow<'a, str>>, value: Value<'a>) {
        let name = name.into();
        match self.get_mut(&name) {
            Some(old) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<Value<'a>> {
        let mut removed = None;
        self.0.retain_mut(|(key, value)| {
            let hit = key == name;
            if hit {
                removed = Some(std::mem::take(value));
            }
            !hit
        });
        removed
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Value<'a> {
    /// Text, borrowed or owned.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Value::Text(text.into())
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text, if this is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub fn as_list(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The members, if this is an object.
    pub fn as_map(&self) -> Option<&Map<'a>> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The number as a 64-bit integer, if this is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        match self {
            Value::Map(map) => map.get(name),
            _ => None,
        }
    }

    /// An element of a list; negative positions count from the end.
    pub fn element(&self, index: i64) -> Option<&Value<'a>> {
        let Value::List(items) = self else {
            return None;
        };
        items.get(position(index, items.len())?)
    }

    /// What the value is, for messages: `null`, `a boolean`, `a number`, `text`, `a time`, `a list`, `an object`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::Time(_) => "a time",
            Value::List(_) => "a list",
            Value::Map(_) => "an object",
        }
    }

    /// The text of a scalar as mixed text, keys and enum tables see it: numbers in their digits, `true`, RFC 3339.
    /// `None` for null, lists and objects.
    pub fn scalar_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Value::Null | Value::List(_) | Value::Map(_) => None,
            Value::Bool(true) => Some(Cow::Borrowed("true")),
            Value::Bool(false) => Some(Cow::Borrowed("false")),
            Value::Number(number) => Some(Cow::Borrowed(number.digits())),
            Value::Text(text) => Some(Cow::Borrowed(text)),
            Value::Time(time) => Some(Cow::Owned(time.to_string())),
        }
    }

    /// The text of an identifier as it is compared and stored: a text that is not empty, or a number's digits.
    pub fn key_text(&self) -> Option<String> {
        match self {
            Value::Text(text) if !text.is_empty() => Some(text.to_string()),
            Value::Number(number) => Some(number.digits().to_owned()),
            _ => None,
        }
    }

    /// The order of two values: numbers by value, texts that are both RFC 3339 times by instant, other texts by their
    /// characters, false before true; values of different kinds by kind.
    pub fn order(&self, other: &Value<'_>) -> Ordering {
        let rank = |value: &Value<'_>| match value {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Number(_) => 2,
            Value::Time(_) => 3,
            Value::Text(_) => 4,
            Value::List(_) => 5,
            Value::Map(_) => 6,
        };
        match (self, other) {
            (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
            (Value::Number(left), Value::Number(right)) => left.compare(right).unwrap_or(Ordering::Equal),
            (Value::Time(left), Value::Time(right)) => left.cmp(right),
            (Value::Text(left), Value::Text(right)) => match (parse_rfc3339(left), parse_rfc3339(right)) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => left.cmp(right),
            },
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// Whether a condition holds with it: not null, false, zero, empty text, an empty list or an empty object.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::Text(text) => !text.is_empty(),
            Value::Time(_) => true,
            Value::List(items) => !items.is_empty(),
            Value::Map(map) => !map.is_empty(),
        }
    }

    /// The same value, borrowing every text from this one.
    pub fn borrow(&self) -> Value<'_> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(*value),
            Value::Number(number) => Value::Number(number.borrow()),
            Value::Text(text) => Value::Text(Cow::Borrowed(text)),
            Value::Time(time) => Value::Time(*time),
            Value::List(items) => Value::List(items.iter().map(Value::borrow).collect()),
            Value::Map(map) => Value::Map(Map(map
                .0
                .iter()
                .map(|(key, value)| (Cow::Borrowed(key.as_ref()), value.borrow()))
                .collect())),
        }
    }

    /// The same value, owning everything it holds.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(value),
            Value::Number(number) => Value::Number(number.into_owned()),
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Time(time) => Value::Time(time),
            Value::List(items) => Value::List(items.into_iter().map(Value::into_owned).collect()),
            Value::Map(Map(members)) => Value::Map(Map(members
                .into_iter()
                .map(|(key, value)| (Cow::Owned(key.into_owned()), value.into_owned()))
                .collect())),
        }
    }
}

/// A list position from an index that may count from the end.
pub(crate) fn position(index: i64, length: usize) -> Option<usize> {
    if index >= 0 {
        usize::try_from(index).ok()
    } else {
        length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    }
}

impl PartialEq for Value<'_> {
    /// Numbers by value, objects without regard to order. A time equals a time, never a text that could be read as one.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(left), Value::Bool(right)) => left == right,
            (Value::Number(left), Value::Number(right)) => left == right,
            (Value::Text(left), Value::Text(right)) => left == right,
            (Value::Time(left), Value::Time(right)) => left == right,
            (Value::List(left), Value::List(right)) => left == right,
            (Value::Map(left), Value::Map(right)) => left == right,
            _ => false,
        }
    }
}

impl PartialEq for Map<'_> {
    fn eq(&self, other: &Self) -> bool {
        let contains =
            |outer: &Map<'_>, inner: &Map<'_>| inner.0.iter().all(|(name, _)| outer.get(name).is_some());
        self.0
            .iter()
            .all(|(name, _)| match (self.get(name), other.get(name)) {
                (Some(left), Some(right)) => left == right,
                _ => false,
            })
            && contains(self, other)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Number(Number::from(value))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<f64> for Value<'_> {
    /// Null for what JSON cannot say.
    fn from(value: f64) -> Self {
        Number::from_f64(value).map_or(Value::Null, Value::Number)
    }
}

impl From<&str> for Value<'_> {
    /// A copy: the path library asks for this with any lifetime. [`Value::text`] borrows.
    fn from(value: &str) -> Self {
        Value::Text(Cow::Owned(value.to_owned()))
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Value::Text(Cow::Owned(value))
    }
}

impl<'a> From<Vec<Value<'a>>> for Value<'a> {
    fn from(items: Vec<Value<'a>>) -> Self {
        Value::List(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_by_value_and_ignores_the_order_of_members() {
        let map = |members: &[(&'static str, i64)]| {
            Value::Map(Map(members
                .iter()
                .map(|(name, value)| (Cow::Borrowed(*name), Value::from(*value)))
                .collect()))
        };
        assert_eq!(map(&[("a", 1), ("b", 2)]), map(&[("b", 2), ("a", 1)]));
        assert_eq!(map(&[("a", 9), ("a", 1)]), map(&[("a", 1)]));
        assert_ne!(map(&[("a", 1)]), map(&[("a", 1), ("b", 2)]));
        assert_ne!(Value::text("1"), Value::from(1));
        let time: jiff::Timestamp = "2024-05-01T00:00:00Z".parse().unwrap();
        assert_ne!(Value::Time(time), Value::text("2024-05-01T00:00:00Z"));
    }

    #[test]
    fn elements_count_from_either_end() {
        let list = Value::List(vec![Value::from(1), Value::from(2)]);
        assert_eq!(list.element(-1), Some(&Value::from(2)));
        assert_eq!(list.element(2), None);
        assert_eq!(list.element(-3), None);
        assert_eq!(list.element(i64::MIN), None);
    }
}
