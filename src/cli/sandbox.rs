//! `crosswalk sandbox`: serves the stand-ins until it is told to stop.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::{Map, Value, json};

use super::Context;
use super::arguments::Format;
use super::exit::{Exit, Failure};
use super::location::{SANDBOX_DATA, quoted};
use super::signals;
use crate::sandbox::{Sandbox as StandIns, SandboxOptions};

/// The arguments of `crosswalk sandbox`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  crosswalk sandbox --tickets 5000
  crosswalk sandbox --in-memory --time-scale 60 --format json
  POST /_sandbox/edit, /_sandbox/faults, ... on an address change what it answers")]
pub struct Sandbox {
    /// Chooses the generated data, when there is none yet
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// How many tickets to generate, when there are none yet
    #[arg(long, default_value_t = 120, value_name = "COUNT")]
    tickets: usize,
    /// The port of a stand-in, instead of any free one; may be given several times
    #[arg(long, value_name = "NAME=PORT", value_parser = parse_port)]
    port: Vec<(String, u16)>,
    /// Where the stand-ins keep what is written to them [default: .crosswalk/sandbox/data, as `run --sandbox` does]
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Keep everything in memory
    #[arg(long, conflicts_with = "directory")]
    in_memory: bool,
    /// How much faster than real time limits refill: 60 makes a minute last a second
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    time_scale: f64,
    /// How many seconds an access token is accepted
    #[arg(long, default_value_t = 1800, value_name = "SECONDS")]
    token_lifetime: u64,
    /// The form of the addresses on standard output
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the subcommand.
pub(super) fn sandbox(context: &Context, arguments: &Sandbox) -> Result<Exit, Failure> {
    let options = arguments.options()?;
    let runtime = tokio::runtime::Runtime::new()
        .context("cannot start the threads of the stand-ins")
        .map_err(Failure::internal)?;
    runtime.block_on(async {
        let place = options.directory.clone();
        let stand_ins = StandIns::start(options)
            .await
            .map_err(|error| Failure::usage(error.into()))?;
        match arguments.format {
            Format::Json => context.output.print_json(&describe(&stand_ins))?,
            Format::Text => context.output.print(&render(&stand_ins))?,
        }
        let place = place.map_or_else(
            || "kept in memory".to_owned(),
            |directory| format!("kept in {}", quoted(&directory)),
        );
        context
            .screen
            .write(format!("serving until Ctrl-C; what is written is {place}\n").as_bytes());
        signals::next()
            .await
            .context("cannot watch for signals")
            .map_err(Failure::internal)?;
        stand_ins
            .stop()
            .await
            .map_err(|error| Failure::storage(error.into()))?;
        Ok(Exit::Complete)
    })
}

impl Sandbox {
    fn options(&self) -> Result<SandboxOptions, Failure> {
        let directory = self
            .directory
            .clone()
            .unwrap_or_else(|| PathBuf::from(SANDBOX_DATA));
        let mut options = SandboxOptions {
            directory: (!self.in_memory).then_some(directory),
            seed: self.seed,
            tickets: self.tickets,
            time_scale: self.time_scale,
            token_lifetime: Duration::from_secs(self.token_lifetime),
            ..SandboxOptions::default()
        };
        for (name, port) in &self.port {
            if !options.set_port(name, *port) {
                return Err(Failure::usage(anyhow!(
                    "there is no stand-in for `{name}`: there are those for {}",
                    StandIns::connectors().join(", ")
                )));
            }
        }
        Ok(options)
    }
}

fn render(stand_ins: &StandIns) -> String {
    let mut text = String::new();
    for connector in StandIns::connectors() {
        if let Some(address) = stand_ins.address(connector) {
            let _ = writeln!(text, "# {connector} at {address}");
        }
    }
    for (name, value) in stand_ins.environment() {
        let _ = writeln!(text, "export {name}={}", quoted(value.as_ref()));
    }
    text
}

fn describe(stand_ins: &StandIns) -> Value {
    let addresses: Map<String, Value> = StandIns::connectors()
        .iter()
        .filter_map(|connector| Some(((*connector).to_owned(), json!(stand_ins.address(connector)?))))
        .collect();
    let environment: Map<String, Value> = stand_ins
        .environment()
        .into_iter()
        .map(|(name, value)| (name, json!(value)))
        .collect();
    json!({"addresses": addresses, "environment": environment})
}

fn parse_port(text: &str) -> Result<(String, u16), String> {
    text.split_once('=')
        .and_then(|(name, port)| Some((name.to_owned(), port.parse().ok()?)))
        .ok_or_else(|| "expected NAME=PORT, such as `helpdesk=8080`".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Arguments, Command};
    use super::*;

    fn parse(arguments: &str) -> Result<Sandbox, clap::Error> {
        match Arguments::try_parse_from(arguments.split(' '))?.command {
            Command::Sandbox(sandbox) => Ok(sandbox),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn data_is_shared_with_the_rehearsal_unless_said_otherwise() {
        let options = |text| parse(text).unwrap().options().unwrap();
        assert_eq!(options("crosswalk sandbox").directory, Some(SANDBOX_DATA.into()));
        assert_eq!(options("crosswalk sandbox --in-memory").directory, None);
        assert_eq!(
            options("crosswalk sandbox --directory d").directory,
            Some("d".into())
        );
        assert!(parse("crosswalk sandbox --in-memory --directory d").is_err());
    }

    #[test]
    fn a_port_needs_a_stand_in() {
        let unknown = parse("crosswalk sandbox --port nobody=1").unwrap();
        assert!(unknown.options().is_err());
        let known = format!("crosswalk sandbox --port {}=8080", StandIns::connectors()[0]);
        assert!(parse(&known).unwrap().options().is_ok());
        assert!(parse("crosswalk sandbox --port 8080").is_err());
    }
}
