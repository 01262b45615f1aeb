//! The words of rules, lookups and flows, from file to file.

use serde_json::{Value, json};

use crate::folder::{CONVERSION, Folder};

/// The tables and the rows of a flow from `in` to `out`.
fn flow(tables: &str, flow: &str) -> String {
    format!("{tables}\nflows:\n  all:\n    from: files.in\n    to: files.out\n    mode: insert\n{flow}")
}

fn rows(rows: &str) -> String {
    flow("", &format!("    fields:\n{rows}"))
}

fn texts(records: &[Value], member: &str) -> Vec<String> {
    records.iter().map(|record| record[member].to_string()).collect()
}

#[test]
fn inputs_keep_their_type_and_null_is_never_text() {
    let folder = Folder::new();
    folder
        .convert(
            &[
                json!({"id": 1, "first": "Jim", "last": "Poe", "n": 7}),
                json!({"id": 2, "first": "Jim", "last": null}),
            ],
            &rows(
                r#"
      id: $.id
      selected: $.n
      computed: "{{ record.n }}"
      mixed: "{{ record.first }} {{ record.last }}"
      fixed: {const: "$.n"}
      filled: {value: $.last, default: "{{ record.first | upper }}"}
      instead: {value: $.n, on_null: {const: 0}}
      left: {value: $.n, on_null: keep}
      emptied: {value: $.last, when: "{{ record.n }}", otherwise: clear}
"#,
            ),
        )
        .expect(0);
    assert_eq!(
        folder.converted(),
        [
            json!({"id": 1, "selected": 7, "computed": 7, "mixed": "Jim Poe", "fixed": "$.n", "filled": "Poe", "instead": 7, "left": 7, "emptied": "Poe"}),
            json!({"id": 2, "selected": null, "computed": null, "mixed": null, "fixed": "$.n", "filled": "JIM", "instead": 0, "left": null, "emptied": null}),
        ]
    );
}

#[test]
fn null_may_reject_or_leave_out_a_record() {
    let folder = Folder::new();
    folder
        .convert(
            &[
                json!({"id": 1, "a": 1, "b": 1, "c": 1}),
                json!({"id": 2, "a": null, "b": 1, "c": 1}),
                json!({"id": 3, "a": 1, "c": 1}),
                json!({"id": 4, "a": 1, "b": 1}),
            ],
            &rows("      id: $.id\n      a: {value: $.a, on_null: reject}\n      b: {value: $.b, on_null: skip}\n      c: {value: $.c, required: true}\n"),
        )
        .expect(3)
        .counted("all", "read 4, created 1, filtered 1, rejected 2");
    assert_eq!(
        folder.queued(CONVERSION, "field"),
        [
            ("2".to_owned(), "rejected".to_owned(), json!("a")),
            ("4".to_owned(), "rejected".to_owned(), json!("c")),
        ]
    );
}

#[test]
fn several_inputs_are_tried_in_their_order() {
    let folder = Folder::new();
    folder.write_records(
        "people.ndjson",
        &[
            json!({"id": 10, "email": "ada@example.com"}),
            json!({"id": 11, "email": "bob@example.com"}),
        ],
    );
    let tables = "lookups:\n  person: {in: files.people, match: $.email, normalize: [trim, lower], on_none: {const: nobody}}\n";
    folder
        .convert(
            &[
                json!({"id": 1, "agent": true, "submitter": " ADA@example.com", "requester": "bob@example.com"}),
                json!({"id": 2, "agent": false, "submitter": "ada@example.com", "requester": "Bob@Example.com "}),
                json!({"id": 3, "agent": true, "submitter": "zoe@example.com", "requester": "bob@example.com"}),
                json!({"id": 4, "agent": true, "submitter": "zoe@example.com"}),
            ],
            &flow(
                tables,
                r#"
    fields:
      id: $.id
      plain: {first_of: [$.none, {value: $.requester, when: "{{ not record.agent }}"}, {const: both}]}
      found: {first_of: [{value: $.submitter, when: "{{ record.agent }}"}, $.requester], lookup: person, on_null: as_none}
"#,
            ),
        )
        .expect(0);
    let converted = folder.converted();
    assert_eq!(
        texts(&converted, "plain"),
        ["\"both\"", "\"Bob@Example.com \"", "\"both\"", "\"both\""]
    );
    assert_eq!(texts(&converted, "found"), ["10", "11", "11", "\"nobody\""]);
}

