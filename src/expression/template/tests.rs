//! What templates promise.

use super::*;
use crate::expression::json::parse_json;

fn evaluate(template: &str, record: &str) -> Result<String, String> {
    let record = parse_json(record.as_bytes()).unwrap();
    let params = parse_json(br#"{"owner":"o@x","n":2}"#).unwrap();
    let scope = Scope::new().with("record", &record).with("params", &params);
    Template::parse(template)
        .unwrap_or_else(|error| panic!("{template}: {error} at {}", error.offset))
        .evaluate(&scope)
        .map(|value| value.to_json())
        .map_err(|error| error.to_string())
}

fn refused(template: &str) -> (String, String) {
    let error = Template::parse(template).expect_err(template);
    let piece = template
        .get(error.offset..error.offset + error.length)
        .unwrap_or("<out of range>");
    (piece.to_owned(), error.message)
}

#[test]
fn a_single_expression_keeps_its_type() {
    let record = r#"{"n":9007199254740993,"d":1.10,"long":0.12345678901234567890123,"t":"x","b":true,"l":[1,{"a":2.50}],"m":{"k":"v"}}"#;
    for (template, expected) in [
        ("{{ record.n }}", "9007199254740993"),
        (" {{ record.n }}\n", "9007199254740993"),
        ("{{ record.n + 1 }}", "9007199254740994"),
        ("{{ record.d }}", "1.10"),
        ("{{ record.d | decimal }}", "1.10"),
        ("{{ record.d * 2 }}", "2.2"),
        ("{{ record.long }}", "0.12345678901234567890123"),
        ("{{ record.long | shift(2) }}", "12.345678901234567890123"),
        ("{{ record.b }}", "true"),
        ("{{ not record.b }}", "false"),
        ("{{ record.l }}", r#"[1,{"a":2.50}]"#),
        ("{{ record.l[1].a }}", "2.5"),
        ("{{ record.l | last }}", r#"{"a":2.50}"#),
        ("{{ (record.l | last).a }}", "2.5"),
        ("{{ [record.m, {'x': record.d}] }}", r#"[{"k":"v"},{"x":1.1}]"#),
        ("{{ {'a': {'b': 1}} }}", r#"{"a":{"b":1}}"#),
        ("{{ record['m']['k'] }}", r#""v""#),
        ("{{ record.t if record.b else 'no' }}", r#""x""#),
        ("{{ record.missing }}", "null"),
        ("{{ record.missing.deeper }}", "null"),
        ("{{ nowhere.at.all }}", "null"),
        ("plain", r#""plain""#),
        ("", r#""""#),
        ("{{ 'a }} b' }}", r#""a }} b""#),
        ("{{ record.n == 9007199254740993 }}", "true"),
        ("{{ record.t == 'x' and record.n > 3 }}", "true"),
        ("{{ record.t in ['x', 'y'] }}", "true"),
        ("{{ 'x' in record.missing }}", "false"),
        ("{{ record.m | without('k') }}", "{}"),
        ("{{ record.items }}", "null"),
        ("{{ -params.n }}", "-2"),
        ("{{ record.l | length }}", "2"),
        ("{{ record.n | shift(-params.n) }}", "90071992547409.93"),
        ("{{ record.missing | default(params.owner) }}", r#""o@x""#),
        ("{{ record.missing | default(record.d * 2) }}", "2.2"),
    ] {
        assert_eq!(evaluate(template, record).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn null_anywhere_in_mixed_text_makes_it_null() {
    let record = r#"{"first":"Jim","last":null,"n":1.10,"b":true,"empty":"","l":[1]}"#;
    for (template, expected) in [
        ("{{ record.first }} {{ record.last }}", "null"),
        ("{{ record.first }} {{ record.absent }}", "null"),
        ("{{ record.first }} {{ record.empty }}.", r#""Jim .""#),
        (
            "n={{ record.n }}, b={{ record.b }}, l={{ record.l }}",
            r#""n=1.10, b=true, l=[1]""#,
        ),
        ("x{{ none }}", "null"),
        ("{{ [record.first, record.last] | words }}", r#""Jim""#),
        ("{{ record.last | default('none given') }}!", r#""none given!""#),
    ] {
        assert_eq!(evaluate(template, record).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn absent_and_null_are_one() {
    for name in ["absent", "null"] {
        let record = r#"{"null":null}"#;
        for (template, expected) in [
            ("{{ record.NAME is none }}", "true"),
            ("{{ record.NAME is defined }}", "false"),
            ("{{ record.NAME is not undefined }}", "false"),
            ("{{ 'yes' if record.NAME else 'no' }}", r#""no""#),
            ("{{ record.NAME | upper }}", "null"),
            ("{{ record.NAME or 'other' }}", r#""other""#),
            ("{{ record['NAME'] == record.other }}", "true"),
        ] {
            let template = template.replace("NAME", name);
            assert_eq!(evaluate(&template, record).as_deref(), Ok(expected), "{template}");
        }
    }
}

#[test]
fn what_does_not_exist_is_refused_with_its_place() {
    for (template, place, message) in [
        ("{{ record.a | uper }}", "uper", "there is no filter `uper`"),
        (
            "{{ (record.a | lower) if x is definedd else y }}",
            "definedd",
            "there is no test `definedd`",
        ),
        ("{{ now() }}", "now", "there are no functions"),
        ("{{ record.a.strip() }}", "strip", "values have no methods"),
        ("{{ record.a ~ 'x' }}", "~", "`~` is not supported"),
        ("{{ record.a == none }}", "==", "is none"),
        ("{{ record.a | replace('x') }}", "replace", "found 1 arguments"),
        ("{{ record.a | join(sep=',') }}", "sep", "named arguments"),
        ("{% if a %}x{% endif %}", "{%", "blocks are not supported"),
        ("a {# b #}", "{#", "comments"),
        ("a {{ b", "{{", "not closed"),
        ("a }} b", "}}", "`{{` is missing"),
        ("{{ }}", "{{ }}", "no expression"),
        ("{{- a }}", "-", "not needed"),
        ("{{ a b }}", "b", "unexpected"),
        ("text {{ record.a | }}", "<out of range>", "unexpected end"),
    ] {
        let (at, found) = refused(template);
        assert!(found.contains(message), "{template}: {found}");
        assert!(
            at == place || place == "<out of range>",
            "{template}: points at `{at}`"
        );
    }
    assert!(Template::parse("{{ 'is x is y | z' }}").is_ok());
    assert!(Template::parse("{{ record.is.not }}").is_ok());
}

#[test]
fn variables_are_the_chains_that_are_read() {
    let template = Template::parse(
        "{{ record.requester.role == 'a' }} {{ params.x }} {{ record['end-user'].name | default(given) }} {{ a[i].b if not c }}",
    )
    .unwrap();
    let variables: Vec<String> = template.variables().iter().map(|chain| chain.join("/")).collect();
    assert_eq!(
        variables,
        [
            "record/requester/role",
            "params/x",
            "record/end-user/name",
            "given",
            "a",
            "i",
            "c"
        ]
    );
}

#[test]
fn errors_name_the_expression_and_never_the_value() {
    let record = r#"{"s":"secret","long":0.12345678901234567890123}"#;
    let error = evaluate("a {{ record.s + 1 }}", record).unwrap_err();
    assert!(
        error.contains("`record.s + 1`") && !error.contains("secret"),
        "{error}"
    );
    let error = evaluate("{{ record.long * 2 }}", record).unwrap_err();
    assert!(error.contains("select it with a path"), "{error}");
    assert!(
        evaluate("{{ record.s | integer }}", record)
            .unwrap_err()
            .contains("`integer` found a text")
    );
}

#[test]
fn encoding_touches_only_what_is_inserted() {
    let record = parse_json(br#"{"id":"a/b","n":null}"#).unwrap();
    let scope = Scope::new().with("record", &record);
    let encode = |text: &str| text.replace('/', "%2F");
    let render = |template: &str| {
        Template::parse(template)
            .unwrap()
            .render_encoded(&scope, &encode)
            .unwrap()
    };
    assert_eq!(render("/x/{{ record.id }}/y").as_deref(), Some("/x/a%2Fb/y"));
    assert_eq!(render("{{ record.id }}").as_deref(), Some("a%2Fb"));
    assert_eq!(render("/x/{{ record.n }}"), None);
    assert_eq!(
        Template::literal("{{ not }}").render(&scope).unwrap().as_deref(),
        Some("{{ not }}")
    );
}

#[test]
fn conditions() {
    let record = parse_json(br#"{"zero":0,"text":"false","list":[],"no":false}"#).unwrap();
    let scope = Scope::new().with("record", &record);
    let holds = |template: &str| Template::parse(template).unwrap().is_true(&scope).unwrap();
    assert!(!holds("{{ record.zero }}") && !holds("{{ record.list }}") && !holds("{{ record.no }}"));
    assert!(holds("{{ record.text }}") && holds("{{ record.zero == 0 }}"));
}

#[test]
fn expressions_of_any_length_and_depth_are_compiled_or_refused() {
    let record = parse_json(br#"{"n":1}"#).unwrap();
    let scope = Scope::new().with("record", &record);
    for repeated in [10, 240, 300, 60_000] {
        for (open, close) in [
            ("1 + ", ""),
            ("(", ")"),
            ("[", "]"),
            ("not ", ""),
            ("{'a': ", "}"),
            ("1 if ", " else 2"),
        ] {
            let template = format!(
                "{{{{ {}record.n{} }}}}",
                open.repeat(repeated),
                close.repeat(repeated)
            );
            if let Ok(template) = Template::parse(&template) {
                assert!(repeated < 500);
                let _ = template.evaluate(&scope);
            }
        }
    }
}
