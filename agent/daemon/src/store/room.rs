//! How much room there is for lessons, and how a full disk is told from a broken one.

use std::{fs, io, path::Path, sync::atomic::Ordering};

use agent_core::lessons::FileRoom;
use contract::report::DiskReport;

use super::{
    StoreError, ballast,
    content::{ContentStore, Inner, failed},
    error::says_full,
};

impl ContentStore {
    /// Room for lessons.
    ///
    /// # Errors
    /// The file system does not answer.
    pub fn disk(&self) -> Result<DiskReport, StoreError> {
        let inner = &self.0;
        let (total_bytes, free_bytes) = inner.space()?;
        Ok(DiskReport {
            total_bytes,
            free_bytes,
            lesson_bytes: inner.taken()?,
        })
    }
}

impl ContentStore {
    /// Room for lessons, in files; `None` where the file system does not count them.
    ///
    /// # Errors
    /// The file system does not answer.
    pub fn file_room(&self) -> Result<Option<FileRoom>, StoreError> {
        self.0.file_room()
    }
}

impl Inner {
    fn file_room(&self) -> Result<Option<FileRoom>, StoreError> {
        let path = self.layout.content();
        let stat = rustix::fs::statvfs(&path).map_err(|e| failed("measure", &path)(e.into()))?;
        Ok((stat.f_files > 0).then_some(FileRoom {
            total: stat.f_files,
            free: stat.f_favail,
        }))
    }

    /// Refuses one more file where lessons already have all that they may.
    pub(crate) fn one_more_file(&self) -> Result<(), StoreError> {
        match self.file_room()? {
            Some(room) if room.for_lessons() <= 0 => Err(StoreError::TooManyFiles {
                free: room.free,
                reserve: room.reserve(),
                path: self.layout.content(),
            }),
            _ => Ok(()),
        }
    }

    /// Total and free bytes of the file system.
    fn space(&self) -> Result<(u64, u64), StoreError> {
        let path = self.layout.content();
        let stat = rustix::fs::statvfs(&path).map_err(|e| failed("measure", &path)(e.into()))?;
        Ok((stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize))
    }

    /// Bytes taken by files, whole or arriving.
    fn taken(&self) -> Result<u64, StoreError> {
        let parts = self.layout.parts();
        let entries = fs::read_dir(&parts).map_err(failed("list", &parts))?;
        let arriving: u64 = entries
            .filter_map(|e| e.ok()?.metadata().ok())
            .map(|m| m.len())
            .sum();
        Ok(self.file_bytes.load(Ordering::SeqCst) + arriving)
    }

    /// Bytes that the disk has for us.
    pub(crate) fn room_on_disk(&self) -> Result<u64, StoreError> {
        // What the index lets go of when others fill the disk is not for lessons.
        let reserve = self.options.reserve_bytes.max(ballast::BYTES);
        Ok(self.space()?.1.saturating_sub(reserve))
    }

    /// Bytes that lesson files may still take.
    pub(crate) fn room(&self) -> Result<u64, StoreError> {
        let by_disk = self.room_on_disk()?;
        let by_limit = match self.options.max_bytes {
            Some(max) => max.saturating_sub(self.taken()?),
            None => u64::MAX,
        };
        Ok(by_disk.min(by_limit))
    }

    /// A failed write: a full disk is told from a broken one.
    pub(crate) fn write_failed(
        &self,
        doing: &'static str,
        path: &Path,
        needed: u64,
        error: io::Error,
    ) -> StoreError {
        if says_full(&error) {
            StoreError::Full {
                needed,
                free: self.room().unwrap_or(0),
                path: path.to_owned(),
            }
        } else {
            failed(doing, path)(error)
        }
    }
}
