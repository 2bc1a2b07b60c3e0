//! `bbt-console`: the county ops console, one program for serving and for administration.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use bbt_console::cli::{self, Cli};
use clap::Parser;

fn main() -> ExitCode {
    cli::main(Cli::parse())
}
