//! One lesson to every board of a school, over one line: what crosses the line, and when the last classroom has it.
//!
//! Ours, each board for itself, libtorrent and aria2 run the same race over the same network with the same bytes.

pub(super) mod ours;
mod ping;
pub(super) mod race;
mod torrent;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use system_tests::{
    kit,
    netns::{Line, School},
    stand::Bins,
};

use self::{
    ours::{Lan, Ours},
    ping::{Ping, wall},
    race::{Course, Fleet, Random, Result1, clear},
    torrent::{Program, Torrent},
};
use crate::setup;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Boards.
    #[arg(long, default_value_t = 8)]
    agents: usize,
    /// Size of the lesson in MB (10^6 bytes).
    #[arg(long, default_value_t = 40)]
    mb: u32,
    /// Runs of each.
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// The line in kbit/s, each way.
    #[arg(long, default_value_t = 20_000)]
    line_kbps: u32,
    /// So long a full queue of the line takes to empty.
    #[arg(long, default_value_t = 100)]
    queue_ms: u32,
    /// Congestion control of every connection; cubic is what Linux comes with.
    #[arg(long, default_value = "cubic")]
    tcp: String,
    /// Boards in a hundred that lose power once at a random time.
    #[arg(long, default_value_t = 0)]
    cycle: u8,
    /// Who runs.
    #[arg(long, value_delimiter = ',', default_value = "ours,solo,libtorrent,aria2")]
    peers: Vec<Who>,
    /// Seconds of silence before each push, in which idle traffic is counted and ping is taken.
    #[arg(long, default_value_t = 10)]
    idle_s: u64,
    /// For the random times of --cycle; random itself where none is given, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// In class hours, of which 10 % of the line are allowed: for a minute, how much is taken and what it does to a ping.
    #[arg(long)]
    class_hours: bool,
    /// Seconds of --class-hours.
    #[arg(long, default_value_t = 60)]
    class_hours_s: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Who {
    /// Our boards.
    Ours,
    /// Our boards, each for itself.
    Solo,
    /// libtorrent with every peer told at once.
    Libtorrent,
    /// The same, the seeder in its super-seeding mode.
    LibtorrentSuper,
    /// aria2 with a tracker.
    Aria2,
}

/// A folder in memory, removed when dropped.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let folder = place.join(format!("bbt{}", std::process::id()));
        clear(&folder);
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        clear(&self.0);
    }
}

/// A network, and a runtime whose every thread stands where the console stands, until the work is done or a person ends it.
pub(super) fn in_school<T>(
    boards: usize,
    line: Line,
    work: impl AsyncFnOnce(&School, &Path) -> Result<T> + Send,
) -> Result<T>
where
    T: Send,
{
    ensure!(setup::is_root(), "network namespaces need root: run this as root");
    let scratch = Scratch::new()?;
    let school = School::build(boards, line)?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            school.console.enter()?;
            let runtime = tokio::runtime::Runtime::new()?;
            let done = runtime.block_on(async {
                let mut terminate =
                    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
                tokio::select! {
                    done = work(&school, &scratch.0) => done,
                    _ = tokio::signal::ctrl_c() => bail!("ended by Ctrl-C"),
                    _ = terminate.recv() => bail!("ended by SIGTERM"),
                }
            });
            runtime.shutdown_timeout(Duration::from_secs(2));
            done
        });
        thread.join().map_err(|_| anyhow::anyhow!("the bench panicked"))?
    })
}

pub(crate) fn run(bins: &Bins, options: &Options) -> Result<()> {
    if options
        .peers
        .iter()
        .any(|who| matches!(who, Who::Libtorrent | Who::LibtorrentSuper | Who::Aria2))
    {
        setup::for_peers()?;
    }
    let line = Line {
        rate_kbps: options.line_kbps,
        burst_bytes: 16_000,
        queue_ms: options.queue_ms,
    };
    println!(
        "{} boards, {} MB, line {} kbit/s each way (tbf: burst {} B, queue {} ms, tail drop; Ethernet headers counted), TCP {}, \
         folders in memory",
        options.agents, options.mb, line.rate_kbps, line.burst_bytes, line.queue_ms, options.tcp
    );
    in_school(options.agents, line, async |school, folder| {
        school.congestion(&options.tcp)?;
        if options.class_hours {
            return class_hours(school, folder, bins, options).await;
        }
        let mut all = Vec::new();
        for who in &options.peers {
            for run in 0..options.runs {
                let seed = match options.seed {
                    Some(seed) => seed + u64::from(run),
                    None => fresh_seed()?,
                };
                match once(school, folder, bins, options, *who, seed).await {
                    Ok(done) => {
                        println!("{}", row(&done, options));
                        all.push((*who, done));
                    }
                    Err(error) => println!("   run {} of {who:?}: {error:#}", run + 1),
                }
            }
        }
        summary(&all, options);
        Ok(())
    })
}

