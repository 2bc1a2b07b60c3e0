//! Thousands of simulated devices at one console: the morning storm, then summaries once a minute; what it costs, how long a
//! summary takes to be a row, and what Mosquitto takes for carrying the same load without storing any of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use system_tests::{
    client::Console,
    fleet::{self, Fleet, Load, Running},
    stand::{Bins, ConsoleStand, free_port},
};

use super::process::{processor_s, status_kib};
use crate::sh;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Simulated devices.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) devices: usize,
    /// Seconds that are measured once all are connected.
    #[arg(long, default_value_t = 180)]
    pub(crate) steady_s: u64,
    /// All begin to connect within so many seconds.
    #[arg(long, default_value_t = 120)]
    pub(crate) ramp_s: u64,
    /// Seconds between two summaries of a device.
    #[arg(long, default_value_t = 60)]
    pub(crate) every_s: u64,
    /// Loopback addresses to come from.
    #[arg(long, default_value_t = 8)]
    pub(crate) shards: u8,
    /// Cores of the console, and of Mosquitto after it; everything else runs on all.
    #[arg(long, default_value = "0,1")]
    pub(crate) cores: String,
    /// Leave Mosquitto out.
    #[arg(long)]
    pub(crate) alone: bool,
}

/// What one broker made of the load.
struct Outcome {
    storm: Duration,
    failures: u64,
    cpu_percent: f64,
    cpu_storm_s: f64,
    rss_before: f64,
    rss: f64,
    batches: u64,
    stored: Vec<f64>,
    broker: Vec<f64>,
}

pub(crate) async fn run(bins: &Bins, folder: &Path, options: &Options) -> Result<()> {
    let folder = folder.join("fleet");
    fs::create_dir_all(&folder)?;
    let (mut stand, console, fleet) = prepare(bins, &folder, options.devices).await?;
    println!("load average {}", fs::read_to_string("/proc/loadavg")?.trim());
    let load = Load {
        broker: ([127, 0, 0, 1], stand.mqtt).into(),
        every: Duration::from_secs(options.every_s),
        ramp: Duration::from_secs(options.ramp_s),
        shards: options.shards,
        acknowledged: true,
    };
    let pid = stand.process()?.pid();
    let before = console.get("/system").await?;
    let ours = measure(pid, &fleet, &load, options, Some(&console)).await?;
    let after = console.get("/system").await?;
    print("bbt-console (broker, ingest, SQLite)", &ours, options);
    let grown =
        |key: &str| after["ingest"][key].as_u64().unwrap_or(0) - before["ingest"][key].as_u64().unwrap_or(0);
    println!(
        "samples stored / repeated / refused   {} / {} / {}",
        grown("samples_stored"),
        grown("samples_repeated"),
        grown("rejected")
    );
    println!(
        "database                              {:.1} MB",
        after["database_bytes"].as_f64().unwrap_or(0.0) / 1e6
    );
    stand.kill();
    if options.alone {
        return Ok(());
    }
    let peer = mosquitto(&folder, &stand.data, &fleet, &load, options).await?;
    print("Mosquitto (carries, stores nothing)", &peer, options);
    println!(
        "\nours per device beside Mosquitto      {:.1} × processor, {:.1} × memory",
        ours.cpu_percent / peer.cpu_percent.max(0.01),
        (ours.rss - ours.rss_before) / (peer.rss - peer.rss_before).max(1.0)
    );
    Ok(())
}

/// A console with a fleet at it, until Ctrl-C.
pub(crate) fn stay(options: &Options) -> Result<()> {
    let folder = sh::root().join(".bbt/fleet");
    fs::create_dir_all(&folder)?;
    let bins = super::console_alone(&sh::target_dir().join("release"))?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let (stand, _, fleet) = prepare(&bins, &folder, options.devices).await?;
        println!("{} as {} / {}", stand.url(), stand.username, stand.password);
        let load = Load {
            broker: ([127, 0, 0, 1], stand.mqtt).into(),
            every: Duration::from_secs(options.every_s),
            ramp: Duration::from_secs(options.ramp_s),
            shards: options.shards,
            acknowledged: true,
        };
        let running = fleet::run(&fleet, &load)?;
        let mut clock = tokio::time::interval(Duration::from_secs(10));
        loop {
            tokio::select! {
                done = tokio::signal::ctrl_c() => {
                    running.stop().await;
                    return done.context("Failed to listen for Ctrl-C");
                }
                _ = clock.tick() => {}
            }
            let stats = &running.stats;
            let (stored, _) = stats.take_latencies();
            println!(
                "{} connected, {} samples made, {} stored, p99 {:.0} ms, {} sessions failed {}",
                stats.connected.load(Ordering::Relaxed),
                stats.samples.load(Ordering::Relaxed),
                stats.stored.load(Ordering::Relaxed),
                at(&stored, 99.0),
                stats.failures.load(Ordering::Relaxed),
                stats.last_failure()
            );
        }
    })
}

