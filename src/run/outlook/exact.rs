//! The digest of a decision with its true values. A plan shows values as people may see them; whether a later run still
//! decides the same is told by this, which gives away nothing to who does not have the state's key.

use crate::compile::compiled::{Flow, FlowId, Target};
use crate::expression::Value;
use crate::mapping::{Cell, Pending, Reject};
use crate::run::batch::{Decision, MappedItem, Update};
use crate::run::context::Context;
use crate::run::decide;

/// The keyed digest of what is decided about a record of a flow, in hexadecimal.
pub(crate) fn exact(
    context: &Context,
    flow: FlowId,
    key: &str,
    decision: &Decision,
    mapped: Option<&MappedItem>,
) -> String {
    let flow = &context.pipeline.flows[flow];
    let mut bytes = Pieces::default();
    bytes.text(&flow.name);
    bytes.text(key);
    bytes.text(decision.word());
    match decision {
        Decision::Create => {
            if let Some(mapped) = mapped {
                for row in decide::created(&flow.rows, &mapped.cells) {
                    bytes.cell(flow, row, mapped);
                }
            }
        }
        Decision::Update(update) => bytes.update(flow, update, mapped),
        Decision::UpdateAll(updates) => {
            for update in updates {
                bytes.update(flow, update, mapped);
            }
        }
        Decision::Delete { target } => bytes.text(target),
        Decision::Set {
            target,
            before,
            fields,
        } => {
            bytes.text(target);
            for (field, value) in fields {
                bytes.field(field, Some(decide::at(before, &field.segments)), value);
            }
        }
        Decision::Unlink { reason } => bytes.text(reason),
        Decision::Unchanged { link, .. } => bytes.text(link.as_deref().unwrap_or_default()),
        Decision::Filtered | Decision::Duplicate => {}
        Decision::Skipped(reject)
        | Decision::Rejected(reject)
        | Decision::Held(reject)
        | Decision::Waiting(reject) => bytes.reject(reject),
    }
    bytes.digest(context)
}

/// The same of a record that a lookup creates, whatever record needs it first.
pub(super) fn exact_reference(context: &Context, pending: &Pending) -> String {
    let mut bytes = Pieces::default();
    bytes.text(&pending.key.key);
    for (target, cell) in &pending.cells {
        bytes.text(&target.name);
        bytes.of_cell(cell);
    }
    bytes.digest(context)
}

/// The same of texts.
pub(super) fn exact_texts(context: &Context, texts: &[&str]) -> String {
    let mut bytes = Pieces::default();
    for text in texts {
        bytes.text(text);
    }
    bytes.digest(context)
}

/// Pieces of text with their lengths, so that no two sequences of them are alike.
#[derive(Default)]
struct Pieces(Vec<u8>);

impl Pieces {
    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn value(&mut self, value: &Value<'_>) {
        let mut canonical = Vec::new();
        value.canonical(&mut canonical);
        self.bytes(&canonical);
    }

    fn field(&mut self, target: &Target, before: Option<&Value<'_>>, after: &Value<'_>) {
        self.text(&target.name);
        self.value(before.unwrap_or(&Value::Null));
        self.value(after);
    }

    fn update(&mut self, flow: &Flow, update: &Update, mapped: Option<&MappedItem>) {
        self.text(&update.target);
        for change in &update.changes {
            self.value(&change.before);
            if let Some(mapped) = mapped {
                self.cell(flow, change.row, mapped);
            }
        }
    }

    fn cell(&mut self, flow: &Flow, row: usize, mapped: &MappedItem) {
        if let (Some(rule), Some(cell)) = (flow.rows.get(row), mapped.cells.get(row)) {
            self.text(&rule.target.name);
            self.of_cell(cell);
        }
    }

    fn of_cell(&mut self, cell: &Cell<'_>) {
        match cell {
            Cell::Value(value) => self.value(value),
            Cell::Pending(pending) => {
                self.text("pending");
                self.text(&pending.key);
            }
            Cell::List(items) => {
                self.text("list");
                for item in items {
                    self.of_cell(item);
                }
            }
            Cell::Absent => self.text("absent"),
        }
    }

    fn reject(&mut self, reject: &Reject) {
        self.text(reject.code);
        self.text(reject.field.as_deref().unwrap_or_default());
    }

    fn digest(&self, context: &Context) -> String {
        let crate::state::Digest(digest) = context.digester.digest(&self.0);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
