//! When things happened on a device whose clock may have been wrong: each power-up's uptime is trusted, its wall clock only where
//! it agrees with what else is known.
//!
//! Two bounds: a trusted wall time gives the moment of the power-up, and so does the receipt of a sample, at the latest. A wall
//! time that puts the power-up later than a sample of it came in is wrong. Of two that differ, the one that came in at about the
//! time that it says is right, else the later one, for a clock that was set in between was set for a reason.

use serde::{Deserialize, Serialize};

/// Wall clocks that differ by less agree.
const TOLERANCE_MS: i64 = 2_000;
/// And by so much more for each million milliseconds between them: clocks run unevenly.
const DRIFT_PPM: i64 = 200;
/// What came in within so long after its wall time proves that wall time.
const LIVE_MS: i64 = 120_000;
/// The console's own clock is not better than this.
const SLACK_MS: i64 = 10_000;
/// No board runs for so long; an uptime beyond proves nothing.
pub const MAX_UPTIME_MS: i64 = 5 * 366 * 86_400_000;

/// How a moment was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum From {
    /// By the device's own trusted clock.
    Clock,
    /// From when it came in.
    Receipt,
    /// From the uptime, by another wall time of the same power-up.
    Pair,
}

impl From {
    /// As in the database.
    pub const fn column(self) -> i64 {
        match self {
            Self::Clock => 0,
            Self::Receipt => 1,
            Self::Pair => 2,
        }
    }
}

/// A wall time and the uptime at which it held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Milliseconds since the power-up.
    pub uptime_ms: i64,
    /// Milliseconds since 1970 UTC.
    pub wall_ms: i64,
    /// It came in at about the time that it says.
    pub verified: bool,
}

/// What is known of one power-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BootClock {
    /// The best wall time.
    pub pair: Option<Pair>,
    /// The device was powered up at the latest then.
    pub latest_epoch_ms: Option<i64>,
}

impl BootClock {
    /// Takes in what a sample or an event says, received at `received_ms`.
    pub fn observe(&mut self, uptime_ms: i64, wall_ms: Option<i64>, received_ms: i64) {
        if !(0..=MAX_UPTIME_MS).contains(&uptime_ms) {
            return;
        }
        let bound = received_ms - uptime_ms;
        let latest = self.latest_epoch_ms.map_or(bound, |known| known.min(bound));
        self.latest_epoch_ms = Some(latest);
        // A later sample may show that what was believed cannot be.
        self.pair = self.pair.filter(|pair| possible(*pair, latest));
        let Some(wall_ms) = wall_ms else { return };
        let new = Pair {
            uptime_ms,
            wall_ms,
            verified: (received_ms - wall_ms).abs() <= LIVE_MS,
        };
        if !possible(new, latest) {
            return;
        }
        self.pair = Some(match self.pair {
            None => new,
            Some(known) if agrees(known, uptime_ms, wall_ms) => Pair {
                verified: known.verified || new.verified,
                ..known
            },
            Some(known) if known.verified && !new.verified => known,
            Some(known) if new.verified && !known.verified => new,
            Some(known) if known.uptime_ms > new.uptime_ms => known,
            Some(_) => new,
        });
    }

    /// When something happened; `received_ms` where nothing at all is known.
    pub fn at(&self, uptime_ms: i64, wall_ms: Option<i64>, received_ms: i64) -> (i64, From) {
        if !(0..=MAX_UPTIME_MS).contains(&uptime_ms) {
            return (received_ms, From::Receipt);
        }
        match (self.pair, wall_ms, self.latest_epoch_ms) {
            (Some(pair), Some(wall), _) if agrees(pair, uptime_ms, wall) => (wall, From::Clock),
            (Some(pair), ..) => (pair.wall_ms - pair.uptime_ms + uptime_ms, From::Pair),
            (None, _, Some(epoch)) => (epoch + uptime_ms, From::Receipt),
            (None, _, None) => (received_ms, From::Receipt),
        }
    }

    /// The moment of the power-up, as [`Self::at`] counts from it.
    pub fn epoch_ms(&self) -> Option<i64> {
        self.pair
            .map(|pair| pair.wall_ms - pair.uptime_ms)
            .or(self.latest_epoch_ms)
    }

    /// Whether what was stamped by `before` has to be stamped again.
    pub fn moved(&self, before: &Self) -> bool {
        let trusted = |clock: &Self| clock.pair.is_some();
        match (before.epoch_ms(), self.epoch_ms()) {
            (Some(was), Some(is)) => trusted(before) != trusted(self) || (was - is).abs() > TOLERANCE_MS / 2,
            _ => false,
        }
    }
}

