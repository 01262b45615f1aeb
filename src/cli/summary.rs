//! The summary of a run for people: flows by outcomes, what deserves a look, where the snapshots lie, what to do next.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::table::{Align, Table, shorten};
use crate::run::{Ending, FlowSummary, Summary};
use crate::telemetry::progress::grouped;

/// How many values of an enum table that are not listed are shown for each table.
const UNKNOWN_SHOWN: usize = 5;

/// A count of a flow, and whether its column stands even when it is zero everywhere.
type Column = (&'static str, fn(&FlowSummary) -> u64, bool);

const COLUMNS: [Column; 15] = [
    ("read", |flow| flow.read, true),
    ("retried", |flow| flow.retried, false),
    ("created", |flow| flow.created, true),
    ("updated", |flow| flow.updated, true),
    ("deleted", |flow| flow.deleted, false),
    ("unchanged", |flow| flow.unchanged, true),
    ("duplicate", |flow| flow.duplicate, false),
    ("filtered", |flow| flow.filtered, false),
    ("skipped", |flow| flow.skipped, false),
    ("rejected", |flow| flow.rejected, true),
    ("held", |flow| flow.held, false),
    ("waiting", |flow| flow.waiting, false),
    ("unfinished", |flow| flow.unfinished, false),
    ("writes", |flow| flow.writes, true),
    ("fields changed", |flow| flow.field_changes, false),
];

/// A count of what the two sides of a flow disagreed about.
type Disagreement = (&'static str, fn(&FlowSummary) -> u64);

/// What the two sides of a flow disagreed about, in fields.
const DISAGREEMENTS: [Disagreement; 4] = [
    ("both sides had changed", |flow| flow.conflicts),
    ("differed when first linked", |flow| flow.first_links),
    ("change not carried over", |flow| flow.not_carried),
    ("answered with another value", |flow| flow.altered),
];

/// What a person reads after a run. `queue_command` lists the pipeline's queue, options included.
pub(super) fn render(summary: &Summary, queue_command: &str) -> String {
    let mut text = String::new();
    let lasted = Duration::try_from(summary.ended.duration_since(summary.started)).unwrap_or_default();
    let _ = writeln!(
        text,
        "{}: {} (run {}, {}{})",
        summary.pipeline,
        ending(&summary.ending),
        summary.run,
        duration(lasted),
        if summary.dry_run {
            ", dry run: nothing was written"
        } else {
            ""
        },
    );
    if let Some(message) = &summary.message {
        let _ = writeln!(text, "  {message}");
    }
    if let Some(continues) = &summary.continues {
        let _ = writeln!(text, "  continues run {continues}");
    }
    if !summary.flows.is_empty() {
        text.push('\n');
        text.push_str(&flows(&summary.flows));
    }
    let details = details(&summary.flows);
    if !details.is_empty() {
        text.push('\n');
        text.push_str(&details);
    }
    text.push('\n');
    text.push_str(&facts(summary));
    if let Some(next) = next_step(summary, queue_command) {
        let _ = writeln!(text, "next       {next}");
    }
    text
}

fn flows(flows: &[FlowSummary]) -> String {
    let shown: Vec<Column> = COLUMNS
        .into_iter()
        .filter(|(_, count, always)| *always || flows.iter().any(|flow| count(flow) > 0))
        .collect();
    let mut table = Table::new(
        std::iter::once(("flow", Align::Left)).chain(shown.iter().map(|(name, _, _)| (*name, Align::Right))),
    );
    for flow in flows {
        table.row(
            std::iter::once(flow.flow.clone()).chain(shown.iter().map(|(_, count, _)| grouped(count(flow)))),
        );
    }
    table.render()
}

/// What deserves a look although it stopped nothing: what two sides disagreed about, fallbacks, created references, values
/// that no table lists.
fn details(flows: &[FlowSummary]) -> String {
    let mut table = Table::new([
        ("what", Align::Left),
        ("where", Align::Left),
        ("times", Align::Right),
    ]);
    let mut any = false;
    let mut row = |what: &str, place: String, times: u64| {
        any = true;
        table.row([what.to_owned(), place, grouped(times)]);
    };
    for flow in flows {
        for (what, count) in DISAGREEMENTS {
            if count(flow) > 0 {
                row(what, flow.flow.clone(), count(flow));
            }
        }
        for (field, times) in flow.fallbacks.iter().filter(|(_, times)| **times > 0) {
            row("fallback used", format!("{}.{field}", flow.flow), *times);
        }
        for (lookup, times) in flow.references_created.iter().filter(|(_, times)| **times > 0) {
            row(
                "record created by lookup",
                format!("{}, {lookup}", flow.flow),
                *times,
            );
        }
        for (table, values) in &flow.unknown_values {
            let mut values: Vec<(&String, &u64)> = values.iter().collect();
            values.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
            for (value, times) in values.iter().take(UNKNOWN_SHOWN) {
                row(
                    "value not in enum table",
                    format!("{}, {table}: {}", flow.flow, shorten(value, 40)),
                    **times,
                );
            }
            if values.len() > UNKNOWN_SHOWN {
                let rest: u64 = values[UNKNOWN_SHOWN..].iter().map(|(_, times)| **times).sum();
                row(
                    "value not in enum table",
                    format!(
                        "{}, {table}: {} other values",
                        flow.flow,
                        values.len() - UNKNOWN_SHOWN
                    ),
                    rest,
                );
            }
        }
    }
    if any { table.render() } else { String::new() }
}

fn facts(summary: &Summary) -> String {
    let mut text = String::new();
    for (flow, reason) in &summary.disabled {
        let _ = writeln!(text, "disabled   {flow}: {reason}");
    }
    let requests = listed(&summary.requests, |name, count| format!("{name} {count}"));
    if !requests.is_empty() {
        let _ = writeln!(text, "requests   {requests}");
    }
    let queue = listed(&summary.queue, |kind, count| format!("{count} {kind}"));
    let queue = if queue.is_empty() { "empty" } else { &queue };
    let _ = writeln!(text, "queue      {queue}");
    if let Some(snapshots) = &summary.snapshots {
        let _ = writeln!(text, "snapshots  {}", snapshots.display());
    }
    text
}

/// Counts above zero, each said by `say`.
fn listed(counts: &BTreeMap<String, u64>, say: fn(&str, String) -> String) -> String {
    counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| say(name, grouped(*count)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn ending(ending: &Ending) -> String {
    match ending {
        Ending::Complete => "complete".to_owned(),
        Ending::CompleteWithRejects => "complete, some records wait in the queue".to_owned(),
        Ending::RejectBudget => "stopped, more records were rejected than the pipeline allows".to_owned(),
        Ending::Unreachable => "stopped, a system could not be reached".to_owned(),
        Ending::AuthRefused => "stopped, credentials or permissions were refused".to_owned(),
        Ending::Leased => "not started, another run of this pipeline is at work".to_owned(),
        Ending::Refused => "refused before the first write".to_owned(),
        Ending::StateUnusable => "stopped, the state or the snapshots cannot be used".to_owned(),
        Ending::StoppedEarly => "stopped early, the next run continues".to_owned(),
        Ending::Interrupted { signal } => {
            format!("interrupted by signal {signal}, the next run continues")
        }
        Ending::Misconfigured => "stopped, a system refuses what the configuration asks for".to_owned(),
        Ending::Internal => "failed, this is a defect of crosswalk".to_owned(),
    }
}

fn next_step(summary: &Summary, queue_command: &str) -> Option<String> {
    let of_this_run = |count: fn(&FlowSummary) -> u64| summary.flows.iter().map(count).sum::<u64>();
    match &summary.ending {
        Ending::CompleteWithRejects | Ending::RejectBudget => Some(format!(
            "`{queue_command}` says why each record waits; correct the mapping or the record, and run again"
        )),
        Ending::Complete if of_this_run(|flow| flow.rejected + flow.held) > 0 => {
            Some(format!("`{queue_command}` says why each record waits"))
        }
        Ending::Interrupted { .. } | Ending::StoppedEarly => {
            Some("run again: it continues where this run stopped".to_owned())
        }
        Ending::Unreachable => Some("run again when the system answers: nothing is lost".to_owned()),
        Ending::AuthRefused => {
            Some("correct the credentials, try them with `crosswalk check`, run again".to_owned())
        }
        Ending::Complete
        | Ending::Leased
        | Ending::Refused
        | Ending::StateUnusable
        | Ending::Misconfigured
        | Ending::Internal => None,
    }
}

/// A duration as a person says it: `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 03 min`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600.. => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        let mut flow = FlowSummary::new("cases");
        flow.read = 5000;
        flow.created = 4990;
        flow.filtered = 7;
        flow.rejected = 3;
        flow.writes = 5031;
        flow.fallbacks = BTreeMap::from([("assignedTo.id".to_owned(), 312)]);
        flow.references_created = BTreeMap::from([("contact".to_owned(), 41)]);
        flow.unknown_values = BTreeMap::from([(
            "status_to_case".to_owned(),
            BTreeMap::from([("on\nfire".to_owned(), 2), ("odd".to_owned(), 9)]),
        )]);
        Summary {
            run: "0198".to_owned(),
            pipeline: "tickets-cases".to_owned(),
            started: "2026-01-02T03:04:05Z".parse().unwrap(),
            ended: "2026-01-02T03:04:17.345Z".parse().unwrap(),
            ending: Ending::CompleteWithRejects,
            message: None,
            dry_run: false,
            flows: vec![flow],
            disabled: BTreeMap::from([("tickets".to_owned(), "its `enabled` is false".to_owned())]),
            queue: BTreeMap::from([("rejected".to_owned(), 3), ("held".to_owned(), 0)]),
            snapshots: Some("snapshots/run=0198".into()),
            continues: None,
            requests: BTreeMap::from([("helpdesk".to_owned(), 51)]),
        }
    }

    #[test]
    fn a_run_with_rejects_says_what_happened_and_what_to_do() {
        insta::assert_snapshot!(render(&summary(), "crosswalk queue list"), @r"
        tickets-cases: complete, some records wait in the queue (run 0198, 12.3 s)

        flow    read  created  updated  unchanged  filtered  rejected  writes
        cases  5,000    4,990        0          0         7         3   5,031

        what                      where                           times
        fallback used             cases.assignedTo.id               312
        record created by lookup  cases, contact                     41
        value not in enum table   cases, status_to_case: odd          9
        value not in enum table   cases, status_to_case: on fire      2

        disabled   tickets: its `enabled` is false
        requests   helpdesk 51
        queue      3 rejected
        snapshots  snapshots/run=0198
        next       `crosswalk queue list` says why each record waits; correct the mapping or the record, and run again
        ");
    }

    #[test]
    fn a_two_way_flow_is_told_by_direction_with_what_its_sides_disagreed_about() {
        let mut summary = summary();
        let mut to_local = FlowSummary::new("cases.to_local");
        to_local.read = 3;
        to_local.updated = 2;
        to_local.unchanged = 1;
        to_local.writes = 2;
        to_local.conflicts = 2;
        to_local.not_carried = 1;
        let mut to_remote = FlowSummary::new("cases.to_remote");
        to_remote.read = 1;
        to_remote.created = 1;
        to_remote.writes = 1;
        to_remote.first_links = 4;
        to_remote.altered = 1;
        summary.flows = vec![to_local, to_remote];
        summary.ending = Ending::Complete;
        summary.queue.clear();
        insta::assert_snapshot!(render(&summary, "crosswalk queue list"), @r"
        tickets-cases: complete (run 0198, 12.3 s)

        flow             read  created  updated  unchanged  rejected  writes
        cases.to_local      3        0        2          1         0       2
        cases.to_remote     1        1        0          0         0       1

        what                         where            times
        both sides had changed       cases.to_local       2
        change not carried over      cases.to_local       1
        differed when first linked   cases.to_remote      4
        answered with another value  cases.to_remote      1

        disabled   tickets: its `enabled` is false
        requests   helpdesk 51
        queue      empty
        snapshots  snapshots/run=0198
        ");
    }

    #[test]
    fn an_interrupted_run_says_that_the_next_one_continues() {
        let mut summary = summary();
        summary.ending = Ending::Interrupted { signal: 15 };
        summary.flows[0].unfinished = 12;
        let text = render(&summary, "crosswalk queue list");
        assert!(text.contains("interrupted by signal 15"), "{text}");
        assert!(text.contains("unfinished"), "{text}");
        assert!(text.contains("continues where this run stopped"), "{text}");
    }

    #[test]
    fn durations_are_said_as_people_do() {
        assert_eq!(duration(Duration::from_millis(850)), "850 ms");
        assert_eq!(duration(Duration::from_millis(12_345)), "12.3 s");
        assert_eq!(duration(Duration::from_secs(245)), "4 min 05 s");
        assert_eq!(duration(Duration::from_secs(7380)), "2 h 03 min");
    }
}
