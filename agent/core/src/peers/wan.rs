//! Who takes what over the school's line.
//!
//! Boards are ranked by weight; the first few that want a file fetch it, the others only take over when one of those does
//! not get on. A span is claimed before it is begun, and one that is claimed or held by a peer is not begun. Each fetcher
//! prefers the spans for which its own weight is the highest, so two of them hardly ever reach for the same one; if they do,
//! the higher weight keeps it.

use std::time::Duration;

use super::{
    Effect, GiveUp, Span, Swarm, WanEnd, WanPolicy, Word,
    line::{Own, SETTLE},
    swarm::ones,
    weigh,
};
use crate::{manners, time::Millis};

/// A peer of higher rank that has begun nothing for so long does not keep us from fetching.
const GRACE: Duration = Duration::from_millis(700);
/// Nothing verified comes from anywhere for so long, and a board of low rank fetches, too.
const STARVING: Duration = Duration::from_millis(1500);
/// The same where the line's rate is not known.
const STARVING_UNKNOWN: Duration = Duration::from_secs(5);
/// Then only peers that delivered anything keep us from fetching, for so long.
const WARY: Duration = Duration::from_secs(10);
/// A claim is repeated so often while bytes arrive and no chunk is complete.
const REPEAT: Duration = Duration::from_secs(1);
/// Smallest span, in bytes.
const LEAST_SPAN: u64 = 256 * 1024;
/// So many small files may be under way at the same time, as long as they are no more bytes together than one span.
const SMALL_STREAMS: usize = 8;
/// A chunk of usual length, to judge how long one takes.
const USUAL_CHUNK: u64 = 128 * 1024;
/// Each stream should have so much of a budget, kbit/s.
const STREAM_KBPS: u32 = 1000;
/// Waits after the console refused this board.
const REFUSED: Duration = Duration::from_secs(300);
/// Wrong bytes over the line so often, and the file is given up.
const WRONGS: u32 = 3;

impl Swarm {
    pub(super) fn policy(&mut self, policy: WanPolicy, now: Millis) {
        self.policy = policy;
        self.line.share.places(self.places_to_fetch());
        if !policy.allowed || policy.metered {
            let going: Vec<_> = self.line.own.clone();
            for own in going {
                let exempt = policy.allowed && self.file(own.file).is_some_and(|file| file.over_metered);
                if !exempt {
                    self.let_go(own.span, now);
                }
            }
        }
    }

    fn places_to_fetch(&self) -> usize {
        manners::fetchers(self.policy.budget_kbps, self.settings.fetchers)
    }

    /// Requests at a time.
    fn streams(&self, alone: bool) -> usize {
        let most = if alone {
            self.settings.wan_streams_alone
        } else {
            self.settings.wan_streams
        };
        let worth = match self.line.share.kbps(self.policy.budget_kbps) {
            Some(kbps) => usize::try_from(kbps / STREAM_KBPS).unwrap_or(most),
            None => most,
        };
        worth.clamp(1, most.max(1))
    }

    /// Begins as many spans as we may, and sees to our share of the budget.
    pub(super) fn fetch(&mut self, now: Millis) {
        if !std::mem::take(&mut self.line.look) {
            return;
        }
        while let Some((at, first, count)) = self.next_span(now) {
            self.begin_span(at, first, count, now);
        }
        let others = ones(self.up)
            .filter_map(|slot| self.peer(slot))
            .filter(|peer| peer.credit.counts() && !peer.claims.is_empty())
            .count();
        self.line
            .share
            .seen(others + usize::from(!self.line.own.is_empty()), now);
        let pace = self.line.share.kbps(self.policy.budget_kbps);
        if pace != self.line.pace {
            self.line.pace = pace;
            self.effect(Effect::Pace(pace));
        }
    }

    fn next_span(&mut self, now: Millis) -> Option<(usize, u32, u32)> {
        let gathering = self.line.gathering(self.slots.len(), now);
        if !self.policy.allowed || gathering || now < self.line.free_at || self.order.is_empty() {
            return None;
        }
        let starving = self.is_starving(now);
        let mut waits = false;
        for place in 0..self.order.len() {
            let at = self.order[place];
            let Some(file) = self.file(at) else { continue };
            if file.not_at_console || (self.policy.metered && !file.over_metered) {
                continue;
            }
            if self.up != 0 && now < file.since + SETTLE {
                let until = file.since + SETTLE;
                self.line.settle_at = Some(self.line.settle_at.map_or(until, |at| at.min(until)));
                waits = true;
                continue;
            }
            let alone = file.wanters == 0;
            if !self.has_place(at, alone) {
                // What is behind it is less urgent.
                return None;
            }
            let (mine, fetchers) = self.my_part(at, now);
            if !mine && !starving {
                continue;
            }
            if starving && !mine {
                self.line.wary_until = now + WARY;
            }
            if let Some(run) = self.pick_span(at, &fetchers) {
                return Some((at, run.0, run.1));
            }
        }
        if waits { None } else { self.steal(now) }
    }

