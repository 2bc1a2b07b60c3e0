//! `cargo xtask`: everything a person or CI does with this repository, in one place.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod built;
mod check;
mod county5k;
mod demo;
mod mcu;
mod queue;
mod schemathesis;
mod setup;
mod sh;
mod soak;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "班班通终端: set up, show, test, measure")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find or install what is needed; the others call this first.
    Setup,
    /// Console, broker, database and three classrooms with real lessons, on this machine.
    Demo(demo::Options),
    /// Every check and every test.
    Test(check::Options),
    /// The journeys only, or some of them, once or often.
    Journeys(check::Journeys),
    /// A thousand power cuts in each operation of the store of lessons; `--help` after `--` says more. Needs root.
    Powercut {
        /// E.g. `--cuts 1000`, `--only fetch`, `--seed 7`, `--without-fsync`, `--recovery 500`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// A console and simulated devices at it (real certificates, real MQTT), until Ctrl-C.
    Fleet(bench::fleet::Options),
    /// The journey `console_county` with 5,000 boards, then pages, lists, a push and a backup beside their budgets.
    County5k(county5k::Options),
    /// The agent while its console cannot be reached: its memory over two hours.
    Soak(soak::Options),
    /// The board controller's program: built, measured, and shown in QEMU.
    Mcu,
    /// Cases made from the API document, against a real console with two counties, as everybody; see docs/src/security/controls.md.
    Schemathesis(schemathesis::Args),
    /// Figures, printed side by side; nothing is asserted.
    Bench {
        #[command(subcommand)]
        which: bench::Which,
    },
}

fn main() -> std::process::ExitCode {
    let done = match Args::parse().command {
        Command::Setup => setup::everything(),
        Command::Demo(options) => demo::run(options),
        Command::Test(options) => check::run(&options),
        Command::Journeys(options) => check::journeys(&options),
        Command::Powercut { args } => sh::run(
            sh::cargo()
                .args(["run", "--quiet", "-p", "powercut", "--"])
                .args(args),
        ),
        Command::Fleet(options) => bench::fleet::stay(&options),
        Command::County5k(options) => county5k::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Mcu => mcu::run_all(),
        Command::Schemathesis(args) => schemathesis::run(args),
        Command::Bench { which } => bench::run(which),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
