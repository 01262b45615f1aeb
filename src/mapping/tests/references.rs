//! Lookups with every answer, fallbacks, first_of, records to be created, links.

use std::sync::Arc;

use super::fixture::*;
use crate::compile::compiled::*;
use crate::expression::Value;

fn owner(on_none: OnNone, on_many: OnMany) -> Pipeline {
    let mut pipeline = pipeline(vec![Row {
        lookup: use_lookup(0),
        ..row("owner.id", select("$.email"))
    }]);
    pipeline.lookups[0].on_none = on_none;
    pipeline.lookups[0].on_many = on_many;
    pipeline
}

fn answers() -> Answers {
    Answers::default()
        .with(0, "ann@x", &[r#"{"id":17}"#])
        .with(0, "two@x", &[r#"{"id":1}"#, r#"{"id":2}"#])
        .with(0, "owner@x", &[r#"{"id":99}"#])
}

#[test]
fn every_answer_of_a_lookup() {
    let found = r#"{"id":1,"email":" Ann@X "}"#;
    let none = r#"{"id":1,"email":"nobody@x"}"#;
    let many = r#"{"id":1,"email":"two@x"}"#;
    let instead = || OnNone::Instead(template("{{ params.owner }}"));
    for (on_none, on_many, text, expected) in [
        (OnNone::Reject, OnMany::Reject, found, "17"),
        (
            OnNone::Reject,
            OnMany::Reject,
            none,
            "rejected: lookup_none owner.id by lookup person [nobody@x]",
        ),
        (OnNone::Keep, OnMany::Reject, none, "-"),
        (OnNone::Clear, OnMany::Reject, none, "null"),
        (
            OnNone::Skip,
            OnMany::Reject,
            none,
            "skipped: lookup_none owner.id by lookup person [nobody@x]",
        ),
        (
            OnNone::Hold,
            OnMany::Reject,
            none,
            "held: lookup_none owner.id by lookup person [nobody@x]",
        ),
        (
            OnNone::Wait,
            OnMany::Reject,
            none,
            "waits: lookup_none owner.id by lookup person [nobody@x]",
        ),
        (OnNone::Const(Value::from(1)), OnMany::Reject, none, "1"),
        (instead(), OnMany::Reject, none, "99*"),
        (instead(), OnMany::Reject, found, "17"),
        (
            OnNone::Reject,
            OnMany::Reject,
            many,
            "rejected: lookup_many owner.id by lookup person [two@x]",
        ),
        (OnNone::Reject, OnMany::First, many, "1"),
        (OnNone::Reject, OnMany::All, many, "[1,2]"),
        (
            OnNone::Reject,
            OnMany::Hold,
            many,
            "held: lookup_many owner.id by lookup person [two@x]",
        ),
        (
            OnNone::Reject,
            OnMany::Skip,
            many,
            "skipped: lookup_many owner.id by lookup person [two@x]",
        ),
        (OnNone::Reject, OnMany::Keep, many, "-"),
        (
            OnNone::Reject,
            OnMany::Reject,
            r#"{"id":1,"email":"?"}"#,
            "waits: lookup_unanswered by lookup",
        ),
        (
            OnNone::Reject,
            OnMany::Reject,
            r#"{"id":1,"email":"!"}"#,
            "rejected: lookup_failed owner.id by lookup person",
        ),
        (OnNone::Reject, OnMany::Reject, r#"{"id":1,"email":null}"#, "null"),
        (
            OnNone::Reject,
            OnMany::Reject,
            r#"{"id":1,"email":["ann@x",null,"owner@x"]}"#,
            "[17,99]",
        ),
    ] {
        let shown = format!("{on_none:?} {on_many:?} {text}");
        assert_eq!(
            map(&owner(on_none, on_many), text, &answers()),
            expected,
            "{shown}"
        );
    }
    let without = Answers::default();
    assert_eq!(
        map(&owner(instead(), OnMany::Reject), none, &without),
        "rejected: fallback_missing owner.id by lookup person [nobody@x]"
    );
}

#[test]
fn null_as_none_goes_to_the_fallback() {
    let mut pipeline = owner(OnNone::Instead(template("{{ params.owner }}")), OnMany::Reject);
    pipeline.flows[0].rows[0].on_null = OnNull::AsNone;
    assert_eq!(map(&pipeline, r#"{"id":1,"email":null}"#, &answers()), "99*");
}

#[test]
fn a_rows_own_answers_override_the_lookups() {
    let mut pipeline = owner(OnNone::Reject, OnMany::Reject);
    pipeline.flows[0].rows[0].lookup = Some(LookupUse {
        lookup: 0,
        on_none: Some(OnNone::Clear),
        on_many: Some(OnMany::First),
    });
    assert_eq!(
        map(&pipeline, r#"{"id":1,"email":"nobody@x"}"#, &answers()),
        "null"
    );
    assert_eq!(map(&pipeline, r#"{"id":1,"email":"two@x"}"#, &answers()), "1");
}

#[test]
fn all_questions_of_a_record_are_asked_in_one_round() {
    let looked_up = |target: &str, from: &str| Row {
        lookup: use_lookup(0),
        ..row(target, select(from))
    };
    let pipeline = pipeline(vec![
        looked_up("a", "$.a"),
        looked_up("b", "$.b"),
        Row {
            required: true,
            ..row("c", select("$.c"))
        },
    ]);
    let answers = answers();
    assert_eq!(
        map(&pipeline, r#"{"id":1,"a":"?1","b":"?2"}"#, &answers),
        "waits: lookup_unanswered by lookup"
    );
    let asked = answers.asked.borrow();
    assert!(asked.contains(&"?1".to_owned()) && asked.contains(&"?2".to_owned()));
}

fn alternative(input: Input) -> Alternative {
    Alternative {
        when: None,
        input,
        enumeration: None,
        lookup: None,
    }
}

#[test]
fn first_of_takes_what_is_found_first_and_counts_none_once() {
    let first_of = |on_none: OnNone| {
        let mut pipeline = owner(on_none, OnMany::Reject);
        pipeline.flows[0].rows[0].input = Input::FirstOf(vec![
            alternative(select("$.submitter")),
            Alternative {
                when: Some(template("{{ record.use_requester }}")),
                ..alternative(select("$.requester"))
            },
            alternative(select("$.assignee")),
        ]);
        pipeline
    };
    for (text, expected) in [
        (r#"{"id":1,"submitter":"ann@x","assignee":"owner@x"}"#, "17"),
        (r#"{"id":1,"submitter":"nobody@x","assignee":"ann@x"}"#, "17"),
        (
            r#"{"id":1,"submitter":null,"requester":"owner@x","assignee":"ann@x"}"#,
            "17",
        ),
        (
            r#"{"id":1,"use_requester":true,"requester":"owner@x","assignee":"ann@x"}"#,
            "99",
        ),
        (
            r#"{"id":1,"submitter":"first@x","assignee":"second@x"}"#,
            "rejected: lookup_none owner.id by lookup person [first@x]",
        ),
        (
            r#"{"id":1,"submitter":"?","assignee":"ann@x"}"#,
            "waits: lookup_unanswered by lookup",
        ),
        (r#"{"id":1}"#, "null"),
    ] {
        assert_eq!(
            map(&first_of(OnNone::Reject), text, &answers()),
            expected,
            "{text}"
        );
    }
    let nobody = r#"{"id":1,"submitter":"first@x","assignee":"second@x"}"#;
    let fallback = first_of(OnNone::Instead(template("{{ params.owner }}")));
    assert_eq!(map(&fallback, nobody, &answers()), "99*");
    let mut as_none = first_of(OnNone::Instead(template("{{ params.owner }}")));
    as_none.flows[0].rows[0].on_null = OnNull::AsNone;
    assert_eq!(map(&as_none, r#"{"id":1}"#, &answers()), "99*");
}

#[test]
fn first_of_without_a_lookup_is_the_first_value() {
    let mut choice = row(
        "t",
        Input::FirstOf(vec![
            alternative(select("$.a")),
            alternative(compute("{{ record.b }}")),
        ]),
    );
    choice.default = Some(Shape::Const(Value::text("low")));
    choice.enumeration = use_enum(0);
    let pipeline = pipeline(vec![choice]);
    assert_eq!(
        map(
            &pipeline,
            r#"{"id":1,"a":null,"b":"urgent"}"#,
            &Answers::default()
        ),
        r#""high""#
    );
    assert_eq!(map(&pipeline, r#"{"id":1}"#, &Answers::default()), r#""low""#);
}

fn creating() -> Pipeline {
    let contact = OnNone::Create(Arc::new(vec![
        Row {
            required: true,
            ..row("firstName", compute("{{ (given.name | person_name).first }}"))
        },
        row("email", select("$.email")),
        Row {
            lookup: use_lookup(0),
            ..row("owner.id", compute("{{ params.owner }}"))
        },
        Row {
            lookup: use_lookup(2),
            when: Some(template("{{ given.company }}")),
            ..row("company.id", select("$.company"))
        },
    ]));
    let company = OnNone::Create(Arc::new(vec![row("name", select("$.email"))]));
    let given_email = || MatchValue::Select(path("$.email"));
    let looked_up = |target: &str, from: &str| Row {
        lookup: use_lookup(1),
        ..row(target, select(from))
    };
    let mut pipeline = pipeline(vec![
        looked_up("contact.id", "$.requester"),
        looked_up("second.id", "$.other"),
    ]);
    pipeline
        .lookups
        .push(lookup("contact", "$.emails[*].email", given_email(), contact));
    pipeline
        .lookups
        .push(lookup("company", "$.name", given_email(), company));
    pipeline
}

#[test]
fn what_is_not_found_is_created_in_load_once_with_what_it_needs() {
    let known = r#"{"email":"ann@x","name":"Ann Lee"}"#;
    let new = r#"{"email":" New@X ","name":"Mr Jim Bo Kirk"}"#;
    let answers = || {
        Answers::default()
            .with(1, "ann@x", &[r#"{"id":3}"#])
            .with(0, "owner@x", &[r#"{"id":99}"#])
    };
    let text =
        |requester: &str, other: &str| format!(r#"{{"id":1,"requester":{requester},"other":{other}}}"#);
    assert_eq!(map(&creating(), &text(known, "null"), &answers()), "3 null");
    assert_eq!(
        map(&creating(), &text(new, new), &answers()),
        "new($.emails[*].email=new@x) new($.emails[*].email=new@x) \
         + $.emails[*].email=new@x: firstName=\"Jim\" email=\" New@X \" owner.id=99"
    );
    let employed = r#"{"email":"n@x","name":"Al","company":{"email":"Acme"}}"#;
    assert_eq!(
        map(&creating(), &text(employed, "null"), &answers()),
        "new($.emails[*].email=n@x) null + $.name=acme: name=\"Acme\" \
         + $.emails[*].email=n@x: firstName=\"Al\" email=\"n@x\" owner.id=99 company.id=new($.name=acme)"
    );
    let nameless = r#"{"email":"n@x","name":" "}"#;
    assert_eq!(
        map(&creating(), &text(nameless, "null"), &answers()),
        "rejected: required_missing contact.id by required"
    );
    let keyless = r#"{"email":null,"name":"Al"}"#;
    assert!(
        map(&creating(), &text(keyless, "null"), &answers())
            .starts_with("rejected: create_without_key contact.id")
    );
}

#[test]
fn a_reference_to_what_does_not_exist_yet_is_not_computed_with() {
    let mut pipeline = creating();
    pipeline.flows[0].rows[0].then = Some(Shape::Template(template("{{ value }}")));
    let answers = Answers::default().with(0, "owner@x", &[r#"{"id":99}"#]);
    let text = r#"{"id":1,"requester":{"email":"n@x","name":"Al"}}"#;
    assert_eq!(
        map(&pipeline, text, &answers),
        "rejected: pending_in_template contact.id by then"
    );
}

#[test]
fn links_to_other_flows() {
    let linked = |key: Option<&str>, on_none: OnNone| {
        let key = key.map(|text| Source::Select(path(text)));
        pipeline(vec![row(
            "parent.id",
            Input::Link(Link {
                flow: 0,
                key,
                on_none: Arc::new(on_none),
            }),
        )])
    };
    let answers = || Answers::default().linked(0, "1", 501).linked(0, "7", 507);
    let text = r#"{"id":1,"problem_id":7,"missing_id":8,"unknown":"?"}"#;
    assert_eq!(map(&linked(None, OnNone::Wait), text, &answers()), "501");
    assert_eq!(
        map(&linked(Some("$.problem_id"), OnNone::Wait), text, &answers()),
        "507"
    );
    assert_eq!(
        map(&linked(Some("$.missing_id"), OnNone::Wait), text, &answers()),
        "waits: link_missing parent.id by link cases for cases/8"
    );
    assert_eq!(
        map(&linked(Some("$.missing_id"), OnNone::Clear), text, &answers()),
        "null"
    );
    assert_eq!(
        map(&linked(Some("$.null_id"), OnNone::Wait), text, &answers()),
        "null"
    );
    assert_eq!(
        map(&linked(Some("$.unknown"), OnNone::Wait), text, &answers()),
        "waits: lookup_unanswered by lookup"
    );
}

#[test]
fn children_are_linked_by_their_parent() {
    let link = Link {
        flow: 0,
        key: None,
        on_none: Arc::new(OnNone::Wait),
    };
    let mut pipeline = pipeline(vec![row("case.id", Input::Link(link))]);
    pipeline.flows[0].of = Some(0);
    pipeline.connections[0].connector.streams[0].parent = Some(1);
    let answers = || Answers::default().linked(0, "7", 507);
    assert_eq!(map(&pipeline, r#"{"id":1,"parent":{"id":7}}"#, &answers()), "507");
    assert_eq!(map(&pipeline, r#"{"id":1,"parent":7}"#, &answers()), "507");
    assert_eq!(
        map(&pipeline, r#"{"id":1}"#, &answers()),
        "rejected: parent_missing case.id by link"
    );
}
