//! Health probes: `/proc` and `/sys` below a root that tests put elsewhere. What cannot be read is left out, never 0.
//!
//! One file for each thing that is looked at: `board` reads what wears and what is on, `sight` what is plugged in and what
//! runs, `boot` why the board had been off, `smart` asks disks that tell of themselves.

mod board;
mod boot;
mod sight;
mod smart;
#[cfg(test)]
mod tests;

pub use boot::{boot_facts, ending};
pub use sight::Looker;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use contract::{health::Readings, report::DiskReport};
use sysinfo::Networks;

use board::OnTimes;
use smart::Smart;

/// Where `/proc` and `/sys` are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// The machine's own is `/`.
    pub fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// Whether it is the machine's own.
    pub fn is_real(&self) -> bool {
        self.0 == Path::new("/")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    /// The names in a folder, sorted; none if it is not there.
    fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }

    fn number<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.trim().parse().ok()
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::new(Path::new("/"))
    }
}

/// Probes that remember the last look, for readings that are differences.
#[derive(Debug)]
pub struct Probes {
    root: Root,
    data_dir: PathBuf,
    cpu: Option<(u64, u64)>,
    links: Option<(u64, u64)>,
    on: OnTimes,
    smart: Smart,
}

impl Probes {
    /// Probes for the file system of `data_dir`.
    pub fn new(data_dir: &Path) -> Self {
        Self::below(Root::default(), data_dir)
    }

    /// The same, with `/proc` and `/sys` below `root`.
    pub fn below(root: Root, data_dir: &Path) -> Self {
        Self {
            smart: Smart::new(&root),
            root,
            data_dir: data_dir.to_owned(),
            cpu: None,
            links: None,
            on: OnTimes::default(),
        }
    }

    /// A quick look at what is on; [`Self::read`] tells for how long. Between two of them, what is on counts as on.
    pub fn glance(&mut self) {
        self.on.look(&self.root, Instant::now());
    }

    /// One look. What the agent itself counts (lessons, fetched bytes) is filled in by the caller.
    pub fn read(&mut self) -> Readings {
        let root = &self.root;
        self.on.look(root, Instant::now());
        let (screen_on_s, speaker_on_s) = self.on.take();
        let cpu = root.text("proc/stat").and_then(|text| parse_cpu(&text));
        let before = std::mem::replace(&mut self.cpu, cpu);
        let cpu_percent = before.zip(cpu).and_then(|(before, now)| busy_share(before, now));
        let links = link_bytes(root);
        let before = std::mem::replace(&mut self.links, links);
        // A link that went away takes its count with it.
        let moved = before
            .zip(links)
            .map(|(before, now)| (now.0.checked_sub(before.0), now.1.checked_sub(before.1)));
        let disk = rustix::fs::statvfs(&self.data_dir).ok();
        let disk = disk.as_ref();
        let memory = root.text("proc/meminfo");
        let memory = |key| memory.as_deref().and_then(|text| parse_memory(text, key));
        let smart = self.smart.look(Instant::now());
        Readings {
            cpu_percent,
            load_1m: root
                .text("proc/loadavg")
                .and_then(|text| text.split_whitespace().next()?.parse().ok()),
            memory_total_bytes: memory("MemTotal:"),
            memory_available_bytes: memory("MemAvailable:"),
            cpu_pressure_percent: pressure(root, "cpu"),
            memory_pressure_percent: pressure(root, "memory"),
            io_pressure_percent: pressure(root, "io"),
            disk_total_bytes: disk.map(|d| d.f_blocks.saturating_mul(d.f_frsize)),
            disk_free_bytes: disk.map(|d| d.f_bavail.saturating_mul(d.f_frsize)),
            // File systems without a fixed count say 0 of 0.
            disk_free_inodes: disk.filter(|d| d.f_files > 0).map(|d| d.f_favail),
            emmc_wear_percent: board::emmc_wear(root),
            emmc_pre_eol: board::emmc_pre_eol(root),
            disk_wear_percent: smart.wear_percent,
            disk_reallocated_sectors: smart.reallocated_sectors,
            temperature_celsius: board::hottest(root),
            network_rx_bytes: moved.and_then(|moved| moved.0),
            network_tx_bytes: moved.and_then(|moved| moved.1),
            link_mbps: wired_mbps(root),
            screen_on_s,
            speaker_on_s,
            agent_rss_bytes: root
                .text("proc/self/status")
                .and_then(|text| parse_resident(&text)),
            ..Readings::default()
        }
    }
}

/// Addresses of this machine on its links, loopback and link-local left out.
pub fn addresses() -> Vec<std::net::IpAddr> {
    let Ok(networks) = Networks::new_with_refreshed_list() else {
        return Vec::new();
    };
    let mut found: Vec<_> = networks
        .values()
        .flat_map(sysinfo::NetworkData::ip_networks)
        .map(|network| network.addr)
        .filter(|address| match address {
            std::net::IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
            std::net::IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Room in the file system of `folder`, lesson bytes left at 0; for the time before the store is open.
pub fn disk(folder: &Path) -> DiskReport {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return DiskReport::default();
    };
    DiskReport {
        total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        lesson_bytes: 0,
    }
}

/// All links but loopback.
fn links(root: &Root) -> impl Iterator<Item = String> {
    root.names("sys/class/net")
        .into_iter()
        .filter(|name| name != "lo")
}

fn link_bytes(root: &Root) -> Option<(u64, u64)> {
    let of =
        |name: &str, way: &str| root.number::<u64>(&format!("sys/class/net/{name}/statistics/{way}_bytes"));
    links(root)
        .filter_map(|name| Some((of(&name, "rx")?, of(&name, "tx")?)))
        .reduce(|sum, link| (sum.0.saturating_add(link.0), sum.1.saturating_add(link.1)))
}

fn wired_mbps(root: &Root) -> Option<u32> {
    let speed = |name: String| {
        let link = root.path("sys/class/net").join(&name);
        if !link.join("device").exists() || link.join("wireless").exists() {
            return None;
        }
        // -1 while the cable is out.
        let speed: i64 = root.number(&format!("sys/class/net/{name}/speed"))?;
        u32::try_from(speed).ok().filter(|speed| *speed > 0)
    };
    links(root).filter_map(speed).max()
}

fn pressure(root: &Root, kind: &str) -> Option<f32> {
    parse_pressure(&root.text(&format!("proc/pressure/{kind}"))?)
}

/// `some avg10=0.00 avg60=1.25 avg300=0.40 total=12345`
fn parse_pressure(text: &str) -> Option<f32> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    let share = some
        .split_whitespace()
        .find_map(|word| word.strip_prefix("avg60="))?;
    share
        .parse()
        .ok()
        .filter(|share: &f32| (0.0..=100.0).contains(share))
}

/// Busy and all ticks of all processors: `cpu user nice system idle iowait irq softirq steal …`.
fn parse_cpu(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    let all: u64 = ticks.iter().take(8).sum();
    let idle = ticks.get(3)? + ticks.get(4).copied().unwrap_or(0);
    Some((all.saturating_sub(idle), all))
}

fn busy_share(before: (u64, u64), now: (u64, u64)) -> Option<f32> {
    let all = now.1.checked_sub(before.1).filter(|all| *all > 0)?;
    let busy = now.0.saturating_sub(before.0);
    Some((busy as f64 * 100.0 / all as f64).clamp(0.0, 100.0) as f32)
}

/// `MemTotal:        2048 kB`
fn parse_memory(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn parse_resident(status: &str) -> Option<u64> {
    parse_memory(status, "VmRSS:")
}
