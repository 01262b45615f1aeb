//! The command line: one file a subcommand, each with its arguments, one call into the library and the rendering.
//!
//! Data goes to standard output, logs, progress and errors to standard error. Exit codes are a contract ([`exit`]).
//! [`main`] parses, starts the logs and calls the subcommand; nothing here decides anything about records.

mod arguments;
mod check;
mod completions;
mod execution;
mod exit;
mod links;
mod load;
mod location;
mod output;
mod plan;
mod preview;
mod publish;
mod queue;
mod rehearsal;
mod run;
mod sandbox;
mod schema;
mod selection;
mod signals;
mod site;
mod status;
mod summary;
mod table;
mod test;
mod validate;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};

pub use arguments::{Arguments, Command, Global};
use exit::{Exit, Failure};
use output::Output;

use crate::telemetry::Secrets;
use crate::telemetry::logging;
use crate::telemetry::progress::Screen;

/// What every subcommand is given.
#[derive(Debug)]
struct Context {
    global: Global,
    output: Output,
    screen: Screen,
    secrets: Arc<Secrets>,
}

/// Runs the program with these arguments, the first being its own name, and returns its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        // Help and version are asked for and go to standard output; the rest is usage.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Complete.into()
            };
        }
    };
    let Arguments { global, command } = arguments;
    let context = Context {
        output: Output::new(global.color),
        screen: Screen::new(),
        secrets: Arc::new(Secrets::new()),
        global,
    };
    let result = logging::start(
        &context.global.logging(),
        Arc::clone(&context.secrets),
        context.screen.clone(),
    )
    .map_err(|error| Failure::usage(error.into()))
    .and_then(|()| dispatch(&context, command));
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.report(&context);
            failure.exit.into()
        }
    }
}

fn dispatch(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Check(arguments) => check::check(context, &arguments),
        Command::Test(arguments) => test::test(context, &arguments),
        Command::Run(arguments) => run::run(context, &arguments),
        Command::Plan(arguments) => plan::plan(context, &arguments),
        Command::Publish(arguments) => publish::publish(context, &arguments),
        Command::Preview(arguments) => preview::preview(context, &arguments),
        Command::Validate(arguments) => validate::validate(context, &arguments),
        Command::Queue(arguments) => queue::queue(context, arguments),
        Command::Links(arguments) => links::links(context, &arguments),
        Command::Status(arguments) => status::status(context, &arguments),
        Command::Completions(arguments) => completions::generate(context, &arguments, Arguments::command()),
        Command::Sandbox(arguments) => sandbox::sandbox(context, &arguments),
        Command::Schema(arguments) => schema::schema(context, &arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
