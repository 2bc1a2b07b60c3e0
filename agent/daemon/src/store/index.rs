//! The sled index: what we know of the files, so that nobody has to read them all at each start.
//!
//! It is never the only truth: one that does not open is set aside and built again from files and manifests. Knows rows
//! and how they become durable; knows no file under `content/`.
//!
//! Four rules of sled 0.34, each measured:
//! - `flush()` alone loses acknowledged rows at a power cut. A commit is `flush()`, **then** `sync_all()` on sled's own `db`.
//! - A leftover `snap.*.generating` makes it refuse to open, so those are removed first.
//! - On a disk that turned read-only its `flush` never ends; see `flush.rs`.
//! - It panics on some damage. A panic is caught where panics unwind; where they abort, a mark written before the opening
//!   and removed after the first full reading tells the next start that two openings in a row ended in between.

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use contract::{hash::Hash, id::LessonId};

use rustix::fs::FlockOperation;

use super::{
    LessonKey,
    ballast::Ballast,
    error::says_full,
    fault::{Faults, Step},
    flush::flush,
    layout,
    rows::{self, FileRow, LessonRow, PartRow, RowError, ScrubRow},
};

/// sled's cache in bytes. Its default is 1 GB.
const CACHE_BYTES: u64 = 2 * 1024 * 1024;
/// How long an index that is held is waited for: at most one second.
const LOCK_TRIES: u32 = 50;
const LOCK_WAIT: Duration = Duration::from_millis(20);
/// So many openings may end without an answer before the index is given up: one may have been an honest `kill -9`.
const STALLED_OPENINGS: usize = 2;

/// The index cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Another process has it.
    #[error(
        "the index {path} is in use by another process; stop the other agent or give this one its own data_dir"
    )]
    InUse {
        /// The index folder.
        path: PathBuf,
    },
    /// It does not open or read; a rebuild helps.
    #[error("the index {path} cannot be opened: {reason}")]
    Broken {
        /// The index folder.
        path: PathBuf,
        /// What sled, or the panic it died of, said.
        reason: String,
    },
    /// A row of it does not read; a rebuild helps.
    #[error("the index is damaged: {0}")]
    Row(RowError),
    /// It could not be read or made durable. Nothing more is written until it is opened again.
    #[error("failed to {doing} the index: {reason}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        reason: io::Error,
    },
    /// An earlier write failed, so that a later one proves nothing.
    #[error("the index takes no more changes since an earlier write to the disk failed; restart the agent")]
    Failed,
}

impl From<RowError> for IndexError {
    fn from(error: RowError) -> Self {
        Self::Row(error)
    }
}

/// Rows that change together or not at all.
#[derive(Debug, Default)]
pub(crate) struct Changes(sled::Batch);

impl Changes {
    pub(crate) fn put_file(&mut self, hash: Hash, row: FileRow) -> Result<(), RowError> {
        self.0.insert(rows::file_key(hash), rows::encode(&row)?);
        Ok(())
    }

    pub(crate) fn drop_file(&mut self, hash: Hash) {
        self.0.remove(rows::file_key(hash));
    }

    pub(crate) fn put_part(&mut self, hash: Hash, row: PartRow) -> Result<(), RowError> {
        self.0.insert(rows::part_key(hash), rows::encode(&row)?);
        Ok(())
    }

    pub(crate) fn put_segment(&mut self, hash: Hash, segment: u16, bits: &[u8]) {
        self.0.insert(rows::bitmap_key(hash, segment), bits);
    }

    pub(crate) fn put_lesson(&mut self, key: &LessonKey, row: &LessonRow) -> Result<(), RowError> {
        let name = rows::lesson_key(key);
        let json = serde_json::to_vec(row).map_err(|e| RowError::new(&name, e))?;
        self.0.insert(name, json);
        Ok(())
    }

    pub(crate) fn drop_lesson(&mut self, key: &LessonKey) {
        self.0.remove(rows::lesson_key(key));
    }

    pub(crate) fn put_need(&mut self, key: &LessonKey, hash: Hash, size: u64) -> Result<(), RowError> {
        self.0.insert(rows::need_key(key, hash), rows::encode(&size)?);
        self.0.insert(rows::user_key(hash, key), &[]);
        Ok(())
    }

    pub(crate) fn drop_need(&mut self, key: &LessonKey, hash: Hash) {
        self.0.remove(rows::need_key(key, hash));
        self.0.remove(rows::user_key(hash, key));
    }

