//! Chunks handed to other boards: out of whole files, and out of parts while they arrive or rest.
//!
//! Nothing leaves that was not hashed in the same breath: a chunk whose bytes are wrong, or cannot be read, is not served, and
//! its file is looked at again (`scrub.rs`). Takes no lock for longer than a look into a table, so that neither commits nor
//! the player wait for it.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use agent_core::peers::Bits;
use bytes::Bytes;
use contract::{hash::Hash, lesson::ChunkEntry};

use super::{
    LessonKey, StoreError,
    content::{ContentStore, Inner, failed},
    layout::Stamp,
};

/// So many files stay open for serving.
const FILES_KEPT: usize = 16;
/// Chunk lists stay in memory up to this many chunks, 36 bytes each; at least those of the newest lesson.
const CHUNKS_KEPT: usize = 96 * 1024;

/// The chunks of one file in order, with where each begins.
#[derive(Debug)]
pub(super) struct ChunkList {
    pub(super) entries: Box<[ChunkEntry]>,
    pub(super) offsets: Box<[u64]>,
    /// BLAKE3 over the list: which chunks are here means nothing for another one.
    pub(super) name: [u8; 32],
}

impl ChunkList {
    pub(super) fn new(entries: &[ChunkEntry]) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut offset = 0;
        let offsets = entries
            .iter()
            .map(|chunk| {
                hasher.update(&chunk.hash.0);
                hasher.update(&chunk.size.to_le_bytes());
                let begins = offset;
                offset += u64::from(chunk.size);
                begins
            })
            .collect();
        Self {
            entries: entries.into(),
            offsets,
            name: *hasher.finalize().as_bytes(),
        }
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }
}

/// A file, whole or not, whose chunks can be handed out.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) file: File,
    pub(super) chunks: Arc<ChunkList>,
    have: Mutex<Bits>,
}

impl Offer {
    pub(super) fn new(file: File, chunks: Arc<ChunkList>, have: Bits) -> Self {
        Self {
            file,
            chunks,
            have: Mutex::new(have),
        }
    }

    pub(super) fn have(&self) -> MutexGuard<'_, Bits> {
        self.have.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A chunk, read and hashed; `Ok(None)` if it is not here.
    pub(super) fn read(&self, index: u32) -> io::Result<Option<Bytes>> {
        let n = index as usize;
        let (Some(chunk), Some(offset)) = (self.chunks.entries.get(n), self.chunks.offsets.get(n)) else {
            return Ok(None);
        };
        if !self.have().get(index) {
            return Ok(None);
        }
        let mut bytes = vec![0; chunk.size as usize];
        self.file.read_exact_at(&mut bytes, *offset)?;
        if Hash::of(&bytes) == chunk.hash {
            return Ok(Some(bytes.into()));
        }
        // It may have gone bad on the disk, or been taken back a moment ago since the disk did not confirm it.
        if self.have().get(index) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "its bytes do not have their hash",
            ));
        }
        Ok(None)
    }
}

/// What is kept at hand for serving; all of it can be opened again.
#[derive(Debug, Default)]
pub(super) struct Desk(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    /// In the hands of a `Part`, for as long as it is.
    arriving: HashMap<Hash, Arc<Offer>>,
    /// Whole files and resting parts, the newest last.
    files: Vec<(Hash, Arc<Offer>)>,
    /// Chunk lists by the hash of the manifest they stand in, the newest last.
    lists: Vec<(Hash, Lists)>,
    /// Signed manifests by their hash; `None` until somebody asks.
    manifests: Option<HashMap<Hash, LessonKey>>,
    /// Count what was forgotten, so that nothing is put down that was opened before.
    files_epoch: u64,
    lessons_epoch: u64,
}

type Lists = Arc<HashMap<Hash, Arc<ChunkList>>>;

