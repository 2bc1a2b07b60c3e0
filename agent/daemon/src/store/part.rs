//! A file that is arriving: chunks are written where they belong, and one whole file comes out, or none.
//!
//! Opening ──write*──▶ (checkpoint)* ──commit──▶ a whole file and its index row;  drop: what arrived stays for the next time
//!
//! The index learns of a chunk only after the part was synced, so a recorded chunk is on the disk. A chunk that is on the
//! disk but not recorded is read and hashed at the next opening: a `kill -9` costs the chunk in flight and no other.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    sync::{Arc, atomic::Ordering},
};

use agent_core::peers::Bits;
use contract::{
    hash::Hash,
    lesson::{ChunkEntry, FileEntry},
};

use super::{
    Run, StoreError, VerifiedChunk,
    content::{ContentStore, Inner, failed},
    fault::Step,
    index::Changes,
    rows::{PartRow, SEGMENT_BYTES},
    serve::{ChunkList, Offer},
    tree::TreeHash,
};

/// What there is to do for a file.
#[derive(Debug)]
pub enum Begin {
    /// Nothing: it is here, whole and verified.
    Have,
    /// Chunks are missing, or at least the commit.
    Part(Part),
}

/// A file that is arriving. Only one exists for a hash; what it holds stays on the disk when it is dropped.
pub struct Part {
    pub(super) store: Arc<Inner>,
    pub(super) hash: Hash,
    pub(super) size: u64,
    /// The file and its chunks, as other boards are served from it.
    pub(super) offer: Arc<Offer>,
    /// On the disk, as far as this process knows.
    pub(super) have: Vec<bool>,
    /// Chunks that the index does not know of yet.
    unrecorded: BTreeSet<usize>,
    done_bytes: u64,
    /// Its name in the folder is durable.
    entered: bool,
    /// The disk did not confirm it; it is gone.
    pub(super) lost: bool,
    /// Its whole hash, as far as it came.
    pub(super) tree: TreeHash,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("hash", &self.hash)
            .field("done_bytes", &self.done_bytes)
            .finish_non_exhaustive()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.store.desk.forget(self.hash);
        self.store.give_back(self.hash);
    }
}

impl ContentStore {
    /// Begins, or goes on with, a file that some stored manifest asks for.
    ///
    /// # Errors
    /// Nobody needs it, somebody else has it in hand, no room for what is missing, or the disk.
    pub fn begin(&self, entry: &FileEntry) -> Result<Begin, StoreError> {
        if self.open_file(entry.hash)?.is_some() {
            return Ok(Begin::Have);
        }
        let inner = &self.0;
        if inner.index.users(entry.hash)?.is_empty() {
            return Err(StoreError::Unneeded(entry.hash));
        }
        if !inner.layout.part(entry.hash).exists()
            && let Err(full) = inner.one_more_file()
        {
            self.remove_unneeded()?;
            inner.one_more_file().map_err(|_| full)?;
        }
        if !inner.take(entry.hash) {
            return Err(StoreError::Busy(entry.hash));
        }
        let part = Part::open(Arc::clone(inner), entry).inspect_err(|_| inner.give_back(entry.hash))?;
        let needed = part.size - part.done_bytes;
        if needed > inner.room()? {
            self.remove_unneeded()?;
            let free = inner.room()?;
            if needed > free {
                return Err(StoreError::Full {
                    needed,
                    free,
                    path: inner.layout.part(entry.hash),
                });
            }
        }
        Ok(Begin::Part(part))
    }
}

