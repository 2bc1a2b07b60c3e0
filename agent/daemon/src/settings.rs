//! What is set at the board itself, behind the technician's PIN: `settings.json` in the data folder.
//!
//! Read by everybody, written by the player's settings page alone. What was set last holds in memory even where the disk
//! does not take it; the page says so.

mod unlock;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use agent_core::timetable::LocalTimetable;
use contract::id::{BootId, DeviceId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{clock, config::Language, files};

pub use unlock::{OPEN_FOR, Unlock};

/// A damaged file must not fill the memory.
const MAX_BYTES: u64 = 256 * 1024;

/// What is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardSettings {
    /// Language of the page where a reader asks for none; none is the configuration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Whether files of a teacher's own disk are played.
    #[serde(default = "yes")]
    pub usb_play: bool,
    /// A timetable from a disk; holds where the console has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timetable: Option<LocalTimetable>,
    /// The player is locked: the console said so, and nobody unlocked it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<PlayerLock>,
    /// Which device that was said to: another one that this board becomes is not locked by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_of: Option<DeviceId>,
    /// The screen was made dark by an order, and not bright since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dark: Option<Dark>,
}

/// A screen that an order made dark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dark {
    /// Forced in a class or an exam, it stays until that is over by the timetable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// In which power-up: the next one begins with power for the screen.
    pub boot_id: BootId,
}

/// A locked player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayerLock {
    /// What the classroom reads; may be empty.
    #[serde(default)]
    pub reason: String,
    /// Since when, where the clock could be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

const fn yes() -> bool {
    true
}

impl Default for BoardSettings {
    fn default() -> Self {
        Self {
            language: None,
            usb_play: true,
            timetable: None,
            lock: None,
            lock_of: None,
            dark: None,
        }
    }
}

/// Where settings are read and written; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SettingsDoor(Arc<RwLock<Inner>>, Arc<Mutex<Unlock>>);

#[derive(Debug, Default)]
struct Inner {
    now: Arc<BoardSettings>,
    /// `None` before it was opened: then nothing is kept.
    path: Option<PathBuf>,
}

impl SettingsDoor {
    /// Goes on with what is kept under `data_dir`. What cannot be read counts as nothing set.
    pub fn open(&self, data_dir: &Path) {
        let path = data_dir.join("settings.json");
        let kept = read(&path).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "the board's settings cannot be read; nothing is set");
            None
        });
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        inner.now = Arc::new(kept.unwrap_or_default());
        inner.path = Some(path);
        *self.unlock() = Unlock::open(data_dir, clock::now());
    }

    /// Who may change them. Not to be held over anything that waits for somebody else.
    pub fn unlock(&self) -> MutexGuard<'_, Unlock> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is set.
    pub fn now(&self) -> Arc<BoardSettings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).now)
    }

    /// Changes something and keeps it. Waits for the disk: not for async threads.
    ///
    /// # Errors
    /// The disk did not take it; until the next start it holds all the same.
    pub fn change(&self, change: impl FnOnce(&mut BoardSettings)) -> io::Result<Arc<BoardSettings>> {
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = BoardSettings::clone(&inner.now);
        change(&mut next);
        let next = Arc::new(next);
        inner.now = Arc::clone(&next);
        if let Some(path) = &inner.path {
            files::replace(path, &serde_json::to_vec_pretty(&*next)?, 0o600)?;
        }
        Ok(next)
    }
}

fn read(path: &Path) -> io::Result<Option<BoardSettings>> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() > MAX_BYTES => Err(io::Error::other("it is too long")),
        Ok(_) => Ok(Some(serde_json::from_slice(&std::fs::read(path)?)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_there_after_a_restart_and_damage_is_nothing_set() {
        let dir = tempfile::tempdir().unwrap();
        let door = SettingsDoor::default();
        door.open(dir.path());
        assert_eq!(*door.now(), BoardSettings::default());
        assert!(door.now().usb_play);
        door.change(|s| (s.usb_play, s.language) = (false, Some(Language::En)))
            .unwrap();
        let again = SettingsDoor::default();
        again.open(dir.path());
        assert_eq!(
            (again.now().usb_play, again.now().language),
            (false, Some(Language::En))
        );
        // A field that another version knows is no damage; a torn file is, and harms nobody.
        let path = dir.path().join("settings.json");
        std::fs::write(&path, "{\"wallpaper\": 1, \"usb_play\": false}").unwrap();
        again.open(dir.path());
        assert!(!again.now().usb_play);
        for damaged in ["{\"usb_play\": fal", "[]", &"x".repeat(300_000)] {
            std::fs::write(&path, damaged).unwrap();
            again.open(dir.path());
            assert_eq!(*again.now(), BoardSettings::default());
        }
    }

    #[test]
    fn a_disk_that_takes_nothing_is_told_and_the_setting_holds() {
        let dir = tempfile::tempdir().unwrap();
        let door = SettingsDoor::default();
        door.open(&dir.path().join("nowhere"));
        assert!(door.change(|s| s.usb_play = false).is_err());
        assert!(!door.now().usb_play);
    }
}
