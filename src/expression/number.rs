//! [`Number`]: a JSON number in the digits in which it was written, and [`Decimal`], its exact value.
//!
//! Nothing here goes through a binary float unless somebody asks for one: identifiers beyond 2^53 and prices with
//! trailing zeros leave as they came, and comparing, adding and shifting are exact.

use std::borrow::Cow;
use std::cmp::Ordering;

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

/// An exact decimal: `digits` times ten to the power of `exponent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    /// ASCII digits without leading or trailing zeros; empty for zero.
    digits: Vec<u8>,
    exponent: i64,
}

/// Numbers are written without an exponent while this many zeros suffice.
const MOST_ZEROS: i64 = 64;
/// Sums align at most this many digits, so that `1e999999999` cannot fill the memory.
const MOST_DIGITS: i64 = 4096;

impl Decimal {
    /// Reads JSON number text.
    pub(crate) fn parse(text: &str) -> Option<Decimal> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = integer.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let exponent = i64::from(exponent) - i64::try_from(fraction.len()).ok()?;
        Some(
            Decimal {
                negative,
                digits,
                exponent,
            }
            .reduced(),
        )
    }

    /// Without leading and trailing zeros.
    fn reduced(mut self) -> Self {
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
            self.exponent += 1;
        }
        let leading = self.digits.iter().take_while(|digit| **digit == b'0').count();
        self.digits.drain(..leading);
        if self.digits.is_empty() {
            self.exponent = 0;
            self.negative = false;
        }
        self
    }

    /// Zero.
    pub(crate) fn zero() -> Decimal {
        Decimal {
            negative: false,
            digits: Vec::new(),
            exponent: 0,
        }
    }

    /// Whether it has no fractional part.
    pub(crate) fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// The digits of a whole number, unless it would be absurdly long.
    pub(crate) fn to_integer_digits(&self) -> Option<String> {
        (self.exponent >= 0 && self.exponent <= MOST_ZEROS).then(|| self.to_text())
    }

    /// Multiplied by ten to the power of `places`.
    pub(crate) fn shift(mut self, places: i64) -> Option<Decimal> {
        if !self.digits.is_empty() {
            self.exponent = self.exponent.checked_add(places)?;
        }
        Some(self)
    }

    /// The one text of this value: plain digits, or with an exponent when that would need very many zeros.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.digits.len() + 8);
        if self.negative {
            text.push('-');
        }
        let digits = self.digits.iter().map(|digit| char::from(*digit));
        let length = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        if self.digits.is_empty() {
            text.push('0');
        } else if (0..=MOST_ZEROS).contains(&self.exponent) {
            text.extend(digits);
            text.extend((0..self.exponent).map(|_| '0'));
        } else if self.exponent < 0 && self.exponent >= -MOST_ZEROS - length {
            let whole = length + self.exponent;
            if whole <= 0 {
                text.push_str("0.");
                text.extend((whole..0).map(|_| '0'));
                text.extend(digits);
            } else {
                for (position, digit) in (0i64..).zip(digits) {
                    if position == whole {
                        text.push('.');
                    }
                    text.push(digit);
                }
            }
        } else {
            text.extend(digits);
            text.push('e');
            text.push_str(&self.exponent.to_string());
        }
        text
    }

    /// With its own digits after the point, but at least so many: the text of an amount of money.
    pub(crate) fn at_least_places(&self, places: u32) -> Option<String> {
        let own = u32::try_from((-self.exponent).max(0)).ok()?;
        self.to_fixed(own.max(places))
    }

    /// Without its sign.
    pub(crate) fn absolute(self) -> Decimal {
        Decimal {
            negative: false,
            ..self
        }
    }

    /// With exactly so many digits after the point, halves away from zero. `None` when that is absurdly long.
    pub(crate) fn to_fixed(&self, places: u32) -> Option<String> {
        let places = i64::from(places);
        let scaled = self.clone().shift(places)?;
        let mut whole = scaled.digits.clone();
        if scaled.exponent >= 0 {
            if scaled.exponent > MOST_DIGITS {
                return None;
            }
            whole.extend((0..scaled.exponent).map(|_| b'0'));
        } else {
            let cut = usize::try_from(-scaled.exponent).ok()?;
            let keep = whole.len().checked_sub(cut);
            let up = match keep {
                Some(keep) => whole.get(keep).is_some_and(|digit| *digit >= b'5'),
                None => false,
            };
            whole.truncate(keep.unwrap_or(0));
            if up {
                increment(&mut whole);
            }
        }
        let places = usize::try_from(places).ok()?;
        while whole.len() <= places {
            whole.insert(0, b'0');
        }
        let point = whole.len() - places;
        let negative = self.negative && whole.iter().any(|digit| *digit != b'0');
        let mut text = String::from(if negative { "-" } else { "" });
        for (position, digit) in whole.into_iter().enumerate() {
            if position == point {
                text.push('.');
            }
            text.push(char::from(digit));
        }
        Some(text)
    }

    /// Compares by value.
    pub(crate) fn compare(&self, other: &Decimal) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_magnitude(other),
            (true, true) => other.compare_magnitude(self),
        }
    }

    fn compare_magnitude(&self, other: &Decimal) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        let size = |decimal: &Decimal| {
            decimal
                .exponent
                .saturating_add(i64::try_from(decimal.digits.len()).unwrap_or(i64::MAX))
        };
        // The digits have no zeros at either end, so of two of one size the longer one with an equal start is greater.
        size(self)
            .cmp(&size(other))
            .then_with(|| self.digits.cmp(&other.digits))
    }

    /// The exact sum; `None` when the two are so far apart that it would be absurdly long.
    pub(crate) fn add(&self, other: &Decimal) -> Option<Decimal> {
        if self.digits.is_empty() {
            return Some(other.clone());
        }
        if other.digits.is_empty() {
            return Some(self.clone());
        }
        let exponent = self.exponent.min(other.exponent);
        let left = self.aligned(exponent)?;
        let right = other.aligned(exponent)?;
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, add_digits(&left, &right))
        } else {
            let length = left.len().max(right.len());
            let (left, right) = (padded(&left, length), padded(&right, length));
            match left.cmp(&right) {
                Ordering::Less => (other.negative, subtract_digits(&right, &left)),
                Ordering::Equal | Ordering::Greater => (self.negative, subtract_digits(&left, &right)),
            }
        };
        Some(
            Decimal {
                negative,
                digits,
                exponent,
            }
            .reduced(),
        )
    }

    /// The digits as if written with this smaller exponent.
    fn aligned(&self, exponent: i64) -> Option<Vec<u8>> {
        let zeros = self.exponent.checked_sub(exponent)?;
        if zeros > MOST_DIGITS {
            return None;
        }
        let mut digits = self.digits.clone();
        digits.extend((0..zeros).map(|_| b'0'));
        Some(digits)
    }
}

