//! `cargo xtask county5k`: the journey `console_county` with 5,000 boards of 200 schools, then how soon pages are of use and how
//! long narrowed lists take. What was enrolled stays in `.bbt/county-5000` for the next run.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use system_tests::county_day::{Size, prepare};

use crate::{
    bench, setup,
    sh::{self, target_dir},
};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Boards that are enrolled, 25 to a school.
    #[arg(long, default_value_t = 5_000)]
    devices: usize,
    /// Boards of them that never come.
    #[arg(long, default_value_t = 120)]
    away: usize,
    /// Times that each list is asked for.
    #[arg(long, default_value_t = 40)]
    times: usize,
    /// Rounds of the first paint.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Only the figures, not the day by the pages.
    #[arg(long)]
    figures: bool,
    /// Neither: the county stays until Ctrl-C, and it is said how to run the browser's part by hand.
    #[arg(long)]
    stay: bool,
}

/// The issue's: a list that is narrowed, 95 of 100.
const LIST_MS: f64 = 300.0;

pub(crate) fn run(options: &Options) -> Result<()> {
    let web = sh::root().join("provisioning/web");
    if std::env::var_os("BBT_BIN_DIR").is_none() {
        setup::for_demo()?;
    }
    let bins = bench::console_alone(&target_dir().join("release"))?;
    let folder = sh::root().join(format!(".bbt/county-{}", options.devices));
    std::fs::create_dir_all(&folder)?;
    let many = options.devices > 500;
    let size = Size {
        boards: options.devices,
        away: options.away,
        every: Duration::from_secs(if many { 60 } else { 15 }),
        ramp: Duration::from_millis(options.devices as u64 * 12),
        shards: if many { 8 } else { 1 },
    };
    tokio::runtime::Runtime::new()?.block_on(day(options, &bins, &folder, &size, web))
}

async fn day(
    options: &Options,
    bins: &system_tests::stand::Bins,
    folder: &std::path::Path,
    size: &Size,
    web: PathBuf,
) -> Result<()> {
    let county = prepare(bins, folder, size).await?;
    if options.stay {
        for (name, value) in county.environment() {
            println!("export {name}='{value}'");
        }
        println!("node tests/journeys/console_county.mjs OUT");
        tokio::signal::ctrl_c().await?;
        county.running.stop().await;
        return Ok(());
    }
    if !options.figures {
        let seen = county.by_the_page("day", &folder.join("pictures")).await?;
        county.judge(&seen).await?;
    }
    println!(
        "\nlists, {} times each, milliseconds: p50, p95, worst",
        options.times
    );
    let mut late = Vec::new();
    for (path, [middle, most, worst]) in county.filters(options.times).await? {
        println!("{middle:8.1} {most:8.1} {worst:8.1}  {path}");
        if most > LIST_MS {
            late.push(path);
        }
    }
    println!();
    let mut paint = Command::new("node");
    paint
        .arg(web.join("dev/first-paint.mjs"))
        .arg(options.rounds.to_string())
        .env("BBT_URL", county.stand.url())
        .env("BBT_USER", county.stand.username)
        .env("BBT_PASSWORD", &county.stand.password);
    let painted = tokio::task::spawn_blocking(move || paint.status())
        .await?
        .context("Failed to start node")?;
    county.running.stop().await;
    ensure!(late.is_empty(), "lists above {LIST_MS} ms: {}", late.join(", "));
    ensure!(
        painted.success(),
        "a page is of use later than it should be, see above"
    );
    Ok(())
}