fn possible(pair: Pair, latest_epoch_ms: i64) -> bool {
    pair.wall_ms - pair.uptime_ms <= latest_epoch_ms + SLACK_MS
}

/// Whether a wall time is the one that `pair` lets expect.
pub fn agrees(pair: Pair, uptime_ms: i64, wall_ms: i64) -> bool {
    let apart = (uptime_ms - pair.uptime_ms).abs();
    let expected = pair.wall_ms + (uptime_ms - pair.uptime_ms);
    (wall_ms - expected).abs() <= TOLERANCE_MS + apart / (1_000_000 / DRIFT_PPM)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: i64 = 60_000;
    /// The true moment of the power-up in all tests.
    const EPOCH: i64 = 1_790_000_000_000;

    fn seen(observations: &[(i64, Option<i64>, i64)]) -> BootClock {
        let mut clock = BootClock::default();
        for (uptime, wall, received) in observations {
            clock.observe(*uptime, *wall, *received);
        }
        clock
    }

    #[test]
    fn samples_before_the_clock_was_set_are_stamped_by_the_one_after() {
        let before = seen(&[(MIN, None, EPOCH + 90 * MIN)]);
        assert_eq!(before.at(MIN, None, 0), (EPOCH + 90 * MIN, From::Receipt));
        let mut after = before;
        after.observe(2 * MIN, Some(EPOCH + 2 * MIN), EPOCH + 90 * MIN);
        assert!(after.moved(&before));
        assert_eq!(after.at(MIN, None, 0), (EPOCH + MIN, From::Pair));
        assert_eq!(
            after.at(2 * MIN, Some(EPOCH + 2 * MIN), 0),
            (EPOCH + 2 * MIN, From::Clock)
        );
    }

    #[test]
    fn without_any_clock_the_tightest_receipt_counts() {
        let mut clock = seen(&[(MIN, None, EPOCH + 500 * MIN)]);
        let before = clock;
        clock.observe(600 * MIN, None, EPOCH + 600 * MIN + 300);
        assert!(clock.moved(&before));
        assert_eq!(clock.at(MIN, None, 0), (EPOCH + MIN + 300, From::Receipt));
    }

    #[test]
    fn a_trusted_clock_that_was_wrong_is_overruled_once_it_is_set() {
        // A day behind, told live; then set; the first ones are stamped again, their own wall time notwithstanding.
        let day = 1_440 * MIN;
        let mut clock = seen(&[(MIN, Some(EPOCH + MIN - day), EPOCH + MIN)]);
        assert_eq!(clock.at(MIN, Some(EPOCH + MIN - day), 0).0, EPOCH + MIN - day);
        let before = clock;
        clock.observe(2 * MIN, Some(EPOCH + 2 * MIN), EPOCH + 2 * MIN + 500);
        assert!(clock.moved(&before));
        assert_eq!(
            clock.at(MIN, Some(EPOCH + MIN - day), 0),
            (EPOCH + MIN, From::Pair)
        );
        // And one that jumps back again is not believed.
        clock.observe(3 * MIN, Some(EPOCH + 3 * MIN - day), EPOCH + 3 * MIN);
        assert_eq!(
            clock.at(3 * MIN, Some(EPOCH + 3 * MIN - day), 0),
            (EPOCH + 3 * MIN, From::Pair)
        );
    }

    #[test]
    fn a_clock_ahead_of_the_receipt_is_wrong_whatever_it_says() {
        let ahead = Some(EPOCH + MIN + 5 * MIN);
        let clock = seen(&[(MIN, ahead, EPOCH + MIN + 100)]);
        assert_eq!(clock.pair, None);
        assert_eq!(clock.at(MIN, ahead, 0), (EPOCH + MIN + 100, From::Receipt));
        // Believed at first, as it came late; then a live sample shows that it cannot be.
        let mut late = seen(&[(MIN, ahead, EPOCH + 60 * MIN)]);
        assert!(late.pair.is_some());
        late.observe(70 * MIN, None, EPOCH + 70 * MIN);
        assert_eq!(late.pair, None);
    }

    #[test]
    fn uneven_clocks_agree_and_uptimes_of_a_century_prove_nothing() {
        let clock = seen(&[(0, Some(EPOCH), EPOCH)]);
        let month = 30 * 1_440 * MIN;
        // 100 ppm slow over a month is more than four minutes.
        let slow = Some(EPOCH + month + month / 10_000);
        assert_eq!(clock.at(month, slow, 0).1, From::Clock);
        let mut wild = clock;
        wild.observe(i64::MAX, None, EPOCH);
        wild.observe(-1, Some(EPOCH), EPOCH);
        assert_eq!(wild, clock);
        assert_eq!(wild.at(i64::MAX, None, EPOCH), (EPOCH, From::Receipt));
    }
}
