//! The state of one board in the swarm, and what follows from each event.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    time::Duration,
};

use contract::id::DeviceId;
use rand::{SeedableRng, rngs::SmallRng};

use super::{
    Bits, Distrust, Effect, Event, FileKey, MAX_PEERS, Priority, Settings, Source, Span, Standing, To,
    WanPolicy, Want, Word,
    file::File,
    line::Line,
    peer::{Credit, Interest, Peer, Record},
    weigh,
};
use crate::time::Millis;

/// While anything is wanted, everything that waits for time to pass is looked at this often.
const TICK: Duration = Duration::from_millis(100);
/// Misbehaviour is remembered of so many peers.
const MAX_RECORDS: usize = 256;
/// Who sent wrong bytes is not seen again for so long.
pub(super) const BAN: Duration = Duration::from_secs(24 * 3600);

/// Decides what to fetch over the line, what to ask of whom and what to tell.
#[derive(Debug)]
pub struct Swarm {
    pub(super) settings: Settings,
    pub(super) seed: u64,
    pub(super) dice: SmallRng,
    pub(super) policy: WanPolicy,
    /// Files that are worked on, by place.
    pub(super) files: Vec<Option<File>>,
    pub(super) places: BTreeMap<FileKey, usize>,
    /// Places in the order of fetching.
    pub(super) order: Vec<usize>,
    /// Files that wait for their turn.
    pub(super) queue: BTreeMap<(Priority, FileKey), Want>,
    pub(super) queued: BTreeMap<FileKey, Priority>,
    pub(super) peers: Vec<Option<Peer>>,
    pub(super) slots: BTreeMap<DeviceId, usize>,
    /// Which slots are taken, one bit each.
    pub(super) up: u64,
    pub(super) records: BTreeMap<DeviceId, Record>,
    /// Who wants files that we do not work on.
    pub(super) interest: BTreeMap<FileKey, Interest>,
    pub(super) asked_bytes: u64,
    pub(super) line: Line,
    /// The last time that a verified chunk came, from anywhere.
    pub(super) arrived_at: Millis,
    /// Chunks that were left to others first, and when that ends.
    pub(super) lapses: VecDeque<(Millis, FileKey, Range<u32>)>,
    tick_at: Option<Millis>,
    effects: VecDeque<Effect>,
}

