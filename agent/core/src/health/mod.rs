//! When to look at the device's health, which readings are worth sending, and how long a sample may wait for company.
//!
//! This file owns the schedule; [`bands`] leaves out what did not change, [`budget`] keeps a month below its bytes,
//! [`happenings`] turns what probes see into events. None of them knows what is measured how, or how anything is sent.

pub mod bands;
pub mod budget;
pub mod happenings;
pub mod readings;

use std::time::Duration;

use crate::time::Millis;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Measure, and hand the sample to the outbox.
    Sample,
}

/// Decides when to sample: at once, then at even distances. After a sleep one sample is taken, not all that were missed.
#[derive(Debug)]
pub struct Health {
    interval: Duration,
    next: Millis,
    due: bool,
}

impl Health {
    /// Samples every `interval`, the first time right now.
    pub const fn new(interval: Duration, now: Millis) -> Self {
        Self {
            interval,
            next: now,
            due: false,
        }
    }

    /// From now on at other distances; the next look is no later than one of them from now.
    pub fn set_interval(&mut self, interval: Duration, now: Millis) {
        if interval != self.interval {
            self.interval = interval;
            self.next = self.next.min(now + interval);
        }
    }

    /// Between two looks.
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<Effect> {
        std::mem::take(&mut self.due).then_some(Effect::Sample)
    }

    /// When to call [`Self::handle_timeout`].
    pub const fn poll_timeout(&self) -> Option<Millis> {
        Some(self.next)
    }

    /// The time may have come.
    pub fn handle_timeout(&mut self, now: Millis) {
        if now < self.next {
            return;
        }
        self.due = true;
        let on_time = self.next + self.interval;
        self.next = if on_time > now {
            on_time
        } else {
            now + self.interval
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_even_distances_and_does_not_catch_up_after_a_sleep() {
        let mut health = Health::new(Duration::from_secs(60), Millis(500));
        let mut taken = Vec::new();
        for now in [0, 500, 600, 60_700, 60_800, 900_000, 900_001, 959_999, 960_000] {
            health.handle_timeout(Millis(now));
            if health.next_effect().is_some() {
                taken.push(now);
            }
            assert_eq!(health.next_effect(), None);
        }
        assert_eq!(taken, [500, 60_700, 900_000, 960_000]);
        assert_eq!(health.poll_timeout(), Some(Millis(1_020_000)));
    }
}
