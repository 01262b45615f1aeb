//! The world of one case: given records behind connections, an empty store with the case's links, and a record on its
//! way through a flow as in a run, up to the decision.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use super::outcome::{Became, Line};
use crate::compile::compiled::{
    FlowId, MappingCase, MappingTests, PerSide, Pipeline, Side, StreamRef, TestBaseline, TestTask, TestedFlow,
};
use crate::connector::Connection;
use crate::expression::{Record, Value};
use crate::mapping::{Mapper, Trace};
use crate::run::batch::{Batch, Decision, ItemOutcome, Origin, Planned};
use crate::run::context::Context;
use crate::run::load::Loader;
use crate::run::plan::Planner;
use crate::run::transform::{Transformed, transform, until_answered};
use crate::run::two_way::{InStep, remember, try_pair};
use crate::run::{Cancellation, Publish, RunOptions, Stop, assemble};
use crate::state::{Batch as Change, FlowRef, LinkChange, SqliteState, State};
use crate::telemetry::Telemetry;

/// The world of a case.
pub(super) struct World {
    context: Arc<Context>,
}

impl World {
    /// The world as a case finds it.
    pub(super) async fn of(
        tests: &MappingTests,
        case: &MappingCase,
        telemetry: &Arc<Telemetry>,
    ) -> Result<World, Stop> {
        let pipeline = tests
            .pipelines
            .get(case.pipeline)
            .cloned()
            .ok_or_else(|| Stop::Internal("a case has no pipeline".to_owned()))?;
        let records: Vec<(StreamRef, Record)> = tests
            .records
            .iter()
            .chain(&case.records)
            .map(|(stream, record)| (*stream, given(record)))
            .collect();
        let connections = pipeline.connections.iter().enumerate().map(|(id, described)| {
            let own = records.iter().filter(|(stream, _)| stream.connection == id);
            let own = own.map(|(stream, record)| (stream.stream, record.clone()));
            Connection::given(described, own.collect())
        });
        let connections: Arc<[Connection]> = connections.collect();
        let state: Arc<dyn State> = Arc::new(SqliteState::in_memory()?);
        let context = assemble(
            Uuid::now_v7(),
            pipeline,
            connections,
            options(tests, case),
            Arc::clone(telemetry),
            &Cancellation::new(),
            state,
            None,
        )?;
        let world = World {
            context: Arc::new(context),
        };
        for (flow, source, target) in &case.links {
            world.link(flow, source, target)?;
        }
        Ok(world)
    }

    fn pipeline(&self) -> &Pipeline {
        &self.context.pipeline
    }

    fn link(&self, flow: &str, source: &str, target: &str) -> Result<(), Stop> {
        let flow = FlowRef {
            pipeline: &self.pipeline().name,
            flow,
        };
        let mut change = Change::new(flow, self.context.run, Timestamp::now());
        change.links.push(LinkChange::Put {
            source: source.to_owned(),
            target: target.to_owned(),
        });
        self.context.state.commit(&change)?;
        Ok(())
    }

    /// What becomes of a case's records.
    pub(super) async fn run(&self, case: &MappingCase) -> Result<Became, Stop> {
        match (&case.task, case.flow) {
            (
                TestTask::OneWay {
                    record,
                    baseline,
                    linked,
                    ..
                },
                TestedFlow::OneWay(flow),
            ) => {
                self.context.lookups.start(&[flow]).await?;
                self.one_way(flow, record, baseline.as_ref(), linked.as_deref())
                    .await
            }
            (
                TestTask::TwoWay {
                    sides,
                    linked,
                    baseline,
                    chosen,
                    ..
                },
                TestedFlow::TwoWay(id),
            ) => {
                let way = &self.pipeline().two_way[id];
                self.context.lookups.start(&[way.to.local, way.to.remote]).await?;
                if let Some(keys) = linked {
                    let in_step = baseline.as_ref().map(in_step);
                    remember(&self.context, id, keys, in_step.as_ref()).await?;
                }
                let sides = PerSide::by(|side| sides[side].as_ref().map(given));
                let tried = try_pair(&self.context, id, &sides, chosen).await?;
                let tried = tried.ok_or_else(|| {
                    Stop::Refused(
                        "the flow's `direction` lets nothing travel from the records that are given"
                            .to_owned(),
                    )
                })?;
                Ok(Became::of_pair(self.pipeline(), id, tried))
            }
            _ => Err(Stop::Internal("a case does not fit its flow".to_owned())),
        }
    }

