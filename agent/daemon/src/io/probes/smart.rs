//! Disks that tell of themselves (SMART), asked by `smartctl` where it is installed.
//!
//! A dying disk may take minutes to answer, so a thread of its own asks, at most every six hours, and the program is ended
//! after a minute.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::Root;

const PROGRAMS: [&str; 3] = ["/usr/sbin/smartctl", "/sbin/smartctl", "/usr/bin/smartctl"];
const ASK_EVERY: Duration = Duration::from_secs(6 * 3600);
const PATIENCE: Duration = Duration::from_secs(60);

/// What disks said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) wear_percent: Option<u8>,
    pub(super) reallocated_sectors: Option<u32>,
}

impl Found {
    /// The worse of two disks.
    fn worse(self, other: Self) -> Self {
        Self {
            wear_percent: self.wear_percent.max(other.wear_percent),
            reallocated_sectors: self.reallocated_sectors.max(other.reallocated_sectors),
        }
    }
}

/// Asks once in a while.
#[derive(Debug)]
pub(super) struct Smart {
    program: Option<PathBuf>,
    disks: Vec<String>,
    asked: Option<Instant>,
    found: Arc<Mutex<Found>>,
}

impl Smart {
    pub(super) fn new(root: &Root) -> Self {
        let program = PROGRAMS
            .map(PathBuf::from)
            .into_iter()
            .find(|program| program.is_file());
        // A tree of a test has no disks that a program of this machine could ask.
        let program = program.filter(|_| root.is_real());
        let told = |name: &String| name.starts_with("sd") || name.starts_with("nvme");
        Self {
            disks: root.names("sys/block").into_iter().filter(told).collect(),
            program,
            asked: None,
            found: Arc::default(),
        }
    }

    /// What is known by now; asks anew in the background if that is old.
    pub(super) fn look(&mut self, now: Instant) -> Found {
        let due = self
            .asked
            .is_none_or(|asked| now.saturating_duration_since(asked) >= ASK_EVERY);
        if let Some(program) = self.program.clone().filter(|_| due && !self.disks.is_empty()) {
            self.asked = Some(now);
            let (disks, found) = (self.disks.clone(), Arc::clone(&self.found));
            let asking = std::thread::Builder::new()
                .name("smart".to_owned())
                .stack_size(256 * 1024)
                .spawn(move || {
                    let said = disks.iter().filter_map(|disk| ask(&program, disk));
                    let said = said.fold(Found::default(), Found::worse);
                    *found.lock().unwrap_or_else(PoisonError::into_inner) = said;
                });
            if let Err(error) = asking {
                tracing::debug!(%error, "could not ask the disks");
            }
        }
        *self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ask(program: &Path, disk: &str) -> Option<Found> {
    let mut child = Command::new(program)
        .args(["--json", "--attributes", "--nocheck=standby"])
        .arg(format!("/dev/{disk}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let begun = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    // Its exit code tells of the disk's troubles; what it printed is good all the same.
    let output = child.wait_with_output().ok()?;
    parse(&serde_json::from_slice(&output.stdout).ok()?)
}

/// Reads `smartctl --json --attributes`.
pub(super) fn parse(said: &Value) -> Option<Found> {
    let percent = |value: &Value| {
        value
            .as_u64()
            .map(|used| u8::try_from(used.min(100)).unwrap_or(100))
    };
    let nvme = &said["nvme_smart_health_information_log"]["percentage_used"];
    let wear = percent(nvme).or_else(|| percent(&said["endurance_used"]["current_percent"]));
    let attributes = said["ata_smart_attributes"]["table"].as_array();
    let raw = |id: u64| {
        let found = attributes?.iter().find(|attribute| attribute["id"] == id)?;
        found["raw"]["value"].as_u64()
    };
    let found = Found {
        wear_percent: wear,
        // 5: Reallocated_Sector_Ct.
        reallocated_sectors: raw(5).and_then(|sectors| u32::try_from(sectors).ok()),
    };
    (found != Found::default()).then_some(found)
}
