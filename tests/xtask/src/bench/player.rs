//! The player beside other servers of the same video, asked by the same client in one run; and how soon an open shows a frame.

mod peers;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use system_tests::{
    kit,
    stand::{Bins, Classroom},
};

use self::peers::{Material, Peer, Served, first_page};
use super::{median, process::status_kib, ready_classroom};
use crate::{setup, sh};

const RANGE_BYTES: u64 = 1 << 20;
const RANGES: u64 = 400;
const SEEK_BYTES: u64 = 65_536;
const SEEKS: u64 = 1000;
const PAGES: usize = 200;
const STARTS: usize = 5;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Size of the file in MiB.
    #[arg(long, default_value_t = 200)]
    mib: u32,
    /// Rounds, each first ours and then every peer.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// What it is measured beside.
    #[arg(long, value_delimiter = ',', default_value = "nginx")]
    peers: Vec<Peer>,
    /// How often a browser opens a lesson's video, from the tap to the first frame; 0 for none.
    #[arg(long, default_value_t = 0)]
    opens: u32,
    /// As many again while the content is pushed out of the page cache all the time, as on a board that was just switched on.
    #[arg(long)]
    cold: bool,
}

pub(crate) async fn run(bins: &Bins, folder: &Path, options: &Options) -> Result<()> {
    setup::for_player(
        options.peers.contains(&Peer::Kolibri),
        options.peers.contains(&Peer::Kiwix),
    )?;
    for name in [
        "lessons",
        "console",
        "console.unlock",
        "console.offline-root",
        "classroom",
        "peers",
    ] {
        let path = folder.join(name);
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    }
    let kit = kit::make(&folder.join("kit"), &kit::Tools::find()?, &mut |what| {
        println!("making {what}")
    })?;
    let lesson = folder.join("lessons/big");
    fs::create_dir_all(&lesson)?;
    let (video, document) = (lesson.join("big.mp4"), lesson.join("sheet.pdf"));
    kit::lengthen_mp4(&kit[0].join("微课.mp4"), &video, options.mib << 20, 3)?;
    fs::copy(kit[0].join("学习单.pdf"), &document)?;
    fs::write(
        lesson.join("lesson.toml"),
        "id = \"big\"\n[meta]\ntitle = \"大课\"\nstage = \"小学\"\nsubject = \"数学\"\nedition = \"人教版\"\ngrade = \"四年级\"\nvolume = \"下册\"\nchapter = \"一\"\nperiod = \"1\"\n",
    )?;
    if options.opens > 0 {
        for one in &kit {
            let to = folder
                .join("lessons")
                .join(one.file_name().context("a lesson without a name")?);
            fs::create_dir_all(&to)?;
            for file in fs::read_dir(one)? {
                let file = file?;
                fs::copy(file.path(), to.join(file.file_name()))?;
            }
        }
    }

    let (mut console, mut classroom, _) = ready_classroom(bins, folder).await?;
    // From here on there is no console and no way out: what a board in class may well have.
    console.kill();
    beside(&mut classroom, folder, &video, &document, options).await?;
    if options.opens > 0 {
        opens(&classroom, options.opens, "content in the page cache")?;
        if options.cold {
            let cold = Cold::begin(classroom.dir.join("data"));
            opens(&classroom, options.opens, "content on the disk only")?;
            cold.end()?;
        }
    }
    Ok(())
}

