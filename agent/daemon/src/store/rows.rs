//! The index's rows: their keys and their bytes. The only place that knows either.
//!
//! | key | value |
//! |---|---|
//! | `f` hash | [`FileRow`] |
//! | `p` hash | [`PartRow`] |
//! | `b` hash, segment (u16 BE) | which chunks are on disk, one bit each, [`SEGMENT_BYTES`] at a time |
//! | `l` lesson, 0, version (u32 BE) | [`LessonRow`] |
//! | `m` lesson, 0, version (u32 BE), hash | size of a file that the lesson needs |
//! | `r` hash, lesson, 0, version (u32 BE) | nothing: the lesson needs the file |
//! | `u` lesson | order of last use |
//! | `s` | [`ScrubRow`] |
//! | `v` | the format of all this |
//!
//! Every value stays far below 64 KiB: sled moves longer ones into files of their own, which our commit does not sync.

use contract::{hash::Hash, id::LessonId, lesson::SignedLesson};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{LessonKey, layout::Stamp};
use crate::shelf::LessonCard;

/// The row written at creation.
pub(crate) const FORMAT_KEY: &[u8] = b"v";
/// Its value; another one means rows of another shape, and a rebuild.
pub(crate) const FORMAT: &[u8] = b"bbt-index/1";
/// Where the slow round over everything held has come to.
pub(crate) const SCRUB_KEY: &[u8] = b"s";
/// Bytes of one stretch of a part's bitmap: 16,384 chunks.
pub(crate) const SEGMENT_BYTES: usize = 2048;
/// A lesson's card is kept in its row up to this many bytes of JSON, else read from the manifest.
const CARD_BYTES: usize = 32 * 1024;

/// A whole file under `content/files`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRow {
    pub(crate) size: u64,
    pub(crate) state: FileState,
}

/// What is known of a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FileState {
    /// Its hash was found right while it had this time of change.
    Verified { modified_ns: i128 },
    /// It is there and as long as it should be; nobody has hashed it yet.
    Unverified,
    /// The tombstone of an eviction: the file goes, whatever is still there.
    Evicting,
}

impl FileRow {
    pub(crate) fn verified(stamp: Stamp) -> Self {
        Self {
            size: stamp.size,
            state: FileState::Verified {
                modified_ns: stamp.modified_ns,
            },
        }
    }

    /// Whether the file is as it was when it was last found right.
    pub(crate) fn vouches_for(&self, stamp: Stamp) -> bool {
        *self == Self::verified(stamp)
    }
}

/// A file that is still arriving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartRow {
    pub(crate) size: u64,
    /// BLAKE3 over the chunk list: the bitmap means nothing for another one.
    pub(crate) layout: [u8; 32],
    /// Bytes of the chunks whose bit is set.
    pub(crate) done_bytes: u64,
}

/// The next chunk of the slow round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScrubRow {
    pub(crate) lesson: String,
    pub(crate) version: u32,
    pub(crate) file: [u8; 32],
    pub(crate) chunk: u32,
}

/// One version of a lesson whose signed manifest is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LessonRow {
    pub(crate) manifest: Hash,
    pub(crate) manifest_size: u64,
    /// As decimal text: JSON numbers end at 2⁵³.
    pub(crate) manifest_modified_ns: String,
    pub(crate) total_bytes: u64,
    /// The tombstone of an eviction.
    #[serde(default)]
    pub(crate) evicting: bool,
    pub(crate) card: Option<LessonCard>,
}

impl LessonRow {
    pub(crate) fn of(lesson: &SignedLesson, hash: Hash, stamp: Stamp) -> Self {
        let manifest = &lesson.manifest;
        let card = LessonCard {
            meta: manifest.meta.clone(),
            items: manifest.items.clone(),
            school: lesson.school.clone(),
        };
        let fits = serde_json::to_vec(&card).is_ok_and(|json| json.len() <= CARD_BYTES);
        Self {
            manifest: hash,
            manifest_size: stamp.size,
            manifest_modified_ns: stamp.modified_ns.to_string(),
            total_bytes: manifest.stored_bytes(),
            evicting: false,
            card: fits.then_some(card),
        }
    }

    /// Whether the manifest file is as it was when it was verified.
    pub(crate) fn vouches_for(&self, stamp: Stamp) -> bool {
        self.manifest_size == stamp.size && self.manifest_modified_ns == stamp.modified_ns.to_string()
    }
}

/// A row that does not read as what its key promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {key} cannot be read: {reason}")]
pub struct RowError {
    key: String,
    reason: String,
}

impl RowError {
    pub(crate) fn new(key: &[u8], reason: impl ToString) -> Self {
        Self {
            key: hex::encode(key),
            reason: reason.to_string(),
        }
    }
}

pub(crate) fn encode<T: Serialize>(row: &T) -> Result<Vec<u8>, RowError> {
    postcard::to_allocvec(row).map_err(|e| RowError::new(b"", e))
}

