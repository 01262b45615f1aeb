//! A stream's `shape` and `never`: how received records become what rules read, and payloads what the system takes.
//!
//! A shape is applied by cutting and splicing the record's text where its paths are plain: a page has thousands of
//! records, and most of their members are read by no rule.

use std::ops::Range;

use bytes::Bytes;

use crate::compile::compiled::{Envelope, MapOf, RecordShape, Stream};
use crate::expression::{
    Edit, EvaluateError, JsonError, Map, Number, Path, Scope, SplitError, Value, parse_json, select_slice,
};

/// Why a shape cannot be applied.
#[derive(Debug)]
pub(super) enum ShapeError {
    /// The record is not JSON.
    Json(JsonError),
    /// A template of an added member fails.
    Evaluate(EvaluateError),
}

impl From<JsonError> for ShapeError {
    fn from(error: JsonError) -> Self {
        ShapeError::Json(error)
    }
}

/// A record without the members that nobody may read. In a JSON:API resource they stand among the attributes or the
/// relationships.
///
/// # Errors
/// When it is not JSON.
pub(super) fn without_forbidden(
    stream: &Stream,
    envelope: Envelope,
    record: Bytes,
) -> Result<Bytes, JsonError> {
    if stream.never.is_empty() {
        return Ok(record);
    }
    let mut value = parse_json(&record)?;
    let removed = match envelope {
        Envelope::Plain => remove_forbidden(stream, &mut value),
        Envelope::JsonApi => match &mut value {
            Value::Map(members) => ["attributes", "relationships"]
                .iter()
                .fold(false, |removed, name| {
                    let part = members.get_mut(name);
                    part.is_some_and(|part| remove_forbidden(stream, part)) || removed
                }),
            _ => false,
        },
    };
    Ok(if removed {
        Bytes::from(value.to_json())
    } else {
        record.clone()
    })
}

/// Removes what nobody may read; says whether there was any.
pub(super) fn remove_forbidden(stream: &Stream, value: &mut Value<'_>) -> bool {
    let mut removed = false;
    for path in &stream.never {
        path.edit(value, &mut |_| {
            removed = true;
            Edit::Remove
        });
    }
    removed
}

/// A shape, ready to be applied to many records.
#[derive(Debug)]
pub(super) struct Shaper<'s> {
    shape: &'s RecordShape,
    plain: Vec<&'s Path>,
    searching: Vec<&'s Path>,
    maps: Vec<(Path, &'s MapOf)>,
}

impl<'s> Shaper<'s> {
    /// Prepares a shape; `None` if it changes nothing.
    pub(super) fn new(shape: &'s RecordShape) -> Option<Self> {
        if shape.drop.is_empty() && shape.map_of.is_empty() && shape.add.is_empty() {
            return None;
        }
        let (plain, searching) = shape.drop.iter().partition(|path| path.steps().is_some());
        let maps = shape.map_of.iter().filter_map(|map_of| {
            let member = map_of.member.replace('\\', "\\\\").replace('\'', "\\'");
            Some((Path::parse(&format!("$['{member}']")).ok()?, map_of))
        });
        Some(Shaper {
            shape,
            plain,
            searching,
            maps: maps.collect(),
        })
    }

    /// The text that rules read instead of the record's own.
    ///
    /// # Errors
    /// When the record is not JSON or an added member's template fails.
    pub(super) fn view(&self, record: &Bytes, scope: &Scope<'_>) -> Result<Bytes, ShapeError> {
        let record = &without_found(&self.searching, record)?;
        let mut splices: Vec<(Range<usize>, String)> = Vec::new();
        for path in &self.plain {
            splices.extend(place(record, path)?.map(|(range, _)| (range, "null".to_owned())));
        }
        for (path, map_of) in &self.maps {
            if let Some((range, text)) = place(record, path)?
                && let Value::List(entries) = &parse_json(&text)?
            {
                splices.push((range, as_map(map_of, entries).to_json()));
            }
        }
        let mut added = Map::default();
        for (name, template) in &self.shape.add {
            // Read alone, a child does not come with its parent.
            let reads_parent = || {
                template
                    .variables()
                    .iter()
                    .any(|chain| chain.first().is_some_and(|name| name == "parent"))
            };
            if scope.get("parent").is_none() && reads_parent() {
                continue;
            }
            added.insert(
                name.clone(),
                template.evaluate(scope).map_err(ShapeError::Evaluate)?,
            );
        }
        Ok(Bytes::from(spliced(record, splices, &added)))
    }
}

