//! Files in every form and compression, in and out, and the standard streams.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::folder::Folder;

const COPY: &str = r#"
version: 1
pipeline: copy
params:
  input: {type: text, default: in.ndjson}
  output: {type: text, default: out.ndjson}
connections:
  files:
    connector: file
    streams:
      people: {path: "{{ params.input }}", key: $.id}
      copies: {path: "{{ params.output }}", key: $.id}
flows:
  copy:
    from: files.people
    to: files.copies
    mode: insert
    fields:
      id: {value: $.id, type: integer}
      name: {value: $.name, type: text}
      balance: {value: $.balance, type: decimal}
      active: {value: $.active, type: boolean}
      since: {value: $.since, type: time}
      day: {value: $.day, type: date}
      address: {value: $.address, type: json}
"#;

/// Values that forms lose easily: big numbers, trailing zeros, quotes, line ends, an offset, empty and null.
fn people() -> Vec<Value> {
    let lossless: Value = serde_json::from_str(
        r#"{"id": 9007199254740993, "name": "Ada \"L\", Ω\nline", "balance": 1.10, "active": true,
            "since": "2026-01-02T03:04:05+02:00", "day": "2026-02-03", "address": {"city": "Ulm"}}"#,
    )
    .unwrap();
    vec![
        lossless,
        json!({"id": 2, "name": "null", "balance": "-0.5", "active": false, "since": null, "day": null, "address": null}),
        json!({"id": 3}),
    ]
}

/// What is expected of them once every rule has typed them; `address` stays the text that it was written as.
const COPIES: [&str; 3] = [
    r#"{"id":9007199254740993,"name":"Ada \"L\", Ω\nline","balance":1.10,"active":true,"since":"2026-01-02T01:04:05Z","day":"2026-02-03","address":{"city":"Ulm"}}"#,
    r#"{"id":2,"name":"null","balance":-0.5,"active":false,"since":null,"day":null,"address":null}"#,
    r#"{"id":3,"name":null,"balance":null,"active":null,"since":null,"day":null,"address":null}"#,
];

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("copy.yaml", COPY);
    folder.write_records("in.ndjson", &people());
    folder
}

fn copy(folder: &Folder, input: &str, output: &str) {
    let (input, output) = (format!("input={input}"), format!("output={output}"));
    folder
        .run_pipeline("copy.yaml", &["--set", &input, "--set", &output])
        .expect(0)
        .counted("copy", "read 3, created 3, rejected 0");
}

