//! What is on this disk already need not cross any line: chunks of a file that arrives are copied from other versions of its
//! lesson, and from the file itself where it repeats. Each one is hashed between reading and writing.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use contract::hash::Hash;

use super::{
    LessonKey, StoreError, VerifiedChunk,
    content::{ContentStore, Inner},
    part::Part,
    serve::ChunkList,
};

/// So many chunks of older versions are looked through at most: 16 bytes of memory each, 128 KiB of lesson each on average.
const CHUNKS_KNOWN: usize = 128 * 1024;
/// Of a chunk that lies in many places, so many are tried.
const PLACES_KNOWN: usize = 4;
/// The index learns of copied chunks after so many bytes.
const CHECKPOINT_BYTES: u64 = 8 * 1024 * 1024;

/// Where the chunks of some versions lie; made from their manifests when the first file of a lesson asks, and kept for the
/// next.
#[derive(Debug)]
struct Known {
    of: Vec<Hash>,
    files: Vec<(Hash, Arc<ChunkList>)>,
    /// Beginning of a chunk's hash, file, chunk; sorted.
    chunks: Vec<(u64, u32, u32)>,
}

/// What the last lesson that arrived could copy from.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(Mutex<Option<Arc<Known>>>);

impl ContentStore {
    /// Copies chunks that `part` misses from whatever this disk has of the other versions of its lesson. Returns the bytes
    /// copied. Goes on until there is no more, or `go_on` says no; blocks for as long as the disk takes.
    ///
    /// # Errors
    /// No room, or the part cannot be written. What cannot be read is passed over.
    pub fn copy_local(&self, part: &mut Part, go_on: impl Fn() -> bool) -> Result<u64, StoreError> {
        let inner = &self.0;
        let known = inner.known_elsewhere(part.hash)?;
        let own = Arc::clone(&part.offer.chunks);
        let (mut copied, mut unrecorded) = (0, 0);
        let mut bad = BTreeSet::new();
        for (index, entry) in own.entries.iter().copied().enumerate() {
            if part.has(index) {
                continue;
            }
            if !go_on() {
                break;
            }
            let found = inner.read_elsewhere(&known, entry.hash, &mut bad)?;
            let Some(bytes) = found else { continue };
            let Ok(chunk) = VerifiedChunk::check(entry, bytes) else {
                continue;
            };
            part.write(index, &chunk)?;
            copied += u64::from(entry.size);
            unrecorded += u64::from(entry.size);
            if unrecorded >= CHECKPOINT_BYTES {
                part.checkpoint()?;
                unrecorded = 0;
            }
        }
        if unrecorded > 0 && (0..part.chunk_count()).any(|index| !part.has(index)) {
            part.checkpoint()?;
        }
        inner.counts.copied.fetch_add(copied, Ordering::Relaxed);
        if copied > 0 {
            tracing::info!(file = %part.hash, bytes = copied, of = part.size, "copied from an older version");
        }
        Ok(copied)
    }
}

impl Inner {
    /// A chunk from another file; files that turn out to be bad are noted in `bad` and not read again.
    fn read_elsewhere(
        &self,
        known: &Known,
        hash: Hash,
        bad: &mut BTreeSet<Hash>,
    ) -> Result<Option<bytes::Bytes>, StoreError> {
        let start = beginning(hash);
        let from = known.chunks.partition_point(|(of, _, _)| *of < start);
        for (_, file, index) in known.chunks[from..].iter().take_while(|(of, _, _)| *of == start) {
            let Some((file, list)) = known.files.get(*file as usize) else {
                continue;
            };
            let right = list.entries.get(*index as usize).is_some_and(|e| e.hash == hash);
            if !right || bad.contains(file) {
                continue;
            }
            let Some(offer) = self.offer(*file)? else {
                continue;
            };
            // Another manifest may cut the same file otherwise.
            if offer.chunks.name != list.name {
                continue;
            }
            match offer.read(*index) {
                Ok(Some(bytes)) => return Ok(Some(bytes)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%file, %error, "could not copy a chunk; it is fetched");
                    bad.insert(*file);
                    self.suspect(*file)?;
                }
            }
        }
        Ok(None)
    }

    /// Where chunks of the other versions of a file's lessons lie.
    fn known_elsewhere(&self, file: Hash) -> Result<Arc<Known>, StoreError> {
        let users = self.index.users(file)?;
        let mut versions: Vec<(LessonKey, Hash)> = Vec::new();
        for user in &users {
            // The newest first: most of it is still so.
            for key in self.index.versions(&user.lesson)?.into_iter().rev() {
                let row = self.index.lesson(&key)?.filter(|row| !row.evicting);
                if let Some(row) = row
                    && !users.contains(&key)
                    && versions.iter().all(|(known, _)| *known != key)
                {
                    versions.push((key, row.manifest));
                }
            }
        }
        // The version itself: its other files may share chunks with this one.
        for user in users {
            if let Some(row) = self.index.lesson(&user)? {
                versions.push((user, row.manifest));
            }
        }
        let of: Vec<Hash> = versions.iter().map(|(_, manifest)| *manifest).collect();
        let kept = self.elsewhere.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.as_ref().filter(|known| known.of == of) {
            return Ok(Arc::clone(known));
        }
        drop(kept);
        let mut known = Known {
            of,
            files: Vec::new(),
            chunks: Vec::new(),
        };
        for (key, _) in versions {
            let lists = match self.lists(&key) {
                Ok(Some(lists)) => lists,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(lesson = %key, %error, "nothing is copied from it");
                    continue;
                }
            };
            for (hash, list) in lists.iter() {
                if known.chunks.len() + list.entries.len() > CHUNKS_KNOWN {
                    continue;
                }
                let file = u32::try_from(known.files.len()).unwrap_or(u32::MAX);
                known.files.push((*hash, Arc::clone(list)));
                let chunks = (0_u32..).zip(list.entries.iter());
                known
                    .chunks
                    .extend(chunks.map(|(index, chunk)| (beginning(chunk.hash), file, index)));
            }
        }
        known.chunks.sort_unstable();
        let mut last = (0, 0);
        known.chunks.retain(|(beginning, _, _)| {
            last = if last.0 == *beginning {
                (last.0, last.1 + 1)
            } else {
                (*beginning, 1)
            };
            last.1 <= PLACES_KNOWN
        });
        let known = Arc::new(known);
        *self.elsewhere.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
        Ok(known)
    }
}

fn beginning(hash: Hash) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.0[..8]);
    u64::from_be_bytes(bytes)
}
