//! What a flow promises of its writes, derived from what its sink can do: whether a record may be created twice, and
//! whether a change by somebody else may be overwritten.

use std::time::Duration;

use serde::Serialize;

use super::compiled::{
    CreateWhen, FindAgain, Flow, Match, Mode, OnDelete, OnPairDeleted, Pipeline, Precondition, Stream,
    StreamRef, Write, WritePolicy,
};

/// What one flow, or one direction of a two-way flow, promises of its writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guarantee {
    /// The flow; a direction as `cases.to_local`.
    pub flow: String,
    /// The stream that it writes, as `connection.stream`.
    pub to: String,
    /// What is promised of records that it creates; `None`: it creates none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<String>,
    /// What is promised of records that it changes; `None`: it changes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<String>,
    /// What is promised of records that it deletes; `None`: it deletes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete: Option<String>,
}

/// The guarantee of every flow and direction that may write, in the order in which they run.
pub fn guarantees(pipeline: &Pipeline) -> Vec<Guarantee> {
    let flows = pipeline.flows.iter();
    flows.filter_map(|flow| guarantee(pipeline, flow)).collect()
}

/// The guarantee of one flow or direction; `None` for one that is off or does not travel.
pub fn guarantee(pipeline: &Pipeline, flow: &Flow) -> Option<Guarantee> {
    let two_way = flow.direction_of.and_then(|direction| {
        let two_way = pipeline.two_way.get(direction.two_way)?;
        Some((two_way, direction.to))
    });
    if flow.disabled.is_some() || two_way.is_some_and(|(two_way, to)| !two_way.direction.writes(to)) {
        return None;
    }
    let (sink, to) = stream(pipeline, flow.to)?;
    let (mut creates, mut deletes, mut sets) = (
        flow.mode != Mode::Update,
        flow.mode == Mode::Mirror || matches!(flow.on_delete, OnDelete::Delete),
        false,
    );
    if let Some((two_way, to)) = two_way {
        creates = !matches!(two_way.create[to], CreateWhen::Never);
        deletes = two_way.on_delete[to] == OnPairDeleted::Delete;
        sets = matches!(two_way.on_delete[to], OnPairDeleted::Set(_));
    }
    let updates =
        sets || (flow.mode != Mode::Insert && flow.rows.iter().any(|row| row.write != WritePolicy::OnCreate));
    if sink.file.is_some() {
        return Some(Guarantee {
            flow: flow.name.clone(),
            to,
            create: Some("whole: the file takes the place of the old one when the run completes, else the old one stays".to_owned()),
            update: None,
            delete: None,
        });
    }
    Some(Guarantee {
        create: creates.then(|| created(flow, sink)),
        update: updates.then(|| changed(sink)),
        delete: deletes.then(|| "at least once: what is gone already counts as deleted".to_owned()),
        flow: flow.name.clone(),
        to,
    })
}

fn stream(pipeline: &Pipeline, stream: StreamRef) -> Option<(&Stream, String)> {
    let connection = pipeline.connections.get(stream.connection)?;
    let found = connection.connector.streams.get(stream.stream)?;
    Some((found, format!("{}.{}", connection.name, found.name)))
}

fn created(flow: &Flow, sink: &Stream) -> String {
    let Some(write) = &sink.create else {
        return "once: the system itself tells what exists already (`upsert`)".to_owned();
    };
    let lost = found_again(flow, sink, write);
    let Some(idempotency) = &write.idempotency else {
        return match lost {
            Some(lost) => format!("once: where an answer was lost, {lost}"),
            None => {
                "at most once: where an answer was lost, the record is held until a person decides".to_owned()
            }
        };
    };
    format!(
        "once: for {} the system recognises a request that is sent again (`{}`); later {}",
        length(idempotency.kept_for),
        idempotency.header,
        lost.as_deref()
            .unwrap_or("the record is held until a person decides")
    )
}

