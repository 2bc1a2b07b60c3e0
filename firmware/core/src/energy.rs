//! Reckons the energy used, from a meter or from what is switched on.

use board_link::{Energy, MeterReading, Percent};

use crate::time::{Instant, Span};

/// What a board takes when nobody measures it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerDraw {
    /// With the SoC off, milliwatts.
    pub standby_mw: u32,
    /// With the SoC on and the screen dark, milliwatts.
    pub on_mw: u32,
    /// The screen at its brightest, milliwatts more.
    pub screen_mw: u32,
}

/// Adds up.
#[derive(Debug, Clone)]
pub struct EnergyCounter {
    draw: PowerDraw,
    /// Milliwatt milliseconds below one milliwatt hour.
    rest: u64,
    energy: Energy,
    meter: Option<(MeterReading, Instant)>,
    counted_to: Instant,
}

const MW_MS_PER_MWH: u64 = 3_600_000;
/// A reading older than this is no longer true.
const METER_GOOD_FOR: Span = Span::from_secs(10);
/// A classroom socket gives no more, mW.
const MOST_MW: u64 = 4_000_000;

impl EnergyCounter {
    /// Nothing used yet.
    #[must_use]
    pub fn new(draw: PowerDraw, now: Instant) -> Self {
        Self {
            draw,
            rest: 0,
            energy: Energy::default(),
            meter: None,
            counted_to: now,
        }
    }

    /// The meter was read; `None` when it did not answer. Call [`EnergyCounter::count`] before, with what held
    /// until now.
    pub fn reading(&mut self, reading: Option<MeterReading>, now: Instant) {
        let believable = |reading: &MeterReading| milliwatts(reading) <= MOST_MW;
        self.meter = reading.filter(believable).map(|reading| (reading, now));
    }

    /// Counts what was used since the last call, in which the board was as told.
    pub fn count(&mut self, on: bool, screen: Percent, now: Instant) {
        let ms = now.ms_since(self.counted_to);
        if ms == 0 {
            return;
        }
        self.counted_to = now;
        let measured = self.meter(now).map(|reading| milliwatts(&reading));
        let mw = measured.unwrap_or_else(|| {
            self.energy.estimated = true;
            let screen = u64::from(self.draw.screen_mw) * u64::from(screen.get()) / 100;
            if on {
                u64::from(self.draw.on_mw) + screen
            } else {
                u64::from(self.draw.standby_mw)
            }
        });
        let used = self.rest.saturating_add(mw.saturating_mul(ms));
        self.energy.milliwatt_hours = self.energy.milliwatt_hours.saturating_add(used / MW_MS_PER_MWH);
        self.rest = used % MW_MS_PER_MWH;
    }

    /// The last reading, unless it is too old.
    #[must_use]
    pub fn meter(&self, now: Instant) -> Option<MeterReading> {
        let (reading, at) = self.meter?;
        (now.ms_since(at) <= u64::from(METER_GOOD_FOR.as_ms())).then_some(reading)
    }

    /// Used so far.
    #[must_use]
    pub const fn energy(&self) -> Energy {
        self.energy
    }
}

/// Flowing backwards counts as nothing: it is the meter's offset.
fn milliwatts(reading: &MeterReading) -> u64 {
    let milliamps = u64::try_from(reading.milliamps).unwrap_or(0);
    u64::from(reading.millivolts) * milliamps / 1_000
}
