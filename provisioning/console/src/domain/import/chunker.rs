//! One pass over a file: its chunks, its BLAKE3, its SHA-256, and a copy, in bounded memory.

use std::io::{self, Read, Write};

use contract::{
    hash::{Hash, Sha256},
    lesson::ChunkEntry,
};
use fastcdc::v2020::{Error, StreamCDC};
use sha2::Digest;

/// Files below this are one chunk.
pub const ONE_CHUNK_BELOW: u64 = 256 * 1024;
/// Chunk bounds in bytes. Changing them costs every device a full fetch of every changed lesson.
const MIN: usize = 32 * 1024;
const AVERAGE: usize = 128 * 1024;
const MAX: usize = 512 * 1024;

/// What the manifest says about a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digested {
    /// Length in bytes.
    pub size: u64,
    /// BLAKE3 of the whole.
    pub hash: Hash,
    /// SHA-256 of the whole.
    pub sha256: Sha256,
    /// In order, without gaps; none for an empty file.
    pub chunks: Vec<ChunkEntry>,
}

/// Why the pass stopped.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The file could not be read.
    #[error("reading failed: {0}")]
    Read(io::Error),
    /// The copy could not be written.
    #[error("writing failed: {0}")]
    Write(io::Error),
    /// More than `limit` bytes came.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
}

/// Reads `from` to its end, copies it to `to`, cuts and hashes it. `progress` hears the bytes of each chunk.
///
/// # Errors
/// See [`CopyError`]; then `to` holds a part.
pub fn digest_copy(
    from: &mut dyn Read,
    to: &mut dyn Write,
    limit: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Digested, CopyError> {
    // The first bytes decide: a short file is one chunk, of which fastcdc would make up to eight.
    let mut head = Vec::new();
    from.take(ONE_CHUNK_BELOW)
        .read_to_end(&mut head)
        .map_err(CopyError::Read)?;
    let mut pass = Pass {
        whole: blake3::Hasher::new(),
        sha: sha2::Sha256::new(),
        chunks: Vec::new(),
        size: 0,
        limit,
    };
    if (head.len() as u64) < ONE_CHUNK_BELOW {
        if !head.is_empty() {
            pass.chunk(&head, to, progress)?;
        }
        return Ok(pass.finish());
    }
    for chunk in StreamCDC::new(head.as_slice().chain(from), MIN, AVERAGE, MAX) {
        let chunk = chunk.map_err(|error| match error {
            Error::IoError(error) => CopyError::Read(error),
            other => CopyError::Read(io::Error::other(other.to_string())),
        })?;
        pass.chunk(&chunk.data, to, progress)?;
    }
    Ok(pass.finish())
}

struct Pass {
    whole: blake3::Hasher,
    sha: sha2::Sha256,
    chunks: Vec<ChunkEntry>,
    size: u64,
    limit: u64,
}

impl Pass {
    fn chunk(
        &mut self,
        data: &[u8],
        to: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), CopyError> {
        self.size += data.len() as u64;
        if self.size > self.limit {
            return Err(CopyError::TooLarge { limit: self.limit });
        }
        self.whole.update(data);
        self.sha.update(data);
        let size = u32::try_from(data.len()).map_err(|e| CopyError::Read(io::Error::other(e)))?;
        self.chunks.push(ChunkEntry {
            hash: Hash::of(data),
            size,
        });
        to.write_all(data).map_err(CopyError::Write)?;
        progress(data.len() as u64);
        Ok(())
    }

    fn finish(self) -> Digested {
        Digested {
            size: self.size,
            hash: Hash(*self.whole.finalize().as_bytes()),
            sha256: Sha256(self.sha.finalize().into()),
            chunks: self.chunks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::noise;
    use super::*;

    fn run(mut bytes: &[u8]) -> Digested {
        let mut copy = Vec::new();
        let mut seen = 0;
        let whole = bytes;
        let digested = digest_copy(&mut bytes, &mut copy, u64::MAX, &mut |n| seen += n).unwrap();
        assert_eq!(copy, whole);
        assert_eq!(seen, digested.size);
        digested
    }

    #[test]
    fn chunks_cover_the_file_and_hashes_fit() {
        for len in [0, 1, 256 * 1024 - 1, 256 * 1024, 3_000_000] {
            let bytes = noise(len);
            let digested = run(&bytes);
            assert_eq!(digested.hash, Hash::of(&bytes));
            assert_eq!(digested.sha256, Sha256(sha2::Sha256::digest(&bytes).into()));
            let mut at = 0;
            for chunk in &digested.chunks {
                let end = at + chunk.size as usize;
                assert_eq!(chunk.hash, Hash::of(&bytes[at..end]));
                assert!(end == len || (MIN..=MAX).contains(&(chunk.size as usize)) || len < 256 * 1024);
                at = end;
            }
            assert_eq!(at, len);
            assert!(len >= 256 * 1024 || digested.chunks.len() <= 1);
            assert!(len < 1_000_000 || digested.chunks.len() > 4);
        }
    }

    #[test]
    fn an_insertion_changes_few_chunks() {
        let before = noise(4 << 20);
        let mut after = before.clone();
        after.splice(1_000_000..1_000_000, *b"a word more");
        let known: std::collections::HashSet<_> = run(&before).chunks.into_iter().map(|c| c.hash).collect();
        let fresh = run(&after)
            .chunks
            .iter()
            .filter(|c| !known.contains(&c.hash))
            .count();
        assert!(fresh <= 3, "{fresh} chunks are new");
    }

    #[test]
    fn the_limit_holds() {
        let bytes = noise(1000);
        let error = digest_copy(&mut bytes.as_slice(), &mut Vec::new(), 999, &mut |_| ()).unwrap_err();
        assert!(matches!(error, CopyError::TooLarge { limit: 999 }));
    }
}
