//! One test suite that every implementation of [`super::State`] passes.
//!
//! `state_suite!(expression)` makes a test of each function here; the expression gives a new, empty store.

pub(super) mod pairs;
pub(super) mod queue;
pub(super) mod two_way;
pub(super) mod writes;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Baseline, Batch, Digest, FlowRef, QueueItem, QueueKind, QueuedRecord, RowBaseline, State};

/// Makes a test of every function of the suite for a store that `$make` gives.
macro_rules! state_suite {
    ($make:expr) => {
        $crate::state::suite::state_suite!($make;
            pairs: links_are_found_both_ways, a_target_has_one_source, ended_links_leave_tombstones,
                links_come_in_key_order, baselines_survive_whole, older_observations_change_no_baseline,
                cursors_belong_to_flow_and_stream, flows_of_other_pipelines_are_others, a_refused_batch_changes_nothing;
            queue: newer_observations_replace_older_ones, success_clears_what_is_not_newer,
                what_was_loaded_later_makes_a_retry_stale, two_observations_in_one_batch_end_with_the_newer,
                rejected_items_are_retried_until_their_attempts_end, waiting_items_are_retried_once_their_link_exists,
                a_person_can_ask_for_a_retry_or_drop, lists_are_filtered;
            writes: intents_are_open_until_settled, a_key_is_claimed_once, claims_of_dead_runs_are_taken_over,
                creations_are_believed_for_a_while, cached_lookups_expire, fallbacks_are_replaced_per_record,
                budgets_are_shared, sequences_only_grow, runs_are_remembered, status_counts;
            two_way: pairs_are_found_from_both_sides, pairs_come_in_the_order_of_either_side,
                a_pair_moves_with_its_batch_or_not_at_all, older_or_unlinked_pairs_are_left_out,
                a_pair_ends_with_its_link, a_new_counterpart_starts_without_baseline,
                intents_keep_what_a_pair_becomes, fallbacks_of_both_sides_are_kept_apart,
                held_rows_are_listed_with_both_values, a_person_chooses_the_side_of_a_row;
        );
    };
    ($make:expr; $($module:ident: $($name:ident),+;)+) => {
        $($(
            #[test]
            fn $name() {
                $crate::state::suite::run(&$make, $crate::state::suite::$module::$name);
            }
        )+)+
    };
}
pub(super) use state_suite;

/// Runs one test of the suite on a new store.
pub(super) fn run(state: &impl State, test: fn(&dyn State)) {
    test(state);
}

const CASES: FlowRef<'static> = FlowRef {
    pipeline: "helpdesk-crm",
    flow: "cases",
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn run_number(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn batch() -> Batch {
    Batch::new(CASES, run_number(1), at(0))
}

fn baseline(sequence: u64, digest: u8) -> Baseline {
    Baseline {
        source_version: Some("2024-05-01T00:00:00Z".to_owned()),
        sequence,
        whole: Digest([digest; 16]),
        names: vec!["subject".to_owned(), "status.id".to_owned()].into(),
        rows: vec![
            RowBaseline {
                digest: Some(Digest([digest; 16])),
                fallback: true,
                held: false,
            },
            RowBaseline::default(),
        ],
    }
}

fn item(kind: QueueKind, key: &str, sequence: u64) -> QueueItem {
    QueueItem {
        kind,
        key: key.to_owned(),
        field: Some("priority.id".to_owned()),
        rule: "enum priorities".to_owned(),
        code: "unknown_value".to_owned(),
        reason: "`blocker` is not in the table".to_owned(),
        value: Some("blocker".to_owned()),
        record: QueuedRecord::AsReceived(format!("{{\"id\":\"{key}\"}}")),
        attempts: 1,
        first_seen: at(10),
        last_seen: at(10),
        sequence,
        run: run_number(1),
        waits_for: None,
        held_rows: Vec::new(),
    }
}
