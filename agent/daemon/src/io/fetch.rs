//! Fetches lessons from the console over HTTPS.

use contract::{assignment::AssignedLesson, id::LessonId, report::FailureReason};

/// What the fetcher is asked to do; `agent_core::lessons` decides when. A job for a `(lesson, version)` under way is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchJob {
    /// Fetch, verify and store the signed manifest; answered by [`FetchEvent::Manifest`].
    Manifest(AssignedLesson),
    /// Fetch the missing files of a stored manifest; room has been made. Answered by [`FetchEvent::Stored`].
    Files {
        /// The lesson.
        lesson: LessonId,
        /// Which version.
        version: u32,
    },
}

/// What the fetcher says. After a job exactly one of `Manifest`, `Stored`, `Failed` follows, unless it was cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchEvent {
    /// The manifest is verified and stored.
    Manifest {
        /// The lesson.
        lesson: LessonId,
        /// Which version.
        version: u32,
    },
    /// Some of it arrived; at most about once a second per lesson.
    Progress {
        /// The lesson.
        lesson: LessonId,
        /// Which version.
        version: u32,
        /// Verified bytes on disk, shared files included.
        done_bytes: u64,
        /// All bytes of the lesson.
        total_bytes: u64,
        /// Bytes taken over the school's line since the last event of this job.
        fetched_bytes: u64,
    },
    /// Complete, verified, durable, in the index: it plays.
    Stored {
        /// The lesson.
        lesson: LessonId,
        /// Which version.
        version: u32,
        /// Bytes taken over the school's line since the last event of this job.
        fetched_bytes: u64,
    },
    /// The job ended; what was verified stays.
    Failed {
        /// The lesson.
        lesson: LessonId,
        /// Which version.
        version: u32,
        /// Why.
        reason: FailureReason,
        /// What exactly, for the technician.
        detail: String,
        /// Lost connection, busy console: tried again soon and not shown as a failure at first.
        transient: bool,
        /// The console's `Retry-After`, where it gave one.
        retry_after_s: Option<u32>,
    },
}
