//! Backups: everything that a console is (database, keys, unlock secret, configuration, photos, lessons) as one encrypted file,
//! the proof that such a file can be used, and the way back.
//!
//! The file is what `age` reads (X25519 or a passphrase), around zstd, around tar: `age -d | zstd -d | tar t` opens it where
//! there is no console. First comes `backup.json` ([`Head`]), last `manifest.json` ([`Manifest`]) with the hash of every entry;
//! a file without it was cut off. Lessons are immutable and named by hash, so they are read after the database was copied.
//!
//! Knows no HTTP and no schedule; SQL is `db::backup`'s.

pub mod check;
pub mod create;
pub mod job;
pub mod keys;
pub mod read;
pub mod restore;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The format that is written; others are refused.
pub const FORMAT: u32 = 1;
/// First entry.
pub const HEAD: &str = "backup.json";
/// Last entry.
pub const MANIFEST: &str = "manifest.json";
/// The database's entry.
pub const DATABASE: &str = "console.db";
/// The unlock secret's entry; it lies outside of the data folder.
pub const UNLOCK: &str = "unlock";
/// Where the data folder's files are.
pub const DATA: &str = "data/";
/// Where lessons and manifests are in the data folder.
pub const OBJECTS: &str = "objects";
/// Manifests of lessons in there.
pub const MANIFESTS: &str = "manifests";
/// How a backup's name ends.
pub const SUFFIX: &str = ".tar.zst.age";
const PREFIX: &str = "bbt-console-";

/// Why there is no backup, or why one cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something on the disk.
    #[error("failed to {doing} {}: {reason}; check the disk and the rights of the folder", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The file is there already.
    #[error("{} exists already; a backup is never written over, choose another name", .0.display())]
    Exists(PathBuf),
    /// No room.
    #[error("{} has {free} bytes free and {needed} are needed; free some room or choose another disk", path.display())]
    NoRoom {
        /// Where.
        path: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// Another one of the same data folder.
    #[error("another backup of {} is under way; wait for it to end", .0.display())]
    UnderWay(PathBuf),
    /// It was told to stop.
    #[error("it was stopped before it was whole; nothing of it is left")]
    Stopped,
    /// Keys changed again and again while they were read.
    #[error("the console's keys were changed while they were read; try again once that is over")]
    KeysChange,
    /// A key or passphrase that is none.
    #[error("{0}")]
    Key(String),
    /// No key fits.
    #[error("the backup cannot be opened: {0}; give the key (--identity) or passphrase that it was made for")]
    Locked(String),
    /// A format that this version does not know.
    #[error(
        "the backup has format {0}, this console knows {FORMAT}; use the console's version that made it, or a newer one"
    )]
    Format(u32),
    /// Its bytes are not what was written.
    #[error("the backup is damaged: {0}; use another copy of it, or an older backup")]
    Damaged(String),
    /// The folder is in use.
    #[error("{} is not empty; a backup is only put back into a new folder (--data NEWDIR)", .0.display())]
    NotEmpty(PathBuf),
    /// Another secret lies where this one belongs.
    #[error("{} holds another unlock secret; move it away, or choose another folder", .0.display())]
    OtherUnlock(PathBuf),
    /// It can be read, and does not work.
    #[error("the backup can be read but not be used: {}", .0.join("; "))]
    Unusable(Vec<String>),
    /// The database.
    #[error(transparent)]
    Db(#[from] crate::db::DbError),
    /// Anything else, with what was being done.
    #[error("{0:#}")]
    Other(anyhow::Error),
}

impl BackupError {
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |reason| Self::Io { doing, path, reason }
    }
}

/// What comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`FORMAT`].
    pub format: u32,
    /// When the copy of the database was begun.
    pub made_at: Timestamp,
    /// The console's version.
    pub console: String,
    /// Whether the bytes of lessons are in it.
    pub lessons: bool,
    /// Bytes of all entries, as far as they could be told before.
    pub about_bytes: u64,
}

/// What comes last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// As in the beginning.
    pub head: Head,
    /// Every entry before, in order.
    pub entries: Vec<Entry>,
    /// Files that the configuration names outside of the data folder: they are not in it.
    pub outside: Vec<PathBuf>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// Their BLAKE3, hex.
    pub hash: String,
}

/// How far it is; shared with whoever waits.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes read.
    pub done: AtomicU64,
    /// Bytes to be read; 0: not counted yet.
    pub total: AtomicU64,
    /// Set to end it.
    pub stop: AtomicBool,
}

impl Progress {
    fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The name of a backup begun at `at`.
pub fn name(at: Timestamp, lessons: bool) -> String {
    let what = if lessons { "full" } else { "core" };
    format!("{PREFIX}{}-{what}{SUFFIX}", at.strftime("%Y%m%dT%H%M%SZ"))
}

/// What a name says: when it was begun, and whether lessons are in it; `None` for any other file.
pub fn of_name(name: &str) -> Option<(Timestamp, bool)> {
    let middle = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (at, what) = middle.split_once('-')?;
    let lessons = match what {
        "full" => true,
        "core" => false,
        _ => return None,
    };
    let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", at).ok()?;
    Some((at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp(), lessons))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_when_and_what_and_other_files_are_none() {
        let at: Timestamp = "2026-11-23T01:02:03Z".parse().unwrap();
        for lessons in [true, false] {
            assert_eq!(of_name(&name(at, lessons)), Some((at, lessons)));
        }
        assert_eq!(name(at, true), "bbt-console-20261123T010203Z-full.tar.zst.age");
        for other in [
            "bbt-console-20261123T010203Z-full.tar.zst.age.part",
            "../bbt-console-20261123T010203Z-full.tar.zst.age",
            "bbt-console-x-full.tar.zst.age",
            "console.db",
        ] {
            assert_eq!(of_name(other), None, "{other}");
        }
    }
}
