//! What peers say, and what they are told.

use std::time::Duration;

use super::{
    Bits, Denial, Distrust, Effect, FileKey, Span, Swarm, Word,
    peer::Claim,
    swarm::{BAN, ones},
};
use crate::time::Millis;

/// The first news is told at once, then at most so often for each file.
pub(super) const NEWS_EVERY: Duration = Duration::from_millis(25);
/// Files that one peer may want and we do not work on; more are not remembered.
const MAX_INTERESTS: usize = 1024;
/// Most bytes that one peer may claim at a time, in spans.
const MAX_CLAIMED_SPANS: usize = 8;
/// Who has not claimed for so long begins anew.
const NEW_START: Duration = Duration::from_secs(10);
/// So long is what was left to others left to them.
const LAPSE: Duration = Duration::from_millis(1200);
/// Lapses that are remembered; beyond that, nothing is left to others.
const MAX_LAPSES: usize = 4096;

impl Swarm {
    pub(super) fn heard(&mut self, slot: usize, word: Word, now: Millis) {
        match word {
            Word::Wants(key) => self.heard_wants(slot, key, now),
            Word::Unwants(key) => {
                if let Some(file) = self.place(key).and_then(|at| self.file_mut(at)) {
                    file.wanters &= !(1 << slot);
                } else if let Some(interest) = self.interest.get_mut(&key)
                    && interest.wanters >> slot & 1 == 1
                {
                    interest.forget(slot);
                    if interest.wanters == 0 {
                        self.interest.remove(&key);
                    }
                    if let Some(peer) = self.peer_mut(slot) {
                        peer.interests = peer.interests.saturating_sub(1);
                    }
                }
            }
            Word::Has { file, have } => self.heard_has(slot, file, &have, now),
            Word::Got(span) => self.heard_got(slot, span, now),
            Word::Claims(span) => self.heard_claims(slot, span, now),
            Word::Unclaims(span) => self.heard_unclaims(slot, span),
            Word::Denies(span, why) => self.heard_denies(slot, span, why, now),
        }
    }

    fn heard_wants(&mut self, slot: usize, key: FileKey, now: Millis) {
        let mine = 1 << slot;
        if let Some(at) = self.place(key) {
            let Some(file) = self.file_mut(at) else { return };
            let known = file.wanters & mine != 0;
            file.wanters |= mine;
            let has = (file.have.count() > 0).then(|| file.have.clone());
            if let Some(peer) = self.peer_mut(slot) {
                peer.fetching_at = now;
            }
            if known {
                // It was told when it said so first, and of everything since.
                return;
            }
            if let Some(have) = has {
                self.tell(mine, Word::Has { file: key, have });
            }
            for span in self.line.spans_of(at) {
                self.tell(mine, Word::Claims(span));
            }
            return;
        }
        let known = self
            .interest
            .get(&key)
            .is_some_and(|interest| interest.wanters & mine != 0);
        let Some(peer) = self.peer_mut(slot) else { return };
        if known || peer.interests >= MAX_INTERESTS {
            return;
        }
        peer.interests += 1;
        let interest = self.interest.entry(key).or_default();
        interest.wanters |= mine;
        interest.owed |= mine;
        self.effect(Effect::LookUp(key));
    }

    /// The span's place, if it lies within a file that we work on. A peer that names chunks outside a file is sent away.
    fn sensible(&mut self, slot: usize, span: Span, now: Millis) -> Option<usize> {
        let at = self.place(span.file)?;
        let len = self.file(at)?.len();
        let end = span.first.checked_add(span.count);
        if span.count > 0 && end.is_some_and(|end| end <= len) {
            return Some(at);
        }
        self.nonsense(slot, now);
        None
    }

    fn nonsense(&mut self, slot: usize, now: Millis) {
        if let Some(id) = self.peer(slot).map(|peer| peer.id.clone()) {
            self.send_away(&id, Some(BAN), Distrust::Nonsense, now);
        }
    }

    fn heard_has(&mut self, slot: usize, key: FileKey, have: &Bits, now: Millis) {
        let Some(at) = self.place(key) else { return };
        let Some(counts) = self.peer(slot).map(|peer| peer.credit.counts()) else {
            return;
        };
        let Some(file) = self.file_mut(at) else { return };
        let len = file.len();
        if have.len() != len {
            self.nonsense(slot, now);
            return;
        }
        file.withdraw(slot, 0..len, counts);
        for (first, count) in have.runs() {
            file.offer(slot, first..first + count, counts);
            // Whoever comes late need not stand in a row.
            (first..first + count).for_each(|index| {
                file.free.set(index);
            });
        }
        // It may have come to it another way, from a disk, while we fetch it over the line.
        for (first, count) in have.runs() {
            let span = Span {
                file: key,
                first,
                count,
            };
            self.overtaken(slot, at, span, now);
        }
        self.ask_of(slot, now);
    }

