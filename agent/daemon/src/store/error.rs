//! Why the content store could not do as asked.

use std::{io, path::PathBuf};

use contract::{
    hash::Hash,
    lesson::{LessonRefused, ManifestError},
    report::FailureReason,
    signed::SignatureError,
};

use super::{IndexError, LessonKey, RowError};

/// Why the content store could not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room. Nothing was lost; it goes on by itself once there is room.
    #[error(
        "the disk of {path} is full: {needed} bytes are needed, {free} are free for lessons; withdraw lessons or clear the disk"
    )]
    Full {
        /// Bytes still to be written.
        needed: u64,
        /// Bytes that lessons may still take.
        free: u64,
        /// The file that should have been written.
        path: PathBuf,
    },
    /// No room for one more file. Nothing was lost; it goes on by itself once there is.
    #[error(
        "the file system of {path} takes no more files: {free} inodes are free, {reserve} stay free; withdraw lessons of many files or clear the disk"
    )]
    TooManyFiles {
        /// Inodes that are free.
        free: u64,
        /// That lessons leave free.
        reserve: u64,
        /// Where.
        path: PathBuf,
    },
    /// The disk did not do as told.
    #[error("failed to {doing} {path}: {reason}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The disk did not confirm a write. What was not confirmed is thrown away, never counted as written.
    #[error("the disk did not confirm {path}: {reason}; what it held is fetched again")]
    Unconfirmed {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Stored bytes are not what their name says. They were moved to `content/quarantine`.
    #[error("the bytes of file {0} do not have its hash; they were moved to content/quarantine")]
    Mismatch(Hash),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// An earlier commit failed half-way, so that only a new start can tell what is on the disk.
    #[error(
        "the store takes nothing more since the disk did not confirm an earlier commit; restart the agent"
    )]
    ReadOnly,
    /// Another fetch has this file in hand.
    #[error("file {0} is already being fetched")]
    Busy(Hash),
    /// No stored manifest asks for this file (any more).
    #[error("no stored lesson needs file {0}")]
    Unneeded(Hash),
    /// Chunks are missing.
    #[error("file {hash} still misses {missing} chunks")]
    Incomplete {
        /// Which file.
        hash: Hash,
        /// How many.
        missing: usize,
    },
    /// The manifest was refused.
    #[error("the manifest of lesson {key} was refused: {reason}")]
    Manifest {
        /// Which lesson was meant.
        key: LessonKey,
        /// Why.
        reason: ManifestRefused,
    },
}

/// Why a manifest was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestRefused {
    /// Longer than a device reads.
    #[error("it has {0} bytes, more than a device reads")]
    TooLong(usize),
    /// Not the bytes that the assignment promised.
    #[error("its hash is {found}, the assignment promised {promised}")]
    Hash {
        /// Of the bytes at hand.
        found: Hash,
        /// In the assignment.
        promised: Hash,
    },
    /// Not a signed document.
    #[error("it is not a signed document: {0}")]
    Syntax(serde_json::Error),
    /// No good signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It contradicts itself.
    #[error(transparent)]
    Invalid(#[from] ManifestError),
    /// A good manifest of something else.
    #[error("it is the manifest of {0}")]
    Other(LessonKey),
    /// Signed by a school and not one of its own.
    #[error(transparent)]
    School(LessonRefused),
}

impl From<LessonRefused> for ManifestRefused {
    fn from(refused: LessonRefused) -> Self {
        match refused {
            LessonRefused::Syntax(error) => Self::Syntax(error),
            LessonRefused::Signature(error) => Self::Signature(error),
            LessonRefused::Manifest(error) => Self::Invalid(error),
            refused @ LessonRefused::School(_) => Self::School(refused),
        }
    }
}

impl StoreError {
    /// The reason a lesson shows for it.
    pub fn reason(&self) -> FailureReason {
        match self {
            Self::Full { .. } | Self::TooManyFiles { .. } => FailureReason::DiskFull,
            Self::Io { .. } | Self::Unconfirmed { .. } | Self::Index(_) | Self::ReadOnly => {
                FailureReason::DiskError
            }
            Self::Mismatch(_) => FailureReason::HashMismatch,
            Self::Busy(_) | Self::Unneeded(_) | Self::Incomplete { .. } => FailureReason::Other,
            Self::Manifest { reason, .. } => match reason {
                ManifestRefused::Signature(SignatureError::Body { .. }) => FailureReason::ManifestInvalid,
                ManifestRefused::Signature(_) => FailureReason::SignatureRefused,
                ManifestRefused::Hash { .. } => FailureReason::HashMismatch,
                ManifestRefused::TooLong(_)
                | ManifestRefused::Syntax(_)
                | ManifestRefused::Invalid(_)
                | ManifestRefused::Other(_)
                | ManifestRefused::School(_) => FailureReason::ManifestInvalid,
            },
        }
    }
}

impl From<RowError> for StoreError {
    fn from(error: RowError) -> Self {
        Self::Index(error.into())
    }
}

/// Whether the system says that there is no room, as opposed to a broken disk.
pub(crate) fn says_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
