//! The agent's settings: read as written, checked once, then only the checked form is passed on.

mod control;
mod link;
mod live;

use std::{
    net::{Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use agent_core::peers::MAX_PEERS;
use board_configs::{Board, BoardError, Source, names};
use contract::hardware::MAX_FIELD_BYTES;
use serde::{Deserialize, Serialize};

use crate::key_store::Tpm2;
use control::{RawControl, RawLogs};
use link::RawLink;
use live::RawLive;

pub use control::{ControlConfig, HOURS, PERCENT, Screen, Told};
pub use link::LinkConfig;
pub use live::{LiveApp, LiveConfig};

/// Where other boards reach this one, unless the file says otherwise.
const LAN_PORT: u16 = 8010;

/// A configuration that needs only a serial number.
const EXAMPLE: &str = include_str!("../dist/bbt-agent.toml");
/// What no board can do without.
const REQUIRED: &str = "data_dir, board, and serial where the board itself tells none,";
const SERIAL: &str = "serial (where the board itself tells none)";

/// Settings, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the settings were read: what people are told to write in.
    pub file: PathBuf,
    /// Everything the agent keeps is under here.
    pub data_dir: PathBuf,
    /// The board that is named, one of the folder `boards` or of the program.
    pub board: Board,
    /// The board's serial number, where it is given by hand.
    pub serial: Option<String>,
    /// Language of pages and messages.
    pub language: Language,
    /// The local player.
    pub player: PlayerConfig,
    /// Health sampling.
    pub health: HealthConfig,
    /// Room for lessons.
    pub storage: StorageConfig,
    /// The operating system around us.
    pub system: SystemConfig,
    /// The school's line.
    pub fetch: FetchConfig,
    /// The other boards of the school.
    pub lan: LanConfig,
    /// The county, before enrolment.
    pub county: CountyConfig,
    /// Marks of the board that are given by hand.
    pub identity: IdentityConfig,
    /// USB disks.
    pub usb: UsbConfig,
    /// The loudspeaker.
    pub sound: SoundConfig,
    /// Where the board controller is.
    pub link: LinkConfig,
    /// How power, screen and volume are told to the board, and where its log is read.
    pub control: ControlConfig,
    /// Live lessons that may be opened from the page.
    pub live: LiveConfig,
    /// How the board's TPM is reached, where the board names one.
    pub tpm: Tpm2,
    /// Where `/proc` and `/sys` are; `/` but in tests.
    pub probes_root: PathBuf,
    /// Where `/metrics` is told to a Prometheus on the board itself; `None` is nowhere.
    pub metrics: Option<SocketAddr>,
}

/// Where the county is made known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountyConfig {
    /// A `contract::usb::CountyFile`; `county.json` under `data_dir` is looked at as well.
    pub file: Option<PathBuf>,
}

/// Marks of the board that are given by hand, in the place of what the kernel says, and how its identity is looked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConfig {
    /// The board controller's id.
    pub mcu_id: Option<String>,
    /// The disk's id.
    pub disk_id: Option<String>,
    /// Once a certificate is due, the longest wait before the next one is asked for: what spreads a county out.
    pub renew_spread: Duration,
}

/// Where USB disks appear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbConfig {
    /// Folders under which a folder `bbt/` is looked for.
    pub roots: Vec<PathBuf>,
}

/// How the loudspeaker is muted in an exam.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SoundConfig {
    /// Where the sound server is reached, as `PULSE_SERVER` says it; `None` is as the agent's environment says.
    pub server: Option<String>,
    /// Programs of the board's own mixer; `None` tries the usual ones.
    pub commands: Option<SoundCommands>,
}

/// Programs of a mixer, each with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundCommands {
    /// Ends with 0 if everything is mute.
    pub is_mute: Vec<String>,
    /// Mutes everything.
    pub mute: Vec<String>,
    /// Lets everything be heard.
    pub unmute: Vec<String>,
}

/// Where the player listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayerConfig {
    /// On the device itself.
    pub listen: SocketAddr,
    /// On the school's LAN; may be empty.
    pub lan_listen: Vec<SocketAddr>,
    /// Port of the courseware's own origin, on every address above.
    pub courseware_port: u16,
    /// Language of the page.
    pub language: Language,
}

/// Health sampling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// Between two samples.
    pub interval: Duration,
}

/// Room for lessons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// Bytes of the file system that lessons leave free; `None` is what the board asks for.
    pub reserve_bytes: Option<u64>,
    /// Most bytes that lessons take; `None` is as much as fits.
    pub max_bytes: Option<u64>,
}

/// The operating system around us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemConfig {
    /// Program and arguments that restart the machine.
    pub reboot_command: Vec<String>,
    /// Where the power-up's id is read.
    pub boot_id_file: PathBuf,
}

