//! Bandwidth tests: the order, what one board saw, and what several prove together.
//!
//! A test runs over the same mutual TLS as everything else, against [`crate::api::PROBE_DOWN`] and
//! [`crate::api::PROBE_UP`]. Boards of one school begin at the same moment and their rates are added up, so a school with
//! 100 Mbit/s ports can still prove a 200 Mbit/s line.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Seconds of one direction, at least and at most.
pub const SECONDS: (u32, u32) = (3, 60);
/// Connections at a time, at least and at most.
pub const STREAMS: (u32, u32) = (1, 16);

/// The order to measure; body of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BandwidthTest {
    /// Names the test for good; the same for all boards that measure together. At most 40 characters.
    pub test: String,
    /// When the first direction begins, by trusted time; a board whose clock is not trusted within 1 s begins on receipt and
    /// says so.
    pub starts_at: Timestamp,
    /// Seconds of each direction, 3–60; the first second is not counted.
    pub seconds: u32,
    /// Connections at a time, 1–16.
    pub streams: u32,
    /// Measure downwards.
    pub down: bool,
    /// Measure upwards, right after.
    pub up: bool,
    /// An operator wants it although it is class. Never in an exam, and not while a lesson plays.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forced: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What one board saw of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BandwidthResult {
    /// Which test.
    pub test: String,
    /// Downwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<Measured>,
    /// Upwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<Measured>,
    /// Negotiated speed of the port it went through, in Mbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_mbps: Option<u32>,
    /// How it is connected.
    pub link: LinkKind,
    /// Other bytes of the board on the same port meanwhile, both ways.
    pub other_bytes: u64,
    /// Round trip to the console before the test, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f32>,
    /// Began by its own clock at the agreed moment.
    pub in_step: bool,
    /// Why there is no figure; a code of the message catalogues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// Payload bytes in the counted time.
    pub payload_bytes: u64,
    /// Bytes on the port in the counted time (`/sys/class/net/*/statistics`), framing and other traffic included.
    pub wire_bytes: u64,
    /// Counted milliseconds.
    pub ms: u64,
    /// Connections that carried it.
    pub streams: u32,
}

impl Measured {
    /// Payload rate in kbit/s.
    pub const fn kbps(&self) -> u64 {
        match self.payload_bytes.saturating_mul(8).checked_div(self.ms) {
            Some(kbps) => kbps,
            None => 0,
        }
    }
}

/// How a board is connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// A cable.
    Wired,
    /// Wi-Fi.
    Wireless,
    /// 4G or 5G.
    Mobile,
    /// No way out, or nobody knows.
    #[default]
    #[serde(other)]
    None,
}
