//! Filters over texts.

use std::borrow::Cow;

use super::{integer_argument, text_argument, text_of};
use crate::expression::value::Value;

type Filtered = Result<Value<'static>, String>;

pub(super) fn trim(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    Ok(Value::from(text_of(&value)?.trim()))
}

pub(super) fn lower(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    Ok(Value::from(text_of(&value)?.to_lowercase()))
}

pub(super) fn upper(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    Ok(Value::from(text_of(&value)?.to_uppercase()))
}

pub(super) fn capitalize(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    let text = text_of(&value)?;
    let mut chars = text.chars();
    let first: String = chars
        .next()
        .map(|c| c.to_uppercase().collect())
        .unwrap_or_default();
    Ok(Value::from(first + &chars.as_str().to_lowercase()))
}

pub(super) fn replace(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    let from = text_argument(arguments, 0)?;
    if from.is_empty() {
        return Err("takes a text that is not empty as argument 1".to_owned());
    }
    Ok(Value::from(
        text_of(&value)?.replace(&from, &text_argument(arguments, 1)?),
    ))
}

pub(super) fn truncate(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    let length = usize::try_from(integer_argument(arguments, 0)?)
        .map_err(|_| "takes a length that is not negative".to_owned())?;
    Ok(Value::from(
        text_of(&value)?.chars().take(length).collect::<String>(),
    ))
}

pub(super) fn split(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    let text = text_of(&value)?;
    let parts = if arguments.is_empty() {
        text.split_whitespace().map(Value::from).collect()
    } else {
        let separator = text_argument(arguments, 0)?;
        if separator.is_empty() {
            return Err("takes a separator that is not empty".to_owned());
        }
        text.split(&separator).map(Value::from).collect()
    };
    Ok(Value::List(parts))
}

pub(super) fn quote(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    let text = text_of(&value)?;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    Ok(Value::from(quoted))
}

pub(super) fn quoted(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    match value {
        Value::List(items) => items
            .into_iter()
            .filter(|item| !item.is_null())
            .map(|item| quote(item, arguments))
            .collect::<Result<_, _>>()
            .map(Value::List),
        other => Err(format!("takes a list, found {}", other.kind())),
    }
}

pub(super) fn words(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    let items = match value {
        Value::Null => return Ok(Value::Null),
        Value::List(items) => items,
        single => vec![single],
    };
    let mut joined = String::new();
    for item in items.iter().filter(|item| !item.is_null()) {
        for word in text_of(item)?.split_whitespace() {
            if !joined.is_empty() {
                joined.push(' ');
            }
            joined.push_str(word);
        }
    }
    Ok(if joined.is_empty() {
        Value::Null
    } else {
        Value::from(joined)
    })
}

pub(super) fn text(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    Ok(Value::from(
        value
            .scalar_text()
            .map_or_else(|| value.to_json(), Cow::into_owned),
    ))
}

pub(super) fn json(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    Ok(Value::from(value.to_json()))
}

/// The texts of a value and an argument, for tests that compare them.
pub(super) fn both<'v>(
    value: &'v Value<'_>,
    argument: Option<&'v Value<'_>>,
) -> Option<(Cow<'v, str>, Cow<'v, str>)> {
    Some((value.scalar_text()?, argument?.scalar_text()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_join_what_is_there() {
        let list = |items: &[Option<&str>]| {
            Value::List(
                items
                    .iter()
                    .map(|item| item.map_or(Value::Null, Value::from))
                    .collect(),
            )
        };
        assert_eq!(words(list(&[Some("Jim"), None]), &[]), Ok(Value::from("Jim")));
        assert_eq!(
            words(list(&[Some(" Ann  B "), Some("Lee")]), &[]),
            Ok(Value::from("Ann B Lee"))
        );
        assert_eq!(words(list(&[None, Some(" ")]), &[]), Ok(Value::Null));
    }

    #[test]
    fn quotes_for_query_languages() {
        assert_eq!(
            quote(Value::from(r#"a "b" \c"#), &[]),
            Ok(Value::from(r#""a \"b\" \\c""#))
        );
        let list = Value::List(vec![Value::from("a"), Value::from(1), Value::Null]);
        assert_eq!(quoted(list, &[]).unwrap().to_json(), r#"["\"a\"","\"1\""]"#);
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        assert_eq!(
            truncate(Value::from("añb"), &[Value::from(2)]),
            Ok(Value::from("añ"))
        );
        assert_eq!(capitalize(Value::from("éCOLE"), &[]), Ok(Value::from("École")));
        assert_eq!(
            split(Value::from("a, b"), &[Value::from(", ")])
                .unwrap()
                .to_json(),
            r#"["a","b"]"#
        );
    }
}
