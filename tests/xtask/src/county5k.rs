//! `cargo xtask county5k`: the journey `console_county` with 5,000 boards of 200 schools, then figures beside their budgets: how
//! soon pages are of use, how long narrowed lists take, a push to every board, a backup, the weight of the pages. The console is
//! a release build. The day begins with a county of its own, which stays in `.bbt/county-5000` for `--figures` and `--stay`.
//!
//! It fails when something does not work. A figure above its budget is marked, and fails the command only with `--budget`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use system_tests::county_day::{County, Size, prepare};

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
    /// Fail when a figure is above its budget, too.
    #[arg(long)]
    budget: bool,
}

/// A list that is narrowed, 95 of 100.
const LIST_MS: f64 = 300.0;
/// Until a page shows what it is for, cold cache.
const USEFUL_MS: f64 = 1_500.0;
/// All scripts and styles, gzipped.
const BUNDLE_KIB: f64 = 900.0;
/// Before any page shows anything.
const FIRST_KIB: f64 = 400.0;
/// A backup that is put back.
const RESTORE_S: f64 = 900.0;

/// One line of the table.
struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    budget: Option<f64>,
    more: String,
}

#[derive(Default)]
struct Table(Vec<Figure>);

impl Table {
    fn add(
        &mut self,
        what: impl Into<String>,
        (value, unit): (f64, &'static str),
        budget: impl Into<Option<f64>>,
        more: String,
    ) {
        self.0.push(Figure {
            what: what.into(),
            value,
            unit,
            budget: budget.into(),
            more,
        });
    }

    /// As Markdown, so that it can be kept as it is; gives the names of those above their budget.
    fn print(&self) -> Vec<&str> {
        println!("\n| | measured | budget | ratio | |\n|---|---|---|---|---|");
        let mut above = Vec::new();
        for Figure {
            what,
            value,
            unit,
            budget,
            more,
        } in &self.0
        {
            let (budget, ratio) = match budget {
                Some(budget) if value > budget => {
                    above.push(what.as_str());
                    (format!("{budget} {unit}"), format!("**{:.2}**", value / budget))
                }
                Some(budget) => (format!("{budget} {unit}"), format!("{:.2}", value / budget)),
                None => ("–".into(), "–".into()),
            };
            println!("| {what} | {value:.1} {unit} | {budget} | {ratio} | {more} |");
        }
        println!();
        above
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if std::env::var_os("BBT_BIN_DIR").is_none() {
        setup::for_demo()?;
    }
    let bins = bench::console_alone(&target_dir().join("release"))?;
    let folder = sh::root().join(format!(".bbt/county-{}", options.devices));
    // Much of what the day makes is made once in a county's life: it begins with a county of its own.
    if !options.figures && !options.stay && folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let many = options.devices > 500;
    let size = Size {
        boards: options.devices,
        away: options.away,
        every: Duration::from_secs(if many { 60 } else { 15 }),
        ramp: Duration::from_millis(options.devices as u64 * 12),
        shards: if many { 8 } else { 1 },
    };
    tokio::runtime::Runtime::new()?.block_on(day(options, &bins, &folder, &size))
}

async fn day(options: &Options, bins: &system_tests::stand::Bins, folder: &Path, size: &Size) -> Result<()> {
    let at_first = load();
    let mut county = prepare(bins, folder, size).await?;
    if options.stay {
        for (name, value) in county.environment() {
            println!("export {name}='{value}'");
        }
        println!("node tests/journeys/console_county.mjs OUT");
        tokio::signal::ctrl_c().await?;
        county.running.stop().await;
        return Ok(());
    }
    // What does not work is told at the end, after what can be measured all the same.
    let mut faults = Vec::new();
    let mut table = Table::default();
    if !options.figures {
        note(
            &mut faults,
            "the day by the pages",
            by_the_pages(&county, folder, &mut table).await,
        );
    }
    note(&mut faults, "pages", pages(&county, options, &mut table).await);
    note(&mut faults, "lists", lists(&county, options, &mut table).await);
    note(&mut faults, "the push", push(&county, &mut table).await);
    note(&mut faults, "the backup", backup(&mut county, &mut table).await);
    note(&mut faults, "the bundle", bundle(&mut table));
    println!(
        "\n{} boards of which {} talk; load {at_first} at the beginning, {} at the end, {} cores; console from {}",
        size.boards,
        size.boards - size.away,
        load(),
        std::thread::available_parallelism().map_or(0, usize::from),
        bins.console.display()
    );
    let above = table.print();
    county.stand.process()?.check_alive()?;
    county.running.stop().await;
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    if !above.is_empty() {
        println!("above budget: {}", above.join(", "));
    }
    ensure!(
        above.is_empty() || !options.budget,
        "{} figures are above their budget",
        above.len()
    );
    Ok(())
}

fn note(faults: &mut Vec<String>, what: &str, done: Result<()>) {
    if let Err(error) = done {
        println!("! {what}: {error:#}");
        faults.push(format!("{what}: {error:#}"));
    }
}

/// Of the last minute; what else the machine does is in every figure.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

async fn by_the_pages(county: &County, folder: &Path, table: &mut Table) -> Result<()> {
    let seen = county.by_the_page("day", &folder.join("pictures")).await?;
    if let Some(ms) = seen["push_ms"].as_f64() {
        table.add(
            "push by the page, until its page shows all ready",
            (ms / 1_000.0, "s"),
            None,
            String::new(),
        );
    }
    county.judge(&seen).await
}

async fn pages(county: &County, options: &Options, table: &mut Table) -> Result<()> {
    let mut paint = Command::new("node");
    paint
        .arg(web().join("dev/first-paint.mjs"))
        .arg(options.rounds.to_string())
        .env("BBT_URL", county.stand.url())
        .env("BBT_USER", county.stand.username)
        .env("BBT_PASSWORD", &county.stand.password);
    for found in said(paint).await?.as_array().context("no list of pages")? {
        let number = |key: &str| found[key].as_f64().unwrap_or(f64::NAN);
        table.add(
            format!("useful paint of {}", found["path"].as_str().unwrap_or("?")),
            (number("useful_ms"), "ms"),
            USEFUL_MS,
            format!(
                "worst {:.0}; of it {:.0} of the page's own processor time, {:.0} KiB",
                number("worst_ms"),
                number("cpu_ms"),
                number("kib")
            ),
        );
    }
    Ok(())
}

async fn lists(county: &County, options: &Options, table: &mut Table) -> Result<()> {
    for (path, [middle, most, worst]) in county.filters(options.times).await? {
        table.add(
            format!("p95 of {path}"),
            (most, "ms"),
            LIST_MS,
            format!("p50 {middle:.1}, worst {worst:.1}"),
        );
    }
    Ok(())
}

async fn push(county: &County, table: &mut Table) -> Result<()> {
    let done = county.push_to_all().await?;
    let s = |value: Duration| (value.as_secs_f64(), "s");
    table.add(
        "push to all: taken by the console",
        s(done.taken),
        None,
        String::new(),
    );
    table.add(
        "push to all: every board that is there has it",
        s(done.all),
        None,
        format!(
            "first {:.1} s, half {:.1} s; its page's longest answer meanwhile {:.0} ms",
            done.first.as_secs_f64(),
            done.half.as_secs_f64(),
            done.look.as_secs_f64() * 1_000.0
        ),
    );
    table.add(
        "push to all: every receipt",
        s(done.receipts),
        None,
        String::new(),
    );
    Ok(())
}

async fn backup(county: &mut County, table: &mut Table) -> Result<()> {
    let done = county.copy().await?;
    let s = |value: Duration| (value.as_secs_f64(), "s");
    let size = format!("{:.1} MiB", done.bytes as f64 / 1_048_576.0);
    table.add("backup made while boards talk", s(done.made), None, size);
    table.add("backup tried", s(done.verified), None, String::new());
    table.add("backup put back", s(done.restored), RESTORE_S, String::new());
    Ok(())
}

fn bundle(table: &mut Table) -> Result<()> {
    let done = Command::new("node")
        .arg(web().join("dev/bundle.mjs"))
        .arg("--json")
        .output()
        .context("Failed to start node")?;
    let weighed: Value = serde_json::from_slice(&done.stdout).with_context(|| {
        format!(
            "the pages are not weighed: {}",
            String::from_utf8_lossy(&done.stderr)
        )
    })?;
    let number = |key: &str| weighed[key].as_f64().unwrap_or(f64::NAN);
    table.add(
        "all scripts and styles, gzipped",
        (number("all_kib"), "KiB"),
        BUNDLE_KIB,
        format!("{} parts come with their pages", weighed["later"]),
    );
    table.add(
        "before the first page, gzipped",
        (number("first_kib"), "KiB"),
        FIRST_KIB,
        String::new(),
    );
    Ok(())
}

fn web() -> PathBuf {
    sh::root().join("provisioning/web")
}

/// Runs a program that says what it does and ends with one line of JSON.
async fn said(mut command: Command) -> Result<Value> {
    command.stderr(Stdio::inherit());
    let done = tokio::task::spawn_blocking(move || command.output())
        .await?
        .context("Failed to start node")?;
    let text = String::from_utf8_lossy(&done.stdout);
    println!("{text}");
    ensure!(done.status.success(), "ended with {}", done.status);
    serde_json::from_str(text.lines().last().context("nothing was said")?).context("the last line is no JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_its_budget_is_named_and_nothing_else() {
        let mut table = Table::default();
        table.add("late", (1_500.1, "ms"), USEFUL_MS, String::new());
        table.add("just in time", (1_500.0, "ms"), USEFUL_MS, String::new());
        table.add("nobody said how long", (9_999.0, "s"), None, String::new());
        assert_eq!(table.print(), ["late"]);
    }
}
