//! How files are opened: only whole ones that have their hash, hashed again where they were touched since.

use std::{
    collections::HashMap,
    fs::File,
    io,
    sync::{Arc, PoisonError, Weak, atomic::Ordering},
};

use contract::{hash::Hash, id::LessonId};

use super::{
    LessonKey, StoreError,
    content::{ContentStore, Inner, failed},
    index::Changes,
    layout::{self, Stamp},
    recover,
    rows::{FileRow, FileState},
    scrub::is_damage,
};

/// So many lessons' path tables stay in memory.
const MAPS_KEPT: usize = 4;

/// The paths of one lesson.
pub(super) type FileMap = HashMap<String, Resolved>;

/// What a path in a lesson stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The file's name in the store.
    pub hash: Hash,
    /// Length in bytes.
    pub size: u64,
    /// MIME type, found from the content at import.
    pub media_type: String,
}

/// A whole file that was found to have its hash; stays readable even if it is evicted meanwhile.
#[derive(Debug)]
pub struct OpenFile {
    /// Its name in the store.
    pub hash: Hash,
    /// Length in bytes.
    pub size: u64,
    /// Open for reading.
    pub file: File,
    store: Weak<Inner>,
}

impl OpenFile {
    /// Says that reading it failed: it is looked at again, and fetched again if need be. Blocks.
    pub fn read_failed(&self, error: &io::Error) {
        let Some(store) = self.store.upgrade() else { return };
        tracing::error!(file = %self.hash, %error, "a lesson file could not be read while it was played");
        if let Err(error) = store.suspect(self.hash) {
            tracing::error!(file = %self.hash, %error, "could not have a file looked at again");
        }
    }
}

impl ContentStore {
    /// The newest version of a lesson that plays.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn current(&self, lesson: &LessonId) -> Result<Option<LessonKey>, StoreError> {
        for key in self.0.index.versions(lesson)?.into_iter().rev() {
            if self.held(&key)?.is_some_and(|held| held.is_ready()) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Whether the manifest of any version of a lesson is here.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn any_version(&self, lesson: &LessonId) -> Result<bool, StoreError> {
        Ok(!self.0.index.versions(lesson)?.is_empty())
    }

    /// What a path in a lesson stands for; `None` if there is no such lesson or path. Says nothing of completeness.
    ///
    /// # Errors
    /// Index or manifest cannot be read.
    pub fn resolve(&self, key: &LessonKey, path: &str) -> Result<Option<Resolved>, StoreError> {
        let known = self
            .0
            .memory()
            .maps
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, map)| Arc::clone(map));
        let map = match known {
            Some(map) => map,
            None => {
                let Some(manifest) = self.manifest(key)? else {
                    return Ok(None);
                };
                let files = manifest.files.into_iter();
                let map: FileMap = files
                    .map(|f| {
                        let found = Resolved {
                            hash: f.hash,
                            size: f.size,
                            media_type: f.media_type,
                        };
                        (String::from(f.path), found)
                    })
                    .collect();
                let map = Arc::new(map);
                let mut memory = self.0.memory();
                memory.maps.retain(|(k, _)| k != key);
                memory.maps.truncate(MAPS_KEPT - 1);
                memory.maps.insert(0, (key.clone(), Arc::clone(&map)));
                map
            }
        };
        Ok(map.get(path).cloned())
    }

    /// Opens a whole file for reading, if it is here and has its hash. One that was touched since it was verified is
    /// hashed first; if it is no longer right it is set aside and its lessons become incomplete.
    ///
    /// # Errors
    /// Index or disk.
    pub fn open_file(&self, hash: Hash) -> Result<Option<OpenFile>, StoreError> {
        self.0.used();
        let Some((row, file, stamp)) = self.0.look_up(hash)? else {
            return Ok(None);
        };
        if row.vouches_for(stamp) {
            return Ok(Some(OpenFile {
                hash,
                size: stamp.size,
                file,
                store: Arc::downgrade(&self.0),
            }));
        }
        let _verify = self.0.verify.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((row, mut file, stamp)) = self.0.look_up(hash)? else {
            return Ok(None);
        };
        if row.vouches_for(stamp) {
            return Ok(Some(OpenFile {
                hash,
                size: stamp.size,
                file,
                store: Arc::downgrade(&self.0),
            }));
        }
        let path = self.0.layout.file(hash);
        let found = match layout::hash_all(&file) {
            Ok(found) => Some(found),
            Err(error) if is_damage(&error) => {
                tracing::error!(file = %hash, %error, "a stored file cannot be read any more; set aside");
                None
            }
            Err(error) => return Err(failed("read", &path)(error)),
        };
        io::Seek::rewind(&mut file).map_err(failed("read", &path))?;
        let _write = self.0.lock_write()?;
        if found == Some(hash) {
            let mut changes = Changes::default();
            changes.put_file(hash, FileRow::verified(stamp))?;
            self.0.index.note(changes)?;
            self.0.file_changed(hash)?;
            return Ok(Some(OpenFile {
                hash,
                size: stamp.size,
                file,
                store: Arc::downgrade(&self.0),
            }));
        }
        if let Some(found) = found {
            tracing::error!(file = %hash, found = %found, "stored bytes do not have their hash; set aside");
        }
        recover::quarantine_file(&self.0, hash)?;
        self.0.file_changed(hash)?;
        Ok(None)
    }

    /// Hashes one file that nobody has hashed since it was found or touched. `None` once there is none left.
    /// Until then its lessons are held as incomplete.
    ///
    /// # Errors
    /// Index or disk.
    pub fn verify_next(&self) -> Result<Option<Hash>, StoreError> {
        let next = self.0.memory().to_verify.pop();
        if let Some(hash) = next {
            self.open_file(hash)?;
        }
        Ok(next)
    }
}

impl Inner {
    /// The row, the file and its stamp, where both are there and as long as they should be.
    fn look_up(&self, hash: Hash) -> Result<Option<(FileRow, File, Stamp)>, StoreError> {
        let Some(row) = self
            .confirmed(hash)?
            .filter(|row| row.state != FileState::Evicting)
        else {
            return Ok(None);
        };
        let path = self.layout.file(hash);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let _write = self.lock_write()?;
                if self.index.file(hash)? == Some(row) && !path.exists() {
                    tracing::error!(file = %hash, "a stored file is gone; its lessons are incomplete again");
                    let mut changes = Changes::default();
                    changes.drop_file(hash);
                    self.index.commit(changes)?;
                    self.file_bytes.fetch_sub(row.size, Ordering::SeqCst);
                    self.file_changed(hash)?;
                }
                return Ok(None);
            }
            Err(error) if is_damage(&error) => {
                let _write = self.lock_write()?;
                tracing::error!(file = %hash, %error, "a stored file cannot be opened any more; set aside");
                recover::quarantine_file(self, hash)?;
                self.file_changed(hash)?;
                return Ok(None);
            }
            Err(error) => return Err(failed("open", &path)(error)),
        };
        let stamp = Stamp::of(&file.metadata().map_err(failed("read", &path))?);
        Ok(Some((row, file, stamp)))
    }
}