/// A console in `folder` and a fleet that is enrolled there, from an earlier run if there was one.
pub(crate) async fn prepare(
    bins: &Bins,
    folder: &Path,
    devices: usize,
) -> Result<(ConsoleStand, Console, Fleet)> {
    let mut stand = ConsoleStand::prepare(bins, &folder.join("console"), None, "bench bench 1234")?;
    let console = stand.start().await?;
    let start = Instant::now();
    let fleet = Fleet::enrol(&console, &stand, &folder.join("fleet.json"), devices).await?;
    println!(
        "{} devices enrolled ({:.0} s for those that were new)",
        fleet.devices.len(),
        start.elapsed().as_secs_f64()
    );
    Ok((stand, console, fleet))
}

async fn measure(
    pid: u32,
    fleet: &Fleet,
    load: &Load,
    options: &Options,
    console: Option<&Console>,
) -> Result<Outcome> {
    pin(pid, &options.cores)?;
    let rss_before = status_kib(pid, "VmRSS")?;
    let cpu_start = processor_s(pid)?;
    let running = fleet::run(fleet, load)?;
    let storm = connected(
        &running,
        fleet.devices.len(),
        load.ramp + Duration::from_secs(300),
    )
    .await?;
    let cpu_storm_s = processor_s(pid)? - cpu_start;
    // Reports and plans of the storm go by before anything is counted.
    tokio::time::sleep(Duration::from_secs(20)).await;
    running.stats.take_latencies();
    let (cpu, start) = (processor_s(pid)?, Instant::now());
    let batches = running.stats.batches.load(Ordering::Relaxed);
    let (mut asked, mut listed) = (Vec::new(), Vec::new());
    while start.elapsed() < Duration::from_secs(options.steady_s) {
        if let Some(console) = console {
            let one = Instant::now();
            console.get("/fleet").await?;
            asked.push(one.elapsed().as_secs_f64() * 1_000.0);
            let one = Instant::now();
            console
                .get("/devices?state=online&sort=-temperature_celsius")
                .await?;
            listed.push(one.elapsed().as_secs_f64() * 1_000.0);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let cpu_percent = (processor_s(pid)? - cpu) / start.elapsed().as_secs_f64() * 100.0;
    let rss = status_kib(pid, "VmRSS")?;
    let (stored, broker) = running.stats.take_latencies();
    let outcome = Outcome {
        storm,
        failures: running.stats.failures.load(Ordering::Relaxed),
        cpu_percent,
        cpu_storm_s,
        rss_before,
        rss,
        batches: running.stats.batches.load(Ordering::Relaxed) - batches,
        stored,
        broker,
    };
    if outcome.failures > 0 {
        println!("last failure of a session: {}", running.stats.last_failure());
    }
    if !asked.is_empty() {
        asked.sort_by(f64::total_cmp);
        println!(
            "GET /fleet meanwhile                  p50 {:.1} ms, p99 {:.1} ms",
            at(&asked, 50.0),
            at(&asked, 99.0)
        );
        listed.sort_by(f64::total_cmp);
        println!(
            "GET /devices, filtered and ordered    p50 {:.1} ms, p95 {:.1} ms",
            at(&listed, 50.0),
            at(&listed, 95.0)
        );
    }
    running.stop().await;
    Ok(outcome)
}

/// Waits until all are connected; answers how long that took.
async fn connected(running: &Running, count: usize, limit: Duration) -> Result<Duration> {
    let mut told = Instant::now();
    loop {
        let now = running.stats.connected.load(Ordering::Relaxed);
        if now >= count {
            return Ok(running.started.elapsed());
        }
        ensure!(
            running.started.elapsed() < limit,
            "only {now} of {count} are connected after {} s: {}",
            limit.as_secs(),
            running.stats.last_failure()
        );
        if told.elapsed() > Duration::from_secs(20) {
            told = Instant::now();
            println!(
                "  {now} connected after {:.0} s",
                running.started.elapsed().as_secs_f64()
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn print(name: &str, outcome: &Outcome, options: &Options) {
    let devices = options.devices as f64;
    println!(
        "\n{name}, {} devices, one summary each {} s",
        options.devices, options.every_s
    );
    println!(
        "all connected after                   {:.0} s (begun within {} s), {:.1} s of processor, {} sessions failed",
        outcome.storm.as_secs_f64(),
        options.ramp_s,
        outcome.cpu_storm_s,
        outcome.failures
    );
    println!(
        "processor, steady                     {:.1} % of one core on cores {}, {:.3} ms a device and minute",
        outcome.cpu_percent,
        options.cores,
        outcome.cpu_percent / 100.0 * 60_000.0 / devices
    );
    println!(
        "resident memory                       {:.0} MB ({:.0} MB before), {:.1} kB a device",
        outcome.rss / 1_024.0,
        outcome.rss_before / 1_024.0,
        (outcome.rss - outcome.rss_before) / devices
    );
    println!("batches                               {}", outcome.batches);
    for (what, list) in [
        ("publish → row, told by the console    ", &outcome.stored),
        ("publish → broker's acknowledgement    ", &outcome.broker),
    ] {
        if !list.is_empty() {
            println!(
                "{what}p50 {:.1} ms, p99 {:.1} ms, worst {:.0} ms ({} of them)",
                at(list, 50.0),
                at(list, 99.0),
                list.last().copied().unwrap_or(0.0),
                list.len()
            );
        }
    }
}

fn at(sorted: &[f64], percent: f64) -> f64 {
    let place = (sorted.len() as f64 * percent / 100.0) as usize;
    sorted
        .get(place.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

fn pin(pid: u32, cores: &str) -> Result<()> {
    let pinned = Command::new("taskset")
        .args(["-a", "-p", "-c", cores, &pid.to_string()])
        .output()
        .context("Failed to run taskset (package util-linux)")?;
    ensure!(pinned.status.success(), "taskset could not pin to cores {cores}");
    Ok(())
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The same devices with the same certificates at Mosquitto, and one subscriber in the console's place.
async fn mosquitto(
    folder: &Path,
    data: &Path,
    fleet: &Fleet,
    load: &Load,
    options: &Options,
) -> Result<Outcome> {
    let dir = folder.join("mosquitto");
    fs::create_dir_all(&dir)?;
    let port = free_port()?;
    let pki = |name: &str| -> PathBuf { data.join("pki").join(name) };
    fs::write(dir.join("ca.pem"), &fleet.ca_pem)?;
    for name in ["server.pem", "server.key"] {
        fs::copy(pki(name), dir.join(name)).with_context(|| format!("Failed to copy {name}"))?;
    }
    let config = format!(
        "user root\nlistener {port} 127.0.0.1\ncafile {0}/ca.pem\ncertfile {0}/server.pem\nkeyfile {0}/server.key\n\
         require_certificate true\nuse_identity_as_username true\nallow_anonymous true\nmax_inflight_messages 64\n\
         persistence false\nlog_type error\n",
        dir.display()
    );
    fs::write(dir.join("mosquitto.conf"), config)?;
    let broker = Killed(
        Command::new("mosquitto")
            .arg("-c")
            .arg(dir.join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("log"))?)
            .spawn()
            .context("Failed to start mosquitto (cargo xtask setup)")?,
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _console = Killed(
        Command::new("mosquitto_sub")
            .args([
                "-h",
                "localhost",
                "-p",
                &port.to_string(),
                "-q",
                "1",
                "-t",
                "bbt/#",
            ])
            .args(["-V", "mqttv5", "-i", "bbt-console"])
            .arg("--cafile")
            .arg(dir.join("ca.pem"))
            .arg("--cert")
            .arg(pki("console.pem"))
            .arg("--key")
            .arg(pki("console.key"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("sub.log"))?)
            .spawn()
            .context("Failed to start mosquitto_sub")?,
    );
    let load = Load {
        broker: ([127, 0, 0, 1], port).into(),
        acknowledged: false,
        ..load.clone()
    };
    measure(broker.0.id(), fleet, &load, options, None).await
}
