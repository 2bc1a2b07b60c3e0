//! The words that the two say to each other, and since which version.
//!
//! Postcard numbers variants and fields by their order. Once a version has shipped, variants are only added at
//! the end, with the version that brought them in `since`, and get their own `tests/vNN.rs`. Neither side sends
//! a word that is newer than the version agreed upon, and a frame with such a word is malformed.

use serde::{Deserialize, Serialize};

use crate::details::{
    BoardDetails, ButtonPress, Capabilities, Fault, FaultPage, ImageChunk, ImageHead, ImageReport, LedMode,
    LightMode, WakePlan,
};
use crate::frame::Seq;
use crate::units::{CentiCelsius, Label, Percent, UnixSeconds};
use crate::version::{Version, VersionRange};

/// One payload of an agreed version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// SoC to board controller; answered by exactly one [`Response`] with the same sequence number.
    Request(Request),
    /// Board controller to SoC.
    Response(Response),
    /// Board controller to SoC, unasked and unanswered.
    Report(Report),
}

impl Message {
    /// The version that brought this word.
    #[must_use]
    pub const fn since(&self) -> Version {
        match self {
            Self::Request(request) => request.since(),
            Self::Response(response) => response.since(),
            Self::Report(report) => report.since(),
        }
    }
}

/// How a session starts, in frames of version 0. Frozen: a later version may append fields to the end of a
/// variant, and a reader ignores what follows the fields that it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handshake {
    /// SoC: I am here. Also ends any earlier session.
    Hello(Hello),
    /// Board controller: let us speak this version.
    Welcome(Welcome),
    /// Board controller: we share no version; these are mine.
    NoCommonVersion(VersionRange),
    /// Board controller, to an agent that speaks version 2 or newer: as [`Handshake::Welcome`], and number your
    /// requests from `first` on. No number of an earlier session is believed any more.
    WelcomeFrom {
        /// Who speaks, and in which version.
        welcome: Welcome,
        /// The number of the first request.
        first: Seq,
    },
}

/// Who speaks on the SoC's side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// What the agent speaks.
    pub versions: VersionRange,
    /// The agent's own version, such as `0.1.0`.
    pub software: Label,
}

/// Who speaks on the board's side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of every frame from now on.
    pub version: Version,
    /// What the board controller speaks.
    pub versions: VersionRange,
    /// The board's name in `board-configs`, such as `lm3s6965evb-rev-a`.
    pub board: Label,
    /// The firmware's own version.
    pub firmware: Label,
}

/// What the SoC may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Answered by [`Response::Board`].
    GetReport,
    /// The agent is alive. The first feed arms the watchdog.
    FeedWatchdog,
    /// Start or stop the SoC's side of the board.
    SetPower(PowerAction),
    /// Refused outside the board's range. Heat may hold the screen darker than asked.
    SetBacklight(Percent),
    /// Silence the amplifier, as in an exam, or let it sound again.
    SetMute(bool),
    /// Answered by [`Response::Rtc`].
    GetRtc,
    /// Set the board's clock.
    SetRtc(UnixSeconds),
    // From version 2 on.
    /// Answered by [`Response::Capabilities`].
    GetCapabilities,
    /// Answered by [`Response::Details`].
    GetDetails,
    /// Answered by [`Response::Faults`]: the oldest that are kept and numbered above `after`.
    GetFaults {
        /// The newest fault that is known already; 0 for all.
        after: u32,
    },
    /// When the board must be on; replaces the plan before. An empty plan wakes nobody.
    SetWakePlan(WakePlan),
    /// Who decides how bright the screen is. Refused as not fitted on a board without a light sensor.
    SetLight(LightMode),
    /// The brightest that eyes should be asked to bear, or `None` for the board's own limit.
    SetEyeCare(Option<Percent>),
    /// What the light on the front shows.
    SetLed(LedMode),
    /// Close or open a relay. All are open while the SoC has no power.
    SetRelay {
        /// From 0 on.
        relay: u8,
        /// Closed conducts.
        closed: bool,
    },
    /// Answered by [`Response::Images`].
    GetImages,
    /// A new program for the board controller is coming: the slot that does not run is erased. Said again with
    /// the same head, it goes on where it was.
    BeginImage(ImageHead),
    /// A piece of it. Answered by [`Response::ImageWants`].
    PutImage(ImageChunk),
    /// Compare what was written with the digest of its head. Nothing else makes an image fit to be tried.
    VerifyImage,
    /// Start the verified image once. Without [`Request::CommitImage`] in time the board goes back by itself.
    TryImage,
    /// The image on trial is good: start it from now on.
    CommitImage,
    /// Go back to the other image, if it is whole.
    RollBackImage,
}