/// The lines of a file, with `address` as an object without white space, whatever a form or a layout made of it.
fn lines(folder: &Folder, relative: &str) -> Vec<String> {
    let text = folder.read(relative);
    text.lines()
        .map(|line| {
            line.replace(r#""{\"city\":\"Ulm\"}""#, r#"{"city":"Ulm"}"#)
                .replace(r#"{      "city": "Ulm"    }"#, r#"{"city":"Ulm"}"#)
        })
        .collect()
}

#[test]
fn every_form_that_is_written_can_be_read_again_without_loss() {
    let folder = folder();
    for form in [
        "ndjson",
        "ndjson.gz",
        "jsonl.zst",
        "csv",
        "csv.gz",
        "csv.zst",
        "parquet",
    ] {
        let there = format!("there/copy.{form}");
        std::fs::create_dir_all(folder.path("there")).unwrap();
        copy(&folder, "in.ndjson", &there);
        copy(&folder, &there, "back.ndjson");
        assert_eq!(lines(&folder, "back.ndjson"), COPIES, "through {form}");
    }
    let plain = folder.read("there/copy.csv");
    assert!(plain.starts_with("id,name,balance,active,since,day,address\r\n9007199254740993,"));
    let magic = |name: &str, length: usize| std::fs::read(folder.path(name)).unwrap()[..length].to_vec();
    assert_eq!(magic("there/copy.csv.gz", 2), [0x1f, 0x8b]);
    assert_eq!(magic("there/copy.csv.zst", 4), [0x28, 0xb5, 0x2f, 0xfd]);
    assert_eq!(magic("there/copy.parquet", 4), *b"PAR1");
}

#[test]
fn a_list_of_objects_is_read_whatever_its_layout() {
    let folder = folder();
    let list = Value::Array(people());
    folder.write("dense.json", &list.to_string());
    folder.write("wide.json", &format!("\u{feff}\n {list:#} \n"));
    for input in ["dense.json", "wide.json"] {
        copy(&folder, input, "out.ndjson");
        assert_eq!(lines(&folder, "out.ndjson"), COPIES, "from {input}");
    }
}

#[test]
fn several_files_are_read_in_the_order_of_their_names() {
    let folder = folder();
    for (name, records) in [("b", &people()[1..]), ("a", &people()[..1])] {
        folder.write_records(&format!("days/{name}.ndjson"), records);
    }
    copy(&folder, "days/*.ndjson", "out.ndjson");
    assert_eq!(lines(&folder, "out.ndjson"), COPIES);
}

#[test]
fn a_csv_file_of_another_program_is_read() {
    let folder = folder();
    folder.write(
        "in.csv",
        "\u{feff}id,name,balance,active,since,day,address\r\n\
         9007199254740993,\"Ada \"\"L\"\", Ω\nline\",1.10,true,2026-01-02T03:04:05+02:00,2026-02-03,\"{\"\"city\"\":\"\"Ulm\"\"}\"\r\n\
         2,null,-0.5,false,,,\r\n\
         3,,,,,,\r\n",
    );
    copy(&folder, "in.csv", "out.ndjson");
    assert_eq!(lines(&folder, "out.ndjson"), COPIES);
}

#[test]
fn the_standard_streams_are_files_too() {
    let folder = folder();
    folder.replace(
        "copy.yaml",
        "{{ params.input }}\", key",
        "-\", format: ndjson, key",
    );
    folder.replace("copy.yaml", "{{ params.output }}\", key", "-\", format: csv, key");
    let mut child = folder
        .command(&["run", "copy.yaml", "--summary", "summary.json"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for person in people() {
        writeln!(input, "{person}").unwrap();
    }
    drop(input);
    let ran = folder
        .finish(child)
        .expect(0)
        .counted("copy", "read 3, created 3");
    assert_eq!(
        ran.stdout.lines().collect::<Vec<_>>(),
        [
            "id,name,balance,active,since,day,address",
            "9007199254740993,\"Ada \"\"L\"\", Ω",
            "line\",1.10,true,2026-01-02T01:04:05Z,2026-02-03,\"{\"\"city\"\":\"\"Ulm\"\"}\"",
            "2,null,-0.5,false,,,",
            "3,,,,,,",
        ],
        "only data goes to standard output where a file is written there"
    );
}

#[test]
fn a_torn_line_waits_in_the_queue_and_the_others_go_on() {
    let folder = folder();
    folder.write("in.ndjson", "{\"id\": 1, \"name\": \"whole\"}\n{\"id\": 2, \"na");
    folder
        .run_pipeline("copy.yaml", &[])
        .expect(3)
        .counted("copy", "read 2, created 1, rejected 1");
    let queue = folder.queue("copy.yaml");
    assert!(queue[0]["reason"].as_str().unwrap().contains("JSON"), "{queue:?}");
}

#[test]
fn a_run_that_stops_leaves_the_old_file_as_it_was() {
    let folder = folder();
    folder.write("out.ndjson", "what stood there before\n");
    folder.write("in.ndjson", "{\"id\": \"none\"}\n{\"id\": 2}\n");
    folder.replace("copy.yaml", "flows:", "rejects: {allow: 0}\nflows:");
    folder.run_pipeline("copy.yaml", &[]).expect(4);
    assert_eq!(folder.read("out.ndjson"), "what stood there before\n");
    let left = std::fs::read_dir(folder.path("")).unwrap().count();
    assert_eq!(left, 6, "a temporary file is left");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = folder();
    let ran = folder.run_pipeline("copy.yaml", &["--set", "input=gone.ndjson"]);
    assert!([2, 5].contains(&ran.code), "{ran:?}");
    ran.says("gone.ndjson");
}
