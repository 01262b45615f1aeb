//! The flow's own steps: keys, deletions, conditions, joins.

use super::fixture::*;
use crate::compile::compiled::*;
use crate::expression::{Joined, Value};

#[test]
fn a_record_needs_a_key() {
    let pipeline = pipeline(vec![row("t", select("$.p"))]);
    for (text, expected) in [
        (r#"{"id":null,"p":1}"#, "rejected: key_missing by key"),
        (r#"{"p":1}"#, "rejected: key_missing by key"),
        (r#"{"id":"","p":1}"#, "rejected: key_missing by key"),
        (r#"{"id":{},"p":1}"#, "rejected: key_missing by key"),
        (r#"{"id":1,"p":}"#, "rejected: record_malformed by record"),
        (r#"{"id":1,"p":"\ud800"}"#, "rejected: record_malformed by record"),
        ("[]", "rejected: key_missing by key"),
        (r#"{"id":9007199254740993}"#, "null"),
    ] {
        assert_eq!(map(&pipeline, text, &Answers::default()), expected, "{text}");
    }
}

#[test]
fn deleted_and_erased_records_are_told_from_filtered_ones() {
    let mut pipeline = pipeline(vec![row("t", select("$.p"))]);
    let stream = &mut pipeline.connections[0].connector.streams[0];
    stream.deleted_when = Some(template("{{ record.status == 'deleted' }}"));
    stream.erased_when = Some(template("{{ record.subject == 'SCRUBBED' }}"));
    pipeline.flows[0].conditions = vec![Condition {
        path: path("$.kind"),
        values: vec![
            Shape::Const(Value::text("a")),
            Shape::Template(template("{{ connections.crm.settings.organization }}")),
        ],
    }];
    pipeline.flows[0].when = Some(template("{{ record.p is defined }}"));
    for (text, expected) in [
        (r#"{"id":1,"status":"deleted","kind":"x"}"#, "deleted 1"),
        (r#"{"id":1,"status":"deleted","subject":"SCRUBBED"}"#, "erased 1"),
        (r#"{"id":1,"kind":"x","p":1}"#, "filtered 1"),
        (r#"{"id":1,"p":1}"#, "filtered 1"),
        (r#"{"id":1,"kind":"a","p":1}"#, "1"),
        (r#"{"id":1,"kind":"5","p":1}"#, "1"),
        (r#"{"id":1,"kind":"a"}"#, "filtered 1"),
    ] {
        assert_eq!(map(&pipeline, text, &Answers::default()), expected, "{text}");
    }
}

#[test]
fn a_condition_may_ask_for_null_or_one_of_several_nodes() {
    let mut pipeline = pipeline(vec![row("t", select("$.id"))]);
    let condition = |path_text: &str, value: Value<'static>| Condition {
        path: path(path_text),
        values: vec![Shape::Const(value)],
    };
    pipeline.flows[0].conditions = vec![
        condition("$.gone", Value::Null),
        condition("$.tags[*]", Value::text("vip")),
    ];
    assert_eq!(
        map(&pipeline, r#"{"id":1,"tags":["x","vip"]}"#, &Answers::default()),
        "1"
    );
    assert_eq!(
        map(&pipeline, r#"{"id":1,"tags":["x"]}"#, &Answers::default()),
        "filtered 1"
    );
    assert_eq!(
        map(
            &pipeline,
            r#"{"id":1,"gone":2,"tags":["vip"]}"#,
            &Answers::default()
        ),
        "filtered 1"
    );
}

fn joining(rows: Vec<Row>, on_none: OnNone) -> Pipeline {
    let mut pipeline = pipeline(rows);
    pipeline
        .lookups
        .push(lookup("order", "$.number", MatchValue::Given, on_none));
    pipeline.flows[0].joins = vec![Join {
        name: "order".to_owned(),
        when: None,
        input: select("$.order_number"),
        lookup: use_lookup(1),
    }];
    pipeline
}

#[test]
fn joined_records_are_read_like_members() {
    let rows = || {
        vec![
            row("state", select("$.order.state")),
            row("total", compute("{{ record.order.cents | shift(-2) }}")),
            row("own", select("$.order_number")),
        ]
    };
    let answers =
        || Answers::default().with(1, "a1", &[r#"{"id":9,"state":"open","cents":1230,"unused":1}"#]);
    let text = r#"{"id":1,"order_number":"A1","order":"hidden by the join"}"#;
    assert_eq!(
        map(&joining(rows(), OnNone::Skip), text, &answers()),
        r#""open" 12.30 "A1""#
    );
    let none = r#"{"id":1,"order_number":"A2"}"#;
    assert_eq!(
        map(&joining(rows(), OnNone::Skip), none, &answers()),
        "skipped: lookup_none order by lookup order"
    );
    assert_eq!(
        map(&joining(rows(), OnNone::Clear), none, &answers()),
        r#"null null "A2""#
    );
    assert_eq!(
        map(&joining(rows(), OnNone::Wait), none, &answers()),
        "waits: lookup_none order by lookup order"
    );
    let without = r#"{"id":1,"order_number":null}"#;
    assert_eq!(
        map(&joining(rows(), OnNone::Clear), without, &answers()),
        "null null null"
    );
    let unknown = r#"{"id":1,"order_number":"?A3"}"#;
    assert_eq!(
        map(&joining(rows(), OnNone::Skip), unknown, &answers()),
        "waits: lookup_unanswered by lookup"
    );
    let mut several = joining(vec![row("states", select("$.order[*].state"))], OnNone::Skip);
    several.lookups[1].on_many = OnMany::All;
    let two = Answers::default().with(1, "a1", &[r#"{"id":1,"state":"a"}"#, r#"{"id":2,"state":"b"}"#]);
    assert_eq!(map(&several, text, &two), r#"["a","b"]"#);
}

#[test]
fn a_when_comes_after_the_joins_only_if_it_reads_them() {
    let answers = Answers::default().with(1, "a1", &[r#"{"id":9,"state":"open"}"#]);
    let mut pipeline = joining(vec![row("state", select("$.order.state"))], OnNone::Skip);
    pipeline.flows[0].when = Some(template("{{ record.order_number }}"));
    assert_eq!(map(&pipeline, r#"{"id":1}"#, &answers), "filtered 1");
    assert!(
        answers.asked.borrow().is_empty(),
        "nothing is asked for a record that is left out"
    );
    pipeline.flows[0].when = Some(template("{{ record.order.state == 'closed' }}"));
    assert_eq!(
        map(&pipeline, r#"{"id":1,"order_number":"A1"}"#, &answers),
        "filtered 1"
    );
}

#[test]
fn a_join_may_be_the_record_itself_or_conditional() {
    let mut pipeline = joining(vec![row("t", select("$.order.p"))], OnNone::Skip);
    pipeline.flows[0].joins[0].lookup = None;
    pipeline.flows[0].joins[0].input = select("$");
    assert_eq!(map(&pipeline, r#"{"id":1,"p":5}"#, &Answers::default()), "5");
    pipeline.flows[0].joins[0].when = Some(template("{{ record.p > 5 }}"));
    assert_eq!(map(&pipeline, r#"{"id":1,"p":5}"#, &Answers::default()), "null");
}

#[test]
fn side_loaded_records_are_read_too() {
    let pipeline = pipeline(vec![
        row("t", select("$.requester.email")),
        row("n", compute("{{ record.requester.name }}")),
    ]);
    let mut record = record(r#"{"id":1}"#);
    record.join(
        "requester".into(),
        Joined::One(bytes::Bytes::from_static(br#"{"email":"a@b","name":"Ann"}"#)),
    );
    assert_eq!(outcome(&pipeline, &record, &Answers::default()), r#""a@b" "Ann""#);
}
