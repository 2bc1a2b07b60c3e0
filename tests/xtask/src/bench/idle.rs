//! What boards that hold their lessons say when nothing happens: bytes on the school's line, and to which ports.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use system_tests::{
    capture::{Capture, What},
    netns::{Line, School},
    stand::Bins,
};

use super::school::{
    in_school, make_content,
    ours::{Lan, Ours},
    race::Fleet,
};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Boards of the school.
    #[arg(long, default_value_t = 3)]
    boards: usize,
    /// Minutes that are measured.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

/// Seconds after the lesson arrived in which nothing is counted.
const SETTLE_S: u64 = 30;
const MONTH_S: f64 = 30.0 * 86_400.0;
/// Issue 6: bytes of one device in a month.
const BUDGET: f64 = 10e6;

pub(crate) fn run(bins: &Bins, options: &Options) -> Result<()> {
    let line = Line {
        rate_kbps: 20_000,
        burst_bytes: 16_000,
        queue_ms: 100,
    };
    in_school(options.boards, line, async |school, folder| {
        let content = folder.join("content.mp4");
        make_content(&content, 5_000_000, 11)?;
        let mut ours = Ours::prepare(school, bins, folder, &content, Lan::Swarm).await?;
        ours.line(line.rate_kbps, false).await?;
        ours.go().await?;
        let mut ready: Vec<_> = (0..options.boards).map(|board| ours.ready(board)).collect();
        let deadline = Instant::now() + Duration::from_secs(60);
        for (ready, netns) in ready.iter_mut().zip(&school.boards) {
            while !netns.within(|| Ok(ready())).unwrap_or(false) {
                ensure!(
                    Instant::now() < deadline,
                    "{} does not get the lesson",
                    netns.name()
                );
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        println!(
            "every board holds the lesson; {SETTLE_S} s of rest, then {} min are measured",
            options.minutes
        );
        tokio::time::sleep(Duration::from_secs(SETTLE_S)).await;
        measure(school, options).await?;
        ours.check_alive()
    })
}

async fn measure(school: &School, options: &Options) -> Result<()> {
    let capture = Capture::start(&school.console)?;
    let before = school.line_bytes()?;
    for minute in 1..=options.minutes {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let now = school.line_bytes()?;
        println!(
            "  minute {minute:3}: {} B",
            now.sent + now.received - before.sent - before.received
        );
    }
    let after = school.line_bytes()?;
    let mut ports: BTreeMap<String, u64> = BTreeMap::new();
    for (flow, packets) in capture.stop()? {
        let name = match flow.what {
            What::Tcp { from, to, .. } => format!("TCP {}", from.min(to)),
            What::Udp { from, to } => format!("UDP {}", from.min(to)),
            other => format!("{other:?}"),
        };
        *ports.entry(name).or_insert(0) += packets;
    }
    let seconds = options.minutes as f64 * 60.0;
    let month = |bytes: u64| bytes as f64 * MONTH_S / seconds / options.boards as f64 / 1e6;
    let (down, up) = (after.sent - before.sent, after.received - before.received);
    println!(
        "\n{} boards at rest for {} min: {:.2} MB in a month of 30 days each, on all day ({:.2} down, {:.2} up, Ethernet headers counted; budget {:.0} MB all told)",
        options.boards,
        options.minutes,
        month(down + up),
        month(down),
        month(up),
        BUDGET / 1e6
    );
    for (port, packets) in ports {
        println!("  {port}: {packets} packets");
    }
    Ok(())
}
