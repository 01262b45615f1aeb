//! What a flow into a file cannot do: a file is written anew by each run, so there is nothing to find, compare or delete
//! in it, and nothing is created elsewhere on the way.

use super::pipeline_checks::PipelineChecks;
use super::pointer::Pointer;
use crate::definition::Flow;
use crate::diagnostic::Code;

impl PipelineChecks<'_, '_> {
    /// Refuses the words that would do nothing in a flow into a file.
    pub(super) fn file_sink(&self, at: &Pointer, flow: &Flow) {
        let words = [
            ("match", flow.matching.is_some()),
            ("only_if_changed", !flow.only_if_changed.is_empty()),
            ("guard", flow.guard.is_some()),
            ("on_delete", flow.on_delete.is_some()),
            ("on_frozen", flow.on_frozen.is_some()),
            ("of", flow.of.is_some()),
        ];
        for (word, _) in words.into_iter().filter(|(_, written)| *written) {
            self.checks.error(Code::ModeDoesNotFit, &at.key(word), |report| {
                report
                    .message(format!(
                        "`{word}` means nothing in a flow into a file: a file is written anew by each run"
                    ))
                    .at_key()
                    .hint("leave it out")
            });
        }
        for (name, _) in flow.fields.iter().filter(|(_, rule)| self.may_be_pending(rule)) {
            let at = at.key("fields").key(name.as_str()).key("lookup");
            self.checks.error(Code::ActionDoesNotFit, &at, |report| {
                report
                    .message("this lookup creates what it does not find, and a flow into a file creates nothing elsewhere")
                    .hint("say in the rule what happens instead: `on_none: clear` or `on_none: reject`")
            });
        }
    }
}
