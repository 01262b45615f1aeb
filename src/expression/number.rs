//! [`Number`]: a JSON number in the digits in which it was written.
//!
//! Nothing here goes through a binary float unless somebody asks for one: identifiers beyond 2^53 and prices with
//! trailing zeros leave as they came, and comparing, adding and shifting are exact.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::decimal::Decimal;

/// A JSON number as written: `9007199254740993`, `1.10` and `1e3` keep their digits.
#[derive(Clone, Debug)]
pub struct Number<'a>(Cow<'a, str>);

impl<'a> Number<'a> {
    /// A number from its JSON text, which the caller has checked to be one.
    pub(crate) fn from_digits(digits: impl Into<Cow<'a, str>>) -> Self {
        Number(digits.into())
    }

    /// Reads a JSON number (RFC 8259 §6); `None` if the text is not exactly one.
    pub fn parse(text: impl Into<Cow<'a, str>>) -> Option<Self> {
        let text = text.into();
        is_json_number(&text).then_some(Number(text))
    }

    /// The nearest number to a float; `None` for infinities and not-a-number, which JSON cannot say.
    pub fn from_f64(value: f64) -> Option<Self> {
        value
            .is_finite()
            .then(|| Number(Cow::Owned(format!("{value:?}"))))
    }

    /// The digits as written.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// The number as a 64-bit integer, if it is one (`1.0` and `1e2` are).
    pub fn as_i64(&self) -> Option<i64> {
        if let Ok(integer) = self.0.parse() {
            return Some(integer);
        }
        self.decimal()?.to_integer_digits()?.parse().ok()
    }

    /// The nearest 64-bit float.
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok().filter(|float: &f64| float.is_finite())
    }

    /// Whether it has no fractional part.
    pub fn is_integer(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_digit())
            || self.decimal().is_some_and(|decimal| decimal.is_integer())
    }

    /// The exact value; `None` when the exponent is beyond what can be counted.
    pub(crate) fn decimal(&self) -> Option<Decimal> {
        Decimal::parse(&self.0)
    }

    /// One text for each value: `1.10` and `11e-1` are both `1.1`, `1e2` is `100`, `-0` is `0`.
    pub fn canonical(&self) -> Cow<'_, str> {
        let bytes = self.0.as_bytes();
        let plain =
            bytes.iter().all(u8::is_ascii_digit) && (bytes.len() == 1 || bytes.first() != Some(&b'0'));
        if plain {
            return Cow::Borrowed(&self.0);
        }
        match self.decimal() {
            Some(decimal) => Cow::Owned(decimal.to_text()),
            None => Cow::Borrowed(&self.0),
        }
    }

    /// The same digits with the other sign.
    pub(crate) fn negated(self) -> Self {
        match self.0.strip_prefix('-') {
            Some(digits) => Number(Cow::Owned(digits.to_owned())),
            None => Number(Cow::Owned(format!("-{}", self.0))),
        }
    }

    /// The digits as written, taken out.
    pub fn into_digits(self) -> Cow<'a, str> {
        self.0
    }

    /// The same number, owning its digits.
    pub fn into_owned(self) -> Number<'static> {
        Number(Cow::Owned(self.0.into_owned()))
    }

    /// The same number, borrowing its digits.
    pub fn borrow(&self) -> Number<'_> {
        Number(Cow::Borrowed(&self.0))
    }

    /// Compares by value.
    pub fn compare(&self, other: &Number<'_>) -> Option<Ordering> {
        if let (Ok(left), Ok(right)) = (self.0.parse::<i64>(), other.0.parse::<i64>()) {
            return Some(left.cmp(&right));
        }
        Some(self.decimal()?.compare(&other.decimal()?))
    }
}

impl From<i64> for Number<'_> {
    fn from(value: i64) -> Self {
        Number(Cow::Owned(value.to_string()))
    }
}

impl PartialEq for Number<'_> {
    /// By value: `1.0` equals `1`.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.compare(other) == Some(Ordering::Equal)
    }
}

/// Whether a text is one JSON number and nothing else.
pub(crate) fn is_json_number(text: &str) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.as_bytes();
    rest = rest.strip_prefix(b"-").unwrap_or(rest);
    let integer = digits(rest);
    if integer == 0 || (integer > 1 && rest.first() == Some(&b'0')) {
        return false;
    }
    rest = rest.get(integer..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = fraction.get(count..).unwrap_or_default();
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent = exponent
            .strip_prefix(b"-")
            .or_else(|| exponent.strip_prefix(b"+"))
            .unwrap_or(exponent);
        let count = digits(exponent);
        if count == 0 {
            return false;
        }
        rest = exponent.get(count..).unwrap_or_default();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_for_each_value() {
        for (written, canonical) in [
            ("0", "0"),
            ("-0", "0"),
            ("0.00", "0"),
            ("1.10", "1.1"),
            ("11e-1", "1.1"),
            ("1e2", "100"),
            ("-0.050", "-0.05"),
            ("9007199254740993", "9007199254740993"),
            ("1e400", "1e400"),
            ("10e399", "1e400"),
        ] {
            assert_eq!(
                Number::parse(written).unwrap().canonical(),
                canonical,
                "{written}"
            );
        }
    }

    #[test]
    fn integers_in_any_spelling() {
        assert_eq!(Number::parse("1.0").unwrap().as_i64(), Some(1));
        assert_eq!(Number::parse("1e2").unwrap().as_i64(), Some(100));
        assert_eq!(Number::parse("1.5").unwrap().as_i64(), None);
        assert_eq!(Number::parse("9223372036854775808").unwrap().as_i64(), None);
        assert!(Number::parse("9223372036854775808").unwrap().is_integer());
    }

    #[test]
    fn what_is_no_json_number() {
        for text in [
            "", "-", "01", "1.", ".5", "+1", "1e", "0x1", " 1", "1 ", "NaN", "1_000",
        ] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }
}
