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
    let at_least = if calls.at_least || !complete {
        "at least "
    } else {
        ""
    };
    let mut text = format!(
        "{}: {at_least}about {} to write",
        calls.connection,
        grouped(calls.writes)
    );
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