/// Removes what paths with wildcards or filters select.
fn without_found(paths: &[&Path], record: &Bytes) -> Result<Bytes, JsonError> {
    if paths.is_empty() {
        return Ok(record.clone());
    }
    let mut value = parse_json(record)?;
    for path in paths {
        path.edit(&mut value, &mut |_| Edit::Remove);
    }
    Ok(Bytes::from(value.to_json()))
}

/// Where a member's value stands in a record's text.
fn place(record: &Bytes, path: &Path) -> Result<Option<(Range<usize>, Bytes)>, JsonError> {
    let slice = match select_slice(record, path) {
        Ok(Some(slice)) => slice,
        Ok(None)
        | Err(SplitError::NotFound { .. } | SplitError::NotAList { .. } | SplitError::NotPlain { .. }) => {
            return Ok(None);
        }
        Err(SplitError::Json(error)) => return Err(error),
    };
    let start = slice.as_ptr().addr() - record.as_ptr().addr();
    Ok(Some((start..start + slice.len(), slice)))
}

/// The text with some ranges replaced and members added to the outermost object.
fn spliced(record: &[u8], mut splices: Vec<(Range<usize>, String)>, added: &Map<'_>) -> Vec<u8> {
    splices.sort_by_key(|(range, _)| range.start);
    let mut text = Vec::with_capacity(record.len());
    let mut copied = 0;
    for (range, replacement) in splices {
        // One inside another: the outer one has replaced it.
        if range.start >= copied {
            text.extend_from_slice(&record[copied..range.start]);
            text.extend_from_slice(replacement.as_bytes());
            copied = range.end;
        }
    }
    text.extend_from_slice(&record[copied..]);
    if let Some(end) = text
        .iter()
        .rposition(|byte| *byte == b'}')
        .filter(|_| !added.is_empty())
    {
        text.truncate(end);
        while text.last().is_some_and(u8::is_ascii_whitespace) {
            text.pop();
        }
        let mut members = Vec::new();
        Value::Map(added.clone()).write_json(&mut members);
        let is_first = text.last() == Some(&b'{');
        let members = members.strip_prefix(b"{").unwrap_or(&members);
        text.extend_from_slice(if is_first { b"" } else { b"," });
        text.extend_from_slice(members);
    }
    text
}