impl Request {
    /// The version that brought this word.
    #[must_use]
    pub const fn since(&self) -> Version {
        match self {
            Self::GetReport
            | Self::FeedWatchdog
            | Self::SetPower(_)
            | Self::SetBacklight(_)
            | Self::SetMute(_)
            | Self::GetRtc
            | Self::SetRtc(_) => 1,
            Self::GetCapabilities
            | Self::GetDetails
            | Self::GetFaults { .. }
            | Self::SetWakePlan(_)
            | Self::SetLight(_)
            | Self::SetEyeCare(_)
            | Self::SetLed(_)
            | Self::SetRelay { .. }
            | Self::GetImages
            | Self::BeginImage(_)
            | Self::PutImage(_)
            | Self::VerifyImage
            | Self::TryImage
            | Self::CommitImage
            | Self::RollBackImage => 2,
        }
    }
}

/// What to do with the SoC's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PowerAction {
    /// Start it; nothing happens when it runs.
    On,
    /// Let the SoC stop, then cut its power.
    Off,
    /// Let the SoC stop, cut its power, and start it again.
    Reboot,
}

/// What the board controller answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// Accepted. For power this means "begun"; reports tell the rest.
    Done,
    /// Answers [`Request::GetReport`].
    Board(BoardReport),
    /// Answers [`Request::GetRtc`].
    Rtc(RtcReading),
    /// Not done, and why.
    Refused(Refusal),
    // From version 2 on.
    /// Answers [`Request::GetCapabilities`].
    Capabilities(Capabilities),
    /// Answers [`Request::GetDetails`].
    Details(BoardDetails),
    /// Answers [`Request::GetFaults`].
    Faults(FaultPage),
    /// Answers [`Request::GetImages`].
    Images(ImageReport),
    /// Answers [`Request::BeginImage`] and [`Request::PutImage`]: all before `offset` is written.
    ImageWants {
        /// Where the next piece must begin; the image's size when nothing is missing.
        offset: u32,
    },
}

impl Response {
    /// The version that brought this word.
    #[must_use]
    pub const fn since(&self) -> Version {
        match self {
            Self::Done | Self::Board(_) | Self::Rtc(_) => 1,
            Self::Refused(why) => why.since(),
            Self::Capabilities(_)
            | Self::Details(_)
            | Self::Faults(_)
            | Self::Images(_)
            | Self::ImageWants { .. } => 2,
        }
    }
}

/// Why a request was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// No handshake since the board controller started: say Hello first.
    NoSession,
    /// This board has no such part.
    NotFitted,
    /// The value is outside the board's range.
    OutOfRange,
    /// Not now: the board is starting, stopping or off.
    WrongState,
    /// Not now: the board must cool down first.
    TooHot,
    /// The part did not answer.
    PartFailed,
    /// Not now: too many requests are unanswered.
    Busy,
    // From version 2 on.
    /// The image is too large, is not what its head announced, or there is none.
    BadImage,
    /// Pieces of an image must follow each other: see [`Request::GetImages`] for what is wanted.
    OutOfOrder,
}

impl Refusal {
    /// The version that brought this word.
    #[must_use]
    pub const fn since(self) -> Version {
        match self {
            Self::NoSession
            | Self::NotFitted
            | Self::OutOfRange
            | Self::WrongState
            | Self::TooHot
            | Self::PartFailed
            | Self::Busy => 1,
            Self::BadImage | Self::OutOfOrder => 2,
        }
    }
}

