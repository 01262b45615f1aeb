//! [`Checks`]: one file that is being compiled, and what was found wrong with it.
//!
//! A check never stops the others: it reports and gives `None` for what it could not compile.

use std::cell::RefCell;

use super::pointer::Pointer;
use crate::diagnostic::{Code, Diagnostics, Locate, Report, Severity};

/// A file and its diagnostics.
pub(super) struct Checks<'d> {
    place: &'d dyn Locate,
    omitted: &'d dyn Fn(&str) -> bool,
    diagnostics: RefCell<Diagnostics>,
}

impl<'d> Checks<'d> {
    /// Nothing found yet. `omitted` says of which places something was left out because it was wrong already; checks
    /// that would miss it there are silent.
    pub(super) fn new(place: &'d dyn Locate, omitted: &'d dyn Fn(&str) -> bool) -> Self {
        Checks {
            place,
            omitted,
            diagnostics: RefCell::default(),
        }
    }

    /// Whether something is missing at a place, or in or around it, because it was wrong and was reported.
    pub(super) fn is_omitted(&self, at: &Pointer) -> bool {
        (self.omitted)(at.as_str())
    }

    /// Reports an error.
    pub(super) fn error(&self, code: Code, at: &Pointer, say: impl FnOnce(Report<'_>) -> Report<'_>) {
        self.report(Severity::Error, code, at, say);
    }

    /// Reports a warning.
    pub(super) fn warning(&self, code: Code, at: &Pointer, say: impl FnOnce(Report<'_>) -> Report<'_>) {
        self.report(Severity::Warning, code, at, say);
    }

    /// Reports.
    pub(super) fn report(
        &self,
        severity: Severity,
        code: Code,
        at: &Pointer,
        say: impl FnOnce(Report<'_>) -> Report<'_>,
    ) {
        if self.is_omitted(at) {
            return;
        }
        let mut diagnostics = self.diagnostics.borrow_mut();
        let report = match severity {
            Severity::Error => diagnostics.error(code, self.place, at.as_str()),
            Severity::Warning => diagnostics.warning(code, self.place, at.as_str()),
        };
        let report = say(report);
        if at.is_key() {
            let _ = report.at_key();
        }
    }

    /// Takes what was found so far.
    pub(super) fn take(&self) -> Diagnostics {
        self.diagnostics.take()
    }
}
