//! The `crosswalk` binary: arguments to the library, its answer to an exit code.
//!
//! The way through the library, from here down: [`crosswalk::cli`] parses arguments and renders answers,
//! [`crosswalk::compile`] makes a runnable pipeline of a YAML file, [`crosswalk::run`] executes it.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Building and dropping many small strings is what a run does most; mimalloc does it in about half of glibc's time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    crosswalk::cli::main(std::env::args_os())
}
