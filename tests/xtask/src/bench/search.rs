//! Search over 20,000 lessons: latency, memory and build time, on one core.

use anyhow::Result;

use crate::sh::{self, cargo, target_dir};

/// How many lessons, and how often everything is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Lessons of the catalogue.
    #[arg(long, default_value_t = 20_000)]
    lessons: usize,
    /// Rounds of all questions.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    sh::run(cargo().args([
        "build",
        "--release",
        "-p",
        "agent-core",
        "--example",
        "search_bench",
    ]))?;
    let bench = target_dir().join("release/examples/search_bench");
    // One core, whatever the machine has.
    sh::run(
        std::process::Command::new("taskset")
            .args(["-c", "0"])
            .arg(bench)
            .args([options.lessons.to_string(), options.rounds.to_string()]),
    )
}
