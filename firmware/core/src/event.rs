//! What goes into the core and what comes out of it.

use board_link::{
    CentiCelsius, Fault, Frame, LedMode, MeterReading, Percent, Request, Response, RtcReading, Seq,
    UnixSeconds, WakePlan,
};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A frame came from the SoC.
    Received(Frame),
    /// The temperature sensor was read; `None` when it did not answer.
    Temperature(Option<CentiCelsius>),
    /// The fan's turns per minute; `None` without a tachometer.
    FanSpeed(Option<u16>),
    /// Somebody pressed the power button, on a board that tells no more of it than that.
    Button,
    /// The button's line, at each look or change.
    ButtonLine {
        /// Down.
        pressed: bool,
    },
    /// A rail's "good" line, at each look or change. A board without such lines tells that a rail is good when
    /// it has been ordered up for long enough.
    Rail {
        /// Which, from 0.
        rail: u8,
        /// It carries its voltage.
        good: bool,
    },
    /// The light sensor was read, lux; `None` when it did not answer.
    Room(Option<u32>),
    /// The meter was read; `None` when it did not answer.
    Meter(Option<MeterReading>),
    /// The clock was read, as the board does at the start and every few seconds; `None` when it did not answer.
    Clock(Option<RtcReading>),
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
    /// Answers [`Effect::Image`].
    Image {
        /// As in the effect.
        seq: Seq,
        /// What came of it.
        response: Response,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A rail up or down. Down is given before anything else.
    SetRail {
        /// Which, from 0.
        rail: u8,
        /// With voltage.
        up: bool,
    },
    /// Drive the fan.
    SetFan(Percent),
    /// Drive the screen's light.
    SetBacklight(Percent),
    /// Silence the amplifier, or not.
    SetMute(bool),
    /// What the light on the front shows; never [`LedMode::Auto`].
    SetLed(LedMode),
    /// Drive a relay.
    SetRelay {
        /// Which, from 0.
        relay: u8,
        /// Conducting.
        closed: bool,
    },
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
    /// Set the clock to the board's own counting: the chip was caught lying. Nobody waits for an answer.
    CorrectRtc {
        /// The time now.
        time: UnixSeconds,
    },
    /// Keep a fault where it survives a reset: [`crate::faults::to_bytes`] at [`crate::faults::place_of`].
    KeepFault(Fault),
    /// Keep the plan where it survives the loss of mains, if there is such a place.
    KeepPlan(WakePlan),
    /// Do something with the images, and answer with [`Event::Image`].
    Image {
        /// To be repeated in the answer.
        seq: Seq,
        /// One of the requests about images.
        request: Request,
    },
    /// Restart the board controller: into an image on trial, or out of one.
    RestartMcu,
    /// Send a frame to the SoC.
    Send(Frame),
}