#[test]
fn lists_are_mapped_and_made_into_one_value() {
    let folder = Folder::new();
    let order = r#"{"id": 1, "lines": [{"sku": "a", "amount": 0.1, "state": "n"}, {"sku": "b", "amount": 0.2, "state": "p"}, {"sku": null, "amount": "19.70", "state": "n"}]}"#;
    folder
        .convert(
            &[
                serde_json::from_str(order).unwrap(),
                json!({"id": 2, "lines": []}),
            ],
            &flow(
                "enums:\n  state: {values: {n: new, p: paid}}\n",
                r#"
    fields:
      id: $.id
      sum: {value: "$.lines[*].amount", take: sum}
      count: {value: "$.lines[*].sku", take: count}
      first: {value: "$.lines[*].sku", take: first}
      last: {value: "$.lines[*].sku", take: last}
      joined: {value: "$.lines[*].sku", take: {join: ", "}}
      all: {value: "$.lines[*].sku", take: all}
      states: {each: "$.lines[*].state", enum: state}
      shaped: {each: "$.lines[*]", as: {code: "{{ value.sku }}", kind: line}}
      cents: {each: "$.lines[*].amount", as: "{{ value | shift(2) }}", take: sum, then: "{{ value }} cents"}
"#,
            ),
        )
        .expect(0);
    let lines: Vec<String> = folder.read("out.ndjson").lines().map(str::to_owned).collect();
    assert_eq!(
        lines[0],
        r#"{"id":1,"sum":20,"count":3,"first":"a","last":"b","joined":"a, b","all":["a","b",null],"states":["new","paid","new"],"shaped":[{"code":"a","kind":"line"},{"code":"b","kind":"line"},{"code":null,"kind":"line"}],"cents":"2000 cents"}"#
    );
    assert_eq!(folder.converted()[1]["states"], json!([]));
    assert_eq!(folder.converted()[1]["first"], Value::Null);
}

#[test]
fn only_one_value_is_taken_where_only_one_is_expected() {
    let folder = Folder::new();
    folder
        .convert(
            &[
                json!({"id": 1, "tags": ["a"]}),
                json!({"id": 2, "tags": ["a", "b"]}),
            ],
            &rows("      id: $.id\n      tag: {value: \"$.tags[*]\", take: only}\n"),
        )
        .expect(3);
    assert_eq!(folder.converted(), [json!({"id": 1, "tag": "a"})]);
    assert_eq!(
        folder.queued(CONVERSION, "field"),
        [("2".to_owned(), "rejected".to_owned(), json!("tag"))]
    );
}

#[test]
fn tables_say_what_becomes_of_null_and_of_what_they_do_not_list() {
    let folder = Folder::new();
    let tables = "enums:
  strict: {values: {a: A, 1: one, true: yes it is, gone: null}, on_null: {const: none}}
  lenient: {values: {a: A}, on_unknown: {const: other}, on_null: clear}
";
    folder
        .convert(
            &[
                json!({"id": 1, "v": "a"}),
                json!({"id": 2, "v": 1}),
                json!({"id": 3, "v": true}),
                json!({"id": 4, "v": null}),
                json!({"id": 5, "v": "gone"}),
                json!({"id": 6, "v": "A"}),
                json!({"id": 7, "v": "skip me"}),
            ],
            &flow(
                tables,
                r#"
    fields:
      id: $.id
      left: {value: $.v, enum: lenient, on_unknown: keep, when: "{{ record.v == 'skip me' }}"}
      skipped: {value: $.v, enum: lenient, on_unknown: skip, when: "{{ record.v == 'skip me' }}"}
      lenient: {value: $.v, enum: lenient}
      strict: {value: $.v, enum: strict}
"#,
            ),
        )
        .expect(3)
        .counted("all", "read 7, created 5, filtered 1, rejected 1");
    let converted = folder.converted();
    assert_eq!(
        texts(&converted, "strict"),
        ["\"A\"", "\"one\"", "\"yes it is\"", "\"none\"", "null"]
    );
    assert_eq!(
        texts(&converted, "lenient"),
        ["\"A\"", "\"other\"", "\"other\"", "null", "\"other\""]
    );
    assert_eq!(
        folder.queued(CONVERSION, "value"),
        [("6".to_owned(), "rejected".to_owned(), json!("A"))]
    );
}

