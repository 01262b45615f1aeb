//! The report of mapping tests for people: what failed, where it is expected, which rule made what there is instead.

use std::fmt::Write as _;

use crate::run::{CaseReport, Mismatch, SourcePlace, TestReport, Untouched, UntouchedIn};

/// The reports of all files, and how many cases passed.
pub(super) fn text(reports: &[TestReport], coverage: bool) -> String {
    let mut text = String::new();
    for report in reports {
        let failed = report.cases.iter().filter(|case| !case.passed());
        for case in failed {
            case_text(case, &mut text);
        }
        if coverage {
            coverage_text(report, &mut text);
        }
    }
    for report in reports {
        let all = report.cases.len();
        let passed = all - report.failed();
        let _ = match report.failed() {
            0 => writeln!(text, "{}: {} passed", report.file, cases(all)),
            failed => writeln!(
                text,
                "{}: {passed} of {all} cases passed, {failed} failed",
                report.file
            ),
        };
    }
    text
}

fn cases(count: usize) -> String {
    match count {
        1 => "1 case".to_owned(),
        count => format!("{count} cases"),
    }
}

fn case_text(case: &CaseReport, text: &mut String) {
    let _ = writeln!(
        text,
        "failed: {}\n  flow {}, {}",
        case.name,
        case.flow,
        place(&case.place)
    );
    for mismatch in &case.mismatches {
        mismatch_text(mismatch, text);
    }
    text.push('\n');
}

fn mismatch_text(mismatch: &Mismatch, text: &mut String) {
    let _ = writeln!(text, "\n  {}  ({})", mismatch.what, place(&mismatch.place));
    let _ = writeln!(text, "    expected  {}", mismatch.expected);
    let _ = writeln!(text, "    got       {}", mismatch.got);
    let Some(rule) = &mismatch.rule else { return };
    let _ = writeln!(text, "    rule      {} ({})", rule.target, place(&rule.place));
    for step in &rule.steps {
        let _ = writeln!(text, "              {step}");
    }
}

fn place(place: &SourcePlace) -> String {
    format!("{}:{}:{}", place.file, place.line, place.column)
}

fn coverage_text(report: &TestReport, text: &mut String) {
    let Untouched {
        enum_entries,
        all_enum_entries,
        rules,
        all_rules,
    } = &report.untouched;
    let missing =
        |list: &[UntouchedIn]| -> usize { list.iter().map(|untouched| untouched.missing.len()).sum() };
    let _ = writeln!(
        text,
        "coverage of {} by {}: {} of {all_enum_entries} entries of enum tables, {} of {all_rules} rules",
        report.pipeline,
        report.file,
        all_enum_entries - missing(enum_entries),
        all_rules - missing(rules),
    );
    for (what, list) in [("entries", enum_entries), ("rules", rules)] {
        for untouched in list {
            let _ = writeln!(
                text,
                "  no case touches {what} of {}: {}",
                untouched.name,
                untouched.missing.join(", ")
            );
        }
    }
    text.push('\n');
}
