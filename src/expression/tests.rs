//! What the whole module promises: the table of value fidelity, and JSONPath by RFC 9535.

use bytes::Bytes;

use super::query::Query;
use super::*;

/// Every row of the table in the module's documentation, on every way from source to target.
#[test]
fn value_fidelity() {
    // What is in the source, then what is written by: a path; a template that only names it; a template that computes.
    for (source, selected, named, computed) in [
        (
            "9007199254740993",
            "9007199254740993",
            "9007199254740993",
            Ok("9007199254740993"),
        ),
        (
            "-170141183460469231731687303715884105728",
            "-170141183460469231731687303715884105728",
            "-170141183460469231731687303715884105728",
            Ok("-170141183460469231731687303715884105728"),
        ),
        ("1.10", "1.10", "1.10", Ok("1.1")),
        ("1e2", "1e2", "1e2", Ok("100")),
        ("-0", "-0", "-0", Ok("0")),
        ("1E-7", "1E-7", "1E-7", Ok("1e-7")),
        (
            "0.1234567890123456789",
            "0.1234567890123456789",
            "0.1234567890123456789",
            Err("select it with a path"),
        ),
        ("1e400", "1e400", "1e400", Err("select it with a path")),
        (
            r#""a\u0041\n\/\"\\""#,
            r#""aA\n/\"\\""#,
            r#""aA\n/\"\\""#,
            Ok(r#""aA\n/\"\\""#),
        ),
        (
            r#""\ud83d\ude00 é \u0001""#,
            r#""😀 é \u0001""#,
            r#""😀 é \u0001""#,
            Ok(r#""😀 é \u0001""#),
        ),
        (
            r#"{"a":1,"b":2,"a":3.0}"#,
            r#"{"a":3.0,"b":2}"#,
            r#"{"a":3.0,"b":2}"#,
            Ok(r#"{"a":3.0,"b":2}"#),
        ),
        ("null", "null", "null", Ok("null")),
        (
            r#""2024-05-01T10:00:00+02:00""#,
            r#""2024-05-01T10:00:00+02:00""#,
            r#""2024-05-01T10:00:00+02:00""#,
            Ok(r#""2024-05-01T10:00:00+02:00""#),
        ),
    ] {
        let record = Record::new(Bytes::from(format!(r#"{{ "id": 1, "x" : {source} }}"#)));
        let value = record.value().unwrap();
        let path = Path::parse("$.x").unwrap();
        assert_eq!(path.one(&value).unwrap().to_json(), selected, "{source} selected");
        let scope = Scope::new().with("record", &value);
        let evaluate = |text: &str| {
            Template::parse(text)
                .unwrap()
                .evaluate(&scope)
                .map(|value| value.to_json())
        };
        assert_eq!(evaluate("{{ record.x }}").unwrap(), named, "{source} named");
        // A condition around it makes the engine compute.
        match (evaluate("{{ record.x if record.id == 1 }}"), computed) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{source} computed"),
            (Err(error), Err(expected)) => assert!(error.message.contains(expected), "{source}: {error}"),
            (found, _) => panic!("{source}: {found:?}"),
        }
        // What is written can be read again as the same value, and the record's own text is kept as received.
        let written = path.one(&value).unwrap();
        assert_eq!(
            &parse_json_owned(written.to_json().as_bytes()).unwrap(),
            written,
            "{source} read again"
        );
        assert_eq!(
            received_text(std::str::from_utf8(record.text()).unwrap(), &path).unwrap(),
            Some(source),
            "{source} as received"
        );
    }
    let half = Record::new(Bytes::from_static(br#"{"x":"\ud83d"}"#));
    assert!(half.value().unwrap_err().message.contains("surrogate") || half.value().is_err());
    let absent = Record::new(Bytes::from_static(b"{}"));
    let value = absent.value().unwrap();
    let scope = Scope::new().with("record", &value);
    assert_eq!(
        Template::parse("{{ record.x }}").unwrap().evaluate(&scope),
        Ok(Value::Null)
    );
    let time = TargetType::Time(std::sync::Arc::default())
        .coerce(Value::text("2024-05-01T10:00:00+02:00"))
        .unwrap();
    assert_eq!(time.to_json(), r#""2024-05-01T08:00:00Z""#);
}

/// Paths of RFC 9535's own examples and of its compliance suite's areas: path, document, selected nodes.
const CASES: &[(&str, &str, &str)] = &[
    // root, names, indexes
    ("$", r#"{"a":1}"#, r#"[{"a":1}]"#),
    ("$.a.b", r#"{"a":{"b":null}}"#, "[null]"),
    ("$.a.b", r#"{"a":[{"b":1}]}"#, "[]"),
    ("$['j j']['k.k']", r#"{"j j":{"k.k":3}}"#, "[3]"),
    (r#"$["'"]["\""]"#, r#"{"'":{"\"":1}}"#, "[1]"),
    (r#"$['\u0061\ud83d\ude00']"#, r#"{"a😀":1}"#, "[1]"),
    ("$['']", r#"{"":1}"#, "[1]"),
    ("$.☺", r#"{"☺":1}"#, "[1]"),
    ("$[1]", r#"["a","b"]"#, r#"["b"]"#),
    ("$[-2]", r#"["a","b"]"#, r#"["a"]"#),
    ("$[2]", r#"["a","b"]"#, "[]"),
    ("$[0]", r#"{"0":1}"#, "[]"),
    ("$.a", r#"["a"]"#, "[]"),
    ("$ .a [0]", r#"{"a":[7]}"#, "[7]"),
    // wildcards, unions, slices
    ("$[*]", r#"{"o":1,"a":[5]}"#, "[1,[5]]"),
    ("$.a[*]", r#"{"a":[5,{"x":1}]}"#, r#"[5,{"x":1}]"#),
    ("$.a[0,3,0]", r#"{"a":[1,2,3,4]}"#, "[1,4,1]"),
    ("$['a','c']", r#"{"a":1,"b":2,"c":3}"#, "[1,3]"),
    ("$[1:3]", "[0,1,2,3]", "[1,2]"),
    ("$[5:]", "[0,1,2,3]", "[]"),
    ("$[1:5:2]", "[0,1,2,3,4,5]", "[1,3]"),
    ("$[5:1:-2]", "[0,1,2,3,4,5,6]", "[5,3]"),
    ("$[::-1]", "[0,1,2]", "[2,1,0]"),
    ("$[-2:]", "[0,1,2]", "[1,2]"),
    ("$[:0:0]", "[0,1]", "[]"),
    // descendants
    ("$..j", r#"{"o":{"j":1},"a":[{"j":4}]}"#, "[1,4]"),
    ("$..[0]", r#"{"a":[5,[6]]}"#, "[5,6]"),
    ("$.a..b", r#"{"a":{"b":{"b":1}}}"#, r#"[{"b":1},1]"#),
    // filters
    (
        "$.a[?@.b == 'kilo']",
        r#"{"a":[{"b":"j"},{"b":"kilo"}]}"#,
        r#"[{"b":"kilo"}]"#,
    ),
    (
        "$.a[?(@.b == 'kilo')]",
        r#"{"a":[{"b":"kilo"}]}"#,
        r#"[{"b":"kilo"}]"#,
    ),
    ("$[?@>3.5]", "[3,5,1,2,4,6]", "[5,4,6]"),
    ("$[?@.b]", r#"[{"b":null},{"a":1}]"#, r#"[{"b":null}]"#),
    ("$[?!@.b]", r#"[{"b":null},{"a":1}]"#, r#"[{"a":1}]"#),
    ("$[?@.b == null]", r#"[{"b":null},{"a":1}]"#, r#"[{"b":null}]"#),
    (
        "$[?@.a == @.b]",
        r#"[{"a":1,"b":1},{"a":1,"b":2},{}]"#,
        r#"[{"a":1,"b":1},{}]"#,
    ),
    (
        "$[?@.a < 'b' && @.n >= 2]",
        r#"[{"a":"a","n":2},{"a":"a","n":1},{"a":"c","n":3}]"#,
        r#"[{"a":"a","n":2}]"#,
    ),
    (
        "$[?@.a == 1 || @.a == 'x']",
        r#"[{"a":1.0},{"a":"x"},{"a":"1"}]"#,
        r#"[{"a":1.0},{"a":"x"}]"#,
    ),
    ("$[?@ == true]", r#"[true,1,"true"]"#, "[true]"),
    ("$[?@.a != 1]", r#"[{"a":1},{"a":2},{}]"#, r#"[{"a":2},{}]"#),
    (
        "$.l[?@.id == $.wanted].v",
        r#"{"wanted":2,"l":[{"id":1,"v":"a"},{"id":2,"v":"b"}]}"#,
        r#"["b"]"#,
    ),
    (
        "$[?@['end-user']]",
        r#"[{"end-user":1},{}]"#,
        r#"[{"end-user":1}]"#,
    ),
    // functions
    (
        "$[?length(@.a) > 1]",
        r#"[{"a":"é☺"},{"a":[1]},{"a":{"x":1,"y":2}},{"a":5}]"#,
        r#"[{"a":"é☺"},{"a":{"x":1,"y":2}}]"#,
    ),
    (
        "$[?count(@.*) == 2]",
        r#"[{"a":1,"b":2},{"a":1}]"#,
        r#"[{"a":1,"b":2}]"#,
    ),
    (
        "$[?value(@..c) == 1]",
        r#"[{"a":{"c":1}},{"a":{"c":2}}]"#,
        r#"[{"a":{"c":1}}]"#,
    ),
    (
        "$[?match(@.a, 'b.*')]",
        r#"[{"a":"bc"},{"a":"abc"}]"#,
        r#"[{"a":"bc"}]"#,
    ),
    (
        "$[?search(@.a, 'b')]",
        r#"[{"a":"abc"},{"a":"x"}]"#,
        r#"[{"a":"abc"}]"#,
    ),
];

#[test]
fn paths_select_what_the_rfc_says() {
    for (text, document, expected) in CASES {
        let path = Path::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let value = parse_json(document.as_bytes()).unwrap();
        let shown = |nodes: &[&Value<'_>]| {
            let nodes: Vec<String> = nodes.iter().map(|node| node.to_json()).collect();
            format!("[{}]", nodes.join(","))
        };
        assert_eq!(&shown(&path.all(&value)), expected, "{text} of {document}");
        assert_eq!(
            &shown(&Query::parse(text).unwrap().all(&value)),
            expected,
            "{text} in the general evaluator"
        );
        assert_eq!(path.one(&value), path.all(&value).first().copied(), "{text}");
    }
}

#[test]
fn what_is_no_path_is_refused_where_it_is_wrong() {
    for (text, place, message) in [
        ("a.b", "a", "starts with `$`"),
        ("", "", "starts with `$`"),
        ("$.", "", "name is missing"),
        ("$.a.", "", "name is missing"),
        ("$.a[", "", "ends too early"),
        ("$.a[?@.t == 'A", "", ""),
        ("$.end-user", "-", "brackets and quotes"),
        ("$.a b", " ", "with a space"),
        ("$.a[01]", "0", ""),
        ("$[9007199254740992]", "", ""),
        ("$.a[?length(@.b)]", "length", "needs a comparison"),
        ("$.a[?count(@..*)]", "count", "needs a comparison"),
        ("$.a[?match(@.b, 'x') == true]", "", ""),
        ("$.a[?length(@.*) < 3]", "length", "selects one node"),
        ("$.a[?count('x') > 1]", "", ""),
        ("$.a[?in(@.b, @.c)]", "in", "there is no function"),
        ("$.a[?nope(@.b)]", "", ""),
        ("$..['a','d']", "..[", "one path for each"),
        ("$[?@[?@ > 1]]", "?", "inside a filter"),
        ("$.a[?@.b = 1]", "", ""),
    ] {
        let error = Path::parse(text).expect_err(text);
        assert!(error.message.contains(message), "{text}: {}", error.message);
        assert!(error.offset <= text.len(), "{text}: {}", error.offset);
        if !place.is_empty() {
            assert_eq!(
                text.get(error.offset..error.offset + error.length),
                Some(place),
                "{text}: {}",
                error.message
            );
        }
    }
}
