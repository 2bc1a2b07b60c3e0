//! The lessons on the disk: which are held, what they hold, and how they go.
//!
//! Files are the truth, the index says what we know of them. The order of every durable step:
//!
//! - a file comes (`part.rs`): write part → fsync → hash the whole → rename → fsync folders → index row → acknowledge;
//! - a manifest comes: write temporary → fsync → rename → fsync folder → index rows → acknowledge;
//! - a lesson goes (`evict.rs`): tombstones in the index → unlink → fsync folders → tombstones away.
//!
//! So a cut anywhere leaves more on the disk than the index says, never less; `recover.rs` brings them together.
//! One mutex (`write`) orders commits, manifests and evictions; reading takes none. All calls block: call them off the
//! async threads. Knows no network and decides nothing.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use agent_core::lessons::{HeldLesson, HeldState, Inventory};
use contract::{
    assignment::AssignedLesson,
    hash::Hash,
    id::LessonId,
    lesson::{LessonManifest, MAX_MANIFEST_BYTES, SignedLesson},
    signed::TrustedKey,
};
use tokio::sync::watch;

use super::{
    LessonKey, ManifestRefused, OpenReport, StoreError,
    copy::Elsewhere,
    fault::{Faults, Step},
    index::{self, Changes, Index},
    layout::{self, Layout},
    read::FileMap,
    recover,
    rows::{FileRow, FileState, LessonRow},
    scrub::{Round, Waiting, is_damage},
    serve::Desk,
};
use crate::shelf::LessonCard;

/// An opening of a lesson is written down at most this often.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// Where the store lies and how much it may take.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The data folder; `content/` and `index/` are made under it.
    pub root: PathBuf,
    /// Keys whose manifests are believed. With none, no manifest is.
    pub trusted: Vec<TrustedKey>,
    /// Bytes of the file system that lessons leave free.
    pub reserve_bytes: u64,
    /// Most bytes that lesson files take; `None` is as much as fits.
    pub max_bytes: Option<u64>,
}

/// The lessons on the disk. Cheap to clone; one per data folder.
#[derive(Clone)]
pub struct ContentStore(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) options: StoreOptions,
    /// From the options at first, and since from each renewal.
    trusted: RwLock<Vec<TrustedKey>>,
    /// Every key that was believed since the start.
    known: RwLock<Vec<TrustedKey>>,
    pub(crate) layout: Layout,
    pub(crate) index: Index,
    pub(crate) faults: Faults,
    /// Held by whoever changes what is on the disk.
    pub(crate) write: Mutex<()>,
    /// Held while a file is hashed again, so that two readers do not hash it twice.
    pub(super) verify: Mutex<()>,
    memory: Mutex<Memory>,
    /// What is at hand for serving other boards.
    pub(super) desk: Desk,
    pub(super) elsewhere: Elsewhere,
    pub(super) counts: Counts,
    pub(super) opened_at: Instant,
    /// When somebody last read, fetched or was served, in milliseconds since `opened_at`.
    pub(super) used_at_ms: AtomicU64,
    /// Bytes of whole files.
    pub(crate) file_bytes: AtomicU64,
    /// A commit failed half-way.
    pub(crate) broken: AtomicBool,
    changes: watch::Sender<u64>,
}

/// What is remembered between calls; all of it can be read again from the index.
#[derive(Default)]
pub(super) struct Memory {
    /// Files in the hands of a `Part`.
    pub(super) active: HashSet<Hash>,
    /// Files whose commit failed at its last step. They count as missing until the next start.
    pub(super) unconfirmed: HashSet<Hash>,
    /// Files that nobody has hashed since they were found or touched.
    pub(super) to_verify: Waiting,
    /// Where the slow round is; `None` until it is read from the index.
    pub(super) round: Option<Round>,
    held: HashMap<LessonKey, HeldLesson>,
    pub(super) maps: Vec<(LessonKey, Arc<FileMap>)>,
    next_use: u64,
    used_at: HashMap<LessonId, Instant>,
}

/// Counted since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) written: AtomicU64,
    pub(super) copied: AtomicU64,
}

/// Bytes since the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Lesson bytes and manifests handed to the file system, without what the index needs.
    pub stored_bytes: u64,
    /// Of these, copied from other files of this disk.
    pub copied_bytes: u64,
}

impl std::fmt::Debug for ContentStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentStore")
            .field("root", &self.0.options.root)
            .finish_non_exhaustive()
    }
}

impl ContentStore {
    /// Opens the store and makes files and index agree; a broken or missing index is built again from the files.
    ///
    /// # Errors
    /// The folder cannot be used, or another process has the index.
    pub fn open(options: StoreOptions) -> Result<(Self, OpenReport), StoreError> {
        Self::open_with(options, Faults::default())
    }

