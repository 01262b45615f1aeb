//! [`Value`]: a JSON value that borrows from the text it was parsed from and keeps every digit of a number.
//!
//! It is what paths select from, what templates and rules see, and what is written to a target. Numbers stay text, so
//! that a long identifier or a price with trailing zeros leaves exactly as it came.

use std::borrow::Cow;

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

/// A JSON number as written: `9007199254740993`, `1.10` and `1e3` keep their digits.
#[derive(Clone, Debug)]
pub struct Number<'a>(Cow<'a, str>);

impl<'a> Number<'a> {
    /// A number from its JSON text, which the caller has checked to be one.
    pub(crate) fn from_digits(digits: impl Into<Cow<'a, str>>) -> Self {
        Number(digits.into())
    }

    /// The digits as written.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// The number as a 64-bit integer, if it is one (`1.0` and `1e2` are).
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The nearest 64-bit float.
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok()
    }

    /// The same number, owning its digits.
    pub fn into_owned(self) -> Number<'static> {
        Number(Cow::Owned(self.0.into_owned()))
    }
}

impl<'a> Map<'a> {
    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Sets a member, in its old place if it exists.
    pub fn insert(&mut self, name: impl Into<Cow<'a, str>>, value: Value<'a>) {
        let name = name.into();
        match self.0.iter_mut().rev().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
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

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        match self {
            Value::Map(map) => map.get(name),
            _ => None,
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

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Number(Number(Cow::Owned(value.to_string())))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}
