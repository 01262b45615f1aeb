//! Bounds on what a run may do to a flow: the guard, judged before the first write, and the reject budget, judged as
//! batches are committed.

use super::context::Context;
use super::{FlowSummary, Stop};
use crate::compile::compiled::{Allowance, Flow, Guard, OnDelete};

/// A share of rejects means little among few records; below this many read it is judged at the flow's end only.
const SHARE_COUNTS_FROM: u64 = 200;

/// The words of a guard, and what each counts.
pub(crate) const CHANGED: (&str, &str) = ("change_at_most", "created or changed");
pub(crate) const DELETED: (&str, &str) = ("delete_at_most", "deleted");

/// A flow's guard. What may delete and says nothing about it may not delete anything.
pub(crate) fn guard_of(flow: &Flow) -> Option<Guard> {
    match (&flow.guard, &flow.on_delete) {
        (Some(guard), _) => Some(guard.clone()),
        (None, OnDelete::Delete) => Some(Guard {
            change_at_most: Allowance::Unlimited,
            delete_at_most: Allowance::Count(0),
        }),
        (None, OnDelete::Keep | OnDelete::Unlink) => None,
    }
}

/// Why a guard stops a run, if it does.
pub(crate) fn refusal(
    flow: &Flow,
    (word, what): (&str, &str),
    count: u64,
    most: Allowance,
    linked: u64,
) -> Option<Stop> {
    let beyond = match most {
        Allowance::Count(most) => count > most,
        // Without links there is nothing to take a share of: a first run needs a number or a confirmation.
        Allowance::Share(most) => count as f64 > most * linked as f64,
        Allowance::Unlimited => false,
    };
    beyond.then(|| {
        Stop::Refused(format!(
            "flow `{}` would have {count} records {what}, of {linked} linked ones, which is more than its `guard.{word}` allows; look at `run --dry-run`; if this is meant, run with --yes or widen the guard",
            flow.name
        ))
    })
}

/// Fails unless the flow's guard lets so many records be deleted; without a guard none may.
pub(crate) fn deletions_allowed(context: &Context, flow: &Flow, count: u64) -> Result<(), Stop> {
    let most = flow
        .guard
        .as_ref()
        .map_or(Allowance::Count(0), |guard| guard.delete_at_most);
    let linked = context.state.link_count(context.flow_ref(flow))?;
    refusal(flow, DELETED, count, most, linked).map_or(Ok(()), Err)
}

/// Stops when more records were rejected than the flow allows.
pub(crate) fn check_rejects(allow: &Allowance, summary: &FlowSummary, at_end: bool) -> Result<(), Stop> {
    let (read, rejected) = (summary.read + summary.retried, summary.rejected);
    let over = match allow {
        Allowance::Unlimited => false,
        Allowance::Count(most) => rejected > *most,
        Allowance::Share(most) => {
            (at_end || read >= SHARE_COUNTS_FROM) && rejected as f64 > most * read as f64
        }
    };
    if over {
        return Err(Stop::RejectBudget {
            flow: summary.flow.clone(),
            rejected,
            read,
        });
    }
    Ok(())
}