    /// What one row makes of a record.
    pub(super) async fn line(&self, flow: FlowId, row: usize, record: &Value<'static>) -> Result<Line, Stop> {
        self.context.lookups.start(&[flow]).await?;
        Ok(Line::of(row, self.transformed(flow, record).await?))
    }

    async fn one_way(
        &self,
        flow: FlowId,
        record: &Value<'static>,
        baseline: Option<&Value<'static>>,
        linked: Option<&str>,
    ) -> Result<Became, Stop> {
        let context = &self.context;
        if let Some(target) = linked {
            let transformed = self.transformed(flow, baseline.unwrap_or(record)).await?;
            let Some(item) = transformed.items.into_iter().next() else {
                return Err(Stop::Internal("a record of a baseline was lost".to_owned()));
            };
            let flow_ref = context.flow_ref(&self.pipeline().flows[flow]);
            let mut change = Change::new(flow_ref, context.run, Timestamp::now());
            change.links.push(LinkChange::Put {
                source: item.key.clone(),
                target: target.to_owned(),
            });
            if baseline.is_some() && matches!(item.outcome, ItemOutcome::Mapped(_)) {
                let key = item.key.clone();
                let planned = Planned::new(item, Decision::Create);
                let stored = Loader::new(context, flow).baseline(&planned, None);
                change.baselines.extend(stored.map(|stored| (key, stored)));
            }
            context.state.commit(&change)?;
        }
        let transformed = self.transformed(flow, record).await?;
        let coverage = transformed.coverage;
        let planned = Planner::new(context, flow).plan(transformed.items).await?;
        let planned = planned
            .into_iter()
            .next()
            .ok_or_else(|| Stop::Internal("a given record was lost".to_owned()))?;
        Ok(Became::of_planned(self.pipeline(), flow, &planned, coverage))
    }

    async fn transformed(&self, flow: FlowId, record: &Value<'static>) -> Result<Transformed, Stop> {
        let batch = Batch {
            number: 1,
            records: vec![given(record)],
            sequence: self.context.state.next_sequence(1)?,
            at: Timestamp::now(),
            cursor: None,
            origin: Origin::Asked,
        };
        transform(Arc::clone(&self.context), flow, batch, false).await
    }

    /// Every step of every rule of a flow, for a record of the side that it reads.
    pub(super) async fn trace(&self, flow: FlowId, record: &Value<'static>) -> Result<Trace, Stop> {
        let shared = Arc::clone(&self.context);
        let record = given(record);
        until_answered(&self.context, flow, move |answers| {
            let mapper = Mapper::for_counterparts(&shared.pipeline, flow);
            let mut coverage = crate::mapping::Coverage::new(&shared.pipeline.enums);
            let mut trace = Trace::showing_private();
            mapper.map(&record, answers, &mut coverage, Some(&mut trace));
            trace
        })
        .await
    }
}

fn options(tests: &MappingTests, case: &MappingCase) -> RunOptions {
    let mut options = RunOptions::looking();
    if let (
        TestTask::TwoWay {
            publish: true, sides, ..
        },
        TestedFlow::TwoWay(id),
        Some(pipeline),
    ) = (&case.task, case.flow, tests.pipelines.get(case.pipeline))
    {
        let way = &pipeline.two_way[id];
        let keys = Side::BOTH.into_iter().filter_map(|side| {
            let stream = way.streams[side];
            let key = &pipeline.connections[stream.connection].connector.streams[stream.stream].key;
            key.one(sides[side].as_ref()?)?.key_text()
        });
        options.publish = Some(Publish {
            flow: way.name.clone(),
            keys: keys.collect(),
        });
    }
    options
}

fn in_step(baseline: &TestBaseline) -> InStep {
    InStep {
        sides: PerSide::by(|side| given(&baseline.sides[side])),
        fallbacks: baseline.fallbacks.clone(),
        held: baseline.held.clone(),
    }
}

/// A record as rules read it.
fn given(value: &Value<'_>) -> Record {
    Record::new(Bytes::from(value.to_json()))
}
