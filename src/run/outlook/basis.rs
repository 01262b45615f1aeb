//! What a plan rests on: configuration, parameters, accounts, cursors and the state's last run. A plan that is to be
//! executed later is good only while none of it has moved.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compile::compiled::Pipeline;
use crate::run::{RunOptions, Stop};
use crate::snapshot::Configuration;
use crate::state::{Digest, Digester, FlowRef, State};

/// What a plan rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanBasis {
    /// The pipeline.
    pub pipeline: String,
    /// Version of the program that made it.
    pub program: String,
    /// When it was made.
    #[schemars(with = "String")]
    pub made: Timestamp,
    /// Digests of the files that configure the pipeline.
    pub configuration: Configuration,
    /// What was asked for.
    pub asked: PlanAsked,
    /// Identifies the state file.
    pub state: String,
    /// Keyed digests of the parameters' values.
    pub params: BTreeMap<String, String>,
    /// Keyed digests of what each connection leads to; empty for a rehearsal.
    pub systems: BTreeMap<String, String>,
    /// The last run that the state knows of.
    pub last_run: Option<String>,
    /// The cursors from which was read.
    pub cursors: Vec<PlanCursor>,
    /// Writes of an interrupted run of which nobody knows whether they were carried out.
    pub unsettled: u64,
}

/// What a plan was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanAsked {
    /// Only these flows; none named: all.
    pub flows: Vec<String>,
    /// Only records of these keys.
    pub only: Vec<String>,
    /// At most so many records of each flow.
    pub limit: Option<u64>,
    /// Everything was read again, whatever the cursors say.
    pub full: bool,
}

/// A cursor as it stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanCursor {
    /// The flow; a two-way flow has one for each side.
    pub flow: String,
    /// The stream.
    pub stream: String,
    /// Where it stood; null if the stream had never been read.
    pub at: Option<serde_json::Value>,
}