async fn beside(
    classroom: &mut Classroom,
    folder: &Path,
    video: &Path,
    document: &Path,
    options: &Options,
) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let (our_page, our_file) = (classroom.url(), format!("{}/files/big/big.mp4", classroom.url()));
    let page = client.get(&our_page).send().await?.bytes().await?;
    let material = Material {
        video,
        document,
        page: &page,
    };
    let mut served = options
        .peers
        .iter()
        .map(|peer| Served::prepare(*peer, &folder.join("peers"), &material))
        .collect::<Result<Vec<_>>>()?;

    let mut starts = vec![Vec::new(); served.len() + 1];
    for _ in 0..STARTS {
        classroom.kill();
        let begun = Instant::now();
        classroom.start()?;
        starts[0].push(first_page(&client, &our_page, begun).await?);
        for (n, peer) in served.iter_mut().enumerate() {
            starts[n + 1].push(peer.start(&client).await?);
        }
    }

    let length = fs::metadata(video)?.len();
    let mut rounds = vec![Vec::new(); served.len() + 1];
    for round in 0..options.rounds {
        println!("round {} of {}", round + 1, options.rounds);
        rounds[0].push(measure(&client, &our_page, &our_file, length).await?);
        for (n, peer) in served.iter().enumerate() {
            let figures = measure(&client, &peer.page, &peer.file, length).await;
            rounds[n + 1].push(figures.with_context(|| format!("Failed to measure {}", peer.name))?);
        }
    }

    println!(
        "\n              page ms (kB)      1 MiB MB/s   seek µs p50 / p99    RSS MiB   start to page ms"
    );
    let mut ours: Option<Row> = None;
    for n in 0..=served.len() {
        let (name, pid) = match n.checked_sub(1) {
            None => ("ours", classroom.process()?.pid()),
            Some(peer) => (served[peer].name, served[peer].pid()?),
        };
        let row = Row {
            name,
            figures: Figures::median(&rounds[n]),
            resident_mib: resident_mib(pid)?,
            start_s: median(&mut starts[n]),
        };
        row.show();
        if n == 0 {
            ours = Some(row);
        } else if let Some(ours) = &ours {
            let pairs: Vec<_> = rounds[0].iter().zip(&rounds[n]).collect();
            let ratio = |of: fn(&Figures) -> f64| {
                median(&mut pairs.iter().map(|(a, b)| of(a) / of(b)).collect::<Vec<_>>())
            };
            println!(
                "  ratio ours/{name}: page {:.2}, throughput {:.2}, seek p50 {:.2}, seek p99 {:.2}, RSS {:.2}, start {:.3}",
                ratio(|f| f.page_us),
                ratio(|f| f.mb_per_s),
                ratio(|f| f.seek_us),
                ratio(|f| f.seek_p99_us),
                ours.resident_mib / row.resident_mib,
                ours.start_s / row.start_s,
            );
        }
    }
    println!(
        "  (medians of {} rounds and {STARTS} starts; ratios of page, throughput and seeks are medians of each round's; files in the page cache;\n   load average {}: on a busy machine the p99 of all is the machine's)",
        options.rounds,
        fs::read_to_string("/proc/loadavg")?.trim()
    );
    Ok(())
}

struct Row {
    name: &'static str,
    figures: Figures,
    resident_mib: f64,
    start_s: f64,
}

impl Row {
    fn show(&self) {
        let f = &self.figures;
        println!(
            "{:12} {:7.2} ({:5.1})      {:10.0}   {:7.0} / {:7.0}    {:7.1}   {:10.0}",
            self.name,
            f.page_us / 1e3,
            f.page_bytes / 1e3,
            f.mb_per_s,
            f.seek_us,
            f.seek_p99_us,
            self.resident_mib,
            self.start_s * 1e3
        );
    }
}

#[derive(Clone)]
struct Figures {
    /// Mean of the first page's time.
    page_us: f64,
    /// Of the page alone, as it came.
    page_bytes: f64,
    mb_per_s: f64,
    /// Median and 99 % of single seeks.
    seek_us: f64,
    seek_p99_us: f64,
}

impl Figures {
    fn median(rounds: &[Figures]) -> Figures {
        let of = |what: fn(&Figures) -> f64| median(&mut rounds.iter().map(what).collect::<Vec<_>>());
        Figures {
            page_us: of(|f| f.page_us),
            page_bytes: of(|f| f.page_bytes),
            mb_per_s: of(|f| f.mb_per_s),
            seek_us: of(|f| f.seek_us),
            seek_p99_us: of(|f| f.seek_p99_us),
        }
    }
}