pub(crate) fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, RowError> {
    postcard::from_bytes(value).map_err(|e| RowError::new(key, e))
}

pub(crate) fn file_key(hash: Hash) -> Vec<u8> {
    by_hash(b'f', hash)
}

pub(crate) fn part_key(hash: Hash) -> Vec<u8> {
    by_hash(b'p', hash)
}

pub(crate) fn bitmap_prefix(hash: Hash) -> Vec<u8> {
    by_hash(b'b', hash)
}

pub(crate) fn bitmap_key(hash: Hash, segment: u16) -> Vec<u8> {
    let mut key = by_hash(b'b', hash);
    key.extend(segment.to_be_bytes());
    key
}

pub(crate) fn users_prefix(hash: Hash) -> Vec<u8> {
    by_hash(b'r', hash)
}

pub(crate) fn user_key(hash: Hash, lesson: &LessonKey) -> Vec<u8> {
    let mut key = by_hash(b'r', hash);
    key.extend(lesson_bytes(lesson));
    key
}

pub(crate) fn versions_prefix(lesson: &LessonId) -> Vec<u8> {
    [b"l", lesson.as_str().as_bytes(), &[0]].concat()
}

pub(crate) fn lesson_key(lesson: &LessonKey) -> Vec<u8> {
    [b"l", lesson_bytes(lesson).as_slice()].concat()
}

pub(crate) fn needs_prefix(lesson: &LessonKey) -> Vec<u8> {
    [b"m", lesson_bytes(lesson).as_slice()].concat()
}

pub(crate) fn need_key(lesson: &LessonKey, hash: Hash) -> Vec<u8> {
    [b"m", lesson_bytes(lesson).as_slice(), &hash.0].concat()
}

pub(crate) fn used_key(lesson: &LessonId) -> Vec<u8> {
    [b"u", lesson.as_str().as_bytes()].concat()
}

/// The hash right after the one-letter prefix.
pub(crate) fn hash_in(key: &[u8]) -> Result<Hash, RowError> {
    let bytes = key.get(1..33).and_then(|b| <[u8; 32]>::try_from(b).ok());
    bytes
        .map(Hash)
        .ok_or_else(|| RowError::new(key, "its key is too short"))
}

/// The hash at the end of a `m` key.
pub(crate) fn hash_at_end(key: &[u8]) -> Result<Hash, RowError> {
    let bytes = key
        .last_chunk::<32>()
        .ok_or_else(|| RowError::new(key, "its key is too short"))?;
    Ok(Hash(*bytes))
}

/// The lesson and version that stand in `key` from `start` on.
pub(crate) fn lesson_in(key: &[u8], start: usize) -> Result<LessonKey, RowError> {
    let bad = |reason: &str| RowError::new(key, reason);
    let rest = key.get(start..).ok_or_else(|| bad("its key is too short"))?;
    let zero = rest
        .iter()
        .position(|b| *b == 0)
        .ok_or_else(|| bad("its key has no lesson"))?;
    let lesson = std::str::from_utf8(&rest[..zero]).map_err(|e| bad(&e.to_string()))?;
    let lesson = LessonId::new(lesson).map_err(|e| bad(&e.to_string()))?;
    let version = rest[zero + 1..]
        .first_chunk::<4>()
        .ok_or_else(|| bad("its key has no version"))?;
    Ok(LessonKey {
        lesson,
        version: u32::from_be_bytes(*version),
    })
}

fn by_hash(prefix: u8, hash: Hash) -> Vec<u8> {
    let mut key = vec![prefix];
    key.extend(hash.0);
    key
}

fn lesson_bytes(key: &LessonKey) -> Vec<u8> {
    [key.lesson.as_str().as_bytes(), &[0], &key.version.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_give_back_what_they_were_made_of() {
        let hash = Hash([0; 32]);
        let key = LessonKey {
            lesson: LessonId::new("math-3").unwrap(),
            version: 0x0100_0200,
        };
        assert_eq!(lesson_in(&lesson_key(&key), 1).unwrap(), key);
        assert_eq!(lesson_in(&user_key(hash, &key), 33).unwrap(), key);
        assert_eq!(lesson_in(&need_key(&key, hash), 1).unwrap(), key);
        assert_eq!(
            hash_at_end(&need_key(&key, Hash([7; 32]))).unwrap(),
            Hash([7; 32])
        );
        assert_eq!(hash_in(&file_key(Hash([9; 32]))).unwrap(), Hash([9; 32]));
        assert!(lesson_in(b"lx", 1).is_err());
    }

    #[test]
    fn a_lesson_whose_name_begins_another_does_not_reach_its_rows() {
        let short = LessonKey {
            lesson: LessonId::new("a").unwrap(),
            version: 1,
        };
        let long = LessonKey {
            lesson: LessonId::new("ab").unwrap(),
            version: 1,
        };
        assert!(!lesson_key(&long).starts_with(&versions_prefix(&short.lesson)));
        assert!(!need_key(&long, Hash([0; 32])).starts_with(&needs_prefix(&short)));
    }
}
