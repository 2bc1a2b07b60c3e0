//! When the console is asked for its roots and snapshot, beyond what it sends by itself.

use std::time::Duration;

use jiff::Timestamp;

use super::{Offered, Refused, Trust};
use crate::{
    backoff::{Backoff, Dice},
    time::Millis,
};

/// After a connect the console's own message is waited for this long, and spread by as much again.
const PATIENCE: Duration = Duration::from_secs(20);
/// A message left something to be asked for: every board has it at the same moment, so they are spread over this. Short
/// enough that a withdrawal is in force within the minute.
const SPREAD: Duration = Duration::from_secs(50);
/// Waits between two questions without an answer.
const WAITS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(6 * 3600));

#[derive(Debug)]
pub(super) struct Ask {
    at: Option<Millis>,
    /// The last bundle left something to be asked for.
    missing: bool,
    /// The last questions brought nothing: `at` is the end of a wait that no message shortens.
    failing: bool,
    backoff: Backoff,
    dice: Dice,
}

impl Ask {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            at: None,
            missing: false,
            failing: false,
            backoff: Backoff::new(WAITS.0, WAITS.1),
            dice: Dice::new(seed),
        }
    }

    pub(super) fn offered(&mut self, offered: &Offered) {
        self.missing = matches!(
            offered.refused,
            Some(Refused::Gap { .. } | Refused::NoAnchor(_) | Refused::Root(_) | Refused::NoRoot)
        );
    }

    /// A message says that there is something: asked for soon, but neither put off by the next one nor brought forward
    /// while the console does not answer.
    fn soon(&mut self, now: Millis) {
        if self.failing && self.at.is_some() {
            return;
        }
        let at = now + self.dice.up_to(SPREAD);
        self.at = Some(self.at.map_or(at, |before| before.min(at)));
    }

    fn failed(&mut self, now: Millis) {
        self.failing = true;
        self.at = Some(now + self.backoff.next_wait(&mut self.dice));
    }
}

impl Trust {
    /// The console can be reached again: it is asked, unless it speaks first, where nothing is held or what is held ran out.
    pub fn connected(&mut self, floor: Timestamp, now: Millis) {
        if self.root_version() == 0 || self.is_stale(floor) {
            let wait = PATIENCE + self.ask.dice.up_to(PATIENCE);
            self.ask.at = Some(now + wait);
        }
    }

    /// After a bundle of the console's own was [offered](Self::offer): what is missing in it is asked for. `whole` says that
    /// it came as an answer, so that asking the same again brings nothing.
    pub fn heard(&mut self, whole: bool, floor: Timestamp, now: Millis) {
        let (missing, stale) = (self.ask.missing, self.is_stale(floor));
        if whole && (missing || stale) {
            self.ask.failed(now);
        } else if missing || stale {
            self.ask.soon(now);
        } else {
            self.ask.backoff.reset();
            self.ask.failing = false;
            self.ask.at = None;
        }
    }

    /// A bundle without a snapshot is a bell: the whole was too long for a message. It answers nothing, so it ends no wait.
    pub fn rung(&mut self, now: Millis) {
        self.ask.soon(now);
    }

    /// The root after which the console is to be asked now; then say how it went by [`Self::heard`] or [`Self::silent`].
    pub fn ask(&mut self, now: Millis) -> Option<u32> {
        self.ask.at.take_if(|at| *at <= now)?;
        Some(self.root_version())
    }

    /// The console did not answer.
    pub fn silent(&mut self, now: Millis) {
        self.ask.failed(now);
    }

    /// When [`Self::ask`] may have something.
    pub const fn poll_timeout(&self) -> Option<Millis> {
        self.ask.at
    }
}
