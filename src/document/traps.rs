//! YAML's traps for paths and templates: what a parser reports in its own words, said in ours.
//!
//! To YAML a `[` or `{` inside brackets begins a list or a map, ` #` a comment and `: ` a value. A path or a template
//! that is not quoted runs into these; the parser then speaks of aliases and flow mappings. This scans the text for
//! paths and templates that must be quoted and says so.

use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, Severity, SourceFile, Span};

/// What to report for a syntax error: the unquoted paths and templates that explain it, else the parser's message.
pub(super) fn syntax(source: &Arc<SourceFile>, at: usize, info: &str) -> Vec<Diagnostic> {
    let text = source.text();
    let suspects = suspects(text);
    let error_line = source.position(at).line;
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut explained = false;
    for suspect in suspects {
        let line = source.position(suspect.start).line;
        // What the parser has read without complaint is not the reason.
        if line + 1 >= error_line {
            explained |= line <= error_line;
            found.push(unquoted(source, suspect));
        }
    }
    if !explained {
        let mut message = format!("this is not YAML: {info}");
        if info.contains("mapping values are not allowed") {
            message = String::from("this is not YAML: a `: ` is not expected here");
        }
        let mut diagnostic = Diagnostic::new(
            Severity::Error,
            Code::Syntax,
            Arc::clone(source),
            Span::new(at, at),
            message,
        );
        if text[source.clamp(Span::new(line_start(text, at), at))].contains('\t') {
            diagnostic
                .hints
                .push(String::from("indent with spaces, YAML allows no tabs there"));
        }
        found.push(diagnostic);
    }
    found
}

/// Says that a path or a template must be quoted.
pub(super) fn unquoted(source: &Arc<SourceFile>, span: Span) -> Diagnostic {
    let written = &source.text()[source.clamp(span)];
    let what = if written.starts_with('$') {
        "path"
    } else {
        "template"
    };
    let quoted = quote(written);
    let mut diagnostic = Diagnostic::new(
        Severity::Error,
        Code::Unquoted,
        Arc::clone(source),
        span,
        format!("this {what} must be quoted: to YAML its brackets, braces or colons mean something else"),
    );
    diagnostic.hints.push(format!("quote this {what}: `{quoted}`"));
    diagnostic
}

/// The template that a map as a key really is: the text from `{{` to `}}` around it.
pub(super) fn template_at(text: &str, key: Span) -> Option<Span> {
    let before = text.get(..key.start)?;
    let outer = before.trim_end_matches([' ', '\t']).strip_suffix('{')?.len();
    text.get(key.start..)?.starts_with('{').then_some(())?;
    let line = text.get(outer..)?.split('\n').next()?;
    line.find("}}").map(|length| Span::new(outer, outer + length + 2))
}

/// Reports a plain path or template that a comment on the same line cuts short.
pub(super) fn cut_by_comment(source: &Arc<SourceFile>, read: &str, span: Span) -> Option<Diagnostic> {
    if !(read.starts_with('$') || read.contains("{{")) || is_balanced(read) {
        return None;
    }
    let rest = source.text().get(span.end..)?;
    let line = rest.split('\n').next().unwrap_or_default();
    if !line.trim_start_matches([' ', '\t']).starts_with('#') || !line.starts_with([' ', '\t']) {
        return None;
    }
    let whole = Span::new(span.start, span.end + line.trim_end().len());
    let mut diagnostic = Diagnostic::new(
        Severity::Error,
        Code::CutByComment,
        Arc::clone(source),
        whole,
        format!("` #` begins a comment, so only `{read}` is read"),
    );
    diagnostic.hints.push(format!(
        "quote the whole: `{}`",
        quote(&source.text()[source.clamp(whole)])
    ));
    Some(diagnostic)
}

/// Puts a text into double quotes, or single ones where that needs fewer escapes.
fn quote(text: &str) -> String {
    if text.contains(['"', '\\']) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        format!("\"{text}\"")
    }
}

