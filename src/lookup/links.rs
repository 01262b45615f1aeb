//! Links from the store, as mapping asks for them.
//!
//! A link that exists stays for the run. That there is none is true for the batch that asked only: its record may be
//! created a moment later.

use std::time::{Duration, Instant};

use super::LookupError;
use super::answers::{Answer, Answers};
use crate::compile::compiled::{FlowId, Pipeline};
use crate::expression::Value;
use crate::mapping::{Found, Resolution};
use crate::state::{FlowRef, State};

/// Links by flow and source key.
#[derive(Debug)]
pub(super) struct Links {
    flows: Vec<Answers>,
}

impl Links {
    /// Nothing known, for so many flows.
    pub(super) fn new(flows: usize) -> Self {
        Links {
            flows: (0..flows).map(|_| Answers::default()).collect(),
        }
    }

    /// The answer for a batch that began at `since`.
    pub(super) fn resolve(&self, flow: FlowId, key: &str, since: Instant) -> Resolution {
        let Some(answers) = self.flows.get(flow) else {
            return Resolution::None;
        };
        match answers.find(key, since) {
            None => Resolution::Missing,
            Some(Answer::Failed(message)) => Resolution::Failed(message.to_string()),
            Some(Answer::Found(found)) => match found.first() {
                Some(found) => Resolution::Found(found.clone()),
                None => Resolution::None,
            },
        }
    }

    /// Reads links of one flow from the store. One that has ended is none.
    pub(super) fn fetch(
        &self,
        pipeline: &Pipeline,
        state: &dyn State,
        flow: FlowId,
        keys: &[&str],
    ) -> Result<(), LookupError> {
        let (Some(answers), Some(rule)) = (self.flows.get(flow), pipeline.flows.get(flow)) else {
            return Ok(());
        };
        let flow = FlowRef {
            pipeline: &pipeline.name,
            flow: &rule.name,
        };
        let links = state.links(flow, keys)?;
        for key in keys {
            let target = links
                .get(*key)
                .filter(|link| !link.tombstone)
                .and_then(|link| link.target.as_deref());
            let (answer, fresh_for) = match target {
                Some(target) => {
                    let found = Found {
                        key: Value::text(target.to_owned()),
                        record: Value::Null.into(),
                    };
                    (vec![found.into()], Duration::MAX)
                }
                None => (Vec::new(), Duration::ZERO),
            };
            answers.put(key, Answer::Found(answer.into()), fresh_for);
        }
        Ok(())
    }
}
