//! What goes into the core and what comes out of it.

use board_link::{CentiCelsius, Frame, Percent, RtcReading, Seq, UnixSeconds};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A frame came from the SoC.
    Received(Frame),
    /// The temperature sensor was read; `None` when it did not answer.
    Temperature(Option<CentiCelsius>),
    /// The fan's turns per minute; `None` without a tachometer.
    FanSpeed(Option<u16>),
    /// Somebody pressed the power button.
    Button,
    /// All rails are up.
    RailsGood,
    /// The SoC has shut down.
    SocHalted,
    /// Answers [`Effect::ReadRtc`]; `None` when the clock did not answer.
    RtcRead {
        /// As in the effect.
        seq: Seq,
        /// What the clock says.
        reading: Option<RtcReading>,
    },
    /// Answers [`Effect::WriteRtc`].
    RtcWritten {
        /// As in the effect.
        seq: Seq,
        /// Whether the clock took it.
        ok: bool,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// All rails up or down. Down is given before anything else.
    SetRails(bool),
    /// Drive the fan.
    SetFan(Percent),
    /// Drive the screen's light.
    SetBacklight(Percent),
    /// Silence the amplifier, or not.
    SetMute(bool),
    /// Pulse the SoC's reset pin.
    ResetSoc,
    /// Read the clock; answer with [`Event::RtcRead`].
    ReadRtc {
        /// To be repeated in the answer.
        seq: Seq,
    },
    /// Set the clock; answer with [`Event::RtcWritten`].
    WriteRtc {
        /// To be repeated in the answer.
        seq: Seq,
        /// The time to set.
        time: UnixSeconds,
    },
    /// Send a frame to the SoC.
    Send(Frame),
}
