//! Lessons under way: which files each one still waits for, and what it is told.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use agent_core::peers::GiveUp;
use contract::{hash::Hash, report::FailureReason};
use tokio::sync::mpsc;

use super::{FetchEvent, Turn};
use crate::store::{LessonKey, StoreError};

/// Between two events about progress.
const TELL_EVERY: Duration = Duration::from_millis(1000);

/// Why a job ended without its lesson.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) reason: FailureReason,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn no_manifest() -> Self {
        Self {
            reason: FailureReason::Other,
            detail: "the manifest is not stored".to_owned(),
        }
    }

    /// `fault` is what was last heard of the file.
    pub(super) fn given_up(reason: GiveUp, fault: Option<&str>) -> Self {
        let detail = fault.map_or_else(|| reason.to_string(), str::to_owned);
        let reason = match reason {
            GiveUp::NotFound => FailureReason::NotFound,
            GiveUp::WrongBytes => FailureReason::HashMismatch,
            GiveUp::Disk => FailureReason::DiskError,
        };
        Self { reason, detail }
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        Self {
            reason: error.reason(),
            detail: error.to_string(),
        }
    }
}

/// One lesson under way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) turn: Turn,
    /// Only its manifest is fetched.
    pub(super) manifest: bool,
    /// Files that are not whole yet; all of them once it is prepared.
    pub(super) left: BTreeSet<Hash>,
    pub(super) prepared: bool,
    pub(super) total_bytes: u64,
    pub(super) done_bytes: u64,
    /// Taken over the line and not told yet.
    fetched_bytes: u64,
    told_at: Option<Instant>,
}

impl Job {
    fn new(turn: Turn, manifest: bool) -> Self {
        Self {
            turn,
            manifest,
            left: BTreeSet::new(),
            prepared: false,
            total_bytes: 0,
            done_bytes: 0,
            fetched_bytes: 0,
            told_at: None,
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Jobs {
    jobs: HashMap<LessonKey, Job>,
    events: mpsc::Sender<FetchEvent>,
}

impl Jobs {
    pub(super) fn new(events: mpsc::Sender<FetchEvent>) -> Self {
        Self {
            jobs: HashMap::new(),
            events,
        }
    }

    /// Whether there was none for this version.
    pub(super) fn begin(&mut self, key: &LessonKey, turn: Turn, manifest: bool) -> bool {
        let new = !self.jobs.contains_key(key);
        if new {
            self.jobs.insert(key.clone(), Job::new(turn, manifest));
        }
        new
    }

    pub(super) fn get_mut(&mut self, key: &LessonKey) -> Option<&mut Job> {
        self.jobs.get_mut(key)
    }

    pub(super) fn remove(&mut self, key: &LessonKey) -> Option<Job> {
        self.jobs.remove(key)
    }

    /// Bytes of a lesson came to the disk, others over the line; told if it is time.
    pub(super) fn add(&mut self, key: &LessonKey, done: u64, fetched: u64) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        job.done_bytes += done;
        job.fetched_bytes += fetched;
        let now = Instant::now();
        let recent = |at: Instant| now.saturating_duration_since(at) < TELL_EVERY;
        if job.manifest || !job.prepared || job.told_at.is_some_and(recent) {
            return;
        }
        let event = FetchEvent::Progress {
            lesson: key.lesson.clone(),
            version: key.version,
            done_bytes: job.done_bytes.min(job.total_bytes),
            total_bytes: job.total_bytes,
            fetched_bytes: job.fetched_bytes,
        };
        // A full channel only means that this is told a little later.
        if self.events.try_send(event).is_ok() {
            job.fetched_bytes = 0;
            job.told_at = Some(now);
        }
    }

    /// A file of a lesson is whole; whether that was the last one.
    pub(super) fn whole(&mut self, key: &LessonKey, file: Hash) -> bool {
        self.jobs.get_mut(key).is_some_and(|job| {
            job.left.remove(&file);
            job.prepared && job.left.is_empty()
        })
    }

    /// Ends a job well.
    pub(super) async fn succeed(&mut self, key: LessonKey) {
        let Some(job) = self.jobs.remove(&key) else { return };
        let LessonKey { lesson, version } = key;
        let event = if job.manifest {
            FetchEvent::Manifest { lesson, version }
        } else {
            FetchEvent::Stored {
                lesson,
                version,
                fetched_bytes: job.fetched_bytes,
            }
        };
        self.say(event).await;
    }

    /// Ends a job badly; it is handed back.
    pub(super) async fn fail(&mut self, key: &LessonKey, failure: &Failure) -> Option<Job> {
        let job = self.jobs.remove(key)?;
        let Failure { reason, detail } = failure.clone();
        tracing::info!(lesson.id = %key.lesson, lesson.version = key.version, %detail, "fetch ended early");
        self.say(FetchEvent::Failed {
            lesson: key.lesson.clone(),
            version: key.version,
            reason,
            detail,
        })
        .await;
        Some(job)
    }

    pub(super) async fn say(&self, event: FetchEvent) {
        // Nobody listens any more only when the agent is ending.
        let _ = self.events.send(event).await;
    }
}
