//! What we do on the school's line, and when we may.

use std::time::Duration;

use super::Span;
use crate::{
    backoff::{Backoff, Dice},
    manners::Share,
    time::Millis,
};

/// Before the first request for a file, peers have so long to say what they have and what they have begun.
pub(super) const SETTLE: Duration = Duration::from_millis(30);
/// After power-up, other boards are waited for as long as this, and for each further one as long as the second.
const GATHER: Duration = Duration::from_secs(3);
const GATHER_MORE: Duration = Duration::from_millis(700);
/// Waits after trouble with the line.
const LINE_WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// A span that we take over the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    pub(super) file: usize,
    pub(super) span: Span,
    /// What lies from here on was taken over by another board.
    pub(super) cut: u32,
    pub(super) begun: Millis,
    pub(super) bytes_at: Millis,
    pub(super) chunk_at: Millis,
    pub(super) told_at: Millis,
}

/// What we do on the line, and when we may.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) own: Vec<Own>,
    pub(super) settle_at: Option<Millis>,
    /// Other boards of the school.
    pub(super) others: usize,
    /// When the core began, and when the last peer came.
    pub(super) born: Option<Millis>,
    pub(super) joined_at: Millis,
    /// Something changed that may let us begin a span.
    pub(super) look: bool,
    pub(super) backoff: Backoff,
    pub(super) dice: Dice,
    pub(super) free_at: Millis,
    pub(super) share: Share,
    pub(super) pace: Option<u32>,
    pub(super) wary_until: Millis,
    /// How long a chunk takes in one of our streams, ms, smoothed.
    pub(super) chunk_ms: Option<u64>,
}

impl Line {
    pub(super) fn new(fetchers: usize, seed: u64) -> Self {
        Self {
            own: Vec::new(),
            settle_at: None,
            others: 0,
            born: None,
            joined_at: Millis::default(),
            look: false,
            backoff: Backoff::new(LINE_WAIT.0, LINE_WAIT.1),
            dice: Dice::new(seed),
            free_at: Millis::default(),
            share: Share::new(fetchers),
            pace: None,
            wary_until: Millis::default(),
            chunk_ms: None,
        }
    }

    pub(super) fn born(&mut self, now: Millis) {
        self.born.get_or_insert(now);
    }

    pub(super) fn joined(&mut self, now: Millis) {
        self.joined_at = now;
    }

    pub(super) fn school(&mut self, others: usize) {
        self.others = others;
    }

    /// After power-up the others are found first: they may have it all. Once some are there, the rest is not long in coming.
    pub(super) fn gathering(&self, here: usize, now: Millis) -> bool {
        let young = self.born.is_some_and(|born| now.since(born) < GATHER);
        let nobody_yet = self.joined_at == Millis::default();
        let coming = nobody_yet || now.since(self.joined_at) < GATHER_MORE;
        // What the newest has and has begun is heard a moment after it came.
        let unheard = here > 0 && now.since(self.joined_at) < SETTLE;
        young && (unheard || (coming && here < self.others))
    }

    pub(super) fn online(&mut self, now: Millis) {
        self.backoff.reset();
        self.free_at = self.free_at.min(now);
    }

    /// A file is begun: peers are heard first, if there are any.
    pub(super) fn settle(&mut self, peers: bool, now: Millis) {
        if peers {
            let at = now + SETTLE;
            self.settle_at = Some(self.settle_at.map_or(at, |before| before.min(at)));
        }
    }

    pub(super) fn takes(&self, at: usize, index: u32) -> bool {
        self.own
            .iter()
            .any(|own| own.file == at && own.span.chunks().contains(&index))
    }

    pub(super) fn spans_of(&self, at: usize) -> Vec<Span> {
        self.own
            .iter()
            .filter(|own| own.file == at)
            .map(Own::claimed)
            .collect()
    }

    pub(super) fn trouble(&mut self, at_least: Duration, now: Millis) {
        let wait = self.backoff.next_wait(&mut self.dice).max(at_least);
        self.free_at = self.free_at.max(now + wait);
    }
}

impl Own {
    pub(super) fn claimed(&self) -> Span {
        Span {
            count: self.cut - self.span.first,
            ..self.span
        }
    }
}