#[test]
fn lookups_choose_among_what_they_find() {
    let folder = Folder::new();
    folder.write_records(
        "people.ndjson",
        &[
            json!({"id": 1, "email": "twin@example.com", "org": 1, "phone": "+49 (30) 12"}),
            json!({"id": 2, "email": "twin@example.com", "org": 2, "main": true, "phone": "4930-13"}),
            json!({"id": 3, "email": "Solo@Example.com ", "org": 1, "phone": "0049 30 14"}),
        ],
    );
    let tables = r#"
params: {organization: {type: integer, default: 2}}
lookups:
  any: {in: files.people, match: $.email, normalize: [trim, lower], on_none: clear}
  first: {in: files.people, match: $.email, on_many: first, on_none: clear}
  all: {in: files.people, match: $.email, on_many: all, on_none: clear}
  main: {in: files.people, match: $.email, prefer: [{$.main: true}], on_none: clear}
  ours: {in: files.people, match: $.email, where: {$.org: "{{ params.organization }}"}, on_none: {const: none of ours}}
  both: {in: files.people, match: {$.email: "{{ given.email }}", $.org: "{{ given.org }}"}, on_none: clear}
  steps: {in: files.people, match: [{$.phone: $.phone}, {$.email: $.email}], normalize: [digits], on_none: clear}
  owner: {in: files.people, match: $.email, normalize: [trim, lower], on_none: {instead: "solo@example.com"}}
"#;
    folder
        .convert(
            &[
                json!({"id": 1, "email": "twin@example.com", "org": 1, "phone": "493012"}),
                json!({"id": 2, "email": " SOLO@example.com", "org": 1, "phone": null}),
                json!({"id": 3, "email": "nobody@example.com", "org": 9}),
            ],
            &flow(
                tables,
                r#"
    fields:
      id: $.id
      any: {value: $.email, lookup: any, on_many: keep}
      first: {value: $.email, lookup: first}
      all: {value: $.email, lookup: all}
      main: {value: $.email, lookup: main}
      ours: {value: $.email, lookup: ours}
      both: {value: $, lookup: both}
      steps: {value: $, lookup: steps}
      owner: {value: $.email, lookup: owner, on_many: first}
"#,
            ),
        )
        .expect(0);
    assert_eq!(
        folder.converted(),
        [
            json!({"id": 1, "any": null, "first": 1, "all": [1, 2], "main": 2, "ours": 2, "both": 1, "steps": 1, "owner": 1}),
            json!({"id": 2, "any": 3, "first": null, "all": null, "main": null, "ours": "none of ours", "both": null, "steps": null, "owner": 3}),
            json!({"id": 3, "any": null, "first": null, "all": null, "main": null, "ours": "none of ours", "both": null, "steps": null, "owner": 3}),
        ]
    );
}

