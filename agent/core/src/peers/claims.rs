//! What others have begun over the line: who keeps a span that two reach for, and what becomes of claims that do not get on.

use std::time::Duration;

use super::{
    Span, Swarm, Word,
    line::Own,
    peer::{Claim, Credit, Peer},
    swarm::ones,
    weigh,
};
use crate::time::Millis;

/// Nothing is heard of a claim for so long, and it is void.
const SILENT: Duration = Duration::from_secs(3);
/// No chunk of a claim comes for so long though the peer says it is at it, and it is void. The first where the line's rate
/// is not known.
const CHUNKLESS: Duration = Duration::from_secs(30);
/// Claims of the peer do not count for so long after that, and twice as long after each further time.
const VOID: Duration = Duration::from_secs(30);
const LONGEST_VOID: Duration = Duration::from_secs(1800);
/// With nothing else to do, a claim is taken over of which no chunk came for so long.
const IDLE_PATIENCE: Duration = Duration::from_millis(1500);
/// A span of ours that did not get on for so long is let go when another board reaches for it.
const STALE: Duration = Duration::from_secs(1);
/// Two boards that begin the same span within this did not know of each other.
const COLLISION: Duration = Duration::from_millis(200);

impl Peer {
    /// The peer says it has chunks that it claimed: it gets on.
    pub(super) fn fetched(&mut self, span: &Span, now: Millis) {
        for claim in self.claims.iter_mut().filter(|claim| claim.span.overlaps(span)) {
            claim.alive_at = now;
            claim.chunk_at = now;
            self.fetching_at = now;
            self.chunkless_since = Some(now);
        }
    }
}

impl Swarm {
    /// With nothing open: takes over what another board claimed and does not get on with.
    pub(super) fn steal(&mut self, now: Millis) -> Option<(usize, u32, u32)> {
        if self.up == 0 || !self.line.own.is_empty() {
            return None;
        }
        let own_chunk = Duration::from_millis(self.line.chunk_ms.unwrap_or(0).saturating_mul(3));
        let wary = now < self.line.wary_until;
        let mut best: Option<(Millis, Claim)> = None;
        for peer in self.peers.iter().flatten() {
            let patience = if wary && !peer.delivered {
                IDLE_PATIENCE / 3
            } else {
                IDLE_PATIENCE.max(own_chunk)
            };
            for claim in &peer.claims {
                let stuck = now.since(claim.chunk_at) >= patience;
                if stuck && best.is_none_or(|(since, _)| claim.chunk_at < since) {
                    best = Some((claim.chunk_at, *claim));
                }
            }
        }
        let (_, claim) = best?;
        let file = self.file(claim.file)?;
        let (mine, _) = self.my_part(claim.file, now);
        if file.not_at_console
            || (self.policy.metered && !file.over_metered)
            || (!mine && !self.is_starving(now))
        {
            return None;
        }
        let open = |index: &u32| !file.have.get(*index) && !file.taken.get(*index) && !file.held.get(*index);
        let first = claim.span.chunks().find(open)?;
        let count = (first..claim.span.chunks().end).take_while(open).count();
        let at = claim.file;
        // Nobody else looks at it again: the claim goes over to us.
        for peer in self.peers.iter_mut().flatten() {
            peer.claims
                .retain(|other| other.file != at || other.span != claim.span);
        }
        self.reclaim(at);
        Some((at, first, u32::try_from(count).ok()?))
    }

    /// A peer claims what we may have begun: one of us lets go.
    pub(super) fn contest(&mut self, slot: usize, at: usize, span: Span, now: Millis) {
        let Some(peer) = self.peer(slot).filter(|peer| peer.credit.counts()) else {
            return;
        };
        let theirs = peer.seed;
        let patience = self.stale_after();
        let going: Vec<_> = self
            .line
            .own
            .iter()
            .copied()
            .filter(|own| own.file == at && own.claimed().overlaps(&span))
            .collect();
        for own in going {
            let Some(file) = self.file(at) else { return };
            let shared = own.span.first.max(span.first);
            let weight = |who: u64| weigh::mix(who, file.seed ^ (file.block_of(shared) as u64 + 1));
            let stale = now.since(own.chunk_at) >= patience;
            let fresh = now.since(own.begun) < COLLISION;
            let outweighed = fresh && weight(theirs) > weight(self.seed);
            if !stale && !outweighed {
                self.tell(1 << slot, Word::Claims(own.claimed()));
                continue;
            }
            self.shorten(own, span.first, stale, now);
        }
    }

