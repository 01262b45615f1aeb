//! What mapping promises: every step of a row, the flow's own steps, and the laws that hold for all of them.

mod fixture;
mod flow;
mod laws;
mod references;

use std::sync::Arc;

use fixture::*;

use super::{Coverage, Mapper, Trace};
use crate::compile::compiled::*;
use crate::expression::{TargetType, TimeFormat, TimePattern, Value};

#[test]
fn values_are_selected_computed_or_constant() {
    let text = r#"{"id":1,"a":{"b":1.10},"list":[{"n":1},{"n":2}],"name":"x\ny","big":9007199254740993}"#;
    for (input, expected) in [
        (select("$.a.b"), "1.10"),
        (select("$.a.missing"), "null"),
        (select("$.list[-1].n"), "2"),
        (select("$.list[*].n"), "[1,2]"),
        (select("$.list[?@.n > 1].n"), "[2]"),
        (select("$.name"), r#""x\ny""#),
        (select("$.big"), "9007199254740993"),
        (compute("{{ record.a.b }}"), "1.10"),
        (
            compute("#{{ record.id }} of {{ params.owner }} in {{ connections.crm.settings.organization }}"),
            r##""#1 of owner@x in 5""##,
        ),
        (compute("{{ record.id }} {{ record.missing }}"), "null"),
        (Input::Const(Value::from(true)), "true"),
    ] {
        let shown = format!("{input:?}");
        assert_eq!(one(row("t", input), text), expected, "{shown}");
    }
}

#[test]
fn one_text_may_be_read_by_several_rows() {
    let rows = vec![
        row("a", select("$.name")),
        row("b", select("$.name")),
        row("c", select("$.other")),
    ];
    assert_eq!(
        map(
            &pipeline(rows),
            r#"{"id":1,"name":"x\ny","other":"\u00e9\n"}"#,
            &Answers::default()
        ),
        r#""x\ny" "x\ny" "é\n""#
    );
}

#[test]
fn json_is_kept_as_received() {
    let json = |path: &str| Row {
        target_type: TargetType::Json,
        ..row("t", select(path))
    };
    let text = r#" {"id": 1, "a": {"x":1.0 , "y" : "\u0041"}, "n": null} "#;
    let as_text = |json: &str| Value::text(json.to_owned()).to_json();
    assert_eq!(one(json("$"), text), as_text(text.trim()));
    assert_eq!(one(json("$.a"), text), as_text(r#"{"x":1.0 , "y" : "\u0041"}"#));
    assert_eq!(one(json("$.n"), text), "null");
    assert_eq!(one(json("$.a['x','y']"), text), as_text(r#"[1.0,"A"]"#));
}

#[test]
fn several_values_become_one() {
    let text = r#"{"id":1,"l":["b",null,"a"],"n":[0.1,"0.2",null],"one":[5],"none":[],"single":"s"}"#;
    for (path, take, expected) in [
        ("$.l[*]", Take::First, r#""b""#),
        ("$.l[*]", Take::Last, r#""a""#),
        ("$.l[*]", Take::Count, "3"),
        ("$.l", Take::Join(", ".to_owned()), r#""b, a""#),
        ("$.none", Take::Join(",".to_owned()), "null"),
        ("$.n[*]", Take::Sum, "0.3"),
        ("$.none[*]", Take::Sum, "null"),
        ("$.none[*]", Take::Count, "0"),
        ("$.one[*]", Take::Only, "5"),
        ("$.single", Take::First, r#""s""#),
        ("$.l[*]", Take::All, r#"["b",null,"a"]"#),
        ("$.l[*]", Take::Only, "rejected: take_several t by take only"),
        ("$.l[*]", Take::Sum, "rejected: take_not_a_number t by take sum"),
    ] {
        let shown = format!("{path} {take:?}");
        assert_eq!(
            one(
                Row {
                    take: Some(take),
                    ..row("t", select(path))
                },
                text
            ),
            expected,
            "{shown}"
        );
    }
}

#[test]
fn each_element_is_shaped() {
    let text = r#"{"id":1,"refunds":[{"cents":1230,"digits":2},{"cents":5,"digits":1}],"none":null}"#;
    let each = |items: Source, shape: Option<&str>| Input::Each {
        items,
        shape: shape.map(|text| Shape::Template(template(text))),
    };
    let money = "{{ value.cents | shift(-value.digits) }}";
    let refunds = || Source::Select(path("$.refunds[*]"));
    assert_eq!(one(row("t", each(refunds(), Some(money))), text), "[12.30,0.5]");
    let sum = Row {
        take: Some(Take::Sum),
        ..row("t", each(refunds(), Some(money)))
    };
    assert_eq!(one(sum, text), "12.8");
    assert_eq!(
        one(row("t", each(Source::Select(path("$.none[*]")), None)), text),
        "[]"
    );
    let computed = Source::Compute(template("{{ [record.id, 2] }}"));
    assert_eq!(
        one(row("t", each(computed, Some("{{ value + 1 }}"))), text),
        "[2,3]"
    );
}

#[test]
fn defaults_come_before_on_null() {
    let null = r#"{"id":1,"p":null}"#;
    let with_default = |on_null| Row {
        default: Some(Shape::Template(template("{{ params.owner }}"))),
        on_null,
        ..row("t", select("$.p"))
    };
    assert_eq!(one(with_default(OnNull::Reject), null), r#""owner@x""#);
    for (on_null, expected) in [
        (OnNull::Reject, "rejected: null_refused t by on_null"),
        (OnNull::Keep, "-"),
        (OnNull::Clear, "null"),
        (OnNull::Skip, "filtered 1"),
        (OnNull::AsNone, "null"),
        (OnNull::Const(Value::text("none")), r#""none""#),
    ] {
        let shown = format!("{on_null:?}");
        assert_eq!(
            one(
                Row {
                    on_null,
                    ..row("t", select("$.p"))
                },
                null
            ),
            expected,
            "{shown}"
        );
    }
}

#[test]
fn values_are_translated() {
    let translated = |usage: Option<EnumUse>, on_null: OnNull, text: &str| {
        one(
            Row {
                enumeration: usage,
                on_null,
                ..row("t", select("$.p"))
            },
            text,
        )
    };
    let unknown = |on_unknown| {
        Some(EnumUse {
            table: 0,
            on_null: None,
            on_unknown: Some(on_unknown),
        })
    };
    for (usage, text, expected) in [
        (use_enum(0), r#"{"id":1,"p":"urgent"}"#, r#""high""#),
        (use_enum(0), r#"{"id":1,"p":true}"#, r#""yes""#),
        (use_enum(0), r#"{"id":1,"p":7}"#, r#""seven""#),
        (
            use_enum(0),
            r#"{"id":1,"p":["low","urgent"]}"#,
            r#"["low","high"]"#,
        ),
        (
            use_enum(0),
            r#"{"id":1,"p":"Urgent"}"#,
            "rejected: enum_unknown t by enum priority [Urgent]",
        ),
        (
            use_enum(0),
            r#"{"id":1,"p":{"a":1}}"#,
            r#"rejected: enum_unknown t by enum priority [{"a":1}]"#,
        ),
        (unknown(OnUnknown::Keep), r#"{"id":1,"p":"x"}"#, "-"),
        (unknown(OnUnknown::Clear), r#"{"id":1,"p":"x"}"#, "null"),
        (unknown(OnUnknown::Skip), r#"{"id":1,"p":"x"}"#, "filtered 1"),
        (
            unknown(OnUnknown::Const(Value::from(9))),
            r#"{"id":1,"p":"x"}"#,
            "9",
        ),
    ] {
        assert_eq!(translated(usage, OnNull::Clear, text), expected, "{text}");
    }
    let null = r#"{"id":1,"p":null}"#;
    assert_eq!(
        translated(use_enum(0), OnNull::Const(Value::text("normal")), null),
        r#""normal""#
    );
    assert_eq!(translated(use_enum(0), OnNull::Keep, null), "-");
}

#[test]
fn uses_of_tables_are_counted() {
    let mut pipeline = pipeline(vec![Row {
        enumeration: Some(EnumUse {
            table: 0,
            on_null: None,
            on_unknown: Some(OnUnknown::Clear),
        }),
        ..row("t", select("$.p"))
    }]);
    let count = |pipeline: &Pipeline| {
        let mapper = Mapper::new(pipeline, 0);
        let mut coverage = Coverage::new(&pipeline.enums);
        for value in ["urgent", "low", "urgent", "odd"] {
            let record = record(&format!(r#"{{"id":1,"p":"{value}"}}"#));
            tell(mapper.map(&record, &Answers::default(), &mut coverage, None));
        }
        let (mut used, mut unknown) = Default::default();
        coverage.add_to(&pipeline.enums, &mut used, &mut unknown);
        (
            used["priority"]["urgent"],
            used["priority"]["low"],
            unknown["priority"].clone(),
        )
    };
    let (urgent, low, unknown) = count(&pipeline);
    assert_eq!((urgent, low, unknown.get("odd")), (2, 1, Some(&1)));
    pipeline.flows[0].private_targets = vec![("t".to_owned(), PrivacyKind::Mask)];
    assert_eq!(count(&pipeline).2.keys().collect::<Vec<_>>(), ["***"]);
}

#[test]
fn then_sees_the_result_and_the_record() {
    let text = r#"{"id":1,"cents":1230,"places":2,"l":["urgent","low"]}"#;
    let then = |input: &str, shape: Shape| Row {
        then: Some(shape),
        ..row("t", select(input))
    };
    let shape = |text: &str| Shape::Template(template(text));
    assert_eq!(
        one(
            then("$.cents", shape("{{ value | shift(-record.places) }}")),
            text
        ),
        "12.30"
    );
    let listed = Row {
        enumeration: use_enum(0),
        ..then("$.l", Shape::Map(vec![("id".to_owned(), shape("{{ value }}"))]))
    };
    assert_eq!(one(listed, text), r#"[{"id":"high"},{"id":"low"}]"#);
}

#[test]
fn types_are_reached_without_loss_or_refused() {
    let typed = |target_type: TargetType, text: &str| {
        one(
            Row {
                target_type,
                ..row("t", select("$.p"))
            },
            text,
        )
    };
    let times = TargetType::Time(Arc::new(TimeFormat {
        read: vec![TimePattern::parse("%d-%b-%Y").unwrap(), TimePattern::Rfc3339],
        ..TimeFormat::default()
    }));
    for (target_type, text, expected) in [
        (TargetType::Integer, r#"{"id":1,"p":"12"}"#, "12"),
        (
            TargetType::Integer,
            r#"{"id":1,"p":12.5}"#,
            "rejected: type_mismatch t by type [12.5]",
        ),
        (TargetType::Decimal, r#"{"id":1,"p":"1.10"}"#, "1.10"),
        (
            TargetType::Text,
            r#"{"id":1,"p":360001100001}"#,
            r#""360001100001""#,
        ),
        (
            TargetType::Boolean,
            r#"{"id":1,"p":"yes"}"#,
            "rejected: type_mismatch t by type [yes]",
        ),
        (
            times.clone(),
            r#"{"id":1,"p":"01-May-2024"}"#,
            r#""2024-05-01T00:00:00Z""#,
        ),
        (
            times.clone(),
            r#"{"id":1,"p":"2024-05-01T02:00:00+02:00"}"#,
            r#""2024-05-01T00:00:00Z""#,
        ),
        (
            times,
            r#"{"id":1,"p":"1 May"}"#,
            "rejected: type_mismatch t by type [1 May]",
        ),
        (
            TargetType::List,
            r#"{"id":1,"p":"x"}"#,
            "rejected: type_mismatch t by type [x]",
        ),
    ] {
        assert_eq!(typed(target_type, text), expected, "{text}");
    }
}

#[test]
fn checks_come_last() {
    let text = r#"{"id":1,"p":"añbc","n":null}"#;
    let long = |most, action| Row {
        max_length: Some((most, action)),
        ..row("t", select("$.p"))
    };
    assert_eq!(one(long(4, OnTooLong::Reject), text), r#""añbc""#);
    assert_eq!(
        one(long(3, OnTooLong::Reject), text),
        "rejected: too_long t by on_too_long"
    );
    assert_eq!(one(long(3, OnTooLong::Truncate(2)), text), r#""añ""#);
    let required = Row {
        required: true,
        ..row("t", select("$.n"))
    };
    assert_eq!(one(required, text), "rejected: required_missing t by required");
}

#[test]
fn rows_apply_when_they_say_so() {
    let when = |otherwise_clear| Row {
        when: Some(template("{{ record.role == 'a' }}")),
        otherwise_clear,
        ..row("t", select("$.p"))
    };
    assert_eq!(one(when(false), r#"{"id":1,"role":"a","p":5}"#), "5");
    assert_eq!(one(when(false), r#"{"id":1,"role":"b","p":5}"#), "-");
    assert_eq!(one(when(true), r#"{"id":1,"role":"b","p":5}"#), "null");
    assert_eq!(one(when(true), r#"{"id":1,"p":5}"#), "null");
    let broken = Row {
        when: Some(template("{{ record.role + 1 }}")),
        ..row("t", select("$.p"))
    };
    assert_eq!(
        one(broken, r#"{"id":1,"role":"a"}"#),
        "rejected: template_failed t by template"
    );
}

#[test]
fn private_values_are_never_shown() {
    let mut pipeline = pipeline(vec![Row {
        target_type: TargetType::Integer,
        ..row("t", select("$.p"))
    }]);
    let text = r#"{"id":1,"p":"secret"}"#;
    for (kind, expected) in [
        (PrivacyKind::Keep, "rejected: type_mismatch t by type [secret]"),
        (PrivacyKind::Mask, "rejected: type_mismatch t by type [***]"),
        (PrivacyKind::Hash, "rejected: type_mismatch t by type [***]"),
        (PrivacyKind::Drop, "rejected: type_mismatch t by type"),
    ] {
        pipeline.flows[0].private_targets = vec![("t".to_owned(), kind)];
        assert_eq!(map(&pipeline, text, &Answers::default()), expected);
        let mut trace = Trace::new();
        let record = record(text);
        Mapper::new(&pipeline, 0).map(
            &record,
            &Answers::default(),
            &mut Coverage::new(&pipeline.enums),
            Some(&mut trace),
        );
        let shown = serde_json::to_string(&trace).unwrap();
        assert_eq!(shown.contains("secret"), kind == PrivacyKind::Keep, "{shown}");
    }
}

#[test]
fn a_trace_tells_every_step() {
    let pipeline = pipeline(vec![Row {
        default: Some(Shape::Const(Value::text("low"))),
        enumeration: use_enum(0),
        lookup: use_lookup(0),
        then: Some(Shape::Template(template("{{ value + 1 }}"))),
        target_type: TargetType::Text,
        ..row("owner.id", select("$.p"))
    }]);
    let answers = Answers::default().with(0, "low", &[r#"{"id":41}"#]);
    let mut trace = Trace::new();
    let record = record(r#"{"id":1}"#);
    let told = tell(Mapper::new(&pipeline, 0).map(
        &record,
        &answers,
        &mut Coverage::new(&pipeline.enums),
        Some(&mut trace),
    ));
    assert_eq!(told, r#""42""#);
    let steps: Vec<String> = trace.rows[0]
        .steps
        .iter()
        .map(|step| {
            format!(
                "{} {} {}->{}",
                step.step,
                step.rule.as_deref().unwrap_or(""),
                step.input.to_json(),
                step.output.to_json()
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            "value $.p null->null",
            r#"default  null->"low""#,
            r#"enum priority "low"->"low""#,
            r#"lookup person "low"->41"#,
            "then  41->42",
            r#"type text 42->"42""#,
        ]
    );
    assert_eq!(trace.rows[0].result, Value::text("42"));
}
