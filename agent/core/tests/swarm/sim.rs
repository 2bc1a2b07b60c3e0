//! A school in virtual time: boards with real cores, a line that all of them share, ports of limited rate, words that take a
//! while, boards that lose power, and boards that lie. Fluid model: every transfer has a rate, which changes when others
//! begin or end.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
    sync::Arc,
};

use agent_core::{
    Millis,
    peers::{
        Bits, Denial, Effect, Event, FileKey, Priority, Settings, Source, Span, Swarm, To, WanEnd, WanPolicy,
        Want, Word,
    },
};
use contract::{hash::Hash, id::DeviceId};
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// Microseconds.
pub(crate) type Us = u64;
pub(crate) const S: Us = 1_000_000;
const MS: Us = 1000;
/// Until a chunk is hashed and written.
const WRITE: Us = 2 * MS;
/// A board remembers after a power cut what it had stored before the last of these.
const CHECKPOINT: Us = 2 * S;
/// Nothing takes longer than this in a school of the tests.
const END: Us = 3600 * S;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Honest,
    /// Says it has everything and sends other bytes.
    Wrong,
    /// Says it has everything and answers nothing.
    Mute,
    /// Says it has everything and denies whatever it is asked for, then says so again.
    Denies,
    /// Claims as much as it can, says it is at it, fetches nothing.
    Claims,
    /// Says it got what it claimed, answers nothing.
    Boasts,
}

#[derive(Debug, Clone)]
pub(crate) struct School {
    pub(crate) line_mbps: f64,
    pub(crate) rtt: Us,
    pub(crate) port_mbps: f64,
    pub(crate) word: (Us, Us),
    pub(crate) policy: WanPolicy,
    /// Sizes of the files' chunks.
    pub(crate) files: Vec<Vec<u32>>,
    pub(crate) kinds: Vec<Kind>,
    /// Assignments come within this.
    pub(crate) stagger: Us,
    /// So many boards lose power once, within the given time.
    pub(crate) cuts: usize,
    pub(crate) cut_within: Us,
    /// Mbit/s that a board's own path to the console carries at most.
    pub(crate) slow: BTreeMap<usize, f64>,
    /// Boards below this index do not see the others until the time given.
    pub(crate) parted: Option<(usize, Us)>,
    /// These have everything at the start.
    pub(crate) complete: BTreeSet<usize>,
    /// The console does not have these files.
    pub(crate) missing: BTreeSet<usize>,
}

impl School {
    pub(crate) fn new(peers: usize, line_mbps: f64, port_mbps: f64, files: Vec<Vec<u32>>) -> Self {
        Self {
            line_mbps,
            rtt: 40 * MS,
            port_mbps,
            word: (300, 2 * MS),
            policy: WanPolicy {
                line_kbps: Some((line_mbps * 1000.0) as u32),
                ..WanPolicy::default()
            },
            files,
            kinds: vec![Kind::Honest; peers],
            stagger: 0,
            cuts: 0,
            cut_within: 0,
            slow: BTreeMap::new(),
            parted: None,
            complete: BTreeSet::new(),
            missing: BTreeSet::new(),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        let missing = |at: &usize| !self.missing.contains(at);
        (0..self.files.len())
            .filter(missing)
            .flat_map(|at| &self.files[at])
            .map(|size| u64::from(*size))
            .sum()
    }

    /// Seconds that the content takes on the line.
    pub(crate) fn ideal(&self) -> f64 {
        self.bytes() as f64 * 8.0 / (self.line_mbps * 1e6)
    }
}

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// Bytes over the line ÷ bytes of content.
    pub(crate) copies: f64,
    /// Time of the last honest board ÷ content at line rate.
    pub(crate) time: f64,
    pub(crate) finished: usize,
    pub(crate) gave_up: usize,
    /// The fastest that was seen over the line in any second, kbit/s.
    pub(crate) peak_kbps: f64,
    /// Words between boards, all together.
    pub(crate) words: u64,
    /// Bytes between boards ÷ (content × boards that needed it).
    pub(crate) lan: f64,
}

