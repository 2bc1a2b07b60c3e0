//! Health probes: `sysinfo`, `/proc`, `/sys`. Reads only what is reported, never the list of processes.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use contract::{health::Readings, report::DiskReport};
use sysinfo::{Components, Networks, System};

/// Probes that remember the last look, for readings that are differences.
#[derive(Debug)]
pub struct Probes {
    data_dir: PathBuf,
    /// `None` where the system does not tell.
    system: Option<System>,
    networks: Option<Networks>,
    components: Option<Components>,
    /// The first look at processors and links has nothing to compare with.
    looked: bool,
}

impl Probes {
    /// Probes for the file system of `data_dir`.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            system: System::new().ok(),
            networks: Networks::new_with_refreshed_list().ok(),
            components: Components::new_with_refreshed_list().ok(),
            looked: false,
        }
    }

    /// One look. What the agent itself counts (lessons, fetched bytes) is filled in by the caller.
    pub fn read(&mut self) -> Readings {
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory();
        }
        if let Some(networks) = &mut self.networks {
            networks.refresh(true);
        }
        if let Some(components) = &mut self.components {
            components.refresh(false);
        }
        let looked = std::mem::replace(&mut self.looked, true);
        let links = || {
            self.networks
                .iter()
                .flat_map(|n| n.iter())
                .filter(|(name, _)| *name != "lo")
        };
        let disk = rustix::fs::statvfs(&self.data_dir).ok();
        let disk = disk.as_ref();
        let system = self.system.as_ref();
        let memory = system.filter(|system| system.total_memory() > 0);
        let hottest = self
            .components
            .iter()
            .flat_map(|components| components.iter())
            .filter_map(sysinfo::Component::temperature)
            .chain(thermal_zones())
            .filter(|t| (-40.0..150.0).contains(t));
        Readings {
            cpu_percent: system
                .filter(|_| looked)
                .map(|system| system.global_cpu_usage().clamp(0.0, 100.0)),
            load_1m: System::load_average().ok().map(|load| load.one as f32),
            memory_total_bytes: memory.map(System::total_memory),
            memory_available_bytes: memory.map(System::available_memory),
            memory_pressure_percent: pressure("memory"),
            io_pressure_percent: pressure("io"),
            disk_total_bytes: disk.map(|d| d.f_blocks.saturating_mul(d.f_frsize)),
            disk_free_bytes: disk.map(|d| d.f_bavail.saturating_mul(d.f_frsize)),
            disk_free_inodes: disk.map(|d| d.f_favail),
            emmc_wear_percent: emmc_wear(),
            temperature_celsius: hottest.reduce(f32::max),
            network_rx_bytes: looked.then(|| links().map(|(_, link)| link.received()).sum()),
            network_tx_bytes: looked.then(|| links().map(|(_, link)| link.transmitted()).sum()),
            link_mbps: links().filter_map(|(name, _)| wired_mbps(name)).max(),
            agent_rss_bytes: resident(),
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

fn pressure(kind: &str) -> Option<f32> {
    parse_pressure(&fs::read_to_string(format!("/proc/pressure/{kind}")).ok()?)
}

/// `some avg10=0.00 avg60=1.25 avg300=0.40 total=12345`
fn parse_pressure(text: &str) -> Option<f32> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    let share = some
        .split_whitespace()
        .find_map(|word| word.strip_prefix("avg60="))?;
    share.parse().ok().filter(|share: &f32| share.is_finite())
}

fn emmc_wear() -> Option<u8> {
    let blocks = fs::read_dir("/sys/class/block").ok()?;
    let wear = |name: &str| {
        let whole_disk = name.starts_with("mmcblk") && !name.contains('p') && !name.contains("boot");
        let text =
            whole_disk.then(|| fs::read_to_string(format!("/sys/class/block/{name}/device/life_time")));
        parse_life_time(&text?.ok()?)
    };
    blocks
        .filter_map(|entry| wear(entry.ok()?.file_name().to_str()?))
        .max()
}

/// `0x01 0x02`: steps of 10 % for the two memory types, 0x0b is worn out (JEDEC JESD84-B51, DEVICE_LIFE_TIME_EST).
fn parse_life_time(text: &str) -> Option<u8> {
    let step = |word: &str| u8::from_str_radix(word.strip_prefix("0x")?, 16).ok();
    let worst = text
        .split_whitespace()
        .filter_map(step)
        .filter(|step| (1..=11).contains(step))
        .max()?;
    Some((worst * 10).min(100))
}

fn thermal_zones() -> impl Iterator<Item = f32> {
    let zones = fs::read_dir("/sys/class/thermal").into_iter().flatten().flatten();
    zones.filter_map(|zone| {
        let name = zone.file_name();
        if !name.to_str()?.starts_with("thermal_zone") {
            return None;
        }
        let milli: i32 = fs::read_to_string(zone.path().join("temp"))
            .ok()?
            .trim()
            .parse()
            .ok()?;
        Some(milli as f32 / 1000.0)
    })
}

fn wired_mbps(name: &OsStr) -> Option<u32> {
    let link = Path::new("/sys/class/net").join(name);
    if !link.join("device").exists() || link.join("wireless").exists() {
        return None;
    }
    // -1 while the cable is out.
    let speed: i64 = fs::read_to_string(link.join("speed")).ok()?.trim().parse().ok()?;
    u32::try_from(speed).ok().filter(|speed| *speed > 0)
}

fn resident() -> Option<u64> {
    parse_resident(&fs::read_to_string("/proc/self/status").ok()?)
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes_and_nothing_from_nonsense() {
        let psi = "some avg10=0.00 avg60=1.25 avg300=0.40 total=12345\nfull avg10=0.00 avg60=9.00 avg300=0.00 total=0";
        assert_eq!(parse_pressure(psi), Some(1.25));
        assert_eq!(parse_pressure("full avg60=1.0"), None);
        assert_eq!(parse_life_time("0x01 0x03\n"), Some(30));
        assert_eq!(parse_life_time("0x0b 0x01"), Some(100));
        assert_eq!(parse_life_time("0x00 0x00"), None);
        assert_eq!(
            parse_resident("Name:\tx\nVmRSS:\t   2048 kB\n"),
            Some(2 * 1024 * 1024)
        );
    }

    #[test]
    fn this_machine_gives_believable_readings() {
        let dir = tempfile::tempdir().unwrap();
        let mut probes = Probes::new(dir.path());
        let first = probes.read();
        assert_eq!(
            (first.cpu_percent, first.network_rx_bytes),
            (None, None),
            "nothing to compare with yet"
        );
        let second = probes.read();
        assert!(second.cpu_percent.is_some_and(|p| (0.0..=100.0).contains(&p)));
        assert!(second.memory_available_bytes < second.memory_total_bytes);
        assert!(second.disk_free_bytes <= second.disk_total_bytes && second.disk_total_bytes > Some(0));
        assert!(second.agent_rss_bytes > Some(100_000));
    }
}