async fn measure(client: &reqwest::Client, page: &str, file: &str, length: u64) -> Result<Figures> {
    let mut page_bytes = 0;
    let start = Instant::now();
    for _ in 0..PAGES {
        page_bytes = client.get(page).send().await?.bytes().await?.len();
        ensure!(page_bytes > 100, "{page}: an empty page");
    }
    let page_us = start.elapsed().as_secs_f64() * 1e6 / PAGES as f64;
    let start = Instant::now();
    for n in 0..RANGES {
        get_range(
            client,
            file,
            (n * 7_919_777) % (length - RANGE_BYTES),
            RANGE_BYTES,
        )
        .await?;
    }
    let mb_per_s = (RANGES * RANGE_BYTES) as f64 / 1e6 / start.elapsed().as_secs_f64();
    let mut seeks = Vec::new();
    for n in 0..SEEKS {
        let start = Instant::now();
        get_range(
            client,
            file,
            (n * 104_729_993) % (length - SEEK_BYTES),
            SEEK_BYTES,
        )
        .await?;
        seeks.push(start.elapsed().as_secs_f64() * 1e6);
    }
    seeks.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        seeks
            .get(seeks.len() * percent / 100)
            .copied()
            .unwrap_or(f64::NAN)
    };
    Ok(Figures {
        page_us,
        page_bytes: page_bytes as f64,
        mb_per_s,
        seek_us: at(50),
        seek_p99_us: at(99),
    })
}

async fn get_range(client: &reqwest::Client, url: &str, from: u64, length: u64) -> Result<()> {
    let range = format!("bytes={from}-{}", from + length - 1);
    let answer = client.get(url).header("range", range).send().await?;
    ensure!(answer.status() == 206, "{url}: {}", answer.status());
    ensure!(
        answer.bytes().await?.len() as u64 == length,
        "{url}: a short answer"
    );
    Ok(())
}

/// Resident memory of a process and all below it.
fn resident_mib(pid: u32) -> Result<f64> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(one) = name.to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        // Gone in between is gone.
        if let Ok(parent) = status_kib(one, "PPid:") {
            children.entry(parent as u32).or_default().push(one);
        }
    }
    let (mut kib, mut next) = (status_kib(pid, "VmRSS:")?, vec![pid]);
    while let Some(one) = next.pop() {
        for child in children.remove(&one).unwrap_or_default() {
            kib += status_kib(child, "VmRSS:").unwrap_or(0.0);
            next.push(child);
        }
    }
    Ok(kib / 1024.0)
}

/// Keeps files out of the page cache while it lives.
struct Cold {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<(u64, u64)>>,
}

impl Cold {
    /// A round is over all files below `folder`, then the next begins.
    fn begin(folder: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut rounds, mut bytes) = (0, 0);
            while !seen.load(Ordering::Relaxed) {
                bytes = drop_cached(&folder)?;
                rounds += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok((rounds, bytes))
        });
        Self { stop, thread }
    }

    fn end(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        let (rounds, bytes) =
            ended.map_err(|_| anyhow::anyhow!("the thread that drops caches panicked"))??;
        println!(
            "  {:.0} MiB were pushed out of the page cache {rounds} times",
            bytes as f64 / 1048576.0
        );
        Ok(())
    }
}

/// Asks the kernel to forget every file below `folder`; how many bytes they have.
fn drop_cached(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        // Gone in between is gone.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            bytes += drop_cached(&path)?;
        } else if kind.is_file()
            && let Ok(file) = fs::File::open(&path)
        {
            bytes += file.metadata()?.len();
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(bytes)
}

/// A browser opens the lessons' videos in turn; its script measures.
fn opens(classroom: &Classroom, count: u32, how: &str) -> Result<()> {
    println!("\n{count} opens in a browser, the agent without any network, {how}");
    let done = Command::new("node")
        .arg(sh::root().join("agent/daemon/player-ui/dev/opens.mjs"))
        .env("BASE_URL", format!("{}/", classroom.url()))
        .env("OPENS", count.to_string())
        .stderr(Stdio::inherit())
        .output()
        .context("Failed to start node")?;
    let out = String::from_utf8_lossy(&done.stdout);
    let said: serde_json::Value =
        serde_json::from_str(out.trim()).with_context(|| format!("opens.mjs failed: {out}"))?;
    ensure!(done.status.success(), "opens that showed no frame: {said}");
    println!(
        "  tap to first frame of {} videos ({}): p50 {} ms, p95 {} ms (budget 2000), p99 {} ms, worst {} ms",
        said["videos"], said["by"], said["p50_ms"], said["p95_ms"], said["p99_ms"], said["max_ms"]
    );
    Ok(())
}
