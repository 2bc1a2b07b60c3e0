//! What boards that hold their lessons say when nothing happens: bytes on the school's line by a capture, of boards with a full
//! bucket of the line's budget and with an empty one, side by side; then of some that lose power again and again. Those come
//! by themselves: with each of them the school's plan may change, which every board of the school gets.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use system_tests::{
    capture::{Capture, Flow, Passed, What},
    netns::{Line, School},
    stand::{Bins, Classroom},
};

use super::school::{
    in_school, make_content,
    ours::{Lan, Ours},
    race::Fleet,
};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Boards of each kind.
    #[arg(long, default_value_t = 2)]
    boards: usize,
    /// Minutes that are measured. A board with an empty bucket speaks each 15 min, and is answered each 30.
    #[arg(long, default_value_t = 31)]
    minutes: u64,
    /// Minutes between two power cuts.
    #[arg(long, default_value_t = 3)]
    cycle: u64,
    /// Power cuts of each board that loses power.
    #[arg(long, default_value_t = 3)]
    cuts: u64,
}

/// Seconds after the boards were started in which nothing is counted: what the first minutes cost is the power-up's.
const SETTLE_S: u64 = 240;
/// Bytes of one device in a month.
const BUDGET: f64 = 10e6;
/// What the budget's bucket gives out in 30 days, by the agent's own count.
const GIVES: f64 = 9.3e6;
const METRICS: u16 = 9100;

/// What is in a board's bucket when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Full,
    Empty,
    Cut,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Full, Self::Empty, Self::Cut];

    const fn bucket(self) -> i64 {
        match self {
            Self::Full => 400_000,
            Self::Empty | Self::Cut => -400_000,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Full => "full bucket",
            Self::Empty => "empty bucket",
            Self::Cut => "power cuts",
        }
    }
}

pub(crate) fn run(bins: &Bins, options: &Options) -> Result<()> {
    let line = Line {
        rate_kbps: 20_000,
        burst_bytes: 16_000,
        queue_ms: 100,
    };
    let boards = options.boards * Kind::ALL.len();
    in_school(boards, line, async |school, folder| {
        let content = folder.join("content.mp4");
        make_content(&content, 5_000_000, 11)?;
        let mut ours = Ours::prepare(school, bins, folder, &content, Lan::Swarm).await?;
        ours.line(line.rate_kbps, false).await?;
        ours.go().await?;
        let mut ready: Vec<_> = (0..boards).map(|board| ours.ready(board)).collect();
        let deadline = Instant::now() + Duration::from_secs(120);
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
        // A moment for the notes of the power-up.
        tokio::time::sleep(Duration::from_secs(5)).await;
        for (n, board) in ours.boards.iter_mut().enumerate() {
            board.kill();
            let config = board.dir.join("agent.toml");
            let boot = board.dir.join("boot_id");
            let text = fs::read_to_string(&config)?
                .replace("[system]\n", &format!("[system]\nboot_id_file = {boot:?}\n"))
                + &format!("\n[metrics]\nlisten = \"127.0.0.1:{METRICS}\"\n");
            fs::write(&config, text)?;
            power_up(board, 0)?;
            fill(&board.dir, Kind::ALL[n / options.boards].bucket())?;
            board.start()?;
        }
        println!(
            "{boards} boards hold the lesson and were started with their buckets; {SETTLE_S} s of rest, then {} min are measured",
            options.minutes
        );
        tokio::time::sleep(Duration::from_secs(SETTLE_S)).await;
        measure(school, &mut ours, options).await?;
        ours.check_alive()
    })
}

/// The next start is another power-up.
fn power_up(board: &Classroom, number: u64) -> Result<()> {
    let boot = format!("0a6f1c52-3f0e-4f6e-9d6b-{number:012x}\n");
    fs::write(board.dir.join("boot_id"), boot).context("Failed to write a power-up's name")
}

/// Puts so much into the bucket of a board that does not run.
fn fill(dir: &Path, bucket: i64) -> Result<()> {
    let note = dir.join("data/state/alive.json");
    let text = fs::read_to_string(&note).context("the board has no note of its power-up")?;
    let mut note_now: Value = serde_json::from_str(&text)?;
    note_now["budget"] = json!(bucket);
    fs::write(&note, note_now.to_string())?;
    Ok(())
}