impl PlanBasis {
    /// What a plan of these options rests on now.
    pub(crate) fn now(pipeline: &Pipeline, options: &RunOptions, state: &dyn State) -> Result<Self, Stop> {
        let digester = Digester::new(state.digest_key());
        let keyed = |text: &str| {
            let Digest(digest) = digester.digest(text.as_bytes());
            digest
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let params = match &pipeline.params {
            crate::expression::Value::Map(params) => params
                .iter()
                .map(|(name, value)| ((*name).to_owned(), keyed(&value.to_json())))
                .collect(),
            _ => BTreeMap::new(),
        };
        let systems = match options.rehearsal {
            true => BTreeMap::new(),
            false => pipeline
                .connections
                .iter()
                .map(|connection| {
                    let leads_to = format!("{} {}", connection.connector_name, connection.settings.to_json());
                    (connection.name.clone(), keyed(&leads_to))
                })
                .collect(),
        };
        Ok(PlanBasis {
            pipeline: pipeline.name.clone(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            made: Timestamp::now(),
            configuration: Configuration {
                pipeline: pipeline.digest.clone(),
                sources: pipeline.sources.clone(),
            },
            asked: PlanAsked {
                flows: options.flows.clone(),
                only: options.only.clone(),
                limit: options.limit,
                full: options.full,
            },
            state: keyed("state"),
            params,
            systems,
            last_run: state
                .runs(&pipeline.name, 1)?
                .first()
                .map(|run| run.start.id.to_string()),
            cursors: cursors(pipeline, state)?,
            unsettled: state.open_intents(&pipeline.name)?.len() as u64,
        })
    }

    /// Which part has moved since; `now` is what holds now.
    pub(crate) fn moved(&self, now: &PlanBasis) -> Option<String> {
        if self.pipeline != now.pipeline {
            return Some(format!("it is a plan of pipeline `{}`", self.pipeline));
        }
        if self.configuration.pipeline != now.configuration.pipeline {
            return Some("the pipeline file has changed".to_owned());
        }
        let sources = |basis: &PlanBasis| basis.configuration.sources.iter().cloned().collect();
        if let Some(name) = changed(&sources(self), &sources(now)) {
            return Some(format!("`{name}` has changed"));
        }
        if self.state != now.state {
            return Some("it was made with another state file".to_owned());
        }
        if let Some(name) = changed(&self.params, &now.params) {
            return Some(format!("parameter `{name}` has another value"));
        }
        if let Some(name) = changed(&self.systems, &now.systems) {
            return Some(format!("connection `{name}` has other settings"));
        }
        if let (true, Some(run)) = (self.last_run != now.last_run, &now.last_run) {
            return Some(format!("run {run} has been made since"));
        }
        let differs = |cursor: &&PlanCursor| !now.cursors.contains(cursor);
        if let Some(cursor) = self.cursors.iter().find(differs) {
            return Some(format!(
                "the cursor of flow `{}` in `{}` has moved",
                cursor.flow, cursor.stream
            ));
        }
        if self.last_run != now.last_run || self.cursors.len() != now.cursors.len() {
            return Some("the state has forgotten what it knew then".to_owned());
        }
        (self.unsettled + now.unsettled > 0).then(|| {
            "an interrupted run left writes of which nobody knows whether they were carried out, and only `crosswalk run` settles them"
                .to_owned()
        })
    }
}

/// The first name whose value differs between two sets of named values, or that only one of them has.
fn changed<'s>(then: &'s BTreeMap<String, String>, now: &'s BTreeMap<String, String>) -> Option<&'s str> {
    let mut names = then.keys().chain(now.keys());
    names
        .find(|name| then.get(*name) != now.get(*name))
        .map(String::as_str)
}

fn cursors(pipeline: &Pipeline, state: &dyn State) -> Result<Vec<PlanCursor>, Stop> {
    let mut cursors: Vec<PlanCursor> = Vec::new();
    for (id, flow) in pipeline.flows.iter().enumerate() {
        let name = pipeline.written_name(id);
        let connection = &pipeline.connections[flow.from.connection];
        let stream = format!(
            "{}.{}",
            connection.name, connection.connector.streams[flow.from.stream].name
        );
        let at = FlowRef {
            pipeline: &pipeline.name,
            flow: name,
        };
        let stored = state.cursor(at, &stream)?;
        cursors.push(PlanCursor {
            flow: name.to_owned(),
            stream,
            at: stored.and_then(|stored| serde_json::from_str(&stored.cursor).ok()),
        });
    }
    Ok(cursors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis() -> PlanBasis {
        PlanBasis {
            pipeline: "tickets".to_owned(),
            program: "1".to_owned(),
            made: Timestamp::UNIX_EPOCH,
            configuration: Configuration {
                pipeline: "p".to_owned(),
                sources: vec![("connectors/crm.yaml".to_owned(), "c".to_owned())],
            },
            asked: PlanAsked::default(),
            state: "s".to_owned(),
            params: BTreeMap::from([("owner".to_owned(), "o".to_owned())]),
            systems: BTreeMap::from([("crm".to_owned(), "a".to_owned())]),
            last_run: Some("r1".to_owned()),
            cursors: vec![PlanCursor {
                flow: "cases".to_owned(),
                stream: "helpdesk.tickets".to_owned(),
                at: Some(serde_json::json!({"Key": "7"})),
            }],
            unsettled: 0,
        }
    }

    #[test]
    fn every_part_that_moves_is_named() {
        type Move = fn(&mut PlanBasis);
        let cases: [(Move, &str); 9] = [
            (
                |now| now.pipeline = "other".to_owned(),
                "a plan of pipeline `tickets`",
            ),
            (
                |now| now.configuration.pipeline = "q".to_owned(),
                "the pipeline file has changed",
            ),
            (
                |now| now.configuration.sources[0].1 = "d".to_owned(),
                "`connectors/crm.yaml` has changed",
            ),
            (|now| now.state = "t".to_owned(), "another state file"),
            (|now| now.params.clear(), "parameter `owner`"),
            (
                |now| *now.systems.get_mut("crm").unwrap() = "b".to_owned(),
                "connection `crm`",
            ),
            (
                |now| now.last_run = Some("r2".to_owned()),
                "run r2 has been made since",
            ),
            (
                |now| now.cursors[0].at = None,
                "the cursor of flow `cases` in `helpdesk.tickets` has moved",
            ),
            (|now| now.unsettled = 1, "only `crosswalk run` settles them"),
        ];
        for (change, words) in cases {
            let mut now = basis();
            change(&mut now);
            let moved = basis().moved(&now).expect(words);
            assert!(moved.contains(words), "{moved}");
        }
        let mut later = basis();
        later.made = Timestamp::MAX;
        assert_eq!(basis().moved(&later), None);
    }
}
