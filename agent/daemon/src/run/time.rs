//! The time as the loop knows it: the core's clock, what TLS judges by, and when the floor is written down.

use std::{path::Path, time::Duration};

use agent_core::{Millis, clock::Clock};
use jiff::Timestamp;

use crate::{
    clock::{self, SavedFloor},
    io::tls::{self, TimeFloor},
};

/// The floor is written this often: what a power cut costs.
const SAVE_EVERY: Duration = Duration::from_secs(3600);

/// Lives as long as the process; one identity after the other uses it.
#[derive(Debug)]
pub(super) struct TimeWatch {
    pub(super) clock: Clock,
    pub(super) floor: TimeFloor,
    save_at: Millis,
}

impl TimeWatch {
    /// Goes on from the build date and from what was saved.
    pub(super) fn open(data_dir: &Path, now: Millis) -> Self {
        let mut clock = Clock::new(clock::built(), rand::random(), now);
        if let Some(saved) = SavedFloor::open(data_dir).floor() {
            clock.signed_at(saved);
        }
        let watch = Self {
            clock,
            floor: TimeFloor::default(),
            save_at: now + SAVE_EVERY,
        };
        watch.publish(now);
        watch
    }

    /// The authorities of the identity that is used from now on.
    pub(super) fn hold(&mut self, ca_pem: &str, certificate_pem: &str, now: Millis) {
        self.clock.asked_in_vain(now);
        if let Some(end) = tls::authorities_end(ca_pem, certificate_pem) {
            self.clock.cap(end);
        }
        self.publish(now);
    }

    /// A document that says `issued_at` was verified.
    pub(super) fn signed_at(&mut self, issued_at: Timestamp, now: Millis) {
        self.clock.signed_at(issued_at);
        self.publish(now);
    }

    /// Every handshake from now on is judged by what is known now.
    pub(super) fn publish(&self, now: Millis) {
        self.floor.set(self.clock.floor(now));
    }

    /// The floor, once an hour: it is to be written down.
    pub(super) fn due_to_save(&mut self, now: Millis) -> Option<Timestamp> {
        if now < self.save_at {
            return None;
        }
        self.save_at = now + SAVE_EVERY;
        self.publish(now);
        Some(self.clock.floor(now))
    }

    /// When [`Self::due_to_save`] has something to say.
    pub(super) const fn poll_timeout(&self) -> Millis {
        self.save_at
    }

    /// The console told the time: that is worth a write.
    pub(super) const fn save_soon(&mut self, now: Millis) {
        self.save_at = now;
    }
}
