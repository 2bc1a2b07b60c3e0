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
/// Roots are missing in between: asked for within this.
const SOON: Duration = Duration::from_secs(5);
/// Waits between two questions without an answer.
const WAITS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(6 * 3600));

#[derive(Debug)]
pub(super) struct Ask {
    at: Option<Millis>,
    /// The last bundle left something to be asked for.
    missing: bool,
    backoff: Backoff,
    dice: Dice,
}

impl Ask {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            at: None,
            missing: false,
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
        self.ask.at = if whole && (missing || stale) {
            Some(now + self.ask.backoff.next_wait(&mut self.ask.dice))
        } else if missing || stale {
            Some(now + self.ask.dice.up_to(SOON))
        } else {
            self.ask.backoff.reset();
            None
        };
    }

    /// A bundle without a snapshot is a bell: the whole was too long for a message.
    pub fn rung(&mut self, now: Millis) {
        self.ask.at = Some(now + self.ask.dice.up_to(SOON));
    }

    /// The root after which the console is to be asked now; then say how it went by [`Self::heard`] or [`Self::silent`].
    pub fn ask(&mut self, now: Millis) -> Option<u32> {
        self.ask.at.take_if(|at| *at <= now)?;
        Some(self.root_version())
    }

    /// The console did not answer.
    pub fn silent(&mut self, now: Millis) {
        self.ask.at = Some(now + self.ask.backoff.next_wait(&mut self.ask.dice));
    }

    /// When [`Self::ask`] may have something.
    pub const fn poll_timeout(&self) -> Option<Millis> {
        self.ask.at
    }
}