async fn measure(school: &School, ours: &mut Ours, options: &Options) -> Result<()> {
    let of = |kind: Kind| {
        let at = Kind::ALL.iter().position(|one| *one == kind).unwrap_or_default();
        at * options.boards..(at + 1) * options.boards
    };
    let counted = |boards: &mut dyn Iterator<Item = usize>| -> Result<Vec<f64>> {
        boards
            .map(|board| school.boards[board].within(|| counted_by_itself(METRICS)))
            .collect()
    };
    let steady = || of(Kind::Full).chain(of(Kind::Empty));
    let before = counted(&mut steady())?;
    let capture = Capture::start(&school.console)?;
    tokio::time::sleep(Duration::from_secs(options.minutes * 60)).await;
    let flows = capture.stop_with_bytes()?;
    let after = counted(&mut steady())?;
    let [full, empty] =
        [Kind::Full, Kind::Empty].map(|kind| told(school, &flows, kind, of(kind), options.minutes));
    let itself: f64 = after
        .iter()
        .zip(&before)
        .map(|(after, before)| after - before)
        .sum();
    let captured = (full + empty) * options.minutes as f64 * options.boards as f64;
    let ratio = captured / itself.max(1.0);
    println!(
        "counted by the boards themselves: {itself:.0} B of {captured:.0} B captured; captured ÷ counted {ratio:.3}"
    );

    let capture = Capture::start(&school.console)?;
    for cut in 1..=options.cuts {
        for board in of(Kind::Cut) {
            let board = &mut ours.boards[board];
            board.kill();
            power_up(board, cut)?;
            board.start()?;
        }
        tokio::time::sleep(Duration::from_secs(options.cycle * 60)).await;
    }
    let flows = capture.stop_with_bytes()?;
    let rate = told(
        school,
        &flows,
        Kind::Cut,
        of(Kind::Cut),
        options.cuts * options.cycle,
    );
    // Each with the minutes after it, less what these cost at rest.
    let power_up = ((rate - empty) * options.cycle as f64).max(0.0);
    println!("a power-up: {power_up:.0} B ({} for each board)", options.cuts);
    let day = 480.0;
    let months = [
        ("22 days of 8 h, a power-up each", 22.0 * (power_up + day * full)),
        (
            "day and night, 30 days, nothing but what must be said",
            30.0 * 1440.0 * empty,
        ),
        (
            "the most that the bucket gives in 30 days, used or not",
            GIVES * ratio,
        ),
        (
            "22 days of 8 h, 20 power-ups each",
            22.0 * (20.0 * power_up + day * empty),
        ),
    ];
    for (what, bytes) in months {
        println!("{what}: {:.2} MB (budget {:.0} MB)", bytes / 1e6, BUDGET / 1e6);
    }
    Ok(())
}

/// Prints what boards of a kind and the console said to each other; bytes a minute and board.
fn told(
    school: &School,
    flows: &BTreeMap<Flow, Passed>,
    kind: Kind,
    boards: std::ops::Range<usize>,
    minutes: u64,
) -> f64 {
    let each = (minutes.max(1) * boards.len() as u64) as f64;
    let passed = passed(school, flows, boards);
    let bytes: u64 = passed.values().map(|passed| passed.bytes).sum();
    let packets: u64 = passed.values().map(|passed| passed.packets).sum();
    println!(
        "{}: {:.0} B a minute and board (Ethernet headers counted; {:.0} without), {:.1} packets",
        kind.name(),
        bytes as f64 / each,
        bytes.saturating_sub(packets * 14) as f64 / each,
        packets as f64 / each
    );
    for (port, passed) in passed {
        println!("  {port}: {} packets, {} B", passed.packets, passed.bytes);
    }
    bytes as f64 / each
}

/// What these boards and the console said to each other, by port.
fn passed(
    school: &School,
    flows: &BTreeMap<Flow, Passed>,
    boards: std::ops::Range<usize>,
) -> BTreeMap<String, Passed> {
    let mut ports: BTreeMap<String, Passed> = BTreeMap::new();
    for board in boards {
        let address = school.address(board);
        for (flow, passed) in flows {
            if flow.from != address && flow.to != address {
                continue;
            }
            let name = match flow.what {
                What::Tcp { from, to, .. } => format!("TCP {}", from.min(to)),
                What::Udp { from, to } => format!("UDP {}", from.min(to)),
                other => format!("{other:?}"),
            };
            let sum = ports.entry(name).or_default();
            sum.packets += passed.packets;
            sum.bytes += passed.bytes;
        }
    }
    ports
}

/// Bytes that crossed the line by the count of the board in whose namespace this is.
fn counted_by_itself(port: u16) -> Result<f64> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("bbt_agent_line_bytes_total "));
    line.context("no bbt_agent_line_bytes_total")?
        .trim()
        .parse()
        .context("no number")
}
