//! `cargo xtask test`: every check and every test, in the order in which they fail soonest.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    built, mcu, queue, setup,
    sh::{self, answers, cargo, root},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave out format, lints, licences and the book: only build and test.
    #[arg(long)]
    only_tests: bool,
    /// Journeys at once; each starts a console, a broker and several agents.
    #[arg(long, default_value_t = AT_ONCE)]
    jobs: usize,
}

const AT_ONCE: usize = 2;

#[derive(clap::Args)]
pub(crate) struct Journeys {
    /// Only these; all if none is named.
    names: Vec<String>,
    /// So many at once.
    #[arg(long, default_value_t = AT_ONCE)]
    jobs: usize,
    /// So many times, to find what flickers.
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// Go on after a time in which one failed.
    #[arg(long)]
    keep_going: bool,
}

/// Builds everything and runs journeys, nothing else.
pub(crate) fn journeys(options: &Journeys) -> Result<()> {
    setup::everything()?;
    let names = &options.names;
    let mut notes = Vec::new();
    let program = match names.is_empty() || names.iter().any(|name| name == mcu::JOURNEY) {
        true => mcu::for_journeys(&mut notes)?,
        false => None,
    };
    for note in notes {
        println!("   note: {note}");
    }
    let built = built::everything()?.with_controller(program.as_deref())?;
    let mut failed = 0;
    for time in 1..=options.times {
        println!("\n== journeys, {time} of {}", options.times);
        let logs = built.logs().join(time.to_string());
        match queue::run(built.journeys(names)?, options.jobs, &logs) {
            Err(error) if options.keep_going && !error.is::<queue::Ended>() => {
                println!("   {error:#}");
                failed += 1;
            }
            done => drop(done?),
        }
    }
    ensure!(
        failed == 0,
        "{failed} of {} times something failed",
        options.times
    );
    Ok(())
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    setup::everything()?;
    let mut notes = Vec::new();
    let mut passed = queue::Passed::default();
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
    let mut program = None;
    step("board controller, in QEMU", || {
        program = mcu::in_test(&mut notes)?;
        Ok(())
    })?;
    let mut built = None;
    step("build", || {
        built = Some(built::everything()?.with_controller(program.as_deref())?);
        Ok(())
    })?;
    let built = built.context("nothing was built")?;
    // Now, so that one that would be left out is told before anything has run.
    let journeys = built.journeys(&[])?;
    step("tests", || {
        passed.add(queue::run(built.crates(), 1, &built.logs())?);
        Ok(())
    })?;
    step("examples in the documentation", || {
        passed.tests += examples()?;
        Ok(())
    })?;
    step("house and journeys", || {
        passed.add(queue::run(journeys, options.jobs, &built.logs())?);
        Ok(())
    })?;
    println!("\n== all green in {} s", start.elapsed().as_secs());
    for note in notes.iter().chain(&passed.notes) {
        println!("   note: {note}");
    }
    println!("{}", passed.line());
    Ok(())
}

/// Runs the examples in the documentation; what they say is shown only when one fails. Gives how many passed.
fn examples() -> Result<u32> {
    let said = cargo()
        .args(["test", "--workspace", "--doc", "--quiet"])
        .stderr(Stdio::inherit())
        .output()
        .context("Failed to start cargo")?;
    let text = String::from_utf8_lossy(&said.stdout);
    if !said.status.success() {
        print!("{text}");
        bail!("an example in the documentation failed ({})", said.status);
    }
    Ok(queue::Counts::of(&text).passed)
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
