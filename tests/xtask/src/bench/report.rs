//! A month's report on a county: how long it takes, and whether it is the same byte for byte when it is made again.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use system_tests::stand::{Bins, ConsoleStand};

use crate::sh;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Devices of the county.
    #[arg(long, default_value_t = 3000)]
    devices: u32,
    /// Days of the month; the first is 1 October 2026.
    #[arg(long, default_value_t = 31)]
    days: u32,
}

pub(crate) fn run(bins: &Bins, folder: &Path, options: &Options) -> Result<()> {
    let folder = folder.join("report");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let data = folder.join("console");
    let _stand = ConsoleStand::prepare(bins, &data, None, "bench bench 1234")?;
    let seeded = Command::new("python3")
        .arg(sh::root().join("tests/oracle/month.py"))
        .arg(data.join("console.db"))
        .args([
            "--devices",
            &options.devices.to_string(),
            "--days",
            &options.days.to_string(),
        ])
        .output()
        .context("Failed to run python3")?;
    ensure!(
        seeded.status.success(),
        "month.py: {}",
        String::from_utf8_lossy(&seeded.stderr)
    );
    let seeded: serde_json::Value = serde_json::from_slice(&seeded.stdout)?;
    println!("month: {seeded}");
    let console = |args: &[&str]| -> Result<(String, Duration, u64)> {
        let begin = Instant::now();
        // What the process took at most is told by time(1); it is in every distribution.
        let out = Command::new("/usr/bin/time")
            .args(["-f", "%M"])
            .arg(&bins.console)
            .arg("--data")
            .arg(&data)
            .args(args)
            .output()
            .context("Failed to run the console under /usr/bin/time (package time)")?;
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        ensure!(out.status.success(), "{args:?}: {told}");
        let rss = told
            .trim()
            .lines()
            .last()
            .and_then(|line| line.parse().ok())
            .unwrap_or(0);
        Ok((String::from_utf8(out.stdout)?, begin.elapsed(), rss))
    };
    let county = seeded["county"].to_string();
    let (id, made, rss) = console(&["report", "make", "--date", "2026-10-01", "--region", &county])?;
    let id = id.trim().to_owned();
    println!(
        "report make: {:.1} s, {} MB at most",
        made.as_secs_f64(),
        rss / 1024
    );
    let mut total = made;
    for format in ["xlsx", "html", "json"] {
        let out = folder.join(format!("report.{format}"));
        let path = out.to_string_lossy().into_owned();
        let (_, took, rss) = console(&["report", "file", &id, "--format", format, "--out", &path])?;
        total += took;
        let size = fs::metadata(&out)?.len();
        println!(
            "report file --format {format}: {:.1} s, {:.1} MB, {} MB at most",
            took.as_secs_f64(),
            size as f64 / 1e6,
            rss / 1024
        );
    }
    println!(
        "in all: {:.1} s (asked for: 3,000 devices × 31 days ≤ 60 s)",
        total.as_secs_f64()
    );
    // Again from the data, in new processes: the digest of what it says, and each file's bytes.
    let (check, took, _) = console(&["report", "check", &id])?;
    println!(
        "report check: {:.1} s, {}",
        took.as_secs_f64(),
        check.trim().lines().last().unwrap_or("")
    );
    ensure!(
        check.contains("(equal)"),
        "the report is not the same when it is made again: {check}"
    );
    console(&["report", "refresh", &id])?;
    for format in ["xlsx", "html", "json"] {
        let again = folder.join(format!("again.{format}"));
        let path = again.to_string_lossy().into_owned();
        console(&["report", "file", &id, "--format", format, "--out", &path])?;
        let same = fs::read(&again)? == fs::read(folder.join(format!("report.{format}")))?;
        ensure!(
            same,
            "{format} is not the same byte for byte when it is made again"
        );
    }
    println!("made again: xlsx, html and json are byte-equal");
    Ok(())
}