#[test]
fn what_a_lookup_cannot_decide_goes_where_the_rule_says() {
    let folder = Folder::new();
    folder.write_records(
        "people.ndjson",
        &[
            json!({"id": 1, "email": "twin"}),
            json!({"id": 2, "email": "twin"}),
        ],
    );
    folder
        .convert(
            &(1..=8)
                .map(|id| json!({"id": id, "email": if id <= 4 { "twin" } else { "none" }}))
                .collect::<Vec<_>>(),
            &flow(
                "lookups:\n  person: {in: files.people, match: $.email, on_none: reject}\n",
                r#"
    fields:
      id: $.id
      m1: {value: $.email, lookup: person, when: "{{ record.id == 1 }}"}
      m2: {value: $.email, lookup: person, when: "{{ record.id == 2 }}", on_many: hold}
      m3: {value: $.email, lookup: person, when: "{{ record.id == 3 }}", on_many: skip}
      m4: {value: $.email, lookup: person, when: "{{ record.id == 4 }}", on_many: first}
      n5: {value: $.email, lookup: person, when: "{{ record.id == 5 }}"}
      n6: {value: $.email, lookup: person, when: "{{ record.id == 6 }}", on_none: hold}
      n7: {value: $.email, lookup: person, when: "{{ record.id == 7 }}", on_none: skip}
      n8: {value: $.email, lookup: person, when: "{{ record.id == 8 }}", on_none: wait}
"#,
            ),
        )
        .expect(3)
        .counted(
            "all",
            "read 8, created 1, skipped 2, rejected 2, held 2, waiting 1",
        );
    let expected = [
        ("1", "rejected", "m1"),
        ("2", "held", "m2"),
        ("5", "rejected", "n5"),
        ("6", "held", "n6"),
        ("8", "waiting", "n8"),
    ]
    .map(|(key, kind, field)| (key.to_owned(), kind.to_owned(), json!(field)));
    assert_eq!(folder.queued(CONVERSION, "field"), expected);
}

#[test]
fn an_owner_who_does_not_exist_refuses_the_run_before_it_starts() {
    let folder = Folder::new();
    folder.write_records("people.ndjson", &[json!({"id": 1, "email": "ada@example.com"})]);
    folder
        .convert(
            &[json!({"id": 1, "email": "ada@example.com"})],
            &flow(
                "lookups:\n  person: {in: files.people, match: $.email, on_none: {instead: owner@example.com}}\n",
                "    fields: {id: $.id, owner: {value: $.email, lookup: person}}\n",
            ),
        )
        .expect(8)
        .says("owner@example.com");
    assert!(!folder.path("out.ndjson").exists());
}

#[test]
fn joined_records_stand_beside_the_source_record() {
    let folder = Folder::new();
    folder.write_records(
        "people.ndjson",
        &[json!({"id": 7, "name": "Ada", "address": {"city": "Ulm"}})],
    );
    folder
        .convert(
            &[
                json!({"id": 1, "by": 7}),
                json!({"id": 2, "by": 8}),
                json!({"id": 3, "by": 7, "secret": true}),
            ],
            &flow(
                "lookups:\n  person: {in: files.people, match: $.id, on_none: reject}\n",
                r#"
    join:
      author: {value: $.by, lookup: person, when: "{{ not record.secret }}", on_none: keep}
      label: {value: "no. {{ record.id }}"}
    fields: {id: $.id, city: $.author.address.city, name: "{{ record.author.name | upper }}", label: $.label}
"#,
            ),
        )
        .expect(0);
    assert_eq!(
        folder.converted(),
        [
            json!({"id": 1, "city": "Ulm", "name": "ADA", "label": "no. 1"}),
            json!({"id": 2, "city": null, "name": null, "label": "no. 2"}),
            json!({"id": 3, "city": null, "name": null, "label": "no. 3"}),
        ]
    );
}

#[test]
fn conditions_choose_the_records_of_a_flow() {
    let folder = Folder::new();
    folder
        .convert(
            &[
                json!({"id": 1, "status": "open", "region": "eu", "n": 5}),
                json!({"id": 2, "status": "closed", "region": "eu", "n": 5}),
                json!({"id": 3, "status": "new", "region": "us", "n": 5}),
                json!({"id": 4, "status": "new", "region": "eu", "n": 1}),
                json!({"id": 5, "region": "eu", "n": 9}),
                json!({"id": 6, "status": "new", "region": "eu", "n": 9}),
            ],
            &flow(
                "params: {region: {type: text, default: eu}}\n",
                r#"
    where: {$.status: [open, new], $.region: "{{ params.region }}"}
    when: "{{ record.n > 3 }}"
    require:
      - {that: "{{ fields.n < 8 }}", else: "n is {{ record.n }}, which is too many"}
    fields: {id: $.id, n: $.n}
"#,
            ),
        )
        .expect(3)
        .counted("all", "read 6, created 1, filtered 4, rejected 1");
    assert_eq!(folder.converted(), [json!({"id": 1, "n": 5})]);
    assert_eq!(
        folder.queued(CONVERSION, "reason"),
        [(
            "6".to_owned(),
            "rejected".to_owned(),
            json!("n is 9, which is too many")
        )]
    );
}