async fn once(
    school: &School,
    folder: &Path,
    bins: &Bins,
    options: &Options,
    who: Who,
    seed: u64,
) -> Result<Result1> {
    let folder = folder.join("run");
    clear(&folder);
    fs::create_dir_all(&folder)?;
    // Other bytes in each run: what one left in any memory is of no use to the next.
    let content = folder.join("content.mp4");
    make_content(&content, u64::from(options.mb) * 1_000_000, seed)?;
    if options.cycle > 0 {
        println!("   {who:?}: seed {seed}");
    }
    let course = Course {
        content_bytes: fs::metadata(&content)?.len(),
        rate_kbps: options.line_kbps,
        idle_s: options.idle_s,
        cycle_percent: options.cycle,
        seed,
    };
    match who {
        Who::Ours | Who::Solo => {
            let lan = if who == Who::Ours { Lan::Swarm } else { Lan::Off };
            let mut fleet = Ours::prepare(school, bins, &folder, &content, lan).await?;
            fleet.line(options.line_kbps, false).await?;
            let done = race::run(school, &mut fleet, course, &folder).await;
            keep_logs(&folder, done.is_err());
            done
        }
        Who::Libtorrent | Who::LibtorrentSuper | Who::Aria2 => {
            let program = match who {
                Who::Aria2 => Program::Aria2,
                Who::LibtorrentSuper => Program::LibtorrentSuper,
                _ => Program::Libtorrent,
            };
            let mut fleet = Torrent::prepare(school, &folder.join("peer"), &content, program).await?;
            race::run(school, &mut fleet, course, &folder).await
        }
    }
}

/// Logs of a race that failed, or of any where `BBT_KEEP_LOGS` says so, outlive its folder.
pub(super) fn keep_logs(folder: &Path, failed: bool) {
    if !failed && std::env::var_os("BBT_KEEP_LOGS").is_none() {
        return;
    }
    let keep = crate::sh::root().join(".bbt/bench/school-logs");
    clear(&keep);
    let logs = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .flat_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            ["agent.log", "serve.log"].map(|log| (entry.path().join(log), format!("{name}-{log}")))
        });
    let _ = fs::create_dir_all(&keep);
    for (from, name) in logs {
        let _ = fs::copy(from, keep.join(name));
    }
    println!("   logs are in .bbt/bench/school-logs");
}

/// A playable video of exactly so many bytes, nearly all of which no one can compress.
pub(super) fn make_content(file: &Path, bytes: u64, seed: u64) -> Result<()> {
    let done = Command::new(kit::find("ffmpeg", "ffmpeg")?)
        .args([
            "-y",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=320x180:r=25:d=2",
        ])
        .args([
            "-f",
            "lavfi",
            "-i",
            "sine=d=2",
            "-c:v",
            "libx264",
            "-profile:v",
            "high",
            "-pix_fmt",
            "yuv420p",
        ])
        .args(["-c:a", "aac", "-shortest", "-movflags", "+faststart"])
        .arg(file)
        .status()?;
    ensure!(done.success(), "ffmpeg could not make a video");
    let head = fs::metadata(file)?.len();
    let free = bytes
        .checked_sub(head)
        .context("the lesson is smaller than its video")?;
    let mut out = std::io::BufWriter::new(fs::OpenOptions::new().append(true).open(file)?);
    out.write_all(&u32::try_from(free).context("over 4 GiB")?.to_be_bytes())?;
    out.write_all(b"free")?;
    let mut random = Random(seed);
    let mut left = free.saturating_sub(8);
    while left > 0 {
        let word = random.next().to_le_bytes();
        let take = left.min(8);
        out.write_all(&word[..take as usize])?;
        left -= take;
    }
    out.flush()?;
    Ok(())
}

fn fresh_seed() -> Result<u64> {
    let mut bytes = [0; 4];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes).into())
}

