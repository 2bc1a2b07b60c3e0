//! `cargo xtask test`: every check and every test, in the order in which they fail soonest.

use std::{process::Command, time::Instant};

use anyhow::{Result, bail};

use crate::{
    setup,
    sh::{self, answers, cargo, root},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave out format, lints, licences and the book: only build and test.
    #[arg(long)]
    only_tests: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    setup::everything()?;
    let mut notes = Vec::new();
    if !options.only_tests {
        step("format", || sh::run(cargo().args(["fmt", "--all", "--check"])))?;
        step("licences, bans, sources, advisories", || deny(&mut notes))?;
        step("lints", || {
            run_cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ])
        })?;
        step("book", || {
            sh::run(
                Command::new("mdbook")
                    .arg("build")
                    .current_dir(root().join("docs")),
            )
        })?;
    }
    step("pages", || {
        let web = root().join("provisioning/web");
        setup::npm(&web, &["run", "lint"])?;
        setup::npm(&web, &["test"])?;
        setup::npm(&root().join("agent/daemon/player-ui"), &["run", "check"])
    })?;
    // The journeys start the real programs, so those are built first.
    step("build", || {
        run_cargo(&["build", "-p", "bbt-console", "-p", "bbt-agent"])
    })?;
    step("tests", || {
        run_cargo(&["test", "--workspace", "--exclude", "system-tests"])
    })?;
    // One at a time: each starts a console, a broker and several agents.
    step("house and journeys", || {
        run_cargo(&[
            "test",
            "-p",
            "system-tests",
            "--",
            "--test-threads=1",
            "--nocapture",
        ])
    })?;
    println!("\n== all green in {} s", start.elapsed().as_secs());
    for note in notes {
        println!("   note: {note}");
    }
    Ok(())
}

fn run_cargo(args: &[&str]) -> Result<()> {
    sh::run(cargo().args(args))
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n== {name}");
    let start = Instant::now();
    work()?;
    println!("== {name}: ok, {} s", start.elapsed().as_secs());
    Ok(())
}

/// Advisories need the advisory database, which lives on the net; without it the others are still checked, and it is said.
fn deny(notes: &mut Vec<String>) -> Result<()> {
    sh::run(
        Command::new("cargo-deny")
            .args(["--workspace", "check", "licenses", "bans", "sources"])
            .current_dir(root()),
    )?;
    let fetched = Command::new("cargo-deny")
        .args(["fetch", "db"])
        .current_dir(root())
        .output();
    if fetched.is_ok_and(|done| done.status.success()) {
        return sh::run(
            Command::new("cargo-deny")
                .args(["--workspace", "check", "advisories"])
                .current_dir(root()),
        );
    }
    let note = "advisories were NOT checked: the advisory database cannot be reached from here";
    println!("   {note}");
    notes.push(note.to_owned());
    if answers("cargo-deny", &["--version"]).is_none() {
        bail!("cargo-deny is gone; run `cargo xtask setup`");
    }
    Ok(())
}
