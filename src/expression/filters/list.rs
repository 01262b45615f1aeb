//! Filters over lists and objects, and `default`.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::text::words;
use super::{text_argument, text_of};
use crate::expression::value::{Map, Value};

type Filtered = Result<Value<'static>, String>;

pub(super) fn default(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    let blank = arguments.get(1).is_some_and(Value::is_true);
    let replaced = value.is_null() || (blank && (is_blank(&value) || !value.is_true()));
    Ok(if replaced {
        arguments.first().cloned().unwrap_or_default()
    } else {
        value
    })
}

/// Null, blank text, an empty list or object.
pub(super) fn is_blank(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => text.trim().is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Time(_) => false,
    }
}

pub(super) fn first(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    match value {
        Value::List(items) => Ok(items.into_iter().next().unwrap_or_default()),
        Value::Text(text) => Ok(character(text.chars().next())),
        other => Err(format!("takes a list or text, found {}", other.kind())),
    }
}

pub(super) fn last(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    match value {
        Value::List(mut items) => Ok(items.pop().unwrap_or_default()),
        Value::Text(text) => Ok(character(text.chars().next_back())),
        other => Err(format!("takes a list or text, found {}", other.kind())),
    }
}

fn character(c: Option<char>) -> Value<'static> {
    c.map_or(Value::Null, |c| Value::from(c.to_string()))
}

pub(super) fn length(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    let length = match &value {
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        Value::Text(text) => text.chars().count(),
        other => return Err(format!("takes a list, object or text, found {}", other.kind())),
    };
    Ok(Value::from(i64::try_from(length).unwrap_or(i64::MAX)))
}

pub(super) fn join(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    let separator = if arguments.is_empty() {
        String::new()
    } else {
        text_argument(arguments, 0)?
    };
    let Value::List(items) = value else {
        return Err(format!("takes a list, found {}", value.kind()));
    };
    let texts = items
        .iter()
        .filter(|item| !item.is_null())
        .map(text_of)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Value::from(texts.join(&separator)))
}

fn object(value: Value<'static>) -> Result<Map<'static>, String> {
    match value {
        Value::Map(map) => Ok(map),
        other => Err(format!("takes an object, found {}", other.kind())),
    }
}

pub(super) fn items(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    let pairs = object(value)?
        .0
        .into_iter()
        .map(|(name, value)| Value::List(vec![Value::Text(name), value]))
        .collect();
    Ok(Value::List(pairs))
}

pub(super) fn keys(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    Ok(Value::List(
        object(value)?
            .0
            .into_iter()
            .map(|(name, _)| Value::Text(name))
            .collect(),
    ))
}

pub(super) fn without(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    match value {
        Value::Map(Map(mut members)) => {
            members.retain(|(name, _)| !arguments.iter().any(|argument| argument.as_text() == Some(name)));
            Ok(Value::Map(Map(members)))
        }
        Value::List(mut items) => {
            items.retain(|item| !arguments.contains(item));
            Ok(Value::List(items))
        }
        other => Err(format!("takes an object or list, found {}", other.kind())),
    }
}

pub(super) fn each_words(value: Value<'static>, arguments: &[Value<'static>]) -> Filtered {
    let text = |item: Value<'static>| {
        let mut members = object(item)?;
        let mut named = Vec::with_capacity(arguments.len());
        for position in 0..arguments.len() {
            let name = text_argument(arguments, position)?;
            let member = members.0.iter_mut().find(|(member, _)| *member == name);
            named.push(member.map_or(Value::Null, |(_, value)| std::mem::take(value)));
        }
        words(Value::List(named), &[])
    };
    Ok(Value::List(
        elements(value)?
            .into_iter()
            .map(text)
            .collect::<Result<_, String>>()?,
    ))
}

fn elements(value: Value<'static>) -> Result<Vec<Value<'static>>, String> {
    match value {
        Value::List(items) => Ok(items),
        other => Err(format!("takes a list, found {}", other.kind())),
    }
}

pub(super) fn unique(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    let mut unique: Vec<Value<'static>> = Vec::new();
    for item in elements(value)? {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    Ok(Value::List(unique))
}

pub(super) fn sort(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    let mut items = elements(value)?;
    let numbers = items.iter().all(|item| matches!(item, Value::Number(_)));
    let texts = items.iter().all(|item| matches!(item, Value::Text(_)));
    if !numbers && !texts {
        return Err("takes a list of numbers or a list of texts".to_owned());
    }
    items.sort_by(|left, right| match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.compare(right).unwrap_or(Ordering::Equal),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        _ => Ordering::Equal,
    });
    Ok(Value::List(items))
}

pub(super) fn reverse(value: Value<'static>, _: &[Value<'static>]) -> Filtered {
    match value {
        Value::List(mut items) => {
            items.reverse();
            Ok(Value::List(items))
        }
        Value::Text(text) => Ok(Value::Text(Cow::Owned(text.chars().rev().collect()))),
        other => Err(format!("takes a list or text, found {}", other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::json::parse_json_owned;

    fn json(text: &str) -> Value<'static> {
        parse_json_owned(text.as_bytes()).unwrap()
    }

    #[test]
    fn lists_and_objects() {
        assert_eq!(
            without(json(r#"{"a":1.10,"b":2}"#), &[Value::from("b")])
                .unwrap()
                .to_json(),
            r#"{"a":1.10}"#
        );
        assert_eq!(
            without(json("[1,2,1.0]"), &[Value::from(1)]).unwrap().to_json(),
            "[2]"
        );
        let files = json(r#"[{"name":"a.pdf","url":"u1"},{"url":"u2"},{}]"#);
        assert_eq!(
            each_words(files, &[Value::from("name"), Value::from("url")])
                .unwrap()
                .to_json(),
            r#"["a.pdf u1","u2",null]"#
        );
        assert_eq!(items(json(r#"{"a":1}"#), &[]).unwrap().to_json(), r#"[["a",1]]"#);
        assert_eq!(
            join(json(r#"["a",null,2]"#), &[Value::from(", ")]),
            Ok(Value::from("a, 2"))
        );
        assert_eq!(sort(json("[10,9,1e1]"), &[]).unwrap().to_json(), "[9,10,1e1]");
        assert_eq!(unique(json("[1,1.0,2]"), &[]).unwrap().to_json(), "[1,2]");
        assert!(sort(json(r#"[1,"a"]"#), &[]).is_err());
        assert!(join(json("[[1]]"), &[]).is_err());
    }

    #[test]
    fn defaults() {
        let other = [Value::from("N/A"), Value::from(true)];
        assert_eq!(default(Value::Null, &other[..1]), Ok(Value::from("N/A")));
        assert_eq!(default(Value::from("  "), &other[..1]), Ok(Value::from("  ")));
        assert_eq!(default(Value::from("  "), &other), Ok(Value::from("N/A")));
        assert_eq!(default(Value::from(0), &other), Ok(Value::from("N/A")));
    }
}
