//! Words and frames between the SoC (the agent) and the board controller.
//!
//! Duty: say what the two may tell each other, turn it into bytes and back, and decide what is said again when
//! the line swallows it. It owns no port and no clock: the shell reads, writes and tells the time; [`Decoder`]
//! and [`encode`] translate; [`SocSide`] and [`BoardSide`] keep the conversation.
//! It must not know what a temperature means, nor anything of MQTT, JSON or the console.
//!
//! ```text
//! on the wire:  00  COBS( version | seq (u16 LE) | postcard payload | CRC-32 (LE) )  00
//! version 0     payload is a Handshake; its layout is frozen, later versions only append to it
//! version 1..   payload is a Message of that version; nothing may follow it
//! ```
//!
//! A session:
//!
//! ```text
//! SoC                                board controller
//!  │── Hello { versions, … } ──────────▶│   newest version that both speak
//!  │◀── Welcome { version, … } ─────────│   or NoCommonVersion { versions }; from version 2 on WelcomeFrom
//!  │── Request, seq n ─────────────────▶│
//!  │◀── Response, the same seq n ───────│   a repeated n gets the same answer and no second effect
//!  │◀── Report, the board's own seq ────│   unasked: state, "are you alive?", "stop now"
//! ```
//!
//! A CRC finds noise, not an attacker: every field is bounded and checked while decoding.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod details;
mod frame;
mod message;
mod session;
mod units;
mod version;

pub use details::{
    BoardDetails, ButtonPress, CHUNK_BYTES, Capabilities, ClockReport, ClockTrust, DayWindow, Energy,
    FAULTS_PER_PAGE, Fault, FaultKind, FaultPage, ImageChunk, ImageHead, ImageReport, ImageSlot, LedMode,
    LightMode, MeterReading, OtherImage, ResetCause, WAKE_WINDOWS, WakePlan, WakeWindow, WeeklyWake,
};
pub use frame::{
    Crc32, Decoder, EncodeError, EncodedFrame, Frame, FrameError, Frames, MAX_FRAME, MAX_PACKET, MAX_PAYLOAD,
    Payload, Seq, crc32, encode,
};
pub use message::{
    BoardReport, BootReason, FanReport, Handshake, Hello, Message, PowerAction, PowerState, Refusal, Report,
    Request, Response, RtcReading, StopReason, ThermalLevel, WatchdogStage, Welcome,
};
pub use session::{
    Ask, BoardSide, DownReason, Heard, Identity, LinkEvent, MAX_WAITING, NUMBERS_AHEAD, Patience, SocSide,
    Ticket,
};
pub use units::{CentiCelsius, LABEL_BYTES, Label, NotAPercentage, Percent, UnixSeconds, label};
pub use version::{BadVersionRange, HANDSHAKE, NEWEST, OLDEST, Version, VersionRange, negotiate};
