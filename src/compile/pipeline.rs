//! A pipeline file as a whole: its parts in the order in which they need each other.

use std::cell::RefCell;
use std::path::Path as FilePath;

use super::checks::Checks;
use super::compiled::{Connection, Flow, FlowId, Pipeline, SnapshotPolicy, TwoWay};
use super::connections::{ConnectionFacts, Connections};
use super::connector_files::ConnectorFiles;
use super::enabled::disabled_flows;
use super::given::given_views;
use super::order::flow_order;
use super::params::compile_params;
use super::pipeline_checks::{PipelineChecks, Used};
use super::pointer::Pointer;
use super::record_files::{RecordFiles, digest};
use super::sight::Names;
use super::two_way::CompiledFlow;
use super::types::compile_types;
use super::{CompileOptions, CompileResult};
use crate::definition::{self, SnapshotStage};
use crate::diagnostic::{Code, Diagnostics, Severity};
use crate::document::Document;
use crate::expression::{Map, Value};

/// Compiles a pipeline whose text was read.
pub(super) fn compile(
    path: &FilePath,
    document: &Document,
    options: &CompileOptions<'_>,
    mut diagnostics: Diagnostics,
) -> CompileResult {
    let Some(parsed) = definition::read_pipeline(document, &mut diagnostics) else {
        return CompileResult::new(None, diagnostics);
    };
    let omitted = |pointer: &str| parsed.is_omitted(pointer);
    let checks = Checks::new(document, &omitted);
    let pipeline = &parsed.definition;
    names_fit(&checks, pipeline);

    let files = ConnectorFiles::read(&checks, path, pipeline, options, &mut diagnostics);
    let diagnostics = RefCell::new(diagnostics);
    let names = Names {
        params: pipeline.params.keys().cloned().collect(),
        connections: pipeline
            .connections
            .iter()
            .map(|(name, connection)| (name.clone(), files.settings(connection)))
            .collect(),
        settings: Vec::new(),
    };
    let severity = if options.require_environment {
        Severity::Error
    } else {
        Severity::Warning
    };
    let params = compile_params(&checks, pipeline, options.set, severity);
    let records = RecordFiles::default();
    let connections = Connections {
        checks: &checks,
        path,
        options,
        files: &files,
        names: &names,
        params: &params,
        records: &records,
        diagnostics: &diagnostics,
    };
    let connections: Vec<ConnectionFacts> = pipeline
        .connections
        .iter()
        .map(|(name, connection)| {
            connections.connection(&Pointer::root().key("connections").key(name), name, connection)
        })
        .collect();
    let types = compile_types(&checks, pipeline);
    let parts = PipelineChecks {
        checks: &checks,
        definition: pipeline,
        names: &names,
        params: &params,
        connections: &connections,
        types: &types,
        flow_ids: flow_order(&checks, pipeline),
        disabled: disabled_flows(&checks, pipeline, &names, &params),
        given: given_views(pipeline, &connections),
        used: Used::default(),
    };
    let enums = pipeline
        .enums
        .iter()
        .map(|(name, table)| super::enums::compile_enum(name, table))
        .collect();
    let lookups: Vec<_> = pipeline
        .lookups
        .iter()
        .enumerate()
        .map(|(id, (name, lookup))| parts.lookup(id, name, lookup))
        .collect();
    let flows: Vec<_> = pipeline
        .flows
        .iter()
        .map(|(name, flow)| (parts.flow_ids.get(name).copied(), parts.any_flow(name, flow)))
        .collect();
    parts.silent_lookups();
    parts.lookup_cycles();
    parts.unused();

    let mut diagnostics = diagnostics.into_inner();
    diagnostics.append(checks.take());
    let compiled = || {
        let (flows, two_way) = in_order(flows)?;
        let mut sources = files.sources();
        sources.extend(records.sources());
        let connections: Vec<Connection> = connections
            .into_iter()
            .map(|facts| facts.compiled)
            .collect::<Option<_>>()?;
        Some(Pipeline {
            name: pipeline.pipeline.clone(),
            digest: digest(document.text()),
            sources,
            connections_seen: connections_seen(&connections),
            connections,
            params: Value::clone(&params),
            enums,
            lookups: lookups.into_iter().collect::<Option<_>>()?,
            flows,
            two_way,
            log_warnings: pipeline.log_warnings,
            snapshots: snapshots(pipeline.snapshots.as_ref()),
        })
    };
    if diagnostics.has_errors() || !parsed.is_complete() {
        return CompileResult::new(None, diagnostics);
    }
    CompileResult::new(compiled(), diagnostics)
}

/// The flows in the order in which they run, a two-way flow's direction to the local side before the other one.
fn in_order(flows: Vec<(Option<FlowId>, Option<CompiledFlow>)>) -> Option<(Vec<Flow>, Vec<TwoWay>)> {
    let mut flows: Vec<(FlowId, CompiledFlow)> = flows
        .into_iter()
        .map(|(id, flow)| Some((id?, flow?)))
        .collect::<Option<_>>()?;
    flows.sort_by_key(|(id, _)| *id);
    let (mut ordered, mut two_way) = (Vec::new(), Vec::new());
    for (_, flow) in flows {
        match flow {
            CompiledFlow::OneWay(flow) => ordered.push(*flow),
            CompiledFlow::TwoWay(parts) => {
                let (directions, flow) = *parts;
                ordered.extend([directions.local, directions.remote]);
                two_way.push(flow);
            }
        }
    }
    Some((ordered, two_way))
}

/// `connections` as templates see it.
fn connections_seen(connections: &[Connection]) -> Value<'static> {
    let seen = connections.iter().map(|connection| {
        let settings = Map(vec![("settings".into(), connection.settings.clone())]);
        (connection.name.clone().into(), Value::Map(settings))
    });
    Value::Map(Map(seen.collect()))
}

/// Names that become parts of paths and of stream names.
fn names_fit(checks: &Checks<'_>, pipeline: &definition::Pipeline) {
    let root = Pointer::root();
    name_fits(checks, &root.key("pipeline"), &pipeline.pipeline, false);
    for name in pipeline.flows.keys() {
        name_fits(checks, &root.key("flows").key(name), name, true);
    }
    for (name, connection) in &pipeline.connections {
        let at = root.key("connections").key(name);
        name_fits(checks, &at, name, true);
        for stream in connection.streams.keys() {
            name_fits(checks, &at.key("streams").key(stream), stream, true);
        }
    }
}

fn name_fits(checks: &Checks<'_>, at: &Pointer, name: &str, is_key: bool) {
    let fits = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    if !name.is_empty() && name.chars().all(fits) && !name.starts_with('-') {
        return;
    }
    checks.error(Code::MalformedText, at, |report| {
        let report = report.message(format!("`{name}` is no name: letters, digits, `_` and `-` make one, because it becomes a part of file names"));
        if is_key { report.at_key() } else { report }
    });
}

fn snapshots(snapshots: Option<&definition::Snapshots>) -> SnapshotPolicy {
    let kept = snapshots.and_then(|snapshots| snapshots.keep.as_ref());
    let keeps = |stage: SnapshotStage| kept.is_none_or(|kept| kept.contains(&stage));
    SnapshotPolicy {
        extracted: keeps(SnapshotStage::Extracted),
        mapped: keeps(SnapshotStage::Mapped),
        planned: keeps(SnapshotStage::Planned),
        loaded: keeps(SnapshotStage::Loaded),
        rejected: keeps(SnapshotStage::Rejected),
    }
}