    /// Whether one more request is within bounds.
    fn has_place(&self, at: usize, alone: bool) -> bool {
        let under_way = self.line.own.len();
        if under_way < self.streams(alone) {
            return true;
        }
        let Some(file) = self.file(at) else { return false };
        let span_bytes = u64::from(self.settings.span_bytes);
        let small = file.place(0..file.len()).end;
        let bytes: u64 = self
            .line
            .own
            .iter()
            .filter_map(|own| Some(self.file(own.file)?.bytes(own.span.chunks())))
            .sum();
        under_way < SMALL_STREAMS && bytes + small <= span_bytes / 2
    }

    /// Whether it is on us to fetch this file over the line, and who does: `None` stands for us.
    pub(super) fn my_part(&self, at: usize, now: Millis) -> (bool, Vec<Option<usize>>) {
        let Some(file) = self.file(at) else {
            return (false, Vec::new());
        };
        let places = self.places_to_fetch();
        let wary = now < self.line.wary_until;
        let rank = weigh::mix(self.seed, 0);
        let mut ranked: Vec<(u64, Option<usize>)> = vec![(rank, None)];
        for slot in self.trusted(file.wanters) {
            if let Some(peer) = self.peer(slot)
                && now >= peer.claims_void_until
                && (!peer.claims.is_empty() || now.since(peer.fetching_at) < GRACE)
                && (!wary || peer.delivered)
            {
                ranked.push((weigh::mix(peer.seed, 0), Some(slot)));
            }
        }
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        ranked.truncate(places);
        let fetchers: Vec<_> = ranked.into_iter().map(|(_, who)| who).collect();
        (fetchers.contains(&None), fetchers)
    }

    fn pick_span(&mut self, at: usize, fetchers: &[Option<usize>]) -> Option<(u32, u32)> {
        let seeds: Vec<u64> = fetchers
            .iter()
            .flatten()
            .filter_map(|slot| Some(self.peer(*slot)?.seed))
            .collect();
        let (own, streams) = (self.seed, self.streams(seeds.is_empty()));
        let span_bytes = u64::from(self.settings.span_bytes);
        let file = self.file_mut(at)?;
        let seed = file.seed;
        let open = u64::from(file.open()) * file.mean_size();
        let takers = (seeds.len() as u64 + 1) * streams as u64;
        // Smaller and smaller towards the end, so that the last ones end together.
        let most = (open / takers.max(1)).clamp(LEAST_SPAN.min(span_bytes), span_bytes);
        let weight = |who: u64, block: usize| weigh::mix(who, seed ^ (block as u64 + 1));
        file.open_run(
            most,
            |block| {
                seeds
                    .iter()
                    .all(|other| weight(*other, block) < weight(own, block))
            },
            |block| weight(own, block),
        )
    }

    fn begin_span(&mut self, at: usize, first: u32, count: u32, now: Millis) {
        let Some(file) = self.file_mut(at) else { return };
        let span = Span {
            file: file.key,
            first,
            count,
        };
        span.chunks().for_each(|index| {
            file.taken.set(index);
        });
        let wanters = file.wanters;
        self.line.own.push(Own {
            file: at,
            span,
            cut: first + count,
            begun: now,
            bytes_at: now,
            chunk_at: now,
            told_at: now,
        });
        self.tell(wanters, Word::Claims(span));
        self.effect(Effect::FetchWan(span));
    }

    /// Nothing verified came for long, and there may be something to fetch that others keep back.
    pub(super) fn is_starving(&self, now: Millis) -> bool {
        if !self.line.own.is_empty() {
            return false;
        }
        let rank = weigh::mix(self.seed, 0);
        let ahead = ones(self.up)
            .filter_map(|slot| self.peer(slot))
            .filter(|peer| weigh::mix(peer.seed, 0) > rank)
            .count();
        let turn = u32::try_from(ahead).unwrap_or(u32::MAX).min(20);
        let patience = match self
            .policy
            .line_kbps
            .min(self.policy.budget_kbps.or(self.policy.line_kbps))
        {
            Some(kbps) => STARVING.max(self.usual_chunk(kbps) * 3) + Duration::from_millis(50) * turn,
            None => STARVING_UNKNOWN + Duration::from_millis(250) * turn,
        };
        now.since(self.arrived_at) >= patience
    }

    /// How long a chunk takes in one of many streams on a line of this rate.
    pub(super) fn usual_chunk(&self, kbps: u32) -> Duration {
        let streams = (self.settings.fetchers * self.settings.wan_streams) as u64;
        Duration::from_millis(USUAL_CHUNK * streams * 8 / u64::from(kbps.max(1)))
    }

    pub(super) fn wan_progress(&mut self, span: Span, now: Millis) {
        let Some(own) = self.line.own.iter_mut().find(|own| own.span == span) else {
            return;
        };
        own.bytes_at = now;
        let (at, claimed) = (own.file, own.claimed());
        if now.since(own.told_at) >= REPEAT && now.since(own.chunk_at) >= REPEAT {
            own.told_at = now;
            let wanters = self.file(at).map_or(0, |file| file.wanters);
            self.tell(wanters, Word::Claims(claimed));
        }
    }

