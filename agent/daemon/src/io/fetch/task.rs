//! The one task that owns the swarm's core, and with it every file under way: events from line, LAN and disk in, effects out.

mod files;
mod line;
mod peers;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use agent_core::{
    Millis,
    manners::Yielding,
    peers::{Bits, Effect, Event, Source, Span, Swarm, To, WanPolicy},
};
use contract::{
    hash::Hash,
    id::DeviceId,
    lesson::{FileEntry, LessonManifest},
    school::SchoolPlan,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    FetchJob, Shared, Turn,
    disk::{self, Disk, Origin},
    http::Fault,
    jobs::{Failure, Jobs},
    wan::{SpanId, Wan, WanSaid},
};
use crate::{
    clock,
    io::lan::{Lan, LanEvent, Link, Told},
    store::{ContentStore, LessonKey, ManifestRefused, StoreError},
};

/// The core is looked at again at least this often.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The pace begins at half of this where nobody said what the line carries.
const UNKNOWN_LINE_KBPS: u32 = 100_000;
/// A manifest's length before it is known: what a chunk of a lesson takes in it.
const MANIFEST_CHUNK: u64 = 128 * 1024;
const MANIFEST_BYTES_PER_CHUNK: u64 = 110;

/// What the rest of the agent wants.
#[derive(Debug)]
pub(super) enum Order {
    Start(FetchJob),
    Cancel(LessonKey),
    Plan(Arc<SchoolPlan>),
    /// What may be taken of the line, and whether classes use it, too.
    Policy(WanPolicy, bool),
    Online,
}

/// What was found out on blocking threads.
#[derive(Debug)]
pub(super) enum Found {
    Prepared(LessonKey, Result<Prepared, Failure>),
    Manifest {
        file: Hash,
        origin: Origin,
        result: Result<(), StoreError>,
    },
    Held(Vec<(Hash, Bits)>),
    /// How long a packet takes to the console and back.
    RoundTrip(Option<(Duration, SocketAddr)>),
}

/// What a lesson misses.
#[derive(Debug)]
pub(super) struct Prepared {
    missing: Vec<FileEntry>,
    total_bytes: u64,
    done_bytes: u64,
    /// Another version is here, of which something may be copied.
    copy: bool,
}

/// The doors of the task.
pub(super) struct Doors {
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) disk: mpsc::UnboundedReceiver<disk::Said>,
    pub(super) wan: mpsc::Receiver<WanSaid>,
    pub(super) lan: mpsc::Receiver<LanEvent>,
    pub(super) found: mpsc::UnboundedReceiver<Found>,
}

/// A file that some lesson waits for.
struct File {
    kind: Kind,
    jobs: Vec<LessonKey>,
    turn: Turn,
    /// What was last heard of it that was not good.
    fault: Option<String>,
}

enum Kind {
    /// Sizes of the chunks, and where each begins.
    Chunks(Arc<[u32]>, u64),
    Manifest(contract::assignment::AssignedLesson),
}

/// A request over the line.
struct Running {
    span: Span,
    cancel: CancellationToken,
    /// Chunks on their way to the disk.
    writing: u32,
    ended: Option<Option<Fault>>,
}

pub(super) struct Task {
    pub(super) core: Swarm,
    pub(super) jobs: Jobs,
    pub(super) store: ContentStore,
    pub(super) shared: Arc<Shared>,
    pub(super) disk: Disk,
    pub(super) line: Wan,
    pub(super) lan: Option<Arc<Lan>>,
    pub(super) finds: mpsc::UnboundedSender<Found>,
    files: HashMap<Hash, File>,
    links: HashMap<DeviceId, Link>,
    spans: HashMap<SpanId, Running>,
    next_span: SpanId,
    look_ups: VecDeque<Hash>,
    looking: bool,
    /// Files that peers want, that we do not, and that were not whole when last looked at; how many chunks were here.
    wanted_by_others: HashMap<Hash, u32>,
    look_again_at: Option<Millis>,
    pace: Option<u32>,
    line_kbps: Option<u32>,
    /// While classes use the line, too.
    yielding: Option<Yielding>,
    sample_at: Millis,
    /// Where the console was the last time.
    console_at: Option<SocketAddr>,
}