/// What the board controller says unasked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// The state, at intervals and after each change of power or heat level.
    Board(BoardReport),
    /// Nobody fed the watchdog: feed it within `reboot_in_ms`, or the SoC is rebooted.
    AskFeed {
        /// Milliseconds left.
        reboot_in_ms: u32,
    },
    /// Shut the system down: power goes in `cut_in_ms` whether it has stopped or not.
    StopRequested {
        /// Why.
        reason: StopReason,
        /// Milliseconds left.
        cut_in_ms: u32,
    },
    // From version 2 on.
    /// What the state leaves out, at intervals.
    Details(BoardDetails),
    /// Somebody pressed the button.
    Button(ButtonPress),
    /// It is getting hot: without help the board stops soon.
    HeatWarning {
        /// Now.
        temperature: CentiCelsius,
        /// From here on the SoC must stop.
        stops_at: CentiCelsius,
    },
    /// Something went wrong; it is in the fault log, too.
    Fault(Fault),
}

impl Report {
    /// The version that brought this word.
    #[must_use]
    pub const fn since(&self) -> Version {
        match self {
            Self::Board(_) | Self::AskFeed { .. } | Self::StopRequested { .. } => 1,
            Self::Details(_) | Self::Button(_) | Self::HeatWarning { .. } | Self::Fault(_) => 2,
        }
    }
}

/// How the board is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardReport {
    /// Since the board controller started. Starts over when it resets.
    pub uptime_ms: u64,
    /// Why the SoC was last started.
    pub boot_reason: BootReason,
    /// Why the SoC was last stopped, if it was since the board controller started.
    pub last_stop: Option<StopReason>,
    /// The SoC's side of the board.
    pub power: PowerState,
    /// `None` when no sensor gives a believable value.
    pub temperature: Option<CentiCelsius>,
    /// What heat allows.
    pub thermal: ThermalLevel,
    /// `None` on a board without a fan.
    pub fan: Option<FanReport>,
    /// Light as driven now; `None` on a board without a screen.
    pub backlight: Option<Percent>,
    /// Whether the amplifier is silent.
    pub muted: bool,
    /// How far the watchdog's ladder has been climbed.
    pub watchdog: WatchdogStage,
}

/// A fan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanReport {
    /// Drive asked of it.
    pub duty: Percent,
    /// Turns per minute; `None` when it has no tachometer.
    pub rpm: Option<u16>,
}

/// The SoC's side of the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PowerState {
    /// Rails down.
    Off,
    /// Rails coming up.
    Starting,
    /// Rails good.
    On,
    /// Rails still up while the SoC shuts down.
    Stopping,
}

/// Why the SoC was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BootReason {
    /// Not known, as after an update of the board controller itself.
    Unknown,
    /// Mains came.
    PowerApplied,
    /// Somebody pressed the button.
    Button,
    /// The timetable's wake alarm.
    Wake,
    /// Asked for over the link.
    Requested,
    /// Nobody fed the watchdog.
    Watchdog,
}

/// Why the SoC was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// Asked for over the link.
    Requested,
    /// Somebody pressed the button.
    Button,
    /// Hot: an orderly stop.
    TooHot,
    /// Hotter than the hard limit: cut at once.
    ThermalCut,
    /// Nobody fed the watchdog.
    Watchdog,
    /// The rails did not come up in time.
    StartFailed,
    /// The SoC halted by itself.
    Halted,
}

/// What heat allows, from cool to dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ThermalLevel {
    /// Everything.
    Normal,
    /// The screen is held darker. Also when no sensor can be believed.
    Derated,
    /// The SoC must stop in order.
    Shutdown,
    /// No power until it has cooled.
    Cut,
}

/// How far the watchdog's ladder has been climbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchdogStage {
    /// Never fed, or the SoC is not on: nothing is expected.
    Disarmed,
    /// Fed in time.
    Fed,
    /// The agent was asked to feed.
    Asked,
    /// The SoC was started or reset by somebody who has fed before, and has not fed since.
    Booting,
    /// Resets did not help; the SoC is left as it is.
    GaveUp,
}

/// What the board's clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtcReading {
    /// The time.
    pub time: UnixSeconds,
    /// `false` when the clock has stopped since it was set: its battery is flat or it was never set.
    pub trusted: bool,
}