    /// A chunk is here; a request that has nothing more to bring is over.
    pub(super) fn wan_stored(&mut self, at: usize, index: u32, over_line: bool, now: Millis) {
        let Some(file) = self.files.get(at).and_then(Option::as_ref) else {
            return;
        };
        let Some(which) = self
            .line
            .own
            .iter()
            .position(|own| own.file == at && own.span.chunks().contains(&index))
        else {
            return;
        };
        let own = &mut self.line.own[which];
        if over_line {
            let took = u64::try_from(now.since(own.chunk_at).as_millis()).unwrap_or(u64::MAX);
            let before = self.line.chunk_ms.unwrap_or(took);
            self.line.chunk_ms = Some((before * 7 + took) / 8);
            self.line.backoff.reset();
        }
        own.chunk_at = now;
        own.bytes_at = now;
        let own = *own;
        if (own.span.first..own.cut).all(|index| file.have.get(index)) {
            self.line.own.remove(which);
            self.line.look = true;
            if own.cut < own.span.chunks().end {
                self.effect(Effect::CancelWan(own.span));
                self.untake_span(own.file, own.cut..own.span.chunks().end);
            }
        }
    }

    fn untake_span(&mut self, at: usize, chunks: std::ops::Range<u32>) {
        for index in chunks {
            self.untake(at, index);
        }
    }

    pub(super) fn wan_wrong(&mut self, at: usize, index: u32) {
        let Some(file) = self.file_mut(at) else { return };
        file.wrongs += 1;
        let _ = index;
        if file.wrongs >= WRONGS {
            self.give_up(at, GiveUp::WrongBytes);
        }
    }

    pub(super) fn wan_ended(&mut self, span: Span, end: WanEnd, now: Millis) {
        let own = self.line.own.iter().position(|own| own.span == span);
        let complete = own.is_none();
        let at = self.place(span.file);
        if let Some(own) = own {
            let own = self.line.own.remove(own);
            self.untake_span(own.file, own.span.chunks());
            let wanters = self.file(own.file).map_or(0, |file| file.wanters);
            self.tell(wanters, Word::Unclaims(own.claimed()));
        }
        match end {
            WanEnd::Ok if complete => self.line.backoff.reset(),
            // Nothing was said of the chunks that are missing: not at once again.
            WanEnd::Ok => {
                let wrong = at
                    .and_then(|at| self.file(at))
                    .is_some_and(|file| file.wrongs > 0);
                if !wrong {
                    self.line.trouble(Duration::ZERO, now);
                }
            }
            // Cancelled requests end like this, too.
            WanEnd::Line if complete => {}
            WanEnd::Line => self.line.trouble(Duration::ZERO, now),
            WanEnd::Busy { after } => self.line.trouble(after.unwrap_or_default(), now),
            WanEnd::Refused => self.line.trouble(REFUSED, now),
            WanEnd::NotFound => {
                if let Some(at) = at {
                    self.not_found(at);
                }
            }
            WanEnd::Disk => {
                if let Some(at) = at {
                    self.give_up(at, GiveUp::Disk);
                }
            }
        }
    }

    /// What the console does not have may still be had from peers.
    fn not_found(&mut self, at: usize) {
        let Some(file) = self.file_mut(at) else { return };
        file.not_at_console = true;
        let going = self.line.spans_of(at);
        let nobody = self
            .file(at)
            .is_some_and(|file| (0..file.len()).any(|index| !file.have.get(index) && !file.held.get(index)));
        if nobody {
            self.give_up(at, GiveUp::NotFound);
        } else if !going.is_empty() {
            self.cancel_wan_of(at);
        }
    }

    /// Files that the console does not have, and whose last holder is gone.
    pub(super) fn look_for_lost_files(&mut self) {
        let lost: Vec<_> = self
            .order
            .iter()
            .copied()
            .filter(|at| self.file(*at).is_some_and(|file| file.not_at_console))
            .collect();
        for at in lost {
            self.not_found(at);
        }
    }

    pub(super) fn cancel_wan_of(&mut self, at: usize) {
        let going: Vec<_> = self
            .line
            .own
            .iter()
            .copied()
            .filter(|own| own.file == at)
            .collect();
        for own in going {
            self.cancel_own(own);
        }
    }

    fn let_go(&mut self, span: Span, _: Millis) {
        if let Some(own) = self.line.own.iter().copied().find(|own| own.span == span) {
            self.cancel_own(own);
        }
    }

    pub(super) fn cancel_own(&mut self, own: Own) {
        self.line.look = true;
        self.line.own.retain(|other| other.span != own.span);
        self.effect(Effect::CancelWan(own.span));
        self.untake_span(own.file, own.span.chunks());
        let wanters = self.file(own.file).map_or(0, |file| file.wanters);
        self.tell(wanters, Word::Unclaims(own.claimed()));
    }
}
