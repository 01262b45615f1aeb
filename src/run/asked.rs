//! Records that a flow does not read from its stream: asked for by key, or extracted by an earlier run.

use super::Stop;
use super::context::Context;
use crate::compile::compiled::{Flow, StreamRef};
use crate::expression::Record;
use crate::snapshot::{PastRun, Stage};

/// The records that were asked for by key: `key`, `stream:key` or `connection:key`.
pub(crate) async fn asked(context: &Context, flow: &Flow, keys: &[String]) -> Result<Vec<Record>, Stop> {
    let from = flow.from;
    let keys = asked_of(context, from, keys, true);
    let records = context.connection(from).get_many(from.stream, &keys).await?;
    if records.len() < keys.len() {
        tracing::warn!(flow = %flow.name, asked = keys.len(), found = records.len(), "Not every record that was asked for exists.");
    }
    Ok(records)
}

/// Which of the keys that were asked for are those of a stream's records. A key without a name before it is taken for one
/// only where `assumed` says so.
pub(crate) fn asked_of(context: &Context, stream: StreamRef, asked: &[String], assumed: bool) -> Vec<String> {
    let full_name = context.stream_name(stream);
    let names = [
        full_name.as_str(),
        &context.stream(stream).name,
        &context.pipeline.connections[stream.connection].name,
    ];
    let key = |asked: &String| match asked.split_once(':') {
        Some((name, key)) if names.contains(&name) => Some(key.to_owned()),
        Some((name, _)) if is_a_stream(context, name) => None,
        _ => assumed.then(|| asked.clone()),
    };
    asked.iter().filter_map(key).collect()
}

/// Whether the name is that of something else that the pipeline reads.
fn is_a_stream(context: &Context, name: &str) -> bool {
    context.pipeline.flows.iter().any(|flow| {
        context.stream_name(flow.from) == name
            || context.stream(flow.from).name == name
            || context.pipeline.connections[flow.from.connection].name == name
    })
}

/// The records that an earlier run extracted for this flow.
pub(crate) fn extracted(context: &Context, flow: &Flow, past: &str) -> Result<Vec<Record>, Stop> {
    let run = past
        .parse()
        .map_err(|_| Stop::Refused(format!("`{past}` is not the id of a run; see the `run=` folders")))?;
    let past = PastRun::open(&context.options.snapshots, &context.pipeline.name, run)?;
    let mut records = Vec::new();
    for row in past.rows(Stage::Extracted, Some(&flow.name)) {
        if let Some(raw) = row?.text("raw") {
            records.push(Record::new(bytes::Bytes::from(raw.to_owned())));
        }
    }
    Ok(records)
}
