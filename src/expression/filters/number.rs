//! Filters over numbers: all of them exact.

use super::integer_argument;
use crate::expression::decimal::Decimal;
use crate::expression::number::Number;
use crate::expression::target_type::TargetType;
use crate::expression::value::Value;

type Filtered = Result<Value<'static>, String>;

fn exact(value: &Value<'_>) -> Result<Decimal, String> {
    let number = match value {
        Value::Number(number) => number.decimal(),
        Value::Text(text) => Number::parse(text.trim()).and_then(|number| number.decimal()),
        other => return Err(format!("takes a number, found {}", other.kind())),
    };
    number.ok_or_else(|| "takes a number, found a text that is not one".to_owned())
}

fn number(decimal: &Decimal) -> Value<'static> {
    Value::Number(Number::from_digits(decimal.to_text()))
}

pub(super) fn sum(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    let Value::List(items) = value else {
        return Err(format!("takes a list, found {}", value.kind()));
    };
    exact_sum(&items).map(|sum| sum.unwrap_or_else(|| Value::from(0)))
}

/// The exact sum of numbers and their texts, nulls left out; `None` if there are none.
///
/// # Errors
/// When something is no number, or two are too far apart to be added.
pub fn exact_sum(items: &[Value<'_>]) -> Result<Option<Value<'static>>, String> {
    let mut sum: Option<Decimal> = None;
    for item in items.iter().filter(|item| !item.is_null()) {
        let total = sum.unwrap_or_else(Decimal::zero).add(&exact(item)?);
        sum = Some(total.ok_or_else(|| "found numbers too far apart to be added".to_owned())?);
    }
    Ok(sum.as_ref().map(number))
}

/// Money keeps its places: 1230 shifted by -2 is 12.30.
pub(super) fn shift(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    let places = integer_argument(arguments, 0)?;
    let shifted = exact(&value)?
        .shift(places)
        .ok_or_else(|| "takes fewer places".to_owned())?;
    let fixed = match u32::try_from(-places) {
        Ok(places) if places > 0 && places <= 64 => shifted.at_least_places(places),
        _ => None,
    };
    Ok(Value::Number(Number::from_digits(
        fixed.unwrap_or_else(|| shifted.to_text()),
    )))
}

pub(super) fn round(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    let places = if arguments.is_empty() {
        0
    } else {
        integer_argument(arguments, 0)?
    };
    let places = u32::try_from(places)
        .ok()
        .filter(|places| *places <= 64)
        .ok_or_else(|| "takes 0 to 64 places".to_owned())?;
    exact(&value)?
        .to_fixed(places)
        .map(|digits| Value::Number(Number::from_digits(digits)))
        .ok_or_else(|| "takes a smaller number".to_owned())
}

pub(super) fn abs(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    let decimal = exact(&value)?;
    match &value {
        Value::Number(number) => {
            let digits = number.digits();
            let digits = digits.strip_prefix('-').unwrap_or(digits);
            Ok(Value::Number(Number::from_digits(digits.to_owned())))
        }
        _ => Ok(number(&decimal.absolute())),
    }
}

pub(super) fn integer(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    TargetType::Integer
        .coerce(value)
        .map_err(|error| error.to_string())
}

pub(super) fn decimal(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    TargetType::Decimal
        .coerce(value)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(result: Filtered) -> String {
        result.unwrap().to_json()
    }

    #[test]
    fn money_is_exact_and_keeps_its_places() {
        for (value, places, expected) in [
            ("1230", -2, "12.30"),
            ("5", -2, "0.05"),
            ("0", -2, "0.00"),
            ("12.30", 2, "1230"),
            ("0.1", 1, "1"),
            ("9007199254740993", -2, "90071992547409.93"),
            ("123", -1, "12.3"),
            ("12.345", -2, "0.12345"),
            ("-7", -2, "-0.07"),
            ("15", 0, "15"),
        ] {
            assert_eq!(
                digits(shift(Value::from(value), &[Value::from(places)])),
                expected,
                "{value} {places}"
            );
        }
        let list = Value::List(
            ["0.1", "0.2", "-0.30"]
                .iter()
                .map(|text| Value::from(*text))
                .collect(),
        );
        assert_eq!(digits(sum(list, &[])), "0");
        assert!(shift(Value::from("x"), &[Value::from(1)]).is_err());
    }

    #[test]
    fn rounding() {
        assert_eq!(digits(round(Value::from("2.675"), &[Value::from(2)])), "2.68");
        assert_eq!(digits(round(Value::from("2.5"), &[])), "3");
        assert_eq!(digits(abs(Value::from(-3), &[])), "3");
        assert!(integer(Value::from(12.5), &[]).is_err());
    }
}
