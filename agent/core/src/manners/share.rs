//! One budget, several boards that take from the line, and nobody who deals it out.

use std::time::Duration;

use crate::time::Millis;

/// So much each board should have at least, kbit/s: with a small budget few boards fetch, so that chunks still arrive one
/// after the other and not all of them at the very end.
const WORTH_KBPS: u32 = 1000;
/// What others take of the budget is seen a moment late: a larger share is taken only when nothing changed for so long.
const SETTLED: Duration = Duration::from_secs(2);

/// How many boards at most fetch at a time, `most` without a budget. Follows from the plan alone, which all boards have.
pub fn fetchers(budget_kbps: Option<u32>, most: usize) -> usize {
    let most = most.max(1);
    budget_kbps.map_or(most, |kbps| {
        let worth = usize::try_from(kbps / WORTH_KBPS).unwrap_or(most);
        worth.clamp(1, most)
    })
}

/// This board's part of the budget.
///
/// Starts as if all places were taken, falls at once when another board begins and rises only after the others were seen
/// unchanged for 2 s. So the sum stays within the budget while no board overlooks another for longer than that;
/// boards that do not see each other at all (two halves of a broken LAN) each keep to it by themselves.
#[derive(Debug, Clone)]
pub struct Share {
    places: usize,
    /// What the share is of: so many boards.
    parts: usize,
    /// Fewer boards were seen: the most of them at a time, and since when.
    rising: Option<(usize, Millis)>,
}

impl Share {
    /// For `places` boards that may fetch at a time.
    pub fn new(places: usize) -> Self {
        let places = places.max(1);
        Self {
            places,
            parts: places,
            rising: None,
        }
    }

    /// The number of places changed.
    pub fn places(&mut self, places: usize) {
        if self.places != places.max(1) {
            *self = Self::new(places);
        }
    }

    /// So many boards fetch at this moment, this one included.
    pub fn seen(&mut self, active: usize, now: Millis) {
        let active = active.max(1);
        if active >= self.parts {
            self.parts = active;
            self.rising = None;
            return;
        }
        let (most, since) = self.rising.unwrap_or((active, now));
        let most = most.max(active);
        self.rising = Some((most, since));
        if now.since(since) >= SETTLED {
            self.parts = most;
            self.rising = (active < most).then_some((active, now));
        }
    }

    /// When [`Self::seen`] should be called again though nothing changed.
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.rising.map(|(_, since)| since + SETTLED)
    }

    /// Of how many parts the budget consists; one of them is ours.
    pub const fn parts(&self) -> usize {
        self.parts
    }

    /// Our part in kbit/s.
    pub fn kbps(&self, budget_kbps: Option<u32>) -> Option<u32> {
        let parts = u32::try_from(self.parts).unwrap_or(u32::MAX);
        budget_kbps.map(|kbps| (kbps / parts).max(1))
    }
}
