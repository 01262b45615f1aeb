//! [`Decimal`]: the exact value of a number, for comparing, adding, shifting and rounding without a binary float.

use std::cmp::Ordering;

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
