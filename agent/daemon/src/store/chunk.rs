//! A chunk that may be written, and stretches of chunks that are missing.

use bytes::Bytes;
use contract::{hash::Hash, lesson::ChunkEntry};

/// Bytes that have the hash of the chunk they stand for. The only way to one is to hash it.
#[derive(Debug, Clone)]
pub struct VerifiedChunk {
    pub(super) entry: ChunkEntry,
    pub(super) bytes: Bytes,
}

/// Bytes that do not have the hash of the chunk they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a chunk of {size} bytes should have hash {expected} and has {found}")]
pub struct HashMismatch {
    /// As the manifest says.
    pub expected: Hash,
    /// As it came.
    pub found: Hash,
    /// How many bytes came.
    pub size: usize,
}

impl VerifiedChunk {
    /// Hashes `bytes` and compares with what the manifest says.
    ///
    /// # Errors
    /// They are not that chunk.
    pub fn check(entry: ChunkEntry, bytes: Bytes) -> Result<Self, HashMismatch> {
        let found = Hash::of(&bytes);
        if found == entry.hash && bytes.len() as u64 == u64::from(entry.size) {
            Ok(Self { entry, bytes })
        } else {
            Err(HashMismatch {
                expected: entry.hash,
                found,
                size: bytes.len(),
            })
        }
    }
}

/// Missing chunks that lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Index of the first.
    pub first_chunk: usize,
    /// How many, at least one.
    pub chunks: usize,
    /// Where the first begins in the file, in bytes.
    pub offset: u64,
    /// Bytes of all of them.
    pub len: u64,
}
