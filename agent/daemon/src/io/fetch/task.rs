//! The one task that owns the swarm's core, and with it every file under way: events from line, LAN and disk in, effects out.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use agent_core::{
    Millis,
    manners::Yielding,
    peers::{Bits, Effect, Event, Source, Span, Swarm, To, Want, WanPolicy},
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
    FetchEvent, FetchJob, Shared, Turn,
    disk::{self, Disk, Origin},
    http::Fault,
    jobs::{Failure, Jobs},
    wan::{SpanId, SpanJob, Wan, WanSaid, What, end_of, round_trip},
};
use crate::{
    clock,
    io::lan::{Expected, Lan, LanEvent, Link, Told},
    store::{ContentStore, LessonKey, ManifestRefused, StoreError},
};

/// The core is looked at again at least this often.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Between two looks at how long packets wait on the line.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
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
            let next = self.core.poll_timeout().into_iter().chain(sample_at).min();
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
                    self.look_ups.push_back(file);
                    self.look_up();
                }
                Effect::FetchWan(span) => self.fetch(span),
                Effect::CancelWan(span) => {
                    for running in self.spans.values().filter(|running| running.span == span) {
                        running.cancel.cancel();
                    }
                }
                Effect::Ask { peer, span } => self.ask(&peer, span),
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

    fn set_pace(&mut self) {
        let ceiling = self.pace.or(self.line_kbps);
        if let (Some(yielding), Some(ceiling)) = (&mut self.yielding, ceiling) {
            yielding.ceiling(ceiling);
        }
        let yields = self.yielding.as_ref().map(Yielding::kbps);
        self.line.limiter.set(self.pace.into_iter().chain(yields).min());
    }

    /// While classes use the line and we do, too, it is measured how long packets wait on it. Says when again.
    fn sample(&mut self, now: Millis) -> Option<Millis> {
        let yielding = self.yielding.as_mut().filter(|_| !self.spans.is_empty())?;
        if now >= self.sample_at {
            self.sample_at = now + SAMPLE_EVERY;
            yielding.tick(now);
            let (console, finds, at) = (self.line.console.clone(), self.finds.clone(), self.console_at);
            tokio::spawn(async move {
                let _ = finds.send(Found::RoundTrip(round_trip(&console, at).await));
            });
            self.set_pace();
        }
        Some(self.sample_at)
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
                if let Some(lan) = &self.lan {
                    lan.members(&plan.members);
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
            FetchJob::Files { lesson, version, turn } => {
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

    /// A lesson waits for a file; whether it is the first that does.
    fn want(&mut self, file: Hash, kind: Kind, key: &LessonKey, turn: Turn) -> bool {
        if let Some(known) = self.files.get_mut(&file) {
            if !known.jobs.contains(key) {
                known.jobs.push(key.clone());
            }
            return false;
        }
        let known = File {
            kind,
            jobs: vec![key.clone()],
            turn,
            fault: None,
        };
        self.files.insert(file, known);
        true
    }

    /// The core takes it from here.
    fn wanted(&mut self, file: Hash, chunks: &[u32], have: Bits) {
        let Some(known) = self.files.get(&file) else { return };
        let mut priority = known.turn.priority;
        if matches!(known.kind, Kind::Manifest(_)) {
            // Small, and nothing of its lesson can be fetched before it is here.
            priority.class = 0;
            priority.due = i64::MIN;
        }
        let want = Want {
            file,
            chunks: chunks.into(),
            have,
            priority,
            over_metered: known.turn.over_metered,
        };
        self.tell_core(Event::Want(want));
    }

    /// A lesson does not wait for these any more.
    fn forget(&mut self, key: &LessonKey, files: BTreeSet<Hash>) {
        for file in files {
            let Some(known) = self.files.get_mut(&file) else { continue };
            known.jobs.retain(|of| of != key);
            if known.jobs.is_empty() {
                self.drop_file(file);
            }
        }
    }

    fn drop_file(&mut self, file: Hash) {
        if let Some(known) = self.files.remove(&file) {
            if matches!(known.kind, Kind::Chunks(..)) {
                self.disk.give(disk::Task::Release(file));
            }
            self.tell_core(Event::Drop(file));
        }
    }

    /// Every lesson that waits for a file ends badly.
    async fn fail_file(&mut self, file: Hash, failure: &Failure) {
        let jobs = self.files.get(&file).map_or_else(Vec::new, |file| file.jobs.clone());
        for key in jobs {
            if let Some(job) = self.jobs.fail(&key, failure).await {
                self.forget(&key, job.left);
            }
        }
        self.drop_file(file);
    }

    /// A file is whole: lessons that waited for nothing else are ready.
    async fn complete_file(&mut self, file: Hash) {
        let Some(known) = self.files.remove(&file) else { return };
        self.tell_core(Event::Drop(file));
        for key in known.jobs {
            if self.jobs.whole(&key, file) {
                self.jobs.succeed(key).await;
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
            Found::Held(held) => {
                self.looking = false;
                for (file, have) in held {
                    self.tell_core(Event::Held { file, have });
                }
                self.look_up();
            }
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

    /// What was last heard of a file that was not good.
    fn note(&mut self, file: Hash, fault: String) {
        if let Some(known) = self.files.get_mut(&file) {
            known.fault = Some(fault);
        }
    }

    fn count(&mut self, file: Hash, done: u64, fetched: u64) {
        let Some(known) = self.files.get(&file) else { return };
        for (n, key) in known.jobs.iter().enumerate() {
            // Over the line it came once, however many lessons share it.
            self.jobs.add(key, done, if n == 0 { fetched } else { 0 });
        }
    }

    async fn on_disk(&mut self, said: disk::Said) {
        match said {
            disk::Said::Begun { file, have, news } => {
                self.count(file, news, 0);
                if let Some(Kind::Chunks(sizes, _)) = self.files.get(&file).map(|file| &file.kind) {
                    let sizes = Arc::clone(sizes);
                    self.wanted(file, &sizes, have);
                }
            }
            disk::Said::Stored {
                file,
                index,
                origin,
                bytes,
                new,
            } => {
                if new {
                    self.count(file, u64::from(bytes), 0);
                }
                let from = source(&origin);
                if matches!(from, Source::Peer(_)) {
                    self.shared.lan_in.fetch_add(u64::from(bytes), Ordering::Relaxed);
                }
                self.tell_core(Event::Stored { file, index, from });
                self.written(&origin).await;
            }
            disk::Said::Wrong {
                file,
                index,
                origin,
                detail,
            } => {
                let from = source(&origin);
                tracing::warn!(?from, %detail, "wrong bytes");
                if from == Source::Wan {
                    self.note(file, detail);
                }
                self.tell_core(Event::Wrong { file, index, from });
                self.written(&origin).await;
            }
            disk::Said::Passed { origin } => self.written(&origin).await,
            disk::Said::Complete { file, news } => {
                self.count(file, news, 0);
                self.complete_file(file).await;
            }
            disk::Said::Failed { file, origin, error } => {
                self.fail_file(file, &Failure::from(&error)).await;
                if let Some(origin) = origin {
                    self.written(&origin).await;
                }
            }
        }
    }

    /// A chunk of a request is dealt with.
    async fn written(&mut self, origin: &Origin) {
        if let Origin::Wan(id) = origin {
            if let Some(running) = self.spans.get_mut(id) {
                running.writing = running.writing.saturating_sub(1);
            }
            self.end_span(*id).await;
        }
    }

    /// A request is over for the core once all its chunks are dealt with.
    async fn end_span(&mut self, id: SpanId) {
        let over = |running: &Running| running.ended.is_some() && running.writing == 0;
        if !self.spans.get(&id).is_some_and(over) {
            return;
        }
        let Some(running) = self.spans.remove(&id) else { return };
        let fault = running.ended.flatten();
        let span = running.span;
        if matches!(fault, Some(Fault::Refused { .. })) {
            self.jobs.say(FetchEvent::Refused).await;
        }
        let end = end_of(fault.as_ref());
        if let Some(fault) = fault.filter(|fault| !matches!(fault, Fault::Cancelled)) {
            tracing::debug!(file = %span.file, first = span.first, count = span.count, %fault, "a request ended early");
            self.note(span.file, fault.to_string());
        }
        self.tell_core(Event::WanEnded { span, end });
    }

    fn fetch(&mut self, span: Span) {
        let what = match self.files.get(&span.file).map(|file| &file.kind) {
            Some(Kind::Chunks(sizes, size)) => {
                let (first, end) = (span.first as usize, span.chunks().end as usize);
                let bytes = |sizes: &[u32]| sizes.iter().map(|size| u64::from(*size)).sum::<u64>();
                sizes.get(first..end).map(|wanted| What::Chunks {
                    sizes: wanted.to_vec(),
                    from: bytes(&sizes[..first]),
                    size: *size,
                })
            }
            Some(Kind::Manifest(_)) => Some(What::Manifest),
            None => None,
        };
        let Some(what) = what else {
            // Dropped a moment ago.
            return self.tell_core(Event::WanEnded {
                span,
                end: agent_core::peers::WanEnd::Ok,
            });
        };
        let id = self.next_span;
        self.next_span += 1;
        let cancel = CancellationToken::new();
        self.spans.insert(
            id,
            Running {
                span,
                cancel: cancel.clone(),
                writing: 0,
                ended: None,
            },
        );
        self.line.fetch(SpanJob { id, span, what, cancel });
    }

    async fn on_wan(&mut self, said: WanSaid) {
        match said {
            WanSaid::Progress { id, bytes } => {
                let Some(span) = self.spans.get(&id).map(|running| running.span) else {
                    return;
                };
                self.count(span.file, 0, bytes);
                self.tell_core(Event::WanProgress(span));
            }
            WanSaid::Chunk { id, index, bytes, room } => {
                let Some(running) = self.spans.get_mut(&id) else { return };
                let file = running.span.file;
                match self.files.get(&file).map(|file| &file.kind) {
                    Some(Kind::Chunks(..)) => {
                        running.writing += 1;
                        self.disk.give(disk::Task::Write {
                            file,
                            index,
                            bytes,
                            origin: Origin::Wan(id),
                            room: Some(room),
                        });
                    }
                    Some(Kind::Manifest(_)) => {
                        running.writing += 1;
                        self.put_manifest(file, bytes, Origin::Wan(id));
                    }
                    None => {}
                }
            }
            WanSaid::Ended { id, fault } => {
                if let Some(running) = self.spans.get_mut(&id) {
                    running.ended = Some(fault);
                }
                self.end_span(id).await;
            }
        }
    }

    /// Verifies and stores a manifest; where it came from makes no difference.
    fn put_manifest(&self, file: Hash, bytes: bytes::Bytes, origin: Origin) {
        let Some(Kind::Manifest(assigned)) = self.files.get(&file).map(|file| &file.kind) else {
            return;
        };
        let (store, finds, assigned) = (self.store.clone(), self.finds.clone(), assigned.clone());
        tokio::task::spawn_blocking(move || {
            let found = Hash::of(&bytes);
            // Told apart before anything is read in it: other bytes are whose they are, a bad manifest is the console's.
            let result = if found == file {
                store.put_manifest(&bytes, &assigned).map(|_| ())
            } else {
                Err(StoreError::Manifest {
                    key: LessonKey {
                        lesson: assigned.lesson,
                        version: assigned.version,
                    },
                    reason: ManifestRefused::Hash { found, promised: file },
                })
            };
            let _ = finds.send(Found::Manifest { file, origin, result });
        });
    }

    fn ask(&self, peer: &DeviceId, span: Span) {
        let (Some(link), Some(file)) = (self.links.get(peer), self.files.get(&span.file)) else {
            return;
        };
        match &file.kind {
            Kind::Chunks(sizes, _) => {
                let wanted = sizes.get(span.first as usize..span.chunks().end as usize);
                let expected = wanted.unwrap_or_default().iter().map(|size| Expected::Bytes(*size));
                link.ask(span, expected);
            }
            Kind::Manifest(_) => link.ask(span, std::iter::once(Expected::Manifest)),
        }
    }

    /// Whether an event is of the connection that counts.
    fn is_current(&self, peer: &DeviceId, number: u64) -> bool {
        self.links.get(peer).is_some_and(|link| link.number == number)
    }

    fn on_lan(&mut self, event: LanEvent) {
        match event {
            LanEvent::Up { peer, link } => {
                if let Some(before) = self.links.insert(peer.clone(), link) {
                    before.close();
                    self.tell_core(Event::PeerDown(peer.clone()));
                }
                self.tell_core(Event::PeerUp(peer));
            }
            LanEvent::Down { peer, number } => {
                if self.is_current(&peer, number) {
                    self.links.remove(&peer);
                    self.tell_core(Event::PeerDown(peer));
                }
            }
            LanEvent::Heard { peer, number, word } => {
                if self.is_current(&peer, number) {
                    self.tell_core(Event::Heard { peer, word });
                }
            }
            LanEvent::Chunk {
                peer,
                number,
                file,
                index,
                bytes,
            } => {
                if !self.is_current(&peer, number) {
                    return;
                }
                match self.files.get(&file).map(|file| &file.kind) {
                    Some(Kind::Chunks(..)) => self.disk.give(disk::Task::Write {
                        file,
                        index,
                        bytes,
                        origin: Origin::Peer(peer),
                        room: None,
                    }),
                    Some(Kind::Manifest(_)) => {
                        self.shared.lan_in.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                        self.put_manifest(file, bytes, Origin::Peer(peer));
                    }
                    None => {}
                }
            }
            LanEvent::WrongLength {
                peer,
                number,
                file,
                index,
            } => {
                if self.is_current(&peer, number) {
                    let from = Source::Peer(peer);
                    self.tell_core(Event::Wrong { file, index, from });
                }
            }
            LanEvent::Distrusted { peer, reason } => {
                tracing::warn!(peer = %peer, %reason, "a board is sent away");
                if let Some(lan) = &self.lan {
                    lan.ban_nonsense(&peer);
                }
            }
        }
    }

    /// Looks into the store for files that peers want, some at a time.
    fn look_up(&mut self) {
        if self.looking || self.look_ups.is_empty() {
            return;
        }
        self.looking = true;
        let count = self.look_ups.len().min(64);
        let files: Vec<_> = self.look_ups.drain(..count).collect();
        let (store, finds) = (self.store.clone(), self.finds.clone());
        tokio::task::spawn_blocking(move || {
            let held = files.into_iter().map(|file| {
                let have = store.has(file).unwrap_or_else(|error| {
                    tracing::warn!(%file, %error, "could not look for a file that a board wants");
                    None
                });
                (file, have.unwrap_or_default())
            });
            let _ = finds.send(Found::Held(held.collect()));
        });
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
    let versions = store.0.index.versions(&key.lesson).map_err(|error| fail(error.into()))?;
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