/// `[{id: 36, value: x}]` as `{order_number: x}`.
fn as_map(map_of: &MapOf, entries: &[Value<'_>]) -> Value<'static> {
    let mut map = Map::default();
    for entry in entries {
        let Some(key) = map_of.key.one(entry).and_then(Value::scalar_text) else {
            continue;
        };
        let name = map_of.names.iter().find(|(_, known)| **known == key);
        let name = name.map_or_else(|| key.into_owned(), |(name, _)| name.clone());
        let value = map_of.value.one(entry).cloned().unwrap_or_default();
        map.insert(name, value.into_owned());
    }
    Value::Map(map)
}

/// A payload in the system's own form: objects that it keeps as lists become lists again.
pub(super) fn payload(shape: &RecordShape, fields: Value<'static>) -> Value<'static> {
    let Value::Map(mut members) = fields else {
        return fields;
    };
    for map_of in &shape.map_of {
        for (_, value) in members.0.iter_mut().filter(|(name, _)| *name == map_of.member) {
            if let Value::Map(map) = value {
                *value = Value::List(
                    map.0
                        .drain(..)
                        .map(|(name, value)| entry(map_of, &name, value))
                        .collect(),
                );
            }
        }
    }
    Value::Map(members)
}

fn entry(map_of: &MapOf, name: &str, value: Value<'static>) -> Value<'static> {
    let key = map_of.names.get(name).map_or(name, String::as_str);
    // Systems that number their keys want them as numbers; a key with a leading zero is none.
    let canonical = key.parse::<i64>().is_ok_and(|number| number.to_string() == key);
    let key = match Number::parse(key.to_owned()).filter(|_| canonical) {
        Some(number) => Value::Number(number),
        None => Value::text(key.to_owned()),
    };
    let mut entry = Value::Map(Map::default());
    map_of.key.set(&mut entry, key);
    map_of.value.set(&mut entry, value);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Template;
    use indexmap::IndexMap;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn shape() -> RecordShape {
        RecordShape {
            drop: vec![path("$.fields"), path("$.via.source")],
            map_of: vec![MapOf {
                member: "custom_fields".to_owned(),
                key: path("$.id"),
                value: path("$.value"),
                names: IndexMap::from([("order_number".to_owned(), "36".to_owned())]),
            }],
            add: vec![(
                "ticket_id".to_owned(),
                Template::parse("{{ parent.id }}").unwrap(),
            )],
        }
    }

    fn viewed(record: &str) -> String {
        let parent = parse_json(br#"{"id":12345678901234567890}"#).unwrap();
        let scope = Scope::new().with("parent", &parent);
        let record = Bytes::copy_from_slice(record.as_bytes());
        let shape = shape();
        let view = Shaper::new(&shape).unwrap().view(&record, &scope).unwrap();
        String::from_utf8(view.to_vec()).unwrap()
    }

    #[test]
    fn a_shape_drops_renames_and_adds_and_leaves_the_rest_as_it_came() {
        assert_eq!(
            viewed(
                r#"{"id" : 1.0, "fields":[{"id":36}],"via":{"source":{}},"custom_fields":[{"id":36,"value":"A"},{"id":37,"value":null}] }"#
            ),
            r#"{"id" : 1.0, "fields":null,"via":{"source":null},"custom_fields":{"order_number":"A","37":null},"ticket_id":12345678901234567890}"#
        );
        assert_eq!(viewed("{ }"), r#"{"ticket_id":12345678901234567890}"#);
    }

    #[test]
    fn a_payload_takes_the_way_back() {
        let fields =
            parse_json(br#"{"subject":"x","custom_fields":{"order_number":"A","37":7,"note":null}}"#)
                .unwrap();
        assert_eq!(
            payload(&shape(), fields.into_owned()).to_json(),
            r#"{"subject":"x","custom_fields":[{"id":36,"value":"A"},{"id":37,"value":7},{"id":"note","value":null}]}"#
        );
    }

    #[test]
    fn what_nobody_may_read_is_gone_before_anything_is_kept() {
        let stream = Stream {
            never: vec![path("$.payments[*].token"), path("$.secret")],
            ..Stream::new("orders", path("$.id"))
        };
        let clean = |envelope, record: &'static str| {
            without_forbidden(&stream, envelope, Bytes::from_static(record.as_bytes())).unwrap()
        };
        let harmless = r#"{"id":1, "payments":[]}"#;
        assert_eq!(clean(Envelope::Plain, harmless), harmless);
        assert_eq!(
            clean(
                Envelope::Plain,
                r#"{"id":1.50,"payments":[{"token":"a","x":1},{"token":"b"}],"secret":"s"}"#
            ),
            r#"{"id":1.50,"payments":[{"x":1},{}]}"#
        );
        assert_eq!(
            clean(
                Envelope::JsonApi,
                r#"{"id":"1","attributes":{"secret":"s","payments":[{"token":"a"}]},"relationships":{}}"#
            ),
            r#"{"id":"1","attributes":{"payments":[{}]},"relationships":{}}"#
        );
    }
}