impl Swarm {
    /// Nothing wanted, nobody connected. `seed` spreads what would else be the same on every board.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            seed: weigh::of_device(settings.own.as_str()),
            line: Line::new(settings.fetchers, seed),
            dice: SmallRng::seed_from_u64(seed),
            settings,
            policy: WanPolicy::default(),
            files: Vec::new(),
            places: BTreeMap::new(),
            order: Vec::new(),
            queue: BTreeMap::new(),
            queued: BTreeMap::new(),
            peers: Vec::new(),
            slots: BTreeMap::new(),
            up: 0,
            records: BTreeMap::new(),
            interest: BTreeMap::new(),
            asked_bytes: 0,
            arrived_at: Millis::default(),
            lapses: VecDeque::new(),
            tick_at: None,
            effects: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Millis) {
        // Most of what peers say begins nothing over the line; what of it does can wait for the next look around.
        self.line.look |= !matches!(
            event,
            Event::Heard { .. } | Event::Stored { .. } | Event::WanProgress(_)
        );
        self.line.born(now);
        match event {
            Event::School { others } => self.line.school(others),
            Event::Want(want) => self.want(want, now),
            Event::Drop(file) => self.drop_file(file),
            Event::Held { file, have } => self.held(file, have, now),
            Event::PeerUp(peer) => self.peer_up(peer, now),
            Event::PeerDown(peer) => self.peer_down(&peer, now),
            Event::Heard { peer, word } => {
                if let Some(slot) = self.slots.get(&peer).copied() {
                    self.heard(slot, word, now);
                }
            }
            Event::Stored { file, index, from } => self.stored(file, index, &from, now),
            Event::Wrong { file, index, from } => self.wrong(file, index, &from, now),
            Event::Lost { file, index } => {
                if let Some(file) = self.place(file).and_then(|at| self.file_mut(at)) {
                    file.lost(index);
                }
            }
            Event::WanProgress(span) => self.wan_progress(span, now),
            Event::WanEnded { span, end } => self.wan_ended(span, end, now),
            Event::Policy(policy) => self.policy(policy, now),
            Event::Online => self.line.online(now),
        }
        self.settle(now);
    }

    /// The next thing to do, oldest first.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        let news = self.order.iter().filter_map(|at| self.file(*at)?.tell_at);
        let settle = self.line.settle_at;
        news.chain(settle).chain(self.tick_at).min()
    }

    /// A deadline passed.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.line.look = true;
        if self.line.settle_at.is_some_and(|at| at <= now) {
            self.line.settle_at = None;
        }
        if self.tick_at.is_some_and(|at| at <= now) {
            self.tick_at = None;
            self.look_at_asks(now);
            self.look_at_claims(now);
            self.lapse(now);
            self.ask_all(now);
        }
        self.settle(now);
    }

    /// Where a span lies in its file, in bytes; `None` if the file is not worked on.
    pub fn bytes_of(&self, span: &Span) -> Option<Range<u64>> {
        let file = self.file(self.place(span.file)?)?;
        Some(file.place(span.chunks()))
    }

    /// What is going on.
    pub fn standing(&self) -> Standing {
        Standing {
            peers: self.slots.len(),
            files: self.order.len() + self.queue.len(),
            wan_spans: self.line.own.len(),
            asked_chunks: self.peers.iter().flatten().map(|peer| peer.asked.len()).sum(),
        }
    }

    /// What follows from everything at the end of each step.
    fn settle(&mut self, now: Millis) {
        self.fetch(now);
        self.tell_news(now);
        let busy = !self.order.is_empty();
        if !busy {
            self.tick_at = None;
        } else if self.tick_at.is_none() {
            self.tick_at = Some(now + TICK);
        }
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(super) fn place(&self, file: FileKey) -> Option<usize> {
        self.places.get(&file).copied()
    }

    pub(super) fn file(&self, at: usize) -> Option<&File> {
        self.files.get(at)?.as_ref()
    }

    pub(super) fn file_mut(&mut self, at: usize) -> Option<&mut File> {
        self.files.get_mut(at)?.as_mut()
    }

    pub(super) fn peer(&self, slot: usize) -> Option<&Peer> {
        self.peers.get(slot)?.as_ref()
    }

    pub(super) fn peer_mut(&mut self, slot: usize) -> Option<&mut Peer> {
        self.peers.get_mut(slot)?.as_mut()
    }

    pub(super) fn tell(&mut self, to: u64, word: Word) {
        let ids: Vec<_> = ones(to & self.up)
            .filter_map(|slot| Some(self.peer(slot)?.id.clone()))
            .collect();
        if !ids.is_empty() {
            self.effect(Effect::Tell {
                to: To::These(ids),
                word,
            });
        }
    }

    pub(super) fn tell_all(&mut self, word: Word) {
        if self.up != 0 {
            self.effect(Effect::Tell { to: To::All, word });
        }
    }

    fn held(&mut self, key: FileKey, have: Bits, now: Millis) {
        if self.place(key).is_some() {
            for index in have.iter() {
                self.stored(key, index, &Source::Local, now);
            }
        } else if let Some(interest) = self.interest.get_mut(&key) {
            let to = interest.answer(have.count());
            if have.count() > 0 {
                self.tell(to, Word::Has { file: key, have });
            }
        }
    }

    fn peer_up(&mut self, id: DeviceId, now: Millis) {
        if id == self.settings.own {
            return;
        }
        self.peer_down(&id, now);
        let slot = (0..MAX_PEERS).find(|slot| self.up >> slot & 1 == 0);
        let Some(slot) = slot else {
            self.effect(Effect::Disconnect {
                peer: id,
                ban: None,
                reason: Distrust::Full,
            });
            return;
        };
        let record = self.records.get(&id).copied().unwrap_or_default();
        if self.peers.len() <= slot {
            self.peers.resize_with(slot + 1, || None);
        }
        self.peers[slot] = Some(Peer::new(id.clone(), record, now));
        self.slots.insert(id, slot);
        self.line.joined(now);
        self.up |= 1 << slot;
        let wanted: Vec<_> = self
            .order
            .iter()
            .filter_map(|at| Some(self.file(*at)?.key))
            .collect();
        for key in wanted {
            self.tell(1 << slot, Word::Wants(key));
        }
    }

    pub(super) fn peer_down(&mut self, id: &DeviceId, now: Millis) {
        let Some(slot) = self.slots.remove(id) else { return };
        self.up &= !(1 << slot);
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::take) else {
            return;
        };
        let counts = peer.credit.counts();
        for file in self.files.iter_mut().flatten() {
            file.forget(slot, counts);
        }
        self.interest.retain(|_, interest| {
            interest.forget(slot);
            interest.wanters != 0
        });
        for asked in &peer.asked {
            self.asked_bytes = self.asked_bytes.saturating_sub(asked.bytes);
            self.untake(asked.file, asked.index);
        }
        let claimed: Vec<_> = peer.claims.iter().map(|claim| claim.file).collect();
        for at in claimed {
            self.reclaim(at);
        }
        self.ask_all(now);
    }

    /// A chunk is not on its way from a peer any more: it may be fetched elsewhere, unless others were asked, too.
    pub(super) fn untake(&mut self, at: usize, index: u32) {
        let held_back =
            |asked: &super::peer::Asked| asked.file == at && asked.index == index && !asked.released;
        let elsewhere = self
            .peers
            .iter()
            .flatten()
            .any(|peer| peer.asked.iter().any(held_back))
            || self.line.takes(at, index);
        if let Some(file) = self.file_mut(at)
            && !elsewhere
        {
            file.taken.unset(index);
        }
    }

    fn stored(&mut self, key: FileKey, index: u32, from: &Source, now: Millis) {
        let Some(at) = self.place(key) else { return };
        if let Source::Peer(id) = from
            && let Some(slot) = self.slots.get(id).copied()
        {
            self.delivered(slot, at, index, now);
        }
        let Some(file) = self.file_mut(at) else { return };
        if index >= file.len() || !file.got(index) {
            return;
        }
        if file.tell_at.is_none() {
            file.tell_at = Some(
                file.told_at
                    .map_or(now, |told| (told + super::words::NEWS_EVERY).max(now)),
            );
        }
        let complete = file.missing() == 0;
        self.arrived_at = now;
        self.cancel_doubles(at, index);
        self.wan_stored(at, index, *from == Source::Wan, now);
        if complete {
            self.tell_news_of(at, now);
            self.end(at);
            self.activate(now);
        }
        if let Source::Peer(id) = from
            && let Some(slot) = self.slots.get(id).copied()
        {
            self.ask_of(slot, now);
        }
    }

    fn wrong(&mut self, key: FileKey, index: u32, from: &Source, now: Millis) {
        match from {
            Source::Peer(id) => self.send_away(&id.clone(), Some(BAN), Distrust::WrongBytes, now),
            Source::Wan => {
                if let Some(at) = self.place(key) {
                    self.wan_wrong(at, index);
                }
            }
            Source::Local => {}
        }
    }

    pub(super) fn send_away(&mut self, id: &DeviceId, ban: Option<Duration>, reason: Distrust, now: Millis) {
        if self.slots.contains_key(id) {
            self.peer_down(id, now);
            self.effect(Effect::Disconnect {
                peer: id.clone(),
                ban,
                reason,
            });
        }
    }

    /// Changes how far a peer's word counts.
    pub(super) fn credit(&mut self, slot: usize, credit: Credit) {
        let Some(peer) = self.peer_mut(slot) else { return };
        let before = peer.credit.counts();
        peer.credit = credit;
        let counts = credit.counts();
        if before != counts {
            for file in self.files.iter_mut().flatten() {
                file.count(slot, counts);
            }
        }
    }

    pub(super) fn record(&mut self, id: &DeviceId) -> &mut Record {
        if self.records.len() >= MAX_RECORDS && !self.records.contains_key(id) {
            let mildest = self
                .records
                .iter()
                .min_by_key(|(_, record)| (record.strikes, record.stalls));
            if let Some(mildest) = mildest.map(|(id, _)| id.clone()) {
                self.records.remove(&mildest);
            }
        }
        self.records.entry(id.clone()).or_default()
    }
}

/// The slots in a set of them.
pub(super) fn ones(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (set != 0).then(|| {
            let slot = set.trailing_zeros() as usize;
            set &= set - 1;
            slot
        })
    })
}