/// Says whether brackets, braces and quotes are closed.
fn is_balanced(text: &str) -> bool {
    let (mut depth, mut quote) = (0i32, None);
    for character in text.chars() {
        match (quote, character) {
            (Some(open), character) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '[' | '{' | '(') => depth += 1,
            (None, ']' | '}' | ')') => depth -= 1,
            (None, _) => {}
        }
    }
    depth == 0 && quote.is_none()
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |newline| newline + 1)
}

/// Finds plain paths and templates that YAML cannot read where they stand.
fn suspects(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut depth = 0usize;
    // Lines more indented than this belong to a block scalar and are text.
    let mut block: Option<usize> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let is_block_text = block.is_some_and(|above| indent > above || line.trim().is_empty());
        if !is_block_text {
            block = None;
            scan_line(line, start, &mut depth, &mut found);
            if depth == 0 && opens_block(line) {
                block = Some(indent);
            }
        }
        start += line.len();
    }
    found
}

/// Says whether a line ends with the header of a block scalar: `key: |`, `- >-`.
fn opens_block(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or_default().trim_end();
    let header =
        line.trim_end_matches(|character: char| character.is_ascii_digit() || matches!(character, '-' | '+'));
    header
        .strip_suffix(['|', '>'])
        .is_some_and(|before| before.ends_with(": ") || before.ends_with("- "))
}

fn scan_line(line: &str, offset: usize, depth: &mut usize, found: &mut Vec<Span>) {
    let mut at = 0;
    let mut token = 0;
    let mut token_start = true;
    while let Some(character) = line[at..].chars().next() {
        let rest = &line[at..];
        if token_start {
            token = at;
        }
        match character {
            '"' | '\'' if token_start => {
                at += 1 + rest[1..]
                    .find(character)
                    .map_or(rest.len() - 1, |length| length + 1);
                token_start = false;
                continue;
            }
            '#' if at == 0 || line[..at].ends_with([' ', '\t']) => return,
            '$' if token_start => {
                let length = path_length(rest, *depth > 0);
                let path = &rest[..length];
                if (*depth > 0 && path.contains(['[', '{'])) || path.contains(": ") {
                    found.push(Span::new(offset + at, offset + at + length));
                }
                at += length.max(1);
                token_start = false;
                continue;
            }
            '{' if rest.starts_with("{{") && (token_start || *depth > 0) => {
                let close = rest.find("}}").map_or(rest.trim_end().len(), |length| length + 2);
                let tail = rest[close..]
                    .find([',', ']', '}', '\n', ' '])
                    .unwrap_or(rest.len() - close);
                found.push(Span::new(offset + token, offset + at + close + tail));
                at += close + tail;
                token_start = false;
                continue;
            }
            '[' | '{' if token_start || *depth > 0 => {
                *depth += 1;
                token_start = true;
            }
            ']' | '}' if *depth > 0 => {
                *depth -= 1;
                token_start = false;
            }
            ',' if *depth > 0 => token_start = true,
            ' ' | '\t' => token_start = token_start || line[..at].trim_end().ends_with([':', '-', '?']),
            _ => token_start = false,
        }
        at += character.len_utf8();
    }
}

/// How far a path reaches: its own brackets and quotes belong to it; in a list or map it ends at the next `,` or
/// closing bracket outside of them, or at `: `.
fn path_length(text: &str, in_brackets: bool) -> usize {
    let (mut depth, mut quote) = (0usize, None);
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (_, '\n' | '\r') => return text[..at].trim_end().len(),
            (Some(open), character) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') if depth > 0 => quote = Some(character),
            (None, '[' | '(' | '{') => depth += 1,
            (None, ']' | ')' | '}') if depth > 0 => depth -= 1,
            (None, ']' | '}' | ',') if in_brackets && depth == 0 => return text[..at].trim_end().len(),
            (None, ':') if depth == 0 && text[at + 1..].starts_with([' ', '\n', '\r']) => return at,
            (None, '#') if depth == 0 && text[..at].ends_with(' ') => return text[..at].trim_end().len(),
            (None, _) => {}
        }
    }
    text.trim_end().len()
}
