//! What is asked of whom over the LAN, and what becomes of those that do not deliver.
//!
//! A chunk that just came over the line is with one board only. If all the others asked that one, its port would carry the
//! chunk as often as there are boards, and every copy would be slow. So the others stand in a row, each chunk in another
//! one, and the n-th holder is asked by the n-th few of them: copies spread like a tree that nobody has to plan. Whoever is
//! still without the chunk after 1.2 s asks anyone.

use std::time::Duration;

use contract::id::DeviceId;
use rand::Rng;

use super::{
    Denial, Distrust, Effect, Span, Swarm,
    file::File,
    peer::{Asked, Credit},
    swarm::ones,
    weigh,
};
use crate::time::Millis;

/// Boards that ask each holder of a new chunk.
const FAN_OUT: u32 = 5;
/// Most bytes of one ask.
const ASK_BYTES: u64 = 256 * 1024;
/// Chunks that are compared to find a rare one.
const COMPARED: u32 = 48;
/// Without an answer for so long, and 1 s more for every MiB asked, a peer's word does not count.
const DOUBT: Duration = Duration::from_millis(1000);
/// As long again for every 64 KiB/s that a chunk takes, and it counts as misbehaviour.
const STRIKE: Duration = Duration::from_secs(3);
const SLOWEST_BYTES_PER_S: u64 = 64 * 1024;
/// At the end of a file, what does not come within this is asked of another, too.
const SECOND_ASK: Duration = Duration::from_millis(400);
/// Not asked for so long after the first strike, twice as long after each further one.
const FIRST_OUT: Duration = Duration::from_secs(10);
const LONGEST_OUT: Duration = Duration::from_secs(600);
/// So many strikes, and it is sent away.
const STRIKES: u32 = 6;
const UNRELIABLE_BAN: Duration = Duration::from_secs(3600);
/// A busy peer is left alone for so long.
const BUSY: Duration = Duration::from_millis(200);
/// Denied so often in a row, and it is as if it had not answered.
const DENIALS: u32 = 8;

impl Swarm {
    /// Asks everyone for what they have and we miss.
    pub(super) fn ask_all(&mut self, now: Millis) {
        if self.order.is_empty() || self.up == 0 {
            return;
        }
        let from = self.dice.random_range(0..64);
        let turned = self.up.rotate_right(from);
        for slot in ones(turned) {
            self.ask_of((slot + from as usize) % 64, now);
        }
    }

    pub(super) fn ask_of(&mut self, slot: usize, now: Millis) {
        loop {
            let Some(room) = self
                .peer(slot)
                .map(|peer| peer.room(now))
                .filter(|room| *room > 0)
            else {
                return;
            };
            if self.asked_bytes > 0 && self.asked_bytes >= self.settings.asked_bytes {
                return;
            }
            let Some((at, first, count)) = self.pick(slot, room.min(ASK_BYTES)) else {
                return;
            };
            // Who is doubted is tried once more, and nobody waits for it.
            let doubted = self
                .peer(slot)
                .is_some_and(|peer| peer.credit == Credit::Doubtful);
            let Some(file) = self.file_mut(at) else { return };
            let span = Span {
                file: file.key,
                first,
                count,
            };
            let mut asked = Vec::new();
            for index in span.chunks() {
                if !doubted {
                    file.taken.set(index);
                }
                asked.push(Asked {
                    file: at,
                    index,
                    bytes: file.size(index),
                    at: now,
                    released: doubted,
                });
            }
            self.asked_bytes += asked.iter().map(|asked| asked.bytes).sum::<u64>();
            let Some(peer) = self.peer_mut(slot) else { return };
            asked.into_iter().for_each(|asked| peer.ask(asked));
            let peer = peer.id.clone();
            self.effect(Effect::Ask { peer, span });
        }
    }

