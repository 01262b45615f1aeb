//! Laws of mapping, for all records.

use proptest::prelude::*;

use super::fixture::*;
use crate::compile::compiled::*;
use crate::expression::{Map, TargetType, Value};
use crate::mapping::{Coverage, Mapper};

/// A pipeline that uses most steps.
fn busy() -> Pipeline {
    let mut pipeline = pipeline(vec![
        row("text", select("$.text")),
        Row {
            enumeration: use_enum(0),
            ..row("priority", select("$.priority"))
        },
        Row {
            lookup: use_lookup(0),
            ..row("owner.id", select("$.email"))
        },
        Row {
            take: Some(Take::Join("/".to_owned())),
            ..row("tags", select("$.tags[*]"))
        },
        row("mixed", compute("{{ record.text }} by {{ record.email }}")),
        Row {
            target_type: TargetType::Json,
            ..row("raw", select("$"))
        },
        Row {
            target_type: TargetType::Integer,
            on_null: OnNull::Keep,
            ..row("count", select("$.count"))
        },
    ]);
    pipeline.lookups[0].on_none = OnNone::Instead(template("{{ params.owner }}"));
    pipeline
}

fn answers() -> Answers {
    Answers::default()
        .with(0, "a@x", &[r#"{"id":1}"#])
        .with(0, "owner@x", &[r#"{"id":99}"#])
}

fn any_record() -> impl Strategy<Value = String> {
    let text = prop_oneof![Just(None), "[a-zé\"\\\\\n]{0,8}".prop_map(Some)];
    let priority = prop_oneof![
        Just(None),
        Just(Some("low")),
        Just(Some("urgent")),
        Just(Some("odd"))
    ];
    let email = prop_oneof![Just(None), Just(Some("A@x ")), Just(Some("b@x")), Just(Some("?"))];
    let count = prop_oneof![Just("null"), Just("12"), Just("\"7\""), Just("1.5")];
    (
        0..50u32,
        text,
        priority,
        email,
        prop::collection::vec("[a-z]{1,3}", 0..3),
        count,
    )
        .prop_map(|(id, text, priority, email, tags, count)| {
            let member =
                |value: Option<&str>| value.map_or(Value::Null, |value| Value::text(value.to_owned()));
            let mut map = Map::new();
            map.insert("id", Value::from(i64::from(id)));
            map.insert("text", member(text.as_deref()));
            map.insert("priority", member(priority));
            map.insert("email", member(email));
            map.insert("tags", Value::List(tags.into_iter().map(Value::from).collect()));
            map.insert("count", json(count));
            Value::Map(map).to_json()
        })
}

proptest! {
    /// The same record has the same outcome, whatever else is in the batch and in whatever order.
    #[test]
    fn the_batch_does_not_matter(texts in prop::collection::vec(any_record(), 1..12), turn in 0usize..12) {
        let pipeline = busy();
        let mapper = Mapper::new(&pipeline, 0);
        let records: Vec<_> = texts.iter().map(|text| record(text)).collect();
        let alone: Vec<String> = records.iter().map(|record| outcome(&pipeline, record, &answers())).collect();
        let mut order: Vec<usize> = (0..records.len()).collect();
        order.rotate_left(turn % records.len());
        order.reverse();
        let resolver = answers();
        let mut coverage = Coverage::new(&pipeline.enums);
        for index in order {
            prop_assert_eq!(&tell(mapper.map(&records[index], &resolver, &mut coverage, None)), &alone[index]);
        }
    }

    /// Null anywhere in mixed text makes the whole null, and the words None, null and undefined never appear.
    #[test]
    fn null_in_mixed_text_is_null(first in prop::option::of("[a-z]{0,4}"), second in prop::option::of("[0-9]{1,4}")) {
        let pipeline = pipeline(vec![row("t", compute("<{{ record.a }}|{{ record.b | upper }}>"))]);
        let shown = |value: &Option<String>| value.as_ref().map_or("null".to_owned(), |value| format!("\"{value}\""));
        let told = map(&pipeline, &format!(r#"{{"id":1,"a":{},"b":{}}}"#, shown(&first), shown(&second)), &answers());
        let expected = match (first, second) {
            (Some(first), Some(second)) => format!("\"<{first}|{second}>\""),
            _ => "null".to_owned(),
        };
        prop_assert_eq!(told, expected);
    }

    /// Whatever bytes come, mapping answers.
    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\":,0-9a-z\\\\]{0,40}") {
        let pipeline = busy();
        for record in [crate::expression::Record::new(bytes.into()), record(&text)] {
            outcome(&pipeline, &record, &answers());
        }
    }
}