impl Part {
    fn open(store: Arc<Inner>, entry: &FileEntry) -> Result<Self, StoreError> {
        let path = store.layout.part(entry.hash);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| store.write_failed("open", &path, entry.size, e))?;
        let length = file.metadata().map_err(failed("read", &path))?.len();
        if length > entry.size {
            file.set_len(entry.size).map_err(failed("shorten", &path))?;
        }
        let chunks = Arc::new(ChunkList::new(&entry.chunks));
        let offer = Arc::new(Offer::new(file, Arc::clone(&chunks), Bits::none(chunks.len())));
        let mut part = Self {
            hash: entry.hash,
            size: entry.size,
            offer,
            have: vec![false; entry.chunks.len()],
            unrecorded: BTreeSet::new(),
            done_bytes: 0,
            entered: length > 0,
            lost: false,
            tree: TreeHash::new(entry.size),
            store,
        };
        if length > 0 {
            part.resume(length.min(entry.size))?;
        }
        part.store.desk.arrives(part.hash, Arc::clone(&part.offer));
        Ok(part)
    }

    /// Finds out which chunks are on the disk: what is recorded is believed, the rest is read and hashed.
    fn resume(&mut self, length: u64) -> Result<(), StoreError> {
        let row = self.store.index.part(self.hash)?;
        let recorded: Vec<u8> = match row {
            Some(row) if row.layout == self.offer.chunks.name && row.size == self.size => self
                .store
                .index
                .segments(self.hash)
                .collect::<Result<Vec<_>, _>>()?
                .concat(),
            _ => Vec::new(),
        };
        let path = self.store.layout.part(self.hash);
        let mut buffer = Vec::new();
        for index in 0..self.chunk_count() {
            let (entry, offset) = (self.offer.chunks.entries[index], self.offer.chunks.offsets[index]);
            let size = u64::from(entry.size);
            if offset + size > length {
                break;
            }
            let known = recorded
                .get(index / 8)
                .is_some_and(|byte| byte & (1 << (index % 8)) != 0);
            if !known {
                buffer.resize(entry.size as usize, 0);
                self.offer
                    .file
                    .read_exact_at(&mut buffer, offset)
                    .map_err(failed("read", &path))?;
                if Hash::of(&buffer) != entry.hash {
                    continue;
                }
                self.unrecorded.insert(index);
            }
            self.set(index, size);
            self.tree.filled(offset..offset + size);
        }
        Ok(())
    }

    /// A chunk is on the disk, or on its way there, and was hashed.
    fn set(&mut self, index: usize, size: u64) {
        self.have[index] = true;
        self.done_bytes += size;
        self.offer.have().set(u32::try_from(index).unwrap_or(u32::MAX));
    }

    /// The file's hash.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Length of the whole file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Verified bytes on the disk.
    pub fn done_bytes(&self) -> u64 {
        self.done_bytes
    }

    /// What the manifest says of a chunk.
    pub fn chunk(&self, index: usize) -> Option<ChunkEntry> {
        self.offer.chunks.entries.get(index).copied()
    }

    /// Whether a chunk is on the disk.
    pub fn has(&self, index: usize) -> bool {
        self.have.get(index).copied().unwrap_or(false)
    }

    /// Which chunks are on the disk.
    pub fn have(&self) -> Bits {
        self.offer.have().clone()
    }

    /// How many chunks the file has.
    pub fn chunk_count(&self) -> usize {
        self.offer.chunks.entries.len()
    }

    /// Bytes written since the last checkpoint.
    pub fn unrecorded_bytes(&self) -> u64 {
        self.unrecorded
            .iter()
            .map(|i| u64::from(self.offer.chunks.entries[*i].size))
            .sum()
    }

    /// What is missing, in runs of at most `max_bytes` (a longer chunk is a run of its own).
    pub fn missing(&self, max_bytes: u64) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (index, chunk) in self.offer.chunks.entries.iter().enumerate() {
            if self.have[index] {
                continue;
            }
            let size = u64::from(chunk.size);
            match runs.last_mut() {
                Some(run) if run.first_chunk + run.chunks == index && run.len + size <= max_bytes => {
                    run.chunks += 1;
                    run.len += size;
                }
                _ => runs.push(Run {
                    first_chunk: index,
                    chunks: 1,
                    offset: self.offer.chunks.offsets[index],
                    len: size,
                }),
            }
        }
        runs
    }

    /// Writes a chunk where it belongs; one that is there already is left alone.
    ///
    /// # Errors
    /// No room, or the disk. A chunk of another file is refused as [`StoreError::Mismatch`].
    pub fn write(&mut self, index: usize, chunk: &VerifiedChunk) -> Result<(), StoreError> {
        if self.offer.chunks.entries.get(index) != Some(&chunk.entry) {
            return Err(StoreError::Mismatch(self.hash));
        }
        if self.lost {
            return Err(StoreError::Unconfirmed {
                path: self.store.layout.part(self.hash),
                reason: io::Error::other("an earlier sync of it failed"),
            });
        }
        if self.have[index] {
            return Ok(());
        }
        let written = self.store.faults.before(Step::PartWrite).and_then(|()| {
            self.offer
                .file
                .write_all_at(&chunk.bytes, self.offer.chunks.offsets[index])
        });
        if let Err(error) = written {
            let path = self.store.layout.part(self.hash);
            return Err(self
                .store
                .write_failed("write", &path, self.size - self.done_bytes, error));
        }
        self.unrecorded.insert(index);
        let size = chunk.bytes.len() as u64;
        self.store.used();
        self.store.counts.written.fetch_add(size, Ordering::Relaxed);
        self.set(index, size);
        let start = self.offer.chunks.offsets[index];
        let whole = self.tree.filled(start..start + size);
        self.tree
            .hash(whole, &self.offer.file)
            .map_err(failed("read", &self.store.layout.part(self.hash)))
    }

    /// Syncs the part, then lets the index know which chunks are on the disk.
    ///
    /// # Errors
    /// The disk. If it did not confirm the sync, the part is thrown away.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        if self.unrecorded.is_empty() {
            return Ok(());
        }
        self.sync()?;
        if !self.entered {
            self.store.sync_folder(&self.store.layout.parts())?;
            self.entered = true;
        }
        let mut changes = Changes::default();
        let per_segment = SEGMENT_BYTES * 8;
        let touched: BTreeSet<_> = self.unrecorded.iter().map(|index| index / per_segment).collect();
        for segment in touched {
            let chunks = self.have.iter().skip(segment * per_segment).take(per_segment);
            let mut bits = vec![0_u8; SEGMENT_BYTES];
            for (n, _) in chunks.enumerate().filter(|(_, have)| **have) {
                bits[n / 8] |= 1 << (n % 8);
            }
            let last = segment == self.have.len().saturating_sub(1) / per_segment;
            if last {
                bits.truncate((self.have.len() - segment * per_segment).div_ceil(8));
            }
            let number = u16::try_from(segment).unwrap_or(u16::MAX);
            changes.put_segment(self.hash, number, &bits);
        }
        let row = PartRow {
            size: self.size,
            layout: self.offer.chunks.name,
            done_bytes: self.done_bytes,
        };
        changes.put_part(self.hash, row)?;
        self.store.index.note(changes)?;
        self.unrecorded.clear();
        self.store.part_changed(self.hash)
    }

    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        let synced = self
            .store
            .faults
            .before(Step::PartSync)
            .and_then(|()| self.offer.file.sync_data());
        let Err(reason) = synced else { return Ok(()) };
        let path = self.store.layout.part(self.hash);
        tracing::error!(file = %self.hash, error = %reason, "the disk did not confirm a part; thrown away");
        // Reading it back would only show the memory of the bytes, not the disk's: none of it may be believed again.
        self.discard()?;
        if super::error::says_full(&reason) {
            return Err(self.store.write_failed("sync", &path, self.size, reason));
        }
        Err(StoreError::Unconfirmed { path, reason })
    }

    pub(super) fn discard(&mut self) -> Result<(), StoreError> {
        self.lost = true;
        self.offer.have().clear();
        let mut changes = Changes::default();
        self.store.index.drop_part(self.hash, &mut changes)?;
        self.store.index.commit(changes)?;
        let path = self.store.layout.part(self.hash);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &path)(error));
            }
            _ => {}
        }
        self.store.part_changed(self.hash)
    }
}