    pub(crate) fn open_with(options: StoreOptions, faults: Faults) -> Result<(Self, OpenReport), StoreError> {
        let layout = Layout::new(&options.root);
        layout
            .create()
            .map_err(failed("create the folders of", &options.root))?;
        let (index, rebuilt) = index::open_or_replace(&layout.index(), &faults)?;
        let memory = Memory {
            next_use: index.newest_use()? + 1,
            ..Memory::default()
        };
        let store = Self(Arc::new(Inner {
            trusted: RwLock::new(options.trusted.clone()),
            known: RwLock::new(options.trusted.clone()),
            options,
            layout,
            index,
            faults,
            write: Mutex::default(),
            verify: Mutex::default(),
            memory: Mutex::new(memory),
            desk: Desk::default(),
            elsewhere: Elsewhere::default(),
            counts: Counts::default(),
            opened_at: Instant::now(),
            used_at_ms: AtomicU64::new(0),
            file_bytes: AtomicU64::new(0),
            broken: AtomicBool::new(false),
            changes: watch::channel(0).0,
        }));
        let report = recover::reconcile(&store.0, rebuilt)?;
        Ok((store, report))
    }

    /// Manifests that come from now on are believed with these keys; those that are held were believed already, and can be
    /// read on by the keys of then.
    pub fn trust(&self, keys: Vec<TrustedKey>) {
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        for key in &keys {
            if !known.contains(key) {
                known.push(key.clone());
            }
        }
        drop(known);
        *self.0.trusted.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// What was written since the store was opened.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            stored_bytes: self.0.counts.written.load(Ordering::Relaxed),
            copied_bytes: self.0.counts.copied.load(Ordering::Relaxed),
        }
    }

    /// Wakes whenever the inventory may have changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Everything held.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn inventory(&self) -> Result<Inventory, StoreError> {
        let mut lessons = Vec::new();
        for row in self.0.index.lessons() {
            let (key, row) = row?;
            if !row.evicting {
                lessons.push(self.0.held(&key, &row)?);
            }
        }
        Ok(Inventory { lessons })
    }

    /// One version of one lesson; `None` if its manifest is not here.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn held(&self, key: &LessonKey) -> Result<Option<HeldLesson>, StoreError> {
        if let Some(held) = self.0.memory().held.get(key) {
            return Ok(Some(held.clone()));
        }
        let row = self.0.index.lesson(key)?.filter(|row| !row.evicting);
        row.map(|row| self.0.held(key, &row)).transpose()
    }

    /// The files of a lesson that are not here whole and verified.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn missing_files(&self, key: &LessonKey) -> Result<HashSet<Hash>, StoreError> {
        let mut missing = HashSet::new();
        for (hash, _) in self.0.index.needs(key)? {
            let row = self.0.confirmed(hash)?;
            if !row.is_some_and(|row| matches!(row.state, FileState::Verified { .. })) {
                missing.insert(hash);
            }
        }
        Ok(missing)
    }

    /// Bytes of a file that the inventory counts as done.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn recorded_bytes(&self, hash: Hash) -> Result<u64, StoreError> {
        match self
            .0
            .confirmed(hash)?
            .filter(|row| row.state != FileState::Evicting)
        {
            Some(row) => Ok(row.size),
            None => Ok(self.0.index.part(hash)?.map_or(0, |part| part.done_bytes)),
        }
    }

    /// What a page shows of a lesson; `None` if its manifest is not here.
    ///
    /// # Errors
    /// Index or manifest cannot be read.
    pub fn card(&self, key: &LessonKey) -> Result<Option<LessonCard>, StoreError> {
        let Some(row) = self.0.index.lesson(key)?.filter(|row| !row.evicting) else {
            return Ok(None);
        };
        if row.card.is_some() {
            return Ok(row.card);
        }
        Ok(self.signed_lesson(key)?.map(|lesson| LessonCard {
            meta: lesson.manifest.meta,
            items: lesson.manifest.items,
            school: lesson.school,
        }))
    }

    /// A lesson's manifest, verified again; `None` if it is not here. One that was changed on the disk is set aside.
    ///
    /// # Errors
    /// Index or file cannot be read, or the manifest was changed.
    pub fn manifest(&self, key: &LessonKey) -> Result<Option<LessonManifest>, StoreError> {
        Ok(self.signed_lesson(key)?.map(|lesson| lesson.manifest))
    }

    /// The document of a lesson as it was signed, for whoever verifies it himself; `None` if it is not here.
    ///
    /// # Errors
    /// Index or file cannot be read, or it was changed.
    pub fn document(&self, key: &LessonKey) -> Result<Option<(Vec<u8>, LessonManifest)>, StoreError> {
        let Some(manifest) = self.manifest(key)? else {
            return Ok(None);
        };
        let path = self.0.layout.manifest(key);
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        Ok(Some((bytes, manifest)))
    }

    /// A lesson's manifest with who signed it, as [`Self::manifest`].
    fn signed_lesson(&self, key: &LessonKey) -> Result<Option<SignedLesson>, StoreError> {
        let Some(row) = self.0.index.lesson(key)?.filter(|row| !row.evicting) else {
            return Ok(None);
        };
        let path = self.0.layout.manifest(key);
        let read = match fs::read(&path) {
            Ok(bytes) => self.0.verify_manifest(key, &bytes, Some(row.manifest)),
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_damage(&error) => {
                tracing::error!(lesson = %key, %error, "a manifest cannot be read any more");
                Err(ManifestRefused::Hash {
                    found: Hash::of(b""),
                    promised: row.manifest,
                })
            }
            Err(error) => return Err(failed("read", &path)(error)),
        };
        match read {
            Ok(lesson) => Ok(Some(lesson)),
            Err(reason) => {
                let _write = self.0.lock_write()?;
                recover::forget_manifest(&self.0, key)?;
                self.0.changed();
                Err(StoreError::Manifest {
                    key: key.clone(),
                    reason,
                })
            }
        }
    }

    /// Takes over a manifest as it came from the network: verified against the assignment, the trusted keys and itself.
    ///
    /// # Errors
    /// Refused, no room, or the disk.
    pub fn put_manifest(
        &self,
        bytes: &[u8],
        assigned: &AssignedLesson,
    ) -> Result<LessonManifest, StoreError> {
        let key = LessonKey {
            lesson: assigned.lesson.clone(),
            version: assigned.version,
        };
        let inner = &self.0;
        let lesson = inner
            .believe(&key, bytes)
            .and_then(|()| inner.verify_manifest(&key, bytes, Some(assigned.manifest)))
            .map_err(|reason| StoreError::Manifest {
                key: key.clone(),
                reason,
            })?;
        let _write = inner.lock_write()?;
        if inner
            .index
            .lesson(&key)?
            .is_some_and(|row| row.manifest == assigned.manifest)
        {
            return Ok(lesson.manifest);
        }
        let path = inner.layout.manifest(&key);
        let (needed, free) = (bytes.len() as u64, inner.room_on_disk()?);
        if needed > free {
            return Err(StoreError::Full { needed, free, path });
        }
        inner
            .faults
            .before(Step::ManifestWrite)
            .and_then(|()| layout::write_atomically(&path, bytes))
            .map_err(|e| inner.write_failed("write", &path, bytes.len() as u64, e))?;
        inner
            .counts
            .written
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let changes = recover::adopt_manifest(inner, &key, &lesson, assigned.manifest)?;
        inner.index.commit(changes)?;
        // Once more: somebody may have looked in between.
        inner.forget_all();
        inner.faults.before(Step::Done).map_err(failed("finish", &path))?;
        inner.changed();
        Ok(lesson.manifest)
    }

    /// Notes that a lesson was opened, at most once a minute, for the order in which lessons are evicted.
    ///
    /// # Errors
    /// The index.
    pub fn mark_used(&self, lesson: &LessonId, now: Instant) -> Result<(), StoreError> {
        let mut memory = self.0.memory();
        let recent = memory.used_at.get(lesson);
        if recent.is_some_and(|at| now.saturating_duration_since(*at) < USE_NOTED_EVERY) {
            return Ok(());
        }
        memory.used_at.insert(lesson.clone(), now);
        let order = memory.next_use;
        memory.next_use += 1;
        for held in memory.held.values_mut().filter(|held| held.lesson == *lesson) {
            held.last_used = order;
        }
        drop(memory);
        let mut changes = Changes::default();
        changes.put_used(lesson, order)?;
        self.0.index.note(changes)?;
        self.0.changed();
        Ok(())
    }
}

