//! A board whose console cannot be reached: what it takes of memory and disk while it waits.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    county::{roster, ticket},
    stand::{Bins, Classroom, ConsoleStand, free_port},
};

/// How long, and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Soak {
    /// In real time.
    pub lasts: Duration,
    /// Seconds between two samples; 60 is a board's usual pace, 1 makes a minute an hour.
    pub sample_every_s: u64,
    /// Between two looks.
    pub look_every: Duration,
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Resident memory in KiB, look by look.
    pub rss_kib: Vec<u64>,
    /// Samples that wait in the outbox at the end, by its size.
    pub outbox_bytes: u64,
}

impl Seen {
    /// The middle one of the looks in a share of the time, `from`..`to` in percent.
    pub fn middle(&self, from: usize, to: usize) -> u64 {
        let count = self.rss_kib.len();
        let mut some =
            self.rss_kib[count * from / 100..(count * to / 100).max(count * from / 100 + 1)].to_vec();
        some.sort_unstable();
        some[some.len() / 2]
    }
}

/// Enrols a board, ends its console for good, and looks at the board while it tries and waits.
///
/// # Errors
/// A program cannot be started or ends.
pub async fn soak(
    bins: &Bins,
    folder: &Path,
    how: Soak,
    mut tell: impl FnMut(Duration, u64, u64),
) -> Result<Seen> {
    let mut stand = ConsoleStand::prepare(bins, &folder.join("console"), None, "soak soak 1234")?;
    let console = stand.start().await?;
    let rooms = roster(&console).await?;
    let dir = folder.join("classroom");
    let every = how.sample_every_s;
    let extra = format!("[health]\ninterval_s = {every}\n");
    let mut board = Classroom::prepare(bins, &dir, free_port()?, "SOAK", &extra)?;
    let ticket = ticket(&console, rooms[0].id, [stand.devices, stand.mqtt], &dir).await?;
    board.enrol(&ticket)?;
    stand.kill();
    board.start()?;
    let begun = Instant::now();
    let mut seen = Seen {
        rss_kib: Vec::new(),
        outbox_bytes: 0,
    };
    while begun.elapsed() < how.lasts {
        tokio::time::sleep(how.look_every).await;
        let process = board.process()?;
        process.check_alive()?;
        let rss = resident_kib(process.pid())?;
        seen.rss_kib.push(rss);
        seen.outbox_bytes = folder_bytes(&dir.join("data/outbox"));
        tell(begun.elapsed(), rss, seen.outbox_bytes);
    }
    ensure!(!seen.rss_kib.is_empty(), "too short to look even once");
    board.process()?.terminate(Duration::from_secs(20))?;
    Ok(seen)
}

fn resident_kib(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .context("no VmRSS")
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
