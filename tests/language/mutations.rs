//! Laws that hold for any text: reading never panics, and what the schema lets through the structs can be read from.

use std::fs;
use std::path::Path;

use crosswalk::definition::{FileKind, read_connector, read_mapping_tests, read_pipeline};
use crosswalk::diagnostic::{Code, Diagnostics, Locate, Part, json, sarif, text};
use crosswalk::document::Document;
use proptest::prelude::*;

/// Reads a text as far as it goes and shows what is said in every form.
fn read(text_of_file: &str) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    if let Some(document) = Document::from_text("file.yaml", text_of_file, &mut diagnostics) {
        let complete = match FileKind::of(&document) {
            FileKind::Pipeline => {
                read_pipeline(&document, &mut diagnostics).is_some_and(|parsed| parsed.is_complete())
            }
            FileKind::Connector => {
                read_connector(&document, &mut diagnostics).is_some_and(|parsed| parsed.is_complete())
            }
            FileKind::Tests => {
                read_mapping_tests(&document, &mut diagnostics).is_some_and(|parsed| parsed.is_complete())
            }
        };
        assert_eq!(
            complete,
            !diagnostics.has_errors(),
            "complete without an error, and only then"
        );
    }
    let diagnostics = diagnostics.sorted();
    let shown = text(&diagnostics, true);
    assert_eq!(shown.is_empty(), diagnostics.is_empty());
    let _ = (json(&diagnostics), sarif(&diagnostics));
    diagnostics
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/definition")
        .join(name);
    fs::read_to_string(path).expect("the example")
}

/// One edit of a text: some characters after a place become others.
fn edited(mut text: String, edits: &[(prop::sample::Index, usize, String)]) -> String {
    for (place, removed, inserted) in edits {
        let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let start = place.index(starts.len());
        let end = starts.get(start + removed).copied().unwrap_or(text.len());
        text.replace_range(starts[start]..end, inserted);
    }
    text
}

fn snippet() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        prop::sample::select(vec![
            " ",
            "\n",
            "\t",
            ":",
            ": ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            "{{ x }}",
            "$.a",
            "$.a[0]",
            "\"",
            "'",
            "#",
            " # x",
            "&a ",
            "*a",
            "<<",
            "!t ",
            "|",
            "> ",
            "null",
            "~",
            "true",
            "0123",
            "1e400",
            "99999999999999999999",
            "ü",
            "\r\n",
            "---\n",
            "...",
            "keep",
            "const",
            "value",
            "\u{feff}",
            "\u{0}",
        ])
        .prop_map(String::from),
        "[a-z_$.{}: \\[\\]]{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn reading_never_panics_on_any_text(text in "(?s).{0,200}") {
        read(&text);
    }

    #[test]
    fn what_the_schema_lets_through_can_be_read(
        name in prop::sample::select(vec!["pipeline.yaml", "connector.yaml", "tests.yaml"]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, snippet()), 1..4),
    ) {
        let text = edited(example(name), &edits);
        let diagnostics = read(&text);
        for found in diagnostics.iter() {
            prop_assert!(found.code != Code::Unreadable, "{}\n{}", found.message, text);
        }
    }

    #[test]
    fn every_pointer_has_a_place_inside_the_text(
        pointer in "(/[a-z0-9~$.]{0,8}){0,5}",
        offset in 0usize..100,
        length in 0usize..100,
    ) {
        let text = example("pipeline.yaml");
        let mut diagnostics = Diagnostics::new();
        let document = Document::from_text("file.yaml", text.as_str(), &mut diagnostics).expect("a document");
        for part in [Part::Value, Part::Key, Part::Inside { offset, length }] {
            let span = document.locate(&format!("/flows/cases/fields{pointer}"), part).span;
            prop_assert!(span.start <= span.end && text.get(span.start..span.end).is_some());
        }
    }
}