impl Inner {
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to change what is on the disk.
    pub(crate) fn lock_write(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        let guard = self.write.lock().unwrap_or_else(PoisonError::into_inner);
        if self.broken.load(Ordering::SeqCst) {
            Err(StoreError::ReadOnly)
        } else {
            Ok(guard)
        }
    }

    pub(crate) fn take(&self, hash: Hash) -> bool {
        self.memory().active.insert(hash)
    }

    pub(crate) fn give_back(&self, hash: Hash) {
        self.memory().active.remove(&hash);
    }

    pub(crate) fn changed(&self) {
        self.changes.send_modify(|n| *n += 1);
    }

    /// Whatever was remembered of the lessons that need `hash` is no longer so.
    pub(crate) fn file_changed(&self, hash: Hash) -> Result<(), StoreError> {
        self.part_changed(hash)?;
        self.changed();
        Ok(())
    }

    pub(crate) fn part_changed(&self, hash: Hash) -> Result<(), StoreError> {
        let users = self.index.users(hash)?;
        let mut memory = self.memory();
        for user in users {
            memory.held.remove(&user);
        }
        Ok(())
    }

    pub(crate) fn forget_all(&self) {
        let mut memory = self.memory();
        memory.held.clear();
        memory.maps.clear();
        drop(memory);
        self.desk.forget_lessons();
    }