/// How a record is found whose creation was sent and never answered. A run settles by it what [`guarantee`] promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostCreate {
    /// It carries the write's own mark.
    Marked,
    /// By what was written, and perhaps by more of its content.
    Written {
        /// Position in the stream's `find`.
        find: usize,
    },
    /// By the flow's match, when its record is read again.
    Matched {
        /// Which of the flow's attempts to match.
        attempt: usize,
        /// Position in the stream's `find`.
        find: usize,
    },
    /// Not at all: it is held until a person has looked.
    Held,
}

/// How a record is found whose creation by this flow was never answered.
pub fn lost_create(flow: &Flow, sink: &Stream) -> LostCreate {
    match sink.create.as_ref().and_then(|write| write.find_again.as_ref()) {
        Some(FindAgain::Marked { .. }) => return LostCreate::Marked,
        Some(FindAgain::Written { find, .. })
            if sink
                .find
                .get(*find)
                .is_some_and(|by| writes(flow, by.by.source())) =>
        {
            return LostCreate::Written { find: *find };
        }
        Some(FindAgain::Written { .. }) | None => {}
    }
    let by_match = |(position, attempt): (usize, &Match)| {
        // All of an attempt's keys must fit, so that all of them must have been written.
        let written = attempt.keys.iter().all(|key| writes(flow, key.theirs.source()));
        let find = attempt.keys.iter().find_map(|key| key.find)?;
        written.then_some(LostCreate::Matched {
            attempt: position,
            find,
        })
    };
    let attempts = flow.matches.iter().enumerate();
    attempts.filter_map(by_match).next().unwrap_or(LostCreate::Held)
}

/// The same for people; `None` where a person has to look.
fn found_again(flow: &Flow, sink: &Stream, write: &Write) -> Option<String> {
    let lag = |find: usize| {
        let behind = sink.find.get(find).map(|find| find.behind).unwrap_or_default();
        match behind.is_zero() {
            true => String::new(),
            false => format!(", once the search has caught up ({})", length(behind)),
        }
    };
    match (lost_create(flow, sink), &write.find_again) {
        (LostCreate::Marked, Some(FindAgain::Marked { marker, .. })) => Some(format!(
            "the write's own mark is read back (`{}`)",
            marker.source()
        )),
        (LostCreate::Written { find }, Some(FindAgain::Written { same, .. })) => {
            let by = sink.find.get(find)?.by.source();
            Some(match same.is_empty() {
                true => format!("the record is found by `{by}`{}", lag(find)),
                false => format!(
                    "the record is found by `{by}` and its content{}; several that are equal are held",
                    lag(find)
                ),
            })
        }
        (LostCreate::Matched { attempt, find }, _) => {
            let key = flow
                .matches
                .get(attempt)?
                .keys
                .iter()
                .find(|key| key.find.is_some())?;
            Some(format!(
                "the record is found by `{}`{}",
                key.theirs.source(),
                lag(find)
            ))
        }
        _ => None,
    }
}

/// Whether a flow writes the field at a plain path.
fn writes(flow: &Flow, path: &str) -> bool {
    let target = super::legs::field_of(path).and_then(|field| super::target::parse_target(&field));
    target.is_some_and(|target| flow.rows.iter().any(|row| row.target.segments == target.segments))
}

fn changed(sink: &Stream) -> String {
    let write = sink.update.as_ref().or(sink.upsert.as_ref());
    match write.and_then(|write| write.precondition.as_ref()) {
        Some(Precondition::InBody(_) | Precondition::AlreadyInBody) => {
            "atomic: the system refuses a write to a record that somebody changed meanwhile, and it is compared again"
        }
        Some(Precondition::ReadAgain) => {
            "read before write, not atomic: the record is read again just before; what somebody changes in between is overwritten"
        }
        None => "read before write, not atomic: what somebody changes in between is overwritten",
    }
    .to_owned()
}

/// A length of time as files write it: `5m`.
fn length(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds > 0 && seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        seconds if seconds > 0 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds > 0 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
