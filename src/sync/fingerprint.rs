//! Values as digests that are equal where two systems mean the same.
//!
//! One system spells an identifier as a number, the other as text; one answers instants with an offset, the other in
//! UTC; one clears a field to null, the other to an empty text. None of that is an edit, so all of it is one digest.
//! Texts are otherwise compared to the letter: `1.10` and `1.1` are two texts.

use super::facts::{Mapped, Seen};
use crate::expression::Value;
use crate::state::Digester;

/// Makes digests of values with a store's key.
#[derive(Clone, Debug)]
pub struct Fingerprints {
    digester: Digester,
}

impl Fingerprints {
    /// With the digests of this store.
    pub fn new(digester: Digester) -> Self {
        Fingerprints { digester }
    }

    /// A value of a record, or of what mapping made.
    pub fn seen(&self, value: &Value<'_>) -> Seen {
        let mut canonical = Vec::new();
        write(value, &mut canonical);
        Seen {
            digest: self.digester.digest(&canonical),
            empty: is_empty(value),
        }
    }

    /// The key of a record that load will create, by what it will be created for.
    pub fn pending(&self, created_for: &str) -> Seen {
        Seen {
            digest: self.digester.digest(format!("pending {created_for}").as_bytes()),
            empty: false,
        }
    }

    /// What stands for the value of a side that a row only reads from without naming a field: what it is mapped to.
    pub fn source(&self, mapped: &Mapped) -> Option<Seen> {
        match mapped {
            Mapped::Value(seen) | Mapped::Fallback(seen) | Mapped::Pending(seen) => Some(*seen),
            Mapped::NotApplied => Some(Seen {
                digest: self.digester.digest(b"not applied"),
                empty: true,
            }),
            Mapped::Refused | Mapped::Unknown => None,
        }
    }
}

fn is_empty(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        _ => false,
    }
}

/// Each kind has a letter, each text its length, so that no two values that differ are written alike.
fn write(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        empty if is_empty(empty) => out.push(b'-'),
        Value::Null => out.push(b'-'),
        Value::Bool(value) => out.extend_from_slice(if *value { b"y" } else { b"n" }),
        Value::Number(number) => write_text(&number.canonical(), out),
        Value::Time(time) => write_text(&time.to_string(), out),
        Value::Text(text) => match instant(text) {
            Some(time) => write_text(&time.to_string(), out),
            None => write_text(text, out),
        },
        Value::List(items) => {
            out.push(b'[');
            items.iter().for_each(|item| write(item, out));
            out.push(b']');
        }
        Value::Map(map) => {
            // A member that is empty and one that is missing are the same.
            let mut members: Vec<(&str, &Value<'_>)> =
                map.iter().filter(|(_, member)| !is_empty(member)).collect();
            members.sort_by_key(|(name, _)| *name);
            out.push(b'{');
            for (name, member) in members {
                write_text(name, out);
                write(member, out);
            }
            out.push(b'}');
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b't');
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// An RFC 3339 instant; a look at the first bytes spares other texts the parse.
fn instant(text: &str) -> Option<jiff::Timestamp> {
    let bytes = text.as_bytes();
    let looks_so =
        bytes.len() >= 20 && bytes.iter().take(4).all(u8::is_ascii_digit) && bytes.get(4) == Some(&b'-');
    looks_so.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::parse_json;

    fn seen(json: &str) -> Seen {
        Fingerprints::new(Digester::new([1; 32])).seen(&parse_json(json.as_bytes()).unwrap())
    }

    #[test]
    fn spellings_of_one_thing_are_one() {
        for (one, other) in [
            ("17", r#""17""#),
            ("1.50", "1.5"),
            ("null", r#""""#),
            ("null", "[]"),
            (r#""2024-05-01T10:00:00Z""#, r#""2024-05-01T12:00:00+02:00""#),
            (r#"{"a":1,"b":null}"#, r#"{"a":"1"}"#),
            (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
        ] {
            assert_eq!(seen(one), seen(other), "{one} {other}");
        }
        assert!(seen("null").empty && !seen("0").empty && !seen("false").empty);
    }

    #[test]
    fn everything_else_differs() {
        let all = [
            "null",
            "true",
            "false",
            "0",
            r#""1.10""#,
            r#""1.1""#,
            r#""a""#,
            r#""a ""#,
            r#""A""#,
            r#"["a"]"#,
            r#"["a","b"]"#,
            r#"["b","a"]"#,
            r#"["ab"]"#,
            r#"[["a"],"b"]"#,
            r#"{"a":"b"}"#,
            r#""2024-05-01T10:00:01Z""#,
        ];
        for (position, one) in all.iter().enumerate() {
            for other in &all[position + 1..] {
                assert_ne!(seen(one).digest, seen(other).digest, "{one} {other}");
            }
        }
    }

    #[test]
    fn a_side_without_a_field_stands_for_what_it_is_mapped_to() {
        let fingerprints = Fingerprints::new(Digester::new([1; 32]));
        let value = fingerprints.seen(&Value::Bool(true));
        assert_eq!(fingerprints.source(&Mapped::Fallback(value)), Some(value));
        let not_applied = fingerprints.source(&Mapped::NotApplied).unwrap();
        assert_ne!(not_applied.digest, seen("null").digest);
        assert_eq!(fingerprints.source(&Mapped::Unknown), None);
    }
}
