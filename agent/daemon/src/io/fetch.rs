//! Fetches lessons: from the console over the school's line, and from the other boards of the school.
//!
//! A job is a lesson version; `agent_core::lessons` decides which and when. Who fetches which piece from where is decided by
//! `agent_core::peers`, which one task owns (`task.rs`) together with the files under way. A thread writes (`disk.rs`),
//! small tasks take from the line (`wan.rs`) and from the LAN (`io/lan`). What is verified stays on the disk whatever happens
//! here, so a job that is begun again goes on where the last one stopped.

mod cutter;
mod disk;
mod http;
mod jobs;
mod limit;
mod task;
#[cfg(test)]
pub(crate) mod tests;
mod wan;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use agent_core::peers::{Priority, Settings, Swarm, WanPolicy};
use contract::{
    assignment::AssignedLesson,
    id::{DeviceId, LessonId},
    report::{FailureReason, PeerDoor},
    school::SchoolPlan,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::lan::{Lan, LanOptions, PeerTls};
use crate::store::{ContentStore, LessonKey};
use jobs::Jobs;
use limit::Limiter;
use task::{Doors, Order, Task};
use wan::Wan;

/// Words of the line and of peers that may wait for the task.
const QUEUE: usize = 64;

/// How to reach the console and how hard to pull.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Who we are.
    pub own: DeviceId,
    /// Where the console serves devices, e.g. `https://console.example:8443`.
    pub console_url: String,
    /// Most kilobits per second, all fetches together; `None` is no limit.
    pub limit_kbps: Option<u32>,
    /// So long without a byte, and the connection counts as lost.
    pub stall: Duration,
}

/// Fetches what it is told to. Cheap to clone; dropping the last one cancels everything.
#[derive(Clone)]
pub struct Fetcher(pub(crate) Arc<Handle>);

pub(crate) struct Handle {
    orders: mpsc::UnboundedSender<Order>,
    pub(crate) shared: Arc<Shared>,
    lan: Option<Arc<Lan>>,
    stop: CancellationToken,
}

/// What the task tells of itself.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Lesson bytes taken from peers.
    lan_in: AtomicU64,
    pub(crate) peers: AtomicUsize,
}

/// What went over the LAN, and how many are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Lesson bytes taken from peers.
    pub lan_in: u64,
    /// Lesson bytes given to peers.
    pub lan_out: u64,
    /// Peers connected.
    pub peers: u32,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").finish_non_exhaustive()
    }
}

/// The fetcher could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FetchSetupError {
    /// No HTTPS.
    #[error("failed to set up HTTPS to the console: {0}")]
    Client(reqwest::Error),
    /// No thread.
    #[error("failed to start the thread that writes lessons: {0}")]
    Thread(std::io::Error),
}

impl Fetcher {
    /// A fetcher that answers on `events`. `tls` holds our certificate and the one authority that is believed; without it
    /// only plain `http://` works, which is for tests. Without `lan` there are no other boards.
    ///
    /// # Errors
    /// The TLS settings are not usable.
    pub fn new(
        options: FetchOptions,
        tls: Option<rustls::ClientConfig>,
        lan: Option<(LanOptions, PeerTls)>,
        store: ContentStore,
        events: mpsc::Sender<FetchEvent>,
    ) -> Result<Self, FetchSetupError> {
        let client = http::client(tls, options.stall).map_err(FetchSetupError::Client)?;
        let (orders, from_agent) = mpsc::unbounded_channel();
        let (disk_said, from_disk) = mpsc::unbounded_channel();
        let (wan_said, from_wan) = mpsc::channel(QUEUE);
        let (lan_said, from_lan) = mpsc::channel(QUEUE);
        let (finds, found) = mpsc::unbounded_channel();
        let disk = disk::Disk::start(store.clone(), disk_said).map_err(FetchSetupError::Thread)?;
        let console = options.console_url.trim_end_matches('/').to_owned();
        let line = Wan::new(
            client,
            console,
            Arc::new(Limiter::new(options.limit_kbps)),
            wan_said,
        );
        let lan = lan.map(|(options, tls)| Arc::new(Lan::start(options, tls, store.clone(), lan_said)));
        let shared = Arc::new(Shared::default());
        let stop = CancellationToken::new();
        let core = Swarm::new(Settings::new(options.own), rand::random());
        let jobs = Jobs::new(events);
        let task = Task::new(
            core,
            jobs,
            store,
            Arc::clone(&shared),
            disk,
            line,
            lan.clone(),
            finds,
        );
        let doors = Doors {
            orders: from_agent,
            disk: from_disk,
            wan: from_wan,
            lan: from_lan,
            found,
        };
        tokio::spawn(task.run(doors, stop.clone()));
        Ok(Self(Arc::new(Handle {
            orders,
            shared,
            lan,
            stop,
        })))
    }