impl Desk {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part is under way.
    pub(super) fn arrives(&self, hash: Hash, offer: Arc<Offer>) {
        let mut open = self.open();
        open.files_epoch += 1;
        open.files.retain(|(of, _)| *of != hash);
        open.arriving.insert(hash, offer);
    }

    /// A file is not as it was: committed, evicted, set aside, or its part rests again.
    pub(super) fn forget(&self, hash: Hash) {
        let mut open = self.open();
        open.files_epoch += 1;
        open.arriving.remove(&hash);
        open.files.retain(|(of, _)| *of != hash);
    }

    /// Lessons came or went.
    pub(super) fn forget_lessons(&self) {
        let mut open = self.open();
        open.lessons_epoch += 1;
        open.manifests = None;
    }
}

impl ContentStore {
    /// Which chunks of a file can be read, as far as it is here; a signed manifest, by its hash, is one chunk. `None` if
    /// nothing of it is here, or not one stored lesson needs it.
    ///
    /// # Errors
    /// Index or manifest cannot be read.
    pub fn has(&self, file: Hash) -> Result<Option<Bits>, StoreError> {
        if let Some(offer) = self.0.offer(file)? {
            return Ok(Some(offer.have().clone()));
        }
        let manifest = self.0.manifest_key(file)?;
        Ok(manifest.map(|_| Bits::all(1)))
    }

    /// One chunk of a file or a whole signed manifest (its chunk 0), just hashed; `None` if it is not here. Blocks for one
    /// read of the disk.
    ///
    /// # Errors
    /// Index or disk. The file is looked at again then, and fetched again if need be.
    pub fn read_chunk(&self, file: Hash, index: u32) -> Result<Option<Bytes>, StoreError> {
        let Some(offer) = self.0.offer(file)? else {
            return if index == 0 {
                self.manifest_bytes(file)
            } else {
                Ok(None)
            };
        };
        self.0.used();
        match offer.read(index) {
            Ok(bytes) => Ok(bytes),
            Err(reason) => {
                let path = self.0.layout.file(file);
                self.0.suspect(file)?;
                Err(failed("read a chunk of", &path)(reason))
            }
        }
    }

    /// A stored signed manifest as it was signed, found by its hash; `None` if it is not here.
    ///
    /// # Errors
    /// Index or disk.
    pub fn manifest_bytes(&self, manifest: Hash) -> Result<Option<Bytes>, StoreError> {
        let Some(key) = self.0.manifest_key(manifest)? else {
            return Ok(None);
        };
        let path = self.0.layout.manifest(&key);
        match fs::read(&path) {
            Ok(bytes) if Hash::of(&bytes) == manifest => Ok(Some(bytes.into())),
            // Replaced or damaged a moment ago; whoever opens the lesson next finds out and mends it.
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }
}

impl Inner {
    /// A file open for serving; `None` if nothing of it is here that is known to be right.
    pub(super) fn offer(&self, hash: Hash) -> Result<Option<Arc<Offer>>, StoreError> {
        let epoch = {
            let open = &mut *self.desk.open();
            if let Some(offer) = open.arriving.get(&hash) {
                return Ok(Some(Arc::clone(offer)));
            }
            if let Some(at) = open.files.iter().position(|(of, _)| *of == hash) {
                let found = open.files.remove(at);
                let offer = Arc::clone(&found.1);
                open.files.push(found);
                return Ok(Some(offer));
            }
            open.files_epoch
        };
        let Some(offer) = self.open_offer(hash)?.map(Arc::new) else {
            return Ok(None);
        };
        let mut open = self.desk.open();
        if open.files_epoch == epoch {
            open.files.push((hash, Arc::clone(&offer)));
            let surplus = open.files.len().saturating_sub(FILES_KEPT);
            open.files.drain(..surplus);
        }
        Ok(Some(offer))
    }

