//! Words and frames between the SoC (the agent) and the board controller.
//!
//! Duty: say what the two may tell each other and turn it into bytes and back. It owns no port, no timer and
//! no retry: the shell reads and writes, [`Decoder`] and [`encode`] translate.
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
//!  │◀── Welcome { version, … } ─────────│   or NoCommonVersion { versions }
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

mod frame;
mod message;
mod units;
mod version;

pub use frame::{
    Decoder, EncodeError, EncodedFrame, Frame, FrameError, Frames, MAX_FRAME, MAX_PACKET, MAX_PAYLOAD,
    Payload, Seq, encode,
};
pub use message::{
    BoardReport, BootReason, FanReport, Handshake, Hello, Message, PowerAction, PowerState, Refusal, Report,
    Request, Response, RtcReading, StopReason, ThermalLevel, WatchdogStage, Welcome,
};
pub use units::{CentiCelsius, LABEL_BYTES, Label, NotAPercentage, Percent, UnixSeconds, label};
pub use version::{BadVersionRange, HANDSHAKE, NEWEST, OLDEST, Version, VersionRange, negotiate};
