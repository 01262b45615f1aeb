//! One file a subcommand: arguments, call, render.
