//! What the words of version 2 carry: everything about a board beyond power, heat and its watchdog.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::units::{Label, Percent, UnixSeconds};

/// What a board has. Asked once after the handshake; what is not fitted is neither asked for nor shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// A temperature sensor.
    pub temperature: bool,
    /// A fan that can be driven.
    pub fan: bool,
    /// A fan that tells its speed.
    pub tachometer: bool,
    /// A screen whose light can be driven, from the darkest to the brightest that may be asked for.
    pub backlight: Option<(Percent, Percent)>,
    /// A sensor for the room's light.
    pub light_sensor: bool,
    /// An amplifier that can be silenced.
    pub amplifier: bool,
    /// A clock that runs without mains.
    pub rtc: bool,
    /// A meter for volts and amperes.
    pub meter: bool,
    /// A button on the front.
    pub button: bool,
    /// A light on the front.
    pub led: bool,
    /// Rails that are switched one by one.
    pub rails: u8,
    /// Relays.
    pub relays: u8,
    /// Windows that a [`WakePlan`] may hold; 0 when the board cannot wake the SoC.
    pub wake_windows: u8,
    /// Faults that the log keeps.
    pub faults_kept: u8,
    /// Bytes that an image of the board controller's program may have; 0 when it cannot be replaced over the link.
    pub image_bytes: u32,
}

/// What [`crate::BoardReport`] leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardDetails {
    /// How often the board controller itself has started, as far as it remembers.
    pub starts: u32,
    /// Why it last started.
    pub reset_cause: ResetCause,
    /// Rails ordered up, one bit each, rail 0 lowest.
    pub rails_up: u8,
    /// Rails known to be good.
    pub rails_good: u8,
    /// Light in the room, lux. `None` without a sensor, or when it does not answer.
    pub ambient_lux: Option<u32>,
    /// Who decides how bright the screen is.
    pub light: LightMode,
    /// The cap in force for eyes' sake.
    pub eye_care: Option<Percent>,
    /// What the meter says. `None` without one, or when it does not answer.
    pub meter: Option<MeterReading>,
    /// Used since the board controller started.
    pub energy: Energy,
    /// The clock.
    pub clock: ClockReport,
    /// When the board will next wake the SoC. `None` when it will not, or does not know the time.
    pub next_wake: Option<UnixSeconds>,
    /// Presses of the button since the board controller started.
    pub button_presses: u32,
    /// What the light on the front shows.
    pub led: LedMode,
    /// Closed relays, one bit each.
    pub relays_closed: u8,
    /// The newest fault's number; 0 when there never was one.
    pub newest_fault: u32,
    /// Where the running program lies.
    pub slot: ImageSlot,
    /// It is being tried: without a commit the board goes back.
    pub trial: bool,
}

/// Why the board controller itself started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResetCause {
    /// Its chip does not tell.
    Unknown,
    /// Mains came.
    PowerOn,
    /// Its own watchdog: the program hung.
    Watchdog,
    /// The program failed a check of its own; see the fault log.
    Panic,
    /// The program asked for it, as to try an image.
    Software,
    /// The supply dipped.
    Brownout,
}

/// Who decides how bright the screen is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LightMode {
    /// Whoever said [`crate::Request::SetBacklight`] last.
    Fixed,
    /// The light in the room, along the board's curve.
    Ambient,
}

/// A reading of the meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterReading {
    /// Volts × 1000.
    pub millivolts: u32,
    /// Amperes × 1000; negative flows backwards.
    pub milliamps: i32,
}

/// Energy used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Energy {
    /// Watt hours × 1000.
    pub milliwatt_hours: u64,
    /// At least a part is reckoned from what was switched on, not measured.
    pub estimated: bool,
}

/// What the board knows of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReport {
    /// `None` when the clock does not answer, or says what cannot be.
    pub time: Option<UnixSeconds>,
    /// How far to believe it.
    pub trust: ClockTrust,
}

/// How far to believe the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ClockTrust {
    /// Not at all: it stopped, jumped, was never set, or is not there. Its battery may be flat.
    None,
    /// It ran on its battery since it was set.
    Kept,
    /// The SoC set it since the board controller started.
    Set,
}

/// Windows that a [`WakePlan`] holds at most.
pub const WAKE_WINDOWS: usize = 14;

/// When the board must be on. Outside the windows it is left as it is: nobody is switched off by a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WakePlan {
    /// By date, rising, without overlap.
    pub windows: Vec<WakeWindow, WAKE_WINDOWS>,
    /// What counts after the end of the last window: the usual week.
    pub weekly: Option<WeeklyWake>,
}

