//! One peer: how far its word counts, what was asked of it, what it has begun.

use std::{collections::VecDeque, time::Duration};

use contract::id::DeviceId;

use super::{Span, weigh};
use crate::time::Millis;

/// How far a peer's word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credit {
    /// Believed, until it had its chance to deliver and did not.
    Fresh,
    /// Delivered what it was asked for.
    Good,
    /// Lets us wait: what it has does not keep us from fetching it elsewhere.
    Doubtful,
    /// Let us wait too long: not asked until then.
    Out(Millis),
}

impl Credit {
    /// Whether what it has is as good as there.
    pub(super) const fn counts(self) -> bool {
        matches!(self, Self::Fresh | Self::Good)
    }
}

/// A chunk that was asked of a peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) file: usize,
    pub(super) index: u32,
    pub(super) bytes: u64,
    pub(super) at: Millis,
    /// Others may be asked for it, too.
    pub(super) released: bool,
}

/// A span that a peer takes over the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) file: usize,
    pub(super) span: Span,
    /// The last time that anything of it was heard.
    pub(super) alive_at: Millis,
    /// The last time that a chunk of it came.
    pub(super) chunk_at: Millis,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: DeviceId,
    pub(super) seed: u64,
    pub(super) credit: Credit,
    /// Any chunk of it was verified since it connected.
    pub(super) delivered: bool,
    pub(super) asked: VecDeque<Asked>,
    pub(super) asked_bytes: u64,
    /// Most bytes asked of it at a time.
    pub(super) window: u64,
    /// Asked, and nothing came since.
    pub(super) unserved_since: Option<Millis>,
    /// Not asked before.
    pub(super) pause_until: Millis,
    /// Denied since the last chunk that came.
    pub(super) denials: u32,
    pub(super) claims: Vec<Claim>,
    /// Claims, and no chunk came of any since.
    pub(super) chunkless_since: Option<Millis>,
    /// The last time that it may have been about to take from the line.
    pub(super) fetching_at: Millis,
    /// Its claims do not count before.
    pub(super) claims_void_until: Millis,
    /// Files it wants that we do not work on.
    pub(super) interests: usize,
}

/// What is remembered of a peer that misbehaved, over its connections.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Record {
    pub(super) strikes: u32,
    pub(super) out_until: Millis,
    pub(super) stalls: u32,
    pub(super) claims_void_until: Millis,
}

/// Most bytes asked of one peer at a time.
const WINDOW: (u64, u64) = (1, 1024 * 1024);
const FIRST_WINDOW: u64 = 512 * 1024;
/// Chunks that come within this let the window grow, later than that they let it shrink.
const QUICK: Duration = Duration::from_millis(150);
const SLOW: Duration = Duration::from_millis(500);

impl Peer {
    pub(super) fn new(id: DeviceId, record: Record, now: Millis) -> Self {
        let credit = if record.out_until > now {
            Credit::Out(record.out_until)
        } else if record.strikes > 0 {
            Credit::Doubtful
        } else {
            Credit::Fresh
        };
        Self {
            seed: weigh::of_device(id.as_str()),
            id,
            credit,
            delivered: false,
            asked: VecDeque::new(),
            asked_bytes: 0,
            window: FIRST_WINDOW,
            unserved_since: None,
            pause_until: now,
            denials: 0,
            claims: Vec::new(),
            chunkless_since: None,
            fetching_at: now,
            // Once is what a power cut looks like from outside.
            claims_void_until: if record.stalls > 1 {
                record.claims_void_until
            } else {
                now
            },
            interests: 0,
        }
    }

    /// Bytes that may be asked of it now; one chunk always fits if nothing is asked.
    pub(super) fn room(&self, now: Millis) -> u64 {
        let out = matches!(self.credit, Credit::Out(_)) || now < self.pause_until;
        let first = self.asked.is_empty();
        match self.credit {
            _ if out => 0,
            // One chunk shows what its word is worth.
            Credit::Fresh | Credit::Doubtful => u64::from(first),
            Credit::Good | Credit::Out(_) => {
                self.window.saturating_sub(self.asked_bytes).max(u64::from(first))
            }
        }
    }

    pub(super) fn ask(&mut self, asked: Asked) {
        self.asked_bytes += asked.bytes;
        self.unserved_since.get_or_insert(asked.at);
        self.asked.push_back(asked);
    }

    /// What was asked, if it was; it is not on its way any more.
    pub(super) fn take_asked(&mut self, file: usize, index: u32) -> Option<Asked> {
        let at = self
            .asked
            .iter()
            .position(|asked| asked.index == index && asked.file == file)?;
        let asked = self.asked.remove(at)?;
        self.asked_bytes -= asked.bytes;
        if self.asked.is_empty() {
            self.unserved_since = None;
        }
        Some(asked)
    }

    pub(super) fn was_asked(&self, file: usize, index: u32) -> bool {
        self.asked
            .iter()
            .any(|asked| asked.index == index && asked.file == file)
    }

    /// A chunk that was asked at `at` came, verified.
    pub(super) fn served(&mut self, at: Millis, now: Millis) {
        self.delivered = true;
        self.denials = 0;
        self.unserved_since = (!self.asked.is_empty()).then_some(now);
        let took = now.since(at);
        if took < QUICK {
            self.window = (self.window + 64 * 1024).min(WINDOW.1);
        } else if took > SLOW {
            self.window = (self.window / 2).max(WINDOW.0);
        }
    }
}

/// Who wants a file that we do not work on. Sets of slots.
#[derive(Debug, Default)]
pub(super) struct Interest {
    pub(super) wanters: u64,
    /// Those of them that were not answered yet.
    pub(super) owed: u64,
    /// How many chunks were here when all of them were told.
    told: u32,
}

impl Interest {
    /// Who is to hear that so many chunks are here: all if that is news, else those that were not answered yet.
    pub(super) fn answer(&mut self, count: u32) -> u64 {
        let owed = std::mem::take(&mut self.owed);
        let news = std::mem::replace(&mut self.told, count) != count;
        if news { self.wanters } else { owed }
    }

    pub(super) fn forget(&mut self, slot: usize) {
        self.wanters &= !(1 << slot);
        self.owed &= !(1 << slot);
    }
}
