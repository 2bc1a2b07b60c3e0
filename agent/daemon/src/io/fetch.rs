//! Fetches lessons from the console over HTTPS.
//!
//! One job at a time for a lesson version; `agent_core::lessons` decides which and when, and waits after trouble. What is
//! verified stays on the disk whatever happens here, so a job that is begun again goes on where the last one stopped.
//! Disk work is done on blocking threads, a few chunks ahead of the line at most.

mod files;
mod http;
mod limit;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use contract::{
    api, assignment::AssignedLesson, id::LessonId, lesson::MAX_MANIFEST_BYTES, report::FailureReason,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::store::{ContentStore, LessonKey, StoreError};
use http::Fault;
use limit::Limiter;

/// How to reach the console and how hard to pull.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Where the console serves devices, e.g. `https://console.example:8443`.
    pub console_url: String,
    /// Lessons fetched at the same time.
    pub max_parallel: usize,
    /// Most kilobits per second, all fetches together; `None` is no limit.
    pub limit_kbps: Option<u32>,
    /// So long without a byte, and the connection counts as lost.
    pub stall: Duration,
}

/// Fetches what it is told to. Cheap to clone; dropping the last one cancels everything.
#[derive(Clone)]
pub struct Fetcher(Arc<Shared>);

struct Shared {
    client: reqwest::Client,
    console: String,
    store: ContentStore,
    events: mpsc::Sender<FetchEvent>,
    places: Semaphore,
    limiter: Limiter,
    jobs: Mutex<HashMap<LessonKey, CancellationToken>>,
    all: CancellationToken,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher")
            .field("console", &self.0.console)
            .finish_non_exhaustive()
    }
}

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to set up HTTPS to the console: {0}")]
pub struct FetchSetupError(reqwest::Error);

impl Fetcher {
    /// A fetcher that answers on `events`. `tls` holds our certificate and the one authority that is believed; without it
    /// only plain `http://` works, which is for tests.
    ///
    /// # Errors
    /// The TLS settings are not usable.
    pub fn new(
        options: FetchOptions,
        tls: Option<rustls::ClientConfig>,
        store: ContentStore,
        events: mpsc::Sender<FetchEvent>,
    ) -> Result<Self, FetchSetupError> {
        let client = http::client(tls, options.stall).map_err(FetchSetupError)?;
        Ok(Self(Arc::new(Shared {
            client,
            console: options.console_url.trim_end_matches('/').to_owned(),
            store,
            events,
            places: Semaphore::new(options.max_parallel.max(1)),
            limiter: Limiter::new(options.limit_kbps),
            jobs: Mutex::default(),
            all: CancellationToken::new(),
        })))
    }

    /// Starts a job as soon as there is a place for it; ignored while one for the same version is under way.
    pub fn start(&self, job: FetchJob) {
        let key = job.key();
        let cancel = self.0.all.child_token();
        {
            let mut jobs = self.0.jobs();
            if jobs.contains_key(&key) {
                return;
            }
            jobs.insert(key.clone(), cancel.clone());
        }
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let answer = tokio::select! {
                biased;
                () = cancel.cancelled() => None,
                answer = shared.perform(job, &cancel) => answer,
            };
            shared.jobs().remove(&key);
            if let Some(answer) = answer {
                // Nobody listens any more only when the agent is ending.
                let _ = shared.events.send(answer).await;
            }
        });
    }

    /// Stops a job; nothing is answered. What was verified stays.
    pub fn cancel(&self, lesson: &LessonId, version: u32) {
        let key = LessonKey {
            lesson: lesson.clone(),
            version,
        };
        if let Some(cancel) = self.0.jobs().get(&key) {
            cancel.cancel();
        }
    }

    /// Stops every job, for good.
    pub fn cancel_all(&self) {
        self.0.all.cancel();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.all.cancel();
    }
}

impl Shared {
    fn jobs(&self) -> std::sync::MutexGuard<'_, HashMap<LessonKey, CancellationToken>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn perform(&self, job: FetchJob, cancel: &CancellationToken) -> Option<FetchEvent> {
        let key = job.key();
        let _place = self.places.acquire().await.ok()?;
        let done = match job {
            FetchJob::Manifest(assigned) => self.manifest(assigned).await,
            FetchJob::Files { lesson, version } => self.files(LessonKey { lesson, version }, cancel).await,
        };
        let LessonKey { lesson, version } = key;
        match done {
            Ok(event) => Some(event),
            Err(Fault::Cancelled) => None,
            Err(fault) => {
                let refused = matches!(fault, Fault::Refused { .. });
                let (reason, transient, retry_after_s) = fault.judge();
                let detail = fault.to_string();
                tracing::info!(lesson.id = %lesson, lesson.version = version, %detail, transient, "fetch ended early");
                Some(FetchEvent::Failed {
                    lesson,
                    version,
                    reason,
                    detail,
                    transient,
                    retry_after_s,
                    refused,
                })
            }
        }
    }

    async fn manifest(&self, assigned: AssignedLesson) -> Result<FetchEvent, Fault> {
        let (lesson, version) = (assigned.lesson.clone(), assigned.version);
        let url = format!("{}{}", self.console, api::manifest_path(assigned.manifest));
        let answer = http::get(&self.client, &url, None).await?;
        let bytes = http::body(answer, MAX_MANIFEST_BYTES, &self.limiter).await?;
        let store = self.store.clone();
        blocking(move || store.put_manifest(&bytes, &assigned)).await??;
        Ok(FetchEvent::Manifest { lesson, version })
    }
}

/// Runs disk work where waiting is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Fault::Cancelled)
}

impl FetchJob {
    fn key(&self) -> LessonKey {
        match self {
            Self::Manifest(assigned) => LessonKey {
                lesson: assigned.lesson.clone(),
                version: assigned.version,
            },
            Self::Files { lesson, version } => LessonKey {
                lesson: lesson.clone(),
                version: *version,
            },
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

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
        /// The console would not have this device.
        refused: bool,
    },
}
