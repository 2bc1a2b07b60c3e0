//! The clock: a DS1307 or one that speaks like it (DS1338, which also tells that it has stopped).

use board_link::{RtcReading, UnixSeconds};
use embedded_hal::i2c::I2c;

/// A clock on the bus.
#[derive(Debug)]
pub(crate) struct Clock {
    address: u8,
}

/// Seconds, minutes, hours, day of the week, day, month, year, control; all but the last in binary-coded decimals.
const REGISTERS: usize = 8;
/// In the seconds: the oscillator stands.
const HALTED: u8 = 0x80;
/// In the control register: it has stood since somebody cleared this.
const STOPPED: u8 = 0x20;

impl Clock {
    pub(crate) const fn new(address: u8) -> Self {
        Self { address }
    }

    /// `None` when it does not answer. What is no time, such as a thirteenth month, comes back untrusted.
    pub(crate) fn read(&mut self, bus: &mut impl I2c) -> Option<RtcReading> {
        let mut bytes = [0; REGISTERS];
        bus.write_read(self.address, &[0], &mut bytes).ok()?;
        let [seconds, minutes, hours, _, day, month, year, control] = bytes;
        let time = time_of([year, month, day, hours, minutes, seconds & !HALTED]);
        let runs = seconds & HALTED == 0 && control & STOPPED == 0;
        Some(RtcReading {
            time: UnixSeconds(time.unwrap_or(0)),
            trusted: runs && time.is_some(),
        })
    }

    /// Whether it took the time.
    pub(crate) fn write(&mut self, bus: &mut impl I2c, time: UnixSeconds) -> bool {
        let (days, second) = (time.0.div_euclid(86_400), time.0.rem_euclid(86_400));
        let (year, month, day) = date_of(days);
        let weekday = (days + 3).rem_euclid(7) + 1;
        let b = |n: i64| to_bcd(n);
        let words = [
            0,
            b(second % 60),
            b(second / 60 % 60),
            b(second / 3_600),
            b(weekday),
            b(day),
            b(month),
            b(year - 2000),
            0,
        ];
        bus.write(self.address, &words).is_ok()
    }
}

fn to_bcd(n: i64) -> u8 {
    u8::try_from(n / 10 * 16 + n % 10).unwrap_or(0)
}

fn from_bcd(byte: u8) -> Option<i64> {
    let (tens, ones) = (byte >> 4, byte & 0x0f);
    (tens <= 9 && ones <= 9).then(|| i64::from(tens) * 10 + i64::from(ones))
}

fn time_of([year, month, day, hours, minutes, seconds]: [u8; 6]) -> Option<i64> {
    // Bit 6 of the hours is the twelve-hour mode, which nobody sets.
    let within =
        |byte: u8, range: core::ops::RangeInclusive<i64>| from_bcd(byte).filter(|n| range.contains(n));
    let (year, month) = (within(year, 0..=99)?, within(month, 1..=12)?);
    let days = days_of(2000 + year, month, within(day, 1..=31)?);
    let second = within(hours, 0..=23)? * 3_600 + within(minutes, 0..=59)? * 60 + within(seconds, 0..=59)?;
    Some(days * 86_400 + second)
}

/// Days since 1970-01-01, in the Gregorian calendar; years that begin in March make leap days the last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let moved = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * moved + 2) / 5 + 1, (moved + 2) % 12 + 1);
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
