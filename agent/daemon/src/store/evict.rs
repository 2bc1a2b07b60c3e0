//! How lessons go: tombstones in the index → unlink → fsync folders → tombstones away. A cut anywhere is finished by the
//! next start, and no file that another lesson needs is ever touched.

use std::{collections::BTreeSet, fs, io, sync::atomic::Ordering};

use contract::hash::Hash;

use super::{
    LessonKey, StoreError,
    content::{ContentStore, Inner, failed},
    fault::Step,
    index::Changes,
    rows::{FileRow, FileState},
};

impl ContentStore {
    /// Removes a version and every file that no other held version needs. Returns the bytes freed.
    ///
    /// # Errors
    /// The index or the disk; asked again, it goes on where it stopped.
    pub fn evict(&self, key: &LessonKey) -> Result<u64, StoreError> {
        let inner = &self.0;
        let _write = inner.lock_write()?;
        let Some(mut row) = inner.index.lesson(key)? else {
            return Ok(0);
        };
        let mut going = Vec::new();
        let mut changes = Changes::default();
        for (hash, _) in inner.index.needs(key)? {
            if inner.index.users(hash)?.iter().all(|user| user == key) {
                going.push(hash);
            }
            changes.drop_need(key, hash);
        }
        row.evicting = true;
        changes.put_lesson(key, &row)?;
        inner.bury(&going, &mut changes)?;
        inner.index.commit(changes)?;
        let mut done = Changes::default();
        let freed = inner.unlink(&going, &mut done)?;
        inner.unlink_manifest(key, &mut done)?;
        if inner.index.versions(&key.lesson)?.len() <= 1 {
            done.drop_used(&key.lesson);
        }
        inner.index.note(done)?;
        inner
            .faults
            .before(Step::Done)
            .map_err(failed("finish the eviction of", inner.layout.root()))?;
        inner.forget_all();
        inner.changed();
        Ok(freed)
    }

    /// Removes every file that no held lesson needs. Returns the bytes freed.
    ///
    /// # Errors
    /// The index or the disk.
    pub fn remove_unneeded(&self) -> Result<u64, StoreError> {
        let inner = &self.0;
        let _write = inner.lock_write()?;
        let mut going = Vec::new();
        for hash in inner
            .index
            .files()
            .map(|row| row.map(|(hash, _)| hash))
            .chain(inner.index.parts())
        {
            let hash = hash?;
            if inner.index.users(hash)?.is_empty() && !inner.memory().active.contains(&hash) {
                going.push(hash);
            }
        }
        going.sort();
        going.dedup();
        if going.is_empty() {
            return Ok(0);
        }
        let mut changes = Changes::default();
        inner.bury(&going, &mut changes)?;
        inner.index.commit(changes)?;
        let mut done = Changes::default();
        let freed = inner.unlink(&going, &mut done)?;
        inner.index.note(done)?;
        Ok(freed)
    }
}

impl Inner {
    /// Adds tombstones for `going` to `changes`.
    pub(super) fn bury(&self, going: &[Hash], changes: &mut Changes) -> Result<(), StoreError> {
        for hash in going {
            if let Some(row) = self.index.file(*hash)? {
                changes.put_file(
                    *hash,
                    FileRow {
                        state: FileState::Evicting,
                        ..row
                    },
                )?;
            }
            self.index.drop_part(*hash, changes)?;
        }
        Ok(())
    }

    /// Removes files and parts whose tombstones are durable; adds the removal of the tombstones to `done`.
    pub(crate) fn unlink(&self, going: &[Hash], done: &mut Changes) -> Result<u64, StoreError> {
        let mut freed = 0;
        let mut folders = BTreeSet::new();
        for hash in going {
            for path in [self.layout.file(*hash), self.layout.part(*hash)] {
                self.faults
                    .before(Step::Unlink)
                    .map_err(failed("remove", &path))?;
                let size = fs::metadata(&path).map_or(0, |m| m.len());
                match fs::remove_file(&path) {
                    Ok(()) => freed += size,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(failed("remove", &path)(error)),
                }
                if let Some(folder) = path.parent() {
                    folders.insert(folder.to_owned());
                }
            }
            if let Some(row) = self.index.file(*hash)? {
                self.file_bytes.fetch_sub(row.size, Ordering::SeqCst);
            }
            done.drop_file(*hash);
            self.desk.forget(*hash);
        }
        for folder in &folders {
            self.sync_folder(folder)?;
        }
        Ok(freed)
    }

    pub(crate) fn unlink_manifest(&self, key: &LessonKey, done: &mut Changes) -> Result<(), StoreError> {
        let path = self.layout.manifest(key);
        self.faults
            .before(Step::Unlink)
            .map_err(failed("remove", &path))?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &path)(error));
            }
            _ => {}
        }
        self.sync_folder(&self.layout.manifests())?;
        done.drop_lesson(key);
        Ok(())
    }
}