#[test]
fn one_of_several_records_of_the_same_thing_is_kept() {
    let folder = Folder::new();
    folder
        .convert(
            &[
                json!({"id": 1, "email": "Ada@example.com", "verified": false, "points": 9}),
                json!({"id": 2, "email": "ada@example.com ", "verified": true, "points": 1}),
                json!({"id": 3, "email": "ada@example.com", "verified": true, "points": 4}),
                json!({"id": 4, "email": null, "points": 1}),
                json!({"id": 5, "email": null, "points": 2}),
                json!({"id": 6, "email": "bob@example.com", "points": 2}),
                json!({"id": 7, "email": "bob@example.com", "points": 2}),
            ],
            &flow(
                "",
                r#"
    one_per: {same: $.email, normalize: [trim, lower], keep: [{$.verified: highest}, {$.points: highest}]}
    fields:
      id: $.id
      others: {value: "$.others[*].id", take: all}
"#,
            ),
        )
        .expect(0)
        .counted("all", "read 7, created 4, duplicate 3");
    let mut kept = folder.converted();
    kept.sort_by_key(|record| record["id"].as_u64());
    assert_eq!(texts(&kept, "id"), ["3", "4", "5", "6"]);
    assert_eq!(texts(&kept, "others"), ["[1,2]", "[]", "[]", "[7]"]);
}

#[test]
fn times_are_read_in_declared_forms_and_written_in_one() {
    let folder = Folder::new();
    let types = r#"
types:
  mixed: {time: {read: [rfc3339, "%d.%m.%Y %H:%M", "%Y-%m-%d", unix], zone: Europe/Berlin}}
  german: {time: {read: [rfc3339], zone: Europe/Berlin, write: "%d.%m.%Y %H:%M %z"}}
"#;
    folder
        .convert(
            &[
                json!({"id": 1, "t": "2026-01-02T03:04:05+02:00"}),
                json!({"id": 2, "t": "24.12.2026 18:30"}),
                json!({"id": 3, "t": "2026-07-01"}),
                json!({"id": 4, "t": 1767323045}),
                json!({"id": 5, "t": "yesterday"}),
                json!({"id": 6, "t": "2026-03-29 02:30"}),
            ],
            &flow(
                types,
                r#"
    fields:
      id: $.id
      t: {value: $.t, type: mixed}
      written: {value: $.t, type: german, when: "{{ record.id == 1 }}"}
      unix: {value: "{{ record.t | unix }}", when: "{{ record.id == 1 }}"}
"#,
            ),
        )
        .expect(3);
    let converted = folder.converted();
    assert_eq!(
        texts(&converted, "t"),
        [
            "\"2026-01-02T01:04:05Z\"",
            "\"2026-12-24T17:30:00Z\"",
            "\"2026-06-30T22:00:00Z\"",
            "\"2026-01-02T03:04:05Z\""
        ]
    );
    assert_eq!(converted[0]["written"], "02.01.2026 02:04 +0100");
    assert_eq!(converted[0]["unix"], 1_767_315_845);
    assert_eq!(texts(&folder.queue(CONVERSION), "key"), ["\"5\"", "\"6\""]);
}

