//! A file that means nothing: room set aside for the day on which others have filled the disk.
//!
//! sled never recovers from a write that found no room, and an eviction must write before it can free anything. So when
//! the disk is all but full the ballast goes, and comes back once there is plenty.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// Bytes set aside.
pub(crate) const BYTES: u64 = 8 * 1024 * 1024;
/// With less free than this the ballast goes.
const LOW: u64 = 4 * 1024 * 1024;
/// With more free than this it comes back.
const PLENTY: u64 = 64 * 1024 * 1024;

pub(crate) struct Ballast {
    path: PathBuf,
    folder: PathBuf,
}

impl Ballast {
    /// Beside the index folder.
    pub(crate) fn beside(index: &Path) -> Self {
        Self {
            path: index.with_extension("ballast"),
            folder: index.parent().unwrap_or(index).to_owned(),
        }
    }

    /// Lets the ballast go if the disk is all but full. Best effort: the write that follows says what is wrong.
    pub(crate) fn release_if_low(&self) {
        if self.free().is_some_and(|free| free < LOW) && fs::remove_file(&self.path).is_ok() {
            tracing::warn!("the disk is all but full; the store lives on the room it had set aside");
        }
    }

    /// Sets the room aside (again) where there is plenty. Where that cannot be done, the store works without.
    pub(crate) fn restore(&self) {
        if self.path.exists() || self.free().is_none_or(|free| free < PLENTY) {
            return;
        }
        let filled: io::Result<()> = File::create(&self.path)
            .and_then(|file| Ok(fallocate(&file, FallocateFlags::empty(), 0, BYTES)?));
        if let Err(error) = filled {
            tracing::debug!(%error, "no room was set aside");
            let _ = fs::remove_file(&self.path);
        }
    }

    fn free(&self) -> Option<u64> {
        statvfs(&self.folder)
            .ok()
            .map(|stat| stat.f_bavail * stat.f_frsize)
    }
}