impl Task {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        core: Swarm,
        jobs: Jobs,
        store: ContentStore,
        shared: Arc<Shared>,
        disk: Disk,
        line: Wan,
        lan: Option<Arc<Lan>>,
        finds: mpsc::UnboundedSender<Found>,
    ) -> Self {
        Self {
            core,
            jobs,
            store,
            shared,
            disk,
            line,
            lan,
            finds,
            files: HashMap::new(),
            links: HashMap::new(),
            spans: HashMap::new(),
            next_span: 0,
            look_ups: VecDeque::new(),
            looking: false,
            wanted_by_others: HashMap::new(),
            look_again_at: None,
            pace: None,
            line_kbps: None,
            yielding: None,
            sample_at: Millis::default(),
            console_at: None,
        }
    }

    /// Until cancelled.
    pub(super) async fn run(mut self, mut doors: Doors, stop: CancellationToken) {
        loop {
            self.perform().await;
            let now = clock::now();
            let sample_at = self.sample(now);
            let look_again_at = self.look_again(now);
            let timers = [self.core.poll_timeout(), sample_at, look_again_at];
            let next = timers.into_iter().flatten().min();
            let wait = next.map_or(LONGEST_WAIT, |at| at.since(now).min(LONGEST_WAIT));
            tokio::select! {
                () = stop.cancelled() => break,
                Some(order) = doors.orders.recv() => self.on_order(order).await,
                Some(said) = doors.disk.recv() => self.on_disk(said).await,
                Some(found) = doors.found.recv() => self.on_found(found).await,
                Some(said) = doors.wan.recv() => self.on_wan(said).await,
                Some(event) = doors.lan.recv() => self.on_lan(event),
                () = tokio::time::sleep(wait) => {}
            }
            self.core.handle_timeout(clock::now());
        }
        for running in self.spans.values() {
            running.cancel.cancel();
        }
        if let Some(lan) = &self.lan {
            lan.close();
        }
    }

    fn tell_core(&mut self, event: Event) {
        self.core.handle(event, clock::now());
    }

    async fn perform(&mut self) {
        while let Some(effect) = self.core.next_effect() {
            match effect {
                Effect::Tell { to, word } => {
                    let told = Told::from(&word);
                    match to {
                        To::All => self.links.values().for_each(|link| link.tell(&told)),
                        To::These(peers) => peers
                            .iter()
                            .filter_map(|peer| self.links.get(peer))
                            .for_each(|link| link.tell(&told)),
                    }
                }
                Effect::LookUp(file) => {
                    if peers::remember(&mut self.look_ups, file) {
                        // Whoever asks now is owed an answer, even without news.
                        self.wanted_by_others.remove(&file);
                    }
                    self.look_up();
                }
                Effect::FetchWan(span) => self.fetch(span),
                Effect::CancelWan(span) => {
                    for running in self.spans.values().filter(|running| running.span == span) {
                        running.cancel.cancel();
                    }
                }
                Effect::Ask { peer, span } => {
                    tracing::debug!(target: "bbt_agent::fetch", %peer, first = span.first, count = span.count, "chunks asked");
                    self.ask(&peer, span);
                }
                Effect::CancelAsk { peer, span } => {
                    if let Some(link) = self.links.get(&peer) {
                        link.cancel(span);
                    }
                }
                Effect::Disconnect { peer, ban, reason } => {
                    tracing::warn!(peer = %peer, %reason, ban_s = ban.map(|ban| ban.as_secs()), "a board is sent away");
                    if let Some(link) = self.links.get(&peer) {
                        link.close();
                    }
                    if let (Some(lan), Some(ban)) = (&self.lan, ban) {
                        lan.ban(&peer, ban);
                    }
                }
                Effect::Pace(kbps) => {
                    self.pace = kbps;
                    self.set_pace();
                }
                Effect::GiveUp { file, reason } => {
                    let fault = self.files.get(&file).and_then(|file| file.fault.clone());
                    let failure = Failure::given_up(reason, fault.as_deref());
                    self.fail_file(file, &failure).await;
                }
            }
        }
        let standing = self.core.standing();
        self.shared.peers.store(standing.peers, Ordering::Relaxed);
    }

    async fn on_order(&mut self, order: Order) {
        match order {
            Order::Start(job) => self.start(job),
            Order::Cancel(key) => {
                if let Some(job) = self.jobs.remove(&key) {
                    self.forget(&key, job.left);
                }
            }
            Order::Plan(plan) => {
                // Without a door of our own nobody is found, and nobody is waited for.
                if let Some(lan) = &self.lan {
                    lan.members(&plan.members);
                    let others = plan.members.len().saturating_sub(1);
                    self.tell_core(Event::School { others });
                }
            }
            Order::Policy(policy, yields) => {
                self.line_kbps = policy.line_kbps;
                if !yields {
                    self.yielding = None;
                } else if self.yielding.is_none() {
                    let ceiling = self.pace.or(policy.line_kbps).unwrap_or(UNKNOWN_LINE_KBPS);
                    self.yielding = Some(Yielding::new(ceiling, clock::now()));
                }
                self.tell_core(Event::Policy(policy));
                self.set_pace();
            }
            Order::Online => self.tell_core(Event::Online),
        }
    }

    fn start(&mut self, job: FetchJob) {
        let key = job.key();
        match job {
            FetchJob::Manifest(assigned, turn) => {
                if !self.jobs.begin(&key, turn, true) {
                    return;
                }
                let file = assigned.manifest;
                if let Some(job) = self.jobs.get_mut(&key) {
                    job.left.insert(file);
                    job.prepared = true;
                }
                let chunks = assigned.size_bytes / MANIFEST_CHUNK + 8;
                let guess = u32::try_from(chunks * MANIFEST_BYTES_PER_CHUNK).unwrap_or(u32::MAX);
                if self.want(file, Kind::Manifest(assigned), &key, turn) {
                    self.wanted(file, &[guess], Bits::none(1));
                }
            }
            FetchJob::Files {
                lesson,
                version,
                turn,
            } => {
                if !self.jobs.begin(&key, turn, false) {
                    return;
                }
                let (store, finds) = (self.store.clone(), self.finds.clone());
                let key = LessonKey { lesson, version };
                tokio::task::spawn_blocking(move || {
                    let prepared = prepare(&store, &key);
                    let _ = finds.send(Found::Prepared(key, prepared));
                });
            }
        }
    }

    async fn on_found(&mut self, found: Found) {
        match found {
            Found::RoundTrip(took) => {
                self.console_at = took.map(|(_, at)| at);
                if let (Some(yielding), Some((took, _))) = (&mut self.yielding, took) {
                    yielding.sample(took, clock::now());
                }
                self.set_pace();
            }
            Found::Prepared(key, Ok(prepared)) => self.prepared(key, prepared).await,
            Found::Prepared(key, Err(failure)) => {
                self.jobs.fail(&key, &failure).await;
            }
            Found::Held(held) => self.held(held),
            Found::Manifest { file, origin, result } => {
                let from = source(&origin);
                match result {
                    Ok(()) => {
                        self.tell_core(Event::Stored { file, index: 0, from });
                        self.complete_file(file).await;
                    }
                    Err(StoreError::Manifest {
                        reason: reason @ ManifestRefused::Hash { .. },
                        ..
                    }) => {
                        self.note(file, format!("the manifest was refused: {reason}"));
                        self.tell_core(Event::Wrong { file, index: 0, from });
                    }
                    Err(error) => self.fail_file(file, &Failure::from(&error)).await,
                }
                self.written(&origin).await;
            }
        }
    }

    async fn prepared(&mut self, key: LessonKey, prepared: Prepared) {
        let Some(job) = self.jobs.get_mut(&key).filter(|job| !job.manifest) else {
            return;
        };
        job.total_bytes = prepared.total_bytes;
        job.done_bytes = prepared.done_bytes;
        job.left = prepared.missing.iter().map(|entry| entry.hash).collect();
        job.prepared = true;
        let turn = job.turn;
        if job.left.is_empty() {
            return self.jobs.succeed(key).await;
        }
        for entry in prepared.missing {
            let sizes: Arc<[u32]> = entry.chunks.iter().map(|chunk| chunk.size).collect();
            if self.want(entry.hash, Kind::Chunks(sizes, entry.size), &key, turn) {
                let copy = prepared.copy;
                self.disk.give(disk::Task::Begin { entry, copy });
            }
        }
    }
}

fn source(origin: &Origin) -> Source {
    match origin {
        Origin::Wan(_) => Source::Wan,
        Origin::Peer(peer) => Source::Peer(peer.clone()),
    }
}

/// What a lesson misses.
fn prepare(store: &ContentStore, key: &LessonKey) -> Result<Prepared, Failure> {
    let fail = |error: StoreError| Failure::from(&error);
    let manifest: Option<LessonManifest> = store.manifest(key).map_err(fail)?;
    let held = store.held(key).map_err(fail)?;
    let (Some(manifest), Some(held)) = (manifest, held) else {
        return Err(Failure::no_manifest());
    };
    let mut missing = store.missing_files(key).map_err(fail)?;
    let versions = store
        .0
        .index
        .versions(&key.lesson)
        .map_err(|error| fail(error.into()))?;
    let copy = versions.len() > 1;
    let files = manifest.files.into_iter();
    Ok(Prepared {
        // Each once, however often it stands in the lesson.
        missing: files.filter(|entry| missing.remove(&entry.hash)).collect(),
        total_bytes: held.total_bytes,
        done_bytes: held.total_bytes - held.missing_bytes(),
        copy,
    })
}