fn padded(digits: &[u8], length: usize) -> Vec<u8> {
    let mut padded = vec![b'0'; length.saturating_sub(digits.len())];
    padded.extend_from_slice(digits);
    padded
}

fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit == b'9' {
            *digit = b'0';
        } else {
            *digit += 1;
            return;
        }
    }
    digits.insert(0, b'1');
}

fn add_digits(left: &[u8], right: &[u8]) -> Vec<u8> {
    let length = left.len().max(right.len());
    let mut carry = 0;
    let mut sum: Vec<u8> = padded(left, length)
        .iter()
        .zip(&padded(right, length))
        .rev()
        .map(|(left, right)| {
            let digit = left - b'0' + right - b'0' + carry;
            carry = digit / 10;
            b'0' + digit % 10
        })
        .collect();
    if carry > 0 {
        sum.push(b'0' + carry);
    }
    sum.reverse();
    sum
}

/// `left - right`, both of one length, `left` not the smaller.
fn subtract_digits(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference: Vec<u8> = left
        .iter()
        .zip(right)
        .rev()
        .map(|(left, right)| {
            let right = right - b'0' + borrow;
            let left = left - b'0';
            borrow = u8::from(left < right);
            b'0' + left + 10 * borrow - right
        })
        .collect();
    difference.reverse();
    difference
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

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

    #[test]
    fn fixed_places_round_half_away_from_zero() {
        for (value, places, fixed) in [
            ("1.005", 2, "1.01"),
            ("-1.005", 2, "-1.01"),
            ("0.004", 2, "0.00"),
            ("-0.004", 2, "0.00"),
            ("9.99", 1, "10.0"),
            ("12", 2, "12.00"),
            ("0.5", 0, "1"),
            ("0.49", 0, "0"),
            ("1e3", 0, "1000"),
        ] {
            assert_eq!(decimal(value).to_fixed(places).unwrap(), fixed, "{value}");
        }
    }

    proptest! {
        #[test]
        fn sums_and_order_agree_with_integers(left in -10i64.pow(15)..10i64.pow(15), right in -10i64.pow(15)..10i64.pow(15), scale in 0i64..6) {
            let scaled = |value: i64| decimal(&value.to_string()).shift(-scale).unwrap();
            prop_assert_eq!(scaled(left).add(&scaled(right)).unwrap(), scaled(left + right));
            prop_assert_eq!(scaled(left).compare(&scaled(right)), left.cmp(&right));
            prop_assert_eq!(decimal(&scaled(left).to_text()), scaled(left));
        }
    }
}
