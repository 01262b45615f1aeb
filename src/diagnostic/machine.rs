//! Diagnostics for programs: JSON for scripts, SARIF 2.1.0 for editors and code review.

use serde_json::{Map, Value, json};

use super::Code;
use super::report::{Diagnostic, Diagnostics};
use super::source::{SourceFile, Span};

/// All diagnostics as a JSON list.
#[must_use]
pub fn json(diagnostics: &Diagnostics) -> Value {
    Value::Array(diagnostics.iter().map(object).collect())
}

/// All diagnostics as JSON objects, one on each line.
#[must_use]
pub fn json_lines(diagnostics: &Diagnostics) -> String {
    diagnostics
        .iter()
        .map(|diagnostic| format!("{}\n", object(diagnostic)))
        .collect()
}

/// All diagnostics as a SARIF 2.1.0 log.
#[must_use]
pub fn sarif(diagnostics: &Diagnostics) -> Value {
    let mut used: Vec<Code> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    used.sort_unstable();
    used.dedup();
    let rules: Vec<Value> = used
        .iter()
        .map(|code| {
            json!({
                "id": code.as_str(),
                "shortDescription": {"text": code.title()},
                "fullDescription": {"text": code.explanation()},
            })
        })
        .collect();
    let results: Vec<Value> = diagnostics
        .iter()
        .map(|diagnostic| {
            let related: Vec<Value> = diagnostic
                .labels
                .iter()
                .enumerate()
                .map(|(index, label)| {
                    let mut location = sarif_location(&label.source, label.span);
                    location.insert("id".into(), index.into());
                    location.insert("message".into(), json!({"text": label.text}));
                    Value::Object(location)
                })
                .collect();
            let mut location = sarif_location(&diagnostic.source, diagnostic.span);
            if !diagnostic.pointer.is_empty() {
                location.insert(
                    "logicalLocations".into(),
                    json!([{"fullyQualifiedName": diagnostic.pointer}]),
                );
            }
            let mut text = diagnostic.message.clone();
            for more in diagnostic
                .caption
                .iter()
                .chain(&diagnostic.notes)
                .chain(&diagnostic.hints)
            {
                text.push_str("; ");
                text.push_str(more);
            }
            json!({
                "ruleId": diagnostic.code.as_str(),
                "ruleIndex": used.binary_search(&diagnostic.code).unwrap_or_default(),
                "level": diagnostic.severity.as_str(),
                "message": {"text": text},
                "locations": [location],
                "relatedLocations": related,
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn object(diagnostic: &Diagnostic) -> Value {
    let Value::Object(mut members) = json!({
        "code": diagnostic.code.as_str(),
        "severity": diagnostic.severity.as_str(),
        "title": diagnostic.code.title(),
        "message": diagnostic.message,
        "pointer": diagnostic.pointer,
    }) else {
        return Value::Null;
    };
    members.extend(place(&diagnostic.source, diagnostic.span));
    let start = diagnostic.source.position(diagnostic.span.start).line;
    let line = diagnostic
        .source
        .text()
        .lines()
        .nth(start - 1)
        .unwrap_or_default();
    members.insert("snippet".into(), line.into());
    members.insert("expected".into(), diagnostic.caption.clone().into());
    let labels: Vec<Value> = diagnostic
        .labels
        .iter()
        .map(|label| {
            let mut members = place(&label.source, label.span);
            members.insert("text".into(), label.text.clone().into());
            Value::Object(members)
        })
        .collect();
    members.insert("labels".into(), labels.into());
    members.insert("notes".into(), diagnostic.notes.clone().into());
    members.insert("hints".into(), diagnostic.hints.clone().into());
    Value::Object(members)
}

fn place(source: &SourceFile, span: Span) -> Map<String, Value> {
    let (start, end) = (
        source.position(span.start),
        source.position(span.end.max(span.start)),
    );
    let mut members = Map::new();
    members.insert("file".into(), source.name().into());
    members.insert("line".into(), start.line.into());
    members.insert("column".into(), start.column.into());
    members.insert("end_line".into(), end.line.into());
    members.insert("end_column".into(), end.column.into());
    members
}

fn sarif_location(source: &SourceFile, span: Span) -> Map<String, Value> {
    let (start, end) = (
        source.position(span.start),
        source.position(span.end.max(span.start)),
    );
    let mut members = Map::new();
    members.insert(
        "physicalLocation".into(),
        json!({
            "artifactLocation": {"uri": uri(source.name())},
            "region": {
                "startLine": start.line,
                "startColumn": start.column,
                "endLine": end.line,
                "endColumn": end.column,
            },
        }),
    );
    members
}

/// A file name as a URI reference: characters that mean something in one are percent-encoded.
fn uri(name: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const REFUSED: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'`')
        .add(b'#')
        .add(b'?')
        .add(b'%')
        .add(b'{')
        .add(b'}');
    utf8_percent_encode(&name.replace('\\', "/"), REFUSED).to_string()
}
