//! A plan for people: by flow, direction and kind of decision, then what it needs and what stands in its way.

use std::fmt::Write as _;

use super::line::{KEYS_WIDTH, Paint, keys, lines, mark};
use crate::run::{Plan, PlanCalls, PlanCount, PlanItem, PlanKind, PlanReport};
use crate::telemetry::progress::grouped;

/// So many decisions of a kind are shown before the rest is folded.
const UNFOLDED: usize = 10;
/// The same for kinds that change nothing.
const UNFOLDED_QUIET: usize = 3;

/// How a plan is looked at.
#[derive(Debug)]
pub(super) struct View {
    /// Nothing is folded or shortened.
    pub(super) all: bool,
    /// With colour.
    pub(super) coloured: bool,
    /// What lists the pipeline's queue.
    pub(super) queue_command: String,
}

impl View {
    /// The text.
    ///
    /// # Errors
    /// The decisions cannot be read back, in words.
    pub(super) fn render(&self, plan: &Plan) -> Result<String, String> {
        let mut groups = Vec::with_capacity(plan.report.decisions.len());
        for (position, count) in plan.report.decisions.iter().enumerate() {
            groups.push((count, plan.items(position, self.most(count.kind))?));
        }
        Ok(self.text(&plan.report, &groups))
    }

    fn most(&self, kind: PlanKind) -> usize {
        match kind {
            _ if self.all => usize::MAX,
            PlanKind::Link | PlanKind::NotCarried | PlanKind::Skip => UNFOLDED_QUIET,
            _ => UNFOLDED,
        }
    }

    fn text(&self, report: &PlanReport, groups: &[(&PlanCount, Vec<PlanItem>)]) -> String {
        let paint = Paint {
            coloured: self.coloured,
        };
        let mut text = format!(
            "{} {}\n",
            paint.bold(&format!("{}:", report.basis.pipeline)),
            "what a run would do; nothing was written"
        );
        if !report.complete {
            let why = report.message.as_deref().unwrap_or("it was stopped");
            let _ = writeln!(
                text,
                "{} {why}; what comes after that is unknown",
                paint.warn("the plan is not complete:")
            );
        }
        let mut heading = None;
        for (count, items) in groups {
            let place = (&count.flow, &count.direction);
            if heading != Some(place) {
                heading = Some(place);
                let direction = count.direction.as_ref();
                let direction = direction.map(|direction| format!(", {}", direction.replace('_', " ")));
                let title = format!("{}{}", count.flow, direction.unwrap_or_default());
                let _ = write!(text, "\n{}\n", paint.bold(&title));
            }
            self.group(&mut text, count, items, paint);
        }
        if groups.is_empty() && report.complete {
            text.push_str("\nnothing would be written\n");
        }
        text.push('\n');
        text.push_str(&footer(report, &self.queue_command, paint));
        text
    }

    fn group(&self, text: &mut String, count: &PlanCount, items: &[PlanItem], paint: Paint) {
        let to = items.first().map_or("", |item| item.to.as_str());
        let title = format!("{} {}", grouped(count.count), phrase(count.kind, to));
        let _ = writeln!(text, "  {}", paint.kind(count.kind, &title));
        let widest = items.iter().map(|item| keys(item).chars().count()).max();
        let width = widest.unwrap_or(0).min(KEYS_WIDTH);
        for item in items {
            let mark = paint.kind(item.kind, mark(item.kind));
            let mut front = format!("{:<width$}", keys(item));
            for (number, line) in lines(item, self.all, paint).into_iter().enumerate() {
                let mark = if number == 0 { mark.as_str() } else { " " };
                let line = format!("    {mark} {front}  {line}");
                let _ = writeln!(text, "{}", line.trim_end());
                front = " ".repeat(width);
            }
        }
        let folded = count.count.saturating_sub(items.len() as u64);
        if folded > 0 {
            let more = format!("… {} more, shown by --all", grouped(folded));
            let _ = writeln!(text, "      {}", paint.dim(&more));
        }
    }
}

/// What a group's decisions would do.
fn phrase(kind: PlanKind, to: &str) -> String {
    match kind {
        PlanKind::CreateReference => format!("to create in {to}, because a lookup found nothing"),
        PlanKind::Create => format!("to create in {to}"),
        PlanKind::Update => format!("to change in {to}"),
        PlanKind::Delete => format!("to delete in {to}"),
        PlanKind::Unlink => "to unlink; nothing is written".to_owned(),
        PlanKind::Link => "to link as they are; nothing is written".to_owned(),
        PlanKind::NotCarried => "with changes that may not travel; nothing is written".to_owned(),
        PlanKind::Unknown => "of which is unknown what would be done".to_owned(),
        PlanKind::Reject => "would be rejected".to_owned(),
        PlanKind::Hold => "would wait for a person".to_owned(),
        PlanKind::Wait => "would wait for another record".to_owned(),
        PlanKind::Skip => "left alone".to_owned(),
    }
}

