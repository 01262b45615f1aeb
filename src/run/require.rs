//! `require`: conditions that a record must meet before it is written, whatever its sink is.

use super::context::Context;
use crate::compile::compiled::Flow;
use crate::expression::{Record, Scope, Value};
use crate::mapping::{Cell, Reject, payload};

/// Why the record is refused, if one of the flow's conditions does not hold. `target` is what stands in the sink now.
pub(crate) fn refusal(
    context: &Context,
    flow: &Flow,
    record: &Record,
    cells: &[Cell<'_>],
    target: Option<&Value<'static>>,
) -> Option<Reject> {
    if flow.require.is_empty() {
        return None;
    }
    let view = match record.project(&flow.projection) {
        Ok(view) => view,
        Err(error) => return Some(Reject::new("record", "record_malformed", error.to_string())),
    };
    let nothing = Value::Null;
    let fields = payload(flow.rows.iter().zip(cells).filter_map(|(row, cell)| match cell {
        Cell::Value(value) => Some((&row.target, value)),
        Cell::Absent | Cell::Pending(_) | Cell::List(_) => None,
    }));
    let scope = Scope::new()
        .with(flow.record_name(), &view)
        .with("target", target.unwrap_or(&nothing))
        .with("fields", &fields)
        .with("params", &context.pipeline.params)
        .with("connections", &context.pipeline.connections_seen);
    flow.require.iter().find_map(|require| {
        let message = match (require.that.is_true(&scope), require.otherwise.render(&scope)) {
            (Ok(true), _) => return None,
            (Ok(false), Ok(Some(message))) => message,
            (Ok(false), _) => format!("`{}` does not hold", require.that.source()),
            (Err(error), _) => error.to_string(),
        };
        Some(Reject::new("require", "require_failed", message))
    })
}