/// The school's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchConfig {
    /// Lessons fetched at the same time.
    pub max_parallel: usize,
    /// Most kilobits per second, all fetches together; `None` is no limit.
    pub limit_kbps: Option<u32>,
}

/// The other boards of the school.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanConfig {
    /// Whether lessons are exchanged with them.
    pub enabled: bool,
    /// Where they reach us; port 0 is any that is free.
    pub listen: SocketAddr,
    /// Most of them connected at the same time.
    pub max_peers: usize,
    /// Addresses where some may be, beside those that the school's plan and multicast DNS tell of.
    pub hints: Vec<SocketAddr>,
    /// Whether multicast DNS is used.
    pub mdns: bool,
}

/// Language of pages and messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Language {
    /// 简体中文.
    #[default]
    #[serde(rename = "zh-CN")]
    ZhCn,
    /// English.
    #[serde(rename = "en")]
    En,
}

/// Why a configuration was refused; names the file, the key and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "cannot read configuration {file}: {reason}; give its path with --config{}",
        written(reason)
    )]
    Read {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// Keys without which there is no agent: all of them at once.
    #[error("configuration {file}: missing: {}; this is enough:\n\n{EXAMPLE}", keys.join(", "))]
    Missing {
        /// Which file.
        file: PathBuf,
        /// Which keys.
        keys: Vec<&'static str>,
    },
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("configuration {file} cannot be understood: {reason}")]
    Syntax {
        /// Which file.
        file: PathBuf,
        /// What the TOML reader said, with line and key.
        reason: Box<toml::de::Error>,
    },
    /// The board's own file is wrong.
    #[error("configuration {file}: {reason}")]
    Board {
        /// The configuration that names the board.
        file: PathBuf,
        /// Which key of which board file, and what is allowed.
        reason: Box<BoardError>,
    },
    /// A value that is not allowed.
    #[error("configuration {file}: {key} is {found}; allowed is {allowed}")]
    Value {
        /// Which file.
        file: PathBuf,
        /// Which key.
        key: &'static str,
        /// What stands there.
        found: String,
        /// What may stand there.
        allowed: String,
    },
}

/// What to write where there is no file yet.
fn written(reason: &std::io::Error) -> String {
    match reason.kind() {
        std::io::ErrorKind::NotFound => {
            format!(", or write it: {REQUIRED} must stand in it; this is enough:\n\n{EXAMPLE}")
        }
        _ => String::new(),
    }
}