#[test]
fn values_are_typed_without_loss_or_refused() {
    let folder = Folder::new();
    let accepted = |id: u64, kind: &str, value: &str| -> Value {
        serde_json::from_str(&format!(r#"{{"id": {id}, "kind": "{kind}", "v": {value}}}"#)).unwrap()
    };
    let records = [
        accepted(1, "integer", r#""12""#),
        accepted(2, "integer", "12.0"),
        accepted(3, "integer", "12.5"),
        accepted(4, "integer", r#""012x""#),
        accepted(5, "decimal", r#""1.10""#),
        accepted(6, "decimal", "12345678901234567890.5"),
        accepted(7, "decimal", r#""1,5""#),
        accepted(8, "boolean", r#""true""#),
        accepted(9, "boolean", r#""maybe""#),
        accepted(10, "text", "1.10"),
        accepted(11, "text", r#"{"a": 1}"#),
        accepted(12, "date", r#""2026-02-30""#),
        accepted(13, "date", r#""2026-02-28""#),
        accepted(14, "list", r#""a""#),
        accepted(15, "map", r#"{"a": 1}"#),
    ];
    let mut fields = String::from("      id: $.id\n");
    for kind in ["integer", "decimal", "boolean", "text", "date", "list", "map"] {
        fields += &format!(
            "      {kind}: {{value: $.v, type: {kind}, when: \"{{{{ record.kind == '{kind}' }}}}\"}}\n"
        );
    }
    folder.convert(&records, &rows(&fields)).expect(3);
    let typed: Vec<String> = folder
        .read("out.ndjson")
        .lines()
        .map(|line| {
            line.split([',', '}'])
                .filter(|part| !part.ends_with(":null") && !part.is_empty())
                .collect::<Vec<_>>()
                .join(",")
        })
        .collect();
    assert_eq!(
        typed,
        [
            r#"{"id":1,"integer":12"#,
            r#"{"id":2,"integer":12"#,
            r#"{"id":5,"decimal":1.10"#,
            r#"{"id":6,"decimal":12345678901234567890.5"#,
            r#"{"id":8,"boolean":true"#,
            r#"{"id":10,"text":"1.10""#,
            r#"{"id":13,"date":"2026-02-28""#,
            r#"{"id":15,"map":{"a":1"#,
        ]
    );
    let refused: Vec<String> = folder
        .queue(CONVERSION)
        .iter()
        .map(|item| item["key"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(refused, ["11", "12", "14", "3", "4", "7", "9"]);
}

#[test]
fn texts_that_are_too_long_are_cut_or_refused() {
    let folder = Folder::new();
    folder.write(
        "schemas/records/note.json",
        r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {
            "id": {"type": "integer"}, "cut": {"type": ["string", "null"], "maxLength": 5}, "whole": {"type": ["string", "null"], "maxLength": 5}}}"#,
    );
    folder
        .convert(
            &[json!({"id": 1, "text": "äöüßé"}), json!({"id": 2, "text": "äöüßéx", "short": true}), json!({"id": 3, "text": "äöüßéx"})],
            &rows("      id: $.id\n      cut: {value: $.text, on_too_long: {truncate: 5}}\n      whole: {value: $.text, when: \"{{ not record.short }}\"}\n"),
        )
        .expect(0);
    assert_eq!(texts(&folder.converted(), "cut"), ["\"äöüßé\""; 3]);
    // Without a record schema nothing is known of the length of the others.
    assert_eq!(
        texts(&folder.converted(), "whole"),
        ["\"äöüßé\"", "null", "\"äöüßéx\""]
    );

    folder.replace(
        CONVERSION,
        "out: {path: out.ndjson, key: $.id}",
        "out: {path: out.ndjson, key: $.id, schema: records/note.json}",
    );
    folder.run_pipeline(CONVERSION, &[]).expect(3);
    assert_eq!(texts(&folder.converted(), "cut"), ["\"äöüßé\"", "\"äöüßé\""]);
    assert_eq!(
        folder.queued(CONVERSION, "field"),
        [("3".to_owned(), "rejected".to_owned(), json!("whole"))]
    );
}

#[test]
fn records_are_written_in_the_order_that_is_asked_for() {
    let folder = Folder::new();
    folder
        .convert(
            &[
                json!({"id": 1, "at": "2026-03-01"}),
                json!({"id": 2, "at": "2026-01-01"}),
                json!({"id": 3, "at": "2026-02-01"}),
            ],
            &flow("", "    order_by: $.at\n    fields: {id: $.id}\n"),
        )
        .expect(0);
    assert_eq!(texts(&folder.converted(), "id"), ["2", "3", "1"]);
}
