//! Links that a person makes and ends, where keys and matching rules cannot know better.
//!
//! A link is one to one. What is in the way of a new one is never ended on the quiet: the refusal says what it is and how
//! it is taken out of the way. What waits in the queue because of a link is judged again by the next run.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Batch, FlowRef, LinkChange, State, StateError, queue_key};
use crate::compile::compiled::Side;

/// What became of a link that a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// It is new.
    New,
    /// It had ended and lives again.
    Again,
    /// It was there already.
    Already,
}

/// What became of a link that a person wanted gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlinked {
    /// It ended: neither record is matched or created again. Holds the target's key.
    Ended(Option<String>),
    /// It had ended before.
    Already(Option<String>),
    /// Nothing is known of it any more.
    Forgotten(Option<String>),
}

/// Why a link is not changed as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkingError {
    /// The source has a link that lives.
    #[error(
        "`{source_key}` of flow `{flow}` is linked to `{target}`: end that link first, with `crosswalk links remove`"
    )]
    SourceLinked {
        /// The flow.
        flow: String,
        /// The source's key.
        source_key: String,
        /// What it is linked to.
        target: String,
    },
    /// The target has a link that lives.
    #[error(
        "`{target}` of flow `{flow}` is linked to `{taken_by}`: forget that link first, with `crosswalk links remove … {taken_by} --forget`"
    )]
    TargetLinked {
        /// The flow.
        flow: String,
        /// The target's key.
        target: String,
        /// The source that has it.
        taken_by: String,
    },
    /// The target had a link that ended.
    #[error(
        "`{target}` of flow `{flow}` was linked to `{taken_by}`, and it is remembered that this ended: forget it first, with `crosswalk links remove … {taken_by} --forget`"
    )]
    TargetEnded {
        /// The flow.
        flow: String,
        /// The target's key.
        target: String,
        /// The source that had it.
        taken_by: String,
    },
    /// There is no such link.
    #[error("`{source_key}` of flow `{flow}` has no link: `crosswalk links list` shows those that there are")]
    NotLinked {
        /// The flow.
        flow: String,
        /// The source's key.
        source_key: String,
    },
    /// The store failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Links two records, in a two-way flow the remote and the local one. To be called under the pipeline's lease.
///
/// # Errors
/// One of them is linked to another record, or was and must not be linked again.
pub fn link(
    state: &dyn State,
    flow: FlowRef<'_>,
    source: &str,
    target: &str,
) -> Result<Linked, LinkingError> {
    let known = state.links(flow, &[source])?.remove(source);
    if let Some(known) = &known
        && !known.tombstone
    {
        return match &known.target {
            Some(other) if other == target => Ok(Linked::Already),
            other => Err(LinkingError::SourceLinked {
                flow: flow.flow.to_owned(),
                source_key: source.to_owned(),
                target: other.clone().unwrap_or_default(),
            }),
        };
    }
    if let Some(taken_by) = state.linked_sources(flow, &[target])?.remove(target)
        && taken_by != source
    {
        let ended = state
            .links(flow, &[&taken_by])?
            .get(&taken_by)
            .is_some_and(|link| link.tombstone);
        let (flow, target) = (flow.flow.to_owned(), target.to_owned());
        return Err(match ended {
            true => LinkingError::TargetEnded {
                flow,
                target,
                taken_by,
            },
            false => LinkingError::TargetLinked {
                flow,
                target,
                taken_by,
            },
        });
    }
    let change = LinkChange::Put {
        source: source.to_owned(),
        target: target.to_owned(),
    };
    commit(state, flow, change, source, Some(target))?;
    let before = known.and_then(|known| known.target);
    Ok(match before {
        Some(before) if before == target => Linked::Again,
        Some(_) | None => Linked::New,
    })
}