    fn open_offer(&self, hash: Hash) -> Result<Option<Offer>, StoreError> {
        let row = self.confirmed(hash)?;
        let part = match &row {
            Some(_) => None,
            None => self.index.part(hash)?,
        };
        if row.is_none() && part.is_none() {
            return Ok(None);
        }
        let path = match row {
            Some(_) => self.layout.file(hash),
            None => self.layout.part(hash),
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            // Found out by whoever plays or fetches it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", &path)(error)),
        };
        let Some(chunks) = self.chunk_list(hash)? else {
            return Ok(None);
        };
        let have = match (row, part) {
            (Some(row), _) => {
                let stamp = Stamp::of(&file.metadata().map_err(failed("read", &path))?);
                if !row.vouches_for(stamp) {
                    return Ok(None);
                }
                Bits::all(chunks.len())
            }
            (None, Some(part)) if part.layout == chunks.name => {
                let mut have = Bits::none(chunks.len());
                let segments = self.index.segments(hash).collect::<Result<Vec<_>, _>>()?;
                let bits = segments.concat();
                for index in 0..chunks.len() {
                    let byte = bits.get(index as usize / 8).copied().unwrap_or(0);
                    if byte & (1 << (index % 8)) != 0 {
                        have.set(index);
                    }
                }
                have
            }
            _ => return Ok(None),
        };
        Ok(Some(Offer::new(file, chunks, have)))
    }

    /// The chunks of a file, as the manifest of a lesson that needs it lists them.
    pub(super) fn chunk_list(&self, hash: Hash) -> Result<Option<Arc<ChunkList>>, StoreError> {
        for user in self.index.users(hash)? {
            if let Some(list) = self.lists(&user)?.and_then(|lists| lists.get(&hash).cloned()) {
                return Ok(Some(list));
            }
        }
        Ok(None)
    }

    /// The chunks of all files of a lesson. Reads its manifest, unless that was done a moment ago.
    pub(super) fn lists(&self, key: &LessonKey) -> Result<Option<Lists>, StoreError> {
        let Some(row) = self.index.lesson(key)?.filter(|row| !row.evicting) else {
            return Ok(None);
        };
        {
            let open = &mut *self.desk.open();
            if let Some(at) = open.lists.iter().position(|(of, _)| *of == row.manifest) {
                let found = open.lists.remove(at);
                let lists = Arc::clone(&found.1);
                open.lists.push(found);
                return Ok(Some(lists));
            }
        }
        let path = self.layout.manifest(key);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let manifest = self
            .verify_manifest(key, &bytes, Some(row.manifest))
            .map_err(|reason| StoreError::Manifest {
                key: key.clone(),
                reason,
            })?;
        let lists: HashMap<_, _> = manifest
            .manifest
            .files
            .iter()
            .map(|file| (file.hash, Arc::new(ChunkList::new(&file.chunks))))
            .collect();
        let lists = Arc::new(lists);
        let mut open = self.desk.open();
        open.lists.push((row.manifest, Arc::clone(&lists)));
        let count = |lists: &Lists| lists.values().map(|list| list.entries.len()).sum::<usize>();
        while open.lists.len() > 1
            && open.lists.iter().map(|(_, lists)| count(lists)).sum::<usize>() > CHUNKS_KEPT
        {
            open.lists.remove(0);
        }
        Ok(Some(lists))
    }

    /// Which lesson's signed manifest has this hash.
    fn manifest_key(&self, manifest: Hash) -> Result<Option<LessonKey>, StoreError> {
        let epoch = {
            let open = self.desk.open();
            if let Some(known) = &open.manifests {
                return Ok(known.get(&manifest).cloned());
            }
            open.lessons_epoch
        };
        let mut known = HashMap::new();
        for row in self.index.lessons() {
            let (key, row) = row?;
            if !row.evicting {
                known.insert(row.manifest, key);
            }
        }
        let key = known.get(&manifest).cloned();
        let mut open = self.desk.open();
        if open.lessons_epoch == epoch {
            open.manifests = Some(known);
        }
        Ok(key)
    }
}