    fn order(&self, order: Order) {
        // The task ends only when the fetcher does.
        let _ = self.0.orders.send(order);
    }

    /// Starts a job; ignored while one for the same version is under way.
    pub fn start(&self, job: FetchJob) {
        self.order(Order::Start(job));
    }

    /// Stops a job; nothing is answered. What was verified stays.
    pub fn cancel(&self, lesson: &LessonId, version: u32) {
        self.order(Order::Cancel(LessonKey {
            lesson: lesson.clone(),
            version,
        }));
    }

    /// Stops every job, for good, and lets go of all boards.
    pub fn cancel_all(&self) {
        self.0.stop.cancel();
    }

    /// Who the other boards of the school are.
    pub fn plan(&self, plan: Arc<SchoolPlan>) {
        self.order(Order::Plan(plan));
    }

    /// What may be taken of the line from now on; where it `yields`, classes use it, too, and come first.
    pub fn policy(&self, policy: WanPolicy, yields: bool) {
        self.order(Order::Policy(policy, yields));
    }

    /// The console can be reached again.
    pub fn online(&self) {
        self.order(Order::Online);
    }

    /// What went over the LAN since the last call.
    pub fn take_traffic(&self) -> Traffic {
        let shared = &self.0.shared;
        Traffic {
            lan_in: shared.lan_in.swap(0, Ordering::Relaxed),
            lan_out: self.0.lan.as_ref().map_or(0, |lan| lan.take_served()),
            peers: u32::try_from(shared.peers.load(Ordering::Relaxed)).unwrap_or(u32::MAX),
        }
    }

    /// The port at which other boards reach us; 0 while they do not.
    pub fn port(&self) -> u16 {
        self.0.lan.as_ref().map_or(0, |lan| lan.port())
    }

    /// Where other boards reach us; `None` while they do not.
    pub fn door(&self) -> Option<PeerDoor> {
        self.0.lan.as_ref()?.door()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// When a lesson's turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Its place among the others.
    pub priority: Priority,
    /// It may be fetched over a line that is paid by volume.
    pub over_metered: bool,
}

impl Turn {
    /// By the assignment; `order` is the lesson's place in it.
    pub fn of(assigned: &AssignedLesson, order: u32) -> Self {
        Self {
            priority: Priority {
                class: u8::from(!assigned.pinned),
                due: assigned.needed_by.map_or(i64::MAX, |at| at.as_second()),
                order,
            },
            over_metered: assigned.pinned,
        }
    }
}

impl FetchJob {
    fn key(&self) -> LessonKey {
        match self {
            Self::Manifest(assigned, _) => LessonKey {
                lesson: assigned.lesson.clone(),
                version: assigned.version,
            },
            Self::Files { lesson, version, .. } => LessonKey {
                lesson: lesson.clone(),
                version: *version,
            },
        }
    }
}

/// What the fetcher is asked to do; `agent_core::lessons` decides when. A job for a `(lesson, version)` under way is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchJob {
    /// Fetch, verify and store the signed manifest; answered by [`FetchEvent::Manifest`].
    Manifest(AssignedLesson, Turn),
    /// Fetch the missing files of a stored manifest; room has been made. Answered by [`FetchEvent::Stored`].
    Files {
        /// The lesson.
        lesson: LessonId,
        /// Which version.
        version: u32,
        /// When its turn is.
        turn: Turn,
    },
}

/// What the fetcher says. After a job exactly one of `Manifest`, `Stored`, `Failed` follows, unless it was cancelled. Trouble
/// with the line ends no job: it goes on by itself.
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
    },
    /// The console would not have this device; no job ends by it.
    Refused,
}