    fn heard_got(&mut self, slot: usize, span: Span, now: Millis) {
        let Some(at) = self.sensible(slot, span, now) else {
            return;
        };
        let Some(peer) = self.peer_mut(slot) else { return };
        let counts = peer.credit.counts();
        if counts {
            peer.fetched(&span, now);
        }
        let Some(file) = self.file_mut(at) else { return };
        let news = file.offer(slot, span.chunks(), counts);
        let first_of_all = news
            && span
                .chunks()
                .any(|index| !file.have.get(index) && file.holders(index) <= 1);
        if first_of_all {
            if self.lapses.len() < MAX_LAPSES {
                self.lapses.push_back((now + LAPSE, span.file, span.chunks()));
            } else if let Some(file) = self.file_mut(at) {
                span.chunks().for_each(|index| {
                    file.free.set(index);
                });
            }
        }
        self.prune_claims(slot, at);
        self.overtaken(slot, at, span, now);
        if news {
            self.ask_of(slot, now);
        }
    }

    /// What was left to others may be asked by now.
    pub(super) fn lapse(&mut self, now: Millis) {
        while self.lapses.front().is_some_and(|(until, _, _)| *until <= now)
            && let Some((_, key, chunks)) = self.lapses.pop_front()
        {
            if let Some(file) = self.place(key).and_then(|at| self.file_mut(at)) {
                chunks.for_each(|index| {
                    file.free.set(index);
                });
            }
        }
    }

    fn heard_claims(&mut self, slot: usize, span: Span, now: Millis) {
        let Some(at) = self.sensible(slot, span, now) else {
            return;
        };
        let span_bytes = u64::from(self.settings.span_bytes);
        let bytes = self.file(at).map_or(0, |file| file.bytes(span.chunks()));
        let Some(peer) = self.peer_mut(slot) else { return };
        if now < peer.claims_void_until {
            return;
        }
        // Letting go and claiming anew is no progress; only after a pause it is a new start.
        if peer.claims.is_empty() && now.since(peer.fetching_at) >= NEW_START {
            peer.chunkless_since = None;
        }
        peer.chunkless_since.get_or_insert(now);
        peer.fetching_at = now;
        if let Some(claim) = peer
            .claims
            .iter_mut()
            .find(|claim| claim.file == at && claim.span == span)
        {
            claim.alive_at = now;
            return;
        }
        // One chunk may be longer than a span.
        if peer.claims.len() >= MAX_CLAIMED_SPANS || (span.count > 1 && bytes > 2 * span_bytes) {
            return;
        }
        peer.claims.push(Claim {
            file: at,
            span,
            alive_at: now,
            chunk_at: now,
        });
        if let Some(file) = self.file_mut(at) {
            span.chunks().for_each(|index| {
                file.claimed.set(index);
            });
        }
        self.contest(slot, at, span, now);
    }

    fn heard_unclaims(&mut self, slot: usize, span: Span) {
        let Some(at) = self.place(span.file) else { return };
        let Some(peer) = self.peer_mut(slot) else { return };
        peer.claims.retain(|claim| !claim.span.overlaps(&span));
        self.reclaim(at);
    }

    fn heard_denies(&mut self, slot: usize, span: Span, why: Denial, now: Millis) {
        let Some(at) = self.sensible(slot, span, now) else {
            return;
        };
        self.denied(slot, at, span, why, now);
    }

    pub(super) fn tell_news(&mut self, now: Millis) {
        let due: Vec<_> = self
            .order
            .iter()
            .copied()
            .filter(|at| {
                self.file(*at)
                    .and_then(|file| file.tell_at)
                    .is_some_and(|at| at <= now)
            })
            .collect();
        for at in due {
            self.tell_news_of(at, now);
        }
    }

    pub(super) fn tell_news_of(&mut self, at: usize, now: Millis) {
        let Some(file) = self.file_mut(at) else { return };
        file.tell_at = None;
        file.told_at = Some(now);
        let news = std::mem::take(&mut file.news);
        let (key, wanters) = (file.key, file.wanters);
        if wanters == 0 {
            return;
        }
        for (first, count) in news {
            let span = Span {
                file: key,
                first,
                count,
            };
            self.tell(wanters, Word::Got(span));
        }
    }

    /// Peers that want a file, without those whose word does not count.
    pub(super) fn trusted(&self, set: u64) -> impl Iterator<Item = usize> + '_ {
        ones(set).filter(|slot| self.peer(*slot).is_some_and(|peer| peer.credit.counts()))
    }
}