    pub(crate) fn put_used(&mut self, lesson: &LessonId, order: u64) -> Result<(), RowError> {
        self.0.insert(rows::used_key(lesson), rows::encode(&order)?);
        Ok(())
    }

    pub(crate) fn put_scrub(&mut self, row: &ScrubRow) -> Result<(), RowError> {
        self.0.insert(rows::SCRUB_KEY, rows::encode(row)?);
        Ok(())
    }

    pub(crate) fn drop_scrub(&mut self) {
        self.0.remove(rows::SCRUB_KEY);
    }

    pub(crate) fn drop_used(&mut self, lesson: &LessonId) {
        self.0.remove(rows::used_key(lesson));
    }
}

/// The one sled database of the agent.
pub(crate) struct Index {
    db: sled::Db,
    file: File,
    /// Held while anything is written, so that nobody waits inside sled behind a flush that never ends.
    writing: Mutex<()>,
    failed: AtomicBool,
    faults: Faults,
    ballast: Ballast,
}

impl Index {
    /// Opens or creates the index in `folder` and reads every row once, so that damage shows here and not later.
    pub(crate) fn open(folder: &Path, faults: Faults) -> Result<Self, IndexError> {
        let io = |doing| move |reason| IndexError::Io { doing, reason };
        let existed = folder.join("db").exists();
        let ballast = Ballast::beside(folder);
        ballast.release_if_low();
        if existed && !is_free(&folder.join("db")).map_err(io("lock"))? {
            return Err(IndexError::InUse {
                path: folder.to_owned(),
            });
        }
        remove_unfinished_snapshots(folder).map_err(io("tidy"))?;
        let broken = |reason: String| IndexError::Broken {
            path: folder.to_owned(),
            reason,
        };
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let db = sled::Config::new()
                .path(folder)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(None)
                .open()?;
            db.iter().try_for_each(|row| row.map(|_| ()))?;
            Ok::<_, sled::Error>(db)
        }));
        let db = match opened {
            Ok(Ok(db)) => db,
            Ok(Err(error)) if error.to_string().contains("could not acquire lock") => {
                return Err(IndexError::InUse {
                    path: folder.to_owned(),
                });
            }
            Ok(Err(sled::Error::Io(reason))) if says_full(&reason) => return Err(io("open")(reason)),
            Ok(Err(error)) => return Err(broken(error.to_string())),
            Err(panic) => return Err(broken(panic_text(panic.as_ref()))),
        };
        let file = File::options()
            .read(true)
            .write(true)
            .open(folder.join("db"))
            .map_err(io("open"))?;
        let index = Self {
            db,
            file,
            writing: Mutex::default(),
            failed: AtomicBool::new(false),
            faults,
            ballast,
        };
        if existed {
            // sled opens some garbage as an empty database.
            if index.get(rows::FORMAT_KEY)?.as_deref() != Some(rows::FORMAT) {
                return Err(broken("its first row is missing or of another format".to_owned()));
            }
        } else {
            let mut first = Changes::default();
            first.0.insert(rows::FORMAT_KEY, rows::FORMAT);
            index.commit(first)?;
            for folder in [folder, folder.parent().unwrap_or(folder)] {
                layout::sync_dir(folder).map_err(io("sync"))?;
            }
        }
        Ok(index)
    }

    /// Makes `changes` durable. When this returns `Ok`, they survive a power cut.
    pub(crate) fn commit(&self, changes: Changes) -> Result<(), IndexError> {
        let _writing = self.write()?;
        self.apply_now(changes)?;
        self.flush()
    }

    /// Takes `changes` over without waiting for the disk: for rows whose loss costs a little work and never a promise.
    pub(crate) fn note(&self, changes: Changes) -> Result<(), IndexError> {
        let _writing = self.write()?;
        self.apply_now(changes)?;
        flush(&self.db).map_err(|error| self.broke("write", error))
    }

    /// Takes `changes` over in memory; a later [`Self::commit`] makes them durable too.
    pub(crate) fn apply(&self, changes: Changes) -> Result<(), IndexError> {
        let _writing = self.write()?;
        self.apply_now(changes)
    }

    /// The right to write; there is none after a failure.
    fn write(&self) -> Result<MutexGuard<'_, ()>, IndexError> {
        let guard = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.failed.load(Ordering::SeqCst) {
            return Err(IndexError::Failed);
        }
        Ok(guard)
    }

    fn apply_now(&self, changes: Changes) -> Result<(), IndexError> {
        self.ballast.release_if_low();
        self.db.apply_batch(changes.0).map_err(|e| self.broke("write", e))
    }

    fn flush(&self) -> Result<(), IndexError> {
        self.faults
            .before(Step::IndexFlush)
            .map_err(|e| self.broke("write", sled::Error::Io(e)))?;
        flush(&self.db).map_err(|e| self.broke("write", e))?;
        self.faults
            .before(Step::IndexSync)
            .map_err(|e| self.broke("sync", sled::Error::Io(e)))?;
        self.file
            .sync_all()
            .map_err(|e| self.broke("sync", sled::Error::Io(e)))
    }

    /// After a failed write the system may report later ones as fine though the bytes are gone, so none is tried.
    fn broke(&self, doing: &'static str, error: sled::Error) -> IndexError {
        self.failed.store(true, Ordering::SeqCst);
        IndexError::Io {
            doing,
            reason: to_io(error),
        }
    }

    pub(crate) fn file(&self, hash: Hash) -> Result<Option<FileRow>, IndexError> {
        let key = rows::file_key(hash);
        let value = self.get(&key)?;
        Ok(value.map(|v| rows::decode(&key, &v)).transpose()?)
    }

    pub(crate) fn part(&self, hash: Hash) -> Result<Option<PartRow>, IndexError> {
        let key = rows::part_key(hash);
        let value = self.get(&key)?;
        Ok(value.map(|v| rows::decode(&key, &v)).transpose()?)
    }

    pub(crate) fn lesson(&self, key: &LessonKey) -> Result<Option<LessonRow>, IndexError> {
        let name = rows::lesson_key(key);
        self.get(&name)?.map(|v| lesson_row(&name, &v)).transpose()
    }

    pub(crate) fn last_used(&self, lesson: &LessonId) -> Result<u64, IndexError> {
        let key = rows::used_key(lesson);
        Ok(self
            .get(&key)?
            .map(|v| rows::decode(&key, &v))
            .transpose()?
            .unwrap_or(0))
    }

    /// Where the slow round has come to. A row that does not read only costs the round's beginning.
    pub(crate) fn scrub_place(&self) -> Result<Option<ScrubRow>, IndexError> {
        let value = self.get(rows::SCRUB_KEY)?;
        Ok(value.and_then(|v| rows::decode(rows::SCRUB_KEY, &v).ok()))
    }

    /// The highest order of use ever given out.
    pub(crate) fn newest_use(&self) -> Result<u64, IndexError> {
        self.scan(b"u").try_fold(0, |newest, row| {
            let (key, value) = row?;
            Ok(newest.max(rows::decode(&key, &value)?))
        })
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = Result<(Hash, FileRow), IndexError>> + '_ {
        self.scan(b"f").map(|row| {
            let (key, value) = row?;
            Ok((rows::hash_in(&key)?, rows::decode(&key, &value)?))
        })
    }

    /// Every part that has a row, or a stretch of a bitmap whose row is gone.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Result<Hash, IndexError>> + '_ {
        self.scan(b"p")
            .chain(self.scan(b"b"))
            .map(|row| Ok(rows::hash_in(&row?.0)?))
    }

    pub(crate) fn segments(&self, hash: Hash) -> impl Iterator<Item = Result<Vec<u8>, IndexError>> + '_ {
        self.scan(&rows::bitmap_prefix(hash))
            .map(|row| Ok(row?.1.to_vec()))
    }

    pub(crate) fn lessons(&self) -> impl Iterator<Item = Result<(LessonKey, LessonRow), IndexError>> + '_ {
        self.scan(b"l").map(|row| {
            let (key, value) = row?;
            Ok((rows::lesson_in(&key, 1)?, lesson_row(&key, &value)?))
        })
    }

    /// The versions of one lesson, lowest first.
    pub(crate) fn versions(&self, lesson: &LessonId) -> Result<Vec<LessonKey>, IndexError> {
        self.scan(&rows::versions_prefix(lesson))
            .map(|row| Ok(rows::lesson_in(&row?.0, 1)?))
            .collect()
    }

    /// What a lesson needs: each distinct file and its size.
    pub(crate) fn needs(&self, lesson: &LessonKey) -> Result<Vec<(Hash, u64)>, IndexError> {
        self.scan(&rows::needs_prefix(lesson))
            .map(|row| {
                let (key, value) = row?;
                Ok((rows::hash_at_end(&key)?, rows::decode(&key, &value)?))
            })
            .collect()
    }

    /// The size of one file that a lesson needs.
    pub(crate) fn need(&self, lesson: &LessonKey, hash: Hash) -> Result<Option<u64>, IndexError> {
        let key = rows::need_key(lesson, hash);
        Ok(self.get(&key)?.map(|v| rows::decode(&key, &v)).transpose()?)
    }

    /// Who needs a file.
    pub(crate) fn users(&self, hash: Hash) -> Result<Vec<LessonKey>, IndexError> {
        self.scan(&rows::users_prefix(hash))
            .map(|row| Ok(rows::lesson_in(&row?.0, 33)?))
            .collect()
    }

    /// Adds the removal of a part's rows to `changes`.
    pub(crate) fn drop_part(&self, hash: Hash, changes: &mut Changes) -> Result<(), IndexError> {
        changes.0.remove(rows::part_key(hash));
        for row in self.scan(&rows::bitmap_prefix(hash)) {
            changes.0.remove(row?.0);
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, IndexError> {
        self.db.get(key).map_err(|e| IndexError::Io {
            doing: "read",
            reason: to_io(e),
        })
    }

    fn scan(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec), IndexError>> + use<> {
        self.db.scan_prefix(prefix).map(|row| {
            row.map_err(|e| IndexError::Io {
                doing: "read",
                reason: to_io(e),
            })
        })
    }
}

/// Opens the index, or sets a broken one aside and starts an empty one; then says why.
pub(crate) fn open_or_replace(folder: &Path, faults: &Faults) -> Result<(Index, Option<String>), IndexError> {
    let io = |doing| move |reason| IndexError::Io { doing, reason };
    let mark = folder.with_extension("opening");
    let stalled = fs::read(&mark).map_or(0, |bytes| bytes.len());
    let mut reason = None;
    if stalled >= STALLED_OPENINGS {
        reason = Some(format!("the agent ended {stalled} times while opening it"));
        set_aside(folder).map_err(io("set aside"))?;
    }
    let fresh = reason.is_none() && !folder.join("db").exists();
    Ballast::beside(folder).release_if_low();
    let marks = vec![b'x'; if reason.is_some() { 1 } else { stalled + 1 }];
    match fs::write(&mark, marks) {
        // A full disk is no reason not to play.
        Err(error) if !says_full(&error) => return Err(io("mark")(error)),
        _ => {}
    }
    let opened = match Index::open(folder, faults.clone()) {
        Err(error @ (IndexError::Broken { .. } | IndexError::Row(_))) => {
            reason = Some(error.to_string());
            set_aside(folder).map_err(io("set aside"))?;
            Index::open(folder, faults.clone())
        }
        other => other,
    };
    match fs::remove_file(&mark) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io("unmark")(error)),
        _ => {}
    }
    Ballast::beside(folder).restore();
    if fresh {
        reason = Some("there was none".to_owned());
    }
    Ok((opened?, reason))
}

/// Moves the index folder to `index.broken-1`, in place of an older one.
pub(crate) fn set_aside(folder: &Path) -> io::Result<()> {
    let aside = folder.with_extension("broken-1");
    if !folder.exists() {
        return Ok(());
    }
    match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(folder, &aside)?;
    layout::sync_dir(folder.parent().unwrap_or(folder))
}

/// Whether no other opening holds the database. One of ours that was just closed lets go of it a moment later, since
/// sled's own threads hold on to it for so long.
fn is_free(db: &Path) -> io::Result<bool> {
    let file = File::open(db)?;
    for _ in 0..LOCK_TRIES {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                // Not left to the closing: a program that is being started elsewhere may hold the file a moment longer.
                rustix::fs::flock(&file, FlockOperation::Unlock)?;
                return Ok(true);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_WAIT),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

fn remove_unfinished_snapshots(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn lesson_row(key: &[u8], value: &[u8]) -> Result<LessonRow, IndexError> {
    Ok(serde_json::from_slice(value).map_err(|e| RowError::new(key, e))?)
}

fn to_io(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!(
        "sled panicked: {}",
        text.unwrap_or_else(|| "without a word".to_owned())
    )
}
