//! Records that a flow does not read from its stream: asked for by key, or extracted by an earlier run.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::Stop;
use super::context::Context;
use crate::compile::compiled::{Flow, FlowId, PrivacyKind, Side, StreamRef};
use crate::expression::{PARENT, Record, parse_json};
use crate::mapping::Mapper;
use crate::snapshot::{PastRun, Stage, StoredRow};
use crate::state::{QueueItem, QueuedRecord};

/// The records that were asked for by key: `key`, `stream:key` or `connection:key`.
pub(crate) async fn asked(context: &Context, flow: &Flow, keys: &[String]) -> Result<Vec<Record>, Stop> {
    let from = flow.from;
    let keys = asked_of(context, from, None, keys);
    let records = context.connection(from).get_many(from.stream, &keys).await?;
    if records.len() < keys.len() {
        tracing::warn!(flow = %flow.name, asked = keys.len(), found = records.len(), "Not every record that was asked for exists.");
    }
    Ok(records)
}

/// Which of the keys that were asked for are those of a stream's records. Before a key may stand, with a colon, the name of
/// the connection or the stream, and in a two-way flow that of the `side`: `remote:7`. One without any is a source's key,
/// in a two-way flow the remote record's.
pub(crate) fn asked_of(
    context: &Context,
    stream: StreamRef,
    side: Option<Side>,
    asked: &[String],
) -> Vec<String> {
    let full_name = context.stream_name(stream);
    let mut names = vec![
        full_name.as_str(),
        &context.stream(stream).name,
        &context.pipeline.connections[stream.connection].name,
    ];
    names.extend(side.map(Side::name));
    let key = |asked: &String| match asked.split_once(':') {
        Some((name, key)) if names.contains(&name) => Some(key.to_owned()),
        Some((name, _)) if is_a_name(context, name) => None,
        _ => (side != Some(Side::Local)).then(|| asked.clone()),
    };
    asked.iter().filter_map(key).collect()
}

/// Whether the name is that of something else that the pipeline reads, or of a side.
fn is_a_name(context: &Context, name: &str) -> bool {
    let is_side = Side::BOTH.into_iter().any(|side| side.name() == name);
    is_side && !context.pipeline.two_way.is_empty()
        || context.pipeline.flows.iter().any(|flow| {
            context.stream_name(flow.from) == name
                || context.stream(flow.from).name == name
                || context.pipeline.connections[flow.from.connection].name == name
        })
}

/// The stream of a flow's parents, for flows of children.
pub(crate) fn parents(context: &Context, flow: &Flow) -> Option<StreamRef> {
    flow.of.map(|parent| context.pipeline.flows[parent].from)
}

/// The keys of the records to which waiting children belong.
pub(crate) fn parent_keys(children: &[QueueItem]) -> Vec<String> {
    let keys: BTreeSet<String> = children
        .iter()
        .filter_map(|child| {
            let (QueuedRecord::AsReceived(text) | QueuedRecord::Redacted(text)) = &child.record else {
                return None;
            };
            parse_json(text.as_bytes()).ok()?.get(PARENT)?.key_text()
        })
        .collect();
    keys.into_iter().collect()
}

/// The records that an earlier run extracted for this flow, as its rules read them then.
pub(crate) fn extracted(context: &Context, id: FlowId, past: &str) -> Result<Vec<Record>, Stop> {
    let run = past
        .parse()
        .map_err(|_| Stop::Refused(format!("`{past}` is not the id of a run; see the `run=` folders")))?;
    let flow = &context.pipeline.flows[id];
    let mapper = Mapper::new(&context.pipeline, id);
    let opened = PastRun::open(&context.options.snapshots, &context.pipeline.name, run)?;
    let mut records = Vec::new();
    for row in opened.rows(Stage::Extracted, Some(&flow.name)) {
        let row = row?;
        let Some(record) = past_record(&row) else { continue };
        let hidden = row
            .flag("redacted")
            .then(|| hidden_input(flow, &mapper, &record))
            .flatten();
        if let Some(path) = hidden {
            return Err(Stop::Refused(format!(
                "run `{past}` cannot be mapped again: its snapshots keep `{path}` hidden, as `pii` asks, and flow `{}` reads it; read the source instead, with `--full` or with `--only` for single records",
                flow.name
            )));
        }
        records.push(record);
    }
    Ok(records)
}

/// A record of an `extracted` snapshot, as rules read it.
pub(crate) fn past_record(row: &StoredRow) -> Option<Record> {
    let record = Record::new(Bytes::from(row.text("raw")?.to_owned()));
    Some(match row.text("read") {
        Some(read) => record.with_view(Bytes::from(read.to_owned())),
        None => record,
    })
}

/// A private member that the flow's rules read and the record has, if there is one.
fn hidden_input<'f>(flow: &'f Flow, mapper: &Mapper<'_>, record: &Record) -> Option<&'f str> {
    let reads =
        [&flow.projection, mapper.projection()].map(|reads| record.project(reads).unwrap_or_default());
    flow.privacy
        .iter()
        .filter(|private| private.kind != PrivacyKind::Keep)
        .find(|private| {
            reads
                .iter()
                .any(|read| private.path.all(read).iter().any(|value| !value.is_null()))
        })
        .map(|private| private.path.source())
}
