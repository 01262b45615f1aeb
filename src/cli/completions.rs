//! `crosswalk completions`: the shell's own completion script.

use clap::Args;
use clap_complete::Shell;

use super::Context;
use super::exit::{Exit, Failure};

/// The arguments of `crosswalk completions`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  crosswalk completions bash > ~/.local/share/bash-completion/completions/crosswalk"
)]
pub struct Completions {
    /// The shell that will read the script
    shell: Shell,
}

/// Writes the script.
pub(super) fn generate(
    context: &Context,
    arguments: &Completions,
    mut command: clap::Command,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "crosswalk", &mut script);
    context.output.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Complete)
}
