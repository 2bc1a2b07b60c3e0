//! The clocks: one that orders, and one that labels.
//!
//! Decisions use [`now`]. The wall clock may be wrong by years and is only a label; what is known of the true time comes
//! from signed documents (a floor) and from the console's answers (an anchor).

use agent_core::Millis;
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// A wall clock further ahead of the newest signed document than this is not believed.
const PLAUSIBLE: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);

/// Milliseconds since the operating system started, suspend included.
pub fn now() -> Millis {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
    Millis(seconds.saturating_mul(1000).saturating_add(millis))
}

/// What is known of the true time.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrueTime {
    floor: Option<Timestamp>,
    anchor: Option<(Timestamp, Millis)>,
}

impl TrueTime {
    /// A document signed at `issued_at` was verified: it is later now.
    pub fn signed_at(&mut self, issued_at: Timestamp) {
        self.floor = self.floor.max(Some(issued_at));
    }

    /// The console said what time it is, over a connection that only it can answer.
    pub const fn told(&mut self, time: Timestamp, now: Millis) {
        self.anchor = Some((time, now));
    }

    /// The true time is this or later.
    pub fn not_before(&self, now: Millis) -> Option<Timestamp> {
        self.floor.max(self.anchored(now))
    }

    /// A time to label things with: told by the console, or else the system's if it is plausible.
    pub fn label(&self, system: Timestamp, now: Millis) -> Option<Timestamp> {
        self.anchored(now).or_else(|| {
            let floor = self.floor?;
            let latest = floor.checked_add(PLAUSIBLE).unwrap_or(Timestamp::MAX);
            (floor..=latest).contains(&system).then_some(system)
        })
    }

    fn anchored(&self, now: Millis) -> Option<Timestamp> {
        let (time, at) = self.anchor?;
        time.checked_add(now.since(at)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_wrong_wall_clock_is_no_label_and_never_a_bound() {
        let mut time = TrueTime::default();
        assert_eq!(
            time.label(at("2026-05-01T00:00:00Z"), Millis(0)),
            None,
            "nothing is known yet"
        );
        time.signed_at(at("2026-05-01T00:00:00Z"));
        time.signed_at(at("2026-04-01T00:00:00Z"));
        assert_eq!(time.not_before(Millis(0)), Some(at("2026-05-01T00:00:00Z")));
        for wrong in [
            "1970-01-01T00:00:00Z",
            "2036-05-01T00:00:00Z",
            "2016-05-01T00:00:00Z",
        ] {
            assert_eq!(time.label(at(wrong), Millis(0)), None, "{wrong}");
        }
        let plausible = at("2026-05-02T00:00:00Z");
        assert_eq!(time.label(plausible, Millis(0)), Some(plausible));
        time.told(at("2026-06-01T00:00:00Z"), Millis(1000));
        let later = at("2026-06-01T00:00:05Z");
        assert_eq!(time.label(at("1970-01-01T00:00:00Z"), Millis(6000)), Some(later));
        assert_eq!(time.not_before(Millis(6000)), Some(later));
        time.told(Timestamp::MAX, Millis(0));
        assert_eq!(
            time.label(plausible, Millis(6000)),
            Some(plausible),
            "no overflow"
        );
    }
}
