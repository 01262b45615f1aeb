//! The lines of one decision: its records, then each field with its old and new value.

use crate::cli::table::shorten;
use crate::run::{PlanConflict, PlanField, PlanItem, PlanKind};

/// How much of one value is shown.
const VALUE_WIDTH: usize = 34;
/// The same where everything is to be seen.
const WIDE: usize = 400;
/// How much of a line the fields of a new record take.
const FIELDS_WIDTH: usize = 82;
/// How much of a reason is shown.
const REASON_WIDTH: usize = 92;
/// A column is at most so wide; what is wider pushes the rest of its line.
pub(super) const KEYS_WIDTH: usize = 24;
/// The same for names of fields.
const NAME_WIDTH: usize = 26;

/// Colours by what they mean; nothing where text is not coloured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) coloured: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        match self.coloured && !text.is_empty() {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }

    /// A heading.
    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What may be passed over.
    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// What deserves a look.
    pub(super) fn warn(self, text: &str) -> String {
        self.with("33", text)
    }

    /// What belongs to a kind of decision.
    pub(super) fn kind(self, kind: PlanKind, text: &str) -> String {
        let code = match kind {
            PlanKind::Create | PlanKind::CreateReference => "32",
            PlanKind::Update => "33",
            PlanKind::Delete | PlanKind::Reject => "31",
            PlanKind::Hold | PlanKind::Unlink => "35",
            PlanKind::Unknown | PlanKind::Wait => "36",
            PlanKind::Link | PlanKind::NotCarried | PlanKind::Skip => "2",
        };
        self.with(code, text)
    }
}

/// The mark in front of a decision; it reads without colour.
pub(super) fn mark(kind: PlanKind) -> &'static str {
    match kind {
        PlanKind::Create | PlanKind::CreateReference => "+",
        PlanKind::Update => "~",
        PlanKind::Delete => "-",
        PlanKind::Unlink => "x",
        PlanKind::Link => "=",
        PlanKind::NotCarried => "|",
        PlanKind::Unknown => "?",
        PlanKind::Reject => "!",
        PlanKind::Hold => "h",
        PlanKind::Wait => "w",
        PlanKind::Skip => ".",
    }
}

/// The records of a decision: `4711`, or `4711 -> 22`.
pub(super) fn keys(item: &PlanItem) -> String {
    match (&item.target, item.kind) {
        (Some(target), _) => format!("{} -> {target}", item.key),
        (None, PlanKind::CreateReference) => format!("for {}", item.key),
        (None, _) => item.key.clone(),
    }
}

/// The lines of a decision, without what stands in front of them.
pub(super) fn lines(item: &PlanItem, all: bool, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    match item.kind {
        PlanKind::Create | PlanKind::CreateReference if !all => lines.extend(created(item, paint)),
        _ => {
            let width = name_width(item);
            lines.extend(
                item.fields
                    .iter()
                    .map(|field| field_line(field, width, all, paint)),
            );
        }
    }
    if let Some(reason) = item.reason.as_ref().filter(|_| item.held.is_empty()) {
        let field = reason
            .field
            .as_ref()
            .map(|field| format!("{field}: "))
            .unwrap_or_default();
        let value = reason
            .value
            .as_ref()
            .map(|value| format!(" ({value})"))
            .unwrap_or_default();
        let text = shorten(
            &format!("{field}{}{value}", reason.message),
            if all { WIDE } else { REASON_WIDTH },
        );
        match item.kind {
            // The group's heading says it.
            PlanKind::CreateReference if !all => {}
            PlanKind::CreateReference => lines.push(paint.dim(&text)),
            _ => lines.push(format!("{text} {}", paint.dim(&format!("[{}]", reason.code)))),
        }
    }
    for held in &item.held {
        let side = |value: &Option<String>| match value {
            Some(value) => shorten(value, if all { WIDE } else { VALUE_WIDTH }),
            None => "nothing".to_owned(),
        };
        lines.push(format!(
            "{}: remote {}, local {}  {}",
            held.row,
            side(&held.remote),
            side(&held.local),
            paint.dim(&held.reason)
        ));
    }
    for left in &item.not_carried {
        let text = format!("`{}` stays as it is on the {} side", left.row, left.to);
        lines.push(format!("{text} {}", paint.dim(&format!("[{}]", left.reason))));
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// The fields of a new record in one line, and one more for each that is not known yet or a fallback.
fn created(item: &PlanItem, paint: Paint) -> Vec<String> {
    let is_plain = |field: &&PlanField| field.unknown.is_none() && !field.fallback;
    let mut line = String::new();
    let mut left = item.fields.iter().filter(is_plain).peekable();
    while let Some(field) = left.peek() {
        let value = after(field, VALUE_WIDTH / 2, Paint { coloured: false });
        let piece = format!("{} {value}", field.name);
        if !line.is_empty() && line.chars().count() + piece.chars().count() + 2 > FIELDS_WIDTH {
            break;
        }
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(&piece);
        left.next();
    }
    let more = left.count();
    if more > 0 {
        line.push_str(&format!(", … {more} more"));
    }
    let rest = item.fields.iter().filter(|field| !is_plain(field));
    let width = name_width(item);
    std::iter::once(line)
        .filter(|line| !line.is_empty())
        .chain(rest.map(|field| field_line(field, width, false, paint)))
        .collect()
}

fn name_width(item: &PlanItem) -> usize {
    let widest = item.fields.iter().map(|field| field.name.chars().count()).max();
    widest.unwrap_or(0).min(NAME_WIDTH)
}

fn field_line(field: &PlanField, width: usize, all: bool, paint: Paint) -> String {
    let most = if all { WIDE } else { VALUE_WIDTH };
    let name = &field.name;
    let mut line = format!("{name:<width$}  ");
    if let Some(before) = &field.before {
        line.push_str(&paint.dim(&shorten(&before.to_string(), most)));
        line.push_str(" -> ");
    }
    line.push_str(&after(field, most, paint));
    let mut notes = Vec::new();
    if field.private {
        notes.push("private".to_owned());
    }
    if field.fallback {
        notes.push("fallback".to_owned());
    }
    notes.extend(field.conflict.as_ref().map(conflict));
    if !notes.is_empty() {
        let notes = format!("({})", notes.join("; "));
        let painted = match field.conflict.is_some() || field.fallback {
            true => paint.warn(&notes),
            false => paint.dim(&notes),
        };
        line.push_str(&format!("  {painted}"));
    }
    line
}

fn after(field: &PlanField, width: usize, paint: Paint) -> String {
    match (&field.unknown, &field.after) {
        (Some(why), _) => paint.kind(PlanKind::Unknown, &format!("unknown yet: {why}")),
        (None, Some(value)) => shorten(&value.to_string(), width),
        (None, None) => paint.kind(PlanKind::Unknown, "unknown"),
    }
}

fn conflict(conflict: &PlanConflict) -> String {
    let what = match conflict.first_link {
        true => "differed at the first link",
        false => "both sides had changed",
    };
    match &conflict.winner {
        Some(winner) => format!("{what}: {winner} wins, {}", conflict.by.replace('_', " ")),
        None => format!("{what}: nobody wins"),
    }
}
