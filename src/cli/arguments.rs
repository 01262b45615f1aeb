//! The arguments that all subcommands share, and the list of subcommands. Doc comments are the help text.

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

use super::exit;
use super::links;
use super::plan;
use super::preview;
use super::publish;
use super::queue;
use super::run;
use super::sandbox;
use super::schema;
use super::status;
use super::test;
use super::validate;
use super::{check, completions};
use crate::telemetry::logging::{LogFormat, LoggingOptions};

/// Move records between business systems by tables written in YAML.
///
/// A pipeline file says which records of one system become which records of another. `validate` checks it, `preview`
/// shows one record on its way through it, `run` executes it and leaves Parquet snapshots of every stage.
#[derive(Debug, Parser)]
#[command(name = "crosswalk", version, propagate_version = false, after_help = exit::HELP, max_term_width = 110)]
pub struct Arguments {
    /// What all subcommands share.
    #[command(flatten)]
    pub global: Global,
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// What all subcommands share.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// Form of log lines on standard error
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub log_format: LogFormatArgument,
    /// Log more: -v requests and decisions, -vv everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet", help_heading = "Output")]
    pub verbose: u8,
    /// Log less: -q only warnings and no progress, -qq only errors
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    pub quiet: u8,
    /// Colour text for people
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub color: Color,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a pipeline: read what changed, map it, write what differs, leave snapshots
    Run(run::Run),
    /// Say what a run would do, field by field, and write nothing
    Plan(plan::Plan),
    /// Create the remote counterparts of local records of a two-way flow now
    Publish(publish::Publish),
    /// Show one record on its way through a flow, down to the requests that would be sent
    Preview(preview::Preview),
    /// Say everything that is wrong with pipeline, connector and test files
    Validate(validate::Validate),
    /// Run the tests of pipelines' mappings: records that are given, and what becomes of them
    Test(test::Test),
    /// Ask every system of a pipeline whether it accepts the credentials
    Check(check::Check),
    /// List the records that wait, say why, decide for one side, try them again or drop them
    Queue(queue::Queue),
    /// List which records are linked, link two of them, end a link
    Links(links::Links),
    /// Say what there is about a pipeline: last runs, cursors, queue
    Status(status::Status),
    /// Serve local stand-ins of business systems, for rehearsals and tests
    Sandbox(sandbox::Sandbox),
    /// Print the schema of pipeline, connector and test files, for editors, or of what runs leave behind
    Schema(schema::Schema),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormatArgument {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// When text is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The form of an answer on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

impl Color {
    /// Whether to colour what goes to a stream of which is known whether it is a terminal.
    pub fn applies(self, terminal: bool) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                terminal
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

impl Global {
    /// How logs are written.
    pub fn logging(&self) -> LoggingOptions {
        LoggingOptions {
            format: match self.log_format {
                LogFormatArgument::Text => LogFormat::Text,
                LogFormatArgument::Json => LogFormat::Json,
            },
            level: match (self.verbose, self.quiet) {
                (0, 0) => LevelFilter::INFO,
                (0, 1) => LevelFilter::WARN,
                (0, _) => LevelFilter::ERROR,
                (1, _) => LevelFilter::DEBUG,
                (_, _) => LevelFilter::TRACE,
            },
            color: self
                .color
                .applies(std::io::IsTerminal::is_terminal(&std::io::stderr())),
        }
    }

    /// Whether progress is shown: not when quiet, and not among JSON lines that a program reads.
    pub fn shows_progress(&self) -> bool {
        self.quiet == 0 && self.log_format == LogFormatArgument::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(arguments: &[&str]) -> Global {
        Arguments::try_parse_from(
            ["crosswalk"]
                .into_iter()
                .chain(arguments.iter().copied())
                .chain(["completions", "bash"]),
        )
        .unwrap()
        .global
    }

    #[test]
    fn verbosity_is_a_level() {
        assert_eq!(global(&[]).logging().level, LevelFilter::INFO);
        assert_eq!(global(&["-v"]).logging().level, LevelFilter::DEBUG);
        assert_eq!(global(&["-vv"]).logging().level, LevelFilter::TRACE);
        assert_eq!(global(&["-q"]).logging().level, LevelFilter::WARN);
        assert_eq!(global(&["-qq"]).logging().level, LevelFilter::ERROR);
    }

    #[test]
    fn progress_is_for_people() {
        assert!(global(&[]).shows_progress());
        assert!(!global(&["--quiet"]).shows_progress());
        assert!(!global(&["--log-format", "json"]).shows_progress());
    }

    #[test]
    fn colour_needs_a_terminal_unless_it_is_asked_for() {
        assert!(!Color::Auto.applies(false));
        assert!(Color::Always.applies(false));
        assert!(!Color::Never.applies(true));
    }
}