fn footer(report: &PlanReport, queue_command: &str, paint: Paint) -> String {
    let mut text = String::new();
    for flow in &report.flows {
        let counts = [
            ("read", flow.read),
            ("retried", flow.retried),
            ("to create", flow.created),
            ("to change", flow.updated),
            ("to delete or unlink", flow.deleted),
            ("unchanged", flow.unchanged),
            ("duplicate", flow.duplicate),
            ("filtered", flow.filtered),
            ("skipped", flow.skipped),
            ("rejected", flow.rejected),
            ("held", flow.held),
            ("waiting or unknown", flow.waiting),
            ("undecided", flow.unfinished),
        ];
        let counts = counts
            .into_iter()
            .filter(|(name, count)| *count > 0 || *name == "read")
            .map(|(name, count)| format!("{} {name}", grouped(count)))
            .collect::<Vec<_>>();
        let _ = writeln!(text, "records    {}: {}", flow.flow, counts.join(", "));
    }
    for calls in &report.calls {
        let _ = writeln!(text, "calls      {}", calls_of(calls, report.complete));
    }
    let fallbacks: Vec<String> = report
        .fallbacks
        .iter()
        .map(|used| format!("{}.{} {}", used.flow, used.field, grouped(used.times)))
        .collect();
    if !fallbacks.is_empty() {
        let _ = writeln!(text, "fallbacks  {}", fallbacks.join(", "));
    }
    let creates = |count: &PlanCount| matches!(count.kind, PlanKind::Create | PlanKind::CreateReference);
    if report.decisions.iter().any(creates) {
        text.push_str("unknown    what the systems set by themselves in new records, and their keys\n");
    }
    if report.basis.unsettled > 0 {
        let _ = writeln!(
            text,
            "unknown    {} writes of an interrupted run; the next run finds out whether they were carried out",
            grouped(report.basis.unsettled)
        );
    }
    for (flow, reason) in &report.disabled {
        let _ = writeln!(text, "off        {flow}: {reason}");
    }
    for guard in &report.guards {
        let _ = writeln!(
            text,
            "guard      {}",
            paint.warn(&format!("a run would be refused: {guard}"))
        );
    }
    let queue: Vec<String> = report
        .queue
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| format!("{} {kind}", grouped(*count)))
        .collect();
    match queue.as_slice() {
        [] => text.push_str("queue      empty\n"),
        queue => {
            let _ = writeln!(
                text,
                "queue      {} since earlier runs; `{queue_command}` says why",
                queue.join(", ")
            );
        }
    }
    text
}

