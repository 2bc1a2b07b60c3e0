//! Takes one lesson from a disk into the store: chunk by chunk, each hashed before it is written, as over the line. What was
//! taken stays when the disk is pulled out, and the next time it goes on from there; nothing half shows or plays.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use contract::{
    assignment::AssignedLesson,
    hash::Hash,
    lesson::{FileEntry, LessonManifest, MAX_MANIFEST_BYTES},
    pack::manifest_path,
};

use super::folder::{DiskError, DiskFolder, PackFile};
use crate::store::{Begin, ContentStore, LessonKey, Part, StoreError, VerifiedChunk};

/// Missing chunks are asked for in stretches of so many bytes.
const RUN_BYTES: u64 = 8 * 1024 * 1024;
/// The index learns of chunks after so many bytes.
const CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;
/// Complete files wait for others, to be committed together, up to so many or so many bytes.
const COMMIT_FILES: usize = 32;
const COMMIT_BYTES: u64 = 16 * 1024 * 1024;

/// Why a lesson did not come, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It was told to stop.
    #[error("the import was stopped")]
    Stopped,
    /// The disk is gone, or cannot be read any more.
    #[error("the disk could not be read: {0}")]
    Disk(DiskError),
    /// What is on the disk is not what the manifest promised.
    #[error("file {0} on the disk is damaged")]
    Damaged(Hash),
    /// Somebody else is at one of its files; it is tried again soon.
    #[error("file {0} is being fetched just now")]
    Busy(Hash),
    /// Our own disk, or the manifest.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy(hash) => Self::Busy(hash),
            error => Self::Store(error),
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Verified bytes on our disk.
    pub done_bytes: u64,
    /// All bytes of the lesson.
    pub total_bytes: u64,
    /// Bytes read from the disk since the last word.
    pub read_bytes: u64,
}

/// Where the bytes of a lesson's file are read.
pub trait FileSource {
    /// Fills `buffer` from `offset` on; the file must reach so far.
    ///
    /// # Errors
    /// The disk is gone or broken.
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> Result<(), DiskError>;
}

impl FileSource for PackFile<'_> {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> Result<(), DiskError> {
        PackFile::read_at(self, buffer, offset)
    }
}

/// Opens the file that an entry names.
pub type OpenSource<'a> = dyn Fn(&FileEntry) -> Result<Box<dyn FileSource + 'a>, DiskError> + 'a;

/// Takes `wanted` from the pack in `folder`. Blocks; `tell` hears how far it is.
///
/// # Errors
/// Why it did not come; what was verified stays.
pub fn import(
    store: &ContentStore,
    folder: &DiskFolder,
    part_bytes: Option<u64>,
    wanted: &AssignedLesson,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), ImportError> {
    let key = LessonKey {
        lesson: wanted.lesson.clone(),
        version: wanted.version,
    };
    let path = manifest_path(wanted.manifest);
    let document = folder
        .read(&path, MAX_MANIFEST_BYTES)
        .map_err(ImportError::Disk)?;
    let document =
        document.ok_or_else(|| ImportError::Disk(DiskError::Missing(folder.path().join(&path))))?;
    let manifest = store.put_manifest(&document, wanted)?;
    drop(document);
    let open = |entry: &FileEntry| -> Result<Box<dyn FileSource + '_>, DiskError> {
        Ok(Box::new(PackFile::find(
            folder, entry.hash, entry.size, part_bytes,
        )?))
    };
    fill(store, &key, &manifest, &open, stop, tell)
}

/// Stores the files of a lesson whose manifest is stored, from wherever `open` finds them. Blocks.
///
/// # Errors
/// As [`import`].
pub fn fill(
    store: &ContentStore,
    key: &LessonKey,
    manifest: &LessonManifest,
    open: &OpenSource<'_>,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), ImportError> {
    let missing = store.missing_files(key)?;
    let mut work = Work {
        store,
        open,
        stop,
        tell,
        progress: Progress {
            total_bytes: manifest.stored_bytes(),
            ..Progress::default()
        },
        complete: Vec::new(),
        complete_bytes: 0,
    };
    work.progress.done_bytes = store
        .held(key)?
        .map_or(0, |held| held.total_bytes - held.missing_bytes());
    work.say();
    let mut seen = std::collections::HashSet::new();
    let wanted = manifest
        .files
        .iter()
        .filter(|f| missing.contains(&f.hash) && seen.insert(f.hash));
    let mut ended = Ok(());
    for file in wanted {
        ended = work.file(file);
        if ended.is_err() {
            break;
        }
    }
    // What is complete becomes files, however it ended.
    ended.and(work.commit())
}

struct Work<'a, 's> {
    store: &'a ContentStore,
    open: &'a OpenSource<'s>,
    stop: &'a AtomicBool,
    tell: &'a mut dyn FnMut(Progress),
    progress: Progress,
    complete: Vec<Part>,
    complete_bytes: u64,
}

impl Work<'_, '_> {
    fn say(&mut self) {
        (self.tell)(self.progress);
        self.progress.read_bytes = 0;
    }

    fn file(&mut self, entry: &FileEntry) -> Result<(), ImportError> {
        let recorded = self.store.recorded_bytes(entry.hash)?;
        let mut part = match self.store.begin(entry)? {
            Begin::Have => {
                self.progress.done_bytes += entry.size.saturating_sub(recorded);
                self.say();
                return Ok(());
            }
            Begin::Part(part) => part,
        };
        self.progress.done_bytes += part.done_bytes().saturating_sub(recorded);
        let filled = self.fill(&mut part, entry);
        // Noted as far as it came; a failure of our own disk is the graver word.
        if filled.is_err() {
            part.checkpoint()?;
        }
        filled?;
        self.complete_bytes += entry.size;
        self.complete.push(part);
        if self.complete.len() >= COMMIT_FILES || self.complete_bytes >= COMMIT_BYTES {
            self.commit()?;
        }
        Ok(())
    }

    fn fill(&mut self, part: &mut Part, entry: &FileEntry) -> Result<(), ImportError> {
        let mut source = (self.open)(entry).map_err(ImportError::Disk)?;
        let mut unnoted = 0;
        while let Some(run) = part.missing(RUN_BYTES).first().copied() {
            let mut offset = run.offset;
            for index in run.first_chunk..run.first_chunk + run.chunks {
                if self.stop.load(Ordering::Relaxed) {
                    return Err(ImportError::Stopped);
                }
                let Some(chunk) = part.chunk(index) else { break };
                let mut bytes = vec![0; chunk.size as usize];
                source.read_at(&mut bytes, offset).map_err(ImportError::Disk)?;
                let checked = VerifiedChunk::check(chunk, Bytes::from(bytes)).map_err(|wrong| {
                    tracing::warn!(file = %entry.hash, index, %wrong, "a chunk on the disk is damaged");
                    ImportError::Damaged(entry.hash)
                })?;
                part.write(index, &checked)?;
                offset += u64::from(chunk.size);
                self.progress.done_bytes += u64::from(chunk.size);
                self.progress.read_bytes += u64::from(chunk.size);
                unnoted += u64::from(chunk.size);
                self.say();
            }
            if unnoted >= CHECKPOINT_BYTES {
                part.checkpoint()?;
                unnoted = 0;
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), ImportError> {
        self.complete_bytes = 0;
        let parts = std::mem::take(&mut self.complete);
        if parts.is_empty() {
            return Ok(());
        }
        self.store
            .commit(parts)
            .into_iter()
            .collect::<Result<Vec<()>, StoreError>>()?;
        Ok(())
    }
}
