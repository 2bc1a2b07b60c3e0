//! Figures, printed side by side with a peer where there is one. Nothing here is asserted.

mod bandwidth;
mod delta;
mod enrol;
mod fetch;
pub(crate) mod fleet;
mod footprint;
mod idle;
mod player;
mod process;
mod report;
mod school;
mod search;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use system_tests::{
    county::{push, roster, ticket},
    stand::{Bins, Classroom, ConsoleStand, free_port, until},
};

use crate::{
    setup,
    sh::{self, cargo, target_dir},
};

#[derive(clap::Subcommand)]
pub(crate) enum Which {
    /// The agent at rest with 500 lessons: memory, processor time, size, time to the first page.
    Footprint {
        /// Lessons to cache.
        #[arg(long, default_value_t = 500)]
        lessons: usize,
        /// Seconds of rest to measure.
        #[arg(long, default_value_t = 180)]
        rest_s: u64,
    },
    /// Enrolments over real HTTPS with distinct keys, the console on two cores, beside openssl issuing certificates.
    Enrol {
        /// How many boards.
        #[arg(long, default_value_t = 3000)]
        boards: usize,
        /// How many at a time, each over a connection of its own.
        #[arg(long, default_value_t = 40)]
        at_once: usize,
    },
    /// The player's page, seeks, memory and start beside other servers of the same file; opens in a browser.
    Player(player::Options),
    /// Questions to 20,000 lessons: latency, memory and build time of the index, how often what is meant is found.
    Search(search::Options),
    /// A lesson to all boards of a school behind one line, in network namespaces, beside libtorrent and aria2.
    School(school::Options),
    /// New versions of 200 MB files with small edits: bytes moved, beside casync, zchunk and zstd.
    Delta(delta::Options),
    /// Boards that hold their lessons and rest: bytes on the line in a month, and to which ports.
    Idle(idle::Options),
    /// Thousands of simulated devices at one console: the morning storm, then a summary a minute, beside Mosquitto.
    Fleet(fleet::Options),
    /// What boards say of shaped lines beside what iperf3 says, and what slow ports prove.
    Bandwidth(bandwidth::Options),
    /// A month's report on 3,000 devices: time, memory, and whether it is byte-equal when it is made again.
    Report(report::Options),
    /// One board fetching at 100 Mbit/s and serving eight others: memory and processor.
    Fetch(fetch::Options),
}

pub(crate) fn run(which: Which) -> Result<()> {
    if let Which::Search(options) = &which {
        return search::run(options);
    }
    let folder = sh::root().join(".bbt/bench");
    std::fs::create_dir_all(&folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let release = target_dir().join("release");
    if let Which::Enrol { boards, at_once } = which {
        // No lessons and no agent: the boards are this program's.
        sh::run(cargo().args(["build", "--release", "-p", "bbt-console"]))?;
        let bins = Bins {
            console: release.join("bbt-console"),
            agent: release.join("bbt-agent"),
        };
        return runtime.block_on(enrol::run(&bins, &folder, boards, at_once));
    }
    if let Which::Fleet(options) = &which {
        return runtime.block_on(fleet::run(&console_alone(&release)?, &folder, options));
    }
    if let Which::Report(options) = &which {
        return report::run(&console_alone(&release)?, &folder, options);
    }
    // Programs that are built already may be measured as they are.
    let bins = match std::env::var_os("BBT_BIN_DIR") {
        Some(dir) => Bins::in_dir(Path::new(&dir))?,
        None => {
            setup::for_demo()?;
            sh::run(cargo().args(["build", "--release", "-p", "bbt-console", "-p", "bbt-agent"]))?;
            Bins::in_dir(&release)?
        }
    };
    match which {
        Which::School(options) => school::run(&bins, &options),
        Which::Fetch(options) => fetch::run(&bins, &options),
        Which::Bandwidth(options) => bandwidth::run(&bins, &options),
        Which::Idle(options) => idle::run(&bins, &options),
        Which::Delta(options) => delta::run(&bins, &folder, &options),
        Which::Footprint { lessons, rest_s } => {
            runtime.block_on(footprint::run(&bins, &folder, lessons, rest_s))
        }
        Which::Enrol { .. } | Which::Search(_) | Which::Fleet(_) | Which::Report(_) => Ok(()),
        Which::Player(options) => runtime.block_on(player::run(&bins, &folder, &options)),
    }
}

/// The console's release, built where it is not said where it lies; no agent is needed.
pub(crate) fn console_alone(release: &Path) -> Result<Bins> {
    let dir = match std::env::var_os("BBT_BIN_DIR") {
        Some(dir) => dir.into(),
        None => {
            sh::run(cargo().args(["build", "--release", "-p", "bbt-console"]))?;
            release.to_owned()
        }
    };
    Ok(Bins {
        console: dir.join("bbt-console"),
        agent: dir.join("bbt-agent"),
    })
}

/// A console with the lessons under `folder/lessons` and one classroom that holds them all; and how long the push took.
async fn ready_classroom(bins: &Bins, folder: &Path) -> Result<(ConsoleStand, Classroom, Duration)> {
    let mut stand = ConsoleStand::prepare(bins, &folder.join("console"), None, "bench bench 1234")?;
    let console = stand.start().await?;
    import(&stand, &folder.join("lessons"))?;
    let rooms = roster(&console).await?;
    let dir = folder.join("classroom");
    let mut classroom = Classroom::prepare(bins, &dir, free_port()?, "BENCH", "")?;
    let ticket = ticket(&console, rooms[0].id, [stand.devices, stand.mqtt], &dir).await?;
    classroom.enrol(&ticket)?;
    classroom.start()?;
    let push = push(&console).await?;
    let start = Instant::now();
    until("all lessons ready", Duration::from_secs(600), async || {
        let now = console.get(&format!("/pushes/{push}")).await?;
        Ok((now["totals"]["ready"] == 1).then_some(()))
    })
    .await?;
    Ok((stand, classroom, start.elapsed()))
}

/// Imports every lesson folder under `folder`, ready to be pushed.
fn import(stand: &ConsoleStand, folder: &Path) -> Result<()> {
    let folder = folder.to_str().context("the folder's path is not UTF-8")?;
    let mut args = vec!["lesson", "import", folder];
    // Consoles of before the review release whatever is imported.
    if stand
        .admin(&["lesson", "import", "--help"])?
        .contains("--release")
    {
        args.push("--release");
    }
    stand.admin(&args).map(drop)
}

/// The middle value.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