fn calls_of(calls: &PlanCalls, complete: bool) -> String {
    let bound = match calls.at_least || !complete {
        true => "at least",
        false => "about",
    };
    let mut text = format!("{}: {bound} {} to write", calls.connection, grouped(calls.writes));
    let parts: Vec<String> = [
        ("creates", calls.creates),
        ("changes", calls.updates),
        ("deletes", calls.deletes),
        ("searches", calls.searches),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(name, count)| format!("{name} {}", grouped(count)))
    .collect();
    if !parts.is_empty() {
        let _ = write!(text, " ({})", parts.join(", "));
    }
    let _ = write!(text, ", {} to read; left: ", grouped(calls.reads));
    let limits: Vec<String> = calls
        .limits
        .iter()
        .map(|limit| match (limit.left, limit.allowed) {
            (Some(left), Some(allowed)) => {
                format!("{} {} of {}", limit.limit, grouped(left), grouped(allowed))
            }
            (Some(left), None) => format!("{} {}", limit.limit, grouped(left)),
            (None, _) => format!("{} unknown", limit.limit),
        })
        .collect();
    text.push_str(&match limits.is_empty() {
        true => "unknown".to_owned(),
        false => limits.join(", "),
    });
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::run::{Ending, PlanAsked, PlanBasis, PlanConflict, PlanField, PlanLimit, PlanReason};
    use crate::snapshot::Configuration;

    fn report() -> PlanReport {
        PlanReport {
            crosswalk_plan: 1,
            complete: true,
            ending: Ending::Complete,
            message: None,
            basis: PlanBasis {
                pipeline: "tickets".to_owned(),
                program: "1".to_owned(),
                made: "2026-01-02T03:04:05Z".parse().unwrap(),
                configuration: Configuration::default(),
                asked: PlanAsked::default(),
                state: String::new(),
                params: BTreeMap::new(),
                systems: BTreeMap::new(),
                last_run: None,
                cursors: Vec::new(),
                unsettled: 0,
            },
            flows: Vec::new(),
            decisions: Vec::new(),
            guards: Vec::new(),
            calls: Vec::new(),
            fallbacks: Vec::new(),
            queue: BTreeMap::new(),
            disabled: BTreeMap::new(),
        }
    }

    fn count(kind: PlanKind, count: u64) -> PlanCount {
        PlanCount {
            flow: "cases".to_owned(),
            direction: Some("to_local".to_owned()),
            kind,
            count,
        }
    }

    fn item(kind: PlanKind, key: &str, target: Option<&str>, fields: Vec<PlanField>) -> PlanItem {
        PlanItem {
            flow: "cases".to_owned(),
            direction: Some("to_local".to_owned()),
            to: "crm.cases".to_owned(),
            key: key.to_owned(),
            kind,
            target: target.map(str::to_owned),
            fields,
            reason: None,
            held: Vec::new(),
            not_carried: Vec::new(),
            digest: "d".to_owned(),
        }
    }

    fn field(name: &str, before: Option<serde_json::Value>, after: Option<serde_json::Value>) -> PlanField {
        PlanField {
            name: name.to_owned(),
            before,
            after,
            unknown: None,
            private: false,
            fallback: false,
            conflict: None,
        }
    }

    fn view(all: bool, coloured: bool) -> View {
        View {
            all,
            coloured,
            queue_command: "crosswalk queue list".to_owned(),
        }
    }

    #[test]
    fn old_and_new_values_stand_side_by_side_and_long_lists_are_folded() {
        let subject = PlanField {
            conflict: Some(PlanConflict {
                winner: Some("remote".to_owned()),
                by: "policy".to_owned(),
                first_link: false,
            }),
            ..field("subject", Some(json!("old")), Some(json!("new")))
        };
        let emptied = field("note", Some(json!("a")), Some(json!(null)));
        let item = item(PlanKind::Update, "4711", Some("22"), vec![subject, emptied]);
        let text = view(false, false).text(&report(), &[(&count(PlanKind::Update, 1234), vec![item])]);
        insta::assert_snapshot!(text, @r#"
        tickets: what a run would do; nothing was written

        cases, to local
          1,234 to change in crm.cases
            ~ 4711 -> 22  subject  "old" -> "new"  (both sides had changed: remote wins, policy)
                          note     "a" -> null
              … 1,233 more, shown by --all

        queue      empty
        "#);
    }

    #[test]
    fn what_is_not_known_is_never_shown_as_none() {
        let contact = PlanField {
            unknown: Some("key of the new record in `crm.contacts`".to_owned()),
            ..field("contact.id", None, None)
        };
        let created = item(
            PlanKind::Create,
            "1",
            None,
            vec![field("subject", None, Some(json!("Kettle"))), contact],
        );
        let mut later = item(PlanKind::Unknown, "7", None, Vec::new());
        later.reason = Some(PlanReason {
            field: Some("case.id".to_owned()),
            rule: None,
            code: "link_missing".to_owned(),
            message: "the record that it refers to is not linked yet".to_owned(),
            value: None,
        });
        let mut report = report();
        report.decisions = vec![count(PlanKind::Create, 1), count(PlanKind::Unknown, 1)];
        report.calls = vec![PlanCalls {
            connection: "crm".to_owned(),
            reads: 3,
            writes: 1,
            creates: 1,
            updates: 0,
            deletes: 0,
            searches: 0,
            at_least: true,
            limits: vec![
                PlanLimit {
                    limit: "account".to_owned(),
                    left: Some(90),
                    allowed: Some(100),
                },
                PlanLimit {
                    limit: "exports".to_owned(),
                    left: None,
                    allowed: None,
                },
            ],
        }];
        let groups = [
            (&count(PlanKind::Create, 1), vec![created]),
            (&count(PlanKind::Unknown, 1), vec![later]),
        ];
        insta::assert_snapshot!(view(false, false).text(&report, &groups), @r#"
        tickets: what a run would do; nothing was written

        cases, to local
          1 to create in crm.cases
            + 1  subject "Kettle"
                 contact.id  unknown yet: key of the new record in `crm.contacts`
          1 of which is unknown what would be done
            ? 7  case.id: the record that it refers to is not linked yet [link_missing]

        calls      crm: at least 1 to write (creates 1), 3 to read; left: account 90 of 100, exports unknown
        unknown    what the systems set by themselves in new records, and their keys
        queue      empty
        "#);
        report.complete = false;
        report.message = Some("the system cannot be reached".to_owned());
        let text = view(false, false).text(&report, &[]);
        assert!(
            text.contains("is not complete: the system cannot be reached; what comes after that is unknown")
        );
        assert!(!text.contains("nothing would be written"));
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let item = item(
            PlanKind::Update,
            "1",
            Some("2"),
            vec![field("subject", Some(json!("old")), Some(json!("new")))],
        );
        let groups = [(&count(PlanKind::Update, 1), vec![item])];
        let plain = view(true, false).text(&report(), &groups);
        let mut coloured = view(true, true).text(&report(), &groups);
        assert!(coloured.contains("\u{1b}["));
        while let Some(start) = coloured.find('\u{1b}') {
            let end = coloured[start..].find('m').unwrap() + start;
            coloured.replace_range(start..=end, "");
        }
        assert_eq!(coloured, plain);
    }
}