    fn held(&self, key: &LessonKey, row: &LessonRow) -> Result<HeldLesson, StoreError> {
        if let Some(held) = self.memory().held.get(key) {
            return Ok(held.clone());
        }
        let (mut done_bytes, mut exclusive_bytes, mut ready) = (0, 0, true);
        // The manifest is a file, too.
        let (mut exclusive_files, mut missing_files) = (1, 0);
        let mut unverified_bytes = 0;
        for (hash, size) in self.index.needs(key)? {
            let here = match self.confirmed(hash)? {
                Some(FileRow {
                    state: FileState::Verified { .. },
                    ..
                }) => size,
                Some(FileRow {
                    state: FileState::Unverified,
                    ..
                }) => {
                    ready = false;
                    unverified_bytes += size;
                    size
                }
                Some(FileRow {
                    state: FileState::Evicting,
                    ..
                })
                | None => {
                    ready = false;
                    missing_files += 1;
                    self.index.part(hash)?.map_or(0, |part| part.done_bytes)
                }
            };
            done_bytes += here;
            if here > 0 && self.index.users(hash)?.len() == 1 {
                exclusive_bytes += here;
                exclusive_files += 1;
            }
        }
        let held = HeldLesson {
            lesson: key.lesson.clone(),
            version: key.version,
            manifest: row.manifest,
            state: if ready {
                HeldState::Ready
            } else {
                HeldState::Partial { done_bytes }
            },
            total_bytes: row.total_bytes,
            exclusive_bytes,
            exclusive_files,
            missing_files,
            unverified_bytes,
            last_used: self.index.last_used(&key.lesson)?,
        };
        self.memory().held.insert(key.clone(), held.clone());
        Ok(held)
    }

    /// What the index says of a file, unless it was told so in vain.
    pub(super) fn confirmed(&self, hash: Hash) -> Result<Option<FileRow>, StoreError> {
        let in_vain = self.memory().unconfirmed.contains(&hash);
        Ok(self.index.file(hash)?.filter(|_| !in_vain))
    }

    /// Whether a manifest that comes now is signed by a key that is believed now; one that is held may be by a key that was.
    fn believe(&self, key: &LessonKey, bytes: &[u8]) -> Result<(), ManifestRefused> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestRefused::TooLong(bytes.len()));
        }
        let trusted = self.trusted.read().unwrap_or_else(PoisonError::into_inner);
        SignedLesson::open(bytes, &key.lesson, &trusted)?;
        Ok(())
    }

    /// Checks everything that makes a manifest believable; `promised` is its hash where one is known.
    pub(crate) fn verify_manifest(
        &self,
        key: &LessonKey,
        bytes: &[u8],
        promised: Option<Hash>,
    ) -> Result<SignedLesson, ManifestRefused> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestRefused::TooLong(bytes.len()));
        }
        let found = Hash::of(bytes);
        if let Some(promised) = promised
            && found != promised
        {
            return Err(ManifestRefused::Hash { found, promised });
        }
        let keys = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let lesson = SignedLesson::open(bytes, &key.lesson, &keys)?;
        drop(keys);
        let manifest = &lesson.manifest;
        if manifest.id != key.lesson || manifest.version != key.version {
            return Err(ManifestRefused::Other(LessonKey {
                lesson: manifest.id.clone(),
                version: manifest.version,
            }));
        }
        Ok(lesson)
    }

    /// Syncs a folder; if the disk does not confirm, nothing more is written until the next start.
    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<(), StoreError> {
        self.faults
            .before(Step::DirSync)
            .and_then(|()| layout::sync_dir(folder))
            .map_err(|reason| {
                self.broken.store(true, Ordering::SeqCst);
                StoreError::Unconfirmed {
                    path: folder.to_owned(),
                    reason,
                }
            })
    }
}

/// Wraps what the system said.
pub(crate) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |reason| StoreError::Io { doing, path, reason }
}