    /// The rarest of some chunks that the peer has and we miss, from a place where nobody else is likely to begin, and its
    /// neighbours as far as they fit.
    fn pick(&mut self, slot: usize, most_bytes: u64) -> Option<(usize, u32, u32)> {
        let throw = self.dice.random_range(0..u32::MAX);
        for place in 0..self.order.len() {
            let at = self.order[place];
            let Some(file) = self.files.get(at).and_then(Option::as_ref) else {
                continue;
            };
            let Some(offers) = file.offers.get(&slot) else {
                continue;
            };
            let peer = self.peers.get(slot).and_then(Option::as_ref)?;
            let wanted = |index: u32| {
                offers.get(index)
                    && !file.have.get(index)
                    && !file.taken.get(index)
                    && self.is_my_turn(file, index)
                    && !peer.was_asked(at, index)
            };
            let start = throw % file.len().max(1);
            let (from, words) = (start as usize / 64, file.have.words());
            let low = (1u64 << (start % 64)) - 1;
            let mut best: Option<(u8, u32)> = None;
            let mut compared = 0;
            // The first word comes twice: from the start on, and what lies before it.
            'words: for step in 0..=words {
                let word = (from + step) % words.max(1);
                let mut candidates = offers.word(word) & !file.have.word(word) & !file.taken.word(word);
                if step == 0 {
                    candidates &= !low;
                } else if step == words {
                    candidates &= low;
                }
                for bit in ones(candidates) {
                    let index = u32::try_from(word * 64 + bit).unwrap_or(u32::MAX);
                    if !wanted(index) {
                        continue;
                    }
                    let holders = file.holders(index);
                    if best.is_none_or(|(rarest, _)| holders < rarest) {
                        best = Some((holders, index));
                    }
                    compared += 1;
                    if compared >= COMPARED || holders <= 1 {
                        break 'words;
                    }
                }
            }
            if let Some((_, first)) = best {
                let mut bytes = file.size(first);
                let mut count = 1;
                for index in first + 1..file.len() {
                    bytes += file.size(index);
                    if bytes > most_bytes || !wanted(index) {
                        break;
                    }
                    count += 1;
                }
                return Some((at, first, count));
            }
        }
        None
    }

    /// Whether our place in this chunk's row is among those whom its holders serve next.
    fn is_my_turn(&self, file: &File, index: u32) -> bool {
        let served = FAN_OUT * u32::from(file.holders(index).max(1));
        if file.free.get(index) || file.wanters.count_ones() < served {
            return true;
        }
        // Everyone works out the same row, so that somebody always stands at its head: with places thrown like dice, every
        // 200th chunk of 40 boards was nobody's for 1.2 s. Those who have the chunk stand in it, too, one each at most.
        let served = served + u32::from(file.holders(index));
        let weight = |board: u64| weigh::mix(board, file.seed ^ u64::from(index));
        let own = weight(self.seed);
        let before = ones(file.wanters)
            .filter_map(|slot| self.peer(slot))
            .filter(|peer| weight(peer.seed) < own)
            .take(served as usize);
        before.count() < served as usize
    }

    /// A chunk that the peer sent was verified.
    pub(super) fn delivered(&mut self, slot: usize, at: usize, index: u32, now: Millis) {
        let Some(peer) = self.peer_mut(slot) else { return };
        let Some(asked) = peer.take_asked(at, index) else {
            return;
        };
        peer.served(asked.at, now);
        self.asked_bytes = self.asked_bytes.saturating_sub(asked.bytes);
        if matches!(self.peer(slot), Some(peer) if peer.credit != Credit::Good) {
            self.credit(slot, Credit::Good);
        }
    }

    /// Whoever else was asked for a chunk that is here now need not send it.
    pub(super) fn cancel_doubles(&mut self, at: usize, index: u32) {
        for slot in ones(self.up) {
            if let Some(peer) = self.peer_mut(slot)
                && let Some(asked) = peer.take_asked(at, index)
            {
                let id = peer.id.clone();
                self.asked_bytes = self.asked_bytes.saturating_sub(asked.bytes);
                self.cancel_ask(id, at, index, 1);
            }
        }
    }

    fn cancel_ask(&mut self, peer: DeviceId, at: usize, first: u32, count: u32) {
        if let Some(file) = self.file(at).map(|file| file.key) {
            self.effect(Effect::CancelAsk {
                peer,
                span: Span { file, first, count },
            });
        }
    }

    pub(super) fn cancel_asks_of(&mut self, at: usize) {
        for slot in ones(self.up) {
            self.cancel_asks(slot, |asked| asked.file == at);
        }
    }

    fn cancel_asks(&mut self, slot: usize, which: impl Fn(&Asked) -> bool) {
        let Some(peer) = self.peer_mut(slot) else { return };
        let going: Vec<_> = peer.asked.iter().copied().filter(|asked| which(asked)).collect();
        let id = peer.id.clone();
        for asked in going {
            if let Some(peer) = self.peer_mut(slot) {
                peer.take_asked(asked.file, asked.index);
            }
            self.asked_bytes = self.asked_bytes.saturating_sub(asked.bytes);
            self.untake(asked.file, asked.index);
            self.cancel_ask(id.clone(), asked.file, asked.index, 1);
        }
    }

    pub(super) fn denied(&mut self, slot: usize, at: usize, span: Span, why: Denial, now: Millis) {
        let mut any = false;
        for index in span.chunks() {
            let Some(peer) = self.peer_mut(slot) else { return };
            let Some(asked) = peer.take_asked(at, index) else {
                continue;
            };
            any = true;
            self.asked_bytes = self.asked_bytes.saturating_sub(asked.bytes);
            self.untake(at, index);
        }
        let Some(peer) = self.peer_mut(slot).filter(|_| any) else {
            return;
        };
        match why {
            Denial::Busy => peer.pause_until = now + BUSY,
            Denial::Gone => {
                peer.denials += 1;
                let (denials, counts) = (peer.denials, peer.credit.counts());
                if let Some(file) = self.file_mut(at) {
                    file.withdraw(slot, span.chunks(), counts);
                }
                if denials >= DENIALS {
                    self.strike(slot, now);
                }
            }
        }
        self.ask_all(now);
    }

    /// Looks for peers that let us wait.
    pub(super) fn look_at_asks(&mut self, now: Millis) {
        for slot in ones(self.up) {
            let Some(peer) = self.peer(slot) else { continue };
            if let Credit::Out(until) = peer.credit {
                if until <= now {
                    self.credit(slot, Credit::Doubtful);
                }
                continue;
            }
            let (Some(since), Some(next)) = (peer.unserved_since, peer.asked.front()) else {
                continue;
            };
            let waited = now.since(since);
            let strike = STRIKE + Duration::from_millis(next.bytes * 1000 / SLOWEST_BYTES_PER_S);
            let doubt = DOUBT + Duration::from_millis(peer.asked_bytes * 1000 / (1024 * 1024));
            if waited >= strike {
                self.strike(slot, now);
            } else if waited >= doubt && peer.credit != Credit::Doubtful {
                self.credit(slot, Credit::Doubtful);
                self.release(slot, |_, _| true);
            } else {
                self.release(slot, |asked, file| {
                    now.since(asked.at) >= SECOND_ASK
                        && file.holders(asked.index) > 1
                        && file.have.count() + file.taken.count() >= file.len()
                });
            }
        }
    }

    /// What was asked of the peer may be asked of others, too.
    fn release(&mut self, slot: usize, which: impl Fn(&Asked, &File) -> bool) {
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let files = &self.files;
        let mut released = Vec::new();
        for asked in peer.asked.iter_mut().filter(|asked| !asked.released) {
            let file = files.get(asked.file).and_then(Option::as_ref);
            if file.is_some_and(|file| which(asked, file)) {
                asked.released = true;
                released.push((asked.file, asked.index));
            }
        }
        for (at, index) in released {
            self.untake(at, index);
            if let Some(file) = self.file_mut(at) {
                file.free.set(index);
            }
        }
    }

    /// It did not deliver what it said it has.
    fn strike(&mut self, slot: usize, now: Millis) {
        let Some(peer) = self.peer_mut(slot) else { return };
        peer.denials = 0;
        let id = peer.id.clone();
        self.cancel_asks(slot, |_| true);
        let record = self.record(&id);
        record.strikes += 1;
        let strikes = record.strikes;
        let out = FIRST_OUT
            .saturating_mul(1 << (strikes - 1).min(10))
            .min(LONGEST_OUT);
        record.out_until = now + out;
        self.credit(slot, Credit::Out(now + out));
        if strikes >= STRIKES {
            self.send_away(&id, Some(UNRELIABLE_BAN), Distrust::Unreliable, now);
        } else {
            self.ask_all(now);
        }
    }
}
