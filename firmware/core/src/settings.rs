//! What the core must be told of a board.

use board_link::{BootReason, Percent};

use crate::power::PowerTimes;
use crate::session::Identity;
use crate::thermal::{FanCurve, ThermalLimits};
use crate::time::Span;
use crate::watchdog::WatchdogTimes;

/// A board, as this core needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who the board says it is.
    pub identity: Identity,
    /// How long power takes.
    pub power: PowerTimes,
    /// How patient the watchdog is.
    pub watchdog: WatchdogTimes,
    /// `None` on a board without a temperature sensor.
    pub cooling: Option<Cooling>,
    /// `None` on a board without a screen.
    pub backlight: Option<BacklightRange>,
    /// Whether there is an amplifier to silence.
    pub amplifier: bool,
    /// Whether there is a battery-backed clock.
    pub rtc: bool,
    /// Between two reports of the state.
    pub report_every: Span,
}

/// Limits and fan of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooling {
    /// What heat allows.
    pub limits: ThermalLimits,
    /// `None` on a board without a fan.
    pub fan: Option<FanCurve>,
}

/// How bright the screen may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BacklightRange {
    /// The darkest light that can be asked for.
    pub min: Percent,
    /// The brightest.
    pub max: Percent,
    /// The light at the start.
    pub initial: Percent,
    /// The brightest while derated.
    pub derated: Percent,
}

/// How a board wakes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The SoC is off, and stays so until somebody starts it.
    Off,
    /// Start the SoC now.
    SocNow(BootReason),
    /// The SoC runs: the board controller alone was reset, or this core runs on the SoC itself.
    SocRunning(BootReason),
}
