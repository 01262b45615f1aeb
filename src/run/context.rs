//! What every stage of a run shares.

use std::sync::Arc;

use futures::future::BoxFuture;
use uuid::Uuid;

use super::outlook::{Collector, Kept};
use super::shared::SharedReads;
use super::{Cancellation, RunOptions, Stop};
use crate::compile::compiled::{ConnectionId, Flow, FlowId, Pipeline, Stream, StreamRef};
use crate::connector::{Connection, ConnectorError, ReadRequest, Reader};
use crate::expression::{Record, Value};
use crate::lookup::{Lookups, Source};
use crate::mapping::privacy::Redactor;
use crate::snapshot::RunWriter;
use crate::state::{Digester, FlowRef, State, queue_key};
use crate::telemetry::{FlowCounters, Telemetry};

/// What every stage of a run shares.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) connections: Arc<[Connection]>,
    pub(crate) state: Arc<dyn State>,
    pub(crate) lookups: Lookups,
    /// What several flows read.
    pub(crate) shared: SharedReads,
    /// None in a dry run.
    pub(crate) writer: Option<RunWriter>,
    /// Where decisions go instead of load, when a plan is made.
    pub(crate) collector: Option<Arc<Collector>>,
    /// The plan that the run keeps to.
    pub(crate) kept: Option<Arc<Kept>>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) options: RunOptions,
    pub(crate) cancellation: Cancellation,
    pub(crate) run: Uuid,
    pub(crate) digester: Digester,
    /// One for each flow.
    pub(crate) redactors: Vec<Redactor>,
}

/// Where lookups get records from: the run's own connections.
#[derive(Debug)]
pub(crate) struct Searched(pub(crate) Arc<[Connection]>);

impl Source for Searched {
    fn read(&self, connection: ConnectionId, stream: usize) -> Reader {
        self.0[connection].read(stream, ReadRequest::default())
    }

    fn find<'s>(
        &'s self,
        connection: ConnectionId,
        stream: usize,
        find: usize,
        values: &'s [Value<'static>],
    ) -> BoxFuture<'s, Result<Vec<Record>, ConnectorError>> {
        Box::pin(self.0[connection].find(stream, find, values))
    }
}

impl Context {
    /// The connection of a stream.
    pub(crate) fn connection(&self, stream: StreamRef) -> &Connection {
        &self.connections[stream.connection]
    }

    /// The compiled stream.
    pub(crate) fn stream(&self, stream: StreamRef) -> &Stream {
        &self.pipeline.connections[stream.connection].connector.streams[stream.stream]
    }

    /// A stream's name in state and messages, `connection.stream`.
    pub(crate) fn stream_name(&self, stream: StreamRef) -> String {
        let connection = &self.pipeline.connections[stream.connection];
        format!("{}.{}", connection.name, self.stream(stream).name)
    }

    /// A flow in state; the directions of a two-way flow share its place there.
    pub(crate) fn flow_ref<'a>(&'a self, flow: &'a Flow) -> FlowRef<'a> {
        let two_way = flow
            .direction_of
            .and_then(|direction| self.pipeline.two_way.get(direction.two_way));
        FlowRef {
            pipeline: &self.pipeline.name,
            flow: two_way.map_or(flow.name.as_str(), |two_way| two_way.name.as_str()),
        }
    }

    /// Whether this run takes a flow up: it is on, and asked for.
    pub(crate) fn runs(&self, flow: FlowId) -> bool {
        self.pipeline.flows[flow].disabled.is_none() && self.options.chooses(self.pipeline.written_name(flow))
    }

    /// The key under which a record that this flow reads waits in the queue.
    pub(crate) fn waits_as(&self, flow: &Flow, key: &str) -> String {
        match flow.direction_of {
            Some(direction) => queue_key(direction.to.other(), key),
            None => key.to_owned(),
        }
    }

    /// A flow's counters.
    pub(crate) fn counters(&self, flow: FlowId) -> Arc<FlowCounters> {
        self.telemetry.flow(&self.pipeline.flows[flow].name)
    }

    /// The id of one record's journey in this run.
    pub(crate) fn correlation(&self, sequence: u64) -> String {
        format!("{}.{sequence}", self.run)
    }

    /// What identifies the account behind a connection, for claims that pipelines share: its connector and settings.
    pub(crate) fn account(&self, connection: ConnectionId) -> String {
        account_of(&self.pipeline, connection)
    }

    /// The targets of a flow's rows, shared by its baselines.
    pub(crate) fn row_names(&self, flow: FlowId) -> Arc<[String]> {
        self.pipeline.flows[flow]
            .rows
            .iter()
            .map(|row| row.target.name.clone())
            .collect()
    }

    /// Whether what waits in the queue is tried again: not where decisions are only counted.
    pub(crate) fn tries_again(&self) -> bool {
        !self.options.dry_run || self.collector.is_some()
    }

    /// Fails when the run should come to an end.
    pub(crate) fn may_go_on(&self) -> Result<(), Stop> {
        match self.cancellation.is_stopped() {
            true if self.cancellation.is_out_of_time() => Err(Stop::TimeLimit),
            true => Err(Stop::Cancelled),
            false => Ok(()),
        }
    }
}

/// What identifies the account behind a connection: its connector and settings.
pub(crate) fn account_of(pipeline: &Pipeline, connection: ConnectionId) -> String {
    let connection = &pipeline.connections[connection];
    let settings = blake3::hash(connection.settings.to_json().as_bytes()).to_hex();
    format!("{}:{settings}", connection.connector_name)
}