/// Ends a source's link, so that neither record is matched or created again, or forgets it altogether, so that both are
/// taken for records without a link. To be called under the pipeline's lease.
///
/// # Errors
/// There is no such link.
pub fn unlink(
    state: &dyn State,
    flow: FlowRef<'_>,
    source: &str,
    forget: bool,
) -> Result<Unlinked, LinkingError> {
    let Some(known) = state.links(flow, &[source])?.remove(source) else {
        return Err(LinkingError::NotLinked {
            flow: flow.flow.to_owned(),
            source_key: source.to_owned(),
        });
    };
    if known.tombstone && !forget {
        return Ok(Unlinked::Already(known.target));
    }
    let source_key = source.to_owned();
    let change = match forget {
        true => LinkChange::Forget { source: source_key },
        false => LinkChange::End { source: source_key },
    };
    commit(state, flow, change, source, known.target.as_deref())?;
    Ok(match forget {
        true => Unlinked::Forgotten(known.target),
        false => Unlinked::Ended(known.target),
    })
}

fn commit(
    state: &dyn State,
    flow: FlowRef<'_>,
    change: LinkChange,
    source: &str,
    target: Option<&str>,
) -> Result<(), StateError> {
    let mut batch = Batch::new(flow, Uuid::now_v7(), Timestamp::now());
    batch.links.push(change);
    state.commit(&batch)?;
    let remote = queue_key(Side::Remote, source);
    let local = target.map(|target| queue_key(Side::Local, target));
    let waiting: Vec<&str> = [Some(source), Some(remote.as_str()), local.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    state.queue_retry(flow, &waiting)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::SqliteState;
    use super::*;

    const CASES: FlowRef<'static> = FlowRef {
        pipeline: "sync",
        flow: "cases",
    };

    fn target_of(state: &dyn State, source: &str) -> Option<(Option<String>, bool)> {
        let link = state.links(CASES, &[source]).unwrap().remove(source)?;
        Some((link.target, link.tombstone))
    }

    #[test]
    fn a_link_that_ended_comes_to_life_only_when_it_is_asked_for() {
        let state = SqliteState::in_memory().unwrap();
        assert_eq!(link(&state, CASES, "7", "a").unwrap(), Linked::New);
        assert_eq!(link(&state, CASES, "7", "a").unwrap(), Linked::Already);
        let a = Some("a".to_owned());
        assert_eq!(
            unlink(&state, CASES, "7", false).unwrap(),
            Unlinked::Ended(a.clone())
        );
        assert_eq!(
            unlink(&state, CASES, "7", false).unwrap(),
            Unlinked::Already(a.clone())
        );
        assert_eq!(target_of(&state, "7"), Some((a.clone(), true)));
        assert_eq!(link(&state, CASES, "7", "a").unwrap(), Linked::Again);
        assert_eq!(target_of(&state, "7"), Some((a, false)));
    }

    #[test]
    fn what_is_in_the_way_stays_and_is_named() {
        let state = SqliteState::in_memory().unwrap();
        link(&state, CASES, "7", "a").unwrap();
        assert!(matches!(
            link(&state, CASES, "7", "b").unwrap_err(),
            LinkingError::SourceLinked { target, .. } if target == "a"
        ));
        assert!(matches!(
            link(&state, CASES, "8", "a").unwrap_err(),
            LinkingError::TargetLinked { taken_by, .. } if taken_by == "7"
        ));
        unlink(&state, CASES, "7", false).unwrap();
        assert!(matches!(
            link(&state, CASES, "8", "a").unwrap_err(),
            LinkingError::TargetEnded { taken_by, .. } if taken_by == "7"
        ));
        unlink(&state, CASES, "7", true).unwrap();
        assert_eq!(target_of(&state, "7"), None);
        assert_eq!(link(&state, CASES, "8", "a").unwrap(), Linked::New);
        assert!(matches!(
            unlink(&state, CASES, "7", true).unwrap_err(),
            LinkingError::NotLinked { .. }
        ));
    }
}
