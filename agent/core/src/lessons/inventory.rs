//! What is on the disk, as the store tells it.

use contract::{hash::Hash, id::LessonId};

/// Everything the store holds; the newest replaces all older ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Every version of every lesson whose manifest is stored, in any order, each `(lesson, version)` once.
    pub lessons: Vec<HeldLesson>,
}

/// One version of one lesson on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLesson {
    /// The lesson.
    pub lesson: LessonId,
    /// Which version.
    pub version: u32,
    /// BLAKE3 of the signed manifest document.
    pub manifest: Hash,
    /// How far it is.
    pub state: HeldState,
    /// All bytes of the lesson, every distinct file once.
    pub total_bytes: u64,
    /// Bytes on the disk that no other held version needs: what evicting this one frees at least.
    pub exclusive_bytes: u64,
    /// The same in files.
    pub exclusive_files: u32,
    /// Files that are not on the disk whole: each distinct one once.
    pub missing_files: u32,
    /// Of the bytes on the disk, those that nobody has hashed yet since they were found or doubted.
    pub unverified_bytes: u64,
    /// Order of last use over restarts: a counter that the store raises with each opening. 0 is never used.
    pub last_used: u64,
}

/// How far one version is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldState {
    /// The manifest is here, not yet all files.
    Partial {
        /// Verified bytes on the disk, files shared with other lessons included.
        done_bytes: u64,
    },
    /// Every file is here, whole and verified.
    Ready,
}

impl HeldLesson {
    /// Whether it plays.
    pub const fn is_ready(&self) -> bool {
        matches!(self.state, HeldState::Ready)
    }

    /// Bytes still to be fetched and stored.
    pub const fn missing_bytes(&self) -> u64 {
        match self.state {
            HeldState::Ready => 0,
            HeldState::Partial { done_bytes } => self.total_bytes.saturating_sub(done_bytes),
        }
    }
}
