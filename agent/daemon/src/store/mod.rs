//! What is kept on the disk, one file for each thing kept.
//!
//! The content store, from the ground up: `layout` (folders and names), `rows` and `index` (sled), `chunk` and `part` (a file that is arriving), `commit`
//! (it becomes one), `copy` (from what is here already), `content` (lessons held), `read` (files opened), `serve` (chunks for other boards), `evict`,
//! `recover` (files and index made to agree at each start), `scrub` (files looked at again), `check` (the same question asked without mending). Journal and outbox stand beside it and share nothing with it.

mod ballast;
mod check;
mod chunk;
mod commit;
mod content;
mod copy;
mod error;
mod evict;
mod fault;
mod flush;
mod index;
pub mod journal;
mod layout;
pub mod outbox_log;
mod part;
mod read;
mod recover;
mod room;
mod rows;
mod scrub;
mod serve;
#[cfg(test)]
pub(crate) mod tests;
mod tree;

pub use check::{CheckReport, Disagreement, check, rebuild};
pub use chunk::{HashMismatch, Run, VerifiedChunk};
pub use content::{ContentStore, StoreOptions, Traffic};
pub use error::{ManifestRefused, StoreError};
pub use index::IndexError;
pub use part::{Begin, Part};
pub use read::{OpenFile, Resolved};
pub use recover::OpenReport;
pub use rows::RowError;
pub use scrub::Scrub;

use contract::id::LessonId;

/// One version of one lesson.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct LessonKey {
    /// The lesson.
    pub lesson: LessonId,
    /// Which version.
    pub version: u32,
}

impl std::fmt::Display for LessonKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} version {}", self.lesson, self.version)
    }
}