    /// What lies from `first` on is done by others: we end there, or at once where we are past it.
    fn shorten(&mut self, own: Own, first: u32, stale: bool, now: Millis) {
        let Some(file) = self.file(own.file) else { return };
        let next = own.span.chunks().find(|index| !file.have.get(*index));
        if next.is_some_and(|next| next < first) && !stale {
            if let Some(mine) = self.line.own.iter_mut().find(|mine| mine.span == own.span) {
                mine.cut = mine.cut.min(first);
            }
            return;
        }
        self.cancel_own(own);
        if stale && now.since(own.begun) >= SILENT {
            // Others get on where we do not: no more of it for a while.
            self.line.trouble(VOID, now);
        }
    }

    /// A peer that keeps its word has chunks that we are fetching: they come over the LAN.
    pub(super) fn overtaken(&mut self, slot: usize, at: usize, span: Span, now: Millis) {
        if !self.peer(slot).is_some_and(|peer| peer.credit == Credit::Good) {
            return;
        }
        let patience = self.stale_after();
        let going: Vec<_> = self
            .line
            .own
            .iter()
            .copied()
            .filter(|own| own.file == at && own.claimed().overlaps(&span))
            .collect();
        for own in going {
            let Some(file) = self.file(at) else { return };
            let first = span
                .chunks()
                .find(|index| *index >= own.span.first && !file.have.get(*index));
            if let Some(first) = first.filter(|first| *first < own.cut) {
                self.shorten(own, first, now.since(own.chunk_at) >= patience, now);
            }
        }
    }

    /// A span of ours of which no chunk came for so long does not get on.
    fn stale_after(&self) -> Duration {
        let usual = self
            .policy
            .line_kbps
            .map_or(Duration::ZERO, |kbps| self.usual_chunk(kbps));
        let own = Duration::from_millis(self.line.chunk_ms.unwrap_or(0));
        STALE.max(usual * 3).max((own * 3).min(CHUNKLESS))
    }

    /// Claims whose chunks all came are over.
    pub(super) fn prune_claims(&mut self, slot: usize, at: usize) {
        let Some(file) = self.files.get(at).and_then(Option::as_ref) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let Some(offers) = file.offers.get(&slot) else {
            return;
        };
        let before = peer.claims.len();
        peer.claims
            .retain(|claim| claim.file != at || !claim.span.chunks().all(|index| offers.get(index)));
        if peer.claims.is_empty() && before > 0 && peer.credit.counts() {
            peer.chunkless_since = None;
        }
        if peer.claims.len() != before {
            self.reclaim(at);
        }
    }

    /// Works out anew what of a file others have begun.
    pub(super) fn reclaim(&mut self, at: usize) {
        let Some(file) = self.files.get_mut(at).and_then(Option::as_mut) else {
            return;
        };
        file.claimed.clear();
        let claims = self.peers.iter().flatten().flat_map(|peer| &peer.claims);
        for claim in claims.filter(|claim| claim.file == at) {
            claim.span.chunks().for_each(|index| {
                file.claimed.set(index);
            });
        }
    }

    /// Looks for claims that do not get on.
    pub(super) fn look_at_claims(&mut self, now: Millis) {
        let chunkless = match self
            .policy
            .line_kbps
            .min(self.policy.budget_kbps.or(self.policy.line_kbps))
        {
            Some(kbps) => SILENT.max(self.usual_chunk(kbps) * 8),
            None => CHUNKLESS,
        };
        for slot in ones(self.up) {
            let Some(peer) = self.peer(slot) else { continue };
            if peer.claims.is_empty() {
                continue;
            }
            // A peer works on one claim after the other: what counts is that it gets on with any.
            let alive_at = peer.claims.iter().map(|claim| claim.alive_at).max();
            let void = alive_at.is_some_and(|at| now.since(at) >= SILENT)
                || peer
                    .chunkless_since
                    .is_some_and(|since| now.since(since) >= chunkless);
            if void {
                self.void_claims(slot, now);
            }
        }
        self.look_for_lost_files();
    }

    fn void_claims(&mut self, slot: usize, now: Millis) {
        let Some(peer) = self.peer_mut(slot) else { return };
        let claims = std::mem::take(&mut peer.claims);
        peer.chunkless_since = None;
        let id = peer.id.clone();
        let record = self.record(&id);
        let void = VOID.saturating_mul(1 << record.stalls.min(10)).min(LONGEST_VOID);
        record.stalls += 1;
        record.claims_void_until = now + void;
        if let Some(peer) = self.peer_mut(slot) {
            peer.claims_void_until = now + void;
        }
        for claim in claims {
            self.reclaim(claim.file);
        }
    }
}
