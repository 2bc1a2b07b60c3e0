//! What the core must be told of a board.

use board_link::{BootReason, Identity, Percent, ResetCause, UnixSeconds, WakePlan};

use crate::button::ButtonTimes;
use crate::energy::PowerDraw;
use crate::faults::FaultLog;
use crate::light::LightCurve;
use crate::power::PowerTimes;
use crate::rails::RailPlan;
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
    /// What not every board has.
    pub parts: Parts,
}

/// What not every board has. The default has none of it, and one rail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The rails, in the order in which they come up.
    pub rails: RailPlan,
    /// `None` on a board without a light sensor.
    pub light: Option<LightCurve>,
    /// Whether volts and amperes are measured.
    pub meter: bool,
    /// What the board takes where they are not.
    pub draw: PowerDraw,
    /// Whether the fan tells its speed.
    pub tachometer: bool,
    /// `None` on a board without a button.
    pub button: Option<ButtonTimes>,
    /// Whether there is a light on the front.
    pub led: bool,
    /// 0 to 8.
    pub relays: u8,
    /// Bytes for an image of the board controller's program; 0 when the link cannot bring one.
    pub image_bytes: u32,
    /// How long an image on trial has to be committed.
    pub trial: Span,
    /// When the program was built: the clock cannot be right when it says an earlier time.
    pub built: UnixSeconds,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            rails: RailPlan::one(Span::from_secs(10)),
            light: None,
            meter: false,
            draw: PowerDraw {
                standby_mw: 500,
                on_mw: 25_000,
                screen_mw: 150_000,
            },
            tachometer: false,
            button: None,
            led: false,
            relays: 0,
            image_bytes: 0,
            trial: Span::from_secs(600),
            built: UnixSeconds(946_684_800),
        }
    }
}

/// What a board remembers of its earlier lives.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The fault log. It also knows which start this is.
    pub faults: FaultLog,
    /// Why the board controller started.
    pub reset_cause: ResetCause,
    /// When the board must be on.
    pub plan: WakePlan,
    /// Where the running program lies, and whether it is on trial.
    pub image: (board_link::ImageSlot, bool),
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            faults: FaultLog::new(1),
            reset_cause: ResetCause::Unknown,
            plan: WakePlan::default(),
            image: (board_link::ImageSlot::A, false),
        }
    }
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
    /// Mains came: start the SoC now, unless the clock and the plan say that nobody needs it yet.
    Mains,
    /// The SoC runs: the board controller alone was reset, or this core runs on the SoC itself.
    SocRunning(BootReason),
}