impl Config {
    /// Reads and checks one file.
    ///
    /// # Errors
    /// Unreadable, not understood, or a value out of its range.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|reason| ConfigError::Read {
            file: file.to_owned(),
            reason,
        })?;
        Self::parse(&text, file)
    }

    /// Checks the text of a configuration; `file` is only named in errors.
    ///
    /// # Errors
    /// Not understood, or a value out of its range.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let raw: RawConfig = toml::from_str(text).map_err(|reason| ConfigError::Syntax {
            file: file.to_owned(),
            reason: Box::new(reason),
        })?;
        raw.check(file)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    data_dir: Option<PathBuf>,
    board: Option<String>,
    boards: Option<PathBuf>,
    serial: Option<String>,
    #[serde(default)]
    language: Language,
    #[serde(default)]
    player: RawPlayer,
    #[serde(default)]
    health: RawHealth,
    #[serde(default)]
    storage: RawStorage,
    #[serde(default)]
    system: RawSystem,
    #[serde(default)]
    fetch: RawFetch,
    #[serde(default)]
    lan: RawLan,
    #[serde(default)]
    county: RawCounty,
    #[serde(default)]
    identity: RawIdentity,
    #[serde(default)]
    usb: RawUsb,
    #[serde(default)]
    sound: RawSound,
    #[serde(default)]
    link: RawLink,
    #[serde(default)]
    control: RawControl,
    #[serde(default)]
    logs: RawLogs,
    #[serde(default)]
    live: RawLive,
    #[serde(default)]
    tpm: RawTpm,
    #[serde(default)]
    probes: RawProbes,
    #[serde(default)]
    metrics: RawMetrics,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProbes {
    root: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMetrics {
    listen: Option<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTpm {
    tools: Option<PathBuf>,
    tcti: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCounty {
    file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIdentity {
    mcu_id: Option<String>,
    disk_id: Option<String>,
    renew_spread_s: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUsb {
    roots: Option<Vec<PathBuf>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSound {
    server: Option<String>,
    is_mute: Option<Vec<String>>,
    mute: Option<Vec<String>>,
    unmute: Option<Vec<String>>,
}

impl RawSound {
    /// All three programs or none.
    fn commands(self) -> Option<Option<SoundCommands>> {
        let named = |command: &Vec<String>| command.first().is_some_and(|program| !program.is_empty());
        match (self.is_mute, self.mute, self.unmute) {
            (None, None, None) => Some(None),
            (Some(is_mute), Some(mute), Some(unmute)) => {
                let commands = SoundCommands {
                    is_mute,
                    mute,
                    unmute,
                };
                let whole = named(&commands.is_mute) && named(&commands.mute) && named(&commands.unmute);
                whole.then_some(Some(commands))
            }
            _ => None,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlayer {
    listen: Option<SocketAddr>,
    #[serde(default)]
    lan_listen: Vec<SocketAddr>,
    courseware_port: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHealth {
    interval_s: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStorage {
    reserve_bytes: Option<u64>,
    max_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSystem {
    reboot_command: Option<Vec<String>>,
    boot_id_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLan {
    enabled: Option<bool>,
    listen: Option<SocketAddr>,
    max_peers: Option<usize>,
    #[serde(default)]
    hints: Vec<SocketAddr>,
    mdns: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFetch {
    max_parallel: Option<usize>,
    limit_kbps: Option<u32>,
}

impl RawConfig {
    fn check(self, file: &Path) -> Result<Config, ConfigError> {
        let refuse = |key: &'static str, found: String, allowed: &str| ConfigError::Value {
            file: file.to_owned(),
            key,
            found,
            allowed: allowed.to_owned(),
        };
        let within = |key, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                Ok(value)
            } else {
                Err(refuse(key, value.to_string(), &format!("{low} to {high}")))
            }
        };

        let (Some(data_dir), Some(named)) = (&self.data_dir, &self.board) else {
            let keys = [
                ("data_dir", self.data_dir.is_none()),
                ("board", self.board.is_none()),
                (SERIAL, self.serial.is_none()),
            ];
            return Err(ConfigError::Missing {
                file: file.to_owned(),
                keys: keys
                    .into_iter()
                    .filter_map(|(key, missing)| missing.then_some(key))
                    .collect(),
            });
        };
        if data_dir.as_os_str().is_empty() {
            return Err(refuse(
                "data_dir",
                "empty".into(),
                "a folder, e.g. /var/lib/bbt-agent",
            ));
        }
        let source = self.boards.as_deref().map_or(Source::Embedded, Source::Dir);
        let board = Board::load(source, named).map_err(|error| match error {
            BoardError::Unknown { .. } | BoardError::BadName { .. } => {
                let names = names(source).unwrap_or_default();
                refuse(
                    "board",
                    format!("{named:?}"),
                    &format!("one of {}", names.join(", ")),
                )
            }
            // The file is there and is wrong: it says itself where.
            reason => ConfigError::Board {
                file: file.to_owned(),
                reason: Box::new(reason),
            },
        })?;
        if let Some(serial) = &self.serial
            && (serial.trim().is_empty() || serial.len() > 64)
        {
            return Err(refuse(
                "serial",
                format!("{serial:?}"),
                "the number on the nameplate, 1 to 64 bytes of text; leave the line out where the board itself tells one",
            ));
        }

        let listen = self
            .player
            .listen
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8008)));
        for address in std::iter::once(&listen).chain(&self.player.lan_listen) {
            if address.port() == 0 || address.port() == u16::MAX {
                return Err(refuse(
                    "player.listen",
                    address.to_string(),
                    "a port from 1 to 65534",
                ));
            }
        }
        let courseware_port = self
            .player
            .courseware_port
            .unwrap_or_else(|| listen.port().saturating_add(1));
        if courseware_port == 0
            || courseware_port == listen.port()
            || self.player.lan_listen.iter().any(|a| a.port() == courseware_port)
        {
            let allowed = "a port of its own, 1 to 65535, not the player's: courseware needs its own origin";
            return Err(refuse(
                "player.courseware_port",
                courseware_port.to_string(),
                allowed,
            ));
        }

        let interval_s = within(
            "health.interval_s",
            self.health.interval_s.unwrap_or(60),
            1,
            86_400,
        )?;
        let reserve = |bytes| within("storage.reserve_bytes", bytes, 0, 1 << 50);
        let reserve_bytes = self.storage.reserve_bytes.map(reserve).transpose()?;
        let max_bytes = self
            .storage
            .max_bytes
            .map(|max| within("storage.max_bytes", max, 1, 1 << 50))
            .transpose()?;
        let max_parallel = within(
            "fetch.max_parallel",
            self.fetch.max_parallel.unwrap_or(4) as u64,
            1,
            8,
        )? as usize;
        if let Some(limit) = self.fetch.limit_kbps {
            within("fetch.limit_kbps", u64::from(limit), 64, 10_000_000)?;
        }

        let lan_enabled = self.lan.enabled.unwrap_or(true);
        let taken = |port: u16| port == listen.port() || port == courseware_port;
        let lan_listen = match self.lan.listen {
            Some(chosen) if lan_enabled && taken(chosen.port()) => {
                return Err(refuse(
                    "lan.listen",
                    chosen.to_string(),
                    "a port of its own, not the player's nor the courseware's; 0 for any",
                ));
            }
            Some(chosen) => chosen,
            // What was never written keeps no board from starting.
            None => {
                let shown = self.player.lan_listen.iter().any(|a| a.port() == LAN_PORT);
                let port = if shown || taken(LAN_PORT) { 0 } else { LAN_PORT };
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
            }
        };
        let max_peers = within(
            "lan.max_peers",
            self.lan.max_peers.unwrap_or(48) as u64,
            1,
            MAX_PEERS as u64,
        )? as usize;
        if self.lan.hints.len() > MAX_PEERS {
            let found = format!("{} addresses", self.lan.hints.len());
            return Err(refuse("lan.hints", found, "at most 64 addresses"));
        }

        let renew_spread_s = within(
            "identity.renew_spread_s",
            self.identity.renew_spread_s.unwrap_or(6 * 3600),
            0,
            86_400,
        )?;
        for (key, mark) in [
            ("identity.mcu_id", &self.identity.mcu_id),
            ("identity.disk_id", &self.identity.disk_id),
        ] {
            if let Some(mark) = mark
                && (mark.trim().is_empty()
                    || mark.len() > MAX_FIELD_BYTES
                    || mark.chars().any(char::is_control))
            {
                return Err(refuse(
                    key,
                    format!("{mark:?}"),
                    "1 to 128 bytes of text in one line",
                ));
            }
        }

        let server = self.sound.server.clone();
        let sound = SoundConfig {
            server,
            commands: self.sound.commands().ok_or_else(|| {
                refuse(
                    "sound",
                    "some of is_mute, mute and unmute".into(),
                    "all three, each a program and its arguments, or none of them",
                )
            })?,
        };

        let link = self
            .link
            .check()
            .map_err(|(key, found, allowed)| refuse(key, found, allowed))?;
        let control = self
            .control
            .check(self.logs)
            .map_err(|(key, found, allowed)| refuse(key, found, allowed))?;
        let live = self
            .live
            .check()
            .map_err(|(key, found, allowed)| refuse(key, found, allowed))?;

        if let Some(listen) = self.metrics.listen
            && !listen.ip().is_loopback()
        {
            return Err(refuse(
                "metrics.listen",
                listen.to_string(),
                "a loopback address, e.g. 127.0.0.1:9108",
            ));
        }
        let probes_root = self.probes.root.unwrap_or_else(|| PathBuf::from("/"));
        if !probes_root.is_absolute() {
            return Err(refuse(
                "probes.root",
                probes_root.display().to_string(),
                "an absolute folder with proc/ and sys/",
            ));
        }

        let reboot_command = self
            .system
            .reboot_command
            .unwrap_or_else(|| vec!["systemctl".into(), "reboot".into()]);
        if reboot_command.first().is_none_or(String::is_empty) {
            return Err(refuse(
                "system.reboot_command",
                "empty".into(),
                "a program and its arguments",
            ));
        }
        let boot_id_file = self
            .system
            .boot_id_file
            .unwrap_or_else(|| PathBuf::from("/proc/sys/kernel/random/boot_id"));

        Ok(Config {
            file: std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
            data_dir: data_dir.clone(),
            board,
            serial: self.serial,
            language: self.language,
            player: PlayerConfig {
                listen,
                lan_listen: self.player.lan_listen,
                courseware_port,
                language: self.language,
            },
            health: HealthConfig {
                interval: Duration::from_secs(interval_s),
            },
            storage: StorageConfig {
                reserve_bytes,
                max_bytes,
            },
            system: SystemConfig {
                reboot_command,
                boot_id_file,
            },
            fetch: FetchConfig {
                max_parallel,
                limit_kbps: self.fetch.limit_kbps,
            },
            lan: LanConfig {
                enabled: lan_enabled,
                listen: lan_listen,
                max_peers,
                hints: self.lan.hints,
                mdns: self.lan.mdns.unwrap_or(true),
            },
            county: CountyConfig {
                file: self.county.file,
            },
            identity: IdentityConfig {
                mcu_id: self.identity.mcu_id,
                disk_id: self.identity.disk_id,
                renew_spread: Duration::from_secs(renew_spread_s),
            },
            usb: UsbConfig {
                roots: self
                    .usb
                    .roots
                    .unwrap_or_else(|| ["/media", "/run/media", "/mnt"].map(PathBuf::from).to_vec()),
            },
            sound,
            link,
            control,
            live,
            tpm: Tpm2 {
                tools: self.tpm.tools,
                tcti: self.tpm.tcti,
            },
            probes_root,
            metrics: self.metrics.listen,
        })
    }
}

#[cfg(test)]
mod tests;
