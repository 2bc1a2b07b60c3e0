//! The clocks of the machine, and the one thing that is kept of time: the floor.
//!
//! Decisions use [`now`]. What the machine's own clock says ([`system`]) is handed to `agent_core::clock`, which decides how
//! far it is believed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use agent_core::Millis;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::files;

/// Milliseconds since the operating system started, suspend included.
pub fn now() -> Millis {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
    Millis(seconds.saturating_mul(1000).saturating_add(millis))
}

/// What the machine's clock says; may be wrong by decades.
pub fn system() -> Timestamp {
    Timestamp::now()
}

/// When this program was built: it is later now.
pub fn built() -> Timestamp {
    let seconds = env!("BBT_BUILT_AT").parse().unwrap_or(0);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The floor on the disk, `state/time.json`.
#[derive(Debug)]
pub struct SavedFloor {
    path: PathBuf,
    saved: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    floor: Timestamp,
    /// CRC-32 of the floor's seconds as text: a flipped digit must not become another century.
    check: u32,
}

impl SavedFloor {
    /// Under `data_dir`. One that is torn or damaged counts as none; what was signed and kept gives another.
    pub fn open(data_dir: &Path) -> Self {
        let path = data_dir.join("state").join("time.json");
        let saved = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Saved>(&bytes)
                .ok()
                .filter(|saved| saved.check == check(saved.floor))
                .or_else(|| {
                    tracing::warn!(path = %path.display(), "the saved time is damaged and is ignored");
                    None
                })
                .map(|saved| saved.floor),
            Err(_) => None,
        };
        Self { path, saved }
    }

    /// What was saved.
    pub const fn floor(&self) -> Option<Timestamp> {
        self.saved
    }

    /// Saves `floor`, unless that is what is saved.
    ///
    /// # Errors
    /// The one before is as it was.
    pub fn save(&mut self, floor: Timestamp) -> io::Result<()> {
        if self.saved == Some(floor) {
            return Ok(());
        }
        self.path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let check = check(floor);
        files::replace(&self.path, &serde_json::to_vec(&Saved { floor, check })?, 0o600)?;
        self.saved = Some(floor);
        Ok(())
    }
}

fn check(floor: Timestamp) -> u32 {
    crc32fast::hash(floor.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_comes_back_and_a_damaged_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut floor = SavedFloor::open(dir.path());
        assert_eq!(floor.floor(), None);
        let time: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        floor.save(time).unwrap();
        assert_eq!(SavedFloor::open(dir.path()).floor(), Some(time));
        let text = fs::read_to_string(&floor.path).unwrap();
        for damaged in [
            text.replace("2026", "2096"),
            text[..text.len() - 4].to_owned(),
            String::new(),
        ] {
            fs::write(&floor.path, damaged).unwrap();
            assert_eq!(SavedFloor::open(dir.path()).floor(), None);
        }
    }

    #[test]
    fn the_program_knows_when_it_was_built() {
        assert!(built() > "2026-01-01T00:00:00Z".parse().unwrap());
    }
}
