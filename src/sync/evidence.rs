//! What an observation is worth: whether it is newer than what is known, whether its stamp can guard a write, and
//! which side was changed last.

use jiff::{SignedDuration, Timestamp};

use crate::compile::compiled::{PerSide, Side};
use crate::state::SideMark;

/// One reading of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation<'a> {
    /// Number of its request, drawn before it was sent.
    pub sequence: u64,
    /// The record's version or change stamp, where the stream has one.
    pub version: Option<&'a str>,
    /// It was read by its key, from where the system answers with what was last written.
    pub by_key: bool,
}

/// What to do with an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may be compared with the baseline, also where its version is the same.
    Evidence,
    /// It is older than the baseline: the record is read again by its key.
    ReadAgain,
}

/// Whether an observation may be compared with what a side of the baseline rests on.
pub fn freshness(observation: &Observation<'_>, mark: Option<&SideMark>) -> Freshness {
    let Some(mark) = mark else {
        return Freshness::Evidence;
    };
    let older_version = || match (observation.version, mark.version.as_deref()) {
        (Some(observed), Some(known)) => is_smaller(observed, known),
        _ => false,
    };
    // A list may lag behind; what is read by key after the mark is how things are, whatever version it bears.
    if observation.sequence < mark.sequence || !observation.by_key && older_version() {
        Freshness::ReadAgain
    } else {
        Freshness::Evidence
    }
}

/// Whether one version comes before another: as instants or as numbers, where both are; else nobody knows.
fn is_smaller(observed: &str, known: &str) -> bool {
    if let (Ok(observed), Ok(known)) = (observed.parse::<Timestamp>(), known.parse::<Timestamp>()) {
        return observed < known;
    }
    if let (Ok(observed), Ok(known)) = (observed.parse::<u64>(), known.parse::<u64>()) {
        return observed < known;
    }
    false
}

/// Whether a change stamp can guard a write: every edit after the reading must get another one. A stamp that was younger
/// than its grain and a second when it was read, by the system's own clock, cannot; the record is read again then.
pub fn is_precondition(stamp: Timestamp, grain: SignedDuration, read_at: Timestamp) -> bool {
    grain
        .checked_add(SignedDuration::from_secs(1))
        .and_then(|until| stamp.checked_add(until).ok())
        .is_some_and(|until| until <= read_at)
}

/// The side whose record was changed last, by the records' change times and how far each system's clock is ahead of
/// ours. `None` where that cannot be told: a time is missing, both are equal, or one is that of our own last write.
pub fn changed_last(
    changed_at: PerSide<Option<Timestamp>>,
    clock_ahead: PerSide<SignedDuration>,
    own_write: PerSide<bool>,
) -> Option<Side> {
    if own_write.remote || own_write.local {
        return None;
    }
    let corrected = |side: Side| changed_at[side]?.checked_sub(clock_ahead[side]).ok();
    let (remote, local) = (corrected(Side::Remote)?, corrected(Side::Local)?);
    match remote.cmp(&local) {
        std::cmp::Ordering::Less => Some(Side::Local),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(Side::Remote),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn mark(sequence: u64, version: Option<&str>) -> SideMark {
        SideMark {
            sequence,
            version: version.map(str::to_owned),
            own_write: false,
        }
    }

    fn listed(sequence: u64, version: Option<&str>) -> Observation<'_> {
        Observation {
            sequence,
            version,
            by_key: false,
        }
    }

    #[test]
    fn older_observations_are_read_again_and_equal_versions_are_compared() {
        let known = mark(10, Some("2024-05-01T10:00:00Z"));
        let judged = |sequence, version| freshness(&listed(sequence, version), Some(&known));
        assert_eq!(judged(9, Some("2024-05-01T10:00:05Z")), Freshness::ReadAgain);
        assert_eq!(
            judged(11, Some("2024-05-01T11:59:59+02:00")),
            Freshness::ReadAgain
        );
        assert_eq!(judged(11, Some("2024-05-01T10:00:00Z")), Freshness::Evidence);
        assert_eq!(judged(11, Some("2024-05-01T12:00:00+02:00")), Freshness::Evidence);
        assert_eq!(judged(10, None), Freshness::Evidence);
        assert_eq!(freshness(&listed(1, None), None), Freshness::Evidence);
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_other_versions_not_at_all() {
        let judged = |known, observed| freshness(&listed(2, Some(observed)), Some(&mark(1, Some(known))));
        assert_eq!(judged("10", "9"), Freshness::ReadAgain);
        assert_eq!(judged("9", "10"), Freshness::Evidence);
        assert_eq!(judged("W/\"b\"", "W/\"a\""), Freshness::Evidence);
    }

    #[test]
    fn what_is_read_by_key_later_is_believed_whatever_its_version() {
        let known = mark(10, Some("20"));
        let mut observation = listed(11, Some("19"));
        observation.by_key = true;
        assert_eq!(freshness(&observation, Some(&known)), Freshness::Evidence);
        observation.sequence = 9;
        assert_eq!(freshness(&observation, Some(&known)), Freshness::ReadAgain);
    }

    #[test]
    fn a_young_stamp_guards_nothing() {
        let grain = SignedDuration::from_secs(1);
        assert!(!is_precondition(second(0), grain, second(0)));
        assert!(!is_precondition(second(0), grain, second(1)));
        assert!(is_precondition(second(0), grain, second(2)));
        assert!(!is_precondition(second(5), grain, second(0)));
        assert!(!is_precondition(second(0), SignedDuration::MAX, second(9)));
    }

    #[test]
    fn the_newest_side_is_told_only_where_it_can_be() {
        let times = |remote, local| PerSide { remote, local };
        let (early, late) = (Some(second(0)), Some(second(5)));
        let even = PerSide::default();
        let foreign = PerSide::default();
        assert_eq!(changed_last(times(early, late), even, foreign), Some(Side::Local));
        assert_eq!(
            changed_last(times(late, early), even, foreign),
            Some(Side::Remote)
        );
        assert_eq!(changed_last(times(late, late), even, foreign), None);
        assert_eq!(changed_last(times(late, None), even, foreign), None);
        let local_ahead = PerSide {
            remote: SignedDuration::ZERO,
            local: SignedDuration::from_secs(10),
        };
        assert_eq!(
            changed_last(times(early, late), local_ahead, foreign),
            Some(Side::Remote)
        );
        let ours = PerSide {
            remote: false,
            local: true,
        };
        assert_eq!(changed_last(times(early, late), even, ours), None);
    }
}
