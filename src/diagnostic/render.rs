//! Diagnostics as text for people: message, place, the lines themselves, notes and what to do.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::report::{Diagnostic, Diagnostics, Severity};
use super::source::{SourceFile, Span};

/// Renders all of them, each followed by an empty line; with colour for a terminal.
#[must_use]
pub fn text(diagnostics: &Diagnostics, colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for diagnostic in diagnostics.iter() {
        out.push_str(renderer.render(&[group(diagnostic)]).trim_end());
        out.push_str("\n\n");
    }
    out
}

/// Says how many there are: `2 errors, 1 warning`.
#[must_use]
pub fn summary(diagnostics: &Diagnostics) -> String {
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match diagnostics.counts() {
        (0, 0) => String::from("no errors"),
        (errors, 0) => plural(errors, "error"),
        (0, warnings) => plural(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")),
    }
}

fn group(diagnostic: &Diagnostic) -> Group<'_> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.as_str());
    let source = &*diagnostic.source;
    let mut group = if source.text().is_empty() {
        Group::with_title(title).element(annotate_snippets::Origin::path(source.name()))
    } else {
        let mut snippet = Snippet::source(source.text())
            .path(source.name())
            .fold(true)
            .annotation(
                AnnotationKind::Primary
                    .span(visible(source, diagnostic.span))
                    .label(diagnostic.caption.as_deref()),
            );
        for label in diagnostic
            .labels
            .iter()
            .filter(|label| label.source.name() == source.name())
        {
            snippet = snippet.annotation(
                AnnotationKind::Context
                    .span(visible(source, label.span))
                    .label(label.text.as_str()),
            );
        }
        Group::with_title(title).element(snippet)
    };
    for label in diagnostic
        .labels
        .iter()
        .filter(|label| label.source.name() != source.name())
    {
        group = group.element(
            Snippet::source(label.source.text())
                .path(label.source.name())
                .fold(true)
                .annotation(
                    AnnotationKind::Context
                        .span(visible(&label.source, label.span))
                        .label(label.text.as_str()),
                ),
        );
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    for hint in &diagnostic.hints {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    group
}

/// The part of a place that is shown: its first line, and at least one character where there is one.
fn visible(source: &SourceFile, span: Span) -> std::ops::Range<usize> {
    let range = source.clamp(span);
    let text = source.text();
    let end = text[range.clone()]
        .find(['\n', '\r'])
        .map_or(range.end, |length| range.start + length);
    if end == range.start {
        let width = text[end..]
            .chars()
            .next()
            .filter(|next| !matches!(next, '\n' | '\r'))
            .map_or(0, char::len_utf8);
        return range.start..end + width;
    }
    range.start..end
}
