//! `cargo xtask powercut`: see the library.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for a developer")]

use std::process::ExitCode;

use clap::Parser;
use powercut::{Operation, Options};

#[derive(Parser)]
#[command(about = "Cuts the power under the store of lessons, thousands of times")]
struct Args {
    /// Images of each operation.
    #[arg(long, default_value_t = 1000)]
    cuts: u64,
    /// The same seed makes the same lessons and cuts.
    #[arg(long)]
    seed: Option<u64>,
    /// Images at the same time.
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// Only this operation.
    #[arg(long)]
    only: Option<Operation>,
    /// Take fsync away, to see the cuts turn red.
    #[arg(long)]
    without_fsync: bool,
    /// Only the time that a start takes after a cut, with so many lessons.
    #[arg(long)]
    recovery: Option<usize>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every cut was survived.
fn run(args: &Args) -> anyhow::Result<bool> {
    if let Some(why) = powercut::missing() {
        println!("power cuts: NOT SHOWN ({why}); run as root on Linux with FUSE and loop devices");
        return Ok(true);
    }
    if let Some(lessons) = args.recovery {
        tell_recovery(lessons)?;
        return Ok(true);
    }
    let seed = args.seed.unwrap_or_else(rand::random);
    println!(
        "power cuts: seed {seed}{}",
        if args.without_fsync {
            ", fsync taken away"
        } else {
            ""
        }
    );
    let mut survived = true;
    for operation in Operation::ALL {
        if args.only.is_some_and(|only| only != operation) {
            continue;
        }
        let options = Options {
            cuts: args.cuts,
            seed,
            jobs: args.jobs,
            without_fsync: args.without_fsync,
        };
        let outcome = powercut::run(operation, options)?;
        survived &= outcome.failures.is_empty();
        println!("{outcome}");
    }
    if !args.without_fsync && args.only.is_none() {
        tell_recovery(500)?;
    }
    Ok(survived)
}

fn tell_recovery(lessons: usize) -> anyhow::Result<()> {
    let found = powercut::recovery(lessons)?;
    let ms = |time: std::time::Duration| format!("{:>6} ms", time.as_millis());
    println!(
        "recovery with {} lessons, after a cut in the middle of a fetch:",
        found.lessons
    );
    println!("  file system mounted            {}", ms(found.mounting));
    println!(
        "  store opened with its index    {}   {} lessons ready at once",
        ms(found.opening),
        found.ready.0
    );
    println!("  opened with the index deleted  {}", ms(found.rebuilding));
    println!(
        "    a lesson played at once      {}   (its files are hashed first)",
        ms(found.first_play)
    );
    println!(
        "    all hashed in the background {}   {} lessons ready",
        ms(found.verifying),
        found.ready.1
    );
    Ok(())
}
