//! What is plugged in and what runs.
//!
//! Programs are found by what they have loaded: whoever shows a window has a library of X11 or Wayland, whoever plays has one
//! of the sound server. A program that draws straight on the screen, is linked into one file, or belongs to another user while
//! the agent is not root is not seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use agent_core::health::happenings::{Sight, UsbDevice, short};

use super::{Root, links};

/// Parts of the names of libraries that show or play.
const SHOWING: [&str; 6] = [
    "/libX11.",
    "/libX11-",
    "/libxcb.",
    "/libwayland-client.",
    "/libasound.",
    "/libpulse.",
];
/// The screen's and the sound's own servers, and what every desktop brings along.
const SERVERS: [&str; 12] = [
    "Xorg",
    "Xwayland",
    "weston",
    "cage",
    "labwc",
    "pulseaudio",
    "pipewire",
    "pipewire-pulse",
    "wireplumber",
    "dbus-daemon",
    "systemd",
    "bbt-agent",
];
/// A program is looked into so often after it came: libraries may be loaded late.
const LOOKS: u8 = 3;
/// Most of a list of loaded files that is read.
const MAX_MAPS: usize = 1024 * 1024;

#[derive(Debug)]
struct Seen {
    /// Told apart from a later one with the same number.
    started: String,
    looks: u8,
    shows: Option<String>,
}

/// Remembers which programs it has looked into.
#[derive(Debug)]
pub struct Looker {
    root: Root,
    data_dir: std::path::PathBuf,
    programs: BTreeMap<u32, Seen>,
}

impl Looker {
    /// Looks below `root`.
    pub fn new(root: Root, data_dir: &std::path::Path) -> Self {
        Self {
            root,
            data_dir: data_dir.to_owned(),
            programs: BTreeMap::new(),
        }
    }

    /// One look; with programs only if asked for, since that costs most.
    pub fn look(&mut self, with_apps: bool) -> Sight {
        Sight {
            usb: self.usb(),
            apps: if with_apps { self.apps() } else { None },
            link: self.link(),
            read_only: rustix::fs::statvfs(&self.data_dir)
                .ok()
                .map(|disk| disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY)),
        }
    }

    fn usb(&self) -> Option<BTreeMap<String, UsbDevice>> {
        const DEVICES: &str = "sys/bus/usb/devices";
        if !self.root.path(DEVICES).is_dir() {
            return None;
        }
        let names = self.root.names(DEVICES);
        let class = |path: String| {
            let text = self.root.text(&path)?;
            u8::from_str_radix(text.trim(), 16).ok()
        };
        let mut found = BTreeMap::new();
        for name in names.iter().filter(|name| !name.contains(':')) {
            let of = |file: &str| self.root.text(&format!("{DEVICES}/{name}/{file}"));
            let (Some(vendor), Some(product)) = (of("idVendor"), of("idProduct")) else {
                continue;
            };
            let parts = names.iter().filter(|part| part.starts_with(&format!("{name}:")));
            let interfaces = parts.filter_map(|part| class(format!("{DEVICES}/{part}/bInterfaceClass")));
            let own = class(format!("{DEVICES}/{name}/bDeviceClass")).filter(|class| *class != 0);
            let classes: BTreeSet<u8> = interfaces.chain(own).collect();
            let device = UsbDevice {
                ids: short(&format!("{}:{}", vendor.trim(), product.trim())),
                classes: classes.into_iter().take(16).collect(),
            };
            found.insert(name.clone(), device);
        }
        Some(found)
    }

    fn link(&self) -> Option<bool> {
        let carriers: Vec<bool> = links(&self.root)
            .filter(|name| self.root.path("sys/class/net").join(name).join("device").exists())
            // A port that is switched off cannot be read, and has none.
            .map(|name| self.root.number::<u8>(&format!("sys/class/net/{name}/carrier")) == Some(1))
            .collect();
        (!carriers.is_empty()).then(|| carriers.contains(&true))
    }

    fn apps(&mut self) -> Option<BTreeSet<String>> {
        let pids: BTreeSet<u32> = self
            .root
            .names("proc")
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        if pids.is_empty() {
            return None;
        }
        self.programs.retain(|pid, _| pids.contains(pid));
        for pid in pids {
            let Some(stat) = self.root.text(&format!("proc/{pid}/stat")) else {
                self.programs.remove(&pid);
                continue;
            };
            let started = started(&stat).unwrap_or_default().to_owned();
            let known = self.programs.entry(pid).or_insert_with(|| Seen {
                started: String::new(),
                looks: 0,
                shows: None,
            });
            if known.started != started {
                *known = Seen {
                    started,
                    looks: 0,
                    shows: None,
                };
            }
            if known.shows.is_none() && known.looks < LOOKS {
                known.looks += 1;
                known.shows = shows(&self.root, pid, &stat);
            }
        }
        let shown = self.programs.values().filter_map(|seen| seen.shows.clone());
        Some(shown.collect())
    }
}

/// The 22nd field of `/proc/<pid>/stat`, counted behind the name, which may hold anything.
fn started(stat: &str) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)
}

/// Its name, if it has loaded what shows or plays.
fn shows(root: &Root, pid: u32, stat: &str) -> Option<String> {
    use std::io::Read;
    let mut maps = String::new();
    let file = fs::File::open(root.path(&format!("proc/{pid}/maps"))).ok()?;
    file.take(MAX_MAPS as u64).read_to_string(&mut maps).ok()?;
    if !maps
        .lines()
        .any(|line| SHOWING.iter().any(|part| line.contains(part)))
    {
        return None;
    }
    let exe = fs::read_link(root.path(&format!("proc/{pid}/exe"))).ok();
    let name = exe
        .as_deref()
        .and_then(|path| path.file_name()?.to_str())
        .map(|name| name.trim_end_matches(" (deleted)"))
        .or_else(|| {
            stat.split_once('(')
                .and_then(|(_, rest)| Some(rest.rsplit_once(')')?.0))
        })?;
    (!SERVERS.contains(&name)).then(|| short(name))
}
