//! Exit codes, a contract with schedulers and scripts, and the failures that end a command early.

use std::process::ExitCode;

use anyhow::Error;

use super::Context;
use super::arguments::LogFormatArgument;
use crate::run::Ending;

/// The contract, as shown below the help.
pub(super) const HELP: &str = "\
Exit codes:
  0  complete
  1  internal failure
  2  usage or invalid configuration
  3  complete, but items of this run were rejected or held
  4  stopped: more rejects than the pipeline allows
  5  a system could not be reached after retries
  6  credentials or permissions were refused
  7  not started: another run holds the lease
  8  refused before the first write
  9  state or snapshots cannot be used
  10 stopped early and resumable: quota spent or time limit
  11 a finding of `check` or `test`
  130, 143 interrupted by SIGINT, SIGTERM; resumable";

/// Why the process ends. The codes of runs are [`Ending`]'s own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// The command did what it was asked for.
    Complete,
    /// The arguments or a file that they name cannot be used.
    Usage,
    /// The command looked for something wrong and found it.
    Finding,
    /// A run ended, or something that ends like one.
    Ended(Ending),
}

impl Exit {
    /// The number that the process returns.
    pub(super) fn code(&self) -> u8 {
        match self {
            Exit::Complete => 0,
            Exit::Usage => 2,
            Exit::Finding => 11,
            Exit::Ended(ending) => ending.exit_code(),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// An error that ends a command, with the exit code that says whose it is.
#[derive(Debug)]
pub(super) struct Failure {
    /// The exit code.
    pub(super) exit: Exit,
    /// What went wrong, and its causes.
    error: Error,
}

impl Failure {
    /// A failure with a code of its own.
    pub(super) fn new(exit: Exit, error: Error) -> Self {
        Failure { exit, error }
    }

    /// The arguments, or a file that they name, cannot be used.
    pub(super) fn usage(error: Error) -> Self {
        Failure::new(Exit::Usage, error)
    }

    /// The state, the snapshots or standard output cannot be used.
    pub(super) fn storage(error: Error) -> Self {
        Failure::new(Exit::Ended(Ending::StateUnusable), error)
    }

    /// A defect of this program or of the machine under it.
    pub(super) fn internal(error: Error) -> Self {
        Failure::new(Exit::Ended(Ending::Internal), error)
    }

    /// Says on standard error what went wrong, in the form of the logs.
    pub(super) fn report(&self, context: &Context) {
        match context.global.log_format {
            LogFormatArgument::Json => {
                let causes: Vec<String> = self.error.chain().skip(1).map(ToString::to_string).collect();
                tracing::error!(causes = ?causes, exit_code = self.exit.code(), "{}", self.error);
            }
            LogFormatArgument::Text => {
                let mut text = format!("error: {}\n", self.error);
                for cause in self.error.chain().skip(1) {
                    text.push_str(&format!("  because: {cause}\n"));
                }
                context.screen.write(&context.secrets.replace(text.as_bytes()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_help() {
        for (exit, code) in [
            (Exit::Complete, 0),
            (Exit::Ended(Ending::Internal), 1),
            (Exit::Usage, 2),
            (Exit::Ended(Ending::Misconfigured), 2),
            (Exit::Ended(Ending::CompleteWithRejects), 3),
            (Exit::Ended(Ending::RejectBudget), 4),
            (Exit::Ended(Ending::Unreachable), 5),
            (Exit::Ended(Ending::AuthRefused), 6),
            (Exit::Ended(Ending::Leased), 7),
            (Exit::Ended(Ending::Refused), 8),
            (Exit::Ended(Ending::StateUnusable), 9),
            (Exit::Ended(Ending::StoppedEarly), 10),
            (Exit::Finding, 11),
            (Exit::Ended(Ending::Interrupted { signal: 2 }), 130),
            (Exit::Ended(Ending::Interrupted { signal: 15 }), 143),
        ] {
            assert_eq!(exit.code(), code, "{exit:?}");
            assert!(
                HELP.split([' ', ',', '\n']).any(|word| word == code.to_string()),
                "{code} is not in the help"
            );
        }
    }
}