/// A stretch of time in which the board must be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeWindow {
    /// From here on: the first bell less whatever the agent wants to be early by.
    pub from: UnixSeconds,
    /// 1 to 1440.
    pub minutes: u16,
}

/// The usual week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeeklyWake {
    /// Local time is UTC plus so many minutes, −840 to 840; 480 in China.
    pub utc_offset_minutes: i16,
    /// Monday first.
    pub days: [Option<DayWindow>; 7],
}

/// A window of a local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayWindow {
    /// Minutes after local midnight, 0 to 1439.
    pub from_minute: u16,
    /// 1 to 1440.
    pub minutes: u16,
}

/// What the light on the front shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LedMode {
    /// The board decides: dark when off, blinking while it starts or stops, lit when on, fast when in fault.
    Auto,
    /// Dark.
    Off,
    /// Lit.
    On,
    /// Once in two seconds.
    Slow,
    /// Four times a second: "this is the one", when a technician looks for it.
    Fast,
}

/// How the button was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ButtonPress {
    /// Pressed and let go.
    Short,
    /// Held until the power was cut.
    Long,
    /// Held so long that it must be stuck; ignored until it is let go.
    Stuck,
}

/// Faults on one [`FaultPage`].
pub const FAULTS_PER_PAGE: usize = 8;

/// A part of the fault log, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultPage {
    /// The newest fault's number; 0 when there never was one. Ask again while it is above the last one here.
    pub newest: u32,
    /// What the log still has. A gap in the numbers was overwritten.
    pub faults: Vec<Fault, FAULTS_PER_PAGE>,
}

/// Something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// From 1 on, never used twice while the log is kept.
    pub number: u32,
    /// Which start of the board controller it happened in; see [`BoardDetails::starts`].
    pub start: u32,
    /// Since that start.
    pub uptime_ms: u64,
    /// What.
    pub kind: FaultKind,
    /// More of it; what the number means is said with each kind.
    pub detail: i32,
}

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// The board controller's program failed a check of its own; `detail` is the line.
    Panic,
    /// The board controller's own watchdog ended it; `detail` is 0.
    McuWatchdog,
    /// A rail did not come up; `detail` is which.
    RailNotUp,
    /// A rail fell while it should have been up; `detail` is which.
    RailLost,
    /// No believable temperature for too long; `detail` is 0.
    SensorLost,
    /// The SoC had to stop; `detail` is °C × 100.
    TooHot,
    /// The power had to be cut; `detail` is °C × 100.
    ThermalCut,
    /// The fan is driven and does not turn; `detail` is the drive, %.
    FanStalled,
    /// The agent was silent, and the SoC was reset; `detail` is how often in a row.
    AgentReset,
    /// The agent was silent, and the SoC was cut off and started again; `detail` is how often in a row.
    AgentPowerCycle,
    /// Nothing brought the agent back; `detail` is 0.
    AgentGivenUp,
    /// The clock stopped, or was never set; `detail` is 0.
    ClockStopped,
    /// The clock jumped; `detail` is by how many seconds.
    ClockJumped,
    /// The button is stuck; `detail` is 0.
    ButtonStuck,
    /// An image was not what it should be; `detail` is 0.
    BadImage,
    /// An image on trial was not committed in time; `detail` is 0.
    RolledBack,
}

/// One of the two places for the board controller's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ImageSlot {
    /// The first.
    A,
    /// The second.
    B,
}

impl ImageSlot {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What is announced of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageHead {
    /// Its size.
    pub bytes: u32,
    /// SHA-256 of them all. Whose it is, the agent has checked by the release's signature.
    pub digest: [u8; 32],
    /// Its version, such as `0.2.0`.
    pub version: Label,
}

/// Bytes of an image in one [`ImageChunk`] at most.
pub const CHUNK_BYTES: usize = 192;

/// A piece of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageChunk {
    /// Where it begins.
    pub offset: u32,
    /// All but the last hold a multiple of 64 bytes.
    pub data: Vec<u8, CHUNK_BYTES>,
}

/// The two images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageReport {
    /// Where the running program lies.
    pub running: ImageSlot,
    /// It is being tried.
    pub trial: bool,
    /// Its version.
    pub version: Label,
    /// What the other slot holds.
    pub other: OtherImage,
}

/// What the slot that does not run holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OtherImage {
    /// Nothing that could be started.
    Empty,
    /// Some of an image.
    Coming {
        /// All before it is written.
        offset: u32,
        /// The whole size.
        bytes: u32,
    },
    /// A whole image that matches its digest.
    Whole {
        /// Its version.
        version: Label,
    },
}