fn figures(done: &Result1, options: &Options) -> [f64; 8] {
    let content = f64::from(options.mb) * 1e6;
    let ideal = content * 8.0 / (f64::from(options.line_kbps) * 1000.0);
    [
        done.down_bytes as f64 / content,
        (done.down_bytes + done.up_bytes) as f64 / content,
        done.seconds / ideal,
        done.first_s / ideal,
        done.received_bytes as f64 / content,
        done.during.median_ms - done.before.median_ms,
        done.during.p95_ms - done.before.p95_ms,
        done.rss_mib,
    ]
}

fn row(done: &Result1, options: &Options) -> String {
    let [down, both, last, first, received, median, p95, rss] = figures(done, options);
    format!(
        "{:16} line {down:.3} × content (both ways {both:.3}) · last board {:.2} s = {last:.3} × ideal (first {first:.3}; line 1 % at {:.2} s, 99 % at {:.2} s) · \
         received by all {received:.2} × · ping +{median:.1} ms median, +{p95:.1} ms p95, {:.1} % lost · idle {:.0} B/s · \
         RSS ≤ {rss:.1} MiB{}",
        done.who,
        done.seconds,
        done.filled_s.0,
        done.filled_s.1,
        done.during.lost_percent,
        done.idle_bytes_s,
        if done.wrong == 0 {
            String::new()
        } else {
            format!(" · {} BOARDS HAVE WRONG BYTES", done.wrong)
        }
    )
}

/// The middle and the worst of each.
fn summary(all: &[(Who, Result1)], options: &Options) {
    println!(
        "\n{:16} {:>5} {:>22} {:>22} {:>20} {:>12}",
        "", "runs", "line ÷ content", "last board ÷ ideal", "ping added median ms", "wrong bytes"
    );
    for who in &options.peers {
        let own: Vec<_> = all.iter().filter(|(w, _)| w == who).map(|(_, d)| d).collect();
        let Some(first) = own.first() else { continue };
        let column = |n: usize| {
            let mut values: Vec<f64> = own.iter().map(|d| figures(d, options)[n]).collect();
            let middle = super::median(&mut values);
            let worst = values.last().copied().unwrap_or(f64::NAN);
            format!("{middle:.3} (worst {worst:.3})")
        };
        println!(
            "{:16} {:>5} {:>22} {:>22} {:>20} {:>12}",
            first.who,
            own.len(),
            column(0),
            column(2),
            column(5),
            own.iter().map(|d| d.wrong).sum::<usize>(),
        );
    }
    if options.cycle == 0 {
        println!(
            "budget: line ≤ 1.06 × content (framing alone is 1.046), last board ≤ 1.08 × ideal in every run"
        );
    } else {
        println!("budget with boards losing power: line ≤ 1.12 × content, last board ≤ 1.35 × ideal");
    }
}

/// Push, and look for a while at what is taken of the line and what a ping takes.
async fn class_hours(school: &School, folder: &Path, bins: &Bins, options: &Options) -> Result<()> {
    let content = folder.join("content.mp4");
    make_content(&content, u64::from(options.mb) * 1_000_000, 11)?;
    let lan = if ours::knows_lan(bins)? {
        Lan::Swarm
    } else {
        Lan::Off
    };
    let mut fleet = Ours::prepare(school, bins, folder, &content, lan).await?;
    fleet.line(options.line_kbps, true).await?;
    let ping = Ping::start(&school.laptop, folder)?;
    let before = wall();
    tokio::time::sleep(Duration::from_secs(options.idle_s)).await;
    let (from, begun) = (wall(), school.line_bytes()?);
    fleet.go().await?;
    tokio::time::sleep(Duration::from_secs(options.class_hours_s)).await;
    let (to, end) = (wall(), school.line_bytes()?);
    fleet.check_alive()?;
    let (idle, pushed) = (ping.between(before, from)?, ping.between(from, to)?);
    let carried = f64::from(options.line_kbps) * 125.0 * (to - from);
    let share = |bytes: u64| bytes as f64 * 100.0 / carried;
    println!(
        "class hours, {:.0} s of a push: {:.2} % of the line down, {:.2} % up (budget 10 % down)",
        to - from,
        share(end.sent - begun.sent),
        share(end.received - begun.received),
    );
    println!(
        "ping through the line: {:.2} ms median before, +{:.2} ms median and +{:.2} ms p95 during it (budget +20 ms median), {:.1} % lost",
        idle.median_ms,
        pushed.median_ms - idle.median_ms,
        pushed.p95_ms - idle.p95_ms,
        pushed.lost_percent
    );
    keep_logs(folder, false);
    Ok(())
}
