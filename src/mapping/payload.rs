//! The nested object that is written, from dotted targets.

use crate::compile::compiled::Target;
use crate::expression::{Map, Value};

/// Puts each value where its target points: `status.id` becomes `{"status": {"id": …}}`. Of two targets where one is
/// inside the other, the later wins; `compile` refuses such rows.
pub fn payload<'c, 'v: 'c>(cells: impl IntoIterator<Item = (&'c Target, &'c Value<'v>)>) -> Value<'static> {
    let mut root = Map::new();
    for (target, value) in cells {
        put(&mut root, &target.segments, value.clone().into_owned());
    }
    Value::Map(root)
}

fn put(map: &mut Map<'static>, segments: &[String], value: Value<'static>) {
    let Some((name, rest)) = segments.split_first() else {
        return;
    };
    if rest.is_empty() {
        map.insert(name.clone(), value);
        return;
    }
    if !matches!(map.get(name), Some(Value::Map(_))) {
        map.insert(name.clone(), Value::Map(Map::new()));
    }
    if let Some(Value::Map(inner)) = map.get_mut(name) {
        put(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_targets_nest_in_order() {
        let target = |segments: &[&str]| Target {
            name: segments.join("."),
            segments: segments.iter().map(|segment| (*segment).to_owned()).collect(),
        };
        let cells = [
            (target(&["status", "id"]), Value::text("open")),
            (target(&["subject"]), Value::text("s")),
            (target(&["a.b"]), Value::from(1)),
            (target(&["status", "note", "text"]), Value::Null),
        ];
        assert_eq!(
            payload(cells.iter().map(|(target, value)| (target, value))).to_json(),
            r#"{"status":{"id":"open","note":{"text":null}},"subject":"s","a.b":1}"#
        );
    }
}
