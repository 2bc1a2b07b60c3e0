//! Decides what time it is and how far to believe it. Knows no clock chip.

use board_link::{ClockReport, ClockTrust, RtcReading, UnixSeconds};

use crate::time::Instant;

/// What clock chips can hold: 2000-01-01T00:00:00Z to 2099-12-31T23:59:59Z.
pub(crate) const RTC_RANGE: core::ops::RangeInclusive<i64> = 946_684_800..=4_102_444_799;

/// Without a believable reading for so long, the board's own counting has drifted too far, ms: three days.
const COUNT_FOR_MS: u64 = 3 * 86_400_000;
/// A clock chip and the board's own counting may part by so much, seconds …
const SLACK_S: i64 = 30;
/// … and by one part in so many of the time between two readings: a plain RC oscillator is no better.
const DRIFT: u64 = 50;

/// The board's time.
///
/// The chip is believed while it says that it never stopped, gives a time after the program was built, and goes
/// as fast as the board's own counting. From the moment that it does not, the board counts by itself from the
/// last time that was believed, for three days at most, until the chip agrees again or the SoC sets it. The
/// board sets a chip right from its own counting, so that a loss of mains does not find it wrong.
#[derive(Debug, Clone)]
pub struct Clock {
    /// No time before this can be true.
    floor: UnixSeconds,
    /// The last time believed, and when that was.
    known: Option<(UnixSeconds, Instant)>,
    trust: ClockTrust,
    /// The chip was caught lying, and was not set since.
    broken: bool,
}

/// What is wrong with the chip, told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockTrouble {
    /// It stopped, was never set, or says what cannot be.
    Stopped,
    /// It went by so many seconds more, or less, than the board's own counting.
    Jumped(i32),
}

impl Clock {
    /// Not read yet. `floor` is when the program was built.
    #[must_use]
    pub const fn new(floor: UnixSeconds) -> Self {
        Self {
            floor,
            known: None,
            trust: ClockTrust::None,
            broken: false,
        }
    }

    /// The chip was read; `None` when it did not answer.
    pub fn read(&mut self, reading: Option<RtcReading>, now: Instant) -> Option<ClockTrouble> {
        let reading = reading?;
        let sound = reading.trusted && reading.time >= self.floor && RTC_RANGE.contains(&reading.time.0);
        if !sound {
            return self.broke(ClockTrouble::Stopped);
        }
        if let Some((known, at)) = self.known {
            let passed = now.ms_since(at) / 1_000;
            let slack = SLACK_S.saturating_add_unsigned(passed / DRIFT);
            let off = reading
                .time
                .0
                .saturating_sub(known.0.saturating_add_unsigned(passed));
            if off.saturating_abs() > slack {
                let off = i32::try_from(off).unwrap_or(if off < 0 { i32::MIN } else { i32::MAX });
                return self.broke(ClockTrouble::Jumped(off));
            }
        } else if self.broken {
            // Who lied once is not believed without something to compare it with.
            return None;
        }
        self.broken = false;
        self.known = Some((reading.time, now));
        self.trust = self.trust.max(ClockTrust::Kept);
        None
    }

    fn broke(&mut self, trouble: ClockTrouble) -> Option<ClockTrouble> {
        let first = !core::mem::replace(&mut self.broken, true);
        first.then_some(trouble)
    }

    /// The SoC has set the chip.
    pub fn set(&mut self, time: UnixSeconds, now: Instant) {
        self.known = Some((time, now));
        self.trust = ClockTrust::Set;
        self.broken = false;
    }

    /// The time, when it is known.
    #[must_use]
    pub fn time(&self, now: Instant) -> Option<UnixSeconds> {
        let (known, at) = self.known?;
        let passed = now.ms_since(at);
        (passed <= COUNT_FOR_MS).then(|| UnixSeconds(known.0.saturating_add_unsigned(passed / 1_000)))
    }

    /// When that time will be; `None` while the time is not known.
    #[must_use]
    pub fn instant_of(&self, time: UnixSeconds) -> Option<Instant> {
        let (known, at) = self.known?;
        let ahead = u64::try_from(time.0.saturating_sub(known.0)).unwrap_or(0);
        Some(Instant::from_ms(
            at.as_ms().saturating_add(ahead.saturating_mul(1_000)),
        ))
    }

    /// Once the time is known, when it will not be any more.
    #[must_use]
    pub fn known_until(&self) -> Option<Instant> {
        let (_, at) = self.known?;
        Some(Instant::from_ms(
            at.as_ms().saturating_add(COUNT_FOR_MS).saturating_add(1),
        ))
    }

    /// As the link tells it.
    #[must_use]
    pub fn report(&self, now: Instant) -> ClockReport {
        let time = self.time(now);
        ClockReport {
            time,
            trust: if time.is_some() {
                self.trust
            } else {
                ClockTrust::None
            },
        }
    }
}