/// Lengths as a chunker makes them, with `mean` bytes.
pub(crate) fn chunks(bytes: u64, mean: u32, rng: &mut SmallRng) -> Vec<u32> {
    let mut left = bytes;
    let mut sizes = Vec::new();
    while left > 0 {
        let size = u64::from(rng.random_range(mean / 2..=mean * 3 / 2)).min(left);
        sizes.push(size as u32);
        left -= size;
    }
    sizes
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Ev {
    Assign(usize),
    Timer(usize, u64),
    Word(usize, usize, u64),
    WanStart(u64),
    WanNext(u64),
    WanBeat(u64),
    LanNext(usize, usize, u64),
    Stored(usize, u64, usize, u32, Option<usize>),
    Ended(usize, u64, Span),
    Down(usize, usize, u64),
    Connect(usize, usize),
    Cut(usize),
    Rise(usize),
    Hostile(usize),
}

struct Node {
    kind: Kind,
    id: DeviceId,
    core: Option<Swarm>,
    /// Counts power-ups.
    life: u64,
    timer: u64,
    stored: Vec<BTreeMap<u32, Us>>,
    cap_mbps: Option<f64>,
    pace_kbps: Option<u32>,
    assigned: bool,
    done_at: Option<Us>,
    gave_up: usize,
}

#[derive(Debug)]
struct Stream {
    id: u64,
    node: usize,
    span: Span,
    at: u32,
    left: f64,
    rate: f64,
    active: bool,
    moved: bool,
}

#[derive(Debug, Default)]
struct Flow {
    queue: VecDeque<(usize, u32, f64)>,
    rate: f64,
    since: Us,
    version: u64,
}

pub(crate) struct World {
    school: School,
    keys: Vec<FileKey>,
    sizes: Vec<Arc<[u32]>>,
    now: Us,
    seq: u64,
    heap: BinaryHeap<Reverse<(Us, u64, Ev)>>,
    nodes: Vec<Node>,
    streams: Vec<Stream>,
    wan_at: Us,
    wan_version: u64,
    wan_bytes: f64,
    second: (u64, f64),
    peak: f64,
    flows: BTreeMap<(usize, usize), Flow>,
    outs: Vec<usize>,
    ins: Vec<usize>,
    lan_bytes: f64,
    /// The connection's number, by pair, the lower first.
    joined: BTreeMap<(usize, usize), u64>,
    words: BTreeMap<u64, (u64, Talk)>,
    word_at: BTreeMap<(usize, usize), Us>,
    told: u64,
    rng: SmallRng,
}

enum Talk {
    Word(Word),
    Ask(Span),
    Cancel(Span),
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl World {
    pub(crate) fn run(school: School, seed: u64) -> Outcome {
        let mut rng = SmallRng::seed_from_u64(seed);
        let count = school.kinds.len();
        let nodes = (0..count)
            .map(|n| Node {
                kind: school.kinds[n],
                id: DeviceId::new(format!("dev-{:08x}-{n}", rng.random::<u32>())).unwrap(),
                core: None,
                life: 0,
                timer: 0,
                stored: vec![BTreeMap::new(); school.files.len()],
                cap_mbps: school.slow.get(&n).copied(),
                pace_kbps: None,
                assigned: false,
                done_at: None,
                gave_up: 0,
            })
            .collect();
        let mut world = Self {
            keys: (0..school.files.len())
                .map(|n| Hash::of(&[seed as u8, n as u8, (n >> 8) as u8]))
                .collect(),
            sizes: school.files.iter().map(|sizes| sizes.as_slice().into()).collect(),
            now: S,
            seq: 0,
            heap: BinaryHeap::new(),
            nodes,
            streams: Vec::new(),
            wan_at: S,
            wan_version: 0,
            wan_bytes: 0.0,
            second: (0, 0.0),
            peak: 0.0,
            flows: BTreeMap::new(),
            outs: vec![0; count],
            ins: vec![0; count],
            lan_bytes: 0.0,
            joined: BTreeMap::new(),
            words: BTreeMap::new(),
            word_at: BTreeMap::new(),
            told: 0,
            rng,
            school,
        };
        world.play()
    }

    fn play(&mut self) -> Outcome {
        let count = self.nodes.len();
        let start = self.now;
        for n in 0..count {
            if self.school.complete.contains(&n) {
                for file in 0..self.keys.len() {
                    self.nodes[n].stored[file] = (0..self.sizes[file].len() as u32)
                        .map(|index| (index, 0))
                        .collect();
                }
                self.nodes[n].done_at = Some(0);
            }
            self.boot(n);
        }
        for a in 0..count {
            for b in a + 1..count {
                let parted = self.school.parted.filter(|(edge, _)| a < *edge && b >= *edge);
                match parted {
                    Some((_, until)) => self.at(start + until, Ev::Connect(a, b)),
                    None => self.connect(a, b),
                }
            }
        }
        // The first one learns of it at once: from then on the time is measured.
        let first = self.rng.random_range(0..count);
        for n in 0..count {
            let wait = if n == first {
                0
            } else {
                self.rng.random_range(0..=self.school.stagger)
            };
            self.at(start + wait, Ev::Assign(n));
            if self.nodes[n].kind != Kind::Honest {
                let wait = self.rng.random_range(0..200 * MS);
                self.at(start + wait, Ev::Hostile(n));
            }
        }
        let mut victims: Vec<usize> = (0..count).collect();
        for _ in 0..self.school.cuts {
            let n = victims.swap_remove(self.rng.random_range(0..victims.len()));
            let when = self.rng.random_range(0..self.school.cut_within.max(1));
            self.at(start + when, Ev::Cut(n));
        }
        while let Some(Reverse((at, _, ev))) = self.heap.pop() {
            assert!(at >= self.now);
            self.now = at;
            if at > END || self.finished() == self.wanted() {
                break;
            }
            self.happen(ev);
        }
        let last = self
            .nodes
            .iter()
            .filter_map(|node| node.done_at)
            .max()
            .unwrap_or(END);
        let needed = (self.wanted() - self.school.complete.len()).max(1) as f64 * self.school.bytes() as f64;
        Outcome {
            copies: self.wan_bytes / self.school.bytes() as f64,
            time: last.saturating_sub(start) as f64 / 1e6 / self.school.ideal(),
            finished: self.finished(),
            gave_up: self.nodes.iter().map(|node| node.gave_up).sum(),
            peak_kbps: self.peak * 8.0 / 1000.0,
            words: self.told,
            lan: self.lan_bytes / needed,
        }
    }

    fn wanted(&self) -> usize {
        self.nodes.iter().filter(|node| node.kind == Kind::Honest).count()
    }

    fn finished(&self) -> usize {
        self.nodes.iter().filter(|node| node.done_at.is_some()).count()
    }

    fn at(&mut self, at: Us, ev: Ev) {
        self.seq += 1;
        self.heap.push(Reverse((at, self.seq, ev)));
    }

    fn millis(&self) -> Millis {
        Millis(self.now / 1000)
    }

    fn boot(&mut self, n: usize) {
        let seed = self.rng.random();
        let node = &mut self.nodes[n];
        node.life += 1;
        node.pace_kbps = None;
        if node.kind == Kind::Honest {
            node.core = Some(Swarm::new(Settings::new(node.id.clone()), seed));
            let policy = self.school.policy;
            let others = self.nodes.len() - 1;
            self.tell(n, Event::School { others });
            self.tell(n, Event::Policy(policy));
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        self.seq += 1;
        self.joined.insert(pair(a, b), self.seq);
        let (id_a, id_b) = (self.nodes[a].id.clone(), self.nodes[b].id.clone());
        self.tell(a, Event::PeerUp(id_b));
        self.tell(b, Event::PeerUp(id_a));
    }

    fn tell(&mut self, n: usize, event: Event) {
        let now = self.millis();
        if let Some(core) = &mut self.nodes[n].core {
            core.handle(event, now);
            self.perform(n);
        }
    }

    fn perform(&mut self, n: usize) {
        while let Some(effect) = self.nodes[n].core.as_mut().and_then(Swarm::next_effect) {
            self.effect(n, effect);
        }
        let Some(core) = &self.nodes[n].core else { return };
        if let Some(at) = core.poll_timeout() {
            let at = (at.0 * MS).max(self.now);
            self.nodes[n].timer += 1;
            let timer = self.nodes[n].timer;
            self.at(at, Ev::Timer(n, timer));
        }
    }

    fn who(&self, id: &DeviceId) -> usize {
        self.nodes.iter().position(|node| node.id == *id).unwrap()
    }

    fn which(&self, key: FileKey) -> usize {
        self.keys.iter().position(|other| *other == key).unwrap()
    }

    fn say(&mut self, from: usize, to: usize, talk: Talk) {
        let Some(joined) = self.joined.get(&pair(from, to)).copied() else {
            return;
        };
        self.told += 1;
        let delay = self.rng.random_range(self.school.word.0..=self.school.word.1);
        let last = self.word_at.entry((from, to)).or_default();
        *last = (self.now + delay).max(*last);
        let at = *last;
        self.seq += 1;
        let number = self.seq;
        self.words.insert(number, (joined, talk));
        self.at(at, Ev::Word(from, to, number));
    }

    fn effect(&mut self, n: usize, effect: Effect) {
        match effect {
            Effect::Tell { to, word } => {
                let to: Vec<usize> = match to {
                    To::All => (0..self.nodes.len()).filter(|other| *other != n).collect(),
                    To::These(ids) => ids.iter().map(|id| self.who(id)).collect(),
                };
                for other in to {
                    self.say(n, other, Talk::Word(word.clone()));
                }
            }
            Effect::LookUp(key) => {
                let file = self.which(key);
                let mut have = Bits::none(self.sizes[file].len() as u32);
                for index in self.nodes[n].stored[file].keys() {
                    have.set(*index);
                }
                self.tell(n, Event::Held { file: key, have });
            }
            Effect::FetchWan(span) => {
                self.seq += 1;
                let id = self.seq;
                let file = self.which(span.file);
                self.streams.push(Stream {
                    id,
                    node: n,
                    span,
                    at: span.first,
                    left: f64::from(self.sizes[file][span.first as usize]),
                    rate: 0.0,
                    active: false,
                    moved: false,
                });
                self.at(self.now + self.school.rtt, Ev::WanStart(id));
            }
            Effect::CancelWan(span) => {
                self.advance_wan();
                for stream in self
                    .streams
                    .extract_if(.., |stream| stream.node == n && stream.span == span)
                {
                    // What is on its way already comes all the same.
                    self.wan_bytes += (stream.rate * self.school.rtt as f64 / 1e6).min(stream.left);
                }
                self.share_wan();
            }
            Effect::Ask { peer, span } => self.say(n, self.who(&peer), Talk::Ask(span)),
            Effect::CancelAsk { peer, span } => self.say(n, self.who(&peer), Talk::Cancel(span)),
            Effect::Disconnect { peer, .. } => {
                let other = self.who(&peer);
                self.part(n, other);
            }
            Effect::Pace(kbps) => {
                self.advance_wan();
                self.nodes[n].pace_kbps = kbps;
                self.share_wan();
            }
            Effect::GiveUp { .. } => {
                self.nodes[n].gave_up += 1;
                self.look_if_done(n);
            }
        }
    }

    /// The connection is gone; both learn of it at once.
    fn part(&mut self, a: usize, b: usize) {
        if self.joined.remove(&pair(a, b)).is_none() {
            return;
        }
        self.end_flow(a, b);
        self.end_flow(b, a);
        let (id_a, id_b) = (self.nodes[a].id.clone(), self.nodes[b].id.clone());
        self.tell(a, Event::PeerDown(id_b));
        self.tell(b, Event::PeerDown(id_a));
    }

    fn happen(&mut self, ev: Ev) {
        match ev {
            Ev::Assign(n) => self.assign(n),
            Ev::Timer(n, timer) => {
                if self.nodes[n].timer == timer {
                    let now = self.millis();
                    if let Some(core) = &mut self.nodes[n].core {
                        core.handle_timeout(now);
                        self.perform(n);
                    }
                }
            }
            Ev::Word(from, to, number) => {
                let Some((joined, talk)) = self.words.remove(&number) else {
                    return;
                };
                if self.joined.get(&pair(from, to)) == Some(&joined) {
                    self.hear(from, to, talk);
                }
            }
            Ev::WanStart(id) => {
                self.advance_wan();
                let missing = self.streams.iter().find(|stream| stream.id == id);
                if let Some((n, span)) = missing
                    .filter(|stream| self.school.missing.contains(&self.which(stream.span.file)))
                    .map(|stream| (stream.node, stream.span))
                {
                    self.streams.retain(|stream| stream.id != id);
                    self.tell(
                        n,
                        Event::WanEnded {
                            span,
                            end: WanEnd::NotFound,
                        },
                    );
                    return;
                }
                if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id) {
                    stream.active = true;
                    self.at(self.now + 500 * MS, Ev::WanBeat(id));
                }
                self.share_wan();
            }
            Ev::WanNext(version) => {
                if version == self.wan_version {
                    self.advance_wan();
                    self.wan_arrivals();
                    self.share_wan();
                }
            }
            Ev::WanBeat(id) => {
                self.advance_wan();
                let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id) else {
                    return;
                };
                let (n, span, moved) = (stream.node, stream.span, std::mem::take(&mut stream.moved));
                self.at(self.now + 500 * MS, Ev::WanBeat(id));
                if moved {
                    self.tell(n, Event::WanProgress(span));
                }
            }
            Ev::LanNext(from, to, version) => self.lan_arrival(from, to, version),
            Ev::Stored(n, life, file, index, from) => {
                if self.nodes[n].life != life || self.nodes[n].core.is_none() {
                    return;
                }
                self.nodes[n].stored[file].entry(index).or_insert(self.now);
                let from = from.map_or(Source::Wan, |peer| Source::Peer(self.nodes[peer].id.clone()));
                let key = self.keys[file];
                self.tell(
                    n,
                    Event::Stored {
                        file: key,
                        index,
                        from,
                    },
                );
                self.look_if_done(n);
            }
            Ev::Ended(n, life, span) => {
                if self.nodes[n].life == life {
                    self.tell(
                        n,
                        Event::WanEnded {
                            span,
                            end: WanEnd::Ok,
                        },
                    );
                }
            }
            Ev::Down(a, b, joined) => {
                if self.joined.get(&pair(a, b)) == Some(&joined) {
                    self.part(a, b);
                }
            }
            Ev::Connect(a, b) => {
                if self.nodes[a].life > 0 && self.up(a) && self.up(b) {
                    self.part(a, b);
                    self.connect(a, b);
                }
            }
            Ev::Cut(n) => self.cut(n),
            Ev::Rise(n) => {
                self.boot(n);
                for other in 0..self.nodes.len() {
                    if other != n && self.up(other) {
                        let wait = self.rng.random_range(100 * MS..800 * MS);
                        self.at(self.now + wait, Ev::Connect(n, other));
                    }
                }
                if self.nodes[n].assigned {
                    let wait = self.rng.random_range(50 * MS..600 * MS);
                    self.at(self.now + wait, Ev::Assign(n));
                }
            }
            Ev::Hostile(n) => self.hostile(n),
        }
    }

    fn up(&self, n: usize) -> bool {
        self.nodes[n].core.is_some() || self.nodes[n].kind != Kind::Honest
    }

    fn assign(&mut self, n: usize) {
        self.nodes[n].assigned = true;
        if self.nodes[n].core.is_none() {
            return;
        }
        for file in 0..self.keys.len() {
            let mut have = Bits::none(self.sizes[file].len() as u32);
            for index in self.nodes[n].stored[file].keys() {
                have.set(*index);
            }
            if !have.is_full() {
                let want = Want {
                    file: self.keys[file],
                    chunks: self.sizes[file].clone(),
                    have,
                    priority: Priority {
                        class: 1,
                        due: i64::MAX,
                        order: file as u32,
                    },
                    over_metered: false,
                };
                self.tell(n, Event::Want(want));
            }
        }
        self.look_if_done(n);
    }

    fn look_if_done(&mut self, n: usize) {
        let node = &self.nodes[n];
        let full = |file: usize| node.stored[file].len() == self.sizes[file].len();
        let missing = (0..self.keys.len()).filter(|file| !full(*file)).count();
        let gone = (0..self.keys.len())
            .filter(|file| !full(*file) && self.school.missing.contains(file))
            .count();
        if node.done_at.is_none() && (missing == 0 || (missing == gone && node.gave_up >= gone)) {
            self.nodes[n].done_at = Some(self.now);
        }
    }

    fn cut(&mut self, n: usize) {
        if self.nodes[n].core.is_none() {
            return;
        }
        self.advance_wan();
        self.nodes[n].core = None;
        self.nodes[n].life += 1;
        self.nodes[n].timer += 1;
        self.streams.retain(|stream| stream.node != n);
        self.share_wan();
        let kept = self.now / CHECKPOINT * CHECKPOINT;
        for stored in &mut self.nodes[n].stored {
            stored.retain(|_, at| *at <= kept);
        }
        if (0..self.keys.len()).any(|file| self.nodes[n].stored[file].len() < self.sizes[file].len()) {
            self.nodes[n].done_at = None;
        }
        for other in 0..self.nodes.len() {
            if other == n {
                continue;
            }
            // Silent: nothing is sent any more, and the others notice after a while.
            self.end_flow(n, other);
            self.end_flow(other, n);
            if let Some(joined) = self.joined.get(&pair(n, other)).copied() {
                let wait = self.rng.random_range(50 * MS..4 * S);
                self.at(self.now + wait, Ev::Down(n, other, joined));
            }
        }
        let off = self.rng.random_range(2 * S..6 * S);
        self.at(self.now + off, Ev::Rise(n));
    }

    // The line: all requests share it evenly, up to what each board's own path carries.

    fn advance_wan(&mut self) {
        let dt = (self.now - self.wan_at) as f64 / 1e6;
        self.wan_at = self.now;
        if dt <= 0.0 {
            return;
        }
        let mut moved = 0.0;
        for stream in &mut self.streams {
            let bytes = (stream.rate * dt).min(stream.left);
            stream.left -= bytes;
            stream.moved |= bytes > 0.0;
            moved += bytes;
        }
        self.wan_bytes += moved;
        // What flowed since then is spread over the seconds it took.
        let per_us = moved / (dt * 1e6);
        let mut from = self.now - (dt * 1e6) as Us;
        while from < self.now {
            if from / S != self.second.0 {
                self.second = (from / S, 0.0);
            }
            let to = ((from / S + 1) * S).min(self.now);
            self.second.1 += per_us * (to - from) as f64;
            self.peak = self.peak.max(self.second.1);
            from = to;
        }
    }

    fn wan_arrivals(&mut self) {
        let mut arrived = Vec::new();
        let mut over = Vec::new();
        for stream in &mut self.streams {
            if stream.active && stream.left < 0.5 {
                let file = self.keys.iter().position(|key| *key == stream.span.file).unwrap();
                arrived.push((stream.node, file, stream.at));
                stream.at += 1;
                if stream.at < stream.span.chunks().end {
                    stream.left = f64::from(self.sizes[file][stream.at as usize]);
                } else {
                    over.push((stream.id, stream.node, stream.span));
                }
            }
        }
        self.streams
            .retain(|stream| over.iter().all(|(id, _, _)| *id != stream.id));
        for (n, file, index) in arrived {
            let life = self.nodes[n].life;
            self.at(self.now + WRITE, Ev::Stored(n, life, file, index, None));
        }
        // Its end is told after the last chunk.
        for (_, n, span) in over {
            let (life, wait) = (self.nodes[n].life, self.rng.random_range(WRITE + 1..2 * WRITE));
            self.at(self.now + wait, Ev::Ended(n, life, span));
        }
    }

    fn share_wan(&mut self) {
        self.wan_version += 1;
        let mut left = self.school.line_mbps * 1e6 / 8.0;
        let mut of_node: BTreeMap<usize, usize> = BTreeMap::new();
        for stream in self.streams.iter().filter(|stream| stream.active) {
            *of_node.entry(stream.node).or_default() += 1;
        }
        let cap = |n: usize, streams: usize| {
            let node = &self.nodes[n];
            let paced = node.pace_kbps.map(|kbps| f64::from(kbps) * 125.0);
            let path = node.cap_mbps.map(|mbps| mbps * 1e6 / 8.0);
            paced.into_iter().chain(path).fold(f64::INFINITY, f64::min) / streams as f64
        };
        let mut caps: Vec<(f64, usize, usize)> = of_node
            .iter()
            .map(|(n, count)| (cap(*n, *count), *n, *count))
            .collect();
        caps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut streams: usize = of_node.values().sum();
        let mut rates = BTreeMap::new();
        for (cap, n, count) in caps {
            let rate = cap.min(left / streams as f64);
            left -= rate * count as f64;
            streams -= count;
            rates.insert(n, rate);
        }
        let mut next: Option<f64> = None;
        for stream in &mut self.streams {
            stream.rate = if stream.active { rates[&stream.node] } else { 0.0 };
            if stream.rate > 0.0 {
                let wait = stream.left / stream.rate;
                next = Some(next.map_or(wait, |before: f64| before.min(wait)));
            }
        }
        if let Some(wait) = next {
            let version = self.wan_version;
            self.at(self.now + (wait * 1e6).ceil() as Us + 1, Ev::WanNext(version));
        }
    }

    // The LAN: one queue for each pair and direction, rates bounded by both ports.

    fn send(&mut self, from: usize, to: usize, file: usize, index: u32) {
        let bytes = f64::from(self.sizes[file][index as usize]) + 200.0;
        let flow = self.flows.entry((from, to)).or_default();
        flow.queue.push_back((file, index, bytes));
        if flow.queue.len() == 1 {
            flow.since = self.now;
            flow.rate = 0.0;
            self.outs[from] += 1;
            self.ins[to] += 1;
            self.share_lan(from, to);
        }
    }

    fn end_flow(&mut self, from: usize, to: usize) {
        let busy = self
            .flows
            .remove(&(from, to))
            .is_some_and(|flow| !flow.queue.is_empty());
        if busy {
            self.outs[from] -= 1;
            self.ins[to] -= 1;
            self.share_lan(from, to);
        }
    }

    fn share_lan(&mut self, from: usize, to: usize) {
        let port = self.school.port_mbps * 1e6 / 8.0;
        let mut next = Vec::new();
        for ((a, b), flow) in &mut self.flows {
            if (*a != from && *b != to) || flow.queue.is_empty() {
                continue;
            }
            let rate = (port / self.outs[*a] as f64).min(port / self.ins[*b] as f64);
            if (rate - flow.rate).abs() < 1.0 {
                continue;
            }
            let moved = flow.rate * (self.now - flow.since) as f64 / 1e6;
            flow.queue[0].2 -= moved;
            flow.since = self.now;
            flow.rate = rate;
            flow.version += 1;
            let wait = (flow.queue[0].2.max(0.0) / rate * 1e6).ceil() as Us + 1;
            next.push((self.now + wait, Ev::LanNext(*a, *b, flow.version)));
        }
        for (at, ev) in next {
            self.at(at, ev);
        }
    }

    fn lan_arrival(&mut self, from: usize, to: usize, version: u64) {
        let Some(flow) = self
            .flows
            .get_mut(&(from, to))
            .filter(|flow| flow.version == version)
        else {
            return;
        };
        let Some((file, index, _)) = flow.queue.pop_front() else {
            return;
        };
        flow.since = self.now;
        flow.version += 1;
        if let Some((_, _, bytes)) = flow.queue.front() {
            let wait = (bytes / flow.rate * 1e6).ceil() as Us + 1;
            let version = flow.version;
            self.at(self.now + wait, Ev::LanNext(from, to, version));
        } else {
            flow.rate = 0.0;
            self.outs[from] -= 1;
            self.ins[to] -= 1;
            self.share_lan(from, to);
        }
        self.lan_bytes += f64::from(self.sizes[file][index as usize]);
        let life = self.nodes[to].life;
        if self.nodes[from].kind == Kind::Wrong {
            let from = Source::Peer(self.nodes[from].id.clone());
            let key = self.keys[file];
            self.tell(
                to,
                Event::Wrong {
                    file: key,
                    index,
                    from,
                },
            );
        } else {
            let latency = self.rng.random_range(self.school.word.0..=self.school.word.1);
            self.at(
                self.now + latency + WRITE,
                Ev::Stored(to, life, file, index, Some(from)),
            );
        }
    }

    fn hear(&mut self, from: usize, to: usize, talk: Talk) {
        if self.nodes[to].kind != Kind::Honest {
            self.hostile_hears(from, to, talk);
            return;
        }
        match talk {
            Talk::Word(word) => {
                let peer = self.nodes[from].id.clone();
                self.tell(to, Event::Heard { peer, word });
            }
            Talk::Ask(span) => {
                let file = self.which(span.file);
                for index in span.chunks() {
                    if self.nodes[to].stored[file].contains_key(&index) {
                        self.send(to, from, file, index);
                    } else {
                        let span = Span {
                            first: index,
                            count: 1,
                            ..span
                        };
                        self.say(to, from, Talk::Word(Word::Denies(span, Denial::Gone)));
                    }
                }
            }
            Talk::Cancel(span) => {
                let file = self.which(span.file);
                if let Some(flow) = self.flows.get_mut(&(to, from)) {
                    let mut first = true;
                    // The one on its way is sent to its end.
                    flow.queue.retain(|(of, index, _)| {
                        std::mem::take(&mut first) || *of != file || !span.chunks().contains(index)
                    });
                }
            }
        }
    }

    // Those that mean no good.

    fn hostile_hears(&mut self, from: usize, to: usize, talk: Talk) {
        match (self.nodes[to].kind, talk) {
            (Kind::Claims | Kind::Boasts, Talk::Word(_)) | (_, Talk::Cancel(_)) => {}
            (_, Talk::Word(Word::Wants(key))) => self.has_all(to, from, key),
            (_, Talk::Word(_)) => {}
            (Kind::Wrong, Talk::Ask(span)) => {
                let file = self.which(span.file);
                for index in span.chunks() {
                    self.send(to, from, file, index);
                }
            }
            (Kind::Denies, Talk::Ask(span)) => {
                self.say(to, from, Talk::Word(Word::Denies(span, Denial::Gone)));
                self.has_all(to, from, span.file);
            }
            (_, Talk::Ask(_)) => {}
        }
    }

    fn has_all(&mut self, from: usize, to: usize, key: FileKey) {
        let len = self.sizes[self.which(key)].len() as u32;
        self.say(
            from,
            to,
            Talk::Word(Word::Has {
                file: key,
                have: Bits::all(len),
            }),
        );
    }

    fn hostile(&mut self, n: usize) {
        let kind = self.nodes[n].kind;
        for other in 0..self.nodes.len() {
            if other == n {
                continue;
            }
            for file in 0..self.keys.len() {
                self.say(n, other, Talk::Word(Word::Wants(self.keys[file])));
                if matches!(kind, Kind::Claims | Kind::Boasts) {
                    let len = self.sizes[file].len() as u32;
                    // The same for a while, as if it were at it.
                    let turn = self.now / (5 * S);
                    for claim in 0..8u32 {
                        let first = ((n as u32 * 131 + claim * 37 + turn as u32 * 61) * 7) % len;
                        let span = Span {
                            file: self.keys[file],
                            first,
                            count: 6.min(len - first),
                        };
                        self.say(n, other, Talk::Word(Word::Claims(span)));
                        if kind == Kind::Boasts {
                            self.say(n, other, Talk::Word(Word::Got(span)));
                        }
                    }
                }
            }
        }
        self.at(self.now + S, Ev::Hostile(n));
    }
}

/// Shares of a list of figures.
pub(crate) fn spread(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    let at = |part: f64| figures[((figures.len() - 1) as f64 * part) as usize];
    format!(
        "min {:.4} median {:.4} p95 {:.4} max {:.4}",
        at(0.0),
        at(0.5),
        at(0.95),
        at(1.0)
    )
}
