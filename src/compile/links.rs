//! Which flow's links a `link` reads, and which flow's pairs are the parents that `of` names.
//!
//! A two-way flow is read through one of its directions: the one that writes the side whose key is wanted. Between which
//! systems the own flow goes says which; where it does not, the reference names it (`cases.to_local`).

use super::compiled::{FlowId, Side};
use super::legs::stream;
use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use super::rows::FlowPlace;
use super::stream_facts::StreamFacts;
use crate::definition::{AnyFlow, TwoWayFlow};
use crate::diagnostic::Code;

/// Position of the direction that writes a side, of a two-way flow that begins at `flow`.
pub(super) fn direction(flow: FlowId, to: Side) -> FlowId {
    match to {
        Side::Local => flow,
        Side::Remote => flow + 1,
    }
}

/// A reference to a flow, perhaps to one of its directions: `cases` or `cases.to_local`.
pub(super) fn taken_apart(text: &str) -> (&str, Option<Side>) {
    for side in Side::BOTH {
        let name = text
            .strip_suffix(side.direction())
            .and_then(|name| name.strip_suffix('.'));
        if let Some(name) = name {
            return (name, Some(side));
        }
    }
    (text, None)
}

fn connection(stream: &str) -> &str {
    stream
        .split_once('.')
        .map_or(stream, |(connection, _)| connection)
}

impl PipelineChecks<'_, '_> {
    /// The flow whose links are read, as rules and matches name it. `is_own`: by the key of the record itself.
    pub(super) fn linked(
        &self,
        at: &Pointer,
        text: &str,
        is_own: bool,
        place: Option<FlowPlace<'_>>,
    ) -> Option<FlowId> {
        let (name, side) = taken_apart(text);
        let id = self.flow_id(at, name)?;
        match self.definition.flows.get(name)? {
            AnyFlow::OneWay(flow) => {
                if side.is_some() {
                    self.checks.error(Code::UnknownFlow, at, |report| {
                        report
                            .message(format!("`{name}` goes one way, so it has no direction to choose"))
                            .hint(format!("write `{name}`"))
                    });
                    return None;
                }
                self.own_link(at, name, &flow.from, "from", is_own, place);
                Some(id)
            }
            AnyFlow::TwoWay(flow) => {
                let wanted = side.or_else(|| wanted_side(flow, place));
                let Some(wanted) = wanted else {
                    self.checks.error(Code::WrongChildren, at, |report| {
                        report
                            .message(format!(
                                "`{name}` goes both ways, and it cannot be told which side's key is wanted here"
                            ))
                            .hint(format!(
                                "write `{name}.to_local` for the local record's key, `{name}.to_remote` for the remote one's"
                            ))
                    });
                    return None;
                };
                let read = wanted.other();
                self.own_link(at, name, stream(flow, read), read.name(), is_own, place);
                Some(direction(id, wanted))
            }
        }
    }

    /// A link without `key` is that of the record itself, so the other flow must read the same stream; with `of` it is
    /// that of the parent.
    fn own_link(
        &self,
        at: &Pointer,
        name: &str,
        reads: &str,
        word: &str,
        is_own: bool,
        place: Option<FlowPlace<'_>>,
    ) {
        let Some(place) = place.filter(|_| is_own) else {
            return;
        };
        if place.from == reads || place.of == Some(name) {
            return;
        }
        self.checks.error(Code::WrongChildren, at, |report| {
            report
                .message(format!(
                    "the flow `{name}` links records of `{reads}`, and this one reads `{}`",
                    place.from
                ))
                .label(
                    Pointer::root().key("flows").key(name).key(word).as_str(),
                    "its records",
                )
                .hint("say with `key` where this record has the key of the other one")
        });
    }

    /// The flow whose linked records are the parents of the records of `from`.
    pub(super) fn parent_flow(
        &self,
        at: &Pointer,
        of: &str,
        from: &str,
        source: Option<&StreamFacts>,
    ) -> Option<FlowId> {
        let id = self.flow_id(at, of)?;
        let (Some(parent), Some(source)) = (self.definition.flows.get(of), source) else {
            return Some(id);
        };
        let wanted = source
            .parent
            .as_ref()
            .map(|parent| format!("{}.{parent}", connection(from)));
        let (found, reads) = match parent {
            AnyFlow::OneWay(parent) => (
                (wanted.as_ref() == Some(&parent.from)).then_some(id),
                format!("`{}`", parent.from),
            ),
            AnyFlow::TwoWay(parent) => {
                let is_parent = |side: &Side| wanted.as_deref() == Some(stream(parent, *side));
                let side = Side::BOTH.into_iter().find(is_parent);
                (
                    side.map(|side| direction(id, side.other())),
                    format!("`{}` and `{}`", parent.remote, parent.local),
                )
            }
        };
        if found.is_some() {
            return found;
        }
        self.checks
            .error(Code::WrongChildren, at, |report| match &wanted {
                Some(wanted) => report
                    .message(format!(
                        "records of `{from}` are children of `{wanted}`, and the flow `{of}` reads {reads}"
                    ))
                    .hint("name a flow that reads the parents"),
                None => report
                    .message(format!(
                        "records of `{from}` have no parents, so they are nobody's children"
                    ))
                    .hint("leave out `of`, or describe the parent in the connector's stream"),
            });
        None
    }
}

/// The side of a two-way flow whose key a flow between two streams wants: that of the system that it does not read.
fn wanted_side(flow: &TwoWayFlow, place: Option<FlowPlace<'_>>) -> Option<Side> {
    let place = place?;
    let only = |fits: &dyn Fn(Side) -> bool| {
        let mut found = Side::BOTH.into_iter().filter(|side| fits(*side));
        found.next().filter(|_| found.next().is_none())
    };
    only(&|side| stream(flow, side.other()) == place.from)
        .or_else(|| only(&|side| connection(stream(flow, side.other())) == connection(place.from)))
        .or_else(|| only(&|side| connection(stream(flow, side)) == connection(place.to)))
}
